//! Servers that misbehave as a line of a world says; this test binary runs once more as them, inside a namespace.
//!
//! | line | what the server does |
//! |---|---|
//! | `dns ADDRESS MODE NAME=ADDRESS[,ADDRESS] ...` | a name server, see [`dns`] for the modes |
//! | `tcp ADDRESS silent` | accepts and never says or closes anything |
//! | `tcp ADDRESS close`, `reset` | at once after accepting |
//! | `tcp ADDRESS eof`, `abort` | closes or resets when the first bytes have come |
//! | `tcp ADDRESS say TEXT` | says it at once, then keeps the connection; `\r`, `\n` and `\xHH` are understood |
//! | `tcp ADDRESS reply TEXT` | says it when the first bytes have come, then closes; `reply-hold` keeps the connection |
//! | `tcp ADDRESS full` | listens with the shortest backlog, fills it and accepts nobody |
//! | `tcp ADDRESS nth N` | resets every N-th connection, serves the others as `http 200` |
//! | `tcp ADDRESS http STATUS [WORD ...]` | see [`Http`] |
//! | `tcp ADDRESS postgres [S\|N][R\|E]` | answers the request for TLS, then the start-up by asking for a password or an error |
//! | `udp ADDRESS echo`, `silent` | |
//! | `wire LINK LINK [delay=MS] [every=N]` | see [`super::wire`] |

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Socket, Type};

use crate::lab::Stop;
use crate::lab::message::{Message, Question, Section, flag, kind, name, question, soa};
use crate::lab::server::{Act, Script, Server};

/// When set, the test binary is not a test: it plays the lines of the file named here until its standard input ends.
pub const ENVIRONMENT: &str = "NETKIT_LAB_WORLD";

/// How long a connection may stay without a word.
const PATIENCE: Duration = Duration::from_secs(60);

/// The exit status when this process was started to play servers, else nothing.
pub fn helper() -> Option<ExitCode> {
    let path = std::env::var_os(ENVIRONMENT)?;
    let played = std::fs::read_to_string(&path).map_err(Stop::from).and_then(|text| play(&text));
    Some(match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "servers of a world: {why:?}");
            ExitCode::FAILURE
        }
    })
}

fn play(text: &str) -> Result<(), Stop> {
    let mut servers = Vec::new();
    let mut kept = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [protocol, address, manner, rest @ ..] = words.as_slice() else {
            return Err(format!("{line}: too short").into());
        };
        if *protocol == "wire" {
            super::wire::lay(address, manner, rest)?;
            continue;
        }
        let address: SocketAddr = address.parse().map_err(|error| Stop::Fail(format!("{line}: {error}")))?;
        match *protocol {
            "dns" => match dns(address, manner, rest)? {
                Playing::Both(server) => servers.push(server),
                Playing::Alone => {}
            },
            "udp" => {
                let socket = UdpSocket::bind(address)?;
                let echoes = *manner == "echo";
                std::thread::spawn(move || echo(&socket, echoes));
            }
            "tcp" => {
                let manner = Manner::parse(manner, rest, line)?;
                if matches!(manner, Manner::Full) {
                    kept.push(fill(address)?);
                } else {
                    let listener = TcpListener::bind(address)?;
                    std::thread::spawn(move || accept(&listener, &Arc::new(manner)));
                }
            }
            _ => return Err(format!("{line}: no such server").into()),
        }
    }
    std::io::stdout().write_all(b"+\n")?;
    std::io::stdout().flush()?;
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    Ok(())
}

/// A listener with a full backlog and the connections that fill it. With a backlog of 0 the kernel takes one connection;
/// further ones stay in SYN-SENT, which is the point.
fn fill(address: SocketAddr) -> Result<(Socket, Vec<Socket>), Stop> {
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let listener = Socket::new(domain, Type::STREAM, None)?;
    listener.set_reuse_address(true)?;
    listener.bind(&address.into())?;
    listener.listen(0)?;
    let first = Socket::new(domain, Type::STREAM, None)?;
    first.connect(&address.into())?;
    let second = Socket::new(domain, Type::STREAM, None)?;
    second.set_nonblocking(true)?;
    let _ = second.connect(&address.into());
    Ok((listener, vec![first, second]))
}

fn echo(socket: &UdpSocket, answers: bool) {
    let mut buffer = [0; 65_535];
    loop {
        if let (Ok((length, from)), true) = (socket.recv_from(&mut buffer), answers) {
            let _ = socket.send_to(buffer.get(..length).unwrap_or_default(), from);
        }
    }
}

