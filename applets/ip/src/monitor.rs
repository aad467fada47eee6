//! `ip monitor`: what changes, as it changes, or as a file recorded it.

use std::fs::File;
use std::io::Read as _;

use netkit_core::json::Value;
use netkit_core::text::printable;
use netkit_core::{Ctx, Exit, civil_from_unix};
use netkit_nl::route::{Addr, Link, Neighbour, Route, kind};
use netkit_nl::{Error, Message, Messages, Protocol, Socket, raw};

use crate::options::Timestamp;
use crate::out::Out;
use crate::stop::{FAILED, Res, Stop};
use crate::words::{Words, matches};
use crate::world::World;
use crate::{addr, link, neigh, netns, nexthop, route, route_print, rule};

/// What can be watched: word, label, multicast groups (RTNLGRP_* less one) of no family, of IPv4, of IPv6.
const OBJECTS: &[(&str, u32, u32, u32)] = &[
    ("link", 1 << 0, 0, 0),
    ("address", 0, 1 << 4, 1 << 8),
    ("route", 0, 1 << 6, 1 << 10),
    ("mroute", 0, 0, 0),
    ("prefix", 0, 0, 0),
    ("neigh", 1 << 2, 0, 0),
    ("netconf", 0, 0, 0),
    ("rule", 0, 1 << 7, 1 << 18),
    ("nsid", 1 << 27, 0, 0),
    ("nexthop", 0, 0, 0),
];
/// RTNLGRP_NEXTHOP (linux/rtnetlink.h, 5.3), which lies outside a mask of 32 bits.
const NEXTHOPS: u32 = 32;
/// The most that is read from a file.
const MAX_FILE: u64 = 256 << 20;

pub(crate) fn run(ctx: &mut Ctx, world: &mut World, words: &mut Words) -> Res<Exit> {
    let mut file = None;
    let mut wanted: Vec<&str> = Vec::new();
    let (mut label, mut everywhere) = (false, false);
    while let Some(word) = words.next() {
        if matches(&word, "file") {
            file = Some(words.value()?);
        } else if word == "label" {
            label = true;
        } else if matches(&word, "all-nsid") && word.len() > 3 {
            everywhere = true;
        } else if word == "all" {
            label = true;
        } else if matches(&word, "help") {
            return Err(crate::help::page(ctx, "ip"));
        } else if word == "dev" {
            return Err(crate::options::refused("dev", "watch all links and choose with grep"));
        } else {
            let found = OBJECTS.iter().find(|object| matches(&word, object.0));
            match found {
                Some((name, ..)) if matches!(*name, "mroute" | "prefix" | "netconf") => {
                    return Err(crate::options::refused(&word, "it is not among the objects this ip shows"));
                }
                Some((name, ..)) => wanted.push(name),
                None => {
                    let shown = printable(&word);
                    return Err(Stop::peer(255, format!("Argument \"{shown}\" is unknown, try \"ip monitor help\".")));
                }
            }
        }
    }
    if wanted.is_empty() {
        wanted = OBJECTS.iter().map(|object| object.0).collect();
        // Everything is watched: each line says what it is about.
        label |= false;
    }
    if let Some(path) = file {
        return replay(ctx, world, &path, label);
    }
    watch(ctx, world, &wanted, label, everywhere)
}

fn replay(ctx: &mut Ctx, world: &mut World, path: &str, label: bool) -> Res<Exit> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|_| Stop::peer(255, "Cannot fopen: No such file or directory"))?;
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(|error| Stop::peer(FAILED, format!("{path}: {error}")))?;
    world.link(0);
    let mut walk = Messages::new(&bytes);
    for message in walk.by_ref() {
        event(ctx, world, &message, label, None)?;
    }
    if walk.left() > 3 {
        return Err(Stop::peer(FAILED, format!("{}: ends within a message", printable(path))));
    }
    Ok(Exit::OK)
}

