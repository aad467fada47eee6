//! Bytes of DNS messages for servers that may lie: written field by field, nothing is checked (RFC 1035, section 4).

/// Bits of the second header word.
pub mod flag {
    pub const QR: u16 = 0x8000;
    pub const AA: u16 = 0x0400;
    pub const TC: u16 = 0x0200;
    pub const RD: u16 = 0x0100;
    pub const RA: u16 = 0x0080;
    pub const Z: u16 = 0x0040;
    pub const AD: u16 = 0x0020;
    pub const CD: u16 = 0x0010;
}

/// Numbers of the record types the servers here send.
pub mod kind {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const OPT: u16 = 41;
    pub const AXFR: u16 = 252;
}

/// The name of the question, by a compression pointer to it.
pub const ASKED: &[u8] = &[0xc0, 12];

/// What a query asks.
#[derive(Debug, Clone)]
pub struct Question {
    /// The query's id.
    pub id: u16,
    /// Second word of the header.
    pub flags: u16,
    /// Labels of the name, lower case, joined by dots, without the last dot.
    pub name: String,
    /// Number of the type.
    pub kind: u16,
    /// The question section as it was sent.
    pub bytes: Vec<u8>,
    /// Whether an OPT record came along (found by its fixed first bytes).
    pub edns: bool,
}

/// Reads the one question of a query.
pub fn question(query: &[u8]) -> Option<Question> {
    let word = |at: usize| Some(u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]));
    if word(4)? != 1 {
        return None;
    }
    let mut labels = Vec::new();
    let mut at = 12;
    loop {
        let length = usize::from(*query.get(at)?);
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at + 1..at + 1 + length)?).to_ascii_lowercase());
        at += 1 + length;
    }
    Some(Question {
        id: word(0)?,
        flags: word(2)?,
        name: labels.join("."),
        kind: word(at + 1)?,
        bytes: query.get(12..at + 5)?.to_vec(),
        edns: query.get(at + 5..at + 8) == Some(&[0, 0, 41]),
    })
}

/// A message under construction; the counts follow what is added and can be overwritten.
#[derive(Debug, Clone)]
pub struct Message {
    /// QDCOUNT, ANCOUNT, NSCOUNT, ARCOUNT.
    pub counts: [u16; 4],
    id: u16,
    flags: u16,
    body: Vec<u8>,
}

/// Section of a record; they must be added in this order.
#[derive(Debug, Clone, Copy)]
pub enum Section {
    Answer = 1,
    Authority = 2,
    Additional = 3,
}

impl Message {
    /// A reply to `asked` with its id and question; `flags` are added to QR and the query's RD.
    pub fn reply(asked: &Question, flags: u16) -> Message {
        Message {
            counts: [1, 0, 0, 0],
            id: asked.id,
            flags: flag::QR | (asked.flags & flag::RD) | flags,
            body: asked.bytes.clone(),
        }
    }

    /// Replaces the second header word.
    pub fn flags(mut self, flags: u16) -> Message {
        self.flags = flags;
        self
    }

    /// Replaces the id.
    pub fn id(mut self, id: u16) -> Message {
        self.id = id;
        self
    }

    /// Replaces the question section by bytes that hold `count` questions.
    pub fn asking(mut self, count: u16, bytes: &[u8]) -> Message {
        self.counts[0] = count;
        self.body = bytes.to_vec();
        self
    }

    /// Adds a record of class IN for the name asked with a TTL of an hour.
    pub fn answer(self, kind: u16, rdata: &[u8]) -> Message {
        self.record(Section::Answer, ASKED, [kind, 1], 3600, rdata)
    }

    /// Adds any record; `kind_class` are type and class.
    pub fn record(self, section: Section, owner: &[u8], kind_class: [u16; 2], ttl: u32, rdata: &[u8]) -> Message {
        let length = u16::try_from(rdata.len()).unwrap_or(u16::MAX);
        self.lying(section, owner, kind_class, ttl, length, rdata)
    }

    /// Adds a record whose RDLENGTH need not be true.
    pub fn lying(
        mut self,
        section: Section,
        owner: &[u8],
        [kind, class]: [u16; 2],
        ttl: u32,
        length: u16,
        rdata: &[u8],
    ) -> Message {
        self.body.extend_from_slice(owner);
        for word in [kind, class] {
            self.body.extend_from_slice(&word.to_be_bytes());
        }
        self.body.extend_from_slice(&ttl.to_be_bytes());
        self.body.extend_from_slice(&length.to_be_bytes());
        self.body.extend_from_slice(rdata);
        if let Some(count) = self.counts.get_mut(section as usize) {
            *count = count.wrapping_add(1);
        }
        self
    }

    /// Adds an OPT record with these options; `ttl` is extended rcode, version and flags (RFC 6891, 6.1.3).
    pub fn edns(self, ttl: u32, options: &[(u16, &[u8])]) -> Message {
        let mut rdata = Vec::new();
        for (code, value) in options {
            rdata.extend_from_slice(&code.to_be_bytes());
            rdata.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
            rdata.extend_from_slice(value);
        }
        self.record(Section::Additional, &[0], [kind::OPT, 1232], ttl, &rdata)
    }

    /// The message as sent.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(12 + self.body.len());
        for word in [self.id, self.flags].iter().chain(&self.counts) {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// A name in wire format without compression; labels are separated by dots, there are no escapes.
pub fn name(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap_or(63));
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// RDATA of an SOA with this serial.
pub fn soa(serial: u32) -> Vec<u8> {
    let mut bytes = name("ns.rogue");
    bytes.extend(name("hostmaster.rogue"));
    for number in [serial, 7200, 3600, 1_209_600, 300] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes
}
