//! The environment: who and where we are, what the resolver's files say, proxies, the clock.

use std::fs;

use netkit_http::date;

use crate::counters::conntrack;
use crate::kernel::Kernel;
use crate::report::{Fault, Gravity, Layer, Report};
use crate::target::Target;
use crate::world::{World, effective_capabilities};

/// CAP_NET_ADMIN and CAP_NET_RAW (linux/capability.h).
const NET_ADMIN: u64 = 1 << 12;
const NET_RAW: u64 = 1 << 13;
/// Fuller than this in per cent, the connection table is worth a word.
const NEARLY_FULL: u64 = 90;

/// Notes what the walk starts from.
pub(crate) fn look(world: &World, target: &Target, kernel: &mut Kernel, report: &mut Report) {
    let place = fs::read_link("/proc/self/ns/net").ok();
    let place = place
        .and_then(|link| link.to_str().map(str::to_owned))
        .unwrap_or_else(|| "network namespace unknown".to_owned());
    let held = match effective_capabilities() {
        Some(0) => "no capability".to_owned(),
        Some(set) => {
            let mut names = Vec::new();
            if set & NET_ADMIN != 0 {
                names.push("CAP_NET_ADMIN");
            }
            if set & NET_RAW != 0 {
                names.push("CAP_NET_RAW");
            }
            if names.is_empty() { "neither CAP_NET_ADMIN nor CAP_NET_RAW".to_owned() } else { names.join(" and ") }
        }
        None => "capabilities unknown".to_owned(),
    };
    report.fine(Layer::Environment, format!("{place}, uid {}, {held}", world.uid), None);
    match kernel.interfaces() {
        Ok(interfaces) => {
            let shown: Vec<String> = interfaces
                .iter()
                .filter(|iface| !iface.is_loopback())
                .take(6)
                .map(|iface| {
                    let own: Vec<String> =
                        iface.addresses.iter().take(4).map(|(address, bits)| format!("{address}/{bits}")).collect();
                    let state = if !iface.is_up() {
                        " (down)"
                    } else if !iface.has_carrier() {
                        " (no carrier)"
                    } else {
                        ""
                    };
                    format!(
                        "{}{state} {}",
                        iface.name,
                        if own.is_empty() { "without address".to_owned() } else { own.join(" ") }
                    )
                })
                .collect();
            let text = if shown.is_empty() { "no interface but loopback".to_owned() } else { shown.join("; ") };
            report.fine(Layer::Environment, text, None);
        }
        Err(error) => report.unseen(Layer::Environment, format!("interfaces cannot be listed: {error}")),
    }
    if let Ok(conf) = world.resolv_conf() {
        let servers: Vec<String> = conf.nameservers.iter().take(4).map(|server| server.ip().to_string()).collect();
        let mut text = format!(
            "resolv.conf: {}",
            if servers.is_empty() { "no name server".to_owned() } else { servers.join(", ") }
        );
        if !conf.search.is_empty() {
            text.push_str(&format!("; search {}", conf.search.join(" ")));
        }
        text.push_str(&format!("; ndots {}, timeout {} s, attempts {}", conf.ndots, conf.timeout, conf.attempts));
        report.fine(Layer::Environment, netkit_core::text::printable(&text), None);
        for warning in conf.warnings.iter().take(3) {
            report.note(Layer::Environment, format!("resolv.conf, {warning}"));
        }
    }
    if world.proxies.iter().any(|(name, _)| !name.eq_ignore_ascii_case("no_proxy")) {
        let shown: Vec<String> =
            world.proxies.iter().map(|(name, value)| format!("{name}={}", crate::proxy::shown(value))).collect();
        report.note(Layer::Environment, shown.join(" "));
    }
    if let Some(text) = &target.assumed {
        report.note(Layer::Environment, text.clone());
    }
    if let Some((count, max)) = conntrack() {
        let share = count.saturating_mul(100).checked_div(max).unwrap_or(0);
        if share >= NEARLY_FULL {
            report.note(Layer::Environment, format!("the connection table is {share} % full ({count} of {max})"));
        }
    }
    if world.built > 0 && world.now < world.built {
        let sentence = format!(
            "this clock says {}, before this program was made: certificates will seem not yet valid",
            date::http(world.now)
        );
        report.note(Layer::Environment, sentence.clone());
        report.faults.push(Fault::new(Layer::Environment, "clock_skew", Gravity::Impaired, sentence).next("date -u"));
    }
}
