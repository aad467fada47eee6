//! Names to addresses, as getaddrinfo(3) of the GNU C library would find them here: literals, the hosts file, the
//! search list, both families.

use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::PathBuf;
use std::time::Duration;

use netkit_core::rooted;
use netkit_dns::hosts::Hosts;
use netkit_dns::random::random_u16;
use netkit_dns::resolv_conf::ResolvConf;
use netkit_dns::simulate::{self, Code, Resolver, World};
use netkit_dns::transport::{udp_exchange, udp_socket};
use netkit_dns::{HOSTS, RESOLV_CONF};
use netkit_wire::dns::{Class, Message, Query, Question, RrType, Section, reverse_name};

/// Which addresses are wanted.
pub use netkit_dns::simulate::Family;

/// Addresses taken from one name at most; a hostile zone could name thousands.
const MOST: usize = 64;

/// How names are looked up.
#[derive(Clone, Debug, Default)]
pub struct Lookup {
    /// Literals only.
    pub numeric: bool,
    /// Read resolv.conf, hosts and nsswitch.conf as this process sees them.
    pub from_pid: Option<u32>,
    /// LOCALDOMAIN of the environment (resolv.conf(5)).
    pub localdomain: Option<String>,
    /// RES_OPTIONS of the environment.
    pub res_options: Option<String>,
    /// Name servers instead of those of resolv.conf.
    pub servers: Vec<SocketAddr>,
}

/// What a look-up found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// In the order to try them.
    pub addresses: Vec<SocketAddr>,
    /// One sentence of how: which file, which suffix of the search list.
    pub why: String,
}

/// Why there is no address.
#[derive(Debug)]
pub enum LookupError {
    /// What getaddrinfo would return, and one sentence of why.
    Name(Code, String),
    /// A file that cannot be read.
    File(PathBuf, io::Error),
}

impl fmt::Display for LookupError {
    /// In the words of gai_strerror(3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LookupError::File(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            LookupError::Name(code, _) => f.write_str(match code {
                Code::NoName | Code::Ok | Code::Crash => "Name or service not known",
                Code::NoData => "No address associated with hostname",
                Code::Again => "Temporary failure in name resolution",
                Code::Fail => "Non-recoverable failure in name resolution",
                Code::AddrFamily => "Address family for hostname not supported",
            }),
        }
    }
}

impl LookupError {
    /// One sentence of why, if there is more to say.
    pub fn why(&self) -> Option<&str> {
        match self {
            LookupError::Name(_, why) if !why.is_empty() => Some(why),
            _ => None,
        }
    }
}

/// The addresses of `host`, in the order to try them.
///
/// # Errors
/// See [`LookupError`].
pub fn resolve(host: &str, port: u16, family: Family, lookup: &Lookup) -> Result<Vec<SocketAddr>, LookupError> {
    look_up(host, port, family, lookup).map(|found| found.addresses)
}

/// As [`resolve`], with how the addresses were found.
///
/// # Errors
/// See [`LookupError`].
pub fn look_up(host: &str, port: u16, family: Family, lookup: &Lookup) -> Result<Found, LookupError> {
    let nothing = |why: &str| LookupError::Name(Code::NoName, why.to_owned());
    if let Some((address, scope)) = literal(host) {
        if !accepts(family, address) {
            return Err(if lookup.numeric {
                nothing("a literal address of the other family")
            } else {
                LookupError::Name(Code::AddrFamily, "a literal address of the other family".to_owned())
            });
        }
        return Ok(Found { addresses: vec![with_port(address, scope, port)], why: String::new() });
    }
    if lookup.numeric {
        return Err(nothing("not a literal address, and looking names up was forbidden"));
    }
    if host.is_empty() {
        return Err(nothing("the name is empty"));
    }
    if host.split_once('%').is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok()) {
        return Err(nothing("there is no interface of that name"));
    }
    let world = world(lookup)?;
    let mut why = "localhost".to_owned();
    let mut found = if is_localhost(host) && world.hosts.addresses(host).is_empty() {
        // RFC 6761, section 6.3; an image without a hosts file has it nowhere else.
        let both = [IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)];
        both.into_iter().filter(|address| accepts(family, *address)).collect()
    } else {
        let verdict = simulate::run(Resolver::Glibc, host, family, &world);
        if verdict.code != Code::Ok || verdict.answers.is_empty() {
            let code = if verdict.code == Code::Ok { Code::NoData } else { verdict.code };
            return Err(LookupError::Name(code, verdict.why));
        }
        why = verdict.why;
        verdict.answers
    };
    let mut unique: Vec<IpAddr> = Vec::new();
    found.truncate(MOST * 4);
    for address in found {
        if !unique.contains(&address) && unique.len() < MOST {
            unique.push(address);
        }
    }
    // The order of RFC 6724 as far as it matters here: without a route last, IPv6 before IPv4.
    unique.sort_by_key(|address| {
        let unreachable = udp_socket(SocketAddr::new(*address, 53), None).is_err();
        (unreachable, address.is_ipv4())
    });
    Ok(Found { addresses: unique.into_iter().map(|address| with_port(address, 0, port)).collect(), why })
}

