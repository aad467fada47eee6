//! The front door: names, links, empty argv, install, listing and completion.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::lab::{self, Skip, Stop, TempDir, same, trial};

const LIMIT: Duration = Duration::from_secs(300);

/// Replaces itself by the given program with an argv of no elements. Linux hands such a program one empty string since
/// 5.18 (execve(2)); before, argc is 0.
const EMPTY_ARGV: &str = r#"
#include <unistd.h>
int main(int argc, char **argv) {
    char *none[] = { 0 };
    if (argc > 1) execve(argv[1], none, none);
    return 99;
}
"#;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("front::called_as_dig", called_as_dig),
        trial("front::called_through_links", called_through_links),
        trial("front::called_by_an_unknown_name", called_by_an_unknown_name),
        trial("front::called_with_empty_argv", called_with_empty_argv),
        trial("front::unknown_applet_is_127", unknown_applet),
        trial("front::list_help_version", list_help_version),
        trial("front::usage_errors_are_2", usage_errors),
        trial("front::full_disk_is_said_and_closed_pipe_is_quiet", output_that_cannot_be_written),
        trial("front::completion_in_bash", completion_in_bash),
        trial("front::caps_says_what_the_kernel_says", caps),
        trial("front::caps_names_what_takes_rights_away", caps_of_others),
        trial("front::manifests_are_what_kubernetes_takes", manifests),
        trial("front::install_symbolic", install_symbolic),
        trial("front::install_hard", install_hard),
        trial("front::install_copy", install_copy),
        trial("front::install_changes_mode_and_spares_foreign_files", install_changes_mode),
        trial("front::install_from_any_path", install_from_any_path),
        trial("front::install_where_writing_is_not_permitted", install_not_permitted),
        trial("front::install_on_a_read_only_file_system", install_read_only),
        trial("front::install_in_scratch_without_proc", install_in_scratch),
    ]
}

fn called_as_dig() -> Result<(), Stop> {
    let home = Home::new()?;
    symlink("netkit", home.path("dig"))?;
    is_dig(&call(&home.path("dig"), &["-v"])?)?;
    is_dig(&call(&home.binary(), &["dig", "-v"])?)
}

fn called_through_links() -> Result<(), Stop> {
    let home = Home::new()?;
    // first -> elsewhere/dig -> ../second -> netkit: the name it is called by counts, not those on the way.
    fs::create_dir(home.path("elsewhere"))?;
    symlink("netkit", home.path("second"))?;
    symlink("../second", home.path("elsewhere/dig"))?;
    symlink("elsewhere/dig", home.path("first"))?;
    is_dig(&call(&home.path("elsewhere/dig"), &["-v"])?)?;
    is_dig(&call(&home.path("first"), &["dig", "-v"])?)?;
    let out = call(&home.path("first"), &["-v"])?;
    same("status of `first -v`", &status(&out), "127")
}

fn called_by_an_unknown_name() -> Result<(), Stop> {
    let home = Home::new()?;
    copy(&home.binary(), &home.path("wombat"))?;
    is_dig(&call(&home.path("wombat"), &["dig", "-v"])?)?;
    // A name that only ends like an applet's is unknown too.
    copy(&home.binary(), &home.path("mydig"))?;
    let out = call(&home.path("mydig"), &[])?;
    same("status", &status(&out), "0")?;
    contains("stdout", &stdout(&out), "usage: netkit APPLET")
}

fn called_with_empty_argv() -> Result<(), Stop> {
    let cc = lab::tool("cc", "gcc")?;
    let home = Home::new()?;
    let (source, helper) = (home.path("empty.c"), home.path("empty"));
    fs::write(&source, EMPTY_ARGV)?;
    let built = lab::run(Command::new(cc).arg("-o").arg(&helper).arg(&source), LIMIT)?;
    same("compiler", &stderr(&built), "")?;
    let out = lab::run(Command::new(&helper).arg(home.binary()), LIMIT)?;
    same("status", &status(&out), "0")?;
    contains("stdout", &stdout(&out), "usage: netkit APPLET")?;
    same("stderr", &stderr(&out), "")
}

