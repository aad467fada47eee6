//! Results in nmap's and masscan's formats, and as our own JSON.

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
use crate::ports;

/// More ports than this in one state are counted instead of listed.
const MOST_LISTED: usize = 25;

/// One host and what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) address: IpAddr,
    /// As the user named it.
    pub(crate) given: Option<String>,
    /// As its address is named.
    pub(crate) name: Option<String>,
    pub(crate) up: bool,
    pub(crate) reason: &'static str,
    pub(crate) latency: Option<Duration>,
    pub(crate) ports: BTreeMap<(u8, u16), Verdict>,
    pub(crate) began: i64,
    pub(crate) ended: i64,
}

pub(crate) fn protocol(number: u8) -> Protocol {
    if number == 0 { Protocol::Tcp } else { Protocol::Udp }
}

/// Ports of one state that are only counted.
struct Ignored {
    state: State,
    protocol: u8,
    ports: Vec<u16>,
    reasons: BTreeMap<&'static str, Vec<u16>>,
}

impl Report {
    /// `name (address)` as nmap heads a report.
    fn title(&self) -> String {
        match self.given.as_ref().or(self.name.as_ref()) {
            Some(name) => format!("{} ({})", printable(name), self.address),
            None => self.address.to_string(),
        }
    }

    fn host_name(&self) -> String {
        printable(self.given.as_deref().or(self.name.as_deref()).unwrap_or(""))
    }

    fn split(&self, opts: &Opts) -> (Vec<(u8, u16, Verdict)>, Vec<Ignored>) {
        let mut counts: BTreeMap<(State, u8), usize> = BTreeMap::new();
        for ((protocol, _), verdict) in &self.ports {
            *counts.entry((verdict.state, *protocol)).or_default() += 1;
        }
        let mut listed = Vec::new();
        let mut ignored: Vec<Ignored> = Vec::new();
        for ((protocol, port), verdict) in &self.ports {
            let many = counts.get(&(verdict.state, *protocol)).is_some_and(|count| *count > MOST_LISTED);
            let wanted = !opts.open || matches!(verdict.state, State::Open | State::OpenFiltered);
            if wanted && (verdict.state == State::Open || !many) {
                listed.push((*protocol, *port, *verdict));
                continue;
            }
            let found = ignored.iter().position(|one| one.state == verdict.state && one.protocol == *protocol);
            let at = found.unwrap_or_else(|| {
                let state = verdict.state;
                ignored.push(Ignored { state, protocol: *protocol, ports: Vec::new(), reasons: BTreeMap::new() });
                ignored.len() - 1
            });
            if let Some(one) = ignored.get_mut(at) {
                one.ports.push(*port);
                one.reasons.entry(verdict.reason).or_default().push(*port);
            }
        }
        ignored.sort_by_key(|one| std::cmp::Reverse(one.ports.len()));
        (listed, ignored)
    }
}

