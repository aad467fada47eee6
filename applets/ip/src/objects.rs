//! Which object and which of its verbs was meant: the first that the word begins, in iproute2's order.

use netkit_core::text::printable;
use netkit_core::{Ctx, Error, Exit};

use crate::stop::{Res, Stop, USAGE};
use crate::words::{Words, matches};
use crate::world::World;
use crate::{addr, bridge, help, link, maddr, monitor, neigh, netns, nexthop, route, rule, tunnel, why, xfrm};

/// What a verb does.
#[derive(Clone, Copy)]
enum Verb {
    Run(fn(&mut Ctx, &mut World, &mut Words) -> Res<Exit>),
    /// It would change the system.
    Modifies,
    /// It only reads, but we do not have it; what to use instead.
    Missing(&'static str),
    Help,
}

/// An object: its name, and its verbs in the order in which abbreviations are tried. The first runs when none is given.
struct Object {
    name: &'static str,
    verbs: &'static [(&'static str, Verb)],
}

use Verb::{Help, Missing, Modifies, Run};

const LINK: &[(&str, Verb)] = &[
    ("", Run(link::show)),
    ("add", Modifies),
    ("set", Modifies),
    ("change", Modifies),
    ("replace", Modifies),
    ("delete", Modifies),
    ("show", Run(link::show)),
    ("lst", Run(link::show)),
    ("list", Run(link::show)),
    ("xstats", Missing("`ip -s -s link` has the counters")),
    ("afstats", Missing("`ip -s -s link` has the counters")),
    ("property", Modifies),
    ("help", Help),
];
const ADDR: &[(&str, Verb)] = &[
    ("", Run(addr::show)),
    ("add", Modifies),
    ("change", Modifies),
    ("chg", Modifies),
    ("replace", Modifies),
    ("delete", Modifies),
    ("show", Run(addr::show)),
    ("lst", Run(addr::show)),
    ("list", Run(addr::show)),
    ("save", Missing("`ip -j addr` is for programs")),
    ("flush", Modifies),
    ("restore", Modifies),
    ("showdump", Missing("`ip -j addr` is for programs")),
    ("help", Help),
];
const ROUTE: &[(&str, Verb)] = &[
    ("", Run(route::show)),
    ("list", Run(route::show)),
    ("show", Run(route::show)),
    ("lst", Run(route::show)),
    ("get", Run(route::one)),
    ("add", Modifies),
    ("change", Modifies),
    ("chg", Modifies),
    ("replace", Modifies),
    ("prepend", Modifies),
    ("append", Modifies),
    ("test", Modifies),
    ("delete", Modifies),
    ("flush", Modifies),
    ("save", Missing("`ip -j route` is for programs")),
    ("restore", Modifies),
    ("showdump", Missing("`ip -j route` is for programs")),
    ("help", Help),
];
const RULE: &[(&str, Verb)] = &[
    ("", Run(rule::show)),
    ("list", Run(rule::show)),
    ("lst", Run(rule::show)),
    ("show", Run(rule::show)),
    ("save", Missing("`ip -j rule` is for programs")),
    ("restore", Modifies),
    ("add", Modifies),
    ("delete", Modifies),
    ("flush", Modifies),
    ("help", Help),
];
const NEIGH: &[(&str, Verb)] = &[
    ("", Run(neigh::show)),
    ("add", Modifies),
    ("change", Modifies),
    ("chg", Modifies),
    ("replace", Modifies),
    ("delete", Modifies),
    ("get", Run(neigh::one)),
    ("show", Run(neigh::show)),
    ("lst", Run(neigh::show)),
    ("list", Run(neigh::show)),
    ("flush", Modifies),
    ("help", Help),
];
const NEXTHOP: &[(&str, Verb)] = &[
    ("", Run(nexthop::show)),
    ("add", Modifies),
    ("replace", Modifies),
    ("delete", Modifies),
    ("list", Run(nexthop::show)),
    ("show", Run(nexthop::show)),
    ("lst", Run(nexthop::show)),
    ("get", Run(nexthop::one)),
    ("flush", Modifies),
    ("bucket", Missing("`ip nexthop get id N` shows the group")),
    ("help", Help),
];
const NETNS: &[(&str, Verb)] = &[
    ("", Run(netns::list)),
    ("list", Run(netns::list)),
    ("show", Run(netns::list)),
    ("lst", Run(netns::list)),
    ("list-id", Run(netns::list_ids)),
    ("help", Help),
    ("add", Modifies),
    ("set", Modifies),
    ("delete", Modifies),
    ("identify", Run(netns::identify)),
    ("pids", Run(netns::pids)),
    ("exec", Run(netns::exec)),
    ("monitor", Missing(netns::MONITOR_INSTEAD)),
    ("attach", Modifies),
];
const MADDR: &[(&str, Verb)] = &[
    ("", Run(maddr::show)),
    ("add", Modifies),
    ("delete", Modifies),
    ("list", Run(maddr::show)),
    ("show", Run(maddr::show)),
    ("lst", Run(maddr::show)),
    ("help", Help),
];
/// Its words are objects, not verbs.
const MONITOR: &[(&str, Verb)] = &[("", Run(monitor::run))];
const XFRM: &[(&str, Verb)] = &[("", Run(xfrm::run))];
const STATES: &[(&str, Verb)] = &[
    ("", Run(xfrm::states)),
    ("add", Modifies),
    ("update", Modifies),
    ("allocspi", Modifies),
    ("delete", Modifies),
    ("deleteall", Modifies),
    ("delall", Modifies),
    ("list", Run(xfrm::states)),
    ("show", Run(xfrm::states)),
    ("lst", Run(xfrm::states)),
    ("get", Missing("`ip xfrm state list spi N` chooses one")),
    ("flush", Modifies),
    ("count", Missing("`ip xfrm state list` has them all")),
    ("help", Help),
];
const POLICIES: &[(&str, Verb)] = &[
    ("", Run(xfrm::policies)),
    ("add", Modifies),
    ("update", Modifies),
    ("delete", Modifies),
    ("deleteall", Modifies),
    ("delall", Modifies),
    ("list", Run(xfrm::policies)),
    ("show", Run(xfrm::policies)),
    ("lst", Run(xfrm::policies)),
    ("get", Missing("`ip xfrm policy list dir D src P dst P` chooses one")),
    ("flush", Modifies),
    ("count", Missing("`ip xfrm policy list` has them all")),
    ("set", Modifies),
    ("setdefault", Modifies),
    ("getdefault", Missing("`ip xfrm policy list` has the policies")),
    ("help", Help),
];
const TUNNEL: &[(&str, Verb)] = &[
    ("", Run(tunnel::show)),
    ("add", Modifies),
    ("change", Modifies),
    ("delete", Modifies),
    ("show", Run(tunnel::show)),
    ("lst", Run(tunnel::show)),
    ("list", Run(tunnel::show)),
    ("prl", Modifies),
    ("6rd", Modifies),
    ("help", Help),
];

