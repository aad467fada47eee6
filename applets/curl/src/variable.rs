//! `--variable` and `--expand-OPTION` (curl(1), "VARIABLES"): values from the command line, files and the environment,
//! put in place of `{{name:function}}`.

use std::os::unix::ffi::OsStrExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use netkit_core::text::printable;

use crate::apply::read_file;
use crate::args::{Parser, Problem};

/// A name is shorter than this.
const MAX_NAME: usize = 128;
/// Largest expansion, in bytes.
const MAX_EXPANSION: usize = 10_000_000;

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// A range of bytes, as `[N-M]`, `[N-]` or nothing; and what follows it.
fn range(text: &str) -> Result<(usize, usize, &str), Problem> {
    let inner = match text.strip_prefix('[') {
        Some(inner) if inner.starts_with(|c: char| c.is_ascii_digit()) => inner,
        _ => return Ok((0, usize::MAX, text)),
    };
    let bad = || Problem::Other("syntax error in --variable argument".to_owned());
    let (inner, rest) = inner.split_once(']').ok_or_else(bad)?;
    let (from, to) = inner.split_once('-').ok_or_else(bad)?;
    let from = from.parse().map_err(|_| bad())?;
    let to = if to.is_empty() { usize::MAX } else { to.parse().map_err(|_| bad())? };
    if from > to { Err(bad()) } else { Ok((from, to, rest)) }
}

/// `[%]NAME`, then nothing, `=CONTENT` or `@FILE`.
pub(crate) fn set(parser: &mut Parser, text: &str) -> Result<(), Problem> {
    let (import, rest) = match text.strip_prefix('%') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let end = rest.bytes().position(|byte| !is_name(byte)).unwrap_or(rest.len());
    let (name, rest) = rest.split_at_checked(end).unwrap_or((rest, ""));
    if name.is_empty() || name.len() >= MAX_NAME {
        parser.warnings.push(format!("Bad variable name length ({}), skipping", name.len()));
        return Ok(());
    }
    let environment = if import { std::env::var_os(name) } else { None };
    if import && rest.is_empty() && environment.is_none() {
        parser.errors.push(format!("Variable '{name}' import fail, not set"));
        return Err(Problem::Other("expansion failure".to_owned()));
    }
    let (from, to, rest) = range(rest)?;
    let whole = if let Some(value) = environment {
        value.as_bytes().to_vec()
    } else if let Some(file) = rest.strip_prefix('@') {
        read_file(file).map_err(|error| {
            let why = netkit_core::text::printable(&crate::net::strerror(&error));
            parser.errors.push(format!("Failed to open {}: {why}", printable(file)));
            Problem::Read
        })?
    } else if let Some(content) = rest.strip_prefix('=') {
        content.as_bytes().to_vec()
    } else {
        parser.warnings.push(format!("Bad --variable syntax, skipping: {}", printable(text)));
        return Ok(());
    };
    let end = to.saturating_add(1).min(whole.len());
    let content = whole.get(from..end).unwrap_or_default().to_vec();
    parser.variables.retain(|(known, _)| known != name);
    parser.variables.push((name.to_owned(), content));
    Ok(())
}

