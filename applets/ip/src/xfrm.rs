//! `ip xfrm`: states and policies of IPsec, read only (linux/xfrm.h).
//!
//! Keys are hidden unless the word `keys` is given: what is on the screen ends up in tickets.

use std::net::IpAddr;

use netkit_core::privilege::{Capability, missing};
use netkit_core::text::{hex, printable};
use netkit_core::{Ctx, Error, Exit, civil_from_unix};
use netkit_nl::{Attr, Attrs, Dump, Protocol, Request, Socket, flags, raw};

use crate::options::refused;
use crate::out::Out;
use crate::stop::{Res, Stop};
use crate::words::{Prefix, Words, ip_text, number};
use crate::world::World;

const NEW_STATE: u16 = 0x10;
const GET_STATE: u16 = 0x12;
const NEW_POLICY: u16 = 0x13;
const GET_POLICY: u16 = 0x15;

/// Octets of struct xfrm_usersa_info and struct xfrm_userpolicy_info.
const STATE: usize = 224;
const POLICY: usize = 168;

fn ask(kind: u16) -> Res<Dump> {
    let mut socket = Socket::open(Protocol::Xfrm)?;
    socket.dump(&Request::new(kind, flags::DUMP, &[])).map_err(|error| {
        if error.is_denied() {
            let hint = missing(Capability::NetAdmin, "reading transforms", "every other object of ip");
            Stop::House(Error::new(Exit(1), "RTNETLINK answers: Operation not permitted").hint(hint))
        } else {
            Stop::from(error)
        }
    })
}

/// An xfrm_address_t of a family.
fn address(bytes: &[u8], at: usize, family: u16) -> Option<IpAddr> {
    let length = if family == 2 { 4 } else { 16 };
    let value = bytes.get(at..at.checked_add(length)?)?;
    Attr { kind: 0, value }.ip()
}

fn shown(bytes: &[u8], at: usize, family: u16) -> String {
    address(bytes, at, family).map(ip_text).unwrap_or_default()
}

fn protocol(id: u8) -> String {
    match id {
        43 => "route2".to_owned(),
        50 => "esp".to_owned(),
        51 => "ah".to_owned(),
        60 => "hao".to_owned(),
        108 => "comp".to_owned(),
        other => other.to_string(),
    }
}

fn mode(id: u8) -> String {
    ["transport", "tunnel", "ro", "in_trigger", "beet"]
        .get(usize::from(id))
        .map_or_else(|| format!("{id}"), |name| (*name).to_owned())
}

/// What the words after `list` leave in.
#[derive(Default)]
struct Filter {
    source: Option<Prefix>,
    destination: Option<Prefix>,
    direction: Option<u8>,
    protocol: Option<String>,
    spi: Option<u32>,
    keys: bool,
}

impl Filter {
    fn parse(words: &mut Words, policy: bool) -> Res<Filter> {
        let mut filter = Filter::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "src" => filter.source = Some(Prefix::parse(&words.value()?, 0)?),
                "dst" => filter.destination = Some(Prefix::parse(&words.value()?, 0)?),
                "dir" if policy => {
                    let value = words.value()?;
                    let id = ["in", "out", "fwd"].iter().position(|known| *known == value);
                    let id = id.and_then(|id| u8::try_from(id).ok());
                    filter.direction = Some(id.ok_or_else(|| Stop::wrong(&printable(&value), "DIR value is invalid"))?);
                }
                "proto" if !policy => filter.protocol = Some(words.value()?),
                "spi" if !policy => {
                    let value = words.value()?;
                    filter.spi =
                        Some(number(&value).ok_or_else(|| Stop::wrong(&printable(&value), "SPI value is invalid"))?);
                }
                "keys" if !policy => filter.keys = true,
                "nokeys" => {}
                "mode" | "reqid" | "flag" | "index" | "action" | "priority" | "nosock" | "ptype" => {
                    return Err(refused(&word, "choose with `src`, `dst`, `dir`, `proto` or `spi`"));
                }
                other => return Err(Stop::wrong(&printable(other), "unknown")),
            }
        }
        Ok(filter)
    }
}

