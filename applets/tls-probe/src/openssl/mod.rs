//! The command lines of openssl that people paste: `s_client`, `verify`, `x509` and `version`. Everything else is refused
//! by name.

mod options;
mod verify;
mod x509;

use netkit_core::text::printable;
use netkit_core::{Applet, Ctx, Error, Exit, Flag, Group, front};
use netkit_wire::x509::NameStyle;

const fn flag(spelling: &'static str, value: &'static str, help: &'static str) -> Flag {
    Flag { spelling, value, help }
}

/// openssl's entry.
pub(crate) const APPLET: Applet = Applet {
    name: "openssl",
    aliases: &[],
    purpose: "openssl's s_client, verify and x509",
    usage: "x509 [-in FILE] [-noout] [-text] [-dates] [-subject] [-issuer] [-ext LIST] [-checkend SECONDS] ...\nversion",
    group: Group::Connect,
    flags: FLAGS,
    capability: None,
    main: run,
};

const FLAGS: &[Flag] = &[
    flag("-in", "FILE", "x509: read this certificate instead of standard input"),
    flag("-inform", "PEM|DER", "x509: its form; both are recognised"),
    flag("-noout", "", "x509: do not print the certificate itself"),
    flag("-text", "", "x509: everything in words"),
    flag("-dates, -startdate, -enddate", "", "x509: validity"),
    flag("-subject, -issuer, -serial", "", "x509: names and number"),
    flag("-nameopt", "oneline|RFC2253|compat", "x509: how names are written"),
    flag("-fingerprint", "", "x509: digest of it, with -sha1 or -sha256"),
    flag("-ext", "NAMES", "x509: these extensions"),
    flag("-checkend", "SECONDS", "x509: status 1 when it expires by then"),
    flag("-checkhost, -checkip", "NAME", "x509: whether it is for this name"),
    flag("-pubkey, -modulus", "", "x509: the key"),
    flag("-outform, -out", "PEM|DER, FILE", "x509: how and where the certificate is written"),
];

fn run(ctx: &mut Ctx) -> Result<Exit, Error> {
    let words = ctx.args_lossy();
    let (command, rest) = match words.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };
    match command {
        "x509" => x509::run(ctx, rest),
        "verify" => verify::run(ctx, rest),
        "s_client" => {
            Err(Error::usage("s_client is not offered: use tls-probe HOST:PORT [--servername NAME] [--showcerts]"))
        }
        "version" => {
            let text = format!("netkit {} in the manner of OpenSSL 3.0 (x509)\n", ctx.build.version);
            ctx.stdout.write_all(text.as_bytes())?;
            Ok(Exit::OK)
        }
        "help" | "-h" | "--help" | "-help" => help(ctx),
        other => Err(Error::usage(format!(
            "{} is not offered: x509 and version are; for connections and chains see tls-probe",
            printable(other)
        ))),
    }
}

fn help(ctx: &mut Ctx) -> Result<Exit, Error> {
    let page = front::help_page(&APPLET);
    ctx.stdout.write_all(page.as_bytes())?;
    Ok(Exit::OK)
}

/// `-nameopt`.
fn name_style(wanted: &str) -> Result<NameStyle, Error> {
    match wanted.to_ascii_lowercase().as_str() {
        "oneline" | "oneline,utf8" => Ok(NameStyle::OneLine),
        "rfc2253" => Ok(NameStyle::Rfc2253),
        "compat" => Ok(NameStyle::Slashes),
        _ => {
            let wanted = printable(wanted);
            Err(Error::usage(format!("-nameopt {wanted} is not offered: oneline, RFC2253 and compat are")))
        }
    }
}
