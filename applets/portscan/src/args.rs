//! The command line, in nmap's spelling.

use std::net::IpAddr;
use std::time::Duration;

use netkit_core::text::printable;

/// What the user asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Opts {
    pub(crate) v6: bool,
    /// The letter of the scan of TCP ports, where one is asked for: S, T, A, W, M, N, F or X.
    pub(crate) tcp: Option<char>,
    pub(crate) udp: bool,
    pub(crate) hosts_only: bool,
    pub(crate) list_only: bool,
    pub(crate) versions: bool,
    pub(crate) no_discovery: bool,
    /// How hosts are found: a letter of -P and its ports.
    pub(crate) pings: Vec<(char, Vec<u16>)>,
    pub(crate) no_arp: bool,
    /// Whether raw packets may (true) or may not (false) be tried; else whatever works.
    pub(crate) raw: Option<bool>,
    pub(crate) numeric: bool,
    pub(crate) all_addresses: bool,
    pub(crate) ports: Option<String>,
    pub(crate) top: Option<usize>,
    pub(crate) exclude_ports: Option<String>,
    pub(crate) open: bool,
    pub(crate) reason: bool,
    pub(crate) verbose: usize,
    pub(crate) timing: Option<u8>,
    pub(crate) outputs: Vec<(Format, String)>,
    pub(crate) append: bool,
    pub(crate) list: Option<String>,
    pub(crate) exclude: Vec<String>,
    pub(crate) exclude_file: Option<String>,
    pub(crate) interface: Option<String>,
    pub(crate) source: Option<IpAddr>,
    pub(crate) source_port: Option<u16>,
    pub(crate) ttl: Option<u8>,
    pub(crate) retries: Option<u32>,
    pub(crate) initial: Option<Duration>,
    pub(crate) least: Option<Duration>,
    pub(crate) most: Option<Duration>,
    pub(crate) host_timeout: Option<Duration>,
    pub(crate) rate: Option<f64>,
    pub(crate) least_rate: Option<f64>,
    pub(crate) parallel: Option<usize>,
    pub(crate) json: bool,
    pub(crate) repeat: Option<u32>,
    pub(crate) service: Vec<String>,
    pub(crate) expect: Option<String>,
    pub(crate) netns: Option<String>,
    pub(crate) explain: bool,
    pub(crate) help: bool,
    pub(crate) version: bool,
    pub(crate) targets: Vec<String>,
}

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Normal,
    Grepable,
    Xml,
    /// masscan's JSON, open ports only.
    MasscanJson,
    /// masscan's list, open ports only.
    List,
}

const NO_SCRIPTS: &str = "there are no scripts";
const NO_SYSTEMS: &str = "operating systems are not guessed";
const NO_OTHERS: &str = "scanning through or as others is not for this tool";
const NO_SCTP: &str = "SCTP is not scanned";
const NO_SHAPES: &str = "packets are sent as every stack sends them";
const NO_SHEETS: &str = "XML has no style sheet";
const PROBES: &str = "-sV asks with a banner, TLS and HTTP, and with nothing else";

