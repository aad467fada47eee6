//! HTTP/2 (RFC 9113) as a client needs it: one request at a time on a connection, no push. Bytes in, events out; no
//! input or output of its own.

pub mod hpack;

use crate::failure::{Code, Failure};
use hpack::Pair;

/// Our settings, as they stand in a frame and as curl has them: 100 streams, windows of 64 KiB at first, no push.
const SETTINGS: [u8; 18] = [0, 3, 0, 0, 0, 100, 0, 4, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0];
/// The same in base64url, for an upgrade.
pub const SETTINGS_BASE64: &str = "AAMAAABkAAQAAQAAAAIAAAAA";
const FIRST_WINDOW: i64 = 64 * 1024;
/// What a stream's window grows to as soon as it is open.
const STREAM_WINDOW: i64 = 0x00a0_0000;
const CONNECTION_WINDOW: i64 = 0x4000_0000;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Largest frame taken; the default, as we announce no other.
const MAX_FRAME: usize = 16_384;
/// Most bytes of one header block, packed, and unpacked.
const MAX_BLOCK: usize = 128 * 1024;
/// Frames that ask for work and carry nothing, before the peer is called hostile.
const MAX_IDLE_FRAMES: u32 = 2_000;

/// Types of frames.
mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PUSH_PROMISE: u8 = 5;
    pub(super) const PING: u8 = 6;
    pub(super) const GOAWAY: u8 = 7;
    pub(super) const WINDOW_UPDATE: u8 = 8;
    pub(super) const CONTINUATION: u8 = 9;
}

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

/// What a frame meant for the request under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A head, informational or final, or trailers.
    Headers {
        /// Names in lower case.
        fields: Vec<Pair>,
        /// Nothing follows.
        end: bool,
    },
    /// So many bytes of body stand at the front of the input, followed by `skip` bytes of padding.
    Data {
        /// Bytes of body.
        length: usize,
        /// Bytes behind it to drop.
        skip: usize,
        /// Nothing follows.
        end: bool,
    },
    /// The stream was closed by the peer.
    Reset(u32),
    /// The connection takes no more requests; whether ours is still served.
    GoAway {
        /// Error code, 0 when all is well.
        code: u32,
        /// Our stream is among those that will be answered.
        served: bool,
    },
    /// Perhaps more may be sent.
    Window,
}

/// A connection's state.
#[derive(Debug)]
pub struct Connection {
    /// Bytes to send.
    pub out: Vec<u8>,
    decoder: hpack::Decoder,
    stream: u32,
    next: u32,
    send_connection: i64,
    send_stream: i64,
    initial_window: i64,
    peer_frame: usize,
    received_connection: i64,
    received_stream: i64,
    block: Option<(Vec<u8>, bool, u32)>,
    /// The rest of a DATA frame: bytes, padding behind them, end of stream.
    data: Option<(usize, usize, bool, u32)>,
    idle_frames: u32,
    closing: bool,
    settled: bool,
}

impl Default for Connection {
    fn default() -> Connection {
        let mut connection = Connection {
            out: PREFACE.to_vec(),
            decoder: hpack::Decoder::default(),
            stream: 0,
            next: 1,
            send_connection: 65_535,
            send_stream: 65_535,
            initial_window: 65_535,
            peer_frame: MAX_FRAME,
            received_connection: 0,
            received_stream: 0,
            block: None,
            data: None,
            idle_frames: 0,
            closing: false,
            settled: false,
        };
        connection.frame(kind::SETTINGS, 0, 0, &SETTINGS);
        let grow = u32::try_from(CONNECTION_WINDOW - 65_535).unwrap_or(0);
        connection.frame(kind::WINDOW_UPDATE, 0, 0, &grow.to_be_bytes());
        connection
    }
}

fn protocol(why: &str) -> Failure {
    Failure::new(Code::Http2, format!("nghttp2 recv error: {why}"))
}

/// The name of an error code (RFC 9113, section 7).
pub fn error_name(code: u32) -> &'static str {
    const NAMES: [&str; 14] = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    usize::try_from(code).ok().and_then(|at| NAMES.get(at)).copied().unwrap_or("unknown")
}

impl Connection {
    /// After an upgrade: the request that was sent in HTTP/1.1 is stream 1, and complete.
    pub fn upgraded() -> Connection {
        let mut connection = Connection { stream: 1, next: 3, ..Connection::default() };
        connection.widen();
        connection
    }

    fn widen(&mut self) {
        let grow = u32::try_from(STREAM_WINDOW - FIRST_WINDOW).unwrap_or(0);
        self.frame(kind::WINDOW_UPDATE, 0, self.stream, &grow.to_be_bytes());
    }

