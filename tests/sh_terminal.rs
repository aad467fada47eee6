//! The shell in the hands of a person: sessions through a pseudo-terminal. Editing, completion, history, resizing,
//! Ctrl-C, Ctrl-Z and Ctrl-D, jobs, prompts, terminals that can nothing.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use libtest_mimic::Trial;

use crate::lab::terminal::{Terminal, screen};
use crate::lab::{self, Stop, TempDir, same, trial};

const ROWS: u16 = 24;
const COLUMNS: u16 = 60;
/// The prompt of every session here: nothing that a command prints.
const PROMPT: &str = "ready> ";
const LIMIT: Duration = Duration::from_secs(120);

const LEFT: &str = "\x1b[D";
const RIGHT: &str = "\x1b[C";
const UP: &str = "\x1b[A";
const DOWN: &str = "\x1b[B";
const HOME: &str = "\x1b[H";
const END: &str = "\x1b[F";
const DELETE: &str = "\x1b[3~";
const CTRL_LEFT: &str = "\x1b[1;5D";
const CTRL_RIGHT: &str = "\x1b[1;5C";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("sh_terminal::editing", editing),
        trial("sh_terminal::completion", completion),
        trial("sh_terminal::history", history),
        trial("sh_terminal::history_is_kept_where_home_can_be_written", history_is_kept),
        trial("sh_terminal::the_line_is_drawn_right_at_every_width", drawing),
        trial("sh_terminal::a_change_of_size_draws_the_prompt_again", resizing),
        trial("sh_terminal::interrupts", interrupts),
        trial("sh_terminal::jobs", jobs),
        trial("sh_terminal::ends", ends),
        trial("sh_terminal::commands_of_several_lines", several_lines),
        trial("sh_terminal::what_is_typed_ahead_is_not_lost", typed_ahead),
        trial("sh_terminal::commands_get_the_terminal_as_it_was", the_terminal_of_commands),
        trial("sh_terminal::terminals_that_can_nothing", dumb),
        trial("sh_terminal::netkit_without_arguments", without_arguments),
        trial("sh_terminal::signals_from_elsewhere", signals_from_elsewhere),
        trial("sh_terminal::prompts", prompts),
    ]
}

struct Session {
    terminal: Terminal,
    dir: TempDir,
}

impl Session {
    fn new() -> Result<Session, Stop> {
        Session::with(&[], &["sh"])
    }

    /// In an empty folder, which is HOME too. What is in `environment` comes over the usual variables.
    fn with(environment: &[(&str, Option<&str>)], arguments: &[&str]) -> Result<Session, Stop> {
        let dir = TempDir::new("terminal")?;
        Session::within(dir, environment, arguments)
    }

    fn within(dir: TempDir, environment: &[(&str, Option<&str>)], arguments: &[&str]) -> Result<Session, Stop> {
        let mut command = Command::new(lab::netkit());
        command.args(arguments).current_dir(&dir.0);
        command.env("PATH", "/usr/bin:/bin").env("TERM", "xterm").env("HOME", &dir.0).env("PS1", PROMPT);
        for (name, value) in environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut terminal = Terminal::start(&command, ROWS, COLUMNS)?;
        if environment.iter().all(|(name, _)| *name != "PS1") {
            terminal.expect(PROMPT)?;
        }
        Ok(Session { terminal, dir })
    }

    /// Types keys and Enter, and checks what the command prints before the next prompt.
    fn prints(&mut self, keys: &str, wanted: &str) -> Result<(), Stop> {
        self.terminal.send(keys)?;
        self.terminal.send("\r")?;
        // The end of the line that was typed, drawn once more.
        self.terminal.expect("\r\n")?;
        let seen = self.terminal.expect(PROMPT)?;
        let seen = seen.strip_suffix(PROMPT).unwrap_or(&seen);
        let seen = seen.replace("\r\x1b[J", "");
        same(&format!("printed by {keys:?}"), &seen.replace("\r\n", "\n"), wanted)
    }

