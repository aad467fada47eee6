//! What a lookup runs in: files of the host, keys, time, and where its output goes.

use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use netkit_core::{Clock, Ctx, Error};
use netkit_dns::hosts::Hosts;
use netkit_dns::random::random_u64;
use netkit_dns::resolv_conf::ResolvConf;
use netkit_dns::{HOSTS, RESOLV_CONF, rooted};
use netkit_wire::dns::Name;
use netkit_wire::dns::tsig::{Algorithm, Key};

use crate::exit;
use crate::link::Link;
use crate::lookup::{Family, KeyText, Server};

/// Everything a lookup reads and never changes; shared by the threads of a batch.
#[derive(Clone)]
pub(crate) struct Env {
    pub(crate) resolv: ResolvConf,
    pub(crate) hosts: Hosts,
    pub(crate) clock: &'static dyn Clock,
    /// The TSIG key, if one was given and could be made.
    pub(crate) key: Option<Key>,
    /// A key was given and could not be made.
    pub(crate) key_failed: bool,
    /// Client cookie, the same for the whole run (RFC 7873, 4.1).
    pub(crate) cookie: [u8; 8],
    /// Hints are wanted, so that a query or two for them are worth it.
    pub(crate) hints: bool,
}

impl Env {
    /// Reads resolv.conf and hosts, those of process `pid` if one is named.
    ///
    /// # Errors
    /// When the process does not exist or its files cannot be read. A missing file on this host is no error.
    pub(crate) fn read(clock: &'static dyn Clock, pid: Option<&str>) -> Result<Env, Error> {
        let root = match pid {
            None => PathBuf::from("/"),
            Some(pid) => root_of(pid)?,
        };
        // Links such as /etc/resolv.conf -> /run/... lead through that process's root, not ours.
        let file = |path: &str| match pid {
            None => PathBuf::from(path),
            Some(_) => rooted::path_in(&root, path),
        };
        let conf = file(RESOLV_CONF);
        let resolv = match ResolvConf::read(&conf) {
            Ok(resolv) => resolv,
            Err(error) if pid.is_some() => {
                return Err(Error::new(exit::USAGE, format!("cannot read {}: {error}", conf.display())));
            }
            Err(_) => ResolvConf::default(),
        };
        let hosts = Hosts::read(&file(HOSTS)).unwrap_or_default();
        Ok(Env { resolv, hosts, clock, key: None, key_failed: false, cookie: random_u64().to_be_bytes(), hints: false })
    }

    /// Makes the TSIG key. A key that cannot be made is said, and the queries go unsigned, as with BIND.
    pub(crate) fn make_key(&mut self, text: Option<&KeyText>, file: Option<&str>, out: &mut String, err: &mut String) {
        let from_file;
        let text = match file {
            None => text,
            Some(path) => match key_file(path) {
                Ok(key) => {
                    from_file = key;
                    Some(&from_file)
                }
                Err(why) => {
                    err.push_str(&format!("Couldn't read key from {path}: {why}\n"));
                    return;
                }
            },
        };
        let Some(text) = text else { return };
        match key(text, err) {
            Ok(key) => self.key = Some(key),
            Err(why) => {
                self.key_failed = true;
                out.push_str(&format!(";; Couldn't create key {}: {why}\n", text.name));
            }
        }
    }

    /// The servers of resolv.conf that `family` allows; without any, this host.
    pub(crate) fn servers(&self, family: Family) -> Vec<Server> {
        let server = |address: SocketAddr| Server {
            address: address.ip(),
            scope: if let SocketAddr::V6(v6) = address { v6.scope_id() } else { 0 },
            port: None,
            label: address.ip().to_string(),
        };
        let allowed = |server: &Server| family.allows(server.address);
        let listed: Vec<Server> =
            self.resolv.nameservers.iter().take(NAME_SERVERS).map(|s| server(*s)).filter(allowed).collect();
        if !listed.is_empty() {
            return listed;
        }
        let local = [SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 53)), SocketAddr::from(([127, 0, 0, 1], 53))];
        local.map(server).into_iter().filter(allowed).collect()
    }

    /// Attempts of resolv.conf if it says so, else dig's own default.
    pub(crate) fn tries(&self) -> u32 {
        let said = self.resolv.options.iter().any(|option| option.starts_with("attempts:"));
        if said && self.resolv.attempts != 0 { self.resolv.attempts } else { 3 }
    }

    /// Seconds to wait, if resolv.conf says so.
    pub(crate) fn timeout(&self) -> Option<u32> {
        let said = self.resolv.options.iter().any(|option| option.starts_with("timeout:"));
        (said && self.resolv.timeout != 0).then_some(self.resolv.timeout)
    }
}

/// Most servers of resolv.conf that are asked (RESCONFMAXNAMESERVERS of BIND's libirs).
const NAME_SERVERS: usize = 3;

