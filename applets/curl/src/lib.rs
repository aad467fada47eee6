//! curl: transfers over HTTP and HTTPS, and says why they fail. wget: the same engine in wget's words.
//!
//! - Peer: curl 8.14.1: options, request bytes, exit statuses, `-v` and the meter; GNU wget 1.21 for `wget`.
//! - Deliberate differences: HTTP and HTTPS (and reading file://) only, other protocols are refused with status 1; `-v` does
//!   not print credentials and cookies unless `--show-secrets` is given; control bytes of a body do not reach a terminal;
//!   trust comes from the places in `netkit-tls` and the anchor that matched is named; a chain that was refused is shown
//!   certificate by certificate; option names are not abbreviated.
//! - Beyond the peer: `--explain`, `--timing`, `--repeat`, `--interval`, `--all-ips`, `--json-report`, `--show-secrets`,
//!   `--from-pid`, `--netns`.
//! - Kernel interfaces: TCP and unix sockets; resolv.conf and hosts; ~/.curlrc, ~/.netrc.
//! - Privilege: none, except for `--netns` and another user's `--from-pid`.

mod apply;
mod args;
mod body;
mod config;
mod connect;
mod credentials;
mod doh;
mod exchange;
mod exchange2;
mod explain;
mod file;
mod form;
mod glob;
mod net;
mod netrc;
mod options;
mod output;
mod pool;
mod progress;
mod prompt;
mod proxy;
mod request;
mod run;
mod times;
mod transfer;
mod variable;
mod wget;
mod world;
mod writeout;

use std::io::{stderr, stdout};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use netkit_core::{Applet, Ctx, Error, Exit, Flag, Flags, Group, flags, front};

use crate::args::{Parser, Request, Usage};
use crate::config::{Config, Global, Trace};
use crate::world::{World, standard, wrapped};

/// curl and wget.
pub static APPLETS: &[Applet] = &[
    Applet {
        name: "curl",
        aliases: &[],
        purpose: "transfer over HTTP and say why not",
        usage: "[options...] <url>",
        group: Group::Connect,
        flags: FLAGS,
        capability: None,
        main: run,
    },
    Applet {
        name: "wget",
        aliases: &[],
        purpose: "fetch over HTTP into files",
        usage: "[OPTION]... [URL]...",
        group: Group::Connect,
        flags: wget::FLAGS,
        capability: None,
        main: wget::run,
    },
];

/// The version of curl that is followed; scripts and servers read it.
pub(crate) const PEER_VERSION: &str = "8.14.1";

const fn flag(spelling: &'static str, value: &'static str, help: &'static str) -> Flag {
    Flag { spelling, value, help }
}

/// The options people look for; every option of curl that is offered is accepted.
const FLAGS: Flags = flags![
    flag("-d, --data", "DATA", "POST data; @FILE reads it"),
    flag("-f, --fail", "", "fail on statuses of 400 and above"),
    flag("-F, --form", "NAME=CONTENT", "POST a multipart form"),
    flag("-G, --get", "", "put the data into the URL"),
    flag("-H, --header", "LINE", "add, replace or (NAME:) remove a header"),
    flag("-I, --head", "", "ask for the head only"),
    flag("-i, --include", "", "show response headers"),
    flag("-k, --insecure", "", "accept any certificate"),
    flag("-K, --config", "FILE", "read options from a file"),
    flag("-L, --location", "", "follow redirects"),
    flag("-m, --max-time", "SECONDS", "most time for a transfer"),
    flag("-o, --output", "FILE", "write to a file"),
    flag("-O, --remote-name", "", "write to a file named like the remote one"),
    flag("-s, --silent", "", "no meter, no errors"),
    flag("-S, --show-error", "", "errors even with -s"),
    flag("-T, --upload-file", "FILE", "PUT a file"),
    flag("-u, --user", "USER:PASSWORD", "credentials"),
    flag("-v, --verbose", "", "show what happens"),
    flag("-w, --write-out", "FORMAT", "what to print afterwards"),
    flag("-x, --proxy", "URL", "use a proxy"),
    flag("-X, --request", "METHOD", "another method"),
    flag("-Z, --parallel", "", "several transfers at once"),
    flag("--cacert", "FILE", "trust these certificates"),
    flag("--compressed", "", "ask for compression and undo it"),
    flag("--connect-timeout", "SECONDS", "most time to connect"),
    flag("--connect-to", "H1:P1:H2:P2", "connect elsewhere"),
    flag("--resolve", "HOST:PORT:ADDR", "an address for a name"),
    flag("--retry", "N", "try again after transient failures"),
    flag("--unix-socket", "PATH", "connect through a unix socket"),
    flag("--all-ips", "", "ours: the same request to every address, as a table"),
    flag("--explain", "", "ours: a likely cause after a failure"),
    flag("--interval", "SECONDS", "ours: time between repetitions"),
    flag("--json-report", "FILE", "ours: everything seen, as JSON"),
    flag("--repeat", "N", "ours: the same request again, with percentiles"),
    flag("--show-secrets", "", "ours: -v shows credentials and cookies"),
    flag("--timing", "", "ours: a line for every phase"),
    flag("--from-pid", "PID", "ours: resolver files of another process"),
    flag("--netns", "PID|PATH", "ours: run in another network namespace"),
];

