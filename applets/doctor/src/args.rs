//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use netkit_core::text::{nearest, printable};
use netkit_core::{Error, Flags, flag, flags};
use netkit_probe::Family;

pub(crate) const FLAGS: Flags = flags![
    flag("--versus", "WHAT[,WHAT]", "walk again and name where they part: v4, v6, sni, nosni, HOST, ADDRESS, URL"),
    flag("--pid", "PID", "walk again from that process's network and files, and name where they part"),
    flag("--repeat", "N", "walk N times: percentiles, kinds of failure, which attempt differed"),
    flag("--interval", "SECONDS", "between two of them (0.2)"),
    flag("--timeout", "SECONDS", "longest wait for any one answer (3)"),
    flag("--sni", "NAME", "server name in TLS, and the name the certificate is checked for"),
    flag("--host", "NAME", "Host field of the request"),
    flag("--cacert", "FILE", "trust these certificates alone"),
    flag("--cert", "FILE", "our certificate, PEM"),
    flag("--key", "FILE", "its key, PEM"),
    flag("--no-proxy", "", "leave http_proxy and its like aside"),
    flag("--resolv-conf", "FILE", "read this instead of /etc/resolv.conf"),
    flag("--dns-port", "PORT", "ask its name servers at this port (53)"),
    flag("--from-pid", "PID", "resolv.conf and hosts as that process sees them"),
    flag("--netns", "PID|PATH", "in that network namespace"),
    flag("--termination-log", "[=FILE]", "the verdict to /dev/termination-log too, if that can be written"),
    flag("--json", "", "one object with everything"),
    flag("--quiet", "", "the verdict only"),
    flag("-4, -6", "", "IPv4 or IPv6 only"),
];

const NAMES: [&str; 20] = [
    "versus",
    "pid",
    "repeat",
    "interval",
    "timeout",
    "sni",
    "host",
    "cacert",
    "cert",
    "key",
    "no-proxy",
    "resolv-conf",
    "dns-port",
    "from-pid",
    "netns",
    "termination-log",
    "json",
    "quiet",
    "help",
    "explain",
];

/// Most attempts of `--repeat`.
const MOST_REPEATS: u32 = 100_000;

/// What the command line says.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) target: String,
    pub(crate) versus: Vec<String>,
    pub(crate) pid: Option<u32>,
    pub(crate) repeat: Option<u32>,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    /// `Some("")`: no server name at all.
    pub(crate) sni: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) cacert: Option<PathBuf>,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) no_proxy: bool,
    pub(crate) resolv_conf: Option<PathBuf>,
    pub(crate) dns_port: u16,
    pub(crate) from_pid: Option<u32>,
    pub(crate) netns: Option<String>,
    pub(crate) termination_log: Option<PathBuf>,
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    pub(crate) family: Family,
    pub(crate) help: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            target: String::new(),
            versus: Vec::new(),
            pid: None,
            repeat: None,
            interval: Duration::from_millis(200),
            timeout: Duration::from_secs(3),
            sni: None,
            host: None,
            cacert: None,
            cert: None,
            key: None,
            no_proxy: false,
            resolv_conf: None,
            dns_port: 53,
            from_pid: None,
            netns: None,
            termination_log: None,
            json: false,
            quiet: false,
            family: Family::Unspecified,
            help: false,
        }
    }
}

/// Reads the words after the name.
///
/// # Errors
/// Status 2 and the word at fault.
pub(crate) fn parse(words: &[String]) -> Result<Options, Error> {
    let mut options = Options::default();
    let mut operands: Vec<&str> = Vec::new();
    let mut rest = words.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        match word {
            "--" => operands.extend(rest.by_ref()),
            "-4" => options.family = Family::Inet,
            "-6" => options.family = Family::Inet6,
            "-h" => options.help = true,
            "-n" => options.repeat = Some(number("-n", rest.next(), MOST_REPEATS)?),
            word if word.starts_with("--") => {
                let body = word.trim_start_matches("--");
                let (name, inline) = match body.split_once('=') {
                    Some((name, value)) => (name, Some(value)),
                    None => (body, None),
                };
                long(&mut options, name, inline, &mut rest)?;
            }
            word if word.len() > 1 && word.starts_with('-') => {
                return Err(Error::usage(format!("unknown option '{}'", printable(word))));
            }
            word => operands.push(word),
        }
    }
    if options.help {
        return Ok(options);
    }
    match operands.as_slice() {
        [one] => options.target = (*one).to_owned(),
        [] => return Err(Error::usage("what is to be reached? e.g. doctor https://api.default.svc:8443/healthz")),
        [_, second, ..] => {
            let text = format!("one target at a time, '{}' is a second one", printable(second));
            return Err(Error::usage(text).hint("--versus compares two"));
        }
    }
    if options.repeat.is_some() && (!options.versus.is_empty() || options.pid.is_some()) {
        return Err(Error::usage("--repeat and --versus do not go together; run one after the other"));
    }
    Ok(options)
}

