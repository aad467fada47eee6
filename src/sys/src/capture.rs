//! Packets of an interface through a ring that the kernel fills (packet(7), linux/if_packet.h, TPACKET_V3).
//!
//! CAP_NET_RAW is needed to open a [`Ring`] and for nothing afterwards. The socket hears nothing until it is bound, and it
//! is bound last: no packet gets in that the filter has not seen.

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, getsockname, socket};

/// Options at SOL_PACKET.
const PACKET_ADD_MEMBERSHIP: i32 = 1;
const PACKET_RX_RING: i32 = 5;
const PACKET_STATISTICS: i32 = 6;
const PACKET_VERSION: i32 = 10;
const SOL_PACKET: i32 = 263;
/// Third layout of the ring.
const TPACKET_V3: i32 = 2;
const PACKET_MR_PROMISC: u16 = 1;
/// Every protocol.
const ETH_P_ALL: u16 = 3;
/// The block belongs to us.
const STATUS_USER: u32 = 1;
/// The kernel still has to fill in the checksum.
const STATUS_CSUM_NOT_READY: u32 = 1 << 3;
/// A VLAN tag was taken off, and its type is told.
const STATUS_VLAN: u32 = 1 << 4;
const STATUS_VLAN_TYPE: u32 = 1 << 6;
/// Octets of `struct tpacket3_hdr`; `struct sockaddr_ll` follows.
const PACKET_HEADER: usize = 48;
/// Offset of the status in `struct tpacket_block_desc`.
const BLOCK_STATUS: usize = 8;
/// Smallest and largest ring, in bytes.
const SMALLEST: usize = 1 << 18;
const LARGEST: usize = 1 << 30;
/// Largest block, in bytes: a packet of 256 KiB fits in one.
const BLOCK: usize = 1 << 19;

/// One instruction of a filter, as `struct sock_filter` of linux/filter.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Class, size or operation, mode.
    pub code: u16,
    /// Instructions to skip if the condition holds.
    pub jt: u8,
    /// Instructions to skip if it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// How to capture.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// Index of the interface; 0 for all of them.
    pub ifindex: u32,
    /// Without link-layer headers.
    pub cooked: bool,
    /// Size of the ring in bytes; rounded.
    pub bytes: usize,
    /// After how many milliseconds a block that is not full is handed over.
    pub handover_ms: u32,
    /// Take frames for other machines too.
    pub promiscuous: bool,
    /// In force before the first packet; empty for none.
    pub filter: &'a [Instruction],
}

/// What went wrong on opening, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenError {
    /// The operation, for messages.
    pub what: &'static str,
    /// The kernel's answer.
    pub errno: Errno,
}

/// Counters of the kernel since the ring was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that passed the filter, lost ones included.
    pub received: u64,
    /// Packets that did not fit into the ring.
    pub dropped: u64,
}

/// One packet, in a block of the ring.
#[derive(Clone, Copy, Debug)]
pub struct Captured<'a> {
    /// From the link-layer header on, or without it if cooked.
    pub bytes: &'a [u8],
    /// Its length on the wire.
    pub length: u32,
    /// Seconds since 1970.
    pub seconds: u32,
    /// Nanoseconds of the second.
    pub nanos: u32,
    /// EtherType, or what Linux uses in its place.
    pub protocol: u16,
    /// Index of the interface.
    pub ifindex: u32,
    /// ARPHRD_ type of the interface.
    pub hardware: u16,
    /// As in sll_pkttype of packet(7): 4 is outgoing.
    pub packet_type: u8,
    /// Length of the sender's address.
    pub address_length: u8,
    /// The sender's address, filled up with zeroes.
    pub address: [u8; 8],
    /// The VLAN tag that the kernel took off: its type and its 16 bits.
    pub vlan: Option<(u16, u16)>,
    /// The checksum is not computed yet: the interface is to do it.
    pub offloaded: bool,
}

/// A packet socket with its ring.
#[derive(Debug)]
pub struct Ring {
    socket: OwnedFd,
    map: NonNull<u8>,
    block: usize,
    count: usize,
    next: usize,
    hardware: u16,
    totals: Counters,
}

