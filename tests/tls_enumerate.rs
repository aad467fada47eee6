//! `tls-probe --enumerate` against sslscan and nmap on the same servers, and with `--hello-test` and `--resume` against
//! servers of our own that say hello and have faults.
#![allow(clippy::indexing_slicing)] // JSON values; a missing one is null

mod peers;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::Value;

use self::peers::{Findings, nmap, ours, sslscan, strings};
use crate::lab::hello::{Greeter, Script};
use crate::lab::tls::{Running, free_port, open_input, openssl};
use crate::lab::{Stop, TempDir, netkit, run, same, tool, trial};

const LIMIT: Duration = Duration::from_secs(300);

pub fn trials() -> Vec<Trial> {
    vec![
        trial("tls_enumerate::as_sslscan_and_nmap_find", as_peers_find),
        trial("tls_enumerate::nginx_with_old_protocols", nginx),
        trial("tls_enumerate::what_a_script_takes", scripted),
        trial("tls_enumerate::hello_test", hello_test),
        trial("tls_enumerate::resume", resume),
        trial("tls_enumerate::hostile", hostile),
        trial("tls_enumerate::known_on_sight", known),
        trial("tls_enumerate::staples_and_authorities", beside),
        trial("tls_enumerate::refused", refused),
    ]
}

/// Runs tls-probe with these words and `--json`: the object and the status.
fn probe(words: &[&str], port: u16) -> Result<(Value, i32), Stop> {
    let mut command = Command::new(netkit());
    command.arg("tls-probe").args(words).arg("--json").arg(format!("127.0.0.1:{port}"));
    let output = run(&mut command, LIMIT)?;
    let value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{words:?}: {error}: {}", String::from_utf8_lossy(&output.stderr)))?;
    Ok((value, output.status.code().unwrap_or(-1)))
}

/// What a server is, and what the peers cannot find out about it.
struct Server {
    name: &'static str,
    words: &'static str,
    /// sslscan finds no signature schemes with keys that are not RSA, and no suites where its handshake is not finished.
    sslscan: &'static [&'static str],
    /// Whether nmap is asked too; it knows no keys but RSA and P-256 in TLS 1.3, and takes its time.
    nmap: bool,
}

const fn server(name: &'static str, words: &'static str, sslscan: &'static [&'static str], nmap: bool) -> Server {
    Server { name, words, sslscan, nmap }
}

const ALL: &[&str] = &["versions", "suites", "groups", "schemes", "fallback"];
const NOT_RSA: &[&str] = &["versions", "suites", "groups", "fallback"];
const ONE: &[&str] = &["versions", "suites", "groups", "schemes"];

const SERVERS: &[Server] = &[
    server("the default", "-cert rsa.pem -key rsa.key", ALL, true),
    server("P-256, server's order", "-cert ec.pem -key ec.key -serverpref", NOT_RSA, true),
    server("P-384", "-cert p384.pem -key p384.key", NOT_RSA, false),
    server("Ed25519", "-cert ed.pem -key ed.key", NOT_RSA, false),
    server("RSA-PSS", "-cert pss.pem -key pss.key", ALL, false),
    server("two keys", "-cert rsa.pem -key rsa.key -dcert ec.pem -dkey ec.key -serverpref", NOT_RSA, true),
    server(
        "four suites of TLS 1.2 in an order of its own",
        "-cert rsa.pem -key rsa.key -tls1_2 -serverpref -cipher ECDHE-RSA-AES128-GCM-SHA256:AES256-SHA:ECDHE-RSA-AES256-GCM-SHA384:DHE-RSA-AES128-SHA",
        ONE,
        true,
    ),
    server(
        "TLS 1.3 alone",
        "-cert rsa.pem -key rsa.key -tls1_3 -serverpref -ciphersuites TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256",
        ONE,
        true,
    ),
    server("everything", "-cert rsa.pem -key rsa.key -cipher ALL:eNULL:@SECLEVEL=0", ALL, true),
    server(
        "everything, server's order",
        "-cert rsa.pem -key rsa.key -no_tls1_3 -serverpref -cipher ALL:@SECLEVEL=0",
        ALL,
        false,
    ),
    server("TLS 1.0 alone", "-cert rsa.pem -key rsa.key -tls1 -cipher ALL:@SECLEVEL=0", ONE, true),
    server("TLS 1.1 alone", "-cert rsa.pem -key rsa.key -tls1_1 -cipher ALL:@SECLEVEL=0", ONE, false),
    server("no TLS 1.2", "-cert rsa.pem -key rsa.key -no_tls1_2 -cipher ALL:@SECLEVEL=0", ALL, false),
    server("two curves", "-cert rsa.pem -key rsa.key -curves X25519:P-384", ALL, false),
    server("two signature schemes", "-cert rsa.pem -key rsa.key -sigalgs RSA+SHA256:RSA-PSS+SHA384", ALL, false),
    server("DSA", "-cert dsa.pem -key dsa.key -cipher ALL:@SECLEVEL=0", NOT_RSA, false),
    server(
        "a certificate of the client",
        "-cert rsa.pem -key rsa.key -Verify 1 -CAfile ec.pem",
        &["versions", "groups", "schemes", "fallback"],
        false,
    ),
    server("no certificate", "-nocert -cipher aNULL:@SECLEVEL=0", &["versions", "suites", "groups", "fallback"], false),
];

