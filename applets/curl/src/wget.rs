//! wget: the flags people and busybox scripts use, on curl's engine, with GNU wget's statuses.

use netkit_core::{Ctx, Error, Exit, Flag, front};

use crate::config::{Config, Global, Node, Resume, Target, Trace};

const fn flag(spelling: &'static str, value: &'static str, help: &'static str) -> Flag {
    Flag { spelling, value, help }
}

pub(crate) const FLAGS: &[Flag] = &[
    flag("-O", "FILE", "write to a file; - is stdout"),
    flag("-P", "DIR", "directory for files"),
    flag("-q", "", "quiet"),
    flag("-nv", "", "little is said"),
    flag("-S", "", "show response headers"),
    flag("-c", "", "continue a partial file"),
    flag("-T", "SECONDS", "timeout of every step"),
    flag("-t", "N", "tries; 0 is without end"),
    flag("-i", "FILE", "read URLs from a file"),
    flag("-U", "AGENT", "user agent"),
    flag("--header", "LINE", "add a header"),
    flag("--post-data", "DATA", "POST data"),
    flag("--post-file", "FILE", "POST a file"),
    flag("--method", "METHOD", "another method"),
    flag("--body-data", "DATA", "body for --method"),
    flag("--spider", "", "look whether it is there"),
    flag("--no-check-certificate", "", "accept any certificate"),
    flag("--ca-certificate", "FILE", "trust these certificates"),
    flag("--user", "USER", "user name"),
    flag("--password", "PASSWORD", "password"),
    flag("--no-proxy", "", "no proxy although the environment names one"),
    flag("--max-redirect", "N", "most redirects, 20"),
];

/// What the flags come to.
struct Wanted {
    config: Config,
    global: Global,
    urls: Vec<String>,
    target: Option<String>,
    spider: bool,
    quiet: bool,
    user: Option<String>,
    password: String,
}

pub(crate) fn run(ctx: &mut Ctx) -> Result<Exit, Error> {
    let words = ctx.args_lossy();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        let page = crate::APPLETS.get(1).map(front::help_page).unwrap_or_default();
        ctx.stdout.write_all(page.as_bytes())?;
        return Ok(Exit::OK);
    }
    if words.iter().any(|word| word == "--version" || word == "-V") {
        ctx.stdout.write_all(format!("GNU Wget 1.21 compatible (netkit {})\n", ctx.build.version).as_bytes())?;
        return Ok(Exit::OK);
    }
    let mut wanted = parse(&words)?;
    if wanted.urls.is_empty() {
        return Err(Error::usage("missing URL").hint("try: wget --help"));
    }
    if let Some(user) = wanted.user.take() {
        wanted.config.user = Some(format!("{user}:{}", wanted.password));
    }
    let config = &mut wanted.config;
    config.head = wanted.spider && config.data.is_none();
    for url in &wanted.urls {
        let target = match &wanted.target {
            Some(file) => Target::File(file.clone()),
            None if wanted.spider => Target::File("/dev/null".to_owned()),
            None => Target::File(file_name(url)),
        };
        config.nodes.push(Node { url: Some(url.clone()), target: Some(target), claimed: true, upload: None });
    }
    let report = wanted.quiet;
    let status = crate::transfer(ctx, wanted.global, &[wanted.config])?;
    let _ = report;
    Ok(Exit(translate(status.0)))
}

/// The name of the file a URL is saved under.
fn file_name(url: &str) -> String {
    let path = netkit_http::Url::parse(url, false).map(|url| url.target()).unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or("");
    if last.is_empty() { "index.html".to_owned() } else { last.to_owned() }
}

/// GNU wget's statuses: 3 file, 4 network, 5 TLS, 6 authentication, 8 the server said no (wget(1), EXIT STATUS).
fn translate(status: u8) -> u8 {
    match status {
        0 => 0,
        22 => 8,
        23 | 26 => 3,
        35 | 58 | 60 | 77 | 90 => 5,
        67 => 6,
        1..=3 => 1,
        8 | 33 | 47 => 8,
        _ => 4,
    }
}

