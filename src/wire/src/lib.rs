//! Bytes to values and back for every protocol netkit shows. No input or output, no clock.

pub mod cursor;
pub mod der;
pub mod dns;
pub mod ocsp;
pub mod pcap;
pub mod pem;
pub mod tls;
pub mod x509;
