//! dig: asks name servers and shows what they say.
//!
//! - Peer: BIND dig 9.18.49, byte for byte where it prints text; newest BIND where that is kinder to scripts: `+short` keeps
//!   every `;;` line off stdout (they go to stderr), and `+nocmd` hides the greeting on failures too.
//! - Deliberate differences: `+trace` follows glue and the built-in root hints, and asks the local resolver last; a record
//!   that cannot be read is shown as `TYPEn \# len hex` with a warning and never hides the others; an address is never
//!   completed from the search list; names below `cluster.local` get no warning about Multicast DNS; a batch (`-f`) asks
//!   several lines at once and prints them in order; a resolv.conf with odd lines is used as far as it goes; a handshake
//!   of TLS that fails is said and gives status 9, where BIND may say nothing and leave with 0.
//! - Beyond the peer: `+json`, `+rc`, `@tcp://`, `@tls://`, `@https://HOST[:PORT][/PATH]`, `@ip#port`, `--from-pid`, `--netns`.
//! - Kernel interfaces: UDP and TCP sockets; /etc/resolv.conf, /etc/hosts, ~/.digrc.
//! - Privilege: none, except for `--netns` (CAP_SYS_ADMIN) and another user's `--from-pid` (CAP_SYS_PTRACE).

mod all;
mod args;
mod as_resolvers;
mod batch;
mod engine;
mod exit;
mod explain;
mod host;
mod incoming;
mod json;
mod link;
mod lookup;
mod modes;
mod nslookup;
mod nslookup_print;
mod numbers;
mod options;
mod path;
mod personality;
mod plus;
mod print;
mod query;
mod race;
mod report;
mod search;
mod servers;
mod session;
mod trace;
mod xfr;
mod yaml;

use std::io::Write as _;
use std::path::Path;

use netkit_core::{Applet, Ctx, Error, Exit, Group, front};

use crate::args::{Parser, Request};
use crate::session::{Carry, Env, Sink};

/// dig, and the two older programs that ask the same way.
pub static APPLETS: &[Applet] = &[
    Applet {
        name: "dig",
        aliases: &[],
        purpose: "ask name servers",
        usage: "[@server] [name] [type] [class] [-option] [+option] [name ...]\n[@server] -f FILE",
        group: Group::Dns,
        flags: options::FLAGS,
        capability: None,
        main: run,
    },
    host::APPLET,
    nslookup::APPLET,
];

/// BIND's version whose output this is; scripts read it.
const PEER_VERSION: &str = "9.18.49";

fn run(ctx: &mut Ctx) -> Result<Exit, Error> {
    if let Some(done) = modes::run(ctx) {
        return done;
    }
    let mut words = ctx.args_lossy();
    let own = Own::take(&mut words)?;
    ctx.explain |= own.explain;
    let mut env = Env::read(ctx.clock, own.from_pid.as_deref())?;
    env.hints = ctx.hints_wanted();
    if let Some(target) = &own.netns {
        netkit_sys::netns::enter(target)?;
    }
    let version = format!("{PEER_VERSION}-netkit{}", ctx.build.version);
    let resolver = Env { key: None, ..env.clone() };
    let resolve = |host: &str, family| servers::resolve(&resolver, host, family);
    let mut parser = Parser::new(&resolve, &version);
    let parsed = parse(ctx, &mut parser, &words);
    if parsed.is_ok() {
        let (text, file) = (parser.globals.key_text.as_ref(), parser.globals.key_file.as_deref());
        env.make_key(text, file, &mut parser.out, &mut parser.err);
    }
    let (out, err) = parser.take_said();
    ctx.stdout.write_all(out.as_bytes())?;
    let _ = ctx.stdout.flush();
    let _ = ctx.stderr.write_all(err.as_bytes());
    let (request, lookups) = parsed?;
    match request {
        Request::Help => {
            let page = APPLETS.first().map(front::help_page).unwrap_or_default();
            ctx.stdout.write_all(page.as_bytes())?;
            return Ok(Exit::OK);
        }
        Request::Version => {
            ctx.say(&format!("DiG {version}"));
            return Ok(Exit::OK);
        }
        Request::Run => {}
    }
    for warning in &env.resolv.warnings {
        ctx.hint(&format!("resolv.conf: {warning}"));
    }
    let mut status = Status::default();
    let mut carry = Carry::default();
    for lookup in &lookups {
        let mut sink = Sink::live(ctx);
        let done = engine::run(lookup, &env, &mut carry, &mut sink, None);
        sink.flush();
        if let Some(error) = sink.broken.take() {
            return Err(error.into());
        }
        status.add(done.exit, lookup.globals.rc);
        if let Some(error) = done.error {
            return Err(error);
        }
    }
    if let Some(path) = parser.batch.clone() {
        batch::run(ctx, &mut parser, &env, &path, &mut status)?;
    }
    Ok(Exit(status.exit))
}

fn parse(ctx: &Ctx, parser: &mut Parser<'_>, words: &[String]) -> Result<(Request, Vec<lookup::Lookup>), Error> {
    let rc_wanted = parser.scan(words)?;
    if let (true, Some(home)) = (rc_wanted, ctx.var("HOME"))
        && let Ok(content) = std::fs::read_to_string(Path::new(home).join(".digrc"))
    {
        parser.config(&content)?;
    }
    parser.command_line(words)
}

/// The status to leave with: that of the last lookup, as with BIND; under `+rc` the worst of all.
#[derive(Default)]
struct Status {
    exit: u8,
}

impl Status {
    fn add(&mut self, exit: u8, rc: bool) {
        self.exit = if rc { self.exit.max(exit) } else { exit };
    }
}

/// Options of netkit's own that stand outside dig's grammar; they leave the command line before it is parsed.
#[derive(Default)]
struct Own {
    from_pid: Option<String>,
    netns: Option<String>,
    explain: bool,
}

impl Own {
    fn take(words: &mut Vec<String>) -> Result<Own, Error> {
        let mut own = Own::default();
        let mut rest = Vec::with_capacity(words.len());
        let mut given = std::mem::take(words).into_iter();
        while let Some(word) = given.next() {
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
                _ => (word.clone(), None),
            };
            let slot = match name.as_str() {
                "--from-pid" => &mut own.from_pid,
                "--netns" => &mut own.netns,
                "--explain" => {
                    own.explain = true;
                    continue;
                }
                _ => {
                    rest.push(word);
                    continue;
                }
            };
            let value = inline.or_else(|| given.next()).filter(|value| !value.is_empty());
            *slot = Some(value.ok_or_else(|| Error::usage(format!("{name} needs a value")))?);
        }
        *words = rest;
        Ok(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_options_leave_the_line() {
        let mut words: Vec<String> =
            ["a", "--from-pid", "7", "+short", "--netns=/x", "--explain"].map(String::from).into();
        let own = Own::take(&mut words).unwrap();
        assert_eq!((own.from_pid.as_deref(), own.netns.as_deref(), own.explain), (Some("7"), Some("/x"), true));
        assert_eq!(words, ["a", "+short"]);
        assert!(Own::take(&mut vec!["--netns".to_owned()]).is_err());
    }

    #[test]
    fn status_is_the_last_or_the_worst() {
        let mut status = Status::default();
        status.add(9, false);
        status.add(0, false);
        assert_eq!(status.exit, 0);
        status.add(3, true);
        status.add(0, true);
        assert_eq!(status.exit, 3);
    }
}
