//! The front door: names, links, empty argv, install.

use std::process::Command;
use std::time::Duration;

use libtest_mimic::Trial;

use crate::lab::{self, same, trial};

pub fn trials() -> Vec<Trial> {
    vec![trial("front::unknown_applet_is_127", || {
        let out = lab::run(Command::new(lab::netkit()).arg("dgi"), Duration::from_secs(5))?;
        same("status", &out.status.code().unwrap_or(-1).to_string(), "127")?;
        same("stderr", &String::from_utf8_lossy(&out.stderr), "netkit: no applet `dgi`; did you mean `dig`?\n")
    })]
}