fn parse(words: &[String]) -> Result<Wanted, Error> {
    let mut wanted = Wanted {
        config: Config {
            location: true,
            max_redirs: 20,
            fail: true,
            agent: Some("Wget/1.21".to_owned()),
            ..Config::default()
        },
        global: Global { parallel_max: 1, show_error: true, ..Global::default() },
        urls: Vec::new(),
        target: None,
        spider: false,
        quiet: false,
        user: None,
        password: String::new(),
    };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if word == "--" {
            wanted.urls.extend(rest.by_ref().cloned());
            break;
        }
        if let Some(name) = word.strip_prefix("--") {
            let (name, inline) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (name, None),
            };
            wanted.long(name, inline, &mut rest)?;
        } else if word.len() > 1 && word.starts_with('-') {
            wanted.short(word, &mut rest)?;
        } else {
            wanted.urls.push(word.clone());
        }
    }
    Ok(wanted)
}

type Words<'a> = std::slice::Iter<'a, String>;

impl Wanted {
    fn short(&mut self, word: &str, rest: &mut Words<'_>) -> Result<(), Error> {
        if word == "-nv" {
            self.global.silent = true;
            return Ok(());
        }
        if matches!(word, "-nc" | "-nd" | "-nH" | "-np") {
            self.config.skip_existing |= word == "-nc";
            return Ok(());
        }
        let letters: Vec<char> = word.chars().skip(1).collect();
        for (at, letter) in letters.iter().enumerate() {
            let name = match letter {
                'q' => "quiet",
                'S' => "server-response",
                'c' => "continue",
                'v' => "verbose",
                '4' => "inet4-only",
                '6' => "inet6-only",
                'O' => "output-document",
                'P' => "directory-prefix",
                'T' => "timeout",
                't' => "tries",
                'i' => "input-file",
                'U' => "user-agent",
                'Y' => "proxy",
                other => return Err(unknown(&format!("-{other}"))),
            };
            if takes_value(name) {
                let inline: String = letters.iter().skip(at + 1).collect();
                return self.long(name, (!inline.is_empty()).then_some(inline), rest);
            }
            self.long(name, None, rest)?;
        }
        Ok(())
    }

