//! `--relay A B`.

use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use super::{
    Body, LIMIT, LONG, Running, Stream, accept, both_ways, check, dial, equal, has, ran, status, take, text, to_end,
};
use crate::lab::{self, Stop, TempDir};
use crate::nc_diff::endpoint::pattern;

pub const CLAIMS: &[(&str, Body)] = &[
    ("megabytes_both_ways_at_once_over_both_families", tcp),
    ("an_end_passes_alone_and_the_other_way_stays", half_close),
    ("twelve_clients_at_once_none_disturbs_another", fork),
    ("more_than_max_conns_are_closed_and_told", most),
    ("unix_to_unix_serves_many_and_removes_what_it_made", unix),
    ("who_does_not_listen_may_still_speak", deaf),
    ("two_that_connect_and_two_that_listen", same_kind),
    ("datagrams_to_a_stream_and_back", udp_to_tcp),
    ("headers_are_stripped_to_the_byte", strip),
    ("headers_are_added_as_specified", add),
    ("a_broken_header_ends_its_connection_only", broken_header),
    ("who_cannot_be_reached_is_named", unreachable),
    ("malformed_addresses_are_named_with_status_2", malformed),
];

fn tcp() -> Result<(), Stop> {
    for host in ["127.0.0.1", "[::1]"] {
        let server = TcpListener::bind(format!("{host}:9001"))?;
        let relay = Running::listening(&["--relay", &format!("tcp-l:{host}:9000"), &format!("tcp:{host}:9001")])?;
        let client = dial(&format!("{host}:9000"))?;
        let served = accept(&server)?;
        let bytes = pattern(LONG + 4321);
        both_ways(&client, &served, &bytes[..LONG], &bytes[4321..])?;
        relay.ends(host, 0, "")?;
    }
    Ok(())
}

fn half_close() -> Result<(), Stop> {
    let server = TcpListener::bind("127.0.0.1:9001")?;
    // Who ends first, without having sent anything or after a long stream.
    for (client_first, length) in [(true, 0), (true, LONG), (false, 0), (false, LONG)] {
        let relay = Running::listening(&["--relay", "tcp-l:127.0.0.1:9000", "tcp:127.0.0.1:9001"])?;
        let client = dial("127.0.0.1:9000")?;
        let served = accept(&server)?;
        let (mut first, mut second) = if client_first { (client, served) } else { (served, client) };
        let bytes = pattern(length);
        let copy = bytes.clone();
        let sender =
            std::thread::spawn(move || first.write_all(&copy).and_then(|()| first.close_writing()).map(|()| first));
        equal("before the end", &to_end(&mut second)?, &bytes)?;
        let mut first = sender.join().map_err(|_| "a sender died")??;
        // The end has passed; the other way is open, and nothing is sent on it that was not put in.
        second.write_all(b"x")?;
        equal("after the first end", &take(&mut first, 1)?, b"x")?;
        let copy = bytes.clone();
        let sender = std::thread::spawn(move || second.write_all(&copy).map(|()| drop(second)));
        equal("until the second end", &to_end(&mut first)?, &bytes)?;
        sender.join().map_err(|_| "a sender died")??;
        relay.ends(&format!("client first {client_first}, {length} bytes"), 0, "")?;
    }
    Ok(())
}

fn fork() -> Result<(), Stop> {
    const CLIENTS: usize = 12;
    let mut relay = Running::listening(&["--relay", "tcp-l:127.0.0.1:9000,fork", "tcp:127.0.0.1:9001"])?;
    // Nobody is behind it yet: that one is closed, said, and no reason to leave.
    let early = to_end(dial("127.0.0.1:9000")?).unwrap_or_default();
    equal("without a server", &early, b"")?;
    has("what it says", &relay.until("9001")?, "127.0.0.1 port 9001: answered with a reset")?;
    let server = TcpListener::bind("127.0.0.1:9001")?;
    let mut pairs = Vec::new();
    for _ in 0..CLIENTS {
        pairs.push((dial("127.0.0.1:9000")?, accept(&server)?));
    }
    let bytes = pattern(300_000);
    // All are open; the last comes first, and each has a stream of its own.
    for (number, (client, served)) in pairs.iter().enumerate().rev() {
        both_ways(client, served, &bytes[number..], &bytes[number * 1000..])?;
    }
    let (client, served) = (dial("127.0.0.1:9000")?, accept(&server)?);
    both_ways(&client, &served, b"one more", b"and back")
}