/// Keys and certificates of every kind in a directory.
fn keys(label: &str) -> Result<TempDir, Stop> {
    let dir = TempDir::new(label)?;
    let d = &dir.0;
    for (name, key) in [
        ("rsa", "-newkey rsa:2048"),
        ("pss", "-newkey rsa-pss -pkeyopt rsa_keygen_bits:2048"),
        ("ec", "-newkey ec -pkeyopt ec_paramgen_curve:P-256"),
        ("p384", "-newkey ec -pkeyopt ec_paramgen_curve:P-384"),
        ("ed", "-newkey ed25519"),
    ] {
        openssl(d, &format!("req -x509 {key} -nodes -keyout {name}.key -out {name}.pem -subj /CN=localhost -days 30"))?;
    }
    openssl(d, "dsaparam -out parameters 1024")?;
    openssl(d, "req -x509 -newkey dsa:parameters -nodes -keyout dsa.key -out dsa.pem -subj /CN=localhost -days 30")?;
    Ok(dir)
}

/// Starts `openssl s_server` with these words; the writer keeps its input open.
fn start(d: &Path, words: &str) -> Result<(Running, std::io::PipeWriter, u16), Stop> {
    let port = free_port()?;
    let (input, held) = open_input()?;
    let mut command = Command::new(tool("openssl", "openssl")?);
    command.args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}")]).args(words.split(' '));
    command.current_dir(d).stdin(input).stdout(Stdio::null()).stderr(Stdio::null());
    Ok((Running::listening(&mut command, port)?, held, port))
}

/// What differs between our findings and sslscan's, of the kinds that it can find out.
fn unlike_sslscan(value: &Value, theirs: &Findings, kinds: &[&str]) -> String {
    let mut out = String::new();
    let found = ours(value);
    let mut differ = |what: &str, left: String, right: String| {
        if left != right {
            out.push_str(&format!("  {what}: ours {left}\n  {what}: theirs {right}\n"));
        }
    };
    let has = |kind: &str| kinds.contains(&kind);
    differ("versions", format!("{:?}", found.versions), format!("{:?}", theirs.versions));
    if has("fallback") {
        differ("fallback", format!("{:?}", found.fallback), format!("{:?}", theirs.fallback));
    }
    for one in value["versions"].as_array().into_iter().flatten() {
        let version = one["version"].as_str().unwrap_or("?");
        let ids = one["suites"].as_array().into_iter().flatten().filter_map(|suite| suite["id"].as_u64());
        let mut ids: Vec<String> = ids.map(|id| format!("0x{id:04x}")).collect();
        let mut suites = theirs.suites.get(version).cloned().unwrap_or_default();
        // Where the client's order counts, each has an order of its own.
        if one["preference"] != "server" {
            ids.sort_unstable();
            suites.sort_unstable();
        }
        if has("suites") {
            differ(version, format!("{ids:?}"), format!("{suites:?}"));
        }
        for (kind, left, right) in
            [("groups", &found.groups, &theirs.groups), ("schemes", &found.schemes, &theirs.schemes)]
        {
            if has(kind) {
                let of = |all: &BTreeMap<String, BTreeSet<String>>| {
                    format!("{:?}", all.get(version).cloned().unwrap_or_default())
                };
                differ(&format!("{version} {kind}"), of(left), of(right));
            }
        }
    }
    out
}

