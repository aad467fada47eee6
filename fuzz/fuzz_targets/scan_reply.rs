//! What comes back to a raw scan: any packet that passes its filter, and errors that quote packets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netkit_probe::scan::packet::{self, What};

fuzz_target!(|bytes: &[u8]| {
    let Some(reply) = packet::read(bytes) else { return };
    // What a segment says can be said again, and is read the same.
    if let What::Tcp { ports, flags, .. } = reply.what {
        let again = packet::tcp(reply.from, reply.from, ports, 7, flags, reply.ttl);
        let read = packet::read(&again).map(|reply| (reply.from, reply.ttl, reply.what));
        assert!(matches!(read, Some((from, ttl, What::Tcp { ports: there, seq: 7, .. }))
            if from == reply.from && ttl == reply.ttl && there == ports));
    }
});