pub(crate) fn run(ctx: &mut Ctx, world: &mut World, words: &mut Words) -> Res<Exit> {
    crate::objects::run_xfrm(ctx, world, words)
}

pub(crate) fn policies(ctx: &mut Ctx, world: &mut World, words: &mut Words) -> Res<Exit> {
    let filter = Filter::parse(words, true)?;
    let dump = ask(GET_POLICY)?;
    let style = world.options.style;
    let mut out = Out::new(&mut *ctx.stdout, style);
    out.array("");
    for message in dump.messages().filter(|message| message.kind == NEW_POLICY) {
        let body = message.payload;
        let family = raw::u16(body, 40).unwrap_or(0);
        let direction = raw::u8(body, 160).unwrap_or(0);
        let fits = |wanted: Option<Prefix>, at: usize| {
            wanted.is_none_or(|wanted| address(body, at, family).is_some_and(|ip| wanted.covers(ip, wanted.bits)))
        };
        if filter.direction.is_none_or(|wanted| wanted == direction)
            && fits(filter.source, 16)
            && fits(filter.destination, 0)
        {
            out.object("");
            put_policy(&mut out, world, body, &message.attrs(POLICY), family);
            finish(&mut out);
        }
    }
    out.end();
    out.flush()?;
    Ok(Exit::OK)
}

/// Each part ends its own line; under `-o` the record does too.
fn finish(out: &mut Out<'_>) {
    if out.style.oneline {
        out.newline();
    }
    out.end();
}

/// struct xfrm_selector, at the start of `body`.
fn put_selector(out: &mut Out<'_>, world: &mut World, body: &[u8], family: u16) {
    let byte = |at: usize| raw::u8(body, at).unwrap_or(0);
    let (source, destination) = (shown(body, 16, family), shown(body, 0, family));
    out.put("src", format!("{source}/{}", byte(43)), format_args!("src {source}/{} ", byte(43)));
    out.put("dst", format!("{destination}/{}", byte(42)), format_args!("dst {destination}/{} ", byte(42)));
    let protocol = byte(44);
    if protocol != 0 {
        let name = crate::names::ip_protocol(protocol).unwrap_or_else(|| protocol.to_string());
        out.put("proto", name.as_str(), format_args!("proto {name} "));
    }
    let port = |at: usize| raw::be16(body, at).unwrap_or(0);
    match protocol {
        1 | 58 => {
            for (at, key) in [(36, "type"), (32, "code")] {
                if port(at + 2) != 0 {
                    out.put(key, port(at), format_args!("{key} {} ", port(at)));
                }
            }
        }
        _ => {
            for (at, key) in [(36, "sport"), (32, "dport")] {
                if port(at + 2) != 0 {
                    out.put(key, port(at), format_args!("{key} {} ", port(at)));
                }
            }
        }
    }
    let index = raw::i32(body, 48).unwrap_or(0);
    if index > 0 {
        let name = world.link_name(index);
        out.put("dev", name.as_str(), format_args!("dev {name} "));
    }
    if world.options.stats > 0 {
        let user = raw::u32(body, 52).unwrap_or(0);
        out.put("uid", user, format_args!("uid {user}"));
    }
    out.line();
}