fn long<'a>(
    options: &mut Options,
    name: &str,
    inline: Option<&'a str>,
    rest: &mut dyn Iterator<Item = &'a str>,
) -> Result<(), Error> {
    let plain = matches!(name, "json" | "quiet" | "help" | "explain" | "no-proxy");
    if plain && inline.is_some() {
        return Err(Error::usage(format!("--{name} takes no value")));
    }
    match name {
        "json" => options.json = true,
        "quiet" => options.quiet = true,
        "help" => options.help = true,
        "explain" => {}
        "no-proxy" => options.no_proxy = true,
        "termination-log" => options.termination_log = Some(PathBuf::from(inline.unwrap_or("/dev/termination-log"))),
        _ if !NAMES.contains(&name) => {
            let error = Error::usage(format!("unknown option '--{}'", printable(name)));
            return Err(match nearest(name, NAMES) {
                Some(near) => error.hint(format!("did you mean --{near}?")),
                None => error,
            });
        }
        _ => {
            let value = inline.or_else(|| rest.next());
            let text = value.ok_or_else(|| Error::usage(format!("--{name} needs a value")))?;
            let own = || text.to_owned();
            match name {
                "versus" => {
                    options.versus.extend(text.split(',').filter(|word| !word.is_empty()).map(str::to_owned));
                    if options.versus.is_empty() || options.versus.len() > 16 {
                        return Err(Error::usage("--versus wants one to sixteen things to compare with"));
                    }
                }
                "pid" => options.pid = Some(number("--pid", value, u32::MAX)?),
                "from-pid" => options.from_pid = Some(number("--from-pid", value, u32::MAX)?),
                "repeat" => options.repeat = Some(number("--repeat", value, MOST_REPEATS)?),
                "interval" => options.interval = seconds("--interval", text)?,
                "timeout" => options.timeout = seconds("--timeout", text)?.max(Duration::from_millis(10)),
                "sni" => options.sni = Some(own()),
                "host" => {
                    if text.is_empty() || text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
                        return Err(Error::usage(format!("--host: '{}' is no host name", printable(text))));
                    }
                    options.host = Some(own());
                }
                "cacert" => options.cacert = Some(PathBuf::from(text)),
                "cert" => options.cert = Some(PathBuf::from(text)),
                "key" => options.key = Some(PathBuf::from(text)),
                "resolv-conf" => options.resolv_conf = Some(PathBuf::from(text)),
                "dns-port" => {
                    options.dns_port = u16::try_from(number("--dns-port", value, 65_535)?).unwrap_or(53);
                }
                _ => options.netns = Some(own()),
            }
        }
    }
    Ok(())
}

fn number(option: &str, text: Option<&str>, most: u32) -> Result<u32, Error> {
    let text = text.ok_or_else(|| Error::usage(format!("{option} needs a value")))?;
    let read = text.parse::<u32>().ok().filter(|number| *number > 0 && *number <= most);
    read.ok_or_else(|| Error::usage(format!("{option}: '{}' is not a number from 1 to {most}", printable(text))))
}

fn seconds(option: &str, text: &str) -> Result<Duration, Error> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let read = text.parse::<f64>().ok().filter(|number| plain && (0.0..=3600.0).contains(number));
    read.map(Duration::from_secs_f64)
        .ok_or_else(|| Error::usage(format!("{option}: '{}' is not a number of seconds up to 3600", printable(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Options, Error> {
        parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn words() {
        let options =
            read(&["--repeat=50", "--interval", "0.5", "-6", "--json", "http://a", "--termination-log"]).unwrap();
        assert_eq!((options.repeat, options.interval), (Some(50), Duration::from_millis(500)));
        assert_eq!((options.family, options.json, options.target.as_str()), (Family::Inet6, true, "http://a"));
        assert_eq!(options.termination_log, Some(PathBuf::from("/dev/termination-log")));
        assert_eq!(read(&["--versus", "v4,v6", "a:1"]).unwrap().versus, ["v4", "v6"]);
        assert!(read(&["--help"]).unwrap().help);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (words, part) in [
            (&[][..], "what is to be reached"),
            (&["a:1", "b:2"], "'b:2'"),
            (&["--repeta", "1", "a:1"], "--repeta"),
            (&["--repeat", "0", "a:1"], "'0'"),
            (&["--repeat"], "needs a value"),
            (&["--interval", "1e9", "a:1"], "'1e9'"),
            (&["--json=1", "a:1"], "takes no value"),
            (&["-x", "a:1"], "'-x'"),
            (&["--repeat", "2", "--pid", "1", "a:1"], "do not go together"),
        ] {
            let error = read(words).unwrap_err();
            assert!(error.message.contains(part), "{words:?}: {error}");
            assert_eq!(error.exit, netkit_core::Exit::USAGE);
        }
    }
}
