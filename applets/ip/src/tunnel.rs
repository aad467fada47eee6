//! `ip tunnel`: tunnels over IPv4 and, with `-6`, over IPv6, a line each. The peer asks by ioctl(2) and sees one tunnel at
//! a time; the details of the links hold the same facts.

use std::net::IpAddr;

use netkit_core::text::printable;
use netkit_core::{Ctx, Exit};
use netkit_nl::route::{Link, kind};
use netkit_nl::{Attrs, Request, flags};

use crate::link::attr;
use crate::out::{Colour, Out};
use crate::stop::{Res, Stop};
use crate::words::{Words, ip_text};
use crate::world::World;

/// Where the facts stand in the data of a kind (IFLA_IPTUN_*, IFLA_GRE_*, IFLA_VTI_* in linux/if_tunnel.h).
struct Layout {
    kind: &'static str,
    link: u16,
    local: u16,
    remote: u16,
    ttl: u16,
    tos: u16,
    discovery: u16,
    /// GRE and VTI: flags in and out, keys in and out.
    keys: Option<[u16; 4]>,
}

const LAYOUTS: &[Layout] = &[
    Layout { kind: "ipip", link: 1, local: 2, remote: 3, ttl: 4, tos: 5, discovery: 10, keys: None },
    Layout { kind: "sit", link: 1, local: 2, remote: 3, ttl: 4, tos: 5, discovery: 10, keys: None },
    Layout { kind: "gre", link: 1, local: 6, remote: 7, ttl: 8, tos: 9, discovery: 10, keys: Some([2, 3, 4, 5]) },
    Layout { kind: "vti", link: 1, local: 4, remote: 5, ttl: 0, tos: 0, discovery: 0, keys: Some([0, 0, 2, 3]) },
];

pub(crate) fn show(ctx: &mut Ctx, world: &mut World, words: &mut Words) -> Res<Exit> {
    if world.options.family == 10 {
        return Err(crate::options::refused("-6", "`ip -d link show type ip6tnl` shows them"));
    }
    let mut wanted = None;
    while let Some(word) = words.next() {
        match word.as_str() {
            "name" => wanted = Some(words.value()?),
            "mode" | "remote" | "local" | "dev" | "ttl" | "tos" | "key" | "ikey" | "okey" => {
                return Err(crate::options::refused(&word, "choose by name"));
            }
            _ if wanted.is_none() => wanted = Some(word),
            other => return Err(Stop::wrong(&printable(other), "a second name")),
        }
    }
    let request = Request::new(kind::GET_LINK, flags::DUMP, &Link::default().bytes()).u32(attr::EXT_MASK, 8);
    let dump = world.dump(&request)?;
    let style = world.options.style;
    let mut out = Out::new(&mut *ctx.stdout, style);
    out.array("");
    let mut found = false;
    for message in dump.messages().filter(|message| message.kind == kind::NEW_LINK) {
        let attrs = message.attrs(Link::LENGTH);
        let name = attrs.find(attr::IFNAME).map(|attr| attr.text()).unwrap_or_default();
        let Some(info) = attrs.find(attr::LINKINFO).map(|attr| attr.nested()) else { continue };
        let kind = info.find(1).map(|attr| attr.text()).unwrap_or_default();
        let (Some(layout), Some(data)) = (LAYOUTS.iter().find(|layout| layout.kind == kind), info.find(2)) else {
            continue;
        };
        if wanted.as_ref().is_none_or(|wanted| *wanted == name) {
            found = true;
            out.object("");
            put(&mut out, world, &name, layout, &data.nested());
            out.newline();
            out.end();
        }
    }
    if let (Some(name), false) = (&wanted, found)
        && ["ipip", "gre", "sit", "isatap", "vti"].iter().any(|kind| name.starts_with(kind))
    {
        out.abandon();
        return Err(Stop::peer(1, format!("get tunnel \"{}\" failed: No such device", printable(name))));
    }
    out.end();
    out.flush()?;
    Ok(Exit::OK)
}

