//! The verifier: webpki's judgement first, then what OpenSSL would accept and webpki does not, with the reason kept as
//! OpenSSL numbers it.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::client::Asked;
use crate::trust::Trust;
use crate::x509::Certificate;

/// What the verifier saw and decided.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The chain as sent, leaf first.
    pub chain: Vec<Vec<u8>>,
    /// OpenSSL's number, 0 when all is well.
    pub code: u32,
    /// In OpenSSL's words, or curl's where the name does not match.
    pub reason: String,
    /// Accepted although webpki refuses it, with why.
    pub leniency: Option<&'static str>,
    /// Why webpki refuses, by its own name for it; nothing when it accepts.
    pub strict: Option<String>,
    /// The stapled OCSP response.
    pub staple: Vec<u8>,
    /// Number of the alert that ended the handshake (TLS Alerts registry).
    pub alert: Option<u8>,
    /// What the server asked of a certificate of ours, before it failed.
    pub asked: Option<Asked>,
    /// Scheme of the handshake's signature.
    pub scheme: Option<SignatureScheme>,
}

/// Our verifier.
#[derive(Debug)]
pub(crate) struct Verifier {
    inner: Option<Arc<WebPkiServerVerifier>>,
    trust: Arc<Trust>,
    insecure: bool,
    provider: Arc<CryptoProvider>,
    pub(crate) seen: Arc<Mutex<Seen>>,
}

impl Verifier {
    pub(crate) fn new(trust: Arc<Trust>, insecure: bool, provider: Arc<CryptoProvider>) -> Verifier {
        let roots = Arc::new(trust.store.clone());
        // Without a single usable anchor there is nothing to build it on; then nothing is trusted.
        let inner = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build().ok();
        Verifier { inner, trust, insecure, provider, seen: Arc::default() }
    }

    fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<Option<&'static str>, (u32, String, Error)> {
        let host = name.to_str();
        let verdict = match &self.inner {
            Some(inner) => inner.verify_server_cert(end_entity, intermediates, name, ocsp, now).map(drop),
            None => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        };
        let Err(error) = verdict else { return Ok(None) };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).strict = Some(variant(&error));
        let leaf = Certificate::parse(end_entity);
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let in_time = leaf.as_ref().is_some_and(|leaf| leaf.not_before <= seconds && seconds <= leaf.not_after);
        let named = leaf.as_ref().is_some_and(|leaf| leaf.is_for(&host));
        let name_only = matches!(
            error,
            Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
            )
        );
        if name_only && named {
            return Ok(Some("the name stands only in the common name; Go and webpki refuse that"));
        }
        if self.trust.holds(end_entity) && in_time && named {
            return Ok(Some("the certificate itself was given as anchor; webpki refuses a CA as leaf"));
        }
        let (code, reason) =
            explain(&error, leaf.as_ref(), intermediates, &host, seconds, self.trust.holds(end_entity));
        Err((code, reason, error))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.judge(end_entity, intermediates, server_name, ocsp_response, now);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.staple = ocsp_response.to_vec();
        seen.chain = std::iter::once(end_entity).chain(intermediates).map(|der| der.as_ref().to_vec()).collect();
        match verdict {
            Ok(leniency) => seen.leniency = leniency,
            Err((code, reason, error)) => {
                seen.code = code;
                seen.reason = reason;
                if !self.insecure {
                    return Err(error);
                }
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.provider.signature_verification_algorithms.supported_schemes();
        if self.insecure {
            // Nobody vouches for the key; a server that has no other shall be seen at least.
            schemes.extend([
                SignatureScheme::ECDSA_NISTP521_SHA512,
                SignatureScheme::ED448,
                SignatureScheme::ECDSA_SHA1_Legacy,
                SignatureScheme::RSA_PKCS1_SHA1,
            ]);
            // In the order of OpenSSL, so that the server chooses what it would choose there.
            const FAMILIES: &[u16] = &[0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0401];
            let place = |scheme: &SignatureScheme| {
                let number = u16::from(*scheme);
                FAMILIES.iter().position(|known| *known == number).unwrap_or(FAMILIES.len())
            };
            schemes.sort_by_key(|scheme| (place(scheme), u16::from(*scheme) < 0x0300, u16::from(*scheme)));
        }
        schemes
    }
}

