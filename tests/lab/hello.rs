//! A TLS server that only ever says hello: what it takes stands in a script, so that there is one of any version, with any
//! suite, group or fault. It computes nothing; whoever wants more than its first flight is disappointed.
#![allow(clippy::indexing_slicing)] // a hello that is not well made fails the trial

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Stop;

/// What it takes, most wanted first.
#[derive(Clone, Debug, Default)]
pub struct Script {
    pub versions: Vec<u16>,
    pub suites: Vec<u16>,
    pub groups: Vec<u16>,
    pub schemes: Vec<u16>,
    pub compression: Vec<u8>,
    /// In DER.
    pub certificate: Vec<u8>,
    /// In DER.
    pub staple: Vec<u8>,
    /// Names of authorities in DER, when a certificate of the client is wanted.
    pub authorities: Option<Vec<Vec<u8>>>,
    /// Longer hellos are not answered but dropped.
    pub longest: Option<usize>,
    /// A hello has to come in one read and one record.
    pub one_piece: bool,
    /// Hellos for this name are cut off.
    pub forbidden: Option<&'static str>,
    /// Whether TLS_FALLBACK_SCSV is known.
    pub fallback: bool,
    /// A warning for the name comes before anything else.
    pub warns: bool,
    /// Nothing is answered until four connections are open and no fifth came for a while.
    pub holds: bool,
}

/// The server; it ends when dropped.
pub struct Greeter {
    pub port: u16,
    /// Connections so far.
    pub count: Arc<AtomicUsize>,
    /// Connections that came while nothing was answered.
    pub held: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Greeter {
    pub fn start(script: Script) -> Result<Greeter, Stop> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let (count, held) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let stop = Arc::new(AtomicBool::new(false));
        let (counted, holding, stopped) = (count.clone(), held.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let script = Arc::new(script);
            let mut talks = Vec::new();
            let mut waiting = Vec::new();
            if script.holds {
                waiting.extend(listener.incoming().take(4).flatten());
                std::thread::sleep(Duration::from_millis(300));
                let _ = listener.set_nonblocking(true);
                waiting.extend(listener.accept().ok().map(|(stream, _)| stream));
                let _ = listener.set_nonblocking(false);
                holding.store(waiting.len(), Ordering::SeqCst);
            }
            for stream in waiting.into_iter().map(Ok).chain(listener.incoming()) {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let _ = stream.set_nonblocking(false);
                counted.fetch_add(1, Ordering::SeqCst);
                let script = script.clone();
                talks.push(std::thread::spawn(move || drop(talk(stream, &script))));
            }
            talks.into_iter().for_each(|talk| drop(talk.join()));
        });
        Ok(Greeter { port, count, held, stop, thread: Some(thread) })
    }
}

impl Drop for Greeter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What a hello offers.
#[derive(Default)]
struct Offer {
    version: u16,
    versions: Vec<u16>,
    session: Vec<u8>,
    suites: Vec<u16>,
    compression: Vec<u8>,
    name: String,
    groups: Vec<u16>,
    schemes: Vec<u16>,
    shares: Vec<u16>,
    wants_staple: bool,
    renegotiation: bool,
}

fn pairs(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect()
}

/// Reads a hello that is whole and well made; anything else is a fault of the client.
fn offer(message: &[u8]) -> Offer {
    let mut out = Offer { version: u16::from_be_bytes([message[4], message[5]]), ..Offer::default() };
    let mut at = 38;
    let mut take = |width: usize| {
        let length = message[at..at + width].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        at += width + length;
        message[at - length..at].to_vec()
    };
    out.session = take(1);
    out.suites = pairs(&take(2));
    out.compression = take(1);
    if at == message.len() {
        return out;
    }
    let mut extensions = &message[at + 2..];
    while extensions.len() >= 4 {
        let kind = u16::from_be_bytes([extensions[0], extensions[1]]);
        let length = usize::from(u16::from_be_bytes([extensions[2], extensions[3]]));
        let content = &extensions[4..4 + length];
        match kind {
            0 => out.name = String::from_utf8_lossy(&content[5..]).into_owned(),
            5 => out.wants_staple = true,
            10 => out.groups = pairs(&content[2..]),
            13 => out.schemes = pairs(&content[2..]),
            43 => out.versions = pairs(&content[1..]),
            51 => {
                let mut shares = &content[2..];
                while shares.len() >= 4 {
                    out.shares.push(u16::from_be_bytes([shares[0], shares[1]]));
                    shares = &shares[4 + usize::from(u16::from_be_bytes([shares[2], shares[3]]))..];
                }
            }
            0xff01 => out.renegotiation = true,
            _ => {}
        }
        extensions = &extensions[4 + length..];
    }
    out
}

fn counted(width: usize, content: &[u8]) -> Vec<u8> {
    let mut out = content.len().to_be_bytes()[8 - width..].to_vec();
    out.extend(content);
    out
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &counted(3, body)].concat()
}

fn record(kind: u8, version: u16, content: &[u8]) -> Vec<u8> {
    [&[kind][..], &version.to_be_bytes(), &counted(2, content)].concat()
}

/// First of ours that they offer too.
fn common<T: PartialEq + Copy>(ours: &[T], theirs: &[T]) -> Option<T> {
    ours.iter().copied().find(|one| theirs.contains(one))
}

/// In how many segments the client's data came, as the kernel counts them for ss(8).
fn segments(stream: &TcpStream) -> Option<usize> {
    let (own, client) = (stream.local_addr().ok()?.port(), stream.peer_addr().ok()?.port());
    let which = format!("-Htni sport = :{own} and dport = :{client}");
    let shown = std::process::Command::new("ss").args(which.split(' ')).output().ok()?;
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    text.split_whitespace().find_map(|word| word.strip_prefix("data_segs_in:")?.parse().ok())
}