fn unknown_applet() -> Result<(), Stop> {
    let out = call(&lab::netkit(), &["dgi"])?;
    same("status", &status(&out), "127")?;
    same("stdout", &stdout(&out), "")?;
    same("stderr", &stderr(&out), "netkit: no applet `dgi`; did you mean `dig`?\n")
}

fn list_help_version() -> Result<(), Stop> {
    if !names()?.contains("dig") {
        return Err("dig is not in --list".into());
    }
    let page = call(&lab::netkit(), &["--help", "dig"])?;
    same("status of --help dig", &status(&page), "0")?;
    contains("--help dig", &stdout(&page), "usage: dig ")?;
    let out = call(&lab::netkit(), &["--help", "dgi"])?;
    same("status of --help dgi", &status(&out), "127")?;

    let out = stdout(&call(&lab::netkit(), &["--version"])?);
    let keys: Vec<&str> = out.lines().map(|line| line.split([':', ' ']).next().unwrap_or("")).collect();
    same("lines of --version", &keys.join(" "), "netkit commit built target roots")?;
    contains("--version", &out, concat!("netkit ", env!("CARGO_PKG_VERSION"), "\n"))
}

fn usage_errors() -> Result<(), Stop> {
    for arguments in [
        &["--list", "x"][..],
        &["--version", "x"],
        &["install"],
        &["install", ""],
        &["install", "--wombat", "/nowhere"],
        &["install", "--hard", "--copy", "/nowhere"],
        &["install", "/nowhere", "/elsewhere"],
        &["completion"],
        &["completion", "fish"],
        &["caps", "--wombat"],
        &["caps", "--json", "x"],
        &["manifest"],
        &["manifest", "wombat"],
        &["manifest", "debug", "daemonset"],
        &["manifest", "debug", "--image"],
        &["manifest", "debug", "--image="],
        &["manifest", "debug", "--image", "two words"],
        &["manifest", "debug", "--image=a\nprivileged: true"],
        &["manifest", "--wombat", "debug"],
    ] {
        let out = call(&lab::netkit(), arguments)?;
        same(&format!("status of {arguments:?}"), &status(&out), "2")?;
        same(&format!("stdout of {arguments:?}"), &stdout(&out), "")?;
        same(&format!("lines on stderr of {arguments:?}"), &stderr(&out).lines().count().to_string(), "1")?;
    }
    Ok(())
}

fn output_that_cannot_be_written() -> Result<(), Stop> {
    let full = fs::OpenOptions::new().write(true).open("/dev/full")?;
    let out = Command::new(lab::netkit()).arg("--list").stdin(Stdio::null()).stdout(full).output()?;
    same("status with a full disk", &status(&out), "1")?;
    contains("stderr with a full disk", &stderr(&out), "netkit: cannot write output: No space left on device")?;

    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    let out = Command::new(lab::netkit()).arg("--list").stdin(Stdio::null()).stdout(writer).output()?;
    same("status with a closed pipe", &status(&out), "141")?;
    same("stderr with a closed pipe", &stderr(&out), "")
}

