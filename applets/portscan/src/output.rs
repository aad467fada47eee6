//! Results in nmap's text formats and masscan's, and as our own JSON; XML has a file of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use netkit_core::json::Value;
use netkit_core::text::printable;
use netkit_core::{Civil, civil_from_unix};
use netkit_probe::Protocol;
use netkit_probe::scan::{State, Verdict};
use netkit_probe::services::Services;

use crate::args::{Format, Opts};
use crate::repeat::Repeats;
use crate::targets::Host;
use crate::versions::Version;
use crate::{ports, xml};

/// More ports than this in one state are counted instead of listed.
const MOST_LISTED: usize = 25;

/// One host and what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) address: IpAddr,
    /// As the user named it.
    pub(crate) given: Option<String>,
    /// Further addresses of that name.
    pub(crate) others: Vec<IpAddr>,
    /// As its address is named.
    pub(crate) name: Option<String>,
    pub(crate) up: bool,
    pub(crate) reason: &'static str,
    pub(crate) reason_ttl: Option<u8>,
    pub(crate) mac: Option<[u8; 6]>,
    pub(crate) latency: Option<Duration>,
    pub(crate) timed_out: bool,
    pub(crate) ports: BTreeMap<(u8, u16), Verdict>,
    pub(crate) repeats: BTreeMap<(u8, u16), Repeats>,
    pub(crate) versions: BTreeMap<(u8, u16), Version>,
    pub(crate) began: i64,
    pub(crate) ended: i64,
}

pub(crate) fn protocol(number: u8) -> Protocol {
    if number == 0 { Protocol::Tcp } else { Protocol::Udp }
}

/// Ports of one state that are only counted.
pub(crate) struct Ignored {
    pub(crate) state: State,
    pub(crate) protocol: u8,
    pub(crate) count: usize,
    /// By their names.
    pub(crate) reasons: Vec<(&'static str, Vec<u16>)>,
}

impl Report {
    /// Nothing is known yet; `given`: it is to be taken for up.
    pub(crate) fn new(host: Host, given: bool, began: i64) -> Report {
        Report {
            address: host.address,
            given: host.name,
            others: host.others,
            name: None,
            up: given,
            reason: if given { "user-set" } else { "no-response" },
            reason_ttl: None,
            mac: None,
            latency: None,
            timed_out: false,
            ports: BTreeMap::new(),
            repeats: BTreeMap::new(),
            versions: BTreeMap::new(),
            began,
            ended: began,
        }
    }

    /// One more verdict; of several the best one stands for the port.
    pub(crate) fn take(&mut self, port: (u8, u16), verdict: Verdict, repeated: bool) {
        if repeated {
            self.repeats.entry(port).or_default().add(&verdict);
            if self.ports.get(&port).is_some_and(|known| known.state <= verdict.state) {
                return;
            }
        }
        self.ports.insert(port, verdict);
    }

    /// `name (address)` as nmap heads a report.
    fn title(&self) -> String {
        match self.given.as_ref().or(self.name.as_ref()) {
            Some(name) => format!("{} ({})", printable(name), self.address),
            None => self.address.to_string(),
        }
    }

    pub(crate) fn host_name(&self) -> String {
        printable(self.name.as_deref().unwrap_or(""))
    }