    fn exit(&mut self) -> Result<(), Stop> {
        self.terminal.send("exit 7\r")?;
        self.terminal.ends_with(7)
    }
}

fn editing() -> Result<(), Stop> {
    let mut session = Session::new()?;
    for (keys, wanted) in [
        ("echo one".to_owned(), "one\n"),
        (format!("echo ac{LEFT}b"), "abc\n"),
        (format!("echo ab{LEFT}{LEFT}{RIGHT}x"), "axb\n"),
        ("echo abx\x7fc".to_owned(), "abc\n"),
        ("echo abx\x08c".to_owned(), "abc\n"),
        (format!("echo xabc{LEFT}{LEFT}{LEFT}{LEFT}{DELETE}"), "abc\n"),
        (format!("cho two{HOME}e"), "two\n"),
        (format!("cho two{HOME}e{END}s"), "twos\n"),
        ("cho two\x01e\x05s".to_owned(), "twos\n"),
        ("echo a b c\x17\x17d".to_owned(), "a d\n"),
        ("rubbish\x15echo clean".to_owned(), "clean\n"),
        (format!("echo keep drop{CTRL_LEFT}\x0b"), "keep\n"),
        (format!("echo keep drop{CTRL_LEFT}\x0b\x19\x19"), "keep dropdrop\n"),
        (format!("echo a-b-c{CTRL_LEFT}{CTRL_LEFT}x{CTRL_RIGHT}y"), "a-xby-c\n"),
        ("echo one two\x1bb\x1bbx\x1bfy".to_owned(), "xoney two\n"),
        ("echo one two\x1b\x7fthree".to_owned(), "one three\n"),
        ("echo ab\x02\x02x\x06y".to_owned(), "xayb\n"),
        (format!("echo ä€𝄞{LEFT}\x7fü"), "äü𝄞\n"),
        (format!("echo abc{LEFT}{LEFT}\x04"), "ac\n"),
        // Keys that mean nothing here leave the line alone.
        ("echo a\x1b[15~\x1b[200;1Rb\x07".to_owned(), "ab\n"),
        (format!("{LEFT}{LEFT}\x7f{DELETE}{RIGHT}{DOWN}echo edge"), "edge\n"),
    ] {
        session.prints(&keys, wanted)?;
    }
    session.exit()
}

fn completion() -> Result<(), Stop> {
    let mut session = Session::new()?;
    for folder in ["deep/er", "many"] {
        fs::create_dir_all(session.dir.0.join(folder))?;
    }
    for file in ["deep/er/file.txt", "many/alpha1", "many/alpha2", "many/beta", ".hidden"] {
        fs::write(session.dir.0.join(file), "content\n")?;
    }
    for (keys, wanted) in [
        // A file through two folders; a name that is complete gets a blank, a folder its slash.
        ("echo de\ter\tf\t¦", "deep/er/file.txt |\n"),
        // As far as it is common.
        ("echo many/al\t¦", "many/alpha|\n"),
        ("echo .hid\t¦", ".hidden |\n"),
        // Nothing to offer changes nothing.
        ("echo nothing-like-it\t¦", "nothing-like-it|\n"),
        // Names of tools, of flags, of hosts, of builtins, of functions.
        ("echo rest\x01\x0bjq-l\t-n 1+1 | cat", "2\n"),
        ("echo $(jq-li\t-n 2)", "2\n"),
        ("greeting() { echo hello $1; }", ""),
        ("greeti\tyou", "hello you\n"),
        ("true; ech\tafter", "after\n"),
        ("netkit jq --raw-out\t -n '\"x\"' | cat", "x\n"),
    ] {
        let keys = keys.replace('¦', "'|'");
        session.prints(&keys, wanted)?;
    }
    // Two Tabs show what there is, and the line is there again.
    session.terminal.send("echo many/\t\t")?;
    let seen = session.terminal.expect("many/beta")?;
    for name in ["many/alpha1", "many/alpha2"] {
        if !seen.contains(name) {
            return Err(format!("{name} is not offered: {seen:?}").into());
        }
    }
    session.terminal.expect(&format!("{PROMPT}echo many/"))?;
    session.prints("b\t", "many/beta\n")?;
    // localhost is in every hosts file.
    session.terminal.send("dig localho\t")?;
    session.terminal.expect("st")?;
    session.terminal.send("\x03")?;
    session.terminal.expect(PROMPT)?;
    session.exit()
}

