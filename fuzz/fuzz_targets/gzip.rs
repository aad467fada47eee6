//! Compressed streams from anybody, as gzip and tar read them.
#![no_main]

use std::io::{BufReader, Read};

use libfuzzer_sys::fuzz_target;
use netkit_mini::Gunzip;

fuzz_target!(|bytes: &[u8]| {
    let mut reader = Gunzip::new(BufReader::new(bytes)).take(16 << 20);
    let mut buffer = [0; 4096];
    while reader.read(&mut buffer).is_ok_and(|count| count > 0) {}
});
