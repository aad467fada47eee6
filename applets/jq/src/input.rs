//! The files and standard input as one sequence of values, lines or events.
//!
//! A value may go on in the next file, as in jq. Where input may make us wait, what has been printed is flushed first, so
//! every value appears when it is complete. Line numbers are those jq reports, which reads lines and long lines in parts.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;

use crate::lines;
use crate::read::{Item, Mode, Reader};
use crate::token::lossy;
use crate::value::Value;

/// Bytes asked for at once.
const CHUNK: usize = 1 << 16;
/// jq reads a line in parts of this many bytes, and counts the line with its last part.
const LINE_PART: usize = 4095;

/// How inputs become values.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Plan {
    /// Lines instead of JSON (`-R`).
    pub(crate) raw: bool,
    /// Everything as one array, or one string with `raw` (`-s`).
    pub(crate) slurp: bool,
    /// Each file is a YAML stream, read as a whole.
    pub(crate) yaml: bool,
    /// The reader's mode.
    pub(crate) mode: Mode,
}

/// What the inputs do to the rest of the program.
pub(crate) trait Around {
    /// Called before a read that may wait.
    fn about_to_wait(&mut self);
    /// A line for standard error.
    fn complain(&mut self, line: &str);
}

/// The inputs, opened one after the other as they are needed.
pub(crate) struct Inputs {
    plan: Plan,
    files: VecDeque<OsString>,
    stdin: Box<dyn Read>,
    current: Option<Source>,
    name: Option<String>,
    reader: Reader,
    /// What has been read and not been used up, from `start` on.
    buffer: Vec<u8>,
    /// Begin of a line whose end has not been read yet.
    tail: Vec<u8>,
    /// Begin of the piece the reader works on, and how far it is in it.
    start: usize,
    at: usize,
    /// Line feeds of the current file before `counted`, and where the line around it begins (relative to `buffer`).
    lines: u64,
    counted: usize,
    line_start: i64,
    line: Vec<u8>,
    slurped: Option<Vec<Value>>,
    /// Documents of the current YAML stream.
    documents: VecDeque<Value>,
    /// Files that could not be opened or read.
    pub(crate) failures: u32,
}

enum Source {
    Stdin,
    /// Whether it may make us wait: it is no regular file.
    File(File, bool),
}

impl Inputs {
    /// Inputs from these files, `-` being standard input; with no file, from standard input.
    pub(crate) fn new(plan: Plan, files: Vec<OsString>, stdin: Box<dyn Read>) -> Inputs {
        let mut files = VecDeque::from(files);
        if files.is_empty() {
            files.push_back("-".into());
        }
        Inputs {
            plan,
            files,
            stdin,
            current: None,
            name: None,
            reader: Reader::new(plan.mode),
            buffer: Vec::new(),
            tail: Vec::new(),
            start: 0,
            at: 0,
            lines: 0,
            counted: 0,
            line_start: 0,
            line: Vec::new(),
            slurped: plan.slurp.then(Vec::new),
            documents: VecDeque::new(),
            failures: 0,
        }
    }

