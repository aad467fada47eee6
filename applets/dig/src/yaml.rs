//! `+yaml` as BIND dig 9.18 prints it: a list of messages, each in the layout of dnstap-read.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use netkit_core::civil_from_unix;
use netkit_wire::dns::{EdnsOption, Message, Opt, Question, Record, RrType, Section, Style};

use crate::link::Carrier;
use crate::print::{CO, DO, Shown, SoaFilter, flags, is_ordinary, line, opt, section_name, short};

/// How a message travelled.
pub(crate) struct Exchange {
    pub(crate) peer: SocketAddr,
    /// `-b`; what the kernel chose instead is not shown, as BIND does not know it.
    pub(crate) source: Option<SocketAddr>,
    pub(crate) carrier: Carrier,
    pub(crate) sent_at: SystemTime,
    pub(crate) received_at: SystemTime,
}

/// One list item.
pub(crate) fn message(out: &mut String, shown: &Shown<'_>, exchange: &Exchange) {
    let message = shown.message;
    let header = &message.header;
    let recursive = if shown.sending { header.rd } else { header.rd && header.ra };
    let _ = writeln!(
        out,
        "- type: MESSAGE\n  message:\n    type: {}_{}",
        if recursive { "RECURSIVE" } else { "AUTH" },
        if shown.sending { "QUERY" } else { "RESPONSE" }
    );
    let _ = writeln!(out, "    query_time: !!timestamp {}", timestamp(exchange.sent_at, shown.settings.usec));
    if !shown.sending {
        let at = timestamp(exchange.received_at, shown.settings.usec);
        let _ = writeln!(out, "    response_time: !!timestamp {at}");
    }
    let _ = writeln!(out, "    message_size: {}b", message.bytes.len());
    let _ = writeln!(out, "    socket_family: {}", if exchange.peer.is_ipv4() { "INET" } else { "INET6" });
    let _ = writeln!(out, "    socket_protocol: {}", if exchange.carrier == Carrier::Udp { "UDP" } else { "TCP" });
    endpoint(out, "response", exchange.peer);
    let any = match exchange.peer {
        SocketAddr::V4(_) => SocketAddr::from(([0; 4], 0)),
        SocketAddr::V6(_) => SocketAddr::from(([0u16; 8], 0)),
    };
    endpoint(out, "query", exchange.source.unwrap_or(any));
    out.push_str(if shown.sending { "    query_message_data:\n" } else { "    response_message_data:\n" });
    let _ =
        writeln!(out, "      opcode: {}\n      status: {}\n      id: {}", header.opcode, message.rcode(), header.id);
    out.push_str("      flags:");
    flags(out, header);
    out.push('\n');
    if header.z {
        out.push_str("      MBZ: 0x4\n");
    }
    let titles = if header.opcode == netkit_wire::dns::Opcode::UPDATE {
        ["ZONE", "PREREQ", "UPDATE", "ADDITIONAL"]
    } else {
        ["QUESTION", "ANSWER", "AUTHORITY", "ADDITIONAL"]
    };
    for (title, count) in titles.into_iter().zip(header.counts) {
        let _ = writeln!(out, "      {title}: {count}");
    }
    if let (true, Some(opt)) = (shown.settings.comments && !shown.globals.short, opt(message)) {
        opt_section(out, &opt, shown);
    }
    sections(out, shown);
}

fn sections(out: &mut String, shown: &Shown<'_>) {
    let message = shown.message;
    let settings = shown.settings;
    if shown.globals.short {
        // No YAML any more, but what BIND prints for `+short +yaml`.
        short(out, shown);
        return;
    }
    let style = Style { plain: true, split: shown.globals.split, ..Style::default() };
    let title = |section| section_name(section, message.header.opcode);
    if settings.question && !message.questions.is_empty() {
        let _ = writeln!(out, "      {}_SECTION:", title(Section::Question));
        for question in &message.questions {
            let _ = writeln!(out, "        - '{}'", quoted(&question_text(question)));
        }
    }
    for (section, wanted) in [
        (Section::Answer, settings.answer),
        (Section::Authority, settings.authority),
        (Section::Additional, settings.additional),
    ] {
        let mut records = message.section(section).filter(|record| is_ordinary(message, record)).peekable();
        if !wanted || records.peek().is_none() {
            continue;
        }
        let _ = writeln!(out, "      {}_SECTION:", title(section));
        let mut filter = SoaFilter::new(shown);
        for record in records.filter(|record| filter.keeps(section, record)) {
            let _ = writeln!(out, "        - '{}'", record_text(message, record, &style));
        }
    }
    if let (true, Some(tsig)) = (settings.additional, message.tsig()) {
        let _ = writeln!(out, "      TSIG_PSEUDOSECTION:\n      - '{}'\n", record_text(message, tsig, &style));
    }
}

