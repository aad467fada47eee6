//! End-to-end tests: the real binary against real servers and against the peers, in namespaces made here.
//!
//! One module per subject; each returns its trials. A trial that cannot run says so by returning
//! [`lab::Skip`]; under CI=true a skip is a failure.

#![allow(unreachable_pub, missing_docs)]

mod front;
mod image;
mod lab;

fn main() -> std::process::ExitCode {
    let arguments = libtest_mimic::Arguments::from_args();
    let mut trials = Vec::new();
    trials.extend(front::trials());
    trials.extend(image::trials());
    libtest_mimic::run(&arguments, trials).exit_code()
}
