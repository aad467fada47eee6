//! The command line: tcpdump's flags (tcpdump(1), 4.99) in getopt's manner, long spellings by unique prefix too.

use netkit_core::{Error, Exit, Flags, flag, flags};
use netkit_print::{Force, Options, TimeStyle};

/// The status of everything that tcpdump refuses (`S_ERR_HOST_PROGRAM`).
pub(crate) const FAILURE: Exit = Exit(1);
/// The longest packet of a savefile, and what `-s 0` means (libpcap's MAXIMUM_SNAPLEN).
pub(crate) const MAXIMUM_SNAPLEN: u32 = 262_144;

/// What is offered.
pub(crate) const FLAGS: Flags = flags![
    flag("-A", "", "payload as ASCII; -AA with the link header"),
    flag("-B, --buffer-size", "KiB", "capture buffer"),
    flag("-b", "", "BGP AS numbers as ASDOT"),
    flag("-c", "N", "stop after N packets"),
    flag("--count", "", "print only how many packets there are"),
    flag("-C", "SIZE", "a new file with -w after SIZE million bytes (suffix k, m, g)"),
    flag("-d", "", "print the compiled filter; -dd as C, -ddd as numbers"),
    flag("-D, --list-interfaces", "", "interfaces to capture on"),
    flag("-e", "", "print the link header"),
    flag("-F", "FILE", "read the filter from FILE"),
    flag("-G", "SECONDS", "a new file with -w every SECONDS; strftime in its name"),
    flag("-h, --help", "", "this"),
    flag("-i, --interface", "NAME", "interface to capture on; may be repeated"),
    flag("--immediate-mode", "", "deliver packets at once"),
    flag("-j, --time-stamp-type", "TYPE", "time stamp source"),
    flag("-J, --list-time-stamp-types", "", "time stamp sources of the interface"),
    flag("-K, --dont-verify-checksums", "", "do not verify checksums"),
    flag("-l", "", "line-buffered output"),
    flag("-L, --list-data-link-types", "", "link types of the interface"),
    flag("--micro", "", "microsecond time stamps"),
    flag("-n", "", "no names for addresses and ports"),
    flag("--nano", "", "nanosecond time stamps"),
    flag("-N", "", "host names without their domain"),
    flag("-#, --number", "", "number the lines"),
    flag("-O, --no-optimize", "", "do not optimize the filter"),
    flag("-p, --no-promiscuous-mode", "", "not promiscuous (the default here)"),
    flag("--promiscuous", "", "promiscuous mode"),
    flag("--print", "", "print even with -w"),
    flag("-q", "", "less protocol information"),
    flag("-Q, --direction", "in|out|inout", "direction to capture"),
    flag("-r", "FILE", "read packets from FILE, - for standard input"),
    flag("-s, --snapshot-length", "BYTES", "bytes of each packet"),
    flag("-S, --absolute-tcp-sequence-numbers", "", "absolute sequence numbers"),
    flag("-t", "", "no time; -tt seconds, -ttt since the last, -tttt date, -ttttt since the first"),
    flag("--time-stamp-precision", "micro|nano", "precision of time stamps"),
    flag("-T", "TYPE", "take packets for carp, domain, radius, resp, snmp, tftp or vxlan"),
    flag("-U, --packet-buffered", "", "flush -w after each packet"),
    flag("-v", "", "more; -vv and -vvv even more"),
    flag("-V", "FILE", "read a list of files from FILE"),
    flag("--version", "", "version"),
    flag("-w", "FILE", "write packets to FILE, - for standard output"),
    flag("-W", "N", "with -C a ring of N files, with -G stop after N"),
    flag("-x", "", "payload in hex; -xx with the link header"),
    flag("-X", "", "payload in hex and ASCII; -XX with the link header"),
    flag("-y, --linktype", "TYPE", "link type to capture"),
    flag("--json", "", "one JSON object a packet"),
    flag("--flows", "", "one line a flow at the end, with a verdict"),
    flag("--dns", "", "one line a DNS query and its answer"),
    flag("--http", "", "one line an HTTP request or status line"),
    flag("--sni", "", "one line a TLS ClientHello with its server name"),
    flag("--netns", "PID|PATH", "in another network namespace"),
    flag("--pid", "PID", "in the network namespace of a process"),
    flag("--explain", "", "hints although stderr is no terminal"),
];

