//! `tls-probe cert`: certificates and keys out of PEM, DER, PKCS#7, a Secret or a kubeconfig, without a server.

use std::io::Read as _;

use netkit_core::text::printable;
use netkit_core::{Ctx, Error, Exit};
use netkit_wire::der::{Children, Element, tag};
use netkit_wire::pem;
use netkit_wire::x509::{Certificate, KeyShown, algorithm, full, oid};

/// Largest file read, in bytes.
const MAX_INPUT: u64 = 16 << 20;
/// Most certificates shown.
const MOST: usize = 500;

/// What breaks clients, or soon will.
pub(crate) fn lints(read: &Certificate<'_>, now: i64) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let ca = read.constraints().is_some_and(|constraints| constraints.ca);
    let (begin, end) = read.valid();
    let key = KeyShown::of(&read.spki);
    let signature = oid::long(algorithm(&read.algorithm).0);
    let mut add = |wrong: bool, text: &str| {
        if wrong {
            out.push(text.to_owned());
        }
    };
    add(read.version == Some(0), "version 1: refused by everything but OpenSSL");
    add(
        !ca && read.version != Some(0) && read.alt_names().is_empty(),
        "no SubjectAltName: Go, browsers and rustls ignore the common name",
    );
    add(
        ca && read.alt_names().iter().any(|_| true),
        "CA:TRUE and names of hosts: rustls refuses it as a server's certificate",
    );
    add(
        signature.contains("sha1") || signature.contains("SHA1") || signature.contains("md5"),
        "signed with a broken digest",
    );
    add(key.algorithm.starts_with("rsa") && key.bits.is_some_and(|bits| bits < 2048), "an RSA key below 2048 bits");
    add(key.curve.as_deref() == Some("secp521r1"), "P-521: rustls with ring does not know it");
    let purposes = read.purposes();
    const SERVER: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
    const ANY: &[u8] = &[0x55, 0x1d, 0x25, 0];
    let serves = purposes.as_ref().is_none_or(|list| list.iter().any(|one| *one == SERVER || *one == ANY));
    add(!ca && !serves, "not for servers: extended key usage lacks serverAuth");
    if let (Some(begin), Some(end)) = (begin, end) {
        add(
            !ca && end - begin > 398 * 86_400,
            "valid for more than 398 days: public CAs may not, and Apple refuses it",
        );
        add(now < begin, "not yet valid");
        add(now > end, "expired");
        add(now <= end && now >= begin && (end - now) < (end - begin) / 3, "less than a third of its lifetime is left");
    } else {
        add(true, "a date that cannot be read");
    }
    out
}

/// A certificate or a key, and where it stood.
struct Piece {
    label: String,
    der: Vec<u8>,
}

/// Certificates inside PKCS#7 SignedData (RFC 2315, section 9.1).
fn pkcs7(der: &[u8]) -> Vec<Vec<u8>> {
    let signed =
        Element::read(der).and_then(|(outer, _)| outer.children().nth(1)).and_then(|content| content.children().next());
    let list = signed.and_then(|signed| signed.children().find(|part| part.tag == 0xa0));
    list.into_iter().flat_map(|list| list.children()).map(|one| one.whole.to_vec()).take(MOST).collect()
}

