//! URLs as curl reads them: a superset of RFC 3986 that guesses a missing scheme, takes one to three slashes, decodes
//! the host, reads numbers as IPv4 addresses and removes dot segments.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::failure::{Code, Failure};

/// Longest URL taken, in bytes; the limit of libcurl's strings.
const MAX: usize = 8_000_000;

/// The parts of a URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Url {
    /// Lower case.
    pub scheme: String,
    /// Whether the scheme was missing and `http` assumed.
    pub guessed: bool,
    /// User, percent-encoded as written.
    pub user: Option<String>,
    /// Password, percent-encoded as written.
    pub password: Option<String>,
    /// Host without brackets and without zone.
    pub host: String,
    /// Zone of a link-local IPv6 address.
    pub zone: Option<String>,
    /// Whether the host is an IPv6 literal.
    pub ipv6: bool,
    /// Port as written.
    pub port: Option<u16>,
    /// Begins with a slash.
    pub path: String,
    /// Without the question mark.
    pub query: Option<String>,
    /// Without the hash sign.
    pub fragment: Option<String>,
}

fn rejected(why: &str) -> Failure {
    Failure::new(Code::UrlMalformat, format!("URL rejected: {why}"))
}

/// The port a scheme stands for.
pub fn default_port(scheme: &str) -> Option<u16> {
    Some(match scheme {
        "http" | "ws" => 80,
        "https" | "wss" => 443,
        "ftp" => 21,
        "socks4" | "socks4a" | "socks5" | "socks5h" => 1080,
        _ => return None,
    })
}

impl Url {
    /// Reads a URL.
    ///
    /// # Errors
    /// With curl's sentence for what is wrong.
    pub fn parse(text: &str, path_as_is: bool) -> Result<Url, Failure> {
        if text.len() > MAX {
            return Err(rejected("Malformed input to a URL function"));
        }
        if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Err(rejected("Malformed input to a URL function"));
        }
        let encoded = above_ascii(text);
        let text = encoded.as_str();
        let mut url = Url::default();
        let (scheme, rest) = split_scheme(text);
        let rest = match scheme {
            Some(scheme) => {
                url.scheme = scheme.to_ascii_lowercase();
                let slashes = rest.bytes().take_while(|byte| *byte == b'/').count();
                if url.scheme == "file" {
                    return Url::file(url, rest);
                }
                if !(1..=3).contains(&slashes) {
                    return Err(rejected("Bad scheme"));
                }
                rest.get(slashes..).unwrap_or("")
            }
            None => {
                url.guessed = true;
                text.strip_prefix("//").unwrap_or(text)
            }
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
        url.authority(authority)?;
        if url.scheme.is_empty() {
            url.scheme = guess(&url.host).to_owned();
        }
        url.tail(tail, path_as_is);
        Ok(url)
    }

    fn file(mut url: Url, rest: &str) -> Result<Url, Failure> {
        let path = rest.strip_prefix("//").unwrap_or(rest);
        let path = if path.starts_with('/') {
            path
        } else {
            path.strip_prefix("localhost/")
                .or_else(|| path.strip_prefix("127.0.0.1/"))
                .map_or("", |_| path.find('/').and_then(|at| path.get(at..)).unwrap_or(""))
        };
        if path.is_empty() {
            return Err(rejected("Bad file:// URL"));
        }
        url.tail(path, false);
        Ok(url)
    }

