//! jq-lite: jq for the pipes people paste at night.

// Wired by the builtins.
#[allow(dead_code)]
mod encode;
mod map;
pub mod number;
#[allow(dead_code)]
mod regex;
#[allow(dead_code)]
mod time;
pub mod value;

use netkit_core::Applet;

/// Filled by the command line's half.
pub static APPLETS: &[Applet] = &[];
