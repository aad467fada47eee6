//! The command line of traceroute: its own way of options, which may stand anywhere, and its words for what is wrong.

use std::net::{IpAddr, SocketAddr};

use netkit_core::text::printable;
use netkit_probe::{Family, Lookup, resolve};

/// What the user asks for.
#[derive(Clone, Debug)]
pub(crate) struct Opts {
    pub(crate) family: Family,
    pub(crate) method: Method,
    pub(crate) debug: bool,
    pub(crate) dont_fragment: bool,
    pub(crate) first: u32,
    pub(crate) most: u32,
    pub(crate) device: Option<String>,
    pub(crate) at_once: usize,
    pub(crate) numeric: bool,
    pub(crate) port: Option<u16>,
    pub(crate) tos: Option<u8>,
    /// Seconds, and factors of what the same hop and a later one took.
    pub(crate) wait: [f64; 3],
    pub(crate) queries: usize,
    pub(crate) dont_route: bool,
    pub(crate) source: Option<IpAddr>,
    pub(crate) source_port: Option<u16>,
    /// Seconds between probes.
    pub(crate) pause: f64,
    pub(crate) mark: Option<u32>,
    pub(crate) mtu: bool,
    pub(crate) back: bool,
    pub(crate) help: bool,
    pub(crate) version: bool,
    pub(crate) json: bool,
    pub(crate) netns: Option<String>,
    pub(crate) explain: bool,
    pub(crate) host: Option<(String, usize)>,
    pub(crate) length: Option<usize>,
}

/// How the way is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// UDP to a port that grows with each probe.
    Udp,
    /// UDP to one port.
    UdpPort,
    Icmp,
    Tcp,
}

impl Default for Opts {
    fn default() -> Opts {
        Opts {
            family: Family::Unspecified,
            method: Method::Udp,
            debug: false,
            dont_fragment: false,
            first: 1,
            most: 30,
            device: None,
            at_once: 16,
            numeric: false,
            port: None,
            tos: None,
            wait: [5.0, 3.0, 10.0],
            queries: 3,
            dont_route: false,
            source: None,
            source_port: None,
            pause: 0.0,
            mark: None,
            mtu: false,
            back: false,
            help: false,
            version: false,
            json: false,
            netns: None,
            explain: false,
            host: None,
            length: None,
        }
    }
}

/// What each option is: letter, long name, and how its value is called.
const TABLE: &[(char, &str, &str)] = &[
    ('4', "", ""),
    ('6', "", ""),
    ('d', "debug", ""),
    ('F', "dont-fragment", ""),
    ('f', "first", "first_ttl"),
    ('g', "gateway", "gate,..."),
    ('I', "icmp", ""),
    ('T', "tcp", ""),
    ('i', "interface", "device"),
    ('m', "max-hops", "max_ttl"),
    ('N', "sim-queries", "squeries"),
    ('n', "", ""),
    ('p', "port", "port"),
    ('t', "tos", "tos"),
    ('l', "flowlabel", "flow_label"),
    ('w', "wait", "MAX,HERE,NEAR"),
    ('q', "queries", "nqueries"),
    ('r', "", ""),
    ('s', "source", "src_addr"),
    ('z', "sendwait", "sendwait"),
    ('e', "extensions", ""),
    ('A', "as-path-lookups", ""),
    ('M', "module", "name"),
    ('O', "options", "OPTS,..."),
    ('\u{1}', "sport", "num"),
    ('\u{2}', "fwmark", "num"),
    ('U', "udp", ""),
    ('D', "dccp", ""),
    ('P', "protocol", "prot"),
    ('\u{3}', "mtu", ""),
    ('\u{4}', "back", ""),
    ('V', "version", ""),
    ('\u{5}', "help", ""),
    // Ours.
    ('\u{6}', "json", ""),
    ('\u{7}', "netns", "PID|PATH"),
    ('\u{8}', "explain", ""),
];

