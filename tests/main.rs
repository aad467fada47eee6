//! End-to-end tests: the real binary against real servers and against the peers, in namespaces made here.
//!
//! One module per subject; each returns its trials. A trial that cannot run says so by returning
//! [`lab::Skip`]; under CI=true a skip is a failure.

#![allow(unreachable_pub, missing_docs)]

mod curl_diff;
mod curl_hostile;
mod curl_tls;
mod demo;
mod dig_diff;
mod dig_hostile;
mod dig_modes;
mod front;
mod host_nslookup;
mod image;
mod lab;
mod readme;
mod resolvers;

fn main() -> std::process::ExitCode {
    if let Some(status) = lab::helper().or_else(lab::recorder::dispatch) {
        return status;
    }
    let arguments = libtest_mimic::Arguments::from_args();
    let mut trials = Vec::new();
    trials.extend(front::trials());
    trials.extend(curl_diff::trials());
    trials.extend(curl_hostile::trials());
    trials.extend(curl_tls::trials());
    trials.extend(host_nslookup::trials());
    trials.extend(image::trials());
    trials.extend(demo::trials());
    trials.extend(lab::hierarchy::trials());
    trials.extend(dig_diff::trials());
    trials.extend(dig_hostile::trials());
    trials.extend(readme::trials());
    trials.extend(dig_modes::trials());
    trials.extend(resolvers::trials());
    libtest_mimic::run(&arguments, trials).exit_code()
}
