//! A TLS client over any stream.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::client::ResolvesClientCert;
use rustls::crypto::{ActiveKeyExchange, SupportedKxGroup, ring};
use rustls::sign::CertifiedKey;
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, Connection, Error, KeyLogFile, NamedGroup, ProtocolVersion,
    SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::transport::{Ready, Transport, left};
use crate::trust::{Sources, Trust};
use crate::verify::{Seen, Verifier};
use crate::x509::{Certificate, date_text};

/// How to speak TLS.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Accept any certificate (`-k`).
    pub insecure: bool,
    /// Where trust comes from.
    pub sources: Sources,
    /// PEM file with our certificate, perhaps with its key.
    pub certificate: Option<PathBuf>,
    /// PEM file with the key.
    pub key: Option<PathBuf>,
    /// Protocols offered, most wanted first.
    pub alpn: Vec<&'static str>,
    /// Oldest version, 2 or 3 for TLS 1.2 and 1.3.
    pub min: u8,
    /// Newest version.
    pub max: u8,
    /// Write secrets to SSLKEYLOGFILE.
    pub key_log: bool,
    /// `--pinnedpubkey`: `sha256//BASE64;sha256//...` or a file.
    pub pinned: Option<String>,
    /// Suites offered for TLS 1.2 and for TLS 1.3, by OpenSSL's or IANA's names between colons; nothing for all.
    pub ciphers: [Option<String>; 2],
}

/// Why there is no TLS.
#[derive(Clone, Debug)]
pub struct TlsError {
    /// The kind.
    pub kind: Kind,
    /// One line, as curl with OpenSSL words it where it does.
    pub text: String,
    /// What the verifier saw.
    pub seen: Seen,
    /// What to think of it.
    pub hint: Option<String>,
}

/// Kinds of failures, each with a status of its own in curl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The handshake failed.
    Handshake,
    /// The certificate was not accepted.
    Verification,
    /// Our own certificate or key cannot be used.
    OwnCertificate,
    /// The file of anchors cannot be used.
    Anchors,
    /// No answer in time.
    TimedOut,
    /// The connection was reset or closed.
    Broken,
    /// The public key is not the pinned one.
    Pin,
    /// None of the suites that were asked for is known here.
    Cipher,
}

/// What was agreed.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// `TLSv1.3`.
    pub protocol: String,
    /// OpenSSL's name of the suite.
    pub cipher: String,
    /// Key exchange group.
    pub group: String,
    /// Signature scheme of the handshake.
    pub signature: String,
    /// Agreed protocol.
    pub alpn: Option<String>,
    /// The chain as sent.
    pub chain: Vec<Vec<u8>>,
    /// OpenSSL's verify number, 0 when fine.
    pub verify_code: u32,
    /// Its words.
    pub verify_reason: String,
    /// Subject and source of the anchor that matched.
    pub anchor: Option<(String, String)>,
    /// Accepted although stricter clients refuse it: why.
    pub leniency: Option<&'static str>,
    /// Sources of trust that were used.
    pub sources: Vec<String>,
    /// Why webpki refuses the certificate, by its name for it; nothing when it accepts.
    pub strict: Option<String>,
    /// The stapled OCSP response (RFC 6960), empty when there is none.
    pub staple: Vec<u8>,
    /// What the server asks of a certificate of ours; nothing when it wants none.
    pub asked: Option<Asked>,
    /// Number of the scheme of the handshake's signature (TLS SignatureScheme registry).
    pub scheme: Option<u16>,
}

/// What only somebody who looks closely sets.
#[derive(Clone, Debug, Default)]
pub struct Closely {
    /// These anchors instead of what the sources say.
    pub trust: Option<Arc<Trust>>,
    /// Ask for no name.
    pub silent: bool,
}

/// Shakes hands over `stream` as a client of `host`.
///
/// # Errors
/// See [`Kind`].
pub fn connect(
    stream: Box<dyn Transport>,
    host: &str,
    settings: &Settings,
    deadline: Option<Instant>,
) -> Result<(Box<dyn Transport>, Session), Box<TlsError>> {
    connect_closely(stream, host, settings, Closely::default(), deadline)
}

