//! What each option does to the configuration.

use std::fs;
use std::io::{self, Read as _};
use std::time::Duration;

use netkit_dns::simulate::Family;
use netkit_http::url::percent_encode;

use crate::args::{Parser, Problem};
use crate::config::{Netrc, Node, PROTOCOLS, Protocols, Resume, Target, TimeCond, Trace, Version};

/// Most bytes read from a file into memory.
const MAX_FILE: u64 = 1 << 30;

/// Options whose value may not be empty.
const NOT_BLANK: &[&str] = &[
    "abstract-unix-socket",
    "cookie-jar",
    "dns-servers",
    "dump-header",
    "etag-compare",
    "etag-save",
    "interface",
    "output",
    "output-dir",
    "preproxy",
    "request",
    "socks4",
    "socks4a",
    "socks5",
    "socks5-hostname",
    "trace",
    "trace-ascii",
    "unix-socket",
];

/// The whole of a file; `-` is standard input.
pub(crate) fn read_file(name: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if name == "-" {
        io::stdin().lock().take(MAX_FILE).read_to_end(&mut bytes)?;
    } else {
        fs::File::open(name)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

#[allow(clippy::too_many_lines)] // one arm an option: the table of what each does
pub(crate) fn option(parser: &mut Parser, name: &str, value: &str, on: bool) -> Result<(), Problem> {
    let text = || value.to_owned();
    let now = parser.now;
    let global = &mut parser.global;
    let c = &mut parser.current;
    if value.is_empty() && NOT_BLANK.contains(&name) {
        return Err(Problem::Other("blank argument where content is expected".to_owned()));
    }
    match name {
        "abstract-unix-socket" => c.unix_socket = Some((text(), true)),
        "unix-socket" => c.unix_socket = Some((text(), false)),
        "alpn" => c.alpn = on,
        "anyauth" => c.auth.any = on,
        "basic" => c.auth.basic = on,
        "digest" => c.auth.digest = on,
        "proxy-anyauth" => c.proxy_auth.any = on,
        "proxy-basic" => c.proxy_auth.basic = on,
        "proxy-digest" => c.proxy_auth.digest = on,
        // Every write goes out at once.
        "buffer" | "no-buffer" | "disable" | "sessionid" | "styled-output" | "socks5-basic" | "parallel-immediate" => {}
        // What they say is about other protocols, about other TLS libraries, or done anyway: over HTTP they change nothing.
        "append"
        | "use-ascii"
        | "ssl"
        | "ssl-reqd"
        | "ssl-no-revoke"
        | "ssl-revoke-best-effort"
        | "ssl-allow-beast"
        | "proxy-ssl-allow-beast"
        | "disable-eprt"
        | "disable-epsv"
        | "compressed-ssh"
        | "ca-native"
        | "proxy-ca-native" => {}
        "cacert" => c.cacert = Some(text()),
        "capath" => c.capath = Some(text()),
        "cert" => c.cert = Some(text()),
        "key" => c.key = Some(text()),
        "cert-type" | "key-type" => {
            if !value.eq_ignore_ascii_case("PEM") && !value.eq_ignore_ascii_case("DER") {
                return Err(Problem::Other(format!("only PEM and DER are read here, not {value}")));
            }
        }
        "pass" => return Err(Problem::Refused("encrypted keys are not read; decrypt the key first")),
        "compressed" => c.compressed = on,
        "connect-timeout" => c.connect_timeout = limit(value)?,
        "max-time" => c.max_time = limit(value)?,
        "expect100-timeout" => c.expect_timeout = seconds(value)?,
        "connect-to" => c.connect_to.push(text()),
        "resolve" => c.resolve.push(text()),
        "continue-at" => {
            c.resume = Some(if value == "-" { Resume::FromFile } else { Resume::At(number(value)?) });
            c.range = None;
        }
        "cookie" => match value.strip_prefix('@') {
            Some(file) => c.cookie_files.push(file.to_owned()),
            None if value.contains('=') => c.cookies.push(text()),
            None => c.cookie_files.push(text()),
        },
        "cookie-jar" => c.cookie_jar = Some(text()),
        "junk-session-cookies" => c.junk_session = on,
        "create-dirs" => c.create_dirs = on,
        "create-file-mode" => {
            c.file_mode = u32::from_str_radix(value, 8).ok().filter(|mode| *mode <= 0o777).ok_or(Problem::Number)?;
        }
        "data" | "data-ascii" | "data-binary" | "data-raw" | "data-urlencode" | "json" => data(parser, name, value)?,
        "url-query" => {
            let piece = match value.strip_prefix('+') {
                Some(raw) => raw.to_owned(),
                None => String::from_utf8_lossy(&urlencoded(value)?).into_owned(),
            };
            c.url_query = Some(match c.url_query.take() {
                Some(before) => format!("{before}&{piece}"),
                None => piece,
            });
        }
        "disallow-username-in-url" => c.no_user_in_url = on,
        "dns-servers" => {
            let parsed = value.split(',').map(|one| {
                let one = one.trim();
                one.parse()
                    .ok()
                    .or_else(|| Some(std::net::SocketAddr::new(one.trim_matches(['[', ']']).parse().ok()?, 53)))
            });
            c.dns_servers = parsed.collect::<Option<_>>().ok_or(Problem::Other("expected addresses".to_owned()))?;
        }
        "doh-url" => c.doh_url = (!value.is_empty()).then(text),
        "doh-insecure" => c.doh_insecure = on,
        "dump-header" => c.dump_header = Some(text()),
        "etag-save" => c.etag_save = Some(text()),
        "etag-compare" => c.etag_compare = Some(text()),
        "fail" | "fail-with-body" => {
            let (this, other) =
                if name == "fail" { (&mut c.fail, c.fail_with_body) } else { (&mut c.fail_with_body, c.fail) };
            *this = on;
            if on && other {
                return Err(Problem::Other("you must select either --fail or --fail-with-body, not both".to_owned()));
            }
        }
        "fail-early" => global.fail_early = on,
        "form" => c.form.add(value, true, &mut parser.warnings)?,
        "form-string" => c.form.add(value, false, &mut parser.warnings)?,
        "form-escape" => c.form_escape = on,
        "get" => c.get = on,
        "globoff" => c.globoff = on,
        "happy-eyeballs-timeout-ms" => c.happy_eyeballs = Duration::from_millis(number(value)?),
        "haproxy-protocol" => c.haproxy = on,
        "haproxy-clientip" => {
            c.haproxy_clientip = Some(text());
            c.haproxy = true;
        }
        "head" => c.head = on,
        "header" => list(&mut c.headers, value)?,
        "proxy-header" => list(&mut c.proxy_headers, value)?,
        "http0.9" => c.http09 = on,
        "http1.0" => c.version = Version::V10,
        "http1.1" => c.version = Version::V11,
        "http2" => c.version = Version::V2,
        "http2-prior-knowledge" => c.version = Version::V2Prior,
        "ignore-content-length" => c.ignore_length = on,
        "include" | "show-headers" => c.include = on,
        "insecure" => c.insecure = on,
        "proxy-insecure" => c.proxy_insecure = on,
        "interface" => c.interface = Some(text()),
        "ip-tos" => c.tos = Some(u8::try_from(number(value)?).map_err(|_| Problem::TooLarge)?),
        "ipv4" => c.family = Family::Inet,
        "ipv6" => c.family = Family::Inet6,
        "keepalive" => c.keepalive = if on { Some(60) } else { None },
        "keepalive-time" => c.keepalive = Some(number(value)?),
        "limit-rate" => c.limit_rate = Some(size(value)?).filter(|rate| *rate > 0),
        "local-port" => c.local_port = Some(ports(value)?),
        "location" => c.location = on,
        "location-trusted" => {
            c.trusted = on;
            c.location = on;
        }
        "max-filesize" => c.max_filesize = Some(size(value)?).filter(|size| *size > 0),
        "max-redirs" => {
            c.max_redirs = if value == "-1" { -1 } else { i64::try_from(number(value)?).unwrap_or(i64::MAX) };
        }
        "netrc" => c.netrc = if on { Netrc::Required } else { Netrc::Ignored },
        "netrc-optional" => c.netrc = if on { Netrc::Optional } else { Netrc::Ignored },
        "netrc-file" => {
            c.netrc_file = Some(text());
            if c.netrc == Netrc::Ignored {
                c.netrc = Netrc::Required;
            }
        }
        "noproxy" => c.noproxy = Some(text()),
        "oauth2-bearer" => c.bearer = Some(text()),
        "output" => {
            with_node(
                &mut c.nodes,
                |node| !node.claimed,
                |node| (node.target, node.claimed) = (Some(Target::File(text())), true),
            );
        }
        "remote-name" => {
            let target = on.then_some(Target::Remote);
            with_node(&mut c.nodes, |node| !node.claimed, |node| (node.target, node.claimed) = (target, true));
        }
        "upload-file" => {
            with_node(&mut c.nodes, |node| node.upload.is_none(), |node| node.upload = Some(text()));
        }
        "clobber" => c.clobber = Some(on),
        "remote-name-all" => c.remote_name_all = on,
        "remote-header-name" => c.content_disposition = on,
        "remote-time" => c.remote_time = on,
        "remove-on-error" => c.remove_on_error = on,
        "skip-existing" => c.skip_existing = on,
        "output-dir" => c.output_dir = Some(text()),
        "parallel" => global.parallel = on,
        "parallel-max" => {
            global.parallel_max = usize::try_from(number(value)?).ok().filter(|n| (1..=300).contains(n)).unwrap_or(50);
        }
        "path-as-is" => c.path_as_is = on,
        "pinnedpubkey" => c.pinned = Some(text()),
        "post301" => c.post301 = on,
        "post302" => c.post302 = on,
        "post303" => c.post303 = on,
        "progress-bar" => global.bar = on,
        "progress-meter" => global.no_meter = !on,
        "proto" => c.proto = protocols(value, &c.proto)?,
        "proto-redir" => c.proto_redir = protocols(value, &c.proto_redir)?,
        "proto-default" => {
            let lower = value.to_ascii_lowercase();
            if !PROTOCOLS.contains(&lower.as_str()) {
                return Err(Problem::Unsupported);
            }
            c.proto_default = Some(lower);
        }
        "proxy" => {
            c.proxy = Some(text());
            c.proxy_10 = false;
        }
        "proxy1.0" => {
            c.proxy = Some(text());
            c.proxy_10 = true;
        }
        "socks4" => c.proxy = Some(format!("socks4://{value}")),
        "socks4a" => c.proxy = Some(format!("socks4a://{value}")),
        "socks5" => c.proxy = Some(format!("socks5://{value}")),
        "socks5-hostname" => c.proxy = Some(format!("socks5h://{value}")),
        "preproxy" => c.preproxy = Some(text()),
        "proxy-user" => c.proxy_user = Some(text()),
        "proxytunnel" => c.proxy_tunnel = on,
        "proxy-cacert" => c.proxy_cacert = Some(text()),
        "proxy-cert" => c.proxy_cert = Some(text()),
        "proxy-key" => c.proxy_key = Some(text()),
        "range" => {
            c.range = Some(if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() {
                parser
                    .warnings
                    .push("A specified range MUST include at least one dash '-'. Appending one for you".to_owned());
                format!("{value}-")
            } else {
                text()
            });
            c.resume = None;
        }
        "rate" => global.rate_ms = rate(value)?,
        "raw" => c.raw = on,
        "referer" => match value.strip_suffix(";auto") {
            Some(first) => {
                c.auto_referer = true;
                c.referer = (!first.is_empty()).then(|| first.to_owned());
            }
            None => {
                c.auto_referer = false;
                c.referer = (!value.is_empty()).then(text);
            }
        },
        "request" => c.request = (!value.is_empty()).then(text),
        "request-target" => c.request_target = Some(text()),
        "retry" => c.retry = number(value)?,
        "retry-all-errors" => c.retry_all = on,
        "retry-connrefused" => c.retry_refused = on,
        "retry-delay" => c.retry_delay = Some(seconds(value)?),
        "retry-max-time" => c.retry_max_time = Some(seconds(value)?),
        "show-error" => global.show_error = on,
        "silent" => global.silent = on,
        "speed-limit" => {
            c.speed_limit = number(value)?;
            if c.speed_time == 0 {
                c.speed_time = 30;
            }
        }
        "speed-time" => {
            c.speed_time = number(value)?;
            if c.speed_limit == 0 {
                c.speed_limit = 1;
            }
        }
        "stderr" => global.stderr = Some(text()),
        "suppress-connect-headers" => c.suppress_connect = on,
        "tcp-nodelay" => c.nodelay = on,
        "time-cond" => {
            let (sign, word) = match value.chars().next() {
                Some(sign @ ('-' | '+' | '=')) => (sign, value.get(1..).unwrap_or("")),
                _ => ('+', value),
            };
            let file = || {
                let modified = fs::metadata(word).and_then(|found| found.modified()).ok()?;
                let since = modified.duration_since(std::time::UNIX_EPOCH).ok()?;
                i64::try_from(since.as_secs()).ok()
            };
            match netkit_http::date::parse(word).or_else(file) {
                Some(at) if sign == '-' => c.time_cond = Some(TimeCond::UnmodifiedSince(at)),
                Some(at) if sign == '=' => c.time_cond = Some(TimeCond::LastModified(at)),
                Some(at) => c.time_cond = Some(TimeCond::ModifiedSince(at)),
                None => {
                    c.time_cond = None;
                    parser.warnings.push(
                        "Illegal date format for -z, --time-cond (and not a file name). Disabling time condition. \
                         See curl_getdate(3) for valid date syntax."
                            .to_owned(),
                    );
                }
            }
            let _ = now;
        }
        "tls-max" => {
            c.tls_max = match value {
                "default" | "1.3" => 3,
                "1.2" => 2,
                "1.0" | "1.1" => {
                    return Err(Problem::Other(format!("TLS {value} is not offered; the oldest here is 1.2")));
                }
                _ => return Err(Problem::Other("is badly used here".to_owned())),
            };
        }
        // At least that version: the oldest spoken here is newer than what is asked.
        "tlsv1" | "tlsv1.0" | "tlsv1.1" | "tlsv1.2" => c.tls_min = 2,
        "tlsv1.3" => c.tls_min = 3,
        "tr-encoding" => c.tr_encoding = on,
        "trace" => global.trace = Trace::Hex(text()),
        "trace-ascii" => global.trace = Trace::Ascii(text()),
        "ciphers" => c.ciphers = [Some(text()), c.ciphers[1].take()],
        "tls13-ciphers" => c.ciphers = [c.ciphers[0].take(), Some(text())],
        "proxy-ciphers" => c.proxy_ciphers = [Some(text()), c.proxy_ciphers[1].take()],
        "proxy-tls13-ciphers" => c.proxy_ciphers = [c.proxy_ciphers[0].take(), Some(text())],
        "trace-config" => {
            for word in value.split([',', ' ']).filter(|word| !word.is_empty()) {
                let (name, on) =
                    word.strip_prefix('-').map_or((word.trim_start_matches('+'), true), |name| (name, false));
                match name.to_ascii_lowercase().as_str() {
                    "all" => (global.trace_ids, global.trace_time) = (on, on),
                    "ids" => global.trace_ids = on,
                    "time" => global.trace_time = on,
                    _ if !on => {}
                    _ => {
                        return Err(Problem::Other(format!(
                            "of the components, ids and time are shown here, not {name}"
                        )));
                    }
                }
            }
        }
        "trace-ids" => global.trace_ids = on,
        "trace-time" => global.trace_time = on,
        "verbose" => {
            if on {
                global.trace = Trace::Verbose;
            } else {
                global.trace = Trace::Off;
            }
        }
        "user" => c.user = Some(text()),
        "user-agent" => c.agent = Some(text()),
        "write-out" => {
            c.write_out = Some(match value.strip_prefix('@') {
                Some(file) => {
                    let bytes = read_file(file).map_err(|_| Problem::Read)?;
                    String::from_utf8_lossy(&bytes).replace(['\r', '\n'], "")
                }
                None => text(),
            });
        }
        "all-ips" => global.all_ips = on,
        "explain" => global.explain = on,
        "from-pid" => global.from_pid = Some(u32::try_from(number(value)?).map_err(|_| Problem::TooLarge)?),
        "interval" => global.interval = seconds(value)?,
        "json-report" => global.report = Some(text()),
        "netns" => global.netns = Some(text()),
        "repeat" => global.repeat = number(value)?.clamp(1, 1_000_000),
        "show-secrets" => global.secrets = on,
        "timing" => global.timing = on,
        _ => return Err(Problem::Unknown),
    }
    Ok(())
}

/// Gives the first node that still wants it, or a new one, what an option says.
fn with_node(nodes: &mut Vec<Node>, wants: impl Fn(&Node) -> bool, set: impl FnOnce(&mut Node)) {
    match nodes.iter_mut().find(|node| wants(node)) {
        Some(node) => set(node),
        None => {
            let mut node = Node::default();
            set(&mut node);
            nodes.push(node);
        }
    }
}

fn list(headers: &mut Vec<String>, value: &str) -> Result<(), Problem> {
    let Some(file) = value.strip_prefix('@') else {
        headers.push(value.to_owned());
        return Ok(());
    };
    let bytes = read_file(file).map_err(|_| Problem::Read)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    headers.extend(text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned));
    Ok(())
}

fn data(parser: &mut Parser, name: &str, value: &str) -> Result<(), Problem> {
    let c = &mut parser.current;
    let piece = match (name, value.strip_prefix('@')) {
        ("data-urlencode", _) => urlencoded(value)?,
        ("data-raw", _) | (_, None) => value.as_bytes().to_vec(),
        ("data" | "data-ascii", Some(file)) => {
            let mut bytes = read_file(file).map_err(|_| Problem::Read)?;
            bytes.retain(|byte| !matches!(byte, b'\r' | b'\n' | 0));
            bytes
        }
        (_, Some(file)) => read_file(file).map_err(|_| Problem::Read)?,
    };
    c.json |= name == "json";
    match &mut c.data {
        Some(before) => {
            if name != "json" {
                before.push(b'&');
            }
            before.extend(piece);
        }
        None => c.data = Some(piece),
    }
    Ok(())
}

/// `content`, `=content`, `name=content`, `@file`, `name@file`.
fn urlencoded(value: &str) -> Result<Vec<u8>, Problem> {
    let at = value.find(['=', '@']);
    let (name, content) = match at {
        Some(at) => {
            let name = value.get(..at).unwrap_or("");
            let rest = value.get(at + 1..).unwrap_or("");
            let bytes = if value.get(at..=at) == Some("@") {
                read_file(rest).map_err(|_| Problem::Read)?
            } else {
                rest.as_bytes().to_vec()
            };
            (name, bytes)
        }
        None => ("", value.as_bytes().to_vec()),
    };
    // Spaces as a form has them.
    let encoded = percent_encode(&content).replace("%20", "+");
    Ok(if name.is_empty() { encoded.into_bytes() } else { format!("{name}={encoded}").into_bytes() })
}

/// A whole number that is not negative.
pub(crate) fn number(value: &str) -> Result<u64, Problem> {
    if let Some(rest) = value.strip_prefix('-') {
        return Err(if rest.bytes().all(|b| b.is_ascii_digit()) && !rest.is_empty() {
            Problem::Negative
        } else {
            Problem::Number
        });
    }
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Problem::Number);
    }
    value.parse::<u64>().ok().filter(|number| *number <= i64::MAX as u64).ok_or(Problem::TooLarge)
}

