//! The room as a whole: recorded answers played to the dump loop, and answers that lie.

use std::collections::VecDeque;

use proptest::prelude::*;

use crate::*;

/// Plays datagrams, each attempt from its own list; sequence numbers and ports in the recording are put right.
struct Replay {
    attempts: VecDeque<Vec<Vec<u8>>>,
    current: VecDeque<Result<Vec<u8>, Error>>,
    last: Vec<u8>,
    sequence: u32,
    adjust: bool,
}

impl Replay {
    fn new(attempts: Vec<Vec<Vec<u8>>>) -> Replay {
        Replay { attempts: attempts.into(), current: VecDeque::new(), last: Vec::new(), sequence: 0, adjust: true }
    }
}

impl Transport for Replay {
    fn send(&mut self, _: &Request) -> Result<u32, Error> {
        self.sequence += 1;
        self.current = self.attempts.pop_front().unwrap_or_default().into_iter().map(Ok).collect();
        Ok(self.sequence)
    }

    fn receive(&mut self) -> Result<&[u8], Error> {
        // An empty queue stands for a kernel that stopped talking; a real socket would wait.
        self.last = self.current.pop_front().unwrap_or(Err(Error::Overrun))?;
        if self.last.is_empty() {
            return Err(Error::Overrun);
        }
        let mut at = 0;
        while self.adjust && at + 16 <= self.last.len() {
            self.last[at + 8..at + 12].copy_from_slice(&self.sequence.to_ne_bytes());
            at += raw::align(raw::u32(&self.last, at).unwrap() as usize).max(16);
        }
        Ok(&self.last)
    }

    fn port(&self) -> u32 {
        0
    }
}

fn recorded(text: &str) -> Vec<u8> {
    let digits: String = text.lines().filter(|line| !line.starts_with('#')).collect();
    netkit_core::text::unhex(&digits.replace(' ', "")).unwrap()
}

fn message(kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Message { kind, flags, sequence: 0, port: 0, payload }.append_to(&mut out);
    out
}

fn done() -> Vec<u8> {
    message(kind::DONE, flags::MULTI, &[0; 4])
}

fn ask() -> Request {
    Request::new(18, flags::DUMP, &[0; 16])
}

#[test]
fn a_recorded_link_dump() {
    let bytes = recorded(include_str!("../tests/links.hex"));
    let dump = dump(&mut Replay::new(vec![vec![bytes]]), &ask()).unwrap();
    let names: Vec<String> = dump
        .messages()
        .map(|message| message.attrs(route::Link::LENGTH).find(3).map(|attr| attr.text()).unwrap_or_default())
        .collect();
    assert_eq!(names, ["lo", "d1", "d0", "m0"]);
    let macvlan = dump.messages().nth(3).unwrap();
    // IFLA_LINKINFO, IFLA_INFO_DATA, IFLA_MACVLAN_MODE
    let info = macvlan.attrs(16).find(18).unwrap().nested();
    assert_eq!(info.find(1).unwrap().text(), "macvlan");
    assert_eq!(info.find(2).unwrap().nested().find(1).unwrap().u32(), Some(4));
}

#[test]
fn a_recorded_socket_dump() {
    let bytes = recorded(include_str!("../tests/tcp.hex"));
    let dump = dump(&mut Replay::new(vec![vec![bytes]]), &ask()).unwrap();
    let sockets: Vec<_> = dump.messages().map(|message| diag::InetMessage::read(message.payload).unwrap()).collect();
    assert_eq!(sockets.len(), 3);
    let listener = sockets.iter().find(|socket| socket.state == 10).unwrap();
    assert_eq!((listener.src.to_string().as_str(), listener.src_port, listener.wqueue), ("127.0.0.1", 7001, 1));
    for socket in sockets.iter().filter(|socket| socket.state == 1) {
        let info = diag::TcpInfo::read(socket.attrs.find(diag::inet::INFO).unwrap().value);
        assert!(info.has(232) && info.rtt_us > 0 && info.snd_mss > 0, "{info:?}");
        assert_eq!(info.bytes_received + info.bytes_sent, 5);
    }
}

