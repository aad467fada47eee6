//! Servers and chains of every kind. Three opinions of each: netkit's strict one beside that of a plain rustls client
//! with webpki, netkit's other one beside `openssl verify`.

mod authority;

use std::fs;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use self::authority::{Authority, CA, LEAF, Order, When};
use crate::lab::tls::{Running, free_port, open_input};
use crate::lab::{Stop, netkit, run, same, tool, trial};

const LIMIT: Duration = Duration::from_secs(300);

pub fn trials() -> Vec<Trial> {
    vec![trial("tls_matrix::servers_and_chains", || {
        // One set of certificates for all: making them costs the most.
        let all = certificates("matrix")?;
        let parts = [servers(&all)?, nginx(&all)?, chains(&all)?];
        same("verdicts that differ", &parts.concat(), "")
    })]
}

/// Leaves below the usual intermediate, by their extensions.
const LEAVES: &[(&str, &str)] = &[
    ("server", "extendedKeyUsage=serverAuth"),
    ("client", "extendedKeyUsage=clientAuth"),
    ("anyeku", "extendedKeyUsage=anyExtendedKeyUsage"),
    ("code", "extendedKeyUsage=codeSigning"),
    ("sgc", "extendedKeyUsage=msSGC"),
    ("kusign", "keyUsage=keyCertSign"),
    ("kuagree", "keyUsage=keyAgreement"),
    ("kuds", "keyUsage=critical,digitalSignature"),
    ("leafca", "basicConstraints=CA:TRUE"),
    ("critical", "1.2.3.4=critical,ASN1:NULL"),
    ("policy", "certificatePolicies=critical,1.2.3.4"),
    ("access", "authorityInfoAccess=critical,OCSP;URI:http://x.example/"),
];

/// Names of leaves.
const NAMES: &[(&str, &str, &str)] = &[
    ("wild", "DNS:*.example.com", "/CN=x"),
    ("wildpart", "DNS:w*.example.com", "/CN=x"),
    ("wildtop", "DNS:*.com", "/CN=x"),
    ("wildtwo", "DNS:*.*.example.com", "/CN=x"),
    ("idn", "DNS:xn--bcher-kva.example", "/CN=x"),
    ("idnwild", "DNS:*.xn--bcher-kva.example", "/CN=x"),
    ("underscore", "DNS:a_b.example.com", "/CN=x"),
    ("address", "IP:127.0.0.1,IP:::1", "/CN=x"),
    ("addressdns", "DNS:127.0.0.1", "/CN=127.0.0.1"),
    ("cnother", "DNS:other.example", "/CN=www.example.com"),
    ("cnip", "IP:10.0.0.1", "/CN=www.example.com"),
    ("uri", "URI:spiffe://td/ns/a/sa/b", "/CN=www.example.com"),
];

/// Intermediates.
const MIDDLE: &[(&str, &str)] = &[
    ("noca", "basicConstraints=CA:FALSE"),
    ("bare", "subjectKeyIdentifier=hash"),
    ("nosign", "basicConstraints=CA:TRUE\nkeyUsage=cRLSign"),
    ("kuonly", "keyUsage=keyCertSign"),
    ("path0", "basicConstraints=CA:TRUE,pathlen:0"),
    ("ekuclient", "basicConstraints=CA:TRUE\nextendedKeyUsage=clientAuth"),
    ("ekuserver", "basicConstraints=CA:TRUE\nextendedKeyUsage=serverAuth"),
    ("critical", "basicConstraints=CA:TRUE\n1.2.3.4=critical,ASN1:NULL"),
];

/// Name constraints.
const LIMITS: &[(&str, &str)] = &[
    ("dns", "permitted;DNS:example.com"),
    ("xdns", "excluded;DNS:www.example.com"),
    ("ip", "permitted;IP:10.0.0.0/255.0.0.0"),
    ("xip", "excluded;IP:127.0.0.0/255.0.0.0"),
    ("mail", "permitted;email:example.com"),
    ("uri", "permitted;URI:.example.com"),
    ("dn", "permitted;dirName:lab"),
    ("xdn", "excluded;dirName:acme"),
];

