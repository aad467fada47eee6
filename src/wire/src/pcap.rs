//! Capture files: pcap in both byte orders and both precisions, and pcapng (draft-ietf-opsawg-pcap, -pcapng).
//!
//! The reader takes any source of bytes and hands out records that borrow its buffer, so a packet costs no allocation.
//! What a file claims is bounded before memory is asked for. Messages are those of libpcap, which scripts look for.

use std::fmt;
use std::io::{self, Read};

/// The longest record that is believed (libpcap's MAXIMUM_SNAPLEN).
pub const MAXIMUM_SNAPLEN: u32 = 262_144;
/// The longest block of pcapng that is believed.
const MAXIMUM_BLOCK: u32 = 16 << 20;
/// Interfaces that a section may describe; each costs memory.
const MOST_INTERFACES: usize = 1 << 16;
const CHUNK: usize = 1 << 18;

/// Why a file cannot be read further.
#[derive(Debug)]
pub enum Error {
    /// The source failed.
    Io(io::Error),
    /// The file is not what it should be; the text says where.
    Format(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io(error) => write!(f, "error reading dump file: {error}"),
            Error::Format(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

fn bad<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error::Format(text.into()))
}

/// One packet of a file.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Link type (LINKTYPE_ registry) of its interface.
    pub link: u32,
    /// Number of its interface, 0 in pcap.
    pub interface: u32,
    /// Seconds since 1970 UTC.
    pub seconds: u64,
    /// Nanoseconds of the second; more than 999,999,999 when the file says so.
    pub nanos: u32,
    /// What was captured.
    pub data: &'a [u8],
    /// Bytes on the wire.
    pub length: u32,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: u32,
    snaplen: u32,
    /// Units a second.
    units: u64,
    /// Seconds to add.
    offset: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `record` is the size of a record's header; `nano` whether fractions are nanoseconds.
    Pcap {
        record: usize,
        nano: bool,
        swap: LengthOrder,
    },
    Pcapng,
}

/// Old writers stored the two lengths of a record in the other order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LengthOrder {
    Plain,
    Maybe,
    Swapped,
}

/// Reads a capture file.
pub struct Reader<'a> {
    source: Box<dyn Read + 'a>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    big_endian: bool,
    kind: Kind,
    interfaces: Vec<Interface>,
    link: u32,
    snaplen: u32,
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("kind", &self.kind).field("link", &self.link).finish_non_exhaustive()
    }
}

