//! Sets and maps, and their elements.

use netkit_nl::{Attrs, Message};

use super::{Expression, HEADER, Userdata, be64};

/// NFT_SET_*
pub mod flag {
    /// Belongs to one rule.
    pub const ANONYMOUS: u32 = 0x1;
    /// Its elements do not change while it is used.
    pub const CONSTANT: u32 = 0x2;
    /// Holds ranges.
    pub const INTERVAL: u32 = 0x4;
    /// Has data for each key.
    pub const MAP: u32 = 0x8;
    /// Elements may expire.
    pub const TIMEOUT: u32 = 0x10;
    /// Rules may change it.
    pub const EVAL: u32 = 0x20;
    /// Its data are objects.
    pub const OBJECT: u32 = 0x40;
    /// Holds ranges of concatenations.
    pub const CONCAT: u32 = 0x80;
    /// Elements have expressions.
    pub const EXPR: u32 = 0x100;
}

/// A set or map (NFT_MSG_NEWSET).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NftSet {
    /// NFPROTO_*
    pub family: u8,
    /// The table it belongs to.
    pub table: String,
    /// Its name; those of anonymous sets begin with `__set` or `__map`.
    pub name: String,
    /// Its handle.
    pub handle: u64,
    /// [`flag`]
    pub flags: u32,
    /// nft's number of the key's type; of a concatenation six bits a part (NFTA_SET_KEY_TYPE).
    pub key_type: u32,
    /// Octets of a key.
    pub key_length: u32,
    /// nft's number of the data's type; 0xffffff00 is a verdict.
    pub data_type: u32,
    /// Octets of the data.
    pub data_length: u32,
    /// NFT_OBJECT_*, of a map of objects.
    pub object_type: u32,
    /// 1: memory before speed.
    pub policy: u32,
    /// Most elements, if limited.
    pub size: Option<u32>,
    /// Octets of each part of a concatenation of ranges.
    pub fields: Vec<u32>,
    /// Milliseconds.
    pub timeout: Option<u64>,
    /// Milliseconds between collections of what has expired.
    pub gc_interval: Option<u32>,
    /// What each element gets: NFTA_SET_EXPRESSIONS, still to be read with [`NftSet::expressions`].
    expressions: Vec<u8>,
    /// What nft wanted to remember.
    pub userdata: Vec<u8>,
}

impl NftSet {
    /// Reads NFT_MSG_NEWSET.
    pub fn read(message: &Message<'_>) -> Option<NftSet> {
        let attrs = message.attrs(HEADER);
        let number = |kind: u16| attrs.find(kind).and_then(|attr| attr.be32());
        let long = |kind: u16| attrs.find(kind).and_then(|attr| be64(attr.value));
        let description = attrs.find(9).map(|attr| attr.nested());
        let fields = description
            .and_then(|inner| inner.find(2))
            .into_iter()
            .flat_map(|list| list.nested())
            .filter_map(|field| field.nested().find(1)?.be32())
            .collect();
        // One expression of older kernels, or a list; kept as they came, since messages do not last.
        let expressions = match (attrs.find(18), attrs.find(17)) {
            (Some(list), _) => list.value.to_vec(),
            (None, Some(one)) => {
                let length = u16::try_from(one.value.len() + 4).ok()?;
                [&length.to_ne_bytes()[..], &1u16.to_ne_bytes(), one.value].concat()
            }
            (None, None) => Vec::new(),
        };
        Some(NftSet {
            family: *message.payload.first()?,
            table: attrs.find(1)?.text(),
            name: attrs.find(2)?.text(),
            handle: long(16).unwrap_or(0),
            flags: number(3).unwrap_or(0),
            key_type: number(4).unwrap_or(0),
            key_length: number(5).unwrap_or(0),
            data_type: number(6).unwrap_or(0),
            data_length: number(7).unwrap_or(0),
            object_type: number(15).unwrap_or(0),
            policy: number(8).unwrap_or(0),
            size: description.and_then(|inner| inner.find(1)).and_then(|attr| attr.be32()),
            fields,
            timeout: long(11).filter(|timeout| *timeout > 0),
            gc_interval: number(12).filter(|interval| *interval > 0),
            expressions,
            userdata: attrs.find(13).map(|attr| attr.value.to_vec()).unwrap_or_default(),
        })
    }

