//! A table of legacy x_tables as getsockopt(2) returns it, its hooks and policies with it: read, and every rule saved and
//! listed. Reading it again says the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netkit_nf::legacy::{Blob, Info};
use netkit_nf::list::{self, Format, Heading};
use netkit_nf::{Family, save};

/// Family, hooks, and where they begin and end, before the entries.
const HEAD: usize = 1 + 4 + 20 + 20;

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

fn print(family: Family, info: &Info, entries: &[u8]) -> Option<String> {
    let blob = Blob::read(family, info, entries).ok()?;
    let mut out = String::new();
    for chain in &blob.chains {
        let heading = Heading { name: &chain.name, policy: chain.policy, references: chain.references };
        list::heading(&mut out, &heading, Format { verbose: true, ..Format::default() });
        // A table that leads in circles must not make the output larger than the table allows.
        for rule in blob.rules(chain).map_while(Result::ok).take(entries.len() / 100 + 1) {
            save::rule(&mut out, family, &chain.name, &rule, true, &|_| None);
            for numeric in [true, false] {
                let format = Format { numeric, verbose: true, line_numbers: true, ..Format::default() };
                list::rule(&mut out, family, &rule, 1, format, &|index| Some(format!("set{index}")));
            }
        }
        if out.len() > 1 << 20 {
            break;
        }
    }
    Some(out)
}

fuzz_target!(|bytes: &[u8]| {
    let family = if bytes.first().is_some_and(|first| first & 1 == 1) { Family::Ipv6 } else { Family::Ipv4 };
    let info = Info {
        valid_hooks: word(bytes, 1),
        hook_entry: std::array::from_fn(|hook| word(bytes, 5 + 4 * hook)),
        underflow: std::array::from_fn(|hook| word(bytes, 25 + 4 * hook)),
    };
    let entries = bytes.get(HEAD..).unwrap_or_default();
    assert_eq!(print(family, &info, entries), print(family, &info, entries));
});
