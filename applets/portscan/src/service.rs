//! `--svc NAME.NAMESPACE`: the address of a Kubernetes Service, then each of its endpoints, and which of them is at fault.
//!
//! The address comes from DNS. Endpoints come from DNS where the Service is headless, and otherwise from kube-proxy's rules
//! as `iptables --svc` of this same binary shows them, where this machine has them and CAP_NET_ADMIN lets us look.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use netkit_core::Error;
use netkit_core::json::Value;
use netkit_core::text::printable;
use netkit_probe::Protocol;
use netkit_probe::resolve;
use netkit_probe::scan::{State, Task, Verdict};

use crate::output::Report;
use crate::targets::Host;
use crate::{Job, quit};

/// A port of a Service and where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Door {
    address: SocketAddr,
    protocol: Protocol,
    endpoints: Vec<SocketAddr>,
}

/// Reads what `iptables --svc` says: a line a port, `NAME  ADDRESS:PORT/PROTOCOL  ...`, and a line an endpoint below it.
fn doors(text: &str, service: IpAddr) -> Vec<Door> {
    let mut doors: Vec<Door> = Vec::new();
    let mut current = None;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if line.starts_with(' ') {
            let endpoint = words.next().and_then(|word| word.parse::<SocketAddr>().ok());
            if let (Some(endpoint), Some(door)) = (endpoint, current.and_then(|at: usize| doors.get_mut(at)))
                && !door.endpoints.contains(&endpoint)
            {
                door.endpoints.push(endpoint);
            }
            continue;
        }
        let found = words.find_map(|word| {
            let (address, protocol) = word.rsplit_once('/')?;
            let protocol = match protocol {
                "tcp" => Protocol::Tcp,
                "udp" => Protocol::Udp,
                _ => return None,
            };
            Some((address.parse::<SocketAddr>().ok()?, protocol))
        });
        current = found.filter(|(address, _)| address.ip() == service).map(|(address, protocol)| {
            let known = doors.iter().position(|door| door.address == address && door.protocol == protocol);
            known.unwrap_or_else(|| {
                doors.push(Door { address, protocol, endpoints: Vec::new() });
                doors.len() - 1
            })
        });
    }
    doors
}

/// What kube-proxy's rules say of a service address.
fn rules(service: IpAddr) -> Vec<Door> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("iptables").arg("--svc").arg(service.to_string());
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output();
    output.map(|output| doors(&String::from_utf8_lossy(&output.stdout), service)).unwrap_or_default()
}

