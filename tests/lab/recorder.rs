//! A recording DNS lab: name servers on 127.0.0.0/8 and ::1, port 53, that answer from a table, inside a network and
//! mount namespace with its own /etc, and a capture of every query that a command sends there.
//!
//! The test binary runs itself again (`e2e --recorder DIR`, see [`dispatch`]) under `unshare --net --mount`, because
//! a process with threads cannot change its own mount namespace. DIR holds `case` (the text of one case, see
//! [`Case`]) and `commands` (JSON); the runs come back as JSON on standard output.
//!
//! Queries are taken from the wire by a packet socket, not from the servers: a packet socket sees the queries to
//! all servers in one order, the order of the sends, and it also sees those to a port where nobody listens.

// The bytes come from our own programs on our own loopback, and an index into JSON yields null, not a panic.
#![allow(clippy::indexing_slicing)]

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, socket};
use serde_json::{Value, json};

use super::{Stop, TempDir, run};

/// The argument that makes the test binary the lab's inner process.
const INNER: &str = "--recorder";
/// Addresses with a name server unless the case closes them.
const SERVERS: [&str; 5] = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "::1"];
/// How long one command may take.
const LIMIT: Duration = Duration::from_secs(300);

/// One situation, as data. A line is a keyword, a blank and the rest; `\t` stands for a tab, `#` at the start of a line is a comment.
///
/// ```text
/// case NAME
/// note TEXT                     what the case shows
/// resolv LINE                   a line of /etc/resolv.conf
/// hosts LINE                    a line of /etc/hosts
/// nsswitch LINE                 a line of /etc/nsswitch.conf; `hosts: files dns` when absent
/// hostconf LINE                 a line of /etc/host.conf
/// env NAME=VALUE                for the command
/// closed ADDRESS [tcp]          nobody listens there (on TCP)
/// answer [@SERVER] [udp|tcp] NAME TYPE ACTION...
/// ask NAME [inet|inet6]         the look-up
/// sockets                       also compare which queries share a socket
/// only RESOLVER...              resolvers that the case is about
/// ```
/// The first fitting `answer` counts; NAME is `*`, `*.SUFFIX` or a full name, TYPE may be `*`. Without a fitting line the answer is NODATA
/// for a name that some line gives in full, NXDOMAIN for any other.
/// ACTION is a list of addresses and CNAME=TARGET, or NODATA NXDOMAIN SERVFAIL REFUSED FORMERR NOTIMP SILENCE LAME TRUNCATED; with
/// DELAY=MILLISECONDS, or FIRST=N (the line counts for the first N queries that fit it).
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// After `case`.
    pub name: String,
    /// The text of the whole case, as the inner process reads it.
    pub text: String,
    pub resolv: String,
    pub hosts: String,
    pub nsswitch: String,
    pub hostconf: String,
    pub env: Vec<(String, String)>,
    pub closed: Vec<String>,
    pub closed_tcp: Vec<String>,
    pub answers: Vec<Rule>,
    /// The name to look up, then the address family if one is asked for.
    pub ask: Vec<String>,
    pub sockets: bool,
    pub only: Vec<String>,
}

impl Case {
    /// Whether the options include `rotate`.
    pub fn rotates(&self) -> bool {
        let options = self.resolv.lines().filter_map(|line| line.strip_prefix("options "));
        options.flat_map(str::split_whitespace).any(|option| option == "rotate")
    }

    /// The addresses of the `nameserver` lines.
    pub fn nameservers(&self) -> Vec<&str> {
        self.resolv.lines().filter_map(|line| line.strip_prefix("nameserver ")).map(str::trim).collect()
    }
}

/// One `answer` line.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    server: Option<String>,
    transport: Option<String>,
    name: String,
    rtype: String,
    actions: Vec<String>,
}

