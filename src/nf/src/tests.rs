//! Whatever bytes come, reading and printing them ends, and a table that was read once reads the same again.

use proptest::prelude::*;

use crate::ipset::{Depth, Mode, Printer};
use crate::legacy::{Blob, Info};
use crate::list::{self, Format};
use crate::nft::{NftRule, compat};
use crate::{Extension, Family, ext, save};

/// An entry of a legacy table, with lengths that fit or nearly so.
fn entry() -> impl Strategy<Value = Vec<u8>> {
    let part = (
        prop::sample::select(vec!["", "ERROR", "tcp", "comment", "conntrack", "DNAT", "LOG", "set", "x"]),
        0u8..4,
        prop::collection::vec(any::<u8>(), 0..200),
    );
    (prop::collection::vec(any::<u8>(), 112), prop::collection::vec(part, 1..4), -3i16..3).prop_map(
        |(header, parts, lie)| {
            let mut bytes = header;
            let mut target = 0;
            for (name, revision, data) in parts {
                target = bytes.len();
                let size = (32 + data.len()).next_multiple_of(8);
                bytes.extend_from_slice(&u16::try_from(size).unwrap().to_ne_bytes());
                let mut field = [0; 30];
                field[..name.len()].copy_from_slice(name.as_bytes());
                field[29] = revision;
                bytes.extend_from_slice(&field);
                bytes.extend_from_slice(&data);
                bytes.resize(target + size, 0);
            }
            let length = i16::try_from(bytes.len()).unwrap() + lie / 2;
            bytes[88..90].copy_from_slice(&u16::try_from(target).unwrap().to_ne_bytes());
            bytes[90..92].copy_from_slice(&length.to_ne_bytes());
            bytes
        },
    )
}

fn print_all(family: Family, info: &Info, bytes: &[u8]) -> Option<String> {
    let blob = Blob::read(family, info, bytes).ok()?;
    let mut out = String::new();
    for chain in &blob.chains {
        for rule in blob.rules(chain).map_while(Result::ok) {
            save::rule(&mut out, family, &chain.name, &rule, true, &|_| None);
            for numeric in [true, false] {
                list::rule(&mut out, family, &rule, 1, Format { numeric, verbose: true, ..Format::default() }, &|_| {
                    None
                });
            }
        }
    }
    Some(out)
}

proptest! {
    #[test]
    fn legacy_tables_of_any_bytes(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
        hooks in any::<u32>(),
        entries in prop::collection::vec(entry(), 0..6),
        underflow in 0u32..2000,
    ) {
        let info = Info { valid_hooks: hooks, hook_entry: [0; 5], underflow: [underflow; 5] };
        for family in [Family::Ipv4, Family::Ipv6] {
            print_all(family, &info, &bytes);
            print_all(family, &info, &entries.concat());
        }
    }

    #[test]
    fn extensions_of_any_bytes(
        choice in any::<prop::sample::Index>(),
        of_targets in any::<bool>(),
        revision in 0u8..5,
        protocol in prop::sample::select(vec![0u16, 1, 6, 17, 58, 132]),
        data in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(255), any::<u8>()], 0..600),
    ) {
        let names: Vec<&str> = ext::names_of(of_targets).collect();
        let found = Extension { name: names[choice.index(names.len())].into(), revision, data: (&data).into() };
        for family in [Family::Ipv4, Family::Ipv6] {
            for (save, numeric) in [(true, true), (false, true), (false, false)] {
                let names = Some((|_, number| (number % 2 == 0).then(|| "name".to_owned())) as ext::names::Lookup);
                let context = ext::Context { family, protocol, numeric, save, names, sets: &|_| None };
                let mut out = String::new();
                match (of_targets, save) {
                    (true, true) => ext::save_target(&mut out, &found, &context),
                    (true, false) => ext::list_target(&mut out, &found, &context),
                    (false, true) => ext::save_match(&mut out, &found, &context),
                    (false, false) => ext::list_match(&mut out, &found, &context),
                }
                prop_assert!(out.len() <= 64 * data.len() + 4096);
            }
        }
    }

    #[test]
    fn sets_of_any_attributes(bytes in prop::collection::vec(prop_oneof![Just(0u8), 0u8..32, any::<u8>()], 0..600)) {
        let mut whole = u32::try_from(bytes.len() + 16).unwrap().to_ne_bytes().to_vec();
        whole.resize(16, 0);
        whole.extend_from_slice(&bytes);
        for mode in [Mode::Plain, Mode::Save, Mode::Xml] {
            for sorted in [false, true] {
                let mut printer = Printer::new(mode, Depth::All, sorted);
                let mut out = String::new();
                printer.begin(&mut out);
                for message in netkit_nl::Messages::new(&whole) {
                    printer.message(&mut out, &message);
                }
                printer.end(&mut out);
            }
        }
    }

    #[test]
    fn rules_of_any_attributes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for message in netkit_nl::Messages::new(&bytes) {
            if let Some(rule) = NftRule::read(&message) {
                let _ = compat::rule(&rule, Family::Ipv4);
            }
        }
        let mut whole = u32::try_from(bytes.len() + 16).unwrap().to_ne_bytes().to_vec();
        whole.resize(16, 0);
        whole.extend_from_slice(&bytes);
        for message in netkit_nl::Messages::new(&whole) {
            for family in [Family::Ipv4, Family::Ipv6] {
                if let Some(rule) = NftRule::read(&message)
                    && let Ok(rule) = compat::rule(&rule, family)
                {
                    let mut out = String::new();
                    save::rule(&mut out, family, "X", &rule, true, &|_| None);
                }
            }
        }
    }
}

#[test]
fn an_unknown_extension_keeps_its_bytes() {
    let mut bytes = vec![0; 112];
    let target = [&40u16.to_ne_bytes()[..], b"WHAT", &[0; 25], &[7], &[1, 2, 3, 4, 5, 6, 7, 8]].concat();
    bytes.extend_from_slice(&target);
    let length = u16::try_from(bytes.len()).unwrap();
    bytes[88..90].copy_from_slice(&112u16.to_ne_bytes());
    bytes[90..92].copy_from_slice(&length.to_ne_bytes());
    // The policy: a standard target, ACCEPT.
    let mut policy = vec![0; 112];
    policy.extend_from_slice(&[&40u16.to_ne_bytes()[..], &[0; 30], &(-2i32).to_ne_bytes(), &[0; 4]].concat());
    policy[88..90].copy_from_slice(&112u16.to_ne_bytes());
    policy[90..92].copy_from_slice(&152u16.to_ne_bytes());
    bytes.extend_from_slice(&policy);
    let info = Info { valid_hooks: 2, hook_entry: [0; 5], underflow: [u32::from(length); 5] };
    let blob = Blob::read(Family::Ipv4, &info, &bytes).unwrap();
    assert_eq!(blob.chains.len(), 1);
    let rule = blob.rules(&blob.chains[0]).next().unwrap().unwrap();
    let mut out = String::new();
    save::rule(&mut out, Family::Ipv4, "INPUT", &rule, false, &|_| None);
    assert_eq!(out, "-A INPUT -j WHAT [unsupported revision 7, 8 bytes: 0102030405060708]");
}
