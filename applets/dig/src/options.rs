//! The `+keyword` options: one table drives parsing, abbreviations, help and completion.

use netkit_core::{Flag, Flags, flag, pack, packed_length};

use crate::lookup::Settings;

/// One `+keyword`.
#[derive(Clone, Copy)]
pub(crate) struct Opt {
    /// Shortest abbreviation that BIND accepts, in characters.
    least: usize,
    /// As typed.
    spelling: &'static str,
    /// What it does.
    pub(crate) apply: Apply,
}

/// What an option does.
#[derive(Clone, Copy)]
pub(crate) enum Apply {
    /// Sets a switch of the lookup to whether `no` is absent.
    Switch(fn(&mut Settings) -> &mut bool),
    /// The same, for a switch that is kept the other way round.
    Inverse(fn(&mut Settings) -> &mut bool),
    /// Needs code of its own, in `args`.
    Rule(Rule),
    /// Known to BIND, and without effect for years.
    Obsolete,
    /// Known to BIND, not offered here; the reason.
    Refused(&'static str),
}

/// Options that need code of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    All,
    BufSize,
    Cmd,
    Comments,
    Cookie,
    Dnssec,
    Domain,
    Edns,
    EdnsFlags,
    EdnsOpt,
    FuzzTime,
    Json,
    KeepOpen,
    Ndots,
    Nsid,
    NsSearch,
    Opcode,
    Padding,
    Qid,
    Question,
    Rc,
    Explain,
    Retry,
    RrComments,
    Search,
    Short,
    ShowSearch,
    Split,
    Subnet,
    Http(Http),
    Tcp,
    Timeout,
    Tls,
    TlsCa,
    TlsCert,
    TlsHost,
    TlsKey,
    Trace,
    Tries,
    TtlUnits,
    Yaml,
}

const NEEDS_PROXY: &str = "is not offered: PROXYv2 headers are not built yet";
const NEEDS_IDN: &str = "is not offered: write international names in their xn-- form";

/// Which of the HTTP transports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Http {
    pub(crate) plain: bool,
    pub(crate) get: bool,
}

impl Opt {
    /// The keyword without `+` and `=`.
    fn name(&self) -> &'static str {
        self.spelling.trim_start_matches('+').trim_end_matches('=')
    }
}

/// The option meant by `word`, which has lost its `+`, its `no` and its value. As in BIND, the part that tells options
/// apart is case-sensitive and the rest is not.
pub(crate) fn find(word: &str) -> Option<&'static Opt> {
    OPTIONS.iter().find(|option| {
        let name = option.name();
        match (word.get(..option.least), name.get(..option.least), word.get(option.least..)) {
            (Some(given), Some(wanted), Some(rest)) => {
                given == wanted
                    && name
                        .get(option.least..)
                        .and_then(|tail| tail.get(..rest.len()))
                        .is_some_and(|tail| tail.eq_ignore_ascii_case(rest))
            }
            _ => false,
        }
    })
}

/// Names of every option, for the nearest one.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(Opt::name)
}

/// An option, and its line in help and completion; without help it is a synonym and stays out of them.
type Row = (Opt, Flag);

const fn opt(least: usize, spelling: &'static str, value: &'static str, help: &'static str, apply: Apply) -> Row {
    (Opt { least, spelling, apply }, flag(spelling, value, help))
}

use Apply::{Inverse, Obsolete, Refused, Switch};

const fn rule(least: usize, spelling: &'static str, value: &'static str, help: &'static str, rule: Rule) -> Row {
    opt(least, spelling, value, help, Apply::Rule(rule))
}