fn history() -> Result<(), Stop> {
    let mut session = Session::new()?;
    for word in ["one", "two", "three"] {
        session.prints(&format!("echo {word}"), &format!("{word}\n"))?;
    }
    for (keys, wanted) in [
        (UP.to_owned(), "three\n"),
        (format!("{UP}{UP}"), "two\n"),
        (format!("{UP}{UP}{UP}{DOWN}{DOWN}"), "two\n"),
        ("\x10\x10\x0e!".to_owned(), "two!\n"),
        // What was being typed is there again at the end.
        (format!("echo mine{UP}{UP}{DOWN}{DOWN}"), "mine\n"),
        // Looking backwards, further, and with editing.
        ("\x12thr\r".to_owned(), "three\n"),
        ("\x12echo t\x12\x12\x05X\r".to_owned(), "twoX\n"),
        // Given up: the line is empty.
        ("\x12one\x07echo empty\r".to_owned(), "empty\n"),
    ] {
        let keys = keys.strip_suffix('\r').unwrap_or(&keys).to_owned();
        session.prints(&keys, wanted).map_err(|stop| match stop {
            Stop::Fail(text) => Stop::Fail(format!("{keys:?}: {text}")),
            other => other,
        })?;
    }
    session.exit()
}

fn history_is_kept() -> Result<(), Stop> {
    let mut session = Session::new()?;
    session.prints("echo kept", "kept\n")?;
    session.exit()?;
    let file = session.dir.0.join(".netkit_history");
    same("file", &fs::read_to_string(&file)?, "echo kept\nexit 7\n")?;
    let mut again = Session::within(session.dir, &[], &["sh"])?;
    again.prints(&format!("{UP}{UP}"), "kept\n")?;
    again.terminal.send("\x04")?;
    again.terminal.ends_with(0)?;
    same("file after the second", &fs::read_to_string(&file)?, "echo kept\nexit 7\necho kept\n")?;
    // Nowhere to write is no reason to say anything.
    let mut nowhere = Session::with(&[("HOME", Some("/nonexistent/home"))], &["sh"])?;
    nowhere.prints("echo x", "x\n")?;
    nowhere.exit()
}

/// Lines of every length around the width, edited in the middle, as the screen shows them.
fn drawing() -> Result<(), Stop> {
    for length in [10, 51, 52, 53, 54, 55, 112, 113, 114, 130] {
        let mut session = Session::new()?;
        let line: String = "abcdefghij".chars().cycle().take(length).collect();
        session.terminal.send(&format!(": {line}"))?;
        session.terminal.send(&format!("{HOME}#{END}!"))?;
        // Drawn completely once the mark behind it is there.
        session.terminal.expect("!")?;
        let shown = screen(&session.terminal.all(), usize::from(COLUMNS))?;
        let wanted = format!("{PROMPT}#: {line}!");
        same(&format!("{length} characters"), &shown.concat(), &wanted)?;
        let rows = wanted.len().div_ceil(usize::from(COLUMNS));
        let used = shown.iter().filter(|row| !row.is_empty()).count();
        same(&format!("rows of {length} characters"), &used.to_string(), &rows.to_string())?;
        session.terminal.send("\r")?;
        session.terminal.expect(PROMPT)?;
        session.exit()?;
    }
    Ok(())
}

