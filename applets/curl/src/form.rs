//! `-F`: a multipart form (RFC 7578), and the bytes it becomes.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use netkit_dns::random::random_u64;

use crate::args::Problem;
use crate::body::Segment;
use crate::config::{Content, Part};

/// Reads the value of `-F`, or with `special` off that of `--form-string`.
pub(crate) fn part(value: &str, special: bool) -> Result<Part, Problem> {
    let bad = || Problem::Other("is badly used here".to_owned());
    let (name, rest) = value.split_once('=').ok_or_else(bad)?;
    let name = name.to_owned();
    if !special {
        return Ok(Part { name, content: Content::Bytes(rest.as_bytes().to_vec()), ..Part::default() });
    }
    if rest.starts_with('(') || (rest == ")" && name.is_empty()) {
        return Err(Problem::Refused("nested multiparts are not offered in -F"));
    }
    if let Some(files) = rest.strip_prefix('@') {
        let mut parts = Vec::new();
        let mut left = files;
        loop {
            let (path, after) = word(left, ";,");
            let mut part = Part { content: Content::File(path.clone()), ..Part::default() };
            let behind = parameters(&mut part, after, true)?;
            let base = if path == "-" { "-".to_owned() } else { base_name(&path) };
            part.filename.get_or_insert(base);
            part.kind.get_or_insert_with(|| kind(&path).to_owned());
            parts.push(part);
            match behind.strip_prefix(',') {
                Some(more) => left = more,
                None => break,
            }
        }
        return Ok(match <[Part; 1]>::try_from(parts) {
            Ok([only]) => Part { name, ..only },
            Err(parts) => Part { name, parts, ..Part::default() },
        });
    }
    let file = rest.strip_prefix('<');
    let (content, after) = match file {
        Some(file) => word(file, ";"),
        None => word(rest, ";"),
    };
    let content = if file.is_some() { Content::File(content) } else { Content::Bytes(content.into_bytes()) };
    let mut part = Part { name, content, ..Part::default() };
    parameters(&mut part, after, false)?;
    Ok(part)
}

/// A word up to one of the separators, perhaps in quotation marks.
fn word<'a>(text: &'a str, separators: &str) -> (String, &'a str) {
    let trimmed = text.trim_start();
    if let Some(quoted) = trimmed.strip_prefix('"') {
        let mut out = String::new();
        let mut chars = quoted.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some((_, c @ ('"' | '\\'))) => out.push(c),
                    Some((_, c)) => {
                        out.push('\\');
                        out.push(c);
                    }
                    None => {}
                },
                '"' => {
                    let rest = quoted.get(at + 1..).unwrap_or("").trim_start();
                    if rest.is_empty() || rest.starts_with(|c| separators.contains(c)) {
                        return (out, rest);
                    }
                    break;
                }
                c => out.push(c),
            }
        }
    }
    let end = text.find(|c| separators.contains(c)).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    (word.to_owned(), rest)
}

/// `;type=`, `;filename=`, `;headers=`, `;encoder=`; what is none of these belongs to the content.
fn parameters<'a>(part: &mut Part, mut rest: &'a str, files: bool) -> Result<&'a str, Problem> {
    let separators = if files { ";," } else { ";" };
    while let Some(after) = rest.strip_prefix(';') {
        let text = after.trim_start();
        if let Some(value) = text.strip_prefix("type=") {
            // A content type may have parameters of its own.
            let (mut kind, mut behind) = word(value, separators);
            while let Some(more) = behind.strip_prefix(';') {
                let known = ["filename=", "headers=", "encoder=", "type="];
                if known.iter().any(|name| more.trim_start().starts_with(name)) {
                    break;
                }
                let (parameter, next) = word(more, separators);
                let _ = write!(kind, ";{parameter}");
                behind = next;
            }
            part.kind = Some(kind.trim_end().to_owned());
            rest = behind;
        } else if let Some(value) = text.strip_prefix("filename=") {
            let (name, behind) = word(value, separators);
            part.filename = Some(name);
            rest = behind;
        } else if let Some(value) = text.strip_prefix("headers=") {
            let (lines, behind) = match value.strip_prefix(['@', '<']) {
                Some(file) => {
                    let (file, behind) = word(file, separators);
                    let bytes = crate::apply::read_file(&file).map_err(|_| Problem::Read)?;
                    (String::from_utf8_lossy(&bytes).into_owned(), behind)
                }
                None => word(value, separators),
            };
            part.headers
                .extend(lines.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned));
            rest = behind;
        } else if let Some(value) = text.strip_prefix("encoder=") {
            let (name, behind) = word(value, separators);
            if !["binary", "8bit", "7bit", "base64"].contains(&name.as_str()) {
                return Err(Problem::Other(format!(
                    "encoder {name} is not offered; binary, 8bit, 7bit and base64 are"
                )));
            }
            part.encoder = Some(name);
            rest = behind;
        } else {
            let (more, behind) = word(after, separators);
            match &mut part.content {
                Content::Bytes(bytes) => {
                    bytes.push(b';');
                    bytes.extend_from_slice(more.as_bytes());
                }
                Content::File(_) if more.trim().is_empty() => {}
                Content::File(_) => return Err(Problem::Other(format!("skip unknown form field: {more}"))),
            }
            rest = behind;
        }
    }
    Ok(rest)
}

