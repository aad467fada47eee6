//! `tls-probe cert`: certificates and keys out of PEM, DER, PKCS#7, a Secret or a kubeconfig, without a server.

use std::io::Read as _;

use netkit_core::json::Value;
use netkit_core::text::printable;
use netkit_core::{Ctx, Error, Exit};
use netkit_tls::chain::Purpose;
use netkit_tls::keys::Private;
use netkit_tls::{Sources, Trust};
use netkit_wire::der::{Children, Element, tag};
use netkit_wire::pem;
use netkit_wire::x509::{Certificate, KeyShown, algorithm, full, oid};

use crate::args::Threshold;
use crate::verdict::Verdict;

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
    /// The key of a Secret or a kubeconfig behind which it stood, empty elsewhere.
    from: &'static str,
    /// That key says that it is to be trusted.
    authority: bool,
}

impl Piece {
    fn new(label: &str, der: Vec<u8>) -> Piece {
        Piece { label: label.to_owned(), der, from: "", authority: false }
    }
}

/// Certificates inside PKCS#7 SignedData (RFC 2315, section 9.1).
fn pkcs7(der: &[u8]) -> Vec<Vec<u8>> {
    let signed =
        Element::read(der).and_then(|(outer, _)| outer.children().nth(1)).and_then(|content| content.children().next());
    let list = signed.and_then(|signed| signed.children().find(|part| part.tag == 0xa0));
    list.into_iter().flat_map(|list| list.children()).map(|one| one.whole.to_vec()).take(MOST).collect()
}

/// Keys of Secrets, ConfigMaps, kubeconfigs and webhooks that hold PEM in base64, and whether it is an authority.
const KEYS: &[(&str, bool)] = &[
    ("tls.crt", false),
    ("tls.key", false),
    ("ca.crt", true),
    ("ca-bundle.crt", true),
    ("certificate-authority-data", true),
    ("client-certificate-data", false),
    ("client-key-data", false),
    ("caBundle", true),
];

fn pieces(bytes: &[u8]) -> Vec<Piece> {
    if bytes.first() == Some(&tag::SEQUENCE) {
        // Certificates one behind the other, or PKCS#7.
        let direct: Vec<Piece> = Children::of(bytes)
            .filter(|one| Certificate::read(one.whole).is_some())
            .map(|one| Piece::new("CERTIFICATE", one.whole.to_vec()))
            .take(MOST)
            .collect();
        if !direct.is_empty() {
            return direct;
        }
        return pkcs7(bytes).into_iter().map(|der| Piece::new("CERTIFICATE", der)).collect();
    }
    let text = String::from_utf8_lossy(bytes);
    let mut out = Vec::new();
    collect(&mut out, &text, "", false);
    // A Secret or a kubeconfig holds PEM in base64 behind a key, on its line or on the lines below.
    let mut lines = text.split(['\n', ',', '{', '}']).peekable();
    while let Some(line) = lines.next() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let key = key.trim().trim_start_matches("- ").trim_matches(['"', '\'']);
        let Some((from, authority)) = KEYS.iter().find(|(known, _)| *known == key) else { continue };
        let mut value = value.trim().trim_matches(['"', '\'']).to_owned();
        if matches!(value.as_str(), "|" | ">" | "|-" | ">-" | "|+" | ">+") {
            value.clear();
            let depth = |line: &str| line.len() - line.trim_start().len();
            let own = depth(line);
            while let Some(more) = lines.next_if(|more| more.trim().is_empty() || depth(more) > own) {
                value.push('\n');
                value.push_str(more.trim());
            }
        }
        if value.contains("-----BEGIN ") {
            collect(&mut out, &value, from, *authority);
            continue;
        }
        match pem::base64(&value) {
            Some(bytes) if bytes.first() == Some(&tag::SEQUENCE) && Certificate::read(&bytes).is_some() => {
                out.push(Piece { label: "CERTIFICATE".to_owned(), der: bytes, from, authority: *authority });
            }
            Some(bytes) => collect(&mut out, &String::from_utf8_lossy(&bytes), from, *authority),
            None => {}
        }
    }
    if out.is_empty()
        && let Some(bytes) = pem::base64(&text).filter(|bytes| Certificate::read(bytes).is_some())
    {
        out.push(Piece::new("CERTIFICATE", bytes));
    }
    // What stands behind such a key was found before as part of the whole.
    let known: Vec<Vec<u8>> = out.iter().filter(|one| !one.from.is_empty()).map(|one| one.der.clone()).collect();
    out.retain(|one| !one.from.is_empty() || !known.contains(&one.der));
    out.truncate(MOST);
    out
}

