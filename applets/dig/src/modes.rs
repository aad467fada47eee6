//! What no peer has: `--as`, `@all`, `--race` and `--path`. They share a small grammar of their own,
//! because most of dig's options make no sense with them and are refused by name.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use netkit_core::{Ctx, Error, Exit, text};
use netkit_dns::random::random_u16;
use netkit_dns::resolv_conf::ResolvConf;
use netkit_dns::simulate::Resolver;
use netkit_dns::{RESOLV_CONF, path_of_pid};
use netkit_wire::dns::{Class, Edns, Message, Name, Query, Question, RrType, Section};

use crate::session::Env;
use crate::{all, as_resolvers, path, race};

/// Most pairs `--race` sends; ten thousand queries a side are enough to see one loss in a thousand.
const MAX_PAIRS: u32 = 10_000;
/// dig's own +time, in seconds.
const DEFAULT_TIMEOUT: u32 = 5;
/// A query is never waited for longer than this, in seconds.
const MAX_TIMEOUT: u32 = 60;

/// Which of them.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Mode {
    As(Vec<Resolver>),
    All,
    Race(u32),
    Path,
}

/// The request, validated.
#[derive(Debug)]
pub(crate) struct Request {
    /// As typed.
    pub(crate) name: String,
    /// The type, if one was given.
    pub(crate) rtype: Option<RrType>,
    /// Servers named with `@`; empty means those of resolv.conf.
    servers: Vec<SocketAddr>,
    /// Port of servers from resolv.conf.
    pub(crate) port: u16,
    /// How long one query is waited for.
    pub(crate) timeout: Duration,
    /// One JSON object instead of text.
    pub(crate) json: bool,
    /// Whose files are read.
    pub(crate) from_pid: Option<u32>,
    netns: Option<String>,
    explain: bool,
}

/// Runs a mode if the command line names one.
pub(crate) fn run(ctx: &mut Ctx) -> Option<Result<Exit, Error>> {
    let words = ctx.args_lossy();
    let asked = |word: &String| {
        word == "@all" || ["--as", "--race", "--path"].iter().any(|mode| word.split('=').next() == Some(*mode))
    };
    words.iter().any(asked).then(|| dispatch(ctx, &words))
}

fn dispatch(ctx: &mut Ctx, words: &[String]) -> Result<Exit, Error> {
    let (mode, request) = parse(words)?;
    ctx.explain |= request.explain;
    if let Some(pid) = request.from_pid {
        // A process that is gone or out of reach is reported in the words of a plain look-up.
        Env::read(ctx.clock, Some(&pid.to_string()))?;
    }
    if let Some(target) = &request.netns {
        netkit_sys::netns::enter(target)?;
    }
    match mode {
        Mode::As(_) if !request.servers.is_empty() => Err(Error::usage(
            "--as asks the name servers of resolv.conf, as the application would; it takes no @server",
        )),
        Mode::As(resolvers) => as_resolvers::run(ctx, &request, &resolvers),
        Mode::All => all::run(ctx, &request),
        Mode::Race(pairs) => race::run(ctx, &request, pairs),
        Mode::Path => path::run(ctx, &request),
    }
}

