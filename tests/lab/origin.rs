//! An HTTP origin that records every request byte for byte, and answers by path.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Stop;
use super::visits::Visits;

/// What is sent back for a request head; `true` closes the connection afterwards.
pub type Script = dyn Fn(&str) -> (Vec<u8>, bool) + Send + Sync;

/// A running origin; dropping it stops its threads.
pub struct Origin {
    /// Where it listens.
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    record: Arc<Mutex<Vec<Vec<u8>>>>,
    visits: Visits,
    thread: Option<JoinHandle<()>>,
}

impl Origin {
    /// Listens on an ephemeral port of loopback.
    pub fn start(script: Arc<Script>) -> Result<Origin, Stop> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let record = Arc::new(Mutex::new(Vec::new()));
        let visits = Visits::default();
        let thread = {
            let (stop, record, visits) = (stop.clone(), record.clone(), visits.clone());
            std::thread::spawn(move || {
                let halt = stop.clone();
                visits.serve(&listener, &halt, move |stream| {
                    let _ = serve(&stream, &stop, &record, &*script);
                });
            })
        };
        Ok(Origin { address, stop, record, visits, thread: Some(thread) })
    }

    /// The requests since the last call, heads with their bodies: all of them, once those who made them are gone. A client
    /// that wants no answer is gone before its last request was read, or before its connection was even accepted.
    pub fn take(&self) -> Vec<Vec<u8>> {
        self.visits.end();
        self.so_far()
    }

    /// The requests since the last call that have been answered, for clients that come through somebody who keeps his
    /// connections.
    pub fn so_far(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut *self.record.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(stream: &TcpStream, stop: &AtomicBool, record: &Mutex<Vec<Vec<u8>>>, script: &Script) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.set_nodelay(true)?;
    let mut input = BufReader::new(stream.try_clone()?);
    let mut output = stream.try_clone()?;
    while !stop.load(Ordering::Relaxed) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if input.read_until(b'\n', &mut head)? == 0 {
                return Ok(());
            }
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        let lower = text.to_ascii_lowercase();
        let mut early = None;
        if lower.contains("expect: 100-continue") {
            let (answer, close) = script(&text);
            if answer.starts_with(b"HTTP/1.1 4") {
                // Refused before the body: it is not waited for, and what comes of it would be taken for a request.
                record.lock().unwrap_or_else(PoisonError::into_inner).push(head);
                output.write_all(&answer)?;
                if close {
                    return Ok(());
                }
                continue;
            }
            early = Some((answer, close));
            output.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        let mut request = head;
        // A body that was promised and does not come is not waited for as long as a request.
        stream.set_read_timeout(Some(Duration::from_secs(4)))?;
        if lower.contains("transfer-encoding: chunked") {
            loop {
                let mut line = Vec::new();
                match input.read_until(b'\n', &mut line) {
                    Ok(0) => return Ok(()),
                    Err(_) => break,
                    Ok(_) => {}
                }
                let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).unwrap_or(0);
                request.extend_from_slice(&line);
                let mut data = vec![0; size + 2];
                match input.read_exact(&mut data) {
                    Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
                    Err(_) => break,
                    Ok(()) => request.extend_from_slice(&data),
                }
                if size == 0 {
                    break;
                }
            }
        } else if let Some(length) = length {
            let mut body = vec![0; length];
            match input.read_exact(&mut body) {
                // A client that gave up has made no request.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
                Err(_) => {}
                Ok(()) => request.extend_from_slice(&body),
            }
        }
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        record.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        let (answer, close) = early.unwrap_or_else(|| script(&text));
        output.write_all(&answer)?;
        if close {
            return Ok(());
        }
    }
    Ok(())
}
