//! Replies in the words of nslookup.

use std::collections::VecDeque;
use std::fmt::Write as _;

use netkit_core::text::printable;
use netkit_wire::dns::{Fault, Message, Rcode, Record, RrType, Section, Style};

use crate::engine::bare;
use crate::host::warn;
use crate::lookup::{Format, Lookup};
use crate::personality::{self, Face, Reply, end_of_chain, rcode_text};
use crate::print::address;
use crate::session::Sink;

/// What nslookup shows, and what it remembers of it.
#[derive(Default)]
pub(crate) struct Printer {
    /// `set debug`: every section in full.
    pub(crate) debug: bool,
    /// A type was asked for, so AAAA does not follow A.
    pub(crate) type_set: bool,
    /// Some server replied, ever.
    pub(crate) replied: bool,
    /// Some reply was an error, ever.
    pub(crate) failed: bool,
    /// The A of this name had no answer; only if AAAA has none either is that said.
    pub(crate) no_a: bool,
    /// Lookups that a reply led to.
    pub(crate) queue: VecDeque<Lookup>,
}

impl Face for Printer {
    fn queue(&mut self) -> &mut VecDeque<Lookup> {
        &mut self.queue
    }

    fn reply(&mut self, sink: &mut Sink<'_>, reply: &Reply<'_>) {
        self.replied = true;
        let message = reply.message;
        let rcode = message.rcode();
        let first = self.type_set || reply.rtype == RrType::A;
        let follow = rcode == Rcode::NOERROR && !self.type_set && reply.rtype == RrType::A;
        self.failed |= rcode != Rcode::NOERROR;
        if follow {
            let name = bare(&end_of_chain(message, reply.name));
            self.queue.push_back(personality::following(reply, name, RrType::AAAA));
        }
        if reply.lookup.globals.format == Format::Json {
            return;
        }
        if first {
            let _ = write!(sink.out, "Server:\t\t{}\nAddress:\t{}\n\n", reply.server.label, address(reply.peer));
        }
        if self.debug {
            sink.out.push_str("------------\n");
            for section in [Section::Question, Section::Answer, Section::Authority, Section::Additional] {
                detail(sink, message, section);
            }
            sink.out.push_str("------------\n");
        }
        if rcode != Rcode::NOERROR {
            let _ = writeln!(sink.out, "** server can't find {}: {}", bare(reply.name), rcode_text(rcode));
            return;
        }
        if !message.header.aa && first {
            sink.out.push_str("Non-authoritative answer:\n");
        }
        if records(message, Section::Answer).next().is_some() {
            brief(sink, message, Section::Answer);
        } else if follow {
            self.no_a = true;
        } else if self.type_set || (reply.rtype == RrType::AAAA && self.no_a) {
            let _ = writeln!(sink.out, "*** Can't find {}: No answer", printable(&reply.lookup.settings.name));
        }
        if !message.header.aa && reply.rtype != RrType::A && reply.rtype != RrType::AAAA {
            sink.out.push_str("\nAuthoritative answers can be found from:\n");
            brief(sink, message, Section::Authority);
            brief(sink, message, Section::Additional);
        }
    }
}

/// The records of a section without OPT and TSIG.
fn records(message: &Message, section: Section) -> impl Iterator<Item = &Record> {
    message.section(section).filter(|record| !record.is_pseudo())
}

fn brief(sink: &mut Sink<'_>, message: &Message, section: Section) {
    for record in records(message, section) {
        let owner = bare(&record.owner);
        let (data, fault) = message.rdata_text_or_unknown(record, &Style::default());
        let is_address = record.rtype == RrType::A || record.rtype == RrType::AAAA;
        if fault.is_none() && is_address && section == Section::Answer {
            let _ = write!(sink.out, "Name:\t{owner}\nAddress: {data}\n");
        } else if let Some(soa) = soa_lines(message, record) {
            let _ = write!(sink.out, "{owner}\n{soa}");
        } else {
            let _ = writeln!(sink.out, "{owner}\t{}{data}", label(record.rtype, fault.as_ref()));
        }
        if let Some(fault) = fault {
            warn(sink, record, &fault);
        }
    }
}