    /// Name of the current file; `<stdin>` for standard input, nothing before the first.
    pub(crate) fn filename(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The next value, or the reader's text for what is wrong.
    pub(crate) fn next(&mut self, around: &mut dyn Around) -> Option<Result<Value, String>> {
        if self.plan.raw {
            return self.next_line(around).map(Ok);
        }
        if self.plan.yaml {
            return self.next_document(around);
        }
        loop {
            let piece = self.buffer.get(self.start..).unwrap_or_default();
            let mut at = self.at;
            let mut item = self.reader.next(piece, &mut at);
            if item.is_none() {
                self.reader.piece_done(piece);
                self.at = piece.len();
                if self.fill(around) {
                    continue;
                }
                item = self.reader.finish();
            } else {
                self.at = at;
            }
            match item {
                Some(Item::Value(value)) => match &mut self.slurped {
                    Some(all) => all.push(value),
                    None => return Some(Ok(value)),
                },
                Some(Item::Error(message)) => {
                    if !self.plan.mode.seq {
                        self.forget_part();
                    }
                    return Some(Err(message));
                }
                None => return self.slurped.take().map(|all| Ok(Value::array(all))),
            }
        }
    }

    fn next_document(&mut self, around: &mut dyn Around) -> Option<Result<Value, String>> {
        loop {
            if let Some(document) = self.documents.pop_front() {
                match &mut self.slurped {
                    Some(all) => all.push(document),
                    None => return Some(Ok(document)),
                }
            } else if self.open_next(around) {
                let mut text = Vec::new();
                let read = match self.current.take() {
                    None => Ok(0),
                    Some(Source::Stdin) => self.stdin.read_to_end(&mut text),
                    Some(Source::File(mut file, _)) => file.read_to_end(&mut text),
                };
                if let Err(error) = read {
                    self.failed(&error, around);
                }
                self.lines = lines::count(&text);
                match crate::yaml::documents(&lossy(&text)) {
                    Ok(documents) => self.documents.extend(documents),
                    Err(message) => return Some(Err(message)),
                }
            } else {
                return self.slurped.take().map(|all| Ok(Value::array(all)));
            }
        }
    }

    fn failed(&mut self, error: &io::Error, around: &mut dyn Around) {
        let name = self.name.as_deref().unwrap_or_default();
        around.complain(&format!("jq: error: Could not read {name}: {}", reason(error)));
        self.failures += 1;
    }

    fn next_line(&mut self, around: &mut dyn Around) -> Option<Value> {
        loop {
            let rest = self.buffer.get(self.start + self.at..).unwrap_or_default();
            if !self.plan.slurp
                && let Some(end) = rest.iter().position(|byte| *byte == b'\n')
            {
                let head = rest.get(..end).unwrap_or_default();
                self.at += end + 1;
                if self.line.is_empty() {
                    return Some(lossy(head).as_ref().into());
                }
                self.line.extend_from_slice(head);
                return Some(lossy(&std::mem::take(&mut self.line)).as_ref().into());
            }
            self.line.extend_from_slice(rest);
            self.at += rest.len();
            if !self.fill(around) {
                break;
            }
        }
        let line = std::mem::take(&mut self.line);
        match self.slurped.take() {
            None if line.is_empty() => None,
            _ => Some(lossy(&line).as_ref().into()),
        }
    }

    /// Replaces the used-up buffer with more input; false at the end of everything.
    fn fill(&mut self, around: &mut dyn Around) -> bool {
        self.count_lines();
        self.line_start -= self.counted as i64;
        self.counted = 0;
        self.start = 0;
        self.at = 0;
        self.buffer.clear();
        self.buffer.append(&mut self.tail);
        let kept = self.buffer.len();
        self.buffer.resize(kept + CHUNK, 0);
        loop {
            let space = self.buffer.get_mut(kept..).unwrap_or_default();
            let (read, waits) = match &mut self.current {
                None if kept > 0 => (Ok(0), false),
                None => match self.open_next(around) {
                    true => continue,
                    false => break,
                },
                Some(Source::Stdin) => {
                    around.about_to_wait();
                    (self.stdin.read(space), true)
                }
                Some(Source::File(file, waits)) => {
                    if *waits {
                        around.about_to_wait();
                    }
                    (file.read(space), *waits)
                }
            };
            match read {
                Ok(0) if kept == 0 => self.current = None,
                Ok(count) => {
                    if count == 0 {
                        self.current = None;
                    }
                    self.buffer.truncate(kept + count);
                    // The begin of a line waits for its end, for the sake of the line numbers; not where that may take long.
                    if count == CHUNK
                        && !waits
                        && let Some(last) = lines::last(&self.buffer)
                    {
                        self.tail = self.buffer.split_off(last + 1);
                    }
                    return true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed(&error, around);
                    self.current = None;
                }
            }
        }
        self.buffer.clear();
        false
    }

    /// Opens the next file; false when there is none.
    fn open_next(&mut self, around: &mut dyn Around) -> bool {
        let Some(path) = self.files.pop_front() else { return false };
        self.lines = 0;
        self.line_start = 0;
        if path == "-" {
            self.name = Some("<stdin>".to_owned());
            self.current = Some(Source::Stdin);
            return true;
        }
        let name = lossy(path.as_bytes()).into_owned();
        match File::open(&path) {
            Ok(file) => {
                let waits = !file.metadata().is_ok_and(|data| data.is_file());
                self.current = Some(Source::File(file, waits));
            }
            Err(error) => {
                around.complain(&format!("jq: error: Could not open file {name}: {}", reason(&error)));
                self.failures += 1;
            }
        }
        self.name = Some(name);
        true
    }

    fn count_lines(&mut self) {
        let used = self.start + self.at;
        let fresh = self.buffer.get(self.counted..used).unwrap_or_default();
        if let Some(last) = lines::last(fresh) {
            self.lines += lines::count(fresh);
            self.line_start = (self.counted + last + 1) as i64;
        }
        self.counted = used;
    }

    /// End of the part of a line that jq would have read, and whether its line feed is in it.
    fn part_end(&mut self) -> (usize, bool) {
        self.count_lines();
        let used = self.counted;
        let in_line = used as i64 - self.line_start;
        if in_line <= 0 {
            return (used, false);
        }
        let parts = (in_line - 1) / LINE_PART as i64 + 1;
        let end = (self.line_start + parts * LINE_PART as i64).max(used as i64) as usize;
        let end = end.min(self.buffer.len());
        match self.buffer.get(used..end).unwrap_or_default().iter().position(|byte| *byte == b'\n') {
            Some(offset) => (used + offset + 1, true),
            None => (end, false),
        }
    }

    /// Line feeds read from the current file so far.
    pub(crate) fn line(&mut self) -> u64 {
        let (_, ends) = self.part_end();
        self.lines + u64::from(ends)
    }

    /// After an error the reader goes on behind the part of the line that holds it, and does not count what it skips.
    fn forget_part(&mut self) {
        let (end, _) = self.part_end();
        let used = self.buffer.get(self.start..self.start + self.at).unwrap_or_default();
        self.reader.piece_done(used);
        self.start = end;
        self.at = 0;
    }
}

/// The system's words for an error, without the number that std adds.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(at) => text.get(..at).unwrap_or(&text).to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Log(Vec<String>);

