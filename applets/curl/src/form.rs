//! `-F`: a multipart form (RFC 7578), and the bytes it becomes.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use netkit_dns::random::random_u64;
use netkit_http::{Code, Failure};

use crate::args::Problem;
use crate::body::Segment;
use crate::config::{Content, Part};

/// Deepest nesting of multiparts.
const MAX_DEPTH: usize = 20;

/// The parts so far, and the multiparts that are still open, each within the one before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form {
    pub(crate) parts: Vec<Part>,
    open: Vec<Part>,
}

fn bad() -> Problem {
    Problem::Other("is badly used here".to_owned())
}

impl Form {
    /// Takes the value of `-F`, or with `special` off that of `--form-string`.
    pub(crate) fn add(&mut self, value: &str, special: bool, warnings: &mut Vec<String>) -> Result<(), Problem> {
        let Some((name, rest)) = value.split_once('=') else {
            warnings.push("Illegally formatted input field".to_owned());
            return Err(bad());
        };
        let name = (!name.is_empty()).then(|| name.to_owned());
        let mut part = Part::default();
        if !special {
            part.content = Content::Bytes(rest.as_bytes().to_vec());
        } else if rest.starts_with('(') {
            if self.open.len() >= MAX_DEPTH {
                return Err(Problem::Other("multiparts nest too deeply".to_owned()));
            }
            let mut text = Text { rest, end: None, warnings };
            let (_, found) = text.part()?;
            part = Part { kind: found.kind, headers: found.headers, content: Content::Parts(Vec::new()), ..part };
            part.name = name;
            self.open.push(part);
            return Ok(());
        } else if name.is_none() && rest == ")" {
            let Some(closed) = self.open.pop() else {
                warnings.push("no multipart to terminate".to_owned());
                return Err(bad());
            };
            self.push(closed);
            return Ok(());
        } else if let Some(files) = rest.strip_prefix('@') {
            let mut text = Text { rest: files, end: Some(','), warnings };
            let mut files = Vec::new();
            loop {
                let (path, found) = text.part()?;
                files.push(file(&path, found)?);
                match text.rest.strip_prefix(',') {
                    Some(more) => text.rest = more,
                    None => break,
                }
            }
            part = match <[Part; 1]>::try_from(files) {
                Ok([only]) => only,
                Err(files) => Part { content: Content::Parts(files), ..part },
            };
        } else {
            let from_file = rest.strip_prefix('<');
            let mut text = Text { rest: from_file.unwrap_or(rest), end: None, warnings };
            let (content, found) = text.part()?;
            part = found;
            part.content = match from_file {
                Some(_) if content == "-" => Content::Bytes(crate::apply::read_file("-").map_err(|_| Problem::Read)?),
                Some(_) => Content::File(content),
                None => Content::Bytes(content.into_bytes()),
            };
            if from_file.is_some() {
                part.filename = None;
            }
        }
        part.name = name;
        self.push(part);
        Ok(())
    }

    fn push(&mut self, part: Part) {
        match self.open.last_mut() {
            Some(Part { content: Content::Parts(parts), .. }) => parts.push(part),
            _ => self.parts.push(part),
        }
    }

    /// Closes what is still open.
    pub(crate) fn finish(&mut self) {
        while let Some(part) = self.open.pop() {
            self.push(part);
        }
    }
}

fn file(path: &str, mut part: Part) -> Result<Part, Problem> {
    if path == "-" {
        part.content = Content::Bytes(crate::apply::read_file("-").map_err(|_| Problem::Read)?);
        part.filename.get_or_insert_with(|| "-".to_owned());
    } else {
        part.content = Content::File(path.to_owned());
        part.filename.get_or_insert_with(|| base_name(path));
    }
    Ok(part)
}

/// What is left of a value.
struct Text<'t, 'w> {
    rest: &'t str,
    /// Beside the semicolon, what ends a word.
    end: Option<char>,
    warnings: &'w mut Vec<String>,
}