/// Reads the cases of a file; an unknown keyword is an error, so that a typing mistake cannot weaken a case.
pub fn cases(text: &str) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (keyword, rest) = line.split_once(' ').unwrap_or((line, ""));
        if keyword == "case" {
            cases.push(Case { name: rest.to_owned(), ..Case::default() });
        }
        let case = cases.last_mut().ok_or_else(|| format!("line {}: before the first case", number + 1))?;
        case.text.push_str(line);
        case.text.push('\n');
        let rest = rest.replace("\\t", "\t");
        let words: Vec<String> = rest.split_whitespace().map(str::to_owned).collect();
        match keyword {
            "case" | "note" => {}
            "resolv" => case.resolv.push_str(&format!("{rest}\n")),
            "hosts" => case.hosts.push_str(&format!("{rest}\n")),
            "nsswitch" => case.nsswitch.push_str(&format!("{rest}\n")),
            "hostconf" => case.hostconf.push_str(&format!("{rest}\n")),
            "env" => {
                let (name, value) = rest.split_once('=').ok_or_else(|| format!("line {}: env", number + 1))?;
                case.env.push((name.to_owned(), value.to_owned()));
            }
            "closed" if words.get(1).is_some_and(|word| word == "tcp") => case.closed_tcp.push(words[0].clone()),
            "closed" => case.closed.push(rest),
            "answer" => case.answers.push(rule(&words).ok_or_else(|| format!("line {}: answer", number + 1))?),
            "ask" => case.ask = words,
            "sockets" => case.sockets = true,
            "only" => case.only = words,
            other => return Err(format!("line {}: no keyword `{other}`", number + 1)),
        }
    }
    Ok(cases)
}

/// `[@SERVER] [udp|tcp] NAME TYPE ACTION...`.
fn rule(words: &[String]) -> Option<Rule> {
    let mut words = words.iter().cloned().peekable();
    let mut rule = Rule::default();
    if let Some(server) = words.peek().and_then(|word| word.strip_prefix('@')) {
        rule.server = Some(server.to_owned());
        words.next();
    }
    rule.transport = words.next_if(|word| word == "udp" || word == "tcp");
    rule.name = words.next()?.to_ascii_lowercase();
    rule.rtype = words.next()?;
    rule.actions = words.collect();
    (!rule.actions.is_empty()).then_some(rule)
}

/// One command of a recording: a label, the argument vector, its environment beside PATH.
#[derive(Clone, Debug)]
pub struct Job {
    pub label: String,
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
}

/// What one command did.
#[derive(Clone, Debug)]
pub struct Recording {
    pub label: String,
    pub status: i64,
    pub stdout: String,
    pub stderr: String,
    pub queries: Vec<Query>,
}

/// One query as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub server: String,
    /// `udp`, `tcp`, or `tcp-refused` for a connection that nobody accepted (its name was never sent).
    pub transport: String,
    /// With the final dot; empty for `tcp-refused`.
    pub name: String,
    pub rtype: String,
    /// Sockets numbered from 1 as they appear.
    pub socket: i64,
    /// Of rd, ad, cd, do, and `edns=SIZE`.
    pub flags: String,
    pub id: i64,
    /// Since the command started.
    pub time_us: i64,
}

impl Query {
    /// `SERVER TRANSPORT TYPE NAME [FLAGS]`: what two resolvers must agree on.
    pub fn line(&self) -> String {
        if self.transport == "tcp-refused" {
            return format!("{} tcp refused", self.server);
        }
        format!("{} {} {} {} [{}]", self.server, self.transport, self.rtype, self.name, self.flags)
    }
}

/// Runs the commands one after another in the lab of `case`.
pub fn record(case: &Case, jobs: &[Job]) -> Result<Vec<Recording>, Stop> {
    let dir = TempDir::new("recorder")?;
    std::fs::write(dir.0.join("case"), &case.text)?;
    let list: Vec<Value> =
        jobs.iter().map(|job| json!({"label": job.label, "argv": job.argv, "env": job.env})).collect();
    std::fs::write(dir.0.join("commands"), Value::from(list).to_string())?;
    let this = std::env::current_exe()?;
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--"]).arg(this).arg(INNER).arg(&dir.0);
    let out = run(&mut command, (LIMIT + Duration::from_secs(1)) * (jobs.len() as u32 + 1))?;
    if !out.status.success() {
        return Err(Stop::Fail(format!("the recorder: {}", String::from_utf8_lossy(&out.stderr))));
    }
    let value: Value = serde_json::from_slice(&out.stdout).map_err(|error| format!("the recorder's JSON: {error}"))?;
    Ok(array(&value).iter().map(recording).collect())
}