/// As [`connect`], for those who look closely.
///
/// # Errors
/// See [`Kind`].
pub fn connect_closely(
    stream: Box<dyn Transport>,
    host: &str,
    settings: &Settings,
    closely: Closely,
    deadline: Option<Instant>,
) -> Result<(Box<dyn Transport>, Session), Box<TlsError>> {
    let fail = |kind: Kind, text: String| Box::new(TlsError { kind, text, seen: Seen::default(), hint: None });
    let trust = match closely.trust {
        Some(trust) => trust,
        None if settings.insecure && settings.sources.file.is_none() => {
            Arc::new(Trust::load(&settings.sources).unwrap_or_default())
        }
        None => Arc::new(Trust::load(&settings.sources).map_err(|text| fail(Kind::Anchors, text))?),
    };
    let mut provider = ring::default_provider();
    if settings.insecure {
        provider.kx_groups.push(&Nist521);
    }
    for (at, list) in settings.ciphers.iter().enumerate() {
        if let Some(list) = list {
            let list12 = at == 0;
            choose_suites(&mut provider.cipher_suites, list12, list).map_err(|text| fail(Kind::Cipher, text))?;
        }
    }
    let provider = Arc::new(provider);
    let verifier = Arc::new(Verifier::new(trust.clone(), settings.insecure, provider.clone()));
    let seen = verifier.seen.clone();
    let versions: &[&rustls::SupportedProtocolVersion] = match (settings.min, settings.max) {
        (0..=2, 2) => &[&rustls::version::TLS12],
        (3, 3..) => &[&rustls::version::TLS13],
        (3, _) => {
            return Err(fail(Kind::Handshake, "the oldest TLS version allowed is newer than the newest".to_owned()));
        }
        _ => &[&rustls::version::TLS13, &rustls::version::TLS12],
    };
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(|error| fail(Kind::Handshake, error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let identity = match &settings.certificate {
        Some(path) => {
            let (chain, key) = own(path, settings.key.as_ref()).map_err(|text| fail(Kind::OwnCertificate, text))?;
            let made = CertifiedKey::from_der(chain, key, &provider);
            Some(Arc::new(made.map_err(|error| {
                fail(Kind::OwnCertificate, format!("could not use the client certificate: {error}"))
            })?))
        }
        None => None,
    };
    let answer = Arc::new(Identity { own: identity, asked: Mutex::default() });
    let mut config = builder.with_client_cert_resolver(answer.clone());
    config.enable_sni = !closely.silent;
    config.alpn_protocols = settings.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    if settings.key_log {
        config.key_log = Arc::new(KeyLogFile::new());
    }
    let bare = host.strip_suffix('.').unwrap_or(host).to_owned();
    let name = ServerName::try_from(bare.clone())
        .map_err(|_| fail(Kind::Handshake, format!("'{bare}' cannot be a server name in TLS")))?;
    let connection =
        ClientConnection::new(Arc::new(config), name).map_err(|error| fail(Kind::Handshake, error.to_string()))?;
    let mut tls = Tls::new(Connection::Client(connection), stream);
    let result = tls.handshake(deadline);
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    seen.asked = answer.asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Err(error) = result {
        return Err(Box::new(explained(&error, seen)));
    }
    let chain: Vec<Certificate> = seen.chain.iter().filter_map(|der| Certificate::parse(der)).collect();
    if let Some(pinned) = &settings.pinned
        && !chain.first().is_some_and(|leaf| is_pinned(&leaf.spki, pinned))
    {
        return Err(fail(Kind::Pin, "SSL: public key does not match pinned public key".to_owned()));
    }
    let session = Session {
        protocol: match tls.connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLS",
        }
        .to_owned(),
        cipher: tls
            .connection
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str().map(cipher_name))
            .unwrap_or_default(),
        group: tls
            .connection
            .negotiated_key_exchange_group()
            .map(|group| match format!("{:?}", group.name()).as_str() {
                "secp256r1" => "prime256v1".to_owned(),
                other => other.to_ascii_lowercase(),
            })
            .unwrap_or_default(),
        signature: seen.scheme.map(scheme_name).unwrap_or_default(),
        alpn: tls.connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
        verify_code: seen.code,
        verify_reason: seen.reason.clone(),
        anchor: if seen.code == 0 { trust.anchor_of(&chain) } else { None },
        leniency: seen.leniency,
        sources: trust.used.clone(),
        chain: seen.chain,
        strict: seen.strict,
        staple: seen.staple,
        asked: seen.asked,
        scheme: seen.scheme.map(u16::from),
    };
    Ok((Box::new(tls), session))
}

