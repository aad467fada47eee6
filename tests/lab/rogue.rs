//! Replies that no honest server sends: the first label of the name asked chooses what is wrong.
//!
//! Inside the lab this test binary runs once more as that server, see [`helper`].

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Stop;
use super::message::{ASKED, Message, Question, Section, flag, kind, name, question, soa};
use super::server::{Act, Server, framed};

/// When set, the test binary is not a test: it serves on the address named here until its standard input ends.
pub const ENVIRONMENT: &str = "NETKIT_LAB_ROGUE";

/// The exit status when this process was started as the lab's rogue server, else nothing.
pub fn helper() -> Option<ExitCode> {
    let address = std::env::var(ENVIRONMENT).ok()?;
    Some(match serve(&address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "rogue server: {why:?}");
            ExitCode::FAILURE
        }
    })
}

fn serve(address: &str) -> Result<(), Stop> {
    let address: SocketAddr = address.parse().map_err(|error| Stop::Fail(format!("{address}: {error}")))?;
    let seen = Mutex::new(HashMap::new());
    let script = move |query: &[u8], tcp: bool| match question(query) {
        Some(asked) => {
            let times = {
                let Ok(mut seen) = seen.lock() else { return Vec::new() };
                let times: &mut usize = seen.entry((asked.name.clone(), tcp)).or_default();
                *times += 1;
                *times
            };
            acts(&asked, tcp, times)
        }
        None => Vec::new(),
    };
    let _server = Server::start(address, Arc::new(script))?;
    std::io::stdout().write_all(b"+")?;
    std::io::stdout().flush()?;
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    Ok(())
}

const ADDRESS: &[u8] = &[192, 0, 2, 66];

