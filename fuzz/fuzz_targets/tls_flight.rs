//! What servers answer to a hello: records and messages in the clear, in any pieces; staples.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netkit_wire::ocsp::Response;
use netkit_wire::tls::flight::{CertificateRequest, Flight, KeyExchange, ServerHello};
use netkit_wire::tls::{alert_name, extension_name, group_name, scheme_name, version, version_name};

fuzz_target!(|bytes: &[u8]| {
    let mut whole = Flight::default();
    whole.feed(bytes);
    let size = usize::from(bytes.first().copied().unwrap_or(1) % 7) + 1;
    let mut pieces = Flight::default();
    bytes.chunks(size).for_each(|piece| pieces.feed(piece));
    // What is read does not depend on how it arrives.
    assert_eq!(whole.hello, pieces.hello);
    assert_eq!(whole.alert, pieces.alert);
    assert_eq!(whole.exchange, pieces.exchange);
    if let Some(hello) = &whole.hello {
        let _ = (version_name(hello.version), hello.alpn(), hello.group.map(group_name));
        for (number, _) in &hello.extensions {
            let _ = extension_name(*number);
        }
    }
    let _ = whole.alert.and_then(|(_, alert)| alert_name(alert));
    let _ = whole.exchange.and_then(|exchange| exchange.scheme).map(scheme_name);
    // The bodies of messages by themselves, as suites of every kind of key exchange have them.
    for suite in [0xc02f, 0xc018, 0x009e, 0x0034, 0x00aa, 0xc035, 0x002c, 0x0003] {
        for agreed in [version::TLS10, version::TLS12] {
            let _ = KeyExchange::read(bytes, suite, agreed);
        }
    }
    let _ = (ServerHello::read(bytes), CertificateRequest::read(bytes, version::TLS12));
    let _ = Response::read(bytes).map(|response| response.verdict());
});