const TABLE: &[Row] = &[
    opt(3, "+aaflag", "", "set the AA bit in the query", Switch(|s| &mut s.aa)),
    opt(2, "+aaonly", "", "", Switch(|s| &mut s.aa)),
    opt(3, "+additional", "", "show the additional section", Switch(|s| &mut s.additional)),
    opt(3, "+adflag", "", "set the AD bit in the query (default)", Switch(|s| &mut s.ad)),
    opt(2, "+ad", "", "", Switch(|s| &mut s.ad)),
    rule(2, "+all", "", "show or hide everything", Rule::All),
    opt(2, "+answer", "", "show the answer section", Switch(|s| &mut s.answer)),
    opt(2, "+authority", "", "show the authority section", Switch(|s| &mut s.authority)),
    opt(2, "+badcookie", "", "ask again after BADCOOKIE (default)", Switch(|s| &mut s.retry_bad_cookie)),
    opt(2, "+besteffort", "", "show what can be read of a broken reply (default)", Switch(|s| &mut s.best_effort)),
    rule(2, "+bufsize=", "BYTES", "UDP size offered in EDNS (1232)", Rule::BufSize),
    opt(3, "+cdflag", "", "set the CD bit: no DNSSEC validation", Switch(|s| &mut s.cd)),
    opt(2, "+cd", "", "", Switch(|s| &mut s.cd)),
    opt(2, "+class", "", "show the class of records", Inverse(|s| &mut s.no_class)),
    rule(2, "+cmd", "", "show the greeting with the command line", Rule::Cmd),
    opt(3, "+coflag", "", "set the CO bit: compact denial of existence", Switch(|s| &mut s.co)),
    opt(2, "+co", "", "", Switch(|s| &mut s.co)),
    rule(3, "+comments", "", "show header and section comments", Rule::Comments),
    rule(3, "+cookie=", "HEX", "send a COOKIE option (default)", Rule::Cookie),
    opt(2, "+crypto", "", "show keys, digests and signatures", Inverse(|s| &mut s.no_crypto)),
    rule(2, "+defname", "", "", Rule::Search),
    opt(4, "+dns64prefix", "", "", Refused("is not offered: ask for ipv4only.arpa AAAA instead")),
    rule(4, "+dnssec", "", "set the DO bit: send signatures", Rule::Dnssec),
    rule(3, "+domain=", "NAME", "search this domain only", Rule::Domain),
    rule(2, "+do", "", "", Rule::Dnssec),
    opt(2, "+dscp", "", "", Obsolete),
    rule(4, "+edns=", "VERSION", "EDNS version (0); +noedns sends no OPT", Rule::Edns),
    rule(5, "+ednsflags=", "BITS", "further EDNS flag bits", Rule::EdnsFlags),
    opt(5, "+ednsnegotiation", "", "obey BADVERS (default)", Switch(|s| &mut s.edns_negotiation)),
    rule(5, "+ednsopt=", "CODE[:HEX]", "send this EDNS option; +noednsopt clears them", Rule::EdnsOpt),
    opt(4, "+expandaaaa", "", "show IPv6 addresses in full", Switch(|s| &mut s.expand_aaaa)),
    opt(4, "+expire", "", "ask how long a secondary keeps the zone", Switch(|s| &mut s.expire)),
    opt(2, "+fail", "", "SERVFAIL ends the lookup (default)", Switch(|s| &mut s.servfail_stops)),
    rule(2, "+fuzztime=", "SECONDS", "sign with TSIG as if it were this time", Rule::FuzzTime),
    opt(2, "+header-only", "", "send no question", Switch(|s| &mut s.header_only)),
    rule(5, "+https=", "/PATH", "ask over HTTPS by POST (/dns-query)", Rule::Http(Http { plain: false, get: false })),
    rule(6, "+https-get=", "/PATH", "the same by GET", Rule::Http(Http { plain: false, get: true })),
    rule(6, "+https-post=", "/PATH", "", Rule::Http(Http { plain: false, get: false })),
    rule(10, "+http-plain=", "/PATH", "ask over HTTP/2 without TLS", Rule::Http(Http { plain: true, get: false })),
    rule(11, "+http-plain-get=", "/PATH", "", Rule::Http(Http { plain: true, get: true })),
    rule(11, "+http-plain-post=", "/PATH", "", Rule::Http(Http { plain: true, get: false })),
    opt(3, "+identify", "", "name the server after each short answer", Switch(|s| &mut s.identify)),
    opt(4, "+idnin", "", "", Refused(NEEDS_IDN)),
    opt(4, "+idnout", "", "", Refused(NEEDS_IDN)),
    opt(1, "+ignore", "", "show a truncated reply as it is", Switch(|s| &mut s.ignore_tc)),
    rule(2, "+json", "", "one JSON object per reply (RFC 8427 names)", Rule::Json),
    opt(5, "+keepalive", "", "ask for the TCP idle timeout", Switch(|s| &mut s.keepalive)),
    rule(5, "+keepopen", "", "keep the TCP connection between lookups", Rule::KeepOpen),
    opt(2, "+mapped", "", "", Obsolete),
    opt(2, "+multiline", "", "records over several lines", Switch(|s| &mut s.multiline)),
    rule(2, "+ndots=", "N", "dots that make a name be tried as it is", Rule::Ndots),
    rule(3, "+nsid", "", "ask for the name of the server", Rule::Nsid),
    rule(3, "+nssearch", "", "SOA from every name server of the zone", Rule::NsSearch),
    opt(2, "+onesoa", "", "show the SOA of a transfer once", Switch(|s| &mut s.one_soa)),
    rule(2, "+opcode=", "CODE", "opcode of the request", Rule::Opcode),
    rule(1, "+padding=", "BYTES", "pad the query to blocks of this size", Rule::Padding),
    opt(3, "+proxy", "", "", Refused(NEEDS_PROXY)),
    opt(6, "+proxy-plain", "", "", Refused(NEEDS_PROXY)),
    rule(2, "+qid=", "ID", "query id to use", Rule::Qid),
    opt(2, "+qr", "", "show the query as sent", Switch(|s| &mut s.qr)),
    rule(2, "+question", "", "show the question section", Rule::Question),
    opt(2, "+raflag", "", "set the RA bit in the query", Switch(|s| &mut s.ra)),
    rule(4, "+explain", "", "say in one sentence what the reply means", Rule::Explain),
    rule(2, "+rc", "", "exit status tells the rcode: 2 NODATA, 3 NXDOMAIN, 4 SERVFAIL, 5 REFUSED, 6 other", Rule::Rc),
    opt(2, "+rdflag", "", "", Switch(|s| &mut s.rd)),
    opt(3, "+recurse", "", "set the RD bit (default)", Switch(|s| &mut s.rd)),
    rule(3, "+retries=", "N", "", Rule::Retry),
    rule(3, "+retry=", "N", "tries after the first (2)", Rule::Retry),
    rule(2, "+rrcomments", "", "comments beside records", Rule::RrComments),
    rule(2, "+search", "", "use the search list of resolv.conf", Rule::Search),
    rule(4, "+short", "", "only the data of the answers", Rule::Short),
    opt(5, "+showallmessages", "", "", Refused("is not offered: use +showbadcookie and +ignore")),
    opt(8, "+showbadvers", "", "", Refused("is not offered: use +noednsnegotiation")),
    opt(5, "+showbadcookie", "", "show BADCOOKIE replies too", Switch(|s| &mut s.show_bad_cookie)),
    opt(5, "+showtruncated", "", "", Refused("is not offered: use +ignore")),
    rule(5, "+showsearch", "", "search, and show every step", Rule::ShowSearch),
    opt(2, "+sigchase", "", "", Obsolete),
    rule(2, "+split=", "N", "characters per chunk of hex and base64", Rule::Split),
    opt(2, "+stats", "", "show time, server and size", Switch(|s| &mut s.stats)),
    rule(2, "+subnet=", "ADDR/BITS", "send a CLIENT-SUBNET option", Rule::Subnet),
    opt(3, "+tcflag", "", "set the TC bit in the query", Switch(|s| &mut s.tc)),
    rule(3, "+tcp", "", "ask over TCP", Rule::Tcp),
    rule(2, "+timeout=", "SECONDS", "wait this long for a reply (5)", Rule::Timeout),
    rule(3, "+tls", "", "ask over TLS", Rule::Tls),
    rule(6, "+tls-ca=", "FILE", "verify the server's certificate with these anchors", Rule::TlsCa),
    rule(6, "+tls-certfile=", "FILE", "certificate of our own, with +tls-keyfile", Rule::TlsCert),
    rule(5, "+tls-hostname=", "NAME", "name that the certificate must be for", Rule::TlsHost),
    rule(5, "+tls-keyfile=", "FILE", "its key", Rule::TlsKey),
    opt(2, "+topdown", "", "", Obsolete),
    rule(3, "+trace", "", "follow the delegations from the root", Rule::Trace),
    rule(3, "+tries=", "N", "tries in all (3)", Rule::Tries),
    opt(3, "+trusted-key", "", "", Obsolete),
    opt(3, "+ttlid", "", "show the TTL of records", Inverse(|s| &mut s.no_ttl)),
    rule(4, "+ttlunits", "", "TTL in s, m, h, d, w", Rule::TtlUnits),
    opt(3, "+unexpected", "", "", Obsolete),
    opt(3, "+unknownformat", "", "data as RFC 3597 hex", Switch(|s| &mut s.unknown_format)),
    rule(1, "+vc", "", "", Rule::Tcp),
    rule(1, "+yaml", "", "replies as YAML", Rule::Yaml),
    opt(1, "+zflag", "", "set the reserved Z bit in the query", Switch(|s| &mut s.z)),
    opt(2, "+zoneversion", "", "", Refused("is not offered: use +ednsopt=19")),
];

