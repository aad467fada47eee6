//! resolv.conf (resolv.conf(5)).
//!
//! Kept as it stands: resolvers differ in what they accept and where they cut (three servers, six suffixes,
//! fifteen dots ...), so each applies its own limits to what is recorded here.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::path::Path;

use netkit_core::rooted;

/// Largest file read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// A parsed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// Every `nameserver` line that holds an address, in order; port 53.
    pub nameservers: Vec<SocketAddr>,
    /// As `nameservers`, with those on indented lines, which Go alone takes.
    pub nameservers_loose: Vec<SocketAddr>,
    /// The suffixes as glibc takes them: the last `search` line with words, or the first word of a later `domain` line.
    pub search: Vec<String>,
    /// All words of the last `search` or `domain` line, and whether it was `domain`; `None` without such a line.
    pub search_line: Option<(bool, Vec<String>)>,
    /// Every word of every `options` line, in order.
    pub options: Vec<String>,
    /// `options ndots:n`, 1 when absent; not yet cut to any resolver's limit.
    pub ndots: u32,
    /// `options timeout:n` in seconds, 5 when absent.
    pub timeout: u32,
    /// `options attempts:n`, 2 when absent.
    pub attempts: u32,
    /// `options rotate`.
    pub rotate: bool,
    /// Lines that no resolver understands, with their numbers.
    pub warnings: Vec<String>,
    /// The text itself, for resolvers that read it in ways of their own.
    pub text: String,
}

impl Default for ResolvConf {
    fn default() -> ResolvConf {
        ResolvConf {
            nameservers: Vec::new(),
            nameservers_loose: Vec::new(),
            search: Vec::new(),
            search_line: None,
            options: Vec::new(),
            ndots: 1,
            timeout: 5,
            attempts: 2,
            rotate: false,
            warnings: Vec::new(),
            text: String::new(),
        }
    }
}

impl ResolvConf {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read; absence is left to the caller, because resolvers differ there too.
    pub fn read(path: &Path) -> io::Result<ResolvConf> {
        Ok(ResolvConf::parse(&rooted::read_text(path, MAX_BYTES)?))
    }

    /// Parses the text; nothing in it is an error.
    pub fn parse(text: &str) -> ResolvConf {
        let mut conf = ResolvConf { text: text.to_owned(), ..ResolvConf::default() };
        for (number, line) in (1..).zip(text.lines()) {
            conf.line(number, line);
        }
        conf
    }

    fn line(&mut self, number: usize, line: &str) {
        if line.starts_with(['#', ';']) {
            return;
        }
        let mut words = line.split_whitespace().take_while(|word| !word.starts_with(['#', ';']));
        let keyword = words.next();
        if line.starts_with([' ', '\t']) {
            // The C libraries want the keyword in the first column.
            if keyword == Some("nameserver") {
                self.nameservers_loose.extend(words.next().and_then(server_address));
                self.warnings.push(format!("line {number}: indented, so glibc and musl do not see it"));
            }
            return;
        }
        match keyword {
            None => {}
            Some("nameserver") => match words.next().and_then(server_address) {
                Some(address) => {
                    self.nameservers.push(address);
                    self.nameservers_loose.push(address);
                }
                None => self.warnings.push(format!("line {number}: nameserver without a valid address")),
            },
            Some(keyword @ ("search" | "domain")) => {
                let words: Vec<String> = words.map(str::to_owned).collect();
                if !words.is_empty() {
                    let taken = if keyword == "domain" { 1 } else { words.len() };
                    self.search = words.iter().take(taken).cloned().collect();
                }
                self.search_line = Some((keyword == "domain", words));
            }
            Some("options") => self.add_options(words),
            Some("sortlist" | "lookup" | "family") => {}
            Some(word) => {
                let word = netkit_core::text::printable(word);
                self.warnings.push(format!("line {number}: unknown keyword `{word}`"));
            }
        }
    }

    /// Takes the words of an `options` line, or of RES_OPTIONS in the environment.
    pub fn add_options<'a>(&mut self, words: impl Iterator<Item = &'a str>) {
        for word in words {
            let number = |prefix: &str| word.strip_prefix(prefix).map(leading_number);
            if let Some(n) = number("ndots:") {
                self.ndots = n;
            } else if let Some(n) = number("timeout:") {
                self.timeout = n;
            } else if let Some(n) = number("attempts:") {
                self.attempts = n;
            } else if word == "rotate" {
                self.rotate = true;
            }
            self.options.push(word.to_owned());
        }
    }

    /// Whether `options` holds this word.
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|word| word == option)
    }
}

/// As atoi(3): leading digits, 0 when there are none; a number too large saturates.
fn leading_number(text: &str) -> u32 {
    let digits = text.bytes().take_while(u8::is_ascii_digit);
    digits.fold(0u32, |sum, digit| sum.saturating_mul(10).saturating_add(u32::from(digit - b'0')))
}

/// An IPv4 or IPv6 address, the latter with an optional scope, at port 53.
pub(crate) fn server_address(text: &str) -> Option<SocketAddr> {
    const PORT: u16 = 53;
    let (address, scope) = match text.split_once('%') {
        Some((address, scope)) => (address, scope_id(scope)?),
        None => (text, 0),
    };
    match address.parse().ok()? {
        // 0.0.0.0 means this host, as connect(2) takes it on Linux.
        IpAddr::V4(v4) if v4.is_unspecified() => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))),
        IpAddr::V4(v4) => Some(SocketAddr::from((v4, PORT))),
        IpAddr::V6(v6) => Some(SocketAddrV6::new(v6, PORT, 0, scope).into()),
    }
}

/// A scope by number, or by interface name as sysfs numbers it.
fn scope_id(scope: &str) -> Option<u32> {
    if let Ok(number) = scope.parse() {
        return Some(number);
    }
    let plain = !scope.is_empty() && scope.len() < 16 && !scope.contains('/') && scope != "..";
    let path = plain.then(|| format!("/sys/class/net/{scope}/ifindex"))?;
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pods_file() {
        let conf = ResolvConf::parse(
            "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n",
        );
        assert_eq!(conf.nameservers, vec!["10.96.0.10:53".parse().unwrap()]);
        assert_eq!(conf.search.len(), 3);
        assert_eq!((conf.ndots, conf.timeout, conf.attempts), (5, 5, 2));
        assert!(conf.warnings.is_empty());
    }

    #[test]
    fn odd_lines() {
        let conf = ResolvConf::parse(
            "# c\n;c\ndomain a\nsearch b c # d\nnameserver nope\nnameserver ::1%1\nnameserver 1.2.3.4;x\n\
             options rotate timeout:99999999999 attempts:x ndots:3x\nfoo bar\n",
        );
        assert_eq!(conf.search, vec!["b", "c"]);
        assert_eq!(conf.nameservers.len(), 1);
        assert_eq!((conf.ndots, conf.timeout, conf.attempts, conf.rotate), (3, u32::MAX, 0, true));
        assert_eq!(conf.warnings.len(), 3);
        assert!(conf.has("rotate") && !conf.has("use-vc"));
    }
}
