//! Extensions as OpenSSL prints them; one that cannot be read is shown by its bytes.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::cursor::Cursor;
use crate::der::{Element, dotted, tag};

use super::Extension;
use super::name::{NameStyle, name_text};
use super::oid;
use super::text::{date, hex_colons, magnitude, printable_bytes};

/// A GeneralName (RFC 5280, section 4.2.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeneralName<'a> {
    /// dNSName
    Dns(&'a [u8]),
    /// rfc822Name
    Email(&'a [u8]),
    /// uniformResourceIdentifier
    Uri(&'a [u8]),
    /// iPAddress; in name constraints with a mask.
    Ip(&'a [u8]),
    /// directoryName
    Directory(Element<'a>),
    /// registeredID
    Registered(&'a [u8]),
    /// Any other; its element.
    Other(Element<'a>),
}

impl<'a> GeneralName<'a> {
    /// From its element.
    pub fn of(element: Element<'a>) -> GeneralName<'a> {
        let content = element.content;
        match element.tag {
            0x81 => GeneralName::Email(content),
            0x82 => GeneralName::Dns(content),
            0x86 => GeneralName::Uri(content),
            0x87 => GeneralName::Ip(content),
            0x88 => GeneralName::Registered(content),
            0xa4 => element.children().next().map_or(GeneralName::Other(element), GeneralName::Directory),
            _ => GeneralName::Other(element),
        }
    }

    /// As OpenSSL shows it on a line of its own.
    fn printed(&self) -> String {
        match self {
            GeneralName::Directory(name) => format!("DirName:{}", name_text(*name, NameStyle::OneLine)),
            other => other.text(),
        }
    }

    /// As OpenSSL shows it in a list.
    pub fn text(&self) -> String {
        match self {
            GeneralName::Dns(bytes) => format!("DNS:{}", printable_bytes(bytes)),
            GeneralName::Email(bytes) => format!("email:{}", printable_bytes(bytes)),
            GeneralName::Uri(bytes) => format!("URI:{}", printable_bytes(bytes)),
            GeneralName::Ip(bytes) => format!("IP Address:{}", address(bytes)),
            GeneralName::Directory(name) => format!("DirName:{}", name_text(*name, NameStyle::Slashes)),
            GeneralName::Registered(oid) => format!("Registered ID:{}", oid::long(oid)),
            GeneralName::Other(element) => match element.tag {
                0xa0 => other_name(*element),
                0xa3 => "X400Name:<unsupported>".to_owned(),
                0xa5 => "EdiPartyName:<unsupported>".to_owned(),
                tag => format!("<{tag:#04x}:{}>", netkit_core::text::hex(element.content)),
            },
        }
    }
}

/// `othername: UPN::user@x` where the kind is known, else that it is not.
fn other_name(element: Element<'_>) -> String {
    const UPN: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 0x14, 2, 3];
    const SMTP_UTF8: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 8, 9];
    const SRV: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 8, 7];
    const XMPP: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 8, 5];
    const NAI: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 8, 8];
    let mut parts = element.children();
    let kind = parts.next().map(|one| one.content).unwrap_or_default();
    let value = parts.next().and_then(|wrapped| wrapped.children().next());
    let label = match kind {
        UPN => "UPN",
        SMTP_UTF8 => "SmtpUTF8Mailbox",
        SRV => "SRVName",
        XMPP => "XmppAddr",
        NAI => "NAIRealm",
        _ => "",
    };
    match value {
        Some(value) if !label.is_empty() && matches!(value.tag, tag::UTF8_STRING | tag::IA5_STRING) => {
            format!("othername: {label}::{}", printable_bytes(value.content))
        }
        Some(value) if matches!(value.tag, tag::UTF8_STRING | tag::IA5_STRING) => {
            format!("othername: {}::{}", dotted(kind), printable_bytes(value.content))
        }
        _ => "othername:<unsupported>".to_owned(),
    }
}

fn address(bytes: &[u8]) -> String {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Ipv4Addr::from(v4).to_string();
    }
    match <[u8; 16]>::try_from(bytes) {
        Ok(v6) => wide(v6),
        Err(_) => "<invalid>".to_owned(),
    }
}

fn wide(bytes: [u8; 16]) -> String {
    let groups: Vec<String> = Ipv6Addr::from(bytes).segments().iter().map(|group| format!("{group:X}")).collect();
    groups.join(":")
}

/// basicConstraints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constraints {
    /// cA
    pub ca: bool,
    /// pathLenConstraint
    pub path: Option<u64>,
}

