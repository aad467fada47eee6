//! A capture file from anybody: pcap or pcapng, every record printed as it comes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netkit_print::{Options, Packet, Printer};
use netkit_wire::pcap::{self, Reader};

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    // Few random files have a header.
    for header in [pcap::file_header(1, 0, false).to_vec(), pcap::ng_header(&[(1, 0, ""), (113, 64, "eth0")])] {
        read(&[&header, bytes].concat());
    }
});

fn read(bytes: &[u8]) {
    let Ok(mut reader) = Reader::open(Box::new(bytes)) else { return };
    let mut printer = Printer::new(Options { numeric: 1, verbose: 1, number: true, ..Options::default() });
    while let Ok(Some(record)) = reader.next() {
        assert!(record.data.len() <= bytes.len());
        let (link, seconds, nanos) = (record.link, record.seconds, record.nanos);
        printer.packet(&Packet { link, seconds, nanos, data: record.data, length: record.length });
        printer.out.clear();
    }
}