    pub(crate) fn split(&self, opts: &Opts) -> (Vec<(u8, u16, Verdict)>, Vec<Ignored>) {
        // By state and protocol.
        let mut counts = [[0usize; 2]; 5];
        let place = |protocol: u8, state: State| (state as usize, usize::from(protocol));
        for ((protocol, _), verdict) in &self.ports {
            let (row, column) = place(*protocol, verdict.state);
            if let Some(count) = counts.get_mut(row).and_then(|row| row.get_mut(column)) {
                *count += 1;
            }
        }
        let mut listed = Vec::new();
        let mut ignored: Vec<Ignored> = Vec::new();
        for ((protocol, port), verdict) in &self.ports {
            let (row, column) = place(*protocol, verdict.state);
            let many = counts.get(row).and_then(|row| row.get(column)).is_some_and(|count| *count > MOST_LISTED);
            let wanted = !opts.open || matches!(verdict.state, State::Open | State::OpenFiltered);
            if wanted && (verdict.state == State::Open || !many) {
                listed.push((*protocol, *port, *verdict));
                continue;
            }
            let found = ignored.iter().position(|one| one.state == verdict.state && one.protocol == *protocol);
            let at = found.unwrap_or_else(|| {
                let state = verdict.state;
                ignored.push(Ignored { state, protocol: *protocol, count: 0, reasons: Vec::new() });
                ignored.len() - 1
            });
            let Some(one) = ignored.get_mut(at) else { continue };
            one.count += 1;
            match one.reasons.iter_mut().find(|(why, _)| *why == verdict.reason) {
                Some((_, ports)) => ports.push(*port),
                None => one.reasons.push((verdict.reason, vec![*port])),
            }
        }
        ignored.iter_mut().for_each(|one| one.reasons.sort_by_key(|(why, _)| *why));
        ignored.sort_by_key(|one| std::cmp::Reverse(one.count));
        (listed, ignored)
    }
}

/// Seconds with two digits that mean something, as nmap shows a latency.
fn latency(rtt: Duration) -> String {
    let micros = rtt.as_micros().max(1);
    let digits = u32::try_from(micros.to_string().len()).unwrap_or(7);
    let unit = 10u128.pow(digits.saturating_sub(2));
    // In tenths of a microsecond, so that one microsecond has two digits.
    let tenths = (micros + unit / 2) / unit * unit * 10;
    let text = format!("{}.{:07}", tenths / 10_000_000, tenths % 10_000_000);
    let zeroes = usize::try_from(digits).unwrap_or(7).saturating_sub(1).min(6);
    text.get(..text.len() - zeroes).unwrap_or(&text).trim_end_matches('.').to_owned()
}

/// `Sat Nov 21 16:42:28 2026`.
pub(crate) fn long_date(seconds: i64) -> String {
    let Civil { year, day, hour, minute, second, .. } = civil_from_unix(seconds);
    let date = civil_from_unix(seconds);
    format!("{} {} {day:2} {hour:02}:{minute:02}:{second:02} {year}", date.weekday_name(), date.month_name())
}

pub(crate) fn short_date(seconds: i64) -> String {
    let Civil { year, month, day, hour, minute, .. } = civil_from_unix(seconds);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// What every format's first and last lines say.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) version: &'static str,
    /// The command line.
    pub(crate) args: String,
    pub(crate) began: i64,
    pub(crate) ended: i64,
    pub(crate) elapsed: Duration,
    pub(crate) hosts: u128,
    pub(crate) up: u128,
    /// The letter of the scan of TCP ports.
    pub(crate) scan: char,
    pub(crate) verbose: usize,
    /// Ports of each protocol, where any are asked.
    pub(crate) asked: Vec<(Protocol, Vec<u16>)>,
}

impl Frame {
    pub(crate) fn done(&self) -> String {
        let elapsed = format!("{}.{:02}", self.elapsed.as_secs(), self.elapsed.subsec_millis() / 10);
        let (hosts, up) = (self.hosts, self.up);
        let plural = |count: u128, one: &'static str, many: &'static str| if count == 1 { one } else { many };
        format!(
            "{hosts} IP address{} ({up} host{} up) scanned in {elapsed} seconds",
            plural(hosts, "", "es"),
            plural(up, "", "s")
        )
    }
}

pub(crate) fn head(format: Format, frame: &Frame) -> String {
    match format {
        Format::Normal | Format::Grepable => {
            let (began, args) = (long_date(frame.began), &frame.args);
            let mut text = format!("# portscan (netkit {}) scan initiated {began} as: {args}\n", frame.version);
            if format == Format::Grepable && frame.verbose > 0 {
                let ports = |wanted: Protocol| {
                    let found = frame.asked.iter().find(|(protocol, _)| *protocol == wanted);
                    let ports = found.map(|(_, ports)| ports.as_slice()).unwrap_or_default();
                    format!("{};{}", ports.len(), ports::ranges(ports.iter().copied()))
                };
                let (tcp, udp) = (ports(Protocol::Tcp), ports(Protocol::Udp));
                let _ = writeln!(text, "# Ports scanned: TCP({tcp}) UDP({udp}) SCTP(0;) PROTOCOLS(0;)");
            }
            text
        }
        Format::Xml => xml::head(frame),
        Format::MasscanJson => "[\n".to_owned(),
        Format::List => "#masscan\n".to_owned(),
    }
}

pub(crate) fn tail(format: Format, frame: &Frame) -> String {
    match format {
        Format::Normal | Format::Grepable => {
            format!("# portscan done at {} -- {}\n", long_date(frame.ended), frame.done())
        }
        Format::Xml => xml::tail(frame),
        Format::MasscanJson => "]\n".to_owned(),
        Format::List => "# end\n".to_owned(),
    }
}

/// The last line on a terminal.
pub(crate) fn done(frame: &Frame) -> String {
    format!("portscan done: {}\n", frame.done())
}

pub(crate) fn host(format: Format, report: &Report, opts: &Opts, services: &Services, first: bool) -> String {
    // With `--open`, a host without any is not worth a line.
    let none = || !report.ports.values().any(|verdict| matches!(verdict.state, State::Open | State::OpenFiltered));
    if opts.open && !opts.hosts_only && !opts.list_only && none() {
        return String::new();
    }
    match format {
        Format::Normal => normal(report, opts, services),
        Format::Grepable => grepable(report, opts, services),
        Format::Xml => xml::host(report, opts, services),
        Format::MasscanJson | Format::List => open_only(format, report, first),
    }
}

/// The reason with who gave it, where that was not the host, and the TTL it came with.
fn reason(report: &Report, verdict: &Verdict) -> String {
    let mut text = verdict.reason.to_owned();
    if let Some(from) = verdict.error.and_then(|error| error.offender).filter(|from| *from != report.address) {
        let _ = write!(text, " from {from}");
    }
    with_ttl(text, verdict.ttl)
}

fn with_ttl(mut text: String, ttl: Option<u8>) -> String {
    if let Some(ttl) = ttl {
        let _ = write!(text, " ttl {ttl}");
    }
    text
}

/// The six octets in capitals, as nmap shows them.
pub(crate) fn mac(octets: [u8; 6]) -> String {
    octets.map(|octet| format!("{octet:02X}")).join(":")
}

fn normal(report: &Report, opts: &Opts, services: &Services) -> String {
    let title = report.title();
    if opts.list_only {
        return format!("Nmap scan report for {title}\n");
    }
    if !report.up {
        return if opts.verbose > 0 { format!("Nmap scan report for {title} [host down]\n") } else { String::new() };
    }
    let mut text = format!("Nmap scan report for {title}\nHost is up");
    if opts.reason {
        let _ = write!(text, ", received {}", with_ttl(report.reason.to_owned(), report.reason_ttl));
    }
    match report.latency {
        Some(rtt) => {
            let _ = writeln!(text, " ({}s latency).", latency(rtt));
        }
        None => text += ".\n",
    }
    if let (Some(given), false) = (&report.given, report.others.is_empty()) {
        let others: Vec<String> = report.others.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "Other addresses for {} (not scanned): {}", printable(given), others.join(" "));
    }
    if let (Some(given), Some(name)) = (&report.given, &report.name)
        && given != name
    {
        let _ = writeln!(text, "rDNS record for {}: {}", report.address, printable(name));
    }
    let neighbour = report.mac.map(|octets| format!("MAC Address: {} (Unknown)\n", mac(octets))).unwrap_or_default();
    if opts.hosts_only {
        return text + &neighbour;
    }
    if report.timed_out {
        let _ = writeln!(text, "Skipping host {title} due to host timeout\n");
        return text;
    }
    let (listed, ignored) = report.split(opts);
    if listed.is_empty() && !report.ports.is_empty() {
        let _ = writeln!(text, "All {} scanned ports on {title} are in ignored states.", report.ports.len());
    }
    if !ignored.is_empty() {
        text += "Not shown: ";
        for (at, one) in ignored.iter().enumerate() {
            let separator = if at > 0 { ", " } else { "" };
            let _ = write!(
                text,
                "{separator}{} {} {} port{}",
                one.count,
                one.state.name(),
                protocol(one.protocol),
                if one.count == 1 { "" } else { "s" }
            );
            let mut reasons: Vec<(&&str, usize)> = one.reasons.iter().map(|(why, ports)| (why, ports.len())).collect();
            reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            let reasons: Vec<&str> = reasons.iter().map(|(why, _)| **why).collect();
            let _ = write!(text, " ({})", reasons.join(", "));
        }
        text.push('\n');
        let hidden = |one: &Ignored| one.state == State::Filtered && one.protocol == 0;
        if opts.open && !listed.is_empty() && ignored.iter().any(hidden) {
            text += "Some closed ports may be reported as filtered due to --defeat-rst-ratelimit\n";
        }
    } else if !listed.is_empty() {
        text.push('\n');
    }
    if !listed.is_empty() {
        let mut rows = vec![vec!["PORT".to_owned(), "STATE".to_owned(), "SERVICE".to_owned()]];
        let heads = [(opts.reason, "REASON"), (opts.versions, "VERSION"), (opts.repeat.is_some(), "OPEN")];
        for (_, head) in heads.iter().filter(|(wanted, _)| *wanted) {
            rows.iter_mut().for_each(|row| row.push((*head).to_owned()));
        }
        for (number, port, verdict) in &listed {
            let kind = protocol(*number);
            let version = report.versions.get(&(*number, *port));
            let name = version.and_then(Version::name).unwrap_or_else(|| ports::name(services, *port, kind));
            let mut row = vec![format!("{port}/{kind}"), verdict.state.name().to_owned(), name];
            if opts.reason {
                row.push(reason(report, verdict));
            }
            if opts.versions {
                row.push(version.map(Version::text).unwrap_or_default());
            }
            if let Some(repeats) = report.repeats.get(&(*number, *port)) {
                row.push(repeats.text());
            }
            rows.push(row);
        }
        text += &table(&rows);
    }
    text + &neighbour + "\n"
}