fn put_policy(out: &mut Out<'_>, world: &mut World, body: &[u8], attrs: &Attrs<'_>, family: u16) {
    let stats = world.options.stats > 0;
    let byte = |at: usize| raw::u8(body, at).unwrap_or(0);
    let word = |at: usize| raw::u32(body, at).unwrap_or(0);
    put_selector(out, world, body, family);
    let direction = match byte(160) {
        0 => "in".to_owned(),
        1 => "out".to_owned(),
        2 => "fwd".to_owned(),
        // Policies of single sockets, by direction.
        3 => "socket in".to_owned(),
        4 => "socket out".to_owned(),
        other => other.to_string(),
    };
    let leading = if direction.starts_with("socket") { "" } else { "dir " };
    out.put("dir", direction.as_str(), format_args!("\t{leading}{direction} "));
    match byte(161) {
        0 if stats || out.json() => out.put("action", "allow", format_args!("action allow ")),
        0 => {}
        1 => out.put("action", "block", format_args!("action block ")),
        other => out.put("action", other, format_args!("action {other} ")),
    }
    if stats || out.json() {
        out.put("index", word(156), format_args!("index {} ", word(156)));
    }
    out.put("priority", word(152), format_args!("priority {} ", word(152)));
    if let Some(kind) = attrs.find(16).and_then(|attr| attr.u8()) {
        let name = match kind {
            0 => "main",
            1 => "sub",
            _ => "unknown",
        };
        out.put("ptype", name, format_args!("ptype {name} "));
    }
    if stats {
        out.words(format_args!("share {} ", share(byte(163))));
    }
    let set = byte(162);
    if stats || set != 0 {
        out.words(format_args!("flag "));
        for (bit, name) in [(1, "localok"), (2, "icmp")] {
            if set & bit != 0 {
                out.words(format_args!("{name} "));
            }
        }
        if stats {
            out.words(format_args!(" (0x{set:08x})"));
        }
        out.member("flags", set);
    }
    out.line();
    if stats {
        put_lifetimes(out, body, 56);
    }
    put_attributes(out, world, attrs, family, true);
}

fn share(id: u8) -> String {
    ["any", "session", "user", "unique"].get(usize::from(id)).map_or_else(|| id.to_string(), |name| (*name).to_owned())
}

/// struct xfrm_lifetime_cfg at `at`, then struct xfrm_lifetime_cur.
fn put_lifetimes(out: &mut Out<'_>, body: &[u8], at: usize) {
    let value = |index: usize| raw::u64(body, at + index * 8).unwrap_or(0);
    let limit = |value: u64| if value == u64::MAX { "(INF)".to_owned() } else { value.to_string() };
    out.words(format_args!("\tlifetime config:"));
    out.line();
    for (index, unit) in [(0, "bytes"), (2, "packets")] {
        let (soft, hard) = (limit(value(index)), limit(value(index + 1)));
        out.words(format_args!("\t  limit: soft {soft}({unit}), hard {hard}({unit})"));
        out.line();
    }
    for (index, what) in [(4, "add"), (6, "use")] {
        let (soft, hard) = (value(index), value(index + 1));
        out.words(format_args!("\t  expire {what}: soft {soft}(sec), hard {hard}(sec)"));
        out.line();
    }
    out.words(format_args!("\tlifetime current:"));
    out.line();
    out.words(format_args!("\t  {}(bytes), {}(packets)", value(8), value(9)));
    out.line();
    out.words(format_args!("\t  add {} use {}", moment(value(10)), moment(value(11))));
    out.line();
    out.member("bytes", value(8));
    out.member("packets", value(9));
}

/// In universal time, as everything here; `-` for never.
fn moment(seconds: u64) -> String {
    if seconds == 0 {
        return "-".to_owned();
    }
    let date = civil_from_unix(i64::try_from(seconds).unwrap_or(i64::MAX / 1_000_000));
    format!("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", date.year, date.month, date.day, date.hour, date.minute, date.second)
}

