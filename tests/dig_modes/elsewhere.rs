//! `--from-pid` and `--netns`: another process's files and network, and what is said when they are out of reach.

use std::path::PathBuf;
use std::process::Command;

use libtest_mimic::Trial;

use super::scene::{Ran, Scene, bare};
use super::{addresses, script};
use crate::lab::{self, Stop, TempDir, tool, trial};

/// Above the largest process id that Linux gives (PID_MAX_LIMIT, 2^22).
const NOBODY: &str = "4194999";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("dig_modes::from_pid::files_of_another_mount_namespace", from_pid),
        trial("dig_modes::from_pid::who_does_not_exist", from_pid_dead),
        trial("dig_modes::from_pid::without_privilege", from_pid_unprivileged),
        trial("dig_modes::from_pid::through_a_link", from_pid_through_a_link),
        trial("dig_modes::netns::by_pid_and_by_path", netns),
        trial("dig_modes::netns::what_is_none", netns_bad),
        trial("dig_modes::netns::without_privilege", netns_unprivileged),
    ]
}

/// Two processes with different files; the network is that of the first in both cases.
fn from_pid() -> Result<(), Stop> {
    let mut here = Scene::new("nameserver 127.0.0.1\nsearch here.test\n", "192.0.2.7 listed\n")?;
    here.serve("127.0.0.1", script(|asked, _, _| Some(addresses(asked, &[[192, 0, 2, 1]]))))?;
    here.serve("127.0.0.2", script(|asked, _, _| Some(addresses(asked, &[[192, 0, 2, 2]]))))?;
    let there = Scene::new("nameserver 127.0.0.2\nsearch there.test\n", "192.0.2.8 listed\n127.0.0.2 ns-there\n")?;
    let pid = there.holder.pid();

    here.dig(&["+short", "www.lab.test"])?.exits(0)?.says("192.0.2.1\n")?;
    let ran = here.dig(&["+short", "--from-pid", &pid, "www.lab.test"])?;
    ran.exits(0)?.claim(ran.out == "192.0.2.2\n", "only the server of the other resolv.conf")?;
    // The other search list.
    let ran = here.dig(&["--from-pid", &pid, "+search", "www", "--json"])?;
    let value = ran.exits(0)?.json()?;
    ran.claim(value["QNAME"] == "www.there.test.", "the other search list")?;
    // The other hosts file, by which `@name` is looked up first.
    let ran = here.dig(&["--from-pid", &pid, "+short", "@ns-there", "www.lab.test"])?;
    ran.exits(0)?.claim(ran.out == "192.0.2.2\n", "the other hosts file")?;

    // --as plays the resolvers with the other files, hosts included.
    for (arguments, address, queries) in [
        (vec!["listed"], "192.0.2.7", 0),
        (vec!["listed", "--from-pid", pid.as_str()], "192.0.2.8", 0),
        (vec!["www.lab.test"], "192.0.2.1", 1),
        (vec!["www.lab.test", "--from-pid", pid.as_str()], "192.0.2.2", 1),
    ] {
        let ran = here.dig(&[&["--as", "glibc,musl,go", "--json", "-q"], arguments.as_slice(), &["A"]].concat())?;
        let value = ran.exits(0)?.json()?;
        let resolvers = value["resolvers"].as_array().cloned().unwrap_or_default();
        ran.claim(resolvers.len() == 3, "three resolvers")?;
        for resolver in resolvers {
            ran.claim(resolver["answers"] == serde_json::json!([address]), &format!("the address {address}"))?;
            ran.claim(resolver["queries"].as_array().map(Vec::len) == Some(queries), "the number of queries")?;
        }
    }
    // The other modes take their servers from there, too.
    for mode in [["@all", "+time=1"].as_slice(), &["--path"], &["--race", "1"]] {
        let ran = here.dig(&[mode, &["www.lab.test", "--json", "--from-pid", &pid]].concat())?;
        ran.exits(0)?.claim(!ran.out.contains("\"127.0.0.1\"") && ran.out.contains("\"127.0.0.2\""), "the server")?;
    }
    Ok(())
}

