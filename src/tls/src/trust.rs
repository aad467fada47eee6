//! Where trust comes from: a file that was named, the environment, the stores of this file system, the service account,
//! the same places as process 1 sees them, and the built-in anchors. Every anchor remembers its source.

use std::borrow::Cow;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use netkit_core::rooted;

use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, TrustAnchor};

use crate::chain::element;
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
/// Where Java keeps its own.
const JAVA: &[&str] = &[
    "/etc/ssl/certs/java/cacerts",
    "/etc/pki/java/cacerts",
    "/opt/java/openjdk/lib/security/cacerts",
    "/usr/lib/jvm/default-java/lib/security/cacerts",
];
/// What the built-in anchors are called.
const BUILT_IN: &str = "built-in anchors (webpki-roots)";
/// Largest bundle read, in bytes, and most certificates taken.
const MAX_BUNDLE: u64 = 16 << 20;
/// Most that is read of a whole directory, in bytes.
const MAX_FOLDER: u64 = 64 << 20;
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
        trust.stores();
        Ok(trust)
    }

    /// Adds what counts where nobody named anything: the service account's authority, a store of this file system, the
    /// same as process 1 sees them, and at last the built-in anchors.
    pub fn stores(&mut self) {
        let _ = self.bundle(Path::new(SERVICE_ACCOUNT));
        let mut stored = STORES.iter().any(|path| self.bundle(Path::new(path)).is_ok());
        if std::process::id() != 1 {
            // An ephemeral container has no volumes of its own; the application's are seen through its process.
            let below = |path: &str| rooted::path_in(Path::new("/proc/1/root"), path);
            if !Path::new(SERVICE_ACCOUNT).exists() {
                let _ = self.foreign(&below(SERVICE_ACCOUNT));
            }
            if !stored {
                stored = STORES.iter().any(|path| self.foreign(&below(path)).is_ok());
            }
        }
        if !stored {
            self.store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            self.used.push(BUILT_IN.to_owned());
        }
    }

    /// These certificates as anchors.
    pub fn of_certificates(list: Vec<Vec<u8>>, source: &str) -> Trust {
        let mut trust = Trust { explicit: true, used: vec![source.to_owned()], ..Trust::default() };
        for der in list.into_iter().take(MAX_ANCHORS).map(CertificateDer::from) {
            let _ = trust.store.add(der.clone());
            trust.certificates.push((der, source.to_owned()));
        }
        trust
    }

    /// What a process trusts, as far as files and its environment tell: SSL_CERT_FILE and SSL_CERT_DIR of its own, else
    /// the first store of its file system; and remarks about what it may trust besides.
    ///
    /// # Errors
    /// The process cannot be looked into, or nothing is found there.
    pub fn of_process(pid: u32) -> Result<(Trust, Vec<String>), String> {
        let root = PathBuf::from(format!("/proc/{pid}/root"));
        let why = |error: std::io::Error| {
            let text = error.to_string();
            format!("process {pid}: {}", text.split(" (os error").next().unwrap_or(""))
        };
        fs::read_dir(&root).map_err(why)?;
        let environment = fs::read(format!("/proc/{pid}/environ")).map_err(why)?;
        let variable = |name: &str| {
            let found = environment.split(|byte| *byte == 0).find_map(|pair| {
                pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=").filter(|value| !value.is_empty())
            });
            found.map(|value| String::from_utf8_lossy(value).into_owned())
        };
        let below = |path: &str| rooted::path_in(&root, path);
        let mut trust = Trust { explicit: true, ..Trust::default() };
        let mut remarks = Vec::new();
        match variable("SSL_CERT_FILE") {
            Some(file) => {
                if let Err(why) = trust.foreign(&below(&file)) {
                    remarks.push(format!("its SSL_CERT_FILE={file} cannot be used: {why}"));
                }
            }
            None => {
                let _ = STORES.iter().any(|path| trust.foreign(&below(path)).is_ok());
            }
        }
        if let Some(list) = variable("SSL_CERT_DIR") {
            for one in list.split(':') {
                trust.folder(&below(one));
            }
        } else if trust.used.is_empty() {
            trust.folder(&below("/etc/ssl/certs"));
        }
        for name in ["NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE"] {
            if let Some(value) = variable(name) {
                remarks.push(format!("its {name}={value} counts for some programs and is not looked into"));
            }
        }
        if below(SERVICE_ACCOUNT).exists() {
            remarks.push(format!(
                "it has {SERVICE_ACCOUNT}, which clients of Kubernetes add: --cacert {}",
                below(SERVICE_ACCOUNT).display()
            ));
        }
        for java in JAVA {
            if below(java).exists() {
                remarks.push(format!("programs in Java trust {java} instead, which is not looked into"));
            }
        }
        if trust.certificates.is_empty() {
            return Err(format!("process {pid}: no store of anchors in its file system"));
        }
        Ok((trust, remarks))
    }

    /// Every anchor as a certificate, with its source. A built-in one is only a name and a key, and is put into a
    /// certificate that says no more.
    pub fn anchors(&self) -> Vec<(Cow<'_, [u8]>, &str)> {
        let given = self.certificates.iter().map(|(der, source)| (Cow::Borrowed(der.as_ref()), source.as_str()));
        let mut out: Vec<(Cow<'_, [u8]>, &str)> = given.collect();
        if self.used.iter().any(|used| used == BUILT_IN) {
            out.extend(webpki_roots::TLS_SERVER_ROOTS.iter().map(|anchor| (Cow::Owned(wrapped(anchor)), BUILT_IN)));
        }
        out
    }

    /// A bundle in another process's file system, where a pipe may stand that nobody writes to.
    fn foreign(&mut self, path: &Path) -> Result<(), String> {
        if path.exists() && !path.is_file() {
            return Err("not a regular file".to_owned());
        }
        self.bundle(path)
    }

    fn bundle(&mut self, path: &Path) -> Result<(), String> {
        let mut bytes = Vec::new();
        let read = fs::File::open(path).and_then(|file| file.take(MAX_BUNDLE + 1).read_to_end(&mut bytes));
        read.map_err(|error| error.to_string())?;
        if bytes.len() as u64 > MAX_BUNDLE {
            return Err("too large".to_owned());
        }
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

    /// Adds what OpenSSL finds in a directory: files named after the hash of a subject (openssl-rehash(1)).
    pub fn hashed(&mut self, path: &Path) {
        self.explicit = true;
        self.some_of(path, &|name| {
            name.split_once('.').is_some_and(|(hash, number)| {
                hash.len() == 8
                    && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
                    && !number.is_empty()
                    && number.bytes().all(|byte| byte.is_ascii_digit())
            })
        });
    }

    fn folder(&mut self, path: &Path) {
        self.some_of(path, &|_| true);
    }

    fn some_of(&mut self, path: &Path, wanted: &dyn Fn(&str) -> bool) {
        let Ok(entries) = fs::read_dir(path) else { return };
        let named = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(wanted);
        let mut files: Vec<PathBuf> =
            entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| named(path) && path.is_file()).collect();
        files.sort();
        let mut room = MAX_FOLDER;
        for file in files.into_iter().take(MAX_ANCHORS) {
            let Some(left) = room.checked_sub(fs::metadata(&file).map_or(0, |found| found.len())) else { break };
            room = left;
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

/// A certificate with the name, the key and the constraints of an anchor, a CA without an end, with no signature.
fn wrapped(anchor: &TrustAnchor<'_>) -> Vec<u8> {
    let of = |tag: u8, parts: &[&[u8]]| {
        let mut out = Vec::new();
        element(&mut out, tag, &parts.concat());
        out
    };
    const SEQUENCE: u8 = 0x30;
    let name = of(SEQUENCE, &[&anchor.subject]);
    let key = of(SEQUENCE, &[&anchor.subject_public_key_info]);
    // ecdsa-with-SHA256 or sha256WithRSAEncryption, as the key is.
    const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    let is_ec = key.windows(EC.len()).any(|window| window == EC);
    let kind: &[u8] = if is_ec {
        &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]
    } else {
        &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11, 5, 0]
    };
    let algorithm = of(SEQUENCE, &[kind]);
    let dates = of(SEQUENCE, &[&of(0x18, &[b"19700101000000Z"]), &of(0x18, &[b"99991231235959Z"])]);
    // basicConstraints: cA is TRUE.
    let ca = of(SEQUENCE, &[&[6, 3, 0x55, 0x1d, 0x13], &[4, 5, 0x30, 3, 1, 1, 0xff]]);
    let limits = anchor.name_constraints.as_ref().map(|limits| {
        let value = of(4, &[&of(SEQUENCE, &[limits])]);
        of(SEQUENCE, &[&[6, 3, 0x55, 0x1d, 0x1e], &value])
    });
    let extensions = of(0xa3, &[&of(SEQUENCE, &[&ca, limits.as_deref().unwrap_or_default()])]);
    let version: &[u8] = &[0xa0, 3, 2, 1, 2];
    let serial: &[u8] = &[2, 1, 1];
    let inner = of(SEQUENCE, &[version, serial, &algorithm, &name, &dates, &name, &key, &extensions]);
    of(SEQUENCE, &[&inner, &algorithm, &[3, 1, 0]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_anchors_are_certificates() {
        let trust = Trust { used: vec![BUILT_IN.to_owned()], ..Trust::default() };
        let anchors = trust.anchors();
        assert!(anchors.len() > 100);
        for (der, _) in &anchors {
            let read = netkit_wire::x509::Certificate::read(der).unwrap();
            assert!(read.is_self_issued() && read.constraints().unwrap().ca);
            let query = crate::chain::Query { purpose: crate::chain::Purpose::Any, now: Some(0), ..Default::default() };
            let verdict = crate::chain::errors(der, &[], &[der], &query).unwrap();
            assert_eq!(verdict.errors, [], "{}", netkit_core::text::hex(der));
        }
    }
}