fn run(ctx: &mut Ctx) -> Result<Exit, Error> {
    let words = ctx.args_lossy();
    let home = ctx.var("CURL_HOME").or_else(|| ctx.var("HOME")).map(PathBuf::from);
    let mut parser = Parser::new(home, ctx.clock.unix_seconds());
    let parsed = parser.command_line(&words);
    match (&parsed, &parser.request) {
        (Ok(()), Request::Help(_)) => {
            let page = APPLETS.first().map(front::help_page).unwrap_or_default();
            ctx.stdout.write_all(page.as_bytes())?;
            return Ok(Exit::OK);
        }
        (Ok(()), Request::Version) => {
            let text = version_text(ctx.build.version);
            ctx.stdout.write_all(text.as_bytes())?;
            return Ok(Exit::OK);
        }
        _ => {}
    }
    let configs = parsed.and_then(|()| parser.finish());
    let silent = parser.global.silent;
    for warning in std::mem::take(&mut parser.warnings) {
        if !silent {
            let _ = ctx.stderr.write_all(wrapped("Warning: ", &warning).as_bytes());
        }
    }
    for error in std::mem::take(&mut parser.errors) {
        ctx.say(&format!("{}: {error}", ctx.name));
    }
    let configs = match configs {
        Ok(mut configs) => {
            prompt::complete(&mut configs, &mut *ctx.stderr);
            configs
        }
        Err(Usage { text, status, help }) => {
            ctx.say(&format!("{}: {text}", ctx.name));
            if help {
                ctx.say(&format!("{}: try 'curl --help' for more information", ctx.name));
            }
            return Ok(Exit(status));
        }
    };
    transfer(ctx, parser.global, &configs)
}

/// Carries configurations out; also what wget comes down to.
pub(crate) fn transfer(ctx: &mut Ctx, global: Global, configs: &[Config]) -> Result<Exit, Error> {
    if let Some(target) = &global.netns {
        netkit_sys::netns::enter(target)?;
    }
    ctx.stdout.flush()?;
    let (out, standard_error) = (standard(&stdout()), standard(&stderr()));
    let out: world::Shared = Arc::new(Mutex::new(out));
    let mut err: world::Shared = Arc::new(Mutex::new(standard_error));
    if let Some(name) = &global.stderr {
        match World::sink(name, &out, &err) {
            Ok(sink) => err = sink,
            Err(_) => ctx.say(wrapped("Warning: ", &format!("Failed to open {name}")).trim_end()),
        }
    }
    let trace = match &global.trace {
        Trace::Ascii(name) | Trace::Hex(name) => World::sink(name, &out, &err)
            .map_err(|_| Error::new(Exit(2), format!("Failed to create/open output: {name}")))?,
        Trace::Off | Trace::Verbose => err.clone(),
    };
    let world = World {
        hints: global.explain || (ctx.hints_wanted() && !global.silent),
        global,
        out,
        err,
        trace,
        stdout_is_terminal: ctx.stdout_is_terminal,
        env: ctx.env.clone(),
        clock: ctx.clock,
        version: format!("{PEER_VERSION}-netkit{}", ctx.build.version),
        name: ctx.name.clone(),
        summaries: Mutex::default(),
    };
    let status = run::all(&world, configs);
    explain::end(&world);
    Ok(Exit(status))
}

fn version_text(own: &str) -> String {
    format!(
        "curl {PEER_VERSION}-netkit{own} (netkit) rustls/0.23 (ring) miniz_oxide ruzstd\n\
         Release-Date: follows curl {PEER_VERSION}\n\
         Protocols: file http https\n\
         Features: brotli HTTP2 HTTPS-proxy IPv6 Largefile libz SSL threadsafe UnixSockets zstd\n"
    )
}
