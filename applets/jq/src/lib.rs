//! jq-lite: jq for the pipes people paste at night.

mod args;
mod exit;
pub mod host;
mod input;
mod map;
pub mod number;
pub mod read;
mod run;
mod stream;
mod token;
pub mod value;
pub mod write;

use netkit_core::Applet;

/// Filled by the command line's half.
pub static APPLETS: &[Applet] = &[];