fn pieces(bytes: &[u8]) -> Vec<Piece> {
    if bytes.first() == Some(&tag::SEQUENCE) {
        // Certificates one behind the other, or PKCS#7.
        let direct: Vec<Piece> = Children::of(bytes)
            .filter(|one| Certificate::read(one.whole).is_some())
            .map(|one| Piece { label: "CERTIFICATE".to_owned(), der: one.whole.to_vec() })
            .take(MOST)
            .collect();
        if !direct.is_empty() {
            return direct;
        }
        return pkcs7(bytes).into_iter().map(|der| Piece { label: "CERTIFICATE".to_owned(), der }).collect();
    }
    let text = String::from_utf8_lossy(bytes);
    let mut texts = vec![text.into_owned()];
    // A Secret or a kubeconfig holds PEM in base64 behind a key.
    const KEYS: &[&str] = &[
        "tls.crt",
        "tls.key",
        "ca.crt",
        "certificate-authority-data",
        "client-certificate-data",
        "client-key-data",
        "caBundle",
    ];
    let mut inner = Vec::new();
    for line in texts.iter().flat_map(|text| text.split(['\n', ',', '{', '}'])) {
        let Some((key, value)) = line.split_once(':') else { continue };
        let key = key.trim().trim_matches(['"', '\'']);
        if KEYS.contains(&key)
            && let Some(bytes) = pem::base64(value.trim().trim_matches(['"', '\'']))
        {
            inner.push(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    texts.extend(inner);
    let mut out = Vec::new();
    for block in texts.iter().flat_map(|text| pem::blocks(text)) {
        match block.label.as_str() {
            "PKCS7" | "CMS" => {
                out.extend(pkcs7(&block.der).into_iter().map(|der| Piece { label: "CERTIFICATE".to_owned(), der }));
            }
            _ => out.push(Piece { label: block.label, der: block.der }),
        }
    }
    out.truncate(MOST);
    out
}

/// The certificates of a file in any of the forms.
pub(crate) fn certificates(bytes: &[u8]) -> Vec<Vec<u8>> {
    pieces(bytes).into_iter().filter(Piece::is_certificate).map(|piece| piece.der).collect()
}

impl Piece {
    fn is_certificate(&self) -> bool {
        self.label.ends_with("CERTIFICATE") && !self.label.contains("REQUEST")
    }
}

pub(crate) fn run(ctx: &mut Ctx, words: &[String]) -> Result<Exit, Error> {
    let mut path = None;
    let (mut json, mut text) = (false, false);
    for word in words {
        match word.as_str() {
            "--json" => json = true,
            "--text" => text = true,
            "-" => path = Some("-".to_owned()),
            _ if word.starts_with('-') => {
                return Err(Error::usage(format!("cert: unrecognized option '{}'", printable(word))));
            }
            _ if path.is_some() => return Err(Error::usage("cert: one FILE is wanted")),
            _ => path = Some(word.clone()),
        }
    }
    let path = path.ok_or_else(|| Error::usage("cert: a FILE is wanted, or - for standard input"))?;
    let mut bytes = Vec::new();
    let read = match path.as_str() {
        "-" => (&mut ctx.stdin).take(MAX_INPUT).read_to_end(&mut bytes),
        _ => std::fs::File::open(&path).and_then(|file| file.take(MAX_INPUT).read_to_end(&mut bytes)),
    };
    read.map_err(|error| Error::usage(format!("{}: {}", printable(&path), crate::starttls::plain(&error))))?;
    let pieces = pieces(&bytes);
    let certificates: Vec<&Piece> = pieces.iter().filter(|piece| piece.is_certificate()).collect();
    if certificates.is_empty() {
        return Err(Error::usage(format!("{}: no certificate in it", printable(&path))));
    }
    let now = ctx.clock.unix_seconds();
    let keys = pieces.iter().filter(|piece| piece.label.ends_with("PRIVATE KEY")).count();
    let mut status = Exit::OK;
    if certificates.iter().any(|piece| {
        let dates = Certificate::read(&piece.der).map(|read| read.valid());
        dates.is_none_or(|(begin, end)| begin.is_none_or(|begin| now < begin) || end.is_none_or(|end| now > end))
    }) {
        status = crate::status::DATES;
    }
    let mut out = String::new();
    if json {
        let list: Vec<_> = certificates.iter().map(|piece| crate::show::certificate_json(&piece.der, now)).collect();
        let object = netkit_core::json::Value::object()
            .with("schema", format!("tls-probe/{}", ctx.build.version))
            .with("certificates", list)
            .with("private_keys", keys as u64)
            .with("status", status.0);
        out.push_str(&format!("{object}\n"));
    } else {
        for (at, piece) in certificates.iter().enumerate() {
            out.push_str(&format!("certificate {at}\n"));
            crate::show::certificate_lines(&mut out, &piece.der, "  ", now);
            if text && let Some(read) = Certificate::read(&piece.der) {
                out.push_str(&full(&read));
            }
        }
        if keys > 0 {
            out.push_str(&format!("private keys {keys}\n"));
        }
    }
    ctx.stdout.write_all(out.as_bytes())?;
    Ok(status)
}
