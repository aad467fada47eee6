//! The walk on recordings: rules from bytes, a kernel that answers from a table.

use std::net::IpAddr;

use netkit_nl::{Request, flags};
use proptest::prelude::*;

use super::kernel::{Entry, Found, Kernel, Link, Question as RouteQuestion, Route, SetEntry, rtn};
use super::*;
use crate::legacy::{Blob, Info};
use crate::model::Family;
use crate::nft::{NftChain, NftHook, NftTable};

/// A router with a link in, a link out and one address.
struct Lab;

impl Kernel for Lab {
    fn route(&self, question: &RouteQuestion) -> Result<Route, i32> {
        let text = question.destination.to_string();
        let (kind, output) = match text.as_str() {
            "10.0.0.1" => (rtn::LOCAL, 1),
            text if text.starts_with("10.1.") || text.starts_with("fd01:") => (rtn::UNICAST, 2),
            text if text.starts_with("10.2.") || text.starts_with("fd02:") => (rtn::UNICAST, 3),
            _ => return Err(101),
        };
        Ok(Route { kind, output, gateway: None, source: None })
    }

    fn address_type(&self, address: IpAddr, _: u32) -> Option<u8> {
        Some(if address.to_string() == "10.0.0.1" { rtn::LOCAL } else { rtn::UNICAST })
    }

    fn link(&self, index: u32) -> Option<Link> {
        let name = ["", "lo", "in0", "out0"].get(usize::try_from(index).ok()?).filter(|name| !name.is_empty())?;
        let (loopback, name) = (index == 1, (*name).to_owned());
        Some(Link { index, name, kind: 1, group: 0, loopback, master: 0, bridge: false })
    }

    fn link_named(&self, name: &str) -> Option<Link> {
        (1..4).filter_map(|index| self.link(index)).find(|link| link.name == name)
    }

    fn source_on(&self, _: u32, towards: IpAddr) -> Option<IpAddr> {
        towards.is_ipv4().then(|| "10.0.0.1".parse().unwrap())
    }

    fn connection(&self, _: &Packet) -> Result<Option<Entry>, String> {
        Ok(None)
    }

    fn in_set(&self, name: &str, entry: &SetEntry) -> Result<bool, String> {
        if name == "broken" { Err("broken".to_owned()) } else { Ok(entry.addresses[0].to_string() == "10.1.0.2") }
    }

    fn element(&self, _: u8, _: &str, _: &str, key: &[u8]) -> Result<Option<Found>, String> {
        Ok((key.first() == Some(&1)).then_some(Found::Verdict(0, None)))
    }

    fn sysctl(&self, path: &str) -> Option<String> {
        (path == "ipv6/conf/all/forwarding").then(|| "1".to_owned())
    }
}

fn question(text: &str) -> Question {
    Question { packet: Packet::parse(text, None).unwrap(), from: None, input: None, state: None }
}

fn rules<'a>(native: Option<Native>, legacy: Vec<LegacyTable<'a>>) -> Rules<'a> {
    let text = &|rule: &crate::nft::NftRule<'_>| format!("handle {}", rule.handle);
    Rules { family: Family::Ipv4, legacy, native, sets: &|_| Some("set".to_owned()), text, notes: Vec::new() }
}

/// A message NFT_MSG_NEWRULE of table t.
fn rule(chain: &str, handle: u64, expressions: impl Fn(Request) -> Request) -> Vec<u8> {
    netkit_nl::netfilter::request(10, 6, flags::MULTI, 1)
        .text(1, "t")
        .text(2, chain)
        .attr(3, &handle.to_be_bytes())
        .nest(4, expressions)
        .finish(1)
}

fn be(request: Request, kind: u16, number: u32) -> Request {
    request.attr(kind, &number.to_be_bytes())
}

/// An expression in its list.
fn expression(list: Request, name: &str, fill: impl FnOnce(Request) -> Request) -> Request {
    list.nest(1, |element| element.text(1, name).nest(2, fill))
}

fn verdict(list: Request, code: i32, chain: &str) -> Request {
    expression(list, "immediate", |it| {
        be(it, 1, 0).nest(2, |data| {
            data.nest(2, |verdict| {
                let verdict = verdict.attr(1, &code.to_be_bytes());
                if chain.is_empty() { verdict } else { verdict.text(2, chain) }
            })
        })
    })
}

/// One octet or more of the transport header, compared.
fn transport(list: Request, offset: u32, data: &[u8]) -> Request {
    let length = u32::try_from(data.len()).unwrap();
    let list = expression(list, "payload", |it| be(be(be(be(it, 1, 1), 2, 2), 3, offset), 4, length));
    expression(list, "cmp", |it| be(be(it, 1, 1), 2, 0).nest(3, |value| value.attr(1, data)))
}

fn base(name: &str, hook: Option<(u32, u32)>) -> NftChain {
    let hook = hook.map(|(number, policy)| NftHook {
        number,
        priority: 0,
        kind: "filter".to_owned(),
        policy,
        devices: Vec::new(),
        counters: None,
    });
    let (table, name) = ("t".to_owned(), name.to_owned());
    NftChain { family: 1, table, name, handle: 1, hook, uses: 1, flags: 0, userdata: Vec::new() }
}

fn recorded(chains: Vec<(NftChain, Vec<u8>)>) -> Native {
    let table = NftTable { family: 1, name: "t".to_owned(), flags: 0, handle: 1, owner: None, userdata: Vec::new() };
    let (chains, rules) = chains.into_iter().unzip();
    Native::recorded(vec![table], chains, rules)
}

fn asked(native: Native, text: &str) -> Report {
    walk(&rules(Some(native), Vec::new()), &Lab, &question(text)).unwrap()
}

