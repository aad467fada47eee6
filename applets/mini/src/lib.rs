//! The companions of the shell: what scripts, `kubectl cp` and fingers expect beside the network tools.
//!
//! - Peers: POSIX.1-2017, and for what scripts rely on beyond it coreutils 9.1, grep 3.8, sed 4.9, findutils 4.9, tar 1.34,
//!   gzip 1.12, procps 4.0 and util-linux 2.38 as Debian 12 ships them. Options that are not offered are refused by name.
//! - Deliberate differences: order is that of bytes (no collation, no translated messages); sort, tac and `xargs -I` hold
//!   their input in memory; programs that a companion starts are netkit's own applets first, except behind `chroot` and
//!   `nsenter -m`; clocks, host names and tables of mounts are shown, never set; `tar` refuses members that leave the
//!   directory it extracts to.
//! - `test`, `[`, `printf`, `echo`, `kill` and `pwd` are the shell's builtins under their own names.
//! - Kernel interfaces: files, /proc, statfs(2), mount(2), setns(2), chroot(2).
//! - Privilege: none, except for what mount, chroot, nsenter and chown are.

mod base;
mod copy;
mod date;
mod fields;
mod fileops;
mod find;
mod find_format;
mod find_test;
mod glob;
mod grep;
mod gzip;
mod less;
mod ls;
mod meta;
mod mounts;
mod posix;
mod posix_parse;
mod ps;
mod sed;
mod sed_script;
mod sort;
mod spawn;
mod stat;
mod sums;
mod system;
mod tar;
mod tar_read;
mod tar_write;
mod text;

use netkit_core::privilege::Capability;
use netkit_core::{Applet, Ctx, Error, Exit, Flags, Group};

pub use gzip::Gunzip;
pub use tar_read::{Member, Reader};

/// Reads a sed script and says whether it is one; for the fuzzer.
pub fn is_sed_script(text: &[u8]) -> bool {
    let syntax = posix::Syntax { sed: true, ..posix::Syntax::default() };
    sed_script::parse(text, syntax).is_ok()
}

type Main = fn(&mut Ctx) -> Result<Exit, Error>;

const fn tool(
    name: &'static str,
    aliases: &'static [&'static str],
    purpose: &'static str,
    usage: &'static str,
    main: Main,
) -> Applet {
    Applet { name, aliases, purpose, usage, group: Group::Shell, flags: Flags::NONE, capability: None, main }
}

const fn privileged(applet: Applet) -> Applet {
    Applet { capability: Some(Capability::SysAdmin), ..applet }
}

