//! Connections through a proxy (`-x`, `-X`, `-P`).

use std::io::Read as _;
use std::time::Duration;

use netkit_core::Error;
use netkit_probe::proxy::{Credentials, Destination, Kind, ProxyError, negotiate};
use netkit_probe::{Family, Plan, Protocol, connect, literal, resolve};
use socket2::Socket;

use crate::args::{FAILURE, Style};
use crate::session::Session;
use crate::{client, password};

/// How long a proxy may take for each answer when `-w` says nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to `host` and `port` through the proxy; `Ok(None)` when the proxy could not be reached, which has been
/// said then if it was to be said.
pub(crate) fn open(session: &mut Session<'_>, proxy: &str, host: &str, port: u16) -> Result<Option<Socket>, Error> {
    let kind = match (session.opts.proxy_kind, session.opts.style) {
        // ncat means both by one name, and leaves looking up to the proxy.
        (Kind::Socks4, Style::Ncat) => Kind::Socks4a,
        (kind, _) => kind,
    };
    let (proxy_host, proxy_port) = split(proxy, kind)?;
    let destination = destination(session, kind, host, port)?;
    let mut credentials = session.opts.proxy_user.clone();
    // With a user alone nc asks for the password once the proxy has asked for it.
    let mut prompt = credentials.take_if(|given| given.password.is_empty() && kind == Kind::Http);
    loop {
        let addresses = resolve(&proxy_host, proxy_port, session.opts.family, &session.lookup)
            .map_err(|error| client::lookup_failed(session, &proxy_host, proxy_port, &error))?;
        let plan = Plan::new(addresses, Protocol::Tcp, session.opts.timeout);
        let report = connect(&Plan { options: session.opts.socket.clone(), ..plan }, &mut |_| {});
        for attempt in report.attempts.iter() {
            if session.opts.style == Style::Nc {
                client::tell_attempt(session, &proxy_host, attempt);
            }
        }
        let Some(mut socket) = report.socket else {
            if session.opts.style == Style::Ncat {
                let errno = report.attempts.last().and_then(|attempt| attempt.outcome.errno()).unwrap_or(0);
                return Err(Error::new(
                    FAILURE,
                    format!("Proxy connection failed: {}.", netkit_probe::errno::text(errno)),
                ));
            }
            return Ok(None);
        };
        let patience = session.opts.timeout.unwrap_or(PATIENCE).max(Duration::from_millis(1));
        let _ = socket.set_read_timeout(Some(patience));
        let _ = socket.set_write_timeout(Some(patience));
        match negotiate(&mut socket, kind, &destination, credentials.as_ref()) {
            Ok(()) => {
                let _ = socket.set_read_timeout(None);
                let _ = socket.set_write_timeout(None);
                return Ok(Some(socket));
            }
            Err(ProxyError::AuthenticationRequired(line)) => match prompt.take() {
                None => return Err(failed(session, &ProxyError::AuthenticationRequired(line))),
                Some(Credentials { user, .. }) => {
                    let password = password::ask(&format!("Proxy password for {user}@{proxy_host}: "))?;
                    credentials = Some(Credentials { user, password });
                }
            },
            Err(error) => {
                if session.opts.style == Style::Ncat {
                    take_rest(&socket);
                }
                return Err(failed(session, &error));
            }
        }
    }
}

/// Reads what the proxy has sent behind its refusal: closing over unread bytes would answer it with a reset.
fn take_rest(mut socket: &Socket) {
    let _ = socket.set_nonblocking(true);
    let mut rest = [0u8; 4_096];
    for _ in 0..16 {
        if !matches!(socket.read(&mut rest), Ok(length) if length > 0) {
            return;
        }
    }
}

fn failed(session: &Session<'_>, error: &ProxyError) -> Error {
    let text = match session.opts.style {
        Style::Nc => error.to_string(),
        Style::Ncat => ncat_text(error),
    };
    let error = Error::new(FAILURE, text);
    match session.opts.proxy_kind {
        Kind::Http => error.hint("the proxy answered; what refuses is the proxy, or what lies behind it"),
        _ => error,
    }
}

fn ncat_text(error: &ProxyError) -> String {
    match error {
        ProxyError::Status(line) | ProxyError::AuthenticationRequired(line) => {
            let status = line.split(' ').nth(1).unwrap_or("");
            format!("Proxy returned status code {status}.")
        }
        ProxyError::Socks5(1) => "Error: general SOCKS server failure.".to_owned(),
        ProxyError::Socks5(2) => "Error: connection not allowed by ruleset.".to_owned(),
        ProxyError::Socks5(3) => "Error: Network unreachable.".to_owned(),
        ProxyError::Socks5(4) => "Error: Host unreachable.".to_owned(),
        ProxyError::Socks5(5) => "Error: Connection refused.".to_owned(),
        ProxyError::Socks5(6) => "Error: TTL expired.".to_owned(),
        ProxyError::Socks5(7) => "Error: Command not supported.".to_owned(),
        ProxyError::Socks5(8) => "Error: Address type not supported.".to_owned(),
        ProxyError::Socks5(_) => "Error: unassigned value in the reply.".to_owned(),
        ProxyError::Socks4(_) => "Proxy connection failed.".to_owned(),
        ProxyError::NoMethod => "Error: no acceptable authentication method proposed.".to_owned(),
        ProxyError::Denied => "Error: authentication failed.".to_owned(),
        other => format!("Error: {other}."),
    }
}

fn destination(session: &Session<'_>, kind: Kind, host: &str, port: u16) -> Result<Destination, Error> {
    if let Some((address, _)) = literal(host) {
        return Ok(Destination::Address((address, port).into()));
    }
    if kind != Kind::Socks4 {
        return Ok(Destination::Name(host.to_owned(), port));
    }
    // SOCKS4 knows no names: this side looks them up.
    let addresses = resolve(host, port, Family::Inet, &session.lookup)
        .map_err(|error| client::lookup_failed(session, host, port, &error))?;
    let first = addresses.first().ok_or_else(|| Error::new(FAILURE, "the name has no IPv4 address"))?;
    Ok(Destination::Address(*first))
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`.
fn split(proxy: &str, kind: Kind) -> Result<(String, u16), Error> {
    let fail = |text: &str| Error::new(FAILURE, text);
    let (host, port) = if let Some(rest) = proxy.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(|| fail("missing closing bracket in proxy"))?;
        match (rest, rest.strip_prefix(':')) {
            ("", _) => (host, None),
            (_, Some(port)) => (host, Some(port)),
            _ => return Err(fail("garbage proxy port delimiter")),
        }
    } else {
        match proxy.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') => (host, Some(port)),
            _ => (proxy, None),
        }
    };
    let port = port.map(crate::units::port).transpose()?;
    Ok((host.to_owned(), port.unwrap_or_else(|| kind.default_port())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxy_addresses() {
        let split = |text: &str| split(text, Kind::Socks5).map_err(|error| error.message);
        assert_eq!(split("p"), Ok(("p".to_owned(), 1080)));
        assert_eq!(split("p:3"), Ok(("p".to_owned(), 3)));
        assert_eq!(split("::1"), Ok(("::1".to_owned(), 1080)));
        assert_eq!(split("[::1]:3"), Ok(("::1".to_owned(), 3)));
        assert_eq!(split("[::1"), Err("missing closing bracket in proxy".to_owned()));
        assert_eq!(split("[::1]x"), Err("garbage proxy port delimiter".to_owned()));
        assert!(split("p:x").is_err());
    }
}