/// What is sent for a question that was asked the `times`-th time over this transport.
fn acts(asked: &Question, tcp: bool, times: usize) -> Vec<Act> {
    let first = asked.name.split('.').next().unwrap_or_default();
    let honest = || Message::reply(asked, flag::AA | flag::RA).answer(kind::A, ADDRESS);
    let send = |message: &Message| vec![Act::Send(message.bytes())];
    if let Some(rcode) = first.strip_prefix("rcode").and_then(|digits| digits.parse::<u16>().ok()) {
        return send(&with_rcode(asked, rcode));
    }
    if let Some(bad) = bad_rdata(asked, first) {
        return send(&bad);
    }
    if let Some(options) = options(first) {
        let options: Vec<(u16, &[u8])> = options.iter().map(|(code, value)| (*code, value.as_slice())).collect();
        return send(&honest().edns(0, &options));
    }
    match first {
        "wrongid" => vec![Act::Send(honest().id(asked.id ^ 1).bytes()), Act::Send(honest().bytes())],
        "onlywrongid" => send(&honest().id(asked.id ^ 1)),
        "wrongquestion" => {
            let other = [name("other.rogue"), vec![0, 1, 0, 1]].concat();
            vec![Act::Send(honest().asking(1, &other).bytes()), Act::Send(honest().bytes())]
        }
        "noquestion" => send(&Message::reply(asked, 0).asking(0, &[]).record(
            Section::Answer,
            &name("noquestion.rogue"),
            [kind::A, 1],
            60,
            ADDRESS,
        )),
        "twoquestions" => {
            let two = [asked.bytes.as_slice(), &name("other.rogue"), &[0, 16, 0, 1]].concat();
            send(&Message::reply(asked, flag::AA).asking(2, &two))
        }
        "notareply" => send(&honest().flags(flag::RD)),
        "status" => send(&honest().flags(flag::QR | 0x1000)),
        "allflags" => send(&honest().flags(flag::QR | flag::AA | flag::RD | flag::RA | flag::Z | flag::AD | flag::CD)),
        "trailing" => vec![Act::Send([honest().bytes(), vec![1, 2, 3, 4, 5]].concat())],
        "header" => vec![Act::Send(Message::reply(asked, 0).asking(0, &[]).bytes())],
        "nothing" => vec![Act::Send(Vec::new())],
        "short" => vec![Act::Send(honest().bytes().get(..7).unwrap_or_default().to_vec())],
        "cut" => vec![Act::Send(shortened(&honest(), 3))],
        "manyanswers" => {
            let mut message = honest();
            message.counts[1] = 9;
            send(&message)
        }
        "fewanswers" => {
            let mut message = honest().answer(kind::A, &[192, 0, 2, 67]);
            message.counts[1] = 1;
            send(&message)
        }
        "pointerloop" => send(&Message::reply(asked, 0).record(
            Section::Answer,
            &[0xc0, u8::try_from(12 + asked.bytes.len()).unwrap_or(12)],
            [kind::A, 1],
            60,
            ADDRESS,
        )),
        "pointerahead" => {
            send(&Message::reply(asked, 0).record(Section::Answer, &[0xc1, 0], [kind::A, 1], 60, ADDRESS))
        }
        "badlabel" => send(&Message::reply(asked, 0).record(Section::Answer, &[0x80, 1], [kind::A, 1], 60, ADDRESS)),
        "longlength" => send(&Message::reply(asked, 0).lying(Section::Answer, ASKED, [kind::A, 1], 60, 400, ADDRESS)),
        "tc" if !tcp => send(&Message::reply(asked, flag::AA | flag::TC)),
        "tcforever" => send(&honest().flags(flag::QR | flag::AA | flag::TC)),
        "tcclose" if tcp => vec![Act::Close],
        "tcclose" => send(&Message::reply(asked, flag::AA | flag::TC)),
        "tccut" if tcp => vec![Act::Raw(shortened_frame(&honest())), Act::Close],
        "tccut" => send(&Message::reply(asked, flag::AA | flag::TC)),
        "othercase" => {
            send(&Message::reply(asked, flag::AA | flag::RA).asking(1, &upper(&asked.bytes)).answer(kind::A, ADDRESS))
        }
        "classes" => send(
            &honest()
                .record(Section::Answer, ASKED, [kind::A, 3], 60, &[name("chaos.rogue"), vec![1, 0xff]].concat())
                .record(Section::Answer, ASKED, [kind::TXT, 3], 60, b"\x05chaos")
                .record(Section::Answer, ASKED, [kind::TXT, 4], 60, b"\x06hesiod")
                .record(Section::Answer, ASKED, [kind::TXT, 254], 60, b"\x04none")
                .record(Section::Answer, ASKED, [kind::TXT, 255], 60, b"\x03any")
                .record(Section::Answer, ASKED, [kind::TXT, 65_280], 60, b"\x07private"),
        ),
        "hugettl" => {
            send(
                &Message::reply(asked, flag::AA)
                    .record(Section::Answer, ASKED, [kind::A, 1], 0x8000_0001, ADDRESS)
                    .record(Section::Answer, ASKED, [kind::TXT, 1], 0xffff_ffff, b"\x01x"),
            )
        }
        "sections" => send(
            &honest()
                .record(Section::Authority, &name("rogue"), [kind::NS, 1], 60, &name("ns.rogue"))
                .record(Section::Authority, &name("rogue"), [kind::SOA, 1], 60, &soa(1))
                .record(Section::Additional, &name("ns.rogue"), [kind::A, 1], 60, ADDRESS)
                .record(Section::Additional, &name("ns.rogue"), [kind::AAAA, 1], 60, &[0; 16])
                .edns(0x8000, &[]),
        ),
        "mixed" => send(
            &honest()
                .answer(kind::TXT, b"\x05first")
                .answer(kind::A, &[192, 0, 2, 67])
                .record(Section::Answer, &name("another.rogue"), [kind::A, 1], 60, ADDRESS)
                .answer(kind::TXT, b"\x06second"),
        ),
        "duplicates" => send(&honest().answer(kind::A, ADDRESS).answer(kind::A, ADDRESS)),
        "optinanswer" => send(&honest().record(Section::Answer, &[0], [kind::OPT, 1232], 0, &[])),
        "twoopts" => send(&honest().edns(0, &[]).edns(0, &[])),
        "optname" => send(&honest().record(Section::Additional, &name("not.root"), [kind::OPT, 1232], 0, &[])),
        "optlies" => send(&honest().record(Section::Additional, &[0], [kind::OPT, 1232], 0, &[0, 3, 0, 9, 1])),
        "edns1" => send(&honest().edns(0x0001_0000, &[])),
        "badvers" if asked.edns => send(&Message::reply(asked, 0).edns(0x0100_0000, &[])),
        "ednsflags" => send(&honest().edns(0x0000_7fff, &[])),
        "smalludp" => send(&honest().record(Section::Additional, &[0], [kind::OPT, 0], 0, &[])),
        "noedns" if asked.edns => send(&Message::reply(asked, 0).flags(flag::QR | 1)),
        "noednsheader" if asked.edns => send(&Message::reply(asked, 0).asking(0, &[]).flags(flag::QR | 1)),
        "slow" => vec![Act::Pause(Duration::from_millis(300)), Act::Send(honest().bytes())],
        "everyother" if times % 2 == 1 => Vec::new(),
        "never" => Vec::new(),
        "axfrend" => transfer(asked, &[soa(1)], true),
        "axfrother" => transfer(asked, &[soa(1), soa(2)], true),
        "axfrnosoa" => send(&honest()),
        "axfrempty" => send(&Message::reply(asked, flag::AA)),
        "axfrrefused" => send(&Message::reply(asked, 5)),
        "axfrsingle" => transfer(asked, &[soa(1), soa(1)], false),
        _ => send(&honest()),
    }
}

