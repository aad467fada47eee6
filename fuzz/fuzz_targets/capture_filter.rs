//! A filter from anybody: compiled for several links, its program checked, shown, and run over bytes that are the filter
//! itself; and the same bytes taken as a program.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netkit_filter::{Ancillary, BuiltIn, Insn, Options, Program, Source, Style, compile, link};

fuzz_target!(|bytes: &[u8]| {
    let facts = Ancillary { packet_type: 4, ifindex: 1, vlan: Some(5) };
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let insns = bytes.chunks_exact(8).map(|chunk| Insn {
        code: u16::from_le_bytes([chunk[0], chunk[1]]),
        jt: chunk[2],
        jf: chunk[3],
        k: u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]),
    });
    if let Ok(program) = Program::new(insns.collect()) {
        program.run(bytes, length, Some(&facts));
        program.text(Style::Words);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if text.len() > 2000 {
        return;
    }
    let links = [link::ETHERNET, link::LINUX_SLL, link::LINUX_SLL2, link::RAW, link::NULL, link::PPP];
    for (index, link) in links.into_iter().enumerate() {
        for source in [Source::Live, Source::File { swapped: index % 2 == 0 }] {
            let options = Options { link, snaplen: 65_535, source, netmask: Some(0xffff_ff00), optimize: index < 3 };
            match compile(text, &options, &mut BuiltIn) {
                Ok(program) => {
                    assert!(Program::new(program.insns().to_vec()).is_ok());
                    program.run(bytes, length, Some(&facts));
                    program.text(Style::Words);
                }
                Err(error) => {
                    error.pointer(text);
                }
            }
        }
    }
});
