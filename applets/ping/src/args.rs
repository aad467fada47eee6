//! The command line of ping, read as getopt(3) reads it, and what its values may be.

use std::net::IpAddr;

use netkit_core::text::printable;
use netkit_core::{Error, Exit};
use netkit_probe::MtuDiscovery;

/// Status for a usage error, an unknown host and a system call that failed (ping(8), EXIT STATUS: "other error").
pub(crate) const OTHER: Exit = Exit(2);
/// Status for a number that is none, and when no answer came.
pub(crate) const NO_ANSWER: Exit = Exit(1);

/// What the user asks for.
#[derive(Clone, Debug)]
pub(crate) struct Opts {
    /// 4, 6, or 0 for whatever the name has.
    pub(crate) family: u8,
    pub(crate) audible: bool,
    pub(crate) adaptive: bool,
    /// `-B`, and implied by `-I ADDRESS`.
    pub(crate) strict_source: bool,
    pub(crate) connect: bool,
    pub(crate) count: u64,
    pub(crate) debug: bool,
    pub(crate) timestamps: bool,
    pub(crate) ident: Option<u16>,
    pub(crate) flood: bool,
    pub(crate) interval_ms: i64,
    pub(crate) interval_given: bool,
    pub(crate) device: Option<String>,
    pub(crate) source: Option<IpAddr>,
    pub(crate) preload: i64,
    pub(crate) no_loop: bool,
    pub(crate) mark: Option<u32>,
    pub(crate) discovery: Option<MtuDiscovery>,
    pub(crate) numeric: bool,
    pub(crate) outstanding: bool,
    pub(crate) pattern: Option<Vec<u8>>,
    pub(crate) quiet: bool,
    pub(crate) tos: Option<u8>,
    pub(crate) dont_route: bool,
    pub(crate) size: usize,
    pub(crate) send_buffer: Option<usize>,
    pub(crate) ttl: Option<u8>,
    pub(crate) user_latency: bool,
    pub(crate) verbose: bool,
    pub(crate) version: bool,
    pub(crate) help: bool,
    pub(crate) deadline_s: u64,
    pub(crate) linger_ms: i64,
    pub(crate) broadcast: bool,
    pub(crate) operands: Vec<String>,
    /// `--tcp PORT`.
    pub(crate) tcp: Option<u16>,
    /// `--mtu`.
    pub(crate) path_mtu: bool,
    pub(crate) json: bool,
    pub(crate) netns: Option<String>,
    pub(crate) explain: bool,
    /// Said on stderr before anything happens.
    pub(crate) warnings: Vec<String>,
}

impl Default for Opts {
    fn default() -> Opts {
        Opts {
            family: 0,
            audible: false,
            adaptive: false,
            strict_source: false,
            connect: false,
            count: 0,
            debug: false,
            timestamps: false,
            ident: None,
            flood: false,
            interval_ms: 1000,
            interval_given: false,
            device: None,
            source: None,
            preload: 1,
            no_loop: false,
            mark: None,
            discovery: None,
            numeric: false,
            outstanding: false,
            pattern: None,
            quiet: false,
            tos: None,
            dont_route: false,
            size: 56,
            send_buffer: None,
            ttl: None,
            user_latency: false,
            verbose: false,
            version: false,
            help: false,
            deadline_s: 0,
            linger_ms: 10_000,
            broadcast: false,
            operands: Vec::new(),
            tcp: None,
            path_mtu: false,
            json: false,
            netns: None,
            explain: false,
            warnings: Vec::new(),
        }
    }
}

/// Options that take a value.
const VALUED: &str = "TFNceiIlmMpQsStwW";
const PLAIN: &str = "h?4bR6aABCdDfLnOqrUvV";
/// The largest number of data octets that is worth a buffer: no IPv4 or IPv6 packet holds more than 65,535 of all.
const MOST_DATA: usize = 1 << 20;

fn other(text: impl Into<String>) -> Error {
    Error::new(OTHER, text)
}