/// Columns as wide as their widest cell; the last one is not padded.
fn table(rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (at, cell) in row.iter().enumerate() {
            match widths.get_mut(at) {
                Some(width) => *width = cell.len().max(*width),
                None => widths.push(cell.len()),
            }
        }
    }
    let mut text = String::new();
    for row in rows {
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            text += cell;
            if at + 1 < row.len() {
                text += &" ".repeat(width + 1 - cell.len());
            }
        }
        // A last column that is empty leaves no trail of blanks.
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

fn grepable(report: &Report, opts: &Opts, services: &Services) -> String {
    let head = format!("Host: {} ({})", report.address, report.host_name());
    if opts.list_only {
        return format!("{head}\tStatus: Unknown\n");
    }
    if !report.up {
        return if opts.verbose > 0 { format!("{head}\tStatus: Down\n") } else { String::new() };
    }
    if report.timed_out {
        return format!("{head}\tStatus: Timeout\n");
    }
    let mut text = format!("{head}\tStatus: Up\n");
    let (listed, ignored) = report.split(opts);
    if opts.hosts_only {
        return text;
    }
    if report.ports.is_empty() {
        return text + "\n";
    }
    let cells: Vec<String> = listed
        .iter()
        .map(|(number, port, verdict)| {
            let kind = protocol(*number);
            let version = report.versions.get(&(*number, *port));
            let name = version.and_then(Version::name).unwrap_or_else(|| ports::name(services, *port, kind));
            let name = if name == "unknown" { String::new() } else { name };
            // A slash would end the field.
            let said = version.map(Version::text).unwrap_or_default().replace('/', "|");
            let said = if said.is_empty() { said } else { format!("{said}/") };
            format!("{port}/{}/{kind}//{name}//{said}{}", verdict.state.name(), if said.is_empty() { "/" } else { "" })
        })
        .collect();
    let _ = write!(text, "{head}\tPorts: {}", cells.join(", "));
    if let Some(one) = ignored.first() {
        let _ = write!(text, "\tIgnored State: {} ({})", one.state.name(), one.count);
    }
    text.push('\n');
    text
}

