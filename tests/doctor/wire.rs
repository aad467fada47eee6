//! A wire that takes its time and loses frames: what netem does, for kernels without it.
//!
//! It copies frames between two links of a namespace that has nothing else, through packet sockets.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, recvfrom, sendto, socket};

use crate::lab::Stop;

/// `PACKET_OUTGOING` of linux/if_packet.h: a frame that we sent ourselves.
const OUTGOING: u8 = 4;
/// Where the type of what a frame carries stands, and ARP's.
const ETHERTYPE: std::ops::Range<usize> = 12..14;
const ARP: [u8; 2] = [8, 6];
/// Where ICMPv6 has its type when nothing stands between, and the types of neighbour discovery (RFC 4861, section 4).
const NEIGHBOUR: usize = 54;
const DISCOVERY: std::ops::RangeInclusive<u8> = 133..=136;
/// Where IPv6 has its next header, and ICMPv6's number.
const NEXT_HEADER: usize = 20;
const ICMPV6: u8 = 58;
/// IPv6's type of what a frame carries.
const IPV6: [u8; 2] = [0x86, 0xdd];

/// Joins two links until the process ends.
///
/// # Errors
/// When there is no such link, or no packet socket may be opened.
pub fn lay(one: &str, other: &str, words: &[&str]) -> Result<(), Stop> {
    let mut delay = Duration::ZERO;
    let mut every = 0usize;
    for word in words {
        match word.split_once('=') {
            Some(("delay", text)) => delay = Duration::from_millis(text.parse().map_err(|_| format!("wire: {word}"))?),
            Some(("every", text)) => every = text.parse().map_err(|_| format!("wire: {word}"))?,
            _ => return Err(format!("wire: {word}").into()),
        }
    }
    let addresses = getifaddrs().map_err(|errno| format!("getifaddrs: {errno}"))?;
    let links: HashMap<String, LinkAddr> =
        addresses.filter_map(|link| Some((link.interface_name, *link.address?.as_link_addr()?))).collect();
    let end = |name: &str| links.get(name).copied().ok_or_else(|| Stop::Fail(format!("wire: no link {name}")));
    let ends = [end(one)?, end(other)?];
    let open = || {
        socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)
            .map_err(|errno| Stop::Fail(format!("packet socket: {errno}")))
    };
    let (eye, mouth) = (open()?, open()?);
    let (sender, receiver) = channel();
    std::thread::spawn(move || send(&mouth, &receiver));
    std::thread::spawn(move || {
        let mut buffer = vec![0; 70_000];
        let mut count = 0usize;
        loop {
            let Ok((length, Some(from))) = recvfrom::<LinkAddr>(eye.as_raw_fd(), &mut buffer) else { continue };
            let to = match ends.iter().position(|end| end.ifindex() == from.ifindex()) {
                Some(at) if from.pkttype() != OUTGOING => ends[1 - at],
                _ => continue,
            };
            let frame = buffer[..length].to_vec();
            // Neighbours are found at once, always: what is late or lost is what they say to each other.
            let discovery = frame.get(ETHERTYPE) == Some(&IPV6[..])
                && frame.get(NEXT_HEADER) == Some(&ICMPV6)
                && frame.get(NEIGHBOUR).is_some_and(|kind| DISCOVERY.contains(kind));
            if discovery || frame.get(ETHERTYPE) == Some(&ARP[..]) {
                let _ = sendto(eye.as_raw_fd(), &frame, &to, MsgFlags::empty());
                continue;
            }
            count += 1;
            if every > 0 && count.is_multiple_of(every) {
                continue;
            }
            if sender.send((Instant::now() + delay, to, frame)).is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// Sends each frame when its time has come; they come in that order.
fn send(mouth: &OwnedFd, frames: &Receiver<(Instant, LinkAddr, Vec<u8>)>) {
    for (due, to, frame) in frames {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let _ = sendto(mouth.as_raw_fd(), &frame, &to, MsgFlags::empty());
    }
}