/// A transfer in one message for every SOA, an address record after each but the last.
fn transfer(asked: &Question, serials: &[Vec<u8>], close: bool) -> Vec<Act> {
    let mut acts: Vec<Act> = serials
        .iter()
        .map(|serial| {
            let message = Message::reply(asked, flag::AA).answer(kind::SOA, serial);
            Act::Send(message.answer(kind::A, ADDRESS).bytes())
        })
        .collect();
    if close {
        acts.push(Act::Close);
    }
    acts
}

/// A reply with any rcode; above 15 the rest goes into an OPT record (RFC 6891, 6.1.3).
fn with_rcode(asked: &Question, rcode: u16) -> Message {
    let message = Message::reply(asked, rcode & 15);
    if rcode > 15 { message.edns(u32::from(rcode >> 4) << 24, &[]) } else { message }
}

/// Answers whose data do not fit their type.
fn bad_rdata(asked: &Question, first: &str) -> Option<Message> {
    let reply = Message::reply(asked, flag::AA);
    Some(match first {
        "shorta" => reply.answer(kind::A, &[1, 2, 3]),
        "longa" => reply.answer(kind::A, &[1, 2, 3, 4, 5]),
        "emptya" => reply.answer(kind::A, &[]),
        "shortaaaa" => reply.answer(kind::AAAA, &[0; 15]),
        "shortmx" => reply.answer(kind::MX, &[0]),
        "mxloop" => reply.answer(kind::MX, &[0, 10, 0xc0, 0xff]),
        "txtlies" => reply.answer(kind::TXT, b"\x09abc"),
        "emptytxt" => reply.answer(kind::TXT, &[]),
        "shortsoa" => reply.answer(kind::SOA, soa(1).get(..30).unwrap_or_default()),
        "goodthenbad" => reply.answer(kind::A, ADDRESS).answer(kind::A, &[1]),
        "badcname" => reply.answer(kind::CNAME, &[3, b'a', b'b']),
        "unknown" => reply.answer(65_300, &[1, 2, 3]).answer(65_301, &[]),
        "svcbkeys" => reply.answer(64, &[0, 1, 0, 0, 4, 0, 4, 192, 0, 2, 1, 0, 9, 0, 1, b'x', 0x80, 0, 0, 0]),
        "svcborder" => reply.answer(64, &[0, 1, 0, 0, 4, 0, 4, 192, 0, 2, 1, 0, 3, 0, 2, 0, 53]),
        "locversion" => reply.answer(29, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        "nsecbitmap" => reply.answer(47, &[0, 0, 33, 1]),
        "caatag" => reply.answer(257, &[0, 9, b'x']),
        _ => return None,
    })
}

/// EDNS options of a reply, by the first label.
fn options(first: &str) -> Option<Vec<(u16, Vec<u8>)>> {
    let text = |bytes: &[u8]| bytes.to_vec();
    Some(match first {
        "nsid" => vec![(3, text(b"lab.one"))],
        "nsidbinary" => vec![(3, text(&[0, 1, 0x7f, 0x80, 0xff, b'"', b'\\', b'a']))],
        "nsidempty" => vec![(3, Vec::new())],
        "ede" => vec![(15, text(b"\x00\x16no authority reached")), (15, text(&[0, 18])), (15, text(b"\x00\x00other"))],
        "edeunknown" => vec![(15, text(&[0xff, 0xfe, b'?'])), (15, text(&[0, 30]))],
        "edebinary" => vec![(15, text(&[0, 3, 0xc3, 0xa9, 0xff, b'\n', b'x', 0]))],
        "edeshort" => vec![(15, text(&[7]))],
        "edeall" => (0..=24).map(|code| (15, vec![0, code])).collect(),
        "newoptions" => {
            // What dig 9.18 does not know by name.
            let mut options = vec![
                (2, text(&[0, 0, 14, 16])),
                (5, text(&[8, 13, 15])),
                (6, text(&[1, 2])),
                (7, text(&[1])),
                (13, name("rogue")),
                (18, name("agent.rogue")),
                (19, text(&[2, 0, 0x78, 0xa3, 0xf1, 0x0b])),
            ];
            options.extend((25..=31).map(|code| (15, vec![0, code])));
            options
        }
        "ecs" => vec![(8, text(&[0, 1, 24, 16, 192, 0, 2]))],
        "ecssix" => vec![(8, text(&[0, 2, 56, 48, 0x20, 1, 0xd, 0xb8, 0, 1, 2]))],
        "ecszero" => vec![(8, text(&[0, 0, 0, 0]))],
        "ecsfamily" => vec![(8, text(&[0, 9, 8, 0, 1]))],
        "ecsshort" => vec![(8, text(&[0, 1]))],
        "cookieshort" => vec![(10, text(&[1, 2, 3, 4]))],
        "cookiewrong" => vec![(10, text(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]))],
        "keepalive" => vec![(11, text(&[0, 150]))],
        "keepaliveempty" => vec![(11, Vec::new())],
        "pad" => vec![(12, vec![0; 20])],
        "expire" => vec![(9, text(&[0, 1, 81, 128]))],
        "expireempty" => vec![(9, Vec::new())],
        "keytag" => vec![(14, text(&[0x4f, 0x66, 0x12, 0x34]))],
        "llq" => vec![(1, text(&[0, 1, 0, 2, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 14, 16]))],
        "clienttag" => vec![(16, text(&[1, 2])), (17, text(&[3, 4]))],
        "local" => vec![(65_001, text(b"any \"bytes\"\x00\xff")), (65_002, Vec::new())],
        "manyoptions" => vec![(3, text(b"ns")), (15, text(&[0, 6])), (12, vec![0; 3]), (11, text(&[0, 1]))],
        _ => return None,
    })
}

fn shortened(message: &Message, by: usize) -> Vec<u8> {
    let bytes = message.bytes();
    bytes.get(..bytes.len().saturating_sub(by)).unwrap_or_default().to_vec()
}

fn shortened_frame(message: &Message) -> Vec<u8> {
    let bytes = framed(&message.bytes());
    bytes.get(..bytes.len() / 2).unwrap_or_default().to_vec()
}

fn upper(bytes: &[u8]) -> Vec<u8> {
    bytes.to_ascii_uppercase()
}
