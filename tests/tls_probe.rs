//! tls-probe against servers with every kind of certificate, and `openssl x509` against OpenSSL itself.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use libtest_mimic::Trial;

use crate::lab::tls::{Running, certificates, free_port, open_input, openssl};
use crate::lab::{Stop, TempDir, namespaces, netkit, run, same, tool, trial};

const LIMIT: Duration = Duration::from_secs(300);

pub fn trials() -> Vec<Trial> {
    vec![
        trial("tls_probe::certificates_as_openssl_shows_them", shown),
        trial("tls_probe::combined_certificates_as_openssl_shows_them", combined),
        trial("tls_probe::without_privilege", unprivileged),
        trial("tls_probe::trust_of_a_process", trust_of),
        trial("tls_probe::verdicts", verdicts),
        trial("tls_probe::not_tls", not_tls),
        trial("tls_probe::starttls", starttls),
        trial("tls_probe::cert_files", cert_files),
        trial("tls_probe::refused", refused),
    ]
}

const EXTENSIONS: &[&str] = &[
    "basicConstraints=critical,CA:TRUE",
    "basicConstraints=CA:FALSE",
    "basicConstraints=CA:TRUE,pathlen:3",
    "keyUsage=critical,digitalSignature,keyEncipherment",
    "keyUsage=nonRepudiation,dataEncipherment,keyAgreement,encipherOnly,decipherOnly",
    "extendedKeyUsage=serverAuth,clientAuth",
    "extendedKeyUsage=critical,anyExtendedKeyUsage,1.2.3.4.5,msSGC,ipsecIKE,codeSigning",
    "subjectAltName=DNS:a.example,DNS:*.b.example,IP:10.0.0.1,IP:2001:db8::1",
    "subjectAltName=critical,email:x@y,URI:spiffe://td/ns/a/sa/b,RID:1.2.3.4",
    "subjectAltName=otherName:1.2.3.4;UTF8:some other,otherName:1.3.6.1.4.1.311.20.2.3;UTF8:user@dom",
    "subjectAltName=dirName:dn",
    "issuerAltName=DNS:issuer.example",
    "authorityKeyIdentifier=keyid",
    "authorityKeyIdentifier=keyid:always,issuer:always",
    "authorityInfoAccess=OCSP;URI:http://ocsp.example/,caIssuers;URI:http://ca.example/ca.der",
    "crlDistributionPoints=URI:http://crl.example/a.crl,URI:http://crl.example/b.crl",
    "crlDistributionPoints=cdp",
    "certificatePolicies=1.2.3.4,@pol,2.5.29.32.0",
    "nameConstraints=critical,permitted;DNS:example.com,permitted;IP:10.0.0.0/255.0.0.0,excluded;email:bad.example",
    "policyConstraints=requireExplicitPolicy:3,inhibitPolicyMapping:1",
    "inhibitAnyPolicy=2",
    "nsComment=hello comment",
    "nsCertType=server,client",
    "tlsfeature=status_request",
    "noCheck=ignored",
    "1.2.3.4.5.6=ASN1:UTF8String:unknown ext",
    "1.2.3.4.5.7=critical,DER:04:03:00:ff:41",
    "1.3.6.1.4.1.11129.2.4.3=critical,ASN1:NULL",
];

const SUBJECTS: &[&str] = &[
    "/CN=simple",
    "/C=DE/ST=Bayern/L=M\u{fc}nchen/O=A, B/OU=x+y/CN=a \"q\"",
    "/DC=org/DC=example/CN=x/emailAddress=a@b",
    "/CN= lead",
    "/CN=trail ",
    "/CN=#hash",
    "/CN=a;b<c>d\\\\e",
    "/UID=u1/title=T/SN=s/GN=g/initials=i/serialNumber=1",
];