fn completion_in_bash() -> Result<(), Stop> {
    let bash = lab::tool("bash", "bash")?;
    let home = Home::new()?;
    let complete = |words: &[&str]| -> Result<BTreeSet<String>, Stop> {
        // What bash does at the Tab key: it looks up the function of the command's name and calls it with COMP_WORDS set.
        let script = r#"
            source <("$1" completion bash) || exit 3
            shift
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
            spec=$(complete -p "$1") || exit 4
            set -- $spec
            while [ "$1" != -F ]; do shift || exit 5; done
            "$2"
            printf '%s\n' "${COMPREPLY[@]}"
        "#;
        let out = lab::run(
            Command::new(&bash).args(["--norc", "--noprofile", "-c", script, "bash"]).arg(home.binary()).args(words),
            LIMIT,
        )?;
        same("stderr of bash", &stderr(&out), "")?;
        same("status of bash", &status(&out), "0")?;
        Ok(stdout(&out).lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
    };
    let offered = complete(&["netkit", ""])?;
    let mut wanted = names()?;
    wanted.extend(["--list", "--help", "--version", "caps", "install", "manifest", "completion"].map(str::to_owned));
    same("netkit <Tab>", &join(&offered), &join(&wanted))?;
    same("netkit inst<Tab>", &join(&complete(&["netkit", "inst"])?), "install")?;

    // Spellings as the help page shows them: the first word of a line that is set in.
    let page = stdout(&call(&home.binary(), &["--help", "dig"])?);
    let spelled: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| word.starts_with(['-', '+']))
        .map(|word| word.split_once('=').map_or(word.to_owned(), |(flag, _)| format!("{flag}=")))
        .collect();
    same("netkit dig <Tab>", &join(&complete(&["netkit", "dig", ""])?), &join(&spelled))
}

fn json(out: &Output) -> Result<Value, Stop> {
    serde_json::from_slice(&out.stdout).map_err(|error| format!("{error}: {}{}", stdout(out), stderr(out)).into())
}

/// The sets of `caps --json` as those of /proc/self/status, which another program of the same rights reads.
fn caps() -> Result<(), Stop> {
    let shown = json(&call(&lab::netkit(), &["caps", "--json"])?)?;
    let read = fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| read.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").trim().to_owned();
    for (key, name) in [("effective", "CapEff:"), ("permitted", "CapPrm:"), ("bounding", "CapBnd:")] {
        let set = u64::from_str_radix(&field(name), 16).map_err(|error| format!("{name} {error}"))?;
        let names = shown.get(key).and_then(Value::as_array).ok_or(format!("no {key}"))?;
        same(&format!("size of {key}"), &names.len().to_string(), &set.count_ones().to_string())?;
    }
    let flag = |key: &str| shown.get(key).map_or(String::new(), Value::to_string);
    same("no_new_privs", &flag("no_new_privs"), if field("NoNewPrivs:") == "1" { "true" } else { "false" })?;
    same(
        "seccomp",
        &flag("seccomp"),
        match field("Seccomp:").as_str() {
            "1" => "\"strict\"",
            "2" => "\"filter\"",
            _ => "\"none\"",
        },
    )?;
    let range = fs::read_to_string("/proc/sys/net/ipv4/ping_group_range")?;
    let range: Vec<&str> = range.split_whitespace().collect();
    same("ping_group_range", &flag("ping_group_range"), &format!("[{}]", range.join(",")))?;
    // Every applet has its line, in both forms.
    let listed = shown.get("applets").and_then(Value::as_array).ok_or("no applets")?;
    let listed: BTreeSet<&str> = listed.iter().filter_map(|one| one.get("name")?.as_str()).collect();
    let page = stdout(&call(&lab::netkit(), &["caps"])?);
    let list = stdout(&call(&lab::netkit(), &["--list"])?);
    for line in list.lines().filter_map(|line| line.strip_prefix("  ")) {
        let name = line.split([',', ' ']).next().unwrap_or("");
        if !listed.contains(name) || !page.lines().any(|line| line.split(' ').next() == Some(name)) {
            return Err(format!("{name} is not in caps").into());
        }
    }
    Ok(())
}

