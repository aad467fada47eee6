//! How packets to a host leave this machine: asked of the kernel (rtnetlink(7)), as far as it tells.

use std::net::IpAddr;

use netkit_nl::route::{self, family, kind};
use netkit_nl::{Protocol, Request, Socket};
use netkit_probe::scan;

/// linux/rtnetlink.h and linux/if_link.h.
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_VIA: u16 = 18;
const RTN_UNICAST: u8 = 1;
const RTN_LOCAL: u8 = 2;
const IFLA_ADDRESS: u16 = 1;
const ARPHRD_ETHER: u16 = 1;
const IFF_NOARP: u32 = 0x80;

/// One way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) ifindex: u32,
    /// Without a router in between.
    pub(crate) direct: bool,
    /// To this machine itself.
    pub(crate) local: bool,
}

/// The kernel's answers.
pub(crate) struct Ways {
    socket: Socket,
    interface: Option<u32>,
}

impl Ways {
    /// None where the kernel cannot be asked.
    pub(crate) fn open(interface: Option<&str>) -> Option<Ways> {
        let interface = interface.and_then(|name| nix::net::if_::if_nametoindex(name).ok());
        Some(Ways { socket: Socket::open(Protocol::Route).ok()?, interface })
    }

    /// The way to an address; none where there is no route.
    pub(crate) fn to(&mut self, ip: IpAddr) -> Option<Way> {
        let (family, bits, octets) = match ip {
            IpAddr::V4(v4) => (family::INET, 32, v4.octets().to_vec()),
            IpAddr::V6(v6) => (family::INET6, 128, v6.octets().to_vec()),
        };
        let header = route::Route { family, dst_len: bits, ..route::Route::default() };
        let mut request = Request::new(kind::GET_ROUTE, 0, &header.bytes()).attr(RTA_DST, &octets);
        if let Some(interface) = self.interface {
            request.put(RTA_OIF, &interface.to_ne_bytes());
        }
        let answer = self.socket.exchange(&request).ok()?;
        let message = answer.messages().find(|message| message.kind == kind::NEW_ROUTE)?;
        let header = route::Route::read(message.payload)?;
        let attrs = message.attrs(route::Route::LENGTH);
        let through = attrs.find(RTA_GATEWAY).or_else(|| attrs.find(RTA_VIA)).is_some();
        Some(Way {
            ifindex: attrs.find(RTA_OIF).and_then(|attr| attr.u32()).unwrap_or(0),
            direct: header.kind == RTN_UNICAST && !through,
            local: header.kind == RTN_LOCAL,
        })
    }

    /// The link of an interface, where neighbours are found by asking all of them.
    pub(crate) fn link(&mut self, ifindex: u32) -> Option<scan::Link> {
        let header = route::Link { index: i32::try_from(ifindex).ok()?, ..route::Link::default() };
        let answer = self.socket.exchange(&Request::new(kind::GET_LINK, 0, &header.bytes())).ok()?;
        let message = answer.messages().find(|message| message.kind == kind::NEW_LINK)?;
        let header = route::Link::read(message.payload)?;
        if header.arp != ARPHRD_ETHER || header.flags & IFF_NOARP != 0 {
            return None;
        }
        let mac = message.attrs(route::Link::LENGTH).find(IFLA_ADDRESS)?;
        Some(scan::Link { ifindex, mac: *mac.value.first_chunk()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_local_and_no_ethernet() {
        let Some(mut ways) = Ways::open(None) else { return };
        let Some(way) = ways.to([127, 0, 0, 1].into()) else { return };
        assert!(way.local && !way.direct);
        assert_eq!(ways.link(way.ifindex), None);
    }
}
