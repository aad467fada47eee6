//! Replies and queries as text, in the layout of BIND dig 9.18.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use netkit_core::civil_from_unix;
use netkit_wire::dns::{EdnsOption, Fault, Header, Message, Name, Opcode, Opt, Rcode, Record, RrType, Section, Style};

use crate::link::Carrier;
use crate::lookup::{Globals, RrComments, Settings};

/// What is known about a message besides its bytes.
pub(crate) struct Shown<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) globals: &'a Globals,
    pub(crate) message: &'a Message,
    /// It is our own query (`+qr`).
    pub(crate) sending: bool,
    /// The cookie that the query carried, against which the reply's is judged.
    pub(crate) sent_cookie: Option<&'a [u8]>,
    /// EDNS version of the query, `None` without OPT.
    pub(crate) sent_edns: Option<u8>,
    /// Number of this message in a transfer, from 0.
    pub(crate) sequence: u32,
    /// How the short form ends with `+identify`: server and time.
    pub(crate) from: Option<(&'a str, Duration)>,
    /// The short form starts with the type.
    pub(crate) short_type: bool,
}

/// Record style of a lookup.
pub(crate) fn style(settings: &Settings, globals: &Globals) -> Style {
    Style {
        multiline: settings.multiline,
        rrcomments: match settings.rr_comments {
            RrComments::On => true,
            RrComments::Off => false,
            RrComments::Default => settings.multiline,
        },
        nocrypto: settings.no_crypto,
        unknown_format: settings.unknown_format,
        expand_aaaa: settings.expand_aaaa,
        ttl_units: settings.ttl_units,
        no_ttl: settings.no_ttl,
        no_class: settings.no_class,
        split: globals.split,
        ..Style::default()
    }
}

/// A whole message.
pub(crate) fn message(out: &mut String, shown: &Shown<'_>) {
    if shown.globals.short {
        short(out, shown);
        return;
    }
    let settings = shown.settings;
    if settings.comments {
        header(out, shown);
        out.push('\n');
        if let Some(opt) = opt(shown.message) {
            out.push_str(";; OPT PSEUDOSECTION:\n");
            edns_line(out, &opt);
            for option in &opt.options {
                out.push_str("; ");
                out.push_str(&option_text(option, shown));
                out.push('\n');
            }
            if opt.truncated_options {
                out.push_str(";; WARNING: the EDNS options end inside an option\n");
            }
        }
    }
    let style = style(settings, shown.globals);
    let header_only = shown.sending && settings.header_only;
    if settings.question && (header_only || !shown.message.questions.is_empty()) {
        section_title(out, shown, Section::Question);
        for question in &shown.message.questions {
            out.push(';');
            out.push_str(&Message::question_line(question, &style));
            out.push('\n');
        }
        section_end(out, shown);
    }
    for (section, wanted) in [
        (Section::Answer, settings.answer),
        (Section::Authority, settings.authority),
        (Section::Additional, settings.additional),
    ] {
        if wanted {
            records(out, shown, section, &style);
        }
    }
    if settings.additional
        && let Some(record) = shown.message.tsig()
    {
        if settings.comments {
            out.push_str(";; TSIG PSEUDOSECTION:\n");
        }
        record_line(out, shown.message, record, &style);
        section_end(out, shown);
    }
    if let Some(fault) = &shown.message.fault {
        let _ = writeln!(out, ";; {}", ended_early(fault));
    }
}

/// The OPT record that speaks for the message: in the additional section, at the root (RFC 6891, section 6.1.1), the first
/// such. Any other is shown as a record.
fn opt_record(message: &Message) -> Option<&Record> {
    message.section(Section::Additional).find(|record| record.rtype == RrType::OPT && record.owner.is_root())
}

/// EDNS of a message.
pub(crate) fn opt(message: &Message) -> Option<Opt> {
    opt_record(message).map(|record| Opt::decode(record, message.rdata_bytes(record)))
}

/// Whether `record` has its place among the records of its section.
pub(crate) fn is_ordinary(message: &Message, record: &Record) -> bool {
    match record.rtype {
        RrType::OPT => opt_record(message).is_none_or(|opt| !std::ptr::eq(opt, record)),
        _ => !record.is_pseudo(),
    }
}

