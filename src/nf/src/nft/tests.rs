//! What no kernel at hand can hold, and what no kernel would send.

use std::rc::Rc;

use netkit_nl::{Messages, Request};
use proptest::prelude::*;

use super::build::{self, NoSets, Source};
use super::datatype::Style;
use super::elements::{Collector, Shape};
use super::{Element, NftChain, NftFlowtable, NftObject, NftRule, NftSet, NftTable, family, json, ruleset, text};

fn style() -> Style<'static> {
    Style {
        numeric_symbol: false,
        numeric_priority: false,
        numeric_protocol: false,
        numeric_time: false,
        stateless: false,
        terse: false,
        handles: true,
        names: &|_, _| None,
    }
}

fn be(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// One expression of a rule: its name and its attributes.
type Named<'n> = (&'n str, Vec<(u16, Vec<u8>)>);

/// NFT_MSG_NEWRULE as the kernel sends it.
fn message(family: u8, expressions: &[Named<'_>]) -> Vec<u8> {
    let list = |mut list: Request| {
        for (name, attributes) in expressions {
            list = list.nest(1, |element| {
                element.text(1, name).nest(2, |mut data| {
                    for (kind, value) in attributes {
                        data.put(*kind, value);
                    }
                    data
                })
            });
        }
        list
    };
    Request::new(0x0a06, 0, &[family, 0, 0, 0]).text(1, "t").text(2, "c").nest(4, list).finish(1)
}

fn listed(family: u8, expressions: &[Named<'_>]) -> String {
    let bytes = message(family, expressions);
    let message = Messages::new(&bytes).next().unwrap();
    let rule = NftRule::read(&message).unwrap();
    let mut out = String::new();
    text::statements(&mut out, &build::statements(&rule, &mut NoSets), &style());
    out
}

/// NFTA_DATA_VALUE
fn value(octets: &[u8]) -> Vec<u8> {
    let length = u16::try_from(octets.len() + 4).unwrap();
    let mut bytes = [&length.to_ne_bytes()[..], &1u16.to_ne_bytes(), octets].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn payload(base: u32, offset: u32, length: u32) -> Named<'static> {
    let numbers = [1, base, offset, length];
    ("payload", (1..).zip(numbers).map(|(kind, number)| (kind, be(number).to_vec())).collect())
}

fn compare(octets: &[u8]) -> Named<'static> {
    ("cmp", vec![(1, be(1).to_vec()), (2, be(0).to_vec()), (3, value(octets))])
}

#[test]
fn queues_and_flowtables() {
    let queue = |first: u16, total: u16, flags: u16| {
        let numbers = [first, total, flags];
        listed(
            family::IPV4,
            &[("queue", (1..).zip(numbers).map(|(kind, n)| (kind, n.to_be_bytes().to_vec())).collect())],
        )
    };
    assert_eq!(queue(0, 1, 0), "queue to 0");
    assert_eq!(queue(3, 2, 1), "queue flags bypass to 3-4");
    assert_eq!(queue(1, 5, 3), "queue flags bypass,fanout to 1-5");
    assert_eq!(listed(family::INET, &[("flow_offload", vec![(1, b"ft\0".to_vec())])]), "flow add @ft");
    let bytes = Request::new(0x0a16, 0, &[family::INET, 0, 0, 0])
        .text(1, "t")
        .text(2, "ft")
        .nest(3, |hook| {
            let devices = |list: Request| list.text(1, "eth1").text(1, "eth0");
            hook.attr(1, &be(0)).attr(2, &be(0)).nest(3, devices)
        })
        .attr(5, &7u64.to_be_bytes())
        .attr(7, &be(3))
        .finish(1);
    let found = NftFlowtable::read(&Messages::new(&bytes).next().unwrap()).unwrap();
    let mut out = String::new();
    ruleset::flowtable(&mut out, &found, &style());
    let lines = [
        "\tflowtable ft { # handle 7",
        "\t\thook ingress priority filter",
        "\t\tdevices = { eth0, eth1 }",
        "\t\tflags offload",
        "\t\tcounter",
        "\t}",
        "",
    ];
    assert_eq!(out, lines.join("\n"));
}

#[test]
fn conditions_that_fields_imply() {
    let tcp = [("meta", vec![(1, be(1).to_vec()), (2, be(16).to_vec())]), compare(&[6])];
    let port = [payload(2, 2, 2), compare(&[0, 80])];
    assert_eq!(listed(family::INET, &[&tcp[..], &port].concat()), "tcp dport 80");
    assert_eq!(listed(family::INET, &port), "th dport 80");
    assert_eq!(listed(family::INET, &tcp), "meta l4proto tcp");
    let counter = [("counter", vec![])];
    let between = [&tcp[..], &counter, &port].concat();
    assert_eq!(listed(family::INET, &between), "meta l4proto tcp counter packets 0 bytes 0 tcp dport 80");
    // The first octets of an address.
    assert_eq!(listed(family::IPV4, &[payload(1, 12, 1), compare(&[10])]), "ip saddr 10.0.0.0/8");
    assert_eq!(listed(family::IPV4, &[payload(1, 0, 1), compare(&[0x45])]), "ip version 4 ip hdrlength 5");
}

#[test]
fn what_cannot_be_decoded_is_said_with_its_bytes() {
    assert_eq!(listed(family::IPV4, &[("newthing", vec![(1, vec![1, 2, 3, 4])])]), "unknown newthing 0800010001020304");
    // A comparison with a register that nothing was loaded into.
    assert_eq!(listed(family::IPV4, &[compare(&[1])]), "unknown cmp");
    assert_eq!(listed(family::IPV4, &[("lookup", vec![(1, b"s\0".to_vec()), (2, be(1).to_vec())])]), "unknown lookup");
    assert_eq!(listed(family::IPV4, &[payload(9, 0, 4), compare(&[1, 2, 3, 4])]), "@unknown,0,32 0x1020304");
}

/// Whatever a register is doubled with, what is printed stays small.
#[test]
fn registers_that_hold_each_other() {
    let hash = |from: u32, to: u32| {
        let numbers = [from, to, 16, 10];
        ("hash", (1..).zip(numbers).map(|(kind, number): (u16, u32)| (kind, be(number).to_vec())).collect::<Vec<_>>())
    };
    let mut rule: Vec<Named<'_>> = vec![payload(1, 12, 4)];
    for round in 0..200 {
        rule.push(hash(8, 8 + round % 4));
    }
    rule.push(compare(&[0, 0, 0, 1]));
    assert!(listed(family::IPV4, &rule).len() < 10_000);
}

/// Hands out one set, and the message's own elements.
struct Fixed<'f> {
    set: Option<Rc<NftSet>>,
    elements: &'f [u8],
}

