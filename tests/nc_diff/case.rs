//! The scenarios as data: what `golden/nc/cases.txt` says, read and checked.
//!
//! ```text
//! case NAME                          begins a scenario; NAME also stands in known_differences.txt
//! serve NAME ADDRESS ACTION...       the lab listens there and does this with each connection
//! dial NAME ADDRESS ACTION...        the lab connects there (udp: sends there) and does this
//! proxy NAME HOST:PORT [USER:PASS]    a proxy of all kinds, see lab/proxy.rs
//! run [NAME] PROGRAM WORD...         a program, to its end; its standard input is empty
//! start [NAME] PROGRAM WORD...       a program beside the next steps; its standard input stays open
//! in NAME TEXT | eof NAME            writes to the standard input of a program, or ends it
//! await listen PORT | unix PATH | path PATH | out NAME TEXT | err NAME TEXT | closing N (connections)
//! wait NAME [N]                      the program ends; the lab's side is done with N connections (1)
//! kill NAME                          ends a program that would run for ever
//! file PATH                          shows a file that a program wrote
//! pause MILLISECONDS                 until every program has ended, or has slept for that long without being woken
//! ```
//! PROGRAM is `@nc`, `@netcat` or `@ncat` for the one that is compared (Debian's, then ours), `nc` or `ncat` for Debian's in both
//! plays. After the words of a program: `< TEXT` is its whole standard input, `<-` keeps it open, `>full` writes to a full disk,
//! `>closed` to a pipe that nobody reads, `>socket` to a socket pair of which the lab looks for a passed descriptor.
//! ADDRESS is `tcp:HOST:PORT`, `udp:HOST:PORT`, `unix:PATH` or `abstract:NAME`.
//! ACTION is `send TEXT`, `take N` (bytes; for udp one datagram of any size), `until TEXT`, `drain` (to the end), `shut`, `reset`,
//! `hold` (to the end of the scenario), `fill N` (so many bytes), `count` (to the end, only the number and a checksum),
//! `pause MILLISECONDS`.
//! Words are split at blanks; double quotes hold one together, and know `\n \r \t \0 \" \\ \xHH`.

use crate::lab::Stop;

/// The programs that a scenario may start, without `@`.
const PROGRAMS: [&str; 3] = ["nc", "netcat", "ncat"];
/// First words of a step.
const VERBS: [&str; 12] =
    ["serve", "dial", "proxy", "run", "start", "in", "eof", "await", "wait", "kill", "file", "pause"];

/// One scenario.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// What is to be done, in this order.
    pub steps: Vec<Step>,
    /// As written, without the line that names it.
    pub text: String,
}

/// One line of a scenario, split.
#[derive(Debug, Clone)]
pub struct Step {
    /// As written.
    pub line: String,
    /// Its words; each character stands for the byte of its number.
    pub words: Vec<String>,
}

impl Step {
    /// Reads one line.
    pub fn read(line: &str) -> Result<Step, Stop> {
        Ok(Step { line: line.to_owned(), words: words(line)? })
    }

    /// The word at this place.
    pub fn word(&self, at: usize) -> Result<&str, Stop> {
        let word = self.words.get(at).map(String::as_str);
        word.ok_or_else(|| Stop::Fail(format!("word {at} is missing: {}", self.line)))
    }
}

/// A program of a scenario, see the grammar above.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// What the record calls it.
    pub name: String,
    /// Whether it is the compared one.
    pub compared: bool,
    /// `nc`, `netcat` or `ncat`.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// What is redirected.
    pub redirects: Vec<Redirect>,
}

/// Where standard input or output goes.
#[derive(Debug, Clone, PartialEq)]
pub enum Redirect {
    /// The whole standard input.
    Text(String),
    /// Standard input stays open.
    Open,
    /// Standard output is a full disk.
    Full,
    /// Standard output is a pipe without a reader.
    Closed,
    /// Standard output is a socket.
    Socket,
}