fn option_text(option: &EdnsOption, shown: &Shown<'_>) -> String {
    // BIND shows a query before the padding is put in.
    if option.code == EdnsOption::PADDING && shown.sending && shown.settings.padding != 0 {
        return "PAD:".to_owned();
    }
    option.text(if shown.sending { None } else { shown.sent_cookie })
}

/// Title of a section; an UPDATE message has names of its own (RFC 2136, section 2).
pub(crate) fn section_name(section: Section, opcode: Opcode) -> &'static str {
    match (opcode, section) {
        (Opcode::UPDATE, Section::Question) => "ZONE",
        (Opcode::UPDATE, Section::Answer) => "PREREQUISITE",
        (Opcode::UPDATE, Section::Authority) => "UPDATE",
        _ => section.title(),
    }
}

fn section_title(out: &mut String, shown: &Shown<'_>, section: Section) {
    if shown.settings.comments {
        out.push_str(";; ");
        out.push_str(section_name(section, shown.message.header.opcode));
        out.push_str(" SECTION:\n");
    }
}

fn section_end(out: &mut String, shown: &Shown<'_>) {
    if shown.settings.comments {
        out.push('\n');
    }
}

fn records(out: &mut String, shown: &Shown<'_>, section: Section, style: &Style) {
    let mut titled = false;
    let mut filter = SoaFilter::new(shown);
    for record in shown.message.section(section).filter(|record| is_ordinary(shown.message, record)) {
        if !titled {
            section_title(out, shown, section);
            titled = true;
        }
        if filter.keeps(section, record) {
            record_line(out, shown.message, record, style);
        }
    }
    if titled {
        section_end(out, shown);
    }
}

/// `+onesoa`: of a transfer only the first SOA is shown.
pub(crate) struct SoaFilter {
    active: bool,
    seen: bool,
}

impl SoaFilter {
    pub(crate) fn new(shown: &Shown<'_>) -> SoaFilter {
        let active = shown.settings.one_soa && shown.settings.rtype == RrType::AXFR;
        SoaFilter { active, seen: shown.sequence > 0 }
    }

    pub(crate) fn keeps(&mut self, section: Section, record: &Record) -> bool {
        if section != Section::Answer || record.rtype != RrType::SOA {
            return true;
        }
        !(std::mem::replace(&mut self.seen, true) && self.active)
    }
}

/// The line of a record, and what is wrong with its data. An OPT record out of place has nothing behind its type.
pub(crate) fn line(message: &Message, record: &Record, style: &Style) -> (String, Option<Fault>) {
    let (mut line, fault) = message.record_line(record, style);
    if record.rtype == RrType::OPT
        && record.rdata.is_empty()
        && let Some(kept) = line.strip_suffix("\\# 0")
    {
        line.truncate(kept.len());
    }
    (line, fault)
}

fn malformed(record: &Record, fault: &Fault) -> String {
    format!("WARNING: malformed {} record shown as bytes: {fault}", record.rtype)
}

fn ended_early(fault: &Fault) -> String {
    format!("WARNING: message ended early: {fault}")
}

fn record_line(out: &mut String, message: &Message, record: &Record, style: &Style) {
    let (line, fault) = line(message, record, style);
    out.push_str(&line);
    out.push('\n');
    if let Some(fault) = fault {
        let _ = writeln!(out, ";; {}", malformed(record, &fault));
    }
}

