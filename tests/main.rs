//! End-to-end tests: the real binary against real servers and against the peers, in namespaces made here.
//!
//! One module per subject; each returns its trials. A trial that cannot run says so by returning
//! [`lab::Skip`]; under CI=true a skip is a failure.

#![allow(unreachable_pub, missing_docs)]

mod curl_cases;
mod curl_diff;
mod curl_hostile;
mod curl_proxies;
mod curl_tls;
mod curl_trace;
mod demo;
mod dig_diff;
mod dig_hostile;
mod dig_modes;
mod dig_tls;
mod doctor;
mod file_capabilities;
mod firewall;
mod front;
mod host_nslookup;
mod image;
mod ip_diff;
mod ipset;
mod iptables;
mod iptables_trace;
mod jq_cases;
mod jq_cli;
mod jq_diff;
mod lab;
mod mini;
mod nc_diff;
mod nc_extras;
mod nc_own;
mod nc_stress;
mod nc_tls;
mod nft;
mod packed;
mod ping;
mod portscan;
mod portscan_raw;
mod readme;
mod resolvers;
mod sh;
mod sh_terminal;
mod ss_diff;
mod ss_modes;
mod tcpdump_cli;
mod tcpdump_diff;
mod tcpdump_filter;
mod tcpdump_live;
mod tcpdump_samples;
mod tls_client;
mod tls_enumerate;
mod tls_matrix;
mod tls_probe;
mod wget_diff;

fn main() -> std::process::ExitCode {
    let inner = lab::helper().or_else(doctor::actors::helper).or_else(lab::recorder::dispatch);
    if let Some(status) =
        inner.or_else(nc_diff::stage::dispatch).or_else(ss_diff::scene::helper).or_else(tcpdump_live::helper)
    {
        return status;
    }
    lab::allow_files();
    let arguments = libtest_mimic::Arguments::from_args();
    let mut trials = Vec::new();
    trials.extend(file_capabilities::trials());
    trials.extend(front::trials());
    trials.extend(curl_cases::trials());
    trials.extend(curl_diff::trials());
    trials.extend(curl_hostile::trials());
    trials.extend(curl_proxies::trials());
    trials.extend(curl_tls::trials());
    trials.extend(curl_trace::trials());
    trials.extend(host_nslookup::trials());
    trials.extend(image::trials());
    trials.extend(ipset::trials());
    trials.extend(iptables::trials());
    trials.extend(iptables_trace::trials());
    trials.extend(jq_cli::trials());
    trials.extend(jq_diff::trials());
    trials.extend(ip_diff::trials());
    trials.extend(demo::trials());
    trials.extend(doctor::trials());
    trials.extend(lab::hierarchy::trials());
    trials.extend(mini::trials());
    trials.extend(dig_diff::trials());
    trials.extend(dig_hostile::trials());
    trials.extend(portscan::trials());
    trials.extend(portscan_raw::trials());
    trials.extend(readme::trials());
    trials.extend(dig_modes::trials());
    trials.extend(dig_tls::trials());
    trials.extend(resolvers::trials());
    trials.extend(jq_cases::trials());
    trials.extend(nc_diff::trials());
    trials.extend(firewall::trials());
    trials.extend(nc_own::trials());
    trials.extend(nc_extras::trials());
    trials.extend(nc_stress::trials());
    trials.extend(sh::trials());
    trials.extend(sh_terminal::trials());
    trials.extend(nft::trials());
    trials.extend(packed::trials());
    trials.extend(ping::trials());
    trials.extend(ss_diff::trials());
    trials.extend(ss_modes::trials());
    trials.extend(tcpdump_filter::trials());
    trials.extend(nc_tls::trials());
    trials.extend(tls_enumerate::trials());
    trials.extend(tls_client::trials());
    trials.extend(tls_matrix::trials());
    trials.extend(tls_probe::trials());
    trials.extend(wget_diff::trials());
    trials.extend(tcpdump_live::trials());
    trials.extend(tcpdump_cli::trials());
    trials.extend(tcpdump_diff::trials());
    trials.extend(tcpdump_samples::trials());
    libtest_mimic::run(&arguments, trials).exit_code()
}
