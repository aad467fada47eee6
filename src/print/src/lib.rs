//! Packets as tcpdump prints them: bytes in, text out. No input or output, no clock.
//!
//! - Peer: tcpdump 4.99.6, line by line, for the link types of `frame.rs` and what they carry.
//! - A printer is a method of [`Printer`] that takes the bytes from its own header to the end of what is known (the
//!   capture, or the length an outer header gives) and, apart from them, the length that the packet claims to have.
//! - A read past the bytes ends the packet with `[|protocol]`; fields that contradict each other end it with `(invalid)`.
//! - Deliberate difference: port 8472 is shown as VXLAN when its header is one, since that is what flannel and Cilium send.
//!
//! The crate stands apart from `netkit-wire` because it is optimized for size.

mod addr;
mod arp;
mod bgp;
mod bootp;
mod dhcp6;
mod dns;
mod ethertype;
mod fetch;
mod frame;
mod hexdump;
mod icmp;
mod icmp6;
mod igmp;
mod ip;
mod ip6;
mod llc;
mod misc;
mod mptcp;
mod ntp;
mod options;
mod ospf;
mod ppp;
mod proto;
mod radius;
mod routing;
mod sctp;
mod snmp;
mod tcp;
mod text;
mod time;
mod tunnel;
mod udp;
pub mod walk;

use std::fmt;

pub use options::{Force, Options, Resolve, TimeStyle};
pub use time::Zone;

use fetch::Res;

/// One packet as a capture file or the kernel hands it over.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Link type (LINKTYPE_ registry of the pcap file format).
    pub link: u32,
    /// Seconds since 1970 UTC.
    pub seconds: u64,
    /// Nanoseconds of the second; above 999,999,999 when the file holds nonsense.
    pub nanos: u32,
    /// What was captured.
    pub data: &'a [u8],
    /// Bytes on the wire.
    pub length: u32,
}

/// Prints packets into a buffer that its user empties.
pub struct Printer {
    /// How to print.
    pub options: Options,
    /// Finished lines.
    pub out: Vec<u8>,
    /// The protocol that is being printed, for the mark of a truncated packet.
    proto: &'static str,
    /// Bytes of link header, which the hexadecimal dump leaves out.
    link_header: usize,
    /// Whether the segment that is being printed was captured in part.
    cut: bool,
    /// Nesting of headers, against packets that are tunnels all the way down.
    depth: u8,
    number: u64,
    first: Option<(u64, u32)>,
    previous: Option<(u64, u32)>,
    /// The last date printed, since most packets share it.
    day: Option<(u64, [u8; 19])>,
    flows: tcp::Flows,
    resolve: Option<Box<dyn Resolve>>,
    interfaces: Option<Interfaces>,
    zone: Zone,
}

impl fmt::Debug for Printer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Printer").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Finds the name of an interface by its index.
pub type Interfaces = Box<dyn FnMut(u32) -> Option<String>>;

/// Printers nest at most this deep; tcpdump has no limit but the packet's length.
const MAX_DEPTH: u8 = 32;

/// Writes formatted text into a printer's buffer.
macro_rules! put {
    ($printer:expr, $($argument:tt)*) => { $printer.format(format_args!($($argument)*)) };
}
pub(crate) use put;

impl Printer {
    /// A printer that has seen nothing yet.
    pub fn new(options: Options) -> Printer {
        Printer {
            options,
            out: Vec::with_capacity(1 << 17),
            proto: "",
            link_header: 0,
            cut: false,
            depth: 0,
            number: 0,
            first: None,
            previous: None,
            day: None,
            flows: tcp::Flows::default(),
            resolve: None,
            interfaces: None,
            zone: Zone::utc(),
        }
    }

    /// Names for addresses and ports come from here.
    pub fn set_resolver(&mut self, resolve: Box<dyn Resolve>) {
        self.resolve = Some(resolve);
    }

    /// Names of interfaces, for captures that number them, come from here.
    pub fn set_interfaces(&mut self, interfaces: Interfaces) {
        self.interfaces = Some(interfaces);
    }

    /// The time zone of the clock that is printed.
    pub fn set_zone(&mut self, zone: Zone) {
        self.zone = zone;
    }

    /// Whether this link type has a printer.
    pub fn knows_link(link: u32) -> bool {
        frame::find(link).is_some()
    }

    /// Prints one packet: the number and time if wanted, the protocols, the dump if wanted, a newline.
    pub fn packet(&mut self, packet: &Packet<'_>) {
        self.number += 1;
        if self.options.number {
            let number = self.number;
            put!(self, "{number:5}  ");
        }
        self.stamp(packet.seconds, packet.nanos);
        if self.invalid_header(packet) {
            return;
        }
        self.link_header = 0;
        self.depth = 0;
        self.proto = "";
        let length = packet.length as usize;
        let result = match frame::find(packet.link) {
            Some(print) => print(self, packet.data, length),
            None => Ok(()),
        };
        if result.is_err() {
            self.truncated();
            // What stops in the middle is dumped with its header.
            self.link_header = 0;
        }
        self.dumps(packet.data);
        self.out.push(b'\n');
    }