fn from_pid_dead() -> Result<(), Stop> {
    let scene = Scene::new("nameserver 127.0.0.1\n", "")?;
    for mode in [[].as_slice(), &["--as", "glibc"], &["@all"], &["--path"], &["--race", "1"]] {
        let ran = scene.dig(&[mode, &["--from-pid", NOBODY, "www.lab.test"]].concat())?;
        ran.exits(2)?.claim(ran.err == format!("dig: --from-pid: there is no process {NOBODY}\n"), "one clear line")?;
        ran.claim(ran.out.is_empty(), "nothing on stdout")?;
    }
    for bad in ["x", "-1", "1/../self", ""] {
        let ran = scene.dig(&["--from-pid", bad, "www.lab.test"])?;
        ran.exits(2)?.claim(ran.out.is_empty() && ran.err.lines().count() == 1, "one line")?;
        ran.complains("--from-pid")?;
    }
    Ok(())
}

/// A copy that a user without rights can reach, wherever the build directory lies.
fn copy() -> Result<(TempDir, PathBuf), Stop> {
    let dir = TempDir::new("copy")?;
    let program = lab::binary_for_everybody(&dir.0)?;
    Ok((dir, program))
}

/// `setpriv OPTIONS netkit dig ARGUMENTS`, in the network and mount namespaces of the scene.
fn deprived(scene: &Scene, program: &PathBuf, options: &[&str], arguments: &[&str]) -> Result<Ran, Stop> {
    let mut command = scene.holder.command(tool("setpriv", "util-linux")?);
    Ran::of(command.args(options).arg(program).arg("dig").args(arguments))
}

const USER: [&str; 3] = ["--reuid=65534", "--regid=65534", "--clear-groups"];

fn from_pid_unprivileged() -> Result<(), Stop> {
    let scene = Scene::new("nameserver 127.0.0.1\n", "")?;
    let (_dir, program) = copy()?;
    let pid = scene.holder.pid();
    for mode in [[].as_slice(), &["--as", "glibc"], &["@all"], &["--path"], &["--race", "1"]] {
        let arguments = [mode, &["--from-pid", &pid, "--explain", "www.lab.test"]].concat();
        let ran = deprived(&scene, &program, &USER, &arguments)?;
        ran.exits(1)?.complains(&format!("cannot look into /proc/{pid}/root"))?.complains("CAP_SYS_PTRACE")?;
        ran.complains("kubectl debug --profile=general")?;
        ran.claim(ran.err.lines().count() == 2 && ran.out.is_empty(), "the error and the hint, a line each")?;
        // Want of a capability is said without --explain too, to scripts as well.
        let arguments = [mode, &["--from-pid", &pid, "www.lab.test"]].concat();
        let ran = deprived(&scene, &program, &USER, &arguments)?;
        ran.exits(1)?
            .complains("CAP_SYS_PTRACE")?
            .claim(ran.err.lines().count() == 2, "the error and what is missing")?;
    }
    Ok(())
}

/// A resolv.conf that is an absolute link, as where /run holds the real one: it leads through the other root, not ours.
fn from_pid_through_a_link() -> Result<(), Stop> {
    let mut here = Scene::new("nameserver 127.0.0.1\n", "")?;
    here.serve("127.0.0.2", script(|asked, _, _| Some(addresses(asked, &[[192, 0, 2, 2]]))))?;
    let there = Scene::new("nameserver 127.0.0.2\n", "")?;
    there.link_resolv_conf("/etc/netkit-linked-resolv.conf")?;
    let pid = there.holder.pid();
    here.dig(&["--from-pid", &pid, "+short", "www.lab.test"])?.exits(0)?.says("192.0.2.2\n")?;
    let ran = here.dig(&["--from-pid", &pid, "@all", "www.lab.test"])?;
    ran.exits(0)?.claim(ran.out.contains("127.0.0.2#53"), "the modes follow the link there, too")?;
    Ok(())
}

