//! Applets whose code the image keeps compressed: how it comes to its place, also where the kernel allows little.

use std::process::{Command, Output};
use std::time::Duration;

use libtest_mimic::Trial;

use crate::lab::{Stop, netkit, run, tool, trial};

const LIMIT: Duration = Duration::from_secs(30);

/// prctl(2) is number 157 on x86-64; 65 is PR_SET_MDWE, 1 refuses execution of memory that was not executable at first.
const MDWE: &str = "syscall(157, 65, 1, 0, 0, 0) == 0 or die \"prctl: $!\"; exec @ARGV or die \"exec: $!\"";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("packed::code_is_put_in_place", in_place),
        trial("packed::where_memory_may_not_become_executable", refused_to_memory),
        trial("packed::without_address_space", no_room),
    ]
}

/// Whether the binary under test has packed applets; what cargo builds has none.
fn packs() -> Result<bool, Stop> {
    let bytes = std::fs::read(netkit())?;
    Ok(bytes.windows(15).any(|window| window == b".netkit.packed\0"))
}

/// The lines of /proc/self/maps as `cat`, which is packed, sees them, and of these the ones of packed code.
fn code(output: &Output) -> Result<Vec<String>, Stop> {
    if !output.status.success() {
        return Err(format!("{:?}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into());
    }
    let maps = String::from_utf8_lossy(&output.stdout);
    // One mapping is writable and executable: never.
    if let Some(line) = maps.lines().find(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rwx"))) {
        return Err(format!("writable and executable: {line}").into());
    }
    let executable = maps.lines().filter(|line| line.contains(" r-xp "));
    let own = netkit().to_string_lossy().into_owned();
    Ok(executable.filter(|line| !line.ends_with(&own) && !line.contains("[vdso]")).map(str::to_owned).collect())
}

fn one_line(lines: &[String], end: &str) -> Result<(), Stop> {
    let expected = usize::from(packs()?);
    if lines.len() == expected && lines.iter().all(|line| line.trim_end().ends_with(end)) {
        return Ok(());
    }
    Err(format!("{expected} mapping that ends in `{end}` expected: {lines:?}").into())
}

fn in_place() -> Result<(), Stop> {
    let output = run(Command::new(netkit()).args(["cat", "/proc/self/maps"]), LIMIT)?;
    one_line(&code(&output)?, " 0")?;
    // Not packed, and nothing is put anywhere.
    let output =
        run(Command::new(netkit()).args(["jq", "-Rn", "[inputs]|join(\"\\n\")", "-r", "/proc/self/maps"]), LIMIT)?;
    match code(&output)?.as_slice() {
        [] => Ok(()),
        more => Err(format!("jq has code elsewhere: {more:?}").into()),
    }
}

fn refused_to_memory() -> Result<(), Stop> {
    let perl = tool("perl", "perl-base")?;
    let mut command = Command::new(perl);
    let output = run(command.args(["-e", MDWE, "--"]).arg(netkit()).args(["cat", "/proc/self/maps"]), LIMIT)?;
    one_line(&code(&output)?, "/memfd:netkit (deleted)")
}

/// With too little address space for its code an applet says so; others run.
fn no_room() -> Result<(), Stop> {
    let prlimit = tool("prlimit", "util-linux")?;
    let bytes = std::fs::metadata(netkit())?.len();
    if !packs()? {
        // An ordinary build needs as much for every applet.
        return Ok(());
    }
    // As little as an applet that is not packed runs with: there is no room for the code of one that is.
    for more in (0..64).map(|step| bytes + step * 128 * 1024) {
        let limited = |applet: &[&str]| {
            let mut command = Command::new(&prlimit);
            run(command.arg(format!("--as={more}")).arg(netkit()).args(applet), LIMIT)
        };
        if limited(&["jq", "-n", "1"])?.stdout != b"1\n" {
            continue;
        }
        let output = limited(&["cat", "/dev/null"])?;
        let said = String::from_utf8_lossy(&output.stderr);
        let expected = "cat: cannot put its code in place: Out of memory (os error 12)\n";
        if output.status.code() == Some(126) && said == expected {
            return Ok(());
        }
        return Err(format!("with {more} bytes: {:?}, {said:?}", output.status).into());
    }
    Err("jq runs with none of these limits".into())
}
