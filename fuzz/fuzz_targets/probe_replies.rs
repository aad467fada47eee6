//! What a proxy answers, and what stands in front of a stream: SOCKS4, SOCKS5 and CONNECT replies, PROXY headers, and
//! answers to UDP probes.
#![no_main]

use std::io::{Cursor, Read, Write};

use libfuzzer_sys::fuzz_target;
use netkit_probe::proxy::{Credentials, Destination, Kind, negotiate};
use netkit_probe::proxy_protocol::{Header, MAX_HEADER, Version};
use netkit_probe::udp::{Ask, Service};

/// Answers with the fuzzed bytes and takes whatever is asked.
struct Played<'a>(Cursor<&'a [u8]>);

impl Read for Played<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Played<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let credentials = Credentials { user: "u".to_owned(), password: "p".to_owned() };
    for kind in [Kind::Socks4, Kind::Socks4a, Kind::Socks5, Kind::Http] {
        for given in [None, Some(&credentials)] {
            let to = Destination::Address(([10, 0, 0, 1], 80).into());
            if let Err(error) = negotiate(&mut Played(Cursor::new(bytes)), kind, &to, given) {
                // Shown on a terminal, so nothing of the peer's may move the cursor.
                assert!(!error.to_string().chars().any(char::is_control), "{error}");
            }
        }
    }
    if let Ok(Some((header, length))) = Header::decode(bytes) {
        assert!(length <= bytes.len() && length <= MAX_HEADER);
        for version in [Version::V1, Version::V2] {
            let again = header.encode(version);
            assert_eq!(Header::decode(&again), Ok(Some((header, again.len()))));
        }
    }
    for service in [Service::Dns, Service::Ntp, Service::Snmp, Service::Quic] {
        let _ = Ask::new(service).answer(bytes);
    }
});