/// Names of leaves below constraints.
const UNDER: &[(&str, &str, &str)] = &[
    ("a", "subjectAltName=DNS:www.example.com", "/O=Acme/CN=leaf"),
    ("b", "subjectAltName=DNS:www.other.example", "/O=Lab/CN=www.example.com"),
    ("c", "subjectAltName=IP:127.0.0.1,DNS:notexample.com", "/CN=x"),
    ("d", "subjectAltName=IP:10.1.2.3", "/O=lab/CN=www.other.example"),
    ("e", "subjectAltName=email:a@example.com,URI:https://www.example.com/", "/CN=x"),
    ("f", "subjectAltName=email:a@sub.example.com,URI:urn:x", "/CN=x"),
    ("g", "keyUsage=digitalSignature", "/O=Acme/CN=www.other.example"),
    ("h", "keyUsage=digitalSignature", "/O=Acme/CN=Some name"),
];

/// The certificates that every trial here needs.
fn certificates(label: &str) -> Result<Authority, Stop> {
    let all = Authority::new(label)?;
    let leaf = |name: &str, extensions: &str| all.make(Order { name, extensions, ..Order::default() });
    leaf("good", LEAF)?;
    for (name, extra) in LEAVES {
        leaf(&format!("e-{name}"), &format!("{LEAF}\n{extra}"))?;
    }
    for (name, names, subject) in NAMES {
        let extensions = format!("subjectAltName={names}");
        all.make(Order { name: &format!("n-{name}"), subject, extensions: &extensions, ..Order::default() })?;
    }
    let many: Vec<String> = (0..300).map(|at| format!("DNS:h{at}.example.com")).collect();
    leaf("n-many", &format!("subjectAltName={}", many.join(",")))?;
    all.make(Order {
        name: "n-cn",
        subject: "/CN=www.example.com",
        extensions: "keyUsage=digitalSignature",
        ..Order::default()
    })?;
    all.make(Order { name: "expired", when: When::Past, ..Order::default() })?;
    all.make(Order { name: "future", when: When::Future, ..Order::default() })?;
    all.make(Order { name: "v1leaf", subject: "/CN=www.example.com", extensions: "", ..Order::default() })?;
    // Leaves that sign themselves.
    let own = Order { issuer: None, subject: "/CN=www.example.com", ..Order::default() };
    all.make(Order { name: "self", extensions: "subjectAltName=DNS:www.example.com", ..own })?;
    all.make(Order { name: "selfca", extensions: &format!("{CA}\nsubjectAltName=DNS:www.example.com"), ..own })?;
    all.make(Order { name: "selfold", extensions: "subjectAltName=DNS:www.example.com", when: When::Past, ..own })?;
    all.make(Order { name: "selfv1", extensions: "", ..own })?;
    // Roots with something to them, and a leaf below each.
    for (name, key, extensions, when, digest, options) in [
        ("rsa", "rsa", CA, When::Now, "default", ""),
        ("small", "small", CA, When::Now, "default", ""),
        ("pss", "pss", CA, When::Now, "default", ""),
        ("p521", "p521", CA, When::Now, "default", ""),
        ("ed25519", "ed25519", CA, When::Now, "default", ""),
        ("ed448", "ed448", CA, When::Now, "default", ""),
        ("explicit", "explicit", CA, When::Now, "default", ""),
        ("old", "p256", CA, When::Past, "default", ""),
        ("v1", "p256", "", When::Now, "default", ""),
        ("rsasha1", "rsa", CA, When::Now, "sha1", ""),
        ("rsasha512", "rsa", CA, When::Now, "sha512", ""),
        ("rsapss", "rsa", CA, When::Now, "default", "rsa_padding_mode:pss"),
        (
            "limited",
            "p256",
            "basicConstraints=CA:TRUE\nnameConstraints=permitted;DNS:example.org",
            When::Now,
            "default",
            "",
        ),
    ] {
        let root = format!("r-{name}");
        all.make(Order {
            name: &root,
            subject: &format!("/O=Lab/CN=R {name}"),
            key,
            extensions,
            issuer: None,
            when,
            ..Order::default()
        })?;
        let extensions = if name == "v1" { "subjectAltName=DNS:www.example.com" } else { LEAF };
        all.make(Order {
            name: &format!("u-{name}"),
            extensions,
            issuer: Some((&root, key)),
            digest,
            options,
            ..Order::default()
        })?;
    }
    for key in ["small", "p521", "ed25519", "ed448", "rsa"] {
        all.make(Order { name: &format!("k-{key}"), key, ..Order::default() })?;
    }
    for (name, extensions) in MIDDLE {
        let (middle, subject) = (format!("i-{name}"), format!("/O=Lab/CN=I {name}"));
        all.make(Order {
            name: &middle,
            subject: &subject,
            key: "p384",
            extensions,
            issuer: Some(("root", "p256")),
            ..Order::default()
        })?;
        let under = "subjectAltName=DNS:www.example.com";
        all.make(Order {
            name: &format!("m-{name}"),
            extensions: under,
            issuer: Some((&middle, "p384")),
            ..Order::default()
        })?;
    }
    all.make(Order {
        name: "deep",
        subject: "/O=Lab/CN=Deep",
        key: "p256",
        extensions: CA,
        issuer: Some(("i-path0", "p384")),
        ..Order::default()
    })?;
    all.make(Order { name: "toodeep", issuer: Some(("deep", "p256")), ..Order::default() })?;
    all.make(Order {
        name: "oldinter",
        subject: "/O=Lab/CN=Old",
        key: "p384",
        extensions: CA,
        issuer: Some(("root", "p256")),
        when: When::Past,
        ..Order::default()
    })?;
    all.make(Order { name: "underold", issuer: Some(("oldinter", "p384")), ..Order::default() })?;
    // The same name and another key; and a new root that an old one has signed too.
    all.make(Order {
        name: "mimic",
        subject: "/O=Lab/CN=Inter",
        extensions: "basicConstraints=CA:TRUE",
        issuer: Some(("root", "p256")),
        ..Order::default()
    })?;
    all.make(Order { name: "noid", extensions: "subjectAltName=DNS:www.example.com", ..Order::default() })?;
    let cross = Order { subject: "/O=Lab/CN=New", key: "rsa", extensions: CA, ..Order::default() };
    all.make(Order { name: "newroot", issuer: None, ..cross })?;
    all.make(Order { name: "cross", issuer: Some(("root", "p256")), ..cross })?;
    all.make(Order { name: "crossold", issuer: Some(("r-old", "p256")), when: When::Past, ..cross })?;
    all.make(Order {
        name: "newinter",
        subject: "/O=Lab/CN=NewInter",
        key: "p384",
        extensions: CA,
        issuer: Some(("newroot", "rsa")),
        ..Order::default()
    })?;
    all.make(Order { name: "underx", issuer: Some(("newinter", "p384")), ..Order::default() })?;
    for (limit, text) in LIMITS {
        let (name, subject) = (format!("l-{limit}"), format!("/O=Lab/CN=L {limit}"));
        let extensions = format!("{CA}\nnameConstraints=critical,{text}");
        all.make(Order {
            name: &name,
            subject: &subject,
            key: "p384",
            extensions: &extensions,
            issuer: Some(("root", "p256")),
            ..Order::default()
        })?;
        for (under, extensions, subject) in UNDER {
            all.make(Order {
                name: &format!("{name}-{under}"),
                subject,
                extensions,
                issuer: Some((&name, "p384")),
                ..Order::default()
            })?;
        }
    }
    Ok(all)
}