/// A whole number, decimal, octal or hexadecimal, as strtoul(3) with base 0 has it.
fn number(text: &str) -> Option<u32> {
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        u32::from_str_radix(digits, 16).ok()
    } else if text.len() > 1 && text.starts_with('0') {
        u32::from_str_radix(text, 8).ok()
    } else {
        text.parse().ok()
    }
}

/// A decimal fraction without an exponent, perhaps negative.
fn fraction(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let fine = |text: &str| text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && part.is_empty()) || !fine(whole) || !fine(part) {
        return None;
    }
    let value = |text: &str| if text.is_empty() { 0.0 } else { f64::from(text.parse::<u32>().unwrap_or(0)) };
    let mut size = value(part);
    for _ in 0..part.len() {
        size /= 10.0;
    }
    size += value(whole);
    Some(if text.starts_with('-') { -size } else { size })
}

/// Takes one option. The error is empty where the value cannot be read, and otherwise the whole message.
fn option(opts: &mut Opts, letter: char, value: &str, lookup: &Lookup) -> Result<(), String> {
    let whole = || number(value).ok_or_else(String::new);
    let port = || whole().map(|port| u16::try_from(port & 0xffff).unwrap_or(0));
    let refused = |name: &str, instead: &str| Err(format!("{name} is not offered: {instead}"));
    match letter {
        '4' => opts.family = Family::Inet,
        '6' => opts.family = Family::Inet6,
        'd' => opts.debug = true,
        'F' => opts.dont_fragment = true,
        'f' => opts.first = whole()?,
        'g' => return refused("-g", "routers no longer follow a route given by the sender"),
        'I' => opts.method = Method::Icmp,
        'T' => opts.method = Method::Tcp,
        'i' => opts.device = Some(value.to_owned()),
        'm' => opts.most = whole()?,
        'N' => opts.at_once = usize::try_from(whole()?).unwrap_or(1),
        'n' => opts.numeric = true,
        'p' => opts.port = Some(port()?),
        't' => opts.tos = Some(u8::try_from(whole()? & 0xff).unwrap_or(0)),
        'l' => return refused("-l", "the kernel chooses the flow label"),
        'w' => {
            let mut wait = [0.0; 3];
            let mut parts = value.split(',');
            for slot in &mut wait {
                let Some(part) = parts.next() else { break };
                *slot = fraction(part).ok_or_else(String::new)?;
            }
            if parts.next().is_some() {
                return Err(String::new());
            }
            opts.wait = wait;
        }
        'q' => opts.queries = usize::try_from(whole()?).unwrap_or(0),
        'r' => opts.dont_route = true,
        's' => {
            let found = resolve(value, 0, opts.family, lookup).map_err(|error| format!("\u{0}{error}"))?;
            opts.source = found.first().map(SocketAddr::ip);
        }
        'z' => opts.pause = fraction(value).ok_or_else(String::new)?,
        'e' => return refused("-e", "the error queue does not keep what routers add about MPLS"),
        'A' => return refused("-A", "ask a registry by `nc whois.radb.net 43`"),
        'M' => match value {
            "default" => opts.method = Method::Udp,
            "udp" => opts.method = Method::UdpPort,
            "icmp" => opts.method = Method::Icmp,
            "tcp" | "tcpconn" => opts.method = Method::Tcp,
            "raw" | "dccp" | "udplite" => return refused(&format!("-M {value}"), "use -I, -T or -U"),
            other => return Err(format!("Unknown traceroute module {}", printable(other))),
        },
        'O' => return refused("-O", "the methods have no options here"),
        '\u{1}' => {
            opts.source_port = Some(port()?);
            opts.at_once = 1;
        }
        '\u{2}' => opts.mark = Some(whole()?),
        'U' => opts.method = Method::UdpPort,
        'D' => return refused("-D", "this kernel may not know DCCP; use -T"),
        'P' => return refused("-P", "use -I, -T or -U"),
        '\u{3}' => (opts.mtu, opts.dont_fragment, opts.at_once) = (true, true, 1),
        '\u{4}' => opts.back = true,
        'V' => opts.version = true,
        '\u{5}' => opts.help = true,
        '\u{6}' => opts.json = true,
        '\u{7}' => opts.netns = Some(value.to_owned()),
        '\u{8}' => opts.explain = true,
        _ => {}
    }
    Ok(())
}