/// The name of an address: from the hosts file, or a PTR record (RFC 1035, section 3.5). `None` when there is none.
pub fn reverse(address: IpAddr, lookup: &Lookup) -> Option<String> {
    /// A name in a message for people is not worth more.
    const PATIENCE: Duration = Duration::from_secs(2);
    let world = world(lookup).ok()?;
    let listed = world.hosts.entries.iter().find(|entry| entry.address == address);
    if let Some(name) = listed.and_then(|entry| entry.names.first()) {
        return Some(name.clone());
    }
    let conf = world.resolv_conf?;
    let name = reverse_name(address);
    let question = Question { name, rtype: RrType::PTR, class: Class::IN };
    for server in conf.nameservers.iter().take(3) {
        let id = random_u16();
        let query = Query::new(id, question.clone()).encode();
        let mut message = None;
        let _ = udp_exchange(*server, None, &query, PATIENCE, &mut |bytes, _| {
            message = Message::decode(bytes.to_vec()).ok().filter(|message| {
                message.header.qr && message.header.id == id && message.questions.contains(&question)
            });
            message.is_some()
        });
        let Some(message) = message else { continue };
        let record = message.section(Section::Answer).find(|record| record.rtype == RrType::PTR)?;
        let text = message.rdata_name(record)?.to_string();
        let bare = text.trim_end_matches('.');
        return Some(netkit_core::text::printable(bare)).filter(|name| !name.is_empty());
    }
    None
}

/// An address as inet_aton(3) or inet_pton(3) read it, an IPv6 one perhaps with `%zone`.
pub fn literal(text: &str) -> Option<(IpAddr, u32)> {
    if let Some((address, zone)) = text.split_once('%') {
        let v6: Ipv6Addr = address.parse().ok()?;
        let scope = zone.parse().ok().or_else(|| interface_index(zone))?;
        return Some((v6.into(), scope));
    }
    let address = text.parse().ok().or_else(|| loose_v4(text).map(IpAddr::V4))?;
    Some((address, 0))
}

fn accepts(family: Family, address: IpAddr) -> bool {
    match family {
        Family::Unspecified => true,
        Family::Inet => address.is_ipv4(),
        Family::Inet6 => address.is_ipv6(),
    }
}

fn with_port(address: IpAddr, scope: u32, port: u16) -> SocketAddr {
    match address {
        IpAddr::V6(v6) => SocketAddrV6::new(v6, port, 0, scope).into(),
        v4 => SocketAddr::new(v4, port),
    }
}

fn is_localhost(host: &str) -> bool {
    let bare = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    bare == "localhost" || bare.ends_with(".localhost")
}