fn parse(words: &[String]) -> Result<(Mode, Request), Error> {
    let mut mode = None;
    let mut name: Option<String> = None;
    let mut request = Request {
        name: String::new(),
        rtype: None,
        servers: Vec::new(),
        port: 53,
        timeout: Duration::from_secs(u64::from(DEFAULT_TIMEOUT)),
        json: false,
        from_pid: None,
        netns: None,
        explain: false,
    };
    let mut server_words = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let (key, inline) = match word.split_once('=') {
            Some((key, value)) if word.starts_with(['-', '+']) => (key, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        let mut value = |inline: Option<String>| {
            inline
                .or_else(|| rest.next().cloned())
                .filter(|value| !value.is_empty())
                .ok_or_else(|| Error::usage(format!("{key} needs a value")))
        };
        let chosen = match key {
            "--as" => Mode::As(resolvers(&value(inline)?)?),
            "--race" => Mode::Race(number(key, &value(inline)?, MAX_PAIRS)?),
            "--path" if inline.is_none() => Mode::Path,
            "@all" => Mode::All,
            "-p" => {
                request.port = u16::try_from(number(key, &value(inline)?, 65_535)?).unwrap_or(53);
                continue;
            }
            "+time" | "+timeout" => {
                let seconds = number(key, &value(inline)?, MAX_TIMEOUT)?;
                request.timeout = Duration::from_secs(u64::from(seconds));
                continue;
            }
            // The way to ask for a name that begins with a hyphen, as in dig.
            "-q" => {
                name = Some(value(inline)?);
                continue;
            }
            "--from-pid" => {
                request.from_pid = Some(number(key, &value(inline)?, i32::MAX.unsigned_abs())?);
                continue;
            }
            "--netns" => {
                request.netns = Some(value(inline)?);
                continue;
            }
            "--json" | "+json" => {
                request.json = true;
                continue;
            }
            "--explain" => {
                request.explain = true;
                continue;
            }
            _ if word.starts_with('@') => {
                server_words.push(word.clone());
                continue;
            }
            _ if word.starts_with(['-', '+']) => {
                let shown = text::printable(word);
                return Err(Error::usage(format!("`{shown}` does not go with --as, @all, --race or --path")));
            }
            _ => {
                if name.is_none() {
                    name = Some(word.clone());
                } else if let (None, Ok(rtype)) = (request.rtype, word.parse()) {
                    request.rtype = Some(rtype);
                } else {
                    return Err(Error::usage(format!(
                        "one name and one type at a time; `{}` is too much",
                        text::printable(word)
                    )));
                }
                continue;
            }
        };
        if mode.replace(chosen).is_some() {
            return Err(Error::usage("--as, @all, --race and --path exclude each other"));
        }
    }
    for word in server_words {
        request.servers.push(server(&word, request.port)?);
    }
    request.name = name.ok_or_else(|| Error::usage("which name?"))?;
    Ok((mode.ok_or_else(|| Error::usage("which mode?"))?, request))
}

fn resolvers(list: &str) -> Result<Vec<Resolver>, Error> {
    let mut chosen = Vec::new();
    for word in list.split(',') {
        let known = Resolver::ALL.into_iter().find(|resolver| resolver.name() == word);
        match (known, word) {
            (Some(resolver), _) => chosen.push(resolver),
            (None, "all") => chosen.extend(Resolver::ALL),
            _ => {
                let shown = text::printable(word);
                return Err(Error::usage(format!(
                    "--as: no resolver `{shown}`; there are glibc, musl, go, dig and all"
                )));
            }
        }
    }
    Ok(chosen)
}

fn number(key: &str, value: &str, limit: u32) -> Result<u32, Error> {
    match value.parse() {
        Ok(number) if (1..=limit).contains(&number) => Ok(number),
        _ => Err(Error::usage(format!("{key}: `{}` is not a number from 1 to {limit}", text::printable(value)))),
    }
}

/// `@ADDRESS` or `@ADDRESS#PORT`; names are not taken, because resolving them is what may be broken.
fn server(word: &str, port: u16) -> Result<SocketAddr, Error> {
    let bare = word.trim_start_matches('@');
    let (address, port) = match bare.split_once('#') {
        Some((address, text)) => (address, text.parse().ok()),
        None => (bare, Some(port)),
    };
    match (address.parse::<IpAddr>(), port) {
        (Ok(address), Some(port)) => Ok(SocketAddr::new(address, port)),
        _ => Err(Error::usage(format!("`{}` is not @ADDRESS or @ADDRESS#PORT", text::printable(word)))),
    }
}

impl Request {
    /// A file of /etc as the chosen process sees it.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.from_pid.map_or_else(|| Path::new(path).to_owned(), |pid| path_of_pid(pid, path))
    }

    /// The servers named, or those of resolv.conf, or the local host as every resolver falls back to.
    pub(crate) fn servers(&self) -> Result<Vec<SocketAddr>, Error> {
        if !self.servers.is_empty() {
            return Ok(self.servers.clone());
        }
        let path = self.path(RESOLV_CONF);
        let conf = ResolvConf::read(&path).map_err(|error| {
            Error::new(Exit(1), format!("cannot read {}: {error}; name a server with @", path.display()))
        })?;
        let mut servers = conf.nameservers;
        for server in &mut servers {
            server.set_port(self.port);
        }
        if servers.is_empty() {
            servers.push(SocketAddr::from(([127, 0, 0, 1], self.port)));
        }
        Ok(servers)
    }

    /// The name, absolute.
    pub(crate) fn full_name(&self) -> Result<Name, Error> {
        Name::parse(&self.name)
            .map_err(|error| Error::usage(format!("`{}` is not a name: {error}", text::printable(&self.name))))
    }
}

