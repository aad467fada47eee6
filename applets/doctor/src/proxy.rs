//! Proxies of the environment: programs that honour http_proxy and its like never take the direct way.

use netkit_core::text::printable;
use netkit_http::url::Url;
use netkit_probe::Protocol;
use netkit_tls::{read_by, write_by};
use std::time::{Duration, Instant};

use crate::exchange::{self, Manner};
use crate::kernel::Kernel;
use crate::report::{Fault, Layer, Report};
use crate::target::{Speak, Target};
use crate::world::World;
use crate::{dns, route, tcp, walk};

/// A proxy and the variable that names it.
pub(crate) struct Proxy {
    variable: &'static str,
    host: String,
    port: u16,
    /// As given, without a password.
    text: String,
    login: Option<(String, String)>,
}

/// A value without its password.
pub(crate) fn shown(value: &str) -> String {
    match Url::parse(value, false) {
        Ok(url) => url.text(false, false),
        Err(_) => printable(value.rsplit('@').next().unwrap_or(value)),
    }
}

/// The proxy that curl, Go and most libraries would use for this target; socks proxies are left to them.
pub(crate) fn of(world: &World, target: &Target) -> Option<Proxy> {
    if world.options.no_proxy || target.speak != Speak::Http {
        return None;
    }
    let names: &[&str] = if target.tls {
        &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    } else {
        &["http_proxy", "all_proxy", "ALL_PROXY"]
    };
    let (variable, value) = world.proxy_var(names)?;
    if world.proxy_var(&["no_proxy", "NO_PROXY"]).is_some_and(|(_, list)| excepted(list, &target.host)) {
        return None;
    }
    let url = Url::parse(value, false).ok()?;
    if url.scheme != "http" {
        return None;
    }
    let host = url.host.clone();
    Some(Proxy { variable, host, port: url.port.unwrap_or(1080), text: url.text(false, false), login: url.login() })
}

/// Whether no_proxy excepts a host: `*`, suffixes at a dot, addresses and networks.
fn excepted(list: &str, host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    list.split([',', ' ']).map(|word| word.trim().trim_start_matches('.').to_ascii_lowercase()).any(|word| {
        if word.is_empty() {
            return false;
        }
        if let (Some((network, bits)), Ok(address)) = (word.split_once('/'), host.parse::<std::net::IpAddr>()) {
            let network = network.parse::<std::net::IpAddr>();
            return network.is_ok_and(|network| {
                bits.parse().is_ok_and(|bits: u8| crate::kernel::same_network(network, address, bits))
            });
        }
        let word = word.split(':').next().unwrap_or_default();
        word == "*" || host == word || host.strip_suffix(word).is_some_and(|rest| rest.ends_with('.'))
    })
}

/// The walk through a proxy.
pub(crate) fn path(world: &World, target: &Target, proxy: &Proxy, kernel: &mut Kernel, report: &mut Report) {
    let way = format!("{} sends this through the proxy {}", proxy.variable, proxy.text);
    report.note(Layer::Environment, way.clone());
    let before = report.faults.len();
    let connected = dns::look_up(world, &proxy.host, proxy.port, report)
        .filter(|addresses| route::look(kernel, addresses, report))
        .and_then(|addresses| tcp::reach(world, kernel, &addresses, Protocol::Tcp, report));
    let Some(connected) = connected else {
        for fault in report.faults.iter_mut().skip(before) {
            fault.sentence = format!("{way}, and the proxy cannot be reached: {}", fault.sentence);
            fault.evidence.push(format!("the layer that fails on the way to the proxy: {}", fault.layer.name()));
            fault.layer = Layer::Environment;
            fault.cause = "proxy_unreachable";
            fault.next = format!("netkit doctor --no-proxy {}", target.text);
        }
        return;
    };
    let address = connected.address;
    if !target.tls {
        let manner = Manner { absolute: true, pad: false, ..Manner::of(world) };
        let exchange = exchange::speak(world, target, connected.socket, &manner);
        walk::judge(world, target, address, exchange, report);
        return;
    }
    match tunnel(target, proxy, &connected.socket, world.patience()) {
        Ok(()) => {
            report.fine(Layer::Environment, format!("the proxy {address} made a tunnel"), None);
            let exchange =
                exchange::speak(world, target, connected.socket, &Manner { pad: false, ..Manner::of(world) });
            walk::judge(world, target, address, exchange, report);
        }
        Err(fault) => {
            report.broken(Layer::Environment, fault.sentence.clone(), None);
            report.faults.push(Fault { next: format!("netkit doctor --no-proxy {}", target.text), ..*fault });
        }
    }
}

/// Asks for a tunnel (RFC 9110, section 9.3.6).
fn tunnel(target: &Target, proxy: &Proxy, socket: &socket2::Socket, patience: Duration) -> Result<(), Box<Fault>> {
    let refused = |why: String| {
        let sentence = format!("{} sends this through the proxy {}, and it {why}", proxy.variable, proxy.text);
        Box::new(Fault::fatal(Layer::Environment, "proxy_refuses", sentence))
    };
    let failed = |error: std::io::Error| refused(format!("does not answer the request for a tunnel ({error})"));
    let own = socket.try_clone().map_err(failed)?;
    let mut stream = netkit_tls::Socket::new(own).map_err(failed)?;
    let place = format!("{}:{}", target.bracketed(), target.port);
    let login = proxy.login.as_ref().map_or_else(String::new, |(user, password)| {
        format!("Proxy-Authorization: {}\r\n", netkit_http::auth::basic(user, password))
    });
    let request = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\nUser-Agent: netkit-doctor\r\n{login}\r\n");
    let deadline = Some(Instant::now() + patience);
    write_by(&mut stream, request.as_bytes(), deadline).map_err(failed)?;
    // Byte by byte, so that nothing behind the head is taken.
    let mut head: Vec<u8> = Vec::new();
    let mut byte = [0u8; 1];
    while !head.ends_with(b"\r\n\r\n") && head.len() < 16_384 {
        match read_by(&mut stream, &mut byte, deadline) {
            Ok(0) => return Err(refused("closes the connection instead of making a tunnel".to_owned())),
            Ok(_) => head.extend_from_slice(&byte),
            Err(error) => return Err(failed(error)),
        }
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    match netkit_http::head::status_line(line) {
        Ok((_, 200..=299)) => Ok(()),
        Ok((_, status)) => Err(refused(match status {
            407 => "wants credentials (407)".to_owned(),
            403 => format!("forbids a tunnel to {place} (403)"),
            502..=504 => format!("cannot reach {place} itself ({status})"),
            other => format!("answers {other} to the request for a tunnel"),
        })),
        Err(_) => Err(refused("does not answer in HTTP".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions() {
        assert!(excepted("a.b, .svc", "x.svc") && excepted("*", "z") && excepted("10.0.0.0/8", "10.1.2.3"));
        assert!(!excepted("a.b", "xa.b") && !excepted("10.0.0.0/8", "11.1.2.3") && !excepted("", "a"));
    }
}
