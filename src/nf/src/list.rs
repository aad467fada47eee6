//! The text of `iptables -L`.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bytes::Shown;
use crate::ext;
use crate::model::{Counters, Family, Header, Interface, Masked, Not, Policy, Rule, Target};
use crate::save::{built_in_protocol, prefix_length, protocol_name, protocol_of};

/// How to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Format {
    /// `-n`
    pub numeric: bool,
    /// `-v`
    pub verbose: bool,
    /// `-x`
    pub exact: bool,
    /// `--line-numbers`
    pub line_numbers: bool,
    /// Names from files of the system.
    pub names: Option<ext::names::Lookup>,
    /// Names of addresses, wanted without `-n`.
    pub hosts: Option<ext::names::Hosts>,
}

/// What stands above a chain's rules.
#[derive(Clone, Copy, Debug)]
pub struct Heading<'a> {
    /// Its name.
    pub name: &'a str,
    /// Of a built-in chain.
    pub policy: Option<Policy>,
    /// Of another one.
    pub references: u32,
}

/// Appends a chain's heading and the column titles.
pub fn heading(out: &mut String, chain: &Heading<'_>, format: Format) {
    let _ = write!(out, "Chain {} (", chain.name);
    match chain.policy {
        Some(policy) => {
            let _ = write!(out, "policy {}", policy.verdict.name().unwrap_or("[unknown]"));
            if format.verbose {
                out.push(' ');
                push_number(out, policy.counters.packets, format, false);
                out.push_str("packets, ");
                push_number(out, policy.counters.bytes, format, false);
                out.push_str("bytes");
            }
        }
        None => {
            let _ = write!(out, "{} references", chain.references);
        }
    }
    out.push_str(")\n");
    if format.line_numbers {
        out.push_str("num  ");
    }
    if format.verbose {
        out.push_str(if format.exact { "    pkts      bytes " } else { " pkts bytes " });
    }
    out.push_str("target     prot opt");
    if format.verbose {
        out.push_str(" in     out    ");
    }
    out.push_str(" source               destination         \n");
}

/// A number and a blank. Unless exact numbers are wanted, large ones are rounded to K, M, G or T (of 1,000) from six digits on.
fn push_number(out: &mut String, number: u64, format: Format, column: bool) {
    /// Most digits kept with a unit is four, without one five.
    const PLAIN: u64 = 99_999;
    const SHORT: u64 = 9_999;
    let width = match (column, format.exact) {
        (false, _) => 0,
        (true, true) => 8,
        (true, false) => 5,
    };
    if format.exact || number <= PLAIN {
        let _ = write!(out, "{number:width$} ");
        return;
    }
    let mut rounded = number;
    let mut unit = ' ';
    for next in ['K', 'M', 'G', 'T'] {
        rounded = rounded.wrapping_add(500) / 1000;
        unit = next;
        if rounded <= SHORT {
            break;
        }
    }
    let width = width.saturating_sub(1);
    let _ = write!(out, "{rounded:width$}{unit} ");
}

/// Appends one rule and a line end.
pub fn rule(
    out: &mut String,
    family: Family,
    rule: &Rule<'_>,
    number: usize,
    format: Format,
    sets: &dyn Fn(u16) -> Option<String>,
) {
    if format.line_numbers {
        let _ = write!(out, "{number:<4} ");
    }
    if format.verbose {
        let Counters { packets, bytes } = rule.counters;
        push_number(out, packets, format, true);
        push_number(out, bytes, format, true);
    }
    let verdict;
    let target = match &rule.target {
        Target::None => "",
        Target::Verdict(known) => match known.name() {
            Some(name) => name,
            None => {
                verdict = format!("[{known:?}]");
                &verdict
            }
        },
        Target::Chain { name, .. } => name,
        Target::Extension(found) => &found.name,
    };
    let _ = write!(out, "{target:<9} ");
    header(out, &rule.header, family, format);
    if matches!(rule.target, Target::Chain { goto: true, .. }) {
        out.push_str("[goto] ");
    }
    let (numeric, names) = (format.numeric, format.names);
    let context = ext::Context { family, protocol: protocol_of(&rule.header), numeric, save: false, names, sets };
    for found in &rule.matches {
        if !ext::is_known_match(found, family) {
            let _ = write!(out, " {}", found.name);
        }
        ext::list_match(out, found, &context);
    }
    if let Target::Extension(found) = &rule.target {
        ext::list_target(out, found, &context);
    }
    out.push('\n');
}

fn header(out: &mut String, header: &Header<'_>, family: Family, format: Format) {
    let mark = |negated: bool| if negated { '!' } else { ' ' };
    let (not, protocol) = header.protocol.as_ref().map_or((false, 0), |found| (found.negated, found.value));
    out.push(mark(not));
    let name = if format.numeric { built_in_protocol(protocol) } else { protocol_name(protocol) };
    let _ = match name {
        Some(name) => write!(out, "{name:<4} "),
        None => write!(out, "{protocol:<4} "),
    };
    out.push_str(match &header.fragment {
        None => "-- ",
        Some(Not { negated: false, .. }) => "-f ",
        Some(Not { negated: true, .. }) => "!f ",
    });
    if format.verbose {
        let any = if format.numeric { "*" } else { "any" };
        let name = |found: &Option<Not<Interface<'_>>>| match found {
            None => any.to_owned(),
            Some(found) => {
                let not = if found.negated { "!" } else { "" };
                let plus = if found.value.prefix { "+" } else { "" };
                format!("{not}{}{plus}", found.value.name)
            }
        };
        let _ = write!(out, " {:<6} {:<6} ", name(&header.input), name(&header.output));
    }
    for address in [&header.source, &header.destination] {
        out.push(mark(address.as_ref().is_some_and(|found| found.negated)));
        let _ = write!(out, "{:<19} ", address_text(address.as_ref(), family, format));
    }
}

fn address_text(found: Option<&Not<Masked>>, family: Family, format: Format) -> String {
    let any = || match (format.numeric, family) {
        (false, _) => "anywhere".to_owned(),
        (true, Family::Ipv4) => format!("{}/0", Ipv4Addr::UNSPECIFIED),
        (true, Family::Ipv6) => format!("{}/0", Ipv6Addr::UNSPECIFIED),
    };
    let Some(Not { value: Masked { address, mask }, .. }) = found else { return any() };
    let bits = if matches!(address, IpAddr::V4(_)) { 32 } else { 128 };
    let unspecified = address.is_unspecified();
    let name = || format.hosts.filter(|_| !format.numeric).and_then(|find| find(*address));
    let address = name().unwrap_or_else(|| Shown(*address).to_string());
    match prefix_length(*mask) {
        Some(0) => any(),
        // By name the unspecified address of IPv6 is any, whatever its mask.
        _ if !format.numeric && family == Family::Ipv6 && unspecified => any(),
        Some(length) if length == bits => address,
        Some(length) => format!("{address}/{length}"),
        None => format!("{address}/{}", Shown(*mask)),
    }
}
