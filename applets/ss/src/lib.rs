//! ss
#![allow(dead_code)]
mod args;
mod filter;
mod info;
mod kernel;
mod layout;
mod names;
mod owners;
mod pods;
mod print;
mod procnet;
mod number;
mod select;
mod socket;
mod summary;
use netkit_core::Applet;
/// x
pub static APPLETS: &[Applet] = &[];
