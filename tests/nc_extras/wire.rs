//! PROXY headers of clients and listeners, hex dumps, and the record of a transfer.

use std::io::Write;
use std::net::TcpListener;
use std::process::Stdio;

use super::{
    Body, LIMIT, LONG, Running, accept, check, dial, equal, has, nc, ran, records, status, take, text, to_end,
};
use crate::lab::{self, Stop, TempDir};
use crate::nc_diff::endpoint::pattern;

pub const CLAIMS: &[(&str, Body)] = &[
    ("a_client_sends_the_header_as_specified", client_header),
    ("a_listener_takes_the_header_and_nothing_behind_it", listener_header),
    ("a_listener_with_k_outlives_broken_headers", listener_goes_on),
    ("versions_and_uses_that_do_not_exist_are_refused", refused),
    ("a_dump_in_a_file_gives_back_every_byte", dump_file),
    ("a_dump_that_cannot_be_written_is_an_error", dump_nowhere),
    ("the_record_of_a_transfer_counts_every_byte", record),
];

const SIGNATURE: &[u8] = b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a";

fn client_header() -> Result<(), Stop> {
    let loopback: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    for (host, bound) in [("127.0.0.1", "127.0.0.1:9001"), ("::1", "[::1]:9001")] {
        let server = TcpListener::bind(bound)?;
        for version in ["v1", "v2"] {
            let mut client = Running::start(nc("nc")?.args(["-N", "--proxy-protocol", version, host, "9001"]))?;
            let mut stdin = client.stdin.take().ok_or("no stdin")?;
            stdin.write_all(b"PROXY is not repeated\r\n")?;
            drop(stdin);
            let mut served = accept(&server)?;
            let from = served.peer_addr()?.port();
            let ports = [from.to_be_bytes(), 9001u16.to_be_bytes()].concat();
            let mut wanted = match (version, host) {
                ("v1", "::1") => format!("PROXY TCP6 ::1 ::1 {from} 9001\r\n").into_bytes(),
                ("v1", _) => format!("PROXY TCP4 127.0.0.1 127.0.0.1 {from} 9001\r\n").into_bytes(),
                (_, "::1") => [SIGNATURE, &[0x21, 0x21, 0, 36], loopback, loopback, &ports].concat(),
                _ => [SIGNATURE, &[0x21, 0x11, 0, 12, 127, 0, 0, 1, 127, 0, 0, 1], &ports].concat(),
            };
            wanted.extend_from_slice(b"PROXY is not repeated\r\n");
            equal(&format!("{version} to {host}"), &to_end(&mut served)?, &wanted)?;
            served.write_all(b"answer")?;
            drop(served);
            let out = to_end(client.stdout.take().ok_or("no stdout")?)?;
            equal("the answer, without any header", &out, b"answer")?;
            client.ends(version, 0, "")?;
        }
    }
    Ok(())
}

fn listener_header() -> Result<(), Stop> {
    let bytes = pattern(LONG);
    let v2 = [SIGNATURE, &[0x21, 0x11, 0, 12, 192, 0, 2, 7, 198, 51, 100, 9, 0x0f, 0xa0, 0x01, 0xbb]].concat();
    let headers: [(&str, &[u8], &str); 4] = [
        ("v1", b"PROXY TCP4 192.0.2.7 198.51.100.9 4000 443\r\n", "192.0.2.7:4000 -> 198.51.100.9:443"),
        ("v2", &v2, "192.0.2.7:4000 -> 198.51.100.9:443"),
        ("v1", b"PROXY TCP6 2001:db8::7 2001:db8::9 4000 443\r\n", "[2001:db8::7]:4000 -> [2001:db8::9]:443"),
        ("v1", b"PROXY UNKNOWN what ever\r\n", "unknown"),
    ];
    for (version, header, shown) in headers {
        let mut listener = Running::listening(&["-l", "--proxy-protocol", version, "127.0.0.1", "9000"])?;
        let mut client = dial("127.0.0.1:9000")?;
        let copy = [header, &bytes].concat();
        let sender = std::thread::spawn(move || client.write_all(&copy).map(|()| drop(client)));
        equal(shown, &to_end(listener.stdout.take().ok_or("no stdout")?)?, &bytes)?;
        sender.join().map_err(|_| "the sender died")??;
        listener.ends(shown, 0, &format!("PROXY protocol: {shown}\n"))?;
    }
    Ok(())
}

