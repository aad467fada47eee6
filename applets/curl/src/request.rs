//! The head of a request, byte for byte in curl's order.

use netkit_http::Url;

use crate::body::Body;
use crate::config::{Config, TimeCond};

/// Bodies above this wait for `100 Continue`, in bytes.
pub(crate) const EXPECT_ABOVE: u64 = 1024 * 1024;

/// A request about to be sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// What stands in the request line.
    pub(crate) target: String,
    /// 10, 11 or 20.
    pub(crate) version: u8,
    /// Header lines without their ends.
    pub(crate) lines: Vec<String>,
    pub(crate) body: Body,
    /// `None` when it is not known.
    pub(crate) length: Option<u64>,
    pub(crate) chunked: bool,
    pub(crate) expect: bool,
}

impl Request {
    /// As it goes out in HTTP/1.
    pub(crate) fn head(&self) -> Vec<u8> {
        let version = if self.version == 10 { "1.0" } else { "1.1" };
        let mut out = format!("{} {} HTTP/{version}\r\n", self.method, self.target);
        for line in &self.lines {
            out.push_str(line);
            out.push_str("\r\n");
        }
        out.push_str("\r\n");
        out.into_bytes()
    }

    /// Whether anything follows the head.
    pub(crate) fn has_body(&self) -> bool {
        self.chunked || self.length.is_none_or(|length| length > 0)
    }
}

/// Everything beside the configuration that shapes a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shape {
    pub(crate) method: String,
    /// A kind of request that carries a body, whose length is therefore stated.
    pub(crate) kind: Kind,
    /// What the method would be without `-X`.
    pub(crate) version: u8,
    /// Through an HTTP proxy without a tunnel: the whole URL stands in the request line.
    pub(crate) absolute: bool,
    pub(crate) authorization: Option<String>,
    pub(crate) proxy_authorization: Option<String>,
    pub(crate) cookie: Option<String>,
    pub(crate) range: Option<String>,
    pub(crate) content_range: Option<String>,
    pub(crate) referer: Option<String>,
    pub(crate) agent: String,
    /// Redirected to another host: custom Authorization and Cookie stay behind.
    pub(crate) foreign: bool,
    /// A custom Host holds: the first host is still asked.
    pub(crate) keep_host: bool,
    /// The body waits until the server has told how to authenticate.
    pub(crate) hold_body: bool,
    pub(crate) no_expect: bool,
    pub(crate) body: Body,
    pub(crate) length: Option<u64>,
    /// Content type of a form with its boundary.
    pub(crate) form_type: Option<String>,
    pub(crate) headers: Vec<String>,
    pub(crate) proxy_headers: Vec<String>,
    pub(crate) upgrade: bool,
}

/// What the request carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Get,
    Head,
    Post,
    Form,
    Put,
}

impl Kind {
    pub(crate) fn method(self) -> &'static str {
        match self {
            Kind::Get => "GET",
            Kind::Head => "HEAD",
            Kind::Post | Kind::Form => "POST",
            Kind::Put => "PUT",
        }
    }
}

/// The custom header of that name, with whatever follows the name.
pub(crate) fn custom<'a>(headers: &'a [String], name: &str) -> Option<&'a str> {
    headers.iter().find_map(|header| {
        let head = header.get(..name.len())?;
        let rest = header.get(name.len()..)?;
        (head.eq_ignore_ascii_case(name) && rest.starts_with([':', ';'])).then_some(rest)
    })
}

/// Custom headers as lines: `Name:` alone is left out, `Name;` is sent without a value.
pub(crate) fn custom_lines(headers: &[String], skip: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut out = Vec::new();
    for header in headers {
        let at = header.find(':');
        let (name, line) = match at {
            Some(at) => {
                let value = header.get(at + 1..).unwrap_or("");
                if at == 0 || value.trim_start().is_empty() {
                    continue;
                }
                (header.get(..at).unwrap_or(""), header.clone())
            }
            None => match header.split_once(';') {
                Some((name, "")) if !name.is_empty() => (name, format!("{name}:")),
                _ => continue,
            },
        };
        if !skip(name) {
            out.push(line.replace(['\r', '\n'], ""));
        }
    }
    out
}

/// Host and port as the Host field has them.
pub(crate) fn authority(url: &Url) -> String {
    let default = netkit_http::url::default_port(&url.scheme);
    match url.port {
        Some(port) if Some(port) != default => format!("{}:{port}", url.bracketed()),
        _ => url.bracketed(),
    }
}

