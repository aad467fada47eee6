//! Bonds and their ports (IFLA_BOND_*, IFLA_BOND_SLAVE_* in linux/if_link.h).

use netkit_nl::route::Link;
use netkit_nl::{Attr, Attrs};

use crate::link_kind::{Form, colons, table};
use crate::out::Out;
use crate::words::ip_text;
use crate::world::World;

const MODES: &[&str] =
    &["balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"];
const VALIDATE: &[&str] = &["none", "active", "backup", "all", "filter", "filter_active", "filter_backup"];
const HASH: &[&str] = &["layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac"];

/// A number that stands for a word.
fn choice(out: &mut Out<'_>, data: &Attrs<'_>, kind: u16, key: &str, word: &str, names: &[&str]) {
    let Some(value) = data.find(kind).and_then(|attr| attr.number()) else { return };
    let name = usize::try_from(value).ok().and_then(|at| names.get(at)).copied().unwrap_or("UNKNOWN");
    out.put(key, name, format_args!("{word} {name} "));
}

fn device(out: &mut Out<'_>, world: &mut World, data: &Attrs<'_>, kind: u16, key: &str) {
    if let Some(index) = data.find(kind).and_then(|attr| attr.i32()).filter(|index| *index != 0) {
        let name = world.link_name(index);
        out.put(key, name.as_str(), format_args!("{key} {name} "));
    }
}

fn targets(out: &mut Out<'_>, list: Option<Attr<'_>>, key: &str) {
    let Some(list) = list else { return };
    let shown: Vec<String> =
        list.nested().filter_map(|target| target.ip()).filter(|ip| !ip.is_unspecified()).map(ip_text).collect();
    if !shown.is_empty() {
        let text = shown.join(",");
        out.put(key, shown, format_args!("{key} {text} "));
    }
}

pub(crate) fn bond(out: &mut Out<'_>, world: &mut World, _: &Link, data: &Attrs<'_>) {
    use Form::Number;
    choice(out, data, 1, "mode", "mode", MODES);
    device(out, world, data, 2, "active_slave");
    table(
        out,
        data,
        &[
            (3, "miimon", "miimon", Number),
            (4, "updelay", "updelay", Number),
            (5, "downdelay", "downdelay", Number),
            (28, "peer_notify_delay", "peer_notify_delay", Number),
            (6, "use_carrier", "use_carrier", Number),
            (7, "arp_interval", "arp_interval", Number),
            (30, "arp_missed_max", "arp_missed_max", Number),
        ],
    );
    targets(out, data.find(8), "arp_ip_target");
    targets(out, data.find(31), "ns_ip6_target");
    if out.json() && data.find(9).and_then(|attr| attr.u32()) == Some(0) {
        out.member("arp_validate", netkit_core::json::Value::Null);
    } else {
        choice(out, data, 9, "arp_validate", "arp_validate", VALIDATE);
    }
    choice(out, data, 10, "arp_all_targets", "arp_all_targets", &["any", "all"]);
    device(out, world, data, 11, "primary");
    choice(out, data, 12, "primary_reselect", "primary_reselect", &["always", "better", "failure"]);
    choice(out, data, 13, "fail_over_mac", "fail_over_mac", &["none", "active", "follow"]);
    choice(out, data, 14, "xmit_hash_policy", "xmit_hash_policy", HASH);
    table(
        out,
        data,
        &[
            (15, "resend_igmp", "resend_igmp", Number),
            (16, "num_peer_notif", "num_grat_arp", Number),
            (17, "all_slaves_active", "all_slaves_active", Number),
            (18, "min_links", "min_links", Number),
            (19, "lp_interval", "lp_interval", Number),
            (20, "packets_per_slave", "packets_per_slave", Number),
        ],
    );
    choice(out, data, 29, "ad_lacp_active", "lacp_active", &["off", "on"]);
    choice(out, data, 21, "ad_lacp_rate", "lacp_rate", &["slow", "fast"]);
    choice(out, data, 22, "ad_select", "ad_select", &["stable", "bandwidth", "count"]);
    if let Some(info) = data.find(23).map(|attr| attr.nested()) {
        out.object("ad_info");
        table(
            out,
            &info,
            &[
                (1, "aggregator", "ad_aggregator", Number),
                (2, "num_ports", "ad_num_ports", Number),
                (3, "actor_key", "ad_actor_key", Number),
                (4, "partner_key", "ad_partner_key", Number),
            ],
        );
        if let Some(partner) = info.find(5).map(|attr| colons(attr.value)) {
            out.put("partner_mac", partner.as_str(), format_args!("ad_partner_mac {partner} "));
        }
        out.end();
    }
    table(
        out,
        data,
        &[(24, "ad_actor_sys_prio", "ad_actor_sys_prio", Number), (25, "ad_user_port_key", "ad_user_port_key", Number)],
    );
    if let Some(system) = data.find(26).map(|attr| colons(attr.value)) {
        out.put("ad_actor_system", system.as_str(), format_args!("ad_actor_system {system} "));
    }
    table(out, data, &[(27, "tlb_dynamic_lb", "tlb_dynamic_lb", Number)]);
}

pub(crate) fn slave(out: &mut Out<'_>, _: &mut World, _: &Link, data: &Attrs<'_>) {
    use Form::Number;
    choice(out, data, 1, "state", "state", &["ACTIVE", "BACKUP"]);
    choice(out, data, 2, "mii_status", "mii_status", &["UP", "GOING_DOWN", "DOWN", "GOING_BACK"]);
    table(out, data, &[(3, "link_failure_count", "link_failure_count", Number)]);
    if let Some(address) = data.find(4).map(|attr| colons(attr.value)) {
        out.put("perm_hwaddr", address.as_str(), format_args!("perm_hwaddr {address} "));
    }
    table(
        out,
        data,
        &[
            (5, "queue_id", "queue_id", Number),
            (9, "prio", "prio", Number),
            (6, "ad_aggregator_id", "ad_aggregator_id", Number),
        ],
    );
    for (kind, key) in [(7, "ad_actor_oper_port_state"), (8, "ad_partner_oper_port_state")] {
        let Some(state) = data.find(kind).and_then(|attr| attr.number()) else { continue };
        out.put(key, state, format_args!("{key} {state} "));
        const BITS: &[&str] = &[
            "active",
            "short_timeout",
            "aggregating",
            "in_sync",
            "collecting",
            "distributing",
            "defaulted",
            "expired",
        ];
        let words: Vec<&str> =
            BITS.iter().enumerate().filter(|(bit, _)| state >> bit & 1 == 1).map(|(_, name)| *name).collect();
        let text = words.join(",");
        out.put(&format!("{key}_str"), words, format_args!("{key}_str <{text}> "));
    }
}
