//! wget: the same lines with Debian's and with ours against an origin that records: status, files, stdout, what is said
//! (dates and speeds masked) and every byte of the requests.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;

use crate::lab::origin::Origin;
use crate::lab::tls::{Running, certificates, free_port, open_input, openssl};
use crate::lab::{Stop, TempDir, netkit, run, same, tool, trial};

const LIMIT: Duration = Duration::from_secs(300);

pub fn trials() -> Vec<Trial> {
    vec![
        trial("wget_diff::lines", lines),
        trial("wget_diff::tls", tls),
        trial("wget_diff::masks_hide_only_numbers", masks),
        trial("wget_diff::refused", refused),
        trial("wget_diff::hostile", hostile),
    ]
}

/// `U` is the origin, `H` the same by name, `NONE` an origin where nobody listens. What stands before ` | ` is a file that
/// is there already: its name and its size, or `@` for one that is old.
const LINES: &str = "\
U/f.txt
-nv U/f.txt
-q U/f.txt
-O- U/f.txt
-qO- U/f.txt
-nv -O x U/f.txt
-nv -O- U/f.txt
-O all -nv U/f.txt U/cd
-O sub/x U/f.txt
-S U/f.txt
-qS U/f.txt
-nvS U/f.txt
-S U/redir
-S U/status/404
--spider -S U/f.txt
U/redir
-nv U/redir
--trust-server-names U/redir
--max-redirect=0 U/redir
--max-redirect=1 U/loop
-nv --max-redirect=1 U/loop
-qO- --post-data=x U/redir
-qO- --post-data=x U/redir307
U/status/404
-nv U/status/404
-q U/status/500
-nv U/status/304
-nv U/status/416
U/status/204
-nv U/status/503
--content-on-error -nv U/status/404
--retry-on-http-error=503,504 -t2 --waitretry=0 U/status/503
--spider U/f.txt
--spider -nv U/f.txt
-q --spider U/f.txt
--spider U/status/404
--spider U/redir
--spider -nv U/f.txt U/status/404
--spider U/page
--method=HEAD U/f.txt
U/nolen
U/chunked
-t1 U/short
-t2 --waitretry=0 U/short
-nv -t1 U/short
-nv --ignore-length -t1 U/short
U/cd
--content-disposition U/cd
--content-disposition U/cdup
U/empty
-t2 --waitretry=0 U/close
-nv -t2 --waitretry=0 U/close
NONE/
-nv NONE/
-t2 --waitretry=0 --retry-connrefused NONE/
-t1 http://nosuch.invalid/
-nv -t1 http://nosuch.invalid/
-i missing
gopher://x
http://
-P sub U/f.txt
-P a -nv U/f.txt U/cd
U/
U
-nv U/a?b=c
-nv U/%41b%20c
-nv U/../x
-nv U/f.txt#frag
-nv -nd U/f.txt
-nv -nH U/f.txt
--default-page=zz -nv U/
U/mid
--progress=dot U/big
-q --show-progress U/mid
U/f.txt U/mid
-nv U/f.txt U/status/404
-q U/f.txt U/status/404 NONE/
H/f.txt
-nv H/f.txt
--post-data=a=b -qO- U/f.txt
--post-data= -qO- U/f.txt
--method=PUT --body-data=xyz -qO- U/f.txt
--method=post -qO- U/f.txt
--method=DELETE -qO- U/f.txt
--body-data=x U/f.txt
--post-file=missing U/f.txt
-qO- U/f.txt
--header=X:y -U agent -qO- U/f.txt
--header=User-Agent:zz --header=Host:h --header=Accept:a/b -qO- U/f.txt
--header=Cookie:z=1 -qO- U/cookie U/f.txt
--header=bad U/f.txt
--referer=http://r/ --no-http-keep-alive -qO- U/f.txt
--no-cache -qO- U/f.txt
--user-agent= -qO- U/f.txt
--start-pos=6 -qO- U/f.txt
-qO- U/cookie U/f.txt
--no-cookies -qO- U/cookie U/f.txt
--user=u --password=p U/auth
-nv --user=u --password=p U/auth
--user=u --password=p -S U/auth
--auth-no-challenge --user=u --password=p -qO- U/auth
--http-user=u --http-passwd=p -qO- U/auth
U/auth
-nv U/auth
-Y off -qO- U/f.txt
-e robots=off -qO- U/f.txt
-4 -qO- U/f.txt
--limit-rate=1m -qO- U/f.txt
--output-d=- -q U/f.txt
-f.txt 11 | -nv U/f.txt
-f.txt 11 | U/f.txt
-f.txt 11 | -nc U/f.txt
-f.txt 11 | -nc -nv U/f.txt
-f.txt 11 | -nc -O f.txt U/f.txt
-f.txt 11 | -c U/f.txt
-f.txt 11 | -c -nv U/f.txt
-f.txt 5 | -c U/f.txt
-f.txt 5 | -c -nv U/f.txt
-mid 20000 | -c U/mid
-big 120000 | -c U/big
-f.txt 3 | -c U/norange
-norange 3 | -c U/norange
-f.txt 11 | -N U/f.txt
-f.txt 11 | -N -nv U/f.txt
-f.txt @ | -N U/f.txt
-f.txt @ | -N -nv U/f.txt
-empty @ | -N -nv U/empty
-f.txt 11 | -nv -O f.txt U/mid
-N -nc U/f.txt

