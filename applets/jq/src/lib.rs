//! jq-lite: jq for the pipes people paste at night.

mod args;
mod builtins;
mod encode;
mod exit;
pub mod host;
mod input;
mod lang;
mod map;
mod natives;
pub mod number;
pub mod read;
mod regex;
mod run;
mod stream;
mod time;
mod token;
pub mod value;
pub mod write;
pub mod yaml;

pub use lang::compile;
use netkit_core::Applet;

/// Filled by the command line's half.
pub static APPLETS: &[Applet] = &[];