impl<'a> Reader<'a> {
    /// Reads the file header, and in pcapng everything up to the first interface.
    ///
    /// # Errors
    /// The source fails, or its bytes are no capture file.
    pub fn open(source: Box<dyn Read + 'a>) -> Result<Reader<'a>, Error> {
        let mut reader = Reader {
            source,
            buffer: vec![0; CHUNK],
            start: 0,
            end: 0,
            big_endian: false,
            kind: Kind::Pcapng,
            interfaces: Vec::new(),
            link: 0,
            snaplen: 0,
        };
        let got = reader.fill(4)?;
        if got < 4 {
            return bad(format!("truncated dump file; tried to read 4 file header bytes, only got {got}"));
        }
        let magic = reader.peek32(0, false);
        for big_endian in [false, true] {
            let magic = if big_endian { magic.swap_bytes() } else { magic };
            let (record, nano) = match magic {
                0xa1b2_c3d4 => (16, false),
                0xa1b2_3c4d => (16, true),
                // A patched libpcap of long ago, with more in each record.
                0xa1b2_cd34 => (24, false),
                0x0a0d_0d0a => {
                    reader.open_pcapng()?;
                    return Ok(reader);
                }
                _ => continue,
            };
            reader.big_endian = big_endian;
            reader.open_pcap(record, nano)?;
            return Ok(reader);
        }
        bad("unknown file format")
    }

    /// Whether the file was written in the other byte order, in which loopback headers then stand.
    pub fn is_swapped(&self) -> bool {
        self.big_endian != cfg!(target_endian = "big")
    }

    /// The link type of the file, in pcapng that of its first interface.
    pub fn link(&self) -> u32 {
        self.link
    }

    /// The snapshot length of the file.
    pub fn snaplen(&self) -> u32 {
        self.snaplen
    }

    /// Makes at least `want` bytes available if the source has them; how many there are, at most `want`.
    fn fill(&mut self, want: usize) -> Result<usize, Error> {
        if self.end - self.start < want {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            if self.buffer.len() < want {
                self.buffer.resize(want.next_power_of_two(), 0);
            }
            while self.end < want {
                let room = self.buffer.get_mut(self.end..).unwrap_or_default();
                match self.source.read(room) {
                    Ok(0) => break,
                    Ok(count) => self.end += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(Error::Io(error)),
                }
            }
        }
        Ok((self.end - self.start).min(want))
    }

    fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        let from = self.start + at;
        self.buffer.get(from..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
    }

    fn peek32(&self, at: usize, big_endian: bool) -> u32 {
        let bytes = self.bytes(at);
        if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    fn u32(&self, at: usize) -> u32 {
        self.peek32(at, self.big_endian)
    }

    fn u16(&self, at: usize) -> u16 {
        let bytes = self.bytes(at);
        if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    fn open_pcap(&mut self, record: usize, nano: bool) -> Result<(), Error> {
        let got = self.fill(24)?;
        if got < 24 {
            return bad(format!("truncated dump file; tried to read 24 file header bytes, only got {got}"));
        }
        let (major, minor) = (self.u16(4), self.u16(6));
        if major < 2 {
            return bad("archaic pcap savefile format");
        }
        if major != 2 && !(major == 543 && minor == 0) {
            return bad(format!("unsupported pcap savefile version {major}.{minor}"));
        }
        let swap = match (major, minor) {
            (2, 0..=2) | (543, _) => LengthOrder::Swapped,
            (2, 3) => LengthOrder::Maybe,
            _ => LengthOrder::Plain,
        };
        self.snaplen = believable(self.u32(16));
        self.link = self.u32(20) & 0x03ff_ffff;
        self.kind = Kind::Pcap { record, nano, swap };
        self.interfaces.push(Interface { link: self.link, snaplen: self.snaplen, units: 1, offset: 0 });
        self.start += 24;
        Ok(())
    }

    /// The next packet, or nothing at the end of the file.
    ///
    /// # Errors
    /// The source fails or a record is cut off or impossible; nothing can be read after that.
    #[allow(clippy::should_implement_trait)] // An iterator could not lend its buffer.
    pub fn next(&mut self) -> Result<Option<Record<'_>>, Error> {
        match self.kind {
            Kind::Pcap { record, nano, swap } => self.next_pcap(record, nano, swap),
            Kind::Pcapng => self.next_pcapng(),
        }
    }

    fn next_pcap(&mut self, header: usize, nano: bool, swap: LengthOrder) -> Result<Option<Record<'_>>, Error> {
        let got = self.fill(header)?;
        if got == 0 {
            return Ok(None);
        }
        if got < header {
            return bad(format!("truncated dump file; tried to read {header} header bytes, only got {got}"));
        }
        let (seconds, fraction) = (u64::from(self.u32(0)), self.u32(4));
        let (mut captured, mut length) = (self.u32(8), self.u32(12));
        if swap == LengthOrder::Swapped || swap == LengthOrder::Maybe && captured > length {
            (captured, length) = (length, captured);
        }
        if captured > MAXIMUM_SNAPLEN {
            let most = MAXIMUM_SNAPLEN;
            return bad(format!("invalid packet capture length {captured}, bigger than maximum of {most}"));
        }
        let whole = header + captured as usize;
        let got = self.fill(whole)?;
        if got < whole {
            let got = got - header;
            return bad(format!("truncated dump file; tried to read {captured} captured bytes, only got {got}"));
        }
        // A record longer than the file's own limit is cut to it.
        let shown = captured.min(self.snaplen) as usize;
        let from = self.start + header;
        self.start += whole;
        Ok(Some(Record {
            link: self.link,
            interface: 0,
            seconds,
            nanos: if nano { fraction } else { fraction.saturating_mul(1000) },
            data: self.buffer.get(from..from + shown).unwrap_or_default(),
            length,
        }))
    }

    fn open_pcapng(&mut self) -> Result<(), Error> {
        self.section()?;
        loop {
            let Some((kind, size)) = self.block()? else {
                return bad("the capture file has no Interface Description Blocks");
            };
            match kind {
                1 => {
                    self.interface(size)?;
                    self.start += size;
                    break;
                }
                2 | 3 | 6 => {
                    return bad("the capture file has a packet block before any Interface Description Blocks");
                }
                _ => self.start += size,
            }
        }
        if let Some(first) = self.interfaces.first() {
            (self.link, self.snaplen) = (first.link, first.snaplen);
        }
        Ok(())
    }

    /// Takes a section header block, which says the byte order of what follows.
    fn section(&mut self) -> Result<(), Error> {
        let got = self.fill(12)?;
        if got < 12 {
            return truncated(12, got);
        }
        self.big_endian = match self.peek32(8, false) {
            0x1a2b_3c4d => false,
            0x4d3c_2b1a => true,
            _ => return bad("the file has a section with an unknown byte order"),
        };
        let size = self.u32(4);
        if !(28..=MAXIMUM_BLOCK).contains(&size) || !size.is_multiple_of(4) {
            return bad(format!("Section Header Block in pcapng dump file has invalid length {size}"));
        }
        let size = size as usize;
        let got = self.fill(size)?;
        if got < size {
            return truncated(size, got);
        }
        let (major, minor) = (self.u16(12), self.u16(14));
        if major != 1 || minor != 0 && minor != 2 {
            return bad(format!("unsupported pcapng savefile version {major}.{minor}"));
        }
        self.check_trailer(size)?;
        self.interfaces.clear();
        self.start += size;
        Ok(())
    }

    fn check_trailer(&self, size: usize) -> Result<(), Error> {
        if self.u32(size - 4) as usize != size {
            return bad("block total length in header and trailer don't match");
        }
        Ok(())
    }

    /// The kind and size of the next block, which is then in the buffer; sections begin on the way.
    fn block(&mut self) -> Result<Option<(u32, usize)>, Error> {
        loop {
            let got = self.fill(8)?;
            if got == 0 {
                return Ok(None);
            }
            if got < 8 {
                return truncated(8, got);
            }
            let kind = self.u32(0);
            if kind == 0x0a0d_0d0a {
                self.section()?;
                continue;
            }
            let size = self.u32(4);
            if size < 12 {
                return bad(format!("block in pcapng dump file has a length of {size} < 12"));
            }
            if !size.is_multiple_of(4) {
                return bad(format!("block in pcapng dump file has a length of {size} that is not a multiple of 4"));
            }
            if size > MAXIMUM_BLOCK {
                return bad(format!("pcapng block size {size} > maximum {MAXIMUM_BLOCK}"));
            }
            let size = size as usize;
            let got = self.fill(size)?;
            if got < size {
                return truncated(size, got);
            }
            self.check_trailer(size)?;
            return Ok(Some((kind, size)));
        }
    }

    fn interface(&mut self, size: usize) -> Result<(), Error> {
        if size < 20 || self.interfaces.len() >= MOST_INTERFACES {
            return bad("block of type 1 in pcapng dump file is too short");
        }
        let mut interface =
            Interface { link: u32::from(self.u16(8)), snaplen: believable(self.u32(12)), units: 1_000_000, offset: 0 };
        let mut at = 16;
        while at + 4 <= size - 4 {
            let (code, length) = (self.u16(at), usize::from(self.u16(at + 2)));
            if code == 0 || at + 4 + length > size - 4 {
                break;
            }
            match (code, length) {
                // if_tsresol: a power of ten, or of two with the high bit.
                (9, 1) => {
                    let [power] = self.bytes::<1>(at + 4);
                    let units = if power & 0x80 != 0 {
                        1u64.checked_shl(u32::from(power & 0x7f))
                    } else {
                        10u64.checked_pow(u32::from(power))
                    };
                    let Some(units) = units.filter(|units| *units > 0) else {
                        return bad("Interface Description Block has a time stamp resolution that does not fit");
                    };
                    interface.units = units;
                }
                // if_tsoffset
                (14, 8) => {
                    let bytes = self.bytes(at + 4);
                    interface.offset =
                        if self.big_endian { i64::from_be_bytes(bytes) } else { i64::from_le_bytes(bytes) };
                }
                _ => {}
            }
            at += 4 + length.next_multiple_of(4);
        }
        self.interfaces.push(interface);
        Ok(())
    }

    fn next_pcapng(&mut self) -> Result<Option<Record<'_>>, Error> {
        loop {
            let Some((kind, size)) = self.block()? else { return Ok(None) };
            let from = self.start;
            // Where the fields of each kind of packet block are: interface, time, captured, length, data.
            let (interface, time, captured, length, data) = match kind {
                1 => {
                    self.interface(size)?;
                    self.start += size;
                    continue;
                }
                6 if size >= 32 => (self.u32(8), Some(12), self.u32(20), self.u32(24), 28),
                2 if size >= 32 => (u32::from(self.u16(8)), Some(12), self.u32(20), self.u32(24), 28),
                3 if size >= 16 => {
                    let length = self.u32(8);
                    let limit = self.interfaces.first().map_or(0, |interface| interface.snaplen);
                    (0, None, length.min(limit), length, 12)
                }
                2 | 3 | 6 => return bad(format!("block of type {kind} in pcapng dump file is too short")),
                _ => {
                    self.start += size;
                    continue;
                }
            };
            let Some(description) = self.interfaces.get(interface as usize).copied() else {
                return bad(format!(
                    "a packet arrived on interface {interface}, but there's no Interface Description Block for that interface"
                ));
            };
            if captured > MAXIMUM_SNAPLEN {
                let most = MAXIMUM_SNAPLEN;
                return bad(format!("invalid packet capture length {captured}, bigger than snaplen of {most}"));
            }
            if data + captured as usize > size - 4 {
                return bad(format!("block of type {kind} in pcapng dump file is too short"));
            }
            let (seconds, nanos) = time.map_or((0, 0), |at| {
                let stamp = u64::from(self.u32(at)) << 32 | u64::from(self.u32(at + 4));
                let seconds = (stamp / description.units).wrapping_add_signed(description.offset);
                let fraction = u128::from(stamp % description.units) * 1_000_000_000 / u128::from(description.units);
                (seconds, fraction as u32)
            });
            self.start += size;
            let shown = captured.min(description.snaplen) as usize;
            let from = from + data;
            return Ok(Some(Record {
                link: description.link,
                interface,
                seconds,
                nanos,
                data: self.buffer.get(from..from + shown).unwrap_or_default(),
                length,
            }));
        }
    }
}