/// As another user, without rights and with a part of them: what is missing, why, and what grants it.
fn caps_of_others() -> Result<(), Stop> {
    lab::namespaces()?;
    let setpriv = lab::tool("setpriv", "util-linux")?;
    let dir = TempDir::new("caps")?;
    let binary = lab::binary_for_everybody(&dir.0)?;
    let asked = |flags: &[&str], words: &[&str]| -> Result<Output, Stop> {
        let mut command = Command::new(&setpriv);
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).args(flags);
        lab::run(command.arg(&binary).args(words), LIMIT)
    };
    for (flags, why) in [
        (&["--bounding-set=-all"][..], "outside this container's bounding set"),
        (&["--no-new-privs"], "no_new_privs"),
        (&[], "file does not grant it"),
    ] {
        let out = asked(flags, &["caps"])?;
        contains(
            "caps",
            &stdout(&out),
            &format!("CAP_NET_ADMIN is {}", if why.starts_with("outside") { why } else { "in the bounding set" }),
        )?;
        contains("caps", &stdout(&out), why)?;
        contains("caps", &stdout(&out), "kubectl debug")?;
        let shown = json(&asked(flags, &["caps", "--json"])?)?;
        same("usable", &shown.get("usable").map_or(String::new(), Value::to_string), "[]")?;
        let tcpdump = shown
            .pointer("/applets")
            .and_then(Value::as_array)
            .and_then(|all| all.iter().find(|one| one.get("name").and_then(Value::as_str) == Some("tcpdump-lite")));
        same(
            "tcpdump",
            &tcpdump.and_then(|one| one.get("verdict")).map_or(String::new(), Value::to_string),
            "\"partly\"",
        )?;
        // The applet itself says the same words.
        let said = stderr(&asked(flags, &["tcpdump", "-i", "lo"])?);
        contains("tcpdump", &said, why)?;
    }
    // Ambient capabilities are usable, and then nothing is said of them.
    let part = [
        "--bounding-set=-all,+net_raw,+net_admin",
        "--inh-caps=+net_raw,+net_admin",
        "--ambient-caps=+net_raw,+net_admin",
    ];
    let shown = json(&asked(&part, &["caps", "--json"])?)?;
    same(
        "usable",
        &shown.get("usable").map_or(String::new(), Value::to_string),
        "[\"CAP_NET_ADMIN\",\"CAP_NET_RAW\"]",
    )?;
    let missing = shown.get("missing").map_or(String::new(), Value::to_string);
    if missing.contains("NET_RAW") || !missing.contains("SYS_PTRACE") {
        return Err(format!("missing: {missing}").into());
    }
    let nft = asked(&part, &["nft", "list", "tables"])?;
    same("status of nft", &status(&nft), "0")
}

