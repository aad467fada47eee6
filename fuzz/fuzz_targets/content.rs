//! Compressed bodies and certificates from anybody; what comes out is counted, so that a bomb cannot fill the memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netkit_http::decode::Decoder;
use netkit_http::{Code, Failure};

fuzz_target!(|bytes: &[u8]| {
    if let Some(certificate) = netkit_tls::x509::Certificate::parse(bytes) {
        let _ = (certificate.key(), certificate.is_for("www.example.com"), certificate.is_self_issued());
    }
    for coding in ["gzip", "deflate", "br", "zstd", "gzip, br"] {
        let Ok(mut decoder) = Decoder::new([coding].into_iter()) else { continue };
        let mut total = 0;
        let mut sink = |piece: &[u8]| {
            total += piece.len();
            if total > 16 << 20 { Err(Failure::new(Code::FileSize, "enough")) } else { Ok(()) }
        };
        if decoder.feed(bytes, &mut sink).is_ok() {
            let _ = decoder.end(&mut sink);
        }
    }
});
