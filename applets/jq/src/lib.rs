//! jq-lite: jq for the pipes people paste at night.

mod args;
// Wired by the builtins.
#[allow(dead_code)]
mod encode;
mod exit;
pub mod host;
mod input;
mod map;
#[allow(dead_code)]
mod natives;
pub mod number;
pub mod read;
#[allow(dead_code)]
mod regex;
mod run;
mod stream;
#[allow(dead_code)]
mod time;
mod token;
pub mod value;
pub mod write;
pub mod yaml;

use netkit_core::Applet;

/// Filled by the command line's half.
pub static APPLETS: &[Applet] = &[];