fn array(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn recording(value: &Value) -> Recording {
    let query = |value: &Value| Query {
        server: text(value, "server"),
        transport: text(value, "transport"),
        name: text(value, "name"),
        rtype: text(value, "type"),
        socket: value["socket"].as_i64().unwrap_or(-1),
        flags: text(value, "flags"),
        id: value["id"].as_i64().unwrap_or(-1),
        time_us: value["time_us"].as_i64().unwrap_or(-1),
    };
    Recording {
        label: text(value, "label"),
        status: value["status"].as_i64().unwrap_or(-1),
        stdout: text(value, "stdout"),
        stderr: text(value, "stderr"),
        queries: array(&value["queries"]).iter().map(query).collect(),
    }
}

/// Called first by `main`: with `--recorder DIR` this process is the inner one.
pub fn dispatch() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != INNER {
        return None;
    }
    let dir = arguments.next()?;
    let status = match inner(Path::new(&dir)) {
        Ok(result) => std::io::stdout().write_all(result.to_string().as_bytes()).map_err(|error| error.to_string()),
        Err(Stop::Fail(message)) => Err(message),
        Err(Stop::Skip(skip)) => Err(skip.0),
    };
    Some(match status {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "{message}");
            ExitCode::FAILURE
        }
    })
}

/// The inner process: new /etc, loopback, servers, capture, commands.
fn inner(dir: &Path) -> Result<Value, Stop> {
    let case = cases(&std::fs::read_to_string(dir.join("case"))?)?.pop().ok_or("an empty case")?;
    let jobs: Value = serde_json::from_slice(&std::fs::read(dir.join("commands"))?).map_err(|e| e.to_string())?;

    let etc = dir.join("etc");
    std::fs::create_dir_all(&etc)?;
    std::fs::write(etc.join("resolv.conf"), &case.resolv)?;
    std::fs::write(etc.join("hosts"), &case.hosts)?;
    let nsswitch = if case.nsswitch.is_empty() { "hosts: files dns\n" } else { &case.nsswitch };
    std::fs::write(etc.join("nsswitch.conf"), nsswitch)?;
    std::fs::write(etc.join("host.conf"), &case.hostconf)?;
    std::fs::write(etc.join("passwd"), "root:x:0:0::/:/bin/sh\n")?;
    must(Command::new("ip").args(["link", "set", "lo", "up"]))?;
    must(Command::new("mount").args(["--bind"]).arg(&etc).arg("/etc"))?;
    // A name service cache of the host would answer for us.
    if Path::new("/run/nscd").is_dir() {
        must(Command::new("mount").args(["-t", "tmpfs", "none", "/run/nscd"]))?;
    }

    let rules = Arc::new(Rules { rules: case.answers.clone(), seen: Mutex::new(BTreeMap::new()) });
    for address in SERVERS.iter().filter(|address| !case.closed.iter().any(|closed| closed == *address)) {
        let address: IpAddr = address.parse().map_err(|_| "a server address")?;
        serve_udp(UdpSocket::bind((address, 53))?, Arc::clone(&rules));
        if !case.closed_tcp.iter().any(|closed| *closed == address.to_string()) {
            serve_tcp(TcpListener::bind((address, 53))?, Arc::clone(&rules));
        }
    }
    let wire = capture()?;
    let mut results = Vec::new();
    for job in array(&jobs) {
        rules.forget();
        let argv: Vec<String> = array(&job["argv"]).iter().filter_map(|a| a.as_str().map(str::to_owned)).collect();
        let mut command = Command::new(argv.first().ok_or("a command without a program")?);
        command.args(&argv[1..]).env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").current_dir("/");
        for pair in array(&job["env"]) {
            command.env(pair[0].as_str().unwrap_or_default(), pair[1].as_str().unwrap_or_default());
        }
        let start = Instant::now();
        let out = run(&mut command, LIMIT)?;
        let frames = drain(&wire)?;
        let queries: Vec<Value> = queries(&frames, start);
        results.push(json!({
            "label": job["label"], "status": out.status.code(), "queries": queries,
            "stdout": String::from_utf8_lossy(&out.stdout), "stderr": String::from_utf8_lossy(&out.stderr),
        }));
    }
    Ok(Value::from(results))
}

fn must(command: &mut Command) -> Result<(), Stop> {
    let out = command.output()?;
    if out.status.success() {
        return Ok(());
    }
    Err(Stop::Fail(format!("{command:?}: {}", String::from_utf8_lossy(&out.stderr))))
}

// ---- the servers ----

/// The answer lines of a case, and how often each has counted since the current command began.
struct Rules {
    rules: Vec<Rule>,
    seen: Mutex<BTreeMap<usize, u32>>,
}

/// What a server does with one query.
struct Reply {
    bytes: Option<Vec<u8>>,
    delay: Duration,
}

impl Rules {
    fn forget(&self) {
        if let Ok(mut seen) = self.seen.lock() {
            seen.clear();
        }
    }

