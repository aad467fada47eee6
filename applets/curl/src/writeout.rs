//! `-w`: the variables, `%{json}`, `%header{}`, `%output{}`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;

use netkit_core::json::Value;
use netkit_http::Failure;

use crate::times::{Facts, Times};
use crate::world::{Shared, World, lock};

/// What `-w` can say about one transfer.
pub(crate) struct Report<'a> {
    pub(crate) world: &'a World,
    pub(crate) facts: &'a Facts,
    pub(crate) times: &'a Times,
    pub(crate) failure: Option<&'a Failure>,
    pub(crate) url: &'a str,
    pub(crate) number: u64,
    pub(crate) headers_total: u64,
}

/// Every variable, in the order of `%{json}`.
const NAMES: &[&str] = &[
    "certs",
    "conn_id",
    "content_type",
    "errormsg",
    "exitcode",
    "filename_effective",
    "ftp_entry_path",
    "http_code",
    "http_connect",
    "http_version",
    "local_ip",
    "local_port",
    "method",
    "num_certs",
    "num_connects",
    "num_headers",
    "num_redirects",
    "num_retries",
    "proxy_ssl_verify_result",
    "proxy_used",
    "redirect_url",
    "referer",
    "remote_ip",
    "remote_port",
    "response_code",
    "scheme",
    "size_download",
    "size_header",
    "size_request",
    "size_upload",
    "speed_download",
    "speed_upload",
    "ssl_verify_result",
    "time_appconnect",
    "time_connect",
    "time_namelookup",
    "time_posttransfer",
    "time_pretransfer",
    "time_queue",
    "time_redirect",
    "time_starttransfer",
    "time_total",
    "tls_earlydata",
    "url",
    "url.fragment",
    "url.host",
    "url.options",
    "url.password",
    "url.path",
    "url.port",
    "url.query",
    "url.scheme",
    "url.user",
    "url.zoneid",
    "url_effective",
    "urle.fragment",
    "urle.host",
    "urle.options",
    "urle.password",
    "urle.path",
    "urle.port",
    "urle.query",
    "urle.scheme",
    "urle.user",
    "urle.zoneid",
    "urlnum",
    "xfer_id",
];