impl Ring {
    /// Opens a packet socket, fills in everything, and binds it.
    ///
    /// # Errors
    /// EPERM or EACCES without CAP_NET_RAW, ENODEV for an interface that is not there, ENETDOWN for one that is down,
    /// EINVAL from `filter` if the kernel does not take the program, ENOMEM for a ring that is too large.
    pub fn open(settings: &Settings<'_>) -> Result<Ring, OpenError> {
        let at = |what: &'static str| move |errno: Errno| OpenError { what, errno };
        let kind = if settings.cooked { SockType::Datagram } else { SockType::Raw };
        let socket = socket(AddressFamily::Packet, kind, SockFlag::SOCK_CLOEXEC, None).map_err(at("socket"))?;
        option(&socket, SOL_PACKET, PACKET_VERSION, &TPACKET_V3.to_ne_bytes()).map_err(at("ring version"))?;
        attach(&socket, settings.filter).map_err(at("filter"))?;
        let (block, count) = layout(settings.bytes);
        let request = [block, count, block, count].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        // struct tpacket_req3: block size, blocks, frame size, frames, handover, private bytes, features.
        let request: Vec<u8> = request
            .iter()
            .chain(&[settings.handover_ms.max(1), 0, 0])
            .flat_map(|number| number.to_ne_bytes())
            .collect();
        option(&socket, SOL_PACKET, PACKET_RX_RING, &request).map_err(at("ring"))?;
        let map = map(&socket, block * count).map_err(at("ring"))?;
        // From here on the map is undone by `drop`.
        let mut ring = Ring { socket, map, block, count, next: 0, hardware: 0, totals: Counters::default() };
        if settings.promiscuous && settings.ifindex != 0 {
            // struct packet_mreq: index, type, length and octets of an address.
            let mut request = settings.ifindex.to_ne_bytes().to_vec();
            request.extend(PACKET_MR_PROMISC.to_ne_bytes());
            request.extend([0; 10]);
            option(&ring.socket, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request).map_err(at("promiscuous mode"))?;
        }
        bind(&ring.socket, settings.ifindex).map_err(at("bind"))?;
        let name: Result<nix::sys::socket::LinkAddr, Errno> = getsockname(ring.socket.as_raw_fd());
        ring.hardware = name.map_or(0, |name| name.hatype());
        Ok(ring)
    }

    /// Lets nothing more in; what is in the ring stays there.
    ///
    /// # Errors
    /// As setsockopt(2).
    pub fn stop(&self) -> Result<(), Errno> {
        attach(&self.socket, &[Instruction { code: 6, jt: 0, jf: 0, k: 0 }])
    }

    /// ARPHRD_ type of the interface (linux/if_arp.h); 0 where all interfaces are listened to.
    pub fn hardware(&self) -> u16 {
        self.hardware
    }

    /// The error that waits on the socket: ENETDOWN when the interface went down.
    pub fn error(&self) -> Option<Errno> {
        let mut value = [0u8; 4];
        crate::xtables::getsockopt(self.socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ERROR, &mut value).ok()?;
        match i32::from_ne_bytes(value) {
            0 => None,
            number => Some(Errno::from_raw(number)),
        }
    }

    /// Counters since the ring was opened.
    ///
    /// # Errors
    /// As getsockopt(2).
    pub fn counters(&mut self) -> io::Result<Counters> {
        // struct tpacket_stats_v3: packets, drops, times that the ring was found full. Reading sets them to zero.
        let mut value = [0u8; 12];
        crate::xtables::getsockopt(self.socket.as_raw_fd(), SOL_PACKET, PACKET_STATISTICS, &mut value)?;
        let [a, b, c, d, e, f, g, h, ..] = value;
        self.totals.received += u64::from(u32::from_ne_bytes([a, b, c, d]));
        self.totals.dropped += u64::from(u32::from_ne_bytes([e, f, g, h]));
        Ok(self.totals)
    }

    /// The next block if the kernel has handed it over. Does not wait.
    pub fn block(&mut self) -> Option<Block<'_>> {
        let at = self.next * self.block;
        if self.status(at).load(Ordering::Acquire) & STATUS_USER == 0 {
            return None;
        }
        Some(Block { ring: self, at })
    }

    /// The status word of the block at `at`, a multiple of the block size within the map.
    #[allow(unsafe_code)]
    fn status(&self, at: usize) -> &AtomicU32 {
        let at = at.min((self.count - 1) * self.block) + BLOCK_STATUS;
        // SAFETY: `at` is at least four octets below the end of the map, as a block has more than twelve.
        let word = unsafe { self.map.add(at) };
        // SAFETY: the map is page-aligned and blocks are multiples of a page, so the word is aligned; it lives as long as
        // `self`; the kernel and this process touch it as a 32-bit word only.
        unsafe { AtomicU32::from_ptr(word.cast::<u32>().as_ptr()) }
    }

    /// The octets of the block at `at`. Only while the block is ours.
    #[allow(unsafe_code)]
    fn bytes(&self, at: usize) -> &[u8] {
        let at = at.min((self.count - 1) * self.block);
        // SAFETY: `at` is the start of a block within the map.
        let start = unsafe { self.map.add(at) };
        // SAFETY: the block lies within the map, which lives as long as `self`. Whoever calls holds a `Block`, so the
        // kernel has handed the block over (acquired in `block`) and writes nothing in it until it is given back.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), self.block) }
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Ring {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: this is the address and length that mmap(2) gave, and every borrow of the map has ended with `self`.
        let _ = unsafe { libc::munmap(self.map.as_ptr().cast::<c_void>(), self.block * self.count) };
    }
}