    fn tail(&mut self, tail: &str, path_as_is: bool) {
        let (rest, fragment) = match tail.split_once('#') {
            Some((rest, fragment)) => (rest, Some(fragment.to_owned())),
            None => (tail, None),
        };
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (rest, None),
        };
        self.fragment = fragment;
        self.query = query;
        self.path = match path {
            "" => "/".to_owned(),
            path if path_as_is => path.to_owned(),
            path => without_dots(path),
        };
    }

    fn authority(&mut self, text: &str) -> Result<(), Failure> {
        // Where two at signs stand, the first one ends the login, as libcurl cuts it.
        let host = match text.split_once('@') {
            Some((login, host)) => {
                let (user, password) = match login.split_once(':') {
                    Some((user, password)) => (user, Some(password.to_owned())),
                    None => (login, None),
                };
                self.user = Some(user.to_owned());
                self.password = password;
                host
            }
            None => text,
        };
        let (host, port) = if let Some(inner) = host.strip_prefix('[') {
            let (inner, after) = inner.split_once(']').ok_or_else(|| rejected("Bad IPv6 address"))?;
            self.ipv6 = true;
            let (address, zone) = match inner.split_once('%') {
                Some((address, zone)) => (address, Some(zone.strip_prefix("25").unwrap_or(zone).to_owned())),
                None => (inner, None),
            };
            let address: Ipv6Addr = address.parse().map_err(|_| rejected("Bad IPv6 address"))?;
            self.zone = zone;
            self.host = address.to_string();
            match after.strip_prefix(':') {
                Some(port) => ("", Some(port)),
                None if after.is_empty() => ("", None),
                None => return Err(bad_port()),
            }
        } else {
            match host.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (host, None),
            }
        };
        if let Some(port) = port.filter(|port| !port.is_empty()) {
            if !port.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(bad_port());
            }
            self.port = Some(
                port.trim_start_matches('0')
                    .parse()
                    .or_else(|_| if port.bytes().all(|byte| byte == b'0') { Ok(0) } else { Err(bad_port()) })?,
            );
        } else if port.is_some() && self.guessed {
            return Err(bad_port());
        }
        if self.ipv6 {
            return Ok(());
        }
        let host = String::from_utf8(percent_decode(host)).map_err(|_| rejected("Bad hostname"))?;
        if host.is_empty() {
            return Err(rejected("No host part in the URL"));
        }
        const BAD: &str = " \r\n\t/:#?!@{}[]\\$'\"^`*<>=;,+&()%|";
        if host.chars().any(|c| c.is_control() || BAD.contains(c)) {
            return Err(rejected("Bad hostname"));
        }
        self.host = match loose_v4(&host) {
            Some(address) => address.to_string(),
            None => host,
        };
        Ok(())
    }

    /// The host with brackets where it is an IPv6 address.
    pub fn bracketed(&self) -> String {
        if self.ipv6 { format!("[{}]", self.host) } else { self.host.clone() }
    }

    /// Where to connect: as written, or what the scheme stands for.
    pub fn port_or_default(&self) -> u16 {
        self.port.or_else(|| default_port(&self.scheme)).unwrap_or(80)
    }

    /// Path and query, as they stand in a request line.
    pub fn target(&self) -> String {
        match &self.query {
            Some(query) if self.path.is_empty() => format!("/?{query}"),
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// The whole URL; with `login` the user and password are part of it.
    pub fn text(&self, login: bool, fragment: bool) -> String {
        let mut out = format!("{}://", self.scheme);
        if let (true, Some(user)) = (login, &self.user) {
            out.push_str(user);
            if let Some(password) = &self.password {
                let _ = write!(out, ":{password}");
            }
            out.push('@');
        }
        out.push_str(&match &self.zone {
            Some(zone) => format!("[{}%25{zone}]", self.host),
            None => self.bracketed(),
        });
        if let Some(port) = self.port {
            let _ = write!(out, ":{port}");
        }
        out.push_str(&self.target());
        if let (true, Some(fragment)) = (fragment, &self.fragment) {
            let _ = write!(out, "#{fragment}");
        }
        out
    }

    /// Where `location` leads from here (RFC 3986, section 5), with spaces and bytes above ASCII encoded.
    ///
    /// # Errors
    /// When the result is no URL.
    pub fn join(&self, location: &str, path_as_is: bool) -> Result<Url, Failure> {
        let location = encoded(location);
        if has_scheme(&location) {
            if split_scheme(&location).0.is_none() {
                return Err(rejected("Unsupported number of slashes following scheme"));
            }
            return Url::parse(&location, path_as_is);
        }
        let mut url = self.clone();
        url.fragment = None;
        if let Some(rest) = location.strip_prefix("//") {
            let mut absolute = Url::parse(&format!("{}://{rest}", self.scheme), path_as_is)?;
            absolute.scheme.clone_from(&self.scheme);
            return Ok(absolute);
        }
        if let Some(fragment) = location.strip_prefix('#') {
            url.fragment = Some(fragment.to_owned());
            return Ok(url);
        }
        if location.is_empty() {
            return Ok(url);
        }
        let tail = if location.starts_with('/') {
            location
        } else if location.starts_with('?') {
            format!("{}{location}", self.path)
        } else {
            let base = self.path.rfind('/').and_then(|at| self.path.get(..=at)).unwrap_or("/");
            format!("{base}{location}")
        };
        if tail.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return Err(rejected("Malformed input to a URL function"));
        }
        url.tail(&tail, path_as_is);
        Ok(url)
    }

    /// User and password decoded.
    pub fn login(&self) -> Option<(String, String)> {
        if self.user.is_none() && self.password.is_none() {
            return None;
        }
        let decode = |text: &Option<String>| {
            String::from_utf8_lossy(&percent_decode(text.as_deref().unwrap_or(""))).into_owned()
        };
        Some((decode(&self.user), decode(&self.password)))
    }
}