const REFUSED: &[(&str, &str)] = &[
    ("-sI", NO_OTHERS),
    ("-sO", "IP protocols are not scanned: -sS and -sU ask for TCP and UDP, -PE for ICMP"),
    ("-sY", NO_SCTP),
    ("-sZ", NO_SCTP),
    ("-sC", NO_SCRIPTS),
    ("-sR", "use -sV"),
    ("-A", "it is -O -sV -sC --traceroute, of which only -sV is offered"),
    ("-O", NO_SYSTEMS),
    ("-D", NO_OTHERS),
    ("-f", NO_SHAPES),
    ("-b", NO_OTHERS),
    ("-PO", "use -PE, -PS, -PA or -PU"),
    ("-PY", NO_SCTP),
    ("-iR", "hosts are not picked at random"),
    ("-oS", "use -oN"),
    ("-oM", "use -oG"),
    ("-oH", "use -oX"),
    ("--script", NO_SCRIPTS),
    ("--script-args", NO_SCRIPTS),
    ("--script-args-file", NO_SCRIPTS),
    ("--script-help", NO_SCRIPTS),
    ("--script-timeout", NO_SCRIPTS),
    ("--script-trace", NO_SCRIPTS),
    ("--script-updatedb", NO_SCRIPTS),
    ("--osscan-limit", NO_SYSTEMS),
    ("--osscan-guess", NO_SYSTEMS),
    ("--fuzzy", NO_SYSTEMS),
    ("--max-os-tries", NO_SYSTEMS),
    ("--traceroute", "use `traceroute`"),
    ("--spoof-mac", NO_OTHERS),
    ("--decoys", NO_OTHERS),
    ("--send-eth", "routing is left to the kernel: --send-ip"),
    ("--resume", "start anew with the ports that are left"),
    ("--proxies", "`nc -X` goes through a proxy"),
    ("--proxy", "`nc -X` goes through a proxy"),
    ("--data", NO_SHAPES),
    ("--data-string", NO_SHAPES),
    ("--data-length", NO_SHAPES),
    ("--badsum", NO_SHAPES),
    ("--adler32", NO_SCTP),
    ("--mtu", NO_SHAPES),
    ("--ip-options", NO_SHAPES),
    ("--scanflags", "-sS, -sA, -sF, -sN, -sX and -sM send the usual ones"),
    ("--packet-trace", "`tcpdump` shows the packets"),
    ("--version-trace", "`tcpdump` shows the packets"),
    ("--version-intensity", PROBES),
    ("--version-light", PROBES),
    ("--version-all", PROBES),
    ("--allports", PROBES),
    ("--iflist", "`ip addr` and `ip route` show them"),
    ("--dns-servers", "resolv.conf is used; `dig -x` asks others"),
    ("--system-dns", "resolv.conf is used in any case"),
    ("--stylesheet", NO_SHEETS),
    ("--webxml", NO_SHEETS),
    ("--datadir", "there are no data files"),
    ("--servicedb", "names are those of /etc/services"),
    ("--versiondb", "there are no data files"),
    ("--port-ratio", "use --top-ports"),
    ("--discovery-ignore-rst", "a reset proves a host as well as anything"),
    ("--stats-every", "progress is shown on a terminal"),
];

/// Options that change nothing here, and whether they take a value: ports are asked in the order of their numbers and
/// hosts in theirs, groups are as large as memory allows, names are looked up as the system does.
const IDLE: &[(&str, bool)] = &[
    ("-r", false),
    ("--noninteractive", false),
    ("--send-ip", false),
    ("--randomize-hosts", false),
    ("--no-stylesheet", false),
    ("--open-only", false),
    ("--log-errors", false),
    ("--defeat-rst-ratelimit", false),
    ("--defeat-icmp-ratelimit", false),
    ("--nogcc", false),
    ("--unique", false),
    ("--min-parallelism", true),
    ("--min-hostgroup", true),
    ("--max-hostgroup", true),
];

/// Scans of TCP that exclude each other.
const SCANS: &str = "STAWMNFX";

/// What is wrong with a command line, and with which status it ends.
#[derive(Debug)]
pub(crate) struct Wrong(pub(crate) u8, pub(crate) String);

fn wrong(text: impl Into<String>) -> Wrong {
    Wrong(1, text.into())
}