impl Report<'_> {
    /// The value of a variable; `None` when there is no such variable.
    fn value(&self, name: &str) -> Option<Value> {
        let f = self.facts;
        let seconds = |time: Duration| Value::Float(time.as_micros() as f64 / 1e6);
        let speed = |bytes: u64| {
            let micros = self.times.total.as_micros().max(1);
            Value::from(u64::try_from(u128::from(bytes) * 1_000_000 / micros).unwrap_or(0))
        };
        let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::Text);
        Some(match name {
            "certs" => Value::Text(self.certificates()),
            "conn_id" => f.conn_id.map_or(Value::Int(-1), Value::from),
            "content_type" => text(&f.content_type),
            "errormsg" => self.failure.map_or(Value::Null, |failure| Value::Text(failure.text.clone())),
            "exitcode" => Value::from(self.failure.map_or(0, |failure| failure.code.number())),
            "filename_effective" => text(&f.filename),
            "ftp_entry_path" | "tls_earlydata" if name.starts_with("ftp") => Value::Null,
            "tls_earlydata" => Value::Int(0),
            "http_code" | "response_code" => Value::from(u32::from(f.status)),
            "http_connect" => Value::from(u32::from(f.connect_status)),
            "http_version" => Value::Text(
                match f.version {
                    10 => "1.0",
                    11 => "1.1",
                    20 => "2",
                    _ => "0",
                }
                .to_owned(),
            ),
            "local_ip" => f.local.map_or(Value::Text(String::new()), |local| Value::Text(local.ip().to_string())),
            "local_port" => Value::from(f.local.map_or(0, |local| u32::from(local.port()))),
            "remote_ip" => f.remote.map_or(Value::Text(String::new()), |remote| Value::Text(remote.ip().to_string())),
            "remote_port" => Value::from(f.remote.map_or(0, |remote| u32::from(remote.port()))),
            "method" => Value::Text(f.method.clone()),
            "num_certs" => Value::from(f.certificates.len()),
            "num_connects" => Value::from(f.connects),
            "num_headers" => Value::from(self.headers_total),
            "num_redirects" => Value::from(f.redirects),
            "num_retries" => Value::from(f.retries),
            "proxy_ssl_verify_result" => Value::from(f.proxy_verify_result),
            "proxy_used" => Value::from(u32::from(f.proxy_used)),
            "redirect_url" => text(&f.redirect_url),
            "referer" => text(&f.referer),
            "scheme" => Value::Text(f.scheme.clone()),
            "size_download" => Value::from(f.down),
            "size_upload" => Value::from(f.up),
            "size_header" => Value::from(f.header_bytes),
            "size_request" => Value::from(f.request_bytes),
            "speed_download" => speed(f.down),
            "speed_upload" => speed(f.up),
            "ssl_verify_result" => Value::from(f.verify_result),
            "time_appconnect" => seconds(self.times.appconnect),
            "time_connect" => seconds(self.times.connect),
            "time_namelookup" => seconds(self.times.namelookup),
            "time_posttransfer" => seconds(self.times.posttransfer),
            "time_pretransfer" => seconds(self.times.pretransfer),
            "time_queue" => seconds(self.times.queue),
            "time_redirect" => seconds(self.times.redirect),
            "time_starttransfer" => seconds(self.times.starttransfer),
            "time_total" => seconds(self.times.total),
            "url" => Value::Text(self.url.to_owned()),
            "url_effective" => Value::Text(f.effective.clone()),
            "urlnum" | "xfer_id" => Value::from(self.number),
            _ => {
                let (which, part) = name.split_once('.')?;
                let source = match which {
                    "url" => self.url,
                    "urle" => f.effective.as_str(),
                    _ => return None,
                };
                url_part(source, part)?
            }
        })
    }

    fn certificates(&self) -> String {
        use base64::Engine as _;
        let mut out = String::new();
        for der in &self.facts.certificates {
            if let Some(one) = netkit_tls::x509::Certificate::parse(der) {
                out.push_str(&format!("Subject:{}\nIssuer:{}\n", one.subject, one.issuer));
            }
            out.push_str("-----BEGIN CERTIFICATE-----\n");
            let text = base64::engine::general_purpose::STANDARD.encode(der);
            for line in text.as_bytes().chunks(64) {
                out.push_str(&String::from_utf8_lossy(line));
                out.push('\n');
            }
            out.push_str("-----END CERTIFICATE-----\n");
        }
        out
    }

    /// All variables as one object.
    pub(crate) fn json(&self) -> Value {
        let mut object = Value::object();
        for name in NAMES {
            if let Some(value) = self.value(name) {
                object.set(name, value);
            }
        }
        object.set("curl_version", format!("curl {}", self.world.version));
        object
    }

    fn header_json(&self) -> String {
        let mut object: Vec<(String, Vec<String>)> = Vec::new();
        for field in self.facts.heads.last().into_iter().flat_map(|head| &head.fields) {
            let name = field.name.to_ascii_lowercase();
            match object.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => values.push(field.value.clone()),
                None => object.push((name, vec![field.value.clone()])),
            }
        }
        let lines = object.into_iter().map(|(name, values)| format!("{}:{}", Value::Text(name), Value::from(values)));
        format!("{{{}\n}}", lines.collect::<Vec<_>>().join(",\n"))
    }

    /// Prints what a format says.
    pub(crate) fn print(&self, format: &str) {
        let mut target: Shared = self.world.out.clone();
        let mut out = String::new();
        let mut rest = format;
        let flush = |target: &Shared, out: &mut String| {
            let _ = lock(target).write_all(out.as_bytes());
            out.clear();
        };
        while let Some(c) = rest.chars().next() {
            let after = rest.get(c.len_utf8()..).unwrap_or("");
            rest = after;
            match c {
                '\\' => {
                    let mut next = after.chars();
                    match next.next() {
                        Some('n') => out.push('\n'),
                        Some('r') => out.push('\r'),
                        Some('t') => out.push('\t'),
                        Some(other) => {
                            out.push('\\');
                            out.push(other);
                        }
                        None => out.push('\\'),
                    }
                    rest = next.as_str();
                }
                '%' if after.starts_with('%') => {
                    out.push('%');
                    rest = after.get(1..).unwrap_or("");
                }
                '%' if after.starts_with('{') => {
                    let Some((name, behind)) = after.get(1..).and_then(|inner| inner.split_once('}')) else {
                        out.push_str("%{");
                        rest = after.get(1..).unwrap_or("");
                        continue;
                    };
                    rest = behind;
                    match name {
                        "onerror" => {
                            if self.failure.is_none() {
                                break;
                            }
                        }
                        "stderr" => {
                            flush(&target, &mut out);
                            target = self.world.err.clone();
                        }
                        "stdout" => {
                            flush(&target, &mut out);
                            target = self.world.out.clone();
                        }
                        "json" => out.push_str(&self.json().to_string()),
                        "header_json" => out.push_str(&self.header_json()),
                        _ => match self.value(name) {
                            Some(value) => out.push_str(&plain(name, &value)),
                            None => self.world.say(&format!("curl: unknown --write-out variable: '{name}'\n")),
                        },
                    }
                }
                '%' if after.starts_with("header{") => {
                    let Some((name, behind)) = after.get(7..).and_then(|inner| inner.split_once('}')) else {
                        out.push_str("%header{");
                        rest = after.get(7..).unwrap_or("");
                        continue;
                    };
                    let head = self.facts.heads.last();
                    let (name, separator) = match name.split_once(":all:") {
                        Some((name, separator)) => (name, Some(separator)),
                        None => (name, None),
                    };
                    if let Some(head) = head {
                        match separator {
                            Some(separator) => out.push_str(&head.all(name).collect::<Vec<_>>().join(separator)),
                            None => out.push_str(head.field(name).unwrap_or("")),
                        }
                    }
                    rest = behind;
                }
                '%' if after.starts_with("output{") => {
                    let Some((name, behind)) = after.get(7..).and_then(|inner| inner.split_once('}')) else {
                        out.push_str("%output{");
                        rest = after.get(7..).unwrap_or("");
                        continue;
                    };
                    flush(&target, &mut out);
                    let (append, path) = match name.strip_prefix(">>") {
                        Some(path) => (true, path),
                        None => (false, name),
                    };
                    let opened =
                        OpenOptions::new().write(true).create(true).append(append).truncate(!append).open(path);
                    match opened {
                        Ok(file) => target = std::sync::Arc::new(std::sync::Mutex::new(Box::new(file))),
                        Err(_) => self.world.warn(&format!("Failed to open the file {path} for --write-out")),
                    }
                    rest = behind;
                }
                c => out.push(c),
            }
        }
        flush(&target, &mut out);
    }
}

/// A value outside JSON.
fn plain(name: &str, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Text(text) => text.clone(),
        Value::Float(number) => format!("{number:.6}"),
        Value::Int(number) if matches!(name, "http_code" | "response_code" | "http_connect") => format!("{number:03}"),
        other => other.to_string(),
    }
}

fn url_part(url: &str, part: &str) -> Option<Value> {
    let parsed = netkit_http::Url::parse(url, false).ok();
    let text = |text: Option<String>| text.map_or(Value::Null, Value::Text);
    Some(match part {
        "scheme" => text(parsed.map(|url| url.scheme)),
        "host" => text(parsed.map(|url| url.bracketed())),
        "port" => text(parsed.map(|url| url.port_or_default().to_string())),
        "path" => text(parsed.map(|url| url.path)),
        "query" => text(parsed.and_then(|url| url.query)),
        "fragment" => text(parsed.and_then(|url| url.fragment)),
        "user" => text(parsed.and_then(|url| url.user)),
        "password" => text(parsed.and_then(|url| url.password)),
        "zoneid" => text(parsed.and_then(|url| url.zone)),
        "options" => Value::Null,
        _ => return None,
    })
}
