//! Certificates and PEM from anybody: read, and printed to the last extension.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netkit_wire::x509::{Certificate, NameStyle, extension_text, full, name_text};
use netkit_wire::{der, pem};

fuzz_target!(|bytes: &[u8]| {
    if let Some(read) = Certificate::read(bytes) {
        let _ = (full(&read), read.alt_names(), read.common_name(), read.purposes(), read.key_usage(), read.constraints());
        for style in [NameStyle::OneLine, NameStyle::Rfc2253, NameStyle::Slashes] {
            let _ = (name_text(read.subject, style), name_text(read.issuer, style));
        }
        for extension in read.extensions() {
            let _ = extension_text(&extension);
        }
    }
    for element in der::Children::of(bytes) {
        let _ = (der::dotted(element.content), der::time(element));
    }
    for block in pem::blocks(&String::from_utf8_lossy(bytes)) {
        assert_eq!(pem::blocks(&pem::encode(&block.label, &block.der)).first().map(|one| &one.der), Some(&block.der));
    }
});