/// Reads the words after the name.
///
/// # Errors
/// The message, in the peer's words.
pub(crate) fn parse(words: &[String], lookup: &Lookup) -> Result<Opts, String> {
    let mut opts = Opts::default();
    let mut operands: Vec<(String, usize)> = Vec::new();
    let mut at = 0;
    let mut only_operands = false;
    while let Some(word) = words.get(at) {
        at += 1;
        let index = at;
        if only_operands || !word.starts_with('-') || word == "-" {
            operands.push((word.clone(), index));
            continue;
        }
        if word == "--" {
            only_operands = true;
            continue;
        }
        // In a bundle, an option after the first has no value.
        let bundled = std::cell::Cell::new(false);
        let mut take = |letter: char, shown: &str, placeholder: &str, inline: Option<&str>, at: &mut usize| {
            let (value, index) = match (placeholder, inline) {
                ("", _) => (String::new(), index),
                (_, Some(value)) => (value.to_owned(), index),
                (placeholder, None) => {
                    // A long option has its value after `=`; ours take it either way.
                    let long = shown.starts_with("--") && !matches!(letter, '\u{7}');
                    let between = if long { "=" } else { " " };
                    let next = words.get(*at).cloned().filter(|_| !long && !bundled.get()).ok_or_else(|| {
                        format!("Option `{shown}' (argc {index}) requires an argument: `{shown}{between}{placeholder}'")
                    })?;
                    *at += 1;
                    (next, *at)
                }
            };
            option(&mut opts, letter, &value, lookup).map_err(|message| {
                let value = printable(&value);
                let handled = format!("Cannot handle `{shown}' option with arg `{value}' (argc {index})");
                match message.strip_prefix('\u{0}') {
                    Some(why) => format!("{value}: {why}\n{handled}"),
                    None if message.is_empty() => handled,
                    None => message,
                }
            })
        };
        let bad = || format!("Bad option `{}' (argc {index})", printable(word));
        if let Some(long) = word.strip_prefix("--") {
            let (name, inline) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
            let found = TABLE.iter().find(|(_, known, _)| !known.is_empty() && *known == name);
            let (letter, name, placeholder) = found.ok_or_else(bad)?;
            take(*letter, &format!("--{name}"), placeholder, inline, &mut at)?;
            continue;
        }
        if word == "-UL" {
            return Err("-UL is not offered: use -U".to_owned());
        }
        let mut rest = word.get(1..).unwrap_or_default();
        while let Some(letter) = rest.chars().next() {
            rest = rest.get(letter.len_utf8()..).unwrap_or_default();
            let found = TABLE.iter().find(|(known, ..)| *known == letter && letter >= ' ');
            let (letter, _, placeholder) = found.ok_or_else(|| match word.len() {
                2 => bad(),
                _ => format!("Bad option `-{}' (argc {index})", printable(&letter.to_string())),
            })?;
            let inline = Some(rest).filter(|rest| !rest.is_empty() && !bundled.get());
            take(*letter, &format!("-{letter}"), placeholder, inline, &mut at)?;
            if !placeholder.is_empty() {
                break;
            }
            bundled.set(true);
        }
    }
    operand(&mut opts, operands)?;
    Ok(opts)
}

fn operand(opts: &mut Opts, operands: Vec<(String, usize)>) -> Result<(), String> {
    let mut operands = operands.into_iter();
    opts.host = operands.next();
    if let Some((text, index)) = operands.next() {
        let length = number(&text).and_then(|length| usize::try_from(length).ok());
        opts.length = Some(length.ok_or_else(|| {
            let text = printable(&text);
            format!("Cannot handle \"packetlen\" cmdline arg `{text}' on position 2 (argc {index})")
        })?);
    }
    if let Some((text, index)) = operands.next() {
        return Err(format!("Extra arg `{}' (position 3, argc {index})", printable(&text)));
    }
    Ok(())
}