/// What differs between our findings and nmap's.
fn unlike_nmap(value: &Value, theirs: &Findings) -> String {
    let mut out = String::new();
    let found = ours(value);
    if found.versions != theirs.versions {
        out.push_str(&format!("  nmap versions: ours {:?} theirs {:?}\n", found.versions, theirs.versions));
    }
    for version in &found.versions {
        let set = |all: &Findings| all.suites.get(version).into_iter().flatten().cloned().collect::<BTreeSet<_>>();
        if set(&found) != set(theirs) {
            out.push_str(&format!("  nmap {version}: ours {:?}\n  theirs {:?}\n", set(&found), set(theirs)));
        }
        // nmap says `indeterminate` where there is only one.
        let order = found.preference.get(version).filter(|order| *order != "single");
        if order.is_some() && order != theirs.preference.get(version) {
            out.push_str(&format!("  nmap {version}: ours {order:?} theirs {:?}\n", theirs.preference.get(version)));
        }
        if version != "TLSv1.3" && found.compression.get(version) != theirs.compression.get(version) {
            let (left, right) = (found.compression.get(version), theirs.compression.get(version));
            out.push_str(&format!("  nmap {version} compression: ours {left:?} theirs {right:?}\n"));
        }
    }
    // The length of the prime with every suite of ours that has one.
    for one in found.exchange.iter().filter(|one| !theirs.exchange.contains(*one)) {
        let other = theirs.exchange.iter().find(|other| other.0 == one.0);
        out.push_str(&format!("  nmap {one:?} is {other:?} there\n"));
    }
    out
}

fn as_peers_find() -> Result<(), Stop> {
    let (scanner, mapper) = (tool("sslscan", "sslscan")?, tool("nmap", "nmap")?);
    let dir = keys("enumerate")?;
    // Waiting is most of it, so several at a time.
    let next = std::sync::atomic::AtomicUsize::new(0);
    let wrong = std::sync::Mutex::new(String::new());
    let one = |server: &Server| -> Result<String, Stop> {
        let (_running, _held, port) = start(&dir.0, server.words)?;
        let (value, status) = probe(&["--enumerate"], port)?;
        let mut wrong = unlike_sslscan(&value, &sslscan(&scanner, port)?, server.sslscan);
        if server.nmap {
            wrong.push_str(&unlike_nmap(&value, &nmap(&mapper, port)?));
        }
        if status != 0 {
            wrong.push_str(&format!("  status {status}\n"));
        }
        Ok(wrong)
    };
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(server) = SERVERS.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let text = one(server).unwrap_or_else(|stop| format!("  {stop:?}\n"));
                    if !text.is_empty() {
                        let mut wrong = wrong.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                        wrong.push_str(&format!("# {}\n{text}", server.name));
                    }
                }
            });
        }
    });
    same("differences from the peers", &wrong.into_inner().unwrap_or_default(), "")
}

