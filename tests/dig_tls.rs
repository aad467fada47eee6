//! dig over TLS and HTTPS: the same lines with Debian's dig and with ours against Debian's named, and servers that do not
//! keep to the protocol.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use libtest_mimic::Trial;

use crate::dig_diff::mask::{Fixed, mask, usage};
use crate::lab::tls::{Running, certificates, free_port};
use crate::lab::{Stop, TempDir, netkit, run, same, tool, trial};

const LIMIT: Duration = Duration::from_secs(300);

pub fn trials() -> Vec<Trial> {
    vec![
        trial("dig_tls::same_as_the_peer", same_as_the_peer),
        trial("dig_tls::own", own),
        trial("dig_tls::hostile", hostile),
    ]
}

/// Lines; DOT, MUT, DOH, PLAIN and DNS are the ports of named, NONE is one where nobody listens.
const LINES: &str = "\
-p DOT +tls www.example
-p DOT +tls www.example AAAA +noall +answer +stats
-p DOT +tls alias.example +short
-p DOT +tls nothing.example
-p DOT +tls big.example TXT +bufsize=512
-p DOT +tls www.example +dnssec +nsid
-p DOT +tls www.example +nocookie +noedns
-p DOT +tls www.example +qr
-p DOT +tls www.example +qr +padding=128
-p DOT +tls www.example +padding=468 +keepalive
-p DOT +tls www.example +yaml
-p DOT +tls www.example +short +identify
-p DOT +tls www.example +multiline +ttlunits
-p DOT +tls www.example +opcode=status
-p DOT +tls www.example +header-only
-p DOT +tls -x 192.0.2.1
-p DOT +tls example AXFR
-p DOT +tls nowhere AXFR
-p DOT +tls example IXFR=1
-p DOT +tls example ANY
-p DOT +tls www.example A ns.example A +short
-p DOT +tls +keepopen www.example A www.example AAAA
-p DOT +tls-ca=ca.pem www.example
-p DOT +tls +tls-ca=ca.pem www.example
-p DOT +tls +tls-ca=ca.pem +tls-hostname=localhost www.example
-p DOT +tls +tls-ca=ca.pem +tls-hostname=other www.example
-p DOT +tls +tls-ca=ca.pem +tls-hostname=192.0.2.1 www.example
-p DOT +tls +tls-ca www.example
-p DOT +tls +tls-ca=missing www.example
-p DOT +tls +tls-ca=s.key www.example
-p DOT +tls-hostname=x www.example
-p DOT +notls-ca +tls www.example
-p DOT +tls +tcp www.example
-p DOT +notcp +tls www.example +tries=1 +time=1
-p DNS +tls +notls www.example
-p DNS +https +nohttps www.example
-p MUT +tls +tls-certfile=s.pem www.example
-p MUT +tls +tls-keyfile=s.key www.example
-p NONE +tls www.example
-p NONE +https www.example +tries=2
-p NONE +http-plain www.example +tries=1
-p DOH +https www.example
-p DOH +https www.example AAAA +noall +answer +stats
-p DOH +https=/other www.example
-p DOH +https=/wrong www.example
-p DOH +https-get=/wrong www.example +tries=1
-p DOH +https-get www.example
-p DOH +https-get=/other www.example
-p DOH +https-post www.example
-p DOH +https-p www.example
-p DOH +https-g www.example
-p DOH +https=relative www.example
-p DOH +https=/a?b www.example
-p DOH +https=//a www.example
-p DOH +https=/a%zz www.example
-p DOH +https=/dns%2 www.example
-p DOH +https www.example +qr +padding=64
-p DOH +https www.example +yaml
-p DOH +https-get www.example +yaml +qr
-p DOH +https www.example +short +identify
-p DOH +https www.example nothing.example +noall +answer
-p DOH +https +keepopen www.example A www.example AAAA
-p DOH +https example ANY
-p DOH +https example AXFR
-p DOH +https big.example TXT +bufsize=512
-p DOH +https +tls-ca=ca.pem www.example
-p DOH +https +tls-ca=ca.pem +tls-hostname=x www.example
-p DOH +https +header-only www.example
-p DOT +https www.example +tries=1
-p PLAIN +https www.example +tries=1
-p PLAIN +http-plain www.example
-p PLAIN +http-plain=/other www.example
-p PLAIN +http-plain-get www.example
-p PLAIN +http-plain-g www.example
-p PLAIN +http-plain-post www.example
-p PLAIN +http-plain-get=/wrong www.example +tries=1
+http www.example
+http-p www.example
+https-x www.example
+tl www.example
+tls-c www.example
+tls-hostname www.example
+tls-hostname= www.example
+tls-certfile www.example
+tls-keyfile www.example
+tls-x www.example
";