    fn reply(&self, server: IpAddr, transport: &str, query: &[u8]) -> Option<Reply> {
        let question = question(query)?;
        let name = question.name.to_ascii_lowercase();
        let fits = |rule: &Rule| {
            rule.server.as_ref().is_none_or(|wanted| *wanted == server.to_string())
                && rule.transport.as_ref().is_none_or(|wanted| wanted == transport)
                && (rule.rtype == "*" || rule.rtype == question.rtype)
                && (rule.name == "*"
                    || rule.name == name.trim_end_matches('.')
                    || rule.name.strip_prefix('*').is_some_and(|end| name.trim_end_matches('.').ends_with(end)))
        };
        // A name that an answer line gives exists: its other types are NODATA, not NXDOMAIN.
        let exists = self.rules.iter().any(|rule| rule.name == name.trim_end_matches('.'));
        let mut actions = vec![if exists { "NODATA" } else { "NXDOMAIN" }.to_owned()];
        for (index, rule) in self.rules.iter().enumerate().filter(|(_, rule)| fits(rule)) {
            let mut seen = self.seen.lock().ok()?;
            let count = seen.entry(index).or_insert(0);
            *count += 1;
            let first = rule.actions.iter().find_map(|action| action.strip_prefix("FIRST=")?.parse().ok());
            if first.is_none_or(|first: u32| *count <= first) {
                actions = rule.actions.clone();
                break;
            }
        }
        Some(compose(query, &question, &actions))
    }
}

/// The question of a query and where it ends.
struct Question {
    name: String,
    rtype: String,
    end: usize,
}

/// Reads the first question; queries carry no compression pointers.
fn question(message: &[u8]) -> Option<Question> {
    let mut at = 12;
    let mut name = String::new();
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        name.push_str(&String::from_utf8_lossy(message.get(at..at + length)?));
        name.push('.');
        at += length;
    }
    if name.is_empty() {
        name.push('.');
    }
    let rtype = match u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]) {
        1 => "A".to_owned(),
        28 => "AAAA".to_owned(),
        5 => "CNAME".to_owned(),
        other => format!("TYPE{other}"),
    };
    Some(Question { name, rtype, end: at + 4 })
}

/// The reply that `actions` describe: RFC 1035 section 4.1, with RA set and the question echoed.
fn compose(query: &[u8], question: &Question, actions: &[String]) -> Reply {
    let (mut rcode, mut truncated, mut recursion, mut silent) = (0u8, 0u8, 0x80u8, false);
    let mut delay = Duration::ZERO;
    let mut records = Vec::new();
    let mut count: u16 = 0;
    let mut owner = vec![0xc0, 12];
    for action in actions {
        match action.as_str() {
            "NODATA" => {}
            "FORMERR" => rcode = 1,
            "SERVFAIL" => rcode = 2,
            "NXDOMAIN" => rcode = 3,
            "NOTIMP" => rcode = 4,
            "REFUSED" => rcode = 5,
            "TRUNCATED" => truncated = 2,
            "LAME" => recursion = 0,
            "SILENCE" => silent = true,
            other => {
                let mut record = |rtype: u16, rdata: &[u8]| {
                    records.extend_from_slice(&owner);
                    records.extend_from_slice(&rtype.to_be_bytes());
                    records.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
                    records.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
                    records.extend_from_slice(rdata);
                    count += 1;
                };
                if let Some(target) = other.strip_prefix("CNAME=") {
                    let target = encode(target);
                    record(5, &target);
                    owner = target;
                } else if let Some(milliseconds) = other.strip_prefix("DELAY=") {
                    delay = Duration::from_millis(milliseconds.parse().unwrap_or(0));
                } else {
                    match other.parse() {
                        Ok(IpAddr::V4(address)) if question.rtype == "A" => record(1, &address.octets()),
                        Ok(IpAddr::V6(address)) if question.rtype == "AAAA" => record(28, &address.octets()),
                        _ => {}
                    }
                }
            }
        }
    }
    let mut reply = query.get(..question.end).unwrap_or_default().to_vec();
    if let Some(header) = reply.first_chunk_mut::<12>() {
        header[2] = 0x80 | (header[2] & 0x01) | truncated;
        header[3] = recursion | rcode;
        header[6..8].copy_from_slice(&count.to_be_bytes());
        header[8..12].fill(0);
    }
    reply.extend_from_slice(&records);
    Reply { bytes: (!silent).then_some(reply), delay }
}

