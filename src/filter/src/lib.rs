//! Capture filters in the language of pcap-filter(7), compiled to programs of the classic packet filter.
//!
//! The language has no other definition than what libpcap accepts, so the grammar, the order of loads and comparisons, and
//! what the optimiser takes for granted follow libpcap 1.10.3: a load behind the end of a packet ends a program with
//! "no", hence two programs that differ in order only select different packets as soon as packets are cut short.
//! Nothing here reads a file or asks a name server: names are looked up through [`Names`].

mod address;
mod arith;
mod code;
mod encap;
mod flow;
mod r#gen;
mod graph;
mod names;
mod optimize;
mod parse;
mod show;
mod token;
mod transport;
mod vm;

#[cfg(test)]
mod tests;

pub use code::{Insn, Program};
pub use names::{BuiltIn, Names};
pub use show::Style;
pub use vm::{Ancillary, Invalid};

use r#gen::Gen;
use token::Span;

/// Link-layer types by the number that stands in capture files (the registry at tcpdump.org, `LINKTYPE_`).
pub mod link {
    /// BSD loopback: the address family in the byte order of who wrote the file.
    pub const NULL: u32 = 0;
    /// Ethernet.
    pub const ETHERNET: u32 = 1;
    /// PPP.
    pub const PPP: u32 = 9;
    /// PPP in HDLC-like framing.
    pub const PPP_HDLC: u32 = 50;
    /// PPP over Ethernet, a session.
    pub const PPP_ETHER: u32 = 51;
    /// A packet that begins with its IP header.
    pub const RAW: u32 = 101;
    /// Cisco's HDLC framing.
    pub const C_HDLC: u32 = 104;
    /// OpenBSD loopback: the address family in network order.
    pub const LOOP: u32 = 108;
    /// Linux cooked, version 1.
    pub const LINUX_SLL: u32 = 113;
    /// IPv4 without a link header.
    pub const IPV4: u32 = 228;
    /// IPv6 without a link header.
    pub const IPV6: u32 = 229;
    /// Linux cooked, version 2.
    pub const LINUX_SLL2: u32 = 276;
}

/// Where the packets come from, which decides what a filter may ask of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file: there is nothing but the bytes.
    File {
        /// The file was written in the other byte order.
        swapped: bool,
    },
    /// Nothing: the program is only shown.
    Nowhere,
    /// A packet socket, whose VLAN tags stand outside the bytes.
    Live,
}

/// What a filter is compiled for.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Link-layer type, as in [`link`].
    pub link: u32,
    /// What an accepting program returns: bytes to keep of a packet.
    pub snaplen: u32,
    /// Where the packets come from.
    pub source: Source,
    /// Network mask of the interface for `ip broadcast`, in host order; nothing when unknown.
    pub netmask: Option<u32>,
    /// Whether to optimise. Without, a filter that accepts nothing is no error.
    pub optimize: bool,
}

/// Why a filter is refused, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// In libpcap's words where it refuses the same.
    pub message: String,
    /// The offending word as bytes of the text, from and to.
    pub span: Option<(usize, usize)>,
}

impl FilterError {
    pub(crate) fn new(message: impl Into<String>) -> FilterError {
        FilterError { message: message.into(), span: None }
    }

    fn at(mut self, span: Span) -> FilterError {
        self.span = self.span.or(Some(span));
        self
    }

    /// The text on one line and a line below that underlines the offending word, for a terminal. Nothing when the
    /// message concerns no word.
    pub fn pointer(&self, text: &str) -> Option<String> {
        let (from, to) = self.span?;
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let columns = |range: Option<&str>| range.map_or(0, |part| part.chars().count());
        let marks = columns(text.get(from..to)).max(1);
        // As a width for format! it would have to be below 65,536.
        Some(format!("  {line}\n  {}{}", " ".repeat(columns(text.get(..from))), "^".repeat(marks)))
    }
}

impl std::fmt::Display for FilterError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for FilterError {}

/// Compiles `text`; the empty text accepts every packet.
///
/// # Errors
/// What the grammar, the link layer or the values forbid, in libpcap's words and with the offending word.
pub fn compile(text: &str, options: &Options, names: &mut dyn Names) -> Result<Program, FilterError> {
    let mut state = Gen::new(options, names)?;
    let code = parse::parse(text, &mut state)?;
    state.graph.check()?;
    if let Some(code) = &code {
        state.initialise(code);
    }
    let root = state.graph.finish(code, options.snaplen);
    if !options.optimize || state.unoptimizable {
        return graph::linear(&state.graph.blocks, root);
    }
    optimize::optimize(state.graph.blocks, root)
}