/// Short options; a colon after those with a value, as getopt(3) writes it.
const SHORT: &str = "aAbB:c:C:dDeE:fF:G:hHi:Ij:JKlLm:M:nNOpqQ:r:s:StT:uUvV:w:W:xXy:Yz:Z:#";

/// Long options: spelling, whether a value follows, and the letter they mean (an upper-case word for ours).
const LONG: &[(&str, bool, Long)] = &[
    ("absolute-tcp-sequence-numbers", false, Long::Is('S')),
    ("buffer-size", true, Long::Is('B')),
    ("count", false, Long::Count),
    ("direction", true, Long::Is('Q')),
    ("dns", false, Long::Dns),
    ("dont-verify-checksums", false, Long::Is('K')),
    ("explain", false, Long::Explain),
    ("flows", false, Long::Flows),
    ("help", false, Long::Is('h')),
    ("http", false, Long::Http),
    ("immediate-mode", false, Long::Immediate),
    ("interface", true, Long::Is('i')),
    ("json", false, Long::Json),
    ("linktype", true, Long::Is('y')),
    ("list-data-link-types", false, Long::Is('L')),
    ("list-interfaces", false, Long::Is('D')),
    ("list-remote-interfaces", true, Long::Remote),
    ("list-time-stamp-types", false, Long::Is('J')),
    ("micro", false, Long::Micro),
    ("monitor-mode", false, Long::Is('I')),
    ("nano", false, Long::Nano),
    ("netns", true, Long::Netns),
    ("no-optimize", false, Long::Is('O')),
    ("no-promiscuous-mode", false, Long::Is('p')),
    ("number", false, Long::Is('#')),
    ("packet-buffered", false, Long::Is('U')),
    ("pid", true, Long::Pid),
    ("print", false, Long::Print),
    ("promiscuous", false, Long::Promiscuous),
    ("relinquish-privileges", true, Long::Is('Z')),
    ("sni", false, Long::Sni),
    ("snapshot-length", true, Long::Is('s')),
    ("time-stamp-precision", true, Long::Precision),
    ("time-stamp-type", true, Long::Is('j')),
    ("version", false, Long::Version),
];

#[derive(Clone, Copy)]
enum Long {
    Is(char),
    Count,
    Dns,
    Explain,
    Flows,
    Http,
    Immediate,
    Json,
    Micro,
    Nano,
    Netns,
    Pid,
    Precision,
    Print,
    Promiscuous,
    Remote,
    Sni,
    Version,
}

/// What is known of the peer and not offered, and what to use instead.
const REFUSED: &[(char, &str)] = &[
    ('a', "-a (addresses to names) has no meaning any more; leave -n away"),
    ('E', "-E (decrypting ESP) is not offered: the packets are shown as ESP with SPI and sequence number"),
    ('f', "-f (foreign addresses as numbers) is not offered: only /etc/hosts is asked for names; -n shows numbers"),
    ('H', "-H (802.11s mesh headers) is not offered: wireless link types are not printed"),
    ('I', "-I (monitor mode) is not offered: only wired and virtual interfaces are captured on"),
    ('m', "-m (SMI modules) is not offered: SNMP objects are shown by number"),
    ('M', "-M (TCP-MD5 secret) is not offered: digests are shown and not checked"),
    ('u', "-u (NFS handles) is not offered: NFS is not decoded"),
    ('Y', "-Y (parser debugging) is not offered; -d shows the compiled filter"),
    ('z', "-z (command after rotation) is not offered: an image from scratch has no other program"),
];

/// What comes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// tcpdump's text.
    #[default]
    Text,
    /// One JSON object a packet.
    Json,
    /// One line a flow.
    Flows,
    /// One line a DNS exchange.
    Dns,
    /// One line an HTTP request or response.
    Http,
    /// One line a ClientHello.
    Sni,
}

