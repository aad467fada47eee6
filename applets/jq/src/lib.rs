//! jq-lite: jq for the pipes people paste at night.

// Wired by the builtins.
#[allow(dead_code)]
mod encode;
mod map;
pub mod number;
pub mod read;
#[allow(dead_code)]
mod regex;
mod stream;
#[allow(dead_code)]
mod time;
mod token;
pub mod value;
pub mod write;

use netkit_core::Applet;

/// Filled by the command line's half.
pub static APPLETS: &[Applet] = &[];