/// Seconds with two digits that mean something, as nmap shows a latency.
fn latency(rtt: Duration) -> String {
    let micros = rtt.as_micros().max(1);
    let digits = micros.to_string().len();
    let unit = 10u128.pow(u32::try_from(digits.saturating_sub(2)).unwrap_or(0));
    let rounded = (micros + unit / 2) / unit * unit;
    let text = format!("{}.{:06}", rounded / 1_000_000, rounded % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
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
    /// Ports of each protocol, where any are asked.
    pub(crate) asked: Vec<(Protocol, Vec<u16>)>,
}

impl Frame {
    fn done(&self) -> String {
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
    let (began, args) = (long_date(frame.began), &frame.args);
    match format {
        Format::Normal | Format::Grepable => {
            format!("# portscan (netkit {}) scan initiated {began} as: {args}\n", frame.version)
        }
        Format::Xml => {
            let args = xml(args).replace("--", "-&#45;");
            let mut text = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE nmaprun>\n\
                 <!-- portscan (netkit {}) scan initiated {began} as: {args} -->\n\
                 <nmaprun scanner=\"nmap\" args=\"{args}\" start=\"{}\" startstr=\"{began}\" version=\"netkit-{}\" \
                 xmloutputversion=\"1.05\">\n",
                frame.version, frame.began, frame.version
            );
            for (protocol, ports) in &frame.asked {
                let kind = if *protocol == Protocol::Tcp { "connect" } else { "udp" };
                let _ = writeln!(
                    text,
                    "<scaninfo type=\"{kind}\" protocol=\"{protocol}\" numservices=\"{}\" services=\"{}\"/>",
                    ports.len(),
                    ports::ranges(ports.iter().copied())
                );
            }
            text + "<verbose level=\"0\"/>\n<debugging level=\"0\"/>\n"
        }
        Format::MasscanJson => "[\n".to_owned(),
        Format::List => "#masscan\n".to_owned(),
    }
}

pub(crate) fn tail(format: Format, frame: &Frame) -> String {
    let (ended, done) = (long_date(frame.ended), frame.done());
    match format {
        Format::Normal | Format::Grepable => format!("# portscan done at {ended} -- {done}\n"),
        Format::Xml => format!(
            "<runstats><finished time=\"{}\" timestr=\"{ended}\" summary=\"portscan done at {ended}; {done}\" \
             elapsed=\"{}.{:02}\" exit=\"success\"/><hosts up=\"{}\" down=\"{}\" total=\"{}\"/>\n</runstats>\n</nmaprun>\n",
            frame.ended,
            frame.elapsed.as_secs(),
            frame.elapsed.subsec_millis() / 10,
            frame.up,
            frame.hosts.saturating_sub(frame.up),
            frame.hosts
        ),
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
    if opts.open && !opts.hosts_only && none() {
        return String::new();
    }
    match format {
        Format::Normal => normal(report, opts, services),
        Format::Grepable => grepable(report, opts, services),
        Format::Xml => xml_host(report, opts, services),
        Format::MasscanJson | Format::List => open_only(format, report, first),
    }
}

/// The reason with who gave it, where that was not the host.
fn reason(report: &Report, verdict: &Verdict) -> String {
    let from = verdict.error.and_then(|error| error.offender).filter(|from| *from != report.address);
    match from {
        Some(from) => format!("{} from {from}", verdict.reason),
        None => verdict.reason.to_owned(),
    }
}

fn normal(report: &Report, opts: &Opts, services: &Services) -> String {
    if !report.up {
        return if opts.verbose {
            format!("Nmap scan report for {} [host down]\n", report.title())
        } else {
            String::new()
        };
    }
    let mut text = format!("Nmap scan report for {}\nHost is up", report.title());
    if opts.reason {
        let _ = write!(text, ", received {}", report.reason);
    }
    match report.latency {
        Some(rtt) => {
            let _ = writeln!(text, " ({}s latency).", latency(rtt));
        }
        None => text += ".\n",
    }
    if opts.hosts_only {
        return text;
    }
    let (listed, ignored) = report.split(opts);
    if listed.is_empty() && !report.ports.is_empty() {
        let _ = writeln!(text, "All {} scanned ports on {} are in ignored states.", report.ports.len(), report.title());
    }
    if !ignored.is_empty() && !opts.open {
        text += "Not shown: ";
        for (at, one) in ignored.iter().enumerate() {
            let separator = if at > 0 { ", " } else { "" };
            let reasons: Vec<&str> = one.reasons.keys().copied().collect();
            let _ = write!(
                text,
                "{separator}{} {} {} ports ({})",
                one.ports.len(),
                one.state.name(),
                protocol(one.protocol),
                reasons.join(", ")
            );
        }
        text.push('\n');
    } else if !ignored.is_empty() {
        let counts: Vec<String> = ignored
            .iter()
            .map(|one| format!("{} {} {} ports", one.ports.len(), one.state.name(), protocol(one.protocol)))
            .collect();
        let _ = writeln!(text, "Not shown: {}", counts.join(", "));
    }
    if !listed.is_empty() {
        let mut rows = vec![vec!["PORT".to_owned(), "STATE".to_owned(), "SERVICE".to_owned()]];
        if opts.reason {
            rows.iter_mut().for_each(|row| row.push("REASON".to_owned()));
        }
        for (number, port, verdict) in &listed {
            let kind = protocol(*number);
            let mut row =
                vec![format!("{port}/{kind}"), verdict.state.name().to_owned(), ports::name(services, *port, kind)];
            if opts.reason {
                row.push(reason(report, verdict));
            }
            rows.push(row);
        }
        text += &table(&rows);
    }
    text.push('\n');
    text
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
        text.push('\n');
    }
    text
}

fn grepable(report: &Report, opts: &Opts, services: &Services) -> String {
    let head = format!("Host: {} ({})", report.address, report.host_name());
    if !report.up {
        return if opts.verbose { format!("{head}\tStatus: Down\n") } else { String::new() };
    }
    let mut text = format!("{head}\tStatus: Up\n");
    let (listed, ignored) = report.split(opts);
    if opts.hosts_only || (listed.is_empty() && ignored.is_empty()) {
        return text;
    }
    let cells: Vec<String> = listed
        .iter()
        .map(|(number, port, verdict)| {
            let kind = protocol(*number);
            let name = ports::name(services, *port, kind);
            let name = if name == "unknown" { String::new() } else { name };
            format!("{port}/{}/{kind}//{name}///", verdict.state.name())
        })
        .collect();
    let _ = write!(text, "{head}\t");
    if !cells.is_empty() {
        let _ = write!(text, "Ports: {}", cells.join(", "));
    }
    if let Some(one) = ignored.first() {
        let _ = write!(text, "\tIgnored State: {} ({})", one.state.name(), one.ports.len());
    }
    text.push('\n');
    text
}

fn xml(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&apos;",
            c if c.is_control() => out.push('.'),
            c => out.push(c),
        }
    }
    out
}

