//! A name as typed, or in a message: what is accepted keeps to the limits, and its text means the same name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netkit_wire::dns::Name;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(name) = Name::parse_bytes(bytes) {
        sound(&name);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert_eq!(Name::parse(text), Name::parse_bytes(bytes));
    }
    for at in 0..bytes.len().min(16) {
        if let Ok((name, end)) = Name::decode(bytes, at) {
            assert!(end > at && end <= bytes.len());
            sound(&name);
        }
    }
});

/// RFC 1035, section 2.3.4: at most 255 octets, labels of at most 63.
fn sound(name: &Name) {
    assert!(name.wire().len() <= 255);
    assert!(name.labels().all(|label| label.len() <= 63));
    let text = name.to_string();
    assert!(text.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{text:?}");
    let again = Name::parse(&text);
    assert_eq!(again.as_ref().map(Name::wire), Ok(name.wire()), "{text:?}");
    assert!(name.ends_with(&name.parent()) && name.ends_with(&Name::root()));
    let _ = (name.to_lowercase(), name.concat(name), name.label_count());
}
