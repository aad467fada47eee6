//! nc's command line: getopt(3) as the GNU C library does it, with options anywhere, and long names of our own.

use std::time::Duration;

use netkit_core::{Error, Exit};
use netkit_probe::proxy::{Credentials, Kind as ProxyKind};
use netkit_probe::proxy_protocol::Version;
use netkit_probe::{Family, Options, Protocol};

use crate::tls::Tls;

/// The peer's status for every usage error.
pub(crate) const FAILURE: Exit = Exit(1);

/// Whose manners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Debian's netcat-openbsd.
    Nc,
    /// Nmap's ncat.
    Ncat,
}

/// Everything the command line can say.
#[derive(Clone, Debug)]
pub(crate) struct Opts {
    pub(crate) style: Style,
    pub(crate) family: Family,
    pub(crate) protocol: Protocol,
    pub(crate) unix: bool,
    pub(crate) listen: bool,
    pub(crate) keep: bool,
    pub(crate) numeric: bool,
    pub(crate) verbose: u8,
    pub(crate) zero: bool,
    pub(crate) no_stdin: bool,
    pub(crate) half_close: bool,
    pub(crate) quit: Option<Duration>,
    /// Connecting, and for nc also idling.
    pub(crate) timeout: Option<Duration>,
    pub(crate) idle: Option<Duration>,
    /// How long `-z` watches an open port.
    pub(crate) watch: Option<Duration>,
    pub(crate) interval: Option<Duration>,
    pub(crate) crlf: bool,
    pub(crate) telnet: bool,
    pub(crate) receive: Option<u64>,
    pub(crate) proxy: Option<String>,
    pub(crate) proxy_kind: ProxyKind,
    pub(crate) proxy_user: Option<Credentials>,
    pub(crate) source: Option<String>,
    pub(crate) source_port: Option<String>,
    pub(crate) socket: Options,
    pub(crate) random: bool,
    pub(crate) pass_fd: bool,
    pub(crate) send_only: bool,
    pub(crate) recv_only: bool,
    pub(crate) max_conns: Option<usize>,
    pub(crate) output: Option<String>,
    pub(crate) append: bool,
    /// `Some(None)`: to stderr.
    pub(crate) hex_dump: Option<Option<String>>,
    pub(crate) proxy_protocol: Option<Version>,
    pub(crate) rc: bool,
    pub(crate) all_ips: bool,
    pub(crate) json: bool,
    pub(crate) explain: bool,
    pub(crate) netns: Option<String>,
    pub(crate) from_pid: Option<u32>,
    pub(crate) wait_for: Option<Duration>,
    pub(crate) relay: bool,
    pub(crate) tls: Tls,
    pub(crate) help: bool,
    pub(crate) version: bool,
    /// What is no option.
    pub(crate) operands: Vec<String>,
}

impl Opts {
    pub(crate) fn new(style: Style) -> Opts {
        Opts {
            style,
            family: Family::Unspecified,
            protocol: Protocol::Tcp,
            unix: false,
            listen: false,
            keep: false,
            numeric: false,
            verbose: 0,
            zero: false,
            no_stdin: false,
            half_close: false,
            quit: None,
            timeout: None,
            idle: None,
            watch: None,
            interval: None,
            crlf: false,
            telnet: false,
            receive: None,
            proxy: None,
            proxy_kind: ProxyKind::Socks5,
            proxy_user: None,
            source: None,
            source_port: None,
            socket: Options::default(),
            random: false,
            pass_fd: false,
            send_only: false,
            recv_only: false,
            max_conns: None,
            output: None,
            append: false,
            hex_dump: None,
            proxy_protocol: None,
            rc: false,
            all_ips: false,
            json: false,
            explain: false,
            netns: None,
            from_pid: None,
            wait_for: None,
            relay: false,
            tls: Tls::default(),
            help: false,
            version: false,
            operands: Vec::new(),
        }
    }
}

