//! One request and its response over a connection: HTTP/1 (RFC 9112), and what HTTP/2 shares with it.

use std::io::{ErrorKind, Read as _};
use std::time::{Duration, Instant};

use crate::net::strerror;
use netkit_http::chunked::{Chunked, Piece};
use netkit_http::decode::Decoder;
use netkit_http::h2;
use netkit_http::head::{self, Head, Length, MAX_HEAD, MAX_LINE, Start};
use netkit_http::{Code, Failure};
use netkit_tls::{Ready, flush_by, read_by, write_by};

use crate::body::Source;
use crate::pool::Conn;
use crate::request::Request;
use crate::transfer::Transfer;
use crate::world::Kind;

/// Bytes read or sent at a time.
const PIECE: usize = 64 * 1024;

/// How an exchange ended.
pub(crate) struct Answer {
    /// The connection can serve again.
    pub(crate) reusable: bool,
    /// The body of the request did not go out.
    pub(crate) unsent: bool,
}

/// What becomes of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Deliver,
    Discard,
    /// Do not even read it; the connection is of no more use.
    Stop,
}

/// An exchange that failed, and whether the same request may be sent again on a new connection.
pub(crate) struct Broken {
    pub(crate) failure: Failure,
    pub(crate) stale: bool,
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Broken {
        Broken { failure, stale: false }
    }
}

