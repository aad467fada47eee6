//! TLS for every applet: one rustls set-up with ring, where trust comes from, and why a chain was refused.

pub mod chain;
mod client;
pub mod keys;
mod resume;
mod server;
mod socket;
mod temporary;
mod transport;
mod trust;
mod verify;
pub mod x509;

pub use client::{Asked, Closely, Kind, Session, Settings, TlsError, chain_report, connect, connect_closely};
pub use resume::{Resumer, Shaken, Way};
pub use server::{Acceptor, ServerSettings, handshake_text};
pub use socket::Socket;
pub use transport::{Ready, Transport, flush_by, left, read_by, write_by};
pub use trust::{Sources, Trust};
pub use verify::Seen;

/// SHA-1 of a certificate, 20 octets: what people compare by eye, not a proof.
pub fn sha1(der: &[u8]) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, der).as_ref().to_vec()
}

/// SHA-256 of a certificate, 32 octets.
pub fn sha256(der: &[u8]) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA256, der).as_ref().to_vec()
}

/// The digest of that name (sha1, sha256, sha384 or sha512 in any case) of a certificate; SHA-1 for any other name.
pub fn digest(name: &str, der: &[u8]) -> Vec<u8> {
    let kind = match name.to_ascii_lowercase().as_str() {
        "sha256" => &ring::digest::SHA256,
        "sha384" => &ring::digest::SHA384,
        "sha512" => &ring::digest::SHA512,
        _ => &ring::digest::SHA1_FOR_LEGACY_USE_ONLY,
    };
    ring::digest::digest(kind, der).as_ref().to_vec()
}

/// 32 octets of the kernel's randomness, as a hello carries them; zeros where there is none.
pub fn random() -> [u8; 32] {
    let mut out = [0u8; 32];
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut out);
    out
}