/// What is done with a connection.
#[derive(Debug)]
enum Manner {
    Silent,
    Close,
    Reset,
    Eof,
    Abort,
    Full,
    Say(Vec<u8>),
    Reply(Vec<u8>, bool),
    Nth(usize, AtomicUsize),
    Http(Http),
    Postgres(u8, bool),
}

/// `http STATUS` and these words: `after=MS` before the first byte, `header=Name:Value` (an underscore is a blank),
/// `body=N` bytes, `length=N` promised instead, `chunked` without an end, `drip=MS` between the body's bytes, `hold` keeps the connection when
/// done, `reset` resets it then.
#[derive(Debug, Clone)]
struct Http {
    status: u16,
    after: Duration,
    headers: Vec<String>,
    body: usize,
    length: Option<usize>,
    chunked: bool,
    drip: Duration,
    hold: bool,
    reset: bool,
}

impl Manner {
    fn parse(word: &str, rest: &[&str], line: &str) -> Result<Manner, Stop> {
        let number = |text: &str| text.parse::<usize>().map_err(|error| Stop::Fail(format!("{line}: {text}: {error}")));
        let text = || unescape(&rest.join(" "));
        Ok(match word {
            "silent" => Manner::Silent,
            "close" => Manner::Close,
            "reset" => Manner::Reset,
            "eof" => Manner::Eof,
            "abort" => Manner::Abort,
            "full" => Manner::Full,
            "say" => Manner::Say(text()),
            "reply" => Manner::Reply(text(), false),
            "reply-hold" => Manner::Reply(text(), true),
            "nth" => Manner::Nth(number(rest.first().unwrap_or(&"2"))?, AtomicUsize::new(0)),
            "postgres" => {
                let how = rest.first().unwrap_or(&"NR").as_bytes();
                Manner::Postgres(how.first().copied().unwrap_or(b'N'), how.get(1) == Some(&b'E'))
            }
            "http" => {
                let mut http = Http {
                    status: 200,
                    after: Duration::ZERO,
                    headers: Vec::new(),
                    body: 3,
                    length: None,
                    chunked: false,
                    drip: Duration::ZERO,
                    hold: false,
                    reset: false,
                };
                for word in rest {
                    let (key, value) = word.split_once('=').unwrap_or((word, ""));
                    let time = || number(value).map(|ms| Duration::from_millis(ms as u64));
                    match key {
                        "after" => http.after = time()?,
                        "drip" => http.drip = time()?,
                        "header" => http.headers.push(value.replace('_', " ")),
                        "body" => http.body = number(value)?,
                        "length" => http.length = Some(number(value)?),
                        "chunked" => http.chunked = true,
                        "hold" => http.hold = true,
                        "reset" => http.reset = true,
                        _ => {
                            http.status = key.parse().map_err(|error| Stop::Fail(format!("{line}: {key}: {error}")))?;
                        }
                    }
                }
                Manner::Http(http)
            }
            _ => return Err(format!("{line}: no such manner").into()),
        })
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'r') => bytes.push(b'\r'),
            Some(b'n') => bytes.push(b'\n'),
            Some(b'x') => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let digits = String::from_utf8_lossy(&digits).into_owned();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap_or(b'?'));
            }
            other => bytes.extend(other),
        }
    }
    bytes
}

fn accept(listener: &TcpListener, manner: &Arc<Manner>) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let manner = Arc::clone(manner);
        std::thread::spawn(move || {
            let _ = converse(stream, &manner);
        });
    }
}

fn reset(stream: &TcpStream) {
    let _ = setsockopt(stream, sockopt::Linger, &nix::libc::linger { l_onoff: 1, l_linger: 0 });
}

fn wait_for_end(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    while matches!(stream.read(&mut buffer), Ok(count) if count > 0) {}
}