const KEYS: &[(&str, &str)] = &[
    ("rsa", "genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048"),
    ("small", "genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:1024"),
    ("pss", "genpkey -algorithm rsa-pss -pkeyopt rsa_keygen_bits:2048"),
    ("p256", "genpkey -algorithm ec -pkeyopt ec_paramgen_curve:P-256"),
    ("p384", "genpkey -algorithm ec -pkeyopt ec_paramgen_curve:P-384"),
    ("p521", "genpkey -algorithm ec -pkeyopt ec_paramgen_curve:P-521"),
    ("k256", "genpkey -algorithm ec -pkeyopt ec_paramgen_curve:secp256k1"),
    ("ed25519", "genpkey -algorithm ed25519"),
    ("ed448", "genpkey -algorithm ed448"),
];

/// What `openssl req` reads for a certificate with these extensions.
fn configuration(extensions: &[&str]) -> String {
    format!(
        "[req]\ndistinguished_name=d\n[d]\n[v]\n{}\n[dn]\nC=UK\nO=Org\nCN=dir, name\n[pol]\npolicyIdentifier=1.3.5.8\n\
         CPS.1=http://cps.example/\nuserNotice.1=@un\n[un]\nexplicitText=Some text\norganization=Org Name\n\
         noticeNumbers=1,2\n[cdp]\nfullname=URI:http://c/x.crl\nCRLissuer=dirName:dn\nreasons=keyCompromise,CACompromise\n",
        extensions.join("\n")
    )
}

