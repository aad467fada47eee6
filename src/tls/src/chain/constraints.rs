//! Name constraints (RFC 5280, section 4.2.1.10) as OpenSSL applies them.

use netkit_wire::der::{Element, tag};
use netkit_wire::x509::{Certificate, GeneralName};

use super::codes;
use super::names::{COMMON_NAME, EMAIL_ADDRESS, attributes, canonical, rsplit, utf8};

/// Names times subtrees that are compared at most.
const MOST: usize = 1 << 20;
const SMTP_UTF8: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 8, 9];

/// One name or one base of a subtree, by its tag.
struct Name<'a> {
    tag: u8,
    content: &'a [u8],
    element: Option<Element<'a>>,
}

impl<'a> Name<'a> {
    fn of(element: Element<'a>) -> Name<'a> {
        let directory = match GeneralName::of(element) {
            GeneralName::Directory(name) => Some(name),
            _ => Some(element),
        };
        Name { tag: element.tag, content: element.content, element: directory }
    }
}

const EMAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const DIRECTORY: u8 = 0xa4;
const URI: u8 = 0x86;
const ADDRESS: u8 = 0x87;
const OTHER: u8 = 0xa0;

/// The number of what is wrong with the names of a certificate under these limits, 0 for nothing.
pub(super) fn check(read: &Certificate<'_>, limits: Element<'_>, leaf: bool) -> u16 {
    inner(read, limits, leaf).err().unwrap_or(0)
}

fn inner(read: &Certificate<'_>, limits: Element<'_>, leaf: bool) -> Result<(), u16> {
    let alt: Vec<Element<'_>> = read
        .extension(netkit_wire::x509::oid::SUBJECT_ALT_NAME)
        .and_then(|one| Element::only(one.value))
        .map(|list| list.children().collect())
        .unwrap_or_default();
    let entries = read.subject.children().map(|set| set.children().count()).sum::<usize>();
    let subtrees = limits.children().map(|part| part.children().count()).sum::<usize>();
    if (entries + alt.len()).saturating_mul(subtrees) > MOST {
        return Err(codes::UNSPECIFIED);
    }
    if entries > 0 {
        one(&Name { tag: DIRECTORY, content: read.subject.content, element: Some(read.subject) }, limits)?;
        for value in attributes(read, EMAIL_ADDRESS) {
            if value.tag != tag::IA5_STRING {
                return Err(codes::NAME_SYNTAX);
            }
            one(&Name { tag: EMAIL, content: value.content, element: None }, limits)?;
        }
    }
    for name in &alt {
        one(&Name::of(*name), limits)?;
    }
    if leaf && !alt.iter().any(|name| name.tag == DNS) {
        for value in attributes(read, COMMON_NAME) {
            let text = utf8(value).unwrap_or_default();
            let text = text.trim_end_matches('\0');
            if text.contains('\0') {
                return Err(codes::NAME_SYNTAX);
            }
            if is_host(text.as_bytes()) {
                one(&Name { tag: DNS, content: text.as_bytes(), element: None }, limits)?;
            }
        }
    }
    Ok(())
}

/// Whether a common name looks like the name of a host, with two labels at least.
fn is_host(text: &[u8]) -> bool {
    let mut dotted = false;
    let last = text.len().saturating_sub(1);
    for (at, byte) in text.iter().enumerate() {
        let inside = at > 0 && at < last;
        let near = |place: usize| text.get(place).copied().unwrap_or(0);
        match byte {
            b'_' => {}
            byte if byte.is_ascii_alphanumeric() => {}
            b'-' if inside => {}
            b'.' if inside && near(at + 1) != b'.' && near(at - 1) != b'-' && near(at + 1) != b'-' => dotted = true,
            _ => return false,
        }
    }
    dotted
}

fn one(name: &Name<'_>, limits: Element<'_>) -> Result<(), u16> {
    let mut wanted = false;
    let mut inside = false;
    // An address of mail in UTF-8 counts as mail (RFC 8398, section 6).
    let mail = name.tag == OTHER && kind_of(name) == Some(SMTP_UTF8);
    let effective = if mail { EMAIL } else { name.tag };
    for (which, list) in [(0xa0, false), (0xa1, true)] {
        for subtree in limits.children().filter(|part| part.tag == which).flat_map(|part| part.children()) {
            let mut parts = subtree.children();
            let Some(base) = parts.next().map(Name::of) else { continue };
            if base.tag != effective || (effective == OTHER && kind_of(name) != kind_of(&base)) {
                continue;
            }
            // A minimum other than 0 or any maximum is beyond everybody.
            if parts.any(|part| part.tag != 0x80 || part.content.iter().any(|byte| *byte != 0)) {
                return Err(codes::MIN_MAX);
            }
            if !list && inside {
                continue;
            }
            let hit = if mail { Err(codes::CONSTRAINT_TYPE) } else { matches(name, &base) }?;
            match (list, hit) {
                (true, true) => return Err(codes::EXCLUDED),
                (true, false) => {}
                (false, hit) => (wanted, inside) = (true, hit),
            }
        }
        if !list && wanted && !inside {
            return Err(codes::PERMITTED);
        }
    }
    Ok(())
}

fn kind_of<'a>(name: &Name<'a>) -> Option<&'a [u8]> {
    name.element?.children().next().map(|one| one.content)
}

