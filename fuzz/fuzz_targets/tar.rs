//! Archives from anybody: no name, size or extended header may cost more memory than it has bytes, or end in a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netkit_mini::Reader;

fuzz_target!(|bytes: &[u8]| {
    let mut input = bytes;
    let mut reader = Reader::new(&mut input);
    let mut buffer = [0; 4096];
    while let Ok(Some(_)) = reader.next() {
        while reader.content(&mut buffer).is_ok_and(|count| count > 0) {}
    }
});
