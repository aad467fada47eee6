//! Frames and header blocks of HTTP/2 from anybody.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netkit_http::h2::{Connection, Event, hpack};

fuzz_target!(|bytes: &[u8]| {
    let _ = hpack::Decoder::default().decode(bytes, 10_000);
    let mut connection = Connection::default();
    connection.request(&[(":method".to_owned(), "GET".to_owned())], true);
    let mut input = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
    input.extend_from_slice(bytes);
    let mut rest = input.as_slice();
    loop {
        match connection.feed(rest) {
            Ok((used, Some(Event::Data { length, skip, .. }))) => rest = &rest[used + length + skip..],
            Ok((used, Some(_))) => rest = &rest[used..],
            Ok((_, None)) | Err(_) => break,
        }
        connection.out.clear();
    }
});