impl Source for Fixed<'_> {
    fn set(&mut self, _: u8, _: &str, _: &str) -> Option<Rc<NftSet>> {
        self.set.clone()
    }

    fn elements(&mut self, _: &NftSet, each: &mut dyn FnMut(&Element<'_>)) {
        for message in Messages::new(self.elements) {
            Element::read_all(&message).for_each(|element| each(&element));
        }
    }
}

fn everything(bytes: &[u8], elements: &[u8]) -> usize {
    let style = style();
    let mut out = String::new();
    let sets: Vec<Rc<NftSet>> =
        Messages::new(elements).filter_map(|message| NftSet::read(&message)).map(Rc::new).collect();
    for message in Messages::new(bytes) {
        if let Some(rule) = NftRule::read(&message) {
            let mut source = Fixed { set: sets.first().cloned(), elements };
            let statements = build::statements(&rule, &mut source);
            ruleset::rule(&mut out, &statements, 1, rule.userdata, &style);
            json::push(&mut out, &json::rule(&rule, &statements, &style));
        }
        if let Some(set) = NftSet::read(&message) {
            let mut collector = Collector::new(&set, Shape::of(&set, None));
            Fixed { set: None, elements }.elements(&set, &mut |element| collector.add(element));
            let found = collector.finish();
            ruleset::set(&mut out, &set, &style);
            ruleset::elements(&mut out, &set, &found, &style);
            json::push(&mut out, &json::set(&set, &found, &style));
        }
        if let Some(found) = NftObject::read(&message) {
            ruleset::object(&mut out, &found, &style);
            json::push(&mut out, &json::object(&found));
        }
        if let Some(found) = NftTable::read(&message) {
            ruleset::table(&mut out, &found, &style);
            json::push(&mut out, &json::table(&found));
        }
        if let Some(found) = NftChain::read(&message) {
            ruleset::chain(&mut out, &found, &style);
            json::push(&mut out, &json::chain(&found));
        }
        if let Some(found) = NftFlowtable::read(&message) {
            ruleset::flowtable(&mut out, &found, &style);
            json::push(&mut out, &json::flowtable(&found));
        }
    }
    out.len()
}

const NAMES: &[&str] = &[
    "payload",
    "cmp",
    "meta",
    "immediate",
    "counter",
    "lookup",
    "bitwise",
    "match",
    "ct",
    "range",
    "nat",
    "numgen",
    "limit",
    "log",
    "exthdr",
    "rt",
    "socket",
    "osf",
    "fib",
    "xfrm",
    "hash",
    "byteorder",
    "dynset",
    "quota",
    "reject",
    "masq",
    "redir",
    "tproxy",
    "queue",
    "dup",
    "fwd",
    "objref",
    "synproxy",
    "nonsense",
];

/// A value that is a small number, a constant, or anything.
fn octets() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (0u32..24).prop_map(|number| be(number).to_vec()),
        prop::collection::vec(any::<u8>(), 1..20).prop_map(|octets| value(&octets)),
        Just(b"__set0\0".to_vec()),
        prop::collection::vec(any::<u8>(), 0..24),
    ]
}

fn expression() -> impl Strategy<Value = Named<'static>> {
    (prop::sample::select(NAMES), prop::collection::vec((1u16..12, octets()), 0..8))
}

proptest! {
    #[test]
    fn messages_of_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let framed = Request::new(0x0a06, 0, &bytes).finish(1);
        everything(&framed, &framed);
    }

    #[test]
    fn rules_of_any_expressions(
        family in prop::sample::select(&[1u8, 2, 3, 5, 7, 10, 99][..]),
        expressions in prop::collection::vec(expression(), 0..12),
        set in prop::collection::vec((1u16..19, octets()), 0..10),
    ) {
        let rule = message(family, &expressions);
        let mut about = Request::new(0x0a09, 0, &[family, 0, 0, 0]).text(1, "t").text(2, "__set0");
        for (kind, octets) in &set {
            about.put(*kind, octets);
        }
        let elements = Request::new(0x0a0c, 0, &[family, 0, 0, 0]).nest(3, |mut list| {
            for (_, octets) in &set {
                list = list.nest(1, |element| element.attr(1, octets).attr(3, &be(u32::try_from(octets.len() % 3).unwrap())));
            }
            list
        });
        let others = [about.finish(1), elements.finish(2)].concat();
        everything(&rule, &others);
        everything(&others, &others);
    }
}