fn duration(name: &str, text: &str) -> Result<Duration, Wrong> {
    let (digits, factor) = match text {
        _ if text.ends_with("ms") => (text.trim_end_matches("ms"), 1),
        _ if text.ends_with('s') => (text.trim_end_matches('s'), 1000),
        _ if text.ends_with('m') => (text.trim_end_matches('m'), 60_000),
        _ if text.ends_with('h') => (text.trim_end_matches('h'), 3_600_000),
        _ => (text, 1000),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let number = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u64>().ok() };
    let scale = 10u64.checked_pow(u32::try_from(part.len()).unwrap_or(20));
    let millis = (|| {
        let fraction = number(part)?.checked_mul(factor)?.checked_div(scale?)?;
        number(whole)?.checked_mul(factor)?.checked_add(fraction)
    })();
    let good = !digits.is_empty() && digits != ".";
    millis.filter(|_| good).map(Duration::from_millis).ok_or_else(|| wrong(format!("Bogus {name} argument specified")))
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, Wrong> {
    text.parse().map_err(|_| wrong(format!("Bogus {name} argument \"{}\"", printable(text))))
}

/// Reads the words after the name.
///
/// # Errors
/// See [`Wrong`].
pub(crate) fn parse(words: &[String]) -> Result<Opts, Wrong> {
    let mut opts = Opts::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if !word.starts_with('-') || word == "-" {
            opts.targets.push(word.clone());
            continue;
        }
        let long = word.starts_with("--");
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) if long => (name, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        if let Some((name, instead)) = REFUSED.iter().find(|(known, _)| *known == name) {
            return Err(Wrong(2, format!("{name} is not offered: {instead}")));
        }
        let mut value = || {
            inline.clone().or_else(|| words.next().cloned()).ok_or_else(|| {
                let name = printable(name.trim_start_matches('-'));
                Wrong(255, format!("option '{name}' requires an argument"))
            })
        };
        if let Some((_, valued)) = IDLE.iter().find(|(known, _)| *known == name) {
            if *valued {
                let _: f64 = number(name, &value()?)?;
            }
            continue;
        }
        match name {
            "-h" | "--help" => opts.help = true,
            "-V" | "--version" => opts.version = true,
            "-4" => opts.v6 = false,
            "-6" => opts.v6 = true,
            "-n" => opts.numeric = true,
            "-R" => opts.numeric = false,
            "--resolve-all" => opts.all_addresses = true,
            "--privileged" => opts.raw = Some(true),
            "--unprivileged" => opts.raw = Some(false),
            "--disable-arp-ping" => opts.no_arp = true,
            "--append-output" => opts.append = true,
            "--ttl" => opts.ttl = Some(number("--ttl", &value()?)?),
            "--excludefile" => opts.exclude_file = Some(value()?),
            "--scan-delay" | "--max-scan-delay" => {
                let pause = duration(name, &value()?)?;
                if name == "--scan-delay" && !pause.is_zero() {
                    opts.rate = Some(1.0 / pause.as_secs_f64());
                }
            }
            "--min-rate" => opts.least_rate = Some(rate(name, &value()?)?),
            "--max-rate" => opts.rate = Some(rate(name, &value()?)?),
            "--repeat" => {
                opts.repeat = Some(number::<u32>(name, &value()?)?).filter(|times| (1..=100_000).contains(times));
                opts.repeat.ok_or_else(|| wrong("--repeat should be an integer from 1 to 100000"))?;
            }
            "--svc" => opts.service.push(value()?),
            "-F" => opts.top = Some(100),
            "-p" => opts.ports = Some(value()?),
            "--top-ports" => opts.top = Some(number("--top-ports", &value()?)?),
            "--exclude-ports" => opts.exclude_ports = Some(value()?),
            "--exclude" => opts.exclude.extend(value()?.split(',').map(str::to_owned)),
            "--open" => opts.open = true,
            "--reason" => opts.reason = true,
            "-iL" => opts.list = Some(value()?),
            "-e" => opts.interface = Some(value()?),
            "-S" => opts.source = Some(number("-S", &value()?)?),
            "-g" | "--source-port" => opts.source_port = Some(number("-g", &value()?)?),
            "-T" => opts.timing = Some(timing(&value()?)?),
            "--max-retries" => opts.retries = Some(number("--max-retries", &value()?)?),
            "--initial-rtt-timeout" => opts.initial = Some(duration(name, &value()?)?),
            "--min-rtt-timeout" => opts.least = Some(duration(name, &value()?)?),
            "--max-rtt-timeout" => opts.most = Some(duration(name, &value()?)?),
            "--host-timeout" => opts.host_timeout = Some(duration(name, &value()?)?),
            "--max-parallelism" => opts.parallel = Some(number::<usize>(name, &value()?)?.max(1)),
            "-oN" => opts.outputs.push((Format::Normal, value()?)),
            "-oG" => opts.outputs.push((Format::Grepable, value()?)),
            "-oX" => opts.outputs.push((Format::Xml, value()?)),
            "-oJ" => opts.outputs.push((Format::MasscanJson, value()?)),
            "-oL" => opts.outputs.push((Format::List, value()?)),
            "-oA" => {
                let base = value()?;
                for (format, ending) in [(Format::Normal, "nmap"), (Format::Grepable, "gnmap"), (Format::Xml, "xml")] {
                    opts.outputs.push((format, format!("{base}.{ending}")));
                }
            }
            "--json" => opts.json = true,
            "--expect" => opts.expect = Some(value()?),
            "--netns" | "--from-pid" => opts.netns = Some(value()?),
            "--explain" => opts.explain = true,
            _ if name.starts_with("-p") && !long => opts.ports = name.get(2..).map(str::to_owned),
            _ if name.starts_with("-T") && !long => opts.timing = Some(timing(name.get(2..).unwrap_or(""))?),
            _ if name.starts_with("-P") && !long => ping(&mut opts, name.get(2..).unwrap_or(""))?,
            _ if name.starts_with("-s") && !long => scans(&mut opts, name.get(2..).unwrap_or(""))?,
            _ if name.starts_with("-v") && !long => match name.get(2..).unwrap_or("") {
                digits if digits.parse::<usize>().is_ok() => opts.verbose = digits.parse().unwrap_or(1),
                more if more.bytes().all(|byte| byte == b'v') => opts.verbose += 1 + more.len(),
                _ => return Err(Wrong(255, format!("invalid option -- '{}'", printable(name)))),
            },
            _ if name.starts_with("-d") && !long => opts.verbose = opts.verbose.max(1),
            _ if long => {
                return Err(Wrong(255, format!("unrecognized option '{}'", printable(name))));
            }
            _ => {
                let letter: String = name.chars().skip(1).take(1).collect();
                return Err(Wrong(255, format!("invalid option -- '{}'", printable(&letter))));
            }
        }
    }
    Ok(opts)
}

