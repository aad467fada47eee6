//! A script from anybody: read as the shell reads it, nothing run. What is read has an end, and reading it again gives the
//! same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netkit_sh::check_syntax;

fuzz_target!(|script: &[u8]| {
    let first = check_syntax(script);
    assert_eq!(first, check_syntax(script));
    // A line that cannot be reached changes nothing about what stands before it.
    if let Ok(count) = first {
        let mut longer = script.to_vec();
        longer.extend_from_slice(b"\n");
        if let Ok(more) = check_syntax(&longer) {
            assert!(more >= count);
        }
    }
});
