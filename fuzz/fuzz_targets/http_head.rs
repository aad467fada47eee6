//! Response heads, chunked bodies, cookies, URLs, dates and challenges from anybody.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netkit_http::auth::{Challenge, schemes};
use netkit_http::chunked::{Chunked, Piece};
use netkit_http::cookies::{Jar, Place};
use netkit_http::head::{Head, content_length, status_line};
use netkit_http::{Url, date};

fuzz_target!(|bytes: &[u8]| {
    let mut head = Head::default();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if number == 0 {
            let _ = status_line(line);
        } else if head.add(line).is_err() {
            break;
        }
    }
    let _ = content_length(&head);
    for (_, parameters) in head.all("www-authenticate").flat_map(schemes) {
        let _ = Challenge::parse(parameters);
    }
    let text = String::from_utf8_lossy(bytes);
    let place = Place { host: "www.example.com", path: "/a/b", secure: true, now: 1_000_000_000 };
    let mut jar = Jar::default();
    let _ = jar.set(&text, place);
    jar.read(&text, 1_000_000_000);
    // What is written can be read again, and is then written the same.
    let written = jar.text(1_000_000_000);
    let mut again = Jar::default();
    again.read(&written, 1_000_000_000);
    assert_eq!(again.len(), jar.len());
    let _ = (jar.header(place), date::parse(&text));
    if let Ok(url) = Url::parse(&text, false) {
        let _ = url.join(&text, false);
    }
    let mut chunked = Chunked::default();
    let mut rest = bytes;
    while let Ok((used, piece)) = chunked.feed(rest) {
        rest = &rest[used..];
        match piece {
            Piece::Data(length) => rest = &rest[length..],
            Piece::Trailer(_) => {}
            Piece::More | Piece::Done => break,
        }
    }
});
