//! A proxy server for tests: SOCKS 4, 4a and 5 (RFC 1928, RFC 1929) and HTTP CONNECT (RFC 9110, 9.3.6) on one port; the
//! first byte of a connection tells which. It connects for real, relays both directions with exact half-close, and
//! writes down what it was asked for.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::visits::Visits;

/// Longest request head that is read.
const HEAD: usize = 8192;

/// What the proxy was asked for, one line a request.
#[derive(Debug, Clone, Default)]
pub struct Asked(Arc<Mutex<Vec<String>>>);

impl Asked {
    /// The lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().map(|lines| lines.clone()).unwrap_or_default()
    }

    fn add(&self, line: String) {
        if let Ok(mut lines) = self.0.lock() {
            lines.push(line);
        }
    }
}

/// Serves until the process ends; with `login` (`user:password`) only those who know it.
pub fn serve(address: SocketAddr, login: Option<String>) -> Result<Asked> {
    let listener = TcpListener::bind(address)?;
    let asked = Asked::default();
    let log = asked.clone();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let (log, login) = (log.clone(), login.clone());
            std::thread::spawn(move || {
                // When a client leaves early is its own affair; what it asked for was written down.
                let _ = converse(stream, login.as_deref(), &log);
            });
        }
    });
    Ok(asked)
}