/// A whole number in a range, in the peer's words where it is not.
fn number(text: &str, low: i64, high: i64) -> Result<i64, Error> {
    let shown = printable(text);
    // strtol(3) takes leading blanks and a sign.
    let trimmed = text.trim_start_matches([' ', '\t', '\n']);
    let digits = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::new(NO_ANSWER, format!("invalid argument: '{shown}'")));
    }
    let value = trimmed.strip_prefix('+').unwrap_or(trimmed).parse::<i64>().ok();
    value.filter(|value| (low..=high).contains(value)).ok_or_else(|| {
        Error::new(NO_ANSWER, format!("invalid argument: '{shown}': out of range: {low} <= value <= {high}"))
    })
}

/// A decimal fraction in thousandths, as much of it as is one; what follows is warned of, as the peer does.
fn thousandths(text: &str, what: &str, warnings: &mut Vec<String>) -> Result<i64, Error> {
    let bad = || other(format!("{what}: {}", printable(text)));
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if text.is_empty() {
        return Err(bad());
    }
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (whole, after) = rest.split_at_checked(digits(rest)).unwrap_or((rest, ""));
    let (fraction, garbage) = match after.strip_prefix('.') {
        Some(fraction) => fraction.split_at_checked(digits(fraction)).unwrap_or((fraction, "")),
        None => ("", after),
    };
    if !garbage.is_empty() {
        warnings.push(format!("option argument contains garbage: {}", printable(garbage)));
        warnings.push("this will become fatal error in the future".to_owned());
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| bad())? };
    let mut value = whole.checked_mul(1000).ok_or_else(bad)?;
    for (digit, weight) in fraction.chars().zip([100i64, 10, 1]) {
        value += i64::from(digit.to_digit(10).unwrap_or(0)) * weight;
    }
    // INT_MAX milliseconds are the most.
    if value / 1000 > i64::from(i32::MAX / 1000) {
        return Err(bad());
    }
    Ok(if negative { -value } else { value })
}

fn tos(text: &str) -> Result<u8, Error> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => i64::from_str_radix(digits, 16),
        None => text.parse::<i64>(),
    };
    let value = parsed.map_err(|_| other(format!("bad TOS value: {}", printable(text))))?;
    u8::try_from(value).map_err(|_| other(format!("the decimal value of TOS bits must be in range 0-255: {value}")))
}

/// Up to sixteen octets in hexadecimal; an odd digit at the end is an octet of its own.
fn pattern(text: &str) -> Result<Vec<u8>, Error> {
    if let Some(at) = text.bytes().position(|byte| !byte.is_ascii_hexdigit()) {
        let rest = text.get(at..).unwrap_or(text);
        return Err(other(format!("patterns must be specified as hex digits: {}", printable(rest))));
    }
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).filter_map(|d| u8::try_from(d).ok()).collect();
    Ok(digits
        .chunks(2)
        .take(16)
        .map(|pair| match pair {
            [high, low] => (high << 4) | low,
            [low] => *low,
            _ => 0,
        })
        .collect())
}

fn not_offered(option: char, instead: &str) -> Error {
    other(format!("-{option} is not offered: {instead}"))
}

fn interface(opts: &mut Opts, text: &str) -> Result<(), Error> {
    if text.contains(':') {
        let (address, device) = match text.split_once('%') {
            Some((address, device)) => (address, Some(device)),
            None => (text, None),
        };
        let address = address.parse().map_err(|_| other(format!("invalid source address: {}", printable(text))))?;
        opts.source = Some(IpAddr::V6(address));
        opts.device = device.map(str::to_owned).or_else(|| opts.device.take());
        opts.strict_source = true;
    } else if let Ok(address) = text.parse() {
        opts.source = Some(IpAddr::V4(address));
        opts.strict_source = true;
    } else {
        opts.device = Some(text.to_owned());
    }
    Ok(())
}

