//! A hosts file that somebody else wrote: every name in it leads to its address.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netkit_dns::hosts::Hosts;

fuzz_target!(|bytes: &[u8]| {
    let hosts = Hosts::parse(&String::from_utf8_lossy(bytes));
    // Each lookup reads the whole file.
    for entry in hosts.entries.iter().take(64) {
        for name in entry.names.iter().take(16) {
            assert!(hosts.addresses(name).contains(&entry.address), "{name:?}");
        }
    }
});