impl Constraints {
    /// Reads the extension's value.
    pub fn read(value: &[u8]) -> Option<Constraints> {
        let list = Element::only(value)?.of(tag::SEQUENCE)?;
        let mut parts = list.children().peekable();
        let ca = parts.next_if(|part| part.tag == tag::BOOLEAN).is_some_and(|flag| flag.content != [0]);
        let path = parts.next_if(|part| part.tag == tag::INTEGER).and_then(|number| number.small());
        Some(Constraints { ca, path })
    }
}

/// The lines of an extension behind its name, each indented by 16 as in OpenSSL's text.
pub fn extension_text(extension: &Extension<'_>) -> String {
    const INDENT: usize = 16;
    known(extension, INDENT).unwrap_or_else(|| format!("{:INDENT$}{}", "", printable_bytes(extension.value)))
}

fn known(extension: &Extension<'_>, indent: usize) -> Option<String> {
    let value = extension.value;
    let pad = " ".repeat(indent);
    let line = |text: String| format!("{pad}{text}");
    let number = dotted(extension.oid);
    match number.as_str() {
        "2.5.29.19" => {
            let read = Constraints::read(value)?;
            let path = read.path.map_or_else(String::new, |path| format!(", pathlen:{path}"));
            Some(line(format!("CA:{}{path}", if read.ca { "TRUE" } else { "FALSE" })))
        }
        "2.5.29.15" => bits(value, USAGES).map(line),
        "2.16.840.1.113730.1.1" => bits(value, NETSCAPE).map(line),
        "2.5.29.37" => {
            let list = Element::only(value)?.of(tag::SEQUENCE)?;
            Some(line(join(list.children().map(|one| oid::long(one.content)))))
        }
        "2.5.29.17" | "2.5.29.18" => {
            let list = Element::only(value)?.of(tag::SEQUENCE)?;
            let names = join(list.children().map(|name| GeneralName::of(name).text()));
            Some(line(if names.is_empty() { "<EMPTY>\n".to_owned() } else { names }))
        }
        "2.5.29.14" => Some(line(hex_colons(Element::only(value)?.of(tag::OCTET_STRING)?.content))),
        "2.5.29.35" => authority_key(value, &pad),
        "1.3.6.1.5.5.7.1.1" | "1.3.6.1.5.5.7.1.11" => {
            let list = Element::only(value)?.of(tag::SEQUENCE)?;
            let mut lines = list.children().filter_map(|one| {
                let mut parts = one.children();
                let method = oid::long(parts.next()?.content);
                Some(format!("{pad}{method} - {}", GeneralName::of(parts.next()?).text()))
            });
            Some(join_lines(&mut lines))
        }
        "2.5.29.31" | "2.5.29.46" => distribution_points(value, indent),
        "2.5.29.32" => policies(value, indent),
        "2.5.29.30" => name_constraints(value, indent),
        "2.5.29.36" => {
            let list = Element::only(value)?.of(tag::SEQUENCE)?;
            let parts = list.children().filter_map(|part| {
                let label = match part.tag {
                    0x80 => "Require Explicit Policy",
                    0x81 => "Inhibit Policy Mapping",
                    _ => return None,
                };
                Some(format!("{label}:{}", part.small()?))
            });
            Some(line(join(parts)))
        }
        "2.5.29.54" => Some(line(Element::only(value)?.of(tag::INTEGER)?.small()?.to_string())),
        "2.16.840.1.113730.1.13" => Some(line(printable_bytes(Element::only(value)?.of(tag::IA5_STRING)?.content))),
        "1.3.6.1.5.5.7.1.24" => {
            let list = Element::only(value)?.of(tag::SEQUENCE)?;
            let features = list.children().map(|one| match one.small() {
                Some(5) => "status_request".to_owned(),
                Some(17) => "status_request_v2".to_owned(),
                Some(other) => other.to_string(),
                None => netkit_core::text::hex(one.content),
            });
            Some(line(join(features)))
        }
        "1.3.6.1.4.1.11129.2.4.3" => Element::only(value)?.of(tag::NULL).map(|_| line("NULL".to_owned())),
        "1.3.6.1.5.5.7.48.1.5" => Element::only(value)?.of(tag::NULL).map(|_| String::new()),
        "1.3.6.1.4.1.11129.2.4.2" => timestamps(Element::only(value)?.of(tag::OCTET_STRING)?.content, indent),
        "2.5.29.16" => {
            let list = Element::only(value)?.of(tag::SEQUENCE)?;
            let parts = list.children().map(|part| {
                let label = if part.tag == 0x80 { "Not Before" } else { "Not After" };
                format!("{label}: {}", date(Element { tag: tag::GENERALIZED_TIME, ..part }))
            });
            Some(line(join(parts)))
        }
        _ => None,
    }
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

fn join_lines(parts: &mut dyn Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join("\n")
}

const USAGES: &[&str] = &[
    "Digital Signature",
    "Non Repudiation",
    "Key Encipherment",
    "Data Encipherment",
    "Key Agreement",
    "Certificate Sign",
    "CRL Sign",
    "Encipher Only",
    "Decipher Only",
];
const NETSCAPE: &[&str] =
    &["SSL Client", "SSL Server", "S/MIME", "Object Signing", "Unused", "SSL CA", "S/MIME CA", "Object Signing CA"];

fn bits(value: &[u8], names: &[&str]) -> Option<String> {
    let (bits, _) = Element::only(value)?.of(tag::BIT_STRING)?.bits()?;
    let set =
        names.iter().enumerate().filter(|(at, _)| bits.get(at / 8).is_some_and(|byte| byte & (0x80 >> (at % 8)) != 0));
    Some(join(set.map(|(_, name)| (*name).to_owned())))
}

fn authority_key(value: &[u8], pad: &str) -> Option<String> {
    let list = Element::only(value)?.of(tag::SEQUENCE)?;
    let parts: Vec<Element<'_>> = list.children().collect();
    let of = |tag: u8| parts.iter().find(|part| part.tag == tag);
    let alone = of(0xa1).is_none() && of(0x82).is_none();
    let mut lines = Vec::new();
    if let Some(key) = of(0x80) {
        lines.push(format!("{pad}{}{}", if alone { "" } else { "keyid:" }, hex_colons(key.content)));
    }
    for name in of(0xa1).into_iter().flat_map(|names| names.children()) {
        let text = match GeneralName::of(name) {
            GeneralName::Directory(name) => format!("DirName:{}", name_text(name, NameStyle::Slashes)),
            other => other.text(),
        };
        lines.push(format!("{pad}{text}"));
    }
    if let Some(serial) = of(0x82) {
        lines.push(format!("{pad}serial:{}", hex_colons(&magnitude(serial.content))));
    }
    Some(if lines.is_empty() { format!("{pad}<EMPTY>\n") } else { lines.join("\n") })
}

const REASONS: &[&str] = &[
    "Unused",
    "Key Compromise",
    "CA Compromise",
    "Affiliation Changed",
    "Superseded",
    "Cessation Of Operation",
    "Certificate Hold",
    "Privilege Withdrawn",
    "AA Compromise",
];

fn distribution_points(value: &[u8], indent: usize) -> Option<String> {
    let list = Element::only(value)?.of(tag::SEQUENCE)?;
    let mut out = String::new();
    let names = |out: &mut String, title: &str, list: Element<'_>| {
        let _ = writeln!(out, "{:indent$}{title}:", "");
        let lines: Vec<String> =
            list.children().map(|one| format!("{:indent$}  {}", "", GeneralName::of(one).printed())).collect();
        // The last line stays open, as in the peer.
        out.push_str(&lines.join("\n"));
    };
    for (at, point) in list.children().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        for part in point.children() {
            match part.tag {
                0xa0 => match part.children().next() {
                    Some(name) if name.tag == 0xa0 => names(&mut out, "Full Name", name),
                    Some(name) => {
                        let whole = relative_name(Element { tag: tag::SET, ..name });
                        let _ = writeln!(out, "{:indent$}Relative Name:\n{:indent$}  {whole}", "", "");
                    }
                    None => {}
                },
                0x81 => {
                    let (bits, _) = part.bits()?;
                    let set = REASONS.iter().enumerate();
                    let set = set.filter(|(at, _)| bits.get(at / 8).is_some_and(|byte| byte & (0x80 >> (at % 8)) != 0));
                    let reasons = join(set.map(|(_, name)| (*name).to_owned()));
                    let _ = writeln!(out, "{:indent$}Reasons:\n{:indent$}  {reasons}", "", "");
                }
                0xa2 => names(&mut out, "CRL Issuer", part),
                _ => {}
            }
        }
    }
    Some(out)
}