/// A server: leaf, its key, what it sends besides, what is trusted, the name, options of s_server.
type Server = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

const HOST: &str = "www.example.com";
const WEAK: &str = "-cipher ALL:@SECLEVEL=0";

const SERVERS: &[Server] = &[
    ("good", "leaf", "inter", "root", HOST, ""),
    ("good", "leaf", "inter", "root", HOST, "-tls1_2"),
    ("good", "leaf", "inter", "root", HOST, "-tls1_3"),
    ("good", "leaf", "inter", "root", HOST, "-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256"),
    ("good", "leaf", "inter", "root", HOST, "-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305"),
    ("good", "leaf", "inter", "root", HOST, "-ciphersuites TLS_CHACHA20_POLY1305_SHA256"),
    ("good", "leaf", "inter", "root", HOST, "-groups P-256"),
    ("good", "leaf", "inter", "root", HOST, "-groups P-384"),
    ("good", "leaf", "inter", "root", HOST, "-verify 1"),
    ("good", "leaf", "inter", "root", "foo.example.com", ""),
    ("good", "leaf", "", "root", HOST, ""),
    ("good", "leaf", "inter root", "root", HOST, ""),
    ("good", "leaf", "inter root", "", HOST, ""),
    ("good", "leaf", "root inter", "root", HOST, ""),
    ("good", "leaf", "inter inter", "root", HOST, ""),
    ("good", "leaf", "r-rsa inter", "root", HOST, ""),
    ("good", "leaf", "inter", "r-rsa", HOST, ""),
    ("good", "leaf", "", "inter", HOST, ""),
    ("good", "leaf", "inter", "inter root", HOST, ""),
    ("expired", "leaf", "inter", "root", HOST, ""),
    ("expired", "leaf", "inter", "root", "foo.example.com", ""),
    ("future", "leaf", "inter", "root", HOST, ""),
    ("underold", "leaf", "oldinter", "root", HOST, ""),
    ("u-old", "leaf", "", "r-old", HOST, ""),
    ("self", "leaf", "", "root", HOST, ""),
    ("self", "leaf", "", "self", HOST, ""),
    ("selfca", "leaf", "", "root", HOST, ""),
    ("selfca", "leaf", "", "selfca", HOST, ""),
    ("selfold", "leaf", "", "root", HOST, ""),
    ("selfv1", "leaf", "", "selfv1", HOST, ""),
    ("v1leaf", "leaf", "inter", "root", HOST, ""),
    ("u-v1", "leaf", "", "r-v1", HOST, ""),
    ("u-rsasha1", "leaf", "", "r-rsasha1", HOST, WEAK),
    ("u-rsasha512", "leaf", "", "r-rsasha512", HOST, ""),
    ("u-rsapss", "leaf", "", "r-rsapss", HOST, ""),
    ("u-rsa", "leaf", "", "r-rsa", HOST, ""),
    ("u-small", "leaf", "", "r-small", HOST, WEAK),
    ("u-pss", "leaf", "", "r-pss", HOST, ""),
    ("u-p521", "leaf", "", "r-p521", HOST, ""),
    ("u-ed25519", "leaf", "", "r-ed25519", HOST, ""),
    ("u-ed448", "leaf", "", "r-ed448", HOST, ""),
    ("u-explicit", "leaf", "", "r-explicit", HOST, ""),
    ("u-limited", "leaf", "", "r-limited", HOST, ""),
    ("k-small", "small", "inter", "root", HOST, WEAK),
    ("k-p521", "p521", "inter", "root", HOST, ""),
    ("k-p521", "p521", "inter", "root", HOST, "-tls1_2"),
    ("k-ed25519", "ed25519", "inter", "root", HOST, ""),
    ("k-ed448", "ed448", "inter", "root", HOST, ""),
    ("k-rsa", "rsa", "inter", "root", HOST, "-tls1_2"),
    ("e-server", "leaf", "inter", "root", HOST, ""),
    ("e-client", "leaf", "inter", "root", HOST, ""),
    ("e-anyeku", "leaf", "inter", "root", HOST, ""),
    ("e-code", "leaf", "inter", "root", HOST, ""),
    ("e-sgc", "leaf", "inter", "root", HOST, ""),
    ("e-kuds", "leaf", "inter", "root", HOST, ""),
    ("e-leafca", "leaf", "inter", "root", HOST, ""),
    ("e-critical", "leaf", "inter", "root", HOST, ""),
    ("e-access", "leaf", "inter", "root", HOST, ""),
    ("m-noca", "leaf", "i-noca", "root", HOST, ""),
    ("m-bare", "leaf", "i-bare", "root", HOST, ""),
    ("m-kuonly", "leaf", "i-kuonly", "root", HOST, ""),
    ("m-ekuclient", "leaf", "i-ekuclient", "root", HOST, ""),
    ("m-ekuserver", "leaf", "i-ekuserver", "root", HOST, ""),
    ("m-critical", "leaf", "i-critical", "root", HOST, ""),
    ("toodeep", "leaf", "deep i-path0", "root", HOST, ""),
    ("underx", "leaf", "newinter cross", "newroot", HOST, ""),
    ("underx", "leaf", "newinter cross", "root", HOST, ""),
    ("underx", "leaf", "newinter crossold", "newroot r-old", HOST, ""),
    ("underx", "leaf", "newinter crossold", "r-old", HOST, ""),
    ("noid", "leaf", "mimic", "root", HOST, ""),
    ("noid", "leaf", "mimic inter", "root", HOST, ""),
    ("n-many", "leaf", "inter", "root", "h299.example.com", ""),
    ("n-cn", "leaf", "inter", "root", HOST, ""),
    ("n-cnother", "leaf", "inter", "root", HOST, ""),
    ("n-cnip", "leaf", "inter", "root", HOST, ""),
    ("n-uri", "leaf", "inter", "root", HOST, ""),
    ("n-wild", "leaf", "inter", "root", HOST, ""),
    ("n-wild", "leaf", "inter", "root", "a.b.example.com", ""),
    ("n-wildtop", "leaf", "inter", "root", "example.com", ""),
    ("n-wildpart", "leaf", "inter", "root", HOST, ""),
    ("n-idn", "leaf", "inter", "root", "xn--bcher-kva.example", ""),
    ("n-idn", "leaf", "inter", "root", "b\u{fc}cher.example", ""),
    ("n-idnwild", "leaf", "inter", "root", "www.xn--bcher-kva.example", ""),
    ("n-address", "leaf", "inter", "root", "127.0.0.1", ""),
    ("n-address", "leaf", "inter", "root", "10.0.0.9", ""),
    ("n-addressdns", "leaf", "inter", "root", "127.0.0.1", ""),
    ("l-dns-a", "leaf", "l-dns", "root", HOST, ""),
    ("l-dns-b", "leaf", "l-dns", "root", "www.other.example", ""),
    ("l-xdns-a", "leaf", "l-xdns", "root", HOST, ""),
    ("l-ip-c", "leaf", "l-ip", "root", "127.0.0.1", ""),
    ("l-xip-c", "leaf", "l-xip", "root", "127.0.0.1", ""),
    ("l-xdn-a", "leaf", "l-xdn", "root", HOST, ""),
];