fn interface_index(name: &str) -> Option<u32> {
    let plain = !name.is_empty() && name.len() < 16 && !name.contains('/') && name != "..";
    let path = plain.then(|| format!("/sys/class/net/{name}/ifindex"))?;
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// One to four parts, decimal, octal or hexadecimal, the last one filling up (inet_aton(3)).
fn loose_v4(text: &str) -> Option<Ipv4Addr> {
    let part = |text: &str| -> Option<u64> {
        let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(digits) => (digits, 16),
            None if text.len() > 1 && text.starts_with('0') => (text, 8),
            None => (text, 10),
        };
        // from_str_radix takes a sign, an address does not.
        if !digits.bytes().next()?.is_ascii_alphanumeric() {
            return None;
        }
        u32::from_str_radix(digits, radix).ok().map(u64::from)
    };
    let parts: Vec<u64> = text.split('.').take(5).map(part).collect::<Option<_>>()?;
    let (last, leading) = parts.split_last()?;
    let room = u32::try_from(4usize.checked_sub(leading.len())?).ok()?;
    if room == 0 || leading.iter().any(|part| *part > 255) || *last >= 1u64 << (8 * room) {
        return None;
    }
    let high = leading.iter().fold(0u64, |sum, part| sum << 8 | part);
    u32::try_from(high << (8 * room) | last).ok().map(Ipv4Addr::from)
}

fn world(lookup: &Lookup) -> Result<World, LookupError> {
    let place = |path: &str| match lookup.from_pid {
        Some(pid) => netkit_dns::path_of_pid(pid, path),
        None => PathBuf::from(path),
    };
    let path = place(RESOLV_CONF);
    let mut resolv_conf = match ResolvConf::read(&path) {
        Ok(conf) => Some(conf),
        Err(error) if error.kind() == io::ErrorKind::NotFound && lookup.from_pid.is_none() => None,
        Err(error) => return Err(LookupError::File(path, error)),
    };
    if !lookup.servers.is_empty() {
        let mut conf = resolv_conf.unwrap_or_default();
        conf.nameservers.clone_from(&lookup.servers);
        conf.nameservers_loose.clone_from(&lookup.servers);
        resolv_conf = Some(conf);
    }
    let path = place(HOSTS);
    let hosts = Hosts::read(&path).map_err(|error| LookupError::File(path, error))?;
    Ok(World {
        resolv_conf,
        hosts,
        nsswitch: rooted::read_text(&place("/etc/nsswitch.conf"), netkit_dns::MAX_CONF).ok(),
        // An image without host.conf should still offer every address of the hosts file, as distributions set it.
        host_conf: rooted::read_text(&place("/etc/host.conf"), netkit_dns::MAX_CONF)
            .ok()
            .or_else(|| Some("multi on".to_owned())),
        localdomain: lookup.localdomain.clone(),
        res_options: lookup.res_options.clone(),
        hostname: fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned(),
        port: lookup.servers.first().map_or(53, SocketAddr::port),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals() {
        let v4 = |text: &str| literal(text).map(|(address, _)| address.to_string());
        assert_eq!(v4("127.1").as_deref(), Some("127.0.0.1"));
        assert_eq!(v4("0x7f.0.0.010").as_deref(), Some("127.0.0.8"));
        assert_eq!(v4("2130706433").as_deref(), Some("127.0.0.1"));
        assert_eq!(v4("4294967296"), None);
        assert_eq!(v4("1.2.3.4.5"), None);
        assert_eq!(v4("256.1"), None);
        assert_eq!(v4("+1.2.3.4"), None);
        assert_eq!(v4(""), None);
        assert_eq!(literal("fe80::1%7"), Some(("fe80::1".parse().unwrap(), 7)));
        assert_eq!(literal("fe80::1%../x"), None);
        assert_eq!(literal("10.0.0.1%1"), None);
    }

    #[test]
    fn families_and_numeric() {
        let lookup = Lookup { numeric: true, ..Lookup::default() };
        let error = resolve("localhost", 80, Family::Unspecified, &lookup).unwrap_err();
        assert_eq!(error.to_string(), "Name or service not known");
        let lookup = Lookup::default();
        let error = resolve("::1", 80, Family::Inet, &lookup).unwrap_err();
        assert_eq!(error.to_string(), "Address family for hostname not supported");
        let both = resolve("localhost", 80, Family::Unspecified, &lookup).unwrap();
        assert!(both.iter().all(|address| address.ip().is_loopback() && address.port() == 80), "{both:?}");
    }
}
