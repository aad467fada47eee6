//! tls-probe: what this server speaks, what it shows, and who would refuse it.
//!
//! - Peers: none for the screen; `s_client`, `verify` and `x509` of OpenSSL 3.0 under the name `openssl`.
//! - Two verdicts: strict, which is webpki's (rustls, and close to Go), and OpenSSL's with its number. A server that only a
//!   strict client refuses is not called broken.
//! - Statuses: 0 fine, 2 usage, 3 name, 4 connection, 5 not TLS, 6 handshake, 7 expired or not yet valid, 8 other name,
//!   9 untrusted, 10 purpose, 11 a client certificate is wanted or refused, 12 (`cert`) a key of another certificate.
//! - Kernel interfaces: TCP sockets; resolv.conf and hosts; the stores of trust that `netkit-tls` lists.
//! - Privilege: none, except for `--netns`. Needs no HOME and no writable directory.

mod args;
mod cert;
mod engine;
mod enumerate;
mod extras;
mod hello_test;
mod idn;
mod known;
mod openssl;
mod probe;
mod record;
mod resume;
mod show;
mod starttls;
mod verdict;

use netkit_core::{Applet, Ctx, Error, Exit, Group, front};

/// tls-probe and openssl.
pub static APPLETS: &[Applet] = &[
    Applet {
        name: "tls-probe",
        aliases: &[],
        purpose: "what a TLS server speaks and shows, and who would refuse it",
        usage: "[option]... HOST[:PORT]\n\
cert [--cacert FILE] [--trust-of PID] [--key FILE] [--servername NAME] [--min-left SHARE|TIME] [--text] [--pem] [--json] FILE|-",
        group: Group::Connect,
        flags: args::FLAGS,
        capability: None,
        main: run,
    },
    openssl::APPLET,
];

/// Statuses, one a layer.
pub(crate) mod status {
    use netkit_core::Exit;
    pub(crate) const NAME: Exit = Exit(3);
    pub(crate) const CONNECTION: Exit = Exit(4);
    pub(crate) const NOT_TLS: Exit = Exit(5);
    pub(crate) const HANDSHAKE: Exit = Exit(6);
    pub(crate) const DATES: Exit = Exit(7);
    pub(crate) const OTHER_NAME: Exit = Exit(8);
    pub(crate) const UNTRUSTED: Exit = Exit(9);
    pub(crate) const PURPOSE: Exit = Exit(10);
    pub(crate) const CLIENT_CERTIFICATE: Exit = Exit(11);
    pub(crate) const OTHER_KEY: Exit = Exit(12);
}

fn run(ctx: &mut Ctx) -> Result<Exit, Error> {
    let words = ctx.args_lossy();
    if let [first, rest @ ..] = words.as_slice()
        && first == "cert"
    {
        return cert::run(ctx, rest);
    }
    let options = args::parse(&words)?;
    ctx.explain |= options.explain;
    if options.help {
        let page = APPLETS.first().map(front::help_page).unwrap_or_default();
        ctx.stdout.write_all(page.as_bytes())?;
        return Ok(Exit::OK);
    }
    if let Some(target) = &options.netns {
        netkit_sys::netns::enter(target)?;
    }
    match options.mode {
        args::Mode::Probe => {}
        args::Mode::Enumerate => return enumerate::run(ctx, &options),
        args::Mode::HelloTest => return hello_test::run(ctx, &options),
        args::Mode::Resume => return resume::run(ctx, &options),
    }
    let found = probe::run(ctx, &options);
    let text = if options.json {
        format!("{}\n", show::json(&found, &options, ctx))
    } else {
        show::screen(&found, &options, ctx.clock.unix_seconds())
    };
    ctx.stdout.write_all(text.as_bytes())?;
    if let Some(hint) = &found.hint {
        ctx.hint(hint);
    }
    Ok(found.status.0)
}