/// The name that webpki has for what is wrong, nothing when all is well, `no handshake` when it does not come to that.
fn webpki(ca: &[u8], host: &str, port: u16) -> Result<Option<String>, Stop> {
    let mut roots = RootCertStore::empty();
    for one in CertificateDer::pem_slice_iter(ca).flatten() {
        let _ = roots.add(one);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let mut client = ClientConnection::new(Arc::new(config), name).map_err(|error| error.to_string())?;
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(LIMIT))?;
    while client.is_handshaking() {
        while client.wants_write() {
            client.write_tls(&mut socket)?;
        }
        if !client.is_handshaking() {
            break;
        }
        match client.read_tls(&mut socket) {
            Ok(0) | Err(_) => return Ok(Some("no handshake".to_owned())),
            Ok(_) => {}
        }
        match client.process_new_packets() {
            Ok(_) => {}
            Err(rustls::Error::InvalidCertificate(why)) => {
                let _ = client.write_tls(&mut socket);
                let text = format!("{why:?}");
                let text = text.strip_prefix("Other(OtherError(").unwrap_or(&text);
                let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
                return Ok(Some(text[..end].strip_suffix("Context").unwrap_or(&text[..end]).to_owned()));
            }
            Err(_) => return Ok(Some("no handshake".to_owned())),
        }
    }
    while client.wants_write() {
        client.write_tls(&mut socket)?;
    }
    Ok(None)
}

