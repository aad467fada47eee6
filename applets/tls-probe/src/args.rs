//! tls-probe's command line.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use netkit_core::text::{nearest, printable};
use netkit_core::{Error, Flag, Flags, flags};

use crate::starttls::Protocol;

const fn flag(spelling: &'static str, value: &'static str, help: &'static str) -> Flag {
    Flag { spelling, value, help }
}

pub(crate) const FLAGS: Flags = flags![
    flag("--connect", "IP[:PORT]", "connect there instead of to what the name resolves to"),
    flag("--servername", "NAME", "ask for and check this name instead of HOST"),
    flag("--noservername", "", "ask for no name; HOST is still checked"),
    flag("--alpn", "NAME[,NAME]", "protocols offered (h2,http/1.1)"),
    flag("--starttls", "PROTOCOL", "smtp, imap, pop3, ftp, postgres, mysql or ldap before TLS"),
    flag("--cacert", "FILE", "trust these certificates alone"),
    flag("--capath", "DIR", "trust the certificates of this directory alone"),
    flag("--trust-of", "PID", "trust what that process trusts"),
    flag("--min-left", "SHARE|TIME", "status 7 when less of the lifetime is left: 33%, 1/3, 30d"),
    flag("--cert", "FILE", "show this certificate"),
    flag("--key", "FILE", "its key"),
    flag("--tls12, --tls13", "", "this version only"),
    flag("--showcerts", "", "everything about each certificate, as openssl x509 -text has it"),
    flag("--pem", "", "the chain as sent in PEM, nothing else"),
    flag("--enumerate", "", "versions, suites with the server's preference, groups, signature algorithms and more"),
    flag("--hello-test", "", "hellos small, large, split and with other names, to find what stands in between"),
    flag("--resume", "", "sessions, tickets and early data"),
    flag("--names", "NAME[,NAME]", "further names that --hello-test asks for"),
    flag("--rate", "NUMBER", "at most so many connections a second"),
    flag("--timeout", "SECONDS", "limit of connecting and of the handshake (10)"),
    flag("--json", "", "one object with everything"),
    flag("--from-pid", "PID", "names as that process finds them"),
    flag("--netns", "PID|PATH", "in that network namespace"),
    flag("--explain", "", "hints even when stderr is no terminal"),
    flag("-4, -6", "", "IPv4 or IPv6 only"),
];

const NAMES: &[&str] = &[
    "alpn",
    "cacert",
    "capath",
    "cert",
    "connect",
    "enumerate",
    "explain",
    "from-pid",
    "hello-test",
    "help",
    "json",
    "key",
    "min-left",
    "names",
    "netns",
    "noservername",
    "pem",
    "rate",
    "resume",
    "servername",
    "showcerts",
    "starttls",
    "timeout",
    "tls12",
    "tls13",
    "trust-of",
];

/// What is to be done with the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One handshake, and all that is to be seen in it.
    #[default]
    Probe,
    /// `--enumerate`
    Enumerate,
    /// `--hello-test`
    HelloTest,
    /// `--resume`
    Resume,
}

/// What the command line says.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) connect: Option<(IpAddr, Option<u16>)>,
    pub(crate) servername: Option<String>,
    pub(crate) silent: bool,
    pub(crate) trust_of: Option<u32>,
    pub(crate) min_left: Option<Threshold>,
    pub(crate) alpn: Vec<String>,
    pub(crate) starttls: Option<Protocol>,
    pub(crate) cacert: Option<PathBuf>,
    pub(crate) capath: Option<PathBuf>,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) versions: (u8, u8),
    pub(crate) showcerts: bool,
    pub(crate) pem: bool,
    pub(crate) timeout: Duration,
    pub(crate) json: bool,
    pub(crate) from_pid: Option<u32>,
    pub(crate) netns: Option<String>,
    pub(crate) explain: bool,
    pub(crate) mode: Mode,
    pub(crate) names: Vec<String>,
    /// Connections a second.
    pub(crate) rate: Option<f64>,
    pub(crate) family: netkit_probe::Family,
    pub(crate) help: bool,
}

impl Options {
    /// The name that is asked for and checked.
    pub(crate) fn name(&self) -> &str {
        self.servername.as_deref().unwrap_or(&self.host)
    }
}

/// `HOST`, `HOST:PORT`, `[v6]`, `[v6]:PORT`, `v6`, and the same behind `https://`.
fn place(text: &str) -> Result<(String, Option<u16>), Error> {
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
    let bare = bare.split('/').next().unwrap_or(bare);
    let bad = || Error::usage(format!("`{}` is no HOST[:PORT]", printable(text)));
    let port = |digits: &str| digits.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(bad);
    let (host, port) = if let Some(rest) = bare.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(bad)?;
        let port = rest.strip_prefix(':').map(port).transpose()?;
        (host.to_owned(), port)
    } else {
        match bare.rsplit_once(':') {
            Some((host, digits)) if !host.contains(':') => (host.to_owned(), Some(port(digits)?)),
            _ => (bare.to_owned(), None),
        }
    };
    let host = crate::idn::to_ascii(&host).filter(|host| !host.is_empty()).ok_or_else(bad)?;
    Ok((host, port))
}

