//! A resolv.conf that somebody else wrote: every resolver's reading of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netkit_dns::resolv_conf::ResolvConf;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let mut conf = ResolvConf::parse(&text);
    assert!(conf.nameservers.len() <= conf.nameservers_loose.len());
    assert!(conf.warnings.len() <= text.lines().count());
    let _ = (conf.has("rotate"), format!("{conf:?}"));
    // As RES_OPTIONS adds to it.
    conf.add_options(text.split_whitespace());
});
