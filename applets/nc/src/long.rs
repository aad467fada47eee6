//! Long names: ours, and those of ncat, which both personalities take.

use netkit_core::Error;
use netkit_probe::Protocol;
use netkit_probe::proxy::Kind as ProxyKind;
use netkit_probe::proxy_protocol::Version;

use crate::args::{Opts, Style, credentials, refused};
use crate::tls::Tls;
use crate::units;

/// All names taken, for the nearest one to a mistake.
pub(crate) const NAMES: &[&str] = &[
    "all-ips",
    "append-output",
    "crlf",
    "explain",
    "from-pid",
    "help",
    "hex-dump",
    "idle-timeout",
    "json",
    "keep-open",
    "listen",
    "max-conns",
    "netns",
    "no-shutdown",
    "nodns",
    "output",
    "proxy",
    "proxy-auth",
    "proxy-protocol",
    "proxy-type",
    "rc",
    "recv-only",
    "relay",
    "send-only",
    "source",
    "source-port",
    "ssl",
    "ssl-alpn",
    "ssl-cert",
    "ssl-key",
    "ssl-servername",
    "ssl-trustfile",
    "ssl-verify",
    "telnet",
    "tls",
    "udp",
    "unixsock",
    "verbose",
    "version",
    "wait",
    "wait-for",
];

/// Takes one long option; false when there is none of this name. `inline` is what stood behind `=`.
pub(crate) fn take(
    opts: &mut Opts,
    name: &str,
    inline: Option<&str>,
    value: &mut dyn FnMut() -> Option<String>,
) -> Result<bool, Error> {
    let name = whole(name);
    let switch = match name {
        "listen" => Some(&mut opts.listen),
        "keep-open" => Some(&mut opts.keep),
        "nodns" => Some(&mut opts.numeric),
        "crlf" => Some(&mut opts.crlf),
        "telnet" => Some(&mut opts.telnet),
        "unixsock" => Some(&mut opts.unix),
        "send-only" => Some(&mut opts.send_only),
        "recv-only" => Some(&mut opts.recv_only),
        "append-output" => Some(&mut opts.append),
        "rc" => Some(&mut opts.rc),
        "all-ips" => Some(&mut opts.all_ips),
        "json" => Some(&mut opts.json),
        "explain" => Some(&mut opts.explain),
        "relay" => Some(&mut opts.relay),
        "help" => Some(&mut opts.help),
        "version" => Some(&mut opts.version),
        "tls" | "ssl" => Some(&mut opts.tls.on),
        _ => None,
    };
    let simple = switch.is_some() || matches!(name, "udp" | "verbose" | "no-shutdown" | "ssl-verify" | "tls-verify");
    if let (true, Some(given)) = (simple, inline) {
        return Err(Error::usage(format!("--{name} takes no value, and `{given}` was given")));
    }
    if let Some(switch) = switch {
        *switch = true;
        return Ok(true);
    }
    let mut text = || {
        let given = value().filter(|given| !given.is_empty());
        given.ok_or_else(|| Error::usage(format!("--{name} needs a value")))
    };
    let time = |given: String| {
        let parsed = units::duration(&given);
        parsed.ok_or_else(|| Error::usage(format!("--{name}: `{given}` is no duration, such as 5, 500ms or 1m")))
    };
    match name {
        "udp" => opts.protocol = Protocol::Udp,
        "verbose" => opts.verbose = opts.verbose.saturating_add(1),
        "no-shutdown" => opts.half_close = false,
        "source" => opts.source = Some(text()?),
        "source-port" => opts.source_port = Some(text()?),
        "idle-timeout" => {
            opts.idle = Some(time(text()?)?);
            opts.watch = opts.idle;
        }
        "wait" if opts.style == Style::Ncat => opts.timeout = Some(time(text()?)?),
        "wait" | "wait-for" => opts.wait_for = Some(time(text()?)?),
        "max-conns" => {
            let given = text()?;
            let count = given.parse().ok().filter(|count| (1..=1_000_000).contains(count));
            opts.max_conns = Some(count.ok_or_else(|| Error::usage(format!("--max-conns: `{given}` is no count")))?);
        }
        "output" => opts.output = Some(text()?),
        // ncat wants a file; ours shows on stderr unless one is named.
        "hex-dump" if opts.style == Style::Ncat => opts.hex_dump = Some(Some(text()?)),
        "hex-dump" => opts.hex_dump = Some(inline.filter(|file| !file.is_empty()).map(str::to_owned)),
        "proxy" => opts.proxy = Some(text()?),
        "proxy-auth" => opts.proxy_user = Some(credentials(&text()?)),
        "proxy-type" => {
            let given = text()?;
            opts.proxy_kind = match given.as_str() {
                "http" => ProxyKind::Http,
                "socks4" => ProxyKind::Socks4,
                "socks4a" => ProxyKind::Socks4a,
                "socks5" => ProxyKind::Socks5,
                _ => return Err(Error::usage(format!("Invalid proxy type \"{given}\". QUITTING."))),
            };
        }
        "proxy-protocol" => {
            let given = text()?;
            opts.proxy_protocol = Some(proxy_version(&given)?);
        }
        "netns" => opts.netns = Some(text()?),
        "from-pid" => {
            let given = text()?;
            let pid = given.parse().ok().filter(|pid| *pid > 0);
            opts.from_pid = Some(pid.ok_or_else(|| Error::usage(format!("--from-pid: `{given}` is no process id")))?);
        }
        "exec" | "sh-exec" | "lua-exec" => {
            return Err(refused(
                &format!("--{name}"),
                "running programs for peers is left out on purpose; see --relay",
            ));
        }
        "ssl-ciphers" => {
            return Err(refused("--ssl-ciphers", "the suites of TLS 1.2 and 1.3 that are safe are offered"));
        }
        _ if name.starts_with("ssl-") || name.starts_with("tls-") => {
            let setting = name.get(4..).unwrap_or("");
            if !Tls::default().set(setting, "") {
                return Ok(false);
            }
            let given = if setting == "verify" { String::new() } else { text()? };
            opts.tls.set(setting, &given);
        }
        "sctp" | "vsock" => return Err(refused(&format!("--{name}"), "only TCP, UDP and Unix sockets are")),
        "broker" | "chat" => return Err(refused(&format!("--{name}"), "netkit connects two ends, not many")),
        "allow" | "allowfile" | "deny" | "denyfile" => {
            return Err(refused(&format!("--{name}"), "use a NetworkPolicy or nftables"));
        }
        "proxy-dns" => return Err(refused("--proxy-dns", "names go to the proxy unless it is of type socks4")),
        _ => return Ok(false),
    }
    Ok(true)
}

/// The only name that begins so, as getopt_long(3) takes abbreviations.
fn whole(name: &str) -> &str {
    let mut beginning = NAMES.iter().filter(|known| known.starts_with(name));
    match (NAMES.contains(&name), beginning.next(), beginning.next()) {
        (false, Some(only), None) => only,
        _ => name,
    }
}

/// `v1` or `v2`.
pub(crate) fn proxy_version(text: &str) -> Result<Version, Error> {
    match text {
        "v1" | "1" => Ok(Version::V1),
        "v2" | "2" => Ok(Version::V2),
        _ => Err(Error::usage(format!("the PROXY protocol has versions v1 and v2, not `{text}`"))),
    }
}
