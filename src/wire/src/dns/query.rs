//! Making a query (RFC 1035 section 4, RFC 1995 for IXFR, RFC 6891 for OPT).

use super::edns::{EdnsOption, encode_opt};
use super::message::{Header, Question};
use super::name::Name;
use super::types::{Opcode, RrType};

/// A query about to be sent; the section counts of `header` are filled in by [`Query::encode`].
#[derive(Clone, Debug)]
pub struct Query {
    /// Id, opcode and flags.
    pub header: Header,
    /// Usually one; none with dig's `+header-only`.
    pub questions: Vec<Question>,
    /// For IXFR: the zone and the serial at hand, sent as an SOA in the authority section.
    pub ixfr: Option<(Name, u32)>,
    /// The OPT record, if any.
    pub edns: Option<Edns>,
}

/// What the OPT record of a query says.
#[derive(Clone, Debug, Default)]
pub struct Edns {
    /// Largest UDP payload we take, in bytes.
    pub udp_size: u16,
    /// EDNS version, 0 in practice.
    pub version: u8,
    /// DO is 0x8000.
    pub flags: u16,
    /// Options in the order they are sent.
    pub options: Vec<EdnsOption>,
}

impl Query {
    /// A recursive standard query for one name without EDNS.
    pub fn new(id: u16, question: Question) -> Query {
        let header = Header {
            id,
            qr: false,
            opcode: Opcode::QUERY,
            aa: false,
            tc: false,
            rd: true,
            ra: false,
            z: false,
            ad: false,
            cd: false,
            rcode: 0,
            counts: [0; 4],
        };
        Query { header, questions: vec![question], ixfr: None, edns: None }
    }

    /// The message in wire form, without compression (a query has nothing to gain from it).
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        let questions = u16::try_from(self.questions.len()).unwrap_or(u16::MAX);
        let counts = [questions, 0, u16::from(self.ixfr.is_some()), u16::from(self.edns.is_some())];
        out.extend_from_slice(&self.header.id.to_be_bytes());
        out.extend_from_slice(&self.header.flag_bits().to_be_bytes());
        for count in counts {
            out.extend_from_slice(&count.to_be_bytes());
        }
        for question in self.questions.iter().take(usize::from(questions)) {
            out.extend_from_slice(question.name.wire());
            out.extend_from_slice(&question.rtype.0.to_be_bytes());
            out.extend_from_slice(&question.class.0.to_be_bytes());
        }
        if let Some((zone, serial)) = &self.ixfr {
            push_ixfr_soa(&mut out, zone, *serial, self.questions.first().map_or(1, |question| question.class.0));
        }
        if let Some(edns) = &self.edns {
            encode_opt(&mut out, edns.udp_size, edns.version, edns.flags, &edns.options);
        }
        out
    }
}

/// An SOA of which only the serial matters (RFC 1995 section 3).
fn push_ixfr_soa(out: &mut Vec<u8>, zone: &Name, serial: u32, class: u16) {
    out.extend_from_slice(zone.wire());
    out.extend_from_slice(&RrType::SOA.0.to_be_bytes());
    out.extend_from_slice(&class.to_be_bytes());
    out.extend_from_slice(&0u32.to_be_bytes());
    // Two root names and five numbers.
    out.extend_from_slice(&22u16.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&serial.to_be_bytes());
    out.extend_from_slice(&[0; 16]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Class, Message, Section};

    #[test]
    fn encodes_what_decodes() {
        let question = Question { name: Name::parse("example.com").unwrap(), rtype: RrType::IXFR, class: Class::IN };
        let mut query = Query::new(7, question.clone());
        query.ixfr = Some((question.name.clone(), 42));
        let option = EdnsOption { code: EdnsOption::NSID, data: Vec::new() };
        query.edns = Some(Edns { udp_size: 1232, version: 0, flags: 0x8000, options: vec![option.clone()] });
        let message = Message::decode(query.encode()).unwrap();
        assert_eq!((message.fault.clone(), message.trailing), (None, 0));
        assert_eq!(message.questions, vec![question]);
        let soa = message.soa(message.section(Section::Authority).next().unwrap()).unwrap();
        assert_eq!(soa.serial, 42);
        let opt = message.opt().unwrap();
        assert_eq!((opt.udp_size, opt.flags, opt.options), (1232, 0x8000, vec![option]));
    }
}
