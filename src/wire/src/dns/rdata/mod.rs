//! Presentation of record data: one table says how each type is laid out.
//!
//! A row is a list of fields in wire order (the RFC stands beside it). The few types that no field list can
//! describe have a function of their own in [`special`]. Everything else is printed as RFC 3597 has it.

mod special;
mod svcb;
mod text;

use super::line::Style;
use super::message::{Fault, Message, Record};
use super::name::Name;
use super::types::{Class, RrType};
use crate::cursor::Cursor;
use text::Text;

/// Where hex and base64 are split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// dig's default: 56 characters on one line, 44 in multi-line form.
    #[default]
    Default,
    /// Nowhere.
    Off,
    /// After this many characters, a multiple of four.
    Width(u32),
}

/// One field of record data, in wire order.
#[derive(Clone, Copy)]
pub(super) enum Field {
    /// Unsigned decimals.
    U8,
    U16,
    U32,
    U64,
    /// A domain name; compression is followed wherever it is met.
    Name,
    Ip4,
    Ip6,
    /// A character-string in quotes.
    Str,
    /// Character-strings in quotes up to the end, at least one.
    Strs,
    /// At most one more character-string.
    MaybeStr,
    /// A character-string without quotes.
    Tag,
    /// All that is left as one quoted string.
    QuotedRest,
    /// All that is left, with a break before each piece.
    Hex,
    Base64,
    /// The same where keys and signatures may be left out.
    CryptoHex,
    CryptoBase64,
    /// Counted octets in hex, `-` when there are none.
    Salt,
    /// Counted octets in base32hex.
    Hash32,
    /// NSEC type bitmap.
    Types,
    /// The same after a line break.
    BrokenTypes,
    /// An RR type.
    Type,
    /// A DNSSEC time, YYYYMMDDHHMMSS.
    Time,
    /// Eight octets as four groups of hex, as in 14:4fff:ff20:ee64.
    Groups64,
    /// Octets of hex with dashes.
    Dashed(usize),
    /// What follows stands in parentheses in multi-line form, after a line break.
    Open,
    /// As `Open`, but the parenthesis comes first and there is no break.
    OpenHere,
    /// Just a line break.
    Break,
}

type Special = fn(&mut Text<'_>, &mut Data<'_>) -> Option<()>;

enum Layout {
    Fields(&'static [Field]),
    /// Only in class IN.
    In(&'static [Field]),
    Special(Special),
    InSpecial(Special),
}

/// Record data with the message around it, so that names can be decompressed.
pub(super) struct Data<'a> {
    message: &'a [u8],
    pub(super) cursor: Cursor<'a>,
    pub(super) rtype: RrType,
}

impl Data<'_> {
    /// The next name; it must end within the data.
    fn name(&mut self) -> Option<Name> {
        let at = self.cursor.position();
        let (name, after) = Name::decode(self.message, at).ok()?;
        self.cursor.take(after - at)?;
        Some(name)
    }

    /// Everything from the start of the data, for key tags.
    fn whole(&self) -> &[u8] {
        self.message
    }
}

use Field::{
    Base64, Break, BrokenTypes, CryptoBase64, CryptoHex, Dashed, Groups64, Hash32, Hex, Ip4, Ip6, MaybeStr, Name as N,
    Open, OpenHere, QuotedRest, Salt, Str, Strs, Tag, Time, Type, Types, U8, U16, U32, U64,
};
use Layout::{Fields, In, InSpecial, Special as Own};

const DS: Layout = Fields(&[U16, U8, U8, Open, CryptoHex]);
const NAME: Layout = Fields(&[N]);
const TXT: Layout = Fields(&[Strs]);
const TLSA: Layout = Fields(&[U8, U8, U8, Open, Hex]);