fn nginx() -> Result<(), Stop> {
    let (scanner, program) = (tool("sslscan", "sslscan")?, tool("nginx", "nginx-light")?);
    let dir = TempDir::new("enumerate-nginx")?;
    let d = &dir.0;
    openssl(d, "req -x509 -newkey rsa:2048 -nodes -keyout s.key -out s.pem -subj /CN=localhost -days 30")?;
    let mut wrong = String::new();
    for (name, kinds, lines) in [
        // sslscan asks for signature schemes with suites that this one does not have.
        (
            "strict",
            NOT_RSA,
            "ssl_protocols TLSv1.2 TLSv1.3; ssl_prefer_server_ciphers on; ssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20;",
        ),
        (
            "old",
            ALL,
            "ssl_protocols TLSv1 TLSv1.1 TLSv1.2; ssl_prefer_server_ciphers on; ssl_ciphers HIGH:!aNULL:@SECLEVEL=0;",
        ),
        ("half", ALL, "ssl_protocols TLSv1.1 TLSv1.3; ssl_ciphers ALL:@SECLEVEL=0; ssl_ecdh_curve secp521r1:X25519;"),
    ] {
        let port = free_port()?;
        let here = d.display();
        std::fs::write(
            d.join("nginx.conf"),
            format!(
                "daemon off;\nmaster_process off;\npid {here}/{name}.pid;\nerror_log {here}/error.log;\nevents {{}}\n\
                 http {{ access_log off; client_body_temp_path {here}/b; proxy_temp_path {here}/p; fastcgi_temp_path {here}/f; \
                 uwsgi_temp_path {here}/u; scgi_temp_path {here}/s; server {{ listen 127.0.0.1:{port} ssl; \
                 ssl_certificate {here}/s.pem; ssl_certificate_key {here}/s.key; {lines} return 204; }} }}\n"
            ),
        )?;
        let mut command = Command::new(&program);
        command.args(["-p", &here.to_string(), "-c", &format!("{here}/nginx.conf")]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let _running = Running::listening(&mut command, port)?;
        let (value, status) = probe(&["--enumerate"], port)?;
        let text = unlike_sslscan(&value, &sslscan(&scanner, port)?, kinds);
        if !text.is_empty() || status != 0 {
            wrong.push_str(&format!("# {name}, status {status}\n{text}"));
        }
    }
    same("differences from sslscan", &wrong, "")
}

/// A certificate in DER.
fn der(d: &Path, words: &str) -> Result<Vec<u8>, Stop> {
    openssl(d, &format!("req -x509 -nodes -keyout one.key -out one.der -outform DER -days 30 {words}"))?;
    Ok(std::fs::read(d.join("one.der"))?)
}

fn expect(what: &str, value: &Value, wanted: &[(&str, Value)]) -> Result<(), Stop> {
    for (pointer, wanted) in wanted {
        if value.pointer(pointer) != Some(wanted) {
            let found = value.pointer(pointer);
            return Err(format!("{what}: {pointer} is {found:?} instead of {wanted}\n{value:#}").into());
        }
    }
    Ok(())
}

/// Versions and groups that no program of Debian speaks any more or yet: SSLv3, X25519MLKEM768, compression.
fn scripted() -> Result<(), Stop> {
    let mapper = tool("nmap", "nmap")?;
    let dir = TempDir::new("enumerate-script")?;
    let certificate = der(&dir.0, "-newkey rsa:2048 -subj /CN=scripted")?;
    // A Name with one common name.
    let authority = b"\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02CA".to_vec();
    let greeter = Greeter::start(Script {
        versions: vec![0x0304, 0x0303, 0x0301, 0x0300],
        suites: vec![0x1303, 0x1301, 0xc02f, 0x0005, 0xc013, 0x000a, 0x0003],
        groups: vec![0x11ec, 0x0018, 0x001d],
        schemes: vec![0x0804, 0x0601, 0x0401],
        compression: vec![1, 0],
        certificate: certificate.clone(),
        // tryLater
        staple: vec![0x30, 3, 10, 1, 3],
        authorities: Some(vec![authority]),
        fallback: true,
        warns: true,
        holds: true,
        ..Script::default()
    })?;
    let (value, status) = probe(&["--enumerate", "--rate", "200"], greeter.port)?;
    let names = |list: &[&str]| Value::from(list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>());
    let version = |at: usize, key: &str| Value::from(strings(&value["versions"][at][key], "name"));
    let seen = (greeter.count.load(Ordering::SeqCst), greeter.held.load(Ordering::SeqCst));
    if seen.1 != 4 || Some(seen.0 as u64) != value["connections"].as_u64() || status != 0 {
        return Err(format!("{seen:?} connections, status {status}: {value}").into());
    }
    for (at, key, wanted) in [
        (0, "suites", &["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"][..]),
        (0, "groups", &["X25519MLKEM768", "secp384r1", "x25519"]),
        (1, "groups", &["secp384r1", "x25519"]),
        (1, "signature_algorithms", &["rsa_pss_rsae_sha256", "rsa_pkcs1_sha512", "rsa_pkcs1_sha256"]),
        (1, "compression", &["NULL", "DEFLATE"]),
        (
            1,
            "suites",
            &[
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                "TLS_RSA_WITH_RC4_128_SHA",
                "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
                "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
                "TLS_RSA_EXPORT_WITH_RC4_40_MD5",
            ],
        ),
        (4, "suites", &["TLS_RSA_WITH_RC4_128_SHA", "TLS_RSA_WITH_3DES_EDE_CBC_SHA", "TLS_RSA_EXPORT_WITH_RC4_40_MD5"]),
    ] {
        same(&format!("{at} {key}"), &version(at, key).to_string(), &names(wanted).to_string())?;
    }
    expect(
        "the script",
        &value,
        &[
            ("/mode", "enumerate".into()),
            ("/versions/2/supported", false.into()),
            ("/versions/2/refusal", "the server answers with TLSv1.0".into()),
            ("/versions/4/version", "SSLv3".into()),
            ("/versions/4/preference", "server".into()),
            ("/versions/4/suites/2/openssl", "EXP-RC4-MD5".into()),
            ("/versions/4/suites/2/bits", 40.into()),
            ("/secure_renegotiation", true.into()),
            ("/compresses", true.into()),
            ("/fallback_scsv", true.into()),
            ("/ocsp_staple/certificate_status", "tryLater".into()),
            ("/client_certificate/requested", true.into()),
            ("/client_certificate/authorities/0", "CN = CA".into()),
            ("/client_certificate/signature_algorithms/1", "rsa_pss_rsae_sha256".into()),
            ("/chain/0/subject", "CN = scripted".into()),
            ("/status", 0.into()),
        ],
    )?;
    let output =
        run(Command::new(netkit()).args(["tls-probe", "--enumerate", &format!("127.0.0.1:{}", greeter.port)]), LIMIT)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for wanted in [
        "SSLv3      suites in the server's order",
        "0x0003  EXP-RC4-MD5",
        "X25519MLKEM768",
        "asked for, of this authority:",
        "staple       tryLater",
    ] {
        if !text.contains(wanted) {
            return Err(format!("`{wanted}` is missing in\n{text}").into());
        }
    }
    drop(greeter);
    // nmap on the old half of it; with a group that is new to it, it sees nothing of TLS 1.3.
    let greeter = Greeter::start(Script {
        versions: vec![0x0303, 0x0301, 0x0300],
        suites: vec![0xc02f, 0x0005, 0xc013, 0x000a, 0x0003],
        groups: vec![0x0018, 0x001d],
        schemes: vec![0x0601, 0x0401],
        compression: vec![1, 0],
        certificate,
        ..Script::default()
    })?;
    let (value, _) = probe(&["--enumerate"], greeter.port)?;
    let theirs = nmap(&mapper, greeter.port)?;
    let mut found = unlike_nmap(&value, &theirs);
    if value["fallback_scsv"] != false {
        found.push_str("  fallback\n");
    }
    same("differences from nmap", &found, "")?;
    // The group of nobody else, and the old way with little: one version, one suite.
    let greeter = Greeter::start(Script { versions: vec![0x0300], suites: vec![0x0005], ..Script::default() })?;
    let (value, status) = probe(&["--enumerate"], greeter.port)?;
    let supported = value["versions"].as_array().into_iter().flatten().filter(|one| one["supported"] == true).count();
    if status != 0 || supported != 1 || value["versions"][4]["suites"][0]["name"] != "TLS_RSA_WITH_RC4_128_SHA" {
        return Err(format!("SSLv3 alone: {status} {value}").into());
    }
    // A server that takes no long hello is asked with few suites at a time.
    let greeter = Greeter::start(Script {
        versions: vec![0x0303],
        suites: vec![0xc02f, 0x000a, 0x0005],
        groups: vec![0x001d],
        schemes: vec![0x0401],
        longest: Some(700),
        ..Script::default()
    })?;
    let (value, _) = probe(&["--enumerate", "--tls12", "--timeout", "2"], greeter.port)?;
    let mut suites = strings(&value["versions"][0]["suites"], "name");
    suites.sort_unstable();
    same(
        "few at a time",
        &suites.join(" "),
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 TLS_RSA_WITH_3DES_EDE_CBC_SHA TLS_RSA_WITH_RC4_128_SHA",
    )
}

fn hello_test() -> Result<(), Stop> {
    let modern = Script {
        versions: vec![0x0304, 0x0303],
        suites: vec![0x1301, 0xc02f],
        groups: vec![0x001d],
        schemes: vec![0x0804, 0x0401],
        ..Script::default()
    };
    for (name, script, status, failed, finding) in [
        ("fine", modern.clone(), 0, &[][..], ""),
        (
            "nothing longer",
            Script { longest: Some(1400), ..modern.clone() },
            6,
            &["post-quantum share", "over the MTU", "4,000 octets", "16,000 octets"],
            "more than one segment is lost",
        ),
        (
            "one piece",
            Script { one_piece: true, ..modern.clone() },
            6,
            &[
                "segment of 1 octet first",
                "segment of 5 octets first",
                "segments cut in the name",
                "two records",
                "records of 16 octets",
            ],
            "a hello in pieces is not put together",
        ),
        (
            "a filter",
            Script { forbidden: Some("other.example"), ..modern.clone() },
            6,
            &["another name"],
            "with the name other.example the connection ends in closed",
        ),
    ] {
        let greeter = Greeter::start(script)?;
        let words = ["--hello-test", "--servername", "one.example", "--names", "other.example", "--timeout", "4"];
        let (value, found) = probe(&words, greeter.port)?;
        let tests = value["tests"].as_array().cloned().unwrap_or_default();
        let bad: Vec<&str> =
            tests.iter().filter(|test| test["outcome"] != "hello").filter_map(|test| test["test"].as_str()).collect();
        // A busy machine may take two segments for one read, or the large hello in several: what is sent in one piece there
        // arrives in one here, as long as it is short.
        let bad: Vec<&str> = bad.into_iter().filter(|test| name != "one piece" || !test.contains("16,000")).collect();
        let findings = strings(&value["findings"], "");
        if found != status || bad != failed || !finding.is_empty() && !findings.iter().any(|one| one.contains(finding))
        {
            return Err(format!("{name}: status {found}, failed {bad:?}, found {findings:?}\n{value:#}").into());
        }
        if tests.len() != 19 || value["connections"] != tests.len() {
            return Err(format!("{name}: {} tests, {} connections", tests.len(), value["connections"]).into());
        }
    }
    Ok(())
}

fn resume() -> Result<(), Stop> {
    let dir = TempDir::new("resume")?;
    openssl(&dir.0, "req -x509 -newkey rsa:2048 -nodes -keyout s.key -out s.pem -subj /CN=localhost -days 30")?;
    for (words, wanted) in [
        ("", [(true, true, true), (true, true, true), (true, true, true)]),
        ("-no_ticket -no_cache", [(true, true, false), (true, false, false), (true, false, false)]),
        ("-tls1_2 -no_ticket", [(false, false, false), (true, false, false), (true, true, true)]),
        ("-early_data", [(true, true, true), (true, true, true), (true, true, true)]),
    ] {
        let (_running, _held, port) =
            start(&dir.0, format!("-cert s.pem -key s.key {words}").replace("  ", " ").trim())?;
        let (value, status) = probe(&["--resume"], port)?;
        let seen: Vec<(bool, bool, bool)> = value["ways"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|way| (way["supported"] == true, way["given"] == true, way["resumed"] == true))
            .collect();
        if status != 0 || seen != wanted {
            return Err(format!("{words}: status {status}, {seen:?} instead of {wanted:?}\n{value:#}").into());
        }
        let early = value["ways"][0]["early_data_accepted"] == true;
        if early != words.contains("early_data") {
            return Err(format!("{words}: early data\n{value:#}").into());
        }
    }
    Ok(())
}

/// Certificates that give away whose they are, with the probe and with the enumeration.
fn known() -> Result<(), Stop> {
    let dir = TempDir::new("known")?;
    let d = &dir.0;
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    for (subject, issuer, names, words, wanted) in [
        (
            "/O=Acme Co/CN=Kubernetes Ingress Controller Fake Certificate",
            "",
            "DNS:ingress.local",
            "",
            "the default certificate of ingress-nginx",
        ),
        ("/CN=TRAEFIK DEFAULT CERT", "", "DNS:a.traefik.default", "", "the default certificate of Traefik"),
        (
            "/CN=node7@1700000000",
            "/CN=node7-ca@1700000000",
            "DNS:node7",
            "",
            "the self-signed certificate of a kubelet",
        ),
        ("/O=system:nodes/CN=system:node:n1", "/CN=kubernetes", "DNS:n1", "", "the serving certificate of a kubelet"),
        ("/CN=kube-apiserver", "/CN=kubernetes", "DNS:kubernetes,DNS:kubernetes.default.svc", "", "the API server"),
        (
            "/O=cluster.local",
            "/O=cluster.local",
            "URI:spiffe://cluster.local/ns/a/sa/b",
            "-Verify 1 -CAfile ca.pem",
            "a SPIFFE identity (spiffe://cluster.local/ns/a/sa/b): a mesh in strict mTLS",
        ),
        (
            "/O=cluster.local",
            "/O=cluster.local",
            "URI:spiffe://cluster.local/ns/a/sa/b",
            "",
            "which asks for no certificate here",
        ),
        (
            "/CN=example.com",
            "/O=Zscaler Inc./CN=Zscaler Intermediate Root CA",
            "DNS:example.com",
            "",
            "a proxy that opens TLS on the way",
        ),
        (
            "/CN=default.sa.default.serviceaccount.identity.linkerd.cluster.local",
            "/CN=identity.linkerd.cluster.local",
            "DNS:default.sa.default.serviceaccount.identity.linkerd.cluster.local",
            "",
            "an identity of Linkerd",
        ),
    ] {
        std::fs::write(d.join("names"), format!("subjectAltName={names}"))?;
        let made = |line: &str, subject: &str| -> Result<(), Stop> {
            let mut command = Command::new(tool("openssl", "openssl")?);
            let output = run(command.args(line.split(' ')).args(["-subj", subject]).current_dir(d), LIMIT)?;
            if output.status.success() {
                Ok(())
            } else {
                Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
            }
        };
        let issuer = if issuer.is_empty() { subject } else { issuer };
        made(&format!("req -x509 {key} -keyout ca.key -out ca.pem -days 30"), issuer)?;
        made(&format!("req {key} -keyout s.key -out s.csr"), subject)?;
        openssl(d, "x509 -req -in s.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out s.pem -days 30 -extfile names")?;
        let (_running, _held, port) = start(d, format!("-cert s.pem -key s.key {words}").trim())?;
        for mode in [&["--tls13"][..], &["--tls12"], &["--enumerate"], &["--enumerate", "--tls13"]] {
            // Where the handshake of TLS 1.2 fails for want of a certificate, its first half is all there is.
            if mode == ["--tls12"] && words.contains("Verify") {
                continue;
            }
            let (value, _) = probe(mode, port)?;
            if !value["known"].as_str().is_some_and(|known| known.contains(wanted)) {
                return Err(format!("{subject} {mode:?}: {} instead of {wanted}", value["known"]).into());
            }
        }
    }
    Ok(())
}

/// What comes beside the certificates, in the clear and behind a handshake of TLS 1.3.
fn beside() -> Result<(), Stop> {
    let dir = TempDir::new("beside")?;
    let d = &dir.0;
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(d, &format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /O=Lab/CN=LabCA -days 30"))?;
    openssl(d, &format!("req {key} -keyout s.key -out s.csr -subj /CN=localhost"))?;
    openssl(d, "x509 -req -in s.csr -CA ca.pem -CAkey ca.key -set_serial 0x1001 -out s.pem -days 30")?;
    std::fs::write(d.join("index.txt"), "V\t401231235959Z\t\t1001\tunknown\t/CN=localhost\n")?;
    openssl(d, "ocsp -issuer ca.pem -cert s.pem -reqout request.der -no_nonce")?;
    openssl(
        d,
        "ocsp -index index.txt -rsigner ca.pem -rkey ca.key -CA ca.pem -reqin request.der -respout staple.der -ndays 7",
    )?;
    let words = "-cert s.pem -key s.key -status_file staple.der -verify 1 -CAfile ca.pem";
    for version in ["-tls1_2", "-tls1_3"] {
        let (_running, _held, port) = start(d, &format!("{words} {version}"))?;
        for mode in [&[][..], &["--enumerate"]] {
            let (value, _) = probe(mode, port)?;
            let staple = &value["ocsp_staple"];
            if staple["certificate_status"] != "good"
                || staple["next_update_unix"]
                    .as_i64()
                    .zip(staple["this_update_unix"].as_i64())
                    .map(|(next, this)| next - this)
                    != Some(7 * 86_400)
            {
                return Err(format!("{version} {mode:?}: {staple}").into());
            }
            let (asked, authority) = if mode.is_empty() {
                (&value["client_certificate_asked"], &value["client_certificate_authorities"][0])
            } else {
                (&value["client_certificate"]["requested"], &value["client_certificate"]["authorities"][0])
            };
            if asked != true || authority != "O = Lab, CN = LabCA" {
                return Err(format!("{version} {mode:?}: {asked} {authority}").into());
            }
        }
    }
    Ok(())
}

/// Whatever is sent: an answer in time, a status, and no panic.
fn hostile() -> Result<(), Stop> {
    let hello = |suite: u16, version: u16| {
        let mut body = version.to_be_bytes().to_vec();
        body.extend([1; 32]);
        body.push(0);
        body.extend(suite.to_be_bytes());
        body.extend([0, 0, 0]);
        [&[22, 3, 3, 0, 44, 2, 0, 0, 40][..], &body].concat()
    };
    for (name, bytes, status) in [
        ("a suite that was not offered", hello(0x0000, 0x0303), 6),
        ("a version of the future", hello(0xc02f, 0x0399), 6),
        ("always the same suite", hello(0xc02f, 0x0303), 0),
        ("HTTP", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), 5),
        ("nothing", Vec::new(), 6),
        ("an empty record", vec![22, 3, 3, 0, 0], 6),
        ("a message without end", vec![22, 3, 3, 0, 4, 2, 0xff, 0xff, 0xff], 6),
        ("a flight without end", [vec![22, 3, 3, 0x40, 0], vec![0; 0x4000]].concat().repeat(40), 6),
        ("an alert of nobody's", vec![21, 3, 3, 0, 2, 2, 200], 6),
        ("half an alert", vec![21, 3, 3, 0, 1, 2], 6),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stopped = stop.clone();
        let server = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(mut stream) = stream else { continue };
                let bytes = bytes.clone();
                std::thread::spawn(move || {
                    let mut buffer = [0u8; 4096];
                    let _ = stream.read(&mut buffer);
                    let _ = stream.write_all(&bytes);
                    let _ = stream.shutdown(std::net::Shutdown::Write);
                    while matches!(stream.read(&mut buffer), Ok(1..)) {}
                });
            }
        });
        let outcomes = (probe(&["--enumerate"], port), probe(&["--hello-test"], port), probe(&["--resume"], port));
        stop.store(true, Ordering::SeqCst);
        let _ = std::net::TcpStream::connect(("127.0.0.1", port));
        server.join().map_err(|_| "server died")?;
        let ((value, found), (_, tested), (_, resumed)) = (outcomes.0?, outcomes.1?, outcomes.2?);
        if found != status || value["connections"].as_u64().is_none_or(|count| count > 60) {
            return Err(format!("{name}: status {found} instead of {status}\n{value:#}").into());
        }
        if !matches!(tested, 0 | 5 | 6) || !matches!(resumed, 5 | 6) {
            return Err(format!("{name}: status {tested} of --hello-test, {resumed} of --resume").into());
        }
    }
    Ok(())
}

fn refused() -> Result<(), Stop> {
    for (words, wanted) in [
        (&["--enumerate", "--resume", "h"][..], "one of --enumerate, --hello-test and --resume"),
        (&["--enumerate", "--rate", "0", "h"], "--rate: `0` is no number"),
        (&["--rate", "3", "h"], "--rate wants"),
        (&["--names", "a", "h"], "--names wants --hello-test"),
        (&["--enumerate", "--pem", "h"], "--pem and --showcerts"),
    ] {
        let output = run(Command::new(netkit()).arg("tls-probe").args(words), LIMIT)?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code() != Some(2) || !text.contains(wanted) {
            return Err(format!("{words:?}: {:?} {text}", output.status).into());
        }
    }
    let port = free_port()?;
    let (value, status) = probe(&["--enumerate"], port)?;
    expect("a closed port", &value, &[("/layer", "connection".into()), ("/status", 4.into())])?;
    if status == 4 { Ok(()) } else { Err(format!("a closed port: {status}").into()) }
}
