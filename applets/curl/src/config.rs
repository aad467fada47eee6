//! What one command line asks for, after the options have been read.

use std::time::Duration;

use crate::form::Form;

/// Where a body goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `-o NAME`; `-` is stdout.
    File(String),
    /// `-O`: the last part of the URL's path.
    Remote,
}

/// One URL with its output and upload, in the order they pair up on the command line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    pub(crate) url: Option<String>,
    pub(crate) target: Option<Target>,
    /// An output option was given for it; what `--remote-name-all` does is none.
    pub(crate) claimed: bool,
    pub(crate) upload: Option<String>,
}

/// One part of a multipart form.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    pub(crate) name: Option<String>,
    pub(crate) content: Content,
    pub(crate) filename: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) headers: Vec<String>,
    pub(crate) encoder: Option<String>,
}

/// What a part holds.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Bytes(Vec<u8>),
    File(String),
    /// A part of parts (RFC 2046, section 5.1).
    Parts(Vec<Part>),
}

impl Default for Content {
    fn default() -> Content {
        Content::Bytes(Vec::new())
    }
}

/// Which HTTP to speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Version {
    /// HTTP/2 over TLS if the server wants it, else HTTP/1.1.
    #[default]
    Default,
    V10,
    V11,
    V2,
    V2Prior,
}

/// A set of authentication schemes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Schemes {
    pub(crate) basic: bool,
    pub(crate) digest: bool,
    pub(crate) any: bool,
}

/// `-z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeCond {
    ModifiedSince(i64),
    UnmodifiedSince(i64),
    /// `=`: what is sent is called Last-Modified.
    LastModified(i64),
}

/// `-C`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    At(u64),
    FromFile,
}

/// `--netrc` and its kin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Netrc {
    #[default]
    Ignored,
    Optional,
    Required,
}

/// What a URL or a redirect may lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Protocols(pub(crate) Vec<&'static str>);

/// Every protocol spoken here.
pub(crate) const PROTOCOLS: &[&str] = &["file", "http", "https"];

