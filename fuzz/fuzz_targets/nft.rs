//! Messages of nf_tables: tables, chains, rules, sets with their elements, objects and flowtables, read and printed as text
//! and as JSON. Rules find the sets of the same input.
#![no_main]

use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use netkit_nf::nft::build::{self, Source};
use netkit_nf::nft::datatype::Style;
use netkit_nf::nft::elements::{Collector, Shape};
use netkit_nf::nft::{
    Element, NftChain, NftFlowtable, NftObject, NftRule, NftSet, NftTable, compat, json, ruleset,
};
use netkit_nl::Messages;

struct Input<'i>(&'i [u8]);

impl Source for Input<'_> {
    fn set(&mut self, _: u8, _: &str, name: &str) -> Option<Rc<NftSet>> {
        Messages::new(self.0).filter_map(|message| NftSet::read(&message)).find(|set| set.name == name).map(Rc::new)
    }

    fn elements(&mut self, _: &NftSet, each: &mut dyn FnMut(&Element<'_>)) {
        for message in Messages::new(self.0) {
            Element::read_all(&message).for_each(|element| each(&element));
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let style = Style {
        numeric_symbol: bytes.len() % 2 == 0,
        numeric_priority: false,
        numeric_protocol: false,
        numeric_time: false,
        stateless: false,
        terse: false,
        handles: true,
        names: &|_, number| (number % 3 == 0).then(|| "name".to_owned()),
    };
    let mut out = String::new();
    for message in Messages::new(bytes) {
        if let Some(rule) = NftRule::read(&message) {
            let statements = build::statements(&rule, &mut Input(bytes));
            ruleset::rule(&mut out, &statements, rule.handle, rule.userdata, &style);
            json::push(&mut out, &json::rule(&rule, &statements, &style));
            let _ = compat::rule(&rule, netkit_nf::Family::Ipv4);
        }
        if let Some(set) = NftSet::read(&message) {
            let mut collector = Collector::new(&set, Shape::of(&set, None));
            Input(bytes).elements(&set, &mut |element| collector.add(element));
            let elements = collector.finish();
            ruleset::set(&mut out, &set, &style);
            ruleset::elements(&mut out, &set, &elements, &style);
            json::push(&mut out, &json::set(&set, &elements, &style));
        }
        if let Some(object) = NftObject::read(&message) {
            ruleset::object(&mut out, &object, &style);
            json::push(&mut out, &json::object(&object));
        }
        if let Some(table) = NftTable::read(&message) {
            ruleset::table(&mut out, &table, &style);
        }
        if let Some(chain) = NftChain::read(&message) {
            ruleset::chain(&mut out, &chain, &style);
        }
        if let Some(flowtable) = NftFlowtable::read(&message) {
            ruleset::flowtable(&mut out, &flowtable, &style);
        }
    }
    assert!(!out.contains('\u{1b}'), "control characters are made visible");
});
