//! What the binary's file capabilities give an applet that an ordinary user runs, and when it gives them up again.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use libtest_mimic::Trial;
use rustix::fs::XattrFlags;

use crate::lab::tls::Running;
use crate::lab::{Skip, Stop, TempDir, binary_for_everybody, tool, trial};

/// `struct vfs_cap_data` of revision 2 (linux/capability.h): CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_PTRACE permitted,
/// nothing inheritable, not effective.
const GRANT: [u8; 20] = [0, 0, 0, 2, 0, 0x30, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// The bit of CAP_SYS_PTRACE.
const SYS_PTRACE: u64 = 1 << 19;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("file_capabilities::ping_gives_them_up", || {
            held(&["ping", "-i", "0.2", "-c", "50", "127.0.0.1"], Says::Out, 0)
        }),
        trial("file_capabilities::tcpdump_keeps_what_names_programs", || {
            held(&["tcpdump-lite", "-n", "-i", "lo", "port", "9"], Says::Err, SYS_PTRACE)
        }),
    ]
}

/// Where an applet says that it is at work.
enum Says {
    Out,
    Err,
}

/// Runs an applet as a user without rights from a binary that grants some, and reads what it holds once it is at work.
fn held(arguments: &[&str], says: Says, expected: u64) -> Result<(), Stop> {
    let setpriv = tool("setpriv", "util-linux")?;
    let dir = TempDir::new("file-capabilities")?;
    let binary = binary_for_everybody(&dir.0)?;
    match rustix::fs::setxattr(&binary, "security.capability", &GRANT, XattrFlags::empty()) {
        Err(rustix::io::Errno::PERM | rustix::io::Errno::NOTSUP) => {
            return Err(Skip("file capabilities cannot be set here".to_owned()).into());
        }
        other => other.map_err(std::io::Error::from)?,
    }
    let mut command = Command::new(setpriv);
    command.args(["--reuid=65532", "--regid=65532", "--clear-groups"]).arg(binary).args(arguments);
    let mut child = Running(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?);
    let stdout = child.0.stdout.take().ok_or("no stdout")?;
    let stderr = child.0.stderr.take().ok_or("no stderr")?;
    let talk: Box<dyn Read> = match says {
        Says::Out => Box::new(stdout),
        Says::Err => Box::new(stderr),
    };
    let mut first = String::new();
    BufReader::new(talk).read_line(&mut first)?;
    let status = fs::read_to_string(format!("/proc/{}/status", child.0.id()))?;
    let set = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
    };
    let uid = status.lines().any(|line| line.starts_with("Uid:\t65532\t65532"));
    if uid && [set("CapPrm:"), set("CapEff:")] == [Some(expected); 2] {
        return Ok(());
    }
    Err(format!("{arguments:?} said {first:?} and holds:\n{status}").into())
}
