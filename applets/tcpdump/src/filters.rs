//! The filter of a command line: its text, its names, and one program per link type.

use std::fs;
use std::io::Read;
use std::net::IpAddr;

use netkit_core::{Ctx, Error};
use netkit_filter::{self as filter, Ancillary, BuiltIn, Names, Options, Program, Source, Style, link};
use netkit_probe::services::Services;
use netkit_probe::{Family, Protocol};
use netkit_probe::{Lookup, resolve};
use netkit_sys::capture::Instruction;
use netkit_wire::pcap;

use crate::args::{FAILURE, MAXIMUM_SNAPLEN, Opts, usage};
use crate::interfaces;
use crate::offline::reason;

/// Longest filter read from a file, in bytes.
const MAX_TEXT: u64 = 1 << 20;

/// The expression of a command line and what it became.
pub(crate) struct Filter {
    text: String,
    optimize: bool,
    source: Source,
    programs: Vec<(u32, Program)>,
}

impl Filter {
    /// Takes the text of the command line, or of the file of `-F`, where `#` begins a comment.
    pub(crate) fn new(opts: &Opts, source: Source) -> Result<Filter, Error> {
        let text = match &opts.filter_file {
            None => opts.expression.join(" "),
            Some(file) => {
                let mut text = String::new();
                fs::File::open(file)
                    .and_then(|file| file.take(MAX_TEXT).read_to_string(&mut text))
                    .map_err(|error| Error::new(FAILURE, format!("can't open {file}: {}", reason(&error))))?;
                text.lines().map(|line| line.split('#').next().unwrap_or_default()).collect::<Vec<_>>().join(" ")
            }
        };
        Ok(Filter { text, optimize: opts.optimize, source, programs: Vec::new() })
    }

    /// Whether every packet passes.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// The program for a link type, compiled when first asked for.
    pub(crate) fn program(&mut self, link: u32, snaplen: u32) -> Result<&Program, Error> {
        let found = self.programs.iter().position(|(known, _)| *known == link);
        let at = match found {
            Some(at) => at,
            None => {
                let options = Options {
                    link,
                    snaplen,
                    source: self.source, // The peer asks no interface for its mask: `ip broadcast` finds 255.255.255.255 and 0.0.0.0.
                    netmask: Some(0),
                    optimize: self.optimize,
                };
                let program = filter::compile(&self.text, &options, &mut Known::default()).map_err(|error| {
                    let pointer = error.pointer(&self.text).map(|lines| format!("\n{lines}")).unwrap_or_default();
                    Error::new(FAILURE, format!("{error}{pointer}"))
                })?;
                self.programs.push((link, program));
                self.programs.len() - 1
            }
        };
        self.programs.get(at).map(|(_, program)| program).ok_or_else(|| usage("no filter"))
    }

    /// Whether a packet of a file passes.
    pub(crate) fn passes(&mut self, link: u32, snaplen: u32, bytes: &[u8], length: u32) -> Result<bool, Error> {
        if self.is_empty() {
            return Ok(true);
        }
        Ok(self.program(link, snaplen)?.run(bytes, length, None) != 0)
    }
}

/// `-d`, `-dd`, `-ddd`: the program for what the command line names, without capturing anything.
pub(crate) fn show(ctx: &mut Ctx, opts: &Opts, file: Option<(u32, u32, bool)>) -> Result<(), Error> {
    let (source, link, snaplen) = match (file, &opts.link_type, opts.interfaces.first()) {
        (Some((link, snaplen, swapped)), _, _) => (Source::File { swapped }, link, snaplen),
        (None, Some(name), None) => (Source::Nowhere, link_type(name)?, opts.snaplen),
        (None, _, name) => {
            let interface = interfaces::chosen(name.map(String::as_str))?;
            let link = interfaces::link_of(&interface, opts.link_type.as_deref())?;
            (Source::Live, link, opts.snaplen)
        }
    };
    let mut filter = Filter::new(opts, source)?;
    let style = match opts.dump_filter {
        1 => Style::Words,
        2 => Style::C,
        _ => Style::Decimal,
    };
    let text = filter.program(link, snaplen.min(MAXIMUM_SNAPLEN))?.text(style);
    ctx.stdout.write_all(text.as_bytes())?;
    Ok(())
}

/// The number of a link type by its name, as `-y` takes it.
pub(crate) fn link_type(name: &str) -> Result<u32, Error> {
    let name = name.strip_prefix("DLT_").unwrap_or(name);
    let known = (0..300).find(|link| pcap::link_name(*link).is_some_and(|(known, _)| known.eq_ignore_ascii_case(name)));
    match known {
        // Numbers that some systems give to raw IP, and no file should hold.
        Some(12 | 14) => Ok(link::RAW),
        Some(link) => Ok(link),
        None => Err(usage(format!("invalid data link type {name}"))),
    }
}

