//! A DNS message from anybody: decoded, every record printed in every style, options explained, signature checked.
//!
//! The same bytes are taken twice: as a whole message, and as the data of one record whose type is in the first two,
//! because few random messages get as far as the data.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netkit_wire::dns::tsig::{Key, Verifier};
use netkit_wire::dns::{Message, Name, Section, Split, Style};

fuzz_target!(|bytes: &[u8]| {
    message(bytes);
    if let Some((kind, rdata)) = bytes.split_first_chunk::<2>() {
        message(&with_one_record(*kind, rdata));
    }
});

fn message(bytes: &[u8]) {
    let Ok(message) = Message::decode(bytes.to_vec()) else {
        assert!(bytes.len() < 12, "only a message without a whole header is refused");
        return;
    };
    let _ = (message.rcode().to_string(), message.header.flag_bits());
    for question in &message.questions {
        let _ = Message::question_line(question, &Style::default());
    }
    for style in styles() {
        for record in &message.records {
            let (line, _) = message.record_line(record, &style);
            // What a terminal would obey never gets through.
            assert!(!line.bytes().any(|byte| byte == 0x1b || byte == 0x7f || byte == 0), "{line:?}");
        }
    }
    for record in &message.records {
        let _ = (message.rdata_name(record), message.rdata_ip(record), message.soa(record));
        assert!(record.rdata.end <= bytes.len());
    }
    for section in [Section::Answer, Section::Authority, Section::Additional] {
        let _ = message.section(section).count();
    }
    if let Some(opt) = message.opt() {
        for option in &opt.options {
            let _ = (option.text(None), option.text(Some(bytes.get(..8).unwrap_or_default())));
        }
    }
    verify(&message);
}

fn verify(message: &Message) {
    // The key that the message names, or verification would end at once.
    let name = message.tsig().map_or_else(Name::root, |record| record.owner.clone());
    for algorithm in ["hmac-md5", "hmac-sha1", "hmac-sha256-128", "hmac-sha512"] {
        let Ok(algorithm) = algorithm.parse() else { continue };
        let key = Key { name: name.clone(), algorithm, secret: b"secret".to_vec() };
        let mut verifier = Verifier::new(key, vec![0; 16]);
        // As two messages of one transfer.
        let _ = (verifier.check(message, 0), verifier.check(message, u64::from(u32::MAX)));
    }
}

fn styles() -> Vec<Style> {
    let base = Style::default();
    vec![
        base.clone(),
        Style { multiline: true, rrcomments: true, ..base.clone() },
        Style { multiline: true, nocrypto: true, split: Split::Width(4), ..base.clone() },
        Style { unknown_format: true, split: Split::Off, no_class: true, ..base.clone() },
        Style { expand_aaaa: true, ttl_units: true, plain: true, no_ttl: true, ..base },
    ]
}

/// A reply to `a. TYPE` with one answer; the data may point into the message.
fn with_one_record(kind: [u8; 2], rdata: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 1, b'a', 0, kind[0], kind[1], 0, 1];
    bytes.extend_from_slice(&[0xc0, 12, kind[0], kind[1], 0, 1, 0, 0, 0, 60]);
    let length = u16::try_from(rdata.len()).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&rdata[..usize::from(length)]);
    bytes
}