/// What the server asks of a client certificate (RFC 8446, section 4.3.2).
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Names of authorities it accepts, each a Name in DER; none means that it does not say.
    pub authorities: Vec<Vec<u8>>,
    /// Signature schemes, by number.
    pub schemes: Vec<u16>,
}

/// secp521r1, offered and not spoken: in TLS 1.2 a server does not show a certificate on a curve that its client does not
/// list, and to look at it nothing else is needed (RFC 8422, section 5.1).
#[derive(Debug)]
struct Nist521;

impl SupportedKxGroup for Nist521 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Err(Error::General("the server wants to exchange keys on secp521r1, which is not spoken here".to_owned()))
    }

    fn ffdhe_group(&self) -> Option<rustls::ffdhe_groups::FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_2
    }
}

/// Shows our certificate, or none, and remembers what was asked for.
#[derive(Debug)]
struct Identity {
    own: Option<Arc<CertifiedKey>>,
    asked: Mutex<Option<Asked>>,
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, authorities: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let asked = Asked {
            authorities: authorities.iter().map(|name| name.to_vec()).collect(),
            schemes: schemes.iter().map(|scheme| u16::from(*scheme)).collect(),
        };
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
        self.own.clone()
    }

    fn has_certs(&self) -> bool {
        true
    }
}

pub(crate) type ChainAndKey = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Our certificate chain and key.
pub(crate) fn own(path: &PathBuf, key: Option<&PathBuf>) -> Result<ChainAndKey, String> {
    let shown = path.display();
    let bytes =
        std::fs::read(path).map_err(|error| format!("could not load PEM client certificate from {shown}, {error}"))?;
    let mut chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok).collect();
    if chain.is_empty() && Certificate::parse(&bytes).is_some() {
        chain.push(CertificateDer::from(bytes.clone()));
    }
    if chain.is_empty() {
        return Err(format!("could not load PEM client certificate from {shown}, no certificate found"));
    }
    let key_path = key.unwrap_or(path);
    let bytes = std::fs::read(key_path)
        .map_err(|error| format!("unable to set private key file: '{}' ({error})", key_path.display()))?;
    let encrypted = bytes.windows(9).any(|nine| nine == b"ENCRYPTED");
    let key = PrivateKeyDer::from_pem_slice(&bytes).or_else(|_| PrivateKeyDer::try_from(bytes.clone()));
    key.map(|key| (chain, key.clone_key())).map_err(|_| {
        let why = if encrypted { "it is encrypted; decrypt it first" } else { "no key found" };
        format!("unable to set private key file: '{}' ({why})", key_path.display())
    })
}

fn is_pinned(spki: &[u8], pinned: &str) -> bool {
    use base64::Engine as _;
    if pinned.starts_with("sha256//") {
        let digest = ::ring::digest::digest(&::ring::digest::SHA256, spki);
        let text = base64::engine::general_purpose::STANDARD.encode(digest.as_ref());
        return pinned.split(';').any(|one| one.strip_prefix("sha256//") == Some(&text));
    }
    let Ok(bytes) = std::fs::read(pinned) else { return false };
    let der = rustls_pki_types::SubjectPublicKeyInfoDer::from_pem_slice(&bytes).map(|der| der.as_ref().to_vec());
    der.unwrap_or(bytes) == spki
}

