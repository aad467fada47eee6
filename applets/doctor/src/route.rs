//! The route layer: the kernel's answer, the interface, and why there is none.

use std::net::{IpAddr, SocketAddr};

use nix::libc;

use crate::kernel::{Kernel, LOCAL};
use crate::report::{Fault, Layer, Report};

/// Looks at the way to the first address; the others follow when connecting shows a difference. False: nothing can get
/// there.
pub(crate) fn look(kernel: &mut Kernel, addresses: &[SocketAddr], report: &mut Report) -> bool {
    let mut refusals: Vec<(IpAddr, Fault)> = Vec::new();
    let mut shown = 0;
    for address in addresses {
        let host = address.ip();
        let way = match kernel.way(host, None) {
            Ok(way) => way,
            Err(netkit_nl::Error::Kernel { .. }) => {
                refusals.push((host, refused(kernel, host)));
                continue;
            }
            Err(error) => {
                report.unseen(Layer::Route, format!("routes cannot be asked for: {error}"));
                return true;
            }
        };
        if shown >= 4 {
            continue;
        }
        shown += 1;
        let interfaces = kernel.interfaces().unwrap_or_default();
        let Some(iface) = interfaces.iter().find(|iface| iface.index == way.output) else { continue };
        let via = match (way.gateway, way.kind) {
            (_, LOCAL) => "is this machine itself".to_owned(),
            (Some(gateway), _) => format!("via {gateway}"),
            (None, _) => "is on the link".to_owned(),
        };
        let source = way.source.map_or_else(|| "?".to_owned(), |source| source.to_string());
        let mtu = way.mtu.unwrap_or(iface.mtu);
        let mut text = format!("{host} {via}, dev {} from {source}, mtu {mtu}", iface.name);
        if let Some(learnt) = way.mtu.filter(|learnt| *learnt < iface.mtu) {
            text.push_str(&format!(" (the interface has {}, {learnt} was set or learnt)", iface.mtu));
        }
        if !iface.is_loopback() && way.kind != LOCAL && (!iface.is_up() || !iface.has_carrier()) {
            report.broken(Layer::Route, text, None);
            let why = if iface.is_up() { "has no carrier" } else { "is down" };
            let cause = if iface.is_up() { "no_carrier" } else { "interface_down" };
            let sentence = format!("the interface {} that leads to {host} {why}", iface.name);
            let next = format!("netkit ip link show {}", iface.name);
            report.faults.push(Fault::fatal(Layer::Route, cause, sentence).next(next));
            return false;
        }
        if let Some(state) = kernel.neighbour(way.gateway.unwrap_or(host), iface) {
            text.push_str(&format!(", neighbour {}", state.name()));
            if state.is_alive() {
                text.push_str(" lately");
            }
        }
        report.fine(Layer::Route, text, None);
    }
    let all = !refusals.is_empty() && refusals.len() == addresses.len();
    for (index, (host, fault)) in refusals.into_iter().enumerate() {
        if all {
            report.broken(Layer::Route, format!("{host}: {}", fault.sentence), None);
            if index == 0 {
                report.faults.push(fault);
            }
        } else {
            report.note(Layer::Route, format!("no way to {host} from here, programs skip it"));
        }
    }
    if !all {
        report.looked.push("route".to_owned());
    }
    !all
}

/// Why the kernel refuses to send anything to `host`.
pub(crate) fn refused(kernel: &mut Kernel, host: IpAddr) -> Fault {
    let errno = kernel.way(host, None).err().map_or(0, |error| error.errno());
    let next = format!("netkit ip why {host}");
    let fatal = |cause: &'static str, sentence: String| Fault::fatal(Layer::Route, cause, sentence).next(next.clone());
    match errno {
        libc::EACCES => {
            return fatal("prohibit", format!("a route of type prohibit on this machine forbids packets to {host}"));
        }
        libc::EINVAL => {
            return fatal("blackhole", format!("a route of type blackhole on this machine swallows packets to {host}"));
        }
        libc::EHOSTUNREACH => {
            return fatal(
                "unreachable",
                format!("a route of type unreachable on this machine refuses packets to {host}"),
            );
        }
        _ => {}
    }
    let interfaces = kernel.interfaces().unwrap_or_default();
    let down: Vec<&str> = interfaces
        .iter()
        .filter(|iface| !iface.is_loopback() && !iface.is_up())
        .map(|iface| iface.name.as_str())
        .collect();
    let up = interfaces.iter().filter(|iface| !iface.is_loopback() && iface.is_up()).count();
    let covers = |bits: u8, own: IpAddr| bits > 0 && crate::kernel::same_network(own, host, bits);
    let on_it =
        interfaces.iter().find(|iface| !iface.is_up() && iface.addresses.iter().any(|(own, bits)| covers(*bits, *own)));
    let family = if host.is_ipv6() { "IPv6" } else { "IPv4" };
    let bare = interfaces
        .iter()
        .filter(|iface| !iface.is_loopback())
        .all(|iface| iface.addresses.iter().all(|(own, _)| own.is_ipv4() != host.is_ipv4() || is_link_local(*own)));
    if let Some(iface) = on_it {
        let sentence = format!("the interface {} is down, and with it the network of {host}", iface.name);
        return fatal("interface_down", sentence);
    }
    if up == 0 && !down.is_empty() {
        return fatal("interface_down", format!("no interface but loopback is up ({} down)", down.join(", ")));
    }
    if up == 0 && !interfaces.is_empty() {
        return fatal("no_interface", "there is no network interface but loopback here".to_owned());
    }
    if bare && !interfaces.is_empty() {
        return fatal("no_address", format!("this machine has no {family} address, so there is no way to {host}"));
    }
    let default = match kernel.has_default(host.is_ipv6()) {
        Some(false) => ": no route covers it and there is no default route",
        _ => "",
    };
    let mut fault = fatal("no_route", format!("this machine has no {family} route to {host}{default}"));
    if !down.is_empty() {
        fault.evidence.push(format!("down: {}", down.join(", ")));
    }
    fault
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.segments().first().is_some_and(|first| first & 0xffc0 == 0xfe80))
}