/// The first number that `openssl verify` reports, 0 when it is content.
fn verify(all: &Authority, words: &[String]) -> Result<u64, Stop> {
    let mut command = Command::new(tool("openssl", "openssl")?);
    command.arg("verify").args(["-no-CApath", "-no-CAfile", "-no-CAstore"]).args(words).current_dir(&all.dir.0);
    let output = run(&mut command, LIMIT)?;
    let text = String::from_utf8_lossy(&output.stderr);
    let first = text.lines().find_map(|line| line.strip_prefix("error ")?.split_once(" at ")?.0.parse().ok());
    match (output.status.success(), first) {
        (true, None) => Ok(0),
        (false, Some(code)) => Ok(code),
        _ => Err(format!("openssl verify {words:?}: {text}").into()),
    }
}

/// netkit's opinions: webpki's name, OpenSSL's number, the whole object.
fn probe(all: &Authority, anchors: &str, host: &str, port: u16) -> Result<serde_json::Value, Stop> {
    let mut command = Command::new(netkit());
    command.args(["tls-probe", "--json", "--cacert", anchors, "--servername", host, &format!("127.0.0.1:{port}")]);
    let output = run(command.current_dir(&all.dir.0), LIMIT)?;
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text)
        .map_err(|error| format!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)).into())
}

