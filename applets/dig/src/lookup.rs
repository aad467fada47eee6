//! What one lookup is: everything the command line can say about it, validated.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use netkit_wire::dns::{Class, EdnsOption, Opcode, RrType, Split};

use netkit_core::Exit;

use crate::exit;
use crate::link::Carrier;

/// UDP payload size offered in EDNS, in bytes (DNS Flag Day 2020).
pub(crate) const UDP_SIZE: u16 = 1232;
/// Port of DNS over UDP and TCP (RFC 1035, 4.2).
pub(crate) const PORT: u16 = 53;

/// One lookup, ready to run: its own settings, and those that hold for the whole command line.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
    /// What belongs to this lookup alone.
    pub(crate) settings: Settings,
    /// What the whole line shares.
    pub(crate) globals: Arc<Globals>,
    /// The greeting to print before its first message; empty for none.
    pub(crate) banner: String,
}

/// A server to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    /// Where it is.
    pub(crate) address: IpAddr,
    /// Zone of a link-local address (RFC 4007), 0 for none.
    pub(crate) scope: u32,
    /// Its port, when `@ip#port` named one.
    pub(crate) port: Option<u16>,
    /// As the user typed it, for the SERVER line.
    pub(crate) label: String,
}

/// Which address families may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Both.
    Any,
    /// `-4`
    V4,
    /// `-6`
    V6,
}

impl Family {
    /// Whether `address` belongs to it.
    pub(crate) fn allows(self, address: IpAddr) -> bool {
        match self {
            Family::Any => true,
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
        }
    }
}

/// How replies are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Master-file text.
    Text,
    /// `+yaml`
    Yaml,
    /// `+json`
    Json,
}

/// Settings that hold for every lookup of a command line, wherever on it they stand.
#[derive(Clone, Debug)]
pub(crate) struct Globals {
    /// `+short`
    pub(crate) short: bool,
    /// `+cmd`: the greeting.
    pub(crate) cmd: bool,
    /// `+search`
    pub(crate) search: bool,
    /// `+showsearch`
    pub(crate) show_search: bool,
    /// `+ndots=`
    pub(crate) ndots: Option<u32>,
    /// `+timeout=`, in seconds.
    pub(crate) timeout: Option<u32>,
    /// `+domain=`: suffixes to append instead of those of resolv.conf.
    pub(crate) origins: Option<Vec<String>>,
    /// `-p`
    pub(crate) port: Option<u16>,
    /// `-b`
    pub(crate) source: Option<SocketAddr>,
    /// `-4`, `-6`
    pub(crate) family: Family,
    /// `+split=`
    pub(crate) split: Split,
    /// `+yaml`, `+json`
    pub(crate) format: Format,
    /// `+keepopen`
    pub(crate) keep_open: bool,
    /// `+rc`
    pub(crate) rc: bool,
    /// `+explain`
    pub(crate) explain: bool,
    /// `-k`
    pub(crate) key_file: Option<String>,
    /// `-y`: algorithm as written, name, secret in base64.
    pub(crate) key_text: Option<KeyText>,
    /// `+fuzztime=`: the clock of TSIG, in seconds of Unix time.
    pub(crate) fuzz_time: Option<u32>,
    /// `+comments` was asked for before any name: transfers keep their comments.
    pub(crate) comments_asked: bool,
    /// The same for `+question`.
    pub(crate) question_asked: bool,
    /// Schema of the JSON lines.
    pub(crate) schema: &'static str,
    /// Status when the name is none.
    pub(crate) illegal: Exit,
}

/// A TSIG key as `-y` or a key file spells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyText {
    /// `hmac-sha256` and so on; `None` when the algorithm is not known.
    pub(crate) algorithm: Option<String>,
    /// Owner name of the key.
    pub(crate) name: String,
    /// Base64.
    pub(crate) secret: String,
}

impl Default for Globals {
    fn default() -> Globals {
        Globals {
            short: false,
            cmd: true,
            search: false,
            show_search: false,
            ndots: None,
            timeout: None,
            origins: None,
            port: None,
            source: None,
            family: Family::Any,
            split: Split::Default,
            format: Format::Text,
            keep_open: false,
            rc: false,
            explain: false,
            key_file: None,
            key_text: None,
            fuzz_time: None,
            comments_asked: false,
            question_asked: false,
            schema: "dig/1",
            illegal: exit::INTERNAL,
        }
    }
}

/// `+subnet=` (RFC 7871).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subnet {
    /// The address; `None` stands for family 0 written as `0`, sent as an empty IPv4 prefix.
    pub(crate) address: Option<IpAddr>,
    /// SOURCE PREFIX-LENGTH, in bits.
    pub(crate) prefix: u8,
}

/// `+rrcomments`, which multi-line output turns on by itself unless it was turned off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RrComments {
    /// Not said.
    Default,
    /// `+rrcomments`
    On,
    /// `+norrcomments`
    Off,
}