impl Verifier {
    /// The handshake's signature with the key as it stands in the certificate, whatever else the certificate is.
    fn signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).scheme = Some(dss.scheme);
        let bad = || Error::InvalidCertificate(CertificateError::BadSignature);
        let leaf = Certificate::parse(cert).ok_or_else(bad)?;
        let (algorithm, bits) = leaf.key().ok_or_else(bad)?;
        let candidates = self.provider.signature_verification_algorithms.mapping.iter();
        let mut fitting = candidates
            .filter(|(scheme, _)| *scheme == dss.scheme)
            .flat_map(|(_, algorithms)| algorithms.iter())
            .filter(|one| one.public_key_alg_id().as_ref() == algorithm)
            .peekable();
        let refused = |why: &str| {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.strict.get_or_insert_with(|| why.to_owned());
        };
        if fitting.peek().is_none() && self.insecure {
            refused("UnsupportedSignatureAlgorithmForPublicKey");
            // With -k nobody vouches for the key, so its signature proves nothing; one that cannot be checked is let pass.
            return Ok(HandshakeSignatureValid::assertion());
        }
        if fitting.any(|one| one.verify_signature(bits, message, dss.signature()).is_ok()) {
            return Ok(HandshakeSignatureValid::assertion());
        }
        // RSA keys below 2048 bits are refused by ring before any signature is looked at.
        const SMALL_RSA: usize = 262;
        refused("BadSignature");
        if self.insecure && bits.len() < SMALL_RSA && algorithm.windows(9).any(|nine| nine == RSA) {
            return Ok(HandshakeSignatureValid::assertion());
        }
        Err(bad())
    }
}

/// The name that webpki has for an error.
fn variant(error: &Error) -> String {
    let Error::InvalidCertificate(why) = error else { return error.to_string() };
    let text = format!("{why:?}");
    let text = text.strip_prefix("Other(OtherError(").unwrap_or(&text);
    let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    let name = text.get(..end).unwrap_or_default();
    // With and without the particulars.
    name.strip_suffix("Context").unwrap_or(name).to_owned()
}

/// rsaEncryption (RFC 8017, appendix C).
const RSA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];

/// OpenSSL's number and words for what webpki found (X509_verify_cert_error_string(3)).
fn explain(
    error: &Error,
    leaf: Option<&Certificate>,
    intermediates: &[CertificateDer<'_>],
    host: &str,
    now: i64,
    anchored: bool,
) -> (u32, String) {
    let problem = |code: u32, text: &str| (code, format!("SSL certificate problem: {text}"));
    if let Some(leaf) = leaf.filter(|leaf| anchored && leaf.not_before <= now && now <= leaf.not_after) {
        return name_mismatch(leaf, host);
    }
    let Error::InvalidCertificate(why) = error else { return (1, error.to_string()) };
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => problem(10, "certificate has expired"),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            problem(9, "certificate is not yet valid")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            leaf.map_or_else(|| (62, format!("certificate is not for '{host}'")), |leaf| name_mismatch(leaf, host))
        }
        CertificateError::Revoked => problem(23, "certificate revoked"),
        CertificateError::BadSignature => problem(7, "certificate signature failure"),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            problem(26, "unsuitable certificate purpose")
        }
        CertificateError::UnhandledCriticalExtension => problem(34, "unhandled critical extension"),
        _ => {
            let last = intermediates.last().and_then(|der| Certificate::parse(der));
            match (leaf, last) {
                (Some(leaf), _) if now > leaf.not_after => problem(10, "certificate has expired"),
                (Some(leaf), _) if leaf.is_self_issued() => problem(18, "self-signed certificate"),
                (_, Some(last)) if last.is_self_issued() => problem(19, "self-signed certificate in certificate chain"),
                _ => problem(20, "unable to get local issuer certificate"),
            }
        }
    }
}

fn name_mismatch(leaf: &Certificate, host: &str) -> (u32, String) {
    let text = match host.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(_)) if leaf.has_alt_names => {
            format!("SSL: no alternative certificate subject name matches target ipv4 address '{host}'")
        }
        Ok(_) if leaf.has_alt_names => {
            format!("SSL: no alternative certificate subject name matches target ipv6 address '{host}'")
        }
        _ if leaf.has_alt_names => {
            format!("SSL: no alternative certificate subject name matches target host name '{host}'")
        }
        _ => format!(
            "SSL: certificate subject name '{}' does not match target hostname '{host}'",
            leaf.common_name.as_deref().unwrap_or("")
        ),
    };
    (62, text)
}