fn most() -> Result<(), Stop> {
    let server = TcpListener::bind("127.0.0.1:9001")?;
    let listens = "tcp-l:127.0.0.1:9000,fork";
    let mut relay = Running::listening(&["--max-conns", "2", "--relay", listens, "tcp:127.0.0.1:9001"])?;
    let mut pairs = Vec::new();
    for _ in 0..2 {
        pairs.push((dial("127.0.0.1:9000")?, accept(&server)?));
    }
    equal("the third", &to_end(dial("127.0.0.1:9000")?).unwrap_or_default(), b"")?;
    relay.until("2 connections are open, one more was closed")?;
    for (client, served) in &pairs {
        both_ways(client, served, b"there", b"back")?;
    }
    for bad in ["0", "x", "-1", "99999999"] {
        let out = ran(&["--max-conns", bad, "--relay", listens, "tcp:127.0.0.1:9001"])?;
        status(bad, &out, 2)?;
        has(bad, &text(&out.stderr), &format!("--max-conns: `{bad}`"))?;
    }
    Ok(())
}

fn unix_accept(listener: &UnixListener) -> Result<UnixStream, Stop> {
    listener.set_nonblocking(true)?;
    let until = std::time::Instant::now() + LIMIT;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                stream.bound()?;
                return Ok(stream);
            }
            Err(error) if std::time::Instant::now() > until => return Err(error.into()),
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(1)),
        }
    }
}

fn unix_dial(path: &Path) -> Result<UnixStream, Stop> {
    let stream = UnixStream::connect(path)?;
    stream.bound()?;
    Ok(stream)
}

fn unix() -> Result<(), Stop> {
    let dir = TempDir::new("nc-relay")?;
    let (near, far) = (dir.0.join("near"), dir.0.join("far"));
    let server = UnixListener::bind(&far)?;
    let listens = format!("unix-l:{}", near.display());
    let connects = format!("unix:{}", far.display());
    let bytes = pattern(LONG);
    {
        let _relay = Running::listening(&["--relay", &format!("{listens},fork"), &connects])?;
        let first = (unix_dial(&near)?, unix_accept(&server)?);
        let second = (unix_dial(&near)?, unix_accept(&server)?);
        both_ways(&second.0, &second.1, &bytes, &bytes[1..])?;
        both_ways(&first.0, &first.1, &bytes[2..], &bytes[3..])?;
        // Killed, it leaves its name behind, as every server does.
    }
    std::fs::remove_file(&near)?;
    for round in 0..2 {
        let relay = Running::listening(&["--relay", &listens, &connects])?;
        let pair = (unix_dial(&near)?, unix_accept(&server)?);
        both_ways(&pair.0, &pair.1, b"there", b"back")?;
        relay.ends(&format!("round {round}"), 0, "")?;
        check("a relay that ends by itself takes its name away", !near.exists())?;
    }
    // What was there before is not ours to remove.
    std::fs::write(&near, "a file")?;
    let out = ran(&["--relay", &listens, &connects])?;
    status("a name that is taken", &out, 1)?;
    has("a name that is taken", &text(&out.stderr), &near.display().to_string())?;
    lab::same("the file", &std::fs::read_to_string(&near)?, "a file")
}