fn resizing() -> Result<(), Stop> {
    let mut session = Session::new()?;
    session.terminal.send("echo typed")?;
    session.terminal.expect("typed")?;
    // Somebody attached: the prompt and what was typed are drawn again.
    for (rows, columns) in [(30, 100), (30, 20), (24, 60)] {
        session.terminal.resize(rows, columns)?;
        session.terminal.expect(&format!("{PROMPT}echo typed"))?;
    }
    session.prints("", "typed\n")?;
    // A command sees the new size.
    session.terminal.resize(33, 77)?;
    session.terminal.expect(PROMPT)?;
    session.prints("stty size", "33 77\n")?;
    session.exit()
}

fn interrupts() -> Result<(), Stop> {
    let mut session = Session::new()?;
    // The line is given up, and the shell lives.
    session.terminal.send("echo never\x03")?;
    session.terminal.expect("^C")?;
    session.terminal.expect(PROMPT)?;
    session.prints("echo $?", "130\n")?;
    // In each place where a command can be: alone, in a pipeline, in a loop, in a substitution, in a subshell, waiting.
    let own = session.terminal.pid();
    // How many programs run in the process group that gets the terminal; none where the shell itself keeps it. One that has
    // not been started yet when the interrupt comes is not ended by it.
    for (command, handed) in [
        ("echo go; sleep 600", Some(1)),
        ("echo go; sleep 600 | cat", Some(2)),
        ("sleep 600 | (echo go >&2; cat)", Some(2)),
        ("echo go; while :; do sleep 600; done", Some(1)),
        ("echo go; while :; do :; done", None),
        ("(echo go; sleep 600; echo never)", Some(1)),
        ("(echo go; while :; do :; done)", Some(0)),
        ("echo go; read x", None),
        ("sleep 600 & echo go; wait", None),
        ("f() { echo go; sleep 600; }; f", Some(1)),
    ] {
        session.terminal.command(command, "go").map_err(|stop| said(command, stop))?;
        if let Some(programs) = handed {
            lab_wait("the job has the terminal", || has_terminal(own, programs)).map_err(|stop| said(command, stop))?;
        }
        session.terminal.send("\x03")?;
        session.terminal.expect(PROMPT).map_err(|stop| said(command, stop))?;
        session.prints("echo $?", "130\n").map_err(|stop| said(command, stop))?;
    }
    session.terminal.send("kill %1; wait\r")?;
    session.terminal.expect("\r\n")?;
    session.terminal.expect(PROMPT)?;
    // A trap takes it.
    session.terminal.send("trap 'echo caught' INT\r")?;
    session.terminal.expect("\r\n")?;
    session.terminal.expect(PROMPT)?;
    session.terminal.command("echo go; while :; do sleep 0.05; done", "go")?;
    session.terminal.send("\x03")?;
    session.terminal.expect("caught")?;
    // The shell is at its end with this one: its loop goes on.
    drop(session);
    Ok(())
}

fn said(command: &str, stop: Stop) -> Stop {
    match stop {
        Stop::Fail(text) => Stop::Fail(format!("{command}: {text}")),
        other => other,
    }
}

fn jobs() -> Result<(), Stop> {
    let mut session = Session::new()?;
    // Ctrl-Z stops all of a pipeline, fg goes on with it.
    session.terminal.command("sleep 600 | cat", "")?;
    stops(&mut session, 2)?;
    session.prints("jobs", "[1] + Stopped                    sleep 600 | cat\n")?;
    session.terminal.command("bg", PROMPT)?;
    let shown = session.terminal.command("jobs", PROMPT)?;
    if !shown.contains("Running") {
        return Err(format!("after bg: {shown:?}").into());
    }
    session.terminal.command("fg", "sleep 600 | cat")?;
    session.terminal.send("\x03")?;
    session.terminal.expect(PROMPT)?;
    session.prints("jobs; echo none", "none\n")?;
    // In the background from the start, and what it says when it ends.
    session.terminal.command("sleep 600 &", PROMPT)?;
    session.terminal.command("kill %1", PROMPT)?;
    session.terminal.command("wait", PROMPT)?;
    // Two jobs; the newest is the current one.
    session.terminal.command("sleep 601 & sleep 602 &", PROMPT)?;
    let shown = session.terminal.command("jobs", PROMPT)?;
    let marks: Vec<&str> = shown.lines().filter(|line| line.contains("Running")).collect();
    if marks.len() != 2 || !shown.contains("] - Running") || !shown.contains("] + Running") {
        return Err(format!("two jobs: {shown:?}").into());
    }
    session.terminal.command("kill %1 %2", PROMPT)?;
    session.terminal.command("wait", PROMPT)?;
    session.exit()
}