/// Attributes of one relative name.
fn relative_name(set: Element<'_>) -> String {
    let attributes = set.children().map(|attribute| {
        let mut parts = attribute.children();
        let label = oid::short(parts.next().map(|one| one.content).unwrap_or_default());
        format!("{label} = {}", parts.next().map(super::name::plain).unwrap_or_default())
    });
    attributes.collect::<Vec<_>>().join(" + ")
}

fn policies(value: &[u8], indent: usize) -> Option<String> {
    let list = Element::only(value)?.of(tag::SEQUENCE)?;
    let mut lines = Vec::new();
    for policy in list.children() {
        let mut parts = policy.children();
        let name = parts.next()?.of(tag::OID)?;
        lines.push(format!("{:indent$}Policy: {}", "", oid::long(name.content)));
        for qualifier in parts.next().into_iter().flat_map(|list| list.children()) {
            let mut parts = qualifier.children();
            let kind = parts.next()?;
            match (dotted(kind.content).as_str(), parts.next()) {
                ("1.3.6.1.5.5.7.2.1", Some(uri)) => {
                    lines.push(format!("{:indent$}  CPS: {}", "", printable_bytes(uri.content)));
                }
                ("1.3.6.1.5.5.7.2.2", Some(notice)) => {
                    lines.push(format!("{:indent$}  User Notice:", ""));
                    for part in notice.children() {
                        if part.tag == tag::SEQUENCE {
                            let mut reference = part.children();
                            let organization = reference.next().map(|one| printable_bytes(one.content));
                            lines.push(format!("{:indent$}    Organization: {}", "", organization.unwrap_or_default()));
                            let numbers: Vec<String> = reference
                                .next()
                                .into_iter()
                                .flat_map(|list| list.children())
                                .map(|one| one.small().unwrap_or(0).to_string())
                                .collect();
                            let plural = if numbers.len() > 1 { "s" } else { "" };
                            lines.push(format!("{:indent$}    Number{plural}: {}", "", numbers.join(", ")));
                        } else {
                            lines.push(format!("{:indent$}    Explicit Text: {}", "", notice_text(part)));
                        }
                    }
                }
                (other, _) => lines.push(format!("{:indent$}  Unknown Qualifier: {other}", "")),
            }
        }
    }
    Some(lines.join("\n"))
}