fn xml_host(report: &Report, opts: &Opts, services: &Services) -> String {
    let status = if report.up { "up" } else { "down" };
    let kind = if report.address.is_ipv4() { "ipv4" } else { "ipv6" };
    if !report.up && !opts.verbose {
        return String::new();
    }
    let mut text = if report.up && !opts.hosts_only {
        format!("<host starttime=\"{}\" endtime=\"{}\">", report.began, report.ended)
    } else {
        "<host>".to_owned()
    };
    let _ = write!(
        text,
        "<status state=\"{status}\" reason=\"{}\" reason_ttl=\"0\"/>\n<address addr=\"{}\" addrtype=\"{kind}\"/>\n<hostnames>\n",
        report.reason, report.address
    );
    for (name, kind) in [(&report.given, "user"), (&report.name, "PTR")] {
        if let Some(name) = name {
            let _ = writeln!(text, "<hostname name=\"{}\" type=\"{kind}\"/>", xml(name));
        }
    }
    text += "</hostnames>\n";
    let (listed, ignored) = report.split(opts);
    if report.up && !opts.hosts_only {
        text += "<ports>";
        for one in &ignored {
            let _ = writeln!(text, "<extraports state=\"{}\" count=\"{}\">", one.state.name(), one.ports.len());
            for (reason, ports) in &one.reasons {
                let _ = writeln!(
                    text,
                    "<extrareasons reason=\"{reason}\" count=\"{}\" proto=\"{}\" ports=\"{}\"/>",
                    ports.len(),
                    protocol(one.protocol),
                    ports::ranges(ports.iter().copied())
                );
            }
            text += "</extraports>\n";
        }
        for (number, port, verdict) in &listed {
            let kind = protocol(*number);
            let from = verdict.error.and_then(|error| error.offender).filter(|from| *from != report.address);
            let from = from.map(|from| format!(" reason_ip=\"{from}\"")).unwrap_or_default();
            let name = ports::name(services, *port, kind);
            let service = if name == "unknown" {
                String::new()
            } else {
                format!("<service name=\"{}\" method=\"table\" conf=\"3\"/>", xml(&name))
            };
            let _ = writeln!(
                text,
                "<port protocol=\"{kind}\" portid=\"{port}\"><state state=\"{}\" reason=\"{}\" reason_ttl=\"0\"{from}/>{service}</port>",
                verdict.state.name(),
                verdict.reason
            );
        }
        text += "</ports>\n";
    }
    if let Some(rtt) = report.latency.filter(|_| report.up) {
        let micros = rtt.as_micros();
        let _ = writeln!(text, "<times srtt=\"{micros}\" rttvar=\"{}\" to=\"100000\"/>", micros / 2);
    }
    text + "</host>\n"
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
             \"status\":\"open\",\"reason\":\"{}\",\"ttl\":0}}]}}",
            verdict.reason
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
        .with("latency_us", report.latency.map(|rtt| rtt.as_micros()))
        .with("ports", Value::Array(list.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_and_tables() {
        for (micros, text) in
            [(93, "0.000093"), (125, "0.00013"), (1, "0.000001"), (1_234_567, "1.2"), (50_400, "0.05")]
        {
            assert_eq!(latency(Duration::from_micros(micros)), text);
        }
        let rows =
            [["PORT", "STATE", "SERVICE"], ["8080/tcp", "open", "http"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "PORT     STATE SERVICE\n8080/tcp open  http\n");
        assert_eq!(xml("a<\"&'\u{7}"), "a&lt;&quot;&amp;&apos;.");
        assert_eq!(long_date(1_795_279_348), "Sat Nov 21 16:42:28 2026");
    }
}