impl<'t> Text<'t, '_> {
    fn ends(&self, c: char) -> bool {
        c == ';' || Some(c) == self.end
    }

    /// A word up to a separator, perhaps in quotation marks; without them the blanks behind it are left out.
    fn word(&mut self) -> String {
        if let Some(quoted) = self.rest.strip_prefix('"') {
            let mut out = String::new();
            let mut chars = quoted.char_indices().peekable();
            while let Some((at, c)) = chars.next() {
                match c {
                    '\\' => match chars.next_if(|(_, next)| matches!(next, '"' | '\\')) {
                        Some((_, next)) => out.push(next),
                        None => out.push('\\'),
                    },
                    '"' => {
                        let behind = quoted.get(at + 1..).unwrap_or("");
                        let end = behind.find(|c| self.ends(c)).unwrap_or(behind.len());
                        let (between, rest) = behind.split_at_checked(end).unwrap_or((behind, ""));
                        if !between.trim().is_empty() {
                            self.warnings.push("Trailing data after quoted form parameter".to_owned());
                        }
                        self.rest = rest;
                        return out;
                    }
                    c => out.push(c),
                }
            }
            // A quotation that does not end is none.
        }
        self.plain().trim_end().to_owned()
    }

    fn plain(&mut self) -> &'t str {
        let end = self.rest.find(|c| self.ends(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        word
    }

    /// The content, and the parameters behind it: type, filename, headers, encoder.
    fn part(&mut self) -> Result<(String, Part), Problem> {
        self.rest = self.rest.trim_start();
        let content = self.word();
        let mut part = Part::default();
        // While a type is read, what is no other parameter belongs to it.
        let mut in_type = false;
        while let Some(after) = self.rest.strip_prefix(';') {
            self.rest = after.trim_start();
            let parameter = |name: &str| {
                let head = self.rest.get(..name.len())?;
                head.eq_ignore_ascii_case(name).then(|| self.rest.get(name.len()..).unwrap_or("").trim_start())
            };
            if let (Some(value), false) = (parameter("type="), in_type) {
                self.rest = value;
                let kind = self.plain().trim_end();
                let (major, minor) = kind.split_once('/').unwrap_or((kind, ""));
                if major.is_empty() || major.contains(' ') || minor.is_empty() || minor.starts_with([' ', '\n']) {
                    self.warnings.push("Illegally formatted content-type field".to_owned());
                    return Err(bad());
                }
                part.kind = Some(kind.to_owned());
                in_type = true;
            } else if let Some(value) = parameter("filename=") {
                self.rest = value;
                part.filename = Some(self.word());
                in_type = false;
            } else if let Some(value) = parameter("headers=") {
                in_type = false;
                match value.strip_prefix(['@', '<']) {
                    Some(file) => {
                        self.rest = file.trim_start();
                        let file = self.word();
                        match crate::apply::read_file(&file) {
                            Ok(bytes) => part.headers.extend(field_lines(&String::from_utf8_lossy(&bytes))),
                            Err(error) => {
                                let why = crate::net::strerror(&error);
                                self.warnings.push(format!("Cannot read from {file}: {why}"));
                            }
                        }
                    }
                    None => {
                        self.rest = value;
                        let line = self.word();
                        part.headers.push(line);
                    }
                }
            } else if let Some(value) = parameter("encoder=") {
                self.rest = value;
                part.encoder = Some(self.word());
                in_type = false;
            } else if in_type {
                let more = self.plain().trim_end();
                if let Some(kind) = &mut part.kind {
                    // The blanks before a parameter of the type are kept as they were.
                    let lead = after.get(..after.len() - after.trim_start().len()).unwrap_or("");
                    let _ = write!(kind, ";{lead}{more}");
                }
            } else {
                let unknown = self.word();
                if !unknown.is_empty() {
                    self.warnings.push(format!("skip unknown form field: {unknown}"));
                }
            }
        }
        Ok((content, part))
    }
}

/// The fields of a file: comments and empty lines are left out, folded lines joined.
fn field_lines(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || line.starts_with('#') {
            continue;
        }
        match out.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => {
                let _ = write!(last, " {trimmed}");
            }
            _ => out.push(trimmed.to_owned()),
        }
    }
    out
}

fn base_name(path: &str) -> String {
    Path::new(path).file_name().map_or_else(|| path.to_owned(), |name| name.to_string_lossy().into_owned())
}

/// The content type a file name stands for, as libcurl guesses it.
fn kind(path: &str) -> Option<&'static str> {
    let lower = path.to_ascii_lowercase();
    const KINDS: &[(&str, &str)] = &[
        (".gif", "image/gif"),
        (".jpg", "image/jpeg"),
        (".jpeg", "image/jpeg"),
        (".png", "image/png"),
        (".svg", "image/svg+xml"),
        (".txt", "text/plain"),
        (".htm", "text/html"),
        (".html", "text/html"),
        (".pdf", "application/pdf"),
        (".xml", "application/xml"),
    ];
    KINDS.iter().find(|(ending, _)| lower.ends_with(ending)).map(|(_, kind)| *kind)
}