fn converse(mut stream: TcpStream, manner: &Manner) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 65_536];
    match manner {
        Manner::Full | Manner::Close => {}
        Manner::Reset => reset(&stream),
        // What comes is not even read: the window fills.
        Manner::Silent => std::thread::sleep(PATIENCE),
        Manner::Eof => {
            let _ = stream.read(&mut buffer)?;
        }
        Manner::Abort => {
            let _ = stream.read(&mut buffer)?;
            reset(&stream);
        }
        Manner::Say(text) => {
            stream.write_all(text)?;
            wait_for_end(stream);
        }
        Manner::Reply(text, hold) => {
            if stream.read(&mut buffer)? > 0 {
                stream.write_all(text)?;
                if *hold {
                    wait_for_end(stream);
                }
            }
        }
        Manner::Nth(every, count) => {
            if (count.fetch_add(1, Ordering::Relaxed) + 1) % every.max(&1) == 0 {
                reset(&stream);
            } else {
                let Manner::Http(http) = Manner::parse("http", &["200"], "").map_err(|_| std::io::ErrorKind::Other)?
                else {
                    return Ok(());
                };
                serve(&mut stream, &http)?;
            }
        }
        Manner::Http(http) => serve(&mut stream, http)?,
        Manner::Postgres(tls, refuses) => postgres(&mut stream, *tls, *refuses)?,
    }
    Ok(())
}

fn serve(stream: &mut TcpStream, http: &Http) -> std::io::Result<()> {
    loop {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            // What is no request is not answered for ever.
            if stream.read(&mut byte)? == 0 || head.len() > 65_536 {
                return Ok(());
            }
            head.extend_from_slice(&byte);
            if head.len() == 1 && !head[0].is_ascii_uppercase() {
                stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")?;
                return Ok(());
            }
        }
        std::thread::sleep(http.after);
        let mut reply = format!("HTTP/1.1 {} Scripted\r\n", http.status);
        for header in &http.headers {
            reply.push_str(header);
            reply.push_str("\r\n");
        }
        let body = vec![b'a'; http.body];
        if http.chunked {
            reply.push_str("Transfer-Encoding: chunked\r\n\r\n");
        } else {
            let length = http.length.unwrap_or(http.body);
            reply.push_str(&format!("Content-Length: {length}\r\n\r\n"));
        }
        stream.write_all(reply.as_bytes())?;
        let body: &[u8] = if head.starts_with(b"HEAD ") { &[] } else { &body };
        if http.chunked {
            stream.write_all(format!("{:x}\r\n", body.len()).as_bytes())?;
        }
        if http.drip.is_zero() {
            stream.write_all(body)?;
        } else {
            for byte in body {
                stream.write_all(&[*byte])?;
                std::thread::sleep(http.drip);
            }
        }
        if http.chunked {
            stream.write_all(b"\r\n")?;
        }
        let short = http.length.is_some_and(|length| length != body.len());
        if http.reset {
            // What was sent arrives first; the reset is no answer to it.
            std::thread::sleep(Duration::from_millis(50));
            reset(stream);
            return Ok(());
        }
        if http.hold {
            wait_for_end(stream.try_clone()?);
            return Ok(());
        }
        if short || http.chunked {
            return Ok(());
        }
    }
}

/// The start of a connection (PostgreSQL's manual, "Message Flow").
fn postgres(stream: &mut TcpStream, tls: u8, refuses: bool) -> std::io::Result<()> {
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let rest = usize::try_from(u32::from_be_bytes(length)).unwrap_or(0).saturating_sub(4).min(10_000);
        let mut message = vec![0; rest];
        stream.read_exact(&mut message)?;
        match message.get(..4) {
            // Requests for TLS and for GSSAPI.
            Some([0x04, 0xd2, 0x16, 0x2f]) => {
                stream.write_all(&[tls])?;
                if tls == b'S' {
                    wait_for_end(stream.try_clone()?);
                    return Ok(());
                }
            }
            Some([0x04, 0xd2, 0x16, 0x30]) => stream.write_all(b"N")?,
            _ if refuses => {
                let text = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0";
                stream.write_all(b"E")?;
                stream.write_all(&u32::try_from(text.len() + 4).unwrap_or(0).to_be_bytes())?;
                stream.write_all(text)?;
                return Ok(());
            }
            _ => {
                stream.write_all(b"R\0\0\0\x08\0\0\0\x03")?;
                wait_for_end(stream.try_clone()?);
                return Ok(());
            }
        }
    }
}

enum Playing {
    Both(Server),
    Alone,
}

