//! TLS for every applet: one rustls set-up with ring, where trust comes from, and why a chain was refused.

mod client;
mod transport;
mod trust;
mod verify;
pub mod x509;

pub use client::{Kind, Session, Settings, TlsError, chain_report, connect};
pub use transport::{Ready, Transport, flush_by, left, read_by, write_by};
pub use trust::{Sources, Trust};
pub use verify::Seen;
