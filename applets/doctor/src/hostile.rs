//! Property tests: whatever servers, databases and tables of the kernel say, it is read without harm, and nothing of it
//! moves a terminal's cursor.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use netkit_core::{Build, Ctx, SystemClock};
use netkit_http::h2::Connection;
use netkit_http::head::{Field, Head};
use netkit_tls::{Ready, Transport};
use proptest::prelude::*;

use crate::args::Options;
use crate::exchange::{Answer, End};
use crate::report::Report;
use crate::target::Target;
use crate::world::World;
use crate::{applications, counters, http};

static BUILD: Build = Build { version: "0", commit: "", epoch: "", target: "", trust_roots: "" };

fn world() -> World {
    let ctx = Ctx {
        name: "doctor".to_owned(),
        argv0: "doctor".into(),
        args: Vec::new(),
        stdin: Box::new(io::empty()),
        stdout: Box::new(io::sink()),
        stderr: Box::new(io::sink()),
        stdout_is_terminal: false,
        stderr_is_terminal: false,
        explain: false,
        env: BTreeMap::new(),
        clock: &SystemClock,
        table: &[],
        build: &BUILD,
    };
    let mut world = World::new(&ctx, &Options::default());
    world.now = 1_700_000_000;
    world
}

/// A peer that says these pieces one after the other, then nothing more, and takes whatever is written.
struct Peer(VecDeque<Vec<u8>>);

impl Read for Peer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(mut piece) = self.0.pop_front() else { return Ok(0) };
        let length = piece.len().min(buffer.len());
        buffer[..length].copy_from_slice(&piece[..length]);
        if length < piece.len() {
            self.0.push_front(piece.split_off(length));
        }
        Ok(length)
    }
}

impl Write for Peer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Peer {
    fn wait(&mut self, wanted: Ready, _: Option<Duration>) -> io::Result<Ready> {
        Ok(wanted)
    }
}

fn quiet(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// Everything that would be printed of a report.
fn said(report: &Report) -> String {
    format!("{:?}", report.faults.iter().map(|fault| (&fault.sentence, &fault.evidence)).collect::<Vec<_>>())
}

/// Names that something is concluded from, with values that are and are not what they should be.
fn fields() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let names = proptest::sample::select(vec![
        "Server",
        "Via",
        "X-Served-By",
        "X-Powered-By",
        "X-Envoy-A",
        "x-squid-b",
        "l5d-c",
        "Date",
        "Age",
        "Location",
        "WWW-Authenticate",
        "Retry-After",
        "Content-Type",
    ]);
    let values = prop_oneof![
        "\\PC{0,30}",
        Just("envoy istio".to_owned()),
        Just("nginx\u{1b}[2J".to_owned()),
        Just("Sun, 06 Nov 1994 08:49:37 GMT".to_owned()),
        Just("Sun, 06 Nov 999999999 08:49:37 GMT".to_owned()),
        "[0-9]{1,25}",
    ];
    proptest::collection::vec((names, values), 0..5)
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        Just(End::Complete),
        Just(End::Enough),
        any::<Option<u64>>().prop_map(End::Cut),
        any::<Option<u64>>().prop_map(End::Stalled),
        Just(End::Malformed("x".to_owned())),
        Just(End::Endless),
    ]
}

fn frame(kind: u8, flags: u8, stream: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], content].concat()
}

proptest! {
    #[test]
    fn any_answer_is_judged(status in any::<u16>(), fields in fields(), body in "\\PC{0,40}|no healthy upstream|no available server",
        end in end(), length in any::<u64>(), tls in any::<bool>()) {
        let fields = fields.into_iter().map(|(name, value)| Field { name: name.to_owned(), value }).collect();
        let answer = Answer {
            head: Head { version: 11, status, fields },
            first_byte: Duration::from_secs(3),
            length,
            body: body.into_bytes(),
            end,
        };
        let target = Target::parse(if tls { "https://a:8443/x" } else { "http://a/" }).unwrap();
        let mut report = Report::default();
        http::judge(&world(), &target, "10.0.0.1:80".parse().unwrap(), &answer, &mut report);
        let escaped = said(&report).contains("\\u{1b}");
        prop_assert!(!escaped);
        prop_assert!(quiet(&http::who(&answer.head)));
    }

    #[test]
    fn any_message_of_a_database(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..4), kind in any::<u8>(), length in prop_oneof![0u32..30, any::<u32>()]) {
        let mut head = vec![kind];
        head.extend_from_slice(&length.to_be_bytes());
        let all: usize = pieces.iter().map(Vec::len).sum();
        let mut peer = Peer(std::iter::once(head).chain(pieces).collect());
        let deadline = Some(Instant::now() + Duration::from_secs(60));
        match applications::one_message(&mut peer, deadline) {
            Ok((found, content)) => prop_assert!(found == kind && content.len() + 4 == length as usize && content.len() <= all),
            Err(_) => prop_assert!(!(4..=all as u32 + 4).contains(&length)),
        }
    }

    #[test]
    fn any_frames_of_a_health_service(frames in proptest::collection::vec((0u8..12, any::<u8>(), 0u8..3, proptest::collection::vec(any::<u8>(), 0..30)), 0..8), cut in 1usize..50) {
        let mut bytes = frame(4, 0, 0, &[]);
        frames.iter().for_each(|(kind, flags, stream, content)| bytes.extend(frame(*kind, *flags, *stream, content)));
        let mut peer = Peer(bytes.chunks(cut).map(<[u8]>::to_vec).collect());
        let mut h2 = Connection::default();
        h2.request(&[(":method".to_owned(), "POST".to_owned())], true);
        let deadline = Some(Instant::now() + Duration::from_secs(60));
        match applications::health(&mut peer, &mut h2, deadline) {
            Ok(found) => prop_assert!(quiet(&found.status) && quiet(&found.message)),
            Err(text) => prop_assert!(quiet(&text), "{text:?}"),
        }
    }

    #[test]
    fn any_table_of_counters(text in "(TcpExt:|Tcp:|Ip:|drop|InDiscards|[ \n0-9a-f-]){0,30}", group in "Tcp:|Ip:|TcpExt:") {
        let _ = (counters::value(&text, &group, "InDiscards"), counters::conntrack_drops(&text));
    }
}
