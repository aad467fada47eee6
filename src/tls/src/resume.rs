//! Whether a server takes up a session again: handshakes in a row with the same memory, and no judgement of certificates.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::{Resumption, Tls12Resumption};
use rustls::crypto::ring;
use rustls::{ClientConfig, ClientConnection, Connection, HandshakeKind};
use rustls_pki_types::ServerName;

use crate::client::Tls;
use crate::transport::{Ready, Transport, left};
use crate::trust::Trust;
use crate::verify::Verifier;

/// How a session may be taken up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// TLS 1.2 with the identifier alone, which the server has to remember (RFC 5246).
    Identifier,
    /// TLS 1.2 with a ticket, which the client keeps for it (RFC 5077).
    Ticket,
    /// TLS 1.3 with a pre-shared key (RFC 8446, section 2.2).
    PreShared,
}

/// What one handshake showed.
#[derive(Clone, Debug, Default)]
pub struct Shaken {
    /// Whether the session of an earlier handshake was taken up.
    pub resumed: bool,
    /// Tickets of TLS 1.3 that came with it.
    pub tickets: u32,
    /// Whether the last ticket allowed early data when this handshake began (RFC 8446, section 4.2.10).
    pub early_data: bool,
    /// Whether early data that was offered was accepted.
    pub early_data_accepted: bool,
}

impl Tls {
    fn tickets(&self) -> u32 {
        match &self.connection {
            Connection::Client(client) => client.tls13_tickets_received(),
            Connection::Server(_) => 0,
        }
    }
}

/// Shakes hands several times.
pub struct Resumer {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    is_tls13: bool,
}

impl Resumer {
    /// With that way of taking up a session, as a client of `host`.
    ///
    /// # Errors
    /// In words, when the name cannot be one or rustls refuses.
    pub fn new(host: &str, way: Way, alpn: &[String]) -> Result<Resumer, String> {
        let provider = Arc::new(ring::default_provider());
        let verifier = Verifier::new(Arc::new(Trust::default()), true, provider.clone());
        let versions = if way == Way::PreShared { &rustls::version::TLS13 } else { &rustls::version::TLS12 };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[versions])
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        let mode =
            if way == Way::Ticket { Tls12Resumption::SessionIdOrTickets } else { Tls12Resumption::SessionIdOnly };
        config.resumption = Resumption::in_memory_sessions(8).tls12_resumption(mode);
        config.enable_early_data = true;
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let bare = host.strip_suffix('.').unwrap_or(host).to_owned();
        let name = ServerName::try_from(bare).map_err(|_| format!("'{host}' cannot be a server name in TLS"))?;
        Ok(Resumer { config: Arc::new(config), name, is_tls13: way == Way::PreShared })
    }

    /// One handshake over `stream`, and a short while of listening, because tickets of TLS 1.3 come behind it.
    ///
    /// # Errors
    /// What the stream or rustls says.
    pub fn shake(&self, stream: Box<dyn Transport>, deadline: Option<Instant>, after: Duration) -> io::Result<Shaken> {
        let mut client = ClientConnection::new(self.config.clone(), self.name.clone()).map_err(io::Error::other)?;
        let early_data = client.early_data().is_some();
        let mut tls = Tls::new(Connection::Client(client), stream);
        tls.handshake(deadline)?;
        // Tickets of TLS 1.3 come when all else is over.
        let until = Instant::now().checked_add(if self.is_tls13 { after } else { Duration::ZERO });
        let mut buffer = [0u8; 1024];
        while let (0, Ok(limit)) = (tls.tickets(), left(until)) {
            match tls.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tls.wait(Ready { read: true, write: false }, limit)?;
                }
                Ok(1..) => {}
                // An alert comes here too; only the tickets matter.
                _ => break,
            }
        }
        let mut out = Shaken { early_data, ..Shaken::default() };
        if let Connection::Client(client) = &tls.connection {
            out.resumed = client.handshake_kind() == Some(HandshakeKind::Resumed);
            out.tickets = tls.tickets();
            out.early_data_accepted = early_data && client.is_early_data_accepted();
        }
        tls.finish();
        Ok(out)
    }
}