fn put_attributes(out: &mut Out<'_>, world: &mut World, attrs: &Attrs<'_>, family: u16, keys: bool) {
    let number = |kind: u16| attrs.find(kind).and_then(|attr| attr.u32());
    if let Some(mark) = attrs.find(21) {
        let (value, mask) = (mark.u32().unwrap_or(0), raw::u32(mark.value, 4).unwrap_or(0));
        out.put("mark", format!("{value:#x}/{mask:#x}"), format_args!("\tmark {value:#x}/{mask:#x} "));
        out.line();
    }
    if let Some(mark) = number(29) {
        out.put("output_mark", format!("{mark:#x}"), format_args!("\toutput-mark {mark:#x}"));
        if let Some(mask) = number(30) {
            out.words(format_args!("/{mask:#x}"));
        }
        out.line();
    }
    let truncated = attrs.find(20);
    for (kind, key, extra) in [(1, "auth", 0), (20, "auth-trunc", 4), (18, "aead", 4), (2, "enc", 0), (3, "comp", 0)] {
        // The truncated form repeats the plain one.
        if kind == 1 && truncated.is_some() {
            continue;
        }
        if let Some(algorithm) = attrs.find(kind) {
            put_algorithm(out, &algorithm, key, extra, keys);
        }
    }
    if let Some(encap) = attrs.find(4) {
        let kind = match encap.u16() {
            Some(1) => "espinudp-nonike",
            Some(2) => "espinudp",
            Some(7) => "espintcp",
            _ => "unknown",
        };
        let port = |at: usize| raw::be16(encap.value, at).unwrap_or(0);
        let address = shown(encap.value, 8, family);
        out.put("encap", kind, format_args!("\tencap type {kind} "));
        out.words(format_args!("sport {} dport {} addr {address}", port(2), port(4)));
        out.line();
    }
    if let Some(templates) = attrs.find(5) {
        out.array("tmpl");
        for template in templates.value.chunks_exact(64) {
            out.object("");
            put_template(out, world, template);
            out.end();
        }
        out.end();
    }
    if let Some(used) = attrs.find(15).and_then(|attr| attr.u64()) {
        out.put("lastused", used, format_args!("\tlastused {}", moment(used)));
        out.line();
    }
    if let Some(replay) = attrs.find(10) {
        let word = |index: usize| raw::u32(replay.value, index * 4).unwrap_or(0);
        out.words(format_args!("\tanti-replay context: "));
        out.words(format_args!("seq {:#x}, oseq {:#x}, bitmap 0x{:08x}", word(1), word(0), word(2)));
        out.line();
        out.member("seq", word(1));
        out.member("oseq", word(0));
    }
    if let Some(offload) = attrs.find(28) {
        let name = world.link_name(offload.i32().unwrap_or(0));
        let way = if raw::u8(offload.value, 4).unwrap_or(0) & 2 != 0 { "in" } else { "out" };
        out.put("offload", name.as_str(), format_args!("\tcrypto offload parameters: dev {name} dir {way}"));
        out.line();
    }
    if let Some(id) = number(31) {
        out.put("if_id", format!("{id:#x}"), format_args!("\tif_id {id:#x}"));
        out.line();
    }
}

/// struct xfrm_algo and its relatives: a name of 64 octets, the key's bits, with `extra` the bits of the check value.
fn put_algorithm(out: &mut Out<'_>, attr: &Attr<'_>, key: &str, extra: usize, keys: bool) {
    let name = Attr { kind: 0, value: attr.value.get(..64).unwrap_or_default() }.text();
    let bits = usize::try_from(raw::u32(attr.value, 64).unwrap_or(0)).unwrap_or(0);
    let start = 68 + extra;
    let secret = attr.value.get(start..start.saturating_add(bits.div_ceil(8))).unwrap_or_default();
    out.put(key, name.as_str(), format_args!("\t{key} {name} "));
    if !keys {
        out.words(format_args!("<<Keys hidden>>"));
    } else if !secret.is_empty() {
        let text = format!("0x{}", hex(secret));
        out.put(&format!("{key}_key"), text.as_str(), format_args!("{text}"));
    }
    if extra > 0 {
        let length = raw::u32(attr.value, 68).unwrap_or(0);
        out.put(&format!("{key}_bits"), length, format_args!(" {length}"));
    }
    out.line();
}