/// The differences in one server's verdicts.
fn compare(all: &Authority, server: Server, port: u16) -> Result<Option<String>, Stop> {
    let (leaf, _, sent, anchors, host, _) = server;
    // Nothing trusted is said with an anchor that has to do with nothing.
    let anchors = all.bundle("anchors", if anchors.is_empty() { "r-ed448" } else { anchors })?.unwrap_or_default();
    let ascii = if host.is_ascii() { host } else { "xn--bcher-kva.example" };
    let strict = webpki(&fs::read(all.dir.0.join(&anchors))?, ascii, port)?;
    let mut words = vec!["-purpose".to_owned(), "sslserver".to_owned(), "-CAfile".to_owned(), anchors.clone()];
    let is_address = ascii.parse::<std::net::IpAddr>().is_ok();
    words.extend([if is_address { "-verify_ip" } else { "-verify_hostname" }.to_owned(), ascii.to_owned()]);
    if let Some(sent) = all.bundle("sent", sent)? {
        words.extend(["-untrusted".to_owned(), sent]);
    }
    words.push(format!("{leaf}.pem"));
    let code = verify(all, &words)?;
    let ours = probe(all, &anchors, host, port)?;
    let our_strict = ours.get("strict_error").and_then(serde_json::Value::as_str).map(str::to_owned);
    // A server that a strict client cannot even talk to is refused, whatever the words.
    let strict_fits = match &strict {
        Some(why) if why == "no handshake" => our_strict.is_some(),
        other => *other == our_strict,
    };
    if strict_fits && ours.get("openssl_code").and_then(serde_json::Value::as_u64) == Some(code) {
        return Ok(None);
    }
    Ok(Some(format!("{server:?}: webpki {strict:?}, openssl {code}\nours {ours}\n")))
}

fn servers(all: &Authority) -> Result<String, Stop> {
    assert!(SERVERS.len() >= 60);
    let mut wrong = String::new();
    for server in SERVERS {
        let (leaf, key, sent, _, _, options) = *server;
        let mut command = Command::new(tool("openssl", "openssl")?);
        command.args(["s_server", "-cert", &format!("{leaf}.pem"), "-key", &format!("{key}.key")]);
        if let Some(file) = all.bundle("chain", sent)? {
            command.args(["-cert_chain", &file]);
        }
        command.args(options.split(' ').filter(|word| !word.is_empty()));
        let (input, _held) = open_input()?;
        command.current_dir(&all.dir.0).stdin(input).stderr(Stdio::null());
        let (_server, port) = Running::accepting(&mut command)?;
        wrong.push_str(&compare(all, *server, port)?.unwrap_or_default());
    }
    Ok(wrong)
}