fn base_name(path: &str) -> String {
    Path::new(path).file_name().map_or_else(|| path.to_owned(), |name| name.to_string_lossy().into_owned())
}

/// The content type a file name stands for, as libcurl guesses it.
fn kind(path: &str) -> &'static str {
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
    let found = KINDS.iter().find(|(ending, _)| lower.ends_with(ending));
    found.map_or("application/octet-stream", |(_, kind)| kind)
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

/// The whole form as segments to send one after the other.
pub(crate) fn segments(parts: &[Part], boundary: &str, escape: bool, place: &str) -> Result<Vec<Segment>, String> {
    let mut out = Vec::new();
    compose(parts, boundary, escape, place, &mut out)?;
    Ok(out)
}

fn compose(parts: &[Part], boundary: &str, escape: bool, place: &str, out: &mut Vec<Segment>) -> Result<(), String> {
    for part in parts {
        let mut head = format!("--{boundary}\r\nContent-Disposition: {place}");
        if place == "form-data" || !part.name.is_empty() {
            let _ = write!(head, "; name=\"{}\"", escaped(&part.name, escape));
        }
        if let Some(filename) = part.filename.as_ref().filter(|_| part.parts.is_empty()) {
            let _ = write!(head, "; filename=\"{}\"", escaped(filename, escape));
        }
        head.push_str("\r\n");
        let own_type = part.headers.iter().any(|line| line.to_ascii_lowercase().starts_with("content-type:"));
        let inner = self::boundary();
        match &part.kind {
            _ if !part.parts.is_empty() => {
                let _ = write!(head, "Content-Type: multipart/mixed; boundary={inner}\r\n");
            }
            Some(kind) if !own_type => {
                let _ = write!(head, "Content-Type: {kind}\r\n");
            }
            _ => {}
        }
        if let Some(encoder) = &part.encoder {
            let _ = write!(head, "Content-Transfer-Encoding: {encoder}\r\n");
        }
        for line in &part.headers {
            let _ = write!(head, "{line}\r\n");
        }
        head.push_str("\r\n");
        out.push(Segment::Bytes(head.into_bytes()));
        if part.parts.is_empty() {
            out.push(content(part)?);
        } else {
            compose(&part.parts, &inner, escape, "attachment", out)?;
        }
        out.push(Segment::Bytes(b"\r\n".to_vec()));
    }
    out.push(Segment::Bytes(format!("--{boundary}--\r\n").into_bytes()));
    Ok(())
}

fn content(part: &Part) -> Result<Segment, String> {
    let encode = part.encoder.as_deref() == Some("base64");
    let seven_bits = part.encoder.as_deref() == Some("7bit");
    match &part.content {
        Content::Bytes(bytes) if encode => Ok(Segment::Bytes(base64_lines(bytes))),
        Content::Bytes(bytes) if seven_bits && !bytes.is_ascii() => Err("7bit content holds other bytes".to_owned()),
        Content::Bytes(bytes) => Ok(Segment::Bytes(bytes.clone())),
        Content::File(path) => {
            let filename_missing = part.filename.is_none();
            if path == "-" || filename_missing || encode {
                let bytes = crate::apply::read_file(path)
                    .map_err(|_| "Failed to open/read local data from file/application".to_owned())?;
                return Ok(Segment::Bytes(if encode { base64_lines(&bytes) } else { bytes }));
            }
            Ok(Segment::File(path.clone()))
        }
    }
}

/// 76 characters a line (RFC 2045, section 6.8).
fn base64_lines(bytes: &[u8]) -> Vec<u8> {
    let text = base64::engine::general_purpose::STANDARD.encode(bytes).into_bytes();
    text.chunks(76).collect::<Vec<_>>().join(&b"\r\n"[..])
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

    fn bytes(value: &str) -> String {
        let segments = segments(&[part(value, true).unwrap()], "B", false, "form-data").unwrap();
        let mut out = Vec::new();
        for segment in segments {
            match segment {
                Segment::Bytes(bytes) => out.extend(bytes),
                Segment::File(path) => out.extend(format!("<{path}>").into_bytes()),
            }
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn forms() {
        assert_eq!(
            bytes("a=b;type=text/x; charset=y"),
            "--B\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Type: text/x; charset=y\r\n\r\nb\r\n--B--\r\n"
        );
        let file = bytes("f=@/x/y.PNG;filename=\"q\\\"z\"");
        assert!(file.contains("filename=\"q%22z\"\r\nContent-Type: image/png\r\n\r\n</x/y.PNG>"), "{file}");
        assert!(bytes("f=@/a,/b").contains("multipart/mixed"));
        assert!(bytes("f=x;y").contains("\r\n\r\nx;y\r\n"));
        assert!(part("novalue", true).is_err());
        assert!(part("a=(;x", true).is_err());
        assert_eq!(boundary().len(), 46);
    }
}