fn open_only(format: Format, report: &Report, first: bool) -> String {
    let mut text = String::new();
    let mut comma = if first { "" } else { "," };
    for ((number, port), verdict) in report.ports.iter().filter(|(_, verdict)| verdict.state == State::Open) {
        let (kind, ip, time) = (protocol(*number), report.address, report.ended);
        if format == Format::List {
            let _ = writeln!(text, "open {kind} {port} {ip} {time}");
            continue;
        }
        let _ = writeln!(
            text,
            "{comma}{{\"ip\":\"{ip}\",\"timestamp\":\"{time}\",\"ports\":[{{\"port\":{port},\"proto\":\"{kind}\",\
             \"status\":\"open\",\"reason\":\"{}\",\"ttl\":{}}}]}}",
            verdict.reason,
            verdict.ttl.unwrap_or(0)
        );
        comma = ",";
    }
    text
}

/// One host as one line of our own JSON.
pub(crate) fn json(report: &Report, services: &Services) -> Value {
    let list = report.ports.iter().map(|((number, port), verdict)| {
        let kind = protocol(*number);
        let rejected = verdict.error.and_then(|error| error.offender).filter(|from| *from != report.address);
        let mut value = Value::object()
            .with("port", u32::from(*port))
            .with("protocol", kind.name())
            .with("state", verdict.state.name())
            .with("reason", verdict.reason)
            .with("service", ports::name(services, *port, kind))
            .with("rtt_us", verdict.rtt.map(|rtt| rtt.as_micros()));
        if let Some(from) = rejected {
            value.set("rejected_by", from.to_string());
        }
        if let Some(ttl) = verdict.ttl {
            value.set("ttl", u32::from(ttl));
        }
        if let Some(repeats) = report.repeats.get(&(*number, *port)) {
            value.set("repeat", repeats.json());
        }
        if let Some(version) = report.versions.get(&(*number, *port)) {
            value.set("version", version.json());
        }
        if let Some(error) = &verdict.error {
            value.set("icmp_type", u32::from(error.kind));
            value.set("icmp_code", u32::from(error.code));
        }
        value
    });
    Value::object()
        .with("schema", "portscan/1")
        .with("address", report.address.to_string())
        .with("name", report.given.clone().or_else(|| report.name.clone()))
        .with("up", report.up)
        .with("reason", report.reason)
        .with("ttl", report.reason_ttl.map(u32::from))
        .with("mac", report.mac.map(mac))
        .with("timed_out", report.timed_out)
        .with("latency_us", report.latency.map(|rtt| rtt.as_micros()))
        .with("ports", Value::Array(list.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_and_tables() {
        for (micros, text) in [
            (93, "0.000093"),
            (125, "0.00013"),
            (1, "0.0000010"),
            (1_234_567, "1.2"),
            (50_400, "0.050"),
            (200, "0.00020"),
        ] {
            assert_eq!(latency(Duration::from_micros(micros)), text);
        }
        let rows =
            [["PORT", "STATE", "SERVICE"], ["8080/tcp", "open", "http"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "PORT     STATE SERVICE\n8080/tcp open  http\n");
        assert_eq!(long_date(1_795_279_348), "Sat Nov 21 16:42:28 2026");
    }
}