/// Explicit text as its raw octets, as the peer prints it.
fn notice_text(text: Element<'_>) -> String {
    String::from_utf8_lossy(text.content).into_owned()
}

fn name_constraints(value: &[u8], indent: usize) -> Option<String> {
    let list = Element::only(value)?.of(tag::SEQUENCE)?;
    let mut lines = Vec::new();
    for part in list.children() {
        let title = match part.tag {
            0xa0 => "Permitted",
            0xa1 => "Excluded",
            _ => continue,
        };
        lines.push(format!("{:indent$}{title}:", ""));
        for subtree in part.children() {
            let Some(base) = subtree.children().next() else { continue };
            let text = match GeneralName::of(base) {
                GeneralName::Ip(bytes) => format!("IP:{}", network(bytes)),
                other => other.printed(),
            };
            lines.push(format!("{:indent$}  {text}", ""));
        }
    }
    Some(lines.join("\n"))
}

fn network(bytes: &[u8]) -> String {
    match bytes.len() {
        8 | 32 => {
            let (base, mask) = bytes.split_at(bytes.len() / 2);
            format!("{}/{}", address(base), address(mask))
        }
        _ => "IP Address:<invalid>".to_owned(),
    }
}

/// Signed certificate timestamps (RFC 6962, section 3.3).
fn timestamps(list: &[u8], indent: usize) -> Option<String> {
    let mut outer = Cursor::new(list);
    let length = outer.u16()?;
    let mut list = Cursor::new(outer.take(usize::from(length))?);
    let mut out = String::new();
    let mut first = true;
    while list.left() > 0 {
        let length = list.u16()?;
        let mut one = Cursor::new(list.take(usize::from(length))?);
        if !first {
            out.push('\n');
        }
        first = false;
        let _ = write!(out, "{:indent$}Signed Certificate Timestamp:", "");
        let inner = indent + 4;
        let version = one.u8()?;
        let _ = write!(out, "\n{:inner$}Version   : ", "");
        if version != 0 {
            let _ = write!(out, "unknown\n{}", hex_block(one.rest(), inner + 16));
            continue;
        }
        let _ = write!(out, "v1 (0x0)\n{:inner$}Log ID    : {}", "", hex_block(one.take(32)?, inner + 12));
        let millis = one.u64()?;
        let c = netkit_core::civil_from_unix(i64::try_from(millis / 1000).unwrap_or(i64::MAX / 2));
        let _ = write!(
            out,
            "\n{:inner$}Timestamp : {} {:2} {:02}:{:02}:{:02}.{:03} {} GMT",
            "",
            c.month_name(),
            c.day,
            c.hour,
            c.minute,
            c.second,
            millis % 1000,
            c.year
        );
        let length = one.u16()?;
        let extensions = one.take(usize::from(length))?;
        let shown = if extensions.is_empty() { "none".to_owned() } else { hex_block(extensions, inner + 12) };
        let _ = write!(out, "\n{:inner$}Extensions: {shown}", "");
        let scheme = one.array::<2>()?;
        let name = match scheme {
            [4, 3] => "ecdsa-with-SHA256".to_owned(),
            [4, 1] => "sha256WithRSAEncryption".to_owned(),
            [a, b] => format!("{a:02X}{b:02X}"),
        };
        let length = one.u16()?;
        let signature = one.take(usize::from(length))?;
        let deep = inner + 12;
        let _ = write!(out, "\n{:inner$}Signature : {name}\n{:deep$}{}", "", "", hex_block(signature, deep));
    }
    Some(out)
}

/// Sixteen octets a line.
fn hex_block(bytes: &[u8], indent: usize) -> String {
    let mut out = String::new();
    for (at, chunk) in bytes.chunks(16).enumerate() {
        if at > 0 {
            let _ = write!(out, ":\n{:indent$}", "");
        }
        out.push_str(&hex_colons(chunk));
    }
    out
}
