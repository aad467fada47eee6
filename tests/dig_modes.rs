//! What `dig` of netkit can and no peer does, with the real binary: `@all`, `--path`, `--race`, `--from-pid`, `--netns`, `+rc`, JSON,
//! addresses in a pod, `+trace` without a resolver, refused transports.
//!
//! Where the order and number of queries matters they are recorded (`lab::recorder`); where a server must misbehave,
//! functions play it in a namespace ([`scene`]); where delegations matter, `lab::hierarchy` has real ones.

// An index into JSON yields null, not a panic.
#![allow(clippy::indexing_slicing)]

mod compare;
mod elsewhere;
mod plain;
mod scene;
mod trace;

use std::sync::Arc;

use libtest_mimic::Trial;

use crate::lab::message::{Message, Question, flag, kind, question};
use crate::lab::server::{Act, Script};
use crate::lab::{same, trial};

/// The trials of this module.
pub fn trials() -> Vec<Trial> {
    let mut trials = vec![trial("dig_modes::only_times_are_masked", || {
        let text = "a   1.5 ms 127.0.0.1 12.34 0.1\n;; 192.168.0.1 10.0\n";
        same("masked", &scene::masked(text), "a T ms 127.0.0.1 12.34 T\n;; 192.168.0.1 T\n")
    })];
    trials.extend(compare::trials());
    trials.extend(elsewhere::trials());
    trials.extend(plain::trials());
    trials.extend(trace::trials());
    trials
}

/// EDNS option that names the server (RFC 5001).
const NSID: u16 = 3;

/// A script that composes one message for every query that can be read; nothing where it gives none.
fn script(compose: impl Fn(&Question, &[u8], bool) -> Option<Message> + Send + Sync + 'static) -> Arc<Script> {
    Arc::new(move |query, tcp| {
        let reply = question(query).and_then(|asked| compose(&asked, query, tcp));
        reply.map(|message| Act::Send(message.bytes())).into_iter().collect()
    })
}

/// A script that never answers; over TCP it takes the connection and stays silent.
fn silent() -> Arc<Script> {
    script(|_, _, _| None)
}

/// An answer of addresses to A, none to anything else, as a recursive server gives it.
fn addresses(asked: &Question, list: &[[u8; 4]]) -> Message {
    let reply = Message::reply(asked, flag::RA);
    let list = if asked.kind == kind::A { list } else { &[] };
    list.iter().fold(reply, |reply, address| reply.answer(kind::A, address))
}

/// The payload size that a query allows over UDP (RFC 6891, 6.2.5); 512 without an OPT record.
fn room(asked: &Question, query: &[u8]) -> u16 {
    match query.get(12 + asked.bytes.len()..) {
        Some([0, 0, 41, high, low, ..]) => u16::from_be_bytes([*high, *low]).max(512),
        _ => 512,
    }
}
