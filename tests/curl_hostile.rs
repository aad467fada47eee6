//! A hostile origin: responses cut, repeated, swollen and scrambled. Whatever comes, curl ends by itself with a status,
//! and its memory stays small.

#![allow(clippy::indexing_slicing)]

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use libtest_mimic::Trial;
use nix::sys::socket::sockopt::Linger;

use crate::lab::origin::Origin;
use crate::lab::{Stop, netkit, run, same, tool, trial};

/// Far above what any case takes; reaching it means a hang.
const LIMIT: Duration = Duration::from_secs(300);

pub fn trials() -> Vec<Trial> {
    vec![
        trial("curl_hostile::mutations", mutations),
        trial("curl_hostile::floods", floods),
        trial("curl_hostile::terminal", names),
        trial("curl_hostile::resets", resets),
        trial("curl_hostile::large_heads", large_heads),
    ]
}

/// A server that resets its one connection once it has been asked.
fn resetting() -> Result<(SocketAddr, JoinHandle<()>), Stop> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let serve = move || {
        let Ok((mut stream, _)) = listener.accept() else { return };
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        while !seen.windows(4).any(|four| four == b"\r\n\r\n") {
            match stream.read(&mut buffer) {
                Ok(count) if count > 0 => seen.extend_from_slice(&buffer[..count]),
                _ => return,
            }
        }
        let now = nix::libc::linger { l_onoff: 1, l_linger: 0 };
        let _ = nix::sys::socket::setsockopt(&stream, Linger, &now);
    };
    Ok((address, std::thread::spawn(serve)))
}

/// A connection that breaks is status 56, as the peer's.
fn resets() -> Result<(), Stop> {
    let peer = tool("curl", "curl")?;
    for binary in [&peer, &netkit()] {
        let (address, server) = resetting()?;
        let mut command = Command::new(binary);
        if binary == &netkit() {
            command.arg("curl");
        }
        let output = run(command.args(["-q", "-sS", &format!("http://{address}/")]), LIMIT)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let _ = server.join();
        same(
            "status",
            &format!("{:?} {said}", output.status.code()),
            "Some(56) curl: (56) Recv failure: Connection reset by peer\n",
        )?;
    }
    Ok(())
}

/// One line of a head may have 100 KiB, all of them 300 KiB (curl 8.14, `lib/http.h`); the peer here says 27 for the first.
fn large_heads() -> Result<(), Stop> {
    for (lines, size, status) in [(1, 102_394, 0), (1, 102_395, 100), (1, 400_000, 100), (60, 5000, 0), (62, 5000, 56)]
    {
        let answer = move |_: &str| {
            let line = format!("X: {}\r\n", "a".repeat(size));
            (format!("HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n", line.repeat(lines)).into_bytes(), false)
        };
        let origin = Origin::start(Arc::new(answer))?;
        let url = format!("http://{}/", origin.address);
        let output = run(Command::new(netkit()).args(["curl", "-q", "-s", &url]), LIMIT)?;
        same(&format!("{lines} of {size}"), &format!("{:?}", output.status.code()), &format!("Some({status})"))?;
    }
    // Informational heads count too, or a server could send them for ever.
    for (count, curl, wget) in [(900, 0, 0), (20_000, 56, 8)] {
        let answer = move |_: &str| {
            let many = "HTTP/1.1 100 Continue\r\n\r\n".repeat(count);
            (format!("{many}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").into_bytes(), false)
        };
        let origin = Origin::start(Arc::new(answer))?;
        let url = format!("http://{}/", origin.address);
        let commands: [(&[&str], i32); 2] =
            [(&["curl", "-q", "-s"], curl), (&["wget", "-q", "-t", "1", "-O", "-"], wget)];
        for (words, status) in commands {
            let output = run(Command::new(netkit()).args(words).arg(&url), LIMIT)?;
            let what = format!("{count} informational heads, {}", words[0]);
            same(&what, &format!("{:?}", output.status.code()), &format!("Some({status})"))?;
        }
    }
    Ok(())
}

const SEEDS: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: a=b; path=/; expires=Wed, 01 Jan 2098 00:00:00 GMT\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: v\r\n\r\n",
    "HTTP/1.1 301 Moved\r\nLocation: /x?y#z\r\nContent-Length: 3\r\n\r\nabc",
    "HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Disposition: attachment; filename=\"x\"\r\n\r\n\u{1f}\u{8b}\u{8}",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 206 Partial\r\nContent-Range: bytes 0-4/5\r\nContent-Length: 5\r\n\r\nhello",
];