fn question_text(question: &Question) -> String {
    format!("{} {} {}", question.name, question.class, question.rtype)
}

fn quoted(text: &str) -> String {
    text.replace('\'', "''")
}

fn endpoint(out: &mut String, who: &str, address: SocketAddr) {
    // A lone `::` would read as a YAML mapping.
    let text = match address.ip().to_string().as_str() {
        "::" => "::0".to_owned(),
        other => other.to_owned(),
    };
    let _ = writeln!(out, "    {who}_address: \"{text}\"\n    {who}_port: {}", address.port());
}

/// ISO 8601 in UTC with milli- or microseconds.
fn timestamp(at: SystemTime, micros: bool) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let date = civil_from_unix(i64::try_from(since.as_secs()).unwrap_or(0));
    let mut text = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.",
        date.year, date.month, date.day, date.hour, date.minute, date.second
    );
    let _ = if micros {
        write!(text, "{:06}Z", since.subsec_micros())
    } else {
        write!(text, "{:03}Z", since.subsec_millis())
    };
    text
}

fn opt_section(out: &mut String, opt: &Opt, shown: &Shown<'_>) {
    let _ =
        write!(out, "      OPT_PSEUDOSECTION:\n        EDNS:\n          version: {}\n          flags:", opt.version);
    if opt.flags & DO != 0 {
        out.push_str(" do");
    }
    if opt.flags & CO != 0 {
        out.push_str(" co");
    }
    out.push('\n');
    let reserved = opt.flags & !(DO | CO);
    if reserved != 0 {
        let _ = writeln!(out, "          MBZ: 0x{reserved:04x}");
    }
    let _ = writeln!(out, "          udp: {}", opt.udp_size);
    for option in &opt.options {
        option_lines(out, option, shown);
    }
}

fn option_lines(out: &mut String, option: &EdnsOption, shown: &Shown<'_>) {
    let sent = if shown.sending { None } else { shown.sent_cookie };
    if option.code == EdnsOption::EDE
        && let [high, low, text @ ..] = option.data.as_slice()
    {
        let code = u16::from_be_bytes([*high, *low]);
        out.push_str("          EDE:\n            INFO-CODE: ");
        // The text form is `code (meaning)`, then perhaps `: (extra text)`.
        let short = EdnsOption { code: EdnsOption::EDE, data: vec![*high, *low] };
        out.push_str(&short.decoded(None).unwrap_or_else(|| code.to_string()));
        out.push('\n');
        if !text.is_empty() {
            let printable = String::from_utf8_lossy(text);
            let _ = writeln!(out, "            EXTRA-TEXT: \"{}\"", netkit_core::text::printable(&printable));
        } else {
            // BIND leaves the line of the missing text empty.
            out.push('\n');
        }
        return;
    }
    let text = match option.code {
        EdnsOption::PADDING if shown.sending && shown.settings.padding != 0 => "PAD:".to_owned(),
        EdnsOption::PADDING if !option.data.is_empty() => padding(&option.data),
        _ => option.text(sent),
    };
    let text = match text.strip_prefix("TCP KEEPALIVE") {
        Some(rest) => format!("TCP-KEEPALIVE{rest}"),
        None => text,
    };
    let colon = if text.contains(':') { "" } else { ":" };
    let _ = writeln!(out, "          {text}{colon}");
}

/// Padding is shown like an option nobody knows: its bytes, then those that print.
fn padding(data: &[u8]) -> String {
    let mut text = String::from("PAD:");
    for byte in data {
        let _ = write!(text, " {byte:02x}");
    }
    let printable = |byte: &u8| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '.' };
    let _ = write!(text, " (\"{}\")", data.iter().map(printable).collect::<String>());
    text
}

/// A record on one line. An IPv6 address that ends in a colon gets a final 0, else YAML would see a mapping.
fn record_text(message: &Message, record: &Record, style: &Style) -> String {
    let mut line = line(message, record, style).0;
    if record.rtype == RrType::AAAA && line.ends_with(':') {
        line.push('0');
    }
    quoted(&line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn timestamps_and_quotes() {
        let at = UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456);
        assert_eq!(timestamp(at, false), "2023-11-14T22:13:20.123Z");
        assert_eq!(timestamp(at, true), "2023-11-14T22:13:20.123456Z");
        assert_eq!(quoted("it's"), "it''s");
    }
}
