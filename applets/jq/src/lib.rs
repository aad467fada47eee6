//! jq-lite: jq for the pipes people paste at night.

mod map;
pub mod number;
pub mod value;

use netkit_core::Applet;

/// Filled by the command line's half.
pub static APPLETS: &[Applet] = &[];
