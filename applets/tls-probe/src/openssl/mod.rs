//! The command lines of openssl that people paste: `s_client`, `verify`, `x509` and `version`. Everything else is refused
//! by name.

mod client;
mod options;
mod report;
mod verify;
mod x509;

use netkit_core::text::printable;
use netkit_core::{Applet, Ctx, Error, Exit, Flags, Group, flag, flags, front};
use netkit_wire::x509::NameStyle;

/// openssl's entry.
pub(crate) const APPLET: Applet = Applet {
    name: "openssl",
    aliases: &[],
    purpose: "openssl's s_client, verify and x509",
    usage: "s_client -connect HOST:PORT [-servername NAME] [-showcerts] [-CAfile FILE] [-starttls PROTOCOL] [-brief] ...\n\
verify [-CAfile FILE] [-untrusted FILE] [-purpose sslserver] [-verify_hostname NAME] FILE...\n\
x509 [-in FILE] [-noout] [-text] [-dates] [-subject] [-issuer] [-ext LIST] [-checkend SECONDS] ...\n\
version",
    group: Group::Connect,
    flags: FLAGS,
    capability: None,
    main: run,
};

const FLAGS: Flags = flags![
    flag("-connect", "HOST:PORT", "s_client: where to (localhost:4433)"),
    flag("-servername, -noservername", "NAME", "s_client: the name to ask for"),
    flag("-showcerts", "", "s_client: every certificate as sent, in PEM"),
    flag("-starttls", "PROTOCOL", "s_client: smtp, imap, pop3, ftp, postgres, mysql or ldap before TLS"),
    flag("-alpn", "NAMES", "s_client: protocols offered"),
    flag("-status", "", "s_client: the stapled OCSP response"),
    flag("-tls1_2, -tls1_3", "", "s_client: this version only"),
    flag("-cert, -key", "FILE", "s_client: a certificate of ours"),
    flag("-brief, -quiet, -ign_eof", "", "s_client: say less; go on when the input ends"),
    flag("-verify_return_error", "", "s_client: end with 1 when the chain is not good"),
    flag("-CAfile, -CApath", "PATH", "s_client, verify: what is trusted"),
    flag("-verify_hostname, -verify_ip", "NAME", "s_client, verify: the name that is checked"),
    flag("-untrusted, -trusted", "FILE", "verify: certificates in between; anchors"),
    flag("-purpose, -auth_level", "WORD", "verify: what for, how strong"),
    flag("-partial_chain, -attime", "", "verify: any anchor will do; at another time"),
    flag("-show_chain", "", "verify: the chain as built"),
    flag("-in", "FILE", "x509: read this certificate instead of standard input"),
    flag("-inform", "PEM|DER", "x509: its form; both are recognised"),
    flag("-noout", "", "x509: do not print the certificate itself"),
    flag("-text", "", "x509: everything in words"),
    flag("-dates, -startdate, -enddate", "", "x509: validity"),
    flag("-subject, -issuer, -serial", "", "x509: names and number"),
    flag("-nameopt", "oneline|RFC2253|multiline|compat", "x509: how names are written"),
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
        "s_client" => client::run(ctx, rest),
        "version" => {
            let text = format!("netkit {} in the manner of OpenSSL 3.0 (s_client, verify, x509)\n", ctx.build.version);
            ctx.stdout.write_all(text.as_bytes())?;
            Ok(Exit::OK)
        }
        "help" | "-h" | "--help" | "-help" => help(ctx),
        other => Err(Error::usage(format!(
            "{} is not offered: s_client, verify, x509 and version are; see tls-probe too",
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
        "oneline" => Ok(NameStyle::OneLine),
        "rfc2253" => Ok(NameStyle::Rfc2253),
        "compat" => Ok(NameStyle::Slashes),
        "multiline" => Ok(NameStyle::Lines),
        _ => {
            let wanted = printable(wanted);
            Err(Error::usage(format!("-nameopt {wanted} is not offered: oneline, RFC2253, multiline and compat are")))
        }
    }
}