fn root_of(pid: &str) -> Result<PathBuf, Error> {
    if pid.is_empty() || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::usage("--from-pid takes the number of a process"));
    }
    let root = Path::new("/proc").join(pid).join("root");
    match fs::metadata(root.join(".")) {
        Ok(_) => Ok(root),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::usage(format!("--from-pid: there is no process {pid}")))
        }
        Err(error) => Err(Error::new(exit::USAGE, format!("--from-pid: cannot look into {}: {error}", root.display()))
            .hint(netkit_core::privilege::missing(
                netkit_core::privilege::Capability::SysPtrace,
                "reading another process's files",
                "this container's own resolv.conf",
            ))),
    }
}

fn key(text: &KeyText, err: &mut String) -> Result<Key, &'static str> {
    let algorithm = text.algorithm.as_deref().unwrap_or("");
    let parsed: Result<Algorithm, _> = algorithm.to_ascii_lowercase().parse();
    if parsed.is_err() {
        let shown = netkit_core::text::printable(algorithm);
        err.push_str(&format!(";; Warning, ignoring invalid TSIG algorithm {shown}\n"));
    }
    let secret = crate::numbers::base64(&text.secret).ok_or("bad base64 encoding")?;
    let algorithm = parsed.map_err(|_| "algorithm is unsupported")?;
    let name = Name::parse(&text.name).map_err(|_| "bad name")?;
    Ok(Key { name, algorithm, secret })
}

/// A key statement as named.conf has it: `key "name" { algorithm a; secret "s"; };`
fn key_file(path: &str) -> Result<KeyText, String> {
    let content = fs::read_to_string(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "file not found".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    })?;
    parse_key(&content).ok_or_else(|| "unexpected token".to_owned())
}

fn parse_key(content: &str) -> Option<KeyText> {
    let mut plain = String::new();
    for line in content.lines() {
        let line = line.split("//").next().unwrap_or("").split('#').next().unwrap_or("");
        plain.push_str(line);
        plain.push(' ');
    }
    let spaced = plain.replace(['{', '}', ';'], " ");
    let mut words = spaced.split_whitespace().map(|word| word.trim_matches('"'));
    let mut key = KeyText { algorithm: None, name: String::new(), secret: String::new() };
    while let Some(word) = words.next() {
        match word {
            "key" => words.next()?.clone_into(&mut key.name),
            "algorithm" => key.algorithm = Some(words.next()?.to_owned()),
            "secret" => words.next()?.clone_into(&mut key.secret),
            _ => {}
        }
    }
    (key.algorithm.is_some() && !key.name.is_empty() && !key.secret.is_empty()).then_some(key)
}

/// What one lookup may hand to the next (`+keepopen`).
#[derive(Default)]
pub(crate) struct Carry {
    pub(crate) connection: Option<Link>,
}

/// Where a lookup writes. With a context every [`Sink::flush`] reaches the user; without, all is kept for later.
pub(crate) struct Sink<'a> {
    pub(crate) out: String,
    pub(crate) err: String,
    /// Advice, printed when the house rule on hints allows it.
    pub(crate) hints: Vec<String>,
    live: Option<&'a mut Ctx>,
    /// stdout is gone; nothing more is worth doing.
    pub(crate) broken: Option<io::Error>,
}

impl<'a> Sink<'a> {
    pub(crate) fn kept() -> Sink<'static> {
        Sink { out: String::new(), err: String::new(), hints: Vec::new(), live: None, broken: None }
    }

    pub(crate) fn live(ctx: &'a mut Ctx) -> Sink<'a> {
        Sink { out: String::new(), err: String::new(), hints: Vec::new(), live: Some(ctx), broken: None }
    }

    /// Hands on what has gathered.
    pub(crate) fn flush(&mut self) {
        let Some(ctx) = self.live.as_deref_mut() else { return };
        let mut wrote = ctx.stdout.write_all(self.out.as_bytes());
        if wrote.is_ok() && !self.out.is_empty() {
            wrote = ctx.stdout.flush();
        }
        self.out.clear();
        if let Err(error) = wrote {
            self.broken.get_or_insert(error);
        }
        if !self.err.is_empty() {
            let _ = ctx.stderr.write_all(self.err.as_bytes());
            self.err.clear();
        }
        for hint in self.hints.drain(..) {
            ctx.hint(&hint);
        }
    }

    /// Hands on when enough has gathered that it should not wait (a long transfer).
    pub(crate) fn flush_if_large(&mut self) {
        const LARGE: usize = 1 << 15;
        if self.out.len() >= LARGE {
            self.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_statements() {
        let text =
            "# made by tsig-keygen\nkey \"k.example.\" {\n\talgorithm hmac-sha256;\n\tsecret \"AAEC/w==\";\n};\n";
        let key = parse_key(text).unwrap();
        assert_eq!(
            (key.name.as_str(), key.algorithm.as_deref(), key.secret.as_str()),
            ("k.example.", Some("hmac-sha256"), "AAEC/w==")
        );
        assert_eq!(parse_key("key a { algorithm hmac-md5; };"), None);
    }
}