fn talk(mut stream: TcpStream, script: &Script) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut raw = Vec::new();
    let mut hello = Vec::new();
    let mut buffer = [0u8; 32 << 10];
    let mut reads = 0;
    let mut records = 0;
    loop {
        let wanted = if hello.len() >= 4 {
            4 + (usize::from(hello[1]) << 16 | usize::from(hello[2]) << 8 | usize::from(hello[3]))
        } else {
            4
        };
        if hello.len() >= wanted && hello.len() > 4 {
            break;
        }
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        reads += 1;
        raw.extend_from_slice(&buffer[..length]);
        while raw.len() >= 5 {
            let end = 5 + usize::from(u16::from_be_bytes([raw[3], raw[4]]));
            if raw.len() < end {
                break;
            }
            hello.extend_from_slice(&raw[5..end]);
            raw.drain(..end);
            records += 1;
        }
        if script.one_piece && hello.len() < 40 {
            return Ok(());
        }
    }
    // On a busy machine two segments may be there before the first is read.
    if script.one_piece && (records > 1 || segments(&stream).unwrap_or(reads) > 1) {
        return Ok(());
    }
    if script.longest.is_some_and(|longest| hello.len() > longest) {
        // Swallowed: nothing comes, until the other side gives up.
        while stream.read(&mut buffer)? > 0 {}
        return Ok(());
    }
    let offer = offer(&hello);
    if script.forbidden == Some(offer.name.as_str()) {
        return Ok(());
    }
    stream.write_all(&answer(script, &offer))?;
    // Until the client has read it and goes.
    while stream.read(&mut buffer)? > 0 {}
    Ok(())
}

fn answer(script: &Script, offer: &Offer) -> Vec<u8> {
    let alert = |code: u8| record(21, offer.version.min(0x0303), &[2, code]);
    let highest = script.versions.iter().max().copied().unwrap_or(0);
    let version = match offer.versions.as_slice() {
        [] => script.versions.iter().copied().filter(|one| *one <= offer.version).max(),
        list => common(&script.versions, list),
    };
    let Some(version) = version else { return alert(70) };
    if script.fallback && offer.suites.contains(&0x5600) && version < highest {
        return alert(86);
    }
    let is_tls13 = version == 0x0304;
    let fits = |suite: &u16| (*suite >> 8 == 0x13) == is_tls13;
    let mut suites: Vec<u16> = script.suites.iter().copied().filter(fits).collect();
    let has_curve = |suite: &u16| (0xc001..=0xc0ff).contains(suite) || *suite >> 8 == 0xcc;
    let group = common(&script.groups, &offer.groups);
    if group.is_none() {
        suites.retain(|suite| !has_curve(suite) && !is_tls13);
    }
    let scheme = common(&script.schemes, &offer.schemes);
    if scheme.is_none() && version >= 0x0303 {
        suites.retain(|suite| !has_curve(suite) && !is_tls13);
    }
    let Some(suite) = common(&suites, &offer.suites) else { return alert(40) };
    let compression = common(&script.compression, &offer.compression).unwrap_or(0);
    let mut extensions = Vec::new();
    let mut random = [7u8; 32];
    if is_tls13 {
        let group = group.unwrap_or(0);
        extensions.extend([0, 43, 0, 2, 3, 4, 0, 51]);
        if offer.shares.contains(&group) {
            extensions.extend(counted(2, &[&group.to_be_bytes()[..], &counted(2, &[9; 32])].concat()));
        } else {
            extensions.extend(counted(2, &group.to_be_bytes()));
            // SHA-256 of "HelloRetryRequest".
            random = [
                0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
                0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
            ];
        }
    } else if offer.renegotiation {
        extensions.extend([0xff, 1, 0, 1, 0]);
        if offer.wants_staple && !script.staple.is_empty() {
            extensions.extend([0, 5, 0, 0]);
        }
    }
    let mut body = version.min(0x0303).to_be_bytes().to_vec();
    body.extend(random);
    body.extend(counted(1, &offer.session));
    body.extend(suite.to_be_bytes());
    body.push(compression);
    if !extensions.is_empty() {
        body.extend(counted(2, &extensions));
    }
    let mut messages = message(2, &body);
    if !is_tls13 {
        let list = if script.certificate.is_empty() { Vec::new() } else { counted(3, &script.certificate) };
        messages.extend(message(11, &counted(3, &list)));
        if offer.wants_staple && !script.staple.is_empty() {
            messages.extend(message(22, &[&[1][..], &counted(3, &script.staple)].concat()));
        }
        if has_curve(&suite) {
            let mut body = vec![3];
            body.extend(group.unwrap_or(0).to_be_bytes());
            body.extend(counted(1, &[4; 32]));
            if version == 0x0303 {
                body.extend(scheme.unwrap_or(0).to_be_bytes());
            }
            body.extend(counted(2, &[5; 64]));
            messages.extend(message(12, &body));
        }
        if let Some(authorities) = &script.authorities {
            let names: Vec<u8> = authorities.iter().flat_map(|name| counted(2, name)).collect();
            let schemes: &[u8] = if version == 0x0303 { &[0, 4, 4, 3, 8, 4] } else { &[] };
            messages.extend(message(13, &[&[1, 64][..], schemes, &counted(2, &names)].concat()));
        }
        messages.extend(message(14, &[]));
    }
    let mut out = if script.warns { record(21, version.min(0x0303), &[1, 112]) } else { Vec::new() };
    out.extend(record(22, version.min(0x0303), &messages));
    out
}