/// Takes one option with its value.
fn option(opts: &mut Opts, letter: char, value: &str) -> Result<(), Error> {
    const INT: i64 = i32::MAX as i64;
    let unsigned = |value: i64| u64::try_from(value).unwrap_or(0);
    match letter {
        'h' | '?' => opts.help = true,
        '4' | '6' => {
            let wanted = if letter == '4' { 4 } else { 6 };
            if opts.family != 0 && opts.family != wanted {
                return Err(other("only one -4 or -6 option may be specified"));
            }
            opts.family = wanted;
        }
        'b' => opts.broadcast = true,
        'R' => return Err(not_offered('R', "`traceroute` shows the way there; routers no longer record it")),
        'T' => return Err(not_offered('T', "routers no longer answer timestamp options")),
        'F' => return Err(not_offered('F', "the kernel chooses the flow label")),
        'N' => return Err(not_offered('N', "node information queries are answered by hardly any host")),
        'a' => opts.audible = true,
        'A' => opts.adaptive = true,
        'B' => opts.strict_source = true,
        'C' => opts.connect = true,
        'c' => opts.count = unsigned(number(value, 1, i64::MAX)?),
        'd' => opts.debug = true,
        'D' => opts.timestamps = true,
        'e' => opts.ident = u16::try_from(number(value, 0, 65_535)?).ok(),
        'i' => {
            let interval = thousandths(value, "bad timing interval", &mut opts.warnings)?;
            if interval < 0 {
                return Err(other(format!("bad timing interval: {}", printable(value))));
            }
            opts.interval_ms = interval;
            opts.interval_given = true;
        }
        'I' => interface(opts, value)?,
        'l' => opts.preload = number(value, 1, 65_536)?,
        'L' => opts.no_loop = true,
        'm' => opts.mark = u32::try_from(number(value, 0, INT)?).ok(),
        'M' => {
            opts.discovery = Some(match value {
                "do" => MtuDiscovery::Do,
                "dont" => MtuDiscovery::Dont,
                "want" => MtuDiscovery::Want,
                "probe" => MtuDiscovery::Probe,
                _ => return Err(other(format!("invalid -M argument: {}", printable(value)))),
            });
        }
        'n' => opts.numeric = true,
        'O' => opts.outstanding = true,
        'f' => (opts.flood, opts.numeric) = (true, true),
        'p' => opts.pattern = Some(pattern(value)?),
        'q' => opts.quiet = true,
        'Q' => opts.tos = Some(tos(value)?),
        'r' => opts.dont_route = true,
        's' => {
            opts.size = usize::try_from(number(value, 0, INT)?).unwrap_or(0);
            if opts.size > MOST_DATA {
                return Err(other(format!("{} octets of data fit into no packet", opts.size)));
            }
        }
        'S' => opts.send_buffer = usize::try_from(number(value, 1, INT)?).ok(),
        't' => opts.ttl = u8::try_from(number(value, 0, 255)?).ok(),
        'U' => opts.user_latency = true,
        'v' => opts.verbose = true,
        'V' => opts.version = true,
        'w' => opts.deadline_s = unsigned(number(value, 0, INT)?),
        'W' => {
            let linger = thousandths(value, "bad linger time", &mut opts.warnings)?;
            if linger < 0 {
                return Err(other(format!("bad linger time: {}", printable(value))));
            }
            opts.linger_ms = linger;
        }
        _ => return Err(unknown(letter)),
    }
    Ok(())
}

/// A usage error: what is wrong, after which the caller shows the synopsis.
fn unknown(letter: char) -> Error {
    other(format!("invalid option -- '{}'", printable(&letter.to_string())))
}