fn rate(name: &str, text: &str) -> Result<f64, Wrong> {
    let rate: f64 = number(name, text)?;
    Some(rate)
        .filter(|rate| rate.is_finite() && *rate > 0.0)
        .ok_or_else(|| wrong(format!("Argument to {name} must be a positive floating-point number")))
}

/// The letters behind `-s`.
fn scans(opts: &mut Opts, letters: &str) -> Result<(), Wrong> {
    if letters.is_empty() {
        return Err(wrong(
            "An option is required for -s, most common are -sT (tcp scan), -sS (SYN scan), -sU (UDP scan) and -sn (Ping scan)",
        ));
    }
    for letter in letters.chars() {
        match letter {
            'n' | 'P' => opts.hosts_only = true,
            'L' => opts.list_only = true,
            'U' => opts.udp = true,
            'V' => opts.versions = true,
            _ if SCANS.contains(letter) => {
                if opts.tcp.is_some_and(|other| other != letter) {
                    return Err(wrong(
                        "You specified more than one type of TCP scan.  Please choose only one of -sA, -b, -sT, -sF, -sI, -sM, -sN, \
                         -sS, -sW, and -sX",
                    ));
                }
                opts.tcp = Some(letter);
            }
            _ => {
                let name = format!("-s{letter}");
                return Err(match REFUSED.iter().find(|(known, _)| *known == name) {
                    Some((name, instead)) => Wrong(2, format!("{name} is not offered: {instead}")),
                    None => wrong(format!("Scantype {} not supported", printable(&letter.to_string()))),
                });
            }
        }
    }
    Ok(())
}