impl Program {
    /// Reads the words after `run` or `start`.
    pub fn read(words: &[String]) -> Result<Program, Stop> {
        let bare = |word: &str| PROGRAMS.contains(&word.strip_prefix('@').unwrap_or(word));
        let (name, rest) = match words {
            [first, ..] if bare(first) => (first.trim_start_matches('@').to_owned(), words),
            [name, rest @ ..] => (name.clone(), rest),
            [] => return Err("a program is missing".into()),
        };
        let Some((program, rest)) = rest.split_first().filter(|(program, _)| bare(program)) else {
            return Err(Stop::Fail(format!("not a program of this test: {words:?}")));
        };
        let (mut arguments, mut redirects) = (Vec::new(), Vec::new());
        let mut rest = rest.iter();
        while let Some(word) = rest.next() {
            redirects.push(match word.as_str() {
                "<" => Redirect::Text(rest.next().ok_or("text is missing after <")?.clone()),
                "<-" => Redirect::Open,
                ">full" => Redirect::Full,
                ">closed" => Redirect::Closed,
                ">socket" => Redirect::Socket,
                _ => {
                    arguments.push(word.clone());
                    continue;
                }
            });
        }
        let compared = program.starts_with('@');
        Ok(Program { name, compared, program: program.trim_start_matches('@').to_owned(), arguments, redirects })
    }
}

/// Reads a list of scenarios.
pub fn cases(text: &str) -> Result<Vec<Case>, Stop> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("case ") {
            if cases.iter().any(|case| case.name == name) {
                return Err(Stop::Fail(format!("twice in the list: {name}")));
            }
            cases.push(Case { name: name.to_owned(), steps: Vec::new(), text: String::new() });
            continue;
        }
        let case = cases.last_mut().ok_or_else(|| format!("stands before the first case: {line}"))?;
        let step = Step::read(line)?;
        if !VERBS.contains(&step.word(0)?) {
            return Err(Stop::Fail(format!("no such step: {line}")));
        }
        if matches!(step.word(0)?, "run" | "start") {
            Program::read(step.words.get(1..).unwrap_or_default())?;
        }
        case.text.push_str(line);
        case.text.push('\n');
        case.steps.push(step);
    }
    for case in &cases {
        let programs = case.steps.iter().filter_map(|step| Program::read(step.words.get(1..)?).ok());
        if !programs.into_iter().any(|program| program.compared) {
            return Err(Stop::Fail(format!("compares nothing: {}", case.name)));
        }
    }
    Ok(cases)
}

fn words(line: &str) -> Result<Vec<String>, Stop> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                word.get_or_insert_default();
                quoted = !quoted;
            }
            '\\' if quoted => {
                let escaped = match characters.next() {
                    Some('n') => '\n',
                    Some('r') => '\r',
                    Some('t') => '\t',
                    Some('0') => '\0',
                    Some(plain @ ('"' | '\\')) => plain,
                    Some('x') => {
                        let digits: String = characters.by_ref().take(2).collect();
                        let value = u8::from_str_radix(&digits, 16).map_err(|_| format!("not \\xHH: {line}"))?;
                        char::from(value)
                    }
                    _ => return Err(Stop::Fail(format!("unknown escape: {line}"))),
                };
                word.get_or_insert_default().push(escaped);
            }
            ' ' if !quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    if quoted {
        return Err(Stop::Fail(format!("open quote: {line}")));
    }
    words.extend(word);
    Ok(words)
}

/// The bytes that a word stands for.
pub fn bytes(word: &str) -> Vec<u8> {
    word.chars().map(|character| u8::try_from(u32::from(character)).unwrap_or(b'?')).collect()
}

/// What the harness's own trial wants to know of this reader.
pub fn reading() -> Result<(), Stop> {
    let step = Step::read(r#"serve a tcp:1:2 send "b c\n\x00\\" "" d"#)?;
    crate::lab::same("words", &step.words.join("|"), "serve|a|tcp:1:2|send|b c\n\0\\||d")?;
    let step = Step::read(r#"run x @nc -v h 1 < "a b" >full"#)?;
    let program = Program::read(step.words.get(1..).unwrap_or_default())?;
    let wanted = Program {
        name: "x".to_owned(),
        compared: true,
        program: "nc".to_owned(),
        arguments: ["-v", "h", "1"].map(str::to_owned).into(),
        redirects: vec![Redirect::Text("a b".to_owned()), Redirect::Full],
    };
    if program != wanted {
        return Err(Stop::Fail(format!("{program:?}")));
    }
    let wrong = [
        "run @nc\n",
        "case a\nrun dog x\n",
        "case a\nrun nc x\n",
        "case a\njump\n",
        "case a\nrun @nc <\n",
        "case a\nrun @nc \"\n",
        "case a\nrun @nc \"\\q\"\n",
        "case a\nrun @nc\ncase a\nrun @nc\n",
    ];
    for text in wrong {
        if cases(text).is_ok() {
            return Err(Stop::Fail(format!("accepted: {text:?}")));
        }
    }
    Ok(())
}