/// A boundary: 24 hyphens and 22 unpredictable letters and digits.
pub(crate) fn boundary() -> String {
    const LETTERS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut out = "-".repeat(24);
    for _ in 0..22 {
        let at = usize::try_from(random_u64() % 62).unwrap_or(0);
        out.push(LETTERS.get(at).copied().map_or('0', char::from));
    }
    out
}

/// The whole form as segments to send one after the other; `kind` is the content type of the whole.
pub(crate) fn segments(parts: &[Part], boundary: &str, escape: bool, kind: &str) -> Result<Vec<Segment>, Failure> {
    let mut out = Vec::new();
    compose(parts, boundary, escape, kind, &mut out)?;
    Ok(out)
}

fn is_type(kind: &str, wanted: &str) -> bool {
    kind.split([';', ' ', '\t']).next().is_some_and(|name| name.eq_ignore_ascii_case(wanted))
}

fn compose(parts: &[Part], boundary: &str, escape: bool, outer: &str, out: &mut Vec<Segment>) -> Result<(), Failure> {
    let in_form = is_type(outer, "multipart/form-data");
    for part in parts {
        let own = |name: &str| {
            part.headers.iter().find_map(|line| {
                let head = line.get(..name.len())?;
                let value = line.get(name.len()..)?.strip_prefix(':')?;
                head.eq_ignore_ascii_case(name).then(|| value.trim_start())
            })
        };
        let given = part.kind.as_deref().or_else(|| own("Content-Type"));
        let filename = part.filename.as_deref();
        let guess = || match &part.content {
            Content::Parts(_) => Some("multipart/mixed"),
            Content::File(path) => filename
                .and_then(self::kind)
                .or_else(|| self::kind(path))
                .or_else(|| filename.map(|_| "application/octet-stream")),
            Content::Bytes(_) => filename.and_then(self::kind),
        };
        // Plain text that is no file needs no telling.
        let kind = given.or_else(|| guess().filter(|kind| filename.is_some() || *kind != "text/plain"));
        let mut head = format!("--{boundary}\r\n");
        let named = part.name.is_some() || filename.is_some();
        if (in_form || named) && own("Content-Disposition").is_none() {
            head.push_str(if in_form { "Content-Disposition: form-data" } else { "Content-Disposition: attachment" });
            for (word, value) in [("name", part.name.as_deref()), ("filename", filename)] {
                if let Some(value) = value {
                    let _ = write!(head, "; {word}=\"{}\"", escaped(value, escape));
                }
            }
            head.push_str("\r\n");
        }
        let inner = self::boundary();
        if let Some(kind) = kind {
            let _ = match &part.content {
                Content::Parts(_) => write!(head, "Content-Type: {kind}; boundary={inner}\r\n"),
                _ => write!(head, "Content-Type: {kind}\r\n"),
            };
        }
        if let Some(encoder) = part.encoder.as_ref().filter(|_| own("Content-Transfer-Encoding").is_none()) {
            let _ = write!(head, "Content-Transfer-Encoding: {encoder}\r\n");
        }
        for line in &part.headers {
            if !line.to_ascii_lowercase().starts_with("content-type:") {
                let _ = write!(head, "{line}\r\n");
            }
        }
        head.push_str("\r\n");
        out.push(Segment::Bytes(head.into_bytes()));
        match &part.content {
            Content::Parts(parts) => compose(parts, &inner, escape, kind.unwrap_or(""), out)?,
            content => out.push(encoded(content, part.encoder.as_deref())?),
        }
        out.push(Segment::Bytes(b"\r\n".to_vec()));
    }
    out.push(Segment::Bytes(format!("--{boundary}--\r\n").into_bytes()));
    Ok(())
}

fn unreadable() -> Failure {
    Failure::new(Code::Read, "Failed to open/read local data from file/application")
}

fn encoded(content: &Content, encoder: Option<&str>) -> Result<Segment, Failure> {
    let plain = matches!(encoder, None | Some("binary" | "8bit"));
    let bytes = match content {
        Content::File(path) if plain => {
            return match std::fs::File::open(path) {
                Ok(_) => Ok(Segment::File(path.clone())),
                Err(_) => Err(unreadable()),
            };
        }
        Content::File(path) => crate::apply::read_file(path).map_err(|_| unreadable())?,
        Content::Bytes(bytes) => bytes.clone(),
        Content::Parts(_) => Vec::new(),
    };
    match encoder {
        Some("base64") => Ok(Segment::Bytes(base64_lines(&bytes))),
        Some("quoted-printable") => Ok(Segment::Unsized(quoted_printable(&bytes))),
        Some("7bit") if !bytes.is_ascii() => Err(unreadable()),
        None | Some("binary" | "8bit" | "7bit") => Ok(Segment::Bytes(bytes)),
        Some(_) => Err(Failure::new(Code::BadArgument, "A libcurl function was given a bad argument")),
    }
}