--badopt U
-Z
-O
--timeout=x U
--limit-rate=x U
--max-redirect=x U
--progress=x U
";

fn answer(head: &str) -> (Vec<u8>, bool) {
    let path = head.split(' ').nth(1).unwrap_or("/");
    let is_head = head.starts_with("HEAD ");
    let fixed = "Date: Fri, 20 Nov 2026 10:00:00 GMT\r\nServer: Lab\r\n";
    let plain = |status: &str, more: &str, body: &[u8]| {
        let mut out = format!("HTTP/1.1 {status}\r\n{fixed}{more}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
        if !is_head {
            out.extend(body);
        }
        (out, false)
    };
    let modified = "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n";
    if let Some(code) = path.strip_prefix("/status/") {
        let reason = match code {
            "204" => "No Content",
            "304" => "Not Modified",
            "404" => "Not Found",
            "416" => "Requested Range Not Satisfiable",
            "500" => "Internal Server Error",
            _ => "Service Unavailable",
        };
        if code == "204" || code == "304" {
            return (format!("HTTP/1.1 {code} {reason}\r\n{fixed}\r\n").into_bytes(), false);
        }
        return plain(&format!("{code} {reason}"), "", b"error body\n");
    }
    let big: Vec<u8> = (0..300_000u32).map(|at| (at % 251) as u8).collect();
    match path {
        "/redir" => plain("302 Found", "Location: /f.txt\r\n", b""),
        "/redir307" => plain("307 Temporary Redirect", "Location: /f.txt\r\n", b""),
        "/loop" => plain("302 Found", "Location: /loop\r\n", b""),
        "/nolen" => {
            (format!("HTTP/1.1 200 OK\r\n{fixed}Connection: close\r\n\r\n{}", "x".repeat(3000)).into_bytes(), true)
        }
        "/chunked" => {
            let body = if is_head { "" } else { "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n" };
            (format!("HTTP/1.1 200 OK\r\n{fixed}Transfer-Encoding: chunked\r\n\r\n{body}").into_bytes(), false)
        }
        "/short" => (format!("HTTP/1.1 200 OK\r\n{fixed}Content-Length: 100\r\n\r\nshort").into_bytes(), true),
        "/close" => (Vec::new(), true),
        "/cd" => plain("200 OK", "Content-Disposition: attachment; filename=\"named.bin\"\r\n", b"abc"),
        "/cdup" => plain("200 OK", "Content-Disposition: attachment; filename=\"../../up\"\r\n", b"abc"),
        "/empty" => plain("200 OK", "", b""),
        "/page" => plain("200 OK", "Content-Type: text/html\r\n", b"<p>"),
        "/cookie" => plain("200 OK", "Set-Cookie: a=1; path=/\r\n", b"c"),
        "/norange" => plain("200 OK", "", b"0123456789"),
        "/auth" if !head.contains("\r\nAuthorization: Basic dTpw\r\n") => {
            plain("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", b"no\n\n")
        }
        _ => {
            let body: &[u8] = match path {
                "/big" => &big,
                "/mid" => big.get(..50_000).unwrap_or_default(),
                _ => b"hello world",
            };
            let range = head.lines().find_map(|line| line.strip_prefix("Range: bytes="));
            let first = range.and_then(|range| range.trim_end_matches('-').parse::<usize>().ok());
            match first {
                Some(first) if first >= body.len() => plain("416 Requested Range Not Satisfiable", "", b""),
                Some(first) => {
                    let (last, whole) = (body.len() - 1, body.len());
                    let more = format!("Content-Range: bytes {first}-{last}/{whole}\r\n{modified}");
                    plain("206 Partial Content", &more, body.get(first..).unwrap_or_default())
                }
                None => plain("200 OK", &format!("Content-Type: text/plain\r\n{modified}"), body),
            }
        }
    }
}

/// Dates, speeds and times.
fn mask(text: &str) -> String {
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let mut line = line.to_owned();
        // 2026-11-21 16:19:23
        let mut at = 0;
        while let Some(found) = line.get(at..).and_then(|rest| rest.find("20")).map(|found| found + at) {
            let shape: String =
                line.chars().skip(found).take(19).map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
            if line.is_char_boundary(found) && shape == "9999-99-99 99:99:99" && line.is_ascii() {
                line.replace_range(found..found + 19, "DATE");
            } else if let (Some(head), Some(rest)) = (line.get(..found), line.get(found..))
                && rest.get(..19).is_some_and(|text| {
                    text.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).eq("9999-99-99 99:99:99".chars())
                })
            {
                line = format!("{head}DATE{}", rest.get(19..).unwrap_or(""));
            }
            at = found + 2;
        }
        // (3.13 MB/s)
        if let Some(open) = line.find(" (")
            && let Some(close) = line.find("B/s)")
            && open < close
        {
            line.replace_range(open..close + 4, " (RATE)");
        }
        if line.starts_with("Total wall clock time: ") {
            "Total wall clock time: T\n".clone_into(&mut line);
        }
        if line.starts_with("Downloaded: ")
            && let Some((head, rest)) = line.split_once(" in ")
            && let Some((_, tail)) = rest.split_once(' ')
        {
            line = format!("{head} in T {tail}");
        }
        // The numbers behind a row of dots.
        if let Some(at) = line.find("K ").filter(|at| *at >= 6 && line.get(..*at).is_some_and(numeric)) {
            let dots = line.get(at + 2..).unwrap_or("");
            let end = dots.find(|c: char| c.is_ascii_digit()).unwrap_or(dots.len());
            let percent = dots
                .find('%')
                .map_or("", |percent| dots.get(..=percent).unwrap_or("").trim_start_matches(['.', ',', ' ']));
            line = format!("{}K {}{percent}\n", line.get(..at).unwrap_or(""), dots.get(..end).unwrap_or("").trim_end());
        }
        out.push_str(&line);
    }
    out
}