impl Transfer<'_> {
    pub(crate) fn receive_failure(&self, error: &std::io::Error) -> Failure {
        match error.kind() {
            ErrorKind::TimedOut => self.timed_out(),
            ErrorKind::UnexpectedEof => Failure::new(
                Code::Recv,
                "OpenSSL SSL_read: OpenSSL/3: error:0A000126:SSL routines::unexpected eof while reading, errno 0",
            ),
            _ => Failure::new(Code::Recv, format!("Recv failure: {}", strerror(error))),
        }
    }

    pub(crate) fn send_failure(&self, error: &std::io::Error) -> Failure {
        match error.kind() {
            ErrorKind::TimedOut => self.timed_out(),
            _ => Failure::new(Code::Send, format!("Send failure: {}", strerror(error))),
        }
    }

    pub(crate) fn timed_out(&self) -> Failure {
        let millis = self.times.now().as_millis();
        let text = match self.expected {
            Some(total) => {
                format!(
                    "Operation timed out after {millis} milliseconds with {} out of {total} bytes received",
                    self.facts.down
                )
            }
            None => format!("Operation timed out after {millis} milliseconds with {} bytes received", self.facts.down),
        };
        Failure::new(Code::TimedOut, text)
    }

    /// Reads more into the connection's input; 0 at its end. The meter and the speed limit are looked after meanwhile.
    pub(crate) fn fill(&mut self, conn: &mut Conn) -> std::io::Result<usize> {
        if conn.at > 0 && conn.at == conn.input.len() {
            conn.input.clear();
            conn.at = 0;
        } else if conn.at > PIECE {
            conn.input.drain(..conn.at);
            conn.at = 0;
        }
        loop {
            // Where there is always more to read nothing waits, and the deadline would never be seen.
            netkit_tls::left(self.deadline)?;
            let mut until = self.deadline;
            if self.meter_on || self.config.speed_time > 0 {
                let tick = Instant::now() + Duration::from_millis(500);
                until = Some(until.map_or(tick, |until| until.min(tick)));
            }
            let mut buffer = std::mem::take(&mut self.buffer);
            if buffer.is_empty() {
                buffer = vec![0; PIECE];
            }
            let got = read_by(&mut *conn.stream, &mut buffer, until);
            if let Ok(count) = got {
                conn.input.extend_from_slice(buffer.get(..count).unwrap_or_default());
            }
            self.buffer = buffer;
            match got {
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                        return Err(error);
                    }
                    self.tick(false);
                    if self.too_slow() {
                        return Err(std::io::Error::other(SLOW));
                    }
                }
                done => return done,
            }
        }
    }

    /// Sends the request and reads the response.
    pub(crate) fn exchange(&mut self, conn: &mut Conn, request: &Request) -> Result<Answer, Broken> {
        self.times.pretransfer = self.times.now();
        self.expects = request.expect;
        self.head_bytes = 0;
        if conn.h2.is_some() { self.exchange2(conn, request) } else { self.exchange1(conn, request) }
    }

    fn exchange1(&mut self, conn: &mut Conn, request: &Request) -> Result<Answer, Broken> {
        let reused = conn.uses > 0;
        let bytes = request.head();
        let small = !request.expect
            && request.has_body()
            && request.length.is_some_and(|length| length < 65_536)
            && !request.chunked;
        let mut source = request.body.open().map_err(|error| {
            self.world.say(&format!("{}: cannot open: {}\n", self.world.name, strerror(&error)));
            Failure::new(Code::Read, "Failed to open/read local data from file/application")
        })?;
        let mut wire = bytes.clone();
        let mut sent_body = Vec::new();
        if small {
            // Head and body leave together.
            let most = request.length.unwrap_or(0);
            source.by_ref().take(most).read_to_end(&mut sent_body).map_err(|_| read_failed())?;
            wire.extend_from_slice(&sent_body);
        }
        if let Err(error) = write_by(&mut *conn.stream, &wire, self.deadline) {
            // An answer may be there although the request could not be sent.
            let answered = matches!(conn.stream.wait(Ready { read: true, write: false }, Some(Duration::ZERO)), Ok(ready) if ready.read);
            if !answered || reused {
                return Err(Broken { failure: self.send_failure(&error), stale: reused });
            }
        }
        self.tracer.bytes(Kind::HeaderOut, &bytes);
        self.facts.request_bytes += u64::try_from(wire.len()).unwrap_or(0);
        if small {
            self.tracer.bytes(Kind::DataOut, &sent_body);
            self.facts.up += u64::try_from(sent_body.len()).unwrap_or(0);
            self.tracer.info(&format!("upload completely sent off: {} bytes", sent_body.len()));
        } else if !request.has_body() {
            self.tracer.info("Request completely sent off");
        }
        self.hop.sent = self.times.now();
        self.times.posttransfer = self.times.now();
        let mut unsent = !small && request.has_body();
        if unsent && !request.expect {
            unsent = !self.send_body(conn, request, &mut source)?;
        }
        let mut waiting = request.expect && unsent;
        let wait_until = Instant::now() + self.config.expect_timeout;
        loop {
            if waiting {
                let now = Instant::now();
                let left = wait_until.saturating_duration_since(now).max(Duration::from_millis(1));
                let ready = conn.pending().is_empty()
                    && !conn.stream.wait(Ready { read: true, write: false }, Some(left)).is_ok_and(|ready| ready.read);
                if ready && Instant::now() < wait_until {
                    continue;
                }
                if ready {
                    self.tracer.info(&format!(
                        "Done waiting for 100-continue after {} ms",
                        self.config.expect_timeout.as_millis()
                    ));
                    waiting = false;
                    unsent = !self.send_body(conn, request, &mut source)?;
                    continue;
                }
            }
            let head = match self.read_head(conn, reused)? {
                HeadOrBody::Head(head) => head,
                HeadOrBody::Old => {
                    self.facts.version = 9;
                    self.until_close(conn, Verdict::Deliver, &mut Decoder::default())?;
                    return Ok(Answer { reusable: false, unsent });
                }
            };
            if head.status == 101 {
                if head.has_token("upgrade", "h2c") {
                    self.tracer.info("Received 101, Switching to HTTP/2");
                    let mut session = Box::new(h2::Connection::upgraded());
                    write_by(&mut *conn.stream, &std::mem::take(&mut session.out), self.deadline)
                        .map_err(|error| self.send_failure(&error))?;
                    conn.h2 = Some(session);
                    return self.response2(conn, &mut None, 0);
                }
            } else if head.status < 200 {
                if head.status == 100 && waiting {
                    waiting = false;
                    unsent = !self.send_body(conn, request, &mut source)?;
                }
                continue;
            }
            return self.body1(conn, request, head, unsent);
        }
    }

    /// Sends the body; `false` when the server answered before it was out.
    fn send_body(&mut self, conn: &mut Conn, request: &Request, source: &mut Source) -> Result<bool, Broken> {
        let mut buffer = vec![0u8; PIECE];
        let mut left = request.length;
        loop {
            let most = left.map_or(PIECE, |left| usize::try_from(left).unwrap_or(PIECE).min(PIECE));
            let count = if most == 0 { 0 } else { self.read_body(source, buffer.get_mut(..most).unwrap_or_default())? };
            let data = buffer.get(..count).unwrap_or_default();
            if count == 0 && left.is_some_and(|left| left > 0) {
                return Err(Failure::new(
                    Code::Partial,
                    format!("client mime read EOF fail, only {} bytes sent", self.facts.up),
                )
                .into());
            }
            let mut wire = Vec::with_capacity(count + 16);
            if request.chunked {
                wire.extend_from_slice(format!("{count:x}\r\n").as_bytes());
                wire.extend_from_slice(data);
                wire.extend_from_slice(b"\r\n");
            } else {
                wire.extend_from_slice(data);
            }
            if !wire.is_empty() {
                self.tracer.bytes(Kind::DataOut, &wire);
            }
            if !self.write_or_answer(conn, &wire)? {
                return Ok(false);
            }
            let length = u64::try_from(count).unwrap_or(0);
            self.facts.up += length;
            self.facts.request_bytes += length;
            left = left.map(|left| left.saturating_sub(length));
            self.tick(false);
            self.pace(self.facts.up);
            // In chunks an empty one ends the body.
            if count == 0 || (left == Some(0) && !request.chunked) {
                self.tracer.info(&format!("upload completely sent off: {} bytes", self.facts.up));
                self.times.posttransfer = self.times.now();
                return Ok(true);
            }
        }
    }

    /// Reads a piece of the body; a file given to `-T` that cannot be read on has ended, as curl takes it.
    fn read_body(&self, source: &mut Source, buffer: &mut [u8]) -> Result<usize, Failure> {
        match source.read(buffer) {
            Ok(count) => Ok(count),
            Err(_) if matches!(self.body, crate::body::Body::File(..)) => Ok(0),
            Err(_) => Err(read_failed()),
        }
    }

    /// Writes everything, unless an error response arrives meanwhile.
    fn write_or_answer(&mut self, conn: &mut Conn, mut bytes: &[u8]) -> Result<bool, Broken> {
        let both = Ready { read: true, write: true };
        while !bytes.is_empty() {
            let limit = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if limit.is_some_and(|limit| limit.is_zero()) {
                return Err(self.timed_out().into());
            }
            let ready = conn.stream.wait(both, limit).map_err(|error| self.send_failure(&error))?;
            if ready.read {
                let mut piece = [0u8; 4096];
                match conn.stream.read(&mut piece) {
                    Ok(0) => return Ok(false),
                    Ok(count) => conn.input.extend_from_slice(piece.get(..count).unwrap_or_default()),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(self.receive_failure(&error).into()),
                }
                if refuses(conn.pending()) {
                    self.tracer.info("HTTP error before end of send, stop sending");
                    return Ok(false);
                }
            }
            if ready.write || !ready.read {
                match conn.stream.write(bytes) {
                    Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => {
                        if conn.pending().is_empty() {
                            return Err(self.send_failure(&error).into());
                        }
                        return Ok(false);
                    }
                }
            }
        }
        let _ = flush_by(&mut *conn.stream, self.deadline);
        Ok(true)
    }

    /// Counts a line of a head: a server may send informational ones without end. The limits are libcurl's.
    pub(crate) fn heads_grow(&mut self, length: usize) -> Result<(), Failure> {
        self.head_bytes += length;
        let of_all = usize::try_from(self.facts.header_bytes).unwrap_or(usize::MAX);
        let (found, most) = if of_all > MAX_HEADS { (of_all, MAX_HEADS) } else { (self.head_bytes, MAX_HEAD) };
        if found > most {
            return Err(Failure::new(Code::Recv, format!("Too large response headers: {found} > {most}")));
        }
        Ok(())
    }

    /// One head, informational or final.
    fn read_head(&mut self, conn: &mut Conn, reused: bool) -> Result<HeadOrBody, Broken> {
        let mut head = Head::default();
        let before_it = self.head_bytes;
        let mut first = true;
        loop {
            if first && !conn.pending().is_empty() && head::start(conn.pending()) == Start::Other {
                if self.config.http09 {
                    return Ok(HeadOrBody::Old);
                }
                self.mismatch(conn.pending());
                return Err(Failure::new(Code::UnsupportedProtocol, "Received HTTP/0.9 when not allowed").into());
            }
            let end = conn.pending().iter().position(|byte| *byte == b'\n');
            if end.map_or(conn.pending().len(), |end| end + 1) >= MAX_LINE {
                return Err(Failure::new(Code::TooLarge, format!("Too long header line, {MAX_LINE} is max")).into());
            }
            let Some(end) = end else {
                let before = conn.pending().len();
                let got = self.fill(conn);
                match got {
                    Ok(0) if before == 0 && first => {
                        let failure = Failure::new(Code::GotNothing, "Empty reply from server");
                        self.tracer.info(&failure.text);
                        return Err(Broken { failure, stale: reused });
                    }
                    Ok(0) if first => {
                        return Err(Failure::new(Code::GotNothing, "Empty reply from server").into());
                    }
                    Ok(0) => {
                        // A head that is cut short still ends the response, as curl takes it.
                        if self.head_bytes == before_it {
                            return Err(Failure::new(Code::GotNothing, "Empty reply from server").into());
                        }
                        return Err(
                            Failure::new(Code::Recv, "Connection closed in the middle of the response head").into()
                        );
                    }
                    Ok(_) => {}
                    Err(error) => {
                        let stale = reused && first && before == 0 && error.kind() != ErrorKind::TimedOut;
                        return Err(Broken { failure: self.receive_failure(&error), stale });
                    }
                }
                continue;
            };
            let line = conn.pending().get(..=end).unwrap_or_default().to_vec();
            conn.consume(end + 1);
            self.heads_grow(line.len())?;
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            if first {
                let now = self.times.now();
                self.hop.first_byte = now;
                self.times.starttransfer = now;
                let (version, status) = head::status_line(text)?;
                (head.version, head.status) = (version, status);
                if conn.version / 10 != version / 10 && conn.version > 0 {
                    return Err(Failure::new(
                        Code::WeirdReply,
                        format!("Version mismatch (from HTTP/{} to HTTP/{})", conn.version / 10, version / 10),
                    )
                    .into());
                }
                if status < 100 {
                    return Err(
                        Failure::new(Code::UnsupportedProtocol, "Unsupported response code in HTTP response").into()
                    );
                }
                conn.version = version;
                if version < 20 {
                    self.oldest = if self.oldest == 0 { version } else { self.oldest.min(version) };
                }
                self.facts.version = version;
                self.facts.status = status;
                first = false;
            } else if text.is_empty() {
                self.head_line(&line, &head)?;
                return Ok(HeadOrBody::Head(head));
            } else {
                head.add(text)?;
            }
            self.head_line(&line, &head)?;
        }
    }

    fn body1(&mut self, conn: &mut Conn, request: &Request, head: Head, unsent: bool) -> Result<Answer, Broken> {
        let coding = head
            .all("transfer-encoding")
            .flat_map(|value| value.split(','))
            .map(|word| word.trim().to_ascii_lowercase());
        let codings: Vec<String> = coding.filter(|word| !word.is_empty()).collect();
        let chunked = codings.last().is_some_and(|word| word == "chunked");
        let none = self.is_head || matches!(head.status, 204 | 304);
        // With a coding that is not chunks only the end of the connection ends the body.
        let length = if !codings.is_empty() || self.config.ignore_length || (none && !self.is_head) {
            None
        } else {
            self.told_length(&head)?
        };
        self.unsent = unsent;
        let keep = if head.version >= 11 {
            let proxy_closes = conn.via_proxy && head.has_token("proxy-connection", "close");
            !head.has_token("connection", "close") && !proxy_closes
        } else {
            head.has_token("connection", "keep-alive")
                || (conn.via_proxy && head.has_token("proxy-connection", "keep-alive"))
        };
        let asked_close =
            request.lines.iter().any(|line| line.to_ascii_lowercase().replace(' ', "") == "connection:close");
        let mut reusable = keep && !unsent && !asked_close;
        let verdict = self.judge(&head, length)?;
        if none || verdict == Verdict::Stop {
            let reusable = reusable && none;
            return Ok(Answer { reusable, unsent });
        }
        self.expected = length;
        let mut words: Vec<String> = Vec::new();
        if self.config.compressed && !self.config.raw {
            words.extend(head.all("content-encoding").map(str::to_owned));
        }
        if !self.config.raw {
            // What lies inside the chunks comes off before the content coding.
            words.extend(codings.iter().filter(|word| !matches!(word.as_str(), "chunked" | "identity")).cloned());
        }
        let mut decoder = Decoder::new(words.iter().map(String::as_str))?;
        if verdict == Verdict::Discard {
            self.tracer.info("Ignoring the response-body");
        }
        if chunked {
            if let Err(broken) = self.chunks(conn, verdict, &mut decoder) {
                return self.unless_discarded(broken, verdict, unsent);
            }
        } else if let Some(mut left) = length {
            while left > 0 {
                if conn.pending().is_empty() {
                    match self.fill(conn) {
                        Ok(0) if verdict == Verdict::Discard => return Ok(Answer { reusable: false, unsent }),
                        Ok(0) => {
                            self.deliver_end(&mut decoder).ok();
                            return Err(Failure::new(
                                Code::Partial,
                                format!("end of response with {left} bytes missing"),
                            )
                            .into());
                        }
                        Ok(_) => {}
                        Err(error) => return Err(self.body_failure(&error).into()),
                    }
                }
                let take = conn.pending().len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let end = conn.at + take;
                let input = std::mem::take(&mut conn.input);
                let result = self.deliver(input.get(conn.at..end).unwrap_or_default(), verdict, &mut decoder);
                conn.input = input;
                conn.consume(take);
                result?;
                left -= u64::try_from(take).unwrap_or(0);
            }
        } else {
            reusable = false;
            self.until_close(conn, verdict, &mut decoder)?;
        }
        if verdict == Verdict::Deliver {
            self.deliver_end(&mut decoder)?;
        }
        reusable &= conn.pending().is_empty();
        Ok(Answer { reusable, unsent })
    }

    /// What a head says about its body's length.
    pub(crate) fn told_length(&self, head: &Head) -> Result<Option<u64>, Failure> {
        match head::content_length(head)? {
            Length::Unknown => Ok(None),
            Length::Bytes(length) => Ok(Some(length)),
            Length::Overflow if self.config.max_filesize.is_some() => {
                Err(Failure::new(Code::FileSize, "Maximum file size exceeded"))
            }
            Length::Overflow => Ok(None),
        }
    }

    /// A body that nobody wants may be cut short.
    fn unless_discarded(&self, broken: Broken, verdict: Verdict, unsent: bool) -> Result<Answer, Broken> {
        if verdict == Verdict::Discard && broken.failure.code == Code::Partial {
            return Ok(Answer { reusable: false, unsent });
        }
        Err(broken)
    }

    pub(crate) fn body_failure(&mut self, error: &std::io::Error) -> Failure {
        if error.to_string() == SLOW {
            return Failure::new(
                Code::TimedOut,
                format!(
                    "Operation too slow. Less than {} bytes/sec transferred the last {} seconds",
                    self.config.speed_limit, self.config.speed_time
                ),
            );
        }
        self.receive_failure(error)
    }

    fn until_close(&mut self, conn: &mut Conn, verdict: Verdict, decoder: &mut Decoder) -> Result<(), Broken> {
        loop {
            if !conn.pending().is_empty() {
                let input = std::mem::take(&mut conn.input);
                let result = self.deliver(input.get(conn.at..).unwrap_or_default(), verdict, decoder);
                conn.at = 0;
                result?;
            }
            match self.fill(conn) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(self.body_failure(&error).into()),
            }
        }
    }

    fn chunks(&mut self, conn: &mut Conn, verdict: Verdict, decoder: &mut Decoder) -> Result<(), Broken> {
        let mut chunked = Chunked::default();
        let raw = self.config.raw;
        // What is shown of a body in chunks is what came, with the lines between them.
        if !conn.pending().is_empty() {
            self.tracer.bytes(Kind::DataIn, conn.pending());
        }
        loop {
            let before = conn.at;
            let (used, piece) = chunked.feed(conn.pending())?;
            let after = before + used;
            let data = if let Piece::Data(length) = piece { length } else { 0 };
            let input = std::mem::take(&mut conn.input);
            let shown = if raw { input.get(before..after + data) } else { input.get(after..after + data) };
            let result = self.pass(shown.unwrap_or_default(), verdict, decoder);
            conn.input = input;
            conn.consume(used + data);
            result?;
            match piece {
                Piece::Data(_) => {}
                // Where the coding is shown as it is, they are part of the body.
                Piece::Trailer(_) if raw => {}
                Piece::Trailer(line) => self.trailer(&line)?,
                Piece::Done => return Ok(()),
                Piece::More => match self.fill(conn) {
                    Ok(0) => {
                        return Err(Failure::new(
                            Code::Partial,
                            "transfer closed with outstanding read data remaining",
                        )
                        .into());
                    }
                    Ok(count) => {
                        let new = conn.input.len().saturating_sub(count);
                        self.tracer.bytes(Kind::DataIn, conn.input.get(new..).unwrap_or_default());
                    }
                    Err(error) => return Err(self.body_failure(&error).into()),
                },
            }
        }
    }
}

enum HeadOrBody {
    Head(Head),
    /// HTTP/0.9: everything is body.
    Old,
}

/// Most bytes of all heads of a transfer, redirects included, as libcurl has it.
const MAX_HEADS: usize = 20 * MAX_HEAD;
/// Marks an I/O error that is the speed limit.
const SLOW: &str = "too slow";

pub(crate) fn read_failed() -> Failure {
    Failure::new(Code::Read, "Failed to open/read local data from file/application")
}

/// Whether a status line says that the body is not wanted.
fn refuses(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .and_then(|end| bytes.get(..end))
        .is_some_and(|line| head::status_line(line).is_ok_and(|(_, status)| status >= 400))
}
