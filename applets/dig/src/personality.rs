//! What `host` and `nslookup` put around the engine: their own words for replies, and helpers that both use.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use netkit_core::text::printable;
use netkit_core::{Ctx, Error, Exit};
use netkit_wire::dns::{Message, Name, Rcode, RrType, Section, reverse_name};

use crate::engine::{self, bare};
use crate::lookup::{Family, Lookup, Server, Settings};
use crate::servers;
use crate::session::{Carry, Env, Sink};

/// A reply and how it came.
pub(crate) struct Reply<'a> {
    pub(crate) lookup: &'a Lookup,
    pub(crate) message: &'a Message,
    /// The name that was asked, with its suffix.
    pub(crate) name: &'a Name,
    pub(crate) rtype: RrType,
    pub(crate) server: &'a Server,
    pub(crate) peer: SocketAddr,
    /// It came over TCP; lookups that follow from it go there at once.
    pub(crate) tcp: bool,
}

/// What a program makes of the events of a lookup.
pub(crate) trait Face {
    /// A query for this name is about to leave.
    fn trying(&mut self, _sink: &mut Sink<'_>, _name: &Name) {}
    /// A reply to show; with JSON asked for, only to learn from.
    fn reply(&mut self, sink: &mut Sink<'_>, reply: &Reply<'_>);
    /// A lookup ended with a reply: octets in all, from whom, and the time since the query left.
    fn received(&mut self, _sink: &mut Sink<'_>, _bytes: u64, _from: SocketAddr, _elapsed: Duration) {}
    /// Lookups that are still to run; a reply may add some.
    fn queue(&mut self) -> &mut VecDeque<Lookup>;
}

/// Settings of a lookup as these two programs send it: no EDNS, no cookie, no AD.
pub(crate) fn plain_settings() -> Settings {
    Settings { edns: None, cookie: false, ad: false, ..Settings::default() }
}

/// The same lookup for another name and type, which no suffix completes.
pub(crate) fn following(reply: &Reply<'_>, name: String, rtype: RrType) -> Lookup {
    let settings = Settings { name, rtype, search: false, tcp: reply.tcp, ..reply.lookup.settings.clone() };
    Lookup { settings, ..reply.lookup.clone() }
}

/// Runs the queue of `face` until it is empty.
///
/// # Errors
/// When a name is none, or stdout is gone.
pub(crate) fn run(ctx: &mut Ctx, env: &Env, face: &mut dyn Face) -> Result<(), Error> {
    let (mut sink, mut carry) = (Sink::live(ctx), Carry::default());
    while let Some(lookup) = face.queue().pop_front() {
        let done = engine::run(&lookup, env, &mut carry, &mut sink, Some(&mut *face));
        sink.flush();
        if let Some(error) = sink.broken.take() {
            return Err(error.into());
        }
        if let Some(error) = done.error {
            return Err(error);
        }
    }
    Ok(())
}

/// The reverse name of an address as text, or nothing when it is none. BIND writes the final dot for IPv4 only.
pub(crate) fn reverse_text(text: &str) -> Option<String> {
    match text.parse().ok()? {
        address @ IpAddr::V4(_) => Some(reverse_name(address).to_string()),
        address @ IpAddr::V6(_) => Some(bare(&reverse_name(address))),
    }
}

/// The servers a command line names, or those of resolv.conf.
///
/// # Errors
/// BIND's sentence when a name has no address.
pub(crate) fn servers_for(env: &Env, named: Option<&str>, family: Family) -> Result<Vec<Server>, Error> {
    let Some(text) = named else { return Ok(env.servers(family)) };
    let found = servers::resolve(env, text, family)
        .map_err(|why| Error::new(Exit(1), format!("couldn't get address for '{}': {why}", printable(text))))?;
    let server = |(address, scope)| Server { address, scope, port: None, label: text.to_owned() };
    Ok(found.into_iter().map(server).collect())
}

/// Text of a number that C's atoi(3) would read; no digits make 0.
pub(crate) fn atoi(text: &str) -> i64 {
    let trimmed = text.trim_start();
    let (negative, digits) = match trimmed.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let value = digits
        .bytes()
        .take_while(u8::is_ascii_digit)
        .fold(0i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    if negative { -value } else { value }
}

/// rcode with RFC 6895's numbers, `?n` beyond BIND's table.
pub(crate) fn rcode_text(rcode: Rcode) -> String {
    match rcode.0 {
        0..=10 | 16 => rcode.to_string(),
        n @ 11..=15 => format!("RESERVED{n}"),
        n => format!("?{n}"),
    }
}

/// The name at the end of a CNAME chain that starts at `name`.
pub(crate) fn end_of_chain(message: &Message, name: &Name) -> Name {
    let mut at = name.clone();
    for _ in message.section(Section::Answer) {
        let mut aliases = message.section(Section::Answer).filter(|r| r.rtype == RrType::CNAME && r.owner == at);
        let Some(next) = aliases.next().and_then(|record| message.rdata_name(record)) else { break };
        at = next;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_c_reads_them() {
        assert_eq!((atoi("12x"), atoi("x"), atoi("-3"), atoi(" +4")), (12, 0, -3, 4));
    }

    #[test]
    fn response_codes() {
        assert_eq!(rcode_text(Rcode::NXDOMAIN), "NXDOMAIN");
        assert_eq!(rcode_text(Rcode(12)), "RESERVED12");
        assert_eq!(rcode_text(Rcode(16)), "BADVERS");
        assert_eq!(rcode_text(Rcode(23)), "?23");
    }

    #[test]
    fn chains_end_even_when_they_loop() {
        // a.x. CNAME b.x., b.x. CNAME a.x.
        let mut bytes = vec![0, 1, 0x80, 0, 0, 0, 0, 2, 0, 0, 0, 0];
        for (owner, target) in [(b'a', b'b'), (b'b', b'a')] {
            bytes.extend_from_slice(&[1, owner, 1, b'x', 0, 0, 5, 0, 1, 0, 0, 0, 0, 0, 5, 1, target, 1, b'x', 0]);
        }
        let message = Message::decode(bytes).unwrap();
        assert_eq!(end_of_chain(&message, &Name::parse("a.x").unwrap()), Name::parse("a.x").unwrap());
        assert_eq!(end_of_chain(&message, &Name::parse("c.x").unwrap()), Name::parse("c.x").unwrap());
    }
}
