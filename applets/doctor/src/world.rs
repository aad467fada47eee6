//! What a walk is given, read once: options, environment, files, who we are.

use std::fs;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use netkit_core::Ctx;
use netkit_dns::hosts::Hosts;
use netkit_dns::resolv_conf::ResolvConf;
use netkit_dns::{HOSTS, RESOLV_CONF};

use crate::args::Options;

/// Variables that send requests through a proxy, in the order of their precedence for a scheme.
const PROXY_NAMES: [&str; 8] =
    ["http_proxy", "https_proxy", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"];

/// The world of one walk.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) options: Options,
    /// Seconds since the epoch, by our own clock.
    pub(crate) now: i64,
    /// When this binary was built, by the same count; 0 when that is unknown.
    pub(crate) built: i64,
    pub(crate) uid: u32,
    /// Variables of [`PROXY_NAMES`] that are set and not empty.
    pub(crate) proxies: Vec<(&'static str, String)>,
    pub(crate) localdomain: Option<String>,
    pub(crate) res_options: Option<String>,
    /// SSL_CERT_FILE or CURL_CA_BUNDLE, and SSL_CERT_DIR.
    pub(crate) cert_file: Option<PathBuf>,
    pub(crate) cert_dir: Option<PathBuf>,
    /// Ports that the environment of a Kubernetes container announces: NAME_SERVICE_PORT.
    pub(crate) service_ports: Vec<(String, u16)>,
    /// The text of `--resolv-conf`, which may be a pipe and is read once.
    given: Option<Result<String, io::ErrorKind>>,
    /// Send no server name in TLS, and accept whatever certificate comes.
    pub(crate) nameless: bool,
    /// Failures are counted, not examined.
    pub(crate) brief: bool,
    /// Whose files are read, when not our own.
    pub(crate) files_of: Option<u32>,
}

impl World {
    pub(crate) fn new(ctx: &Ctx, options: &Options) -> World {
        let var = |name: &str| ctx.var(name).filter(|value| !value.is_empty()).map(str::to_owned);
        let ports = ctx.env.iter().filter_map(|(name, value)| {
            let service = name.to_str()?.strip_suffix("_SERVICE_PORT")?;
            Some((service.to_owned(), value.to_str()?.parse().ok()?))
        });
        World {
            options: options.clone(),
            now: ctx.clock.unix_seconds(),
            built: ctx.build.epoch.parse().unwrap_or(0),
            uid: nix::unistd::geteuid().as_raw(),
            proxies: PROXY_NAMES.iter().filter_map(|name| Some((*name, var(name)?))).collect(),
            localdomain: var("LOCALDOMAIN"),
            res_options: var("RES_OPTIONS"),
            cert_file: var("SSL_CERT_FILE").or_else(|| var("CURL_CA_BUNDLE")).map(PathBuf::from),
            cert_dir: var("SSL_CERT_DIR").map(PathBuf::from),
            service_ports: ports.take(10_000).collect(),
            given: options.resolv_conf.as_ref().map(|path| given(path)),
            nameless: false,
            brief: false,
            files_of: options.from_pid,
        }
    }

    /// The longest wait for one answer.
    pub(crate) fn patience(&self) -> Duration {
        self.options.timeout
    }

    /// Whether a certificate of ours was given.
    pub(crate) fn has_certificate(&self) -> bool {
        self.options.cert.is_some()
    }

    /// Where a file of the resolver stands.
    pub(crate) fn place(&self, path: &str) -> PathBuf {
        match (&self.options.resolv_conf, self.files_of) {
            (Some(own), _) if path == RESOLV_CONF => own.clone(),
            (_, Some(pid)) => netkit_dns::path_of_pid(pid, path),
            _ => PathBuf::from(path),
        }
    }

    /// resolv.conf with what the environment adds, its servers at the port that was asked for.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(crate) fn resolv_conf(&self) -> io::Result<ResolvConf> {
        let mut conf = match &self.given {
            Some(Ok(text)) => ResolvConf::parse(text),
            Some(Err(kind)) => return Err((*kind).into()),
            None => ResolvConf::read(&self.place(RESOLV_CONF))?,
        };
        if let Some(domain) = &self.localdomain {
            conf.search = domain.split_whitespace().map(str::to_owned).collect();
        }
        if let Some(options) = &self.res_options {
            conf.add_options(options.split_whitespace());
        }
        let port = self.options.dns_port;
        conf.nameservers.iter_mut().chain(&mut conf.nameservers_loose).for_each(|server| server.set_port(port));
        Ok(conf)
    }

    pub(crate) fn hosts(&self) -> Hosts {
        Hosts::read(&self.place(HOSTS)).unwrap_or_default()
    }

    /// The resolver of last resort, where resolv.conf names none (resolv.conf(5)).
    pub(crate) fn local_server(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.options.dns_port))
    }

    pub(crate) fn proxy_var(&self, names: &[&str]) -> Option<(&'static str, &str)> {
        names.iter().find_map(|wanted| {
            let (name, value) = self.proxies.iter().find(|(name, _)| name == wanted)?;
            Some((*name, value.as_str()))
        })
    }
}

/// Reads a file of at most a mebibyte.
fn given(path: &Path) -> Result<String, io::ErrorKind> {
    const MOST: u64 = 1 << 20;
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(MOST).read_to_end(&mut bytes));
    read.map(|_| String::from_utf8_lossy(&bytes).into_owned()).map_err(|error| error.kind())
}

/// Capabilities in effect, by number (proc(5), CapEff).
pub(crate) fn effective_capabilities() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}