/// Settings of one lookup.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The name as typed.
    pub(crate) name: String,
    pub(crate) rtype: RrType,
    /// A type was given.
    pub(crate) type_set: bool,
    pub(crate) class: Class,
    /// A class was given.
    pub(crate) class_set: bool,
    /// Empty: those of resolv.conf.
    pub(crate) servers: Vec<Server>,
    /// `ixfr=`
    pub(crate) ixfr_serial: u32,
    pub(crate) opcode: Opcode,
    pub(crate) qid: Option<u16>,
    pub(crate) aa: bool,
    pub(crate) ad: bool,
    pub(crate) cd: bool,
    pub(crate) ra: bool,
    pub(crate) rd: bool,
    pub(crate) tc: bool,
    pub(crate) z: bool,
    pub(crate) header_only: bool,
    /// EDNS version, `None` for no OPT record.
    pub(crate) edns: Option<u8>,
    pub(crate) udp_size: Option<u16>,
    pub(crate) edns_flags: u16,
    pub(crate) edns_options: Vec<EdnsOption>,
    pub(crate) edns_negotiation: bool,
    pub(crate) dnssec: bool,
    pub(crate) co: bool,
    pub(crate) nsid: bool,
    pub(crate) subnet: Option<Subnet>,
    pub(crate) cookie: bool,
    /// `+cookie=`
    pub(crate) cookie_value: Option<Vec<u8>>,
    pub(crate) expire: bool,
    pub(crate) keepalive: bool,
    /// Block size in bytes, 0 for none.
    pub(crate) padding: u16,
    pub(crate) retry_bad_cookie: bool,
    pub(crate) show_bad_cookie: bool,
    /// Print even a message that does not parse to its end.
    pub(crate) best_effort: bool,
    pub(crate) tcp: bool,
    /// `+tcp` or `+notcp` was said; types that prefer TCP then do not decide.
    pub(crate) tcp_set: bool,
    /// `+ignore`: a truncated reply is printed as it is.
    pub(crate) ignore_tc: bool,
    /// TLS and HTTP.
    pub(crate) secure: Secure,
    /// Attempts at a server, `None` for what resolv.conf or dig's default (3) says.
    pub(crate) tries: Option<u32>,
    /// SERVFAIL ends the lookup.
    pub(crate) servfail_stops: bool,
    /// A reply without RA leads to the next server.
    pub(crate) check_ra: bool,
    /// The search list may complete the name, if it is used at all.
    pub(crate) search: bool,
    pub(crate) trace: bool,
    pub(crate) nssearch: bool,
    pub(crate) one_soa: bool,
    pub(crate) identify: bool,
    pub(crate) qr: bool,
    pub(crate) usec: bool,
    pub(crate) comments: bool,
    pub(crate) stats: bool,
    pub(crate) question: bool,
    pub(crate) answer: bool,
    pub(crate) authority: bool,
    pub(crate) additional: bool,
    pub(crate) multiline: bool,
    pub(crate) rr_comments: RrComments,
    pub(crate) no_crypto: bool,
    pub(crate) unknown_format: bool,
    pub(crate) expand_aaaa: bool,
    pub(crate) ttl_units: bool,
    pub(crate) no_ttl: bool,
    pub(crate) no_class: bool,
}

/// What the lookup says about TLS (RFC 7858) and HTTP (RFC 8484).
#[derive(Clone, Debug, Default)]
pub(crate) struct Secure {
    /// `+tls`
    pub(crate) tls: bool,
    /// `+https`, `+http-plain`
    pub(crate) http: bool,
    /// `+http-plain`
    pub(crate) plain: bool,
    /// `+https-get`
    pub(crate) get: bool,
    /// `+https=/PATH`
    pub(crate) path: Option<String>,
    /// `+tls-ca`, and its file.
    pub(crate) authority: Option<Option<PathBuf>>,
    /// `+tls-hostname=`
    pub(crate) hostname: Option<String>,
    /// `+tls-certfile=`
    pub(crate) certificate: Option<PathBuf>,
    /// `+tls-keyfile=`
    pub(crate) key: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            name: String::new(),
            rtype: RrType::A,
            type_set: false,
            class: Class::IN,
            class_set: false,
            servers: Vec::new(),
            ixfr_serial: 0,
            opcode: Opcode::QUERY,
            qid: None,
            aa: false,
            ad: true,
            cd: false,
            ra: false,
            rd: true,
            tc: false,
            z: false,
            header_only: false,
            edns: Some(0),
            udp_size: None,
            edns_flags: 0,
            edns_options: Vec::new(),
            edns_negotiation: true,
            dnssec: false,
            co: false,
            nsid: false,
            subnet: None,
            cookie: true,
            cookie_value: None,
            expire: false,
            keepalive: false,
            padding: 0,
            retry_bad_cookie: true,
            show_bad_cookie: false,
            best_effort: true,
            tcp: false,
            tcp_set: false,
            secure: Secure::default(),
            ignore_tc: false,
            tries: None,
            servfail_stops: true,
            check_ra: false,
            search: true,
            trace: false,
            nssearch: false,
            one_soa: false,
            identify: false,
            qr: false,
            usec: false,
            comments: true,
            stats: true,
            question: true,
            answer: true,
            authority: true,
            additional: true,
            multiline: false,
            rr_comments: RrComments::Default,
            no_crypto: false,
            unknown_format: false,
            expand_aaaa: false,
            ttl_units: false,
            no_ttl: false,
            no_class: false,
        }
    }
}

impl Settings {
    /// What carries the messages: `tcp` is whether a stream does.
    pub(crate) fn carrier(&self, tcp: bool) -> Carrier {
        let secure = &self.secure;
        let parts = secure.authority.is_some()
            || secure.hostname.is_some()
            || secure.certificate.is_some()
            || secure.key.is_some();
        match tcp {
            false => Carrier::Udp,
            true if secure.tls || (parts && !secure.http) => Carrier::Tls,
            true if secure.http => Carrier::Http { tls: !secure.plain, get: secure.get },
            true => Carrier::Tcp,
        }
    }

    /// Shows or hides every part of a reply, as `+all` and `+noall` do.
    pub(crate) fn show_all(&mut self, state: bool) {
        self.question = state;
        self.answer = state;
        self.authority = state;
        self.additional = state;
        self.comments = state;
        self.stats = state;
    }

    /// Leaves only the answers.
    pub(crate) fn show_answers_only(&mut self) {
        self.show_all(false);
        self.answer = true;
    }
}
