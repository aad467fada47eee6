//! wget's command line: getopt_long(3) with abbreviations, and `-n` with a letter behind it.

use std::time::Duration;

use netkit_core::{Flags, flag, flags};
use netkit_dns::simulate::Family;

pub(crate) const FLAGS: Flags = flags![
    flag("-O, --output-document", "FILE", "write to a file; - is stdout"),
    flag("-P, --directory-prefix", "DIR", "directory for files"),
    flag("-o, --output-file", "FILE", "say what happens in a file; -a adds to it"),
    flag("-q, --quiet", "", "say nothing"),
    flag("-nv, --no-verbose", "", "say little"),
    flag("-S, --server-response", "", "show response headers"),
    flag("-c, --continue", "", "continue a partial file"),
    flag("-N, --timestamping", "", "fetch only what is newer"),
    flag("-nc, --no-clobber", "", "leave files that are there"),
    flag("-x, -nd, -nH", "", "directories as on the server, none, or without the host"),
    flag("-T, --timeout", "SECONDS", "limit of every step (900 for reading)"),
    flag("-t, --tries", "N", "tries (20); 0 is without end"),
    flag("--waitretry", "SECONDS", "longest pause between tries (10)"),
    flag("--retry-connrefused", "", "a refused connection is worth another try"),
    flag("--retry-on-http-error", "CODES", "so are these statuses"),
    flag("-i, --input-file", "FILE", "read URLs from a file"),
    flag("-U, --user-agent", "AGENT", "user agent"),
    flag("--header", "LINE", "add or replace a header"),
    flag("--referer", "URL", "Referer header"),
    flag("--post-data, --post-file", "DATA|FILE", "POST it"),
    flag("--method", "METHOD", "another method, with --body-data or --body-file"),
    flag("--spider", "", "look whether it is there"),
    flag("--no-check-certificate", "", "accept any certificate"),
    flag("--ca-certificate, --ca-directory", "FILE", "trust these certificates"),
    flag("--certificate, --private-key", "FILE", "show this certificate"),
    flag("--secure-protocol", "NAME", "auto, TLSv1_2, TLSv1_3 or PFS"),
    flag("--user, --password", "WORD", "credentials, sent when asked for"),
    flag("--auth-no-challenge", "", "send them at once"),
    flag("--load-cookies, --save-cookies", "FILE", "cookies from and to a file"),
    flag("--max-redirect", "N", "most redirects (20)"),
    flag("--content-disposition", "", "take the name from the server"),
    flag("--trust-server-names", "", "name the file after the last redirect"),
    flag("--content-on-error", "", "save what comes with an error"),
    flag("--limit-rate", "BYTES", "bytes a second; k and m are fine"),
    flag("--no-proxy", "", "no proxy although the environment names one"),
    flag("-4, -6", "", "IPv4 or IPv6 only"),
    flag("--netns", "PID|PATH", "ours: run in another network namespace"),
];

/// Everything the command line says.
pub(crate) struct Options {
    pub(crate) urls: Vec<String>,
    pub(crate) input: Option<String>,
    pub(crate) output: Option<String>,
    pub(crate) prefix: Option<String>,
    pub(crate) log: Option<(String, bool)>,
    pub(crate) quiet: bool,
    /// 0 says little, 1 is usual.
    pub(crate) verbose: bool,
    pub(crate) progress: Option<bool>,
    pub(crate) server_response: bool,
    pub(crate) resume: bool,
    pub(crate) start: Option<u64>,
    pub(crate) timestamping: bool,
    pub(crate) if_modified: bool,
    pub(crate) no_clobber: bool,
    pub(crate) force_dirs: bool,
    pub(crate) host_dir: bool,
    pub(crate) protocol_dir: bool,
    pub(crate) dns_timeout: Option<Duration>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) read_timeout: Option<Duration>,
    pub(crate) tries: u64,
    pub(crate) wait: Duration,
    pub(crate) wait_retry: Duration,
    pub(crate) retry_refused: bool,
    pub(crate) retry_host: bool,
    pub(crate) retry_statuses: Vec<u16>,
    pub(crate) agent: Option<String>,
    pub(crate) headers: Vec<String>,
    pub(crate) referer: Option<String>,
    pub(crate) method: Option<String>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) body_file: Option<String>,
    pub(crate) spider: bool,
    pub(crate) insecure: bool,
    pub(crate) ca_file: Option<String>,
    pub(crate) ca_directory: Option<String>,
    pub(crate) certificate: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) tls: (u8, u8),
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) preemptive: bool,
    pub(crate) proxy: bool,
    pub(crate) proxy_user: Option<String>,
    pub(crate) proxy_password: Option<String>,
    pub(crate) cookies: bool,
    pub(crate) load_cookies: Option<String>,
    pub(crate) save_cookies: Option<String>,
    pub(crate) keep_session: bool,
    pub(crate) max_redirects: u32,
    pub(crate) disposition: bool,
    pub(crate) trust_names: bool,
    pub(crate) content_on_error: bool,
    pub(crate) limit_rate: Option<u64>,
    pub(crate) family: Family,
    pub(crate) keep_alive: bool,
    pub(crate) cache: bool,
    pub(crate) ignore_length: bool,
    pub(crate) default_page: String,
    pub(crate) server_time: bool,
    pub(crate) gzip: bool,
    pub(crate) netrc: bool,
    pub(crate) netns: Option<String>,
    pub(crate) help: bool,
    pub(crate) version: bool,
}