/// A proxy on an ephemeral port of loopback that takes no more connections once it is dropped.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    asked: Asked,
    visits: Visits,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts one; with `login` (`user:password`) only those who know it are served.
    pub fn start(login: Option<String>) -> Result<Running> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let (asked, visits, stop) = (Asked::default(), Visits::default(), Arc::new(AtomicBool::new(false)));
        let (log, all, halt) = (asked.clone(), visits.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            all.serve(&listener, &halt, move |stream| {
                let _ = stream.set_nonblocking(false).and_then(|()| converse(stream, login.as_deref(), &log));
            });
        });
        Ok(Running { address, asked, visits, stop, thread: Some(thread) })
    }

    /// What it was asked for, one line a request: all of it, once those who asked are gone.
    pub fn asked(&self) -> Vec<String> {
        self.visits.end();
        self.asked.lines()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn converse(mut client: TcpStream, login: Option<&str>, log: &Asked) -> Result<()> {
    match byte(&mut client)? {
        4 => socks4(client, login, log),
        5 => socks5(client, login, log),
        first => http(client, first, login, log),
    }
}

fn socks4(mut client: TcpStream, login: Option<&str>, log: &Asked) -> Result<()> {
    let command = byte(&mut client)?;
    let port = u16::from_be_bytes(array(&mut client)?);
    let address: [u8; 4] = array(&mut client)?;
    let user = until_zero(&mut client)?;
    // 4a: an address that cannot be, and the name behind the user.
    let target = match address {
        [0, 0, 0, 1..=255] => (until_zero(&mut client)?, port),
        _ => (Ipv4Addr::from(address).to_string(), port),
    };
    log.add(format!("socks4 command {command} to {}:{} as {user:?}", target.0, target.1));
    let allowed = login.is_none_or(|login| login.split(':').next() == Some(&user));
    let server = if allowed { connect(&target) } else { Err(ErrorKind::PermissionDenied.into()) };
    match server {
        Ok(server) => {
            client.write_all(&[0, 90, 0, 0, 0, 0, 0, 0])?;
            relay(client, server)
        }
        Err(_) => refuse(client, &[0, if allowed { 91 } else { 93 }, 0, 0, 0, 0, 0, 0]),
    }
}

fn socks5(mut client: TcpStream, login: Option<&str>, log: &Asked) -> Result<()> {
    let count = byte(&mut client)?;
    let mut methods = vec![0; usize::from(count)];
    client.read_exact(&mut methods)?;
    let wanted = if login.is_some() { 2 } else { 0 };
    if !methods.contains(&wanted) {
        log.add(format!("socks5 offers {methods:?}"));
        return refuse(client, &[5, 255]);
    }
    client.write_all(&[5, wanted])?;
    if let Some(login) = login {
        byte(&mut client)?;
        let given = format!("{}:{}", counted(&mut client)?, counted(&mut client)?);
        log.add(format!("socks5 login {given}"));
        if given != login {
            return refuse(client, &[1, 1]);
        }
        client.write_all(&[1, 0])?;
    }
    let [version, command, _, kind]: [u8; 4] = array(&mut client)?;
    let host = match kind {
        1 => Ipv4Addr::from(array::<4>(&mut client)?).to_string(),
        3 => counted(&mut client)?,
        4 => Ipv6Addr::from(array::<16>(&mut client)?).to_string(),
        _ => return refuse(client, &[5, 8, 0, 1, 0, 0, 0, 0, 0, 0]),
    };
    let target = (host, u16::from_be_bytes(array(&mut client)?));
    log.add(format!("socks{version} command {command} kind {kind} to {}:{}", target.0, target.1));
    match connect(&target) {
        Ok(server) => {
            let mut reply = vec![5, 0, 0];
            match server.local_addr()? {
                SocketAddr::V4(own) => {
                    reply.push(1);
                    reply.extend(own.ip().octets());
                }
                SocketAddr::V6(own) => {
                    reply.push(4);
                    reply.extend(own.ip().octets());
                }
            }
            reply.extend(server.local_addr()?.port().to_be_bytes());
            client.write_all(&reply)?;
            relay(client, server)
        }
        Err(error) => {
            let code = if error.kind() == ErrorKind::ConnectionRefused { 5 } else { 4 };
            refuse(client, &[5, code, 0, 1, 0, 0, 0, 0, 0, 0])
        }
    }
}

fn http(mut client: TcpStream, first: u8, login: Option<&str>, log: &Asked) -> Result<()> {
    let mut head = vec![first];
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD {
        head.push(byte(&mut client)?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let request = lines.next().unwrap_or_default();
    log.add(format!("http {request}"));
    let authorization = lines.filter_map(|line| line.split_once(": ")).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("proxy-authorization").then(|| value.trim_start_matches("Basic ").to_owned())
    });
    if login.is_some_and(|login| authorization != Some(base64(login.as_bytes()))) {
        return refuse(
            client,
            b"HTTP/1.0 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"lab\"\r\nConnection: close\r\n\r\n",
        );
    }
    let words: Vec<&str> = request.split(' ').collect();
    let [method, target, _] = words.as_slice() else { return refuse(client, b"HTTP/1.0 400 Bad Request\r\n\r\n") };
    if *method != "CONNECT" {
        return refuse(client, b"HTTP/1.0 405 Method Not Allowed\r\n\r\n");
    }
    let target = target.rsplit_once(':').and_then(|(host, port)| {
        Some((host.trim_start_matches('[').trim_end_matches(']').to_owned(), port.parse().ok()?))
    });
    match target.ok_or_else(|| Error::from(ErrorKind::InvalidInput)).and_then(|target| connect(&target)) {
        Ok(server) => {
            client.write_all(b"HTTP/1.0 200 Connection established\r\n\r\n")?;
            relay(client, server)
        }
        Err(_) => refuse(client, b"HTTP/1.0 502 Bad Gateway\r\n\r\n"),
    }
}

/// Says no and leaves the closing to the client, at most for a while: so it is not chance who closes first.
fn refuse(mut client: TcpStream, reply: &[u8]) -> Result<()> {
    client.write_all(reply)?;
    client.set_read_timeout(Some(Duration::from_secs(2)))?;
    std::io::copy(&mut client, &mut std::io::sink()).map(drop)
}

fn connect((host, port): &(String, u16)) -> Result<TcpStream> {
    let mut last = Error::from(ErrorKind::NotFound);
    for address in (host.as_str(), *port).to_socket_addrs()? {
        match TcpStream::connect(address) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Both directions, each to its own end.
fn relay(client: TcpStream, server: TcpStream) -> Result<()> {
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    let there = std::thread::spawn(move || one_way(from, to));
    let back = one_way(server, client);
    there.join().map_err(|_| Error::other("a relay died"))??;
    back
}

fn one_way(mut from: TcpStream, mut to: TcpStream) -> Result<()> {
    let copied = std::io::copy(&mut from, &mut to);
    // Whoever is gone already has had the end; where one way broke off, the other side must learn that too.
    let _ = to.shutdown(Shutdown::Write);
    copied.map(drop)
}

fn byte(stream: &mut TcpStream) -> Result<u8> {
    array::<1>(stream).map(|[byte]| byte)
}

fn array<const N: usize>(stream: &mut TcpStream) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Text behind its length in one byte.
fn counted(stream: &mut TcpStream) -> Result<String> {
    let mut bytes = vec![0; usize::from(byte(stream)?)];
    stream.read_exact(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Text before a zero byte.
fn until_zero(stream: &mut TcpStream) -> Result<String> {
    let mut bytes = Vec::new();
    while bytes.len() < HEAD {
        match byte(stream)? {
            0 => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            byte => bytes.push(byte),
        }
    }
    Err(ErrorKind::InvalidData.into())
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let number = (0..3).fold(0_u32, |sum, at| (sum << 8) | u32::from(group.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let digit = usize::try_from((number >> (18 - 6 * at)) & 63).unwrap_or(0);
            let digit = DIGITS.get(digit).copied().map_or('=', char::from);
            text.push(if at <= group.len() { digit } else { '=' });
        }
    }
    text
}