/// A name in wire format without compression.
fn encode(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.trim_end_matches('.').split('.') {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn serve_udp(socket: UdpSocket, rules: Arc<Rules>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let Ok(server) = socket.local_addr().map(|address| address.ip()) else { return };
            let Some(Reply { bytes: Some(bytes), delay }) = rules.reply(server, "udp", &buffer[..length]) else {
                continue;
            };
            if delay.is_zero() {
                let _ = socket.send_to(&bytes, from);
            } else if let Ok(socket) = socket.try_clone() {
                std::thread::spawn(move || {
                    std::thread::sleep(delay);
                    let _ = socket.send_to(&bytes, from);
                });
            }
        }
    });
}

fn serve_tcp(listener: TcpListener, rules: Arc<Rules>) {
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let rules = Arc::clone(&rules);
            std::thread::spawn(move || converse(stream, &rules));
        }
    });
}

/// Messages with a two-byte length, RFC 1035 section 4.2.2, until the client closes.
fn converse(mut stream: TcpStream, rules: &Rules) -> Option<()> {
    let server = stream.local_addr().ok()?.ip();
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut query).ok()?;
        let reply = rules.reply(server, "tcp", &query)?;
        std::thread::sleep(reply.delay);
        if let Some(bytes) = reply.bytes {
            let mut message = (bytes.len() as u16).to_be_bytes().to_vec();
            message.extend_from_slice(&bytes);
            stream.write_all(&message).ok()?;
        }
    }
}

// ---- the capture ----

/// One packet as it was sent, from the IP header on.
struct Frame {
    at: Instant,
    bytes: Vec<u8>,
}

/// Bytes of the datagram that marks the end of a recording.
const MARK: &[u8] = b"netkit recorder mark";

/// Captures what is sent on loopback. On this device every packet is seen going out and coming in; the first is taken,
/// because it is made within the sender's own system call and so keeps the order of the calls.
fn capture() -> Result<mpsc::Receiver<Frame>, Stop> {
    let fd = socket(AddressFamily::Packet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)
        .map_err(|error| format!("packet socket: {error}"))?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 65536];
        while let Ok((length, from)) = recvfrom::<LinkAddr>(fd.as_raw_fd(), &mut buffer) {
            let outgoing = from.is_some_and(|from| from.pkttype() == nix::libc::PACKET_OUTGOING);
            if outgoing && sender.send(Frame { at: Instant::now(), bytes: buffer[..length].to_vec() }).is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

/// Everything captured up to now: sends a mark and reads until it shows up.
fn drain(wire: &mpsc::Receiver<Frame>) -> Result<Vec<Frame>, Stop> {
    UdpSocket::bind("127.0.0.1:0")?.send_to(MARK, "127.0.0.1:9")?;
    let mut frames = Vec::new();
    loop {
        let frame = wire.recv_timeout(LIMIT).map_err(|_| "the capture has stopped")?;
        // Not the ICMP error that quotes it.
        if segment(&frame.bytes).is_some_and(|segment| segment.protocol == 17 && segment.bytes.ends_with(MARK)) {
            return Ok(frames);
        }
        frames.push(frame);
    }
}

/// Source, destination and transport part of an IP packet.
struct Segment<'a> {
    protocol: u8,
    from: SocketAddr,
    to: SocketAddr,
    bytes: &'a [u8],
}

fn segment(packet: &[u8]) -> Option<Segment<'_>> {
    let (protocol, from, to, bytes): (u8, IpAddr, IpAddr, &[u8]) = match packet.first()? >> 4 {
        4 => {
            let header = usize::from(packet[0] & 0x0f) * 4;
            let from: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
            let to: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
            (*packet.get(9)?, from.into(), to.into(), packet.get(header..)?)
        }
        _ => {
            let from: [u8; 16] = packet.get(8..24)?.try_into().ok()?;
            let to: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
            (*packet.get(6)?, from.into(), to.into(), packet.get(40..)?)
        }
    };
    let port = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    Some(Segment { protocol, from: (from, port(0)?).into(), to: (to, port(2)?).into(), bytes })
}

/// What a client has sent over one connection and is no whole message yet.
struct Stream {
    /// The sequence numbers of its first byte and of the one that comes next.
    first: u32,
    next: u32,
    bytes: Vec<u8>,
}

impl Stream {
    /// Takes a segment; of what is sent again, because the machine was too busy to acknowledge it in time, only what is new.
    fn take(&mut self, sequence: u32, bytes: &[u8]) {
        let old = usize::try_from(self.next.wrapping_sub(sequence)).unwrap_or(0);
        if let Some(new) = bytes.get(old..) {
            self.bytes.extend_from_slice(new);
            self.next = self.next.wrapping_add(u32::try_from(new.len()).unwrap_or(0));
        }
    }
}