/// Three hundred certificates with several extensions each, chosen by a fixed sequence.
fn combined() -> Result<(), Stop> {
    let peer = tool("openssl", "openssl")?;
    let dir = TempDir::new("x509-many")?;
    let d = &dir.0;
    let keys = ["p256", "ed25519", "p384", "k256"];
    for (name, line) in KEYS.iter().filter(|(name, _)| keys.contains(name)) {
        openssl(d, &format!("{line} -out {name}.key"))?;
    }
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 11).unwrap_or(0) % below
    };
    let mut wrong = String::new();
    for number in 0..300 {
        let mut extensions: Vec<&str> = Vec::new();
        for _ in 0..2 + next(6) {
            let Some(one) = EXTENSIONS.get(next(EXTENSIONS.len())).copied() else { continue };
            let name = one.split('=').next();
            if !extensions.iter().any(|held| held.split('=').next() == name) {
                extensions.push(one);
            }
        }
        fs::write(d.join("conf"), configuration(&extensions))?;
        let serial = format!("{:#x}{:08x}", 1 + next(1 << 20), next(1 << 30));
        let (Some(key), Some(subject)) = (keys.get(next(keys.len())), SUBJECTS.get(next(SUBJECTS.len()))) else {
            continue;
        };
        let mut command = Command::new(&peer);
        command.args(["req", "-new", "-x509", "-config", "conf", "-utf8", "-days", "30", "-extensions", "v", "-text"]);
        command.args(["-subj", subject, "-set_serial", &serial, "-key", &format!("{key}.key"), "-out", "made"]);
        let output = run(command.current_dir(d), LIMIT)?;
        if !output.status.success() {
            return Err(format!("{extensions:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let made = fs::read_to_string(d.join("made"))?;
        let theirs = made.split("-----BEGIN").next().unwrap_or_default();
        let mut command = Command::new(netkit());
        let output = run(command.args(["openssl", "x509", "-in", "made", "-noout", "-text"]).current_dir(d), LIMIT)?;
        let ours = String::from_utf8_lossy(&output.stdout);
        if theirs != ours {
            wrong.push_str(&format!("# {number} {extensions:?}\n--- theirs {theirs}\n--- ours {ours}\n"));
        }
    }
    same("differences from openssl x509 -text", &wrong, "")
}

/// As nobody, with an empty environment, in a directory that may not be written to.
fn unprivileged() -> Result<(), Stop> {
    let setpriv = tool("setpriv", "util-linux")?;
    namespaces()?;
    let dir = certificates("tls-nobody")?;
    let d = &dir.0;
    let binary = crate::lab::binary_for_everybody(d)?;
    let port = free_port()?;
    let mut command = Command::new(tool("openssl", "openssl")?);
    command.args(["s_server", "-quiet", "-cert", "s.pem", "-key", "s.key", "-accept", &format!("127.0.0.1:{port}")]);
    let (input, _held) = open_input()?;
    command.current_dir(d).stdin(input).stdout(Stdio::null()).stderr(Stdio::null());
    let _server = Running::listening(&mut command, port)?;
    let ca = d.join("ca.pem").display().to_string();
    let here = format!("127.0.0.1:{port}");
    for (words, wanted) in [
        (vec!["tls-probe", "--cacert", &ca, &here], "result       fine"),
        (vec!["tls-probe", "--json", "--cacert", &ca, "--servername", "localhost", &here], "\"status\":0"),
        (vec!["tls-probe", "cert", &ca], "LabCA"),
        (vec!["openssl", "s_client", "-connect", &here, "-CAfile", &ca], "Verify return code: 0 (ok)"),
        (vec!["openssl", "x509", "-in", &ca, "-noout", "-subject"], "subject=O = Lab, CN = LabCA"),
        (vec!["openssl", "verify", "-CAfile", &ca, &ca], ": OK"),
    ] {
        let mut command = Command::new(&setpriv);
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", "--bounding-set=-all"]);
        command.arg(&binary).args(&words).env_clear().current_dir("/");
        let output = run(&mut command, LIMIT)?;
        let text = String::from_utf8_lossy(&output.stdout);
        if output.status.code() != Some(0) || !text.contains(wanted) {
            let talk = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{words:?}: {:?}\n{text}{talk}", output.status).into());
        }
    }
    Ok(())
}

/// A process whose environment names its anchors: what it trusts is trusted, and nothing else.
fn trust_of() -> Result<(), Stop> {
    let dir = certificates("tls-trust-of")?;
    let d = &dir.0;
    let port = free_port()?;
    let mut command = Command::new(tool("openssl", "openssl")?);
    command.args(["s_server", "-quiet", "-cert", "s.pem", "-key", "s.key", "-accept", &format!("127.0.0.1:{port}")]);
    let (input, _held) = open_input()?;
    command.current_dir(d).stdin(input).stdout(Stdio::null()).stderr(Stdio::null());
    // The server itself is the process: it stands there as long as it is needed.
    command.env("SSL_CERT_FILE", d.join("ca.pem")).env("NODE_EXTRA_CA_CERTS", "/nowhere.pem");
    let server = Running::listening(&mut command, port)?;
    let pid = server.0.id().to_string();
    let here = format!("localhost:{port}");
    for (words, status, wanted) in [
        (vec!["tls-probe", "--trust-of", &pid, &here], 0, "anchor       O = Lab, CN = LabCA from /proc/"),
        (vec!["tls-probe", "--trust-of", &pid, &here], 0, "NODE_EXTRA_CA_CERTS=/nowhere.pem"),
        (vec!["tls-probe", &here], 9, "anchor       none matched"),
        (vec!["tls-probe", "cert", "--trust-of", &pid, "s.pem"], 0, "from /proc/"),
        (vec!["tls-probe", "--trust-of", "4194305", &here], 2, "process 4194305"),
    ] {
        let mut command = Command::new(netkit());
        command.args(&words).current_dir(d).env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
        let output = run(&mut command, LIMIT)?;
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if output.status.code() != Some(status) || !text.contains(wanted) {
            return Err(format!("{words:?}: wanted {status} and `{wanted}`: {:?}\n{text}", output.status).into());
        }
    }
    Ok(())
}

/// The same lines with both programs on certificates of every key and extension.
fn shown() -> Result<(), Stop> {
    let peer = tool("openssl", "openssl")?;
    let dir = TempDir::new("x509")?;
    let d = &dir.0;
    for (name, line) in KEYS {
        openssl(d, &format!("{line} -out {name}.key"))?;
    }
    let mut made = Vec::new();
    let mut make = |key: &str, subject: &str, extensions: &[&str], more: &str| -> Result<(), Stop> {
        let number = made.len();
        fs::write(d.join("conf"), configuration(extensions))?;
        let mut command = Command::new(&peer);
        command.args([
            "req",
            "-new",
            "-x509",
            "-config",
            "conf",
            "-utf8",
            "-days",
            "30",
            "-extensions",
            "v",
            "-subj",
            subject,
        ]);
        command.args(["-key", &format!("{key}.key"), "-out", &format!("{number}.pem")]);
        command.args(more.split(' ').filter(|word| !word.is_empty())).current_dir(d);
        let output = run(&mut command, LIMIT)?;
        if !output.status.success() {
            return Err(format!("{subject} {extensions:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        made.push(number);
        Ok(())
    };
    for (key, _) in KEYS {
        make(key, "/CN=key", &["basicConstraints=CA:TRUE", "subjectKeyIdentifier=hash"], "")?;
    }
    for extension in EXTENSIONS {
        make("p256", "/CN=e", &[extension], "")?;
    }
    for subject in SUBJECTS {
        make("p256", subject, &["subjectAltName=dirName:dn"], "")?;
    }
    for serial in ["0", "1", "0x7fffffffffffffff", "0x8000000000000000", "-1", "-255", "0x1234567890abcdef1234567890ab"]
    {
        make("p256", "/CN=s", &[], &format!("-set_serial {serial}"))?;
    }
    for more in
        ["-sha1", "-sha384", "-sigopt rsa_padding_mode:pss", "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:20"]
    {
        make("rsa", "/CN=md", &[], more)?;
    }
    let mut wrong = String::new();
    for number in &made {
        let words = "-noout -text -dates -subject -issuer -serial -fingerprint -email -ocsp_uri -pubkey -modulus";
        let rare = ["-noout -fingerprint -sha256 -subject -issuer -nameopt RFC2253", "-noout -checkend 864000000", ""];
        // Each run of a program costs; what does not depend on the extensions is tried on some.
        let rare = rare.iter().filter(|_| number % 8 == 0);
        for words in std::iter::once(words).chain(rare.copied()) {
            let show = |program: &Path, first: &[&str]| -> Result<String, Stop> {
                let mut command = Command::new(program);
                command.args(first).args(["x509", "-in", &format!("{number}.pem")]);
                command.args(words.split(' ').filter(|word| !word.is_empty())).current_dir(d);
                let output = run(&mut command, LIMIT)?;
                Ok(format!("{:?}\n{}", output.status.code(), String::from_utf8_lossy(&output.stdout)))
            };
            let (theirs, ours) = (show(&peer, &[])?, show(&netkit(), &["openssl"])?);
            if theirs != ours {
                wrong.push_str(&format!("# {number} {words}\n--- theirs {theirs}\n--- ours {ours}\n"));
            }
        }
    }
    same("differences from openssl x509", &wrong, "")
}

/// Chains and what is said of each: status, strict verdict, OpenSSL's number.
fn verdicts() -> Result<(), Stop> {
    let dir = certificates("tls-probe")?;
    let d = &dir.0;
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    let leaf = |name: &str, subject: &str, names: &str, more: &str| -> Result<(), Stop> {
        fs::write(d.join("leaf"), names)?;
        openssl(d, &format!("req {key} -keyout {name}.key -out {name}.csr -subj {subject}"))?;
        openssl(
            d,
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem -extfile leaf {more}"
            ),
        )
    };
    leaf("old", "/CN=localhost", "subjectAltName=DNS:localhost", "-days -1")?;
    leaf("other", "/CN=other", "subjectAltName=DNS:other.example", "-days 30")?;
    leaf("common", "/CN=localhost", "keyUsage=digitalSignature", "-days 30")?;
    leaf("client", "/CN=localhost", "subjectAltName=DNS:localhost\nextendedKeyUsage=clientAuth", "-days 30")?;
    leaf("spiffe", "/O=mesh", "subjectAltName=DNS:localhost,URI:spiffe://td/ns/a/sa/b", "-days 30")?;
    leaf(
        "fake",
        "/O=Acme/CN=Kubernetes_Ingress_Controller_Fake_Certificate",
        "subjectAltName=DNS:ingress.local",
        "-days 30",
    )?;
    openssl(
        d,
        &format!(
            "req -x509 {key} -keyout self.key -out self.pem -subj /CN=localhost -addext subjectAltName=DNS:localhost -days 30"
        ),
    )?;
    for (name, more, words, status, wanted) in [
        ("s", "", "--cacert ca.pem", 0, "strict       accepted\nopenssl      0 (ok)\nresult       fine\n"),
        ("s", "", "", 9, "openssl      20 (unable to get local issuer certificate)"),
        ("s", "-tls1_2", "--cacert ca.pem --alpn h2", 0, "protocol     TLSv1.2, ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("s", "-alpn h2", "--cacert ca.pem", 0, "alpn         h2 (offered: h2,http/1.1)"),
        ("s", "", "--cacert ca.pem --servername other", 8, "openssl      62 ("),
        ("s", "", "--cacert ca.pem --connect 127.0.0.1:PORT", 0, "result       fine"),
        ("s", "", "--cacert ca.pem --noservername", 0, "asking for no name"),
        ("s", "", "--cacert ca.pem --min-left 31d", 7, "less left than --min-left asks for"),
        (
            "s",
            "-tls1_2 -Verify 1 -CAfile ca.pem",
            "--cacert ca.pem",
            11,
            "result       client certificate wanted (status 11)",
        ),
        (
            "s",
            "-verify 1 -CAfile ca.pem",
            "--cacert ca.pem",
            0,
            "asks         for a client certificate of: O = Lab, CN = LabCA",
        ),
        (
            "s",
            "-Verify 1 -CAfile ca.pem -verify_return_error",
            "--cacert ca.pem --cert self.pem --key self.key",
            11,
            "refuses the certificate it was shown",
        ),
        ("old", "", "--cacert ca.pem", 7, "openssl      10 (certificate has expired)"),
        ("other", "", "--cacert ca.pem", 8, "result       other name (status 8)"),
        ("common", "", "--cacert ca.pem", 0, "strict       refused: NotValidForName"),
        ("client", "", "--cacert ca.pem", 10, "openssl      26 (unsuitable certificate purpose)"),
        ("self", "", "", 9, "openssl      18 (self-signed certificate)"),
        ("self", "", "--cacert self.pem", 0, "strict       refused: CaUsedAsEndEntity"),
        ("s", "-Verify 1 -CAfile ca.pem", "--cacert ca.pem", 11, "result       client certificate wanted (status 11)"),
        ("s", "-Verify 1 -CAfile ca.pem", "--cacert ca.pem --cert s.pem --key s.key", 0, "result       fine"),
        ("spiffe", "", "--cacert ca.pem", 0, "known        a SPIFFE identity"),
        ("s", "-tls1_1 -cipher ALL:@SECLEVEL=0", "--cacert ca.pem", 6, "result       handshake (status 6)"),
    ] {
        let port = free_port()?;
        let mut command = Command::new(tool("openssl", "openssl")?);
        command.args(["s_server", "-quiet", "-cert", &format!("{name}.pem"), "-key", &format!("{name}.key")]);
        command.args(more.split(' ').filter(|word| !word.is_empty())).args(["-accept", &format!("127.0.0.1:{port}")]);
        let (input, _held) = open_input()?;
        command.current_dir(d).stdin(input).stdout(Stdio::null()).stderr(Stdio::null());
        let _server = Running::listening(&mut command, port)?;
        let mut command = Command::new(netkit());
        command
            .arg("tls-probe")
            .args(words.replace("PORT", &port.to_string()).split(' ').filter(|word| !word.is_empty()));
        command.arg(format!("localhost:{port}")).current_dir(d).env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
        let output = run(&mut command, LIMIT)?;
        let text = String::from_utf8_lossy(&output.stdout);
        if output.status.code() != Some(status) || !text.contains(wanted) {
            let talk = String::from_utf8_lossy(&output.stderr);
            return Err(format!(
                "{name} {more} {words}: wanted {status} and `{wanted}`\n{:?}\n{text}{talk}",
                output.status
            )
            .into());
        }
    }
    Ok(())
}

fn not_tls() -> Result<(), Stop> {
    for (greeting, status, wanted) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], 5, "plain HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", 5, "not TLS: SSH"),
        (b"220 mail ESMTP\r\n", 5, "--starttls smtp"),
        (b"* OK ready\r\n", 5, "--starttls imap"),
        (b"-ERR what\r\n", 5, "Redis"),
        (b"J\0\0\0\x0a8.0.1\0", 5, "MySQL"),
        (b"\0\0\x12\x04\0\0\0\0\0\0\x03", 5, "HTTP/2 in plain text"),
        (b"\x30\x0c\x02\x01\x00\x78", 5, "--starttls ldap"),
        (b"E\0\0\0\x40SFATAL", 5, "--starttls postgres"),
        (b"-DENIED Redis", 5, "protected mode"),
        (b"\x01\x02\x03\x04\x05", 5, "it sends 0102030405"),
        (b"", 6, "closed right after the hello"),
        (b"\x15\x03\x01\0\x02\x02\x28", 6, "handshake failure"),
        (b"\x16\x03\x03\xff\xff", 6, "handshake (status 6)"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let server = std::thread::spawn(move || -> std::io::Result<()> {
            use std::io::Read as _;
            let (mut stream, _) = listener.accept()?;
            let mut hello = [0u8; 2048];
            let _ = stream.read(&mut hello)?;
            let _ = stream.write_all(greeting);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            while matches!(stream.read(&mut hello), Ok(1..)) {}
            Ok(())
        });
        let output = run(Command::new(netkit()).args(["tls-probe", &format!("127.0.0.1:{port}")]), LIMIT)?;
        server.join().map_err(|_| "server died")??;
        let text = String::from_utf8_lossy(&output.stdout);
        if output.status.code() != Some(status) || !text.contains(wanted) {
            return Err(format!("{greeting:?}: wanted {status} and `{wanted}`\n{:?}\n{text}", output.status).into());
        }
    }
    let port = free_port()?;
    let output = run(Command::new(netkit()).args(["tls-probe", &format!("127.0.0.1:{port}")]), LIMIT)?;
    if output.status.code() != Some(4) {
        return Err(format!("a closed port: {:?}", output.status).into());
    }
    Ok(())
}

/// The words before TLS: a server that plays each part and then closes, so that the probe gets as far as its hello.
fn starttls() -> Result<(), Stop> {
    let ldap: &[u8] = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\0\x04\0\x04\0";
    let mut mysql = b"\x4a\0\0\0\x0a8.0.1\0\x01\0\0\0abcdefgh\0".to_vec();
    mysql.extend([0xff, 0xff]);
    mysql.resize(78, 0);
    for (protocol, first, script, heard) in [
        ("smtp", &b"220 mail\r\n"[..], vec![&b"250-mail\r\n250 STARTTLS\r\n"[..], b"220 go\r\n"], &b"STARTTLS\r\n"[..]),
        ("imap", b"* OK ready\r\n", vec![b"a OK go\r\n"], b"a STARTTLS\r\n"),
        ("pop3", b"+OK ready\r\n", vec![b"+OK go\r\n"], b"STLS\r\n"),
        ("ftp", b"220 ftp\r\n", vec![b"234 go\r\n"], b"AUTH TLS\r\n"),
        ("postgres", b"", vec![b"S"], b"\0\0\0\x08\x04\xd2\x16\x2f"),
        ("mysql", &mysql, vec![b""], b"\x20\0\0\x01"),
        ("ldap", b"", vec![ldap], b"1.3.6.1.4.1.1466.20037"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let first = first.to_vec();
        let script: Vec<Vec<u8>> = script.into_iter().map(<[u8]>::to_vec).collect();
        let server = std::thread::spawn(move || -> std::io::Result<Vec<u8>> {
            use std::io::Read as _;
            let (mut stream, _) = listener.accept()?;
            stream.write_all(&first)?;
            let mut all = Vec::new();
            let mut buffer = [0u8; 2048];
            for answer in script {
                let length = stream.read(&mut buffer)?;
                all.extend_from_slice(buffer.get(..length).unwrap_or_default());
                stream.write_all(&answer)?;
            }
            // The hello may come in one piece with what stands before it.
            while !all.windows(3).any(|three| three == [0x16, 3, 1]) {
                match stream.read(&mut buffer)? {
                    0 => break,
                    length => all.extend_from_slice(buffer.get(..length).unwrap_or_default()),
                }
            }
            Ok(all)
        });
        let mut command = Command::new(netkit());
        command.args(["tls-probe", "--starttls", protocol, &format!("127.0.0.1:{port}")]);
        let output = run(&mut command, LIMIT)?;
        let all = server.join().map_err(|_| "server died")??;
        let text = String::from_utf8_lossy(&output.stdout);
        let said = all.windows(heard.len()).any(|window| window == heard);
        let hello = all.windows(3).any(|three| three == [0x16, 3, 1]);
        if output.status.code() != Some(6) || !said || !hello || !text.contains("starttls") {
            return Err(format!("{protocol}: {:?} said {said}, hello {hello}\n{text}", output.status).into());
        }
    }
    Ok(())
}

fn cert_files() -> Result<(), Stop> {
    let dir = certificates("tls-cert")?;
    let d = &dir.0;
    openssl(d, "x509 -in s.pem -outform DER -out s.der")?;
    openssl(d, "crl2pkcs7 -nocrl -certfile s.pem -certfile ca.pem -out both.p7")?;
    openssl(d, "crl2pkcs7 -nocrl -certfile s.pem -outform DER -out one.p7")?;
    openssl(d, "base64 -A -in s.pem -out s.b64")?;
    let secret = format!("apiVersion: v1\nkind: Secret\ndata:\n  tls.crt: {}\n", fs::read_to_string(d.join("s.b64"))?);
    fs::write(d.join("secret.yaml"), secret)?;
    for (file, count) in [("s.pem", 1), ("s.der", 1), ("both.p7", 2), ("one.p7", 1), ("secret.yaml", 1)] {
        let output = run(Command::new(netkit()).args(["tls-probe", "cert", file]).current_dir(d), LIMIT)?;
        let text = String::from_utf8_lossy(&output.stdout);
        if output.status.code() != Some(0)
            || text.matches("\n  sha256 ").count() != count
            || !text.contains("subject      O = Acme, CN = localhost")
        {
            return Err(
                format!("{file}: {:?}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr)).into()
            );
        }
    }
    // What belongs together and what does not.
    let base64 = |file: &str| -> Result<String, Stop> {
        openssl(d, &format!("base64 -A -in {file} -out b64"))?;
        Ok(fs::read_to_string(d.join("b64"))?)
    };
    let (leaf, key, ca, other) = (base64("s.pem")?, base64("s.key")?, base64("ca.pem")?, base64("ca.key")?);
    fs::write(
        d.join("tls.yaml"),
        format!("kind: Secret\ndata:\n  ca.crt: {ca}\n  tls.crt: {leaf}\n  tls.key: {key}\n"),
    )?;
    fs::write(d.join("mixed.yaml"), format!("kind: Secret\ndata:\n  tls.crt: {leaf}\n  tls.key: {other}\n"))?;
    fs::write(
        d.join("tls.json"),
        format!("{{\"data\":{{\"ca.crt\":\"{ca}\",\"tls.crt\":\"{leaf}\",\"tls.key\":\"{key}\"}}}}"),
    )?;
    fs::write(
        d.join("kubeconfig"),
        format!(
            "clusters:\n- cluster:\n    certificate-authority-data: {ca}\nusers:\n- user:\n    client-certificate-data: {leaf}\n    client-key-data: {key}\n"
        ),
    )?;
    let pem = fs::read_to_string(d.join("ca.pem"))?;
    fs::write(d.join("map.json"), format!("{{\"data\":{{\"ca.crt\":\"{}\"}}}}", pem.replace('\n', "\\n")))?;
    let block: String = pem.lines().map(|line| format!("    {line}\n")).collect();
    fs::write(d.join("map.yaml"), format!("data:\n  ca.crt: |\n{block}kind: ConfigMap\n"))?;
    openssl(d, "pkey -in s.key -traditional -out sec1.key")?;
    for (words, status, wanted) in [
        ("tls.yaml", 0, "key 0        matches certificate 1"),
        ("tls.yaml", 0, "anchor       O = Lab, CN = LabCA from the same file"),
        ("tls.yaml", 0, "certificate 0 (ca.crt)"),
        ("tls.json", 0, "openssl      0 (ok)"),
        ("tls.yaml --servername other.example", 8, "openssl      62 (hostname mismatch)"),
        ("tls.yaml --json", 0, "\"anchor\":\"O = Lab, CN = LabCA\""),
        ("mixed.yaml", 12, "key 0        matches none of the certificates"),
        ("kubeconfig", 0, "key 0        matches certificate 1"),
        ("map.json", 0, "certificate 0 (ca.crt)"),
        ("map.yaml", 0, "certificate 0 (ca.crt)"),
        ("s.pem --key sec1.key --cacert ca.pem", 0, "chain        O = Acme, CN = localhost <- O = Lab, CN = LabCA"),
        ("s.pem --key ca.key", 12, "matches none"),
        ("s.pem --cacert s.pem", 9, "openssl      20 (unable to get local issuer certificate)"),
        ("s.pem --min-left 99%", 0, "sha256"),
        ("s.pem --min-left 31d", 7, "sha256"),
        ("s.pem --pem", 0, "-----BEGIN CERTIFICATE-----"),
    ] {
        let mut command = Command::new(netkit());
        let output = run(command.args(["tls-probe", "cert"]).args(words.split(' ')).current_dir(d), LIMIT)?;
        let text = String::from_utf8_lossy(&output.stdout);
        if output.status.code() != Some(status) || !text.contains(wanted) {
            let talk = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{words}: wanted {status} and `{wanted}`: {:?}\n{text}{talk}", output.status).into());
        }
    }
    for (file, bytes) in [("empty", &b""[..]), ("noise", b"\x30\x82\xff\xff\x01"), ("text", b"hello")] {
        fs::write(d.join(file), bytes)?;
        let output = run(Command::new(netkit()).args(["tls-probe", "cert", file]).current_dir(d), LIMIT)?;
        if output.status.code() != Some(2) {
            return Err(format!("{file}: {:?}", output.status).into());
        }
    }
    Ok(())
}

fn refused() -> Result<(), Stop> {
    for (line, wanted) in [
        ("tls-probe", "a HOST[:PORT] is wanted"),
        ("tls-probe --bogus h", "unrecognized option '--bogus'"),
        ("tls-probe --starttls xmpp h", "`xmpp`"),
        ("openssl s_client -groups X25519 -connect h:1", "-groups is not offered"),
        ("openssl verify -crl_check x.pem", "-crl_check is not offered"),
        ("tls-probe --min-left 5 h", "neither a share nor a time"),
        ("tls-probe --trust-of x h", "`x` is no process id"),
        ("tls-probe cert --bogus f", "unrecognized option '--bogus'"),
        ("openssl req -new", "req is not offered"),
        ("openssl x509 -bogus", "-bogus is not offered"),
    ] {
        let output = run(Command::new(netkit()).args(line.split(' ')), LIMIT)?;
        let talk = String::from_utf8_lossy(&output.stderr);
        if output.status.code() != Some(2) || !talk.contains(wanted) {
            return Err(format!("{line}: {:?} {talk}", output.status).into());
        }
    }
    Ok(())
}
