//! Layout of replies; the expected text is BIND dig 9.18.49's for the same bytes.

use super::*;
use netkit_wire::dns::Message;

/// `www.example. A` answered with one address, one NS of the wrong length and an OPT with an NSID.
fn reply() -> Message {
    let mut bytes = vec![0x12, 0x34, 0x81, 0x20, 0, 1, 0, 1, 0, 1, 0, 1];
    bytes.extend_from_slice(b"\x03www\x07example\x00\x00\x01\x00\x01");
    bytes.extend_from_slice(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\x0a\x00\x00\x01");
    bytes.extend_from_slice(b"\xc0\x10\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x03\x0a\x00\x00");
    bytes.extend_from_slice(b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x06\x00\x03\x00\x02ns");
    Message::decode(bytes).unwrap()
}

fn text(change: impl Fn(&mut Settings, &mut Globals)) -> String {
    let (mut settings, mut globals) = (Settings::default(), Globals::default());
    change(&mut settings, &mut globals);
    let mut out = String::new();
    let shown = Shown {
        settings: &settings,
        globals: &globals,
        message: &reply(),
        sending: false,
        sent_cookie: None,
        sent_edns: Some(0),
        sequence: 0,
        from: Some(("127.0.0.1", Duration::from_micros(1500))),
        short_type: false,
    };
    message(&mut out, &shown);
    out
}

#[test]
fn a_whole_reply_with_a_broken_record() {
    let out = text(|_, _| {});
    let wanted = ";; Got answer:\n\
        ;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 4660\n\
        ;; flags: qr rd ad; QUERY: 1, ANSWER: 1, AUTHORITY: 1, ADDITIONAL: 1\n\
        ;; WARNING: recursion requested but not available\n\n\
        ;; OPT PSEUDOSECTION:\n; EDNS: version: 0, flags: do; udp: 1232\n; NSID: 6e 73 (\"ns\")\n\
        ;; QUESTION SECTION:\n;www.example.\t\t\tIN\tA\n\n\
        ;; ANSWER SECTION:\nwww.example.\t\t300\tIN\tA\t10.0.0.1\n\n\
        ;; AUTHORITY SECTION:\nexample.\t\t300\tIN\tTYPE1\t\\# 3 0A0000\n;; WARNING: malformed A record shown as bytes: ";
    assert!(out.starts_with(wanted), "{out}");
}

#[test]
fn sections_without_comments_stand_close() {
    let out = text(|settings, _| {
        settings.comments = false;
        settings.authority = false;
    });
    assert_eq!(out, ";www.example.\t\t\tIN\tA\nwww.example.\t\t300\tIN\tA\t10.0.0.1\n");
}

#[test]
fn the_short_form() {
    assert_eq!(text(|_, globals| globals.short = true), "10.0.0.1\n");
    let identified = text(|settings, globals| {
        globals.short = true;
        settings.identify = true;
    });
    assert_eq!(identified, "10.0.0.1 from server 127.0.0.1 in 1 ms.\n");
}

fn footer_text(change: impl Fn(&mut Settings), transfer: Option<TransferSize>, key: KeyState) -> String {
    let mut settings = Settings::default();
    change(&mut settings);
    let mut out = String::new();
    let below = Footer {
        settings: &settings,
        peer: "10.0.0.53:53".parse().unwrap(),
        label: "ns.example",
        carrier: if transfer.is_some() { Carrier::Tcp } else { Carrier::Udp },
        elapsed: Duration::from_micros(2345),
        when: 1_700_000_000,
        size: 77,
        transfer,
        key,
    };
    footer(&mut out, &below);
    out
}

#[test]
fn footers() {
    assert_eq!(
        footer_text(|_| {}, None, KeyState::Fine),
        ";; Query time: 2 msec\n;; SERVER: 10.0.0.53#53(ns.example) (UDP)\n;; WHEN: Tue Nov 14 22:13:20 UTC 2023\n\
         ;; MSG SIZE  rcvd: 77\n\n"
    );
    let size = TransferSize { records: 4, messages: 2, bytes: 300 };
    let transfer = footer_text(|settings| settings.usec = true, Some(size), KeyState::NotValidated);
    assert!(transfer.starts_with(";; Query time: 2345 usec\n;; SERVER: 10.0.0.53#53(ns.example) (TCP)\n"));
    assert!(transfer.ends_with(
        ";; XFR size: 4 records (messages 2, bytes 300)\n;; WARNING -- Some TSIG could not be validated\n\n"
    ));
    let hop = footer_text(
        |settings| {
            settings.stats = false;
            settings.identify = true;
        },
        None,
        KeyState::Fine,
    );
    assert_eq!(hop, ";; Received 77 bytes from 10.0.0.53#53(ns.example) in 2 ms\n\n");
}

#[test]
fn dumps_have_sixteen_bytes_a_line() {
    let mut out = String::new();
    hex_dump(&mut out, b"0123456789abcdef~\x00");
    let first = "30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66          0123456789abcdef\n";
    let second = format!("7e 00 {}         ..\n", "   ".repeat(14));
    assert_eq!(out, format!("18 bytes\n{first}{second}"));
}

#[test]
fn socket_addresses() {
    assert_eq!(address("[fe80::1%3]:53".parse().unwrap()), "fe80::1%3#53");
    assert_eq!(address("[::1]:53".parse().unwrap()), "::1#53");
}

#[test]
fn names_of_multicast_dns() {
    for (name, leaks) in [
        ("printer.local", true),
        ("local", true),
        ("A.LOCAL", true),
        ("web.default.svc.cluster.local", false),
        ("Cluster.Local", false),
        ("cluster.printer.local", true),
        ("web.cluster.test", false),
        ("cluster", false),
        (".", false),
    ] {
        assert_eq!(leaks_mdns(&Name::parse(name).unwrap()), leaks, "{name}");
    }
}