/// How the data of each type is printed; `None` is RFC 3597.
fn layout(rtype: RrType, class: Class) -> Option<Layout> {
    let layout = match rtype {
        RrType::A if class == Class::CH => Own(special::chaos_a), // RFC 1035 3.4.1 names IN only; CH as BIND writes it
        RrType::A => In(&[Ip4]),                                  // RFC 1035 3.4.1
        // RFC 1035 3.3.11, 3.3.1, 3.3.12, 3.3.3 to 3.3.8; DNAME RFC 6672
        RrType::NS | RrType::MD | RrType::MF | RrType::CNAME | RrType::MB | RrType::MG | RrType::MR | RrType::PTR => {
            NAME
        }
        RrType::DNAME => NAME,
        RrType::SOA => Own(special::soa),               // RFC 1035 3.3.13
        RrType::WKS => InSpecial(special::wks),         // RFC 1035 3.4.2
        RrType::HINFO => Fields(&[Str, Str]),           // RFC 1035 3.3.2, RFC 8482
        RrType::MINFO => Fields(&[N, N]),               // RFC 1035 3.3.7
        RrType::MX => Fields(&[U16, N]),                // RFC 1035 3.3.9
        RrType::TXT | RrType::SPF | RrType::AVC => TXT, // RFC 1035 3.3.14, RFC 7208
        RrType::NINFO | RrType::RESINFO | RrType::WALLET | RrType::CLA => TXT, // RFC 9606
        RrType::RP => Fields(&[N, N]),                  // RFC 1183 2.2
        RrType::AFSDB | RrType::RT => Fields(&[U16, N]), // RFC 1183 1, 3.3
        RrType::X25 => Fields(&[Str]),                  // RFC 1183 3.1
        RrType::ISDN => Fields(&[Str, MaybeStr]),       // RFC 1183 3.2
        RrType::NSAP => InSpecial(special::nsap),       // RFC 1706 5
        RrType::NSAP_PTR => In(&[N]),                   // RFC 1348
        // RFC 2535 4.1; BIND breaks the older of the two one field later.
        RrType::SIG => Fields(&[Type, U8, U8, U32, Time, Open, Time, U16, N, Break, CryptoBase64]),
        RrType::RRSIG => {
            // RFC 4034 3
            Fields(&[Type, U8, U8, U32, Open, Time, Time, U16, N, Break, CryptoBase64])
        }
        RrType::KEY | RrType::DNSKEY | RrType::CDNSKEY | RrType::RKEY => Own(special::key), // RFC 2535 3, RFC 4034 2, RFC 7344
        RrType::PX => In(&[U16, N, N]),                                                     // RFC 2163 4
        RrType::GPOS => Fields(&[Str, Str, Str]),                                           // RFC 1712 3
        RrType::AAAA => In(&[Ip6]),                                                         // RFC 3596 2.2
        RrType::LOC => Own(special::loc),                                                   // RFC 1876 3
        RrType::NXT => Own(special::nxt),                                                   // RFC 2535 5.2
        RrType::EID | RrType::NIMLOC => In(&[OpenHere, Hex]),                               // draft-ietf-nimrod-dns
        RrType::SRV => In(&[U16, U16, U16, N]),                                             // RFC 2782
        RrType::ATMA => InSpecial(special::atma),                                           // AF-DANS-0152
        RrType::NAPTR => Fields(&[U16, U16, Str, Str, Str, N]),                             // RFC 3403 4.1
        RrType::KX => In(&[U16, N]),                                                        // RFC 2230 3
        RrType::CERT => Own(special::cert),                                                 // RFC 4398 2
        RrType::A6 => InSpecial(special::a6),                                               // RFC 2874 3.1
        RrType::SINK => Fields(&[U8, U8, U8, Open, Base64]), // draft-eastlake-kitchen-sink
        RrType::APL => InSpecial(special::apl),              // RFC 3123 4
        RrType::DS | RrType::CDS | RrType::DLV | RrType::TA => DS, // RFC 4034 5, RFC 7344, RFC 4431
        RrType::SSHFP => Fields(&[U8, U8, Open, Hex]),       // RFC 4255 3
        RrType::IPSECKEY => Own(special::ipseckey),          // RFC 4025 2
        RrType::NSEC => Fields(&[N, Types]),                 // RFC 4034 4
        RrType::DHCID => InSpecial(special::dhcid),          // RFC 4701 3
        RrType::NSEC3 => Fields(&[U8, U8, U16, Salt, Open, Hash32, BrokenTypes]), // RFC 5155 3
        RrType::NSEC3PARAM => Fields(&[U8, U8, U16, Salt]),  // RFC 5155 4
        RrType::TLSA | RrType::SMIMEA => TLSA,               // RFC 6698 2, RFC 8162
        RrType::HIP => Own(special::hip),                    // RFC 8005 5
        RrType::TALINK => Fields(&[N, N]),                   // draft-wijngaards-dnsop-trust-history
        RrType::OPENPGPKEY | RrType::HHIT | RrType::BRID => Fields(&[OpenHere, CryptoBase64]), // RFC 7929 2, RFC 9886
        RrType::CSYNC => Fields(&[U32, U16, Types]),         // RFC 7477 2
        RrType::ZONEMD => Fields(&[U32, U8, U8, Open, CryptoHex]), // RFC 8976 2
        RrType::SVCB | RrType::HTTPS => InSpecial(svcb::svcb), // RFC 9460 2
        RrType::DSYNC => Own(special::dsync),                // RFC 9859 2
        RrType::NID | RrType::L64 => Fields(&[U16, Groups64]), // RFC 6742 2
        RrType::L32 => Fields(&[U16, Ip4]),                  // RFC 6742 2.2
        RrType::LP => Fields(&[U16, N]),                     // RFC 6742 2.4
        RrType::EUI48 => Fields(&[Dashed(6)]),               // RFC 7043 3
        RrType::EUI64 => Fields(&[Dashed(8)]),               // RFC 7043 4
        RrType::TKEY => Own(special::tkey),                  // RFC 2930 2
        RrType::TSIG => Own(special::tsig),                  // RFC 8945 4.2
        RrType::URI => Fields(&[U16, U16, QuotedRest]),      // RFC 7553 4
        RrType::CAA => Fields(&[U8, Tag, QuotedRest]),       // RFC 8659 4
        RrType::DOA => Own(special::doa),                    // draft-durand-doa-over-dns
        RrType::AMTRELAY => Own(special::amtrelay),          // RFC 8777 4
        RrType::IPN => Fields(&[U64]),                       // RFC 9171 4.2.5.1.2
        _ => return None,
    };
    match layout {
        In(_) | InSpecial(_) if class != Class::IN => None,
        layout => Some(layout),
    }
}