/// What is wrong with a command line: the line after `wget: `, whether the synopsis follows, and the status.
pub(crate) struct Complaint {
    pub(crate) text: String,
    pub(crate) synopsis: bool,
    pub(crate) status: u8,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            urls: Vec::new(),
            input: None,
            output: None,
            prefix: None,
            log: None,
            quiet: false,
            verbose: true,
            progress: None,
            server_response: false,
            resume: false,
            start: None,
            timestamping: false,
            if_modified: true,
            no_clobber: false,
            force_dirs: false,
            host_dir: true,
            protocol_dir: false,
            dns_timeout: None,
            connect_timeout: None,
            read_timeout: Some(Duration::from_secs(900)),
            tries: 20,
            wait: Duration::ZERO,
            wait_retry: Duration::from_secs(10),
            retry_refused: false,
            retry_host: false,
            retry_statuses: Vec::new(),
            agent: Some("Wget/1.21.3".to_owned()),
            headers: Vec::new(),
            referer: None,
            method: None,
            body: None,
            body_file: None,
            spider: false,
            insecure: false,
            ca_file: None,
            ca_directory: None,
            certificate: None,
            key: None,
            tls: (2, 3),
            user: None,
            password: None,
            preemptive: false,
            proxy: true,
            proxy_user: None,
            proxy_password: None,
            cookies: true,
            load_cookies: None,
            save_cookies: None,
            keep_session: false,
            max_redirects: 20,
            disposition: false,
            trust_names: false,
            content_on_error: false,
            limit_rate: None,
            family: Family::Unspecified,
            keep_alive: true,
            cache: true,
            ignore_length: false,
            default_page: "index.html".to_owned(),
            server_time: true,
            gzip: false,
            netrc: true,
            netns: None,
            help: false,
            version: false,
        }
    }
}

