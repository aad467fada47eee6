//! curl over TLS and HTTP/2 from nginx, and what every kind of bad certificate does.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::lab::proxy::Running;
use crate::lab::tls::free_port;
use crate::lab::{Stop, TempDir, netkit, run, tool, trial};

const LIMIT: Duration = Duration::from_secs(300);

pub fn trials() -> Vec<Trial> {
    vec![
        trial("curl_tls::trust", trust),
        trial("curl_tls::http2", http2),
        trial("curl_tls::same_as_the_peer", same_as_the_peer),
        trial("curl_tls::proxy_over_tls", proxy_over_tls),
        trial("curl_tls::names_over_https", names_over_https),
    ]
}

/// nginx with several certificates; it ends with the value.
struct Nginx {
    child: Child,
    dir: TempDir,
    /// TLS with h2, TLS self-signed, TLS version 1 certificate, TLS that wants a client's, h2 without TLS, plain.
    ports: [u16; 6],
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn openssl(dir: &Path, line: &str) -> Result<(), Stop> {
    let openssl = tool("openssl", "openssl")?;
    let output = run(Command::new(openssl).args(line.split(' ')).current_dir(dir), LIMIT)?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned().into()) }
}

impl Nginx {
    fn start() -> Result<Nginx, Stop> {
        let nginx = tool("nginx", "nginx-light")?;
        let dir = TempDir::new("curl-tls")?;
        let d = &dir.0;
        openssl(d, "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=LabCA -days 30")?;
        openssl(d, "req -newkey rsa:2048 -nodes -keyout s.key -out s.csr -subj /CN=localhost")?;
        fs::write(d.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1")?;
        openssl(d, "x509 -req -in s.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out s.pem -days 30 -extfile names")?;
        openssl(d, "x509 -req -in s.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out v1.pem -days 30")?;
        openssl(
            d,
            "req -x509 -newkey rsa:2048 -nodes -keyout self.key -out self.pem -subj /CN=localhost -addext subjectAltName=DNS:localhost -days 30",
        )?;
        fs::write(d.join("index.html"), "index\n")?;
        fs::write(
            d.join("big"),
            (0..3_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>(),
        )?;
        let mut ports = [0; 6];
        for port in &mut ports {
            *port = free_port()?;
        }
        let root = d.display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {root}/t-{name};\n"))
            .concat();
        let server = |listen: String, cert: &str, key: &str, more: &str| {
            let tls = if cert.is_empty() {
                String::new()
            } else {
                format!("ssl_certificate {root}/{cert}; ssl_certificate_key {root}/{key};")
            };
            format!(
                "server {{ listen 127.0.0.1:{listen}; {tls} {more} root {root}; \
                 location /echo {{ return 200 \"$request_method $content_length $server_protocol\\n\"; }} location /r {{ return 302 /index.html; }} }}\n"
            )
        };
        let conf = [
            format!(
                "daemon off; pid {root}/pid; error_log {root}/log; worker_processes 1; events {{ worker_connections 64; }}\nhttp {{ access_log off; client_max_body_size 100m; gzip on; gzip_types text/plain; gzip_min_length 1;\n{temporary}"
            ),
            server(format!("{} ssl http2", ports[0]), "s.pem", "s.key", ""),
            server(format!("{} ssl", ports[1]), "self.pem", "self.key", ""),
            server(format!("{} ssl", ports[2]), "v1.pem", "s.key", ""),
            server(
                format!("{} ssl", ports[3]),
                "s.pem",
                "s.key",
                &format!("ssl_client_certificate {root}/ca.pem; ssl_verify_client on;"),
            ),
            server(format!("{} http2", ports[4]), "", "", ""),
            server(format!("{}", ports[5]), "", "", ""),
            "}\n".to_owned(),
        ];
        fs::write(d.join("conf"), conf.concat())?;
        let child = Command::new(nginx)
            .arg("-p")
            .arg(d)
            .arg("-c")
            .arg(d.join("conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let nginx = Nginx { child, dir, ports };
        let until = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", ports[5])).is_err() {
            if Instant::now() > until {
                return Err(format!(
                    "nginx did not start: {}",
                    fs::read_to_string(nginx.dir.0.join("log")).unwrap_or_default()
                )
                .into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(nginx)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.0.join(name)
    }

    /// Words in which `@N` is the origin of server N and `+FILE` a file.
    fn curl(&self, binary: &Path, line: &str) -> Result<Output, Stop> {
        let mut command = Command::new(binary);
        if binary == netkit() {
            command.arg("curl");
        }
        command.args(["-q", "-sS"]).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &self.dir.0);
        for word in line.split(' ') {
            let mut word = word.to_owned();
            for (number, port) in self.ports.iter().enumerate() {
                word = word.replace(&format!("@{number}"), &format!("localhost:{port}"));
            }
            match word.strip_prefix('+') {
                Some(file) => command.arg(self.path(file)),
                None => command.arg(word),
            };
        }
        run(command.current_dir(&self.dir.0), LIMIT)
    }
}

fn expect(nginx: &Nginx, line: &str, status: i32, out: &str, err: &str) -> Result<(), Stop> {
    let output = nginx.curl(&netkit(), line)?;
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(status) && stdout.contains(out) && stderr.contains(err) {
        return Ok(());
    }
    Err(format!("{line}: wanted status {status}, `{out}`, `{err}`\n{:?}\n{stdout}\n{stderr}", output.status).into())
}

fn trust() -> Result<(), Stop> {
    let nginx = Nginx::start()?;
    expect(&nginx, "--cacert +ca.pem https://@0/", 0, "index", "")?;
    expect(&nginx, "-v --cacert +ca.pem https://@0/", 0, "index", "anchor: CN=LabCA from ")?;
    expect(&nginx, "https://@0/", 60, "", "unable to get local issuer certificate")?;
    expect(&nginx, "https://@0/", 60, "", "<-- ")?;
    expect(&nginx, "https://@1/", 60, "", "self-signed certificate")?;
    // A self-signed leaf as its own anchor, which webpki refuses and OpenSSL takes.
    expect(&nginx, "--cacert +self.pem https://@1/", 0, "index", "")?;
    expect(
        &nginx,
        &format!("--cacert +self.pem https://127.0.0.1:{}/", nginx.ports[1]),
        60,
        "",
        "no alternative certificate subject name matches target ipv4 address '127.0.0.1'",
    )?;
    expect(&nginx, &format!("--cacert +ca.pem https://127.0.0.1:{}/", nginx.ports[0]), 0, "index", "")?;
    expect(
        &nginx,
        &format!("--cacert +ca.pem --resolve other.test:{0}:127.0.0.1 https://other.test:{0}/", nginx.ports[0]),
        60,
        "",
        "target host name 'other.test'",
    )?;
    expect(
        &nginx,
        &format!("--cacert +ca.pem --connect-to localhost:443:127.0.0.1:{} https://localhost/", nginx.ports[0]),
        0,
        "index",
        "",
    )?;
    for server in ["@0", "@1", "@2"] {
        expect(&nginx, &format!("-k https://{server}/"), 0, "index", "")?;
    }
    expect(&nginx, "-k -w %{ssl_verify_result} https://@1/", 0, "18", "")?;
    expect(&nginx, "--cacert +ca.pem https://@3/", 0, "No required SSL certificate", "")?;
    expect(&nginx, "--cacert +ca.pem --cert +s.pem --key +s.key https://@3/", 0, "index", "")?;
    expect(&nginx, "--cacert +ca.pem --cert +none.pem https://@3/", 58, "", "client certificate")?;
    expect(&nginx, "--cacert +none.pem https://@0/", 77, "", "none.pem")?;
    expect(&nginx, "--explain https://@5/", 35, "", "does not speak TLS")?;
    expect(&nginx, "--cacert +ca.pem --pinnedpubkey sha256//AAAA https://@0/", 90, "", "pinned")?;
    expect(&nginx, "--tlsv1.3 --tls-max 1.2 -k https://@0/", 35, "", "")?;
    let chacha = "--tls-max 1.2 --ciphers ECDHE-RSA-CHACHA20-POLY1305";
    expect(&nginx, &format!("-kv {chacha} https://@0/"), 0, "index", "using TLSv1.2 / ECDHE-RSA-CHACHA20-POLY1305 /")?;
    expect(&nginx, "-k --tls13-ciphers TLS_CHACHA20_POLY1305_SHA256 https://@0/", 0, "index", "")?;
    expect(&nginx, "-k --ciphers DEFAULT:!aNULL@SECLEVEL=1 https://@0/", 0, "index", "")?;
    expect(&nginx, "-k --ciphers nosuch https://@0/", 59, "", "failed setting cipher list: nosuch")?;
    expect(&nginx, "-k --tls13-ciphers nosuch https://@0/", 59, "", "failed setting TLS 1.3 cipher suite: nosuch")?;
    Ok(())
}

fn http2() -> Result<(), Stop> {
    let nginx = Nginx::start()?;
    expect(&nginx, "-k https://@0/echo -w %{http_version}", 0, "HTTP/2.0\n2", "")?;
    expect(&nginx, "-k --http1.1 https://@0/echo -w %{http_version}", 0, "HTTP/1.1\n1.1", "")?;
    expect(&nginx, "--http2-prior-knowledge http://@4/echo", 0, "HTTP/2.0", "")?;
    expect(&nginx, "--http2 http://@5/echo", 0, "HTTP/1.1", "")?;
    expect(&nginx, "-k -T big https://@0/echo", 0, "PUT 3000000 HTTP/2.0", "")?;
    expect(&nginx, "-k -d a=b https://@0/echo", 0, "POST 3 HTTP/2.0", "")?;
    expect(&nginx, "-k -I https://@0/", 0, "HTTP/2 200", "")?;
    expect(&nginx, "-k -L https://@0/r -w %{num_redirects}%{num_connects}", 0, "index\n11", "")?;
    expect(&nginx, "-k --compressed -i https://@0/echo", 0, "content-encoding: gzip", "")?;
    expect(&nginx, "-k -o got https://@0/big", 0, "", "")?;
    if fs::read(nginx.path("got"))? != fs::read(nginx.path("big"))? {
        return Err("the large file differs".into());
    }
    expect(&nginx, "-k -Z -o a https://@0/big -o b https://@0/big -o c http://@5/big", 0, "", "")?;
    for name in ["a", "b", "c"] {
        if fs::read(nginx.path(name))? != fs::read(nginx.path("big"))? {
            return Err(format!("the file {name} fetched in parallel differs").into());
        }
    }
    Ok(())
}

/// Body and status over TLS and h2 are the peer's.
fn same_as_the_peer() -> Result<(), Stop> {
    let peer = tool("curl", "curl")?;
    let nginx = Nginx::start()?;
    for line in [
        "--cacert +ca.pem https://@0/",
        "https://@0/",
        "https://@1/",
        "-k https://@1/",
        "--cacert +self.pem https://@1/",
        "-k https://@2/",
        "-k https://@3/",
        "-k --cert +s.pem --key +s.key https://@3/",
        "--cacert +none.pem https://@0/",
        "-k --cert +none.pem https://@3/",
        "https://@5/",
        "http://@0/",
        "-k -i --http1.1 https://@0/nosuch",
        "-k -f https://@0/nosuch",
        "-k -L https://@0/r",
        "-k -d a=b https://@0/echo",
        "-k -r 0-4 https://@0/big",
        "--http2-prior-knowledge http://@4/echo",
        "-k https://@0/echo https://@0/echo",
        "-k --tlsv1.2 --tls-max 1.2 https://@0/",
        "-k --tls-max 1.2 --ciphers ECDHE-RSA-AES128-GCM-SHA256 https://@0/",
        "-k --ciphers nosuch https://@0/",
        "-k --tls13-ciphers TLS_AES_128_GCM_SHA256 https://@0/",
        "-k --tls13-ciphers nosuch https://@0/",
        "-k -w %{http_code}|%{http_version}|%{ssl_verify_result}|%{num_connects} https://@1/",
    ] {
        let (theirs, ours) = (nginx.curl(&peer, line)?, nginx.curl(&netkit(), line)?);
        let text = |output: &Output| {
            let body = String::from_utf8_lossy(&output.stdout).into_owned();
            let dated: Vec<&str> =
                body.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date:")).collect();
            format!("{:?}\n{}", output.status.code(), dated.join("\n"))
        };
        crate::lab::same(line, &text(&theirs), &text(&ours))?;
    }
    Ok(())
}

/// TLS in front of a plain port; it ends with the value.
struct Wrapped {
    child: Child,
    port: u16,
}

impl Wrapped {
    fn start(nginx: &Nginx, plain: SocketAddr) -> Result<Wrapped, Stop> {
        let socat = tool("socat", "socat")?;
        let port = free_port()?;
        let (cert, key) = (nginx.path("s.pem"), nginx.path("s.key"));
        let listen = format!(
            "OPENSSL-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,verify=0,cert={},key={}",
            cert.display(),
            key.display()
        );
        let child = Command::new(socat)
            .args([listen, format!("TCP:{plain}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let wrapped = Wrapped { child, port };
        let until = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > until {
                return Err("socat did not start".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(wrapped)
    }
}

impl Drop for Wrapped {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A proxy behind TLS, for tunnels with TLS inside, as the peer talks to it.
fn proxy_over_tls() -> Result<(), Stop> {
    let peer = tool("curl", "curl")?;
    let nginx = Nginx::start()?;
    let proxy = Running::start(Some("user:secret".to_owned()))?;
    let wrapped = Wrapped::start(&nginx, proxy.address)?;
    let at = format!("https://localhost:{}", wrapped.port);
    for (line, status) in [
        (format!("-x {at} -U user:secret --proxy-cacert +ca.pem --cacert +ca.pem https://@0/"), 0),
        (format!("-x {at} -U user:secret --proxy-insecure -k https://@1/"), 0),
        (format!("-x {at} -U user:secret --proxy-cacert +ca.pem -p http://@5/"), 0),
        (format!("-x {at} -U user:wrong --proxy-insecure -k https://@0/"), 56),
        (format!("-x {at} -U user:secret -k https://@0/"), 60),
        (format!("-x https://localhost:{} -U user:secret --proxy-insecure -p http://@5/", nginx.ports[5]), 35),
    ] {
        let (theirs, ours) = (nginx.curl(&peer, &line)?, nginx.curl(&netkit(), &line)?);
        let text = |output: &Output| format!("{:?} {}", output.status.code(), String::from_utf8_lossy(&output.stdout));
        crate::lab::same(&line, &text(&theirs), &text(&ours))?;
        if ours.status.code() != Some(status) {
            return Err(format!("{line}: {ours:?}").into());
        }
    }
    Ok(())
}

/// A name server over HTTPS (RFC 8484) that knows one address.
fn names_over_https() -> Result<(), Stop> {
    let nginx = Nginx::start()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let wrapped = Wrapped::start(&nginx, listener.local_addr()?)?;
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            std::thread::spawn(move || answer_names(stream));
        }
    });
    let doh = format!("--doh-url https://localhost:{}/dns-query", wrapped.port);
    let plain = nginx.ports[5];
    expect(&nginx, &format!("-k --doh-insecure {doh} http://pod.test:{plain}/"), 0, "index", "")?;
    expect(&nginx, &format!("--cacert +ca.pem {doh} http://pod.test:{plain}/"), 0, "index", "")?;
    expect(&nginx, &format!("{doh} http://pod.test:{plain}/"), 6, "", "local issuer certificate")?;
    expect(&nginx, &format!("--doh-insecure {doh} http://absent.test:{plain}/"), 6, "", "absent.test")
}

/// One query, one answer: 127.0.0.1 for `pod.test`, nothing for anything else.
fn answer_names(mut stream: std::net::TcpStream) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).ok()?;
            head.extend(byte);
        }
        let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())?;
        let mut query = vec![0; length];
        stream.read_exact(&mut query).ok()?;
        let known = query.windows(10).any(|bytes| bytes == b"\x03pod\x04test\0");
        let address = known && query.ends_with(&[0, 1, 0, 1]);
        let mut reply = query.clone();
        // Flags and the number of answers (RFC 1035, section 4.1.1).
        let header = reply.first_chunk_mut::<12>()?;
        (header[2], header[3], header[7]) = (0x81, if known { 0x80 } else { 0x83 }, u8::from(address));
        if address {
            reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
        }
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\nContent-Length: {}\r\n\r\n",
            reply.len()
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&reply)).ok()?;
    }
}