fn numeric(text: &str) -> bool {
    text.trim().bytes().all(|byte| byte.is_ascii_digit()) && !text.trim().is_empty()
}

fn masks() -> Result<(), Stop> {
    let hide = |text: &str| mask(&format!("{text}\n"));
    same("date", &hide("--2026-11-21 16:19:23--  http://h/2026"), "--DATE--  http://h/2026\n")?;
    same(
        "rate",
        &hide("2026-11-21 16:19:23 (3.13 MB/s) - \u{2018}f\u{2019} saved [11/11]"),
        "DATE (RATE) - \u{2018}f\u{2019} saved [11/11]\n",
    )?;
    same(
        "dots",
        &hide("    50K .......... .......... .......... .......... ..........  3%  464M 0s"),
        "    50K .......... .......... .......... .......... ..........3%\n",
    )?;
    if hide("     0K ..  100%") == hide("     0K ...  100%") || hide("a 5 (x)") != "a 5 (x)\n" {
        return Err("a mask hides too much".into());
    }
    Ok(())
}

struct Seen {
    text: String,
    requests: String,
}

fn one(program: &Path, origin: &Origin, none: &str, line: &str) -> Result<Seen, Stop> {
    let dir = TempDir::new("wget")?;
    let (before, words) = match line.strip_prefix('-').and_then(|rest| rest.split_once(" | ")) {
        Some((before, words)) => (Some(before), words),
        None => (None, line),
    };
    if let Some((name, size)) = before.and_then(|before| before.split_once(' ')) {
        let path = dir.0.join(name);
        if size == "@" {
            fs::write(&path, "old")?;
            let old = std::time::UNIX_EPOCH + Duration::from_secs(1_577_836_800);
            fs::File::options().write(true).open(&path)?.set_modified(old)?;
        } else {
            let (head, _) = answer(&format!("GET /{name} HTTP/1.1\r\n\r\n"));
            let body = head.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
            let wanted: usize = size.parse().map_err(|_| "size")?;
            fs::write(&path, head.get(body..body + wanted).unwrap_or_default())?;
            let then = std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
            fs::File::options().write(true).open(&path)?.set_modified(then)?;
        }
    }
    let mut command = Command::new(program);
    // Messages begin with the name it was called by.
    command.arg0("wget");
    let address = origin.address;
    for word in words.split(' ').filter(|word| !word.is_empty()) {
        let word = match (word.strip_prefix('U'), word.strip_prefix('H'), word.strip_prefix("NONE")) {
            (Some(rest), ..) if rest.is_empty() || rest.starts_with('/') => format!("http://{address}{rest}"),
            (_, Some(rest), _) if rest.starts_with('/') => format!("http://localhost:{}{rest}", address.port()),
            (.., Some(rest)) => format!("http://{none}{rest}"),
            _ => word.to_owned(),
        };
        command.arg(word);
    }
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &dir.0).env("LANG", "C.UTF-8").env("TZ", "UTC");
    let output = run(command.current_dir(&dir.0), LIMIT)?;
    let requests: Vec<u8> = origin.take().concat();
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(&dir.0)? {
        let entry = entry?;
        let (name, found) = (entry.file_name().to_string_lossy().into_owned(), entry.metadata()?);
        if found.is_dir() {
            for inner in fs::read_dir(entry.path())? {
                let inner = inner?;
                files.insert(format!("{name}/{}", inner.file_name().to_string_lossy()), fs::read(inner.path())?);
            }
        } else if name != ".wget-hsts" {
            // Files that the server dated carry its date.
            let dated = found.modified()?.duration_since(std::time::UNIX_EPOCH).map_or(0, |at| at.as_secs());
            let dated = if dated < 1_780_000_000 { format!(" {dated}") } else { String::new() };
            files.insert(format!("{name}{dated}"), fs::read(entry.path())?);
        }
    }
    let files: String = files
        .iter()
        .map(|(name, bytes)| {
            let sum = bytes.iter().fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
            format!("{name}: {} bytes, {sum:08x}\n", bytes.len())
        })
        .collect();
    let usage = |text: &str| {
        text.lines().filter(|line| !line.starts_with("  -")).map(|line| format!("{line}\n")).collect::<String>()
    };
    let text = format!(
        "{:?}\nout {}\n{}\n{files}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        usage(&mask(&String::from_utf8_lossy(&output.stderr)))
    );
    Ok(Seen { text, requests: String::from_utf8_lossy(&requests).into_owned() })
}