/// The blocks of a text; a PKCS#7 bundle is taken apart.
fn collect(out: &mut Vec<Piece>, text: &str, from: &'static str, authority: bool) {
    // In JSON the ends of lines are written as two characters.
    let unfolded = text.contains("-----\\n").then(|| text.replace("\\n", "\n").replace("\"-----BEGIN", "\n-----BEGIN"));
    for block in pem::blocks(unfolded.as_deref().unwrap_or(text)) {
        match block.label.as_str() {
            "PKCS7" | "CMS" => {
                let inside = pkcs7(&block.der).into_iter().map(|der| Piece::new("CERTIFICATE", der));
                out.extend(inside.map(|piece| Piece { from, authority, ..piece }));
            }
            _ => out.push(Piece { label: block.label, der: block.der, from, authority }),
        }
    }
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

/// What the words behind `cert` say.
struct Options {
    path: String,
    json: bool,
    text: bool,
    pem: bool,
    name: Option<String>,
    min_left: Option<Threshold>,
    key: Option<String>,
    trust_of: Option<u32>,
    sources: Sources,
}

const FLAGS: &[&str] =
    &["cacert", "capath", "help", "json", "key", "min-left", "pem", "servername", "text", "trust-of"];

fn parse(words: &[String]) -> Result<Option<Options>, Error> {
    let mut path = None;
    let mut out = Options {
        path: String::new(),
        json: false,
        text: false,
        pem: false,
        name: None,
        min_left: None,
        key: None,
        trust_of: None,
        sources: Sources::default(),
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (name, inline) = match word.split_once('=').filter(|_| word.starts_with("--")) {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        let mut value = || {
            let given = inline.clone().or_else(|| words.next().cloned()).filter(|given| !given.is_empty());
            given.ok_or_else(|| Error::usage(format!("cert: {name} needs a value")))
        };
        match name {
            "--help" | "-h" => return Ok(None),
            "--json" => out.json = true,
            "--text" | "--showcerts" => out.text = true,
            "--pem" => out.pem = true,
            "--servername" => out.name = Some(value()?),
            "--key" => out.key = Some(value()?),
            "--cacert" => out.sources.file = Some(value()?.into()),
            "--capath" => out.sources.directory = Some(value()?.into()),
            "--trust-of" => out.trust_of = Some(crate::args::pid(name, &value()?)?),
            "--min-left" => out.min_left = Some(Threshold::parse(&value()?)?),
            _ if name.len() > 1 && name.starts_with('-') => {
                let error = Error::usage(format!("cert: unrecognized option '{}'", printable(name)));
                return Err(match netkit_core::text::nearest(name.trim_start_matches('-'), FLAGS.iter().copied()) {
                    Some(near) => error.hint(format!("did you mean --{near}?")),
                    None => error,
                });
            }
            _ if path.is_some() => return Err(Error::usage("cert: one FILE is wanted")),
            _ => path = Some(word.clone()),
        }
    }
    out.path = path.ok_or_else(|| Error::usage("cert: a FILE is wanted, or - for standard input"))?;
    Ok(Some(out))
}

fn contents(ctx: &mut Ctx, path: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = match path {
        "-" => (&mut ctx.stdin).take(MAX_INPUT).read_to_end(&mut bytes),
        _ => std::fs::File::open(path).and_then(|file| file.take(MAX_INPUT).read_to_end(&mut bytes)),
    };
    read.map_err(|error| Error::usage(format!("{}: {}", printable(path), crate::starttls::plain(&error))))?;
    Ok(bytes)
}

/// What a key of the file has to do with its certificates.
struct Key {
    text: String,
    /// Place of its certificate.
    of: Option<usize>,
    /// It belongs to none of them.
    stray: bool,
}

fn keys(pieces: &[Piece], certificates: &[&Piece]) -> Vec<Key> {
    let all = pieces.iter().filter(|piece| piece.label.ends_with("PRIVATE KEY"));
    all.map(|piece| {
        let key = Private::read(&piece.label, &piece.der);
        let fits = |one: &&Piece| Certificate::read(&one.der).and_then(|read| key.belongs_to(&read));
        let verdicts: Vec<Option<bool>> = certificates.iter().map(fits).collect();
        let of = verdicts.iter().position(|fits| *fits == Some(true));
        let kind = match (&key, of) {
            (Private::Encrypted, _) => "behind a password, so nothing can be said of it".to_owned(),
            (Private::Unknown, _) => "of a kind whose public half cannot be made here".to_owned(),
            (_, Some(at)) => format!("matches certificate {at}"),
            (_, None) => "matches none of the certificates".to_owned(),
        };
        Key { stray: of.is_none() && verdicts.contains(&Some(false)), of, text: kind }
    })
    .collect()
}

pub(crate) fn run(ctx: &mut Ctx, words: &[String]) -> Result<Exit, Error> {
    let Some(options) = parse(words)? else {
        let page = crate::APPLETS.first().map(netkit_core::front::help_page).unwrap_or_default();
        ctx.stdout.write_all(page.as_bytes())?;
        return Ok(Exit::OK);
    };
    let bytes = contents(ctx, &options.path)?;
    let mut pieces = pieces(&bytes);
    if let Some(path) = &options.key {
        let bytes = contents(ctx, path)?;
        let before = pieces.len();
        pieces.extend(self::pieces(&bytes).into_iter().filter(|piece| piece.label.ends_with("PRIVATE KEY")));
        if pieces.len() == before {
            return Err(Error::usage(format!("{}: no key in it", printable(path))));
        }
    }
    let certificates: Vec<&Piece> = pieces.iter().filter(|piece| piece.is_certificate()).collect();
    if certificates.is_empty() {
        return Err(Error::usage(format!("{}: no certificate in it", printable(&options.path))));
    }
    let now = ctx.clock.unix_seconds();
    let keys = keys(&pieces, &certificates);
    let named = options.trust_of.is_some() || options.sources.file.is_some() || options.sources.directory.is_some();
    let mut trust = match options.trust_of {
        Some(pid) => Trust::of_process(pid).map_err(Error::usage)?.0,
        None => Trust::load(&options.sources).map_err(|why| Error::usage(printable(&why)))?,
    };
    // The authority that stands in the same Secret or kubeconfig is meant to be trusted.
    let own: Vec<Vec<u8>> =
        certificates.iter().filter(|piece| piece.authority).map(|piece| piece.der.clone()).collect();
    // Only that of a kubeconfig is the server's, and need not be the one that signed the client's certificate.
    let for_server = !certificates.iter().any(|piece| piece.from == "client-certificate-data");
    let has_own = !own.is_empty() && !named && for_server;
    if has_own {
        trust = Trust::of_certificates(own, "the same file");
    }
    let shown: Vec<&&Piece> = certificates.iter().filter(|piece| !piece.authority || named).collect();
    let chain: Vec<Vec<u8>> = shown.iter().map(|piece| piece.der.clone()).collect();
    // The leaf is what a key belongs to, else the first that is no CA, else the first.
    let place = |one: &Vec<u8>| certificates.iter().position(|piece| piece.der == *one);
    let leaf = chain.iter().position(|one| keys.iter().any(|key| key.of.is_some() && key.of == place(one)));
    let leaf = leaf.or_else(|| chain.iter().position(|one| !is_ca(one))).unwrap_or(0);
    let mut ordered = chain.clone();
    if leaf < ordered.len() {
        let first = ordered.remove(leaf);
        ordered.insert(0, first);
    }
    let verdict = (!ordered.is_empty()).then(|| {
        let purpose = ordered.first().map(|leaf| purpose(leaf)).unwrap_or_default();
        Verdict::of(&ordered, &trust, options.name.as_deref(), purpose, now)
    });
    let out_of_date = |piece: &&Piece| {
        let dates = Certificate::read(&piece.der).map(|read| read.valid());
        dates.is_none_or(|(begin, end)| {
            let (Some(begin), Some(end)) = (begin, end) else { return true };
            now < begin || now > end || options.min_left.is_some_and(|wanted| wanted.is_below(begin, end, now))
        })
    };
    let refusal = verdict.as_ref().and_then(Verdict::refusal).map(|(exit, _)| exit);
    // Without anchors of its own a file is not blamed for what this machine does not trust.
    let judged = refusal.filter(|exit| named || has_own || *exit != crate::status::UNTRUSTED);
    let status = if keys.iter().any(|key| key.stray) {
        crate::status::OTHER_KEY
    } else if certificates.iter().any(out_of_date) {
        crate::status::DATES
    } else {
        judged.unwrap_or(Exit::OK)
    };
    let order = crate::show::order(&chain, None);
    let mut out = String::new();
    if options.pem {
        for piece in &certificates {
            out.push_str(&pem::encode("CERTIFICATE", &piece.der));
        }
    } else if options.json {
        let list: Vec<_> = certificates.iter().map(|piece| crate::show::certificate_json(&piece.der, now)).collect();
        let mut object = Value::object()
            .with("schema", format!("tls-probe/{}", ctx.build.version))
            .with("certificates", list)
            .with("private_keys", keys.len())
            .with(
                "keys",
                keys.iter()
                    .map(|key| Value::object().with("of", key.of).with("verdict", key.text.as_str()))
                    .collect::<Vec<_>>(),
            )
            .with("order", order)
            .with("anchor", verdict.as_ref().and_then(|one| one.anchor.as_ref()).map(|(name, _)| printable(name)))
            .with("anchor_source", verdict.as_ref().and_then(|one| one.anchor.as_ref()).map(|(_, at)| at.clone()));
        if let Some(verdict) = &verdict {
            verdict.json(&mut object);
        }
        out.push_str(&format!("{}\n", object.with("status", status.0)));
    } else {
        for (at, piece) in certificates.iter().enumerate() {
            let from = if piece.from.is_empty() { String::new() } else { format!(" ({})", piece.from) };
            out.push_str(&format!("certificate {at}{from}\n"));
            crate::show::certificate_lines(&mut out, &piece.der, "  ", now);
            if options.text
                && let Some(read) = Certificate::read(&piece.der)
            {
                out.push_str(&full(&read));
            }
        }
        for (at, key) in keys.iter().enumerate() {
            out.push_str(&format!("key {at}        {}\n", key.text));
        }
        for remark in order {
            out.push_str(&format!("order        {remark}\n"));
        }
        if let Some(verdict) = &verdict {
            let path: Vec<String> = verdict.path.iter().map(|name| printable(name)).collect();
            out.push_str(&format!("chain        {}\n", path.join(" <- ")));
            match &verdict.anchor {
                Some((anchor, source)) => out.push_str(&format!("anchor       {} from {source}\n", printable(anchor))),
                None => out.push_str("anchor       none matched\n"),
            }
            out.push_str(&format!("openssl      {}\n", verdict.text()));
            if let Some(more) = verdict.at_levels() {
                out.push_str(&format!("             {more}\n"));
            }
        }
    }
    ctx.stdout.write_all(out.as_bytes())?;
    Ok(status)
}

/// A certificate for clients alone is judged as one.
fn purpose(der: &[u8]) -> Purpose {
    let purposes = Certificate::read(der).and_then(|read| read.purposes()).unwrap_or_default();
    let has = |last: u8| purposes.iter().any(|one| *one == [0x2b, 6, 1, 5, 5, 7, 3, last]);
    if has(2) && !has(1) { Purpose::Client } else { Purpose::Server }
}

fn is_ca(der: &[u8]) -> bool {
    let read = Certificate::read(der);
    read.and_then(|read| read.constraints()).is_some_and(|constraints| constraints.ca)
}