fn ends_with(text: &[u8], end: &[u8]) -> bool {
    text.len().checked_sub(end.len()).and_then(|at| text.get(at..)).is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

/// Whether a name lies in a subtree.
fn matches(name: &Name<'_>, base: &Name<'_>) -> Result<bool, u16> {
    let (text, limit) = (name.content, base.content);
    match base.tag {
        DIRECTORY => {
            let (Some(name), Some(base)) = (name.element, base.element) else { return Ok(false) };
            Ok(canonical(name).starts_with(&canonical(base)))
        }
        DNS => {
            let longer = text.len() > limit.len();
            let before = text.len().checked_sub(limit.len() + 1).and_then(|at| text.get(at));
            let joined = !longer || limit.first() == Some(&b'.') || before == Some(&b'.');
            Ok(limit.is_empty() || (joined && ends_with(text, limit)))
        }
        EMAIL => {
            let (local, host) = rsplit(text, b'@').ok_or(codes::NAME_SYNTAX)?;
            Ok(match rsplit(limit, b'@') {
                None if limit.first() == Some(&b'.') => text.len() > limit.len() && ends_with(text, limit),
                None => host.eq_ignore_ascii_case(limit),
                Some((wanted, at)) => (wanted.is_empty() || wanted == local) && host.eq_ignore_ascii_case(at),
            })
        }
        URI => {
            let colon = text.iter().position(|byte| *byte == b':').ok_or(codes::NAME_SYNTAX)?;
            let rest = text.get(colon + 1..).and_then(|rest| rest.strip_prefix(b"//")).ok_or(codes::NAME_SYNTAX)?;
            let end = rest.iter().position(|byte| *byte == b':');
            let end = end.or_else(|| rest.iter().position(|byte| *byte == b'/')).unwrap_or(rest.len());
            let host = rest.get(..end).filter(|host| !host.is_empty()).ok_or(codes::NAME_SYNTAX)?;
            Ok(if limit.first() == Some(&b'.') {
                host.len() > limit.len() && ends_with(host, limit)
            } else {
                host.eq_ignore_ascii_case(limit)
            })
        }
        ADDRESS => {
            if !matches!(text.len(), 4 | 16) {
                return Err(codes::NAME_SYNTAX);
            }
            if !matches!(limit.len(), 8 | 32) {
                return Err(codes::CONSTRAINT_SYNTAX);
            }
            if limit.len() != text.len() * 2 {
                return Ok(false);
            }
            let (network, mask) = limit.split_at(text.len());
            Ok(text.iter().zip(network).zip(mask).all(|((own, net), mask)| (own ^ net) & mask == 0))
        }
        _ => Err(codes::CONSTRAINT_TYPE),
    }
}