/// The name server is reachable from one namespace only.
fn netns() -> Result<(), Stop> {
    let mut inside = Scene::new("nameserver 127.0.0.1\n", "")?;
    inside.serve("127.0.0.1", script(|asked, _, _| Some(addresses(asked, &[[192, 0, 2, 1]]))))?;
    let outside = Scene::new("nameserver 127.0.0.1\n", "")?;
    outside.dig(&["+short", "www.lab.test"])?.exits(9)?;
    let pid = inside.holder.pid();
    for target in [pid.clone(), format!("/proc/{pid}/ns/net")] {
        let ran = outside.dig(&["+short", "--netns", &target, "www.lab.test"])?;
        ran.exits(0)?.claim(ran.out == "192.0.2.1\n", "the server inside answers")?;
        // A batch works in threads, which must be inside as well; so must every mode.
        let (_dir, file) = file("www.lab.test\nftp.lab.test\n")?;
        let ran = outside.dig(&["+short", &format!("--netns={target}"), "-f", &file])?;
        ran.exits(0)?.claim(ran.out == "192.0.2.1\n192.0.2.1\n", "the batch is inside")?;
        for mode in [["--as", "glibc"].as_slice(), &["@all"], &["--path"], &["--race", "1"]] {
            outside.dig(&[mode, &["www.lab.test", "--netns", &target]].concat())?.exits(0)?;
        }
    }
    Ok(())
}

fn file(text: &str) -> Result<(TempDir, String), Stop> {
    let dir = TempDir::new("file")?;
    let path = dir.0.join("file");
    std::fs::write(&path, text)?;
    Ok((dir, path.display().to_string()))
}

fn netns_bad() -> Result<(), Stop> {
    let scene = Scene::new("nameserver 127.0.0.1\n", "")?;
    let none = format!("there is no process {NOBODY}");
    for mode in [[].as_slice(), &["@all"]] {
        for (target, status, part) in [
            (NOBODY, 2, none.as_str()),
            ("/nowhere/at/all", 1, "cannot open /nowhere/at/all"),
            ("/etc/hosts", 2, "/etc/hosts is not a network namespace"),
            ("/proc/self/ns/mnt", 2, "/proc/self/ns/mnt is not a network namespace"),
            ("", 2, "--netns needs a value"),
        ] {
            let ran = scene.dig(&[mode, &["www.lab.test", "--netns", target]].concat())?;
            ran.exits(status)?.complains(part)?;
            ran.claim(ran.out.is_empty() && ran.err.lines().count() == 1, "one line on stderr only")?;
        }
    }
    Ok(())
}

fn netns_unprivileged() -> Result<(), Stop> {
    let (inside, outside) = (Scene::new("", "")?, Scene::new("nameserver 127.0.0.1\n", "")?);
    let (_dir, program) = copy()?;
    let pid = inside.holder.pid();
    let arguments = ["--explain", "--netns", &pid, "www.lab.test"];
    // Root, but CAP_SYS_ADMIN is outside the bounding set: a container of the default profile.
    let options = ["--bounding-set=-sys_admin", "--inh-caps=-sys_admin"];
    for mode in [[].as_slice(), &["@all"]] {
        let ran = deprived(&outside, &program, &options, &[mode, &arguments].concat())?;
        ran.exits(1)?.complains(&format!("dig: --netns: not allowed to enter /proc/{pid}/ns/net\n"))?;
        ran.complains("CAP_SYS_ADMIN is outside this container's bounding set")?;
        ran.complains("kubectl debug --profile=sysadmin")?;
        ran.claim(ran.err.lines().count() == 2 && ran.out.is_empty(), "the error and the hint, a line each")?;
    }
    // A user without any: the namespace file of another user's process cannot even be opened.
    let ran = deprived(&outside, &program, &USER, &arguments)?;
    ran.exits(1)?.complains("permission denied")?.complains("CAP_SYS_PTRACE")?.complains("--profile=general")?;
    // The lookup is not made in the wrong place instead.
    ran.claim(ran.out.is_empty(), "no answer from elsewhere")?;
    // NETKIT_HINTS=0 wins over --explain.
    let mut command = Command::new("nsenter");
    command.args(["--target", &outside.holder.pid(), "--net", "--mount", "--", "setpriv"]).args(options);
    command.arg(&program).arg("dig").args(arguments);
    bare(&mut command);
    let ran = Ran::of(command.env("NETKIT_HINTS", "0"))?;
    ran.exits(1)?.claim(ran.err.lines().count() == 1, "no hint")?;
    Ok(())
}