/// Long names with their letters (`n?` stands behind `-n`) and whether they take a value; `no-` before the others is
/// taken where the last field says so.
const NAMES: &[(&str, &str, bool, bool)] = &[
    ("adjust-extension", "E", false, false),
    ("append-output", "a", true, false),
    ("auth-no-challenge", "", false, false),
    ("background", "b", false, false),
    ("body-data", "", true, false),
    ("body-file", "", true, false),
    ("bind-address", "", true, false),
    ("ca-certificate", "", true, false),
    ("ca-directory", "", true, false),
    ("cache", "", false, true),
    ("certificate", "", true, false),
    ("certificate-type", "", true, false),
    ("check-certificate", "", false, true),
    ("clobber", "nc", false, true),
    ("compression", "", true, false),
    ("config", "", true, false),
    ("connect-timeout", "", true, false),
    ("content-disposition", "", false, true),
    ("content-on-error", "", false, true),
    ("continue", "c", false, false),
    ("convert-links", "k", false, false),
    ("cookies", "", false, true),
    ("debug", "d", false, false),
    ("default-page", "", true, false),
    ("directories", "nd", false, true),
    ("directory-prefix", "P", true, false),
    ("dns-timeout", "", true, false),
    ("execute", "e", true, false),
    ("force-directories", "x", false, false),
    ("header", "", true, false),
    ("help", "h", false, false),
    ("host-directories", "nH", false, true),
    ("hsts", "", false, true),
    ("http-keep-alive", "", false, true),
    ("http-passwd", "", true, false),
    ("http-password", "", true, false),
    ("http-user", "", true, false),
    ("if-modified-since", "", false, true),
    ("ignore-length", "", false, false),
    ("inet4-only", "4", false, false),
    ("inet6-only", "6", false, false),
    ("input-file", "i", true, false),
    ("iri", "", false, true),
    ("keep-session-cookies", "", false, false),
    ("limit-rate", "", true, false),
    ("load-cookies", "", true, false),
    ("max-redirect", "", true, false),
    ("method", "", true, false),
    ("mirror", "m", false, false),
    ("netns", "", true, false),
    ("netrc", "", false, true),
    ("output-document", "O", true, false),
    ("output-file", "o", true, false),
    ("page-requisites", "p", false, false),
    ("passive-ftp", "", false, true),
    ("password", "", true, false),
    ("post-data", "", true, false),
    ("post-file", "", true, false),
    ("prefer-family", "", true, false),
    ("private-key", "", true, false),
    ("private-key-type", "", true, false),
    ("progress", "", true, false),
    ("protocol-directories", "", false, false),
    ("proxy", "", false, true),
    ("proxy-password", "", true, false),
    ("proxy-user", "", true, false),
    ("quiet", "q", false, false),
    ("quota", "Q", true, false),
    ("random-wait", "", false, false),
    ("read-timeout", "", true, false),
    ("recursive", "r", false, false),
    ("referer", "", true, false),
    ("restrict-file-names", "", true, false),
    ("retry-connrefused", "", false, false),
    ("retry-on-host-error", "", false, false),
    ("retry-on-http-error", "", true, false),
    ("save-cookies", "", true, false),
    ("save-headers", "", false, false),
    ("secure-protocol", "", true, false),
    ("server-response", "S", false, false),
    ("show-progress", "", false, false),
    ("spider", "", false, false),
    ("start-pos", "", true, false),
    ("timeout", "T", true, false),
    ("timestamping", "N", false, false),
    ("tries", "t", true, false),
    ("trust-server-names", "", false, false),
    ("use-server-timestamps", "", false, true),
    ("user", "", true, false),
    ("user-agent", "U", true, false),
    ("verbose", "v", false, true),
    ("version", "V", false, false),
    ("wait", "w", true, false),
    ("waitretry", "", true, false),
    // -Y of old: `-Y off`.
    ("proxy-of-old", "Y", true, false),
];

fn usage(text: String) -> Complaint {
    Complaint { text, synopsis: true, status: 2 }
}

/// Reads the command line.
pub(crate) fn parse(words: &[String]) -> Result<Options, Complaint> {
    let mut options = Options::default();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if word == "--" {
            options.urls.extend(rest.by_ref().cloned());
        } else if let Some(long) = word.strip_prefix("--") {
            let (name, inline) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            let (name, on, takes) = find(name)?;
            let value = match (takes, inline) {
                (true, Some(value)) => value,
                (true, None) => {
                    rest.next().cloned().ok_or_else(|| usage(format!("option '--{long}' requires an argument")))?
                }
                (false, _) => String::new(),
            };
            options.apply(name, on, &value)?;
        } else if word.len() > 1
            && let Some(cluster) = word.strip_prefix('-')
        {
            let mut letters = cluster.chars();
            while let Some(letter) = letters.next() {
                if letter == 'n' {
                    let second = letters.next().map(String::from).or_else(|| rest.next().cloned()).unwrap_or_default();
                    // What follows -n are letters of its own, as many as stand there.
                    for behind in second.chars().chain(letters.by_ref()) {
                        match behind {
                            'v' => options.verbose = false,
                            'c' => options.no_clobber = true,
                            'd' => options.force_dirs = false,
                            'H' => options.host_dir = false,
                            'p' => return Err(refused("-np")),
                            _ => {
                                let text = format!("illegal option -- `-n{behind}'");
                                return Err(Complaint { text, synopsis: true, status: 1 });
                            }
                        }
                    }
                    continue;
                }
                let spelled = letter.to_string();
                let known = NAMES.iter().find(|(_, short, ..)| *short == spelled);
                let Some((name, _, takes, _)) = known else {
                    return Err(usage(format!("invalid option -- '{letter}'")));
                };
                let value = if *takes {
                    let inline = letters.as_str().to_owned();
                    letters = "".chars();
                    let value = if inline.is_empty() { rest.next().cloned() } else { Some(inline) };
                    value.ok_or_else(|| usage(format!("option requires an argument -- '{letter}'")))?
                } else {
                    String::new()
                };
                options.apply(name, true, &value)?;
            }
        } else {
            options.urls.push(word.clone());
        }
    }
    Ok(options)
}