/// Reads nc's command line.
///
/// # Errors
/// Status 1 as the peer, with its words; an option we do not offer is refused by name.
pub(crate) fn parse(words: &[String]) -> Result<Opts, Error> {
    let mut opts = Opts::new(Style::Nc);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            opts.operands.extend(words.by_ref().cloned());
        } else if let Some(long) = word.strip_prefix("--") {
            let (name, inline) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            let mut value = || inline.clone().or_else(|| words.next().cloned());
            if !crate::long::take(&mut opts, name, inline.as_deref(), &mut value)? {
                return Err(unknown_long(name));
            }
        } else if let Some(cluster) = word.strip_prefix('-').filter(|cluster| !cluster.is_empty()) {
            let mut rest = cluster.chars();
            while let Some(flag) = rest.next() {
                if !takes_value(flag) {
                    switch(&mut opts, flag)?;
                    continue;
                }
                let inline = rest.as_str();
                let value = if inline.is_empty() { words.next().cloned() } else { Some(inline.to_owned()) };
                let value = value.ok_or_else(|| usage(&format!("option requires an argument -- '{flag}'")))?;
                option(&mut opts, flag, &value)?;
                break;
            }
        } else {
            opts.operands.push(word.clone());
        }
    }
    Ok(opts)
}

fn unknown_long(name: &str) -> Error {
    let near = netkit_core::text::nearest(name, crate::long::NAMES.iter().copied());
    let error = usage(&format!("unrecognized option '--{}'", netkit_core::text::printable(name)));
    match near {
        Some(near) => error.hint(format!("did you mean --{near}?")),
        None => error,
    }
}

impl Opts {
    /// Refuses what `--relay` or `--wait` would pass over: an option that is accepted works.
    ///
    /// # Errors
    /// Names the first one.
    pub(crate) fn check_unused(&self, action: &str) -> Result<(), Error> {
        let relay = self.relay;
        let udp = self.protocol == Protocol::Udp;
        // As nc spells it, as ncat does.
        let unused = [
            (self.listen, "-l", "--listen"),
            (self.keep, "-k", "--keep-open"),
            (udp, "-u", "--udp"),
            (self.unix, "-U", "--unixsock"),
            (self.proxy.is_some(), "-x", "--proxy"),
            (self.source.is_some(), "-s", "--source"),
            (self.source_port.is_some(), "-p", "--source-port"),
            (self.hex_dump.is_some(), "--hex-dump", "--hex-dump"),
            (self.output.is_some(), "--output", "--output"),
            (self.proxy_protocol.is_some(), "--proxy-protocol", "--proxy-protocol"),
            (self.crlf, "-C", "--crlf"),
            (self.telnet, "-t", "--telnet"),
            (self.receive.is_some(), "-W", "-W"),
            (self.interval.is_some(), "-i", "-d"),
            (self.quit.is_some(), "-q", "-q"),
            (self.pass_fd, "-F", "-F"),
            (self.random, "-r", "-r"),
            (self.send_only, "--send-only", "--send-only"),
            (self.recv_only, "--recv-only", "--recv-only"),
            (self.all_ips, "--all-ips", "--all-ips"),
            (self.tls.on, "--tls", "--ssl"),
            (relay && self.zero, "-z", "-z"),
            (relay && self.json, "--json", "--json"),
            (relay && self.rc, "--rc", "--rc"),
            (!relay && self.max_conns.is_some(), "--max-conns", "--max-conns"),
        ];
        match unused.into_iter().find(|(given, ..)| *given) {
            None => Ok(()),
            Some((_, short, long)) => {
                let name = if self.style == Style::Nc { short } else { long };
                Err(Error::usage(format!("{name} does not go together with {action}")))
            }
        }
    }
}

/// A usage error with the synopsis behind it.
pub(crate) fn usage(message: &str) -> Error {
    let synopsis = crate::NC_USAGE.replace('\n', "\n\t  ");
    let lead = if message.is_empty() { String::new() } else { format!("{message}\n") };
    Error::new(FAILURE, format!("{lead}usage: nc {synopsis}"))
}

fn takes_value(flag: char) -> bool {
    "IiMmOPpqsTVWwXxegGo".contains(flag)
}

