//! A name server on UDP and TCP whose every reply a function decides, honest or not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Stop;

/// How often a waiting thread looks whether the server was dropped.
const TICK: Duration = Duration::from_millis(50);
/// How many TCP connections are served at once; further ones are closed at once.
const CONNECTIONS: usize = 64;

/// One step of an answer.
#[derive(Debug, Clone)]
pub enum Act {
    /// A message: a datagram, or on TCP with its length before it (RFC 1035, 4.2.2).
    Send(Vec<u8>),
    /// Bytes as they are, on TCP without any length.
    Raw(Vec<u8>),
    /// On TCP one byte at a time with a pause after each; on UDP nothing.
    Drip(Vec<u8>, Duration),
    /// Nothing for a while.
    Pause(Duration),
    /// The same message again and again until the client goes away, at most so many times.
    Repeat(Vec<u8>, usize),
    /// On TCP the connection is closed.
    Close,
}

/// Decides the answer to the query in the first argument; the second tells whether it came over TCP.
pub type Script = dyn Fn(&[u8], bool) -> Vec<Act> + Send + Sync;

/// A running server; dropping it stops its threads and closes its sockets.
#[derive(Debug)]
pub struct Server {
    /// Where it listens, the same port for both transports.
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Listens on `address`; with port 0 on one that is free for both transports.
    pub fn start(address: SocketAddr, script: Arc<Script>) -> Result<Server, Stop> {
        let (udp, tcp) = bind(address)?;
        let address = udp.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        udp.set_read_timeout(Some(TICK))?;
        tcp.set_nonblocking(true)?;
        let datagrams = {
            let (stop, script) = (stop.clone(), script.clone());
            std::thread::spawn(move || serve_udp(&udp, &stop, &script))
        };
        let streams = {
            let stop = stop.clone();
            std::thread::spawn(move || serve_tcp(&tcp, &stop, &script))
        };
        Ok(Server { address, stop, threads: vec![datagrams, streams] })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn bind(address: SocketAddr) -> Result<(UdpSocket, TcpListener), Stop> {
    let mut last = None;
    // The port that one transport got may be taken on the other.
    for _ in 0..20 {
        let udp = UdpSocket::bind(address)?;
        match TcpListener::bind(udp.local_addr()?) {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) => last = Some(error),
        }
    }
    Err(Stop::Fail(format!("no port is free for both transports: {last:?}")))
}

fn serve_udp(socket: &UdpSocket, stop: &AtomicBool, script: &Arc<Script>) {
    let mut buffer = vec![0; 65_535];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, client)) = socket.recv_from(&mut buffer) else { continue };
        let acts = script(buffer.get(..length).unwrap_or_default(), false);
        if acts.iter().any(|act| matches!(act, Act::Pause(_))) {
            // Others must not wait meanwhile.
            if let Ok(socket) = socket.try_clone() {
                std::thread::spawn(move || play_datagrams(&socket, client, acts));
            }
        } else {
            play_datagrams(socket, client, acts);
        }
    }
}

fn play_datagrams(socket: &UdpSocket, client: SocketAddr, acts: Vec<Act>) {
    for act in acts {
        match act {
            Act::Send(bytes) | Act::Raw(bytes) => {
                let _ = socket.send_to(&bytes, client);
            }
            Act::Repeat(bytes, times) => {
                for _ in 0..times {
                    let _ = socket.send_to(&bytes, client);
                }
            }
            Act::Pause(time) => std::thread::sleep(time),
            Act::Drip(..) | Act::Close => {}
        }
    }
}

fn serve_tcp(listener: &TcpListener, stop: &Arc<AtomicBool>, script: &Arc<Script>) {
    let active = Arc::new(AtomicUsize::new(0));
    while !stop.load(Ordering::Relaxed) {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        if active.load(Ordering::Relaxed) >= CONNECTIONS {
            continue;
        }
        active.fetch_add(1, Ordering::Relaxed);
        let (active, stop, script) = (active.clone(), stop.clone(), script.clone());
        std::thread::spawn(move || {
            let _ = converse(stream, &stop, &script);
            active.fetch_sub(1, Ordering::Relaxed);
        });
    }
    while active.load(Ordering::Relaxed) > 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Answers the messages of one connection until the client closes it or a script does.
fn converse(mut stream: TcpStream, stop: &AtomicBool, script: &Arc<Script>) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(TICK))?;
    stream.set_write_timeout(Some(Duration::from_secs(2)))?;
    stream.set_nodelay(true)?;
    loop {
        let mut length = [0; 2];
        if !fill(&mut stream, &mut length, stop)? {
            return Ok(());
        }
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        if !fill(&mut stream, &mut query, stop)? {
            return Ok(());
        }
        for act in script(&query, true) {
            match act {
                Act::Send(bytes) => stream.write_all(&framed(&bytes))?,
                Act::Raw(bytes) => stream.write_all(&bytes)?,
                Act::Drip(bytes, pause) => {
                    for byte in bytes {
                        if stop.load(Ordering::Relaxed) {
                            return Ok(());
                        }
                        stream.write_all(&[byte])?;
                        std::thread::sleep(pause);
                    }
                }
                Act::Pause(time) => std::thread::sleep(time),
                Act::Repeat(bytes, times) => {
                    let bytes = framed(&bytes);
                    for _ in 0..times {
                        if stop.load(Ordering::Relaxed) {
                            return Ok(());
                        }
                        stream.write_all(&bytes)?;
                    }
                }
                Act::Close => return Ok(()),
            }
        }
    }
}

/// Reads all of `buffer`; false when the client closed or the server was dropped.
fn fill(stream: &mut TcpStream, buffer: &mut [u8], stop: &AtomicBool) -> std::io::Result<bool> {
    let mut rest = buffer;
    while !rest.is_empty() {
        match stream.read(rest) {
            Ok(0) => return Ok(false),
            Ok(count) => rest = rest.split_at_mut(count).1,
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                if stop.load(Ordering::Relaxed) {
                    return Ok(false);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// A message with its length before it.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(message.get(..usize::from(length)).unwrap_or(message));
    bytes
}