fn bad_port() -> Failure {
    rejected("Port number was not a decimal number between 0 and 65535")
}

/// The scheme if the text has one, and what follows the colon.
pub fn split_scheme(text: &str) -> (Option<&str>, &str) {
    let Some((scheme, rest)) = text.split_once(':') else { return (None, text) };
    let mut bytes = scheme.bytes();
    let named = bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && scheme.len() <= 40;
    if named && rest.starts_with('/') { (Some(scheme), rest) } else { (None, text) }
}

/// Whether a place to go to names a scheme, slashes or not.
fn has_scheme(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else { return false };
    let mut bytes = scheme.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && scheme.len() <= 40
}

/// The path with bytes above ASCII as percent codes; everything else is left as it is.
fn above_ascii(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let start = text.find("://").map_or(0, |at| at + 3);
    let end = text.get(start..).and_then(|rest| rest.find(['/', '?', '#'])).map_or(text.len(), |at| start + at);
    let (head, tail) = text.split_at_checked(end).unwrap_or((text, ""));
    let path = tail.find(['?', '#']).unwrap_or(tail.len());
    let (path, rest) = tail.split_at_checked(path).unwrap_or((tail, ""));
    let mut out = head.to_owned();
    for byte in path.bytes() {
        if byte.is_ascii() {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02x}");
        }
    }
    out + rest
}

fn guess(host: &str) -> &'static str {
    let host = host.to_ascii_lowercase();
    for (prefix, scheme) in
        [("ftp.", "ftp"), ("dict.", "dict"), ("ldap.", "ldap"), ("imap.", "imap"), ("smtp.", "smtp"), ("pop3.", "pop3")]
    {
        if host.starts_with(prefix) {
            return scheme;
        }
    }
    "http"
}

/// Spaces and bytes above ASCII as percent codes; in the query a space becomes a plus sign.
fn encoded(location: &str) -> String {
    let mut out = String::with_capacity(location.len());
    let mut query = false;
    for byte in location.trim_start_matches(' ').bytes() {
        match byte {
            b' ' if query => out.push('+'),
            b' ' => out.push_str("%20"),
            0x80.. => {
                let _ = write!(out, "%{byte:02x}");
            }
            byte => {
                query |= byte == b'?';
                out.push(char::from(byte));
            }
        }
    }
    out
}

/// RFC 3986, section 5.2.4.
pub fn without_dots(path: &str) -> String {
    if !path.contains('.') && !path.to_ascii_lowercase().contains("%2e") {
        return path.to_owned();
    }
    let mut out: Vec<&str> = Vec::new();
    let body = path.strip_prefix('/').unwrap_or(path);
    let mut parts = body.split('/').peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        match part.to_ascii_lowercase().as_str() {
            "." | "%2e" => {
                if last {
                    out.push("");
                }
            }
            ".." | "%2e%2e" | ".%2e" | "%2e." => {
                out.pop();
                if last {
                    out.push("");
                }
            }
            _ => out.push(part),
        }
    }
    format!("/{}", out.join("/"))
}

