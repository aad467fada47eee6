//! Netlink: what the kernel knows about links, addresses, routes, neighbours and sockets.
//!
//! [`Socket`] asks and [`Socket::dump`] holds the only dump loop; [`Messages`] and [`Attrs`] walk whatever comes back
//! and tolerate unknown, longer and broken attributes. The families beside them ([`route`], [`diag`], [`generic`],
//! [`netfilter`]) know the fixed headers and the numbers; attributes stay bytes until somebody wants to see them.
//!
//! Integers are in the machine's own order unless a name says `be`.

mod attr;
pub mod diag;
mod dump;
mod error;
pub mod generic;
mod message;
pub mod netfilter;
pub mod raw;
mod request;
pub mod route;
mod socket;
#[cfg(test)]
mod tests;

pub use attr::{Attr, Attrs};
pub use dump::{Dump, MAX_RETRIES, Outcome, Transport, dump, exchange, stream};
pub use error::{Error, describe};
pub use message::{Ack, Message, Messages, flags, kind};
pub use request::Request;
pub use socket::{Protocol, Socket};