/// Whole part and millionths of a decimal number; std's own reader of floats costs 15 KB of tables.
pub(crate) fn decimal(value: &str) -> Result<(u64, u64), Problem> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if whole.is_empty() && fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Problem::Number);
    }
    let whole = if whole.is_empty() { 0 } else { number(whole)? };
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(6);
    Ok((whole, digits.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'))))
}

/// Seconds, perhaps with decimals.
pub(crate) fn seconds(value: &str) -> Result<Duration, Problem> {
    if value.starts_with('-') {
        return Err(Problem::Negative);
    }
    let (whole, micros) = decimal(value)?;
    if whole >= 1 << 40 {
        return Err(Problem::TooLarge);
    }
    Ok(Duration::from_secs(whole) + Duration::from_micros(micros))
}

/// A limit in whole milliseconds; less than one is none.
fn limit(value: &str) -> Result<Option<Duration>, Problem> {
    let time = seconds(value)?;
    Ok((time >= Duration::from_millis(1)).then_some(time))
}

/// Bytes, with k, m, g, t or p for powers of 1024.
fn size(value: &str) -> Result<u64, Problem> {
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match value.get(digits.len()..).unwrap_or("").to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return Err(Problem::Other("is badly used here".to_owned())),
    };
    let (whole, millionths) = decimal(digits)?;
    let part = (millionths << 10) / 1_000_000;
    let part = if shift >= 10 { part << (shift - 10) } else { 0 };
    whole.checked_mul(1 << shift).and_then(|bytes| bytes.checked_add(part)).ok_or(Problem::TooLarge)
}