/// Bytes of a percent-encoded text; a percent sign without two digits stands for itself.
pub fn percent_decode(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let Some((first, rest)) = bytes.split_first() {
        bytes = rest;
        if let (b'%', [high, low, after @ ..]) = (first, rest)
            && let (Some(high), Some(low)) = (char::from(*high).to_digit(16), char::from(*low).to_digit(16))
        {
            out.push(u8::try_from(high << 4 | low).unwrap_or(0));
            bytes = after;
            continue;
        }
        out.push(*first);
    }
    out
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
pub fn percent_encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// One to four parts, decimal, octal or hexadecimal, the last one filling up (inet_aton(3)).
pub fn loose_v4(text: &str) -> Option<Ipv4Addr> {
    let part = |text: &str| -> Option<u64> {
        let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(digits) => (digits, 16),
            None if text.len() > 1 && text.starts_with('0') => (text, 8),
            None => (text, 10),
        };
        if !digits.bytes().next()?.is_ascii_alphanumeric() {
            return None;
        }
        u32::from_str_radix(digits, radix).ok().map(u64::from)
    };
    let parts: Vec<u64> = text.split('.').take(5).map(part).collect::<Option<_>>()?;
    let (last, leading) = parts.split_last()?;
    let room = u32::try_from(4usize.checked_sub(leading.len())?).ok()?;
    if room == 0 || leading.iter().any(|part| *part > 255) || *last >= 1u64 << (8 * room) {
        return None;
    }
    let high = leading.iter().fold(0u64, |sum, part| sum << 8 | part);
    u32::try_from(high << (8 * room) | last).ok().map(Ipv4Addr::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(url: &str) -> String {
        Url::parse(url, false).map_or_else(|error| error.text, |url| url.text(true, true))
    }

    #[test]
    fn as_curl_reads_them() {
        assert_eq!(text("HTTP://Host:080"), "http://Host:80/");
        assert_eq!(text("a.b/../c/./d?x#y"), "http://a.b/c/d?x#y");
        assert_eq!(text("http:/a"), "http://a/");
        assert_eq!(text("http:////a"), "URL rejected: Bad scheme");
        assert_eq!(text("http://0x7f.1/"), "http://127.0.0.1/");
        assert_eq!(text("http://[::1%25eth0]:8/"), "http://[::1%25eth0]:8/");
        assert_eq!(text("http://u:p@h/"), "http://u:p@h/");
        assert_eq!(text("http://h:99999"), "URL rejected: Port number was not a decimal number between 0 and 65535");
        assert_eq!(text("http://"), "URL rejected: No host part in the URL");
        assert_eq!(text("http://a b/"), "URL rejected: Malformed input to a URL function");
        assert_eq!(text("http://a?b"), "http://a/?b");
        assert_eq!(text("localhost:8080"), "http://localhost:8080/");
    }

    #[test]
    fn relative_places() {
        let base = Url::parse("http://h:1/a/b?c", false).unwrap();
        let join = |place: &str| base.join(place, false).unwrap().text(false, true);
        assert_eq!(join("d"), "http://h:1/a/d");
        assert_eq!(join("/d e?f g"), "http://h:1/d%20e?f+g");
        assert_eq!(join("../x"), "http://h:1/x");
        assert_eq!(join("?q"), "http://h:1/a/b?q");
        assert_eq!(join("//other/x"), "http://other/x");
        assert_eq!(join("https://o"), "https://o/");
    }

    proptest! {
        #[test]
        fn any_text(text in ".{0,60}", other in ".{0,40}") {
            if let Ok(url) = Url::parse(&text, false) {
                let again = Url::parse(&url.text(true, true), true);
                prop_assert!(again.is_ok() || url.scheme == "file", "{:?}", url);
                let _ = url.join(&other, false);
            }
        }
    }
}
