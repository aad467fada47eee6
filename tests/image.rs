//! The released binary and the scratch image, run by podman in every way that a cluster runs it.
//!
//! Storage, runtime state and configuration are in a temporary directory, so nothing of the user's is seen or touched.
//! No container has a network but loopback.

mod callers;
mod matrix;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::Value;

use crate::lab::{self, Skip, Stop, TempDir, same, trial};

const LIMIT: Duration = Duration::from_secs(300);
/// `cargo xtask image` may find that the binary has to be built anew.
const BUILD_LIMIT: Duration = Duration::from_secs(900);
/// The whole root file system, with every applet in it.
const ROOTFS_LIMIT: u64 = 5_242_880;
/// Image tags by variant, and the user that each says it runs as.
const VARIANTS: [(&str, &str, &str); 2] = [("default", "", ""), ("nonroot", "-nonroot", "65532:65532")];

/// A name server that refuses everything, for a container that has nothing else in it: REFUSED is what an answer from
/// it, and nothing else, looks like. It ends by itself after half an hour.
const SERVER: &str = r#"
#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>
int main(void) {
    unsigned char message[512];
    struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(5300) }, peer;
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    alarm(1800);
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (s < 0 || bind(s, (void *)&here, sizeof here)) return 1;
    if (write(1, "ready\n", 6) != 6) return 2;
    for (;;) {
        socklen_t size = sizeof peer;
        ssize_t end = recvfrom(s, message, sizeof message, 0, (void *)&peer, &size), at = 12;
        while (at < end && message[at]) at += message[at] + 1;
        at += 5;
        if (at > end) continue;
        message[2] |= 0x80;
        message[3] = 5;
        memset(message + 6, 0, 6);
        sendto(s, message, at, 0, (void *)&peer, size);
    }
}
"#;

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("dist::no_interpreter_and_no_needed_library", static_binary),
        trial("dist::carries_its_dependency_list", dependency_list),
        trial("dist::version_names_commit_and_date", version),
        trial("dist::root_file_system_stays_within_5_mib", within_the_limit),
        trial("image::recipe_names_no_crate_and_lets_little_in", recipe),
    ];
    let lab = Arc::new(Lab::default());
    for (variant, suffix, user) in VARIANTS {
        let mut add = |name: &str, body: fn(&Podman, &str, &str) -> Result<(), Stop>| {
            let lab = Arc::clone(&lab);
            trials.push(trial(&format!("image::{variant}::{name}"), move || {
                let podman = lab.podman()?;
                body(&podman, &format!("localhost/netkit:{}{suffix}", env!("CARGO_PKG_VERSION")), user)
            }));
        };
        add("runs_dig", runs_dig);
        add("runs_by_link", runs_by_link);
        add("runs_as_any_user_read_only_without_capabilities", runs_confined);
        add("runs_beside_a_container_without_a_shell", runs_beside);
        add("ss_and_ip_beside_another_user", privileges);
        if variant == "default" {
            add("who_may_do_what_as_readme_says", matrix::as_readme_says);
        }
        for (name, body) in callers::ALL {
            add(name, *body);
        }
        add("says_what_it_is", labels_and_settings);
        add("holds_what_it_should_and_nothing_else", layout);
    }
    trials
}

fn runs_dig(podman: &Podman, image: &str, _: &str) -> Result<(), Stop> {
    is_dig(&podman.run(&["run", "--rm", image, "dig", "-v"])?)?;
    let out = podman.run(&["run", "--rm", image])?;
    same("status without arguments", &status(&out), "0")?;
    contains("stdout without arguments", &text(&out.stdout), "usage: netkit APPLET")
}

fn runs_by_link(podman: &Podman, image: &str, _: &str) -> Result<(), Stop> {
    is_dig(&podman.run(&["run", "--rm", "--entrypoint", "/bin/dig", image, "-v"])?)?;
    // Found on the image's PATH.
    is_dig(&podman.run(&["run", "--rm", "--entrypoint", "dig", image, "-v"])?)
}

fn runs_confined(podman: &Podman, image: &str, _: &str) -> Result<(), Stop> {
    for user in ["0:0", "65532", "1000680000:0"] {
        for flags in [&[][..], &["--read-only"], &["--cap-drop", "ALL"], &["--read-only", "--cap-drop", "ALL"]] {
            let arguments = [&["run", "--rm", "--user", user], flags, &[image, "dig", "-v"]].concat();
            is_dig(&podman.run(&arguments)?)?;
        }
    }
    Ok(())
}