/// Modes: `ok`; `refused`, `servfail`, `formerr`, `notimp`; `silent`; `slow:MS`; `tc` truncates over UDP, `tc-silent` then
/// takes TCP and says nothing, `tc-udponly` has no TCP; `aaaa-silent`, `aaaa-servfail`, `aaaa-nxdomain` for that type
/// alone; `lame` refers upwards; `first-lost` leaves every other query of a name and type without an answer;
/// `nodata` has every name and nothing for it; `hang:DOMAIN` does not answer for names in there, `broken:DOMAIN` says
/// SERVFAIL.
fn dns(address: SocketAddr, mode: &str, zone: &[&str]) -> Result<Playing, Stop> {
    let mut names: Vec<(String, Vec<IpAddr>)> = Vec::new();
    for entry in zone {
        let (name, addresses) = entry.split_once('=').unwrap_or((entry, ""));
        let addresses = addresses.split(',').filter_map(|text| text.parse().ok()).collect();
        names.push((name.to_owned(), addresses));
    }
    let mode = mode.to_owned();
    let udp_only = mode == "tc-udponly";
    let seen = std::sync::Mutex::new(std::collections::HashSet::new());
    let script: Arc<Script> = Arc::new(move |query, tcp| {
        let Some(asked) = question(query) else { return Vec::new() };
        if mode == "first-lost" {
            let key = (asked.name.clone(), asked.kind);
            if seen.lock().is_ok_and(|mut seen| !seen.remove(&key) && seen.insert(key)) {
                return Vec::new();
            }
        }
        answer(&mode, &names, &asked, tcp)
    });
    if udp_only {
        let socket = UdpSocket::bind(address)?;
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                for act in script(buffer.get(..length).unwrap_or_default(), false) {
                    if let Act::Send(bytes) = act {
                        let _ = socket.send_to(&bytes, from);
                    }
                }
            }
        });
        return Ok(Playing::Alone);
    }
    Server::start(address, script).map(Playing::Both)
}

fn answer(mode: &str, names: &[(String, Vec<IpAddr>)], asked: &Question, tcp: bool) -> Vec<Act> {
    let code = |rcode: u16| vec![Act::Send(Message::reply(asked, flag::RA | rcode).bytes())];
    let six = asked.kind == kind::AAAA;
    let truncated = mode.starts_with("tc") && !tcp;
    match mode {
        "refused" => return vec![Act::Send(Message::reply(asked, 5).bytes())],
        "servfail" => return code(2),
        "formerr" => return code(1),
        "notimp" => return code(4),
        "silent" => return Vec::new(),
        _ if mode.strip_prefix("hang:").is_some_and(|domain| asked.name.ends_with(domain)) => return Vec::new(),
        _ if mode.strip_prefix("broken:").is_some_and(|domain| asked.name.ends_with(domain)) => return code(2),
        "aaaa-silent" if six => return Vec::new(),
        "aaaa-servfail" if six => return code(2),
        "aaaa-nxdomain" if six => return code(3),
        "tc-silent" if tcp => return Vec::new(),
        "tc-close" if tcp => return vec![Act::Close],
        "lame" => {
            let root = [name("a.root-servers.net")].concat();
            let reply = Message::reply(asked, 0).record(Section::Authority, &[0], [kind::NS, 1], 3600, &root);
            return vec![Act::Send(reply.bytes())];
        }
        _ => {}
    }
    let found = names.iter().find(|(name, _)| name.eq_ignore_ascii_case(&asked.name));
    let mut reply = Message::reply(asked, flag::AA | flag::RA | if truncated { flag::TC } else { 0 });
    match found {
        Some((_, addresses)) if !truncated => {
            for address in addresses {
                reply = match address {
                    IpAddr::V4(address) if asked.kind == kind::A => reply.answer(kind::A, &address.octets()),
                    IpAddr::V6(address) if six => reply.answer(kind::AAAA, &address.octets()),
                    _ => reply,
                };
            }
            if reply.counts[1] == 0 {
                reply = reply.record(Section::Authority, &name("cluster.local"), [kind::SOA, 1], 30, &soa(1));
            }
        }
        Some(_) => {}
        None if mode == "nodata" => {}
        None => {
            reply = Message::reply(asked, flag::AA | flag::RA | 3).record(
                Section::Authority,
                &name("cluster.local"),
                [kind::SOA, 1],
                30,
                &soa(1),
            );
        }
    }
    let mut acts = Vec::new();
    if let Some(ms) = mode.strip_prefix("slow:").and_then(|text| text.parse().ok()) {
        acts.push(Act::Pause(Duration::from_millis(ms)));
    }
    acts.push(Act::Send(reply.bytes()));
    acts
}