/// 76 characters a line (RFC 2045, section 6.8).
fn base64_lines(bytes: &[u8]) -> Vec<u8> {
    let text = base64::engine::general_purpose::STANDARD.encode(bytes).into_bytes();
    text.chunks(76).collect::<Vec<_>>().join(&b"\r\n"[..])
}

/// RFC 2045, section 6.7: lines of 76 characters at most, CRLF kept, no blank before the end of a line.
fn quoted_printable(bytes: &[u8]) -> Vec<u8> {
    const LINE: usize = 76;
    let mut out = Vec::with_capacity(bytes.len());
    let mut column = 0;
    let mut rest = bytes;
    let ends = |rest: &[u8]| rest.is_empty() || rest.starts_with(b"\r\n");
    while let Some((first, behind)) = rest.split_first() {
        if rest.starts_with(b"\r\n") {
            out.extend_from_slice(b"\r\n");
            column = 0;
            rest = rest.get(2..).unwrap_or_default();
            continue;
        }
        let bare = match first {
            b' ' | b'\t' => !ends(behind),
            b'=' => false,
            byte => byte.is_ascii_graphic(),
        };
        let length = if bare { 1 } else { 3 };
        if column + length > LINE || (column + length == LINE && !ends(behind)) {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        if bare {
            out.push(*first);
        } else {
            out.extend_from_slice(format!("={first:02X}").as_bytes());
        }
        column += length;
        rest = behind;
    }
    out
}

/// Quotation marks and line ends in names, percent-encoded as browsers do, or with backslashes.
fn escaped(text: &str, backslash: bool) -> String {
    if backslash {
        text.replace('\\', "\\\\").replace('"', "\\\"")
    } else {
        text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(values: &[&str]) -> Result<String, Problem> {
        let mut form = Form::default();
        for value in values {
            form.add(value, true, &mut Vec::new())?;
        }
        form.finish();
        let segments = segments(&form.parts, "B", false, "multipart/form-data").unwrap();
        let mut out = Vec::new();
        for segment in segments {
            match segment {
                Segment::Bytes(bytes) | Segment::Unsized(bytes) => out.extend(bytes),
                Segment::File(path) => out.extend(format!("<{path}>").into_bytes()),
            }
        }
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn forms() {
        assert_eq!(
            form(&["a=b;type=text/x; charset=y"]).unwrap(),
            "--B\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Type: text/x; charset=y\r\n\r\nb\r\n--B--\r\n"
        );
        let file = form(&["f=@/proc/version;filename=\"q\\\"z.PNG\""]).unwrap();
        assert!(file.contains("filename=\"q%22z.PNG\"\r\nContent-Type: image/png\r\n\r\n</proc/version>"), "{file}");
        assert!(form(&["f=@/proc/version,/proc/version"]).unwrap().contains("multipart/mixed"));
        assert!(form(&["f=x;y"]).unwrap().contains("\r\n\r\nx\r\n"));
        let nested = form(&["=(;type=multipart/alternative", "=in;type=a/b", "=)", "x=y"]).unwrap();
        assert!(nested.contains("Content-Disposition: form-data\r\nContent-Type: multipart/alternative; boundary="));
        assert!(nested.contains("\r\nContent-Type: a/b\r\n\r\nin\r\n") && nested.contains("name=\"x\""), "{nested}");
        for bad in ["novalue", "=)", "a=b;type=x"] {
            assert!(form(&[bad]).is_err(), "{bad}");
        }
        assert_eq!(boundary().len(), 46);
    }

    #[test]
    fn encoders() {
        let show = |text: &str| String::from_utf8(quoted_printable(text.as_bytes())).unwrap();
        assert_eq!(show("a=b \r\nc\n \u{e4}"), "a=3Db=20\r\nc=0A =C3=A4");
        let long = show(&"x".repeat(100));
        assert!(long.lines().all(|line| line.len() <= 76) && long.contains("=\r\n"));
        assert_eq!(show(&"x".repeat(76)), "x".repeat(76));
    }
}