fn switch(opts: &mut Opts, flag: char) -> Result<(), Error> {
    match flag {
        '4' => opts.family = Family::Inet,
        '6' => opts.family = Family::Inet6,
        'b' => opts.socket.broadcast = true,
        'C' => opts.crlf = true,
        'D' => opts.socket.debug = true,
        'd' => opts.no_stdin = true,
        'F' => opts.pass_fd = true,
        'h' => opts.help = true,
        'k' => opts.keep = true,
        'l' => opts.listen = true,
        'N' => opts.half_close = true,
        'n' => opts.numeric = true,
        'r' => opts.random = true,
        't' => opts.telnet = true,
        'U' => opts.unix = true,
        'u' => opts.protocol = Protocol::Udp,
        'v' => opts.verbose = opts.verbose.saturating_add(1),
        'z' => opts.zero = true,
        'S' => return Err(refused("-S", "TCP MD5 signatures want a key for each peer")),
        'Z' => return Err(refused("-Z", "DCCP was removed from Linux 6.16")),
        'c' => return Err(refused("-c", "running a command for each connection is left out on purpose; see --relay")),
        _ => return Err(usage(&format!("invalid option -- '{flag}'"))),
    }
    Ok(())
}

/// What the peers know and we do not offer.
pub(crate) fn refused(name: &str, why: &str) -> Error {
    Error::usage(format!("{name} is not offered: {why}"))
}

fn option(opts: &mut Opts, flag: char, value: &str) -> Result<(), Error> {
    let fail = |text: String| Error::new(FAILURE, text);
    match flag {
        'I' => opts.socket.receive_buffer = Some(size("TCP receive window", value)?),
        'O' => opts.socket.send_buffer = Some(size("TCP send window", value)?),
        'i' => opts.interval = Some(Duration::from_secs(number("interval", value, 0, MAX_SECONDS)?.unsigned_abs())),
        'M' => opts.socket.ttl = Some(byte("ttl", value)?),
        'm' => opts.socket.min_ttl = Some(byte("minttl", value)?),
        'P' => opts.proxy_user = Some(credentials(value)),
        'p' => opts.source_port = Some(value.to_owned()),
        'q' => {
            let seconds = number("quit timer", value, i64::from(i32::MIN), i64::from(i32::MAX))?;
            opts.quit = u64::try_from(seconds).ok().map(Duration::from_secs);
        }
        's' => opts.source = Some(value.to_owned()),
        'T' => opts.socket.tos = Some(tos(value).ok_or_else(|| fail(format!("illegal tos value {value}")))?),
        'V' => return Err(fail("no alternate routing table support available".to_owned())),
        'W' => {
            let count = number("receive limit", value, 1, i64::from(i32::MAX))?;
            opts.receive = Some(count.unsigned_abs());
        }
        'w' => {
            let limit = match crate::units::duration(value) {
                Some(limit) if !value.bytes().all(|byte| byte.is_ascii_digit()) => limit,
                _ => Duration::from_secs(number("timeout", value, 0, MAX_SECONDS)?.unsigned_abs()),
            };
            opts.timeout = Some(limit);
            opts.idle = Some(limit);
        }
        'X' => {
            opts.proxy_kind = match value.to_ascii_lowercase().as_str() {
                "4" => ProxyKind::Socks4,
                "4a" => ProxyKind::Socks4a,
                "5" => ProxyKind::Socks5,
                "connect" => ProxyKind::Http,
                _ => return Err(fail("unsupported proxy protocol".to_owned())),
            };
        }
        'x' => opts.proxy = Some(value.to_owned()),
        'e' => return Err(refused("-e", "running a command for each connection is left out on purpose; see --relay")),
        'g' | 'G' => return Err(refused(&format!("-{flag}"), "the internet drops source routes (RFC 7126)")),
        'o' => opts.output = Some(value.to_owned()),
        _ => return Err(usage(&format!("invalid option -- '{flag}'"))),
    }
    Ok(())
}

/// `user` or `user:password`.
pub(crate) fn credentials(value: &str) -> Credentials {
    let (user, password) = value.split_once(':').unwrap_or((value, ""));
    Credentials { user: user.to_owned(), password: password.to_owned() }
}

/// A poll(2) timeout is an int of milliseconds.
const MAX_SECONDS: i64 = i32::MAX as i64 / 1000;

/// As strtonum(3), with its three complaints.
pub(crate) fn number(what: &str, value: &str, least: i64, most: i64) -> Result<i64, Error> {
    let complain = |why: &str| Err(Error::new(FAILURE, format!("{what} {why}: {value}")));
    let digits = value.strip_prefix(['-', '+']).unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return complain("invalid");
    }
    match value.parse::<i64>() {
        Ok(number) if number < least => complain("too small"),
        Ok(number) if number > most => complain("too large"),
        Ok(number) => Ok(number),
        Err(_) if value.starts_with('-') => complain("too small"),
        Err(_) => complain("too large"),
    }
}