/// The option of this name or unique beginning: its full name, whether it is on, whether it takes a value.
fn find(name: &str) -> Result<(&'static str, bool, bool), Complaint> {
    let all = NAMES.iter().filter(|(known, ..)| *known != "proxy-of-old");
    let candidates = all.flat_map(|(known, _, takes, negated)| {
        let no = negated.then(|| (*known, format!("no-{known}"), false, false));
        [Some((*known, (*known).to_owned(), true, *takes)), no]
    });
    let all: Vec<_> = candidates.flatten().collect();
    if let Some((known, _, on, takes)) = all.iter().find(|(_, spelled, ..)| spelled == name) {
        return Ok((known, *on, *takes));
    }
    let mut beginning = all.iter().filter(|(_, spelled, ..)| spelled.starts_with(name));
    let shown = netkit_core::text::printable(name);
    match (beginning.next(), beginning.next()) {
        (Some((known, _, on, takes)), None) => Ok((known, *on, *takes)),
        (None, _) => Err(usage(format!("unrecognized option '--{shown}'"))),
        (Some((.., first, on, takes)), Some(_)) => {
            let _ = (first, on, takes);
            let list: Vec<String> = all
                .iter()
                .filter(|(_, spelled, ..)| spelled.starts_with(name))
                .map(|(_, spelled, ..)| format!(" '--{spelled}'"))
                .collect();
            Err(usage(format!("option '--{shown}' is ambiguous; possibilities:{}", list.concat())))
        }
    }
}

fn refused(name: &str) -> Complaint {
    let text = format!("{name} is not offered: single files only, no recursion and nothing in the background");
    Complaint { text, synopsis: false, status: 2 }
}