impl Job<'_> {
    /// Looks at one Service. False when something of it does not answer.
    pub(crate) fn service(&mut self, name: &str) -> Result<(bool, u128), Error> {
        let lookup = self.lookup();
        let shown = printable(name);
        // As pods write it, then with what every cluster adds.
        let names = [name.to_owned(), format!("{name}.svc"), format!("{name}.svc.cluster.local")];
        let found =
            names.iter().find_map(|name| resolve(name, 0, self.family(), &lookup).ok().filter(|all| !all.is_empty()));
        let Some(found) = found else {
            return Err(quit(self.ctx, &format!("--svc: Failed to resolve \"{shown}\".")));
        };
        let mut addresses: Vec<IpAddr> = found.iter().map(|address| address.ip()).collect();
        addresses.dedup();
        let chosen = self.opts.ports.is_some() || self.opts.top.is_some();
        let mut doors = Vec::new();
        if let [one] = addresses.as_slice() {
            doors = rules(*one);
            doors.retain(|door| !chosen || self.ports_of(door.protocol).contains(&door.address.port()));
        }
        // Ports that no rule knows, and headless services: what was asked for, at every address.
        let known = doors.len();
        if chosen || known == 0 {
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                for port in self.ports_of(protocol) {
                    for ip in &addresses {
                        let address = SocketAddr::new(*ip, port);
                        if !doors.iter().take(known).any(|door| door.address == address && door.protocol == protocol) {
                            doors.push(Door { address, protocol, endpoints: Vec::new() });
                        }
                    }
                }
            }
        }
        let found = self.knock(name, &doors)?;
        let mut good = true;
        for (at, door) in doors.iter().enumerate() {
            let state = |address: &SocketAddr| {
                found
                    .get(&(*address, door.protocol == Protocol::Udp))
                    .map_or("not asked", |verdict| verdict.state.name())
            };
            let own = state(&door.address);
            let bad: Vec<String> = door
                .endpoints
                .iter()
                .filter(|one| state(one) != "open")
                .map(|one| format!("{one} is {}", state(one)))
                .collect();
            let (total, place) = (door.endpoints.len(), format!("{shown} {}/{}", door.address, door.protocol));
            let verdict = match (own, total, bad.len()) {
                ("open", 0, _) => "it answers".to_owned(),
                (_, 0, _) if at >= known => format!("it is {own}; its endpoints are not known here"),
                (_, 0, _) => format!("it is {own}: it has no endpoints: no pod is ready, or the selector finds none"),
                ("open", _, 0) => format!("it answers, and so do all {total} endpoints"),
                ("open", _, _) => format!(
                    "it answers, but not every time: {} of {total} endpoints do not: {}",
                    bad.len(),
                    bad.join(", ")
                ),
                (_, _, 0) => {
                    format!("it is {own} while all {total} endpoints answer: the Service is at fault, not the pods")
                }
                (_, _, count) if count == total => {
                    format!("it is {own}, and no endpoint answers: the pods are at fault: {}", bad.join(", "))
                }
                _ => format!("it is {own}; {} of {total} endpoints do not answer: {}", bad.len(), bad.join(", ")),
            };
            let fine = own == "open" && bad.is_empty();
            // A port that was only tried says nothing about the Service.
            good &= fine || (at >= known && known > 0) || (own == "closed" && known == 0 && !chosen);
            if self.opts.json {
                let endpoints = door
                    .endpoints
                    .iter()
                    .map(|one| Value::object().with("address", one.to_string()).with("state", state(one)));
                let value = Value::object()
                    .with("schema", "portscan-svc/1")
                    .with("service", shown.as_str())
                    .with("address", door.address.to_string())
                    .with("protocol", door.protocol.name())
                    .with("state", own)
                    .with("endpoints", Value::Array(endpoints.collect()))
                    .with("verdict", verdict);
                writeln!(self.ctx.stdout, "{value}")?;
            } else if !self.quiet && (at < known || own == "open" || chosen) {
                writeln!(self.ctx.stdout, "Service {place}: {verdict}")?;
            }
        }
        if !self.quiet {
            writeln!(self.ctx.stdout)?;
        }
        let hosts = found.keys().map(|(address, _)| address.ip()).collect::<std::collections::BTreeSet<_>>().len();
        Ok((good, hosts as u128))
    }

    fn ports_of(&self, protocol: Protocol) -> Vec<u16> {
        self.ports.get(usize::from(protocol == Protocol::Udp)).cloned().unwrap_or_default()
    }

    /// Asks every address of these doors, and reports each as a host.
    fn knock(&mut self, name: &str, doors: &[Door]) -> Result<BTreeMap<(SocketAddr, bool), Verdict>, Error> {
        let mut found: BTreeMap<(SocketAddr, bool), Verdict> = BTreeMap::new();
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            // A connection of its own each time: a Service picks an endpoint for each.
            let (kind, with) = self.kind(protocol);
            let settings = self.settings(with);
            let mut all: Vec<SocketAddr> = doors
                .iter()
                .filter(|door| door.protocol == protocol)
                .flat_map(|door| std::iter::once(door.address).chain(door.endpoints.iter().copied()))
                .collect();
            all.sort_unstable();
            all.dedup();
            let mut tasks = all.iter().map(|to| Task { to: *to, kind });
            let mut report = |task: Task, verdict: Verdict| {
                found.insert((task.to, protocol == Protocol::Udp), verdict);
            };
            self.scan(&mut tasks, &settings, with, &mut || false, &mut report)?;
        }
        let began = self.ctx.clock.unix_seconds();
        let mut reports: BTreeMap<IpAddr, Report> = BTreeMap::new();
        for ((address, udp), verdict) in &found {
            let own = doors.iter().any(|door| door.address.ip() == address.ip());
            let report = reports.entry(address.ip()).or_insert_with(|| {
                let host = Host { address: address.ip(), name: own.then(|| printable(name)), others: Vec::new() };
                Report::new(host, true, began)
            });
            report.latency = report.latency.or(verdict.rtt.filter(|_| verdict.state == State::Open));
            report.take((u8::from(*udp), address.port()), *verdict, false);
        }
        let mut reports: Vec<Report> = reports.into_values().collect();
        if self.opts.versions {
            self.versions(&mut reports);
        }
        // The Service first.
        reports.sort_by_key(|report| report.given.is_none());
        for report in &reports {
            self.check(report);
            self.tell(report)?;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_as_they_are_shown() {
        let text = "shop/web:http  10.96.0.10:80/tcp  kube-proxy iptables (legacy)\n  10.1.0.2:8080  50 %  KUBE-SEP-A\n  \
                    10.1.0.3:8080  50 %  KUBE-SEP-B\n  10.1.0.3:8080  again\n\nother  10.96.0.11:80/tcp  x\n  10.1.0.9:1  1\n";
        let found = doors(text, [10, 96, 0, 10].into());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].address, "10.96.0.10:80".parse().unwrap());
        assert_eq!(found[0].endpoints, ["10.1.0.2:8080", "10.1.0.3:8080"].map(|text| text.parse().unwrap()));
        assert!(doors("garbage\n  more\n", [10, 96, 0, 10].into()).is_empty());
    }

    proptest::proptest! {
        #[test]
        fn any_text(text in "[ a-z0-9.:/\n]{0,80}") {
            let _ = doors(&text, [10, 96, 0, 10].into());
        }
    }
}