/// What does not fit together.
///
/// # Errors
/// The message, in the peer's words.
pub(crate) fn check(opts: &mut Opts) -> Result<(), String> {
    if opts.first < 1 || opts.first > opts.most {
        return Err("first hop out of range".to_owned());
    }
    if opts.most > 255 {
        return Err("max hops cannot be more than 255".to_owned());
    }
    if opts.queries == 0 || opts.queries > 10 {
        return Err("no more than 10 probes per hop".to_owned());
    }
    if opts.wait.iter().any(|part| *part < 0.0) {
        let [most, here, near] = opts.wait;
        return Err(format!("bad wait specifications `{most},{here},{near}' used"));
    }
    if let Some(length) = opts.length.filter(|length| *length > 65_000) {
        return Err(format!("too big packetlen {length} specified"));
    }
    if opts.pause < 0.0 {
        return Err(format!("bad sendtime `{}' specified", opts.pause));
    }
    if opts.pause >= 10.0 {
        opts.pause /= 1000.0;
    }
    opts.at_once = opts.at_once.clamp(1, 255 * 10);
    if opts.mtu || opts.source_port.is_some() {
        opts.at_once = 1;
    }
    if opts.mtu && opts.method == Method::Tcp {
        return Err("--mtu is not offered with -T: a SYN is small; use UDP or -I".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Opts, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let mut opts = parse(&words, &Lookup { numeric: true, ..Lookup::default() })?;
        check(&mut opts)?;
        Ok(opts)
    }

    #[test]
    fn options_anywhere() {
        let opts = read("-nI h -q1 -m 5 100 --first=2 --sendwait=500 -w 1,2.5").unwrap();
        assert_eq!((opts.numeric, opts.method, opts.queries, opts.most, opts.first), (true, Method::Icmp, 1, 5, 2));
        assert_eq!((opts.length, opts.pause, opts.wait), (Some(100), 0.5, [1.0, 2.5, 0.0]));
        assert_eq!(read("--mtu h").unwrap().at_once, 1);
        assert_eq!(read("-p 0x50 -t 256 h").unwrap().port, Some(80));
    }

    #[test]
    fn refusals() {
        for (line, text) in [
            ("-x h", "Bad option `-x' (argc 1)"),
            ("--foo h", "Bad option `--foo' (argc 1)"),
            ("-q", "Option `-q' (argc 1) requires an argument: `-q nqueries'"),
            ("-nq2 h", "Option `-q' (argc 1) requires an argument: `-q nqueries'"),
            ("--queries 2 h", "Option `--queries' (argc 1) requires an argument: `--queries=nqueries'"),
            ("h -q x", "Cannot handle `-q' option with arg `x' (argc 3)"),
            ("-qx h", "Cannot handle `-q' option with arg `x' (argc 1)"),
            ("-s x h", "x: Name or service not known\nCannot handle `-s' option with arg `x' (argc 2)"),
            ("h x", "Cannot handle \"packetlen\" cmdline arg `x' on position 2 (argc 2)"),
            ("h 1 2", "Extra arg `2' (position 3, argc 3)"),
            ("-f 31 h", "first hop out of range"),
            ("-m 256 h", "max hops cannot be more than 255"),
            ("-q 11 h", "no more than 10 probes per hop"),
            ("-w -1 h", "bad wait specifications `-1,0,0' used"),
            ("-M foo h", "Unknown traceroute module foo"),
            ("h 70000", "too big packetlen 70000 specified"),
        ] {
            assert_eq!(read(line).unwrap_err(), text, "{line}");
        }
        for line in ["-g 1.2.3.4 h", "-e h", "-A h", "-D h", "-UL h", "-P 1 h", "-O info h", "-l 5 h"] {
            assert!(read(line).unwrap_err().contains("not offered"), "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_words(words in proptest::collection::vec("-{0,2}[a-zA-Z0-9.,=]{0,12}|.{0,12}", 0..6)) {
            if let Ok(mut opts) = parse(&words, &Lookup { numeric: true, ..Lookup::default() }) {
                let _ = check(&mut opts);
            }
        }
    }
}