#[test]
fn a_changed_table_is_read_again_a_bounded_number_of_times() {
    let torn = || vec![message(16, flags::MULTI | flags::DUMP_INTR, &[1; 16]), done()];
    let whole = vec![message(16, flags::MULTI, &[2; 16]), done()];
    let answer = dump(&mut Replay::new(vec![torn(), vec![], torn(), whole.clone()]), &ask()).unwrap();
    assert!(!answer.outcome.interrupted);
    assert_eq!(answer.messages().map(|message| message.payload[0]).collect::<Vec<_>>(), [2]);
    let mut endless = Replay::new((0..50).map(|_| torn()).collect());
    let answer = dump(&mut endless, &ask()).unwrap();
    assert!(answer.outcome.interrupted);
    assert_eq!(endless.sequence, MAX_RETRIES + 1);
    let mut lossy = Replay::new(Vec::new());
    assert_eq!(dump(&mut lossy, &ask()).unwrap_err(), Error::Overrun);
    assert_eq!(lossy.sequence, MAX_RETRIES + 1);
}

#[test]
fn refusals_carry_the_kernels_words() {
    let words = [&8u16.to_ne_bytes()[..], &1u16.to_ne_bytes(), b"bad\0"].concat();
    let payload = [&(-22i32).to_ne_bytes()[..], &[0; 16], &words].concat();
    let refusal = message(kind::ERROR, flags::CAPPED | flags::ACK_TLVS, &payload);
    let error = dump(&mut Replay::new(vec![vec![refusal.clone()]]), &ask()).unwrap_err();
    assert_eq!(error, Error::Kernel { errno: 22, text: "bad".to_owned() });
    assert_eq!(error.to_string(), "bad (Invalid argument)");
    let error = exchange(&mut Replay::new(vec![vec![refusal]]), &ask()).unwrap_err();
    assert_eq!(error.errno(), 22);
    let torn = [message(16, 0, &[0; 16]), vec![0xff; 20]].concat();
    assert!(matches!(dump(&mut Replay::new(vec![vec![torn]]), &ask()), Err(Error::Malformed(_))));
}

#[test]
fn answers_to_others_are_passed_over() {
    let mut other = message(16, flags::MULTI, &[9; 16]);
    other[8..12].copy_from_slice(&77u32.to_ne_bytes());
    let mut mine = [message(16, flags::MULTI, &[1; 16]), done()].concat();
    for at in [0, 32] {
        mine[at + 8..at + 12].copy_from_slice(&1u32.to_ne_bytes());
    }
    let mut replay = Replay::new(vec![vec![other, mine]]);
    replay.adjust = false;
    let answer = dump(&mut replay, &ask()).unwrap();
    assert_eq!(answer.messages().map(|message| message.payload[0]).collect::<Vec<_>>(), [1]);
}

#[test]
fn the_running_kernel_answers() {
    let mut socket = Socket::open(Protocol::Route).unwrap();
    let request = Request::new(route::kind::GET_LINK, flags::DUMP, &route::Link::default().bytes());
    let links = socket.dump(&request).unwrap();
    assert!(links.messages().any(|message| message.attrs(16).find(3).is_some_and(|name| name.text() == "lo")));
    // An index nobody has, so that the kernel refuses.
    let absent = route::Link { index: i32::MAX, ..route::Link::default() };
    let error = socket.exchange(&Request::new(route::kind::GET_LINK, 0, &absent.bytes())).unwrap_err();
    assert_eq!(error.errno(), 19);
    let mut control = Socket::open(Protocol::Generic).unwrap();
    let family = generic::Family::find(&mut control, "nlctrl").unwrap();
    assert_eq!((family.id, family.groups.first().map(|group| group.0.as_str())), (0x10, Some("notify")));
    assert!(generic::Family::find(&mut control, "no-such-thing").unwrap_err().is_unsupported());
}

proptest! {
    #[test]
    fn nothing_panics_and_everything_ends(datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..6)) {
        let mut replay = Replay::new(vec![datagrams.clone(), datagrams]);
        replay.adjust = false;
        let _ = dump(&mut replay, &ask());
    }

    #[test]
    fn a_mutated_recording_is_walked_to_its_end(at in 0usize..4000, value: u8, cut in 0usize..4000) {
        for text in [include_str!("../tests/links.hex"), include_str!("../tests/tcp.hex")] {
            let mut bytes = recorded(text);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            bytes.truncate(bytes.len().saturating_sub(cut % 512));
            let mut visited = 0usize;
            for message in Messages::new(&bytes) {
                let _ = (message.ack(), diag::InetMessage::read(message.payload), diag::UnixMessage::read(message.payload));
                visited += message.attrs(16).map(|attr| 1 + attr.nested().count()).sum::<usize>();
                visited += route::hops(message.payload).count();
            }
            // Nothing is visited more often than there are headers in the bytes, twice over for two levels and paths.
            prop_assert!(visited <= bytes.len());
        }
    }
}