/// The command line, validated.
#[derive(Debug, Default)]
pub(crate) struct Opts {
    /// How packets are printed.
    pub(crate) print: Options,
    pub(crate) mode: Mode,
    /// `-i`, in order.
    pub(crate) interfaces: Vec<String>,
    /// `-r`
    pub(crate) read: Option<String>,
    /// `-V`
    pub(crate) read_list: Option<String>,
    /// `-w`
    pub(crate) write: Option<String>,
    /// `--print`
    pub(crate) print_too: bool,
    /// `--count`
    pub(crate) count_only: bool,
    /// `-c`; 0 is no limit.
    pub(crate) limit: u64,
    /// `-s`
    pub(crate) snaplen: u32,
    /// `-C` in bytes; 0 is no rotation by size.
    pub(crate) rotate_bytes: u64,
    /// `-G` in seconds; 0 is no rotation by time.
    pub(crate) rotate_seconds: u64,
    /// `-W`; 0 is no limit.
    pub(crate) rotate_files: u32,
    /// `-F`
    pub(crate) filter_file: Option<String>,
    /// The trailing words.
    pub(crate) expression: Vec<String>,
    /// How many `-d`.
    pub(crate) dump_filter: u8,
    /// Off with `-O`.
    pub(crate) optimize: bool,
    /// `-l`
    pub(crate) line_buffered: bool,
    /// `-U`
    pub(crate) packet_buffered: bool,
    /// `-B` in KiB; 0 is the default.
    pub(crate) buffer_kib: u32,
    pub(crate) promiscuous: bool,
    pub(crate) immediate: bool,
    /// `-Q`
    pub(crate) direction: Option<String>,
    /// `-y`
    pub(crate) link_type: Option<String>,
    /// `-j`
    pub(crate) stamp_type: Option<String>,
    /// Nanoseconds were asked for.
    pub(crate) nano: bool,
    pub(crate) list_interfaces: bool,
    pub(crate) list_link_types: bool,
    pub(crate) list_stamp_types: bool,
    pub(crate) help: bool,
    pub(crate) version: bool,
    pub(crate) explain: bool,
    pub(crate) netns: Option<String>,
}

/// Reads the words after the name.
///
/// # Errors
/// Names the word or value that is wrong.
pub(crate) fn parse(words: &[String]) -> Result<Opts, Error> {
    let mut opts = Opts { snaplen: MAXIMUM_SNAPLEN, optimize: true, ..Opts::default() };
    let mut stamps = 0u32;
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if word == "--" {
            opts.expression.extend(rest.by_ref().cloned());
        } else if let Some(long) = word.strip_prefix("--") {
            let (name, mut value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            let (spelling, wants, what) = find_long(name)?;
            if !wants && value.is_some() {
                return Err(usage(format!("option '--{spelling}' doesn't allow an argument")));
            }
            if wants && value.is_none() {
                let next = rest.next().ok_or_else(|| usage(format!("option '--{spelling}' requires an argument")))?;
                value = Some(next.clone());
            }
            set_long(&mut opts, what, &value.unwrap_or_default(), &mut stamps)?;
        } else if word.len() > 1 && word.starts_with('-') {
            let mut letters = word.chars().skip(1);
            while let Some(letter) = letters.next() {
                let mut value = String::new();
                if takes_value(letter)? {
                    value = letters.by_ref().collect();
                    if value.is_empty() {
                        let next = rest.next();
                        value =
                            next.ok_or_else(|| usage(format!("option requires an argument -- '{letter}'")))?.clone();
                    }
                }
                set(&mut opts, letter, &value, &mut stamps)?;
            }
        } else {
            // getopt of the peer stops at the first word of the expression.
            opts.expression.push(word.clone());
            opts.expression.extend(rest.by_ref().cloned());
        }
    }
    opts.print.time = match stamps {
        0 => TimeStyle::Clock,
        1 => TimeStyle::None,
        2 => TimeStyle::Seconds,
        3 => TimeStyle::SinceLast,
        4 => TimeStyle::Date,
        5 => TimeStyle::SinceFirst,
        _ => return Err(usage("only -t, -tt, -ttt, -tttt, and -ttttt are supported")),
    };
    if (opts.print.hex > 0) as u8 + (opts.print.hex_ascii > 0) as u8 + (opts.print.ascii > 0) as u8 > 1 {
        // tcpdump warns and lets -X win over -x over -A.
        opts.print.hex = if opts.print.hex_ascii > 0 { 0 } else { opts.print.hex };
    }
    if opts.read.is_some() && opts.read_list.is_some() {
        return Err(usage("-V and -r are mutually exclusive."));
    }
    if opts.mode != Mode::Text && opts.write.is_some() && !opts.print_too {
        return Err(usage("--json, --flows, --dns, --http and --sni print; with -w, add --print"));
    }
    Ok(opts)
}