impl Options {
    fn apply(&mut self, name: &str, on: bool, value: &str) -> Result<(), Complaint> {
        let plain = |text: String| Complaint { text, synopsis: false, status: 2 };
        let period = || {
            let text = plain(format!("--{name}: Invalid time period \u{2018}{value}\u{2019}"));
            seconds(value).ok_or(text)
        };
        let limit = || period().map(|limit| Some(limit).filter(|limit| !limit.is_zero()));
        let count = || value.parse::<u64>().ok();
        let given = || Some(value.to_owned());
        match name {
            "append-output" => self.log = Some((value.to_owned(), true)),
            "output-file" => self.log = Some((value.to_owned(), false)),
            "auth-no-challenge" => self.preemptive = on,
            "post-data" => {
                self.method = Some("POST".to_owned());
                self.body = Some(value.as_bytes().to_vec());
            }
            "post-file" => {
                self.method = Some("POST".to_owned());
                self.body_file = given();
            }
            "body-data" => self.body = Some(value.as_bytes().to_vec()),
            "body-file" => self.body_file = given(),
            "method" => {
                self.method = Some(value.to_ascii_uppercase());
                self.spider |= value.eq_ignore_ascii_case("HEAD");
            }
            "ca-certificate" => self.ca_file = given(),
            "ca-directory" => self.ca_directory = given(),
            "certificate" => self.certificate = given(),
            "private-key" => self.key = given(),
            "certificate-type" | "private-key-type" if value.eq_ignore_ascii_case("pem") => {}
            "cache" => self.cache = on,
            "check-certificate" => self.insecure = !on,
            "clobber" => self.no_clobber = !on,
            "compression" => match value {
                "auto" | "gzip" => self.gzip = true,
                "none" => self.gzip = false,
                _ => return Err(plain(format!("--compression: Invalid value \u{2018}{value}\u{2019}."))),
            },
            "timeout" => {
                let time = limit()?;
                (self.dns_timeout, self.connect_timeout, self.read_timeout) = (time, time, time);
            }
            "connect-timeout" => self.connect_timeout = limit()?,
            "dns-timeout" => self.dns_timeout = limit()?,
            "read-timeout" => self.read_timeout = limit()?,
            "content-disposition" => self.disposition = on,
            "content-on-error" => self.content_on_error = on,
            "continue" => self.resume = on,
            "cookies" => self.cookies = on,
            "default-page" => value.clone_into(&mut self.default_page),
            "directories" => self.force_dirs &= on,
            "directory-prefix" => self.prefix = given(),
            "execute" => return self.execute(value),
            "force-directories" => self.force_dirs = on,
            "header" => self.header(value)?,
            "help" => self.help = true,
            "host-directories" => self.host_dir = on,
            "http-keep-alive" => self.keep_alive = on,
            "http-user" | "user" => self.user = given(),
            "http-password" | "http-passwd" | "password" => self.password = given(),
            "if-modified-since" => self.if_modified = on,
            "ignore-length" => self.ignore_length = on,
            "inet4-only" => self.family = Family::Inet,
            "inet6-only" => self.family = Family::Inet6,
            "input-file" => self.input = given(),
            "keep-session-cookies" => self.keep_session = on,
            "limit-rate" => {
                let rate = bytes(value)
                    .ok_or_else(|| plain(format!("--limit-rate: Invalid byte value \u{2018}{value}\u{2019}")))?;
                self.limit_rate = Some(rate).filter(|rate| *rate > 0);
            }
            "load-cookies" => self.load_cookies = given(),
            "save-cookies" => self.save_cookies = given(),
            // A word that is no number counts as 0.
            "max-redirect" => self.max_redirects = value.parse().unwrap_or(0),
            "netns" => self.netns = given(),
            "netrc" => self.netrc = on,
            "output-document" => self.output = given(),
            "progress" => {
                let kind = value.split(':').next().unwrap_or("");
                if kind != "dot" && kind != "bar" {
                    let text = format!("--progress: Invalid progress type \u{2018}{value}\u{2019}.");
                    return Err(plain(text));
                }
            }
            "show-progress" => self.progress = Some(on),
            "protocol-directories" => self.protocol_dir = on,
            "proxy" => self.proxy = on,
            "proxy-of-old" => self.proxy = !value.eq_ignore_ascii_case("off"),
            "proxy-user" => self.proxy_user = given(),
            "proxy-password" => self.proxy_password = given(),
            "quiet" => self.quiet = on,
            "referer" => self.referer = given(),
            "retry-connrefused" => self.retry_refused = on,
            "retry-on-host-error" => self.retry_host = on,
            "retry-on-http-error" => {
                self.retry_statuses = value.split(',').filter_map(|one| one.trim().parse().ok()).collect();
            }
            "secure-protocol" => {
                self.tls = match value.to_ascii_lowercase().as_str() {
                    "auto" | "pfs" | "tlsv1_2" => (2, 3),
                    "tlsv1_3" => (3, 3),
                    "sslv2" | "sslv3" | "tlsv1" | "tlsv1_1" => {
                        let text =
                            format!("--secure-protocol={value} is not offered: TLS 1.2 is the oldest; see tls-probe");
                        return Err(plain(text));
                    }
                    _ => return Err(plain(format!("--secure-protocol: Invalid value \u{2018}{value}\u{2019}."))),
                };
            }
            "server-response" => self.server_response = on,
            "spider" => self.spider = on,
            "start-pos" => {
                let start = bytes(value);
                self.start = Some(
                    start.ok_or_else(|| plain(format!("--start-pos: Invalid byte value \u{2018}{value}\u{2019}")))?,
                );
            }
            "timestamping" => self.timestamping = on,
            "tries" => {
                // A word that is no number counts as 0, which is without end.
                self.tries = if value == "inf" { 0 } else { count().unwrap_or(0) };
            }
            "trust-server-names" => self.trust_names = on,
            "use-server-timestamps" => self.server_time = on,
            "user-agent" => self.agent = given().filter(|agent| !agent.is_empty()),
            "verbose" => self.verbose = on,
            "version" => self.version = true,
            "wait" => self.wait = period()?,
            "waitretry" => self.wait_retry = period()?,
            // No difference for single files over HTTP, or nothing that is kept.
            "config" | "hsts" | "iri" | "passive-ftp" | "prefer-family" | "random-wait" => {}
            "quota" => {
                bytes(value).ok_or_else(|| plain(format!("--quota: Invalid byte value \u{2018}{value}\u{2019}")))?;
            }
            "debug" => {
                return Err(plain("-d is not offered: use -S, or curl -v for everything sent and received".to_owned()));
            }
            "recursive" | "mirror" | "page-requisites" | "convert-links" | "background" => {
                return Err(refused(&format!("--{name}")));
            }
            _ => return Err(plain(format!("--{name} is not offered here"))),
        }
        Ok(())
    }