impl Message {
    /// The data as its type prints it.
    ///
    /// # Errors
    /// When the bytes are not what the type prescribes.
    pub fn rdata_text(&self, record: &Record, style: &Style) -> Result<String, Fault> {
        let bytes = self.rdata_bytes(record);
        let mut text = Text::new(style);
        if style.unknown_format {
            match self.uncompressed(record) {
                Some(expanded) => text.unknown(&expanded),
                None => text.unknown(bytes),
            }
            return Ok(text.out);
        }
        let Some(layout) = layout(record.rtype, record.class) else {
            text.unknown(bytes);
            return Ok(text.out);
        };
        let end = record.rdata.end;
        // Names may point back anywhere in the message, but no field may run past the data.
        let message = self.bytes.get(..end).unwrap_or_default();
        let mut data = Data { message, cursor: Cursor::at(message, record.rdata.start), rtype: record.rtype };
        let done = match layout {
            Fields(fields) | In(fields) => print_fields(&mut text, &mut data, fields),
            Own(print) | InSpecial(print) => print(&mut text, &mut data),
        };
        let at = data.cursor.position();
        if done.is_none() {
            return Err(Fault::new(at, format!("malformed {} data of {} bytes", record.rtype, bytes.len())));
        }
        if data.cursor.left() > 0 {
            let left = data.cursor.left();
            return Err(Fault::new(at, format!("{left} bytes too many in {} data", record.rtype)));
        }
        Ok(text.out)
    }