fn find_long(name: &str) -> Result<(&'static str, bool, Long), Error> {
    if let Some(exact) = LONG.iter().find(|entry| entry.0 == name) {
        return Ok(*exact);
    }
    let mut near = LONG.iter().filter(|entry| entry.0.starts_with(name));
    match (near.next(), near.next()) {
        (Some(only), None) => Ok(*only),
        (None, _) => Err(usage(format!("unrecognized option '--{name}'"))),
        _ => Err(usage(format!("option '--{name}' is ambiguous"))),
    }
}

fn takes_value(letter: char) -> Result<bool, Error> {
    match SHORT.find(letter).filter(|_| letter != ':') {
        Some(at) => Ok(SHORT.get(at + letter.len_utf8()..).is_some_and(|rest| rest.starts_with(':'))),
        None => Err(usage(format!("invalid option -- '{letter}'"))),
    }
}

fn set_long(opts: &mut Opts, what: Long, value: &str, stamps: &mut u32) -> Result<(), Error> {
    match what {
        Long::Is(letter) => return set(opts, letter, value, stamps),
        Long::Count => opts.count_only = true,
        Long::Dns => opts.mode = Mode::Dns,
        Long::Explain => opts.explain = true,
        Long::Flows => opts.mode = Mode::Flows,
        Long::Http => opts.mode = Mode::Http,
        Long::Immediate => opts.immediate = true,
        Long::Json => opts.mode = Mode::Json,
        Long::Micro => opts.nano = false,
        Long::Nano => opts.nano = true,
        Long::Netns | Long::Pid => opts.netns = Some(value.to_owned()),
        Long::Precision => {
            opts.nano = match value {
                "micro" => false,
                "nano" => true,
                _ => return Err(usage(format!("unable to parse time stamp precision '{value}'"))),
            }
        }
        Long::Print => opts.print_too = true,
        Long::Promiscuous => opts.promiscuous = true,
        Long::Remote => {
            return Err(Error::usage("--list-remote-interfaces is not offered: run netkit where the interface is"));
        }
        Long::Sni => opts.mode = Mode::Sni,
        Long::Version => opts.version = true,
    }
    Ok(())
}

fn set(opts: &mut Opts, letter: char, value: &str, stamps: &mut u32) -> Result<(), Error> {
    let print = &mut opts.print;
    let more = |count: &mut u8| *count = count.saturating_add(1);
    match letter {
        'A' => more(&mut print.ascii),
        'b' => print.asdot = true,
        'B' => opts.buffer_kib = number(value, 1, u64::from(u32::MAX) / 1024, "invalid packet buffer size")? as u32,
        'c' => opts.limit = number(value, 1, u64::from(u32::MAX) / 2, "invalid packet count")?,
        'C' => opts.rotate_bytes = size(value)?,
        'd' => more(&mut opts.dump_filter),
        'D' => opts.list_interfaces = true,
        'e' => print.link_header = true,
        'F' => opts.filter_file = Some(value.to_owned()),
        'G' => opts.rotate_seconds = number(value, 0, u64::from(u32::MAX) / 2, "invalid number of seconds")?,
        'h' => opts.help = true,
        'i' => opts.interfaces.push(value.to_owned()),
        'j' => opts.stamp_type = Some(value.to_owned()),
        'J' => opts.list_stamp_types = true,
        'K' => print.skip_checksums = true,
        'l' => opts.line_buffered = true,
        'L' => opts.list_link_types = true,
        'n' => more(&mut print.numeric),
        'N' => print.no_domain = true,
        'O' => opts.optimize = false,
        'p' => opts.promiscuous = false,
        'q' => print.quiet = true,
        'Q' => match value {
            "in" | "out" | "inout" => opts.direction = Some(value.to_owned()),
            _ => return Err(usage(format!("unknown capture direction `{value}'"))),
        },
        'r' => opts.read = Some(value.to_owned()),
        's' => {
            let text = format!("invalid snaplen {value} (must be >= 0 and <= {MAXIMUM_SNAPLEN})");
            let bytes = value.parse().ok().filter(|bytes| *bytes <= MAXIMUM_SNAPLEN).ok_or_else(|| usage(text))?;
            opts.snaplen = if bytes == 0 { MAXIMUM_SNAPLEN } else { bytes };
        }
        'S' => print.absolute_seq = true,
        't' => *stamps += 1,
        'T' => print.force = Some(force(value)?),
        'U' => opts.packet_buffered = true,
        'v' => more(&mut print.verbose),
        'V' => opts.read_list = Some(value.to_owned()),
        'w' => opts.write = Some(value.to_owned()),
        'W' => opts.rotate_files = number(value, 1, u64::from(u32::MAX) / 2, "invalid number of output files")? as u32,
        'x' => more(&mut print.hex),
        'X' => more(&mut print.hex_ascii),
        'y' => opts.link_type = Some(value.to_owned()),
        // The user stays who it is; capabilities are dropped instead, so a name to change to changes nothing.
        'Z' => {}
        '#' => print.number = true,
        _ => {
            let refused = REFUSED.iter().find(|entry| entry.0 == letter);
            return Err(match refused {
                Some((_, text)) => Error::usage(*text),
                None => usage(format!("invalid option -- '{letter}'")),
            });
        }
    }
    Ok(())
}