fn deaf() -> Result<(), Stop> {
    let dir = TempDir::new("nc-relay")?;
    let near = dir.0.join("near");
    let server = TcpListener::bind("127.0.0.1:9001")?;
    let relay = Running::listening(&["--relay", &format!("unix-l:{}", near.display()), "tcp:127.0.0.1:9001"])?;
    let mut client = unix_dial(&near)?;
    client.shutdown(std::net::Shutdown::Read)?;
    let mut served = accept(&server)?;
    // Nobody takes this; the other way must not suffer.
    served.write_all(b"to nobody")?;
    let bytes = pattern(LONG);
    let copy = bytes.clone();
    let sender = std::thread::spawn(move || client.write_all(&copy).map(|()| drop(client)));
    let got = to_end(&mut served);
    sender.join().map_err(|_| "the sender died")??;
    equal("the server", &got?, &bytes)?;
    // What was lost is said.
    relay.ends("relay", 1, "writing to the first address: Broken pipe")?;

    // The same, seen from the other side.
    let far = dir.0.join("far");
    let server = UnixListener::bind(&far)?;
    let relay = Running::listening(&["--relay", "tcp-l:127.0.0.1:9000", &format!("unix:{}", far.display())])?;
    let mut client = dial("127.0.0.1:9000")?;
    let mut served = unix_accept(&server)?;
    served.shutdown(std::net::Shutdown::Read)?;
    client.write_all(b"to nobody")?;
    let copy = bytes.clone();
    let sender = std::thread::spawn(move || served.write_all(&copy).map(|()| drop(served)));
    let got = to_end(&mut client);
    sender.join().map_err(|_| "the sender died")??;
    equal("the client", &got?, &bytes)?;
    relay.ends("relay", 1, "writing to the second address: Broken pipe")
}

fn same_kind() -> Result<(), Stop> {
    let bytes = pattern(LONG);
    let (one, other) = (TcpListener::bind("127.0.0.1:9001")?, TcpListener::bind("127.0.0.1:9002")?);
    let relay = Running::start(super::nc("nc")?.args(["--relay", "tcp:127.0.0.1:9001", "tcp:127.0.0.1:9002"]))?;
    both_ways(&accept(&one)?, &accept(&other)?, &bytes, &bytes[1..])?;
    relay.ends("both connect", 0, "")?;

    let relay = Running::listening(&["--relay", "tcp-l:127.0.0.1:9003", "tcp-l:127.0.0.1:9004"])?;
    let first = dial("127.0.0.1:9003")?;
    // The second begins to listen when the first has somebody.
    let until = std::time::Instant::now() + LIMIT;
    let second = loop {
        match dial("127.0.0.1:9004") {
            Ok(stream) => break stream,
            Err(stop) if std::time::Instant::now() > until => return Err(stop),
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(2)),
        }
    };
    both_ways(&first, &second, &bytes, &bytes[1..])?;
    relay.ends("both listen", 0, "")
}

fn udp_to_tcp() -> Result<(), Stop> {
    let server = TcpListener::bind("127.0.0.1:9001")?;
    let mut relay = Running::listening(&["--relay", "udp-l:127.0.0.1:9000", "tcp:127.0.0.1:9001"])?;
    let mut served = accept(&server)?;
    let clients = [UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?];
    for (number, client) in clients.iter().enumerate() {
        client.set_read_timeout(Some(LIMIT))?;
        let bytes = pattern(5_000 + number);
        client.send_to(&bytes, "127.0.0.1:9000")?;
        equal("the stream", &take(&mut served, bytes.len())?, &bytes)?;
        // Whoever sent last is answered.
        served.write_all(b"answer")?;
        let mut buffer = [0; 100];
        let (length, from) = client.recv_from(&mut buffer)?;
        equal("the answer", buffer.get(..length).unwrap_or_default(), b"answer")?;
        lab::same("from", &from.to_string(), "127.0.0.1:9000")?;
    }
    drop(relay.stdin.take());
    Ok(())
}