/// The dash options, for help and completion; `args` parses them by hand.
const DASHED: &[Flag] = &[
    Flag { spelling: "-4", value: "", help: "IPv4 servers only" },
    Flag { spelling: "-6", value: "", help: "IPv6 servers only" },
    Flag { spelling: "-b", value: "ADDR[#PORT]", help: "send from this address" },
    Flag { spelling: "-c", value: "CLASS", help: "class of the query (IN)" },
    Flag { spelling: "-f", value: "FILE", help: "lookups from a file, one command line each; - is stdin" },
    Flag { spelling: "-h", value: "", help: "this help" },
    Flag { spelling: "-k", value: "FILE", help: "sign with the TSIG key in this file" },
    Flag { spelling: "-p", value: "PORT", help: "port of the server (53)" },
    Flag { spelling: "-q", value: "NAME", help: "name to ask for" },
    Flag { spelling: "-r", value: "", help: "do not read ~/.digrc" },
    Flag { spelling: "-t", value: "TYPE", help: "type of the query (A); ixfr=SERIAL for IXFR" },
    Flag { spelling: "-u", value: "", help: "times in microseconds" },
    Flag { spelling: "-v", value: "", help: "version" },
    Flag { spelling: "-x", value: "ADDR", help: "the name of this address" },
    Flag { spelling: "-y", value: "[ALG:]NAME:SECRET", help: "sign with this TSIG key (prefer -k)" },
    Flag { spelling: "--json", value: "", help: "as +json" },
    Flag { spelling: "--from-pid", value: "PID", help: "resolv.conf and hosts of this process" },
    Flag { spelling: "--netns", value: "PID|PATH", help: "send from this network namespace" },
    Flag { spelling: "--explain", value: "", help: "hints even when stderr is no terminal" },
];

