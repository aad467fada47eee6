//! The ends a pump can have: a pair of descriptors, a socket, TLS on a socket.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use netkit_tls::{Ready, Transport};
use nix::errno::Errno;
use nix::unistd::{read, write};

use crate::pump::End;

/// Standard input and output, or any pair of descriptors.
pub(crate) struct Stdio<'a> {
    /// `None` when nothing is to be read (`-d`).
    pub(crate) input: Option<BorrowedFd<'a>>,
    /// `None` when everything received is thrown away (`--send-only`).
    pub(crate) output: Option<BorrowedFd<'a>>,
}

impl End for Stdio<'_> {
    fn input(&self) -> Option<BorrowedFd<'_>> {
        self.input
    }

    fn output(&self) -> Option<BorrowedFd<'_>> {
        self.output
    }

    fn plain(&self) -> bool {
        true
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.map_or(Ok(0), |fd| read(fd, buffer).map_err(io::Error::from))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.map_or(Ok(bytes.len()), |fd| write(fd, bytes).map_err(io::Error::from))
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A socket, stream or datagram.
pub(crate) struct SocketEnd {
    socket: socket2::Socket,
    datagrams: bool,
    /// Where datagrams go when the socket is not connected: to whoever sent the last one.
    answer_to: Option<Option<socket2::SockAddr>>,
}

impl SocketEnd {
    /// Takes the socket over, in non-blocking mode.
    pub(crate) fn new(socket: socket2::Socket) -> io::Result<SocketEnd> {
        socket.set_nonblocking(true)?;
        let datagrams = socket.r#type()? == socket2::Type::DGRAM;
        Ok(SocketEnd { socket, datagrams, answer_to: None })
    }

    /// A bound datagram socket that hears everybody.
    pub(crate) fn unconnected(socket: socket2::Socket) -> io::Result<SocketEnd> {
        Ok(SocketEnd { answer_to: Some(None), ..SocketEnd::new(socket)? })
    }
}

impl End for SocketEnd {
    fn input(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn output(&self) -> Option<BorrowedFd<'_>> {
        (self.answer_to != Some(None)).then(|| self.socket.as_fd())
    }

    fn plain(&self) -> bool {
        !self.datagrams
    }

    fn datagrams(&self) -> bool {
        self.datagrams
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use std::io::Read as _;
        match &mut self.answer_to {
            None => self.socket.read(buffer),
            Some(answer_to) => {
                use nix::sys::socket::{MsgFlags, SockaddrStorage, recvmsg};
                let mut parts = [io::IoSliceMut::new(buffer)];
                let flags = MsgFlags::MSG_DONTWAIT;
                let got = recvmsg::<SockaddrStorage>(self.socket.as_raw_fd(), &mut parts, None, flags)?;
                if let Some(from) = got.address.as_ref().and_then(crate::socket_address) {
                    *answer_to = Some(from.into());
                }
                Ok(got.bytes)
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.answer_to {
            None => self.socket.send(bytes),
            Some(Some(to)) => self.socket.send_to(bytes, to),
            Some(None) => Err(Errno::EAGAIN.into()),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.socket.shutdown(std::net::Shutdown::Write)
    }

    fn error(&mut self) -> Option<io::Error> {
        self.socket.take_error().ok().flatten()
    }

    fn stop_reading(&mut self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Read);
    }
}

/// TLS on a stream socket.
pub(crate) struct TlsEnd {
    /// Waited for; the stream reads and writes through a copy of the descriptor.
    socket: socket2::Socket,
    stream: Box<dyn Transport>,
    /// The last read gave bytes, so there may be more that are decrypted already.
    more: bool,
    /// Encrypted bytes have not left yet.
    waiting: bool,
    /// Our end was announced; the socket's own end follows the last byte.
    finishing: bool,
    /// The peer's end, or its failure, was seen.
    ended: bool,
    /// The peer's end came without close_notify: what many programs do, and what an attacker could.
    truncated: bool,
    /// Bytes went out.
    sent: bool,
    /// Where nothing was sent, end as ncat's listener does: by the socket alone. A client that never reads would find
    /// close_notify unread when it closes, and its own last bytes would be lost to the reset.
    bare_end: bool,
}

impl TlsEnd {
    pub(crate) fn new(socket: socket2::Socket, stream: Box<dyn Transport>) -> TlsEnd {
        // Bytes that came with the end of the handshake are in the stream, not in the socket.
        TlsEnd {
            socket,
            stream,
            more: true,
            waiting: false,
            finishing: false,
            ended: false,
            truncated: false,
            sent: false,
            bare_end: false,
        }
    }

    /// For a listener in ncat's manner.
    pub(crate) fn ending_bare(self) -> TlsEnd {
        TlsEnd { bare_end: true, ..self }
    }

    fn settle(&mut self, flushed: io::Result<()>) -> io::Result<()> {
        match flushed {
            Ok(()) => {
                self.waiting = false;
                if self.finishing {
                    let _ = self.socket.shutdown(std::net::Shutdown::Write);
                }
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.waiting = true;
                Ok(())
            }
            Err(error) => {
                self.waiting = false;
                Err(error)
            }
        }
    }
}

impl End for TlsEnd {
    fn input(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn output(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn plain(&self) -> bool {
        false
    }

    fn buffered(&self) -> bool {
        self.more
    }

    fn pending(&self) -> bool {
        self.waiting
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.stream.flush();
        self.settle(flushed)
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = match self.stream.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.truncated = true;
                Ok(0)
            }
            other => other,
        };
        self.more = matches!(got, Ok(1..));
        self.ended |= match &got {
            Ok(length) => *length == 0,
            Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        };
        got
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.waiting {
            self.flush()?;
            if self.waiting {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
        let length = self.stream.write(bytes)?;
        self.sent = true;
        self.flush()?;
        Ok(length)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.finishing = true;
        if !self.bare_end || self.sent || self.ended {
            self.stream.announce_end();
        }
        self.flush()
    }

    /// Reads what the peer still sends, so that unread bytes (session tickets) do not turn closing into a reset that
    /// overtakes our last bytes.
    fn close(&mut self, patience: Duration) {
        if !self.finishing {
            let _ = self.finish();
        }
        let deadline = Instant::now() + patience;
        let mut rest = [0u8; 4_096];
        while !self.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            if self.waiting && self.flush().is_err() {
                return;
            }
            match self.read(&mut rest) {
                Ok(0) => return,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.stream.wait(Ready { read: true, write: self.waiting }, Some(left)).is_err() {
                        return;
                    }
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    fn error(&mut self) -> Option<io::Error> {
        self.socket.take_error().ok().flatten()
    }

    fn remark(&self) -> Option<&'static str> {
        self.truncated.then_some("closed without close_notify, so nothing proves that this was all")
    }
}
