//! `openssl x509`.

use std::io::Read as _;

use netkit_core::text::{hex, printable};
use netkit_core::{Ctx, Error, Exit};
use netkit_wire::der::dotted;
use netkit_wire::pem;
use netkit_wire::x509::{Certificate, KeyShown, NameStyle, extension_text, full, hex_colons, name_text, oid, validity};

/// Largest file read, in bytes.
const MAX_INPUT: u64 = 16 << 20;

/// What is printed, in the order of the command line.
enum Show {
    Text,
    Start,
    End,
    Subject,
    Issuer,
    Serial,
    Fingerprint,
    PublicKey,
    Modulus,
    Emails,
    OcspUris,
    Extensions(String),
}

enum Check {
    Host(String),
    Ip(String),
}

struct Options {
    input: Option<String>,
    output: Option<String>,
    out_der: bool,
    quiet: bool,
    shows: Vec<Show>,
    style: NameStyle,
    sha256: Option<bool>,
    check_end: Option<i64>,
    checks: Vec<Check>,
}

fn parse(words: &[String]) -> Result<Options, Error> {
    let mut options = Options {
        input: None,
        output: None,
        out_der: false,
        quiet: false,
        shows: Vec::new(),
        style: NameStyle::OneLine,
        sha256: None,
        check_end: None,
        checks: Vec::new(),
    };
    let fail = |text: String| Error::new(Exit(1), text);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(name) = word.strip_prefix('-') else {
            return Err(fail(format!("x509: Extra option: \"{}\"", printable(word))));
        };
        let name = name.strip_prefix('-').unwrap_or(name);
        let mut value = || words.next().cloned().ok_or_else(|| fail(format!("x509: Option -{name} needs a value")));
        match name {
            "in" => options.input = Some(value()?),
            "out" => options.output = Some(value()?),
            // Both forms are recognised by their first byte.
            "inform" => {
                let form = value()?;
                if !matches!(form.to_ascii_uppercase().as_str(), "PEM" | "DER" | "P" | "D") {
                    return Err(fail(format!("x509: Invalid format \"{}\" for option -inform", printable(&form))));
                }
            }
            "outform" => {
                options.out_der = match value()?.to_ascii_uppercase().as_str() {
                    "PEM" => false,
                    "DER" => true,
                    other => {
                        let other = printable(other);
                        return Err(fail(format!("x509: Invalid format \"{other}\" for option -outform")));
                    }
                };
            }
            "noout" => options.quiet = true,
            "text" => options.shows.push(Show::Text),
            "dates" => options.shows.extend([Show::Start, Show::End]),
            "startdate" => options.shows.push(Show::Start),
            "enddate" => options.shows.push(Show::End),
            "subject" => options.shows.push(Show::Subject),
            "issuer" => options.shows.push(Show::Issuer),
            "serial" => options.shows.push(Show::Serial),
            "fingerprint" => options.shows.push(Show::Fingerprint),
            "pubkey" => options.shows.push(Show::PublicKey),
            "modulus" => options.shows.push(Show::Modulus),
            "email" => options.shows.push(Show::Emails),
            "ocsp_uri" => options.shows.push(Show::OcspUris),
            "ext" => options.shows.push(Show::Extensions(value()?)),
            "sha1" => options.sha256 = Some(false),
            "sha256" => options.sha256 = Some(true),
            "checkend" => {
                let seconds = value()?;
                let parsed = seconds.parse().ok();
                options.check_end =
                    Some(parsed.ok_or_else(|| {
                        fail(format!("x509: Non-positive number \"{seconds}\" for option -checkend"))
                    })?);
            }
            "checkhost" => options.checks.push(Check::Host(value()?)),
            "checkip" => options.checks.push(Check::Ip(value()?)),
            "nameopt" => options.style = super::name_style(&value()?)?,
            "md5" | "sha224" | "sha384" | "sha512" => {
                return Err(Error::usage(format!("-{name} is not offered: -sha1 and -sha256 are")));
            }
            _ => return Err(Error::usage(format!("x509: -{} is not offered", printable(name)))),
        }
    }
    Ok(options)
}

/// The first certificate of a file or of standard input, in PEM or DER.
fn load(ctx: &mut Ctx, input: Option<&str>) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let shown = input.unwrap_or("<stdin>");
    let read = match input {
        Some(path) => std::fs::File::open(path).and_then(|file| file.take(MAX_INPUT).read_to_end(&mut bytes)),
        None => (&mut ctx.stdin).take(MAX_INPUT).read_to_end(&mut bytes),
    };
    if let Err(error) = read {
        let why = error.to_string();
        let why = why.split(" (os error").next().unwrap_or("");
        return Err(Error::new(Exit(1), format!("Can't open \"{}\" for reading, {why}", printable(shown))));
    }
    if bytes.first() == Some(&0x30) {
        return Ok(bytes);
    }
    let text = String::from_utf8_lossy(&bytes);
    let labels = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];
    let found = pem::blocks(&text).into_iter().find(|block| labels.contains(&block.label.as_str()));
    found.map(|block| block.der).ok_or_else(|| unreadable(shown))
}

fn unreadable(shown: &str) -> Error {
    Error::new(Exit(1), format!("Could not read certificate from {}", printable(shown)))
}