/// The objects below `ip xfrm`.
pub(crate) fn run_xfrm(ctx: &mut Ctx, world: &mut World, words: &mut Words) -> Res<Exit> {
    let Some(word) = words.next() else { return Err(help::page(ctx, "ip")) };
    if matches(&word, "state") {
        verb(ctx, world, "ip", "xfrm state", STATES, words)
    } else if matches(&word, "policy") {
        verb(ctx, world, "ip", "xfrm policy", POLICIES, words)
    } else if matches(&word, "monitor") {
        Err(Stop::House(Error::usage("`ip xfrm monitor` is not offered; `ip xfrm state` and `policy` show what is")))
    } else {
        Err(help::page(ctx, "ip"))
    }
}

const WHY: &[(&str, Verb)] = &[("", Run(why::run))];
const NONE: &[(&str, Verb)] = &[];

/// In the order of ip.c: `ip n` is neighbour, `ip m` maddress, `ip t` tunnel, `ip s` sr.
const OBJECTS: &[Object] = &[
    Object { name: "address", verbs: ADDR },
    Object { name: "addrlabel", verbs: NONE },
    Object { name: "maddress", verbs: MADDR },
    Object { name: "route", verbs: ROUTE },
    Object { name: "rule", verbs: RULE },
    Object { name: "neighbor", verbs: NEIGH },
    Object { name: "neighbour", verbs: NEIGH },
    Object { name: "ntable", verbs: NONE },
    Object { name: "ntbl", verbs: NONE },
    Object { name: "link", verbs: LINK },
    Object { name: "l2tp", verbs: NONE },
    Object { name: "fou", verbs: NONE },
    Object { name: "ila", verbs: NONE },
    Object { name: "macsec", verbs: NONE },
    Object { name: "tunnel", verbs: TUNNEL },
    Object { name: "tunl", verbs: TUNNEL },
    Object { name: "tuntap", verbs: NONE },
    Object { name: "tap", verbs: NONE },
    Object { name: "token", verbs: NONE },
    Object { name: "tcpmetrics", verbs: NONE },
    Object { name: "tcp_metrics", verbs: NONE },
    Object { name: "monitor", verbs: MONITOR },
    Object { name: "xfrm", verbs: XFRM },
    Object { name: "mroute", verbs: NONE },
    Object { name: "mrule", verbs: NONE },
    Object { name: "netns", verbs: NETNS },
    Object { name: "netconf", verbs: NONE },
    Object { name: "vrf", verbs: NONE },
    Object { name: "sr", verbs: NONE },
    Object { name: "nexthop", verbs: NEXTHOP },
    Object { name: "mptcp", verbs: NONE },
    Object { name: "ioam", verbs: NONE },
    Object { name: "stats", verbs: NONE },
];