/// Leaves the suites of one version that a list names, in its order; those of the other version stay.
fn choose_suites(suites: &mut Vec<rustls::SupportedCipherSuite>, tls12: bool, list: &str) -> Result<(), String> {
    // Words for whole groups of suites (openssl-ciphers(1)) hold all that are offered here.
    const GROUPS: [&str; 9] = ["DEFAULT", "ALL", "HIGH", "ECDHE", "EECDH", "kECDHE", "kEECDH", "AESGCM", "AEAD"];
    let mut chosen = Vec::new();
    for word in list.split([':', ',', ' ']).filter(|word| !word.is_empty()) {
        // Exclusions and settings name what is not offered anyway.
        if word.starts_with(['!', '-', '+', '@']) {
            continue;
        }
        let fits = |name: &str| cipher_name(name) == word || name == word;
        for suite in suites.iter().filter(|suite| suite.tls13().is_none() == tls12) {
            let named = GROUPS.contains(&word) && tls12 || suite.suite().as_str().is_some_and(fits);
            if named && !chosen.contains(suite) {
                chosen.push(*suite);
            }
        }
    }
    if chosen.is_empty() {
        let what = if tls12 { "cipher list" } else { "TLS 1.3 cipher suite" };
        return Err(format!("failed setting {what}: {list}"));
    }
    suites.retain(|suite| suite.tls13().is_none() != tls12);
    suites.extend(chosen);
    Ok(())
}

/// OpenSSL's name of a suite.
fn cipher_name(name: &str) -> String {
    if let Some(rest) = name.strip_prefix("TLS13_") {
        return format!("TLS_{rest}");
    }
    let name = name.strip_prefix("TLS_").unwrap_or(name);
    name.replace("_WITH_AES_128_GCM_", "-AES128-GCM-")
        .replace("_WITH_AES_256_GCM_", "-AES256-GCM-")
        .replace("_WITH_CHACHA20_POLY1305_SHA256", "-CHACHA20-POLY1305")
        .replace('_', "-")
}

fn scheme_name(scheme: rustls::SignatureScheme) -> String {
    let text = format!("{scheme:?}");
    if text.starts_with("RSA_PSS") {
        "RSASSA-PSS".to_owned()
    } else if text.starts_with("RSA") {
        "rsaEncryption".to_owned()
    } else if text.starts_with("ECDSA") {
        "id-ecPublicKey".to_owned()
    } else {
        text
    }
}

/// What went wrong in the handshake, in words people search for.
fn explained(error: &io::Error, mut seen: Seen) -> TlsError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let mut hint = None;
    let (kind, text) = match inner {
        Some(Error::InvalidCertificate(_)) if !seen.reason.is_empty() => (Kind::Verification, seen.reason.clone()),
        Some(Error::InvalidCertificate(why)) => (Kind::Verification, format!("SSL certificate problem: {why:?}")),
        Some(Error::InvalidMessage(_)) => {
            hint = Some(
                "the server does not speak TLS on this port, or something in between answered in plain text; try http://"
                    .to_owned(),
            );
            (
                Kind::Handshake,
                "TLS connect error: error:0A0000C6:SSL routines::packet length too long or wrong version number"
                    .to_owned(),
            )
        }
        Some(Error::AlertReceived(alert)) => {
            let words = alert_text(*alert);
            hint = alert_hint(*alert);
            seen.alert = Some(u8::from(*alert));
            (Kind::Handshake, format!("TLS connect error: {words}"))
        }
        Some(other) => (Kind::Handshake, format!("TLS connect error: {other}")),
        None => match error.kind() {
            io::ErrorKind::TimedOut => (Kind::TimedOut, "SSL connection timeout".to_owned()),
            io::ErrorKind::UnexpectedEof => {
                hint = Some("the server accepted the connection and closed it during the handshake: no TLS there, or a proxy without a backend".to_owned());
                (Kind::Broken, "TLS connect error: unexpected eof while reading".to_owned())
            }
            _ => (Kind::Broken, format!("OpenSSL SSL_connect: {}", plain(error))),
        },
    };
    TlsError { kind, text, seen, hint }
}