/// A section with every TTL, as `set debug` shows it.
fn detail(sink: &mut Sink<'_>, message: &Message, section: Section) {
    sink.out.push_str(match section {
        Section::Question => "    QUESTIONS:\n",
        Section::Answer => "    ANSWERS:\n",
        Section::Authority => "    AUTHORITY RECORDS:\n",
        Section::Additional => "    ADDITIONAL RECORDS:\n",
    });
    if section == Section::Question {
        for question in &message.questions {
            let (name, rtype, class) = (bare(&question.name), question.rtype, question.class);
            let _ = writeln!(sink.out, "\t{name}, type = {rtype}, class = {class}");
        }
    }
    for record in records(message, section) {
        let (data, fault) = message.rdata_text_or_unknown(record, &Style::default());
        let _ = writeln!(sink.out, "    ->  {}", bare(&record.owner));
        match soa_lines(message, record) {
            Some(lines) => sink.out.push_str(&lines),
            None => {
                let _ = writeln!(sink.out, "\t{}{data}", label(record.rtype, fault.as_ref()));
            }
        }
        let _ = writeln!(sink.out, "\tttl = {}", record.ttl);
        if let Some(fault) = fault {
            warn(sink, record, &fault);
        }
    }
}

fn soa_lines(message: &Message, record: &Record) -> Option<String> {
    let soa = message.soa(record)?;
    let mut out = String::new();
    let _ = write!(out, "\torigin = {}\n\tmail addr = {}\n", bare(&soa.mname), bare(&soa.rname));
    for (name, number) in [
        ("serial", soa.serial),
        ("refresh", soa.refresh),
        ("retry", soa.retry),
        ("expire", soa.expire),
        ("minimum", soa.minimum),
    ] {
        let _ = writeln!(out, "\t{name} = {number}");
    }
    Some(out)
}

/// nslookup's own words for the types up to 41; it knows the others by number.
fn label(rtype: RrType, fault: Option<&Fault>) -> String {
    let word = match rtype.0 {
        number if fault.is_some() => return format!("TYPE{number} "),
        1 => "internet address",
        2 => "nameserver",
        3 => "md",
        4 => "mf",
        5 => "canonical name",
        6 => "soa",
        7 => "mb",
        8 => "mg",
        9 => "mr",
        11 => "protocol",
        12 => "name",
        13 => "hinfo",
        14 => "minfo",
        15 => "mail exchanger",
        16 => "text",
        17 => "rp",
        18 => "afsdb",
        19 => "x25 address",
        20 => "isdn address",
        21 => "rt",
        22 => "nsap",
        23 => "nsap_ptr",
        24 => "signature",
        25 => "key",
        26 => "px",
        27 => "gpos",
        // The only one without an equals sign.
        28 => return "has AAAA address ".to_owned(),
        29 => "loc",
        30 => "next",
        33 => "service",
        35 => "naptr",
        36 => "kx",
        37 => "cert",
        38 => "v6 address",
        39 => "dname",
        41 => "optional",
        number @ (0 | 10 | 31 | 32 | 34 | 40) => return format!("rtype_{number} = "),
        number => return format!("rdata_{number} = "),
    };
    format!("{word} = ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        assert_eq!(label(RrType::MX, None), "mail exchanger = ");
        assert_eq!(label(RrType::AAAA, None), "has AAAA address ");
        assert_eq!(label(RrType(40), None), "rtype_40 = ");
        assert_eq!(label(RrType(257), None), "rdata_257 = ");
        assert_eq!(label(RrType::A, Some(&Fault::new(0, "x"))), "TYPE1 ");
    }
}