const FDB: &[(&str, Verb)] = &[
    ("", Run(bridge::fdb)),
    ("add", Modifies),
    ("append", Modifies),
    ("replace", Modifies),
    ("delete", Modifies),
    ("get", Missing("`bridge fdb show` has every entry")),
    ("show", Run(bridge::fdb)),
    ("lst", Run(bridge::fdb)),
    ("list", Run(bridge::fdb)),
    ("flush", Modifies),
    ("help", Help),
];
const PORTS: &[(&str, Verb)] = &[
    ("", Run(bridge::ports)),
    ("set", Modifies),
    ("change", Modifies),
    ("show", Run(bridge::ports)),
    ("lst", Run(bridge::ports)),
    ("list", Run(bridge::ports)),
    ("help", Help),
];
const VLANS: &[(&str, Verb)] = &[
    ("", Run(bridge::vlans)),
    ("add", Modifies),
    ("delete", Modifies),
    ("show", Run(bridge::vlans)),
    ("lst", Run(bridge::vlans)),
    ("list", Run(bridge::vlans)),
    ("tunnelshow", Missing("`bridge vlan show` has the VLANs")),
    ("set", Modifies),
    ("global", Missing("`bridge vlan show` has the VLANs of ports")),
    ("help", Help),
];

/// In the order of bridge.c.
const BRIDGE_OBJECTS: &[Object] = &[
    Object { name: "link", verbs: PORTS },
    Object { name: "fdb", verbs: FDB },
    Object { name: "mdb", verbs: NONE },
    Object { name: "vlan", verbs: VLANS },
    Object { name: "vni", verbs: NONE },
    Object { name: "monitor", verbs: NONE },
];

/// Runs what the words ask of `bridge`.
pub(crate) fn run_bridge(ctx: &mut Ctx, world: &mut World, word: &str, words: &mut Words) -> Res<Exit> {
    if matches(word, "help") {
        return Err(help::page(ctx, "bridge"));
    }
    let Some(object) = BRIDGE_OBJECTS.iter().find(|object| matches(word, object.name)) else {
        let shown = printable(word);
        return Err(Stop::peer(USAGE, format!("Object \"{shown}\" is unknown, try \"bridge help\".")));
    };
    if object.verbs.is_empty() {
        return Err(Stop::House(Error::usage(format!("`bridge {}` is not offered", object.name))));
    }
    verb(ctx, world, "bridge", object.name, object.verbs, words)
}

/// Runs what the words ask for.
pub(crate) fn run(ctx: &mut Ctx, world: &mut World, word: &str, words: &mut Words) -> Res<Exit> {
    // Ours, and with no abbreviation, so that none of the peer's is taken.
    if word == "why" {
        return verb(ctx, world, "ip", "why", WHY, words);
    }
    if matches(word, "help") && !OBJECTS.iter().any(|object| matches(word, object.name)) {
        return Err(help::page(ctx, "ip"));
    }
    let Some(object) = OBJECTS.iter().find(|object| matches(word, object.name)) else {
        let shown = printable(word);
        return Err(Stop::peer(1, format!("Object \"{shown}\" is unknown, try \"ip help\".")));
    };
    if object.verbs.is_empty() {
        return Err(Stop::House(Error::usage(format!("`ip {}` is not offered", object.name))));
    }
    verb(ctx, world, "ip", object.name, object.verbs, words)
}

fn verb(
    ctx: &mut Ctx,
    world: &mut World,
    program: &str,
    object: &str,
    verbs: &[(&str, Verb)],
    words: &mut Words,
) -> Res<Exit> {
    let Some(word) = words.peek().map(str::to_owned) else {
        return match verbs.first() {
            Some((_, Run(command))) => enter(ctx, world).and_then(|()| command(ctx, world, words)),
            Some((_, Missing(instead))) => {
                Err(Stop::House(Error::usage(format!("`{program} {object}` is not offered; {instead}"))))
            }
            _ => Err(Stop::incomplete()),
        };
    };
    if let [(_, Run(command))] = verbs {
        enter(ctx, world)?;
        return command(ctx, world, words);
    }
    words.next();
    let found = verbs.iter().find(|(name, _)| matches(&word, name));
    match found {
        Some((_, Run(command))) => {
            enter(ctx, world)?;
            command(ctx, world, words)
        }
        Some((name, Modifies)) => Err(Stop::House(Error::usage(format!(
            "`{program} {object} {name}` would change the system, and this {program} only reads; nothing was done"
        )))),
        Some((name, Missing(instead))) => {
            Err(Stop::House(Error::usage(format!("`{program} {object} {name}` is not offered; {instead}"))))
        }
        Some((_, Help)) => Err(help::page(ctx, program)),
        None => {
            let shown = printable(&word);
            // Two objects go by a shorter name in this sentence.
            let object = match object {
                "neighbor" | "neighbour" => "neigh",
                "maddress" => "maddr",
                other => other,
            };
            Err(Stop::peer(USAGE, format!("Command \"{shown}\" is unknown, try \"{program} {object} help\".")))
        }
    }
}

/// Goes where `-n` says.
fn enter(_: &mut Ctx, world: &mut World) -> Res {
    match world.options.netns.clone() {
        Some(name) => world.enter(&name),
        None => Ok(()),
    }
}
