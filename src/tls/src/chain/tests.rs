//! What is said of a certificate that signs itself, and that hostile bytes do no harm. The rest stands beside OpenSSL in
//! the end-to-end tests.

use super::*;
use proptest::prelude::*;

const NOW: i64 = 1_700_000_000;

fn own(name: &str) -> Vec<u8> {
    crate::temporary::certificate(name, NOW).unwrap().certificate
}

fn codes(der: &[u8], store: &[&[u8]], query: &Query<'_>) -> Vec<u16> {
    errors(der, &[der.to_vec()], store, query).unwrap().errors.iter().map(|(code, _)| *code).collect()
}

#[test]
fn one_that_signs_itself() {
    let der = own("www.example.com");
    let store: &[&[u8]] = &[&der];
    let query = Query { now: Some(NOW), purpose: Purpose::Server, ..Query::default() };
    assert_eq!(codes(&der, store, &Query { host: Some("www.example.com"), ..query.clone() }), []);
    assert_eq!(codes(&der, store, &Query { host: Some("example.com"), ..query.clone() }), [62]);
    assert_eq!(codes(&der, store, &Query { address: Some([127, 0, 0, 1].into()), ..query.clone() }), [64]);
    assert_eq!(codes(&der, store, &Query { email: Some("a@b"), ..query.clone() }), [63]);
    assert_eq!(codes(&der, &[], &query), [18]);
    assert_eq!(codes(&der, store, &Query { now: Some(NOW + 400 * 86_400), ..query.clone() }), [10]);
    assert_eq!(codes(&der, store, &Query { now: Some(0), ..query.clone() }), [9]);
    assert_eq!(codes(&der, store, &Query { level: 3, ..query.clone() }), []);
    assert_eq!(codes(&der, store, &Query { level: 4, ..query }), [66]);
}

#[test]
fn stops_when_told_to() {
    let der = own("x");
    let query = Query { now: Some(0), ..Query::default() };
    let mut seen = Vec::new();
    let verdict = judge(&der, &[], &[], &query, &mut |report| {
        seen.push(report.code);
        report.ok
    });
    assert_eq!((seen, verdict.unwrap().passed), (vec![18], false));
}

#[test]
fn stars() {
    for (pattern, host, fits) in [
        ("*.example.com", "a.example.com", true),
        ("*.example.com", "a.b.example.com", false),
        ("f*.example.com", "foo.example.com", true),
        ("f*o.example.com", "foo.example.com", false),
        ("*.com", "example.com", false),
        ("*.xn--bcher-kva.example", "a.xn--bcher-kva.example", true),
        ("xn--*.example.com", "xn--a.example.com", false),
        ("A.example", "a.EXAMPLE", true),
    ] {
        let der = own(pattern);
        let read = netkit_wire::x509::Certificate::read(&der).unwrap();
        assert_eq!(fits_host(&read, host), fits, "{pattern} {host}");
    }
}

proptest! {
    #[test]
    fn any_bytes(mut changes in proptest::collection::vec((0usize..400, any::<u8>()), 1..6), partial in any::<bool>()) {
        let mut der = own("www.example.com");
        // Never the certificate that was trusted.
        changes.push((200, changes.first().map_or(0, |change| change.1)));
        let trusted = der.clone();
        for (at, byte) in changes {
            if let Some(place) = der.get_mut(at) {
                *place = byte;
            }
        }
        let query = Query { now: Some(NOW), partial, purpose: Purpose::Server, host: Some("www.example.com"), ..Query::default() };
        let verdict = errors(&der, std::slice::from_ref(&trusted), &[&trusted], &query);
        if let Some(verdict) = verdict.filter(|verdict| verdict.errors.is_empty()) {
            prop_assert!(verdict.unchecked.is_empty());
            prop_assert!(verdict.chain.last().is_some_and(|(_, at)| at.is_some()));
        }
    }
}