fn watch(ctx: &mut Ctx, world: &mut World, wanted: &[&str], label: bool, everywhere: bool) -> Res<Exit> {
    let family = world.options.family;
    let mut groups = 0;
    for (name, any, four, six) in OBJECTS {
        if wanted.contains(name) {
            groups |= any;
            groups |= if family == 0 || family == 2 { *four } else { 0 };
            groups |= if family == 0 || family == 10 { *six } else { 0 };
        }
    }
    let mut socket = Socket::open(Protocol::Route)?;
    socket.subscribe(groups)?;
    if wanted.contains(&"nexthop") {
        let joined = socket.join(NEXTHOPS);
        // A kernel before 5.3 has no nexthops, which matters only to whoever asked for nothing else.
        if wanted.len() == 1 {
            joined?;
        }
    }
    if everywhere {
        socket.listen_all_namespaces()?;
    }
    world.link(0);
    loop {
        let datagram: Vec<u8> = match socket.next_datagram() {
            Ok(messages) => messages.bytes().to_vec(),
            Err(Error::Overrun) => {
                ctx.say("netlink receive error No buffer space available (105): events were lost");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        for message in Messages::new(&datagram) {
            event(ctx, world, &message, label, Some(()))?;
        }
    }
}

fn stamp(ctx: &Ctx, world: &World) -> Option<String> {
    let now = ctx.clock.now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let date = civil_from_unix(i64::try_from(now.as_secs()).unwrap_or(0));
    let micros = now.subsec_micros();
    match world.options.timestamp {
        Timestamp::None => None,
        Timestamp::Short => Some(format!(
            "[{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{micros:06}] ",
            date.year, date.month, date.day, date.hour, date.minute, date.second
        )),
        Timestamp::Long => Some(format!(
            "Timestamp: {} {} {:2} {:02}:{:02}:{:02} {} {micros} usec\n",
            date.weekday_name(),
            date.month_name(),
            date.day,
            date.hour,
            date.minute,
            date.second,
            date.year
        )),
    }
}

/// Prints one change. In JSON each is an object on a line of its own, with what it is about.
fn event(ctx: &mut Ctx, world: &mut World, message: &Message<'_>, label: bool, live: Option<()>) -> Res {
    let (name, object) = match message.kind {
        kind::NEW_LINK | kind::DEL_LINK => ("LINK", "link"),
        kind::NEW_ADDR | kind::DEL_ADDR => ("ADDR", "address"),
        kind::NEW_ROUTE | kind::DEL_ROUTE => ("ROUTE", "route"),
        kind::NEW_NEIGH | kind::DEL_NEIGH | kind::GET_NEIGH => ("NEIGH", "neigh"),
        kind::NEW_RULE | kind::DEL_RULE => ("RULE", "rule"),
        kind::NEW_NSID | kind::DEL_NSID => ("NSID", "nsid"),
        kind::NEW_NEXTHOP | kind::DEL_NEXTHOP => ("NEXTHOP", "nexthop"),
        // struct rtattr-less marks that `ip -t monitor` and rtmon(8) put into files: seconds and microseconds.
        15 => {
            let seconds = raw::u32(message.payload, 0).unwrap_or(0);
            let date = civil_from_unix(i64::from(seconds));
            writeln_text(
                ctx,
                world,
                &format!(
                    "Timestamp: {} {} {:2} {:02}:{:02}:{:02} {} {} us",
                    date.weekday_name(),
                    date.month_name(),
                    date.day,
                    date.hour,
                    date.minute,
                    date.second,
                    date.year,
                    raw::u32(message.payload, 4).unwrap_or(0)
                ),
            )?;
            return Ok(());
        }
        _ => return Ok(()),
    };
    let when = live.and_then(|()| stamp(ctx, world));
    let style = world.options.style;
    let mut out = Out::new(&mut *ctx.stdout, style);
    out.object("");
    out.member("object", object);
    if let Some(when) = &when {
        out.member("timestamp", Value::from(when.trim_matches(['[', ']', ' ', '\n'])));
        out.words(format_args!("{when}"));
    }
    if label {
        out.words(format_args!("[{name}]"));
    }
    if print(&mut out, world, message) {
        out.end();
        out.push()?;
    } else {
        out.abandon();
    }
    Ok(())
}

fn writeln_text(ctx: &mut Ctx, world: &World, line: &str) -> Res {
    let mut out = Out::new(&mut *ctx.stdout, world.options.style);
    out.words(format_args!("{line}\n"));
    out.push()
}

fn print(out: &mut Out<'_>, world: &mut World, message: &Message<'_>) -> bool {
    let family = world.options.family;
    let of_family = |found: u8| family == 0 || family == found;
    match message.kind {
        kind::NEW_LINK | kind::DEL_LINK => {
            remember(world, message);
            // A family chooses addresses, routes and rules; news of links are shown whole.
            link::print(out, world, message, &addr::Filter::all(0), false, false)
        }
        kind::NEW_ADDR | kind::DEL_ADDR => {
            let shown = Addr::read(message.payload).is_some_and(|addr| of_family(addr.family));
            if shown {
                addr::print(out, world, message, true);
            }
            shown
        }
        kind::NEW_ROUTE | kind::DEL_ROUTE => {
            let shown = Route::read(message.payload)
                .is_some_and(|found| of_family(found.family) && matches!(found.family, 2 | 10 | 28));
            if shown {
                route_print::print(out, world, message, &route::Filter::all());
            }
            shown
        }
        kind::NEW_RULE | kind::DEL_RULE => {
            let shown = Route::read(message.payload).is_some_and(|rule| of_family(rule.family));
            if shown {
                rule::print(out, world, message);
            }
            shown
        }
        kind::NEW_NSID | kind::DEL_NSID => {
            netns::print_id(out, world, message);
            out.newline();
            true
        }
        kind::NEW_NEXTHOP | kind::DEL_NEXTHOP => {
            nexthop::print(out, world, message);
            out.newline();
            true
        }
        _ => {
            let shown = Neighbour::read(message.payload)
                .is_some_and(|neighbour| of_family(neighbour.family) && neighbour.family != 7);
            if shown {
                neigh::print(out, world, message, true);
            }
            shown
        }
    }
}

/// Keeps the names of links true while they change.
fn remember(world: &mut World, message: &Message<'_>) {
    let Some(found) = Link::read(message.payload) else { return };
    // What a bridge says of its port is no news of the link itself.
    if found.family == 7 {
        return;
    }
    if message.kind == kind::DEL_LINK {
        world.forget(found.index);
        return;
    }
    if let Some((_, known)) = crate::world::read_known(message) {
        world.learn(found.index, known);
    }
}
