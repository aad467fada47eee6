//! One transfer from its first request to its last: redirects, credentials, conditions, and where every byte goes.

use std::io::Write as _;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use netkit_http::cookies::{Jar, Place};
use netkit_http::decode::Decoder;
use netkit_http::head::Head;
use netkit_http::{Code, Failure, Url};

use crate::body::Body;
use crate::config::{Config, TimeCond, Version};
use crate::connect::Route;
use crate::credentials::{Login, Side};
use crate::exchange::{Answer, Broken, Verdict};
use crate::output::{Output, disposition_name};
use crate::pool::{Conn, Pool};
use crate::progress::{Counts, Meter, Style};
use crate::request::{Kind, Request, Shape, build, custom};
use crate::times::{Facts, Hop, Times};
use crate::world::{Kind as Shown, Shared, Tracer, World, lock};

/// What transfers of one run have in common.
#[derive(Default)]
pub(crate) struct Common {
    pub(crate) pool: Pool,
    pub(crate) jar: Mutex<Jar>,
    /// Files of `-D` that were begun, each with the configuration that named it.
    pub(crate) heads: Mutex<std::collections::BTreeSet<(String, usize)>>,
}

/// What comes after a response.
enum Next {
    Done,
    /// The same URL once more, now with credentials.
    Again,
    Follow(Url),
}

/// A transfer.
pub(crate) struct Transfer<'w> {
    pub(crate) world: &'w World,
    pub(crate) shared: &'w Common,
    pub(crate) config: &'w Config,
    pub(crate) tracer: Tracer<'w>,
    pub(crate) url: Url,
    pub(crate) kind: Kind,
    pub(crate) body: Body,
    pub(crate) form_type: Option<String>,
    pub(crate) headers: Vec<String>,
    pub(crate) output: Output<'w>,
    /// A body wanted in memory rather than in the output.
    pub(crate) capture: Option<Vec<u8>>,
    pub(crate) head_file: Option<Shared>,
    pub(crate) times: Times,
    pub(crate) facts: Facts,
    /// This URL is where a redirect led.
    pub(crate) redirected: bool,
    pub(crate) hop: Hop,
    pub(crate) deadline: Option<Instant>,
    pub(crate) only_address: Option<IpAddr>,
    /// Bytes to skip at the start of the document (`-C`).
    pub(crate) resume: u64,
    pub(crate) range: Option<String>,
    pub(crate) content_range: Option<String>,
    pub(crate) expected: Option<u64>,
    pub(crate) is_head: bool,
    pub(crate) meter: Meter,
    pub(crate) meter_on: bool,
    pub(crate) buffer: Vec<u8>,
    pub(crate) hint: Option<String>,
    pub(crate) chain_report: Vec<String>,
    pub(crate) why_unresolved: String,
    pub(crate) retry_after: Option<u64>,
    pub(crate) headers_total: u64,
    /// `-O` and `-J`: the server may name the file.
    pub(crate) named_by_server: bool,
    /// The document is not newer, or not older, than was asked: no file is made of it.
    pub(crate) unmet: bool,
    /// Time of last modification the server told.
    pub(crate) modified: Option<i64>,
    first: Url,
    referer: Option<String>,
    /// User and password for the present URL.
    pub(crate) login: Option<Login>,
    pub(crate) server: Side,
    pub(crate) proxy_side: Side,
    /// Whether the proxy in use has a user.
    has_proxy_login: bool,
    /// The body of the present request waits for a challenge.
    held: bool,
    /// The present request asks for leave to send its body.
    pub(crate) expects: bool,
    /// Bytes of the heads that answered this request so far, informational ones too.
    pub(crate) head_bytes: usize,
    /// The body of the present request has not gone out as a whole.
    pub(crate) unsent: bool,
    /// Oldest version of HTTP seen in this transfer, 10 or 11; 0 before the first response.
    pub(crate) oldest: u8,
    no_expect: bool,
    next: Option<Url>,
    again: bool,
    failure_after: Option<Failure>,
    paced_from: Instant,
    slow_since: Option<(Instant, u64)>,
}

