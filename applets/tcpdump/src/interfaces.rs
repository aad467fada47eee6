//! What can be captured on: `-i`, `-D`, `-L`, `-J`, and the link type of each.

use netkit_core::{Ctx, Error};
use netkit_filter::link;
use netkit_wire::pcap;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

use crate::args::{Opts, usage};
use crate::filters;

/// ARPHRD_ types of linux/if_arp.h whose packets begin with an Ethernet header.
const ETHERNET: [u16; 2] = [1, 772];
/// Those whose packets begin with their IP header: PPP's cousins, tunnels, and none at all.
const RAW: [u16; 11] = [256, 257, 258, 259, 519, 768, 769, 776, 778, 823, 65534];

/// One interface.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interface {
    pub(crate) name: String,
    /// 0 for all of them.
    pub(crate) index: u32,
    /// ARPHRD_ type.
    pub(crate) hardware: u16,
    up: bool,
    running: bool,
    loopback: bool,
}

impl Interface {
    fn any() -> Interface {
        Interface { name: "any".to_owned(), up: true, running: true, ..Interface::default() }
    }

    /// Those that one most likely means come first: running, not loopback, low numbers.
    fn rank(&self) -> (bool, bool, bool, bool, u64) {
        let digits = self.name.len() - self.name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let unit = self.name.get(self.name.len() - digits..).and_then(|unit| unit.parse().ok()).unwrap_or(0);
        (!self.running, !self.up, self.loopback, self.index == 0, unit)
    }

    fn flags(&self) -> String {
        let mut words = Vec::new();
        for (set, word) in [(self.up, "Up"), (self.running, "Running"), (self.loopback, "Loopback")] {
            if set {
                words.push(word);
            }
        }
        if self.up && !self.loopback && self.index != 0 {
            words.push(if self.running { "Connected" } else { "Disconnected" });
        }
        if words.is_empty() { "none".to_owned() } else { words.join(", ") }
    }
}

/// Every interface, best first, with the one that means all.
fn list() -> Result<Vec<Interface>, Error> {
    let addresses = getifaddrs().map_err(|errno| usage(format!("cannot list interfaces: {}", errno.desc())))?;
    let mut all: Vec<Interface> = Vec::new();
    for entry in addresses {
        let at = match all.iter().position(|known| known.name == entry.interface_name) {
            Some(at) => at,
            None => {
                all.push(Interface { name: entry.interface_name.clone(), ..Interface::default() });
                all.len() - 1
            }
        };
        let Some(interface) = all.get_mut(at) else { continue };
        interface.up = entry.flags.contains(InterfaceFlags::IFF_UP);
        interface.running = entry.flags.contains(InterfaceFlags::IFF_RUNNING);
        interface.loopback = entry.flags.contains(InterfaceFlags::IFF_LOOPBACK);
        if let Some(hardware) = entry.address.as_ref().and_then(|address| address.as_link_addr()) {
            interface.hardware = hardware.hatype();
            interface.index = u32::try_from(hardware.ifindex()).unwrap_or_default();
        }
    }
    all.retain(|interface| interface.index != 0);
    all.push(Interface::any());
    all.sort_by_key(Interface::rank);
    Ok(all)
}

/// The interface that `-i` names, by name or by its number in `-D`; without one, the first of the list.
pub(crate) fn chosen(name: Option<&str>) -> Result<Interface, Error> {
    let all = list()?;
    let Some(name) = name else {
        let first = all.into_iter().find(|interface| interface.up && !interface.loopback);
        return first.ok_or_else(|| usage("no suitable device found"));
    };
    if let Some(found) = all.iter().find(|interface| interface.name == name) {
        return Ok(found.clone());
    }
    match name.parse::<usize>() {
        Ok(number) => {
            let found = number.checked_sub(1).and_then(|at| all.get(at)).cloned();
            found.ok_or_else(|| usage("Invalid adapter index"))
        }
        Err(_) => Err(usage(format!("{name}: No such device exists\n(No such device exists)"))),
    }
}

/// The link types that an interface offers, the usual one first.
fn link_types(interface: &Interface) -> Vec<u32> {
    match interface.hardware {
        _ if interface.index == 0 => vec![link::LINUX_SLL, link::LINUX_SLL2],
        hardware if ETHERNET.contains(&hardware) => vec![link::ETHERNET],
        hardware if RAW.contains(&hardware) => vec![link::RAW],
        _ => vec![link::LINUX_SLL, link::LINUX_SLL2],
    }
}

/// The link type to capture with: what `-y` asks for if the interface offers it.
pub(crate) fn link_of(interface: &Interface, wanted: Option<&str>) -> Result<u32, Error> {
    let offered = link_types(interface);
    let Some(name) = wanted else {
        // Version 2 names the interface of each packet.
        return Ok(if interface.index == 0 { link::LINUX_SLL2 } else { offered.first().copied().unwrap_or(link::RAW) });
    };
    let wanted = filters::link_type(name)?;
    if offered.contains(&wanted) {
        return Ok(wanted);
    }
    Err(usage(format!("{name} is not one of the DLTs supported by this device")))
}

/// `-D`
pub(crate) fn show(ctx: &mut Ctx) -> Result<(), Error> {
    for (index, interface) in list()?.iter().enumerate() {
        let what = if interface.index == 0 { " (Pseudo-device that captures on all interfaces)" } else { "" };
        writeln!(ctx.stdout, "{}.{}{what} [{}]", index + 1, interface.name, interface.flags())?;
    }
    Ok(())
}

/// `-L` and `-J`
pub(crate) fn show_types(ctx: &mut Ctx, opts: &Opts) -> Result<(), Error> {
    let interface = chosen(opts.interfaces.first().map(String::as_str))?;
    if opts.list_stamp_types {
        writeln!(ctx.stdout, "Time stamp types for {} (use option -j to set):\n  host (Host)", interface.name)?;
        return Ok(());
    }
    writeln!(ctx.stdout, "Data link types for {} (use option -y to set):", interface.name)?;
    for kind in link_types(&interface) {
        let (name, text) = pcap::link_name(kind).unwrap_or_default();
        writeln!(ctx.stdout, "  {name} ({text})")?;
    }
    Ok(())
}
