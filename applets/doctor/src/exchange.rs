//! One conversation above TCP: a TLS handshake if it is wanted, then an HTTP request and its answer, with everything
//! that tells where it stopped.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use netkit_http::chunked::{Chunked, Piece};
use netkit_http::head::{Head, Length, Start, content_length, start, status_line};
use netkit_probe::{TcpInfo, tcp_info};
use netkit_tls::{Session, Settings, Sources, TlsError, Transport, read_by, write_by};
use socket2::{Domain, Socket, Type};

use crate::target::{Speak, Target};
use crate::world::World;

/// Bytes of a body that are read; longer ones are taken on trust.
const MOST_BODY: usize = 256 * 1024;
/// Bytes of a head that are read.
const MOST_HEAD: usize = 128 * 1024;
/// Interim answers before the answer.
const MOST_INTERIM: u32 = 32;
/// Bytes of the body kept to recognize error pages by.
const KEPT: usize = 2_048;
/// Segments larger than this are not filled on purpose: servers limit the size of a head.
const LARGEST_PADDING: u32 = 4_000;
/// The smallest segment size every path carries.
pub(crate) const SMALL_MSS: u32 = 500;

/// How one conversation goes about it.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// Largest segment we announce and send.
    pub(crate) mss: Option<u32>,
    /// Fill the first segment of the request, so that the way out is tested for its size.
    pub(crate) pad: bool,
    pub(crate) patience: Duration,
    /// Accept any certificate.
    pub(crate) insecure: bool,
    /// Send no server name.
    pub(crate) nameless: bool,
    /// The request goes to a proxy that is no tunnel.
    pub(crate) absolute: bool,
}

impl Manner {
    pub(crate) fn of(world: &World) -> Manner {
        Manner {
            mss: None,
            pad: true,
            patience: world.patience(),
            insecure: world.nameless,
            nameless: world.nameless,
            absolute: false,
        }
    }
}

/// How a body ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As announced.
    Complete,
    /// More than was read here.
    Enough,
    /// The connection ended before what was announced was there.
    Cut(Option<u64>),
    /// Nothing more came, and no end.
    Stalled(Option<u64>),
    /// The coding is broken.
    Malformed(String),
    /// Pieces keep coming and do not end within the time allowed.
    Endless,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    /// From the request to the first byte.
    pub(crate) first_byte: Duration,
    pub(crate) length: u64,
    /// The first bytes of the body.
    pub(crate) body: Vec<u8>,
    pub(crate) end: End,
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// No TLS.
    Tls(Box<TlsError>),
    /// The connection ended without a byte of an answer.
    Empty,
    /// It was reset.
    Reset,
    /// An alert, or another error of TLS, in words.
    Alert(String),
    /// Nothing came in time.
    Silent,
    /// What came is not HTTP; its first bytes.
    Other(Vec<u8>),
    /// A head that cannot be read.
    Malformed(String),
    /// The head began and did not end.
    HalfHead,
    /// Another error.
    Failed(String),
}

/// One conversation.
pub(crate) struct Exchange {
    pub(crate) session: Option<Session>,
    pub(crate) handshake: Option<Duration>,
    pub(crate) result: Result<Answer, Trouble>,
    pub(crate) info: Option<TcpInfo>,
    /// The request filled a segment.
    pub(crate) padded: bool,
    /// The path's MTU as the kernel knew it before anything was said, in bytes; 0 when it did not say.
    pub(crate) mtu: u32,
}

/// Connects anew.
pub(crate) fn connect(address: SocketAddr, mss: Option<u32>, patience: Duration) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if let Some(mss) = mss {
        socket.set_tcp_mss(mss)?;
    }
    socket.connect_timeout(&address.into(), patience)?;
    Ok(socket)
}

/// Speaks over a connection. `version` goes into the request.
pub(crate) fn speak(world: &World, target: &Target, socket: Socket, manner: &Manner) -> Exchange {
    let mut exchange =
        Exchange { session: None, handshake: None, result: Err(Trouble::Empty), info: None, padded: false, mtu: 0 };
    let watched = socket.try_clone().ok();
    let _ = socket.set_tcp_nodelay(true);
    exchange.result = converse(world, target, socket, manner, &mut exchange);
    exchange.info = watched.as_ref().and_then(tcp_info);
    let ended = matches!(&exchange.result, Ok(Answer { end: End::Complete | End::Enough, .. }));
    if let (false, Some(socket)) = (ended, &watched) {
        // Others hold the socket too; a server that serves one after the other would wait for its end.
        let _ = socket.shutdown(std::net::Shutdown::Both);
    }
    exchange
}