/// Every companion.
pub static APPLETS: &[Applet] = &[
    tool("cat", &[], "joins files", "[-AbeEnstTuv] [FILE...]", text::cat),
    tool("ls", &["dir"], "lists directories", "[-1aAbBCdFfGghHiILlmNnopQqRrSstUuvXx] [FILE...]", ls::ls),
    tool(
        "ps",
        &[],
        "shows processes",
        "[-Aaefx] [-p PIDS] [-C NAMES] [-u USERS] [-o COLUMNS] [--sort KEYS]\naux",
        ps::ps,
    ),
    tool(
        "grep",
        &["egrep", "fgrep"],
        "finds lines",
        "[-EFGPivwxclLoqsnHhbrRazZ] [-ABCm N] [--color] [--include GLOB] [-e] PATTERN [FILE...]",
        grep::grep,
    ),
    tool("head", &[], "shows the beginning", "[-qvz] [-n [-]LINES | -c [-]BYTES] [FILE...]", text::head),
    tool(
        "tail",
        &[],
        "shows the end",
        "[-fFqvz] [-n [+]LINES | -c [+]BYTES] [--pid PID] [-s SECONDS] [FILE...]",
        text::tail,
    ),
    tool("wc", &[], "counts", "[-cLlmw] [FILE...]", text::wc),
    tool(
        "sort",
        &[],
        "sorts lines, all held in memory",
        "[-bCcdfghiMmnRrsuVz] [-k KEY] [-t CHAR] [-o FILE] [FILE...]",
        sort::sort,
    ),
    tool("uniq", &[], "joins equal lines", "[-cdDiuz] [-f FIELDS] [-s CHARS] [-w CHARS] [IN [OUT]]", sort::uniq),
    tool(
        "cut",
        &[],
        "takes columns",
        "-b LIST | -c LIST | -f LIST [-d CHAR] [-sz] [--complement] [FILE...]",
        fields::cut,
    ),
    tool("tr", &[], "replaces bytes", "[-cdst] SET1 [SET2]", fields::tr),
    tool("sed", &[], "edits streams", "[-nErsuz] [-i[SUFFIX]] [-e SCRIPT] [-f FILE] [SCRIPT] [FILE...]", sed::sed),
    tool("tac", &[], "lines from last to first", "[FILE...]", text::tac),
    tool("rev", &[], "lines read backwards", "[FILE...]", text::rev),
    tool("tee", &[], "copies stdin to files", "[-aip] [FILE...]", text::tee),
    tool("find", &[], "finds files", "[-HLP] [PATH...] [EXPRESSION]", find::find),
    tool(
        "xargs",
        &[],
        "makes commands of its input",
        "[-0rtx] [-d CHAR] [-I MARK] [-L N] [-n N] [-P N] [-s N] [COMMAND...]",
        spawn::xargs,
    ),
    tool(
        "tar",
        &[],
        "packs and unpacks archives",
        "-c|-x|-t [-f FILE] [-zvpmkOh] [-C DIR] [--strip-components N] [--exclude GLOB] [FILE...]",
        tar::tar,
    ),
    tool("gzip", &["gunzip", "zcat"], "compresses", "[-cdfklnqrtv1-9] [-S SUFFIX] [FILE...]", gzip::gzip),
    tool("sleep", &[], "waits", "SECONDS[smhd]...\ninfinity", system::sleep),
    tool(
        "timeout",
        &[],
        "ends a command in time",
        "[-v] [-k TIME] [-s SIGNAL] [--preserve-status] TIME COMMAND...",
        system::timeout,
    ),
    tool("printenv", &[], "shows the environment", "[-0] [NAME...]", system::printenv),
    tool(
        "env",
        &[],
        "runs in a changed environment",
        "[-i0] [-u NAME] [-C DIR] [NAME=VALUE...] [COMMAND...]",
        system::env,
    ),
    tool("id", &["whoami"], "who one is", "[-Ggunrz] [USER]", system::id),
    tool("hostname", &[], "the host's name", "[-sfdi]", system::hostname),
    tool("date", &[], "shows and converts dates", "[-uR] [-I[FORMAT]] [-d DATE] [-r FILE] [+FORMAT]", date::date),
    tool("stat", &[], "what is known of files", "[-Lft] [-c FORMAT] FILE...", stat::stat),
    tool("mkdir", &[], "makes directories", "[-pv] [-m MODE] DIR...", fileops::mkdir),
    tool("rmdir", &[], "removes empty directories", "[-pv] DIR...", fileops::rmdir),
    tool("rm", &[], "removes files", "[-dfiIrRv] FILE...", fileops::rm),
    tool("mv", &[], "moves files", "[-finuvT] [-t DIR] FILE... TARGET", copy::mv),
    tool("cp", &[], "copies files", "[-adfHiLlnPpRrsTuv] [-t DIR] FILE... TARGET", copy::cp),
    tool("ln", &[], "makes links", "[-fiLnPrsTv] [-t DIR] FILE... TARGET", fileops::ln),
    tool("chmod", &[], "changes permissions", "[-cfRv] MODE FILE...", fileops::chmod),
    tool("chown", &["chgrp"], "changes owners", "[-fhR] [USER][:GROUP] FILE...", fileops::chown),
    tool("touch", &[], "changes times, makes files", "[-achm] [-d DATE] [-r FILE] [-t STAMP] FILE...", fileops::touch),
    tool("readlink", &["realpath"], "where links lead", "[-femnqvz] FILE...", fileops::readlink),
    tool("basename", &["dirname"], "parts of a path", "[-az] [-s SUFFIX] NAME [SUFFIX]", fileops::basename),
    tool("mktemp", &[], "makes a temporary file", "[-dqtu] [-p DIR] [TEMPLATE]", fileops::mktemp),
    tool("watch", &[], "repeats a command", "[-cegtx] [-n SECONDS] COMMAND...", system::watch),
    tool("base64", &[], "encodes and decodes", "[-di] [-w COLUMNS] [FILE]", sums::base64),
    tool(
        "sha256sum",
        &["sha512sum", "sha1sum", "md5sum"],
        "makes and checks sums",
        "[-bctz] [--tag] [--quiet] [--status] [FILE...]",
        sums::sum,
    ),
    tool(
        "xxd",
        &[],
        "bytes in hexadecimal and back",
        "[-abeiprtu] [-c N] [-g N] [-l N] [-s N] [FILE [OUT]]",
        sums::xxd,
    ),
    tool("less", &["more"], "shows a text page by page", "[FILE...]", less::less),
    tool("kill", &[], "sends signals", "[-s SIGNAL | -SIGNAL] PID...\n-l", spawn::builtin),
    tool(
        "pgrep",
        &["pkill"],
        "finds processes by name",
        "[-acfilnovx] [-P PIDS] [-u USERS] [-SIGNAL] PATTERN",
        ps::pgrep,
    ),
    privileged(tool("chroot", &[], "runs in another root", "[--userspec USER:GROUP] DIR [COMMAND...]", mounts::chroot)),
    privileged(tool(
        "nsenter",
        &[],
        "runs in namespaces of others",
        "[-t PID] [-a] [-m -u -i -n -p -C -U -T] [-r] [-w] [-S UID] [-G GID] [COMMAND...]",
        mounts::nsenter,
    )),
    privileged(tool(
        "mount",
        &[],
        "shows and makes mounts",
        "[-t TYPE] [-o OPTIONS] [--bind] [SOURCE TARGET]",
        mounts::mount,
    )),
    privileged(tool("umount", &[], "ends mounts", "[-flR] TARGET...", mounts::umount)),
    tool("df", &[], "free space of file systems", "[-ahHiklmPT] [-t TYPE] [-x TYPE] [FILE...]", mounts::df),
    tool("du", &[], "space that files take", "[-abcDhHklLmPsSx0] [-d DEPTH] [--exclude GLOB] [FILE...]", mounts::du),
    tool("uname", &[], "the kernel's name", "[-asnrvmpio]", system::uname),
    tool("which", &[], "where a command is", "[-as] NAME...", system::which),
    tool("yes", &[], "says so for ever", "[WORD...]", system::yes),
    tool("seq", &[], "counts up or down", "[-w] [-f FORMAT] [-s SEPARATOR] [FIRST [STEP]] LAST", system::seq),
    tool("test", &["["], "checks a condition", "EXPRESSION", spawn::builtin),
    tool("printf", &[], "prints by a format", "FORMAT [ARGUMENT...]", spawn::builtin),
    tool("echo", &[], "prints its arguments", "[-n] [WORD...]", spawn::builtin),
    tool("pwd", &[], "the working directory", "[-LP]", spawn::builtin),
    tool("true", &["false"], "succeeds or fails", "", system::truth),
    tool("pause", &[], "waits for a signal, reaping children", "", system::wait_forever),
    tool("clear", &[], "clears the screen", "[-x]", system::clear),
    tool("tty", &[], "the terminal's name", "[-s]", system::tty),
    tool("nproc", &[], "how many processors", "[--all] [--ignore N]", system::nproc),
    tool("uptime", &[], "how long the system runs", "[-ps]", system::uptime),
    tool("free", &[], "memory in use", "[-bkmghtw]", system::free),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_stands_twice() {
        let mut names: Vec<&str> = APPLETS
            .iter()
            .flat_map(|applet| std::iter::once(applet.name).chain(applet.aliases.iter().copied()))
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