    /// Whether another request may be sent on it.
    pub fn is_open(&self) -> bool {
        !self.closing && self.next < 1 << 30 && self.block.is_none() && self.data.is_none()
    }

    /// The number of the stream under way.
    pub fn stream(&self) -> u32 {
        self.stream
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let [_, a, b, c] = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
        self.out.extend_from_slice(&[a, b, c, kind, flags]);
        self.out.extend_from_slice(&stream.to_be_bytes());
        self.out.extend_from_slice(payload);
    }

    /// Begins a request; `end` when no body follows.
    pub fn request(&mut self, fields: &[Pair], end: bool) -> u32 {
        self.stream = self.next;
        self.next += 2;
        self.send_stream = self.initial_window;
        self.received_stream = 0;
        let block = hpack::encode(fields);
        let mut pieces = block.chunks(self.peer_frame.min(MAX_FRAME)).peekable();
        let mut kind = kind::HEADERS;
        let mut flags = if end { END_STREAM } else { 0 };
        while let Some(piece) = pieces.next() {
            if pieces.peek().is_none() {
                flags |= END_HEADERS;
            }
            self.frame(kind, flags, self.stream, piece);
            kind = kind::CONTINUATION;
            flags = 0;
        }
        self.widen();
        self.stream
    }

    /// How many bytes of body the peer takes now.
    pub fn room(&self) -> usize {
        let room = self.send_connection.min(self.send_stream).max(0);
        usize::try_from(room).unwrap_or(0).min(self.peer_frame.min(MAX_FRAME))
    }

    /// Sends a piece of body, at most [`Connection::room`] bytes.
    pub fn data(&mut self, bytes: &[u8], end: bool) {
        let length = i64::try_from(bytes.len()).unwrap_or(0);
        self.send_connection -= length;
        self.send_stream -= length;
        self.frame(kind::DATA, if end { END_STREAM } else { 0 }, self.stream, bytes);
    }

    /// Gives the request up.
    pub fn cancel(&mut self) {
        const CANCEL: u32 = 8;
        self.frame(kind::RST_STREAM, 0, self.stream, &CANCEL.to_be_bytes());
        self.closing = true;
    }

