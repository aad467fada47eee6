use std::sync::{Arc, Mutex};

use netkit_core::{Build, SystemClock};

use super::*;

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // Shows where output was handed on.
        Ok(())
    }
}

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// A filter for the tests: what it does with an input is told by a string in it, or else it hands it out.
struct Obedient;

impl Filter for Obedient {
    fn run(&mut self, input: Value, host: &mut dyn Host, emit: &mut dyn FnMut(Value) -> Result<(), Stop>) -> Outcome {
        match input.as_str() {
            Some("error") => return Outcome::Error("went wrong".into()),
            Some("object") => return Outcome::Error(Value::object(Map::new())),
            Some("halt") => return Outcome::Halt { status: 0, message: None },
            Some("halt_error") => return Outcome::Halt { status: 7, message: Some("bye".into()) },
            Some("empty") => return Outcome::Done,
            Some("debug") => host.debug(&input),
            Some("stderr") => host.stderr(&input),
            Some("where") => {
                let place = vec![host.input_filename(), Value::number(host.input_line_number() as f64)];
                return if emit(Value::array(place)).is_ok() { Outcome::Done } else { Outcome::Stopped };
            }
            _ => {}
        }
        let rest = match input {
            Value::Null => std::iter::from_fn(|| host.next_input()).map_while(Result::ok).collect(),
            _ => Vec::new(),
        };
        for value in std::iter::once(input).chain(rest) {
            if emit(value).is_err() {
                return Outcome::Stopped;
            }
        }
        Outcome::Done
    }
}

fn compile(text: &str, _: &Settings) -> Result<Box<dyn Filter>, Vec<String>> {
    if text == "bad" { Err(vec!["jq: error: bad".to_owned()]) } else { Ok(Box::new(Obedient)) }
}

/// Status, standard output and standard error of a run.
fn jq(words: &[&str], input: &str) -> (u8, String, String) {
    static BUILD: Build = Build { version: "0", commit: "c", epoch: "", target: "t", trust_roots: "r" };
    let (out, err) = (Shared::default(), Shared::default());
    let mut ctx = Ctx {
        name: "jq".to_owned(),
        argv0: "jq".into(),
        args: words.iter().map(OsString::from).collect(),
        stdin: Box::new(io::Cursor::new(input.as_bytes().to_vec())),
        stdout: Box::new(out.clone()),
        stderr: Box::new(err.clone()),
        stdout_is_terminal: false,
        stderr_is_terminal: false,
        explain: false,
        env: Default::default(),
        clock: &SystemClock,
        table: &[],
        build: &BUILD,
    };
    let exit = run(&mut ctx, compile).unwrap_or_else(|error| error.exit);
    (exit.0, out.text(), err.text())
}

fn ended(status: u8, out: &str, err: &str) -> (u8, String, String) {
    (status, out.to_owned(), err.to_owned())
}

#[test]
fn layouts_and_ends() {
    assert_eq!(jq(&["."], "{\"a\":[1]} 2"), ended(0, "{\n  \"a\": [\n    1\n  ]\n}\n2\n", ""));
    assert_eq!(jq(&["-c"], "[1] \"a\""), ended(0, "[1]\n\"a\"\n", ""));
    assert_eq!(jq(&["-r", "."], "\"a\" [\"b\"]"), ended(0, "a\n[\n  \"b\"\n]\n", ""));
    assert_eq!(jq(&["-j", "."], "\"a\" 1 \"b\""), ended(0, "a1b", ""));
    assert_eq!(jq(&["-ra", "."], "\"é\""), ended(0, "\"\\u00e9\"\n", ""));
    assert_eq!(jq(&["--raw-output0", "."], "\"a\" 1"), ended(0, "a\x001\0", ""));
    assert_eq!(
        jq(&["--raw-output0", "."], "\"a\" \"b\\u0000c\" \"d\""),
        ended(0, "a\0d\0", "jq: error (at <stdin>:0): Cannot dump a string containing NUL with --raw-output0 option\n")
    );
    assert_eq!(jq(&["--seq", "-c", "."], "\x1e1\n\x1e[2]"), ended(0, "\x1e1\n\x1e[2]\n", ""));
    assert_eq!(jq(&["-n", "."], "1 2"), ended(0, "null\n1\n2\n", ""));
    assert_eq!(jq(&["-Cc", "."], "null"), ended(0, "\x1b[0;90mnull\x1b[0m\n", ""));
    assert_eq!(jq(&["-CMc", "."], "null"), ended(0, "null\n", ""));
}

#[test]
fn statuses() {
    assert_eq!(jq(&["-e", "."], "1 false").0, 1);
    assert_eq!(jq(&["-e", "."], "null 1").0, 0);
    assert_eq!(jq(&["-e", "."], "").0, 4);
    assert_eq!(jq(&["-e", "."], "false \"empty\"").0, 1);
    assert_eq!(jq(&["."], "false").0, 0);
    assert_eq!(jq(&["bad"], ""), ended(3, "", "jq: error: bad\njq: 1 compile error\n"));
    assert_eq!(jq(&["-x"], "").0, 2);
    assert_eq!(jq(&["."], "\"error\"\n"), ended(5, "", "jq: error (at <stdin>:1): went wrong\n"));
    assert_eq!(jq(&["."], "\"object\"\n"), ended(5, "", "jq: error (at <stdin>:1) (not a string): {}\n"));
    // The last input decides.
    assert_eq!(jq(&["."], "\"error\" 1\n").0, 0);
    assert_eq!(jq(&["-e", "."], "1 \"error\"\n").0, 5);
    assert_eq!(jq(&["."], "1 \"halt\" 2"), ended(0, "1\n", ""));
    assert_eq!(jq(&["."], "1 \"halt_error\" 2"), ended(7, "1\n", "bye"));
    assert_eq!(
        jq(&["."], "1 oops\n2\n"),
        ended(5, "1\n", "jq: parse error: Invalid numeric literal at line 2, column 0\n")
    );
    assert_eq!(
        jq(&["--seq", "."], "\x1e[\x1e2\n"),
        ended(0, "\x1e2\n", "jq: ignoring parse error: Truncated value at line 1, column 3\n")
    );
    assert_eq!(
        jq(&[".", "/nonexistent"], ""),
        ended(2, "", "jq: error: Could not open file /nonexistent: No such file or directory\n")
    );
    assert_eq!(
        jq(&["-f", "/nonexistent"], ""),
        ended(2, "", "jq: Could not open /nonexistent: No such file or directory\n")
    );
}

#[test]
fn talk() {
    assert_eq!(jq(&["-c", "."], "1 \"debug\""), ended(0, "1\n\"debug\"\n", "[\"DEBUG:\",\"debug\"]\n"));
    assert_eq!(jq(&["."], "\"stderr\""), ended(0, "\"stderr\"\n", "stderr"));
    assert_eq!(jq(&["-c", "."], "\n\n\"where\"\n"), ended(0, "[\"<stdin>\",3]\n", ""));
    assert_eq!(jq(&["-V"], ""), ended(0, "jq-1.8.2-netkit0\n", ""));
}