fn lines() -> Result<(), Stop> {
    let peer = tool("wget", "wget")?;
    let origin = Origin::start(Arc::new(|head: &str| answer(head)))?;
    let none = format!("127.0.0.1:{}", free_port()?);
    let mut wrong = String::new();
    let mut count = 0;
    for line in LINES.lines() {
        let (theirs, ours) = (one(&peer, &origin, &none, line)?, one(&netkit(), &origin, &none, line)?);
        count += 1;
        if theirs.text != ours.text || theirs.requests != ours.requests {
            wrong.push_str(&format!(
                "# {line}\n--- theirs {}\n{}\n--- ours {}\n{}\n",
                theirs.text, theirs.requests, ours.text, ours.requests
            ));
        }
    }
    if count < 100 {
        return Err(format!("only {count} lines").into());
    }
    same("differences from wget", &wrong, "")
}

/// Certificates of every kind: the words and the statuses of the peer, which is built on GnuTLS.
fn tls() -> Result<(), Stop> {
    let peer = tool("wget", "wget")?;
    let dir = certificates("wget-tls")?;
    let d = &dir.0;
    openssl(
        d,
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout o.key -out o.pem -subj /CN=other -days 30",
    )?;
    openssl(d, "x509 -req -in s.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out old.pem -days -1 -extfile names")?;
    fs::write(d.join("index.html"), "index\n")?;
    let mut servers = Vec::new();
    let mut inputs = Vec::new();
    for (certificate, key) in [("s.pem", "s.key"), ("o.pem", "o.key"), ("old.pem", "s.key")] {
        let port = free_port()?;
        let (input, held) = open_input()?;
        let mut command = Command::new(tool("openssl", "openssl")?);
        command.args(["s_server", "-WWW", "-cert", certificate, "-key", key, "-accept", &format!("127.0.0.1:{port}")]);
        command.current_dir(d).stdin(input).stdout(Stdio::null()).stderr(Stdio::null());
        servers.push((Running::listening(&mut command, port)?, port));
        inputs.push(held);
    }
    let mut wrong = String::new();
    for line in [
        "https://localhost:0/index.html",
        "-nv https://localhost:0/index.html",
        "-q https://localhost:0/index.html",
        "--ca-certificate=ca.pem -O x https://localhost:0/index.html",
        "--ca-certificate=ca.pem -nv -O x https://127.0.0.1:0/index.html",
        "--ca-certificate=missing -O x https://localhost:0/index.html",
        "--no-check-certificate -O x https://localhost:0/index.html",
        "--no-check-certificate -nv -O x https://localhost:0/index.html",
        "--ca-certificate=ca.pem --secure-protocol=TLSv1_2 -qO- https://localhost:0/index.html",
        "https://localhost:1/index.html",
        "--no-check-certificate -O x https://localhost:1/index.html",
        "--ca-certificate=ca.pem https://localhost:2/index.html",
    ] {
        let line = servers.iter().enumerate().fold(line.to_owned(), |line, (number, (_, port))| {
            line.replace(&format!(":{number}/"), &format!(":{port}/"))
        });
        let shown = |program: &Path| -> Result<String, Stop> {
            let mut command = Command::new(program);
            if program == netkit() {
                command.arg("wget");
            }
            command
                .args(line.split(' '))
                .env_clear()
                .env("PATH", "/usr/bin:/bin")
                .env("HOME", d)
                .env("LANG", "C.UTF-8");
            let output = run(command.env("TZ", "UTC").current_dir(d), LIMIT)?;
            let _ = fs::remove_file(d.join("x"));
            let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            Ok(format!("{:?}\n{out}\n{}", output.status.code(), mask(&err)))
        };
        let (theirs, ours) = (shown(&peer)?, shown(&netkit())?);
        if theirs != ours {
            wrong.push_str(&format!("# {line}\n--- theirs {theirs}\n--- ours {ours}\n"));
        }
    }
    same("differences from wget", &wrong, "")
}

