//! Rules of both backends and a packet as typed: whatever they are, the walk ends, and the ways it finds are all of them.
#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use netkit_nf::legacy::{Blob, Info};
use netkit_nf::nft::{NftChain, NftHook, NftTable};
use netkit_nf::walk::kernel::{Entry, Found, Link, Question as RouteQuestion, Route, SetEntry};
use netkit_nf::walk::{Kernel, LegacyTable, Native, Packet, Question, Rules, walk};

/// A kernel that answers by the bits of what it is asked.
struct Oracle;

fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(v4) => v4.octets()[3],
        IpAddr::V6(v6) => v6.octets()[15],
    }
}

impl Kernel for Oracle {
    fn route(&self, question: &RouteQuestion) -> Result<Route, i32> {
        let number = bits(question.destination);
        if number % 7 == 6 {
            return Err(i32::from(number));
        }
        Ok(Route { kind: 1 + number % 5, output: 1 + u32::from(number % 3), gateway: None, source: None })
    }

    fn address_type(&self, address: IpAddr, _: u32) -> Option<u8> {
        Some(1 + bits(address) % 5)
    }

    fn link(&self, index: u32) -> Option<Link> {
        let name = format!("if{index}");
        (index < 4).then(|| Link {
            index,
            name,
            kind: 1,
            group: 0,
            loopback: index == 1,
            master: 0,
            bridge: index == 2,
        })
    }

    fn link_named(&self, _: &str) -> Option<Link> {
        self.link(3)
    }

    fn source_on(&self, _: u32, towards: IpAddr) -> Option<IpAddr> {
        Some(towards)
    }

    fn connection(&self, _: &Packet) -> Result<Option<Entry>, String> {
        Ok(None)
    }

    fn in_set(&self, name: &str, entry: &SetEntry) -> Result<bool, String> {
        if name.is_empty() { Err(String::new()) } else { Ok(bits(entry.addresses[0]) % 2 == 0) }
    }

    fn element(&self, _: u8, _: &str, _: &str, key: &[u8]) -> Result<Option<Found>, String> {
        Ok(match key.first() {
            Some(0) => Some(Found::Verdict(-3, Some("a".to_owned()))),
            Some(1) => Some(Found::Value(key.to_vec())),
            Some(2) => Some(Found::Member),
            _ => None,
        })
    }

    fn sysctl(&self, _: &str) -> Option<String> {
        Some("1".to_owned())
    }
}

fn chain(name: &str, hook: Option<u32>) -> NftChain {
    let hook = hook.map(|number| NftHook {
        number,
        priority: 0,
        kind: "filter".to_owned(),
        policy: 1,
        devices: Vec::new(),
        counters: None,
    });
    let (table, name) = ("t".to_owned(), name.to_owned());
    NftChain { family: 1, table, name, handle: 1, hook, uses: 1, flags: 0, userdata: Vec::new() }
}

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let text = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let rules = parts.next().unwrap_or_default();
    let Ok(packet) = Packet::parse(&text, None) else { return };
    let hook = rules.first().map_or(0, |byte| u32::from(byte % 5));
    let rules = rules.get(1..).unwrap_or_default();
    let table = NftTable { family: 1, name: "t".to_owned(), flags: 0, handle: 1, owner: None, userdata: Vec::new() };
    let chains = vec![chain("f", Some(hook)), chain("a", None)];
    let native = Native::recorded(vec![table], chains, vec![rules.to_vec(), rules.to_vec()]);
    let family = packet.family();
    let info = Info { valid_hooks: 0x1f, hook_entry: [0; 5], underflow: [0; 5] };
    let legacy = Blob::read(family, &info, rules).map(|blob| LegacyTable { name: "nat".to_owned(), blob });
    let rules = Rules {
        family,
        legacy: legacy.into_iter().collect(),
        native: Some(native),
        sets: &|index| Some(format!("set{index}")),
        text: &|rule| rule.handle.to_string(),
        notes: Vec::new(),
    };
    let question = Question { packet, from: None, input: None, state: None };
    if let Ok(report) = walk(&rules, &Oracle, &question) {
        let all: f64 = report.outcomes.iter().map(|way| way.share).sum();
        assert!(report.truncated || (all - 1.0).abs() < 1e-6, "{all}");
    }
});