/// A block that the kernel has handed over; it gets it back when this is dropped.
#[derive(Debug)]
pub struct Block<'a> {
    ring: &'a mut Ring,
    at: usize,
}

impl Block<'_> {
    /// Its packets, in the order of their arrival.
    pub fn packets(&self) -> Packets<'_> {
        let bytes = self.ring.bytes(self.at);
        let word = |at: usize| word(bytes, at).unwrap_or_default();
        Packets { bytes, at: index(word(16)), left: word(12) }
    }
}

impl Drop for Block<'_> {
    fn drop(&mut self) {
        self.ring.status(self.at).store(0, Ordering::Release);
        self.ring.next = (self.ring.next + 1) % self.ring.count;
    }
}

/// The packets of a block.
#[derive(Debug)]
pub struct Packets<'a> {
    bytes: &'a [u8],
    at: usize,
    left: u32,
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|four| u32::from_ne_bytes(*four))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|two| u16::from_ne_bytes(*two))
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl<'a> Iterator for Packets<'a> {
    type Item = Captured<'a>;

    fn next(&mut self) -> Option<Captured<'a>> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let header = self.bytes.get(self.at..)?;
        let (next, captured, status) = (word(header, 0)?, word(header, 12)?, word(header, 20)?);
        let link = header.get(PACKET_HEADER..)?;
        let start = usize::from(half(header, 24)?);
        let bytes = header.get(start..start.checked_add(index(captured))?)?;
        let tag_type = if status & STATUS_VLAN_TYPE != 0 { half(header, 36)? } else { 0x8100 };
        let vlan = (status & STATUS_VLAN != 0).then_some((tag_type, u16::try_from(word(header, 32)? & 0xffff).ok()?));
        let packet = Captured {
            bytes,
            length: word(header, 16)?,
            seconds: word(header, 4)?,
            nanos: word(header, 8)?,
            protocol: u16::from_be(half(link, 2)?),
            ifindex: word(link, 4)?,
            hardware: half(link, 8)?,
            packet_type: *link.get(10)?,
            address_length: *link.get(11)?,
            address: *link.get(12..)?.first_chunk()?,
            vlan,
            offloaded: status & STATUS_CSUM_NOT_READY != 0,
        };
        if next == 0 {
            self.left = 0;
        }
        self.at = self.at.saturating_add(index(next));
        Some(packet)
    }
}

/// Size and number of blocks for a ring of about `bytes`: at least four blocks, so that one can be read while others fill.
fn layout(bytes: usize) -> (usize, usize) {
    let bytes = bytes.clamp(SMALLEST, LARGEST);
    let mut block = BLOCK;
    while block > 1 << 16 && bytes / block < 8 {
        block /= 2;
    }
    (block, (bytes / block).max(4))
}

#[allow(unsafe_code)]
fn option(socket: &impl AsFd, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
    let length = libc::socklen_t::try_from(value.len()).map_err(|_| Errno::EINVAL)?;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the descriptor is borrowed for the call; the kernel reads `length` octets of `value`, which has that many.
    // Options whose value holds an address in memory are set by `attach` alone.
    let result = unsafe { libc::setsockopt(fd, level, name, value.as_ptr().cast(), length) };
    Errno::result(result).map(drop)
}

#[allow(unsafe_code)]
pub(crate) fn attach(socket: &impl AsFd, filter: &[Instruction]) -> Result<(), Errno> {
    if filter.is_empty() {
        return Ok(());
    }
    let copied = |insn: &Instruction| libc::sock_filter { code: insn.code, jt: insn.jt, jf: insn.jf, k: insn.k };
    let mut program: Vec<libc::sock_filter> = filter.iter().map(copied).collect();
    let length = u16::try_from(program.len()).map_err(|_| Errno::EINVAL)?;
    let program = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    let size = libc::socklen_t::try_from(size_of::<libc::sock_fprog>()).map_err(|_| Errno::EINVAL)?;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the descriptor is borrowed for the call; the kernel reads a `sock_fprog` of its size and copies the `len`
    // instructions that it points to, which live until the end of this function.
    let result =
        unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, (&raw const program).cast(), size) };
    Errno::result(result).map(drop)
}

