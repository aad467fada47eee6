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
                    // The last of the leading blanks is kept, as libcurl joins folded lines.
                    let rest = text.trim_start_matches([' ', '\t']);
                    let lead = text.get(..text.len() - rest.len()).and_then(|lead| lead.chars().last());
                    field.value.extend(lead);
                    field.value.push_str(rest.trim_end_matches(blank));
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
    let same = |have: &[u8]| prefix.get(..seen).is_some_and(|prefix| prefix.eq_ignore_ascii_case(have));
    if bytes.get(..seen).is_some_and(same) { Start::Http } else { Start::Other }
}

/// Reads a status line without its ending: version and status. A line whose `http` is not in capitals counts as 200 of
/// HTTP/1.0, as libcurl takes it.
///
/// # Errors
/// When it is none.
pub fn status_line(line: &[u8]) -> Result<(u8, u16), Failure> {
    let wrong = |text: &str| Failure::new(Code::UnsupportedProtocol, text);
    if line.contains(&0) {
        return Err(Failure::new(Code::WeirdReply, "Nul byte in header"));
    }
    let Some(rest) = line.strip_prefix(b"HTTP/") else { return Ok((10, 200)) };
    let status = |digits: &[u8]| match digits {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
            Some(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'))
        }
        _ => None,
    };
    match rest {
        [b'1', b'.', minor @ (b'0' | b'1'), b' ' | b'\t', digits @ ..] => match status(digits) {
            Some(status) => Ok((10 + (minor - b'0'), status)),
            None => Err(wrong("Unsupported HTTP/1 subversion in response")),
        },
        [b'1', ..] => Err(wrong("Unsupported HTTP/1 subversion in response")),
        [major @ (b'2' | b'3'), b' ' | b'\t', digits @ ..] => match (status(digits), digits.get(3)) {
            (Some(status), Some(b' ' | b'\t')) => Ok((10 * (major - b'0'), status)),
            _ => Err(wrong("Unsupported HTTP version in response")),
        },
        _ => Err(wrong("Unsupported HTTP version in response")),
    }
}

/// What the Content-Length fields say; the last one counts, and what stands behind its digits does not.
///
/// # Errors
/// Not a number.
pub fn content_length(head: &Head) -> Result<Length, Failure> {
    let Some(value) = head.all("content-length").last() else { return Ok(Length::Unknown) };
    let digits: String = value.chars().take_while(char::is_ascii_digit).collect();
    if digits.is_empty() {
        return Err(Failure::new(Code::WeirdReply, "Invalid Content-Length: value"));
    }
    let length = digits.parse::<u64>().ok().filter(|length| i64::try_from(*length).is_ok());
    Ok(length.map_or(Length::Overflow, Length::Bytes))
}

/// The length of a body as its head has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Not told: it ends with the connection.
    Unknown,
    /// So many bytes.
    Bytes(u64),
    /// A number too large to be one; the body ends with the connection.
    Overflow,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines() {
        assert_eq!(status_line(b"HTTP/1.1 200 OK"), Ok((11, 200)));
        assert_eq!(status_line(b"HTTP/1.0 404"), Ok((10, 404)));
        assert_eq!(status_line(b"HTTP/2 204 \r\n"), Ok((20, 204)));
        assert_eq!(status_line(b"HTTP/1.1 2000"), Ok((11, 200)));
        assert_eq!(status_line(b"http/1.1 404 No"), Ok((10, 200)));
        for bad in ["HTTP/1.1 20 OK", "HTTP/1.2 200 OK", "HTTP/9 200", "HTTP/1.1  200", "HTTP/2 200", "HTTP/1.1 2\x000"]
        {
            assert!(status_line(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn lines_of_a_head() {
        let mut head = Head::default();
        head.add(b"A:  b ").unwrap();
        head.add(b"\tc").unwrap();
        head.add(b"a: 2").unwrap();
        assert_eq!(head.all("A").collect::<Vec<_>>(), ["b\tc", "2"]);
        assert!(head.add(b"no colon").is_err() && head.add(b"a: \0").is_err());
        assert!(Head::default().add(b" x").is_err());
    }

    #[test]
    fn lengths() {
        let head = |values: &[&str]| Head {
            fields: values.iter().map(|v| Field { name: "Content-Length".into(), value: (*v).into() }).collect(),
            ..Head::default()
        };
        assert_eq!(content_length(&head(&["5", "6"])), Ok(Length::Bytes(6)));
        assert_eq!(content_length(&head(&["5x"])), Ok(Length::Bytes(5)));
        assert_eq!(content_length(&head(&[])), Ok(Length::Unknown));
        assert_eq!(content_length(&head(&["99999999999999999999"])), Ok(Length::Overflow));
        for bad in [&["-1"][..], &["x"], &[""]] {
            assert!(content_length(&head(bad)).is_err());
        }
    }
}