/// What follows `-P`: how hosts are found.
fn ping(opts: &mut Opts, text: &str) -> Result<(), Wrong> {
    let mut chars = text.chars();
    let letter = chars.next().unwrap_or('?');
    let rest = chars.as_str();
    match (letter, rest) {
        ('n' | 'N' | '0' | 'D', "") => opts.no_discovery = true,
        ('E' | 'I', "") => opts.pings.push(('E', Vec::new())),
        ('P' | 'M' | 'R', "") => opts.pings.push((letter, Vec::new())),
        ('S' | 'A' | 'T' | 'U', list) => {
            let ports = if list.is_empty() {
                vec![if letter == 'U' { 40_125 } else { 80 }]
            } else {
                crate::ports::numbers(list).map_err(wrong)?
            };
            opts.pings.push((if letter == 'T' { 'A' } else { letter }, ports));
        }
        _ if matches!(letter, 'O' | 'Y') => {
            let (name, instead) = REFUSED
                .iter()
                .find(|(known, _)| known.ends_with(letter) && known.starts_with("-P"))
                .copied()
                .unwrap_or_default();
            return Err(Wrong(2, format!("{name} is not offered: {instead}")));
        }
        _ => {
            return Err(wrong("Illegal Argument to -P, use -Pn, -PE, -PS, -PA, -PP, -PM, -PU, -PY, or -PO"));
        }
    }
    Ok(())
}

fn timing(text: &str) -> Result<u8, Wrong> {
    let names = ["paranoid", "sneaky", "polite", "normal", "aggressive", "insane"];
    let named = names.iter().position(|name| name.eq_ignore_ascii_case(text)).and_then(|at| u8::try_from(at).ok());
    named.or_else(|| text.parse().ok()).filter(|level| *level <= 5).ok_or_else(|| {
        wrong(
            "Unknown timing mode (-T argument).  Use either \"Paranoid\", \"Sneaky\", \"Polite\", \"Normal\", \
               \"Aggressive\", \"Insane\" or a number from 0 (Paranoid) to 5 (Insane)",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Opts, Wrong> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options() {
        let opts = read("-sT -sU -p- -T4 --max-rate=50 -oG - 10.0.0.1 --host-timeout 1.5m -n").unwrap();
        assert_eq!((opts.tcp, opts.udp, opts.ports.as_deref(), opts.timing), (Some('T'), true, Some("-"), Some(4)));
        assert_eq!((opts.rate, opts.host_timeout), (Some(50.0), Some(Duration::from_secs(90))));
        assert_eq!(opts.outputs, [(Format::Grepable, "-".to_owned())]);
        assert_eq!(read("-p22,80 h").unwrap().ports.as_deref(), Some("22,80"));
        for line in ["-sO h", "-sSO h", "-O h", "--script=x h", "-D a h"] {
            assert!(matches!(read(line), Err(Wrong(2, text)) if text.contains("not offered")), "{line}");
        }
        for line in ["-T9 h", "--max-rate 0 h", "--max-rate x h", "--host-timeout x h", "--host-timeout . h"] {
            assert!(matches!(read(line), Err(Wrong(1, _))), "{line}");
        }
        assert!(matches!(read("--foo h"), Err(Wrong(255, _))));
    }

    proptest::proptest! {
        #[test]
        fn any_words(words in proptest::collection::vec("-{0,2}[a-zA-Z0-9.=]{0,12}|.{0,12}", 0..6)) {
            let _ = parse(&words);
        }

        #[test]
        fn any_time(text in "[0-9.]{0,30}(ms|s|m|h)?|.{0,12}") {
            let _ = duration("--x", &text);
        }
    }
}
