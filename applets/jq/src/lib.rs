//! jq-lite: jq for the pipes people paste at night.

mod map;
pub mod number;
pub mod read;
mod stream;
mod token;
pub mod value;
pub mod write;

use netkit_core::Applet;

/// Filled by the command line's half.
pub static APPLETS: &[Applet] = &[];
