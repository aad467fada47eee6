//! What comes beside the certificates: the staple, and whose certificate of the client is wanted.

use netkit_core::json::Value;
use netkit_core::text::{hex, printable};
use netkit_wire::der::Element;
use netkit_wire::ocsp::Response;
use netkit_wire::tls::scheme_name;
use netkit_wire::x509::{NameStyle, name_text};

/// Most names of authorities on the screen.
const NAMES: usize = 12;

fn date(seconds: i64) -> String {
    netkit_tls::x509::date_text(seconds)
}

/// A staple in a line.
pub(crate) fn staple_text(staple: Option<&[u8]>, now: i64) -> String {
    let Some(der) = staple else { return "none".to_owned() };
    let Some(read) = Response::read(der) else { return format!("unreadable, {} bytes", der.len()) };
    let mut out = read.verdict().to_owned();
    if let Some(at) = read.revoked {
        out.push_str(&format!(" since {}", date(at)));
    }
    if let Some(at) = read.this_update {
        out.push_str(&format!(", as of {}", date(at)));
    }
    if let Some(at) = read.next_update {
        let word = if at < now { "stale since" } else { "until" };
        out.push_str(&format!(", {word} {}", date(at)));
    }
    out
}

/// A staple as an object.
pub(crate) fn staple_json(staple: Option<&[u8]>) -> Value {
    let Some(der) = staple else { return Value::Null };
    let Some(read) = Response::read(der) else {
        return Value::object().with("certificate_status", "unreadable").with("bytes", der.len());
    };
    Value::object()
        .with("response_status", read.status)
        .with("certificate_status", read.verdict())
        .with("produced_unix", read.produced)
        .with("this_update_unix", read.this_update)
        .with("next_update_unix", read.next_update)
        .with("revoked_unix", read.revoked)
        .with("bytes", der.len())
}

fn authority(der: &[u8]) -> String {
    match Element::only(der) {
        Some(name) if !name.content.is_empty() => printable(&name_text(name, NameStyle::OneLine)),
        Some(_) => "(empty name)".to_owned(),
        None => format!("(unreadable {})", hex(der.get(..der.len().min(16)).unwrap_or_default())),
    }
}

/// What is wanted of the client, in lines.
pub(crate) fn request_lines(request: Option<(&[Vec<u8>], &[u16])>) -> Vec<String> {
    let Some((authorities, schemes)) = request else { return vec!["not asked for".to_owned()] };
    let mut out = vec![match authorities.len() {
        0 => "asked for, of any authority".to_owned(),
        1 => "asked for, of this authority:".to_owned(),
        count => format!("asked for, of one of {count} authorities:"),
    }];
    out.extend(authorities.iter().take(NAMES).map(|der| format!("  {}", authority(der))));
    if authorities.len() > NAMES {
        out.push(format!("  and {} more", authorities.len() - NAMES));
    }
    if !schemes.is_empty() {
        let names: Vec<String> = schemes.iter().map(|scheme| scheme_name(*scheme)).collect();
        out.push(format!("  signed with {}", names.join(" ")));
    }
    out
}

/// What is wanted of the client, as an object.
pub(crate) fn request_json(request: Option<(&[Vec<u8>], &[u16])>) -> Value {
    let (authorities, schemes) = request.unwrap_or_default();
    Value::object()
        .with("requested", request.is_some())
        .with("authorities", authorities.iter().map(|der| authority(der)).collect::<Vec<_>>())
        .with("signature_algorithms", schemes.iter().map(|scheme| scheme_name(*scheme)).collect::<Vec<_>>())
}
