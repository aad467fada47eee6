//! A packet from anybody, printed through every link layer with several sets of options.
//!
//! The first byte chooses link type and options, the second how much of the packet was captured.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netkit_print::{Force, Options, Packet, Printer};

const LINKS: [u32; 12] = [1, 0, 9, 12, 50, 51, 101, 108, 113, 228, 229, 276];

fuzz_target!(|bytes: &[u8]| {
    let [choice, cut, data @ ..] = bytes else { return };
    let link = LINKS[usize::from(*choice) % LINKS.len()];
    let base = Options { numeric: 1, ..Options::default() };
    let sets = [
        base,
        Options { verbose: 1, link_header: true, ..base },
        Options { verbose: 3, absolute_seq: true, hex_ascii: 2, ..base },
        Options { quiet: true, hex: 1, numeric: 0, ..base },
        Options { verbose: 2, ascii: 1, force: Force::named("vxlan"), asdot: true, ..base },
    ];
    for options in sets {
        let mut printer = Printer::new(options);
        let length = data.len() as u32 + u32::from(*cut);
        // Twice, so that a connection is known the second time.
        for nanos in [0, 999_999_999] {
            printer.packet(&Packet { link, seconds: 1, nanos, data, length });
        }
        assert!(printer.out.ends_with(b"\n"));
        // A byte makes a bounded number of characters, or a file could print for ever.
        assert!(printer.out.len() < 20_000 + data.len() * 600, "{} bytes make {}", data.len(), printer.out.len());
        // What a terminal would obey never gets through.
        assert!(!printer.out.iter().any(|byte| *byte == 0x1b || *byte == 0x7f));
    }
});
