//! `+json`: one object per reply, one per line, with the field names of RFC 8427 and what dig knows besides.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use netkit_core::json::Value;
use netkit_core::text::hex;
use netkit_wire::dns::{Message, Rcode, Record, Section, Style};

use crate::lookup::{Globals, Server, Settings};
use crate::print::{Shown, address, style};
use crate::yaml::Exchange;

/// One try at one server.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) server: SocketAddr,
    pub(crate) transport: &'static str,
    pub(crate) elapsed: Duration,
    /// The response code, or why there was none.
    pub(crate) outcome: Result<Rcode, String>,
}

/// A reply.
pub(crate) fn reply(
    out: &mut String,
    shown: &Shown<'_>,
    exchange: &Exchange,
    server: &Server,
    elapsed: Duration,
    attempts: &[Attempt],
) {
    let message = shown.message;
    let mut object = Value::object()
        .with("schema", shown.globals.schema)
        .with("server", address(exchange.peer))
        .with("server_name", server.label.as_str())
        .with("transport", exchange.carrier.keyword())
        .with("query_time_us", elapsed.as_micros())
        .with("message_size_bytes", message.bytes.len())
        .with("search", shown.settings.name.as_str())
        .with("attempts", list(attempts));
    let header = &message.header;
    object.set("ID", header.id);
    object.set("QR", u8::from(header.qr));
    object.set("Opcode", header.opcode.0);
    for (name, set) in [
        ("AA", header.aa),
        ("TC", header.tc),
        ("RD", header.rd),
        ("RA", header.ra),
        ("Z", header.z),
        ("AD", header.ad),
        ("CD", header.cd),
    ] {
        object.set(name, u8::from(set));
    }
    let rcode = message.rcode();
    object.set("RCODE", rcode.0);
    object.set("rcode_text", rcode.to_string());
    for (name, count) in ["QDCOUNT", "ANCOUNT", "NSCOUNT", "ARCOUNT"].into_iter().zip(header.counts) {
        object.set(name, count);
    }
    if let Some(question) = message.questions.first() {
        object.set("QNAME", question.name.to_string());
        object.set("QTYPE", question.rtype.0);
        object.set("QTYPEname", question.rtype.to_string());
        object.set("QCLASS", question.class.0);
        object.set("QCLASSname", question.class.to_string());
    }
    let style = Style { multiline: false, rrcomments: false, ..style(shown.settings, shown.globals) };
    for (name, section) in
        [("answerRRs", Section::Answer), ("authorityRRs", Section::Authority), ("additionalRRs", Section::Additional)]
    {
        let records: Vec<Value> = message
            .section(section)
            .filter(|record| !record.is_pseudo())
            .map(|found| record(message, found, &style))
            .collect();
        object.set(name, records);
    }
    if let Some(opt) = message.opt() {
        let options: Vec<Value> = opt
            .options
            .iter()
            .map(|option| {
                Value::object()
                    .with("code", option.code)
                    .with("name", option.name())
                    .with("text", option.decoded(shown.sent_cookie))
                    .with("dataHEX", hex(&option.data))
            })
            .collect();
        let edns = Value::object()
            .with("version", opt.version)
            .with("flags", opt.flags)
            .with("udp_size_bytes", opt.udp_size)
            .with("options", options);
        object.set("edns", edns);
    }
    if let Some(fault) = &message.fault {
        object.set("fault", fault.to_string());
    }
    if message.trailing != 0 {
        object.set("trailing_bytes", message.trailing);
    }
    let _ = writeln!(out, "{object}");
}

/// What is printed when nobody answered.
pub(crate) fn no_reply(settings: &Settings, globals: &Globals, attempts: &[Attempt]) -> String {
    let object = Value::object()
        .with("schema", globals.schema)
        .with("server", Value::Null)
        .with("transport", Value::Null)
        .with("query_time_us", Value::Null)
        .with("search", settings.name.as_str())
        .with("attempts", list(attempts))
        .with("QNAME", settings.name.as_str())
        .with("QTYPE", settings.rtype.0)
        .with("QTYPEname", settings.rtype.to_string())
        .with("error", "no servers could be reached");
    format!("{object}\n")
}

fn record(message: &Message, record: &Record, style: &Style) -> Value {
    let (text, fault) = message.rdata_text_or_unknown(record, style);
    let mut object = Value::object()
        .with("NAME", record.owner.to_string())
        .with("TYPE", record.rtype.0)
        .with("TYPEname", record.rtype.to_string())
        .with("CLASS", record.class.0)
        .with("CLASSname", record.class.to_string())
        .with("TTL", record.ttl)
        .with("RDLENGTH", record.rdata.len())
        .with("RDATAHEX", hex(message.rdata_bytes(record)));
    // RFC 8427, 2.2: the presentation form stands under the type's name, e.g. rdataMX.
    object.set(&format!("rdata{}", record.rtype), text);
    if let Some(fault) = fault {
        object.set("fault", fault.to_string());
    }
    object
}

fn list(attempts: &[Attempt]) -> Vec<Value> {
    attempts
        .iter()
        .map(|attempt| {
            let (rcode, error) = match &attempt.outcome {
                Ok(rcode) => (Some(rcode.to_string()), None),
                Err(why) => (None, Some(why.clone())),
            };
            Value::object()
                .with("server", address(attempt.server))
                .with("transport", attempt.transport)
                .with("time_us", attempt.elapsed.as_micros())
                .with("rcode", rcode)
                .with("error", error)
        })
        .collect()
}
