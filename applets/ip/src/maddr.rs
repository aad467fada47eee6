//! `ip maddress`: multicast groups joined, from /proc/net/{dev_mcast,igmp,igmp6}, as the peer reads them.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netkit_core::text::{printable, unhex};
use netkit_core::{Ctx, Exit};

use crate::names::hardware_address;
use crate::out::{Colour, Out};
use crate::stop::{Res, Stop};
use crate::words::{Words, ip_text, matches};
use crate::world::World;

/// A group and how often it is held.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    index: i32,
    name: String,
    family: u8,
    address: Address,
    users: u32,
    fixed: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Address {
    Link(Vec<u8>),
    Ip(IpAddr),
}

/// Groups of the link layer: index, name, users, added by hand, address.
fn link_groups(text: &str) -> Vec<Group> {
    let lines = text.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let index = fields.next()?.parse().ok()?;
        let name = printable(fields.next()?);
        let users = fields.next()?.parse().ok()?;
        let fixed = fields.next()? != "0";
        Some(Group { index, name, family: 17, address: Address::Link(unhex(fields.next()?)?), users, fixed })
    });
    lines.collect()
}

/// Groups of IPv4: a line for the link, then one for each group with its address as a word in the machine's order.
fn igmp_groups(text: &str) -> Vec<Group> {
    let mut link: Option<(i32, String)> = None;
    let mut groups = Vec::new();
    for line in text.lines().skip(1) {
        let mut fields = line.split_whitespace();
        if !line.starts_with(['\t', ' ']) {
            let index = fields.next().and_then(|field| field.parse().ok());
            let name = fields.next().map(|field| printable(field.trim_end_matches(':')));
            link = index.zip(name);
        } else if let (Some((index, name)), Some(word), Some(users)) = (
            &link,
            fields.next().and_then(|field| u32::from_str_radix(field, 16).ok()),
            fields.next().and_then(|field| field.parse().ok()),
        ) {
            let address = Address::Ip(IpAddr::V4(Ipv4Addr::from(word.to_ne_bytes())));
            groups.push(Group { index: *index, name: name.clone(), family: 2, address, users, fixed: false });
        }
    }
    groups
}

/// Groups of IPv6: index, name, address, users.
fn igmp6_groups(text: &str) -> Vec<Group> {
    let lines = text.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let index = fields.next()?.parse().ok()?;
        let name = printable(fields.next()?);
        let octets: [u8; 16] = unhex(fields.next()?)?.try_into().ok()?;
        let users = fields.next()?.parse().ok()?;
        let address = Address::Ip(IpAddr::V6(Ipv6Addr::from(octets)));
        Some(Group { index, name, family: 10, address, users, fixed: false })
    });
    lines.collect()
}

pub(crate) fn show(ctx: &mut Ctx, world: &mut World, words: &mut Words) -> Res<Exit> {
    let mut device: Option<String> = None;
    while let Some(word) = words.next() {
        let name = if word == "dev" { words.value()? } else { word.clone() };
        if matches(&name, "help") {
            return Err(crate::help::page(ctx, "ip"));
        }
        if device.is_some() {
            let shown = printable(&name);
            return Err(Stop::peer(255, format!("Error: either \"dev\" is duplicate, or \"{shown}\" is a garbage.")));
        }
        device = Some(name);
    }
    let family = world.options.family;
    let mut groups = Vec::new();
    for (wanted, file, read) in [
        (17, "/proc/net/dev_mcast", link_groups as fn(&str) -> Vec<Group>),
        (2, "/proc/net/igmp", igmp_groups),
        (10, "/proc/net/igmp6", igmp6_groups),
    ] {
        if family == 0 || family == wanted {
            // A kernel without the protocol has no such file.
            groups.extend(read(&fs::read_to_string(file).unwrap_or_default()));
        }
    }
    groups.retain(|group| device.as_ref().is_none_or(|name| *name == group.name));
    // Links in order; the sort is stable, so families and groups stay as they came.
    groups.sort_by_key(|group| group.index);
    print(ctx, world, &groups)
}

fn print(ctx: &mut Ctx, world: &mut World, groups: &[Group]) -> Res<Exit> {
    let style = world.options.style;
    let mut out = Out::new(&mut *ctx.stdout, style);
    out.array("");
    for one in groups.chunk_by(|a, b| a.index == b.index) {
        let Some(first) = one.first() else { continue };
        out.object("");
        out.member("ifindex", first.index);
        out.member("ifname", first.name.as_str());
        out.array("maddr");
        for (at, group) in one.iter().enumerate() {
            if at == 0 || style.oneline {
                out.words(format_args!("{}:", first.index));
                out.paint(Some(Colour::Interface), &format!("\t{}", first.name));
                out.line();
            }
            out.object("");
            put(&mut out, world, group);
            out.newline();
            out.end();
        }
        out.end();
        out.end();
    }
    out.end();
    out.flush()?;
    Ok(Exit::OK)
}

fn put(out: &mut Out<'_>, world: &mut World, group: &Group) {
    match &group.address {
        Address::Link(bytes) => {
            let arp = world.link(group.index).map_or(1, |known| known.arp);
            out.words(format_args!("\tlink  "));
            out.tint(Some(Colour::Mac), "link", &hardware_address(bytes, arp), "", "");
        }
        Address::Ip(ip) => {
            let name = if group.family == 2 { "inet" } else { "inet6" };
            out.put("family", name, format_args!("\t{name:<5} "));
            out.tint(Colour::of_family(group.family), "address", &ip_text(*ip), "", "");
        }
    }
    if group.users != 1 {
        out.put("users", group.users, format_args!(" users {}", group.users));
    }
    if group.fixed {
        out.put("features", "static", format_args!(" static"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_table(text in "([0-9a-f ]|[\n\t]|lo|v0|é){0,60}") {
            let lines = text.lines().count();
            for groups in [link_groups(&text), igmp_groups(&text), igmp6_groups(&text)] {
                prop_assert!(groups.len() <= lines);
            }
        }
    }

    #[test]
    fn files_of_the_kernel() {
        let link = link_groups("3    v0              2     0     333300000001\n4 x 1 1 zz\nbroken\n");
        assert_eq!((link.len(), link[0].users, link[0].fixed), (1, 2, false));
        let text = "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n\
                    1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n";
        let groups = igmp_groups(text);
        let expected = Ipv4Addr::from(0x0100_00E0u32.to_ne_bytes());
        assert_eq!(
            (groups[0].index, groups[0].name.as_str(), &groups[0].address),
            (1, "lo", &Address::Ip(expected.into()))
        );
        let six = igmp6_groups("1 lo ff020000000000000000000000000001 3 0000000C 0\n");
        assert_eq!((six[0].users, &six[0].address), (3, &Address::Ip("ff02::1".parse().unwrap())));
        assert!(igmp_groups("").is_empty() && igmp6_groups("1 lo xx 1").is_empty());
    }
}