fn listener_goes_on() -> Result<(), Stop> {
    let mut listener = Running::listening(&["-lk", "--proxy-protocol", "v1", "127.0.0.1", "9000"])?;
    for (broken, part) in [
        (&b"GET / HTTP/1.0\r\n\r\n"[..], "does not begin with"),
        (b"PROXY TCP9 a b 1 2\r\n", "neither tcp4"),
        (b"", "closed before"),
        (b"PROXY TCP4 192.0.2.7", "closed within"),
        (b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x11\x00\x0c\x7f", "closed within"),
    ] {
        let mut client = dial("127.0.0.1:9000")?;
        client.write_all(broken)?;
        // It may have closed already.
        let _ = super::Stream::close_writing(&client);
        equal("the client", &to_end(&client).unwrap_or_default(), b"")?;
        has("what is said", &listener.until("nc: 127.0.0.1 port")?.to_lowercase(), part)?;
    }
    let mut client = dial("127.0.0.1:9000")?;
    client.write_all(b"PROXY UNKNOWN\r\nall of it")?;
    // Had anything of the broken ones come out, it would stand before this.
    equal("stdout", &take(listener.stdout.as_mut().ok_or("no stdout")?, 9)?, b"all of it")
}

fn refused() -> Result<(), Stop> {
    for (words, wanted, part) in [
        (&["--proxy-protocol", "v3", "127.0.0.1", "1"][..], 2, "`v3`"),
        (&["--proxy-protocol"], 2, "--proxy-protocol needs a value"),
        (&["-u", "--proxy-protocol", "v1", "127.0.0.1", "1"], 1, "not with -u"),
        (&["-z", "--proxy-protocol", "v1", "127.0.0.1", "1"], 1, "-z sends nothing"),
        // What would be passed over is refused, not accepted.
        (
            &["--hex-dump", "--relay", "tcp:127.0.0.1:1", "tcp:127.0.0.1:1"],
            2,
            "--hex-dump does not go together with --relay",
        ),
        (&["--rc", "--relay", "tcp:127.0.0.1:1", "tcp:127.0.0.1:1"], 2, "--rc does not go together with --relay"),
        (&["-x", "127.0.0.1:1", "--wait", "0", "127.0.0.1", "1"], 2, "-x does not go together with --wait"),
        (&["-s", "127.0.0.1", "--wait", "0", "127.0.0.1", "1"], 2, "-s does not go together with --wait"),
    ] {
        let out = ran(words)?;
        status(&format!("{words:?}"), &out, wanted)?;
        has(&format!("{words:?}"), &text(&out.stderr), part)?;
    }
    Ok(())
}

/// What a dump says was sent and received; its heads and offsets are checked on the way.
fn undump(dump: &str) -> Result<[Vec<u8>; 2], Stop> {
    let mut streams = [Vec::new(), Vec::new()];
    let mut promised = [0usize; 2];
    let mut last = 0.0;
    for line in dump.lines() {
        let broken = |why: &str| format!("{why}: {line}");
        let way = match line.as_bytes().first() {
            Some(b'>') => 0,
            Some(b'<') => 1,
            _ => return Err(broken("no direction").into()),
        };
        let rest = line.get(2..).unwrap_or_default();
        if let Some((time, length)) = rest.split_once(" s, ") {
            let time: f64 = time.parse().map_err(|_| broken("no time"))?;
            check(broken("time goes back"), time >= last)?;
            last = time;
            check(broken("the piece before was not whole"), streams[way].len() == promised[way])?;
            let length: usize = length.trim_end_matches(" bytes").parse().map_err(|_| broken("no length"))?;
            promised[way] += length;
            continue;
        }
        let (offset, columns) = rest.split_once("  ").ok_or_else(|| broken("no columns"))?;
        let offset = usize::from_str_radix(offset, 16).map_err(|_| broken("no offset"))?;
        check(broken("an offset out of place"), offset == streams[way].len())?;
        let (hex, shown) = columns.split_once('|').ok_or_else(|| broken("no text"))?;
        let mut bytes = Vec::new();
        for pair in hex.split_whitespace() {
            bytes.push(u8::from_str_radix(pair, 16).map_err(|_| broken("no hex"))?);
        }
        let text: String =
            bytes.iter().map(|byte| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '.' }).collect();
        lab::same("text column", shown.strip_suffix('|').unwrap_or_default(), &text)?;
        streams[way].extend(bytes);
    }
    check("a piece is not whole", streams[0].len() == promised[0] && streams[1].len() == promised[1])?;
    Ok(streams)
}