    /// Looks at the input: how many bytes to drop from its front, and what they meant. `None` asks for more input.
    /// After [`Event::Data`] the caller drops the body and the padding itself.
    ///
    /// # Errors
    /// What the RFC calls a connection error.
    pub fn feed(&mut self, input: &[u8]) -> Result<(usize, Option<Event>), Failure> {
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            if let Some((left, skip, end, stream)) = self.data.take() {
                if rest.is_empty() && left + skip > 0 {
                    self.data = Some((left, skip, end, stream));
                    return Ok((used, None));
                }
                let take = left.min(rest.len());
                let skipped = if take == left { skip.min(rest.len() - take) } else { 0 };
                let done = take == left && skipped == skip;
                if !done {
                    self.data = Some((left - take, skip - skipped, end, stream));
                }
                if stream != self.stream {
                    used += take + skipped;
                    continue;
                }
                return Ok((used, Some(Event::Data { length: take, skip: skipped, end: end && done })));
            }
            let Some((head, body)) = rest.split_first_chunk::<9>() else { return Ok((used, None)) };
            let [a, b, c, kind, flags, s0, s1, s2, s3] = *head;
            let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX);
            let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
            if length > MAX_FRAME {
                return Err(protocol("frame larger than allowed"));
            }
            if !self.settled && kind != kind::SETTINGS {
                return Err(protocol("the first frame is not SETTINGS"));
            }
            if self.block.is_some() && kind != kind::CONTINUATION {
                return Err(protocol("a header block was interrupted"));
            }
            if kind == kind::DATA {
                let pad = if flags & PADDED != 0 {
                    let Some(pad) = body.first() else { return Ok((used, None)) };
                    usize::from(*pad) + 1
                } else {
                    0
                };
                let left = length.checked_sub(pad).ok_or_else(|| protocol("padding longer than its frame"))?;
                let prefix = usize::from(pad > 0);
                if left == 0 && flags & END_STREAM == 0 {
                    self.idle()?;
                }
                self.received(stream, length)?;
                self.data = Some((left, pad - prefix.min(pad), flags & END_STREAM != 0, stream));
                used += 9 + prefix;
                continue;
            }
            let Some(payload) = body.get(..length) else { return Ok((used, None)) };
            used += 9 + length;
            if let Some(event) = self.control(kind, flags, stream, payload)? {
                return Ok((used, Some(event)));
            }
        }
    }

    /// Frames that carry nothing of ours are counted.
    fn idle(&mut self) -> Result<(), Failure> {
        self.idle_frames += 1;
        if self.idle_frames > MAX_IDLE_FRAMES { Err(protocol("flooded with frames")) } else { Ok(()) }
    }

    /// Windows are opened again once half of them is used.
    fn received(&mut self, stream: u32, length: usize) -> Result<(), Failure> {
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        self.received_connection += length;
        if self.received_connection > CONNECTION_WINDOW {
            return Err(protocol("more than the window allows"));
        }
        if self.received_connection > CONNECTION_WINDOW / 2 {
            let grow = u32::try_from(self.received_connection).unwrap_or(0);
            self.frame(kind::WINDOW_UPDATE, 0, 0, &grow.to_be_bytes());
            self.received_connection = 0;
        }
        if stream == self.stream {
            self.received_stream += length;
            if self.received_stream > STREAM_WINDOW {
                return Err(protocol("more than the window allows"));
            }
            if self.received_stream > STREAM_WINDOW / 2 {
                let grow = u32::try_from(self.received_stream).unwrap_or(0);
                self.frame(kind::WINDOW_UPDATE, 0, stream, &grow.to_be_bytes());
                self.received_stream = 0;
            }
        }
        Ok(())
    }

    fn control(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<Option<Event>, Failure> {
        let word = |bytes: &[u8]| bytes.first_chunk::<4>().map(|four| u32::from_be_bytes(*four));
        match kind {
            kind::HEADERS => {
                if stream == 0 {
                    return Err(protocol("headers on stream 0"));
                }
                let mut block = payload;
                if flags & PADDED != 0 {
                    let (pad, rest) = block.split_first().ok_or_else(|| protocol("padding longer than its frame"))?;
                    let end = rest.len().checked_sub(usize::from(*pad));
                    block =
                        end.and_then(|end| rest.get(..end)).ok_or_else(|| protocol("padding longer than its frame"))?;
                }
                if flags & PRIORITY != 0 {
                    block = block.get(5..).ok_or_else(|| protocol("frame too short"))?;
                }
                self.block = Some((block.to_vec(), flags & END_STREAM != 0, stream));
                self.finish_block(flags)
            }
            kind::CONTINUATION => {
                let Some((block, _, own)) = self.block.as_mut() else {
                    return Err(protocol("CONTINUATION without a header block"));
                };
                if *own != stream {
                    return Err(protocol("CONTINUATION of another stream"));
                }
                block.extend_from_slice(payload);
                if block.len() > MAX_BLOCK {
                    return Err(Failure::new(Code::TooLarge, "Too large response headers"));
                }
                if payload.is_empty() {
                    self.idle()?;
                }
                self.finish_block(flags)
            }
            kind::RST_STREAM => {
                let code = word(payload).ok_or_else(|| protocol("frame too short"))?;
                self.idle()?;
                Ok((stream == self.stream).then_some(Event::Reset(code)))
            }
            kind::SETTINGS => self.settings(flags, payload),
            kind::PUSH_PROMISE => Err(protocol("a push that was not allowed")),
            kind::PING => {
                self.idle()?;
                if payload.len() != 8 {
                    return Err(protocol("PING of wrong size"));
                }
                if flags & ACK == 0 {
                    self.frame(kind::PING, ACK, 0, payload);
                }
                Ok(None)
            }
            kind::GOAWAY => {
                let last = word(payload).ok_or_else(|| protocol("frame too short"))? & 0x7fff_ffff;
                let code = payload.get(4..).and_then(word).ok_or_else(|| protocol("frame too short"))?;
                self.closing = true;
                Ok(Some(Event::GoAway { code, served: self.stream <= last }))
            }
            kind::WINDOW_UPDATE => {
                let grow = i64::from(word(payload).ok_or_else(|| protocol("frame too short"))? & 0x7fff_ffff);
                if grow == 0 {
                    return Err(protocol("window grown by nothing"));
                }
                self.idle_frames += u32::from(grow < 1024);
                if self.idle_frames > MAX_IDLE_FRAMES {
                    return Err(protocol("flooded with frames"));
                }
                let window = if stream == 0 {
                    &mut self.send_connection
                } else if stream == self.stream {
                    &mut self.send_stream
                } else {
                    return Ok(None);
                };
                *window += grow;
                if *window > i64::from(i32::MAX) {
                    return Err(protocol("window too large"));
                }
                Ok(Some(Event::Window))
            }
            _ => {
                self.idle()?;
                Ok(None)
            }
        }
    }

    fn settings(&mut self, flags: u8, payload: &[u8]) -> Result<Option<Event>, Failure> {
        self.idle()?;
        self.settled = true;
        if flags & ACK != 0 {
            return Ok(None);
        }
        if !payload.len().is_multiple_of(6) {
            return Err(protocol("SETTINGS of wrong size"));
        }
        for entry in payload.chunks_exact(6) {
            let [i0, i1, v0, v1, v2, v3] = entry else { continue };
            let value = u32::from_be_bytes([*v0, *v1, *v2, *v3]);
            match u16::from_be_bytes([*i0, *i1]) {
                4 => {
                    let window = i64::from(value);
                    if window > i64::from(i32::MAX) {
                        return Err(protocol("window too large"));
                    }
                    self.send_stream += window - self.initial_window;
                    self.initial_window = window;
                }
                5 => {
                    let size = usize::try_from(value).unwrap_or(MAX_FRAME);
                    if !(MAX_FRAME..=16_777_215).contains(&size) {
                        return Err(protocol("frame size out of range"));
                    }
                    self.peer_frame = size;
                }
                _ => {}
            }
        }
        self.frame(kind::SETTINGS, ACK, 0, &[]);
        Ok(Some(Event::Window))
    }

    fn finish_block(&mut self, flags: u8) -> Result<Option<Event>, Failure> {
        if flags & END_HEADERS == 0 {
            return Ok(None);
        }
        let Some((block, end, stream)) = self.block.take() else { return Ok(None) };
        // Decoded whatever stream it is for, because the table is shared.
        let fields = self.decoder.decode(&block, crate::head::MAX_HEAD)?;
        if stream != self.stream {
            self.idle()?;
            return Ok(None);
        }
        let legal = fields.iter().all(|(name, value)| {
            !name.is_empty()
                && !name.bytes().any(|byte| byte.is_ascii_uppercase() || byte <= b' ' || byte == 0x7f)
                && !value.bytes().any(|byte| matches!(byte, 0 | b'\r' | b'\n'))
        });
        if !legal {
            return Err(Failure::new(
                Code::Http2Stream,
                "HTTP/2 stream was not closed cleanly: PROTOCOL_ERROR (err 1)",
            ));
        }
        Ok(Some(Event::Headers { fields, end }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use proptest::prelude::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut connection = Connection::default();
        connection.out.clear();
        connection.frame(kind, flags, stream, payload);
        connection.out
    }

    #[test]
    fn settings_in_both_forms() {
        assert_eq!(base64::engine::general_purpose::URL_SAFE.encode(SETTINGS), SETTINGS_BASE64);
    }

    #[test]
    fn a_response_cut_everywhere() {
        let mut wire = frame(kind::SETTINGS, 0, 0, &[]);
        wire.extend(frame(kind::HEADERS, END_HEADERS, 1, &hpack::encode(&[(":status".into(), "200".into())])));
        wire.extend(frame(kind::DATA, PADDED, 1, &[2, b'h', b'i', 0, 0]));
        wire.extend(frame(kind::DATA, END_STREAM, 1, b"!"));
        for piece in [1, 3, 1000] {
            let mut connection = Connection::default();
            connection.request(&[(":method".into(), "GET".into())], true);
            let (mut body, mut ended, mut buffer) = (Vec::new(), false, Vec::new());
            for part in wire.chunks(piece) {
                buffer.extend_from_slice(part);
                loop {
                    let (used, event) = connection.feed(&buffer).unwrap();
                    buffer.drain(..used);
                    match event {
                        Some(Event::Data { length, skip, end }) => {
                            body.extend(buffer.drain(..length));
                            buffer.drain(..skip);
                            ended |= end;
                            if length == 0 && skip == 0 && !end {
                                continue;
                            }
                        }
                        Some(_) => {}
                        None => break,
                    }
                }
            }
            assert_eq!((body.as_slice(), ended), (&b"hi!"[..], true), "{piece}");
        }
    }

    #[test]
    fn floods_end() {
        let mut connection = Connection::default();
        let mut wire = frame(kind::SETTINGS, 0, 0, &[]);
        for _ in 0..=MAX_IDLE_FRAMES {
            wire.extend(frame(kind::PING, ACK, 0, &[0; 8]));
        }
        let (used, event) = connection.feed(&wire).unwrap();
        assert_eq!(event, Some(Event::Window));
        assert!(connection.feed(&wire[used..]).is_err());
        let mut connection = Connection::default();
        assert!(connection.feed(b"HTTP/1.1 400 Bad Request\r\n\r\n").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut connection = Connection::default();
            connection.request(&[], true);
            let mut rest = frame(kind::SETTINGS, 0, 0, &[]);
            rest.extend(bytes);
            for _ in 0..1000 {
                match connection.feed(&rest) {
                    Ok((used, Some(Event::Data { length, skip, .. }))) => {
                        rest.drain(..used + length + skip);
                    }
                    Ok((used, Some(_))) => {
                        rest.drain(..used);
                    }
                    _ => break,
                }
            }
        }
    }
}