/// The queries among the frames. TCP on loopback neither loses nor reorders, so a stream is its new payloads in order.
fn queries(frames: &[Frame], start: Instant) -> Vec<Value> {
    let mut sockets: HashMap<(u8, SocketAddr), usize> = HashMap::new();
    let mut opened = 0;
    let mut streams: HashMap<(SocketAddr, SocketAddr), Stream> = HashMap::new();
    let mut found = Vec::new();
    for frame in frames {
        let Some(segment) = segment(&frame.bytes) else { continue };
        let (protocol, from, to) = (segment.protocol, segment.from, segment.to);
        // A connection begins, maybe from a port that another had before; the same SYN again is nothing new.
        if let (6, 53, Some(&[a, b, c, d]), Some(0x02)) =
            (protocol, to.port(), segment.bytes.get(4..8), segment.bytes.get(13).map(|flags| flags & 0x12))
        {
            let next = u32::from_be_bytes([a, b, c, d]).wrapping_add(1);
            if streams.get(&(from, to)).is_none_or(|stream| stream.first != next) {
                streams.insert((from, to), Stream { first: next, next, bytes: Vec::new() });
                sockets.remove(&(6, from));
            }
        }
        let mut push = |transport: &str, client: SocketAddr, server: IpAddr, message: &[u8]| {
            let number = *sockets.entry((protocol, client)).or_insert_with(|| {
                opened += 1;
                opened
            });
            let mut value = describe(message);
            value["server"] = server.to_string().into();
            value["transport"] = transport.into();
            value["socket"] = number.into();
            value["time_us"] = (frame.at.saturating_duration_since(start).as_micros() as u64).into();
            found.push(value);
        };
        match (protocol, from.port(), to.port()) {
            (17, _, 53) => push("udp", from, to.ip(), segment.bytes.get(8..).unwrap_or_default()),
            (6, _, 53) => {
                let header = usize::from(segment.bytes.get(12).copied().unwrap_or(0) >> 4) * 4;
                let Some(stream) = streams.get_mut(&(from, to)) else { continue };
                let sequence = segment.bytes.get(4..8).and_then(|four| Some(u32::from_be_bytes(four.try_into().ok()?)));
                stream.take(sequence.unwrap_or(0), segment.bytes.get(header..).unwrap_or_default());
                let stream = &mut stream.bytes;
                while let Some(length) = stream.first_chunk::<2>().map(|two| usize::from(u16::from_be_bytes(*two))) {
                    let Some(message) = stream.get(2..2 + length).map(<[u8]>::to_vec) else { break };
                    stream.drain(..2 + length);
                    push("tcp", from, to.ip(), &message);
                }
            }
            // RST to a SYN: sequence number zero, nobody listened.
            (6, 53, _) if segment.bytes.get(13).is_some_and(|flags| flags & 0x04 != 0) => {
                let unborn = streams.get(&(to, from)).is_none_or(|stream| stream.bytes.is_empty());
                if unborn && segment.bytes.get(4..8) == Some(&[0; 4]) {
                    push("tcp-refused", to, from.ip(), &[]);
                }
            }
            _ => {}
        }
    }
    found
}

/// Name, type, id and flags of a query.
fn describe(message: &[u8]) -> Value {
    let Some(question) = question(message) else { return json!({"name": "", "type": "", "flags": "", "id": -1}) };
    let mut flags = Vec::new();
    let header = message.first_chunk::<12>().copied().unwrap_or_default();
    for (name, on) in
        [("rd", header[2] & 0x01), ("ad", header[3] & 0x20), ("cd", header[3] & 0x10)].map(|(n, bit)| (n, bit != 0))
    {
        if on {
            flags.push(name.to_owned());
        }
    }
    // An OPT record (RFC 6891) is the only additional record that these resolvers send: root name, type 41.
    if header[11] > 0
        && let Some(&[0, 0, 41, high, low, _, _, dnssec, _, ..]) = message.get(question.end..)
    {
        flags.push(format!("edns={}", u16::from_be_bytes([high, low])));
        if dnssec & 0x80 != 0 {
            flags.push("do".to_owned());
        }
    }
    let id = u16::from_be_bytes([header[0], header[1]]);
    json!({"name": question.name, "type": question.rtype, "flags": flags.join(" "), "id": id})
}