fn runs_beside(podman: &Podman, image: &str, _: &str) -> Result<(), Stop> {
    let other = podman.start_server()?;
    let beside = ["run", "--rm", "--network", &format!("container:{other}"), "--pid", &format!("container:{other}")];
    is_dig(&podman.run(&[&beside[..], &[image, "dig", "-v"]].concat())?)?;
    // Only inside that container's network is there a server that answers so.
    let query = ["dig", "@127.0.0.1", "-p", "5300", "+tries=1", "+time=10", "refused.example"];
    let out = podman.run(&[&beside[..], &[image], &query].concat())?;
    same("status of the query", &status(&out), "0")?;
    contains("answer", &text(&out.stdout), "status: REFUSED")?;
    same("removal", &status(&podman.run(&["rm", "--force", "--time", "0", &other])?), "0")
}

/// The cells of README's tables of privileges, beside a process of root in its network and pid namespaces: as the image
/// comes, and as nobody without capabilities.
fn privileges(podman: &Podman, image: &str, user: &str) -> Result<(), Stop> {
    let other = podman.start_server()?;
    let shared = format!("container:{other}");
    let beside = ["run", "--rm", "--network", &shared, "--pid", &shared];
    // Words, what stdout shows, and what stderr names where it may not.
    let cells: &[(&str, &str, &str)] = &[
        ("ss -uan", ":5300", ""),
        ("ss -uanem sport = :5300", "skmem:", ""),
        ("ss -s", "UDP", ""),
        ("ss -xan", "Netid", ""),
        ("ss --problems", "no problems found", ""),
        ("ss -uan --from-proc", ":5300", ""),
        ("ss -uan --pid 1", ":5300", ""),
        ("ss -uanp sport = :5300", "users:((\"server\",pid=1", "CAP_SYS_PTRACE"),
        ("ss -uan fwmark = 0x42 or sport = :5300", ":5300", "CAP_NET_ADMIN"),
        ("ss -K --yes -uan sport = :5300", "Recv-Q", "CAP_NET_ADMIN"),
        ("ss -uan --netns 1", ":5300", "CAP_SYS_"),
        ("ip addr", "127.0.0.1/8", ""),
        ("ip -d link", "LOOPBACK", ""),
        ("ip route show table all", "local 127.0.0.1", ""),
        ("ip rule", "lookup main", ""),
        ("ip maddr", "inet", ""),
        ("ip why 127.0.0.1", "local 127.0.0.1 dev lo", ""),
        ("ip -n 1 addr", "127.0.0.1/8", "CAP_SYS_"),
        ("ip netns identify 1", "", "CAP_SYS_PTRACE"),
        ("ip xfrm policy", "", "CAP_NET_ADMIN"),
    ];
    let nobody = ["--user", "65534", "--cap-drop", "ALL"];
    for (who, flags) in [("as it comes", &[][..]), ("nobody", &nobody[..])] {
        // Root of the default image has what podman gives by default, which is none of the capabilities asked about.
        let root = flags.is_empty() && user.is_empty();
        for (words, shown, denied) in cells {
            let explain: &[&str] = if words.starts_with("ip") { &["ip", "--explain"] } else { &["ss", "--explain"] };
            let rest: Vec<&str> = words.split(' ').skip(1).collect();
            let out = podman.run(&[&beside[..], flags, &[image], explain, &rest].concat())?;
            let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
            // The same user may look at his own processes, and root of a container is that of the other.
            let own = root && *denied == "CAP_SYS_PTRACE";
            let holds = if denied.is_empty() || own { stdout.contains(shown) } else { stderr.contains(denied) };
            if !holds {
                return Err(format!("{words}, {who}: {}\n{stdout}\nstderr: {stderr}", out.status).into());
            }
        }
    }
    same("removal", &status(&podman.run(&["rm", "--force", "--time", "0", &other])?), "0")
}

