//! Cookies (RFC 6265) in curl's ways, and its file: the Netscape format with `#HttpOnly_` and one line of Set-Cookie.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::date;

/// Most bytes of one Set-Cookie field.
const MAX_LINE: usize = 5000;
/// Most bytes of name and value together.
const MAX_COOKIE: usize = 4096;
/// Most cookies sent in one request.
const MAX_SEND: usize = 150;
/// Most bytes of the Cookie field.
const MAX_HEADER: usize = 8190;
/// Longest life of a cookie (RFC 6265bis, section 5.5), in seconds.
const MAX_LIFE: i64 = 400 * 86_400;

/// One cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
    /// As given, without a leading dot; empty for one that goes everywhere.
    pub domain: String,
    /// Also sent to hosts below the domain.
    pub tail_match: bool,
    /// Where it is valid.
    pub path: String,
    /// Only over TLS.
    pub secure: bool,
    /// Not for scripts.
    pub http_only: bool,
    /// Seconds since the epoch, 0 for the session.
    pub expires: i64,
    /// Came from a server in this run, not from a file.
    pub live: bool,
    order: u64,
}

/// The jar.
#[derive(Clone, Debug, Default)]
pub struct Jar {
    cookies: Vec<Cookie>,
    next: u64,
    /// Cookies without an expiry are left out when files are read (`-j`).
    pub new_session: bool,
}

/// Who asks, or who answered.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Host without brackets.
    pub host: &'a str,
    /// Path of the request.
    pub path: &'a str,
    /// TLS, or loopback by name.
    pub secure: bool,
    /// Seconds since the epoch.
    pub now: i64,
}