fn header(out: &mut String, shown: &Shown<'_>) {
    let message = shown.message;
    let header = &message.header;
    out.push_str(if shown.sending { ";; Sending:\n" } else { ";; Got answer:\n" });
    if message.questions.iter().any(|question| leaks_mdns(&question.name)) {
        out.push_str(
            ";; WARNING: .local is reserved for Multicast DNS\n\
             ;; You are currently testing what happens when an mDNS query is leaked to DNS\n",
        );
    }
    let rcode = message.rcode();
    let _ = writeln!(out, ";; ->>HEADER<<- opcode: {}, status: {}, id: {}", header.opcode, status(rcode), header.id);
    out.push_str(";; flags:");
    flags(out, header);
    if header.z {
        out.push_str("; MBZ: 0x4");
    }
    let [questions, answers, authorities, additionals] = header.counts;
    let _ =
        writeln!(out, "; QUERY: {questions}, ANSWER: {answers}, AUTHORITY: {authorities}, ADDITIONAL: {additionals}");
    if shown.sending {
        return;
    }
    if header.rd && !header.ra {
        out.push_str(";; WARNING: recursion requested but not available\n");
    }
    let refused = rcode == Rcode::FORMERR || rcode == Rcode::NOTIMP;
    if shown.sent_edns.is_some() && message.opt().is_none() && refused {
        let _ = writeln!(
            out,
            "\n;; WARNING: EDNS query returned status {} - retry with '{}+noedns'",
            status(rcode),
            if shown.settings.dnssec { "+nodnssec " } else { "" }
        );
    }
    if message.trailing != 0 {
        let _ = writeln!(out, ";; WARNING: Message has {} extra bytes at end", message.trailing);
    }
}

/// A number alone gets a question mark before it.
fn status(rcode: Rcode) -> String {
    let text = rcode.to_string();
    if text.bytes().all(|byte| byte.is_ascii_digit()) { format!("?{text}") } else { text }
}

/// Whether a name belongs to Multicast DNS: below `.local` (RFC 6762), but not Kubernetes' `cluster.local`, whose names are
/// meant for DNS.
fn leaks_mdns(name: &Name) -> bool {
    let labels: Vec<&[u8]> = name.labels().filter(|label| !label.is_empty()).collect();
    let is = |at: usize, wanted: &[u8]| {
        labels
            .len()
            .checked_sub(at)
            .and_then(|at| labels.get(at))
            .is_some_and(|label| label.eq_ignore_ascii_case(wanted))
    };
    is(1, b"local") && !is(2, b"cluster")
}

/// The flag mnemonics that are set, each after a blank.
pub(crate) fn flags(out: &mut String, header: &Header) {
    for (set, name) in [
        (header.qr, " qr"),
        (header.aa, " aa"),
        (header.tc, " tc"),
        (header.rd, " rd"),
        (header.ra, " ra"),
        (header.ad, " ad"),
        (header.cd, " cd"),
    ] {
        if set {
            out.push_str(name);
        }
    }
}

/// EDNS flag bits with a name.
pub(crate) const DO: u16 = 0x8000;
/// Compact denial of existence (RFC 9824).
pub(crate) const CO: u16 = 0x4000;

fn edns_line(out: &mut String, opt: &Opt) {
    let _ = write!(out, "; EDNS: version: {}, flags:", opt.version);
    if opt.flags & DO != 0 {
        out.push_str(" do");
    }
    if opt.flags & CO != 0 {
        out.push_str(" co");
    }
    let reserved = opt.flags & !(DO | CO);
    if reserved == 0 {
        let _ = writeln!(out, "; udp: {}", opt.udp_size);
    } else {
        let _ = writeln!(out, "; MBZ: 0x{reserved:04x}, udp: {}", opt.udp_size);
    }
}

/// The data of the answers alone, if they are wanted. Gives what is wrong with the message: there is no room for it in
/// between.
pub(crate) fn short(out: &mut String, shown: &Shown<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    if !shown.settings.answer {
        return faults;
    }
    // The short form knows no columns; data stays on one line.
    let style = Style { multiline: false, ..style(shown.settings, shown.globals) };
    for record in shown.message.section(Section::Answer).filter(|record| is_ordinary(shown.message, record)) {
        if shown.short_type {
            let _ = write!(out, "{} ", record.rtype);
        }
        let (text, fault) = shown.message.rdata_text_or_unknown(record, &style);
        out.push_str(&text);
        faults.extend(fault.map(|fault| malformed(record, &fault)));
        if let (true, Some((server, elapsed))) = (shown.settings.identify, shown.from) {
            let _ = write!(out, " from server {server} in ");
            if shown.settings.usec {
                let _ = write!(out, "{} us.", elapsed.as_micros());
            } else {
                let _ = write!(out, "{} ms.", elapsed.as_millis());
            }
        }
        out.push('\n');
    }
    faults.extend(shown.message.fault.as_ref().map(ended_early));
    faults
}

