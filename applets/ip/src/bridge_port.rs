//! Ports of a bridge, as `ip -d link` shows them (IFLA_BRPORT_* in linux/if_link.h).

use netkit_nl::Attrs;
use netkit_nl::route::Link;

use crate::link_kind::{Form, Row, table};
use crate::out::Out;
use crate::world::World;

/// State of the spanning tree (BR_STATE_*).
pub(crate) const STATES: &[&str] = &["disabled", "listening", "learning", "forwarding", "blocking"];

use Form::{BridgeId, Hex, Number, Switch, Timer};

const BEFORE: &[Row] = &[
    (2, "priority", "priority", Number),
    (3, "cost", "cost", Number),
    (4, "hairpin", "hairpin", Switch),
    (5, "guard", "guard", Switch),
    (6, "root_block", "root_block", Switch),
    (7, "fastleave", "fastleave", Switch),
    (8, "learning", "learning", Switch),
    (9, "flood", "flood", Switch),
    (17, "id", "port_id", Hex),
    (18, "no", "port_no", Hex),
    (15, "designated_port", "designated_port", Number),
    (16, "designated_cost", "designated_cost", Number),
    (14, "bridge_id", "designated_bridge", BridgeId),
    (13, "root_id", "designated_root", BridgeId),
    (23, "hold_timer", "hold_timer", Timer),
    (21, "message_age_timer", "message_age_timer", Timer),
    (22, "forward_delay_timer", "forward_delay_timer", Timer),
    (19, "topology_change_ack", "topology_change_ack", Number),
    (20, "config_pending", "config_pending", Number),
    (10, "proxy_arp", "proxy_arp", Switch),
    (12, "proxy_arp_wifi", "proxy_arp_wifi", Switch),
    (25, "multicast_router", "mcast_router", Number),
];
const MIDDLE: &[Row] = &[
    (27, "mcast_flood", "mcast_flood", Switch),
    (30, "bcast_flood", "bcast_flood", Switch),
    (28, "mcast_to_unicast", "mcast_to_unicast", Switch),
    (32, "neigh_suppress", "neigh_suppress", Switch),
];
const AFTER: &[Row] = &[
    (29, "vlan_tunnel", "vlan_tunnel", Switch),
    (33, "isolated", "isolated", Switch),
    (39, "locked", "locked", Switch),
];

pub(crate) fn slave(out: &mut Out<'_>, world: &mut World, _: &Link, data: &Attrs<'_>) {
    if let Some(state) = data.find(1).and_then(|attr| attr.u8()) {
        match STATES.get(usize::from(state)) {
            Some(name) => out.put("state", *name, format_args!("state {name} ")),
            None => out.put("state_index", state, format_args!("state ({state}) ")),
        }
    }
    table(out, data, BEFORE);
    // Text says fast leave twice; JSON once, above.
    if let Some(leave) = data.find(7).and_then(|attr| attr.u8()) {
        out.words(format_args!("mcast_fast_leave {} ", if leave != 0 { "on" } else { "off" }));
    }
    table(out, data, MIDDLE);
    if let Some(mask) = data.find(31).and_then(|attr| attr.u16()) {
        let text = crate::link_kind::alternate_hex(u64::from(mask));
        out.put("group_fwd_mask", text.as_str(), format_args!("group_fwd_mask {text} "));
        let words = mask_words(mask);
        out.put("group_fwd_mask_str", words.as_str(), format_args!("group_fwd_mask_str {words} "));
    }
    table(out, data, AFTER);
    if let Some(index) = data.find(34).and_then(|attr| attr.i32()) {
        let name = world.link_name(index);
        out.put("backup_port", name.as_str(), format_args!("backup_port {name} "));
    }
}

/// The protocols of link-local groups that are forwarded.
fn mask_words(mask: u16) -> String {
    let mut rest = mask;
    let mut words = Vec::new();
    for (bit, name) in [(1 << 0, "stp"), (1 << 2, "lacp"), (1 << 14, "lldp")] {
        if rest & bit != 0 {
            words.push(name.to_owned());
            rest &= !bit;
        }
    }
    if rest != 0 || words.is_empty() {
        words.insert(0, format!("{rest:#x}"));
    }
    words.join(",")
}