fn dump_file() -> Result<(), Stop> {
    let dir = TempDir::new("nc-dump")?;
    let (input, dump) = (dir.0.join("in"), dir.0.join("dump"));
    let bytes = pattern(300_001);
    std::fs::write(&input, &bytes)?;
    let flag = format!("--hex-dump={}", dump.display());
    let server = TcpListener::bind("127.0.0.1:9001")?;
    let copy = bytes[1..].to_vec();
    let serving = std::thread::spawn(move || -> Result<Vec<u8>, Stop> {
        let mut served = accept(&server)?;
        served.write_all(&copy)?;
        super::Stream::close_writing(&served)?;
        to_end(served)
    });
    let mut command = nc("nc")?;
    let out =
        lab::run_with(command.args(["-N", &flag, "127.0.0.1", "9001"]), std::fs::File::open(&input)?.into(), LIMIT)?;
    status("client", &out, 0)?;
    equal("stdout", &out.stdout, &bytes[1..])?;
    lab::same("stderr", &text(&out.stderr), "")?;
    equal("what the server got", &serving.join().map_err(|_| "the server died")??, &bytes)?;
    let [sent, received] = undump(&std::fs::read_to_string(&dump)?)?;
    equal("sent", &sent, &bytes)?;
    equal("received", &received, &bytes[1..])?;

    // A listener's stderr has its dump between its other lines.
    let mut listener = Running::listening(&["-l", "-N", "--hex-dump", "127.0.0.1", "9000"])?;
    let mut client = dial("127.0.0.1:9000")?;
    client.write_all(b"to the listener")?;
    super::Stream::close_writing(&client)?;
    drop(listener.stdin.take());
    equal("stdout", &to_end(listener.stdout.take().ok_or("no stdout")?)?, b"to the listener")?;
    let (code, said) = listener.end()?;
    lab::same("status", &format!("{code:?}"), "Some(0)")?;
    let lines: String =
        said.lines().filter(|line| line.starts_with(['<', '>'])).map(|line| line.to_owned() + "\n").collect();
    let [sent, received] = undump(&lines)?;
    equal("sent", &sent, b"")?;
    equal("received", &received, b"to the listener")
}

fn dump_nowhere() -> Result<(), Stop> {
    let server = TcpListener::bind("127.0.0.1:9001")?;
    for (flag, part) in
        [("--hex-dump=/nonexistent/dump", "/nonexistent/dump"), ("--hex-dump=/dev/full", "No space left")]
    {
        let mut client = Running::start(nc("nc")?.args([flag, "127.0.0.1", "9001"]))?;
        let mut served = accept(&server)?;
        // It may be gone already.
        let _ = served.write_all(b"something to show");
        let out = to_end(client.stdout.take().ok_or("no stdout")?)?;
        lab::same("nothing more than was sent", &text(&out).replace("something to show", ""), "")?;
        client.ends(flag, 1, part)?;
    }
    Ok(())
}

fn record() -> Result<(), Stop> {
    const KEYS: &[&str] = &["schema", "peer", "sent_bytes", "received_bytes", "end", "errors"];
    let bytes = pattern(LONG);
    let server = TcpListener::bind("127.0.0.1:9001")?;
    let dir = TempDir::new("nc-json")?;
    let input = dir.0.join("in");
    std::fs::write(&input, &bytes)?;
    let mut client = nc("nc")?;
    client.args(["-N", "--json", "127.0.0.1", "9001"]);
    let copy = bytes[7..].to_vec();
    let serving = std::thread::spawn(move || -> Result<(), Stop> {
        let mut served = accept(&server)?;
        to_end(&mut served)?;
        Ok(served.write_all(&copy)?)
    });
    let out = lab::run_with(&mut client, std::fs::File::open(&input)?.into(), LIMIT)?;
    serving.join().map_err(|_| "the server died")??;
    status("client", &out, 0)?;
    equal("stdout", &out.stdout, &bytes[7..])?;
    let found = records(&out.stderr, KEYS)?;
    let [record] = found.as_slice() else { return Err(format!("{found:?}").into()) };
    lab::same("sent", &record["sent_bytes"].to_string(), &LONG.to_string())?;
    lab::same("received", &record["received_bytes"].to_string(), &(LONG - 7).to_string())?;
    lab::same("end", &record["end"].to_string(), "\"done\"")?;
    lab::same("errors", &record["errors"].to_string(), "[]")?;

    // A peer that says nothing for too long is told from one that is done.
    let server = TcpListener::bind("127.0.0.1:9002")?;
    let mut silent = nc("nc")?;
    silent.args(["-w", "0.2", "--json", "127.0.0.1", "9002"]);
    let out = lab::run_with(&mut silent, Stdio::null(), LIMIT)?;
    drop(server);
    status("silence", &out, 0)?;
    let found = records(&out.stderr, KEYS)?;
    lab::same("end", &found.first().map_or(String::new(), |record| record["end"].to_string()), "\"idle\"")
}