fn plain(error: &io::Error) -> String {
    error.to_string().split(" (os error").next().unwrap_or("").to_owned()
}

pub(crate) fn alert_text(alert: AlertDescription) -> String {
    let words = match alert {
        AlertDescription::HandshakeFailure => "ssl/tls alert handshake failure",
        AlertDescription::ProtocolVersion => "tlsv1 alert protocol version",
        AlertDescription::UnrecognisedName => "tlsv1 unrecognized name",
        AlertDescription::CertificateRequired => "tlsv13 alert certificate required",
        AlertDescription::BadCertificate => "ssl/tls alert bad certificate",
        AlertDescription::UnknownCA => "tlsv1 alert unknown ca",
        AlertDescription::InternalError => "tlsv1 alert internal error",
        AlertDescription::NoApplicationProtocol => "tlsv1 alert no application protocol",
        AlertDescription::DecryptError => "tlsv1 alert decrypt error",
        AlertDescription::AccessDenied => "tlsv1 alert access denied",
        other => return format!("alert {other:?}"),
    };
    words.to_owned()
}

fn alert_hint(alert: AlertDescription) -> Option<String> {
    let text = match alert {
        AlertDescription::HandshakeFailure => {
            "no suite in common: the server may know only CBC or RSA key exchange, which OpenSSL still speaks and this client does not"
        }
        AlertDescription::ProtocolVersion => {
            "the server wants another version of TLS; below 1.2 nothing is offered here"
        }
        AlertDescription::UnrecognisedName => {
            "the server has no certificate for this name; check the name, or --resolve and --connect-to"
        }
        AlertDescription::CertificateRequired | AlertDescription::BadCertificate | AlertDescription::UnknownCA => {
            "the server demands a client certificate it accepts: --cert and --key (strict mTLS in a mesh looks like this)"
        }
        AlertDescription::NoApplicationProtocol => {
            "the server speaks none of the protocols offered; try --http2 or --http1.1"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

/// What a chain looked like, one line a certificate, the first bad one marked.
pub fn chain_report(seen: &Seen, host: &str, now: i64) -> Vec<String> {
    let mut out = Vec::new();
    let mut marked = false;
    let chain: Vec<Option<Certificate>> = seen.chain.iter().map(|der| Certificate::parse(der)).collect();
    for (level, one) in chain.iter().enumerate() {
        let Some(one) = one else {
            out.push(format!("certificate {level}: cannot be read"));
            continue;
        };
        let next = chain.get(level + 1).and_then(Option::as_ref);
        let problem = if now > one.not_after {
            Some("expired")
        } else if now < one.not_before {
            Some("not yet valid; is this clock right?")
        } else if level == 0 && !one.is_for(host) {
            Some("not for this name")
        } else if next.is_some_and(|next| next.subject_der != one.issuer_der) {
            Some("not issued by the next one; the chain is in the wrong order or a certificate is missing")
        } else if next.is_none() && one.is_self_issued() {
            Some("self-signed and not among the trusted anchors")
        } else if next.is_none() {
            Some("its issuer is neither sent nor trusted; an intermediate is missing or the anchor is unknown")
        } else {
            None
        };
        let mark = match problem.filter(|_| !marked && seen.code != 0) {
            Some(problem) => {
                marked = true;
                format!("  <-- {problem}")
            }
            None => String::new(),
        };
        out.push(format!("certificate {level}: subject {}; issuer {}{mark}", one.subject, one.issuer));
        out.push(format!("  valid {} to {}", date_text(one.not_before), date_text(one.not_after)));
        if level == 0 {
            let names: Vec<String> = one
                .alt_names
                .iter()
                .map(|name| match name {
                    crate::x509::AltName::Dns(name) | crate::x509::AltName::Other(name) => {
                        netkit_core::text::printable(name)
                    }
                    crate::x509::AltName::Ip(address) => address.to_string(),
                })
                .collect();
            let names = if names.is_empty() { "none (only the common name)".to_owned() } else { names.join(", ") };
            out.push(format!("  names {names}"));
        }
    }
    out
}

/// TLS over a stream.
pub(crate) struct Tls {
    pub(crate) connection: Connection,
    inner: Box<dyn Transport>,
    ended: bool,
}

impl Tls {
    pub(crate) fn new(connection: Connection, inner: Box<dyn Transport>) -> Tls {
        Tls { connection, inner, ended: false }
    }

    pub(crate) fn handshake(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        loop {
            // The last flight too: a client that only listens would never send its Finished.
            while self.connection.wants_write() {
                match self.connection.write_tls(&mut self.inner) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.inner.wait(Ready { read: false, write: true }, left(deadline)?)?;
                    }
                    Err(error) => return Err(error),
                }
            }
            if !self.connection.is_handshaking() {
                return Ok(());
            }
            match self.connection.read_tls(&mut self.inner) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {
                    if let Err(error) = self.connection.process_new_packets() {
                        // The alert that says why is worth sending.
                        let _ = self.connection.write_tls(&mut self.inner);
                        return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.inner.wait(Ready { read: true, write: false }, left(deadline)?)?;
                    left(deadline)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends what is encrypted and waiting.
    fn drain(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(&mut self.inner)?;
        }
        Ok(())
    }
}

impl Read for Tls {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !self.ended => {}
                done => return done,
            }
            match self.connection.read_tls(&mut self.inner)? {
                // The reader then says whether the end was announced.
                0 => self.ended = true,
                _ => {
                    self.connection.process_new_packets().map_err(|error| {
                        let text = match &error {
                            Error::AlertReceived(alert) => alert_text(*alert),
                            other => other.to_string(),
                        };
                        io::Error::new(io::ErrorKind::InvalidData, text)
                    })?;
                    let _ = self.drain();
                }
            }
        }
    }
}

impl Write for Tls {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.drain()?;
        let count = self.connection.writer().write(bytes)?;
        match self.drain() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ if count == 0 && !bytes.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(count),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.drain()
    }
}