struct Named {
    _running: Running,
    dir: TempDir,
    ports: [(&'static str, u16); 6],
}

impl Named {
    fn start() -> Result<Named, Stop> {
        let named = tool("named", "bind9")?;
        let dir = certificates("dig-tls")?;
        let d = dir.0.display();
        let mut ports = [("DOT", 0), ("MUT", 0), ("DOH", 0), ("PLAIN", 0), ("DNS", 0), ("NONE", 0)];
        for (_, port) in &mut ports {
            *port = free_port()?;
        }
        let [(_, dot), (_, mutual), (_, doh), (_, plain), (_, dns), _] = ports;
        let files = format!("key-file \"{d}/s.key\"; cert-file \"{d}/s.pem\";");
        fs::write(
            dir.0.join("named.conf"),
            format!(
                "tls one {{ {files} }};\ntls both {{ {files} ca-file \"{d}/ca.pem\"; }};\n\
                 http paths {{ endpoints {{ \"/dns-query\"; \"/other\"; }}; }};\ncontrols {{}};\n\
                 options {{ directory \"{d}\"; pid-file \"{d}/pid\"; session-keyfile none; recursion no;\n\
                 allow-transfer {{ any; }}; listen-on-v6 {{ none; }}; listen-on port {dns} {{ 127.0.0.1; }};\n\
                 listen-on port {dot} tls one {{ 127.0.0.1; }}; listen-on port {mutual} tls both {{ 127.0.0.1; }};\n\
                 listen-on port {doh} tls one http paths {{ 127.0.0.1; }};\n\
                 listen-on port {plain} tls none http paths {{ 127.0.0.1; }}; }};\n\
                 zone \"example\" {{ type primary; file \"zone\"; }};\n"
            ),
        )?;
        let long = "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\" ".repeat(12);
        fs::write(
            dir.0.join("zone"),
            format!(
                "$TTL 300\n@ SOA ns h 1 3600 600 86400 300\n@ NS ns\nns A 127.0.0.1\nwww A 192.0.2.1\n\
                 www AAAA 2001:db8::1\nalias CNAME www\nbig TXT {long}\n"
            ),
        )?;
        let mut command = Command::new(named);
        command.args(["-g", "-n", "1", "-c", "named.conf"]).current_dir(&dir.0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // The listeners open in the order of the configuration; the last one is waited for.
        let running = Running::listening(&mut command, plain)?;
        Ok(Named { _running: running, dir, ports })
    }

    fn line(&self, line: &str) -> String {
        self.ports.iter().fold(line.to_owned(), |line, (name, port)| line.replace(name, &port.to_string()))
    }

    fn dig(&self, program: &Path, line: &str) -> Result<[String; 3], Stop> {
        let mut command = Command::new(program);
        if program == netkit() {
            command.arg("dig");
        }
        command.args(["-r", "@127.0.0.1"]).args(self.line(line).split(' ')).current_dir(&self.dir.0);
        let output = run(command.env("HOME", &self.dir.0), LIMIT)?;
        let fixed = Fixed::of(line);
        Ok([
            format!("{:?}", output.status.code()),
            mask(&output.stdout, fixed),
            // Ours points to its own help.
            usage(&mask(&output.stderr, fixed))
                .replace("USAGE\n", "")
                .replace("\n`netkit --help dig` lists every option.\n", ""),
        ])
    }
}

fn same_as_the_peer() -> Result<(), Stop> {
    let peer = tool("dig", "bind9-dnsutils")?;
    let named = Named::start()?;
    let mut wrong = String::new();
    for line in LINES.lines() {
        let (theirs, ours) = (named.dig(&peer, line)?, named.dig(&netkit(), line)?);
        // With `+short` lines that are no data go to stderr, as in newer versions of BIND; none of these lines does that.
        if theirs != ours {
            wrong.push_str(&format!(
                "# {line}\n--- theirs {}\n{}{}--- ours {}\n{}{}",
                theirs[0], theirs[1], theirs[2], ours[0], ours[1], ours[2]
            ));
        }
    }
    same("differences from dig", &wrong, "")
}

/// What only ours has.
fn own() -> Result<(), Stop> {
    let named = Named::start()?;
    for (line, status, wanted) in [
        ("@tls://127.0.0.1:DOT www.example +short", 0, "192.0.2.1\n"),
        ("@tls://127.0.0.1#DOT www.example", 0, "(TLS)\n"),
        ("@https://127.0.0.1:DOH www.example", 0, "(HTTPS)\n"),
        ("@https://127.0.0.1:DOH/other www.example +short", 0, "192.0.2.1\n"),
        ("@http://127.0.0.1:PLAIN/other www.example", 0, "(HTTP)\n"),
        ("@tls://127.0.0.1:DOT www.example +json", 0, "\"transport\":\"tls\""),
        ("@https://127.0.0.1:DOH www.example +json", 0, "\"transport\":\"https\""),
        ("-p PLAIN +tls www.example +tries=1", 9, "communications error to 127.0.0.1#"),
        ("-p DOT +tls +tls-ca=ca.pem +tls-hostname=other +rc www.example", 9, "hostname mismatch"),
        ("-p DOT +tls +nssearch example", 0, "SOA ns.example."),
        ("-p MUT +tls www.example", 9, "end of file"),
    ] {
        let [code, out, err] = named.dig(&netkit(), line)?;
        if code != format!("{:?}", Some(status)) || !out.contains(wanted) {
            return Err(format!("{line}: wanted {status} and `{wanted}`\n{code}\n{out}{err}").into());
        }
    }
    Ok(())
}

/// Bytes that are no HTTP/2, no message, or never end: an answer in words within the time given.
fn hostile() -> Result<(), Stop> {
    let settings = b"\0\0\0\x04\0\0\0\0\0".to_vec();
    // HEADERS of stream 1 with `:status 200` from the static table, the stream left open.
    let head = b"\0\0\x01\x01\x04\0\0\0\x01\x88".to_vec();
    let data = |length: usize, flags: u8| {
        let size = u32::try_from(length).unwrap_or(0).to_be_bytes();
        let mut frame = vec![size[1], size[2], size[3], 0, flags, 0, 0, 0, 1];
        frame.resize(9 + length, 0);
        frame
    };
    let mut endless = [settings.clone(), head.clone()].concat();
    for _ in 0..8 {
        endless.extend(data(16_384, 0));
    }
    let replies: Vec<(Vec<u8>, &str)> = vec![
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "communications error"),
        (b"\xff".repeat(64), "communications error"),
        (Vec::new(), "end of file"),
        ([settings.clone(), b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0b".to_vec()].concat(), "failure"),
        ([settings.clone(), b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x07".to_vec()].concat(), "failure"),
        (endless, "failure"),
        ([settings.clone(), head.clone(), data(5, 1)].concat(), "short (< header size) message"),
        ([settings.clone(), head.clone(), data(12, 1)].concat(), "ID mismatch"),
        // `:status 404`
        ([settings.clone(), b"\0\0\x01\x01\x05\0\0\0\x01\x8d".to_vec()].concat(), "failure"),
        ([settings, head, data(3, 0)].concat(), "end of file"),
    ];
    for (reply, wanted) in replies {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let shown = format!("{:?}", reply.get(..reply.len().min(24)));
        let server = std::thread::spawn(move || -> std::io::Result<()> {
            let (mut stream, _) = listener.accept()?;
            let mut request = [0u8; 4096];
            let _ = stream.read(&mut request)?;
            let _ = stream.write_all(&reply);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            // Unread bytes would turn the end into a reset.
            while matches!(stream.read(&mut request), Ok(1..)) {}
            Ok(())
        });
        let mut command = Command::new(netkit());
        command.args([
            "dig",
            "-r",
            "@127.0.0.1",
            "-p",
            &port.to_string(),
            "+http-plain",
            "+tries=1",
            "+time=5",
            "n.example",
        ]);
        let output = run(&mut command, LIMIT)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        server.join().map_err(|_| "server died")??;
        if !text.contains(wanted) {
            return Err(format!("{shown}: wanted `{wanted}` in {:?}\n{text}", output.status).into());
        }
    }
    Ok(())
}