/// struct xfrm_user_tmpl.
fn put_template(out: &mut Out<'_>, world: &World, body: &[u8]) {
    let stats = world.options.stats > 0;
    let byte = |at: usize| raw::u8(body, at).unwrap_or(0);
    let family = raw::u16(body, 24).unwrap_or(0);
    out.words(format_args!("\ttmpl "));
    let (source, destination) = (shown(body, 28, family), shown(body, 0, family));
    put_identity(out, world, (&source, &destination), (body, 16), (raw::u32(body, 44).unwrap_or(0), byte(48)), "\t\t");
    if stats || byte(50) != 0 {
        out.words(format_args!("\t\t"));
        match byte(50) {
            0 => out.put("level", "required", format_args!("level required ")),
            1 => out.put("level", "use", format_args!("level use ")),
            other => out.put("level", other, format_args!("level {other} ")),
        }
        if stats {
            out.words(format_args!("share {} ", share(byte(49))));
        }
        out.line();
    }
    if stats {
        let mask = |at: usize| raw::u32(body, at).unwrap_or(0);
        out.words(format_args!("\t\tenc-mask {:x} auth-mask {:x} comp-mask {:x}", mask(56), mask(52), mask(60)));
        out.line();
    }
}

/// Addresses, protocol and index, request id, mode. `id` is where spi and protocol stand.
fn put_identity(
    out: &mut Out<'_>,
    world: &World,
    ends: (&str, &str),
    id: (&[u8], usize),
    request: (u32, u8),
    indent: &str,
) {
    let stats = world.options.stats > 0;
    let (body, at) = id;
    let spi = raw::be32(body, at).unwrap_or(0);
    out.put("src", ends.0, format_args!("src {}", ends.0));
    out.put("dst", ends.1, format_args!(" dst {}", ends.1));
    out.line();
    let name = protocol(raw::u8(body, at + 4).unwrap_or(0));
    out.put("proto", name.as_str(), format_args!("{indent}proto {name} "));
    if stats || spi != 0 || indent.len() == 1 {
        out.put("spi", format!("0x{spi:08x}"), format_args!("spi 0x{spi:08x}"));
        out.words(format_args!("{}", if stats { format!("({spi}) ") } else { " ".to_owned() }));
    }
    out.put("reqid", request.0, format_args!("reqid {}", request.0));
    out.words(format_args!("{}", if stats { format!("(0x{:08x}) ", request.0) } else { " ".to_owned() }));
    let mode = mode(request.1);
    out.put("mode", mode.as_str(), format_args!("mode {mode}"));
    out.line();
}

pub(crate) fn states(ctx: &mut Ctx, world: &mut World, words: &mut Words) -> Res<Exit> {
    let filter = Filter::parse(words, false)?;
    let dump = ask(GET_STATE)?;
    let style = world.options.style;
    let mut out = Out::new(&mut *ctx.stdout, style);
    out.array("");
    for message in dump.messages().filter(|message| message.kind == NEW_STATE) {
        let body = message.payload;
        let family = raw::u16(body, 212).unwrap_or(0);
        let fits = |wanted: Option<Prefix>, at: usize| {
            wanted.is_none_or(|wanted| address(body, at, family).is_some_and(|ip| wanted.covers(ip, wanted.bits)))
        };
        let of_protocol = |wanted: &String| *wanted == protocol(raw::u8(body, 76).unwrap_or(0));
        if fits(filter.source, 80)
            && fits(filter.destination, 56)
            && filter.protocol.as_ref().is_none_or(of_protocol)
            && filter.spi.is_none_or(|spi| raw::be32(body, 72) == Some(spi))
        {
            out.object("");
            put_state(&mut out, world, body, &message.attrs(STATE), family, filter.keys);
            finish(&mut out);
        }
    }
    out.end();
    out.flush()?;
    Ok(Exit::OK)
}