/// What is known of an option while dig runs.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, which refuses an index out of range")]
static OPTIONS: [Opt; TABLE.len()] = {
    let mut out = [TABLE[0].0; TABLE.len()];
    let mut row = 0;
    while row < TABLE.len() {
        out[row] = TABLE[row].0;
        row += 1;
    }
    out
};

const LISTED: usize = {
    let mut count = DASHED.len();
    let mut rest = TABLE;
    while let [(_, first), tail @ ..] = rest {
        count += !first.help.is_empty() as usize;
        rest = tail;
    }
    count
};

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, which refuses an index out of range")]
const LIST: [Flag; LISTED] = {
    let mut out = [flag("", "", ""); LISTED];
    let mut at = 0;
    while at < DASHED.len() {
        out[at] = DASHED[at];
        at += 1;
    }
    let mut row = 0;
    while row < TABLE.len() {
        if !TABLE[row].1.help.is_empty() {
            out[at] = TABLE[row].1;
            at += 1;
        }
        row += 1;
    }
    out
};

/// Every flag of dig, for help and completion.
pub(crate) const FLAGS: Flags = {
    const PACKED: [u8; packed_length(&LIST)] = pack(&LIST);
    Flags::packed(&PACKED)
};

#[cfg(test)]
mod tests {
    use super::*;

    fn means(word: &str) -> Option<&'static str> {
        find(word).map(|option| option.spelling)
    }

    #[test]
    fn abbreviations_as_bind_resolves_them() {
        // dig 9.18.49: each of these was tried on its command line.
        for (word, spelling) in [
            ("sho", None),
            ("shor", Some("+short")),
            ("s", None),
            ("ad", Some("+ad")),
            ("add", Some("+additional")),
            ("adf", Some("+adflag")),
            ("co", Some("+co")),
            ("com", Some("+comments")),
            ("do", Some("+do")),
            ("dom", Some("+domain=")),
            ("i", Some("+ignore")),
            ("id", None),
            ("ti", Some("+timeout=")),
            ("time", Some("+timeout=")),
            ("tc", None),
            ("multi", Some("+multiline")),
            ("ttl", Some("+ttlid")),
            ("ttlu", Some("+ttlunits")),
            ("edn", None),
            ("edns", Some("+edns=")),
            ("shortx", None),
            ("aa", Some("+aaonly")),
            ("tls", Some("+tls")),
            ("", None),
            ("SHORT", None),
            ("shorT", Some("+short")),
            ("k\u{e9}", None),
        ] {
            assert_eq!(means(word), spelling, "+{word}");
        }
    }

    #[test]
    fn listed_flags_have_help() {
        assert!(FLAGS.iter().all(|flag| !flag.spelling.is_empty() && !flag.help.is_empty()));
        assert!(FLAGS.iter().any(|flag| flag.spelling == "+zflag"));
    }
}
