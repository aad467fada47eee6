//! The structure of a match or a target, as a legacy table or a compat expression of nf_tables carries it: saved and
//! listed in both families, with and without names.
#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use netkit_nf::ext::{self, Context};
use netkit_nf::{Extension, Family};

fuzz_target!(|bytes: &[u8]| {
    let [which, choice, revision, protocol, data @ ..] = bytes else { return };
    let names: Vec<&str> = ext::names_of(which & 1 == 1).collect();
    let Some(name) = names.get(usize::from(*choice) % names.len()) else { return };
    let found = Extension { name: Cow::Borrowed(name), revision: revision & 7, data: Cow::Borrowed(data) };
    for family in [Family::Ipv4, Family::Ipv6] {
        for numeric in [true, false] {
            let mut context = Context {
                family,
                protocol: u16::from(*protocol),
                numeric,
                save: true,
                names: Some(|_, number| (number % 3 == 0).then(|| format!("name{number}"))),
                sets: &|index| (index % 2 == 0).then(|| format!("set{index}")),
            };
            let (mut saved, mut listed) = (String::new(), String::new());
            match which & 1 {
                1 => ext::save_target(&mut saved, &found, &context),
                _ => ext::save_match(&mut saved, &found, &context),
            }
            context.save = false;
            match which & 1 {
                1 => ext::list_target(&mut listed, &found, &context),
                _ => ext::list_match(&mut listed, &found, &context),
            }
            let _ = (ext::match_name(&found), ext::target_name(&found));
            // What is written grows with the structure, not beyond it.
            assert!(saved.len() + listed.len() <= 64 * data.len() + 4096);
        }
    }
});
