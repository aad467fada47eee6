//! nmap's XML (version 1.05 of its document type).

use std::fmt::Write as _;

use netkit_probe::Protocol;
use netkit_probe::services::Services;

use crate::args::Opts;
use crate::output::{Frame, Report, long_date, mac, protocol};
use crate::ports;
use crate::versions::Version;

pub(crate) fn head(frame: &Frame) -> String {
    let (began, args) = (long_date(frame.began), xml(&frame.args));
    // Two hyphens would end the comment.
    let comment = args.replace("--", "-&#45;");
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE nmaprun>\n\
         <!-- portscan (netkit {}) scan initiated {began} as: {comment} -->\n\
         <nmaprun scanner=\"nmap\" args=\"{args}\" start=\"{}\" startstr=\"{began}\" version=\"netkit-{}\" \
         xmloutputversion=\"1.05\">\n",
        frame.version, frame.began, frame.version
    );
    for (protocol, ports) in &frame.asked {
        let kind = match (protocol, frame.scan) {
            (Protocol::Udp, _) => "udp",
            (_, 'S') => "syn",
            (_, 'A') => "ack",
            (_, 'W') => "window",
            (_, 'M') => "maimon",
            (_, 'N') => "null",
            (_, 'F') => "fin",
            (_, 'X') => "xmas",
            _ => "connect",
        };
        let _ = writeln!(
            text,
            "<scaninfo type=\"{kind}\" protocol=\"{protocol}\" numservices=\"{}\" services=\"{}\"/>",
            ports.len(),
            ports::ranges(ports.iter().copied())
        );
    }
    let _ = write!(text, "<verbose level=\"{}\"/>\n<debugging level=\"0\"/>\n", frame.verbose);
    text
}

pub(crate) fn tail(frame: &Frame) -> String {
    let (ended, done) = (long_date(frame.ended), frame.done());
    format!(
        "<runstats><finished time=\"{}\" timestr=\"{ended}\" summary=\"portscan done at {ended}; {done}\" \
         elapsed=\"{}.{:02}\" exit=\"success\"/><hosts up=\"{}\" down=\"{}\" total=\"{}\"/>\n</runstats>\n</nmaprun>\n",
        frame.ended,
        frame.elapsed.as_secs(),
        frame.elapsed.subsec_millis() / 10,
        frame.up,
        frame.hosts.saturating_sub(frame.up),
        frame.hosts
    )
}

/// A target that is none.
pub(crate) fn skipped(word: &str) -> String {
    format!("<target specification=\"{}\" status=\"skipped\" reason=\"invalid\"/>\n", xml(word))
}

/// What stands in place of everything when there is nothing to do.
pub(crate) fn failure(text: &str, now: i64) -> String {
    format!(
        "<nmaprun><runstats><finished time=\"{now}\" timestr=\"{}\" summary=\"\" elapsed=\"0.00\" exit=\"error\" \
         errormsg=\"{}\"/><hosts up=\"0\" down=\"0\" total=\"0\"/>\n</runstats>\n</nmaprun>\n",
        long_date(now),
        xml(text)
    )
}

pub(crate) fn xml(text: &str) -> String {
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

/// The addresses and names of a host.
fn who(report: &Report, names: bool) -> String {
    let kind = if report.address.is_ipv4() { "ipv4" } else { "ipv6" };
    let mut text = format!("<address addr=\"{}\" addrtype=\"{kind}\"/>\n", report.address);
    if let Some(octets) = report.mac {
        let _ = writeln!(text, "<address addr=\"{}\" addrtype=\"mac\"/>", mac(octets));
    }
    if names {
        text += "<hostnames>\n";
        for (name, kind) in [(&report.given, "user"), (&report.name, "PTR")] {
            if let Some(name) = name {
                let _ = writeln!(text, "<hostname name=\"{}\" type=\"{kind}\"/>", xml(name));
            }
        }
        text += "</hostnames>\n";
    }
    text
}

/// What nmap says as soon as it knows that a host is there.
pub(crate) fn hint(report: &Report) -> String {
    // Only for neighbours it keeps the reason.
    let reason = if report.mac.is_some() { report.reason } else { "unknown-response" };
    let who = who(report, true);
    format!("<hosthint><status state=\"up\" reason=\"{reason}\" reason_ttl=\"0\"/>\n{who}</hosthint>\n")
}

pub(crate) fn host(report: &Report, opts: &Opts, services: &Services) -> String {
    let status = match report.up {
        _ if opts.list_only => "unknown",
        true => "up",
        false => "down",
    };
    if status == "down" && opts.verbose == 0 {
        return String::new();
    }
    let scanned = report.up && !opts.hosts_only && !opts.list_only;
    let mut text = if scanned {
        let late = if report.timed_out { " timedout=\"true\"" } else { "" };
        format!("<host starttime=\"{}\" endtime=\"{}\"{late}>", report.began, report.ended)
    } else {
        "<host>".to_owned()
    };
    let reason = if opts.list_only { "user-set" } else { report.reason };
    let ttl = report.reason_ttl.unwrap_or(0);
    let _ = writeln!(text, "<status state=\"{status}\" reason=\"{reason}\" reason_ttl=\"{ttl}\"/>");
    let named = report.given.is_some() || report.name.is_some();
    text += &who(report, report.up || named);
    if scanned && !report.timed_out && !report.ports.is_empty() {
        text += &ports_of(report, opts, services);
    }
    if let Some(rtt) = report.latency.filter(|_| report.up) {
        let micros = rtt.as_micros();
        let _ = writeln!(text, "<times srtt=\"{micros}\" rttvar=\"{}\" to=\"100000\"/>", micros / 2);
    }
    text + "</host>\n"
}

fn ports_of(report: &Report, opts: &Opts, services: &Services) -> String {
    let (listed, ignored) = report.split(opts);
    let mut text = "<ports>".to_owned();
    for one in &ignored {
        let _ = writeln!(text, "<extraports state=\"{}\" count=\"{}\">", one.state.name(), one.count);
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
        let version = report.versions.get(&(*number, *port));
        let name = ports::name(services, *port, kind);
        let service = match version.and_then(Version::xml) {
            Some(text) => text,
            None if name == "unknown" => String::new(),
            None => format!("<service name=\"{}\" method=\"table\" conf=\"3\"/>", xml(&name)),
        };
        let _ = writeln!(
            text,
            "<port protocol=\"{kind}\" portid=\"{port}\"><state state=\"{}\" reason=\"{}\" reason_ttl=\"{}\"{from}/>{service}</port>",
            verdict.state.name(),
            verdict.reason,
            verdict.ttl.unwrap_or(0)
        );
    }
    text + "</ports>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_is_escaped() {
        assert_eq!(xml("a<\"&'\u{7}"), "a&lt;&quot;&amp;&apos;.");
    }
}