/// XFRM_STATE_*.
const STATE_FLAGS: &[&str] = &["noecn", "decap-dscp", "nopmtudisc", "wildrecv", "icmp", "af-unspec", "align4", "esn"];

fn put_state(out: &mut Out<'_>, world: &mut World, body: &[u8], attrs: &Attrs<'_>, family: u16, keys: bool) {
    let stats = world.options.stats > 0;
    let byte = |at: usize| raw::u8(body, at).unwrap_or(0);
    let word = |at: usize| raw::u32(body, at).unwrap_or(0);
    let (source, destination) = (shown(body, 80, family), shown(body, 56, family));
    put_identity(out, world, (&source, &destination), (body, 72), (word(208), byte(214)), "\t");
    out.put("replay_window", byte(215), format_args!("\treplay-window {} ", byte(215)));
    if stats {
        out.words(format_args!("seq 0x{:08} ", word(204)));
    }
    let set = byte(216);
    if stats || set != 0 {
        let names: Vec<&str> =
            STATE_FLAGS.iter().enumerate().filter(|(bit, _)| set >> bit & 1 == 1).map(|(_, name)| *name).collect();
        out.words(format_args!("flag {}", names.join(" ")));
        out.member("flags", names);
        if stats {
            out.words(format_args!(" (0x{set:08x})"));
        }
    }
    out.line();
    put_attributes(out, world, attrs, family, keys);
    let selector = body.get(..56).unwrap_or_default();
    // The family alone selects nothing.
    let selects = selector.iter().enumerate().any(|(at, byte)| *byte != 0 && !(40..42).contains(&at));
    if selects {
        out.words(format_args!("\tsel "));
        out.object("sel");
        put_selector(out, world, selector, raw::u16(body, 40).unwrap_or(family));
        out.end();
    }
    if stats {
        put_lifetimes(out, body, 96);
        out.words(format_args!("\tstats:"));
        out.line();
        out.words(format_args!("\t  replay-window {} replay {} failed {}", word(192), word(196), word(200)));
        out.line();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    /// An ESP state as the kernel would send it, put together by the offsets of linux/xfrm.h.
    #[test]
    fn a_state_hides_its_keys() {
        let mut body = vec![0u8; STATE];
        body[56..60].copy_from_slice(&[10, 0, 0, 2]);
        body[72..76].copy_from_slice(&0x100u32.to_be_bytes());
        body[76] = 50;
        body[80..84].copy_from_slice(&[10, 0, 0, 1]);
        body[208..212].copy_from_slice(&5u32.to_ne_bytes());
        body[212..214].copy_from_slice(&2u16.to_ne_bytes());
        (body[214], body[216]) = (1, 0x20);
        let mut algorithm = [0u8; 64].to_vec();
        algorithm[..8].copy_from_slice(b"cbc(aes)");
        algorithm.extend_from_slice(&16u32.to_ne_bytes());
        algorithm.extend_from_slice(&[0xab, 0xcd]);
        let request = Request::new(NEW_STATE, 0, &body).attr(2, &algorithm).finish(1);
        let message = netkit_nl::Messages::new(&request).next().unwrap();
        let show = |keys: bool| {
            let mut sink = Vec::new();
            let mut out = Out::new(&mut sink, crate::out::Style::default());
            let mut world = World::new(Options::default());
            put_state(&mut out, &mut world, message.payload, &message.attrs(STATE), 2, keys);
            out.flush().unwrap();
            String::from_utf8(sink).unwrap()
        };
        let before = "src 10.0.0.1 dst 10.0.0.2\n\tproto esp spi 0x00000100 reqid 5 mode tunnel\n\
                      \treplay-window 0 flag af-unspec\n\tenc cbc(aes) ";
        assert_eq!(show(false), format!("{before}<<Keys hidden>>\n"));
        assert_eq!(show(true), format!("{before}0xabcd\n"));
    }
}