/// Each manifest read as YAML by jq: what it is, its image, and what its kind is for.
fn manifests() -> Result<(), Stop> {
    const IMAGE: &str = "registry.example:5000/tools/netkit:0.1.0@sha256:00ff";
    let kinds = ["debug", "daemonset", "initcontainer", "imagevolume", "custom-profile"];
    let cases = [
        (
            "debug",
            "[.apiVersion, .kind, .spec.containers[0].image, .spec.containers[0].tty]",
            r#"["v1","Pod","IMAGE",true]"#,
        ),
        ("debug", ".spec.containers[0].securityContext.capabilities.add", r#"["NET_ADMIN","NET_RAW","SYS_PTRACE"]"#),
        (
            "daemonset",
            "[.apiVersion, .kind, .spec.template.spec.hostPID, .spec.template.spec.containers[0].image]",
            r#"["apps/v1","DaemonSet",true,"IMAGE"]"#,
        ),
        ("daemonset", ".spec.selector.matchLabels == .spec.template.metadata.labels", "true"),
        (
            "daemonset",
            "[.spec.template.spec | (.containers[0].volumeMounts[].name), (.volumes[].name)]",
            r#"["host","host"]"#,
        ),
        (
            "initcontainer",
            "[.kind, .spec.initContainers[0].image, .spec.initContainers[0].args[0]]",
            r#"["Pod","IMAGE","install"]"#,
        ),
        (
            "initcontainer",
            "[.spec | (.initContainers, .containers)[].volumeMounts[].name, .volumes[].name] | unique",
            r#"["netkit"]"#,
        ),
        (
            "imagevolume",
            "[.kind, .spec.volumes[0].image.reference, .spec.containers[0].volumeMounts[0].name == .spec.volumes[0].name]",
            r#"["Pod","IMAGE",true]"#,
        ),
        (
            "custom-profile",
            "[.securityContext.runAsUser, .securityContext.capabilities.add]",
            r#"[0,["NET_ADMIN","NET_RAW","SYS_PTRACE"]]"#,
        ),
    ];
    let home = Home::new()?;
    for (kind, filter, wanted) in cases {
        let out = call(&lab::netkit(), &["manifest", kind, "--image", IMAGE])?;
        same(&format!("stderr of {kind}"), &stderr(&out), "")?;
        let file = home.path("manifest.yaml");
        fs::write(&file, &out.stdout)?;
        let read = call(&lab::netkit(), &["jq", "--from", "yaml", "-c", filter, &file.to_string_lossy()])?;
        same(&format!("{kind}: {filter}"), stdout(&read).trim(), &wanted.replace("IMAGE", IMAGE))?;
    }
    for kind in kinds {
        let out = stdout(&call(&lab::netkit(), &["manifest", kind])?);
        // Without --image it is the image of this version, under a registry to be filled in; tabs are no YAML.
        contains(kind, &out, concat!("REGISTRY/netkit:", env!("CARGO_PKG_VERSION")))?;
        if out.contains('\t') || out.contains("latest") || out.replace("--image=", "").contains(" IMAGE") {
            return Err(format!("{kind}:\n{out}").into());
        }
        contains("--help", &stdout(&call(&lab::netkit(), &["--help"])?), kind)?;
    }
    Ok(())
}

fn install_symbolic() -> Result<(), Stop> {
    let home = Home::new()?;
    let dir = home.path("deep/er/bin");
    install(&home, &["--symbolic"], &dir)?;
    same("names", &join(&entries(&dir)?), &join(&names()?))?;
    same("link", &fs::read_link(dir.join("dig"))?.to_string_lossy(), "../../../netkit")?;
    is_dig(&call(&dir.join("dig"), &["-v"])?)?;
    // The links are relative: the tree works after it has moved.
    let moved = home.path("moved");
    fs::create_dir(&moved)?;
    fs::rename(home.path("deep"), moved.join("deep"))?;
    fs::rename(home.binary(), moved.join("netkit"))?;
    is_dig(&call(&moved.join("deep/er/bin/dig"), &["-v"])?)
}

fn install_hard() -> Result<(), Stop> {
    let home = Home::new()?;
    let dir = home.path("bin");
    install(&home, &["--hard"], &dir)?;
    same("names", &join(&entries(&dir)?), &join(&names()?))?;
    let (link, binary) = (fs::symlink_metadata(dir.join("dig"))?, fs::metadata(home.binary())?);
    same("inode", &link.ino().to_string(), &binary.ino().to_string())?;
    is_dig(&call(&dir.join("dig"), &["-v"])?)
}

fn install_copy() -> Result<(), Stop> {
    let home = Home::new()?;
    let dir = home.path("bin");
    install(&home, &["--copy"], &dir)?;
    let mut wanted = names()?;
    wanted.insert("netkit".to_owned());
    same("names", &join(&entries(&dir)?), &join(&wanted))?;
    same("link", &fs::read_link(dir.join("dig"))?.to_string_lossy(), "netkit")?;
    // The directory stands alone.
    fs::remove_file(home.binary())?;
    is_dig(&call(&dir.join("dig"), &["-v"])?)
}

fn install_changes_mode() -> Result<(), Stop> {
    let home = Home::new()?;
    let dir = home.path("bin");
    install(&home, &[], &dir)?;
    install(&home, &["--hard"], &dir)?;
    if fs::symlink_metadata(dir.join("dig"))?.is_symlink() {
        return Err("--hard left the symbolic link in place".into());
    }
    fs::remove_file(dir.join("dig"))?;
    fs::write(dir.join("dig"), "#!/bin/sh\n")?;
    let out = call(&home.binary(), &["install", &dir.to_string_lossy()])?;
    same("status", &status(&out), "1")?;
    contains("stderr", &stderr(&out), "a file that is not netkit has the name: dig\n")?;
    same("the foreign file", &fs::read_to_string(dir.join("dig"))?, "#!/bin/sh\n")
}

fn install_from_any_path() -> Result<(), Stop> {
    let home = Home::new()?;
    fs::create_dir(home.path("here"))?;
    symlink("../netkit", home.path("here/other-name"))?;
    for (number, program, path) in
        [(1, "../netkit", ""), (2, "./other-name", ""), (3, "netkit", "..:/bin"), (4, "other-name", ".:/bin")]
    {
        let dir = format!("bin{number}");
        // `env` looks the program up as a shell would, after the directory was changed.
        let mut command = Command::new("/usr/bin/env");
        command.current_dir(home.path("here"));
        if !path.is_empty() {
            command.arg(format!("PATH={path}"));
        }
        let out = lab::run(command.args([program, "install", &dir]), LIMIT)?;
        same("stderr", &stderr(&out), "")?;
        let link = fs::read_link(home.path("here").join(&dir).join("dig"))?;
        same(program, &link.to_string_lossy(), "../../netkit")?;
    }
    Ok(())
}

fn install_not_permitted() -> Result<(), Stop> {
    let home = Home::new()?;
    let dir = home.path("bin");
    fs::create_dir(&dir)?;
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o555))?;
    let out = lab::run(unprivileged(&home.binary())?.arg("install").arg(&dir), LIMIT)?;
    same("status", &status(&out), "1")?;
    contains("stderr", &stderr(&out), &format!("netkit: install: cannot write {}", dir.display()))?;
    contains("stderr", &stderr(&out), ": permission denied\n")?;
    same("lines on stderr", &stderr(&out).lines().count().to_string(), "1")?;
    same("names", &join(&entries(&dir)?), "")
}