/// Reads the words after the name.
///
/// # Errors
/// In the peer's words, with its status.
pub(crate) fn parse(words: &[String]) -> Result<Opts, Error> {
    let mut opts = Opts::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            opts.operands.extend(words.by_ref().cloned());
            break;
        }
        if let Some(name) = word.strip_prefix("--") {
            let (name, inline) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (name, None),
            };
            let mut value = || {
                let found = inline.clone().or_else(|| words.next().cloned());
                found.ok_or_else(|| other(format!("--{name} needs a value")))
            };
            match name {
                "tcp" => {
                    let text = value()?;
                    let port = text.parse().ok().filter(|port| *port != 0);
                    opts.tcp = Some(port.ok_or_else(|| other(format!("--tcp: not a port: {}", printable(&text))))?);
                }
                "netns" => opts.netns = Some(value()?),
                "mtu" => opts.path_mtu = true,
                "json" => opts.json = true,
                "explain" => opts.explain = true,
                "help" => opts.help = true,
                "version" => opts.version = true,
                _ => return Err(unknown('-')),
            }
            continue;
        }
        let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            opts.operands.push(word.clone());
            continue;
        };
        let mut rest = letters.chars();
        while let Some(letter) = rest.next() {
            if VALUED.contains(letter) {
                let inline = rest.as_str();
                let value = if inline.is_empty() { words.next().cloned() } else { Some(inline.to_owned()) };
                let value = value.ok_or_else(|| other(format!("option requires an argument -- '{letter}'")))?;
                option(&mut opts, letter, &value)?;
                break;
            }
            if !PLAIN.contains(letter) {
                return Err(unknown(letter));
            }
            option(&mut opts, letter, "")?;
        }
    }
    Ok(opts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn bundles_and_values() {
        let opts = parse(&words("-qnc3 -i .2 -W 1.5 -s0 -I 10.0.0.1 -M do host -t 9")).unwrap();
        assert_eq!(
            (opts.quiet, opts.numeric, opts.count, opts.interval_ms, opts.linger_ms),
            (true, true, 3, 200, 1500)
        );
        assert_eq!((opts.size, opts.strict_source, opts.ttl, opts.operands.len()), (0, true, Some(9), 1));
        assert_eq!(parse(&words("-p abc x")).unwrap().pattern, Some(vec![0xab, 0x0c]));
        let opts = parse(&words("-I fe80::1%eth0 --tcp=80 -- -x")).unwrap();
        assert_eq!((opts.device.as_deref(), opts.tcp, opts.operands), (Some("eth0"), Some(80), vec!["-x".to_owned()]));
    }

    #[test]
    fn refusals() {
        for (line, status, text) in [
            ("-c x h", 1, "invalid argument: 'x'"),
            ("-c 0 h", 1, "invalid argument: '0': out of range: 1 <= value <= 9223372036854775807"),
            (
                "-c 99999999999999999999 h",
                1,
                "invalid argument: '99999999999999999999': out of range: 1 <= value <= 9223372036854775807",
            ),
            ("-Q 256 h", 2, "the decimal value of TOS bits must be in range 0-255: 256"),
            ("-Q x h", 2, "bad TOS value: x"),
            ("-p fz h", 2, "patterns must be specified as hex digits: z"),
            ("-M x h", 2, "invalid -M argument: x"),
            ("-4 -6 h", 2, "only one -4 or -6 option may be specified"),
            ("-i 3000000000 h", 2, "bad timing interval: 3000000000"),
            ("-W -1 h", 2, "bad linger time: -1"),
            ("-z", 2, "invalid option -- 'z'"),
            ("-c", 2, "option requires an argument -- 'c'"),
            ("--nope", 2, "invalid option -- '-'"),
            ("--tcp 0 h", 2, "--tcp: not a port: 0"),
            ("-R h", 2, "-R is not offered: `traceroute` shows the way there; routers no longer record it"),
        ] {
            let error = parse(&words(line)).unwrap_err();
            assert_eq!((error.exit.0, error.message.as_str()), (status, text), "{line}");
        }
        assert_eq!(parse(&words("-i x h")).unwrap().warnings.len(), 2);
        let opts = parse(&words("-i 1.5.2 h")).unwrap();
        assert_eq!((opts.interval_ms, opts.warnings[0].as_str()), (1500, "option argument contains garbage: .2"));
    }

    proptest::proptest! {
        #[test]
        fn any_words(words in proptest::collection::vec("-{0,2}[a-zA-Z0-9.=]{0,12}|.{0,12}", 0..6)) {
            let _ = parse(&words);
        }
    }
}