#[test]
fn a_port_that_is_named_decides_and_one_that_is_not_leaves_it_open() {
    let drop53 = || rule("f", 5, |list| verdict(transport(list, 2, &[0, 53]), 0, ""));
    let native = || recorded(vec![(base("f", Some((2, 1))), drop53())]);
    let report = asked(native(), "udp 10.1.0.2 -> 10.2.0.2:53");
    assert_eq!(report.outcomes[0].verdict, Verdict::Drop);
    assert_eq!(report.outcomes[0].deciding().unwrap().place(), "nft inet t f 1");
    let report = asked(native(), "udp 10.1.0.2 -> 10.2.0.2:54");
    assert_eq!((report.outcomes[0].verdict, report.outcomes[0].output.as_deref()), (Verdict::Accept, Some("out0")));
    assert!(report.alternatives.is_empty());

    let from = |port: u16| rule("f", 5, move |list| verdict(transport(list, 0, &port.to_be_bytes()), 0, ""));
    let report = asked(recorded(vec![(base("f", Some((2, 1))), from(40_000))]), "udp 10.1.0.2 -> 10.2.0.2:53");
    assert_eq!(report.outcomes[0].verdict, Verdict::Accept);
    assert!(report.alternatives[0].matters && report.alternatives[0].verdict == Verdict::Drop);
    // A port that no client takes by itself.
    let report = asked(recorded(vec![(base("f", Some((2, 1))), from(53))]), "udp 10.1.0.2 -> 10.2.0.2:53");
    assert!(report.alternatives.is_empty());
}

#[test]
fn numbers_that_are_drawn_are_all_played() {
    let draw = rule("f", 5, |list| {
        let list = expression(list, "numgen", |it| be(be(be(be(it, 1, 1), 2, 4), 3, 1), 4, 0));
        let list =
            expression(list, "cmp", |it| be(be(it, 1, 1), 2, 0).nest(3, |value| value.attr(1, &3u32.to_ne_bytes())));
        verdict(list, 0, "")
    });
    let report = asked(recorded(vec![(base("f", Some((2, 1))), draw)]), "tcp 10.1.0.2 -> 10.2.0.2:1");
    assert_eq!(report.outcomes.len(), 4);
    let dropped: f64 = report.outcomes.iter().filter(|way| way.verdict == Verdict::Drop).map(|way| way.share).sum();
    let all: f64 = report.outcomes.iter().map(|way| way.share).sum();
    assert!((dropped - 0.25).abs() < 1e-9 && (all - 1.0).abs() < 1e-9);
}

#[test]
fn circles_end_and_are_said() {
    let round = [rule("f", 1, |list| verdict(list, -3, "g")), rule("f", 2, |list| verdict(list, -3, "g"))].concat();
    let back = [1, 2, 3].map(|handle| rule("g", handle, |list| verdict(list, -3, "g"))).concat();
    let report =
        asked(recorded(vec![(base("f", Some((2, 1))), round), (base("g", None), back)]), "tcp 10.1.0.2 -> 10.2.0.2:1");
    assert!(report.truncated && !report.notes.is_empty());
}

#[test]
fn what_cannot_be_routed_is_said() {
    let native = || recorded(vec![(base("f", Some((2, 0))), Vec::new())]);
    let report = asked(native(), "tcp 10.1.0.2 -> 203.0.113.1:1");
    assert_eq!(report.outcomes[0].verdict, Verdict::Unroutable);
    // The host's own address is input, which nothing forbids here.
    let report = asked(native(), "tcp 10.1.0.2 -> 10.0.0.1:1");
    assert_eq!((report.outcomes[0].verdict, report.outcomes[0].output.clone()), (Verdict::Accept, None));
    let no_link = Question { input: Some("nope".to_owned()), ..question("tcp 10.1.0.2 -> 10.2.0.2:1") };
    assert!(walk(&rules(None, Vec::new()), &Lab, &no_link).unwrap_err().contains("nope"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the rules are made of, a walk ends.
    #[test]
    fn walks_over_any_bytes(
        expressions in prop::collection::vec(
            (prop::sample::select(vec![
                "payload", "meta", "ct", "cmp", "bitwise", "range", "lookup", "immediate", "fib", "numgen", "hash",
                "nat", "masq", "redir", "reject", "limit", "match", "target", "byteorder", "queue", "tproxy", "dynset",
            ]), prop::collection::vec((1u16..8, prop::collection::vec(any::<u8>(), 0..12)), 0..7)), 0..8),
        blob in prop::collection::vec(any::<u8>(), 0..600),
        hook in 0u32..5,
    ) {
        let bytes = rule("f", 1, |list| expressions.iter().fold(list, |list, (name, attrs)| {
            expression(list, name, |it| attrs.iter().fold(it, |it, (kind, value)| it.attr(*kind, value)))
        }));
        let native = recorded(vec![(base("f", Some((hook, 1))), bytes)]);
        let info = Info { valid_hooks: 0x1f, hook_entry: [0; 5], underflow: [200; 5] };
        let legacy = Blob::read(Family::Ipv4, &info, &blob).map(|blob| LegacyTable { name: "filter".to_owned(), blob });
        let rules = rules(Some(native), legacy.into_iter().collect());
        for text in ["udp 10.1.0.2 -> 10.2.0.2:53", "icmp 10.0.0.1 -> 10.2.0.2", "tcp 10.1.0.2:1 -> 10.0.0.1:1"] {
            let report = walk(&rules, &Lab, &question(text)).unwrap();
            prop_assert!(!report.outcomes.is_empty());
            let all: f64 = report.outcomes.iter().map(|way| way.share).sum();
            prop_assert!(report.truncated || (all - 1.0).abs() < 1e-6, "{all}");
        }
    }
}