pub(super) fn run(ctx: &mut Ctx, words: &[String]) -> Result<Exit, Error> {
    let options = parse(words)?;
    let der = load(ctx, options.input.as_deref())?;
    let shown = options.input.as_deref().unwrap_or("<stdin>");
    let certificate = Certificate::read(&der).ok_or_else(|| unreadable(shown))?;
    let mut out = String::new();
    for show in &options.shows {
        one(&mut out, show, &certificate, &options);
    }
    let mut status = Exit::OK;
    if let Some(seconds) = options.check_end {
        let end = certificate.valid().1.unwrap_or(i64::MIN);
        let expires = end < ctx.clock.unix_seconds().saturating_add(seconds);
        out.push_str(if expires { "Certificate will expire\n" } else { "Certificate will not expire\n" });
        write(ctx, &options, out.as_bytes())?;
        return Ok(Exit(u8::from(expires)));
    }
    for check in &options.checks {
        let (kind, name) = match check {
            Check::Host(name) => ("Hostname", name),
            Check::Ip(name) => ("IP", name),
        };
        let fits = netkit_tls::x509::Certificate::parse(certificate.der).is_some_and(|leaf| match check {
            Check::Host(name) => leaf.is_for(name),
            Check::Ip(name) => name.parse::<std::net::IpAddr>().is_ok() && leaf.is_for(name),
        });
        let word = if fits { "does" } else { "does NOT" };
        out.push_str(&format!("{kind} {} {word} match certificate\n", printable(name)));
        if !fits {
            status = Exit(1);
        }
    }
    let mut bytes = out.into_bytes();
    if !options.quiet {
        if options.out_der {
            bytes.extend(certificate.der);
        } else {
            bytes.extend(pem::encode("CERTIFICATE", certificate.der).into_bytes());
        }
    }
    write(ctx, &options, &bytes)?;
    Ok(status)
}

fn write(ctx: &mut Ctx, options: &Options, bytes: &[u8]) -> Result<(), Error> {
    match &options.output {
        None => Ok(ctx.stdout.write_all(bytes)?),
        Some(path) => std::fs::write(path, bytes).map_err(|error| {
            let why = error.to_string();
            let why = why.split(" (os error").next().unwrap_or("").to_owned();
            Error::new(Exit(1), format!("Can't open \"{}\" for writing, {why}", printable(path)))
        }),
    }
}

fn one(out: &mut String, show: &Show, certificate: &Certificate<'_>, options: &Options) {
    let (before, after) = validity(certificate);
    match show {
        Show::Text => out.push_str(&full(certificate)),
        Show::Start => out.push_str(&format!("notBefore={before}\n")),
        Show::End => out.push_str(&format!("notAfter={after}\n")),
        Show::Subject => out.push_str(&format!("subject={}\n", name_text(certificate.subject, options.style))),
        Show::Issuer => out.push_str(&format!("issuer={}\n", name_text(certificate.issuer, options.style))),
        Show::Serial => {
            let content = certificate.serial;
            let sign = if content.first().is_some_and(|first| first & 0x80 != 0) { "-" } else { "" };
            out.push_str(&format!(
                "serial={sign}{}\n",
                hex(&netkit_wire::x509::magnitude(content)).to_ascii_uppercase()
            ));
        }
        Show::Fingerprint => {
            let (name, digest) = match options.sha256 {
                None => ("SHA1", netkit_tls::sha1(certificate.der)),
                Some(false) => ("sha1", netkit_tls::sha1(certificate.der)),
                Some(true) => ("sha256", netkit_tls::sha256(certificate.der)),
            };
            out.push_str(&format!("{name} Fingerprint={}\n", hex_colons(&digest)));
        }
        Show::PublicKey => out.push_str(&pem::encode("PUBLIC KEY", certificate.spki.whole)),
        Show::Modulus => {
            let rsa = KeyShown::of(&certificate.spki).algorithm.starts_with("rsa");
            let modulus = netkit_wire::x509::modulus(&certificate.spki).filter(|_| rsa);
            match modulus {
                Some(modulus) => {
                    let digits = hex(&modulus).to_ascii_uppercase();
                    out.push_str(&format!("Modulus={digits}\n"));
                }
                None => out.push_str("Modulus=No modulus for this public key type\n"),
            }
        }
        Show::Emails => {
            for set in certificate.subject.children() {
                for attribute in set.children() {
                    let mut parts = attribute.children();
                    let kind = parts.next().map(|one| oid::short(one.content));
                    if let (Some("emailAddress"), Some(value)) = (kind.as_deref(), parts.next()) {
                        out.push_str(&format!("{}\n", printable(&String::from_utf8_lossy(value.content))));
                    }
                }
            }
            for name in certificate.alt_names() {
                if let netkit_wire::x509::GeneralName::Email(bytes) = name {
                    out.push_str(&format!("{}\n", printable(&String::from_utf8_lossy(bytes))));
                }
            }
        }
        Show::OcspUris => {
            let access = certificate.extensions().find(|one| dotted(one.oid) == "1.3.6.1.5.5.7.1.1");
            for line in access.iter().flat_map(|one| extension_text(one).lines().map(str::to_owned).collect::<Vec<_>>())
            {
                if let Some(uri) = line.trim().strip_prefix("OCSP - URI:") {
                    out.push_str(&format!("{uri}\n"));
                }
            }
        }
        Show::Extensions(names) => extensions(out, names, certificate),
    }
}

fn extensions(out: &mut String, names: &str, certificate: &Certificate<'_>) {
    let wanted: Vec<String> = names
        .split(',')
        .map(|name| oid::by_name(name.trim()).map_or_else(|| name.trim().to_owned(), str::to_owned))
        .collect();
    let mut any = false;
    for extension in certificate.extensions() {
        if !wanted.contains(&dotted(extension.oid)) {
            continue;
        }
        any = true;
        let critical = if extension.critical { "critical" } else { "" };
        out.push_str(&format!("{}: {critical}\n", oid::long(extension.oid)));
        for line in extension_text(&extension).split('\n') {
            // The text is indented by 16 for -text, and by 4 here.
            out.push_str(line.strip_prefix("            ").unwrap_or(line));
            out.push('\n');
        }
    }
    if !any {
        out.push_str("No extensions matching the names given\n");
    }
}
