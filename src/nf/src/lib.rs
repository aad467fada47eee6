//! The packet filter as the kernel holds it: one rule model for legacy x_tables and nf_tables, and its text.
//!
//! Nothing here talks to the kernel. Blobs and messages come in as bytes and are hostile; what cannot be decoded keeps
//! its name, revision and bytes.

pub mod bytes;
pub mod ext;
pub mod ipset;
pub mod legacy;
pub mod list;
pub mod model;
pub mod nft;
pub mod save;
#[cfg(test)]
mod tests;
pub mod walk;

pub use model::{Counters, Extension, Family, Header, Interface, Policy, Rule, Target, Verdict};
