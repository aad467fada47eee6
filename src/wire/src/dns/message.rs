//! A message as it came: decoded as far as it goes, with the bytes kept (RFC 1035 section 4.1).
//!
//! The view is permissive on purpose. A record whose data makes no sense does not hide the others; a message
//! that ends early yields what came before, and [`Message::fault`] says where and why it stopped.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::edns::Opt;
use super::name::{Name, NameError};
use super::types::{Class, Opcode, Rcode, RrType};
use crate::cursor::Cursor;

/// The twelve octets at the front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Matches a reply to its query.
    pub id: u16,
    /// Response.
    pub qr: bool,
    /// What is asked for.
    pub opcode: Opcode,
    /// Authoritative answer.
    pub aa: bool,
    /// Truncated.
    pub tc: bool,
    /// Recursion desired.
    pub rd: bool,
    /// Recursion available.
    pub ra: bool,
    /// Reserved, must be zero.
    pub z: bool,
    /// Authentic data (RFC 4035 section 3.2.3).
    pub ad: bool,
    /// Checking disabled (RFC 4035 section 3.2.2).
    pub cd: bool,
    /// The low four bits of the response code.
    pub rcode: u8,
    /// Claimed number of entries in each section; what is really there is counted by [`Message::section`].
    pub counts: [u16; 4],
}

impl Header {
    /// The sixteen bits after the id.
    pub fn flag_bits(&self) -> u16 {
        let bit = |set: bool, at: u32| u16::from(set) << at;
        bit(self.qr, 15)
            | u16::from(self.opcode.0 & 15) << 11
            | bit(self.aa, 10)
            | bit(self.tc, 9)
            | bit(self.rd, 8)
            | bit(self.ra, 7)
            | bit(self.z, 6)
            | bit(self.ad, 5)
            | bit(self.cd, 4)
            | u16::from(self.rcode & 15)
    }

    fn decode(cursor: &mut Cursor<'_>) -> Option<Header> {
        let id = cursor.u16()?;
        let bits = cursor.u16()?;
        let bit = |at: u32| bits >> at & 1 == 1;
        let low = |shift: u32| u8::try_from(bits >> shift & 15).unwrap_or(0);
        let counts = [cursor.u16()?, cursor.u16()?, cursor.u16()?, cursor.u16()?];
        Some(Header {
            id,
            qr: bit(15),
            opcode: Opcode(low(11)),
            aa: bit(10),
            tc: bit(9),
            rd: bit(8),
            ra: bit(7),
            z: bit(6),
            ad: bit(5),
            cd: bit(4),
            rcode: low(0),
            counts,
        })
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// QNAME.
    pub name: Name,
    /// QTYPE.
    pub rtype: RrType,
    /// QCLASS.
    pub class: Class,
}

/// The four sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// What was asked.
    Question,
    /// The answer.
    Answer,
    /// Name servers nearer to the answer, or the SOA of a negative one.
    Authority,
    /// Addresses, OPT and TSIG.
    Additional,
}

impl Section {
    /// Upper-case name as dig prints it.
    pub fn title(self) -> &'static str {
        match self {
            Section::Question => "QUESTION",
            Section::Answer => "ANSWER",
            Section::Authority => "AUTHORITY",
            Section::Additional => "ADDITIONAL",
        }
    }
}

/// One resource record; its data stays in the message, where compressed names can be followed.
#[derive(Clone, Debug)]
pub struct Record {
    /// Where it stood.
    pub section: Section,
    /// NAME.
    pub owner: Name,
    /// TYPE.
    pub rtype: RrType,
    /// CLASS; for OPT the sender's UDP size.
    pub class: Class,
    /// Seconds; for OPT extended rcode, version and flags.
    pub ttl: u32,
    /// Offsets of RDATA in [`Message::bytes`].
    pub rdata: Range<usize>,
}

impl Record {
    /// OPT and TSIG are about the message and not data.
    pub fn is_pseudo(&self) -> bool {
        self.rtype == RrType::OPT || self.rtype == RrType::TSIG
    }
}

/// The fields of a start of authority (RFC 1035 section 3.3.13); times in seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soa {
    /// Primary server.
    pub mname: Name,
    /// Mailbox of the person responsible.
    pub rname: Name,
    /// Version of the zone.
    pub serial: u32,
    /// How often secondaries look.
    pub refresh: u32,
    /// How soon they look again after a failure.
    pub retry: u32,
    /// When they give up.
    pub expire: u32,
    /// How long a negative answer holds (RFC 2308).
    pub minimum: u32,
}