impl Jar {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.cookies.is_empty()
    }

    /// Takes the value of a Set-Cookie field. The sentence says what `-v` shows.
    ///
    /// # Errors
    /// Why it was not taken.
    pub fn set(&mut self, line: &str, place: Place<'_>) -> Result<String, String> {
        let cookie = parse(line, place)?;
        let said = format!(
            "{} cookie {}=\"{}\" for domain {}, path {}, expire {}",
            if self.position(&cookie).is_some() { "Replaced" } else { "Added" },
            cookie.name,
            cookie.value,
            cookie.domain,
            cookie.path,
            cookie.expires
        );
        let shadowed = !place.secure
            && self.cookies.iter().any(|other| {
                other.secure
                    && other.name == cookie.name
                    && other.domain.eq_ignore_ascii_case(&cookie.domain)
                    && other.live
                    && cookie.path.starts_with(&other.path)
            });
        if shadowed {
            return Err(format!(
                "cookie '{}' for domain '{}' dropped, would overlay an existing cookie",
                cookie.name, cookie.domain
            ));
        }
        self.add(cookie, place.now);
        Ok(said)
    }

    fn position(&self, cookie: &Cookie) -> Option<usize> {
        self.cookies.iter().position(|other| {
            other.name == cookie.name
                && other.domain.eq_ignore_ascii_case(&cookie.domain)
                && other.tail_match == cookie.tail_match
                && other.path == cookie.path
        })
    }

    fn add(&mut self, mut cookie: Cookie, now: i64) {
        let expired = cookie.expires != 0 && cookie.expires < now;
        let same = self.position(&cookie);
        if let Some(old) = same.and_then(|at| self.cookies.get(at)) {
            if !cookie.live && old.live {
                return;
            }
            cookie.order = old.order;
        } else {
            self.next += 1;
            cookie.order = self.next;
        }
        match same {
            Some(at) if expired => {
                self.cookies.remove(at);
            }
            Some(at) => {
                if let Some(slot) = self.cookies.get_mut(at) {
                    *slot = cookie;
                }
            }
            None if expired => {}
            None => self.cookies.push(cookie),
        }
    }

    /// Reads a cookie file, or a file of response headers.
    pub fn read(&mut self, text: &str, now: i64) {
        for line in text.lines() {
            let line = line.trim_end_matches('\r');
            if let Some(value) = strip_prefix_ignore_case(line, "Set-Cookie:") {
                let place = Place { host: "", path: "", secure: true, now };
                if let Ok(mut cookie) = parse(value.trim(), place) {
                    cookie.live = false;
                    self.add_from_file(cookie, now);
                }
            } else if let Some(cookie) = from_line(line) {
                self.add_from_file(cookie, now);
            }
        }
    }

    fn add_from_file(&mut self, cookie: Cookie, now: i64) {
        if !(self.new_session && cookie.expires == 0) {
            self.add(cookie, now);
        }
    }

    /// Drops what has expired.
    pub fn expire(&mut self, now: i64) {
        self.cookies.retain(|cookie| cookie.expires == 0 || cookie.expires >= now);
    }

    /// The value of the Cookie field for a request, if any cookie fits.
    pub fn header(&mut self, place: Place<'_>) -> Option<String> {
        self.expire(place.now);
        let host = place.host.to_ascii_lowercase();
        let mut fit: Vec<&Cookie> = self
            .cookies
            .iter()
            .filter(|cookie| {
                (!cookie.secure || place.secure)
                    && (cookie.domain.is_empty()
                        || (cookie.tail_match && !is_address(&host) && tail_matches(&host, &cookie.domain))
                        || host.eq_ignore_ascii_case(&cookie.domain))
                    && path_matches(place.path, &cookie.path)
            })
            .collect();
        fit.sort_by_key(|cookie| {
            let longer_first = |text: &str| usize::MAX - text.len();
            (
                longer_first(&cookie.path),
                longer_first(&cookie.domain),
                longer_first(&cookie.name),
                std::cmp::Reverse(cookie.order),
            )
        });
        let mut out = String::new();
        for cookie in fit.into_iter().take(MAX_SEND) {
            if out.len() + cookie.name.len() + cookie.value.len() + 3 > MAX_HEADER {
                break;
            }
            let _ = write!(out, "{}{}={}", if out.is_empty() { "" } else { "; " }, cookie.name, cookie.value);
        }
        (!out.is_empty()).then_some(out)
    }

    /// The file as curl writes it.
    pub fn text(&mut self, now: i64) -> String {
        self.expire(now);
        let mut out = String::from(
            "# Netscape HTTP Cookie File\n# https://curl.se/docs/http-cookies.html\n\
             # This file was generated by libcurl! Edit at your own risk.\n\n",
        );
        let mut cookies: Vec<&Cookie> = self.cookies.iter().filter(|cookie| !cookie.domain.is_empty()).collect();
        cookies.sort_by_key(|cookie| std::cmp::Reverse(cookie.order));
        for cookie in cookies {
            out.push_str(&line(cookie));
            out.push('\n');
        }
        out
    }

    /// Every cookie as a line of the file, for `%{json}` and reports.
    pub fn len(&self) -> usize {
        self.cookies.len()
    }
}

fn line(cookie: &Cookie) -> String {
    let flag = |on: bool| if on { "TRUE" } else { "FALSE" };
    format!(
        "{}{}{}\t{}\t{}\t{}\t{}\t{}\t{}",
        if cookie.http_only { "#HttpOnly_" } else { "" },
        if cookie.tail_match && !cookie.domain.starts_with('.') { "." } else { "" },
        cookie.domain,
        flag(cookie.tail_match),
        if cookie.path.is_empty() { "/" } else { &cookie.path },
        flag(cookie.secure),
        cookie.expires,
        cookie.name,
        cookie.value
    )
}

