//! Hostile replies: a server on loopback that cuts, twists and invents messages, thousands of them, always the same ones.
//!
//! Run alone: `cargo test --test e2e -- dig_hostile`; needs neither root nor a peer. What is claimed for every process:
//! it ends by itself well before the limit, not by a signal and not in a panic, with an exit status `dig` documents, and
//! its resident memory stays below [`MEMORY`].
//!
//! Most mutants are followed by the honest reply, so that a client which rightly ignores a message does not spend its
//! timeout on it and thousands fit into a few processes; where waiting is the point, few queries are sent.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::lab::message::{ASKED, Message, Question, Section, flag, kind, name, question, soa};
use crate::lab::server::{Act, Server, framed};
use crate::lab::{self, Stop, TempDir, trial};

/// Most resident memory one process may use, in KiB.
const MEMORY: u64 = 64 * 1024;
/// How long one process may take; far above what is needed, below what a person would call hanging.
const LIMIT: Duration = Duration::from_secs(300);
/// Mutants for each way of printing, others for each.
const MUTANTS: usize = 800;
/// Exit statuses of dig(1) that may follow from replies: answered, no reply from any server, internal error.
const STATUSES: [i32; 3] = [0, 9, 10];

/// The trials of this module.
pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("dig_hostile::tcp", || batch(&["+tcp"], "t", 0..400)),
        trial("dig_hostile::tcp_after_truncation", || batch(&[], "c", 0..200)),
        trial("dig_hostile::transfers", || batch(&["-t", "AXFR"], "x", 0..200)),
        trial("dig_hostile::signed", || batch(&["-y", "hmac-sha256:key:c2VjcmV0"], "u", 50_000..50_200)),
        trial("dig_hostile::silence_and_junk_only", || batch(&[], "n", 0..8)),
        trial("dig_hostile::drip", || batch(&["+tcp"], "d", 0..2)),
        trial("dig_hostile::transfer_without_end", || batch(&["-t", "AXFR"], "endless", 0..1)),
        trial("dig_hostile::referrals_without_end", referrals),
        trial("dig_hostile::the_judge_can_fail", judged),
    ];
    let mut printings: Vec<Vec<&'static str>> = vec![
        vec![],
        vec!["+short"],
        vec!["+multi", "+rrcomments"],
        vec!["+yaml"],
        vec!["+besteffort", "+unknownformat", "+dnssec"],
        vec!["+nobesteffort", "+noedns", "+nocrypto", "+ttlunits", "+expandaaaa"],
    ];
    if !peer() {
        printings.push(vec!["--json"]);
        printings.push(vec!["+explain"]);
    }
    for (turn, options) in printings.into_iter().enumerate() {
        let label = if options.is_empty() { "plain".to_owned() } else { options.join("_") };
        trials.push(trial(&format!("dig_hostile::udp_{}", label.replace(['+', '-'], "")), move || {
            batch(&options, "u", turn * MUTANTS..(turn + 1) * MUTANTS)
        }));
    }
    trials
}

/// Whether the client is Debian's `dig`, with which this file was written: it has no option of ours.
fn peer() -> bool {
    lab::netkit().file_name().is_some_and(|name| name == "dig")
}

/// A client command with everything that keeps it on loopback.
fn client(dir: &TempDir, server: &Server) -> Command {
    let mut command = Command::new(lab::netkit());
    if !peer() {
        command.arg("dig");
    }
    command.args(["-r", "@127.0.0.1", "-p", &server.address.port().to_string(), "+time=1", "+tries=1"]);
    command.current_dir(&dir.0);
    command
}

