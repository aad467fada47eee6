//! Names for numbers without `-n`: services and hosts from their files, the time zone.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;

use netkit_core::Ctx;
use netkit_print::{Resolve, Zone};
use rustix::net::netdevice::index_to_name;
use rustix::net::{AddressFamily, SocketType, socket};

/// /etc/services and /etc/hosts, read when first asked.
#[derive(Default)]
pub(crate) struct System {
    services: Option<HashMap<(u16, bool), String>>,
    hosts: Option<HashMap<IpAddr, String>>,
}

impl System {
    pub(crate) fn new() -> System {
        System::default()
    }
}

fn lines(path: &str) -> Vec<Vec<String>> {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = |line: &str| line.split('#').next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    text.lines().map(line).collect()
}

impl Resolve for System {
    fn host(&mut self, address: IpAddr) -> Option<String> {
        let hosts = self.hosts.get_or_insert_with(|| {
            let mut hosts = HashMap::new();
            for words in lines("/etc/hosts") {
                if let [address, name, ..] = words.as_slice()
                    && let Ok(address) = address.parse()
                {
                    hosts.entry(address).or_insert_with(|| name.clone());
                }
            }
            hosts
        });
        hosts.get(&address).cloned()
    }

    fn port(&mut self, port: u16, tcp: bool) -> Option<String> {
        let services = self.services.get_or_insert_with(|| {
            let mut services = HashMap::new();
            for words in lines("/etc/services") {
                let [name, port, ..] = words.as_slice() else { continue };
                let Some((port, protocol)) = port.split_once('/') else { continue };
                if let Ok(port) = port.parse::<u16>()
                    && matches!(protocol, "tcp" | "udp")
                {
                    services.entry((port, protocol == "tcp")).or_insert_with(|| name.clone());
                }
            }
            services
        });
        services.get(&(port, tcp)).cloned()
    }
}

/// Names of this machine's interfaces (netdevice(7)), each asked for once.
pub(crate) fn interfaces() -> netkit_print::Interfaces {
    let mut known: HashMap<u32, Option<String>> = HashMap::new();
    Box::new(move |index| {
        let look = || {
            let socket = socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
            index_to_name(socket, index).ok()
        };
        known.entry(index).or_insert_with(look).clone()
    })
}

/// The time zone of TZ (tzset(3)) or of /etc/localtime; UTC when neither says anything that can be read.
pub(crate) fn zone(ctx: &Ctx) -> Zone {
    let read = |path: &str| fs::read(path).ok().and_then(|bytes| Zone::from_tzif(&bytes));
    let Some(text) = ctx.var("TZ") else {
        return read("/etc/localtime").unwrap_or_else(Zone::utc);
    };
    let text = text.strip_prefix(':').unwrap_or(text);
    if let Some(zone) = posix(text) {
        return zone;
    }
    let path = if text.starts_with('/') { text.to_owned() } else { format!("/usr/share/zoneinfo/{text}") };
    if text.is_empty() || text.split('/').any(|part| part == "..") {
        return Zone::utc();
    }
    read(&path).unwrap_or_else(Zone::utc)
}

/// A name of three letters or more and hours west of Greenwich, as `GMT0` or `XYZ-5:30`.
fn posix(text: &str) -> Option<Zone> {
    let digits = text.find(|c: char| !c.is_ascii_alphabetic())?;
    if digits < 3 {
        return None;
    }
    let offset = text.get(digits..)?;
    let (sign, offset) = match offset.strip_prefix('-') {
        Some(rest) => (1, rest),
        None => (-1, offset.strip_prefix('+').unwrap_or(offset)),
    };
    let mut seconds = 0i32;
    let mut unit = 3600;
    for part in offset.split(':') {
        seconds += part.parse::<i32>().ok().filter(|part| (0..=167).contains(part))? * unit;
        unit /= 60;
    }
    Some(Zone::fixed(sign * seconds))
}