    fn long(&mut self, name: &str, inline: Option<String>, rest: &mut Words<'_>) -> Result<(), Error> {
        let value = if takes_value(name) {
            let next = inline.or_else(|| rest.next().cloned());
            next.ok_or_else(|| Error::usage(format!("--{name} needs a value")))?
        } else {
            String::new()
        };
        let seconds =
            || crate::apply::seconds(&value).map_err(|_| Error::usage(format!("--{name}: invalid time '{value}'")));
        let number = || value.parse::<u64>().map_err(|_| Error::usage(format!("--{name}: invalid number '{value}'")));
        let config = &mut self.config;
        match name {
            "quiet" => {
                self.quiet = true;
                self.global.silent = true;
                self.global.show_error = false;
            }
            "no-verbose" => self.global.silent = true,
            "verbose" | "progress" | "show-progress" => {}
            "debug" => self.global.trace = Trace::Verbose,
            "server-response" => config.dump_header = Some("%".to_owned()),
            "continue" => config.resume = Some(Resume::FromFile),
            "output-document" => self.target = Some(value),
            "directory-prefix" => config.output_dir = Some(value),
            "timeout" => {
                let limit = seconds()?;
                config.connect_timeout = Some(limit).filter(|limit| !limit.is_zero());
                config.speed_time = limit.as_secs();
                config.speed_limit = 1;
            }
            "connect-timeout" | "dns-timeout" => config.connect_timeout = Some(seconds()?),
            "read-timeout" => {
                config.speed_time = seconds()?.as_secs().max(1);
                config.speed_limit = 1;
            }
            "tries" => {
                config.retry = match number()? {
                    0 => 1000,
                    tries => tries - 1,
                }
            }
            "retry-connrefused" => config.retry_refused = true,
            "waitretry" => config.retry_delay = Some(seconds()?),
            "input-file" => {
                let bytes = crate::apply::read_file(&value)
                    .map_err(|error| Error::new(Exit(1), format!("{value}: {error}")))?;
                let text = String::from_utf8_lossy(&bytes).into_owned();
                self.urls.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
            }
            "user-agent" => config.agent = Some(value),
            "header" => config.headers.push(value),
            "referer" => config.referer = Some(value),
            "post-data" | "body-data" => config.data = Some(value.into_bytes()),
            "post-file" | "body-file" => {
                let bytes = crate::apply::read_file(&value)
                    .map_err(|error| Error::new(Exit(3), format!("{value}: {error}")))?;
                config.data = Some(bytes);
            }
            "method" => config.request = Some(value),
            "spider" => self.spider = true,
            "no-check-certificate" => config.insecure = true,
            "ca-certificate" => config.cacert = Some(value),
            "ca-directory" => config.capath = Some(value),
            "certificate" => config.cert = Some(value),
            "private-key" => config.key = Some(value),
            "user" | "http-user" => self.user = Some(value),
            "password" | "http-password" => self.password = value,
            "no-proxy" => config.noproxy = Some("*".to_owned()),
            "proxy" => {
                if value == "off" {
                    config.noproxy = Some("*".to_owned());
                }
            }
            "max-redirect" => config.max_redirs = i64::try_from(number()?).unwrap_or(i64::MAX),
            "content-disposition" => config.content_disposition = true,
            "content-on-error" => {
                config.fail = false;
                config.fail_with_body = true;
            }
            "no-clobber" => config.skip_existing = true,
            "inet4-only" => config.family = netkit_dns::simulate::Family::Inet,
            "inet6-only" => config.family = netkit_dns::simulate::Family::Inet6,
            "limit-rate" => {
                let digits = value.trim_end_matches(['k', 'K', 'm', 'M']);
                let factor = if value.ends_with(['k', 'K']) {
                    1024
                } else if value.ends_with(['m', 'M']) {
                    1 << 20
                } else {
                    1
                };
                let rate: u64 =
                    digits.parse().map_err(|_| Error::usage(format!("--limit-rate: invalid rate '{value}'")))?;
                config.limit_rate = Some(rate.saturating_mul(factor)).filter(|rate| *rate > 0);
            }
            "recursive" | "mirror" | "page-requisites" | "convert-links" => {
                return Err(Error::usage(format!("--{name} is not offered: single files only, no recursion")));
            }
            _ => return Err(unknown(&format!("--{name}"))),
        }
        Ok(())
    }
}

fn unknown(option: &str) -> Error {
    Error::usage(format!("unrecognized option '{}'", netkit_core::text::printable(option)))
        .hint("try: wget --help, or curl")
}

fn takes_value(name: &str) -> bool {
    matches!(
        name,
        "output-document"
            | "directory-prefix"
            | "timeout"
            | "connect-timeout"
            | "dns-timeout"
            | "read-timeout"
            | "tries"
            | "waitretry"
            | "input-file"
            | "user-agent"
            | "header"
            | "referer"
            | "post-data"
            | "body-data"
            | "post-file"
            | "body-file"
            | "method"
            | "ca-certificate"
            | "ca-directory"
            | "certificate"
            | "private-key"
            | "user"
            | "http-user"
            | "password"
            | "http-password"
            | "max-redirect"
            | "limit-rate"
            | "proxy"
            | "progress"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags() {
        let words: Vec<String> = ["-qO-", "-T", "3", "--header=A: b", "http://h/x", "-t", "2"].map(String::from).into();
        let wanted = parse(&words).unwrap();
        assert_eq!(wanted.target.as_deref(), Some("-"));
        assert_eq!((wanted.config.retry, wanted.config.headers.len(), wanted.quiet), (1, 1, true));
        assert!(parse(&["--recursive".to_owned()]).is_err());
        assert!(parse(&["-Q".to_owned()]).is_err());
        assert_eq!((translate(22), translate(60), translate(7), translate(0)), (8, 5, 4, 0));
        assert_eq!((file_name("http://h/"), file_name("http://h/a/b?c")), ("index.html".to_owned(), "b?c".to_owned()));
    }
}