/// What the lines below a reply tell.
pub(crate) struct Footer<'a> {
    pub(crate) settings: &'a Settings,
    /// Where the reply came from.
    pub(crate) peer: SocketAddr,
    /// The server as the user named it.
    pub(crate) label: &'a str,
    pub(crate) carrier: Carrier,
    pub(crate) elapsed: Duration,
    /// Wall-clock time of the reply, in seconds of Unix time.
    pub(crate) when: i64,
    /// Size of the reply, in bytes.
    pub(crate) size: usize,
    pub(crate) transfer: Option<TransferSize>,
    /// Lines about the TSIG key.
    pub(crate) key: KeyState,
}

/// Size of a zone transfer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TransferSize {
    pub(crate) records: u64,
    pub(crate) messages: u32,
    pub(crate) bytes: u64,
}

/// What became of the TSIG key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyState {
    /// None was given, or all signatures held.
    Fine,
    /// A signature was missing or wrong.
    NotValidated,
    /// The key could not be made.
    NotUsed,
}

/// The lines below a reply.
pub(crate) fn footer(out: &mut String, footer: &Footer<'_>) {
    let settings = footer.settings;
    let (micros, millis) = (footer.elapsed.as_micros(), footer.elapsed.as_millis());
    let peer = address(footer.peer);
    if settings.stats {
        if settings.usec {
            let _ = writeln!(out, ";; Query time: {micros} usec");
        } else {
            let _ = writeln!(out, ";; Query time: {millis} msec");
        }
        let _ = writeln!(out, ";; SERVER: {peer}({}) ({})", footer.label, footer.carrier.title());
        let now = civil_from_unix(footer.when);
        let _ = writeln!(
            out,
            ";; WHEN: {} {} {:02} {:02}:{:02}:{:02} UTC {}",
            now.weekday_name(),
            now.month_name(),
            now.day,
            now.hour,
            now.minute,
            now.second,
            now.year
        );
        match footer.transfer {
            Some(size) => {
                let _ = writeln!(
                    out,
                    ";; XFR size: {} records (messages {}, bytes {})",
                    size.records, size.messages, size.bytes
                );
            }
            None => {
                let _ = writeln!(out, ";; MSG SIZE  rcvd: {}", footer.size);
            }
        }
        match footer.key {
            KeyState::Fine => {}
            KeyState::NotValidated => out.push_str(";; WARNING -- Some TSIG could not be validated\n"),
            KeyState::NotUsed => out.push_str(";; WARNING -- TSIG key was not used.\n"),
        }
        out.push('\n');
    } else if settings.identify {
        let size = footer.transfer.map_or(footer.size as u64, |size| size.bytes);
        let _ = write!(out, ";; Received {size} bytes from {peer}({}) in ", footer.label);
        if settings.usec {
            let _ = write!(out, "{micros} us\n\n");
        } else {
            let _ = write!(out, "{millis} ms\n\n");
        }
    }
}

/// `ip#port`, the way BIND writes a socket address.
pub(crate) fn address(address: SocketAddr) -> String {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}#{}", v6.ip(), v6.scope_id(), v6.port()),
        _ => format!("{}#{}", address.ip(), address.port()),
    }
}

/// A message that cannot be read at all, sixteen bytes a line.
pub(crate) fn hex_dump(out: &mut String, bytes: &[u8]) {
    let _ = writeln!(out, "{} bytes", bytes.len());
    for row in bytes.chunks(16) {
        for byte in row {
            let _ = write!(out, "{byte:02x} ");
        }
        for _ in row.len()..16 {
            out.push_str("   ");
        }
        out.push_str("         ");
        out.extend(row.iter().map(|byte| if (b'!'..=b'}').contains(byte) { char::from(*byte) } else { '.' }));
        out.push('\n');
    }
}

#[cfg(test)]
#[path = "print_tests.rs"]
mod tests;
