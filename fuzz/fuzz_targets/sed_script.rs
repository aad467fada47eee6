//! sed scripts and the expressions in them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = netkit_mini::is_sed_script(bytes);
});