impl<'w> Transfer<'w> {
    pub(crate) fn new(
        world: &'w World,
        shared: &'w Common,
        config: &'w Config,
        url: Url,
        output: Output<'w>,
        number: u64,
    ) -> Transfer<'w> {
        let now = Instant::now();
        let shows_body = output.is_stdout() && world.stdout_is_terminal;
        let quiet = world.global.silent || shows_body || number == u64::MAX;
        let style = if quiet || (world.global.no_meter && !world.global.bar) {
            Style::None
        } else if world.global.bar {
            Style::Bar
        } else {
            Style::Meter
        };
        Transfer {
            world,
            shared,
            config,
            tracer: Tracer::new(world, shows_body, number),
            first: url.clone(),
            url,
            kind: Kind::Get,
            body: Body::None,
            form_type: None,
            headers: config.headers.clone(),
            output,
            capture: None,
            head_file: None,
            times: Times::new(now),
            facts: Facts::default(),
            redirected: false,
            hop: Hop::default(),
            deadline: config.max_time.and_then(|limit| now.checked_add(limit)),
            only_address: None,
            resume: 0,
            range: config.range.clone(),
            content_range: None,
            expected: None,
            is_head: false,
            meter: Meter::new(style, now),
            meter_on: style != Style::None,
            buffer: Vec::new(),
            hint: None,
            chain_report: Vec::new(),
            why_unresolved: String::new(),
            retry_after: None,
            headers_total: 0,
            named_by_server: false,
            unmet: false,
            modified: None,
            referer: config.referer.clone(),
            login: None,
            server: Side::default(),
            proxy_side: Side::default(),
            has_proxy_login: false,
            held: false,
            expects: false,
            head_bytes: 0,
            unsent: false,
            oldest: 0,
            no_expect: false,
            next: None,
            again: false,
            failure_after: None,
            paced_from: now,
            slow_since: None,
        }
    }

    pub(crate) fn agent(&self) -> String {
        self.config.agent.clone().unwrap_or_else(|| format!("curl/{}", self.world.version))
    }

    /// Runs it to its end. `facts` and `times` are complete also after a failure.
    pub(crate) fn perform(&mut self) -> Result<(), Failure> {
        if self.meter_on {
            self.tick(false);
        }
        let result = self.run();
        self.times.total = self.times.now();
        self.facts.effective = self.url.text(true, true);
        self.facts.scheme = self.url.scheme.clone();
        self.facts.filename = self.output.path().map(|path| path.display().to_string());
        self.facts.referer.clone_from(&self.referer);
        self.tick(true);
        result
    }

    fn run(&mut self) -> Result<(), Failure> {
        loop {
            self.hop = Hop { began: self.times.now(), url: self.url.text(false, false), ..Hop::default() };
            let result = if self.url.scheme == "file" { self.file().map(|()| Next::Done) } else { self.request() };
            self.hop.end = self.times.now();
            self.hop.status = self.facts.status;
            self.hop.version = self.facts.version;
            self.hop.method.clone_from(&self.facts.method);
            self.hop.appconnect = self.times.appconnect;
            let hop = self.hop.clone();
            self.facts.hops.push(hop);
            match result? {
                Next::Done => return self.failure_after.take().map_or(Ok(()), Err),
                Next::Again => {
                    // Credentials are sent to the same place, which counts as a redirect to it.
                    self.counted()?;
                    self.times.redirect = self.times.now();
                    self.tracer.info(&format!("Issue another request to this URL: '{}'", self.url.text(true, false)))
                }
                Next::Follow(url) => {
                    self.follow(url)?;
                    self.times.redirect = self.times.now();
                }
            }
        }
    }

    /// Whether credentials of the first host may be sent here.
    pub(crate) fn is_foreign(&self) -> bool {
        !self.config.trusted
            && (!self.url.host.eq_ignore_ascii_case(&self.first.host)
                || self.url.port_or_default() != self.first.port_or_default()
                || self.url.scheme != self.first.scheme)
    }

    fn request(&mut self) -> Result<Next, Failure> {
        let allowed = if self.redirected { &self.config.proto_redir } else { &self.config.proto };
        if !allowed.0.contains(&self.url.scheme.as_str()) {
            let text = if !crate::config::PROTOCOLS.contains(&self.url.scheme.as_str()) {
                format!("Protocol \"{}\" not supported", self.url.scheme)
            } else if self.redirected {
                format!("Protocol \"{}\" disabled followed from redirect", self.url.scheme)
            } else {
                format!("Protocol \"{}\" disabled", self.url.scheme)
            };
            return Err(Failure::new(Code::UnsupportedProtocol, text));
        }
        self.identify()?;
        self.facts.method = self.config.request.clone().unwrap_or_else(|| self.kind.method().to_owned());
        let route = Route::new(self, &self.url.clone())?;
        self.has_proxy_login = route.proxy.as_ref().is_some_and(|proxy| proxy.login.is_some());
        // Sizes are those of the last request.
        (self.facts.down, self.facts.up) = (0, 0);
        self.facts.proxy_used = route.proxy.is_some();
        let mut fresh = false;
        for attempt in 0u32.. {
            let url = self.url.clone();
            let mut conn = self.connection(&url, &route, fresh)?;
            self.facts.remote = conn.peer;
            self.facts.local = conn.local;
            self.facts.conn_id = Some(conn.id);
            let request = self.build(&route, &conn)?;
            self.facts.method.clone_from(&request.method);
            self.is_head = self.kind == Kind::Head;
            match self.exchange(&mut conn, &request) {
                Ok(answer) => {
                    let next = self.after(&answer);
                    self.release(conn, answer.reusable);
                    return next;
                }
                Err(Broken { stale: true, .. }) if attempt < 5 && request.body.repeats() => {
                    self.tracer.info("Connection died, retrying a fresh connect (retry count: 1)");
                    self.tracer.info(&format!("closing connection #{}", conn.id));
                    fresh = true;
                }
                Err(Broken { failure, .. }) => {
                    self.tracer.info(&failure.text);
                    self.tracer.info(&format!("closing connection #{}", conn.id));
                    if failure.code == Code::HttpReturned {
                        conn.stream.finish();
                    }
                    return Err(failure);
                }
            }
        }
        Err(Failure::new(Code::Recv, "no connection stayed open"))
    }

    fn release(&mut self, mut conn: Conn, reusable: bool) {
        if reusable {
            self.tracer.info(&format!("Connection #{} to host {} left intact", conn.id, conn.host));
            self.shared.pool.keep(conn);
        } else {
            self.tracer.info(&format!("shutting down connection #{}", conn.id));
            conn.stream.finish();
        }
    }

    fn build(&mut self, route: &Route, conn: &Conn) -> Result<Request, Failure> {
        let url = self.url.clone();
        let method = self.config.request.clone().unwrap_or_else(|| self.kind.method().to_owned());
        let target = url.target();
        let absolute = route.absolute();
        let (proxy_authorization, proxy_holds) = match absolute {
            true => self.proxy_authorization(route, &method, &target),
            false => (None, false),
        };
        let (authorization, hold_body) = self.authorization(&method, &target);
        let hold_body = hold_body || proxy_holds;
        self.held = hold_body;
        let foreign = self.is_foreign();
        let length = self
            .body
            .length()
            .map_err(|_| Failure::new(Code::Read, "Failed to open/read local data from file/application"))?;
        let old = self.config.version == Version::V10 || self.oldest == 10 || conn.version == 10;
        let version = if conn.h2.is_some() {
            20
        } else if old {
            10
        } else {
            11
        };
        let own_coding = custom(&self.headers, "Transfer-Encoding").is_some();
        if version == 10 && length.is_none() && !hold_body && !own_coding && self.kind != Kind::Get {
            return Err(Failure::new(Code::UploadFailed, "Chunky upload is not supported by HTTP 1.0"));
        }
        let shape = Shape {
            method,
            kind: self.kind,
            version,
            absolute,
            authorization,
            proxy_authorization,
            cookie: self.cookie(&url),
            keep_host: !self.config.trusted && url.host.eq_ignore_ascii_case(&self.first.host) || !self.redirected,
            range: self.range.clone(),
            content_range: self.content_range.clone(),
            referer: self.referer.clone(),
            agent: self.agent(),
            foreign,
            hold_body,
            no_expect: self.no_expect,
            body: self.body.clone(),
            length,
            form_type: self.form_type.clone(),
            headers: self.headers.clone(),
            proxy_headers: self.config.proxy_headers.clone(),
            upgrade: self.config.version == Version::V2 && !route.tls && conn.h2.is_none() && !absolute,
        };
        Ok(build(self.config, &url, &shape))
    }

    /// Whether this operation takes and sends cookies; the jar itself is shared by all of them.
    fn keeps_cookies(&self) -> bool {
        !self.config.cookie_files.is_empty() || self.config.cookie_jar.is_some()
    }

    fn place<'a>(&self, url: &'a Url) -> Place<'a> {
        let local = matches!(url.host.as_str(), "localhost" | "127.0.0.1" | "::1");
        Place {
            host: &url.host,
            path: &url.path,
            secure: url.scheme == "https" || local,
            now: self.world.clock.unix_seconds(),
        }
    }

    fn cookie(&self, url: &Url) -> Option<String> {
        let foreign = self.is_foreign();
        let mut parts = Vec::new();
        if self.keeps_cookies() {
            let host = custom(&self.headers, "Host").and_then(|rest| rest.get(1..)).map(str::trim);
            let host =
                host.filter(|host| !host.is_empty() && !foreign).map(|host| host.split(':').next().unwrap_or(host));
            let place = self.place(url);
            let place = Place { host: host.unwrap_or(place.host), ..place };
            parts.extend(lock(&self.shared.jar).header(place));
        }
        // Those of -H replace those of -b, not those of the engine.
        if !self.config.cookies.is_empty() && custom(&self.headers, "Cookie").is_none() {
            parts.push(self.config.cookies.join(";"));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// One line of a head has arrived.
    pub(crate) fn head_line(&mut self, line: &[u8], head: &Head) -> Result<(), Failure> {
        self.tracer.bytes(Shown::HeaderIn, line);
        self.facts.header_bytes += u64::try_from(line.len()).unwrap_or(0);
        let blank = line.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        if blank {
            self.facts.heads.push(head.clone());
            self.headers_total = u64::try_from(head.fields.len()).unwrap_or(0);
        }
        if let Some(field) = head.fields.last().filter(|_| !blank && !line.starts_with(b"HTTP/")) {
            let named = |name: &str| field.name.eq_ignore_ascii_case(name);
            if named("set-cookie") && self.keeps_cookies() {
                let url = self.url.clone();
                let host =
                    custom(&self.headers, "Host").and_then(|rest| rest.get(1..)).map(|host| host.trim().to_owned());
                let place = self.place(&url);
                let place = match host.as_deref().filter(|host| !host.is_empty() && !self.is_foreign()) {
                    Some(host) => Place { host: host.split(':').next().unwrap_or(host), ..place },
                    None => place,
                };
                let said = lock(&self.shared.jar).set(&field.value, place);
                match said {
                    Ok(text) if self.world.global.secrets => self.tracer.info(&text),
                    Ok(_) => {}
                    Err(text) => self.tracer.info(&text),
                }
            } else if named("content-type") {
                self.facts.content_type = Some(field.value.clone());
            } else if named("content-disposition")
                && self.config.content_disposition
                && self.named_by_server
                && (200..400).contains(&head.status)
            {
                if let Some(name) = disposition_name(&field.value) {
                    // Only the first one counts.
                    self.named_by_server = false;
                    let path = match &self.config.output_dir {
                        Some(dir) => std::path::Path::new(dir).join(name),
                        None => name.into(),
                    };
                    self.output.rename(path)?;
                }
            } else if named("etag")
                && let Some(path) = &self.config.etag_save
                && (200..400).contains(&head.status)
            {
                let _ = std::fs::write(path, format!("{}\n", field.value));
            } else if named("last-modified") {
                self.modified = netkit_http::date::parse(&field.value);
            }
        }
        self.header_out(line)
    }

    /// `-D` and `-i`.
    pub(crate) fn header_out(&mut self, line: &[u8]) -> Result<(), Failure> {
        if let Some(file) = &self.head_file {
            lock(file).write_all(line).map_err(|_| Failure::new(Code::Write, "Failed writing header"))?;
        }
        if (self.config.include || self.config.head) && self.capture.is_none() {
            self.output.write(line, true)?;
        }
        Ok(())
    }

    /// A trailer (RFC 9110, section 6.5).
    pub(crate) fn trailer(&mut self, line: &[u8]) -> Result<(), Failure> {
        self.tracer.bytes(Shown::HeaderIn, line);
        self.facts.header_bytes += u64::try_from(line.len()).unwrap_or(0);
        self.header_out(line)
    }

    /// What becomes of the body, now that the head is known.
    pub(crate) fn judge(&mut self, head: &Head, length: Option<u64>) -> Result<Verdict, Failure> {
        self.next = None;
        self.again = false;
        self.failure_after = None;
        self.retry_after = head.field("retry-after").and_then(|value| match value.trim().parse::<u64>() {
            Ok(seconds) => Some(seconds),
            Err(_) => {
                let at = netkit_http::date::parse(value)?;
                u64::try_from(at - self.world.clock.unix_seconds()).ok()
            }
        });
        let status = head.status;
        let has_proxy_login = self.has_proxy_login;
        if (status == 401 && self.challenge(head)) || (status == 407 && self.proxy_challenge(head, has_proxy_login)) {
            self.again = true;
            return Ok(Verdict::Discard);
        }
        if self.held && status < 300 {
            self.unchallenged();
            self.again = true;
            return Ok(Verdict::Discard);
        }
        if status == 417 && !self.no_expect && self.unsent && self.expects {
            self.no_expect = true;
            self.again = true;
            return Ok(Verdict::Discard);
        }
        if (300..400).contains(&status)
            && let Some(location) = head.field("location").filter(|location| !location.is_empty())
        {
            let target = self.url.join(location, self.config.path_as_is);
            self.facts.redirect_url = target.as_ref().ok().map(|url| url.text(true, true));
            if self.config.location {
                self.next = Some(target?);
                return Ok(Verdict::Discard);
            }
        } else {
            self.facts.redirect_url = None;
        }
        if status >= 400 && (self.config.fail || self.config.fail_with_body) {
            // A range beyond the end of a document that is complete is no failure.
            let complete = status == 416 && self.resume > 0;
            if !complete {
                let failure = Failure::new(Code::HttpReturned, format!("The requested URL returned error: {status}"));
                if self.config.fail {
                    return Err(failure);
                }
                self.failure_after = Some(failure);
                return Ok(Verdict::Deliver);
            }
        }
        if self.resume > 0 && self.kind == Kind::Get {
            if status == 416 {
                return Ok(Verdict::Discard);
            }
            // A range that does not say where it begins is taken for the whole document.
            let begins = |range: &str| {
                let rest = range.trim_start_matches(|c: char| !(c.is_ascii_digit() || c == '*'));
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                (!digits.is_empty()).then(|| digits.parse::<u64>().unwrap_or(u64::MAX))
            };
            let fits = match head.field("content-range").map(begins) {
                Some(Some(begin)) => begin == self.resume,
                Some(None) => status < 300,
                None => false,
            };
            if !fits && length == Some(self.resume) {
                self.tracer.info("The entire document is already downloaded");
                return Ok(Verdict::Stop);
            }
            if !fits {
                return Err(Failure::new(
                    Code::Range,
                    "HTTP server does not seem to support byte ranges. Cannot resume.",
                ));
            }
        }
        if let (Some(condition), 200) = (self.config.time_cond, status)
            && let Some(modified) = self.modified
        {
            let unwanted = match condition {
                TimeCond::ModifiedSince(since) | TimeCond::LastModified(since) => modified <= since,
                TimeCond::UnmodifiedSince(since) => modified >= since,
            };
            if unwanted {
                self.tracer.info("Simulate an HTTP 304 response");
                self.unmet = true;
                return Ok(Verdict::Stop);
            }
        }
        if let (Some(most), Some(length)) = (self.config.max_filesize, length)
            && length > most
        {
            return Err(Failure::new(Code::FileSize, "Maximum file size exceeded"));
        }
        Ok(Verdict::Deliver)
    }

    fn after(&mut self, answer: &Answer) -> Result<Next, Failure> {
        if self.again {
            if answer.unsent && !self.body.repeats() {
                return Err(Failure::new(Code::Rewind, "necessary data rewind was not possible"));
            }
            return Ok(Next::Again);
        }
        Ok(self.next.take().map_or(Next::Done, Next::Follow))
    }

    /// One more redirect, if the limit allows it.
    fn counted(&mut self) -> Result<(), Failure> {
        let max = self.config.max_redirs;
        if max >= 0 && self.facts.redirects >= u64::try_from(max).unwrap_or(u64::MAX) {
            if self.facts.redirect_url.is_none() {
                self.facts.redirect_url = Some(self.url.text(false, false));
            }
            return Err(Failure::new(Code::TooManyRedirects, format!("Maximum ({max}) redirects followed")));
        }
        self.facts.redirects += 1;
        self.facts.redirect_url = None;
        if self.config.auto_referer {
            let mut from = self.url.clone();
            from.fragment = None;
            self.referer = Some(from.text(false, false));
        }
        Ok(())
    }

    /// Goes where a redirect leads.
    fn follow(&mut self, mut url: Url) -> Result<(), Failure> {
        self.counted()?;
        self.redirected = true;
        let posts = matches!(self.kind, Kind::Post | Kind::Form);
        let switch = match self.facts.status {
            301 => posts && !self.config.post301,
            302 => posts && !self.config.post302,
            303 if posts => !self.config.post303,
            303 => self.kind == Kind::Put,
            _ => false,
        };
        // An address in the new place keeps the user of the old one only on the same host.
        if url.user.is_none() && url.host == self.url.host && url.port == self.url.port && url.scheme == self.url.scheme
        {
            url.user.clone_from(&self.url.user);
            url.password.clone_from(&self.url.password);
        }
        let moved = url.host != self.url.host
            || url.port_or_default() != self.url.port_or_default()
            || url.scheme != self.url.scheme;
        if moved {
            self.server = Side::default();
        }
        self.url = url;
        self.tracer.info(&format!("Issue another request to this URL: '{}'", self.url.text(true, true)));
        if switch {
            self.tracer.info(&format!("Switch to GET because of {} response", self.facts.status));
            self.kind = Kind::Get;
            self.body = Body::None;
            self.form_type = None;
        } else if !self.body.repeats() {
            return Err(Failure::new(Code::Rewind, "necessary data rewind was not possible"));
        }
        Ok(())
    }

    /// Bytes of the body, as they came off the transfer coding.
    pub(crate) fn deliver(&mut self, bytes: &[u8], verdict: Verdict, decoder: &mut Decoder) -> Result<(), Failure> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.tracer.bytes(Shown::DataIn, bytes);
        self.pass(bytes, verdict, decoder)
    }

    /// The same of bytes that have been shown already, as they came.
    pub(crate) fn pass(&mut self, bytes: &[u8], verdict: Verdict, decoder: &mut Decoder) -> Result<(), Failure> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.facts.down += u64::try_from(bytes.len()).unwrap_or(0);
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(self.timed_out());
        }
        if verdict == Verdict::Deliver {
            if let Some(most) = self.config.max_filesize
                && self.facts.down > most
            {
                // As much as is allowed is kept.
                let over = usize::try_from(self.facts.down - most).unwrap_or(usize::MAX);
                let kept = bytes.get(..bytes.len().saturating_sub(over)).unwrap_or_default();
                if decoder.is_identity() {
                    self.store(kept)?;
                }
                let text = format!("Exceeded the maximum allowed file size ({most})");
                return Err(Failure::new(Code::FileSize, text));
            }
            if decoder.is_identity() {
                self.store(bytes)?;
            } else {
                decoder.feed(bytes, &mut |bytes| self.store(bytes))?;
            }
        }
        self.tick(false);
        self.pace(self.facts.down);
        if self.too_slow() {
            let (limit, time) = (self.config.speed_limit, self.config.speed_time);
            let text = format!("Operation too slow. Less than {limit} bytes/sec transferred the last {time} seconds");
            return Err(Failure::new(Code::TimedOut, text));
        }
        Ok(())
    }

    fn store(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match &mut self.capture {
            Some(held) => {
                held.extend_from_slice(bytes);
                if u64::try_from(held.len()).unwrap_or(u64::MAX) > self.config.max_filesize.unwrap_or(64 << 20) {
                    return Err(Failure::new(Code::FileSize, "Exceeded the maximum allowed file size"));
                }
                Ok(())
            }
            None => self.output.write(bytes, false),
        }
    }

    /// The body is complete.
    pub(crate) fn deliver_end(&mut self, decoder: &mut Decoder) -> Result<(), Failure> {
        if decoder.is_identity() { Ok(()) } else { decoder.end(&mut |bytes| self.store(bytes)) }
    }

    /// Draws the meter when it is time.
    pub(crate) fn tick(&mut self, end: bool) {
        if !self.meter_on {
            return;
        }
        let counts = Counts {
            down: self.facts.down,
            down_total: self.expected.or_else(|| end.then_some(self.facts.down)),
            up: self.facts.up,
            up_total: self.body.length().ok().flatten().filter(|_| self.body != Body::None),
        };
        if let Some(text) = self.meter.tick(&counts, end) {
            self.world.say(&text);
        }
    }

    /// Sleeps so that no more than the limit is moved (`--limit-rate`).
    pub(crate) fn pace(&mut self, moved: u64) {
        let Some(rate) = self.config.limit_rate else { return };
        let due =
            Duration::from_micros(u64::try_from(u128::from(moved) * 1_000_000 / u128::from(rate)).unwrap_or(u64::MAX));
        let spent = self.paced_from.elapsed();
        let mut wait = due.saturating_sub(spent);
        if let Some(deadline) = self.deadline {
            wait = wait.min(deadline.saturating_duration_since(Instant::now()));
        }
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
    }

    /// Whether less than `-Y` bytes a second were moved for `-y` seconds.
    pub(crate) fn too_slow(&mut self) -> bool {
        if self.config.speed_time == 0 {
            return false;
        }
        let moved = self.facts.down + self.facts.up;
        let now = Instant::now();
        let Some((since, before)) = self.slow_since else {
            self.slow_since = Some((now, moved));
            return false;
        };
        let spent = now.duration_since(since);
        let limit = u128::from(self.config.speed_limit) * spent.as_millis() / 1000;
        if u128::from(moved - before) >= limit && spent.as_secs() >= 1 {
            self.slow_since = Some((now, moved));
            return false;
        }
        spent.as_secs() >= self.config.speed_time
    }

    /// Bytes that are not HTTP: what they might be.
    pub(crate) fn mismatch(&mut self, bytes: &[u8]) {
        let hint = match bytes {
            [0x15 | 0x16, 3, ..] => "the server speaks TLS on this port; try https://",
            [0, 0, _, 4, ..] => "the server speaks HTTP/2 without TLS; try --http2-prior-knowledge",
            [b'S', b'S', b'H', b'-', ..] => "an SSH server answers on this port",
            [b'2', b'2', b'0', b' ', ..] => "a mail or FTP server answers on this port",
            _ => "the server does not speak HTTP on this port",
        };
        self.hint = Some(hint.to_owned());
    }
}