fn ports(value: &str) -> Result<(u16, u16), Problem> {
    let bad = || Problem::Other("is badly used here".to_owned());
    let (first, last) = value.split_once('-').unwrap_or((value, value));
    let first: u16 = first.trim().parse().map_err(|_| bad())?;
    let last: u16 = last.trim().parse().map_err(|_| bad())?;
    let count = last.checked_sub(first).ok_or_else(bad)?;
    Ok((first, count.saturating_add(1)))
}

/// `N[/[M]unit]` as milliseconds between two starts.
fn rate(value: &str) -> Result<u64, Problem> {
    let (count, unit) = value.split_once('/').unwrap_or((value, "h"));
    let count = number(count)?;
    let digits = unit.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let times = if digits.is_empty() { 1 } else { number(digits)? };
    let millis: u64 = match unit.get(digits.len()..) {
        Some("s") => 1000,
        Some("m") => 60_000,
        Some("h") => 3_600_000,
        Some("d") => 86_400_000,
        _ => return Err(Problem::Other("unsupported --rate unit".to_owned())),
    };
    if count == 0 || times == 0 {
        return Err(Problem::Number);
    }
    Ok(millis.checked_mul(times).ok_or(Problem::TooLarge)? / count)
}

/// `=http,https`, `-all,https`, `+http`.
fn protocols(value: &str, before: &Protocols) -> Result<Protocols, Problem> {
    let mut set = before.0.clone();
    let mut known_one = false;
    for word in value.split(',') {
        let mut word = word;
        let mut action = '+';
        while let Some(sign) = word.chars().next().filter(|c| matches!(c, '+' | '-' | '=')) {
            action = sign;
            word = word.get(1..).unwrap_or("");
        }
        let lower = word.to_ascii_lowercase();
        let named: Vec<&'static str> = if lower == "all" {
            PROTOCOLS.to_vec()
        } else {
            PROTOCOLS.iter().copied().filter(|known| *known == lower).collect()
        };
        known_one |= !named.is_empty();
        match action {
            '-' => set.retain(|one| !named.contains(one)),
            '=' => set = named,
            _ => set.extend(named),
        }
    }
    set.sort_unstable();
    set.dedup();
    // Nothing may be left, but something has to be named.
    if set.is_empty() && !known_one {
        return Err(Problem::Other("is badly used here".to_owned()));
    }
    Ok(Protocols(set))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities() {
        assert_eq!(size("10K"), Ok(10_240));
        assert_eq!(size("1.5m"), Ok(1_572_864));
        assert!(size("1x").is_err());
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(seconds("-1"), Err(Problem::Negative));
        assert_eq!(rate("2/s"), Ok(500));
        assert_eq!(rate("3/10m"), Ok(200_000));
        assert_eq!(ports("10-12"), Ok((10, 3)));
        let all = Protocols(PROTOCOLS.to_vec());
        assert_eq!(protocols("-all,https", &all).unwrap().0, ["https"]);
        assert_eq!(protocols("=http", &all).unwrap().0, ["http"]);
    }

    #[test]
    fn encoding_forms() {
        assert_eq!(urlencoded("a b").unwrap(), b"a+b");
        assert_eq!(urlencoded("=a&b").unwrap(), b"a%26b");
        assert_eq!(urlencoded("n=ä").unwrap(), b"n=%C3%A4");
    }
}