/// A process id.
pub(crate) fn pid(name: &str, given: &str) -> Result<u32, Error> {
    let pid = given.parse().ok().filter(|pid| *pid > 0);
    pid.ok_or_else(|| Error::usage(format!("{name}: `{}` is no process id", printable(given))))
}

/// How much of a certificate's lifetime must be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threshold {
    /// So many ten-thousandths of it.
    Share(i64),
    /// So many seconds.
    Seconds(i64),
}

impl Threshold {
    /// `33%`, `1/3`, `30d`, `48h`, `90m`, `3600s`.
    pub(crate) fn parse(text: &str) -> Result<Threshold, Error> {
        let bad = || {
            Error::usage(format!(
                "--min-left: `{}` is neither a share nor a time (33%, 1/3, 30d, 48h)",
                printable(text)
            ))
        };
        let number =
            |digits: &str| digits.parse::<i64>().ok().filter(|number| (0..1 << 40).contains(number)).ok_or_else(bad);
        if let Some((over, under)) = text.split_once('/') {
            let (over, under) = (number(over)?, number(under)?);
            return if under > 0 && over <= under { Ok(Threshold::Share(over * 10_000 / under)) } else { Err(bad()) };
        }
        if let Some(percent) = text.strip_suffix('%') {
            let share = percent.parse::<f64>().ok().filter(|share| (0.0..=100.0).contains(share)).ok_or_else(bad)?;
            // In hundredths of a percent, so exact enough.
            return Ok(Threshold::Share((share * 100.0) as i64));
        }
        const UNITS: &[(char, i64)] = &[('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];
        let unit = UNITS.iter().find(|(unit, _)| text.ends_with(*unit)).ok_or_else(bad)?;
        Ok(Threshold::Seconds(number(text.trim_end_matches(unit.0))? * unit.1))
    }

    /// Whether less than that is left at `now` of a certificate that is valid from `begin` to `end`.
    pub(crate) fn is_below(self, begin: i64, end: i64, now: i64) -> bool {
        let left = end.saturating_sub(now);
        match self {
            Threshold::Seconds(seconds) => left < seconds,
            Threshold::Share(share) => left.saturating_mul(10_000) < end.saturating_sub(begin).saturating_mul(share),
        }
    }
}

/// Reads the command line.
///
/// # Errors
/// Status 2, naming the word.
pub(crate) fn parse(words: &[String]) -> Result<Options, Error> {
    let mut options = Options {
        host: String::new(),
        port: 443,
        connect: None,
        servername: None,
        silent: false,
        trust_of: None,
        min_left: None,
        alpn: vec!["h2".to_owned(), "http/1.1".to_owned()],
        starttls: None,
        cacert: None,
        capath: None,
        cert: None,
        key: None,
        versions: (2, 3),
        showcerts: false,
        pem: false,
        timeout: Duration::from_secs(10),
        json: false,
        from_pid: None,
        netns: None,
        explain: false,
        mode: Mode::Probe,
        names: Vec::new(),
        rate: None,
        family: netkit_probe::Family::Unspecified,
        help: false,
    };
    let mut place_given: Option<(String, Option<u16>)> = None;
    let mut alpn_given = false;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-4" => options.family = netkit_probe::Family::Inet,
            "-6" => options.family = netkit_probe::Family::Inet6,
            "-h" => options.help = true,
            _ if word.starts_with("--") => {
                let (name, inline) = match word.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (word.as_str(), None),
                };
                let mut value = || {
                    let given = inline.clone().or_else(|| words.next().cloned()).filter(|given| !given.is_empty());
                    given.ok_or_else(|| Error::usage(format!("{name} needs a value")))
                };
                match name {
                    "--help" => options.help = true,
                    "--json" => options.json = true,
                    "--explain" => options.explain = true,
                    "--showcerts" => options.showcerts = true,
                    "--pem" => options.pem = true,
                    "--noservername" => options.silent = true,
                    "--min-left" => options.min_left = Some(Threshold::parse(&value()?)?),
                    "--trust-of" => options.trust_of = Some(pid(name, &value()?)?),
                    "--tls12" => options.versions = (2, 2),
                    "--tls13" => options.versions = (3, 3),
                    "--connect" => {
                        let given = value()?;
                        let (host, port) = place(&given)?;
                        let address = host
                            .parse()
                            .map_err(|_| Error::usage(format!("--connect: `{}` is no address", printable(&host))))?;
                        options.connect = Some((address, port));
                    }
                    "--servername" => {
                        let given = value()?;
                        let ascii = crate::idn::to_ascii(&given);
                        options.servername = Some(ascii.ok_or_else(|| {
                            Error::usage(format!("--servername: `{}` is no name of a host", printable(&given)))
                        })?);
                    }
                    "--alpn" => {
                        alpn_given = true;
                        options.alpn = value()?.split(',').map(str::to_owned).filter(|one| !one.is_empty()).collect();
                    }
                    "--starttls" => {
                        let given = value()?;
                        options.starttls = Some(Protocol::parse(&given).ok_or_else(|| {
                            let given = printable(&given);
                            Error::usage(format!(
                                "--starttls: `{given}`: smtp, imap, pop3, ftp, postgres, mysql and ldap are known"
                            ))
                        })?);
                    }
                    "--cacert" => options.cacert = Some(value()?.into()),
                    "--capath" => options.capath = Some(value()?.into()),
                    "--cert" => options.cert = Some(value()?.into()),
                    "--key" => options.key = Some(value()?.into()),
                    "--timeout" => {
                        let given = value()?;
                        let seconds =
                            given.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                        options.timeout = seconds.filter(|limit| !limit.is_zero()).ok_or_else(|| {
                            Error::usage(format!("--timeout: `{}` is no number of seconds", printable(&given)))
                        })?;
                    }
                    "--from-pid" => options.from_pid = Some(pid(name, &value()?)?),
                    "--netns" => options.netns = Some(value()?),
                    "--enumerate" | "--hello-test" | "--resume" => {
                        let mode = match name {
                            "--enumerate" => Mode::Enumerate,
                            "--hello-test" => Mode::HelloTest,
                            _ => Mode::Resume,
                        };
                        if options.mode != Mode::Probe && options.mode != mode {
                            return Err(Error::usage(
                                "one of --enumerate, --hello-test and --resume at a time: they have screens of their own",
                            ));
                        }
                        options.mode = mode;
                    }
                    "--names" => {
                        let given = value()?;
                        options.names = given.split(',').map(str::to_owned).filter(|one| !one.is_empty()).collect();
                        if let Some(long) = options.names.iter().find(|name| name.len() > 1000) {
                            let shown = printable(long.get(..20).unwrap_or_default());
                            return Err(Error::usage(format!("--names: `{shown}...` is too long for a name")));
                        }
                    }
                    "--rate" => {
                        let given = value()?;
                        let rate = given.parse::<f64>().ok().filter(|rate| (0.01..=1e6).contains(rate));
                        options.rate = Some(rate.ok_or_else(|| {
                            let given = printable(&given);
                            Error::usage(format!("--rate: `{given}` is no number of connections a second"))
                        })?);
                    }
                    _ => {
                        let bare = name.trim_start_matches('-');
                        let error = Error::usage(format!("unrecognized option '{}'", printable(name)));
                        return Err(match nearest(bare, NAMES.iter().copied()) {
                            Some(near) => error.hint(format!("did you mean --{near}?")),
                            None => error,
                        });
                    }
                }
            }
            _ if word.len() > 1 && word.starts_with('-') => {
                return Err(Error::usage(format!("unrecognized option '{}'", printable(word))));
            }
            _ if place_given.is_some() => {
                return Err(Error::usage(format!("one HOST[:PORT] is wanted, and `{}` is another", printable(word))));
            }
            _ => place_given = Some(place(word)?),
        }
    }
    if options.help {
        return Ok(options);
    }
    let (host, port) = place_given.ok_or_else(|| Error::usage("a HOST[:PORT] is wanted"))?;
    let usual = options.starttls.map_or(443, Protocol::port);
    if options.starttls.is_some() && !alpn_given {
        options.alpn.clear();
    }
    if options.key.is_some() && options.cert.is_none() {
        return Err(Error::usage("--key wants --cert"));
    }
    if !options.names.is_empty() && options.mode != Mode::HelloTest {
        return Err(Error::usage("--names wants --hello-test"));
    }
    if options.rate.is_some() && options.mode == Mode::Probe {
        return Err(Error::usage("--rate wants --enumerate, --hello-test or --resume"));
    }
    if (options.pem || options.showcerts) && options.mode != Mode::Probe {
        return Err(Error::usage("--pem and --showcerts belong to the probe of one handshake alone"));
    }
    Ok(Options { host, port: port.unwrap_or(usual), ..options })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        parse(&words).map_err(|error| error.message)
    }

    #[test]
    fn places() {
        for (text, host, port) in [
            ("h", "h", 443),
            ("h:1", "h", 1),
            ("[::1]:5", "::1", 5),
            ("::1", "::1", 443),
            ("https://h:8443/x", "h", 8443),
        ] {
            let options = read(text).unwrap();
            assert_eq!((options.host.as_str(), options.port), (host, port), "{text}");
        }
        for bad in [
            "h:",
            "h:0",
            "h:x",
            "[::1",
            "",
            "--bogus h",
            "a b",
            "--connect x h",
            "--timeout 0 h",
            "--key k h",
            "--rate 0 h",
            "--rate 5 h",
            "--names x h",
            "--enumerate --resume h",
            "--enumerate --pem h",
            "--min-left 5 h",
            "--min-left 3/2 h",
            "--trust-of 0 h",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert_eq!(read("--starttls smtp h").unwrap().port, 25);
        for (text, wanted) in
            [("33%", Threshold::Share(3300)), ("1/4", Threshold::Share(2500)), ("2d", Threshold::Seconds(172_800))]
        {
            assert_eq!(Threshold::parse(text).unwrap(), wanted);
        }
        assert!(Threshold::Share(5000).is_below(0, 100, 51) && !Threshold::Share(5000).is_below(0, 100, 50));
    }
}
