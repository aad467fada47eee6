//! Command lines and what BIND dig 9.18.49 makes of them (each was typed there).

use std::net::IpAddr;

use netkit_wire::dns::{Class, Opcode, RrType, Split};

use super::*;
use crate::lookup::Format;

fn resolver(host: &str, _: Family) -> Result<Vec<(IpAddr, u32)>, &'static str> {
    match host {
        "two" => Ok(vec![(IpAddr::from([10, 0, 0, 1]), 0), (IpAddr::from([10, 0, 0, 2]), 0)]),
        literal => literal.parse().map(|address| vec![(address, 0)]).map_err(|_| "not found"),
    }
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

struct Read {
    lookups: Vec<Lookup>,
    error: Option<Error>,
    out: String,
    err: String,
}

impl Read {
    fn only(&self) -> &Settings {
        assert_eq!(self.lookups.len(), 1);
        &self.lookups[0].settings
    }

    fn status(&self) -> Option<u8> {
        self.error.as_ref().map(|error| error.exit.0)
    }
}

fn read(line: &str) -> Read {
    let resolve = |host: &str, family| resolver(host, family);
    let mut parser = Parser::new(&resolve, "V");
    let result = parser.scan(&words(line)).and_then(|_| parser.command_line(&words(line)));
    let (lookups, error) = match result {
        Ok((_, lookups)) => (lookups, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    Read { lookups, error, out: parser.out, err: parser.err }
}

#[test]
fn order_does_not_matter_for_name_type_and_class() {
    for line in
        ["a.example mx ch", "mx ch a.example", "ch a.example mx", "-q a.example -t mx -c ch", "-tmx -cch a.example"]
    {
        let read = read(line);
        let settings = read.only();
        assert_eq!(
            (settings.name.as_str(), settings.rtype, settings.class),
            ("a.example", RrType::MX, Class::CH),
            "{line}"
        );
    }
}

#[test]
fn nothing_asks_for_the_root_servers() {
    let read = read("");
    assert_eq!((read.only().name.as_str(), read.only().rtype), (".", RrType::NS));
}

#[test]
fn options_before_the_first_name_are_global_and_after_it_local() {
    let read = read("+tcp n +nocomments b +cd c");
    let flags: Vec<(bool, bool, bool)> =
        read.lookups.iter().map(|l| (l.settings.tcp, l.settings.comments, l.settings.cd)).collect();
    assert_eq!(flags, [(true, false, false), (true, true, true), (true, true, false)]);
}

#[test]
fn some_options_hold_for_the_line_wherever_they_stand() {
    let read = read("n b +short -p 5353 +time=0");
    for lookup in &read.lookups {
        let globals = &lookup.globals;
        assert_eq!((globals.short, globals.cmd, globals.port, globals.timeout), (true, false, Some(5353), Some(1)));
    }
}

#[test]
fn the_greeting_shows_the_line_once() {
    let first = read("@two n b");
    assert_eq!(first.lookups[0].banner, "\n; <<>> DiG V <<>> @two n b\n; (2 servers found)\n;; global options: +cmd\n");
    assert_eq!(first.lookups[1].banner, "");
    assert_eq!(read("+nocmd n").lookups[0].banner, "");
    assert!(read("+short +cmd n").lookups[0].banner.ends_with(";; global options: +short +cmd\n"));
}

#[test]
fn several_servers_add_up() {
    let read = read("@two @127.0.0.1#5353 @tcp://[::1] n");
    let settings = read.only();
    let ports: Vec<Option<u16>> = settings.servers.iter().map(|server| server.port).collect();
    assert_eq!(ports, [None, None, Some(5353), None]);
    assert_eq!(settings.servers[3].label, "::1");
    assert!(settings.tcp);
}

#[test]
fn a_server_that_does_not_resolve_is_status_1() {
    let read = read("@nowhere n");
    assert_eq!(read.status(), Some(1));
    assert_eq!(read.error.unwrap().message, "couldn't get address for 'nowhere': not found");
}

#[test]
fn reverse_names() {
    for (argument, name) in [
        ("10.0.0.1", "1.0.0.10.in-addr.arpa."),
        ("10.0.0", "0.0.10.in-addr.arpa."),
        ("0/25.2.0.192", "192.0.2.0/25.in-addr.arpa."),
    ] {
        let read = read(&format!("-x {argument}"));
        assert_eq!((read.only().name.as_str(), read.only().rtype), (name, RrType::PTR));
    }
    assert!(reverse("2001:db8::1").ends_with("8.b.d.0.1.0.0.2.ip6.arpa."));
    assert_eq!(read("-t mx -x 10.0.0.1").only().rtype, RrType::MX);
}

#[test]
fn types_that_prefer_tcp() {
    assert!(read("n any").only().tcp);
    assert!(!read("+notcp n any").only().tcp);
    let ixfr = read("n ixfr=7");
    assert_eq!((ixfr.only().rtype, ixfr.only().ixfr_serial, ixfr.only().tcp), (RrType::IXFR, 7, true));
    assert!(!read("n axfr").only().comments);
    assert!(read("+comments n axfr").only().comments);
}

#[test]
fn warnings_and_what_they_leave() {
    assert_eq!(read("n mx txt").err, ";; Warning, extra type option\n");
    assert_eq!(read("-t nosuch n").err, ";; Warning, ignoring invalid type nosuch\n");
    assert_eq!(read("-c nosuch n").err, ";; Warning, ignoring invalid class nosuch\n");
    assert_eq!(read("n ixfr").err, ";; Warning, ixfr requires a serial number\n");
    let split = read("+split=3 n");
    assert_eq!(split.err, ";; Warning, split must be a multiple of 4; adjusting to 4\n");
    assert_eq!(split.lookups[0].globals.split, Split::Width(4));
}

#[test]
fn bad_options_and_numbers() {
    for (line, status) in [
        ("+bogus n", 1),
        ("+sh n", 1),
        ("+time n", 1),
        ("+notime=3 n", 1),
        ("-Z n", 1),
        ("n -p", 1),
        ("-p x n", 1),
        ("-4 -6 n", 1),
        ("-b 1.2.3 n", 1),
        ("+ednsopt=65001:abc n", 1),
        ("+cookie=zz n", 1),
        ("+edns=x n", 10),
        ("+bufsize=65536 n", 10),
        ("+ednsopt n", 10),
        ("n ixfr=x", 1),
        ("+https=dns-query n", 1),
        ("+tls-hostname n", 1),
        ("+http-p n", 1),
        ("@quic://127.0.0.1 n", 2),
        ("@tls://127.0.0.1/x n", 2),
    ] {
        assert_eq!(read(line).status(), Some(status), "{line}");
    }
    assert!(read("+bogus=1 n").err.starts_with("Invalid option: +bogus\n"));
    assert_eq!(read("+bufsize=65536 n").out, "invalid buffer size '65536': out of range\n");
}

#[test]
fn edns_settings() {
    let read =
        read("+noedns +edns=3 +bufsize=512 +ednsflags=0x40 +ednsopt=NSID +ednsopt=65001:00ff +subnet=10.0.0.0/9 n");
    let settings = read.only();
    assert_eq!((settings.edns, settings.udp_size, settings.edns_flags), (Some(3), Some(512), 0x40));
    let options: Vec<(u16, usize)> = settings.edns_options.iter().map(|o| (o.code, o.data.len())).collect();
    assert_eq!(options, [(3, 0), (65001, 2)]);
    assert_eq!(settings.subnet.unwrap().prefix, 9);
    assert_eq!(super::tests::read("+noedns +nsid n").only().edns, Some(0));
    assert_eq!(super::tests::read("+opcode=notify n").only().opcode, Opcode(4));
}

#[test]
fn keys() {
    let read = read("-y hmac-sha256:k.example:AAEC n");
    let key = read.lookups[0].globals.key_text.clone().unwrap();
    assert_eq!(
        (key.algorithm.as_deref(), key.name.as_str(), key.secret.as_str()),
        (Some("hmac-sha256"), "k.example", "AAEC")
    );
    assert_eq!(super::tests::read("-y nosecret n").status(), Some(1));
}

#[test]
fn help_and_version_end_the_line() {
    let resolve = |host: &str, family| resolver(host, family);
    for (line, wanted) in [("-h n", Request::Help), ("n -v", Request::Version), ("-4uv", Request::Version)] {
        let mut parser = Parser::new(&resolve, "V");
        assert_eq!(parser.command_line(&words(line)).unwrap().0, wanted, "{line}");
    }
}

#[test]
fn a_percent_sign_ends_the_line() {
    assert_eq!(read("n % +bogus").only().name, "n");
}

#[test]
fn batch_lines_inherit_the_command_line_and_one_another() {
    let resolve = |host: &str, family| resolver(host, family);
    let mut parser = Parser::new(&resolve, "V");
    parser.command_line(&words("@two +dnssec -f x")).unwrap();
    let mut line = |text: &str| parser.batch_line(text).unwrap().1;
    assert!(line("# c\n").is_empty() && line("\n").is_empty() && line("; c\n").is_empty());
    let first = line("n mx +cd\n");
    assert_eq!((first[0].settings.servers.len(), first[0].settings.dnssec, first[0].settings.cd), (2, true, true));
    assert!(first[0].banner.starts_with("\n; <<>> DiG V <<>> n mx +cd\n"));
    // From the first lookup on, BIND reads these like any other line.
    assert_eq!(line("# c\n")[0].settings.name, "#");
    assert_eq!((line("\n")[0].settings.rtype, line("; c\n").len()), (RrType::NS, 2));
    // Transport is the command line's affair; +short holds from here on.
    let second = line("+tcp +short b\n");
    assert_eq!((second[0].settings.tcp, second[0].settings.cd, second[0].globals.short), (false, false, true));
    assert!(line("c\n")[0].globals.short);
    assert_eq!(line("@127.0.0.1 +cd\n")[0].settings.name, ".");
    assert!(line("@nowhere d\n").is_empty());
    assert_eq!(parser.err, "couldn't get address for 'nowhere': not found: skipping lookup\n");
}

#[test]
fn digrc_lines_change_only_the_defaults() {
    let resolve = |host: &str, family| resolver(host, family);
    let mut parser = Parser::new(&resolve, "V");
    parser.config("+nocomments\n-t mx name\n").unwrap();
    let lookups = parser.command_line(&words("n")).unwrap().1;
    assert_eq!((lookups.len(), lookups[0].settings.comments, lookups[0].settings.rtype), (1, false, RrType::MX));
}

#[test]
fn formats() {
    assert_eq!(read("+json n").lookups[0].globals.format, Format::Json);
    assert_eq!(read("--json n").lookups[0].globals.format, Format::Json);
    assert_eq!(read("+yaml +noyaml n").lookups[0].globals.format, Format::Text);
}

#[test]
fn transports() {
    let title = |line: &str| {
        let read = read(line);
        let settings = read.only().clone();
        settings.carrier(settings.tcp).title()
    };
    for (line, wanted) in [
        ("n", "UDP"),
        ("+tls n", "TLS"),
        ("+tls +notcp n", "UDP"),
        ("+notcp +tls n", "UDP"),
        ("+tls +notls n", "UDP"),
        ("+tls-ca n", "TLS"),
        ("+tls-hostname=x n", "TLS"),
        ("+https +tls n", "TLS"),
        ("+https n", "HTTPS"),
        ("+https-get=/x n", "HTTPS-GET"),
        ("+https +tls-ca n", "HTTPS"),
        ("+http-plain n", "HTTP"),
        ("+http-plain-g n", "HTTP-GET"),
        ("@tls://127.0.0.1:8853 n", "TLS"),
        ("@https://127.0.0.1/x n", "HTTPS"),
        ("@http://[::1]:8080 n", "HTTP"),
    ] {
        assert_eq!(title(line), wanted, "{line}");
    }
    let read = read("@https://[::1]:8443/a/b n");
    assert_eq!(read.only().secure.path.as_deref(), Some("/a/b"));
    assert_eq!(read.only().servers.first().map(|server| server.port), Some(Some(8443)));
}