    /// The data with its names written out, so that it means the same outside this message (RFC 3597 section 4).
    /// `None` for types without names, and where the data is not what its type prescribes.
    fn uncompressed(&self, record: &Record) -> Option<Vec<u8>> {
        let fields = match layout(record.rtype, record.class)? {
            Fields(fields) | In(fields) => fields,
            Own(_) if record.rtype == RrType::SOA => &[N, N, U32, U32, U32, U32, U32],
            _ => return None,
        };
        if !fields.iter().any(|field| matches!(field, N)) {
            return None;
        }
        let message = self.bytes.get(..record.rdata.end)?;
        let mut data = Data { message, cursor: Cursor::at(message, record.rdata.start), rtype: record.rtype };
        let style = Style::default();
        let mut out = Vec::new();
        for field in fields {
            let start = data.cursor.position();
            match field {
                N => {
                    out.extend_from_slice(data.name()?.wire());
                    continue;
                }
                Types | BrokenTypes => {
                    data.cursor.rest();
                }
                // Printing is the one place that knows how long each field is.
                _ => print_field(&mut Text::new(&style), &mut data, *field)?,
            }
            out.extend_from_slice(message.get(start..data.cursor.position())?);
        }
        (data.cursor.left() == 0).then_some(out)
    }

    /// As [`Message::rdata_text`], falling back to RFC 3597's generic form.
    pub fn rdata_text_or_unknown(&self, record: &Record, style: &Style) -> (String, Option<Fault>) {
        match self.rdata_text(record, style) {
            Ok(text) => (text, None),
            Err(fault) => {
                let mut text = Text::new(style);
                text.unknown(self.rdata_bytes(record));
                (text.out, Some(fault))
            }
        }
    }
}

/// Prints the fields with a blank between them.
fn print_fields(text: &mut Text<'_>, data: &mut Data<'_>, fields: &[Field]) -> Option<()> {
    let mut opened = false;
    // Whether the next field needs a blank before it.
    let mut apart = false;
    for field in fields {
        match field {
            Open => {
                text.open();
                opened = true;
                apart = false;
                continue;
            }
            OpenHere => {
                text.open_here();
                opened = true;
                continue;
            }
            Break => {
                text.line_break();
                apart = false;
                continue;
            }
            // These print their own blanks, or nothing when there is nothing to print.
            Types => {
                text.types(data.cursor.rest(), apart)?;
                continue;
            }
            BrokenTypes => {
                if data.cursor.left() > 0 {
                    text.line_break();
                    text.types(data.cursor.rest(), false)?;
                }
                continue;
            }
            MaybeStr if data.cursor.left() == 0 => continue,
            _ => {}
        }
        if apart {
            text.out.push(' ');
        }
        apart = true;
        print_field(text, data, *field)?;
    }
    if opened {
        text.close();
    }
    Some(())
}

fn print_field(text: &mut Text<'_>, data: &mut Data<'_>, field: Field) -> Option<()> {
    let cursor = &mut data.cursor;
    match field {
        U8 => text.number(cursor.u8()?),
        U16 => text.number(cursor.u16()?),
        U32 => text.number(cursor.u32()?),
        U64 => text.number(cursor.u64()?),
        N => text.name(&data.name()?),
        Ip4 => text.ip4(cursor.array()?),
        Ip6 => text.ip6(cursor.array()?),
        Str | MaybeStr => text.quoted(cursor.counted()?),
        Strs => {
            text.quoted(cursor.counted()?);
            while cursor.left() > 0 {
                text.out.push(' ');
                text.quoted(cursor.counted()?);
            }
        }
        Tag => text.tag(cursor.counted()?)?,
        QuotedRest => text.quoted(cursor.rest()),
        Hex => text.hex(cursor.rest()),
        Base64 => text.base64(cursor.rest()),
        CryptoHex => text.crypto(cursor.rest(), Text::hex),
        CryptoBase64 => text.crypto(cursor.rest(), Text::base64),
        Salt => text.salt(cursor.counted()?),
        Hash32 => text.base32(cursor.counted()?),
        Type => text.rr_type(RrType(cursor.u16()?)),
        Time => text.time(cursor.u32()?),
        Groups64 => text.groups64(cursor.u64()?),
        Dashed(count) => text.dashed(cursor.take(count)?),
        // Handled by the caller.
        Types | BrokenTypes | Open | OpenHere | Break => {}
    }
    Some(())
}

#[cfg(test)]
mod tests;