/// What the tunnel carries.
fn mode(layout: &Layout, data: &Attrs<'_>) -> &'static str {
    match (layout.kind, data.find(9).and_then(|attr| attr.u8())) {
        ("gre", _) => "gre",
        ("sit" | "ipip", Some(4)) | ("vti", _) => "ip",
        ("sit", Some(41)) => "ipv6",
        ("sit" | "ipip", Some(137)) => "mpls",
        ("sit" | "ipip", Some(0)) => "any",
        ("sit", None) => "ipv6",
        _ => "ip",
    }
}

fn put(out: &mut Out<'_>, world: &mut World, name: &str, layout: &Layout, data: &Attrs<'_>) {
    let byte = |kind: u16| data.find(kind).and_then(|attr| attr.u8()).unwrap_or(0);
    out.tint(Some(Colour::Interface), "ifname", name, "", ": ");
    let mode = format!("{}/ip", mode(layout, data));
    out.put("mode", mode.as_str(), format_args!("{mode}"));
    for (kind, key) in [(layout.remote, "remote"), (layout.local, "local")] {
        let ip = data.find(kind).and_then(|attr| attr.ip()).filter(|ip: &IpAddr| !ip.is_unspecified());
        let text = ip.map_or_else(|| "any".to_owned(), ip_text);
        out.words(format_args!(" {key} "));
        out.tint(Some(Colour::Inet), key, &text, "", "");
    }
    if let Some(index) = data.find(layout.link).and_then(|attr| attr.i32()).filter(|index| *index != 0) {
        let lower = world.link_name(index);
        out.put("dev", lower.as_str(), format_args!(" dev {lower}"));
    }
    match byte(layout.ttl) {
        0 => out.words(format_args!(" ttl inherit")),
        ttl => out.put("ttl", ttl, format_args!(" ttl {ttl}")),
    }
    match byte(layout.tos) {
        0 => {}
        1 => out.words(format_args!(" tos inherit")),
        tos => out.put("tos", format!("{tos:#x}"), format_args!(" tos {tos:#x}")),
    }
    // A VTI has no such switch, and counts as one that is off.
    if layout.discovery == 0 || data.find(layout.discovery).is_some_and(|attr| attr.u8() == Some(0)) {
        out.mark("nopmtudisc", " nopmtudisc");
    }
    let Some([flags_in, flags_out, key_in, key_out]) = layout.keys else { return };
    let key = |flags: u16, kind: u16| {
        let set = flags == 0 || data.find(flags).and_then(|attr| attr.be16()).unwrap_or(0) & 0x2000 != 0;
        data.find(kind).and_then(|attr| attr.be32()).filter(|key| set && (flags != 0 || *key != 0))
    };
    match (key(flags_in, key_in), key(flags_out, key_out)) {
        (Some(own), Some(other)) if own == other => {
            out.put("key", own, format_args!(" key {own}"));
        }
        (own, other) => {
            for (word, value) in [("ikey", own), ("okey", other)] {
                if let Some(value) = value {
                    out.put(word, value, format_args!(" {word} {value}"));
                }
            }
        }
    }
    let bits = |kind: u16| data.find(kind).and_then(|attr| attr.be16()).unwrap_or(0);
    let mut names = Vec::new();
    // GRE_SEQ and GRE_CSUM (RFC 2890), in and out.
    for (kind, bit, name, words) in [
        (flags_in, 0x1000, "rx_drop_ooseq", "Drop packets out of sequence."),
        (flags_in, 0x8000, "rx_csum", "Checksum in received packet is required."),
        (flags_out, 0x1000, "tx_seq", "Sequence packets on output."),
        (flags_out, 0x8000, "tx_csum", "Checksum output packets."),
    ] {
        if layout.kind == "gre" && bits(kind) & bit != 0 {
            out.line();
            out.words(format_args!("  {words}"));
            names.push(name);
        }
    }
    if !names.is_empty() {
        out.member("flags", names);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    #[test]
    fn a_line_for_each_kind() {
        let shown = |kind: &str, request: Request| {
            let layout = LAYOUTS.iter().find(|layout| layout.kind == kind).unwrap();
            let bytes = request.finish(1);
            let message = netkit_nl::Messages::new(&bytes).next().unwrap();
            let mut sink = Vec::new();
            let mut out = Out::new(&mut sink, crate::out::Style::default());
            put(&mut out, &mut World::new(Options::default()), "t0", layout, &message.attrs(0));
            out.flush().unwrap();
            String::from_utf8(sink).unwrap()
        };
        let ends =
            |local: u16, remote: u16| Request::new(0, 0, &[]).attr(local, &[10, 0, 0, 1]).attr(remote, &[10, 0, 0, 2]);
        assert_eq!(
            shown("ipip", ends(2, 3).attr(9, &[4]).attr(4, &[64]).attr(10, &[1])),
            "t0: ip/ip remote 10.0.0.2 local 10.0.0.1 ttl 64"
        );
        assert_eq!(
            shown("sit", Request::new(0, 0, &[]).attr(9, &[41]).attr(10, &[0]).attr(5, &[1])),
            "t0: ipv6/ip remote any local any ttl inherit tos inherit nopmtudisc"
        );
        let keys = ends(6, 7).attr(2, &[0x20, 0]).attr(3, &[0x20, 0]);
        assert_eq!(
            shown("gre", keys.clone().attr(4, &[0, 0, 0, 5]).attr(5, &[0, 0, 0, 5])),
            "t0: gre/ip remote 10.0.0.2 local 10.0.0.1 ttl inherit key 5"
        );
        assert_eq!(
            shown("gre", keys.attr(4, &[0, 0, 0, 5]).attr(5, &[0, 0, 0, 6])),
            "t0: gre/ip remote 10.0.0.2 local 10.0.0.1 ttl inherit ikey 5 okey 6"
        );
    }
}
