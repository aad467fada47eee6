//! One request and its response in HTTP/2 (RFC 9113).

use std::io::Read as _;
use std::time::Duration;

use netkit_http::decode::Decoder;
use netkit_http::h2::{self, Event};
use netkit_http::head::{Field, Head};
use netkit_http::{Code, Failure};
use netkit_tls::{Ready, write_by};

use crate::body::Source;
use crate::exchange::{Answer, Broken, Verdict, read_failed};
use crate::pool::Conn;
use crate::request::Request;
use crate::transfer::Transfer;
use crate::world::Kind;

impl Transfer<'_> {
    pub(crate) fn exchange2(&mut self, conn: &mut Conn, request: &Request) -> Result<Answer, Broken> {
        let reused = conn.uses > 0;
        let secure = conn.tls.is_some();
        let mut authority = String::new();
        let mut fields = Vec::new();
        for line in &request.lines {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let name = name.to_ascii_lowercase();
            let value = value.trim().to_owned();
            match name.as_str() {
                "host" => authority = value,
                // Fields of a connection have no place here (RFC 9113, section 8.2.2).
                "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade"
                | "http2-settings" => {}
                "te" if value != "trailers" => {}
                _ => fields.push((name, value)),
            }
        }
        let scheme = if secure { "https" } else { "http" };
        let mut all = vec![
            (":method".to_owned(), request.method.clone()),
            (":scheme".to_owned(), scheme.to_owned()),
            (":authority".to_owned(), authority.clone()),
            (":path".to_owned(), request.target.clone()),
        ];
        all.append(&mut fields);
        let Some(session) = conn.h2.as_mut() else { return Err(Failure::new(Code::Http2, "no HTTP/2 session").into()) };
        let has_body = request.has_body();
        let id = session.request(&all, !has_body);
        let out = std::mem::take(&mut session.out);
        if self.tracer.on() {
            self.tracer.info(&format!("[HTTP/2] [{id}] OPENED stream for {}", self.url.text(false, false)));
            for (name, value) in &all {
                let secret = matches!(name.as_str(), "authorization" | "cookie" | "proxy-authorization");
                let shown = if secret && !self.world.global.secrets { "[redacted]" } else { value };
                self.tracer.info(&format!("[HTTP/2] [{id}] [{name}: {shown}]"));
            }
        }
        if let Err(error) = write_by(&mut *conn.stream, &out, self.deadline) {
            return Err(Broken { failure: self.send_failure(&error), stale: reused });
        }
        // As curl shows it: the head in HTTP/1's shape.
        let shown = format!("{} {} HTTP/2\r\n{}\r\n\r\n", request.method, request.target, request.lines.join("\r\n"));
        self.tracer.bytes(Kind::HeaderOut, shown.as_bytes());
        self.facts.request_bytes += u64::try_from(shown.len()).unwrap_or(0);
        if !has_body {
            self.tracer.info("Request completely sent off");
        }
        self.hop.sent = self.times.now();
        self.times.posttransfer = self.times.now();
        let mut body = None;
        if has_body {
            let source = request.body.open().map_err(|_| read_failed())?;
            body = Some((source, request.length));
        }
        let answer = self.response2(conn, &mut body, u64::from(reused))?;
        Ok(answer)
    }

    /// Sends the rest of the body as the windows allow, and reads the response.
    pub(crate) fn response2(
        &mut self,
        conn: &mut Conn,
        body: &mut Option<(Source, Option<u64>)>,
        reused: u64,
    ) -> Result<Answer, Broken> {
        let mut final_head: Option<Head> = None;
        let mut decoder = Decoder::default();
        let mut verdict = Verdict::Deliver;
        let mut got: u64 = 0;
        let mut expected = None;
        let mut ended = false;
        let gone = |why: &str| Failure::new(Code::Http2Stream, format!("HTTP/2 stream {why}"));
        while !ended {
            self.push2(conn, body)?;
            let Some(session) = conn.h2.as_mut() else { return Err(gone("lost").into()) };
            let (used, event) = session.feed(conn.input.get(conn.at..).unwrap_or_default())?;
            let stream = session.stream();
            let out = std::mem::take(&mut session.out);
            if !out.is_empty() {
                write_by(&mut *conn.stream, &out, self.deadline).map_err(|error| self.send_failure(&error))?;
            }
            conn.consume(used);
            match event {
                None => match self.fill(conn) {
                    Ok(0) => {
                        let stale = reused > 0 && final_head.is_none();
                        let failure = if final_head.is_none() && got == 0 {
                            Failure::new(Code::GotNothing, "Empty reply from server")
                        } else {
                            Failure::new(Code::Partial, format!("HTTP/2 stream {stream} was closed before its end"))
                        };
                        return Err(Broken { failure, stale });
                    }
                    Ok(_) => {}
                    Err(error) => return Err(self.body_failure(&error).into()),
                },
                Some(Event::Window) => {}
                Some(Event::Reset(code)) => {
                    if code == 0 && final_head.is_some() {
                        ended = true;
                        continue;
                    }
                    let name = h2::error_name(code);
                    let text = format!("HTTP/2 stream {stream} was not closed cleanly: {name} (err {code})");
                    return Err(Failure::new(Code::Http2Stream, text).into());
                }
                Some(Event::GoAway { code, served }) => {
                    if !served {
                        let failure = gone(&format!("{stream} was refused: {} (err {code})", h2::error_name(code)));
                        return Err(Broken { failure, stale: reused > 0 });
                    }
                }
                Some(Event::Headers { fields, end }) => {
                    ended |= end;
                    if final_head.is_some() {
                        for (name, value) in fields {
                            self.trailer(format!("{name}: {value}\r\n").as_bytes())?;
                        }
                        continue;
                    }
                    let head = self.head2(&fields)?;
                    if head.status < 200 && head.status != 101 {
                        continue;
                    }
                    expected = self.told_length(&head)?;
                    self.unsent = body.is_some();
                    verdict = self.judge(&head, expected)?;
                    self.expected = expected;
                    if self.config.compressed && !self.config.raw {
                        let words: Vec<String> = head.all("content-encoding").map(str::to_owned).collect();
                        decoder = Decoder::new(words.iter().map(String::as_str))?;
                    }
                    if verdict == Verdict::Discard && !ended {
                        self.tracer.info("Ignoring the response-body");
                    }
                    final_head = Some(head);
                    if verdict == Verdict::Stop && !ended {
                        if let Some(session) = conn.h2.as_mut() {
                            session.cancel();
                            let out = std::mem::take(&mut session.out);
                            let _ = write_by(&mut *conn.stream, &out, self.deadline);
                        }
                        break;
                    }
                }
                Some(Event::Data { length, skip, end }) => {
                    if final_head.is_none() && length > 0 {
                        return Err(Failure::new(Code::Http2, "HTTP/2 data before the head of the response").into());
                    }
                    let from = conn.at;
                    let input = std::mem::take(&mut conn.input);
                    let result =
                        self.deliver(input.get(from..from + length).unwrap_or_default(), verdict, &mut decoder);
                    conn.input = input;
                    conn.consume(length + skip);
                    result?;
                    got += u64::try_from(length).unwrap_or(0);
                    ended |= end;
                }
            }
        }
        let head = final_head.ok_or_else(|| gone("ended without a head"))?;
        if verdict == Verdict::Deliver {
            if let Some(left) = expected
                .and_then(|expected| expected.checked_sub(got))
                .filter(|left| *left > 0 && !self.is_head && head.status != 304)
            {
                return Err(Failure::new(Code::Partial, format!("end of response with {left} bytes missing")).into());
            }
            self.deliver_end(&mut decoder)?;
        }
        let unsent = body.is_some();
        let reusable = ended && !unsent && conn.h2.as_ref().is_some_and(|session| session.is_open());
        Ok(Answer { reusable, unsent })
    }

    fn push2(&mut self, conn: &mut Conn, body: &mut Option<(Source, Option<u64>)>) -> Result<(), Broken> {
        while let (Some((source, left)), Some(session)) = (body.as_mut(), conn.h2.as_mut()) {
            let room = session.room();
            if room == 0 {
                return Ok(());
            }
            // What the server says is read before more is sent.
            let quiet = Ready { read: true, write: false };
            if conn.input.len() > conn.at || conn.stream.wait(quiet, Some(Duration::ZERO)).is_ok_and(|ready| ready.read)
            {
                let mut piece = [0u8; 4096];
                if let Ok(count) = conn.stream.read(&mut piece)
                    && count > 0
                {
                    conn.input.extend_from_slice(piece.get(..count).unwrap_or_default());
                    return Ok(());
                }
            }
            let mut buffer = vec![0u8; room.min(16_384)];
            let count = source.read(&mut buffer).map_err(|_| read_failed())?;
            let data = buffer.get(..count).unwrap_or_default();
            let length = u64::try_from(count).unwrap_or(0);
            *left = left.map(|left| left.saturating_sub(length));
            let end = count == 0 || *left == Some(0);
            session.data(data, end);
            let out = std::mem::take(&mut session.out);
            if count > 0 {
                self.tracer.bytes(Kind::DataOut, data);
            }
            write_by(&mut *conn.stream, &out, self.deadline).map_err(|error| self.send_failure(&error))?;
            self.facts.up += length;
            self.facts.request_bytes += length;
            self.tick(false);
            if end {
                self.tracer.info(&format!("upload completely sent off: {} bytes", self.facts.up));
                *body = None;
            }
        }
        Ok(())
    }

    /// A head in HTTP/2, shown as lines.
    fn head2(&mut self, fields: &[(String, String)]) -> Result<Head, Failure> {
        let status = fields.iter().find(|(name, _)| name == ":status").and_then(|(_, value)| value.parse::<u16>().ok());
        let status = status.filter(|status| (100..1000).contains(status));
        let status = status.ok_or_else(|| Failure::new(Code::Http2, "HTTP/2 response without a status"))?;
        let now = self.times.now();
        self.hop.first_byte = now;
        self.times.starttransfer = now;
        self.facts.version = 20;
        self.facts.status = status;
        let mut head = Head { version: 20, status, fields: Vec::new() };
        let line = format!("HTTP/2 {status} \r\n");
        self.heads_grow(line.len())?;
        self.head_line(line.as_bytes(), &head)?;
        for (name, value) in fields.iter().filter(|(name, _)| !name.starts_with(':')) {
            self.heads_grow(name.len() + value.len() + 4)?;
            head.fields.push(Field { name: name.clone(), value: value.trim().to_owned() });
            self.head_line(format!("{name}: {value}\r\n").as_bytes(), &head)?;
        }
        self.head_line(b"\r\n", &head)?;
        Ok(head)
    }
}