/// Asks for names whose first label is `family` and each of `numbers`, from one batch file in one process.
fn batch(options: &[&str], family: &str, numbers: std::ops::Range<usize>) -> Result<(), Stop> {
    let seen = Arc::new(Mutex::new(HashSet::new()));
    let record = {
        let seen = seen.clone();
        move |query: &[u8], tcp: bool| {
            if let (Some(asked), Ok(mut seen)) = (question(query), seen.lock()) {
                seen.insert(asked.name);
            }
            answer(query, tcp)
        }
    };
    let server = Server::start(([127, 0, 0, 1], 0).into(), Arc::new(record))?;
    let dir = TempDir::new("hostile")?;
    let count = numbers.len();
    let names: String = numbers.map(|number| format!("{family}{number}.hostile.test\n")).collect();
    std::fs::write(dir.0.join("names"), names)?;
    let mut command = client(&dir, &server);
    command.args(options).args(["-f", "names"]);
    let ended = measure(&mut command)?;
    let printed = format!("{} bytes printed, {} KiB resident", ended.stdout, ended.peak);
    let _ = writeln!(std::io::stderr(), "hostile {} {}: {count} names, {printed}", options.join(" "), family);
    ended.judge(&command)?;
    // Every name must have been asked for: a process that gave up early and quietly proves nothing.
    let seen = seen.lock().map_or(0, |seen| seen.len());
    if seen == count { Ok(()) } else { Err(Stop::Fail(format!("{command:?} asked for {seen} of {count} names"))) }
}

/// `+trace` where every server only points on.
fn referrals() -> Result<(), Stop> {
    for family in ["same", "deeper", "up", "loop"] {
        let server = Server::start(([127, 0, 0, 1], 0).into(), Arc::new(answer))?;
        let dir = TempDir::new("hostile")?;
        let mut command = client(&dir, &server);
        command.args(["-4", "+trace", &format!("{family}.{}hostile.test", "a.".repeat(60))]);
        let started = Instant::now();
        let mut ended = measure(&mut command)?;
        let printed = format!("{} bytes printed after {:?}", ended.stdout, started.elapsed());
        let _ = writeln!(std::io::stderr(), "hostile +trace {family}: {printed}");
        // A trace that gives up may call that a usage error, as the peer does.
        if ended.status.code() == Some(1) {
            ended.status = ExitStatus::default();
        }
        ended.judge(&command)?;
    }
    Ok(())
}

/// What must not pass does not: a signal, a panic, a wrong status, too much memory.
fn judged() -> Result<(), Stop> {
    let ended = |raw: i32, stderr: &str, peak: u64| Ended {
        status: ExitStatus::from_raw(raw),
        stdout: 1,
        stderr: stderr.to_owned(),
        peak,
    };
    let command = Command::new("dig");
    ended(0, "", MEMORY).judge(&command)?;
    ended(9 << 8, ";; a warning", 0).judge(&command)?;
    let bad = [
        ended(6, "", 0),
        ended(11, "", 0),
        ended(0, "thread 'main' panicked at", 0),
        ended(101 << 8, "", 0),
        ended(1 << 8, "", 0),
        ended(0, "", MEMORY + 1),
    ];
    if bad.iter().any(|ended| ended.judge(&command).is_ok()) {
        return Err("something bad was let through".into());
    }
    // Half a second of a process with a buffer of 100 MiB.
    let mut large = Command::new("dd");
    let large = measure(large.args(["if=/dev/zero", "of=/dev/null", "bs=100M", "count=8"]))?;
    if large.peak <= MEMORY { Err(Stop::Fail(format!("100 MiB were seen as {} KiB", large.peak))) } else { Ok(()) }
}

/// How a process ended.
struct Ended {
    status: ExitStatus,
    /// Bytes on standard output.
    stdout: usize,
    stderr: String,
    /// Peak of resident memory in KiB, as last seen before the end.
    peak: u64,
}

impl Ended {
    fn judge(&self, command: &Command) -> Result<(), Stop> {
        let Ended { status, stdout, stderr, peak } = self;
        let said: String = stderr.chars().take(2000).collect();
        if stderr.contains("panicked") || !status.code().is_some_and(|code| STATUSES.contains(&code)) {
            return Err(Stop::Fail(format!("{command:?}: {status}, {stdout} bytes printed\n{said}")));
        }
        if *peak > MEMORY {
            return Err(Stop::Fail(format!("{command:?}: {peak} KiB resident, more than {MEMORY}")));
        }
        Ok(())
    }
}