fn converse(
    world: &World,
    target: &Target,
    socket: Socket,
    manner: &Manner,
    exchange: &mut Exchange,
) -> Result<Answer, Trouble> {
    let info = tcp_info(&socket);
    exchange.mtu = info.map_or(0, |info| info.pmtu);
    let peer_is_far =
        socket.peer_addr().ok().and_then(|peer| peer.as_socket()).is_some_and(|peer| !peer.ip().is_loopback());
    let plain = netkit_tls::Socket::new(socket).map_err(|error| Trouble::Failed(error.to_string()))?;
    let mut stream: Box<dyn Transport> = Box::new(plain);
    if target.tls {
        let began = Instant::now();
        let (name, settings) = tls_settings(world, target, manner);
        let deadline = Some(began + manner.patience);
        let (tls, session) = netkit_tls::connect(stream, &name, &settings, deadline).map_err(Trouble::Tls)?;
        exchange.handshake = Some(began.elapsed());
        exchange.session = Some(session);
        stream = tls;
    }
    match target.speak {
        Speak::Http => {}
        _ => return after_handshake(stream),
    }
    let room = info.map_or(0, |info| info.snd_mss);
    let pad = manner.pad && peer_is_far && (400..LARGEST_PADDING).contains(&room);
    exchange.padded = pad;
    let request = request(world, target, manner, if pad { room } else { 0 });
    get(&mut *stream, &request, manner.patience)
}

/// The name that is sent and checked, and how TLS is spoken.
fn tls_settings(world: &World, target: &Target, manner: &Manner) -> (String, Settings) {
    let options = &world.options;
    let settings = Settings {
        insecure: manner.insecure,
        sources: Sources {
            file: options.cacert.clone(),
            directory: None,
            env_file: world.cert_file.clone(),
            env_directory: world.cert_dir.clone(),
        },
        certificate: options.cert.clone(),
        key: options.key.clone(),
        alpn: match target.speak {
            Speak::Http => vec!["http/1.1"],
            Speak::Grpc => vec!["h2"],
            _ => Vec::new(),
        },
        min: 2,
        max: 3,
        ..Settings::default()
    };
    // An address is never sent as a server name (RFC 6066, section 3).
    let name =
        if manner.nameless { "0.0.0.0".to_owned() } else { options.sni.clone().unwrap_or_else(|| target.host.clone()) };
    (name.split('%').next().unwrap_or_default().to_owned(), settings)
}

/// In TLS 1.3 a server says only after the handshake that it wants a certificate.
fn after_handshake(mut stream: Box<dyn Transport>) -> Result<Answer, Trouble> {
    const WINDOW: Duration = Duration::from_millis(250);
    let mut buffer = [0u8; KEPT];
    match read_by(&mut *stream, &mut buffer, Some(Instant::now() + WINDOW)) {
        Ok(0) => Err(Trouble::Empty),
        Ok(length) => Err(Trouble::Other(buffer.get(..length).unwrap_or_default().to_vec())),
        Err(error) => Err(trouble(&error)),
    }
}

fn trouble(error: &io::Error) -> Trouble {
    match error.kind() {
        io::ErrorKind::TimedOut => Trouble::Silent,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => Trouble::Reset,
        io::ErrorKind::UnexpectedEof => Trouble::Empty,
        io::ErrorKind::InvalidData => Trouble::Alert(error.to_string()),
        _ => Trouble::Failed(error.to_string().split(" (os error").next().unwrap_or_default().to_owned()),
    }
}