/// A version 2 header for TCP over IPv6 with a TLV of an unassigned type behind the addresses.
fn v2_with_tlv() -> Vec<u8> {
    let mut bytes = b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x21\x00\x2a".to_vec();
    bytes.extend_from_slice(&[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
    bytes.extend_from_slice(&[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
    bytes.extend_from_slice(&[0x0f, 0xa0, 0x01, 0xbb]);
    bytes.extend_from_slice(&[0xe0, 0, 3, b'\r', b'\n', 0]);
    bytes
}

fn strip() -> Result<(), Stop> {
    let server = TcpListener::bind("127.0.0.1:9001")?;
    let _relay = Running::listening(&["--relay", "tcp-l:127.0.0.1:9000,fork,accept-proxy", "tcp:127.0.0.1:9001"])?;
    let bytes = pattern(LONG);
    let headers: [&[u8]; 5] = [
        b"PROXY TCP4 192.0.2.7 198.51.100.9 4000 443\r\n",
        b"PROXY TCP6 2001:db8::7 2001:db8::9 4000 443\r\n",
        b"PROXY UNKNOWN\r\n",
        b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x20\x00\x00\x00",
        &v2_with_tlv(),
    ];
    for header in headers {
        // In one piece with what follows.
        let mut client = dial("127.0.0.1:9000")?;
        client.write_all(&[header, b"\r\nPROXY "].concat())?;
        let served = accept(&server)?;
        equal("right behind the header", &take(&served, 8)?, b"\r\nPROXY ")?;
        both_ways(&client, &served, &bytes, &bytes[1..])?;
        // One byte at a time.
        let mut client = dial("127.0.0.1:9000")?;
        client.set_nodelay(true)?;
        for byte in header {
            client.write_all(&[*byte])?;
        }
        both_ways(&client, &accept(&server)?, b"there", b"back")?;
    }
    Ok(())
}

fn add() -> Result<(), Stop> {
    let dir = TempDir::new("nc-relay")?;
    let near = dir.0.join("near");
    let server = TcpListener::bind("[::1]:9001")?;
    let bytes = pattern(LONG);
    let signature: &[u8] = b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a";
    let loopback: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    for version in ["v1", "v2"] {
        let to = format!("tcp:[::1]:9001,send-proxy={version}");
        let relay = Running::listening(&["--relay", "tcp-l:[::1]:9000", &to])?;
        let client = dial("[::1]:9000")?;
        let served = accept(&server)?;
        let port = client.local_addr()?.port();
        let wanted = if version == "v1" {
            format!("PROXY TCP6 ::1 ::1 {port} 9000\r\n").into_bytes()
        } else {
            [signature, &[0x21, 0x21, 0, 36], loopback, loopback, &port.to_be_bytes(), &9000u16.to_be_bytes()].concat()
        };
        equal(version, &take(&served, wanted.len())?, &wanted)?;
        both_ways(&client, &served, &bytes, &bytes[1..])?;
        relay.ends(version, 0, "")?;

        // A Unix socket has no addresses to tell of.
        let relay = Running::listening(&["--relay", &format!("unix-l:{}", near.display()), &to])?;
        let client = unix_dial(&near)?;
        let served = accept(&server)?;
        let wanted =
            if version == "v1" { b"PROXY UNKNOWN\r\n".to_vec() } else { [signature, &[0x20, 0, 0, 0]].concat() };
        equal(version, &take(&served, wanted.len())?, &wanted)?;
        both_ways(&client, &served, b"there", b"back")?;
        relay.ends(version, 0, "")?;
        let _ = std::fs::remove_file(&near);
    }
    Ok(())
}

fn broken_header() -> Result<(), Stop> {
    let server = TcpListener::bind("127.0.0.1:9001")?;
    let mut relay = Running::listening(&["--relay", "tcp-l:127.0.0.1:9000,fork,accept-proxy", "tcp:127.0.0.1:9001"])?;
    let long = [b"PROXY TCP6 ".as_slice(), &[b'1'; 200]].concat();
    let headers: [(&[u8], &str); 6] = [
        (b"GET / HTTP/1.0\r\n\r\n", "does not begin with a proxy protocol header"),
        (b"PROXY TCP4 192.0.2.7 198.51.100.9 4000\r\n", "a port is missing"),
        (b"PROXY TCP4 2001:db8::7 2001:db8::9 1 2\r\n", "not an address of the family"),
        (&long, "within 107 bytes"),
        (b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x31\x11\x00\x0c", "version 2"),
        (b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x11\xff\xff", "longer than"),
    ];
    for (header, part) in headers {
        let mut client = dial("127.0.0.1:9000")?;
        client.write_all(header)?;
        relay.until(part)?;
        // Closed or reset, and nobody was connected for it.
        equal("the client", &to_end(&client).unwrap_or_default(), b"")?;
    }
    let mut client = dial("127.0.0.1:9000")?;
    client.write_all(b"PROXY UNKNOWN\r\nfine")?;
    let served = accept(&server)?;
    // The first that was connected at all.
    equal("the first good one", &take(&served, 4)?, b"fine")
}

fn unreachable() -> Result<(), Stop> {
    for (first, second, part) in [
        ("tcp:127.0.0.1:9001", "tcp:127.0.0.1:9002", "127.0.0.1 port 9001"),
        ("unix:/nonexistent/a", "tcp:127.0.0.1:9002", "/nonexistent/a"),
        ("unix-l:/nonexistent/a", "tcp:127.0.0.1:9002", "/nonexistent/a"),
        ("tcp:name.invalid:80", "tcp:127.0.0.1:9002", "name.invalid"),
        ("tcp-l:192.0.2.1:9000", "tcp:127.0.0.1:9002", "192.0.2.1"),
    ] {
        let out = ran(&["--relay", first, second])?;
        status(first, &out, 1)?;
        has(first, &text(&out.stderr), part)?;
    }
    // The client is there, the other side is not: it must learn that.
    let relay = Running::listening(&["--relay", "tcp-l:127.0.0.1:9000", "tcp:127.0.0.1:9001"])?;
    let client = dial("127.0.0.1:9000")?;
    equal("the client", &to_end(&client).unwrap_or_default(), b"")?;
    relay.ends("nobody behind", 1, "127.0.0.1 port 9001")
}

fn malformed() -> Result<(), Stop> {
    let good = "tcp:127.0.0.1:9001";
    for (bad, part) in [
        ("", "begins with tcp:"),
        ("tcp", "begins with tcp:"),
        ("tcp:", "HOST:PORT"),
        ("tcp:host", "HOST:PORT"),
        ("tcp::80", "HOST:PORT"),
        ("tcp:127.0.0.1:", "port"),
        ("tcp:127.0.0.1:0", "port"),
        ("tcp:127.0.0.1:65536", "port"),
        ("tcp:127.0.0.1:-1", "port"),
        ("tcp:127.0.0.1:http x", "port"),
        ("tcp-l:", "port"),
        ("tcp-l:nosuchservice", "port"),
        ("udp-l:99999", "port"),
        ("tcp-l:[::1]", "port"),
        ("unix:", "path"),
        ("unix-l:", "path"),
        ("exec:/bin/sh", "tcp, tcp-l"),
        ("tls:127.0.0.1:9001,cert", "no option `cert`"),
        ("tcp:127.0.0.1:9001,fork", "fork"),
        ("udp-l:9000,fork", "fork"),
        ("tcp-l:9000,reuseaddr", "reuseaddr"),
        ("tcp:127.0.0.1:9001,send-proxy=v3", "v3"),
        ("udp:127.0.0.1:9001,send-proxy=v1", "header"),
        ("tcp-l:9000,send-proxy=v1", "header"),
        ("tcp:127.0.0.1:9001,accept-proxy", "header"),
    ] {
        for words in [["--relay", bad, good], ["--relay", good, bad]] {
            let out = ran(&words)?;
            status(&format!("{words:?}"), &out, 2)?;
            let said = text(&out.stderr);
            has(&format!("{words:?}"), &said, part)?;
            has(&format!("{words:?}"), &said, &format!("`{bad}`"))?;
            lab::same("lines", &said.lines().count().to_string(), "1")?;
        }
    }
    for words in
        [&["--relay"][..], &["--relay", good], &["--relay", good, good, good], &["--relay", good, "tcp-l:1,fork"]]
    {
        let out = ran(words)?;
        status(&format!("{words:?}"), &out, 2)?;
        has(&format!("{words:?}"), &text(&out.stderr), "--relay")?;
    }
    Ok(())
}