/// The text with its variables filled in; nothing when it holds none.
pub(crate) fn expand(parser: &mut Parser, text: &str) -> Result<Option<String>, Problem> {
    let failure = || Problem::Other("expansion failure".to_owned());
    let mut out: Vec<u8> = Vec::new();
    let mut added = false;
    let mut line = text;
    while let Some((before, after)) = line.split_once("{{") {
        if let Some(verbatim) = before.strip_suffix('\\') {
            out.extend_from_slice(verbatim.as_bytes());
            out.extend_from_slice(b"{{");
            line = after;
            continue;
        }
        let Some((inside, rest)) = after.split_once("}}") else {
            parser.warnings.push(format!("missing close '}}}}' in '{}'", printable(text)));
            break;
        };
        let (name, functions) = match inside.split_once(':') {
            Some((name, functions)) => (name, Some(functions)),
            None => (inside, None),
        };
        if name.is_empty() || name.len() >= MAX_NAME {
            parser.warnings.push(format!("bad variable name length '{}'", printable(text)));
            out.extend_from_slice(format!("{before}{{{{{inside}}}}}").as_bytes());
        } else if !name.bytes().all(is_name) {
            parser.warnings.push(format!("bad variable name: {}", printable(name)));
            out.extend_from_slice(format!("{before}{{{{{inside}}}}}").as_bytes());
        } else {
            out.extend_from_slice(before.as_bytes());
            let known = parser.variables.iter().find(|(known, _)| known == name);
            let mut value = known.map(|(_, value)| value.clone()).unwrap_or_default();
            for function in functions.into_iter().flat_map(|list| list.split(':')) {
                let Some(changed) = apply(function, &value) else {
                    let rest = functions.unwrap_or_default();
                    parser.errors.push(format!("unknown variable function in '{}}}}}'", printable(rest)));
                    return Err(failure());
                };
                value = changed;
            }
            if value.contains(&0) {
                parser.errors.push("variable contains null byte".to_owned());
                return Err(failure());
            }
            out.extend(value);
            added = true;
        }
        if out.len() > MAX_EXPANSION {
            return Err(failure());
        }
        line = rest;
    }
    out.extend_from_slice(line.as_bytes());
    Ok(added.then(|| String::from_utf8_lossy(&out).into_owned()))
}

fn apply(function: &str, value: &[u8]) -> Option<Vec<u8>> {
    Some(match function {
        "trim" => {
            let blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
            let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
            let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |at| at + 1);
            value.get(start..end).unwrap_or_default().to_vec()
        }
        "json" => json(value),
        "url" => netkit_http::url::percent_encode(value).into_bytes(),
        "b64" => STANDARD.encode(value).into_bytes(),
        "64dec" => match STANDARD.decode(value) {
            Ok(bytes) if !value.is_empty() => bytes,
            _ => b"[64dec-fail]".to_vec(),
        },
        _ => return None,
    })
}

/// What stands between the quotation marks of a JSON string (RFC 8259 section 7).
fn json(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for byte in value {
        let letter = match byte {
            b'\\' | b'"' => *byte,
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0..0x20 => {
                out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                continue;
            }
            _ => {
                out.push(*byte);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', letter]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(variables: &[&str], text: &str) -> Result<Option<String>, Problem> {
        let mut parser = Parser::new(None, 0);
        for variable in variables {
            set(&mut parser, variable)?;
        }
        expand(&mut parser, text)
    }

    #[test]
    fn values_and_functions() {
        let all = ["a=one two", "b= x ", "c=say \"hi\"\n", "d=aGk=", "e[1-2]=wxyz", "f[2-]=wxyz", "g[9-]=wxyz"];
        for (text, wanted) in [
            ("<{{a}}>", "<one two>"),
            ("{{a:url}}", "one%20two"),
            ("[{{b:trim}}]", "[x]"),
            ("{{c:json}}", "say \\\"hi\\\"\\n"),
            ("{{a:b64}}", "b25lIHR3bw=="),
            ("{{b:trim:b64:url}}", "eA%3D%3D"),
            ("{{d:64dec}}", "hi"),
            ("{{a:64dec}}", "[64dec-fail]"),
            ("{{e}}{{f}}{{g}}.", "xyyz."),
            ("{{nosuch}}", ""),
            ("\\{{a}}{{b:trim}}", "{{a}}x"),
            ("{{a b}}{{b:trim}}", "{{a b}}x"),
        ] {
            assert_eq!(expanded(&all, text).unwrap().as_deref(), Some(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_left_alone_and_what_fails() {
        for text in ["plain", "\\{{a}}", "{{a", "{{}}", "{{a-b}}"] {
            assert_eq!(expanded(&["a=1"], text).unwrap(), None, "{text}");
        }
        assert!(expanded(&["a=1"], "{{a:nosuch}}").is_err());
        assert!(expanded(&["%NETKIT_SURELY_NOT_SET"], "").is_err());
        assert!(expanded(&["a[3-1]=x"], "").is_err());
        assert_eq!(expanded(&["%NETKIT_SURELY_NOT_SET=d"], "{{NETKIT_SURELY_NOT_SET}}").unwrap().as_deref(), Some("d"));
    }
}
