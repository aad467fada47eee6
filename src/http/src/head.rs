//! The head of a response (RFC 9112, sections 4 and 5), taken as it comes: every line is kept with its own ending.

use crate::failure::{Code, Failure};

/// Longest line of a head, in bytes, as libcurl has it.
pub const MAX_LINE: usize = 100 * 1024;
/// Most bytes of all heads of one response.
pub const MAX_HEAD: usize = 300 * 1024;
/// Most header lines of one head.
pub const MAX_HEADERS: usize = 5000;

/// One header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// As sent.
    pub name: String,
    /// Without white space around it; a folded line is joined with one space.
    pub value: String,
}

/// A response head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// 9, 10, 11, 20.
    pub version: u8,
    /// 100 to 999.
    pub status: u16,
    /// Header fields in order.
    pub fields: Vec<Field>,
}

impl Head {
    /// The first field of that name.
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        found.map(|field| field.value.as_str())
    }

    /// Every field of that name, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value.as_str())
    }

    /// Whether a comma-separated field holds this word.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name).flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case(token))
    }

    /// Adds one line of the head, without its line ending.
    ///
    /// # Errors
    /// A line that makes the head unusable.
    pub fn add(&mut self, line: &[u8]) -> Result<(), Failure> {
        let weird = |text: &str| Failure::new(Code::WeirdReply, text);
        if line.contains(&0) {
            return Err(weird("Nul byte in header"));
        }
        let text = String::from_utf8_lossy(line);
        if text.starts_with([' ', '\t']) {
            match self.fields.last_mut() {
                Some(field) => {
                    field.value.push(' ');
                    field.value.push_str(text.trim_matches(blank));
                    return Ok(());
                }
                None => return Err(weird("Header without colon")),
            }
        }
        let Some((name, value)) = text.split_once(':') else {
            return Err(weird("Header without colon"));
        };
        if self.fields.len() >= MAX_HEADERS {
            return Err(Failure::new(Code::TooLarge, format!("Too many response headers, {MAX_HEADERS} is max")));
        }
        self.fields.push(Field { name: name.to_owned(), value: value.trim_matches(blank).to_owned() });
        Ok(())
    }
}

fn blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// What the first bytes of a response are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// A status line may follow.
    Http,
    /// Not HTTP/1: an HTTP/0.9 body, or another protocol.
    Other,
}

/// Whether these first bytes can still become a status line.
pub fn start(bytes: &[u8]) -> Start {
    let prefix = b"HTTP/";
    let seen = bytes.len().min(prefix.len());
    if bytes.get(..seen).is_some_and(|have| prefix.get(..seen) == Some(have)) { Start::Http } else { Start::Other }
}

/// Reads a status line without its ending: version and status.
///
/// # Errors
/// When it is none.
pub fn status_line(line: &[u8]) -> Result<(u8, u16), Failure> {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches(['\r', '\n']);
    let rest = text.strip_prefix("HTTP/").unwrap_or("");
    let (version, after) = rest.split_once(' ').unwrap_or((rest, ""));
    let number = match version {
        "1.0" => 10,
        "1.1" => 11,
        "2" | "2.0" => 20,
        "3" => 30,
        _ if version.len() == 3 && version.starts_with("1.") => {
            return Err(Failure::new(Code::UnsupportedProtocol, "Unsupported HTTP/1 subversion in response"));
        }
        _ => return Err(Failure::new(Code::UnsupportedProtocol, "Unsupported HTTP version in response")),
    };
    let after = after.trim_start_matches(' ');
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    let boundary = after.get(digits.len()..).is_none_or(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
    match digits.parse::<u16>() {
        Ok(status) if digits.len() == 3 && boundary && status >= 100 => Ok((number, status)),
        _ => Err(Failure::new(Code::UnsupportedProtocol, "Unsupported HTTP/1 subversion in response")),
    }
}

/// The value of Content-Length fields: equal repetitions count once.
///
/// # Errors
/// Not a number, negative, or differing.
pub fn content_length(head: &Head) -> Result<Option<u64>, Failure> {
    let mut found: Option<u64> = None;
    for value in head.all("content-length") {
        for word in value.split(',') {
            let word = word.trim();
            if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(Failure::new(Code::WeirdReply, "Invalid Content-Length: value"));
            }
            let Ok(length) = word.parse::<u64>().map_err(drop).and_then(|n| i64::try_from(n).map(|_| n).map_err(drop))
            else {
                return Err(Failure::new(Code::FileSize, "Maximum file size exceeded"));
            };
            if found.is_some_and(|found| found != length) {
                return Err(Failure::new(Code::WeirdReply, "Invalid Content-Length: value"));
            }
            found = Some(length);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines() {
        assert_eq!(status_line(b"HTTP/1.1 200 OK"), Ok((11, 200)));
        assert_eq!(status_line(b"HTTP/1.0 404"), Ok((10, 404)));
        assert_eq!(status_line(b"HTTP/2 204 \r\n"), Ok((20, 204)));
        for bad in ["HTTP/1.1 20 OK", "HTTP/1.2 200 OK", "HTTP/1.1 2000", "HTTP/9 200", "HTTP/1.1  abc"] {
            assert!(status_line(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn lines_of_a_head() {
        let mut head = Head::default();
        head.add(b"A:  b ").unwrap();
        head.add(b"\tc").unwrap();
        head.add(b"a: 2").unwrap();
        assert_eq!(head.all("A").collect::<Vec<_>>(), ["b c", "2"]);
        assert!(head.add(b"no colon").is_err() && head.add(b"a: \0").is_err());
        assert!(Head::default().add(b" x").is_err());
    }

    #[test]
    fn lengths() {
        let head = |values: &[&str]| Head {
            fields: values.iter().map(|v| Field { name: "Content-Length".into(), value: (*v).into() }).collect(),
            ..Head::default()
        };
        assert_eq!(content_length(&head(&["5", "5"])), Ok(Some(5)));
        assert_eq!(content_length(&head(&[])), Ok(None));
        for bad in [&["5", "6"][..], &["-1"], &["x"], &["99999999999999999999"]] {
            assert!(content_length(&head(bad)).is_err());
        }
    }
}
