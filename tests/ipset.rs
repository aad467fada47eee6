//! ipset against Debian's ipset: sets of every type that the kernel has, listed, saved and tested by both.
//!
//! Timeouts are 0 (for ever), so that no second makes a difference between two runs.

use std::process::Command;
use std::time::Duration;

use libtest_mimic::Trial;

use crate::lab::{self, Stop, tool, trial};

const LIMIT: Duration = Duration::from_secs(300);
/// Sets and elements, one command a line.
const SETS: &str = include_str!("iptables/sets");
/// Command lines; what they print on both outputs and their status are compared.
const LINES: &str = include_str!("iptables/sets.lines");

pub fn trials() -> Vec<Trial> {
    vec![
        trial("ipset::lists_saves_and_tests", compare),
        trial("ipset::large_sets", large),
        trial("ipset::verbs_are_refused", refused),
        trial("ipset::without_capability", unprivileged),
    ]
}

/// Runs a script in a new network namespace; `$1` is netkit, `$2` the sets and `$3` the command lines.
fn scripted(script: &str) -> Result<String, Stop> {
    lab::namespaces()?;
    tool("ipset", "ipset")?;
    let mut command = Command::new("unshare");
    command.args(["--net", "--", "bash", "-uc", script, "bash"]).arg(lab::netkit()).args([SETS, LINES]);
    let output = lab::run(&mut command, LIMIT)?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Stop::Fail(format!("the script failed: {text}")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Every line by both; the peer's version and its second line of help are left out.
const COMPARE: &str = r#"
    strip() { sed -e 's/^ipset v[0-9.]*: /ipset: /' -e '/^Try `ipset help/d'; }
    both() {
        theirs=$(ipset "$@" 2>&1 | strip; echo "status ${PIPESTATUS[0]}")
        ours=$("$netkit" ipset "$@" 2>&1 | strip; echo "status ${PIPESTATUS[0]}")
        count=$((count + 1))
        [ "$theirs" = "$ours" ] && return
        printf 'ipset %s\n--- theirs\n%s\n--- ours\n%s\n' "$*" "$theirs" "$ours"
    }
    netkit=$1 count=0
"#;

fn compare() -> Result<(), Stop> {
    let script = format!(
        "{COMPARE}
        while read -r line; do [ -z \"$line\" ] || eval \"ipset $line\" || exit 1; done <<< \"$2\"
        while read -r line; do [ -z \"$line\" ] || eval \"both $line\"; done <<< \"$3\"
        echo \"compared $count\""
    );
    let text = scripted(&script)?;
    let wanted = format!("compared {}\n", LINES.lines().count());
    if text == wanted { Ok(()) } else { Err(Stop::Fail(text)) }
}

fn large() -> Result<(), Stop> {
    let script = format!(
        "{COMPARE}
        ipset create many hash:ip maxelem 100000 counters; ipset create nets hash:net
        for i in {{0..3000}}; do echo \"add many 10.$((i / 65536)).$((i / 256 % 256)).$((i % 256))\"; done | ipset restore
        for i in {{0..999}}; do echo \"add nets 10.$((i / 250)).$((i % 250)).0/24\"; done | ipset restore
        for line in list save 'list -o xml' 'list -t' 'list -n' 'list -s' 'list many' 'save nets'; do both $line; done
        echo \"compared $count\""
    );
    let text = scripted(&script)?;
    if text == "compared 8\n" {
        return Ok(());
    }
    Err(Stop::Fail(text.chars().take(4000).collect()))
}

fn refused() -> Result<(), Stop> {
    for line in [
        "create x hash:ip",
        "add x 1.2.3.4",
        "del x 1.2.3.4",
        "destroy",
        "flush x",
        "rename x y",
        "swap x y",
        "restore",
        "-N x hash:ip",
        "-X",
        "--flush",
        "list -f out",
        "list -r",
    ] {
        let mut command = Command::new(lab::netkit());
        command.arg("ipset").args(line.split_whitespace());
        let output = lab::run(&mut command, LIMIT)?;
        let text = String::from_utf8_lossy(&output.stderr);
        if output.status.code() != Some(2) || !text.contains("this program") {
            return Err(Stop::Fail(format!("{line}: status {:?}, {text}", output.status.code())));
        }
    }
    Ok(())
}

/// Without CAP_NET_ADMIN the line says what is missing and which profile grants it.
fn unprivileged() -> Result<(), Stop> {
    lab::namespaces()?;
    tool("setpriv", "util-linux")?;
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]);
    command.arg(lab::netkit()).args(["ipset", "list"]);
    let output = lab::run(&mut command, LIMIT)?;
    let text = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(1) && text.contains("CAP_NET_ADMIN") && text.contains("--profile=netadmin") {
        return Ok(());
    }
    Err(Stop::Fail(format!("status {:?}: {text}", output.status.code())))
}
