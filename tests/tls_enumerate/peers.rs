//! What tls-probe, sslscan and nmap found, read from what they print.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::lab::{Stop, run};

/// The peers take their time on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// Strings of a list of objects, or of strings.
pub fn strings(list: &Value, key: &str) -> Vec<String> {
    let one = |item: &Value| item.as_str().or_else(|| item[key].as_str()).unwrap_or("?").to_owned();
    list.as_array().map(|list| list.iter().map(one).collect()).unwrap_or_default()
}

/// What a scanner found: suites by version in the order found, groups and signature schemes by version.
#[derive(Debug, Default)]
pub struct Findings {
    pub versions: BTreeSet<String>,
    pub suites: BTreeMap<String, Vec<String>>,
    pub groups: BTreeMap<String, BTreeSet<String>>,
    pub schemes: BTreeMap<String, BTreeSet<String>>,
    pub preference: BTreeMap<String, String>,
    pub compression: BTreeMap<String, BTreeSet<String>>,
    pub exchange: BTreeSet<(String, String)>,
    pub fallback: Option<bool>,
}

pub fn ours(value: &Value) -> Findings {
    let mut out = Findings { fallback: value["fallback_scsv"].as_bool(), ..Findings::default() };
    for one in value["versions"].as_array().into_iter().flatten().filter(|one| one["supported"] == true) {
        let version = one["version"].as_str().unwrap_or("?").to_owned();
        out.versions.insert(version.clone());
        out.suites.insert(version.clone(), strings(&one["suites"], "name"));
        let alone = one["groups"].as_array().into_iter().flatten().filter(|group| group["needs"].is_null());
        out.groups
            .insert(version.clone(), alone.filter_map(|group| group["name"].as_str().map(str::to_owned)).collect());
        out.schemes.insert(version.clone(), strings(&one["signature_algorithms"], "name").into_iter().collect());
        out.preference.insert(version.clone(), one["preference"].as_str().unwrap_or("?").to_owned());
        out.compression.insert(version, strings(&one["compression"], "").into_iter().collect());
        for suite in one["suites"].as_array().into_iter().flatten() {
            // Curves depend on what each offers first; the length of a prime is the server's.
            let Some(bits) = suite["dh_bits"].as_u64() else { continue };
            let exchange = format!("dh {bits}");
            out.exchange.insert((suite["name"].as_str().unwrap_or("?").to_owned(), exchange));
        }
    }
    out
}

/// Runs sslscan and reads what it prints. Its names are OpenSSL's; the number beside them is the same for all.
pub fn sslscan(program: &Path, port: u16) -> Result<Findings, Stop> {
    let words = [
        "--no-colour",
        // Three seconds otherwise, after which it leaves things out without a word.
        "--timeout=60",
        "--show-sigs",
        "--show-cipher-ids",
        "--no-heartbleed",
        "--no-renegotiation",
        "--no-compression",
        "--no-check-certificate",
    ];
    let output = run(Command::new(program).args(words).arg(format!("127.0.0.1:{port}")), PATIENCE)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut out = Findings::default();
    let mut section = "";
    for line in text.lines() {
        let parts: Vec<&str> = line.split_whitespace().collect();
        if line.starts_with("  ") {
            section = line.trim();
            continue;
        }
        match parts.as_slice() {
            [version, "enabled"] => drop(out.versions.insert((*version).to_owned())),
            ["Preferred" | "Accepted", version, _, "bits", id, ..] => {
                out.suites.entry((*version).to_owned()).or_default().push((*id).to_ascii_lowercase());
            }
            [version, _, "bits", name, ..] if section.starts_with("Server Key Exchange") => {
                out.groups.entry((*version).to_owned()).or_default().insert((*name).to_owned());
            }
            [version, name] if section.starts_with("Server Signature") => {
                out.schemes.entry((*version).to_owned()).or_default().insert((*name).to_owned());
            }
            ["Server", "supports", "TLS", "Fallback", "SCSV"] => out.fallback = Some(true),
            ["Server", "does", "not", ..] => out.fallback = Some(false),
            _ => {}
        }
    }
    Ok(out)
}

/// Runs nmap's script and reads what it prints, in IANA's names.
pub fn nmap(program: &Path, port: u16) -> Result<Findings, Stop> {
    let mut command = Command::new(program);
    command.args(["-Pn", "-n", "-p", &port.to_string(), "--script", "ssl-enum-ciphers", "127.0.0.1"]);
    // The script's patience is derived from the round trip that the scan saw.
    command.args(["--initial-rtt-timeout", "10s", "--min-rtt-timeout", "10s", "--max-rtt-timeout", "10s"]);
    let output = run(&mut command, PATIENCE)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut out = Findings::default();
    let (mut version, mut section) = (String::new(), String::new());
    for line in text.lines() {
        let Some(line) = line.strip_prefix('|').or_else(|| line.strip_prefix('_')) else { continue };
        let line = line.trim_start_matches('_').trim();
        let name = line.split(' ').next().unwrap_or("");
        if let Some(found) = line.strip_suffix(':').filter(|name| name.starts_with("TLSv") || name.starts_with("SSLv"))
        {
            version = found.to_owned();
            out.versions.insert(version.clone());
        } else if let Some(title) = line.strip_suffix(':') {
            section = title.to_owned();
        } else if let Some(order) = line.strip_prefix("cipher preference: ") {
            out.preference.insert(version.clone(), order.to_owned());
        } else if section == "ciphers" && (name.starts_with("TLS_") || name.starts_with("SSL_")) {
            let name = name.replace("TLS_AKE_WITH_", "TLS_");
            let exchange = line.split(['(', ')']).nth(1).unwrap_or("").to_owned();
            out.exchange.insert((name.clone(), exchange));
            out.suites.entry(version.clone()).or_default().push(name);
        } else if section == "compressors" && !line.contains(' ') {
            out.compression.entry(version.clone()).or_default().insert(line.to_owned());
        }
    }
    Ok(out)
}