    impl Around for Log {
        fn about_to_wait(&mut self) {
            self.0.push("flush".to_owned());
        }

        fn complain(&mut self, line: &str) {
            self.0.push(line.to_owned());
        }
    }

    fn inputs(plan: Plan, text: &[u8]) -> Inputs {
        Inputs::new(plan, Vec::new(), Box::new(io::Cursor::new(text.to_vec())))
    }

    /// Each value with the line it is reported at.
    fn lines(plan: Plan, text: &[u8]) -> Vec<(String, u64)> {
        let (mut inputs, mut log) = (inputs(plan, text), Log::default());
        let mut seen = Vec::new();
        while let Some(next) = inputs.next(&mut log) {
            let shown = next.map_or_else(|error| error, |value| crate::write::to_json(&value));
            seen.push((shown, inputs.line()));
        }
        seen
    }

    fn pairs(seen: &[(String, u64)]) -> Vec<(&str, u64)> {
        seen.iter().map(|(value, line)| (value.as_str(), *line)).collect()
    }

    #[test]
    fn lines_are_counted_as_jq_counts_them() {
        let plan = Plan::default();
        assert_eq!(pairs(&lines(plan, b"1\n[2,\n3] 4 \n\n5")), [("1", 1), ("[2,3]", 3), ("4", 3), ("5", 4)]);
        // The line feed of a long line is counted with the part of the line it is in.
        let long = format!("\"{}\" 7\n8\n", "x".repeat(4096));
        let seen = lines(plan, long.as_bytes());
        assert_eq!([seen[0].1, seen[1].1, seen[2].1], [1, 1, 2]);
        let long = format!("7 \"{}\"\n8\n", "x".repeat(4096));
        assert_eq!(lines(plan, long.as_bytes())[0], ("7".to_owned(), 0));
    }

    #[test]
    fn after_an_error_the_next_line_is_read() {
        let seen = lines(Plan::default(), b"1 ] 2\n3\n]\n");
        assert_eq!(
            pairs(&seen),
            [
                ("1", 1),
                ("Unmatched ']' at line 1, column 3", 1),
                ("3", 2),
                // The rest of the first line was never counted.
                ("Unmatched ']' at line 2, column 1", 3)
            ]
        );
    }

    #[test]
    fn raw_lines() {
        let raw = Plan { raw: true, ..Plan::default() };
        assert_eq!(pairs(&lines(raw, b"a\n\nb\xff")), [("\"a\"", 1), ("\"\"", 2), ("\"b\u{fffd}\"", 2)]);
        assert_eq!(lines(raw, b""), []);
        let all = Plan { raw: true, slurp: true, ..Plan::default() };
        assert_eq!(pairs(&lines(all, b"a\nb\n")), [("\"a\\nb\\n\"", 2)]);
        assert_eq!(pairs(&lines(all, b"")), [("\"\"", 0)]);
    }

    #[test]
    fn slurped() {
        let plan = Plan { slurp: true, ..Plan::default() };
        assert_eq!(pairs(&lines(plan, b"1 2\n[3]")), [("[1,2,[3]]", 1)]);
        assert_eq!(pairs(&lines(plan, b"")), [("[]", 0)]);
    }

    #[test]
    fn yaml_documents() {
        let plan = Plan { yaml: true, ..Plan::default() };
        assert_eq!(pairs(&lines(plan, b"a: 1\n---\n- b\n")), [("{\"a\":1}", 3), ("[\"b\"]", 3)]);
        let plan = Plan { yaml: true, slurp: true, ..Plan::default() };
        assert_eq!(pairs(&lines(plan, b"a: 1\n---\n- b\n")), [("[{\"a\":1},[\"b\"]]", 3)]);
        assert_eq!(lines(Plan { yaml: true, ..Plan::default() }, b"a: [\n").len(), 1);
    }

    #[test]
    fn output_is_flushed_before_waiting() {
        let (mut inputs, mut log) = (inputs(Plan::default(), b"1 "), Log::default());
        assert_eq!(inputs.filename(), None);
        assert!(inputs.next(&mut log).is_some());
        assert_eq!(inputs.filename(), Some("<stdin>"));
        assert_eq!(log.0, ["flush"]);
        assert!(inputs.next(&mut log).is_none());
        assert_eq!(log.0, ["flush", "flush"]);
        assert!(inputs.next(&mut log).is_none());
    }

    #[test]
    fn a_missing_file_is_named_and_the_rest_is_read() {
        let files = vec!["/nonexistent/input".into(), "-".into()];
        let mut inputs = Inputs::new(Plan::default(), files, Box::new(io::Cursor::new(b"1".to_vec())));
        let mut log = Log::default();
        assert_eq!(inputs.next(&mut log), Some(Ok(Value::number(1.0))));
        assert_eq!(inputs.failures, 1);
        assert_eq!(
            log.0.first().map(String::as_str),
            Some("jq: error: Could not open file /nonexistent/input: No such file or directory")
        );
    }
}
