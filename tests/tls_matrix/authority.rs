//! Certificates of every kind, made with `openssl ca` at the beginning of a trial.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::lab::{Stop, TempDir, run, tool};

const LIMIT: Duration = Duration::from_secs(300);

/// An authority that signs itself and others.
pub const CA: &str =
    "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash";
/// What a leaf of today has.
pub const LEAF: &str = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\nsubjectAltName=DNS:www.example.com";

/// Keys by name.
const KEYS: &[(&str, &str)] = &[
    ("p256", "-algorithm ec -pkeyopt ec_paramgen_curve:P-256"),
    ("leaf", "-algorithm ec -pkeyopt ec_paramgen_curve:P-256"),
    ("p384", "-algorithm ec -pkeyopt ec_paramgen_curve:P-384"),
    ("p521", "-algorithm ec -pkeyopt ec_paramgen_curve:P-521"),
    ("explicit", "-algorithm ec -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit"),
    ("rsa", "-algorithm rsa -pkeyopt rsa_keygen_bits:2048"),
    ("small", "-algorithm rsa -pkeyopt rsa_keygen_bits:1024"),
    ("pss", "-algorithm rsa-pss -pkeyopt rsa_keygen_bits:2048"),
    ("ed25519", "-algorithm ed25519"),
    ("ed448", "-algorithm ed448"),
];

/// When a certificate is valid. The dates are far away, so that no run depends on the day.
#[derive(Clone, Copy)]
pub enum When {
    Now,
    Past,
    Future,
}

impl When {
    fn dates(self) -> (&'static str, &'static str) {
        match self {
            When::Now => ("20200101000000Z", "20491231000000Z"),
            When::Past => ("20200101000000Z", "20210101000000Z"),
            When::Future => ("20480101000000Z", "20491231000000Z"),
        }
    }
}

/// What one certificate is to be.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    pub name: &'a str,
    pub subject: &'a str,
    pub key: &'a str,
    /// Lines of a section of extensions; none makes version 1.
    pub extensions: &'a str,
    /// Name and key of the issuer; none signs itself.
    pub issuer: Option<(&'a str, &'a str)>,
    pub when: When,
    /// Digest, `default` for that of the key.
    pub digest: &'a str,
    /// `-sigopt` values.
    pub options: &'a str,
}

impl Default for Order<'_> {
    fn default() -> Self {
        Order {
            name: "",
            subject: "/O=Acme/CN=leaf",
            key: "leaf",
            extensions: LEAF,
            issuer: Some(("inter", "p384")),
            when: When::Now,
            digest: "default",
            options: "",
        }
    }
}

/// A directory of keys and certificates.
pub struct Authority {
    pub dir: TempDir,
    openssl: PathBuf,
    serial: RefCell<u32>,
}

impl Authority {
    pub fn new(label: &str) -> Result<Authority, Stop> {
        let made =
            Authority { dir: TempDir::new(label)?, openssl: tool("openssl", "openssl")?, serial: RefCell::new(1) };
        for (name, line) in KEYS {
            made.openssl(&format!("genpkey {line} -out {name}.key"))?;
        }
        let d = &made.dir.0;
        fs::write(d.join("db.attr"), "unique_subject = no\n")?;
        made.make(Order {
            name: "root",
            subject: "/O=Lab/CN=Root",
            key: "p256",
            extensions: CA,
            issuer: None,
            ..Order::default()
        })?;
        made.make(Order {
            name: "inter",
            subject: "/O=Lab/CN=Inter",
            key: "p384",
            extensions: &format!("{CA}\nauthorityKeyIdentifier=keyid"),
            issuer: Some(("root", "p256")),
            ..Order::default()
        })?;
        Ok(made)
    }

    pub fn openssl(&self, line: &str) -> Result<(), Stop> {
        let words = line.split(' ').filter(|word| !word.is_empty());
        let output = run(Command::new(&self.openssl).args(words).current_dir(&self.dir.0), LIMIT)?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("openssl {line}: {}", String::from_utf8_lossy(&output.stderr)).into())
    }

    /// Makes `NAME.pem`.
    pub fn make(&self, order: Order<'_>) -> Result<(), Stop> {
        let d = &self.dir.0;
        let section = if order.extensions.is_empty() { "" } else { "x509_extensions=e\n" };
        fs::write(
            d.join("conf"),
            format!(
                "[ca]\ndefault_ca=d\n[d]\ndatabase=db\nserial=serial\nnew_certs_dir=.\ndefault_md={}\npolicy=p\n\
                 unique_subject=no\nemail_in_dn=yes\n{section}[p]\nO=optional\nCN=optional\nemailAddress=optional\n\
                 [req]\ndistinguished_name=n\n[n]\n[lab]\nO=Lab\n[acme]\nO=Acme\nCN=leaf\n[e]\n{}\n",
                order.digest, order.extensions
            ),
        )?;
        fs::write(d.join("db"), "")?;
        *self.serial.borrow_mut() += 1;
        fs::write(d.join("serial"), format!("{:04x}\n", *self.serial.borrow()))?;
        let mut request = Command::new(&self.openssl);
        request.args(["req", "-new", "-config", "conf", "-utf8", "-subj", order.subject, "-out", "csr"]);
        request.args(["-key", &format!("{}.key", order.key)]).current_dir(d);
        let output = run(&mut request, LIMIT)?;
        if !output.status.success() {
            return Err(format!("{}: {}", order.name, String::from_utf8_lossy(&output.stderr)).into());
        }
        let (start, end) = order.when.dates();
        let signer = match order.issuer {
            None => format!("-selfsign -keyfile {}.key", order.key),
            Some((issuer, key)) => format!("-cert {issuer}.pem -keyfile {key}.key"),
        };
        let options: String =
            order.options.split(' ').filter(|one| !one.is_empty()).map(|one| format!(" -sigopt {one}")).collect();
        self.openssl(&format!(
            "ca -batch -config conf -notext -utf8 -preserveDN -in csr -out {}.pem -startdate {start} -enddate {end} {signer}{options}",
            order.name
        ))
    }

    /// Puts certificates into one file and returns its name; nothing for none.
    pub fn bundle(&self, file: &str, names: &str) -> Result<Option<String>, Stop> {
        let d = &self.dir.0;
        let mut all = String::new();
        for name in names.split(' ').filter(|name| !name.is_empty()) {
            all.push_str(&fs::read_to_string(d.join(format!("{name}.pem")))?);
        }
        fs::write(d.join(file), &all)?;
        Ok((!all.is_empty()).then(|| file.to_owned()))
    }
}