fn size(what: &str, value: &str) -> Result<usize, Error> {
    // 65,536 << 14, the largest TCP window (RFC 7323, section 2.3).
    let bytes = number(what, value, 1, 65_536 << 14)?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

fn byte(what: &str, value: &str) -> Result<u8, Error> {
    let complain = |why: &str| Error::new(FAILURE, format!("{what} is {why}"));
    match value.parse::<i64>() {
        Ok(number) if number > 255 => Err(complain("too large")),
        Ok(number) => u8::try_from(number).map_err(|_| complain("too small")),
        Err(_) => Err(complain("invalid")),
    }
}

/// Type of service by name (RFC 791, RFC 2474) or number.
fn tos(value: &str) -> Option<u8> {
    const NAMES: &[(&str, u8)] = &[
        ("lowdelay", 0x10),
        ("throughput", 0x08),
        ("reliability", 0x04),
        ("critical", 0xa0),
        ("inetcontrol", 0xc0),
        ("netcontrol", 0xe0),
        ("ef", 0xb8),
    ];
    let lower = value.to_ascii_lowercase();
    if let Some((_, tos)) = NAMES.iter().find(|(name, _)| *name == lower) {
        return Some(*tos);
    }
    if let Some(class) = lower.strip_prefix("cs").and_then(|class| class.parse::<u8>().ok()) {
        return (class < 8).then_some(class << 5);
    }
    if let Some([class @ b'1'..=b'4', drop @ b'1'..=b'3']) = lower.strip_prefix("af").map(str::as_bytes) {
        return Some((class - b'0') << 5 | (drop - b'0') << 3);
    }
    let number = match lower.strip_prefix("0x") {
        Some(digits) => u8::from_str_radix(digits, 16).ok(),
        None if lower.len() > 1 && lower.starts_with('0') => u8::from_str_radix(&lower, 8).ok(),
        None => lower.parse().ok(),
    };
    number.filter(|_| !lower.contains('+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Opts, Error> {
        parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    fn complaint(words: &[&str]) -> String {
        let error = parsed(words).unwrap_err();
        error.message.lines().next().unwrap().to_owned()
    }

    #[test]
    fn options_stand_anywhere() {
        let opts = parsed(&["-zvw3", "host", "-n", "80", "--", "-5"]).unwrap();
        assert!(opts.zero && opts.numeric && opts.verbose == 1);
        assert_eq!(opts.timeout, Some(Duration::from_secs(3)));
        assert_eq!(opts.operands, ["host", "80", "-5"]);
        assert_eq!(parsed(&["-w", "500ms", "h"]).unwrap().timeout, Some(Duration::from_millis(500)));
        assert_eq!(parsed(&["-q", "-1"]).unwrap().quit, None);
    }

    #[test]
    fn the_peers_complaints() {
        assert_eq!(complaint(&["-w", "x"]), "timeout invalid: x");
        assert_eq!(complaint(&["-w", "-1"]), "timeout too small: -1");
        assert_eq!(complaint(&["-q", "x"]), "quit timer invalid: x");
        assert_eq!(complaint(&["-W", "0"]), "receive limit too small: 0");
        assert_eq!(complaint(&["-M", "300"]), "ttl is too large");
        assert_eq!(complaint(&["-T", "foo"]), "illegal tos value foo");
        assert_eq!(complaint(&["-X", "9"]), "unsupported proxy protocol");
        assert_eq!(complaint(&["-y"]), "invalid option -- 'y'");
        assert_eq!(complaint(&["-w"]), "option requires an argument -- 'w'");
        assert_eq!(parsed(&["-e", "sh"]).unwrap_err().exit, Exit::USAGE);
        assert!(complaint(&["--sh-exec", "x"]).contains("--sh-exec"));
        assert!(complaint(&["--ssl-ciphers", "HIGH"]).contains("--ssl-ciphers"));
        assert!(parsed(&["--tls", "h", "1"]).unwrap().tls.on);
    }

    #[test]
    fn types_of_service() {
        assert_eq!(tos("EF"), Some(0xb8));
        assert_eq!(tos("af41"), Some(0x88));
        assert_eq!(tos("cs1"), Some(0x20));
        assert_eq!(tos("0x20"), Some(0x20));
        assert_eq!((tos("256"), tos("cs8"), tos("af51"), tos("")), (None, None, None, None));
    }
}