    /// What each element gets.
    pub fn expressions(&self) -> Vec<Expression<'_>> {
        Attrs::new(&self.expressions).map(|element| Expression::read(element.nested())).collect()
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// What nft wanted to remember, to be searched.
    pub fn notes(&self) -> Userdata<'_> {
        Userdata(&self.userdata)
    }
}

/// A constant: of an element, or of an immediate expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data<'a> {
    /// In the packet's order, or the host's, as the type has it.
    Value(&'a [u8]),
    /// A verdict.
    Verdict {
        /// NF_* or NFT_*.
        code: i32,
        /// Of jump and goto.
        chain: Option<String>,
    },
}

impl<'a> Data<'a> {
    /// Reads NFTA_DATA_*.
    pub fn read(attrs: Attrs<'a>) -> Option<Data<'a>> {
        if let Some(value) = attrs.find(1) {
            return Some(Data::Value(value.value));
        }
        let verdict = attrs.find(2)?.nested();
        let chain = verdict.find(2).map(|attr| attr.text());
        Some(Data::Verdict { code: verdict.find(1)?.be32()?.cast_signed(), chain })
    }
}

/// An element of a set or map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// The key; nothing for the element that stands for all others.
    pub key: Option<&'a [u8]>,
    /// Of concatenations of ranges: the last key of the range.
    pub key_end: Option<&'a [u8]>,
    /// What a map has for it.
    pub data: Option<Data<'a>>,
    /// NFT_SET_ELEM_*: 1 the end of an interval (first key that does not belong to it), 2 all others.
    pub flags: u32,
    /// Milliseconds.
    pub timeout: Option<u64>,
    /// Milliseconds left.
    pub expiration: Option<u64>,
    /// Name of the object that a map of objects has for it.
    pub object: Option<String>,
    /// Counters, limits, quotas of this element.
    pub expressions: Vec<Expression<'a>>,
    /// What nft wanted to remember.
    pub userdata: &'a [u8],
}

impl<'a> Element<'a> {
    /// Reads the elements of NFT_MSG_NEWSETELEM.
    pub fn read_all(message: &Message<'a>) -> impl Iterator<Item = Element<'a>> + use<'a> {
        let list = message.attrs(HEADER).find(3);
        list.into_iter().flat_map(|list| list.nested()).map(|element| Element::read(element.nested()))
    }

    fn read(attrs: Attrs<'a>) -> Element<'a> {
        let value = |kind: u16| match Data::read(attrs.find(kind)?.nested())? {
            Data::Value(value) => Some(value),
            Data::Verdict { .. } => None,
        };
        let long = |kind: u16| attrs.find(kind).and_then(|attr| be64(attr.value));
        Element {
            key: value(1),
            key_end: value(10),
            data: attrs.find(2).and_then(|attr| Data::read(attr.nested())),
            flags: attrs.find(3).and_then(|attr| attr.be32()).unwrap_or(0),
            timeout: long(4),
            expiration: long(5),
            object: attrs.find(9).map(|attr| attr.text()),
            expressions: Expression::list(attrs, 11, 7),
            userdata: attrs.find(6).map_or(&[][..], |attr| attr.value),
        }
    }

    /// The first key that no longer belongs to the interval before it.
    pub fn is_interval_end(&self) -> bool {
        self.flags & 1 != 0
    }

    /// All keys that have no element of their own.
    pub fn is_catch_all(&self) -> bool {
        self.flags & 2 != 0
    }
}