fn install_read_only() -> Result<(), Stop> {
    lab::namespaces()?;
    let home = Home::new()?;
    let dir = home.path("bin");
    fs::create_dir(&dir)?;
    // The mount lives and dies with the namespace.
    let script = r#"mount -t tmpfs -o ro none "$2" && exec "$1" install "$2""#;
    let out = lab::run(
        Command::new("unshare").args(["--mount", "sh", "-c", script, "sh"]).arg(home.binary()).arg(&dir),
        LIMIT,
    )?;
    same("status", &status(&out), "1")?;
    contains("stderr", &stderr(&out), "the file system is read-only")
}

fn install_in_scratch() -> Result<(), Stop> {
    lab::namespaces()?;
    needs_static()?;
    let home = Home::new()?;
    let root = home.path("root");
    fs::create_dir_all(root.join("bin"))?;
    copy(&home.binary(), &root.join("bin/netkit"))?;
    let scratch = |arguments: &[&str]| {
        lab::run(Command::new("unshare").arg("--mount").arg("--root").arg(&root).args(arguments), LIMIT)
    };
    for mode in ["--symbolic", "--hard"] {
        let out = scratch(&["/bin/netkit", "install", mode, "/usr/local/bin"])?;
        same("stderr", &stderr(&out), "")?;
        same("names", &join(&entries(&root.join("usr/local/bin"))?), &join(&names()?))?;
        is_dig(&scratch(&["/usr/local/bin/dig", "-v"])?)?;
    }
    // With neither /proc nor a path in argv[0] there is nothing to go by but PATH.
    let out = scratch(&["/bin/netkit", "install", "/bin"])?;
    same("status", &status(&out), "0")?;
    same("link", &fs::read_link(root.join("bin/dig"))?.to_string_lossy(), "netkit")
}

