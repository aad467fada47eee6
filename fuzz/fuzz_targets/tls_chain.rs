//! A chain from anybody, judged with part of it as anchors: nothing panics, and what is accepted has an anchor at its end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netkit_tls::chain::{Purpose, Query, judge};
use netkit_tls::keys::Private;
use netkit_wire::der::Children;
use netkit_wire::x509::Certificate;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let all: Vec<Vec<u8>> = Children::of(rest).map(|one| one.whole.to_vec()).take(8).collect();
    let Some(leaf) = all.first() else { return };
    let store: Vec<&[u8]> = all.iter().skip(usize::from(first & 3)).map(Vec::as_slice).collect();
    let purpose = if first & 4 == 0 { Purpose::Server } else { Purpose::Client };
    let query = Query {
        now: (first & 8 == 0).then_some(1_800_000_000),
        purpose,
        host: Some("www.example.com"),
        level: first >> 5,
        partial: first & 16 != 0,
        ..Query::default()
    };
    let mut errors = 0;
    let verdict = judge(leaf, &all, &store, &query, &mut |report| {
        errors += usize::from(!report.ok);
        errors < 3
    });
    if let Some(verdict) = verdict
        && verdict.passed
        && verdict.code == 0
    {
        assert!(verdict.chain.last().is_some_and(|(_, at)| at.is_some()));
    }
    for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"] {
        let key = Private::read(label, rest);
        if let Some(read) = Certificate::read(leaf) {
            let _ = key.belongs_to(&read);
        }
    }
});