fn request(world: &World, target: &Target, manner: &Manner, fill: u32) -> Vec<u8> {
    let authority = target.authority();
    let path = if manner.absolute { format!("http://{authority}{}", target.path) } else { target.path.clone() };
    let host = world.options.host.clone().unwrap_or_else(|| authority.clone());
    let mut text = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: netkit-doctor\r\nAccept: */*\r\nConnection: close\r\n"
    );
    let wanted = usize::try_from(fill).unwrap_or(0);
    if wanted > text.len() {
        // Filled beyond one segment, so that one of full size is sent whatever TLS adds.
        text.push_str("X-Netkit-Padding: ");
        text.push_str(&"0".repeat(wanted));
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// Sends the request and reads the answer.
pub(crate) fn get(stream: &mut dyn Transport, request: &[u8], patience: Duration) -> Result<Answer, Trouble> {
    let began = Instant::now();
    let deadline = Some(began + patience);
    // A server may answer and close before it has read everything; its answer tells more than our error.
    let written = write_by(stream, request, deadline);
    let mut input: Vec<u8> = Vec::new();
    let mut first_byte = None;
    let mut interim = 0;
    loop {
        match start(&input) {
            Start::Http => {}
            Start::Other => {
                input.truncate(KEPT);
                return Err(Trouble::Other(input));
            }
        }
        if let Some((head, used)) = parse(&input)? {
            // An interim answer says nothing yet.
            if (100..200).contains(&head.status) && head.status != 101 {
                interim += 1;
                if interim > MOST_INTERIM {
                    return Err(Trouble::Malformed("interim answers without end".to_owned()));
                }
                input.drain(..used);
                continue;
            }
            let body = input.split_off(used);
            return Ok(read_body(stream, head, body, first_byte.unwrap_or_default(), patience));
        }
        if input.len() > MOST_HEAD {
            return Err(Trouble::Malformed("its head does not end".to_owned()));
        }
        match more(stream, &mut input, deadline) {
            Ok(0) if input.is_empty() => {
                return Err(written.err().map_or(Trouble::Empty, |error| trouble(&error)));
            }
            Ok(0) => return Err(Trouble::HalfHead),
            Ok(_) => first_byte = first_byte.or(Some(began.elapsed())),
            Err(error) if !input.is_empty() && error.kind() == io::ErrorKind::TimedOut => {
                return Err(Trouble::HalfHead);
            }
            Err(error) => return Err(trouble(&error)),
        }
    }
}

/// Reads some bytes to the end of `input`.
fn more(stream: &mut dyn Transport, input: &mut Vec<u8>, deadline: Option<Instant>) -> io::Result<usize> {
    let mut buffer = [0u8; 16 * 1024];
    let length = read_by(stream, &mut buffer, deadline)?;
    input.extend_from_slice(buffer.get(..length).unwrap_or_default());
    Ok(length)
}

/// The head, if it is there as a whole, and its length.
fn parse(input: &[u8]) -> Result<Option<(Head, usize)>, Trouble> {
    let mut head = Head::default();
    let mut used = 0;
    for line in input.split_inclusive(|byte| *byte == b'\n') {
        if line.last() != Some(&b'\n') {
            return Ok(None);
        }
        used += line.len();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let wrong = |failure: netkit_http::Failure| Trouble::Malformed(failure.text);
        if head.status == 0 {
            (head.version, head.status) = status_line(line).map_err(wrong)?;
        } else if line.is_empty() {
            return Ok(Some((head, used)));
        } else {
            head.add(line).map_err(wrong)?;
        }
    }
    Ok(None)
}

/// How the length of a body is known.
enum Framing {
    Known(u64),
    Chunked(Box<Chunked>),
    UntilClose,
}

fn read_body(
    stream: &mut dyn Transport,
    head: Head,
    early: Vec<u8>,
    first_byte: Duration,
    patience: Duration,
) -> Answer {
    let length = content_length(&head).unwrap_or(Length::Unknown);
    let mut framing = if matches!(head.status, 204 | 304 | 101) {
        Framing::Known(0)
    } else if head.has_token("transfer-encoding", "chunked") {
        Framing::Chunked(Box::default())
    } else {
        match length {
            Length::Bytes(length) => Framing::Known(length),
            _ => Framing::UntilClose,
        }
    };
    let mut answer = Answer { head, first_byte, length: 0, body: Vec::new(), end: End::Complete };
    let began = Instant::now();
    let mut input = early;
    answer.end = loop {
        match step(&mut framing, &mut input, &mut answer) {
            Some(end) => break end,
            None if answer.length >= MOST_BODY as u64 => break End::Enough,
            None => {}
        }
        let total = match &framing {
            Framing::Known(length) => Some(*length),
            _ => None,
        };
        // A trickle must not hold us for ever.
        if began.elapsed() >= patience * 2 {
            break if answer.length > 0 { End::Endless } else { End::Stalled(total) };
        }
        match more(stream, &mut input, Some(Instant::now() + patience)) {
            Ok(0) => {
                break match &framing {
                    Framing::UntilClose => End::Complete,
                    _ => End::Cut(total),
                };
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::TimedOut => break End::Stalled(total),
            Err(_) if matches!(framing, Framing::UntilClose) && answer.length > 0 => break End::Cut(None),
            Err(_) => break End::Cut(total),
        }
    };
    answer
}

/// Takes what has come; the end of the body when it is reached.
fn step(framing: &mut Framing, input: &mut Vec<u8>, answer: &mut Answer) -> Option<End> {
    let keep = |answer: &mut Answer, bytes: &[u8]| {
        answer.length += bytes.len() as u64;
        let room = KEPT.saturating_sub(answer.body.len()).min(bytes.len());
        answer.body.extend_from_slice(bytes.get(..room).unwrap_or_default());
    };
    match framing {
        Framing::UntilClose => keep(answer, &std::mem::take(input)),
        Framing::Known(length) => {
            keep(answer, &std::mem::take(input));
            if answer.length >= *length {
                return Some(End::Complete);
            }
        }
        Framing::Chunked(decoder) => loop {
            let (used, piece) = match decoder.feed(input) {
                Ok(found) => found,
                Err(failure) => return Some(End::Malformed(failure.text)),
            };
            input.drain(..used.min(input.len()));
            match piece {
                Piece::Data(length) => {
                    let rest = input.split_off(length.min(input.len()));
                    keep(answer, &std::mem::replace(input, rest));
                }
                Piece::Trailer(_) => {}
                Piece::More => return None,
                Piece::Done => return Some(End::Complete),
            }
        },
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_of_a_server(bytes in proptest::collection::vec(any::<u8>(), 0..300), start in prop_oneof![Just(&b""[..]), Just(&b"HTTP/1.1 200 OK\r\n"[..])]) {
            let input = [start, &bytes].concat();
            if let Ok(Some((head, used))) = parse(&input) {
                prop_assert!(used <= input.len());
                let _ = crate::http::who(&head);
            }
            let mut answer = Answer { head: Head::default(), first_byte: Duration::ZERO, length: 0, body: Vec::new(), end: End::Complete };
            let mut rest = input.clone();
            let _ = step(&mut Framing::Chunked(Box::default()), &mut rest, &mut answer);
            prop_assert!(answer.body.len() <= KEPT && answer.length <= input.len() as u64);
        }
    }
    use std::io::Write as _;
    use std::net::TcpListener;

    /// What a client finds when the server sends these bytes and closes.
    fn answer_of(sent: &'static [u8]) -> Result<Answer, Trouble> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0u8; 64];
            let _ = io::Read::read(&mut stream, &mut buffer);
            let _ = stream.write_all(sent);
        });
        let socket = connect(address, None, Duration::from_secs(20)).unwrap();
        let mut stream = netkit_tls::Socket::new(socket).unwrap();
        let found = get(&mut stream, b"GET / HTTP/1.1\r\n\r\n", Duration::from_secs(20));
        server.join().unwrap();
        found
    }

    #[test]
    fn ends_of_bodies() {
        let end = |sent| answer_of(sent).unwrap().end;
        assert_eq!(end(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"), End::Complete);
        assert_eq!(end(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"), End::Cut(Some(5)));
        assert_eq!(end(b"HTTP/1.0 200 OK\r\n\r\nab"), End::Complete);
        assert_eq!(end(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"), End::Complete);
        assert_eq!(end(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"), End::Cut(None));
        assert_eq!(end(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n"), End::Complete);
        assert!(matches!(end(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), End::Malformed(_)));
    }

    #[test]
    fn what_is_no_answer() {
        assert!(matches!(answer_of(b"SSH-2.0-x\r\n"), Err(Trouble::Other(_))));
        assert!(matches!(answer_of(b"HTTP/1.1 200 OK\r\nA: b"), Err(Trouble::HalfHead)));
        assert!(matches!(answer_of(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n"), Err(Trouble::Malformed(_))));
    }
}
