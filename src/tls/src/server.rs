//! A TLS server over any stream: for listeners and relays.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use rustls::crypto::ring;
use rustls::server::NoServerSessionStorage;
use rustls::{Connection, ServerConfig, ServerConnection};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::client::{Tls, alert_text, own};
use crate::temporary;
use crate::transport::Transport;

/// What a server shows and takes.
#[derive(Clone, Debug, Default)]
pub struct ServerSettings {
    /// PEM file with the chain, perhaps with the key. Without one a key and a certificate are made on the spot.
    pub certificate: Option<PathBuf>,
    /// PEM file with the key.
    pub key: Option<PathBuf>,
    /// Protocols offered, most wanted first.
    pub alpn: Vec<String>,
    /// Common name of a certificate made on the spot.
    pub name: String,
    /// Seconds since the epoch, for the dates of a certificate made on the spot.
    pub now: i64,
}

/// Makes TLS of accepted connections.
#[derive(Clone)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
    /// DER of the certificate shown.
    pub certificate: Vec<u8>,
}

impl Acceptor {
    /// Reads or makes certificate and key.
    ///
    /// # Errors
    /// In words, when they cannot be used.
    pub fn new(settings: &ServerSettings) -> Result<Acceptor, String> {
        let (chain, key) = match &settings.certificate {
            Some(path) => own(path, settings.key.as_ref())?,
            None => {
                let made = temporary::certificate(&settings.name, settings.now)
                    .ok_or_else(|| "no key could be made".to_owned())?;
                let key = PrivateKeyDer::try_from(made.key).map_err(str::to_owned)?;
                (vec![CertificateDer::from(made.certificate)], key)
            }
        };
        let certificate = chain.first().map(|der| der.as_ref().to_vec()).unwrap_or_default();
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| format!("certificate and key do not work: {error}"))?;
        config.alpn_protocols = settings.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        // Tickets that a client never reads would turn its closing into a reset.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Acceptor { config: Arc::new(config), certificate })
    }

    /// Begins TLS; reading from the stream carries the handshake out.
    ///
    /// # Errors
    /// In words.
    pub fn begin(&self, stream: Box<dyn Transport>) -> Result<Box<dyn Transport>, String> {
        let connection = ServerConnection::new(self.config.clone()).map_err(|error| error.to_string())?;
        Ok(Box::new(Tls::new(Connection::Server(connection), stream)))
    }

    /// Shakes hands.
    ///
    /// # Errors
    /// In words: what the client sent instead, its alert, or that it took too long.
    pub fn accept(&self, stream: Box<dyn Transport>, deadline: Option<Instant>) -> Result<Box<dyn Transport>, String> {
        let connection = ServerConnection::new(self.config.clone()).map_err(|error| error.to_string())?;
        let mut tls = Tls::new(Connection::Server(connection), stream);
        match tls.handshake(deadline) {
            Ok(()) => Ok(Box::new(tls)),
            Err(error) => Err(handshake_text(&error)),
        }
    }
}

/// Why a handshake with a client failed.
pub fn handshake_text(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) => alert_text(*alert),
        Some(rustls::Error::InvalidMessage(_)) => "error:0A00010B:SSL routines::wrong version number".to_owned(),
        Some(other) => other.to_string(),
        None => match error.kind() {
            io::ErrorKind::TimedOut => "no handshake in time".to_owned(),
            io::ErrorKind::UnexpectedEof => "unexpected eof while reading".to_owned(),
            _ => error.to_string().split(" (os error").next().unwrap_or("").to_owned(),
        },
    }
}