/// Why bytes could not be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Offset in the message.
    pub at: usize,
    /// In words.
    pub what: String,
}

impl Fault {
    /// A fault at an offset.
    pub fn new(at: usize, what: impl Into<String>) -> Fault {
        Fault { at, what: what.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

/// A decoded message with its bytes.
#[derive(Clone, Debug)]
pub struct Message {
    /// As received.
    pub bytes: Vec<u8>,
    /// The header.
    pub header: Header,
    /// The question section.
    pub questions: Vec<Question>,
    /// All other sections in order, pseudo-records included.
    pub records: Vec<Record>,
    /// What stopped the decoding before all claimed entries were read.
    pub fault: Option<Fault>,
    /// Octets after the last entry.
    pub trailing: usize,
}

impl Message {
    /// Decodes as much as there is.
    ///
    /// # Errors
    /// Only when there is no complete header.
    pub fn decode(bytes: Vec<u8>) -> Result<Message, Fault> {
        let mut cursor = Cursor::new(&bytes);
        let header = Header::decode(&mut cursor)
            .ok_or_else(|| Fault::new(bytes.len(), "the message is shorter than its 12-byte header"))?;
        let mut at = cursor.position();
        let mut questions = Vec::new();
        let mut records = Vec::new();
        let fault = read_entries(&bytes, &header, &mut at, &mut questions, &mut records).err();
        let trailing = if fault.is_some() { 0 } else { bytes.len().saturating_sub(at) };
        Ok(Message { header, questions, records, fault, trailing, bytes })
    }

    /// The records of one section, pseudo-records included.
    pub fn section(&self, section: Section) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |record| record.section == section)
    }

    /// The response code with its EDNS extension.
    pub fn rcode(&self) -> Rcode {
        let high = self.opt_record().map_or(0, |record| record.ttl >> 24);
        Rcode(u16::try_from(high << 4).unwrap_or(0) | u16::from(self.header.rcode))
    }

    /// The OPT pseudo-record, wherever it stands (RFC 6891 allows it only in the additional section).
    pub fn opt(&self) -> Option<Opt> {
        self.opt_record().map(|record| Opt::decode(record, self.rdata_bytes(record)))
    }

    fn opt_record(&self) -> Option<&Record> {
        self.records.iter().find(|record| record.rtype == RrType::OPT)
    }

    /// The TSIG pseudo-record, which must be the last one (RFC 8945 section 5.1).
    pub fn tsig(&self) -> Option<&Record> {
        self.records.last().filter(|record| record.rtype == RrType::TSIG)
    }

    /// RDATA as it came.
    pub fn rdata_bytes(&self, record: &Record) -> &[u8] {
        self.bytes.get(record.rdata.clone()).unwrap_or_default()
    }

    /// The domain name that the data of an NS, CNAME, PTR, DNAME, MX, SRV or similar record points to.
    pub fn rdata_name(&self, record: &Record) -> Option<Name> {
        let skip = match record.rtype {
            RrType::NS | RrType::CNAME | RrType::PTR | RrType::DNAME | RrType::MD | RrType::MF => 0,
            RrType::MX | RrType::AFSDB | RrType::RT | RrType::KX | RrType::SVCB | RrType::HTTPS => 2,
            RrType::SRV => 6,
            _ => return None,
        };
        let (name, after) = Name::decode(&self.bytes, record.rdata.start + skip).ok()?;
        (after <= record.rdata.end).then_some(name)
    }

    /// The address in an A or AAAA record of class IN.
    pub fn rdata_ip(&self, record: &Record) -> Option<IpAddr> {
        let data = self.rdata_bytes(record);
        match (record.rtype, record.class) {
            (RrType::A, Class::IN) => <[u8; 4]>::try_from(data).ok().map(|octets| Ipv4Addr::from(octets).into()),
            (RrType::AAAA, Class::IN) => <[u8; 16]>::try_from(data).ok().map(|octets| Ipv6Addr::from(octets).into()),
            _ => None,
        }
    }

    /// The fields of an SOA record.
    pub fn soa(&self, record: &Record) -> Option<Soa> {
        if record.rtype != RrType::SOA {
            return None;
        }
        let (mname, at) = Name::decode(&self.bytes, record.rdata.start).ok()?;
        let (rname, at) = Name::decode(&self.bytes, at).ok()?;
        let mut cursor = Cursor::at(&self.bytes, at);
        let soa = Soa {
            mname,
            rname,
            serial: cursor.u32()?,
            refresh: cursor.u32()?,
            retry: cursor.u32()?,
            expire: cursor.u32()?,
            minimum: cursor.u32()?,
        };
        (cursor.position() == record.rdata.end).then_some(soa)
    }
}

fn read_entries(
    bytes: &[u8],
    header: &Header,
    at: &mut usize,
    questions: &mut Vec<Question>,
    records: &mut Vec<Record>,
) -> Result<(), Fault> {
    let [question_count, answer, authority, additional] = header.counts;
    for number in 1..=question_count {
        let (name, after) = Name::decode(bytes, *at).map_err(|error| name_fault(*at, "question", number, error))?;
        let mut cursor = Cursor::at(bytes, after);
        let (Some(rtype), Some(class)) = (cursor.u16(), cursor.u16()) else {
            return Err(Fault::new(after, format!("question {number} of {question_count} is cut off")));
        };
        questions.push(Question { name, rtype: RrType(rtype), class: Class(class) });
        *at = cursor.position();
    }
    for (section, count) in
        [(Section::Answer, answer), (Section::Authority, authority), (Section::Additional, additional)]
    {
        for number in 1..=count {
            let record = read_record(bytes, *at, section, number, count)?;
            *at = record.rdata.end;
            records.push(record);
        }
    }
    Ok(())
}

fn read_record(bytes: &[u8], at: usize, section: Section, number: u16, count: u16) -> Result<Record, Fault> {
    let place = || format!("{} record {number} of {count}", section.title());
    let (owner, after) = Name::decode(bytes, at).map_err(|error| name_fault(at, section.title(), number, error))?;
    let mut cursor = Cursor::at(bytes, after);
    let (Some(rtype), Some(class), Some(ttl), Some(length)) = (cursor.u16(), cursor.u16(), cursor.u32(), cursor.u16())
    else {
        return Err(Fault::new(after, format!("{} is cut off", place())));
    };
    let start = cursor.position();
    if cursor.take(usize::from(length)).is_none() {
        let left = bytes.len().saturating_sub(start);
        return Err(Fault::new(start, format!("{} claims {length} bytes of data, {left} are left", place())));
    }
    Ok(Record { section, owner, rtype: RrType(rtype), class: Class(class), ttl, rdata: start..cursor.position() })
}

fn name_fault(at: usize, place: &str, number: u16, error: NameError) -> Fault {
    Fault::new(at, format!("{place} entry {number}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// dig +noedns +noad one.example A, answered 192.0.2.1 with a compressed owner.
    const REPLY: &[u8] = b"\x12\x34\x85\x00\x00\x01\x00\x01\x00\x00\x00\x00\x03one\x07example\x00\x00\x01\x00\x01\
        \xc0\x0c\x00\x01\x00\x01\x00\x00\x0e\x10\x00\x04\xc0\x00\x02\x01";

    #[test]
    fn a_plain_reply() {
        let message = Message::decode(REPLY.to_vec()).unwrap();
        assert_eq!((message.header.id, message.header.aa, message.header.ra), (0x1234, true, false));
        assert_eq!(message.header.flag_bits(), 0x8500);
        let record = message.section(Section::Answer).next().unwrap();
        assert_eq!((record.owner.to_string().as_str(), record.ttl), ("one.example.", 3600));
        assert_eq!(message.rdata_ip(record), Some("192.0.2.1".parse().unwrap()));
        assert_eq!((message.fault.is_none(), message.trailing), (true, 0));
    }

    #[test]
    fn what_is_cut_off_is_said_and_the_rest_kept() {
        let message = Message::decode(REPLY[..REPLY.len() - 1].to_vec()).unwrap();
        assert_eq!(message.questions.len(), 1);
        assert_eq!(message.fault.unwrap().what, "ANSWER record 1 of 1 claims 4 bytes of data, 3 are left");
        assert!(Message::decode(REPLY[..11].to_vec()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_decode_and_print(mut bytes: Vec<u8>, counts in 0u16..4) {
            if bytes.len() > 12 {
                bytes[4..12].copy_from_slice(&[0, 1, 0, counts as u8, 0, counts as u8, 0, counts as u8]);
            }
            if let Ok(message) = Message::decode(bytes) {
                for record in &message.records {
                    let _ = message.record_line(record, &crate::dns::Style::default());
                }
                let _ = (message.opt(), message.rcode());
            }
        }
    }
}