fn labels_and_settings(podman: &Podman, image: &str, user: &str) -> Result<(), Stop> {
    let out = podman.run(&["image", "inspect", image])?;
    let inspected: Value = serde_json::from_slice(&out.stdout).map_err(|error| format!("image inspect: {error}"))?;
    let config = inspected.pointer("/0/Config").ok_or("image inspect shows no Config")?;
    let setting = |pointer: &str| config.pointer(pointer).map_or(String::new(), Value::to_string);
    same("entrypoint", &setting("/Entrypoint"), r#"["/bin/netkit"]"#)?;
    same("command", &setting("/Cmd"), "")?;
    same("working directory", &setting("/WorkingDir"), r#""/""#)?;
    same("user", setting("/User").trim_matches('"'), user)?;
    contains("environment", &setting("/Env"), r#""PATH=/bin""#)?;

    let built = text(&lab::run(Command::new(lab::netkit()).arg("--version"), LIMIT)?.stdout);
    let fact = |key: &str| built.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("missing").to_owned();
    let label = |name: &str| {
        let labels = config.get("Labels").and_then(|labels| labels.get(format!("org.opencontainers.image.{name}")));
        labels.and_then(Value::as_str).unwrap_or("").to_owned()
    };
    same("title", &label("title"), "netkit")?;
    same("version", &label("version"), env!("CARGO_PKG_VERSION"))?;
    same("licenses", &label("licenses"), env!("CARGO_PKG_LICENSE"))?;
    same("description", &label("description"), env!("CARGO_PKG_DESCRIPTION"))?;
    same("source", &label("source"), env!("CARGO_PKG_REPOSITORY"))?;
    contains("documentation", &label("documentation"), env!("CARGO_PKG_REPOSITORY"))?;
    same("revision", &label("revision"), &fact("commit: "))?;
    same("day of created", label("created").split('T').next().unwrap_or(""), &fact("built: "))
}

fn layout(podman: &Podman, image: &str, _: &str) -> Result<(), Stop> {
    let mounted = podman.run(&["image", "mount", image])?;
    let tree = describe_tree(Path::new(text(&mounted.stdout).trim()))?;
    podman.run(&["image", "unmount", image])?;

    let mut wanted: BTreeSet<String> =
        ["bin/ 755", "bin/netkit 755", "etc/ 755", "etc/group 644", "etc/passwd 644", "tmp/ 1777"]
            .map(str::to_owned)
            .into();
    let install = TempDir::new("image")?;
    lab::run(Command::new(lab::netkit()).arg("install").arg(&install.0), LIMIT)?;
    for entry in fs::read_dir(&install.0)? {
        wanted.insert(format!("bin/{} -> netkit", entry?.file_name().to_string_lossy()));
    }
    same(
        "tree",
        &tree.iter().cloned().collect::<Vec<_>>().join("\n"),
        &wanted.into_iter().collect::<Vec<_>>().join("\n"),
    )
}

fn static_binary() -> Result<(), Stop> {
    let binary = released()?;
    // Read by binutils, because xtask's own reader has already agreed.
    let readelf = lab::tool("readelf", "binutils")?;
    let out = lab::run(Command::new(readelf).args(["--program-headers", "--dynamic", "--wide"]).arg(&binary), LIMIT)?;
    let shown = text(&out.stdout);
    contains("readelf", &shown, "LOAD")?;
    for unwanted in ["INTERP", "(NEEDED)"] {
        if shown.contains(unwanted) {
            return Err(format!("{} has {unwanted}:\n{shown}", binary.display()).into());
        }
    }
    Ok(())
}

fn dependency_list() -> Result<(), Stop> {
    let binary = released()?;
    let objcopy = lab::tool("objcopy", "binutils")?;
    let dir = TempDir::new("dep")?;
    let (section, copy) = (dir.0.join("section"), dir.0.join("copy"));
    let dump = format!("--dump-section=.dep-v0={}", section.display());
    let out = lab::run(Command::new(objcopy).arg(dump).arg(&binary).arg(&copy), LIMIT)?;
    same("objcopy", &text(&out.stderr), "")?;
    let json = miniz_oxide::inflate::decompress_to_vec_zlib(&fs::read(&section)?)
        .map_err(|error| format!("not zlib data: {error}"))?;
    let list: Value = serde_json::from_slice(&json).map_err(|error| format!("not JSON: {error}"))?;
    let packages = list.get("packages").and_then(Value::as_array).ok_or("no list of packages")?;

    let lock = fs::read_to_string(workspace().join("Cargo.lock"))?;
    let mut roots = 0;
    for package in packages {
        let field = |key: &str| package.get(key).and_then(Value::as_str).unwrap_or("");
        // Each is a package of Cargo.lock, in its version.
        contains("Cargo.lock", &lock, &format!("name = \"{}\"\nversion = \"{}\"\n", field("name"), field("version")))?;
        roots += u32::from(package.get("root") == Some(&Value::Bool(true)) && field("name") == "netkit");
        for index in package.get("dependencies").and_then(Value::as_array).into_iter().flatten() {
            let to = index.as_u64().and_then(|index| usize::try_from(index).ok()).and_then(|index| packages.get(index));
            to.ok_or_else(|| format!("{} depends on entry {index}, which is not there", field("name")))?;
        }
    }
    same("root packages", &roots.to_string(), "1")?;
    let names: BTreeSet<&str> = packages.iter().filter_map(|package| package.get("name")?.as_str()).collect();
    for wanted in ["netkit-core", "netkit-dig"] {
        if !names.contains(wanted) {
            return Err(format!("{wanted} is not in the list: {names:?}").into());
        }
    }
    // What only tests use is not in the binary.
    if names.contains("libtest-mimic") { Err("libtest-mimic is in the list".into()) } else { Ok(()) }
}

fn version() -> Result<(), Stop> {
    let shown = text(&lab::run(Command::new(released()?).arg("--version"), LIMIT)?.stdout);
    let facts: BTreeMap<&str, &str> = shown.lines().filter_map(|line| line.split_once(": ")).collect();
    let fact = |key: &str| facts.get(key).copied().unwrap_or("");
    let commit = fact("commit").trim_end_matches("-dirty");
    if commit.len() != 12 || !commit.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(format!("no commit in\n{shown}").into());
    }
    let digits: String = fact("built").chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    same("shape of the date", &digits, "9999-99-99")?;
    same("target", fact("target"), "x86_64-unknown-linux-musl")
}

fn within_the_limit() -> Result<(), Stop> {
    let rootfs = released()?.with_file_name("rootfs");
    // As an image layer: tar rounds each file to 512 bytes, and puts a header of 512 before it.
    let tar = lab::run(Command::new("tar").args(["--create", "--file=-", "--directory"]).arg(&rootfs).arg("."), LIMIT)?;
    let bytes = tar.stdout.len() as u64;
    same("status of tar", &status(&tar), "0")?;
    if bytes < fs::metadata(rootfs.join("bin/netkit"))?.size() {
        return Err(format!("tar wrote {bytes} bytes, less than the binary has").into());
    }
    if bytes <= ROOTFS_LIMIT { Ok(()) } else { Err(format!("{bytes} bytes, the limit is {ROOTFS_LIMIT}").into()) }
}

fn recipe() -> Result<(), Stop> {
    let recipe = fs::read_to_string(workspace().join("Containerfile"))?;
    for folder in ["src", "applets"] {
        for entry in fs::read_dir(workspace().join(folder))? {
            let name = format!("netkit-{}", entry?.file_name().to_string_lossy());
            if recipe.contains(&name) {
                return Err(format!("the Containerfile names {name}").into());
            }
        }
    }
    if recipe.contains("latest") {
        return Err("the Containerfile says `latest`".into());
    }
    let ignore = fs::read_to_string(workspace().join(".dockerignore"))?;
    let mut rules = ignore.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    same("first rule", rules.next().unwrap_or(""), "*")?;
    // After the rule that denies all, each names something that exists.
    for rule in rules {
        let path = rule.strip_prefix('!').ok_or_else(|| format!("`{rule}` lets nothing in"))?;
        if !workspace().join(path).exists() {
            return Err(format!("`{rule}` names nothing").into());
        }
    }
    Ok(())
}

/// The binary of `cargo xtask dist`, which is the one in the image.
fn released() -> Result<PathBuf, Skip> {
    let binary = lab::netkit();
    if binary.with_file_name("rootfs").is_dir() {
        return Ok(binary);
    }
    Err(Skip("the binary is not that of `cargo xtask dist` (run `cargo xtask test`)".to_owned()))
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Makes the images on first use. The last trial that holds it takes everything down, whatever happened before.
#[derive(Default)]
struct Lab(Mutex<Option<Result<Arc<Podman>, String>>>);

impl Lab {
    fn podman(&self) -> Result<Arc<Podman>, Stop> {
        // Skips are found anew by every trial, so that each is listed with its reason.
        released()?;
        let podman = lab::tool("podman", "podman")?;
        let runtime = lab::tool("runc", "runc")?;
        lab::namespaces()?;
        let mut made = self.0.lock().map_err(|_| "a trial died while it made the images")?;
        let made = made.get_or_insert_with(|| {
            Podman::new(podman, &runtime).map(Arc::new).map_err(|stop| match stop {
                Stop::Skip(Skip(reason)) | Stop::Fail(reason) => reason,
            })
        });
        made.clone().map_err(Stop::Fail)
    }
}

/// podman with storage, state and configuration of its own.
struct Podman {
    program: PathBuf,
    /// Removed after [`Podman::drop`] has ended what runs below it.
    dir: TempDir,
}

impl Podman {
    fn new(program: PathBuf, runtime: &Path) -> Result<Podman, Stop> {
        let dir = TempDir::new("podman")?;
        let at = dir.0.display();
        fs::create_dir(dir.0.join("tmp"))?;
        // vfs leaves no mounts behind; file locks keep out of the shared memory that other podmans use; the limits are
        // those a container without CAP_SYS_RESOURCE can set.
        fs::write(
            dir.0.join("containers.conf"),
            format!(
                "[containers]\nnetns = \"none\"\ncgroups = \"enabled\"\nlog_driver = \"k8s-file\"\n\
                 default_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
                 [engine]\nruntime = \"netkit-test\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\n\
                 lock_type = \"file\"\ntmp_dir = \"{at}/tmp\"\nimage_copy_tmp_dir = \"{at}/tmp\"\n\
                 [engine.runtimes]\nnetkit-test = [\"{}\"]\n",
                runtime.display()
            ),
        )?;
        fs::write(
            dir.0.join("storage.conf"),
            format!("[storage]\ndriver = \"vfs\"\ngraphroot = \"{at}/storage\"\nrunroot = \"{at}/run\"\n"),
        )?;
        let podman = Podman { program, dir };
        let built = lab::run(
            podman.environment(Command::new("cargo").args(["xtask", "image"])).current_dir(workspace()),
            BUILD_LIMIT,
        )?;
        if !built.status.success() {
            return Err(format!("cargo xtask image:\n{}{}", text(&built.stdout), text(&built.stderr)).into());
        }
        podman.build_server()?;
        Ok(podman)
    }

    /// An image with nothing in it but [`SERVER`].
    fn build_server(&self) -> Result<(), Stop> {
        let cc = lab::tool("musl-gcc", "musl-tools")?;
        let context = self.dir.0.join("server");
        fs::create_dir(&context)?;
        fs::write(context.join("server.c"), SERVER)?;
        fs::write(context.join("Containerfile"), "FROM scratch\nCOPY server /server\nENTRYPOINT [\"/server\"]\n")?;
        let compiled =
            lab::run(Command::new(cc).current_dir(&context).args(["-static", "-o", "server", "server.c"]), LIMIT)?;
        same("compiler", &text(&compiled.stderr), "")?;
        let built = self.run(&["build", "--quiet", "--tag", "localhost/server:1", &context.to_string_lossy()])?;
        if built.status.success() { Ok(()) } else { Err(text(&built.stderr).into()) }
    }

    /// Starts the server and returns its container's id once it listens.
    fn start_server(&self) -> Result<String, Stop> {
        let started = self.run(&["run", "--detach", "localhost/server:1"])?;
        let id = text(&started.stdout).trim().to_owned();
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            if text(&self.run(&["logs", &id])?.stdout) == "ready\n" {
                return Ok(id);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("the server did not start: {}", text(&started.stderr)).into())
    }

    fn run(&self, arguments: &[&str]) -> Result<Output, Stop> {
        lab::run(self.environment(Command::new(&self.program).args(arguments)), LIMIT)
    }

    fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("CONTAINERS_CONF", self.dir.0.join("containers.conf"))
            .env("CONTAINERS_STORAGE_CONF", self.dir.0.join("storage.conf"))
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.run(&["rm", "--all", "--force", "--time", "0"]);
        let _ = self.run(&["rmi", "--all", "--force"]);
    }
}

/// One line for every file: its path with mode, or with where it links to.
fn describe_tree(root: &Path) -> Result<BTreeSet<String>, Stop> {
    let mut lines = BTreeSet::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            let facts = fs::symlink_metadata(&path)?;
            let name = path.strip_prefix(root).map_err(|error| error.to_string())?.display().to_string();
            if (facts.uid(), facts.gid()) != (0, 0) {
                return Err(format!("{name} belongs to {}:{}", facts.uid(), facts.gid()).into());
            }
            let mode = facts.permissions().mode() & 0o7777;
            if facts.is_symlink() {
                lines.insert(format!("{name} -> {}", fs::read_link(&path)?.display()));
            } else if facts.is_dir() {
                lines.insert(format!("{name}/ {mode:o}"));
                waiting.push(path);
            } else {
                lines.insert(format!("{name} {mode:o}"));
            }
        }
    }
    Ok(lines)
}

fn is_dig(out: &Output) -> Result<(), Stop> {
    let said = text(&out.stderr);
    if out.status.success() && said.starts_with("DiG ") && said.lines().count() == 1 && out.stdout.is_empty() {
        return Ok(());
    }
    Err(format!("{}; stdout {:?}; stderr {said:?}", out.status, text(&out.stdout)).into())
}

fn contains(what: &str, text: &str, part: &str) -> Result<(), Stop> {
    if text.contains(part) { Ok(()) } else { Err(format!("{what} lacks {part:?}:\n{text}").into()) }
}

fn status(out: &Output) -> String {
    out.status.code().map_or_else(|| out.status.to_string(), |code| code.to_string())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
