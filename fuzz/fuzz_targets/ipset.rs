//! A dump of IP sets: read and printed in every form, sorted and not.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netkit_nf::ipset::{Depth, Mode, Printer};
use netkit_nl::Messages;

fuzz_target!(|bytes: &[u8]| {
    for mode in [Mode::Plain, Mode::Save, Mode::Xml] {
        for (depth, sorted) in [(Depth::All, false), (Depth::All, true), (Depth::Headers, false), (Depth::Names, false)] {
            let mut out = String::new();
            let mut printer = Printer::new(mode, depth, sorted);
            printer.begin(&mut out);
            for message in Messages::new(bytes) {
                printer.message(&mut out, &message);
            }
            printer.end(&mut out);
        }
    }
});