/// The same with nginx in the place of s_server: it sends its file as it stands.
fn nginx(all: &Authority) -> Result<String, Stop> {
    let nginx = tool("nginx", "nginx")?;
    let d = &all.dir.0;
    let mut blocks = String::new();
    let mut ports = Vec::new();
    let picked: Vec<&Server> = SERVERS.iter().filter(|server| server.5.is_empty()).step_by(4).collect();
    for (at, server) in picked.iter().enumerate() {
        let (leaf, key, sent, ..) = **server;
        let file = format!("nginx{at}.pem");
        all.bundle(&file, &format!("{leaf} {sent}"))?;
        let port = free_port()?;
        let d = d.display();
        blocks.push_str(&format!(
            "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {d}/{file}; ssl_certificate_key {d}/{key}.key; \
             ssl_protocols TLSv1.2 TLSv1.3; return 204; }}\n"
        ));
        ports.push(port);
    }
    let folder = d.display();
    fs::write(
        d.join("nginx.conf"),
        format!(
            "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/log;\nevents {{}}\nhttp {{\naccess_log off;\n\
             client_body_temp_path {folder}/t1;\nproxy_temp_path {folder}/t2;\nfastcgi_temp_path {folder}/t3;\n\
             uwsgi_temp_path {folder}/t4;\nscgi_temp_path {folder}/t5;\n{blocks}}}\n"
        ),
    )?;
    let mut command = Command::new(nginx);
    command.arg("-c").arg(d.join("nginx.conf")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let last = ports.last().copied().ok_or("no servers")?;
    let _running = Running::listening(&mut command, last)?;
    let mut wrong = String::new();
    for (server, port) in picked.iter().zip(ports) {
        wrong.push_str(&compare(all, **server, port)?.unwrap_or_default());
    }
    Ok(wrong)
}

/// `netkit openssl verify` beside `openssl verify`, to the byte, without any server.
fn chains(all: &Authority) -> Result<String, Stop> {
    let peer = tool("openssl", "openssl")?;
    let mut lines: Vec<(String, String, String)> = Vec::new();
    for (leaf, _, sent, anchors, host, _) in SERVERS.iter().filter(|server| server.4.is_ascii()) {
        let name = if host.parse::<std::net::IpAddr>().is_ok() { "-verify_ip" } else { "-verify_hostname" };
        lines.push(((*leaf).to_owned(), (*sent).to_owned(), format!("{anchors}|-purpose sslserver {name} {host}")));
        lines.push(((*leaf).to_owned(), (*sent).to_owned(), format!("{anchors}|")));
    }
    for leaf in ["k-small", "u-rsasha1", "u-small", "u-ed25519", "u-ed448", "u-p521", "u-pss", "u-rsa", "u-explicit"] {
        let (sent, anchor) = match leaf.strip_prefix("u-") {
            Some(root) => ("", format!("r-{root}")),
            None => ("inter", "root".to_owned()),
        };
        for level in 1..6 {
            lines.push((leaf.to_owned(), sent.to_owned(), format!("{anchor}|-auth_level {level}")));
        }
    }
    for (limit, _) in LIMITS {
        for (under, ..) in UNDER {
            lines.push((format!("l-{limit}-{under}"), format!("l-{limit}"), "root|-purpose sslserver".to_owned()));
        }
    }
    for (name, ..) in NAMES {
        for host in [
            "www.example.com",
            "www2.example.com",
            "a.b.example.com",
            "example.com",
            "xn--bcher-kva.example",
            "WWW.EXAMPLE.COM",
            "127.0.0.1",
        ] {
            lines.push((format!("n-{name}"), "inter".to_owned(), format!("root|-verify_hostname {host}")));
        }
    }
    for (name, _) in LEAVES {
        lines.push((format!("e-{name}"), "inter".to_owned(), "root|-purpose sslclient".to_owned()));
        lines.push((format!("e-{name}"), "inter".to_owned(), "root|-purpose sslserver -show_chain".to_owned()));
    }
    for (leaf, sent, rest) in [
        ("good", "", "inter|-partial_chain"),
        ("good", "", "good|-partial_chain"),
        ("good", "", "good|"),
        ("good", "inter", "root|-verify_depth 0"),
        ("good", "inter", "root|-attime 1000000000"),
        ("good", "inter", "root|-no_check_time -verify_email a@b"),
        ("e-critical", "inter", "root|-ignore_critical -nameopt RFC2253"),
        ("expired", "inter", "root|-no_check_time"),
        ("good", "inter", "root|-verify_hostname .example.com"),
        ("underx", "newinter cross crossold", "root r-old|"),
        ("underx", "newinter", "cross|-partial_chain"),
        ("underx", "newinter", "cross|"),
    ] {
        lines.push((leaf.to_owned(), sent.to_owned(), rest.to_owned()));
    }
    let mut wrong = String::new();
    for (leaf, sent, rest) in &lines {
        let (anchors, options) = rest.split_once('|').unwrap_or((rest, ""));
        let mut words: Vec<String> = ["-no-CApath", "-no-CAfile", "-no-CAstore"].map(str::to_owned).to_vec();
        if let Some(file) = all.bundle("verify-anchors", anchors)? {
            words.extend(["-CAfile".to_owned(), file]);
        }
        if let Some(file) = all.bundle("verify-sent", sent)? {
            words.extend(["-untrusted".to_owned(), file]);
        }
        words.extend(options.split(' ').filter(|word| !word.is_empty()).map(str::to_owned));
        words.push(format!("{leaf}.pem"));
        let say = |command: &mut Command| -> Result<String, Stop> {
            let output = run(command.arg("verify").args(&words).current_dir(&all.dir.0), LIMIT)?;
            let talk = String::from_utf8_lossy(&output.stderr).into_owned();
            // The peer's queue of errors begins with the number of a thread.
            let talk: Vec<&str> = talk.lines().filter(|line| !line.contains(":error:")).collect();
            Ok(format!("{:?} {}{}", output.status.code(), String::from_utf8_lossy(&output.stdout), talk.join("\n")))
        };
        let theirs = say(&mut Command::new(&peer))?;
        let ours = say(Command::new(netkit()).arg("openssl"))?;
        if theirs != ours {
            wrong.push_str(&format!("# {leaf} [{sent}] {rest}\n--- theirs {theirs}\n--- ours {ours}\n"));
        }
    }
    assert!(lines.len() > 350, "{}", lines.len());
    Ok(wrong)
}