fn from_line(line: &str) -> Option<Cookie> {
    let (http_only, line) = match line.strip_prefix("#HttpOnly_") {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    if line.starts_with('#') {
        return None;
    }
    let fields: Vec<&str> = line.split('\t').filter(|field| !field.is_empty()).collect();
    let (fields, value) = match fields.as_slice() {
        [a, b, c, d, e, f] => ([*a, *b, *c, *d, *e, *f], ""),
        [a, b, c, d, e, f, value] => ([*a, *b, *c, *d, *e, *f], *value),
        _ => return None,
    };
    let [domain, tail, path, secure, expires, name] = fields;
    if invalid(name) || invalid(value) {
        return None;
    }
    let domain = domain.strip_prefix('.').unwrap_or(domain).to_owned();
    if (name.starts_with("__Secure-") && secure != "TRUE")
        || (name.starts_with("__Host-") && (secure != "TRUE" || path != "/" || tail == "TRUE"))
    {
        return None;
    }
    Some(Cookie {
        name: name.to_owned(),
        value: value.to_owned(),
        domain,
        tail_match: tail.eq_ignore_ascii_case("TRUE"),
        path: path.to_owned(),
        secure: secure.eq_ignore_ascii_case("TRUE"),
        http_only,
        expires: expires.parse().ok()?,
        live: false,
        order: 0,
    })
}

fn invalid(text: &str) -> bool {
    text.bytes().any(|byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f)
}

fn parse(line: &str, place: Place<'_>) -> Result<Cookie, String> {
    if line.len() > MAX_LINE {
        return Err(format!("oversized cookie dropped, name/val {} bytes", line.len()));
    }
    let mut parts = line.split(';');
    let first = parts.next().unwrap_or("");
    let (name, value) = match first.split_once('=') {
        // A tab ends the name, and then no equals sign follows it.
        Some((name, value)) if !name.trim_start_matches([' ', '\t']).contains('\t') => {
            (name.trim_matches([' ', '\t']), value.trim_matches([' ', '\t']))
        }
        _ => return Err("cookie without a name dropped".to_owned()),
    };
    if name.len() + value.len() > MAX_COOKIE {
        return Err(format!("oversized cookie dropped, name/val {} + {} bytes", name.len(), value.len()));
    }
    if name.is_empty() || invalid(first) || value.contains('\t') {
        return Err("invalid octets in name/value, cookie dropped".to_owned());
    }
    let mut cookie = Cookie {
        name: name.to_owned(),
        value: value.to_owned(),
        domain: String::new(),
        tail_match: false,
        path: String::new(),
        secure: false,
        http_only: false,
        expires: 0,
        live: true,
        order: 0,
    };
    let mut max_age = None;
    for part in parts {
        let (key, value) = match part.split_once('=') {
            Some((key, value)) => (key.trim(), value.trim()),
            None => (part.trim(), ""),
        };
        let quoted = value.strip_prefix('"').unwrap_or(value);
        match key.to_ascii_lowercase().as_str() {
            "secure" if !part.contains('=') || value.is_empty() => {
                if !place.secure {
                    return Err("skipped cookie because not 'secure' connection".to_owned());
                }
                cookie.secure = true;
            }
            "httponly" => cookie.http_only = true,
            "path" => cookie.path = sane_path(value),
            "domain" if !value.is_empty() => {
                let domain = value.strip_prefix('.').unwrap_or(value).to_owned();
                let host = place.host;
                if !domain.contains('.') && !domain.eq_ignore_ascii_case("localhost") {
                    return Err(format!("skipped cookie with bad tailmatch domain: {domain}"));
                }
                let fits = host.is_empty()
                    || (is_address(&domain) && host == domain)
                    || (!is_address(&domain) && tail_matches(host, &domain));
                if !fits {
                    return Err(format!("skipped cookie with bad tailmatch domain: {domain}"));
                }
                cookie.tail_match = !is_address(&domain);
                cookie.domain = domain;
            }
            "max-age" => {
                let seconds = quoted.trim_end_matches('"');
                let digits = seconds.strip_prefix('-').unwrap_or(seconds);
                max_age = match seconds.parse::<i64>() {
                    Ok(age) => Some(age),
                    Err(_) if digits.bytes().all(|b| b.is_ascii_digit()) && seconds == digits && !digits.is_empty() => {
                        Some(i64::MAX)
                    }
                    Err(_) => Some(0),
                };
            }
            "expires" if cookie.expires == 0 => {
                cookie.expires = match date::parse(value) {
                    Some(0) => 1,
                    Some(at) => capped(at, place.now),
                    None => 0,
                };
            }
            _ => {}
        }
    }
    match max_age {
        Some(age) if age <= 0 => cookie.expires = 1,
        Some(age) => cookie.expires = capped(place.now.saturating_add(age), place.now),
        None => {}
    }
    if cookie.domain.is_empty() {
        cookie.domain = place.host.to_ascii_lowercase();
    }
    if cookie.path.is_empty() && !place.path.is_empty() {
        let end = place.path.rfind('/').unwrap_or(0);
        let path = place.path.get(..end).unwrap_or("");
        cookie.path = if path.is_empty() { "/".to_owned() } else { path.to_owned() };
    }
    let lower = cookie.name.to_ascii_lowercase();
    if (lower.starts_with("__secure-") && !cookie.secure)
        || (lower.starts_with("__host-") && !(cookie.secure && cookie.path == "/" && !cookie.tail_match))
    {
        return Err(format!("cookie '{}' dropped, its prefix forbids it here", cookie.name));
    }
    Ok(cookie)
}

fn capped(at: i64, now: i64) -> i64 {
    let limit = now.saturating_add(MAX_LIFE);
    if at > limit { limit - limit.rem_euclid(60) } else { at }
}

fn sane_path(path: &str) -> String {
    let path = path.trim_matches('"');
    if !path.starts_with('/') {
        return "/".to_owned();
    }
    match path.strip_suffix('/') {
        Some(shorter) if !shorter.is_empty() => shorter.to_owned(),
        _ => path.to_owned(),
    }
}

fn is_address(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
}

fn tail_matches(host: &str, domain: &str) -> bool {
    let Some(at) = host.len().checked_sub(domain.len()) else { return false };
    host.get(at..).is_some_and(|tail| tail.eq_ignore_ascii_case(domain))
        && host.get(..at).is_some_and(|head| head.is_empty() || head.ends_with('.'))
}

/// RFC 6265, section 5.1.4.
fn path_matches(path: &str, cookie: &str) -> bool {
    let cookie = if cookie.len() > 1 { cookie.trim_end_matches('/') } else { cookie };
    // A file of heads gives cookies no path, and they go everywhere.
    if matches!(cookie, "" | "/") {
        return true;
    }
    let path = path.split(['?', '#']).next().unwrap_or("");
    path.strip_prefix(cookie).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn strip_prefix_ignore_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| text.get(prefix.len()..).unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLACE: Place<'static> = Place { host: "www.example.com", path: "/a/b", secure: false, now: 1000 };

    #[test]
    fn sent_where_they_belong() {
        let mut jar = Jar::default();
        jar.set("a=1", PLACE).unwrap();
        jar.set("bb=2; Path=/; Domain=.example.com", PLACE).unwrap();
        assert!(jar.set("c=3; Domain=other.com", PLACE).is_err());
        assert!(jar.set("c=3; Domain=com", PLACE).is_err());
        assert!(jar.set("s=3; Secure", PLACE).is_err());
        assert_eq!(jar.header(Place { path: "/a/x", ..PLACE }).unwrap(), "a=1; bb=2");
        assert_eq!(jar.header(Place { path: "/", ..PLACE }).unwrap(), "bb=2");
        assert_eq!(jar.header(Place { host: "x.example.com", ..PLACE }).unwrap(), "bb=2");
        assert_eq!(jar.header(Place { host: "notexample.com", ..PLACE }), None);
        jar.set("a=; Max-Age=0", PLACE).unwrap();
        assert_eq!(jar.header(PLACE).unwrap(), "bb=2");
    }

    #[test]
    fn the_file_there_and_back() {
        let mut jar = Jar::default();
        jar.set("a=1; path=/x; expires=Sun, 06 Nov 2094 08:49:37 GMT; HttpOnly", PLACE).unwrap();
        jar.set("b=2; domain=example.com", PLACE).unwrap();
        let text = jar.text(1000);
        assert!(text.contains("#HttpOnly_www.example.com\tFALSE\t/x\tFALSE\t"), "{text}");
        assert!(text.contains("\n.example.com\tTRUE\t/a\tFALSE\t0\tb\t2\n"), "{text}");
        let mut again = Jar::default();
        again.read(&text, 1000);
        assert_eq!(again.len(), 2);
        again = Jar { new_session: true, ..Jar::default() };
        again.read(&text, 1000);
        assert_eq!(again.len(), 1);
    }

    proptest! {
        #[test]
        fn any_line(line in ".{0,80}", path in "/[a-z/]{0,8}") {
            let mut jar = Jar::default();
            let _ = jar.set(&line, Place { path: &path, ..PLACE });
            jar.read(&line, 0);
            let _ = jar.header(PLACE);
            let _ = jar.text(0);
        }
    }
}