    /// Says what is wrong with a record that claims impossible lengths.
    fn invalid_header(&mut self, packet: &Packet<'_>) -> bool {
        const MOST: u32 = 262_144;
        let captured = u32::try_from(packet.data.len()).unwrap_or(u32::MAX);
        if captured > 0 && packet.length >= captured && captured <= MOST && packet.length <= MOST {
            return false;
        }
        let mut separator = "[Invalid header:";
        let mut say = |printer: &mut Printer, text: fmt::Arguments<'_>| {
            put!(printer, "{separator} {text}");
            separator = ",";
        };
        if captured == 0 {
            say(self, format_args!("caplen==0"));
        }
        if packet.length == 0 {
            say(self, format_args!("len==0"));
        } else if packet.length < captured {
            say(self, format_args!("len({}) < caplen({captured})", packet.length));
        }
        if captured > MOST {
            say(self, format_args!("caplen({captured}) > {MOST}"));
        }
        if packet.length > MOST {
            say(self, format_args!("len({}) > {MOST}", packet.length));
        }
        self.text("]\n");
        true
    }

    #[inline]
    pub(crate) fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    #[inline(never)]
    pub(crate) fn format(&mut self, arguments: fmt::Arguments<'_>) {
        // Writing to a vector cannot fail.
        let _ = fmt::Write::write_fmt(&mut Text(&mut self.out), arguments);
    }

    /// A decimal number, without the formatting machinery: this is most of what a packet line is made of.
    pub(crate) fn dec(&mut self, number: u32) {
        let mut digits = [0u8; 10];
        let mut at = digits.len();
        let mut rest = number;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
            at -= 1;
            if rest == 0 {
                break;
            }
        }
        self.out.extend_from_slice(digits.get(at..).unwrap_or_default());
    }

    /// Two hexadecimal digits for each byte.
    pub(crate) fn hex(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hex_byte(*byte);
        }
    }

    #[inline]
    pub(crate) fn hex_byte(&mut self, byte: u8) {
        let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
        self.out.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }

    /// The mark of a packet whose bytes end early.
    pub(crate) fn truncated(&mut self) {
        let proto = self.proto;
        put!(self, " [|{proto}]");
    }

    /// A protocol whose end is marked by itself: what is around it goes on.
    pub(crate) fn contained(&mut self, result: Res) -> Res {
        if result.is_err() {
            self.truncated();
        }
        Ok(())
    }

    /// The mark of fields that cannot be.
    pub(crate) fn invalid(&mut self) {
        self.text(" (invalid)");
    }

    /// The name of a number, or a pattern with the number.
    pub(crate) fn named(&mut self, table: fetch::Names, number: impl Into<u32>, prefix: &str) {
        let number = number.into();
        match fetch::name(table, number) {
            Some(text) => self.text(text),
            None => {
                self.text(prefix);
                self.dec(number);
            }
        }
    }

    /// The names of the bits that are set, between separators; `none` when none of them has a name.
    pub(crate) fn bits(&mut self, table: fetch::Names, value: u32, separator: &str) {
        self.bits_or(table, value, separator, "none");
    }

    /// The same with another word for no bit.
    pub(crate) fn bits_or(&mut self, table: fetch::Names, value: u32, separator: &str, none: &str) {
        let mut some = false;
        for (_, text) in table.iter().filter(|(bit, _)| *bit != 0 && value & bit == *bit) {
            if some {
                self.text(separator);
            }
            self.text(text);
            some = true;
        }
        if !some {
            self.text(none);
        }
    }

    /// Enters a nested header; false when it is nested too deep to be a packet anybody sent.
    pub(crate) fn enter(&mut self) -> bool {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            self.text(" [nested too deep]");
        }
        self.depth <= MAX_DEPTH
    }

    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Bytes of a string, each as it is when printable and as tcpdump escapes it otherwise.
    pub(crate) fn printable(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.character(*byte);
        }
    }

    pub(crate) fn character(&mut self, byte: u8) {
        let mut byte = byte;
        if byte >= 0x80 {
            byte &= 0x7f;
            self.text("M-");
        }
        if !(0x20..0x7f).contains(&byte) {
            byte ^= 0x40;
            self.out.push(b'^');
        }
        self.out.push(byte);
    }

    /// Bytes up to a NUL or the end; true when the NUL was found.
    pub(crate) fn string(&mut self, bytes: &[u8]) -> bool {
        let end = bytes.iter().position(|byte| *byte == 0);
        self.printable(bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default());
        end.is_some()
    }

    pub(crate) fn v(&self) -> u8 {
        self.options.verbose
    }
}

struct Text<'a>(&'a mut Vec<u8>);

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// A printer of one link type or protocol: bytes to the end of the capture, and the length on the wire.
pub(crate) type Print = fn(&mut Printer, &[u8], usize) -> Res;