/// Puts a request together.
pub(crate) fn build(config: &Config, url: &Url, shape: &Shape) -> Request {
    let headers = &shape.headers;
    let has = |name: &str| custom(headers, name).is_some();
    let mut lines = Vec::new();
    let target = match &config.request_target {
        Some(target) => target.clone(),
        None if shape.absolute => {
            let mut plain = url.clone();
            plain.fragment = None;
            plain.zone = None;
            if plain.port == netkit_http::url::default_port(&plain.scheme) {
                plain.port = None;
            }
            plain.text(false, false)
        }
        None => url.target(),
    };
    match custom(headers, "Host").filter(|_| shape.keep_host) {
        Some(rest) => {
            let value = rest.get(1..).unwrap_or("");
            if !value.trim().is_empty() {
                lines.push(format!("Host:{value}"));
            } else if rest.starts_with(';') {
                lines.push("Host:".to_owned());
            }
        }
        None => lines.push(format!("Host: {}", authority(url))),
    }
    let own_coding = custom(headers, "Transfer-Encoding")
        .map(|rest| rest.get(1..).is_some_and(|value| value.to_ascii_lowercase().contains("chunked")));
    let carries = matches!(shape.kind, Kind::Post | Kind::Form | Kind::Put);
    let length = if shape.hold_body { Some(0) } else { shape.length };
    // A coding of one's own decides, whatever the version; else only what has no length is chunked.
    let chunked = carries && shape.version < 20 && own_coding.unwrap_or(length.is_none());
    if let Some(value) = &shape.proxy_authorization {
        lines.push(format!("Proxy-Authorization: {value}"));
    }
    if let Some(value) = &shape.authorization {
        lines.push(format!("Authorization: {value}"));
    }
    if let Some(range) = shape.range.as_ref().filter(|_| !has("Range") && matches!(shape.kind, Kind::Get | Kind::Head))
    {
        lines.push(format!("Range: bytes={range}"));
    }
    if let Some(range) = shape.content_range.as_ref().filter(|_| !has("Content-Range")) {
        lines.push(format!("Content-Range: {range}"));
    } else if let Some(range) = shape.range.as_ref().filter(|_| carries && !has("Content-Range")) {
        // Uploads state the range they were asked for with their own size (RFC 9110, section 14.5).
        let size = length.map_or("-1".to_owned(), |length| length.to_string());
        lines.push(format!("Content-Range: bytes {range}/{size}"));
    }
    if !shape.agent.is_empty() && !has("User-Agent") {
        lines.push(format!("User-Agent: {}", shape.agent));
    }
    if !has("Accept") {
        lines.push("Accept: */*".to_owned());
    }
    let te = config.tr_encoding && !has("TE") && shape.version < 20;
    if te {
        match custom(headers, "Connection") {
            Some(rest) => {
                let value = rest.get(1..).unwrap_or("").trim();
                lines.push(if value.is_empty() {
                    "Connection: TE".to_owned()
                } else {
                    format!("Connection: {value}, TE")
                });
            }
            None => lines.push("Connection: TE".to_owned()),
        }
        lines.push("TE: gzip".to_owned());
    }
    if config.compressed && !has("Accept-Encoding") {
        lines.push("Accept-Encoding: deflate, gzip, br, zstd".to_owned());
    }
    if let Some(referer) = shape.referer.as_ref().filter(|_| !has("Referer")) {
        lines.push(format!("Referer: {referer}"));
    }
    if shape.absolute && !has("Proxy-Connection") && custom(&shape.proxy_headers, "Proxy-Connection").is_none() {
        lines.push("Proxy-Connection: Keep-Alive".to_owned());
    }
    if chunked && !has("Transfer-Encoding") {
        lines.push("Transfer-Encoding: chunked".to_owned());
    }
    if shape.upgrade {
        // The settings of our own preface (RFC 7540, section 3.2.1).
        lines.push("Connection: Upgrade, HTTP2-Settings".to_owned());
        lines.push("Upgrade: h2c".to_owned());
        lines.push(format!("HTTP2-Settings: {}", netkit_http::h2::SETTINGS_BASE64));
    }
    if let Some(cookie) = &shape.cookie {
        lines.push(format!("Cookie: {cookie}"));
    }
    match config.time_cond {
        Some(TimeCond::ModifiedSince(at)) if !has("If-Modified-Since") => {
            lines.push(format!("If-Modified-Since: {}", netkit_http::date::http(at)));
        }
        Some(TimeCond::LastModified(at)) if !has("Last-Modified") => {
            lines.push(format!("Last-Modified: {}", netkit_http::date::http(at)));
        }
        Some(TimeCond::UnmodifiedSince(at)) if !has("If-Unmodified-Since") => {
            lines.push(format!("If-Unmodified-Since: {}", netkit_http::date::http(at)));
        }
        _ => {}
    }
    let skip = |name: &str| {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        is("Host")
            || (is("Content-Type") && shape.kind == Kind::Form)
            || (is("Content-Length") && shape.hold_body)
            || (is("Connection") && te)
            || (is("Transfer-Encoding") && shape.version >= 20)
            || (shape.foreign && (is("Authorization") || is("Cookie")))
    };
    lines.extend(custom_lines(headers, &skip));
    if shape.absolute {
        lines.extend(custom_lines(&shape.proxy_headers, &skip));
    }
    let mut expect = false;
    if matches!(shape.kind, Kind::Post | Kind::Form | Kind::Put) {
        if let Some(length) = length.filter(|_| !chunked && (shape.hold_body || !has("Content-Length"))) {
            lines.push(format!("Content-Length: {length}"));
        }
        if let Some(kind) = shape.form_type.as_ref().filter(|_| shape.kind == Kind::Form && !shape.hold_body) {
            let own = custom(headers, "Content-Type").and_then(|rest| rest.get(1..)).map(str::trim);
            match own {
                // The boundary is added to a type of one's own.
                Some(own) if !own.is_empty() => {
                    let boundary = kind.split_once(';').map_or("", |(_, boundary)| boundary);
                    lines.push(format!("Content-Type: {own};{boundary}"));
                }
                _ => lines.push(format!("Content-Type: {kind}")),
            }
        }
        if shape.kind == Kind::Post && !has("Content-Type") {
            lines.push("Content-Type: application/x-www-form-urlencoded".to_owned());
        }
        if shape.version < 20 {
            match custom(headers, "Expect") {
                Some(rest) => {
                    expect = rest.get(1..).is_some_and(|value| value.to_ascii_lowercase().contains("100-continue"));
                }
                None if shape.version == 11
                    && !shape.no_expect
                    && length.is_none_or(|length| length > EXPECT_ABOVE) =>
                {
                    expect = true;
                    lines.push("Expect: 100-continue".to_owned());
                }
                None => {}
            }
        }
    }
    let hold = shape.hold_body || !carries;
    expect &= !hold;
    Request {
        method: shape.method.clone(),
        target,
        version: shape.version,
        lines,
        body: if hold { Body::None } else { shape.body.clone() },
        length: if hold { Some(0) } else { shape.length },
        chunked,
        expect,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(kind: Kind, headers: &[&str]) -> Shape {
        Shape {
            method: kind.method().to_owned(),
            kind,
            version: 11,
            keep_host: true,
            agent: "curl/8".to_owned(),
            length: Some(3),
            headers: headers.iter().map(|header| (*header).to_owned()).collect(),
            ..Shape::default()
        }
    }

    fn head(kind: Kind, headers: &[&str]) -> String {
        let url = Url::parse("http://h:81/p?q#f", false).unwrap();
        let request = build(&Config::default(), &url, &shape(kind, headers));
        String::from_utf8(request.head()).unwrap()
    }

    #[test]
    fn bytes_of_a_head() {
        assert_eq!(
            head(Kind::Get, &[]),
            "GET /p?q HTTP/1.1\r\nHost: h:81\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\r\n"
        );
        assert_eq!(
            head(Kind::Post, &["Accept:", "X;", "User-Agent: me", "nonsense"]),
            "POST /p?q HTTP/1.1\r\nHost: h:81\r\nX:\r\nUser-Agent: me\r\nContent-Length: 3\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        );
        assert!(
            head(Kind::Put, &["Transfer-Encoding: chunked"])
                .ends_with("Accept: */*\r\nTransfer-Encoding: chunked\r\n\r\n")
        );
        assert!(head(Kind::Get, &["Host: other"]).starts_with("GET /p?q HTTP/1.1\r\nHost: other\r\n"));
    }
}
