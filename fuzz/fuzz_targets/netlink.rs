//! A datagram from the kernel, or from somebody who passes for it: walked as messages and attributes, read as every
//! fixed header, and played to the dump loop.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netkit_nl::{Attrs, Error, Messages, Request, Transport, diag, dump, exchange, flags, netfilter, route};

/// Answers every request with the same bytes, once.
struct Once<'a>(Option<&'a [u8]>);

impl Transport for Once<'_> {
    fn send(&mut self, _: &Request) -> Result<u32, Error> {
        Ok(1)
    }

    fn receive(&mut self) -> Result<&[u8], Error> {
        self.0.take().ok_or(Error::Malformed("no more"))
    }

    fn port(&self) -> u32 {
        0
    }
}

fn walk(attrs: Attrs<'_>, depth: u8) -> usize {
    let mut seen = 0;
    for attr in attrs {
        let _ = (attr.number(), attr.ip(), attr.text(), attr.be16(), attr.be32(), attr.i32());
        seen += 1 + if depth > 0 { walk(attr.nested(), depth - 1) } else { 0 };
    }
    seen
}

fuzz_target!(|bytes: &[u8]| {
    for message in Messages::new(bytes) {
        let payload = message.payload;
        let _ = (message.ack(), netfilter::Header::read(payload), netfilter::split(&message));
        for fixed in [4, 8, 12, 16, 28, 72] {
            assert!(walk(message.attrs(fixed), 3) <= bytes.len());
        }
        let _ = (route::Link::read(payload), route::Addr::read(payload), route::Route::read(payload));
        let _ = (route::Neighbour::read(payload), route::Nexthop::read(payload));
        assert!(route::hops(payload).count() <= payload.len());
        if let Some(socket) = diag::InetMessage::read(payload) {
            let _ = diag::inet_destroy(&socket, 6).finish(1);
        }
        let _ = (diag::UnixMessage::read(payload), diag::PacketMessage::read(payload));
        let _ = (diag::NetlinkMessage::read(payload), diag::VsockMessage::read(payload));
        let _ = (diag::TcpInfo::read(payload), diag::SkMemInfo::read(payload));
    }
    let request = Request::new(18, flags::DUMP, &[0; 16]);
    let _ = dump(&mut Once(Some(bytes)), &request);
    let _ = exchange(&mut Once(Some(bytes)), &request);
});
