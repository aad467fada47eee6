//! Where the lines of a lookup go: text, YAML or JSON, stdout or stderr.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use netkit_dns::transport::Failure;
use netkit_wire::dns::Message;

use crate::engine::{CLIENT_COOKIE, Pass, Received, Run, Sent};
use crate::json::Attempt;
use crate::lookup::{Format, Server};
use crate::personality::Reply;
use crate::print::{self, Footer, KeyState, Shown, TransferSize};
use crate::{json, yaml};

impl Run<'_, '_> {
    /// A line that BIND prints about the exchange. The short form keeps stdout for data, so there it goes to stderr.
    pub(crate) fn warn(&mut self, text: &str) {
        if self.globals.format == Format::Text {
            self.talk(text);
        }
    }

    /// The same for what ends the lookup.
    pub(crate) fn error(&mut self, text: &str) {
        match self.globals.format {
            Format::Text => self.talk(text),
            Format::Yaml => self.sink.out.push_str(&format!("- type: DIG_ERROR\n  message: |\n    {text}\n")),
            Format::Json => {}
        }
    }

    pub(crate) fn comment(&mut self, text: &str) {
        if self.set.comments && self.globals.format == Format::Text {
            self.talk(text);
        }
    }

    pub(crate) fn talk(&mut self, text: &str) {
        let to = if self.globals.short && !self.set.nssearch { &mut self.sink.err } else { &mut self.sink.out };
        to.push_str(";; ");
        to.push_str(text);
        to.push('\n');
    }

    pub(crate) fn print_banner_for_failure(&mut self) {
        // BIND 9.18 greets here whatever `+cmd` says. That is kept for YAML, which its users compare; in text `+short` and
        // `+nocmd` mean no greeting, as with newer BINDs.
        let wanted = match self.globals.format {
            Format::Text => self.globals.cmd,
            Format::Yaml => true,
            Format::Json => false,
        };
        if wanted {
            self.sink.out.push_str(self.banner);
        }
        self.banner = "";
    }

    /// `+qr`
    pub(crate) fn show_query(&mut self, sent: &Sent, server: &Server, target: SocketAddr, tcp: bool, at: SystemTime) {
        if !self.set.qr || self.globals.format == Format::Json {
            return;
        }
        let Ok(message) = Message::decode(sent.bytes.clone()) else { return };
        let received = Received { message, peer: target, elapsed: Duration::ZERO, sent_at: at, at };
        self.print_as(sent, server, &received, 0, true, tcp);
        if self.set.stats && self.globals.format == Format::Text {
            self.sink.out.push_str(&format!(";; QUERY SIZE: {}\n\n", sent.bytes.len()));
        }
        self.sink.flush();
    }

    pub(crate) fn print(&mut self, pass: &Pass, sent: &Sent, server: &Server, received: &Received, sequence: u32) {
        self.print_as(sent, server, received, sequence, false, pass.tcp);
    }

    pub(crate) fn print_as(
        &mut self,
        sent: &Sent,
        server: &Server,
        received: &Received,
        sequence: u32,
        sending: bool,
        tcp: bool,
    ) {
        if let Some(face) = self.face.as_deref_mut() {
            let Sent { name, rtype, .. } = sent;
            let (lookup, message, peer) = (self.lookup, &received.message, received.peer);
            face.reply(self.sink, &Reply { lookup, message, name, rtype: *rtype, server, peer, tcp });
            if self.globals.format == Format::Text {
                return;
            }
        }
        let label = server.address.to_string();
        let shown = Shown {
            settings: self.set,
            globals: self.globals,
            message: &received.message,
            sending,
            sent_cookie: sent.cookie.as_deref().map(|cookie| cookie.get(..CLIENT_COOKIE).unwrap_or(cookie)),
            sent_edns: sent.edns,
            sequence,
            from: Some((label.as_str(), received.elapsed)),
            short_type: self.set.trace || self.set.nssearch,
        };
        if !self.globals.short && self.globals.cmd && self.globals.format == Format::Text {
            self.sink.out.push_str(self.banner);
        }
        self.banner = "";
        let out = &mut self.sink.out;
        let wire = yaml::Exchange {
            peer: received.peer,
            source: self.globals.source,
            carrier: self.set.carrier(tcp),
            sent_at: received.sent_at,
            received_at: received.at,
        };
        match self.globals.format {
            Format::Text if self.globals.short => {
                for fault in print::short(out, &shown) {
                    self.sink.err.push_str(&format!(";; {fault}\n"));
                }
            }
            Format::Text => print::message(out, &shown),
            Format::Yaml => yaml::message(out, &shown, &wire),
            Format::Json => json::reply(out, &shown, &wire, server, received.elapsed, &self.attempts),
        }
    }

    pub(crate) fn footer(&mut self, pass: &Pass, server: &Server, received: &Received, transfer: Option<TransferSize>) {
        if self.globals.short || self.globals.format != Format::Text {
            return;
        }
        let size = received.message.bytes.len();
        if let Some(face) = self.face.as_deref_mut() {
            let octets = transfer.map_or(size as u64, |transfer| transfer.bytes);
            face.received(self.sink, octets, received.peer, received.elapsed);
            return;
        }
        let key = match (self.env.key_failed, self.validated) {
            (true, _) => KeyState::NotUsed,
            (false, false) => KeyState::NotValidated,
            (false, true) => KeyState::Fine,
        };
        let footer = Footer {
            settings: self.set,
            peer: received.peer,
            label: &server.label,
            carrier: self.set.carrier(pass.tcp),
            elapsed: received.elapsed,
            when: self.env.clock.unix_seconds(),
            size,
            transfer,
            key,
        };
        print::footer(&mut self.sink.out, &footer);
    }

    pub(crate) fn record_failure(
        &mut self,
        target: SocketAddr,
        transport: &'static str,
        started: Instant,
        failure: &Failure,
    ) {
        self.attempts.push(Attempt {
            server: target,
            transport,
            elapsed: started.elapsed(),
            outcome: Err(failure.to_string()),
        });
    }

    pub(crate) fn record_reply(&mut self, target: SocketAddr, transport: &'static str, received: &Received) {
        let outcome = Ok(received.message.rcode());
        self.attempts.push(Attempt { server: target, transport, elapsed: received.elapsed, outcome });
    }
}
