//! DNS messages (RFC 1035, 6891, 3597, 8945 and the RFCs of each record type).

mod edns;
mod line;
mod message;
mod name;
mod query;
mod rdata;
pub mod tsig;
mod types;

pub use edns::{EdnsOption, Opt};
pub use line::Style;
pub use message::{Fault, Header, Message, Question, Record, Section, Soa};
pub use name::{Name, NameError, push_text};
pub use query::{Edns, Query};
pub use rdata::Split;
pub use types::{Class, Opcode, RR_TYPES, Rcode, RrType, UnknownMnemonic, algorithm_mnemonic};

use std::fmt::Write as _;
use std::net::IpAddr;

/// The name under in-addr.arpa (RFC 1035 section 3.5) or ip6.arpa (RFC 3596 section 2.5) for an address.
pub fn reverse_name(address: IpAddr) -> Name {
    let mut text = String::new();
    match address {
        IpAddr::V4(v4) => {
            for octet in v4.octets().iter().rev() {
                let _ = write!(text, "{octet}.");
            }
            text.push_str("in-addr.arpa.");
        }
        IpAddr::V6(v6) => {
            for octet in v6.octets().iter().rev() {
                let _ = write!(text, "{:x}.{:x}.", octet & 15, octet >> 4);
            }
            text.push_str("ip6.arpa.");
        }
    }
    // Digits and these two suffixes always make a valid name.
    Name::parse(&text).unwrap_or_else(|_| Name::root())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reverse_names() {
        assert_eq!(reverse_name("10.1.2.3".parse().unwrap()).to_string(), "3.2.1.10.in-addr.arpa.");
        assert_eq!(
            reverse_name("2001:db8::1".parse().unwrap()).to_string(),
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."
        );
    }
}
