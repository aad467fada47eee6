//! HTTP for every applet: the HTTP/1 codec over a stream whose bytes are all seen, HTTP/2, content codings, cookies,
//! and authentication. No input or output of its own.

pub mod auth;
mod brotli;
pub mod chunked;
pub mod cookies;
pub mod date;
pub mod decode;
mod failure;
pub mod h2;
pub mod head;
pub mod url;

pub use failure::{Code, Failure};
pub use url::Url;

/// The first eight bytes of a body's SHA-256 in hexadecimal: enough to tell two bodies apart in a table.
pub fn digest_prefix(body: &[u8]) -> String {
    use sha2::Digest as _;
    netkit_core::text::hex(sha2::Sha256::digest(body).get(..8).unwrap_or_default())
}
