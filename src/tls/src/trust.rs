//! Where trust comes from: a file that was named, the environment, the stores of this file system, the service account,
//! the same places as process 1 sees them, and the built-in anchors. Every anchor remembers its source.

use std::fs;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::x509::Certificate;

/// Bundles of distributions, in the order they are looked for.
const STORES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// The cluster's own authority (Kubernetes, projected service account volume).
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
/// Largest bundle read, in bytes, and most certificates taken.
const MAX_BUNDLE: u64 = 16 << 20;
const MAX_ANCHORS: usize = 5000;

/// What the user and the environment say about trust.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `--cacert`: this file alone counts.
    pub file: Option<PathBuf>,
    /// `--capath`: the files of this directory.
    pub directory: Option<PathBuf>,
    /// SSL_CERT_FILE or CURL_CA_BUNDLE.
    pub env_file: Option<PathBuf>,
    /// SSL_CERT_DIR.
    pub env_directory: Option<PathBuf>,
}

/// Anchors and where they came from.
#[derive(Clone, Debug)]
pub struct Trust {
    /// For the verifier.
    pub store: RootCertStore,
    /// Anchors that are certificates: DER and source.
    pub certificates: Vec<(CertificateDer<'static>, String)>,
    /// Sources that were used, for `-v`.
    pub used: Vec<String>,
    /// Whether the user named the anchors.
    pub explicit: bool,
}

impl Default for Trust {
    fn default() -> Trust {
        Trust { store: RootCertStore::empty(), certificates: Vec::new(), used: Vec::new(), explicit: false }
    }
}

impl Trust {
    /// Reads the anchors.
    ///
    /// # Errors
    /// A file that was named cannot be read or holds no certificate.
    pub fn load(sources: &Sources) -> Result<Trust, String> {
        let mut trust = Trust::default();
        let named = [sources.file.as_ref(), sources.directory.as_ref()];
        if named.iter().any(Option::is_some) {
            trust.explicit = true;
            if let Some(file) = &sources.file {
                trust
                    .bundle(file)
                    .map_err(|why| format!("error adding trust anchors from file: {} ({why})", file.display()))?;
            }
            if let Some(directory) = &sources.directory {
                trust.folder(directory);
            }
            return Ok(trust);
        }
        if sources.env_file.is_some() || sources.env_directory.is_some() {
            trust.explicit = true;
            if let Some(file) = &sources.env_file {
                trust
                    .bundle(file)
                    .map_err(|why| format!("error adding trust anchors from file: {} ({why})", file.display()))?;
            }
            if let Some(directory) = &sources.env_directory {
                trust.folder(directory);
            }
            return Ok(trust);
        }
        let _ = trust.bundle(Path::new(SERVICE_ACCOUNT));
        let mut stored = STORES.iter().any(|path| trust.bundle(Path::new(path)).is_ok());
        if std::process::id() != 1 {
            // An ephemeral container has no volumes of its own; the application's are seen through its process.
            let below = |path: &str| PathBuf::from(format!("/proc/1/root{path}"));
            if !Path::new(SERVICE_ACCOUNT).exists() {
                let _ = trust.bundle(&below(SERVICE_ACCOUNT));
            }
            if !stored {
                stored = STORES.iter().any(|path| trust.bundle(&below(path)).is_ok());
            }
        }
        if !stored {
            trust.store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            trust.used.push("built-in anchors (webpki-roots)".to_owned());
        }
        Ok(trust)
    }

    fn bundle(&mut self, path: &Path) -> Result<(), String> {
        let found = fs::metadata(path).map_err(|error| error.to_string())?;
        if found.len() > MAX_BUNDLE {
            return Err("too large".to_owned());
        }
        let bytes = fs::read(path).map_err(|error| error.to_string())?;
        let mut count = 0;
        for one in CertificateDer::pem_slice_iter(&bytes).take(MAX_ANCHORS) {
            let Ok(der) = one else { continue };
            // What the verifier cannot use as an anchor may still be the leaf itself.
            let _ = self.store.add(der.clone());
            self.certificates.push((der, path.display().to_string()));
            count += 1;
        }
        if count == 0 {
            return Err("no certificate in it".to_owned());
        }
        self.used.push(path.display().to_string());
        Ok(())
    }

    fn folder(&mut self, path: &Path) {
        let Ok(entries) = fs::read_dir(path) else { return };
        let mut files: Vec<PathBuf> =
            entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file()).collect();
        files.sort();
        for file in files.into_iter().take(MAX_ANCHORS) {
            let _ = self.bundle(&file);
        }
    }

    /// Whether exactly this certificate was given as an anchor.
    pub fn holds(&self, der: &[u8]) -> bool {
        self.certificates.iter().any(|(anchor, _)| anchor.as_ref() == der)
    }

    /// The anchor that a chain ends in: its subject and its source.
    pub fn anchor_of(&self, chain: &[Certificate]) -> Option<(String, String)> {
        let issuers: Vec<&[u8]> =
            chain.iter().rev().flat_map(|one| [one.issuer_der.as_slice(), one.subject_der.as_slice()]).collect();
        for (der, source) in &self.certificates {
            if let Some(anchor) = Certificate::parse(der)
                && issuers.contains(&anchor.subject_der.as_slice())
            {
                return Some((anchor.subject, source.clone()));
            }
        }
        let built_in = self.used.iter().any(|used| used.starts_with("built-in"));
        built_in
            .then(|| (chain.last().map(|one| one.issuer.clone()).unwrap_or_default(), "built-in anchors".to_owned()))
    }
}
