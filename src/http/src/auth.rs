//! Basic (RFC 7617) and Digest (RFC 7616) authentication.

use base64::Engine as _;
use md5::{Digest as _, Md5};
use netkit_core::text::hex;
use sha2::{Sha256, Sha512_256};

/// `Basic` credentials.
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

/// A digest challenge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    /// Protection space.
    pub realm: String,
    /// The server's nonce.
    pub nonce: String,
    /// Returned unchanged.
    pub opaque: Option<String>,
    /// As named by the server; `None` means MD5.
    pub algorithm: Option<String>,
    /// Whether `auth` is among the offered qualities.
    pub auth: bool,
    /// Whether any quality was named.
    pub qop: bool,
    /// The nonce was too old, the password was right.
    pub stale: bool,
    /// The user name is to be hashed.
    pub userhash: bool,
}

/// The challenges of one WWW-Authenticate or Proxy-Authenticate field: scheme and parameters.
pub fn challenges(value: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut out: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut rest = value;
    while !rest.is_empty() && out.len() < 32 {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if word.is_empty() && after.is_empty() {
            break;
        }
        if let Some(value) = after.trim_start().strip_prefix('=').filter(|_| !out.is_empty()) {
            let (value, behind) = parameter(value.trim_start());
            if let Some((_, parameters)) = out.last_mut() {
                parameters.push((word.to_ascii_lowercase(), value));
            }
            rest = behind;
        } else {
            out.push((word.to_owned(), Vec::new()));
            rest = after.strip_prefix('=').unwrap_or(after);
        }
    }
    out
}

fn parameter(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        let (value, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, quoted.get(at + 1..).unwrap_or("")),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

impl Challenge {
    /// The first digest challenge whose algorithm we know, among the fields of a response.
    pub fn find<'a>(fields: impl Iterator<Item = &'a str>) -> Option<Challenge> {
        for field in fields {
            for (scheme, parameters) in challenges(field) {
                if !scheme.eq_ignore_ascii_case("digest") {
                    continue;
                }
                let mut challenge = Challenge::default();
                for (key, value) in parameters {
                    match key.as_str() {
                        "realm" => challenge.realm = value,
                        "nonce" => challenge.nonce = value,
                        "opaque" => challenge.opaque = Some(value),
                        "algorithm" => challenge.algorithm = Some(value),
                        "stale" => challenge.stale = value.eq_ignore_ascii_case("true"),
                        "userhash" => challenge.userhash = value.eq_ignore_ascii_case("true"),
                        "qop" => {
                            challenge.qop = true;
                            challenge.auth = value.split(',').any(|word| word.trim().eq_ignore_ascii_case("auth"));
                        }
                        _ => {}
                    }
                }
                if !challenge.nonce.is_empty() && challenge.hash("").is_some() {
                    return Some(challenge);
                }
            }
        }
        None
    }

    fn hash(&self, text: &str) -> Option<String> {
        let name = self.algorithm.as_deref().unwrap_or("MD5").to_ascii_lowercase();
        let name = name.strip_suffix("-sess").unwrap_or(&name);
        Some(match name {
            "md5" => hex(&Md5::digest(text)),
            "sha-256" => hex(&Sha256::digest(text)),
            "sha-512-256" => hex(&Sha512_256::digest(text)),
            _ => return None,
        })
    }

    /// The credentials that answer it.
    pub fn answer(&self, user: &str, password: &str, method: &str, uri: &str, count: u32, cnonce: &str) -> String {
        let hash = |text: &str| self.hash(text).unwrap_or_default();
        let session = self.algorithm.as_deref().is_some_and(|name| name.to_ascii_lowercase().ends_with("-sess"));
        let shown = if self.userhash { hash(&format!("{user}:{}", self.realm)) } else { escaped(user) };
        let mut ha1 = hash(&format!("{user}:{}:{password}", self.realm));
        if session {
            ha1 = hash(&format!("{ha1}:{}:{cnonce}", self.nonce));
        }
        let ha2 = hash(&format!("{method}:{uri}"));
        let response = if self.auth {
            hash(&format!("{ha1}:{}:{count:08x}:{cnonce}:auth:{ha2}", self.nonce))
        } else {
            hash(&format!("{ha1}:{}:{ha2}", self.nonce))
        };
        let mut out = format!(
            "Digest username=\"{shown}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", ",
            escaped(&self.realm),
            escaped(&self.nonce)
        );
        if self.auth {
            out.push_str(&format!("cnonce=\"{cnonce}\", nc={count:08x}, qop=auth, "));
        }
        out.push_str(&format!("response=\"{response}\""));
        if let Some(opaque) = &self.opaque {
            out.push_str(&format!(", opaque=\"{}\"", escaped(opaque)));
        }
        if let Some(algorithm) = &self.algorithm {
            out.push_str(&format!(", algorithm={algorithm}"));
        }
        if self.userhash {
            out.push_str(", userhash=true");
        }
        out
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_7616() {
        // Section 3.9.1.
        let field = "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=MD5, \
                     nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
        let challenge = Challenge::find([field].into_iter()).unwrap();
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let answer = challenge.answer("Mufasa", "Circle of Life", "GET", "/dir/index.html", 1, cnonce);
        assert!(answer.contains("response=\"8ca523f5e9506fed4657c9700eebdbec\""), "{answer}");
        let sha = field.replace("MD5", "SHA-256");
        let challenge = Challenge::find([sha.as_str()].into_iter()).unwrap();
        let answer = challenge.answer("Mufasa", "Circle of Life", "GET", "/dir/index.html", 1, cnonce);
        assert!(answer.contains("753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"), "{answer}");
    }

    #[test]
    fn several_in_one_field() {
        let list = challenges("Basic realm=\"a, b\", Digest nonce=x, realm=\"\\\"q\", Negotiate");
        assert_eq!(list.len(), 3);
        assert_eq!(list[1].1[1], ("realm".to_owned(), "\"q".to_owned()));
        assert_eq!(basic("a", "b"), "Basic YTpi");
    }

    proptest! {
        #[test]
        fn any_field(field in ".{0,100}") {
            let _ = challenges(&field);
        }
    }
}