/// Everything between two `--next`.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) nodes: Vec<Node>,
    pub(crate) headers: Vec<String>,
    pub(crate) proxy_headers: Vec<String>,
    pub(crate) data: Option<Vec<u8>>,
    pub(crate) json: bool,
    pub(crate) form: Form,
    pub(crate) form_escape: bool,
    pub(crate) get: bool,
    pub(crate) head: bool,
    pub(crate) request: Option<String>,
    pub(crate) request_target: Option<String>,
    pub(crate) url_query: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) bearer: Option<String>,
    pub(crate) auth: Schemes,
    pub(crate) agent: Option<String>,
    pub(crate) referer: Option<String>,
    pub(crate) auto_referer: bool,
    pub(crate) cookies: Vec<String>,
    pub(crate) cookie_files: Vec<String>,
    pub(crate) cookie_jar: Option<String>,
    pub(crate) junk_session: bool,
    pub(crate) range: Option<String>,
    pub(crate) resume: Option<Resume>,
    pub(crate) time_cond: Option<TimeCond>,
    pub(crate) etag_save: Option<String>,
    pub(crate) etag_compare: Option<String>,
    pub(crate) compressed: bool,
    pub(crate) tr_encoding: bool,
    pub(crate) raw: bool,
    pub(crate) ignore_length: bool,
    pub(crate) http09: bool,
    pub(crate) version: Version,
    pub(crate) alpn: bool,
    pub(crate) path_as_is: bool,
    pub(crate) globoff: bool,
    pub(crate) no_user_in_url: bool,
    pub(crate) expect_timeout: Duration,
    pub(crate) include: bool,
    pub(crate) dump_header: Option<String>,
    pub(crate) remote_name_all: bool,
    pub(crate) content_disposition: bool,
    pub(crate) remote_time: bool,
    pub(crate) remove_on_error: bool,
    pub(crate) skip_existing: bool,
    pub(crate) create_dirs: bool,
    /// `--clobber` or `--no-clobber`, where one was given.
    pub(crate) clobber: Option<bool>,
    pub(crate) file_mode: u32,
    pub(crate) output_dir: Option<String>,
    pub(crate) write_out: Option<String>,
    pub(crate) fail: bool,
    pub(crate) fail_with_body: bool,
    pub(crate) location: bool,
    pub(crate) trusted: bool,
    pub(crate) max_redirs: i64,
    pub(crate) post301: bool,
    pub(crate) post302: bool,
    pub(crate) post303: bool,
    pub(crate) max_time: Option<Duration>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) retry: u64,
    pub(crate) retry_delay: Option<Duration>,
    pub(crate) retry_max_time: Option<Duration>,
    pub(crate) retry_refused: bool,
    pub(crate) retry_all: bool,
    pub(crate) limit_rate: Option<u64>,
    pub(crate) speed_limit: u64,
    pub(crate) speed_time: u64,
    pub(crate) max_filesize: Option<u64>,
    pub(crate) resolve: Vec<String>,
    pub(crate) connect_to: Vec<String>,
    pub(crate) dns_servers: Vec<std::net::SocketAddr>,
    pub(crate) doh_url: Option<String>,
    pub(crate) doh_insecure: bool,
    pub(crate) unix_socket: Option<(String, bool)>,
    pub(crate) interface: Option<String>,
    pub(crate) local_port: Option<(u16, u16)>,
    pub(crate) family: netkit_dns::simulate::Family,
    pub(crate) happy_eyeballs: Duration,
    pub(crate) nodelay: bool,
    pub(crate) keepalive: Option<u64>,
    pub(crate) tos: Option<u8>,
    pub(crate) haproxy: bool,
    pub(crate) haproxy_clientip: Option<String>,
    pub(crate) proxy: Option<String>,
    pub(crate) preproxy: Option<String>,
    pub(crate) proxy_user: Option<String>,
    pub(crate) proxy_auth: Schemes,
    pub(crate) proxy_tunnel: bool,
    pub(crate) proxy_10: bool,
    pub(crate) noproxy: Option<String>,
    pub(crate) suppress_connect: bool,
    pub(crate) netrc: Netrc,
    pub(crate) netrc_file: Option<String>,
    pub(crate) proto: Protocols,
    pub(crate) proto_redir: Protocols,
    pub(crate) proto_default: Option<String>,
    pub(crate) insecure: bool,
    pub(crate) cacert: Option<String>,
    pub(crate) capath: Option<String>,
    pub(crate) cert: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) pinned: Option<String>,
    /// Of TLS 1.2 and of TLS 1.3.
    pub(crate) ciphers: [Option<String>; 2],
    pub(crate) proxy_ciphers: [Option<String>; 2],
    pub(crate) tls_min: u8,
    pub(crate) tls_max: u8,
    pub(crate) proxy_insecure: bool,
    pub(crate) proxy_cacert: Option<String>,
    pub(crate) proxy_cert: Option<String>,
    pub(crate) proxy_key: Option<String>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            nodes: Vec::new(),
            headers: Vec::new(),
            proxy_headers: Vec::new(),
            data: None,
            json: false,
            form: Form::default(),
            form_escape: false,
            get: false,
            head: false,
            request: None,
            request_target: None,
            url_query: None,
            user: None,
            bearer: None,
            auth: Schemes::default(),
            agent: None,
            referer: None,
            auto_referer: false,
            cookies: Vec::new(),
            cookie_files: Vec::new(),
            cookie_jar: None,
            junk_session: false,
            range: None,
            resume: None,
            time_cond: None,
            etag_save: None,
            etag_compare: None,
            compressed: false,
            tr_encoding: false,
            raw: false,
            ignore_length: false,
            http09: false,
            version: Version::Default,
            alpn: true,
            path_as_is: false,
            globoff: false,
            no_user_in_url: false,
            expect_timeout: Duration::from_secs(1),
            include: false,
            dump_header: None,
            remote_name_all: false,
            content_disposition: false,
            remote_time: false,
            remove_on_error: false,
            skip_existing: false,
            create_dirs: false,
            clobber: None,
            file_mode: 0o644,
            output_dir: None,
            write_out: None,
            fail: false,
            fail_with_body: false,
            location: false,
            trusted: false,
            max_redirs: 50,
            post301: false,
            post302: false,
            post303: false,
            max_time: None,
            connect_timeout: None,
            retry: 0,
            retry_delay: None,
            retry_max_time: None,
            retry_refused: false,
            retry_all: false,
            limit_rate: None,
            speed_limit: 0,
            speed_time: 0,
            max_filesize: None,
            resolve: Vec::new(),
            connect_to: Vec::new(),
            dns_servers: Vec::new(),
            doh_url: None,
            doh_insecure: false,
            unix_socket: None,
            interface: None,
            local_port: None,
            family: netkit_dns::simulate::Family::Unspecified,
            happy_eyeballs: Duration::from_millis(200),
            nodelay: true,
            keepalive: Some(60),
            tos: None,
            haproxy: false,
            haproxy_clientip: None,
            proxy: None,
            preproxy: None,
            proxy_user: None,
            proxy_auth: Schemes::default(),
            proxy_tunnel: false,
            proxy_10: false,
            noproxy: None,
            suppress_connect: false,
            netrc: Netrc::Ignored,
            netrc_file: None,
            proto: Protocols(PROTOCOLS.to_vec()),
            proto_redir: Protocols(vec!["http", "https"]),
            proto_default: None,
            insecure: false,
            cacert: None,
            capath: None,
            cert: None,
            key: None,
            pinned: None,
            ciphers: [None, None],
            proxy_ciphers: [None, None],
            tls_min: 2,
            tls_max: 3,
            proxy_insecure: false,
            proxy_cacert: None,
            proxy_cert: None,
            proxy_key: None,
        }
    }
}

/// How what happens is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Trace {
    #[default]
    Off,
    Verbose,
    Ascii(String),
    Hex(String),
}

/// What holds for all operations of a command line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Global {
    pub(crate) silent: bool,
    pub(crate) show_error: bool,
    pub(crate) no_meter: bool,
    pub(crate) bar: bool,
    pub(crate) trace: Trace,
    pub(crate) trace_time: bool,
    pub(crate) trace_ids: bool,
    pub(crate) stderr: Option<String>,
    pub(crate) fail_early: bool,
    pub(crate) parallel: bool,
    pub(crate) parallel_max: usize,
    /// Least time between the starts of two transfers, in milliseconds.
    pub(crate) rate_ms: u64,
    pub(crate) secrets: bool,
    pub(crate) explain: bool,
    pub(crate) timing: bool,
    pub(crate) all_ips: bool,
    pub(crate) repeat: u64,
    pub(crate) interval: Duration,
    pub(crate) report: Option<String>,
    pub(crate) from_pid: Option<u32>,
    pub(crate) netns: Option<String>,
}