/// The program as the kernel takes it. Behind Linux cooked headers the kernel sees packets without them: what the program
/// reads of the header becomes a question to the kernel. Nothing when the program asks for something that the kernel does
/// not have, or loops; it is then run here.
pub(crate) fn for_kernel(program: &Program, link: u32) -> Option<Vec<Instruction>> {
    const LOAD: u16 = 0x00;
    const ANCILLARY: u32 = 0xffff_f000;
    let header = match link {
        link::LINUX_SLL => 16,
        link::LINUX_SLL2 => 20,
        _ => 0,
    };
    let insns = program.insns();
    // linux/bpf_common.h: BPF_MAXINSNS.
    if insns.len() > 4096 {
        return None;
    }
    let mut all = Vec::with_capacity(insns.len());
    for insn in insns {
        let mut copy = Instruction { code: insn.code, jt: insn.jt, jf: insn.jf, k: insn.k };
        let mode = insn.code & 0xe0;
        let reads = insn.code & 6 == LOAD && matches!(mode, 0x20 | 0x40 | 0xa0);
        if insn.code == 0x05 && insn.k > u32::from(u16::MAX) {
            return None;
        }
        if header > 0 && reads && insn.k < ANCILLARY {
            copy.k = match (insn.k, link, mode) {
                (at, ..) if at >= header => at - header,
                // SKF_AD_PROTOCOL, SKF_AD_PKTTYPE, SKF_AD_IFINDEX.
                (14, link::LINUX_SLL, 0x20) | (0, link::LINUX_SLL2, 0x20) => ANCILLARY,
                (0, link::LINUX_SLL, 0x20) | (10, link::LINUX_SLL2, 0x20) => ANCILLARY + 4,
                (4, link::LINUX_SLL2, 0x20) => ANCILLARY + 8,
                _ => return None,
            };
        }
        all.push(copy);
    }
    Some(all)
}

/// What the kernel knows beside the bytes, for a program run here.
pub(crate) fn facts(packet: &netkit_sys::capture::Captured<'_>) -> Ancillary {
    Ancillary { packet_type: packet.packet_type.into(), ifindex: packet.ifindex, vlan: packet.vlan.map(|(_, tag)| tag) }
}

/// Names as this machine knows them; a file or a name server is asked when a name stands in the filter, not before.
#[derive(Default)]
struct Known {
    services: Option<Services>,
}

fn lines(path: &str, mut look: impl FnMut(&[&str]) -> bool) {
    let text = fs::read(path).unwrap_or_default();
    for line in String::from_utf8_lossy(&text).lines() {
        let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        if look(&words) {
            return;
        }
    }
}

impl Names for Known {
    fn host(&mut self, name: &str) -> Vec<IpAddr> {
        let found = resolve(name, 0, Family::Unspecified, &Lookup::default()).unwrap_or_default();
        let mut addresses = Vec::new();
        for address in found {
            if !addresses.contains(&address.ip()) {
                addresses.push(address.ip());
            }
        }
        addresses
    }

    fn network(&mut self, name: &str) -> Option<u32> {
        let mut number = None;
        lines("/etc/networks", |words| {
            let [first, address, ..] = words else { return false };
            if *first != name && !words.iter().skip(2).any(|alias| *alias == name) {
                return false;
            }
            let octets: Option<Vec<u8>> = address.split('.').map(|octet| octet.parse().ok()).collect();
            let mut octets = octets.unwrap_or_default();
            while octets.last() == Some(&0) {
                octets.pop();
            }
            number = Some(octets.iter().fold(0u32, |number, octet| number << 8 | u32::from(*octet)));
            true
        });
        number
    }

    fn port(&mut self, name: &str) -> (Option<u16>, Option<u16>) {
        let services = self.services.get_or_insert_with(Services::load);
        (services.port(name, Protocol::Tcp), services.port(name, Protocol::Udp))
    }

    fn protocol(&mut self, name: &str) -> Option<u8> {
        let mut number = None;
        lines("/etc/protocols", |words| {
            let [first, digits, ..] = words else { return false };
            let found = *first == name || words.iter().skip(2).any(|alias| *alias == name);
            if found {
                number = digits.parse().ok();
            }
            found
        });
        number.or_else(|| BuiltIn.protocol(name))
    }

    fn ether(&mut self, name: &str) -> Option<[u8; 6]> {
        let mut found = None;
        lines("/etc/ethers", |words| {
            let [address, host, ..] = words else { return false };
            if *host != name {
                return false;
            }
            let octets: Option<Vec<u8>> = address.split(':').map(|octet| u8::from_str_radix(octet, 16).ok()).collect();
            found = octets.and_then(|octets| octets.try_into().ok());
            found.is_some()
        });
        found
    }
}