/// `-T`
fn force(value: &str) -> Result<Force, Error> {
    const OTHERS: [&str; 13] =
        ["aodv", "cnfp", "lmp", "pgm", "pgm_zmtp1", "ptp", "rpc", "rtcp", "rtp", "someip", "vat", "wb", "zmtp1"];
    if let Some(force) = Force::named(value) {
        return Ok(force);
    }
    if OTHERS.iter().any(|other| other.eq_ignore_ascii_case(value)) {
        return Err(Error::usage(format!("-T {value} is not offered: it is not decoded; -X shows the bytes")));
    }
    Err(usage(format!("unknown packet type `{value}'")))
}

fn number(value: &str, least: u64, most: u64, text: &str) -> Result<u64, Error> {
    let number = value.parse::<u64>().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| usage(format!("{text} {value}")))
}

/// `-C`: millions of bytes, or with a suffix thousands, millions or milliards in powers of 1024.
fn size(value: &str) -> Result<u64, Error> {
    let bad = || usage(format!("invalid file size {value}"));
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match value.get(digits.len()..).unwrap_or_default().to_ascii_lowercase().as_str() {
        "" => 1_000_000,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return Err(bad()),
    };
    let bytes = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(unit));
    bytes.filter(|bytes| *bytes > 0 && i64::try_from(*bytes).is_ok()).ok_or_else(bad)
}

/// A command line that the peer refuses, with its status.
pub(crate) fn usage(text: impl Into<String>) -> Error {
    Error::new(FAILURE, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Opts, Error> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn bundled_and_long() {
        let opts = parsed("-nnvvvr x.pcap -tttt --count --snapshot-length=96 -c5 tcp port 80 -v").unwrap();
        assert_eq!((opts.print.numeric, opts.print.verbose, opts.limit, opts.snaplen), (2, 3, 5, 96));
        assert_eq!(opts.read.as_deref(), Some("x.pcap"));
        assert_eq!(opts.expression, ["tcp", "port", "80", "-v"]);
        assert!(opts.count_only && opts.print.time == TimeStyle::Date);
    }

    #[test]
    fn refusals_name_what_is_wrong() {
        for (line, status, text) in [
            ("-E x", 2, "-E"),
            ("-k", 1, "invalid option -- 'k'"),
            ("-r", 1, "requires an argument -- 'r'"),
            ("-c 0", 1, "invalid packet count 0"),
            ("-s 300000", 1, "invalid snaplen 300000"),
            ("-tttttt", 1, "only -t"),
            ("-T nope", 1, "unknown packet type `nope'"),
            ("--nosuch", 1, "unrecognized option '--nosuch'"),
            ("--n", 1, "ambiguous"),
            ("--count=3", 1, "doesn't allow"),
            ("-C 5x", 1, "invalid file size 5x"),
            ("-Q up", 1, "unknown capture direction"),
        ] {
            let error = parsed(line).unwrap_err();
            assert_eq!(error.exit, Exit(status), "{line}");
            assert!(error.message.contains(text), "{line}: {}", error.message);
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("3").unwrap(), 3_000_000);
        assert_eq!(size("2k").unwrap(), 2048);
        assert!(size("0").is_err() && size("99999999999999999999").is_err());
    }
}