/// A recursive query in the way of dig; `udp_size` 0 leaves EDNS out.
pub(crate) fn query(name: &Name, rtype: RrType, udp_size: u16, nsid: bool) -> (u16, Vec<u8>) {
    let id = random_u16();
    let mut query = Query::new(id, Question { name: name.clone(), rtype, class: Class::IN });
    query.header.ad = true;
    let options = if nsid {
        vec![netkit_wire::dns::EdnsOption { code: netkit_wire::dns::EdnsOption::NSID, data: Vec::new() }]
    } else {
        Vec::new()
    };
    query.edns = (udp_size > 0).then_some(Edns { udp_size, version: 0, flags: 0, options });
    (id, query.encode())
}

/// Whether a datagram carries the id of a query.
pub(crate) fn has_id(bytes: &[u8], id: u16) -> bool {
    bytes.first_chunk::<2>() == Some(&id.to_be_bytes()) && bytes.len() >= 12
}

/// The answer section as sorted text, so that two servers can be compared whatever order they rotate it in.
pub(crate) fn answer_set(message: &Message) -> Vec<String> {
    let style = netkit_wire::dns::Style::default();
    let mut set: Vec<String> = message
        .section(Section::Answer)
        .map(|record| {
            format!(
                "{} {} {}",
                record.owner.to_lowercase(),
                record.rtype,
                message.rdata_text_or_unknown(record, &style).0
            )
        })
        .collect();
    set.sort_unstable();
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<(Mode, Request), Error> {
        parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn grammar() {
        let (mode, request) = parsed("--as glibc,musl web AAAA --from-pid 7 --json").unwrap();
        assert_eq!(mode, Mode::As(vec![Resolver::Glibc, Resolver::Musl]));
        assert_eq!(
            (request.name.as_str(), request.rtype, request.from_pid, request.json),
            ("web", Some(RrType::AAAA), Some(7), true)
        );
        let (mode, request) = parsed("@10.0.0.1#5353 --race=20 x +time=2 --explain").unwrap();
        assert_eq!((mode, request.timeout, request.explain), (Mode::Race(20), Duration::from_secs(2), true));
        assert_eq!(request.servers().unwrap(), vec!["10.0.0.1:5353".parse().unwrap()]);
        for (line, part) in [
            ("--as bind x", "no resolver `bind`"),
            ("--race 0 x", "not a number from 1 to"),
            ("--path x +dnssec", "`+dnssec` does not go"),
            ("--path --race 2 x", "exclude each other"),
            ("--path", "which name?"),
            ("--path x A B", "`B` is too much"),
            ("--path x @ns.example", "@ADDRESS"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.message.contains(part) && error.exit == Exit::USAGE, "{line}: {}", error.message);
        }
    }
}