#[allow(unsafe_code)]
fn map(socket: &impl AsFd, length: usize) -> Result<NonNull<u8>, Errno> {
    let fd = socket.as_fd().as_raw_fd();
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: no address is asked for, so no other mapping is touched; the kernel checks length and descriptor.
    let map = unsafe { libc::mmap(null_mut(), length, access, libc::MAP_SHARED, fd, 0) };
    if map == libc::MAP_FAILED {
        return Err(Errno::last());
    }
    NonNull::new(map.cast()).ok_or(Errno::ENOMEM)
}

/// Listens to one interface, or to all.
#[allow(unsafe_code)]
pub(crate) fn bind(socket: &impl AsFd, ifindex: u32) -> Result<(), Errno> {
    let address = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).unwrap_or_default(),
        sll_protocol: ETH_P_ALL.to_be(),
        sll_ifindex: i32::try_from(ifindex).map_err(|_| Errno::ENODEV)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let size = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).map_err(|_| Errno::EINVAL)?;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the descriptor is borrowed for the call; the kernel reads `size` octets of `address`, which lives here.
    let result = unsafe { libc::bind(fd, (&raw const address).cast(), size) };
    Errno::result(result).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts() {
        assert_eq!(layout(8 << 20), (1 << 19, 16));
        assert_eq!(layout(2 << 20), (1 << 18, 8));
        assert_eq!(layout(0), (1 << 16, 4));
        assert_eq!(layout(usize::MAX), (1 << 19, 2048));
    }

    /// A block of one packet as the kernel lays it out, and what is left of it when it is cut or lies about itself.
    #[test]
    fn packets_of_a_block() {
        let mut block = vec![0u8; 256];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(12, &1u32.to_ne_bytes());
        put(16, &48u32.to_ne_bytes());
        put(48 + 4, &7u32.to_ne_bytes());
        put(48 + 8, &9u32.to_ne_bytes());
        put(48 + 12, &4u32.to_ne_bytes());
        put(48 + 16, &60u32.to_ne_bytes());
        put(48 + 20, &(1u32 | 1 << 3 | 1 << 4 | 1 << 6).to_ne_bytes());
        put(48 + 24, &80u16.to_ne_bytes());
        put(48 + 32, &5u32.to_ne_bytes());
        put(48 + 36, &0x88a8u16.to_ne_bytes());
        put(48 + 48 + 2, &[0x08, 0x00]);
        put(48 + 48 + 4, &3u32.to_ne_bytes());
        put(48 + 48 + 10, &[4, 6, 1, 2, 3, 4, 5, 6, 0, 0]);
        put(48 + 80, b"abcd");
        let packets = |bytes: &[u8]| {
            let packets =
                Packets { bytes, at: index(word(bytes, 16).unwrap_or(0)), left: word(bytes, 12).unwrap_or(0) };
            packets
                .map(|packet| (packet.bytes.to_vec(), packet.length, packet.vlan, packet.offloaded))
                .collect::<Vec<_>>()
        };
        assert_eq!(packets(&block), [(b"abcd".to_vec(), 60, Some((0x88a8, 5)), true)]);
        for length in 0..132 {
            assert!(packets(&block[..length]).is_empty(), "{length}");
        }
        block[12..16].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(packets(&block).len(), 1);
        block[48..52].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(packets(&block).len(), 1);
    }

    #[test]
    fn a_ring_on_loopback_or_a_reason() {
        let pass = [Instruction { code: 6, jt: 0, jf: 0, k: 0 }];
        let settings =
            Settings { ifindex: 1, cooked: false, bytes: 0, handover_ms: 1, promiscuous: false, filter: &pass };
        match Ring::open(&settings) {
            Ok(mut ring) => {
                assert!(ring.block().is_none());
                assert_eq!(ring.counters().unwrap().received, 0);
            }
            Err(error) => assert!(matches!(error.errno, Errno::EPERM | Errno::EACCES | Errno::ENODEV), "{error:?}"),
        }
        let bad = [Instruction { code: 0x15, jt: 200, jf: 0, k: 0 }];
        if let Err(error) = Ring::open(&Settings { filter: &bad, ..settings }) {
            assert!(matches!(error.errno, Errno::EPERM | Errno::EACCES | Errno::EINVAL), "{error:?}");
        }
    }
}