fn truncated<T>(wanted: usize, got: usize) -> Result<T, Error> {
    bad(format!("truncated pcapng dump file; tried to read {wanted} bytes, only got {got}"))
}

/// A snapshot length of nothing, or beyond what can be, means the most.
fn believable(snaplen: u32) -> u32 {
    if snaplen == 0 || snaplen > i32::MAX as u32 { MAXIMUM_SNAPLEN } else { snaplen }
}

/// The header of a pcap file in this machine's byte order.
pub fn file_header(link: u32, snaplen: u32, nano: bool) -> [u8; 24] {
    let magic: u32 = if nano { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
    let mut header = [0u8; 24];
    let fields = [magic, u32::from_ne_bytes(version()), 0, 0, snaplen, link];
    for (to, from) in header.chunks_exact_mut(4).zip(fields) {
        to.copy_from_slice(&from.to_ne_bytes());
    }
    header
}

/// 2.4, as two numbers of 16 bits.
fn version() -> [u8; 4] {
    let ([a, b], [c, d]) = (2u16.to_ne_bytes(), 4u16.to_ne_bytes());
    [a, b, c, d]
}

/// The header of a record; its data follows.
pub fn record_header(record: &Record<'_>, nano: bool) -> [u8; 16] {
    let captured = u32::try_from(record.data.len()).unwrap_or(u32::MAX);
    let fraction = if nano { record.nanos } else { record.nanos / 1000 };
    let mut header = [0u8; 16];
    // The format has 32 bits for the seconds and no more.
    let fields = [record.seconds as u32, fraction, captured, record.length];
    for (to, from) in header.chunks_exact_mut(4).zip(fields) {
        to.copy_from_slice(&from.to_ne_bytes());
    }
    header
}

/// A pcapng section with its interfaces: what several link types, or names of interfaces, need.
pub fn ng_header(interfaces: &[(u32, u32, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut section = Vec::new();
    section.extend(0x1a2b_3c4du32.to_ne_bytes());
    section.extend(1u16.to_ne_bytes());
    section.extend(0u16.to_ne_bytes());
    section.extend(u64::MAX.to_ne_bytes());
    ng_block(&mut out, 0x0a0d_0d0a, &section);
    for (link, snaplen, name) in interfaces {
        let mut body = Vec::new();
        body.extend((*link as u16).to_ne_bytes());
        body.extend([0, 0]);
        body.extend(snaplen.to_ne_bytes());
        if !name.is_empty() {
            ng_option(&mut body, 2, name.as_bytes());
        }
        // Nanoseconds.
        ng_option(&mut body, 9, &[9]);
        body.extend([0; 4]);
        ng_block(&mut out, 1, &body);
    }
    out
}

/// An enhanced packet block of pcapng in nanoseconds.
pub fn ng_record(out: &mut Vec<u8>, record: &Record<'_>) {
    let stamp = record.seconds.wrapping_mul(1_000_000_000).wrapping_add(u64::from(record.nanos));
    let captured = record.data.len();
    let size = (32 + captured.next_multiple_of(4)) as u32;
    out.extend(6u32.to_ne_bytes());
    out.extend(size.to_ne_bytes());
    for field in [record.interface, (stamp >> 32) as u32, stamp as u32, captured as u32, record.length] {
        out.extend(field.to_ne_bytes());
    }
    out.extend_from_slice(record.data);
    out.resize(out.len() + captured.next_multiple_of(4) - captured, 0);
    out.extend(size.to_ne_bytes());
}

fn ng_option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    out.extend(code.to_ne_bytes());
    out.extend((value.len() as u16).to_ne_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

fn ng_block(out: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let size = (body.len() + 12) as u32;
    out.extend(kind.to_ne_bytes());
    out.extend(size.to_ne_bytes());
    out.extend_from_slice(body);
    out.extend(size.to_ne_bytes());
}

/// Name and description of a link type, as libpcap gives them.
pub fn link_name(link: u32) -> Option<(&'static str, &'static str)> {
    const NAMES: &[(u32, &str, &str)] = &[
        (0, "NULL", "BSD loopback"),
        (1, "EN10MB", "Ethernet"),
        (6, "IEEE802", "Token ring"),
        (7, "ARCNET", "BSD ARCNET"),
        (8, "SLIP", "SLIP"),
        (9, "PPP", "PPP"),
        (10, "FDDI", "FDDI"),
        (12, "RAW", "Raw IP"),
        (14, "RAW", "Raw IP"),
        (50, "PPP_SERIAL", "PPP over serial"),
        (51, "PPP_ETHER", "PPPoE"),
        (101, "RAW", "Raw IP"),
        (104, "C_HDLC", "Cisco HDLC"),
        (105, "IEEE802_11", "802.11"),
        (107, "FRELAY", "Frame Relay"),
        (108, "LOOP", "OpenBSD loopback"),
        (113, "LINUX_SLL", "Linux cooked v1"),
        (117, "PFLOG", "OpenBSD pflog file"),
        (119, "PRISM_HEADER", "802.11 plus Prism header"),
        (127, "IEEE802_11_RADIO", "802.11 plus radiotap header"),
        (166, "PPP_PPPD", "PPP for pppd, with direction flag"),
        (189, "USB_LINUX", "USB with Linux header"),
        (195, "IEEE802_15_4", "IEEE 802.15.4 with FCS"),
        (220, "USB_LINUX_MMAPPED", "USB with padded Linux header"),
        (228, "IPV4", "Raw IPv4"),
        (229, "IPV6", "Raw IPv6"),
        (239, "NFLOG", "Linux netfilter log messages"),
        (253, "NETLINK", "Linux netlink"),
        (276, "LINUX_SLL2", "Linux cooked v2"),
    ];
    NAMES.iter().find(|entry| entry.0 == link).map(|entry| (entry.1, entry.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(data: &[u8]) -> Record<'_> {
        Record { link: 1, interface: 0, seconds: 7, nanos: 123_456_789, data, length: 99 }
    }

    type Seen = Vec<(u64, u32, Vec<u8>, u32)>;

    fn read(bytes: &[u8]) -> Result<Seen, Error> {
        let mut reader = Reader::open(Box::new(bytes))?;
        let mut out = Vec::new();
        while let Some(record) = reader.next()? {
            out.push((record.seconds, record.nanos, record.data.to_vec(), record.length));
        }
        Ok(out)
    }

    #[test]
    fn what_is_written_is_read() {
        for (nano, nanos) in [(false, 123_456_000), (true, 123_456_789)] {
            let mut bytes = file_header(1, 65535, nano).to_vec();
            bytes.extend(record_header(&record(b"abc"), nano));
            bytes.extend(b"abc");
            assert_eq!(read(&bytes).unwrap(), [(7, nanos, b"abc".to_vec(), 99)]);
            // The other byte order: every field turned round.
            let mut turned = bytes.clone();
            for range in [0..4, 4..6, 6..8, 8..12, 12..16, 16..20, 20..24, 24..28, 28..32, 32..36, 36..40] {
                turned[range].reverse();
            }
            assert_eq!(read(&turned).unwrap(), [(7, nanos, b"abc".to_vec(), 99)]);
        }
        let mut bytes = ng_header(&[(1, 65535, "eth0")]);
        ng_record(&mut bytes, &record(b"abcde"));
        assert_eq!(read(&bytes).unwrap(), [(7, 123_456_789, b"abcde".to_vec(), 99)]);
    }

    #[test]
    fn what_is_cut_off_is_said() {
        let mut bytes = file_header(1, 65535, false).to_vec();
        bytes.extend(record_header(&record(b"abc"), false));
        bytes.extend(b"abc");
        let text = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
        assert_eq!(text(&bytes[..3]), "truncated dump file; tried to read 4 file header bytes, only got 3");
        assert_eq!(text(&bytes[..20]), "truncated dump file; tried to read 24 file header bytes, only got 20");
        assert_eq!(text(&bytes[..30]), "truncated dump file; tried to read 16 header bytes, only got 6");
        assert_eq!(text(&bytes[..41]), "truncated dump file; tried to read 3 captured bytes, only got 1");
        assert_eq!(text(b"hello, world"), "unknown file format");
        let ng = ng_header(&[(1, 0, "")]);
        assert_eq!(read(&ng).unwrap(), []);
        assert!(text(&ng[..30]).contains("truncated pcapng"));
    }

    #[test]
    fn lengths_are_not_believed() {
        let mut bytes = file_header(1, 65535, false).to_vec();
        bytes.extend([0; 8]);
        bytes.extend([0xff; 8]);
        assert!(read(&bytes).unwrap_err().to_string().contains("bigger than maximum"));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_it(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), ng in proptest::bool::ANY) {
            let _ = read(&bytes);
            let mut whole = if ng { ng_header(&[(1, 0, "")]) } else { file_header(1, 0, false).to_vec() };
            whole.append(&mut bytes);
            let _ = read(&whole);
        }
    }
}
