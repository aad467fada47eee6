//! The command line, in nmap's spelling.

use std::net::IpAddr;
use std::time::Duration;

use netkit_core::text::printable;

/// What the user asks for.
#[derive(Clone, Debug)]
pub(crate) struct Opts {
    pub(crate) v6: bool,
    pub(crate) tcp: bool,
    pub(crate) udp: bool,
    pub(crate) hosts_only: bool,
    pub(crate) no_discovery: bool,
    pub(crate) numeric: bool,
    pub(crate) ports: Option<String>,
    pub(crate) top: Option<usize>,
    pub(crate) exclude_ports: Option<String>,
    pub(crate) open: bool,
    pub(crate) reason: bool,
    pub(crate) verbose: bool,
    pub(crate) timing: u8,
    pub(crate) outputs: Vec<(Format, String)>,
    pub(crate) list: Option<String>,
    pub(crate) exclude: Vec<String>,
    pub(crate) interface: Option<String>,
    pub(crate) source: Option<IpAddr>,
    pub(crate) source_port: Option<u16>,
    pub(crate) retries: Option<u32>,
    pub(crate) initial: Option<Duration>,
    pub(crate) least: Option<Duration>,
    pub(crate) most: Option<Duration>,
    pub(crate) host_timeout: Option<Duration>,
    pub(crate) rate: Option<f64>,
    pub(crate) parallel: Option<usize>,
    pub(crate) json: bool,
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

const REFUSED: &[(&str, &str)] = &[
    ("-sS", "-sT sees as much through the error queue, and needs no capability"),
    ("-sA", "it needs raw packets"),
    ("-sW", "it needs raw packets"),
    ("-sM", "it needs raw packets"),
    ("-sN", "it needs raw packets"),
    ("-sF", "it needs raw packets"),
    ("-sX", "it needs raw packets"),
    ("-sI", "scanning through others is not for this tool"),
    ("-sO", "it needs raw packets"),
    ("-sY", "SCTP is not scanned"),
    ("-sZ", "SCTP is not scanned"),
    ("-sV", "`nc -v --explain HOST PORT` shows what an open port says"),
    ("-sC", "there are no scripts"),
    ("-sL", "`-sn` shows which hosts are there"),
    ("-A", "it is -O -sV -sC --traceroute, none of which are offered"),
    ("-O", "operating systems are not guessed"),
    ("-D", "decoys are not for this tool"),
    ("-f", "it needs raw packets"),
    ("-b", "scanning through others is not for this tool"),
    ("-iR", "hosts are not picked at random"),
    ("--script", "there are no scripts"),
    ("--traceroute", "use `traceroute`"),
    ("--spoof-mac", "it needs raw frames"),
    ("--resume", "start anew with the ports that are left"),
    ("--scan-delay", "use --max-rate"),
    ("--max-scan-delay", "use --max-rate"),
    ("--proxies", "`nc -X` goes through a proxy"),
    ("--data-length", "connections carry no data"),
    ("--badsum", "it needs raw packets"),
    ("--ttl", "`traceroute` varies the TTL"),
];

/// What is wrong with a command line, and with which status it ends.
#[derive(Debug)]
pub(crate) struct Wrong(pub(crate) u8, pub(crate) String);

fn wrong(text: impl Into<String>) -> Wrong {
    Wrong(1, text.into())
}

fn duration(text: &str) -> Result<Duration, Wrong> {
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
    millis
        .filter(|_| good)
        .map(Duration::from_millis)
        .ok_or_else(|| wrong(format!("Bogus time \"{}\"", printable(text))))
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, Wrong> {
    text.parse().map_err(|_| wrong(format!("Bogus {name} argument \"{}\"", printable(text))))
}

/// Reads the words after the name.
///
/// # Errors
/// See [`Wrong`].
pub(crate) fn parse(words: &[String]) -> Result<Opts, Wrong> {
    let mut opts = Opts {
        v6: false,
        tcp: false,
        udp: false,
        hosts_only: false,
        no_discovery: false,
        numeric: false,
        ports: None,
        top: None,
        exclude_ports: None,
        open: false,
        reason: false,
        verbose: false,
        timing: 3,
        outputs: Vec::new(),
        list: None,
        exclude: Vec::new(),
        interface: None,
        source: None,
        source_port: None,
        retries: None,
        initial: None,
        least: None,
        most: None,
        host_timeout: None,
        rate: None,
        parallel: None,
        json: false,
        expect: None,
        netns: None,
        explain: false,
        help: false,
        version: false,
        targets: Vec::new(),
    };
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
        match name {
            "-h" | "--help" => opts.help = true,
            "-V" | "--version" => opts.version = true,
            "-4" => opts.v6 = false,
            "-6" => opts.v6 = true,
            "-sT" => opts.tcp = true,
            "-sU" => opts.udp = true,
            "-sTU" | "-sUT" => (opts.tcp, opts.udp) = (true, true),
            "-sn" | "-sP" => opts.hosts_only = true,
            "-Pn" | "-P0" | "-PN" => opts.no_discovery = true,
            "-n" => opts.numeric = true,
            "-R" => opts.numeric = false,
            // Ports are asked in the order of their numbers in any case.
            "-r" | "--unprivileged" | "--noninteractive" | "--send-ip" => {}
            "-F" => opts.top = Some(100),
            "-v" | "-vv" | "-d" => opts.verbose = true,
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
            "-T" => opts.timing = timing(&value()?)?,
            "--max-retries" => opts.retries = Some(number("--max-retries", &value()?)?),
            "--initial-rtt-timeout" => opts.initial = Some(duration(&value()?)?),
            "--min-rtt-timeout" => opts.least = Some(duration(&value()?)?),
            "--max-rtt-timeout" => opts.most = Some(duration(&value()?)?),
            "--host-timeout" => opts.host_timeout = Some(duration(&value()?)?),
            // The rate is always as high as the limits allow.
            "--min-rate" | "--min-parallelism" | "--min-hostgroup" | "--max-hostgroup" => {
                let _: f64 = number(name, &value()?)?;
            }
            "--max-rate" => {
                let rate: f64 = number("--max-rate", &value()?)?;
                opts.rate = Some(rate).filter(|rate| rate.is_finite() && *rate > 0.0);
                opts.rate.ok_or_else(|| wrong("Argument to --max-rate must be positive"))?;
            }
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
            _ if name.starts_with("-T") && !long => opts.timing = timing(name.get(2..).unwrap_or(""))?,
            _ if long => {
                return Err(Wrong(255, format!("unrecognized option '{}'", printable(name))));
            }
            _ => {
                let letter: String = name.chars().skip(1).take(1).collect();
                return Err(Wrong(255, format!("invalid option -- '{}'", printable(&letter))));
            }
        }
    }
    if !opts.tcp && !opts.udp {
        opts.tcp = true;
    }
    Ok(opts)
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
        assert_eq!((opts.tcp, opts.udp, opts.ports.as_deref(), opts.timing), (true, true, Some("-"), 4));
        assert_eq!((opts.rate, opts.host_timeout), (Some(50.0), Some(Duration::from_secs(90))));
        assert_eq!(opts.outputs, [(Format::Grepable, "-".to_owned())]);
        assert_eq!(read("-p22,80 h").unwrap().ports.as_deref(), Some("22,80"));
        for line in ["-sS h", "-sV h", "-O h", "--script=x h", "-D a h"] {
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
            let _ = duration(&text);
        }
    }
}