/// One change, chosen by the number: cut, doubled, a byte replaced, a stretch removed, a byte inserted.
fn mutated(seed: &[u8], number: usize) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    let at = number.wrapping_mul(2_654_435_761) >> 7;
    let place = at % bytes.len();
    match number % 5 {
        0 => bytes.truncate(place),
        1 => {
            let tail = bytes[place..].to_vec();
            bytes.extend(tail);
        }
        2 => bytes[place] = u8::try_from(at % 256).unwrap_or(0),
        3 => {
            let end = (place + 1 + at % 9).min(bytes.len());
            bytes.drain(place..end);
        }
        _ => bytes.insert(place, [0, b'\r', b'\n', b':', b' ', 0xff, b'9', b';'][at % 8]),
    }
    bytes
}

fn curl(origin: &Origin, more: &[&str], dir: &Path) -> Result<(i32, usize), Stop> {
    // 400 MB of address space: a flood kept whole does not fit beside the program.
    let mut command = Command::new(tool("prlimit", "util-linux")?);
    command.arg("--as=400000000").arg(netkit());
    command.args([
        "curl",
        "-q",
        "-s",
        "-m",
        "20",
        "-L",
        "--max-redirs",
        "3",
        "--compressed",
        "--digest",
        "-u",
        "u:p",
        "-b",
        "",
    ]);
    command.args(more).arg(format!("http://{}/", origin.address)).current_dir(dir).env_clear();
    let output = run(&mut command, LIMIT)?;
    let status = output.status.code().ok_or_else(|| Stop::Fail(format!("killed by a signal: {:?}", output.status)))?;
    if String::from_utf8_lossy(&output.stderr).contains("panicked") || status == 101 {
        return Err(format!("panic: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok((status, output.stdout.len()))
}

fn mutations() -> Result<(), Stop> {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let number = Arc::new(AtomicUsize::new(0));
    let dir = crate::lab::TempDir::new("curl-hostile")?;
    let origin = {
        let number = number.clone();
        Origin::start(Arc::new(move |_| {
            let number = number.fetch_add(1, Ordering::Relaxed);
            (mutated(SEEDS[number % SEEDS.len()].as_bytes(), number), true)
        }))?
    };
    let mut failed = 0;
    for _ in 0..1200 {
        failed += usize::from(curl(&origin, &[], &dir.0)?.0 != 0);
    }
    // Both kinds must have happened, or the mutations are too tame or too wild to show anything.
    if (100..1150).contains(&failed) { Ok(()) } else { Err(format!("{failed} of 1200 failed").into()) }
}

fn floods() -> Result<(), Stop> {
    let dir = crate::lab::TempDir::new("curl-floods")?;
    let one = |answer: Vec<u8>, more: &[&str], wanted: &[i32]| -> Result<(), Stop> {
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(60)]).into_owned();
        let origin = Origin::start(Arc::new(move |_| (answer.clone(), true)))?;
        let (status, _) = curl(&origin, more, &dir.0)?;
        if wanted.contains(&status) {
            Ok(())
        } else {
            Err(format!("{shown}: status {status}, wanted {wanted:?}").into())
        }
    };
    let mut long = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
    long.extend(vec![b'x'; 2_000_000]);
    one(long, &[], &[100])?;
    let mut many = b"HTTP/1.1 200 OK\r\n".to_vec();
    for _ in 0..100_000 {
        many.extend(b"A: b\r\n");
    }
    one(many, &[], &[100])?;
    let mut endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;".to_vec();
    endless.extend(vec![b'x'; 100_000]);
    one(endless, &[], &[56])?;
    let mut chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..50_000 {
        chunks.extend(b"1\r\nx\r\n");
    }
    one(chunks, &[], &[18])?;
    let mut informational = Vec::new();
    for _ in 0..2000 {
        informational.extend(b"HTTP/1.1 103 Hints\r\n\r\n");
    }
    one(informational, &[], &[52, 56, 8, 100])?;
    // A bomb: 64 MiB of nothing in 64 KiB, and only 1 MiB allowed.
    let mut bomb = b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n\r\n".to_vec();
    bomb.extend(miniz_oxide::deflate::compress_to_vec_zlib(&vec![0; 64 << 20], 9));
    one(bomb, &["-o", "/dev/null"], &[0])?;
    one(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip,gzip,gzip,gzip,gzip,gzip\r\n\r\n".to_vec(), &[], &[61])?;
    one(b"\0\0\0\x04\0\0\0\0\0".to_vec(), &["--http2-prior-knowledge"], &[52, 55, 56, 16, 28])?;
    Ok(())
}

/// Names and bodies from the server stay where they belong.
fn names() -> Result<(), Stop> {
    let dir = crate::lab::TempDir::new("curl-names")?;
    let answer = b"HTTP/1.1 200 OK\r\nContent-Disposition: attachment; filename=\"../../escaped\"\r\nContent-Length: 2\r\n\r\nok".to_vec();
    let origin = Origin::start(Arc::new(move |_| (answer.clone(), true)))?;
    let (status, _) = curl(&origin, &["-OJ"], &dir.0)?;
    if status != 0 || !dir.0.join("escaped").is_file() {
        return Err(format!("status {status}, file not in place").into());
    }
    Ok(())
}
