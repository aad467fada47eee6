//! Match and target extensions: structure to text, one line a revision in a table.
//!
//! Structures are those of linux/netfilter/xt_*.h and linux/netfilter_ipv4|6/ip*t_*.h; the words are iptables-extensions(8)'s.
//! An extension that is not listed, or whose structure is too short, is shown with its revision, length and bytes.

mod conntrack;
mod content;
mod effects;
mod ipv6;
mod matches;
pub mod names;
mod nat;
mod packet;
mod ports;
mod sets;
mod stateful;
mod targets;
pub mod text;

use std::fmt::Write as _;

use netkit_core::text::hex;

use crate::bytes::Fields;
use crate::model::{Extension, Family};

/// What an extension's text depends on besides its own bytes.
#[derive(Clone, Copy)]
pub struct Context<'c> {
    /// ip or ip6
    pub family: Family,
    /// `-p`, 0 for none.
    pub protocol: u16,
    /// `-n`: no names for numbers.
    pub numeric: bool,
    /// As options, for iptables-save; else as words, for a list.
    pub save: bool,
    /// Names from files of the system, for a list without `-n`.
    pub names: Option<names::Lookup>,
    /// The name of an IP set.
    pub sets: &'c dyn Fn(u16) -> Option<String>,
}

/// Appends text that begins with a blank, or gives `None` when the structure does not make sense.
pub(crate) type Writer = fn(&mut String, Fields<'_>, &Context<'_>) -> Option<()>;

/// How one extension is written.
pub(crate) struct Definition {
    pub(crate) name: &'static str,
    /// First and last revision that these functions read.
    pub(crate) revisions: (u8, u8),
    /// For `None` both families.
    pub(crate) family: Option<Family>,
    /// As options, after `-m NAME` or `-j NAME`.
    pub(crate) save: Writer,
    /// As words, in `-L`; may be the same function, which then asks [`Context::save`].
    pub(crate) list: Writer,
}

fn find(table: &'static [Definition], found: &Extension<'_>, family: Family) -> Option<&'static Definition> {
    table.iter().find(|definition| {
        definition.name == found.name
            && (definition.revisions.0..=definition.revisions.1).contains(&found.revision)
            && definition.family.is_none_or(|only| only == family)
    })
}

/// Appends a match's options.
pub fn save_match(out: &mut String, found: &Extension<'_>, context: &Context<'_>) {
    write_with(out, found, find(matches::TABLE, found, context.family).map(|definition| definition.save), context);
}

/// Appends a match's words.
pub fn list_match(out: &mut String, found: &Extension<'_>, context: &Context<'_>) {
    write_with(out, found, find(matches::TABLE, found, context.family).map(|definition| definition.list), context);
}

/// Appends a target's options.
pub fn save_target(out: &mut String, found: &Extension<'_>, context: &Context<'_>) {
    write_with(out, found, find(targets::TABLE, found, context.family).map(|definition| definition.save), context);
}

/// Appends a target's words.
pub fn list_target(out: &mut String, found: &Extension<'_>, context: &Context<'_>) {
    write_with(out, found, find(targets::TABLE, found, context.family).map(|definition| definition.list), context);
}

/// The names of the matches, or of the targets, that can be written; one that has several revisions comes several times.
pub fn names_of(of_targets: bool) -> impl Iterator<Item = &'static str> {
    let table = if of_targets { targets::TABLE } else { matches::TABLE };
    table.iter().map(|definition| definition.name)
}

/// Whether the extension is one that can be written.
pub fn is_known_match(found: &Extension<'_>, family: Family) -> bool {
    find(matches::TABLE, found, family).is_some()
}

/// Whether the target is one that can be written.
pub fn is_known_target(found: &Extension<'_>, family: Family) -> bool {
    find(targets::TABLE, found, family).is_some()
}

fn write_with(out: &mut String, found: &Extension<'_>, writer: Option<Writer>, context: &Context<'_>) {
    let before = out.len();
    if writer.and_then(|write| write(out, Fields(&found.data), context)).is_none() {
        out.truncate(before);
        let _ =
            write!(out, " [unsupported revision {}, {} bytes: {}]", found.revision, found.data.len(), hex(&found.data));
    }
}

/// The name after `-m`; some names of the kernel are written otherwise.
pub fn match_name<'n>(found: &'n Extension<'_>) -> &'n str {
    if conntrack::is_state_alias(found) {
        return "state";
    }
    &found.name
}

/// The name after `-j`.
pub fn target_name<'n>(found: &'n Extension<'_>) -> &'n str {
    if found.name == "CT" && Fields(&found.data).u16(0).is_some_and(targets::is_notrack_alias) {
        return "NOTRACK";
    }
    &found.name
}