impl Transport for Tls {
    fn wait(&mut self, wanted: Ready, limit: Option<Duration>) -> io::Result<Ready> {
        // Decrypted bytes may be waiting here although the socket is silent.
        if wanted.read {
            let state = self
                .connection
                .process_new_packets()
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if state.plaintext_bytes_to_read() > 0 || state.peer_has_closed() {
                return Ok(Ready { read: true, write: false });
            }
        }
        let pending = self.connection.wants_write();
        let ready = self.inner.wait(Ready { read: wanted.read, write: wanted.write || pending }, limit)?;
        if ready.write && pending {
            match self.drain() {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
        Ok(Ready { read: ready.read, write: ready.write && wanted.write })
    }

    fn announce_end(&mut self) {
        self.connection.send_close_notify();
    }

    fn finish(&mut self) {
        self.connection.send_close_notify();
        let _ = self.drain();
        self.inner.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_by_name() {
        let all = ring::default_provider().cipher_suites;
        let chosen = |tls12: bool, list: &str| {
            let mut suites = all.clone();
            choose_suites(&mut suites, tls12, list).map(|()| {
                let names = suites.iter().filter(|suite| suite.tls13().is_none() == tls12);
                names.map(|suite| cipher_name(suite.suite().as_str().unwrap_or(""))).collect::<Vec<_>>().join(":")
            })
        };
        let two = "ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256";
        assert_eq!(chosen(true, two).as_deref(), Ok(two));
        assert_eq!(
            chosen(true, "nosuch TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256").as_deref(),
            Ok("ECDHE-RSA-AES128-GCM-SHA256")
        );
        assert_eq!(chosen(true, "HIGH:!aNULL").map(|names| names.split(':').count()), Ok(6));
        let three = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";
        assert_eq!(chosen(false, three).as_deref(), Ok(three));
        assert!(chosen(true, "AES128-SHA").is_err());
        assert!(chosen(false, "HIGH").is_err());
        assert!(chosen(true, "!aNULL").is_err());
    }
}