fn refused() -> Result<(), Stop> {
    for (line, wanted) in [
        ("-r http://h/", "no recursion"),
        ("--mirror http://h/", "no recursion"),
        ("-b http://h/", "in the background"),
        ("-d http://h/", "curl -v"),
        ("--secure-protocol=SSLv3 http://h/", "TLS 1.2 is the oldest"),
        ("--save-headers http://h/", "not offered"),
    ] {
        let output = run(Command::new(netkit()).arg("wget").args(line.split(' ')), LIMIT)?;
        let talk = String::from_utf8_lossy(&output.stderr);
        if output.status.code() != Some(2) || !talk.contains(wanted) {
            return Err(format!("{line}: {:?} {talk}", output.status).into());
        }
    }
    Ok(())
}

/// Answers that are none: an end with a status in bounded time, and never a short file with status 0.
fn hostile() -> Result<(), Stop> {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(400_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n", "A: b\r\n".repeat(60_000));
    let answers: Vec<(Vec<u8>, &[i32])> = vec![
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\nx".to_vec(), &[4]),
        // No number that could be one: as the peer, as if there were none.
        (b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\nx".to_vec(), &[0]),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nx".to_vec(), &[0]),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx".to_vec(), &[4]),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab".to_vec(), &[4]),
        (b"HTTP/1.1 999999 OK\r\n\r\n".to_vec(), &[8]),
        (b"HTTP/1.1 302 Found\r\nLocation: \r\n\r\n".to_vec(), &[1, 8]),
        (b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n".to_vec(), &[1, 8]),
        (b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 5-9/10\r\nContent-Length: 5\r\n\r\n56789".to_vec(), &[0]),
        (b"HTTP".to_vec(), &[0, 4]),
        (long.into_bytes(), &[4]),
        (many.into_bytes(), &[4]),
    ];
    for (bytes, wanted) in answers {
        let shown = String::from_utf8_lossy(bytes.get(..bytes.len().min(60)).unwrap_or_default()).into_owned();
        let origin = Origin::start(Arc::new(move |_: &str| (bytes.clone(), true)))?;
        let dir = TempDir::new("wget")?;
        let url = format!("http://{}/x", origin.address);
        let mut command = Command::new(netkit());
        command.args(["wget", "-t1", "-T5", "-nv", "-O", "x", &url]).current_dir(&dir.0).env("HOME", &dir.0);
        let output = run(&mut command, LIMIT)?;
        if !wanted.contains(&output.status.code().unwrap_or(-1)) {
            let talk = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{shown}: wanted one of {wanted:?}, {:?}\n{talk}", output.status).into());
        }
    }
    Ok(())
}