/// Ctrl-Z once so many programs of the job have the terminal.
fn stops(session: &mut Session, programs: usize) -> Result<(), Stop> {
    let own = session.terminal.pid();
    lab_wait("the job has the terminal", || has_terminal(own, programs))?;
    session.terminal.send("\x1a")?;
    session.terminal.expect("Stopped")?;
    session.terminal.expect(PROMPT).map(drop)
}

/// Name, process group and foreground group of the terminal of a process (proc_pid_stat(5)).
fn groups(pid: &str) -> Option<(String, u32, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some((name.to_owned(), fields.get(2)?.parse().ok()?, fields.get(5)?.parse().ok()?))
}

/// Whether another group than the shell's own has its terminal, and at least so many processes of it are a `sleep` or a `cat`
/// by now: a copy of the shell becomes one a moment after it has joined.
fn has_terminal(shell: u32, programs: usize) -> bool {
    let Some((_, _, foreground)) = groups(&shell.to_string()).filter(|(_, _, foreground)| *foreground != shell) else {
        return false;
    };
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let running = all.filter_map(|entry| groups(entry.file_name().to_str()?));
    let started = running.filter(|(name, group, _)| *group == foreground && ["sleep", "cat"].contains(&name.as_str()));
    started.count() >= programs
}

fn lab_wait(what: &str, holds: impl Fn() -> bool) -> Result<(), Stop> {
    let until = std::time::Instant::now() + LIMIT;
    while !holds() {
        if std::time::Instant::now() > until {
            return Err(format!("never came true: {what}").into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn ends() -> Result<(), Stop> {
    for (keys, status) in [("\x04", 0), ("false\r\x04", 1), ("exit\r", 0), ("exit 9\r", 9), ("(exit 4)\rexit\r", 4)] {
        let mut session = Session::new()?;
        session.terminal.send(keys)?;
        session.terminal.ends_with(status)?;
    }
    // Ctrl-D with a stopped job warns once.
    let mut session = Session::new()?;
    session.terminal.command("sleep 600", "")?;
    stops(&mut session, 1)?;
    session.terminal.send("\x04")?;
    session.terminal.expect("You have stopped jobs.")?;
    session.terminal.expect(PROMPT)?;
    session.terminal.send("\x04")?;
    session.terminal.ends()?;
    // An EXIT trap runs.
    let mut session = Session::new()?;
    session.terminal.command("trap 'echo bye' EXIT", PROMPT)?;
    session.terminal.send("\x04")?;
    session.terminal.expect("bye")?;
    session.terminal.ends_with(0)
}

fn several_lines() -> Result<(), Stop> {
    let mut session = Session::with(&[("PS2", Some("more> "))], &["sh"])?;
    let mut lines = |lines: &[&str], wanted: &str| -> Result<(), Stop> {
        for line in lines.iter().take(lines.len() - 1) {
            session.terminal.send(line)?;
            session.terminal.send("\r")?;
            session.terminal.expect("\r\n")?;
            session.terminal.expect("more> ")?;
        }
        session.prints(lines.last().copied().unwrap_or_default(), wanted)
    };
    lines(&["for i in 1 2", "do echo $i", "done"], "1\n2\n")?;
    lines(&["cat <<END", "one $((1+1))", "END"], "one 2\n")?;
    lines(&["echo 'a", "b'"], "a\nb\n")?;
    lines(&["echo a \\", "b"], "a b\n")?;
    lines(&["if true; then", "echo yes", "fi"], "yes\n")?;
    lines(&["f() {", "echo in f", "}"], "")?;
    lines(&["true &&", "f"], "in f\n")?;
    // Given up in the middle.
    session.terminal.send("while true\r")?;
    session.terminal.expect("\r\n")?;
    session.terminal.expect("more> ")?;
    session.terminal.send("\x03")?;
    session.terminal.expect(PROMPT)?;
    session.prints("echo alive", "alive\n")?;
    // An error of syntax leaves the shell where it is.
    session.terminal.command("echo )", "yntax error")?;
    session.terminal.expect(PROMPT)?;
    session.prints("echo alive", "alive\n")?;
    session.exit()
}

fn typed_ahead() -> Result<(), Stop> {
    let mut session = Session::new()?;
    session.terminal.send("echo first\recho second\rexit 3\r")?;
    session.terminal.expect("first\r\n")?;
    session.terminal.expect("second\r\n")?;
    session.terminal.ends_with(3)?;
    // A long line, pasted: what is drawn stays in proportion to it.
    let mut session = Session::new()?;
    let line = "x".repeat(20_000);
    session.terminal.send(&format!("echo {line} | wc -c\r"))?;
    session.terminal.expect("20001")?;
    session.terminal.expect(PROMPT)?;
    let drawn = session.terminal.all().len();
    // Each of 333 rows draws the line once more at its end.
    if drawn > 333 * 22_000 {
        return Err(format!("{drawn} bytes were drawn for a line of 20,000").into());
    }
    session.exit()
}

fn the_terminal_of_commands() -> Result<(), Stop> {
    let mut session = Session::new()?;
    // Echo, lines and signals as they were before the prompt.
    let shown = session.terminal.command("stty -a", PROMPT)?;
    for setting in ["icanon", "echo", "isig", "icrnl"] {
        if !shown.split_whitespace().any(|word| word == setting) {
            return Err(format!("{setting} is off: {shown}").into());
        }
    }
    // A command reads lines, and Ctrl-D ends its input, not the shell.
    session.terminal.send("cat\r")?;
    session.terminal.expect("\r\n")?;
    session.terminal.send("line\r\x04")?;
    session.terminal.expect("line\r\nline\r\n")?;
    session.terminal.expect(PROMPT)?;
    session.terminal.send("read x; echo got $x\r")?;
    session.terminal.expect("\r\n")?;
    session.terminal.send("words\r")?;
    session.terminal.expect("got words")?;
    session.terminal.expect(PROMPT)?;
    // Nothing that is typed to `read -s` is shown.
    session.terminal.send("read -s x; echo \"[$x]\"\r")?;
    session.terminal.expect("\r\n")?;
    let own = session.terminal.pid();
    lab_wait("echo is off", || !echoes(own))?;
    session.terminal.send("secret\r")?;
    let seen = session.terminal.expect("[secret]")?;
    same("seen", seen.trim_start(), "[secret]")?;
    session.terminal.expect(PROMPT)?;
    session.exit()
}

/// Whether the terminal of process `pid` shows what is typed.
fn echoes(pid: u32) -> bool {
    let shown = Command::new("stty").arg("-F").arg(format!("/proc/{pid}/fd/0")).arg("-a").stdin(Stdio::null()).output();
    shown.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).split_whitespace().any(|word| word == "echo"))
}

fn dumb() -> Result<(), Stop> {
    for term in [Some("dumb"), Some(""), None] {
        let mut session = Session::with(&[("TERM", term)], &["sh"])?;
        session.terminal.send("echo plain\r")?;
        session.terminal.expect("\r\nplain\r\n")?;
        session.terminal.expect(PROMPT)?;
        session.terminal.send("nonsense\x03")?;
        session.terminal.expect(PROMPT)?;
        session.terminal.send("echo $?\r")?;
        session.terminal.expect("130\r\n")?;
        session.terminal.expect(PROMPT)?;
        session.terminal.send("\x04")?;
        session.terminal.ends_with(0)?;
        if session.terminal.all().contains(&0x1b) {
            let all = String::from_utf8_lossy(&session.terminal.all()).into_owned();
            return Err(format!("TERM {term:?}: escapes in {all:?}").into());
        }
    }
    Ok(())
}

fn without_arguments() -> Result<(), Stop> {
    let mut session = Session::with(&[], &[])?;
    let said = String::from_utf8_lossy(&session.terminal.all()).into_owned();
    let lines: Vec<&str> = said.lines().collect();
    same("lines before the prompt", &(lines.len() - 1).to_string(), "3")?;
    for (line, start) in lines.iter().zip(["netkit ", "works here: ", "does not: "]) {
        if !line.starts_with(start) {
            return Err(format!("{line:?} does not start with {start:?}").into());
        }
    }
    session.prints("jq -n 1+1 | cat", "2\n")?;
    // Each is called what it is, although all are one file.
    session.prints("jq -rR . /proc/self/comm | cat; read x </proc/$$/comm; echo $x", "jq\nsh\n")?;
    session.exit()?;
    // Not at a terminal, or with one end somewhere else: the help.
    let out = lab::run(&mut Command::new(lab::netkit()), LIMIT)?;
    same("start", String::from_utf8_lossy(&out.stdout).get(..7).unwrap_or_default(), "netkit:")?;
    let mut command = Command::new("sh");
    command.args(["-c", "\"$0\" | cat; exit 5"]).arg(lab::netkit()).env("TERM", "xterm");
    let mut terminal = Terminal::start(&command, ROWS, COLUMNS)?;
    terminal.expect("usage: netkit APPLET")?;
    terminal.ends_with(5)
}

fn signals_from_elsewhere() -> Result<(), Stop> {
    let send = |session: &Session, signal: &str| -> Result<(), Stop> {
        let pid = session.terminal.pid().to_string();
        let out = lab::run(Command::new("kill").args(["-s", signal, &pid]), LIMIT)?;
        same("stderr of kill", &String::from_utf8_lossy(&out.stderr), "")
    };
    // Its parent is this program, not a container's runtime: a shell at a terminal ignores SIGTERM (POSIX sh, 2.11).
    let mut session = Session::new()?;
    send(&session, "TERM")?;
    session.prints("echo alive", "alive\n")?;
    send(&session, "HUP")?;
    session.terminal.ends_with(128 + 1)?;
    // A child of process 1, as in a container: it ends at once.
    lab::namespaces()?;
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]).arg(lab::netkit()).arg("sh");
    command.env("TERM", "xterm").env("PS1", PROMPT).env("PATH", "/usr/bin:/bin");
    let mut terminal = Terminal::start(&command, ROWS, COLUMNS)?;
    terminal.expect(PROMPT)?;
    terminal.command("echo $$ $PPID", "2 1")?;
    terminal.expect(PROMPT)?;
    // Who outlives his parent is reaped by process 1 and leaves no trace.
    terminal
        .command("(sleep 0.01 & true); while [ -e /proc/4 ] && kill -0 4; do :; done 2>/dev/null; echo gone", "gone")?;
    terminal.expect(PROMPT)?;
    terminal.command("trap 'echo never' USR1; kill -TERM 1; sleep 600", "")?;
    terminal.ends_with(128 + 15)
}

fn prompts() -> Result<(), Stop> {
    let host = fs::read_to_string("/proc/sys/kernel/hostname")?.trim().to_owned();
    let mark = if nix::unistd::geteuid().is_root() { '#' } else { '$' };
    let mut session = Session::with(&[("PS1", None)], &["sh"])?;
    session.terminal.expect(&format!("{host}:~{mark} "))?;
    session.terminal.send("cd /usr/bin\r")?;
    session.terminal.expect("\r\n")?;
    session.terminal.expect(&format!("{host}:/usr/bin{mark} "))?;
    session.terminal.send("PS1='$(echo sub) $PWD> '\r")?;
    session.terminal.expect("\r\n")?;
    session.terminal.expect("sub /usr/bin> ")?;
    session.terminal.send("exit 7\r")?;
    session.terminal.ends_with(7)?;
    Ok(())
}
