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
    /// `auth` where it is offered, else `auth-int` where that is; `None` without either.
    pub qop: Option<&'static str>,
    /// The nonce was too old, the password was right.
    pub stale: bool,
    /// The user name is to be hashed.
    pub userhash: bool,
}

/// The schemes of one WWW-Authenticate or Proxy-Authenticate field, each with what follows its name. Every comma may begin
/// another one, so words that are no scheme are among them.
pub fn schemes(value: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let text = rest?.trim_start();
        rest = text.split_once(',').map(|(_, after)| after);
        let end = text.find(|c: char| c.is_whitespace() || c == ',').unwrap_or(text.len());
        text.split_at_checked(end)
    })
    .filter(|(word, _)| !word.is_empty())
}

/// `name=value` at the start of the text, and what is behind it (RFC 9110, section 11.4; without blanks around the sign).
fn pair(text: &str) -> Option<(&str, String, &str)> {
    let (name, rest) = text.split_once('=')?;
    let mut value = String::new();
    let Some(quoted) = rest.strip_prefix('"') else {
        let end = rest.find([',', '\r', '\n']).unwrap_or(rest.len());
        let (word, behind) = rest.split_at_checked(end)?;
        // A quotation mark may only stand around the whole.
        return (!word.contains('"')).then(|| (name, word.to_owned(), behind.strip_prefix(',').unwrap_or(behind)));
    };
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((name, value, quoted.get(at + 1..).unwrap_or(""))),
            '\r' | '\n' => return None,
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    Some((name, value, ""))
}

impl Challenge {
    /// The parameters of a digest challenge; `None` when it is one that cannot be answered.
    pub fn parse(text: &str) -> Option<Challenge> {
        let mut challenge = Challenge::default();
        let mut rest = text.trim_start_matches([' ', '\t']);
        while let Some((name, value, behind)) = pair(rest) {
            match name.to_ascii_lowercase().as_str() {
                "realm" => challenge.realm = value,
                "nonce" => challenge.nonce = value,
                "opaque" => challenge.opaque = Some(value),
                "algorithm" => challenge.algorithm = Some(value),
                "stale" => challenge.stale = value.eq_ignore_ascii_case("true"),
                "userhash" => challenge.userhash = value.eq_ignore_ascii_case("true"),
                "qop" => {
                    let offers = |wanted: &str| value.split(',').any(|word| word.trim().eq_ignore_ascii_case(wanted));
                    challenge.qop = ["auth", "auth-int"].into_iter().find(|wanted| offers(wanted));
                }
                _ => {}
            }
            rest = behind.trim_start_matches([' ', '\t']);
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start_matches([' ', '\t']);
        }
        let usable = !challenge.nonce.is_empty()
            && challenge.hash("").is_some()
            && !(challenge.qop.is_none() && challenge.is_session());
        usable.then_some(challenge)
    }

    fn is_session(&self) -> bool {
        self.algorithm.as_deref().is_some_and(|name| name.to_ascii_lowercase().ends_with("-sess"))
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
        let shown = if self.userhash { hash(&format!("{user}:{}", self.realm)) } else { escaped(user) };
        let mut ha1 = hash(&format!("{user}:{}:{password}", self.realm));
        if self.is_session() {
            ha1 = hash(&format!("{ha1}:{}:{cnonce}", self.nonce));
        }
        // With auth-int the digest of an empty body stands for any: requests with one are not covered, as in libcurl.
        let ha2 = match self.qop {
            Some("auth-int") => hash(&format!("{method}:{uri}:{}", hash(""))),
            _ => hash(&format!("{method}:{uri}")),
        };
        let response = match self.qop {
            Some(qop) => hash(&format!("{ha1}:{}:{count:08x}:{cnonce}:{qop}:{ha2}", self.nonce)),
            None => hash(&format!("{ha1}:{}:{ha2}", self.nonce)),
        };
        let mut out = format!(
            "Digest username=\"{shown}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", ",
            escaped(&self.realm),
            escaped(&self.nonce)
        );
        if let Some(qop) = self.qop {
            out.push_str(&format!("cnonce=\"{cnonce}\", nc={count:08x}, qop={qop}, "));
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
        let field = "realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=MD5, \
                     nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
        let challenge = Challenge::parse(field).unwrap();
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let answer = challenge.answer("Mufasa", "Circle of Life", "GET", "/dir/index.html", 1, cnonce);
        assert!(answer.contains("response=\"8ca523f5e9506fed4657c9700eebdbec\""), "{answer}");
        let sha = field.replace("MD5", "SHA-256");
        let challenge = Challenge::parse(&sha).unwrap();
        let answer = challenge.answer("Mufasa", "Circle of Life", "GET", "/dir/index.html", 1, cnonce);
        assert!(answer.contains("753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"), "{answer}");
    }

    #[test]
    fn several_in_one_field() {
        let list: Vec<_> = schemes("Basic realm=\"a, b\", Digest nonce=x, realm=\"\\\"q\", Negotiate").collect();
        assert_eq!(list[0].0, "Basic");
        let digest = list.iter().find(|(scheme, _)| *scheme == "Digest").unwrap();
        assert_eq!(Challenge::parse(digest.1).unwrap().realm, "\"q");
        assert_eq!(list.last().unwrap().0, "Negotiate");
        assert_eq!(basic("a", "b"), "Basic YTpi");
        assert_eq!(Challenge::parse("nonce=x, qop=\"auth-int\"").unwrap().qop, Some("auth-int"));
        for bad in ["realm=x", "nonce=x, algorithm=MD5-sess", "nonce=x, algorithm=other", "nonce = x", "nonce=x\"y"] {
            assert_eq!(Challenge::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_field(field in ".{0,100}") {
            for (_, rest) in schemes(&field) {
                let _ = Challenge::parse(rest);
            }
        }
    }
}