    fn header(&mut self, value: &str) -> Result<(), Complaint> {
        if value.is_empty() {
            self.headers.clear();
            return Ok(());
        }
        let named = value.split_once(':').is_some_and(|(name, _)| !name.trim().is_empty() && !name.contains(' '));
        if !named || value.contains(['\r', '\n']) {
            let shown = netkit_core::text::printable(value);
            let text = format!("--header: Invalid header \u{2018}{shown}\u{2019}.");
            return Err(Complaint { text, synopsis: false, status: 2 });
        }
        self.headers.push(value.to_owned());
        Ok(())
    }

    /// `-e name=value`: the settings of a wgetrc that are also options.
    fn execute(&mut self, command: &str) -> Result<(), Complaint> {
        let (name, value) = command.split_once('=').unwrap_or((command, ""));
        let (name, value) = (name.trim(), value.trim());
        let folded: String = name.chars().filter(|c| !matches!(c, '-' | '_')).collect::<String>().to_ascii_lowercase();
        match folded.as_str() {
            "robots" => return Ok(()),
            "useproxy" => {
                self.proxy = matches!(value, "on" | "yes" | "1");
                return Ok(());
            }
            "httpproxy" | "httpsproxy" => {
                let text =
                    format!("-e {name} is not offered: set the variable {}_proxy", folded.trim_end_matches("proxy"));
                return Err(Complaint { text, synopsis: false, status: 2 });
            }
            _ => {}
        }
        let known = NAMES.iter().find(|(known, ..)| known.replace('-', "") == folded);
        match known {
            Some((known, _, true, _)) => self.apply(known, true, value),
            Some((known, ..)) => self.apply(known, matches!(value, "on" | "yes" | "1"), ""),
            None => {
                let text =
                    format!("Invalid --execute command \u{2018}{}\u{2019}", netkit_core::text::printable(command));
                Err(Complaint { text, synopsis: false, status: 2 })
            }
        }
    }
}

/// Seconds with a fraction, and `m`, `h`, `d`.
fn seconds(text: &str) -> Option<Duration> {
    let (digits, factor) = match text.chars().last()? {
        's' => (text.get(..text.len() - 1)?, 1.0),
        'm' => (text.get(..text.len() - 1)?, 60.0),
        'h' => (text.get(..text.len() - 1)?, 3600.0),
        'd' => (text.get(..text.len() - 1)?, 86_400.0),
        _ => (text, 1.0),
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let value: f64 = if plain { digits.parse().ok()? } else { return None };
    Duration::try_from_secs_f64(value * factor).ok()
}

/// Bytes with `k`, `m`, `g`, `t`.
fn bytes(text: &str) -> Option<u64> {
    let (digits, shift) = match text.chars().last()? {
        'k' | 'K' => (text.get(..text.len() - 1)?, 10),
        'm' | 'M' => (text.get(..text.len() - 1)?, 20),
        'g' | 'G' => (text.get(..text.len() - 1)?, 30),
        't' | 'T' => (text.get(..text.len() - 1)?, 40),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        parse(&words).map_err(|complaint| complaint.text)
    }

    #[test]
    fn spellings() {
        let options = read("-qO- -T 3 --header=A:b -t2 -nv http://h/x").ok().unwrap();
        assert_eq!(
            (options.output.as_deref(), options.tries, options.quiet, options.verbose),
            (Some("-"), 2, true, false)
        );
        assert_eq!(options.read_timeout, Some(Duration::from_secs(3)));
        assert!(read("--output-d=x --no-check u").ok().unwrap().insecure);
        assert!(read("-nvc u").ok().is_some_and(|options| options.no_clobber && !options.verbose));
        for (line, text) in [
            ("--badopt u", "unrecognized option '--badopt'"),
            ("-Z", "invalid option -- 'Z'"),
            ("-O", "option requires an argument -- 'O'"),
            ("--timeout=x u", "--timeout: Invalid time period \u{2018}x\u{2019}"),
        ] {
            assert_eq!(read(line).err().as_deref(), Some(text), "{line}");
        }
        assert!(read("-r u").is_err() && read("--mirror u").is_err());
    }

    #[test]
    fn quantities() {
        assert_eq!(
            (seconds("1.5"), seconds("2m")),
            (Some(Duration::from_millis(1500)), Some(Duration::from_secs(120)))
        );
        assert_eq!((bytes("2k"), bytes("x"), bytes("99999999999t")), (Some(2048), None, None));
    }
}