/// Runs to the end, watching memory on the way. Output is counted, not kept.
fn measure(command: &mut Command) -> Result<Ended, Stop> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let status_file = format!("/proc/{}/status", child.id());
    let mut out = child.stdout.take().ok_or("no stdout pipe")?;
    let mut err = child.stderr.take().ok_or("no stderr pipe")?;
    let out = std::thread::spawn(move || {
        let (mut total, mut buffer) = (0, vec![0; 65_536]);
        while let Ok(count @ 1..) = out.read(&mut buffer) {
            total += count;
        }
        total
    });
    let err = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = err.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let deadline = Instant::now() + LIMIT;
    let mut peak = 0;
    let status = loop {
        peak = peak.max(resident(&status_file));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Stop::Fail(format!("{command:?} hangs: not done after {LIMIT:?}")));
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let stdout = out.join().map_err(|_| "reader of stdout died")?;
    let stderr = err.join().map_err(|_| "reader of stderr died")?;
    Ok(Ended { status, stdout, stderr, peak })
}

/// VmHWM of proc_pid_status(5) in KiB; 0 once the process is gone.
fn resident(status_file: &str) -> u64 {
    let text = std::fs::read_to_string(status_file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// What the server does: letters of the first label name the family, its digits the number of the mutant.
fn answer(query: &[u8], tcp: bool) -> Vec<Act> {
    let Some(asked) = question(query) else { return Vec::new() };
    let first = asked.name.split('.').next().unwrap_or_default();
    let digits = first.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let family = first.get(..first.len() - digits.len()).unwrap_or_default();
    let number: u64 = digits.parse().unwrap_or(0);
    let mut dice = Dice(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x00c0_ffee);
    let honest = || Message::reply(&asked, flag::AA | flag::RA).answer(kind::A, &[192, 0, 2, 1]).bytes();
    match (family, tcp) {
        ("u", _) => vec![Act::Send(mutant(&asked, &mut dice)), Act::Send(honest())],
        ("c", false) => vec![Act::Send(Message::reply(&asked, flag::TC).bytes())],
        ("t" | "c", _) => stream(&asked, &mut dice, &honest()),
        ("x", _) => transfer(&asked, &mut dice),
        ("endless", _) => endless(&asked),
        ("d", _) => vec![Act::Drip(framed(&honest()), Duration::from_millis(150)), Act::Close],
        ("n", _) => match number % 4 {
            0 => Vec::new(),
            1 => vec![Act::Send(Vec::new()), Act::Send(vec![0xff; 11])],
            2 => vec![Act::Repeat(Message::reply(&asked, 0).id(asked.id ^ 0x5555).bytes(), 2000)],
            _ => vec![Act::Repeat(dice.bytes(600), 200)],
        },
        // The first question of a trace, for the servers of the root: without it a client may turn to the real ones.
        ("", _) => vec![Act::Send(referral(&asked, "up"))],
        ("same" | "deeper" | "up" | "loop", _) => vec![Act::Send(referral(&asked, family))],
        _ => vec![Act::Send(honest())],
    }
}

/// A reply that points to this server again, by a name every hosts file has.
fn referral(asked: &Question, family: &str) -> Vec<u8> {
    let zone = match family {
        "same" => "test".to_owned(),
        "up" => String::new(),
        // The parent of the name: as deep as one step can go.
        "deeper" => asked.name.split_once('.').map_or_else(String::new, |(_, rest)| rest.to_owned()),
        _ => asked.name.clone(),
    };
    let message = Message::reply(asked, 0);
    let message = if asked.kind == kind::NS && asked.name.is_empty() {
        message.record(Section::Answer, &[0], [kind::NS, 1], 60, &name("localhost"))
    } else {
        message.record(Section::Authority, &name(&zone), [kind::NS, 1], 60, &name("localhost"))
    };
    message.record(Section::Additional, &name("localhost"), [kind::A, 1], 60, &[127, 0, 0, 1]).bytes()
}

/// Ways a stream can lie about its length; every one ends by closing, so that nobody waits.
fn stream(asked: &Question, dice: &mut Dice, honest: &[u8]) -> Vec<Act> {
    let length = |length: usize| u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes().to_vec();
    let mut acts = match dice.below(13) {
        0 => vec![Act::Raw([vec![0xff, 0xff], honest.to_vec()].concat())],
        1 => vec![Act::Raw(vec![0, 0]), Act::Send(honest.to_vec())],
        2 => vec![Act::Raw([length(honest.len() / 2), honest.to_vec()].concat())],
        3 => vec![Act::Raw([length(honest.len() + 5), honest.to_vec()].concat())],
        4 => vec![Act::Drip(framed(honest), Duration::from_millis(1))],
        5 => vec![Act::Send(mutant(asked, dice)), Act::Send(mutant(asked, dice)), Act::Send(honest.to_vec())],
        6 => vec![Act::Raw([framed(honest), framed(honest), vec![9]].concat())],
        7 => Vec::new(),
        8 => vec![Act::Raw(vec![0])],
        9 => vec![Act::Send(vec![0; 65_535])],
        10 => {
            let many = (0..3000_u16).fold(Message::reply(asked, flag::AA), |message, number| {
                let [high, low] = number.to_be_bytes();
                message.answer(kind::A, &[10, 0, high, low])
            });
            vec![Act::Send(many.bytes())]
        }
        11 => vec![Act::Raw(dice.bytes(64))],
        _ => vec![Act::Send(mutant(asked, dice))],
    };
    acts.push(Act::Close);
    acts
}

/// A transfer that breaks off, changes its mind or contains mutants.
fn transfer(asked: &Question, dice: &mut Dice) -> Vec<Act> {
    let part = |message: Message| Act::Send(message.answer(kind::A, &[192, 0, 2, 1]).bytes());
    let start = || Message::reply(asked, flag::AA).answer(kind::SOA, &soa(7));
    let mut acts = match dice.below(8) {
        0 => vec![part(start())],
        1 => vec![part(start()), Act::Send(mutant(asked, dice))],
        2 => vec![part(start()), part(Message::reply(asked, 5))],
        3 => vec![part(start()), part(Message::reply(asked, 0).id(asked.id ^ 1))],
        4 => vec![part(start()), Act::Repeat(Message::reply(asked, 0).asking(0, &[]).bytes(), 200)],
        5 => vec![part(start()), part(Message::reply(asked, 0).answer(kind::SOA, &soa(8)))],
        6 => vec![part(Message::reply(asked, 0)), part(start())],
        _ => vec![Act::Send(mutant(asked, dice)), part(start()), part(start())],
    };
    acts.push(Act::Close);
    acts
}

/// About 40 MB of records and never the second SOA.
fn endless(asked: &Question) -> Vec<Act> {
    let text = [&[255][..], &[b'x'; 255]].concat();
    let many = (0..60).fold(Message::reply(asked, flag::AA), |message, _| message.answer(kind::TXT, &text));
    let start = Message::reply(asked, flag::AA).answer(kind::SOA, &soa(7));
    vec![Act::Send(start.bytes()), Act::Repeat(many.bytes(), 2500), Act::Close]
}

/// A valid reply of some richness, then damaged in one to three ways. The id stays right most of the time.
fn mutant(asked: &Question, dice: &mut Dice) -> Vec<u8> {
    let mut bytes = rich(asked, dice).bytes();
    for _ in 0..=dice.below(3) {
        damage(&mut bytes, asked, dice);
    }
    bytes.truncate(65_000);
    bytes
}

fn damage(bytes: &mut Vec<u8>, asked: &Question, dice: &mut Dice) {
    let body = 12 + asked.bytes.len();
    let length = bytes.len();
    let at = |dice: &mut Dice| body + dice.below(length.saturating_sub(body).max(1));
    match dice.below(16) {
        0 => bytes.truncate(dice.below(length + 1)),
        1 | 2 => {
            for _ in 0..=dice.below(8) {
                put(bytes, at(dice), &[dice.byte()]);
            }
        }
        // Counts.
        3 => put(bytes, 4 + 2 * dice.below(4), &[dice.byte(), dice.byte()]),
        4 => put(bytes, 6, &[0xff, 0xff]),
        // Lengths: any two bytes may be one.
        5 => put(bytes, at(dice), &[0xff, 0xff]),
        6 => put(bytes, at(dice), &[0, 0]),
        7 => put(bytes, at(dice), &[0, dice.byte()]),
        // Pointers: to itself, ahead, to the header, to somewhere.
        8 => {
            let here = at(dice);
            let target = match dice.below(4) {
                0 => here,
                1 => here + 2,
                2 => dice.below(12),
                _ => dice.below(length),
            };
            let target = u16::try_from(target & 0x3fff).unwrap_or(0) | 0xc000;
            put(bytes, here, &target.to_be_bytes());
        }
        9 => {
            let (here, count) = (at(dice).min(length), dice.below(40));
            let extra = dice.bytes(count);
            bytes.splice(here..here, extra);
        }
        10 => {
            let here = at(dice).min(length);
            let end = (here + dice.below(20)).min(length);
            bytes.drain(here..end);
        }
        11 => {
            let count = dice.below(512);
            let tail = dice.bytes(count);
            bytes.extend(tail);
        }
        12 => put(bytes, 2, &[dice.byte(), dice.byte()]),
        13 => put(bytes, 0, &[dice.byte()]),
        14 => put(bytes, 12 + dice.below(asked.bytes.len().max(1)), &[dice.byte()]),
        _ => {
            let count = dice.below(1400);
            let mut random = asked.id.to_be_bytes().to_vec();
            random.extend(dice.bytes(count));
            *bytes = random;
        }
    }
}

fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    for (old, new) in bytes.iter_mut().skip(at).zip(new) {
        *old = *new;
    }
}

/// Four to ten records of types with structure in their data, an SOA, and EDNS options.
fn rich(asked: &Question, dice: &mut Dice) -> Message {
    let mut message = Message::reply(asked, flag::AA | flag::RA).answer(kind::A, &[192, 0, 2, 1]);
    let samples = samples();
    for _ in 0..4 + dice.below(6) {
        if let Some((kind, rdata)) = samples.get(dice.below(samples.len())) {
            message = message.record(Section::Answer, ASKED, [*kind, 1], 300, rdata);
        }
    }
    message = message.record(Section::Authority, &name("hostile.test"), [kind::SOA, 1], 60, &soa(1));
    if dice.below(4) > 0 {
        let options: Vec<(u16, Vec<u8>)> = (0..dice.below(5))
            .map(|_| {
                let code = u16::try_from(dice.below(22)).unwrap_or(0);
                let count = dice.below(24);
                (code, dice.bytes(count))
            })
            .collect();
        let options: Vec<(u16, &[u8])> = options.iter().map(|(code, value)| (*code, value.as_slice())).collect();
        message = message.edns(0, &options);
    }
    if dice.below(8) == 0 {
        let tsig = [name("hmac-sha256"), vec![0, 0, 0x6a, 0, 0, 0, 1, 44, 0, 4, 1, 2, 3, 4, 0, 9, 0, 0, 0, 0]].concat();
        message = message.record(Section::Additional, &name("key"), [250, 255], 0, &tsig);
    }
    message
}

/// Type numbers and valid data: whatever has lengths, names, bitmaps or lists inside.
fn samples() -> Vec<(u16, Vec<u8>)> {
    let other = name("other.hostile.test");
    let bitmap = [0, 6, 0x40, 1, 0, 0, 0, 3, 1, 2, 0xff, 0xff];
    let with = |before: &[u8], middle: &[u8], after: &[u8]| [before, middle, after].concat();
    let signature = with(&[0, 1, 8, 3, 0, 0, 14, 16, 0x7f, 0, 0, 0, 0x6f, 0, 0, 0, 0x12, 0x34], &other, &[0xab; 128]);
    vec![
        (2, other.clone()),
        (5, other.clone()),
        (6, soa(1)),
        (12, other.clone()),
        (13, b"\x03cpu\x05linux".to_vec()),
        (15, with(&[0, 10], &other, &[])),
        (16, b"\x05hello\x00\x07\"quo\\te\x03\x00\x80\xff".to_vec()),
        (17, with(&other, &other, &[])),
        (20, b"\x0f150862028003217\x03004".to_vec()),
        (24, signature.clone()),
        (28, vec![0x20; 16]),
        (29, vec![0, 0x12, 0x16, 0x13, 0x8b, 0x0d, 0x2c, 0x8c, 0x7f, 0xf8, 0xfc, 0xa5, 0, 0x98, 0x94, 0x58]),
        (33, with(&[0, 1, 0, 2, 0, 53], &other, &[])),
        (35, with(b"\x00\x64\x00\x32\x01s\x05a+b+c\x04!a!b", &other, &[])),
        (37, with(&[0, 1, 0x12, 0x34, 8], &[7; 40], &[])),
        (39, other.clone()),
        (42, vec![0, 1, 24, 3, 192, 0, 2, 0, 2, 32, 0x84, 0x20, 1, 0xd, 0xb8]),
        (43, with(&[0x12, 0x34, 13, 2], &[9; 32], &[])),
        (44, with(&[4, 2], &[8; 32], &[])),
        (45, with(&[10, 3, 2], &other, &[1, 2, 3, 4])),
        (46, signature),
        (47, with(&other, &bitmap, &[])),
        (48, with(&[1, 1, 3, 13], &[6; 64], &[])),
        (50, with(&[1, 0, 0, 5, 4, 1, 2, 3, 4, 20], &[5; 20], &bitmap)),
        (51, vec![1, 0, 0, 5, 2, 1, 2]),
        (52, with(&[3, 1, 1], &[4; 32], &[])),
        (55, with(&[16, 2, 0, 8], &[3; 24], &other)),
        (60, with(&[1, 1, 3, 15], &[6; 32], &[])),
        (62, with(&[0, 0, 0, 1, 0, 3], &bitmap, &[])),
        (63, with(&[0, 0, 0, 1, 1, 1], &[2; 48], &[])),
        (
            64,
            with(
                &[0, 1],
                &other,
                b"\x00\x00\x00\x04\x00\x01\x00\x03\x00\x01\x00\x06\x02h2\x02h3\x00\x03\x00\x02\x20\xfb",
            ),
        ),
        (
            65,
            with(
                &[0, 1, 0],
                b"\x00\x04\x00\x08\xc0\x00\x02\x01\xc0\x00\x02\x02\x00\x05\x00\x03ech\x00\x06\x00\x10",
                &[7; 16],
            ),
        ),
        (99, b"\x0bv=spf1 -all".to_vec()),
        (104, vec![0, 10, 0, 0x14, 0x4f, 0xff, 0xff, 0x20, 0xee, 0x64]),
        (108, vec![0, 0, 0x5e, 0, 0x53, 0x2a]),
        (249, with(&other, &[0, 0, 0, 1, 0, 0, 0, 2, 0, 3, 0, 0, 0, 2, 1, 2, 0, 0], &[])),
        (256, b"\x00\x0a\x00\x01ftp://host/".to_vec()),
        (257, b"\x00\x05issueca.test".to_vec()),
        (260, with(&[10, 3], &other, &[])),
        (32_769, with(&[0x12, 0x34, 5, 1], &[1; 20], &[])),
        (65_280, vec![0xde, 0xad, 0xbe, 0xef]),
    ]
}

/// A fixed sequence of numbers (xorshift64*): the same mutants in every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.max(1);
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`; 0 when that is 0.
    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(1).max(1);
        usize::try_from((self.next() >> 16) % limit).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }
}
