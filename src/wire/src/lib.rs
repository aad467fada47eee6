//! Bytes to values and back for every protocol netkit shows. No input or output, no clock.

pub mod cursor;
pub mod dns;
pub mod pcap;
