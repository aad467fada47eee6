//! Names for numbers from the files that the peer's C library reads: ports, users, groups, realms, groups of devices.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::OnceLock;

use netkit_nf::ext::names::Kind;
use netkit_probe::Protocol;
use netkit_probe::services::Services;

/// Larger files are not read.
const LARGEST: u64 = 4 << 20;

/// The name of a number, if a file has one.
pub(crate) fn lookup(kind: Kind, number: u32) -> Option<String> {
    static SERVICES: OnceLock<Services> = OnceLock::new();
    static FILES: [OnceLock<BTreeMap<u32, String>>; 4] = [const { OnceLock::new() }; 4];
    let protocol = match kind {
        Kind::Tcp => Protocol::Tcp,
        Kind::Udp => Protocol::Udp,
        Kind::User => return named(&FILES[0], number, || colons("/etc/passwd")),
        Kind::Group => return named(&FILES[1], number, || colons("/etc/group")),
        Kind::Realm => return named(&FILES[2], number, || pairs("/etc/iproute2/rt_realms")),
        Kind::Devices => return named(&FILES[3], number, || pairs("/etc/iproute2/group")),
    };
    SERVICES.get_or_init(Services::load).name(u16::try_from(number).ok()?, protocol).map(str::to_owned)
}

fn named(
    file: &OnceLock<BTreeMap<u32, String>>,
    number: u32,
    read: impl FnOnce() -> BTreeMap<u32, String>,
) -> Option<String> {
    file.get_or_init(read).get(&number).cloned()
}

fn text(path: &str) -> String {
    match fs::metadata(path) {
        Ok(found) if found.len() <= LARGEST => {
            fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
        }
        _ => String::new(),
    }
}

/// passwd(5) and group(5): name, password, number. The first name of a number counts.
fn colons(path: &str) -> BTreeMap<u32, String> {
    let mut names = BTreeMap::new();
    for line in text(path).lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(_), Some(number)) = (fields.next(), fields.next(), fields.next())
            && let Ok(number) = number.parse()
        {
            names.entry(number).or_insert_with(|| name.to_owned());
        }
    }
    names
}

/// iproute2's tables: number and name, with comments.
fn pairs(path: &str) -> BTreeMap<u32, String> {
    let mut names = BTreeMap::new();
    for line in text(path).lines().filter(|line| !line.trim_start().starts_with('#')) {
        let mut words = line.split_whitespace();
        if let (Some(number), Some(name)) = (words.next(), words.next()) {
            let parsed = match number.strip_prefix("0x") {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            if let Ok(number) = parsed {
                names.entry(number).or_insert_with(|| name.to_owned());
            }
        }
    }
    names
}

/// The name of an address in hosts(5), or of a network in networks(5). No server is asked.
pub(crate) fn host(address: IpAddr) -> Option<String> {
    static HOSTS: OnceLock<BTreeMap<IpAddr, String>> = OnceLock::new();
    let known = HOSTS.get_or_init(|| {
        let mut names = BTreeMap::new();
        for line in text("/etc/hosts").lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            if let (Some(address), Some(name)) = (words.next(), words.next())
                && let Ok(address) = address.parse()
            {
                names.entry(address).or_insert_with(|| name.to_owned());
            }
        }
        for line in text("/etc/networks").lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            if let (Some(name), Some(network)) = (words.next(), words.next())
                && let Ok(network) = network.parse::<Ipv4Addr>()
            {
                names.entry(network.into()).or_insert_with(|| name.to_owned());
            }
        }
        names
    });
    known.get(&address).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_by_name_of_their_protocol() {
        assert_eq!(lookup(Kind::Tcp, 80).as_deref(), Some("http"));
        assert_eq!(lookup(Kind::Udp, 53).as_deref(), Some("domain"));
        assert_eq!(lookup(Kind::Tcp, 70_000), None);
    }
}
