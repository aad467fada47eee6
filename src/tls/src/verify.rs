//! The verifier: webpki's judgement first, then what OpenSSL would accept and webpki does not, with the reason kept as
//! OpenSSL numbers it.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

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
    /// Scheme of the handshake's signature.
    pub scheme: Option<SignatureScheme>,
    /// The server asked for a certificate of ours (CertificateRequest), whether it insists or not.
    pub asked: bool,
}

/// Without a certificate of ours: gives none, and notes that one was asked for.
#[derive(Debug)]
pub(crate) struct NoCertificate(pub(crate) Arc<Mutex<Seen>>);

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).asked = true;
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
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
        self.provider.signature_verification_algorithms.supported_schemes()
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
        if fitting.peek().is_none() && self.insecure {
            // With -k nobody vouches for the key, so its signature proves nothing; one that cannot be checked is let pass.
            return Ok(HandshakeSignatureValid::assertion());
        }
        if fitting.any(|one| one.verify_signature(bits, message, dss.signature()).is_ok()) {
            return Ok(HandshakeSignatureValid::assertion());
        }
        // RSA keys below 2048 bits are refused by ring before any signature is looked at.
        const SMALL_RSA: usize = 262;
        if self.insecure && bits.len() < SMALL_RSA && algorithm.windows(9).any(|nine| nine == RSA) {
            return Ok(HandshakeSignatureValid::assertion());
        }
        Err(bad())
    }
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