/// A temporary directory with a copy of the binary named `netkit`, so that links and modes are ours to change.
struct Home(TempDir);

impl Home {
    fn new() -> Result<Home, Stop> {
        let dir = TempDir::new("front")?;
        copy(&lab::netkit(), &dir.0.join("netkit"))?;
        Ok(Home(dir))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.0.join(name)
    }

    fn binary(&self) -> PathBuf {
        self.path("netkit")
    }
}

/// Copies through cp(1). Were the file open for writing in this process, a child that another trial starts at that moment
/// would hold it open too, and running it would fail with ETXTBSY (execve(2)).
fn copy(from: &Path, to: &Path) -> Result<(), Stop> {
    let out = lab::run(Command::new("cp").arg(from).arg(to), LIMIT)?;
    same("cp", &stderr(&out), "")
}

/// Installs twice: the second time nothing is new.
fn install(home: &Home, mode: &[&str], dir: &Path) -> Result<(), Stop> {
    let count = names()?.len() + usize::from(mode == ["--copy"]);
    for new in [count, 0] {
        let out = lab::run(Command::new(home.binary()).arg("install").args(mode).arg(dir), LIMIT)?;
        same("stderr", &stderr(&out), "")?;
        same("status", &status(&out), "0")?;
        contains("stdout", &stdout(&out), &format!(" names, {new} new\n"))?;
    }
    Ok(())
}

/// Every name and alias that `--list` shows.
fn names() -> Result<BTreeSet<String>, Stop> {
    let out = call(&lab::netkit(), &["--list"])?;
    same("status of --list", &status(&out), "0")?;
    let mut names = BTreeSet::new();
    for line in stdout(&out).lines().filter_map(|line| line.strip_prefix("  ")) {
        // `dig, host   what it does`: a word with a comma is followed by another name.
        for word in line.split(' ') {
            names.insert(word.trim_end_matches(',').to_owned());
            if !word.ends_with(',') {
                break;
            }
        }
    }
    Ok(names)
}

fn entries(dir: &Path) -> Result<BTreeSet<String>, Stop> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(dir)? {
        names.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

/// A command that is not root: through setpriv(1) where we are.
fn unprivileged(program: &Path) -> Result<Command, Stop> {
    let id = lab::run(Command::new("id").arg("-u"), LIMIT)?;
    if stdout(&id).trim() != "0" {
        return Ok(Command::new(program));
    }
    let mut command = Command::new(lab::tool("setpriv", "util-linux")?);
    command.args(["--reuid=65532", "--regid=65532", "--clear-groups", "--"]).arg(program);
    Ok(command)
}

/// A directory without libraries runs only a static binary.
fn needs_static() -> Result<(), Stop> {
    let version = stdout(&call(&lab::netkit(), &["--version"])?);
    if version.contains("target: x86_64-unknown-linux-musl") {
        return Ok(());
    }
    Err(Skip(
        "the binary is not static (run `cargo xtask test`, or set NETKIT_BIN to what `cargo xtask dist` made)".into(),
    )
    .into())
}

fn is_dig(out: &Output) -> Result<(), Stop> {
    same("status of dig -v", &status(out), "0")?;
    same("stdout of dig -v", &stdout(out), "")?;
    match stderr(out) {
        said if said.starts_with("DiG ") => Ok(()),
        said => Err(format!("dig -v said {said:?}").into()),
    }
}

fn call(program: &Path, arguments: &[&str]) -> Result<Output, Stop> {
    lab::run(Command::new(program).args(arguments), LIMIT)
}

fn contains(what: &str, text: &str, part: &str) -> Result<(), Stop> {
    if text.contains(part) { Ok(()) } else { Err(format!("{what} lacks {part:?}:\n{text}").into()) }
}

fn join(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn status(out: &Output) -> String {
    out.status.code().map_or_else(|| out.status.to_string(), |code| code.to_string())
}

fn stdout(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn stderr(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}
