//! ss
#![allow(dead_code)]
mod filter;
mod names;
mod number;
mod select;
mod socket;
use netkit_core::Applet;
/// x
pub static APPLETS: &[Applet] = &[];
