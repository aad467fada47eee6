//! `--hello-test`: the same wish in hellos of several sizes, in pieces, and for several names. A server answers all of them;
//! what stands in between and reads along often knows only the ordinary one.

use std::fmt::Write as _;
use std::net::SocketAddr;

use netkit_core::json::Value;
use netkit_core::text::{hex, printable};
use netkit_core::{Ctx, Error, Exit};
use netkit_wire::tls::flight::Trouble;
use netkit_wire::tls::hello::{ClientHello, records};
use netkit_wire::tls::suites::Suite;
use netkit_wire::tls::{version, version_name};
use netkit_wire::x509::{Certificate, NameStyle, name_text};

use crate::args::Options;
use crate::engine::{Answer, Depth, End, Engine};
use crate::probe::{Broken, Found};
use crate::status;

/// What browsers and libraries of today offer.
const SUITES: &[u16] = &[
    0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0x009e, 0x009f, 0xc013, 0xc014, 0x009c,
    0x009d, 0x002f, 0x0035,
];
const GROUPS: &[u16] = &[0x001d, 0x0017, 0x0018];
const SCHEMES: &[u16] =
    &[0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601, 0x0603, 0x0807, 0x0201, 0x0203];
/// A name that no server has (RFC 6761).
const NOBODY: &str = "nobody.invalid";
/// Values that nobody may know (RFC 8701).
const GREASE: u16 = 0x4a4a;

/// What a hello is about, for the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Ordinary,
    /// One of TLS 1.2 with little in it.
    Small,
    Size,
    Split,
    Values,
    Name,
}

/// Where a hello is cut, and into what.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    Whole,
    /// Segments of TCP; the first has so many octets.
    Segment(usize),
    /// Segments of TCP, cut in the middle of the name.
    Name,
    /// Records of TLS with so many octets.
    Record(usize),
}

/// A hello, in words and otherwise.
struct Case {
    test: &'static str,
    about: About,
    /// Octets of the handshake message; 0 is what it comes to.
    length: usize,
    cut: Cut,
    name: Option<String>,
    more: Option<String>,
}

/// What came of it.
struct Result {
    octets: usize,
    answer: Answer,
}

const fn case(test: &'static str, about: About, length: usize, cut: Cut) -> Case {
    Case { test, about, length, cut, name: None, more: None }
}

/// Those that do not depend on the names.
const CASES: [Case; 13] = [
    case("ordinary", About::Ordinary, 0, Cut::Whole),
    case("small", About::Small, 0, Cut::Whole),
    case("400 octets", About::Size, 400, Cut::Whole),
    case("post-quantum share", About::Size, 0, Cut::Whole),
    case("over the MTU", About::Size, 2000, Cut::Whole),
    case("4,000 octets", About::Size, 4000, Cut::Whole),
    case("16,000 octets", About::Size, 16_000, Cut::Whole),
    case("segment of 1 octet first", About::Split, 0, Cut::Segment(1)),
    case("segment of 5 octets first", About::Split, 0, Cut::Segment(5)),
    case("segments cut in the name", About::Split, 0, Cut::Name),
    case("two records", About::Split, 0, Cut::Record(64)),
    case("records of 16 octets", About::Split, 0, Cut::Record(16)),
    case("unknown values (GREASE)", About::Values, 0, Cut::Whole),
];

fn cases(options: &Options, name: Option<&str>) -> Vec<Case> {
    let mut out: Vec<Case> = CASES.into_iter().collect();
    let mut named = |test: &'static str, name: Option<&str>, more: Option<&str>| {
        let (name, more) = (name.map(str::to_owned), more.map(str::to_owned));
        out.push(Case { name, more, ..case(test, About::Name, 0, Cut::Whole) });
    };
    if let Some(name) = name {
        named("the name", Some(name), None);
        let other = name.to_ascii_uppercase();
        if other != name {
            named("the name in capitals", Some(&other), None);
        }
        named("two names", Some(name), Some(NOBODY));
    }
    named("no name", None, None);
    named("a name of nobody's", Some(NOBODY), None);
    for one in &options.names {
        named("another name", Some(one), None);
    }
    out
}

fn run_case(engine: &Engine<'_>, case: &Case) -> Result {
    let own = engine.name();
    let alpn: Vec<&str> = engine.options.alpn.iter().map(String::as_str).collect();
    let mut names: Vec<&str> = match case.about {
        About::Name => case.name.as_deref().into_iter().collect(),
        _ => own.into_iter().collect(),
    };
    names.extend(case.more.as_deref());
    let ordinary = ClientHello {
        version: version::TLS12,
        versions: &[version::TLS13, version::TLS12],
        random: netkit_tls::random(),
        session_id: true,
        suites: SUITES,
        names: &names,
        alpn: &alpn,
        groups: GROUPS,
        schemes: SCHEMES,
        shares: Some(&[0x001d]),
        asks: true,
        length: case.length,
        ..ClientHello::default()
    };
    let greased = [&[GREASE], SUITES].concat();
    let hello = match case.about {
        // In TLS 1.2 the certificate that goes with a name is to be seen.
        About::Small | About::Name => ClientHello {
            versions: &[],
            session_id: false,
            suites: SUITES.get(3..).unwrap_or_default(),
            alpn: &[],
            shares: None,
            asks: false,
            ..ordinary
        },
        About::Values => ClientHello {
            versions: &[GREASE, version::TLS13, version::TLS12],
            suites: &greased,
            groups: &[GREASE, 0x001d, 0x0017, 0x0018],
            extra: &[(GREASE, &[])],
            ..ordinary
        },
        About::Size if case.length == 0 => {
            ClientHello { groups: &[0x11ec, 0x001d, 0x0017, 0x0018], shares: Some(&[0x11ec, 0x001d]), ..ordinary }
        }
        _ => ordinary,
    };
    let message = hello.message();
    let cuts: Vec<usize> = match case.cut {
        // Everything in records as short as that, or only the first.
        Cut::Record(length) if length < 64 => vec![length; message.len() / length],
        Cut::Record(length) => vec![length],
        _ => Vec::new(),
    };
    let bytes = records(&message, version::TLS10, &cuts);
    let at = match case.cut {
        Cut::Segment(at) => at,
        Cut::Name => names
            .first()
            .and_then(|name| {
                bytes.windows(name.len().max(1)).position(|part| part == name.as_bytes()).map(|at| at + name.len() / 2)
            })
            .unwrap_or(bytes.len() / 2),
        _ => bytes.len(),
    };
    let (first, rest) = bytes.split_at_checked(at).unwrap_or((&bytes, &[]));
    let pieces = [first, rest];
    let pieces = if rest.is_empty() { pieces.get(..1) } else { pieces.get(..) };
    let depth = if case.about == About::Name { Depth::Whole } else { Depth::Hello };
    Result { octets: message.len(), answer: engine.send(pieces.unwrap_or_default(), depth) }
}

impl Result {
    fn is_hello(&self) -> bool {
        self.answer.flight.hello.is_some()
    }

    /// Nothing that a server says of itself: gone, or silent.
    fn is_cut_off(&self) -> bool {
        !self.is_hello() && self.answer.flight.alert.is_none() && self.answer.flight.trouble.is_none()
    }

    fn outcome(&self) -> &'static str {
        let flight = &self.answer.flight;
        match &self.answer.end {
            _ if flight.hello.is_some() => "hello",
            _ if flight.alert.is_some() => "alert",
            _ if flight.trouble == Some(Trouble::NotTls) => "not_tls",
            _ if flight.trouble.is_some() => "malformed",
            End::Told => "unknown",
            End::Closed => "closed",
            End::Reset => "reset",
            End::Silence => "silence",
            End::Nowhere(_) => "no_connection",
        }
    }

    fn words(&self) -> String {
        match &self.answer.flight.hello {
            Some(hello) => {
                let suite =
                    Suite::of(hello.suite).map_or_else(|| format!("0x{:04x}", hello.suite), |suite| suite.name());
                let retry = if hello.is_retry { ", asks for another share" } else { "" };
                format!("{} {suite}{retry}", version_name(hello.version))
            }
            None => self.answer.refusal(),
        }
    }

    fn certificate(&self) -> Option<(String, String)> {
        let der = self.answer.flight.certificates.first()?;
        let subject = Certificate::read(der)
            .map_or_else(|| "unreadable".to_owned(), |read| name_text(read.subject, NameStyle::OneLine));
        Some((subject, hex(&netkit_tls::sha256(der))))
    }
}

/// What the differences say.
fn findings(tested: &[(Case, Result)]) -> Vec<String> {
    let mut out = Vec::new();
    let of = |about: About| tested.iter().filter(move |(case, _)| case.about == about);
    let worked = |about: About| of(about).any(|(_, result)| result.is_hello());
    let (ordinary, small) = (worked(About::Ordinary), worked(About::Small));
    if !ordinary && small {
        out.push(
            "a small hello of TLS 1.2 is answered and the ordinary one is not: something does not know hellos of today"
                .to_owned(),
        );
    }
    if !ordinary && !small {
        return out;
    }
    let failed = |about: About| -> Vec<&'static str> {
        of(about).filter(|(_, result)| !result.is_hello()).map(|(case, _)| case.test).collect()
    };
    // Of sizes the smallest that fails tells where the limit is.
    let limit = of(About::Size).filter(|(_, result)| !result.is_hello()).map(|(_, result)| result.octets).min();
    let largest = tested.iter().filter(|(case, result)| {
        matches!(case.about, About::Size | About::Ordinary | About::Small) && result.is_hello()
    });
    if let Some(limit) = limit {
        let largest = largest.map(|(_, result)| result.octets).max().unwrap_or(0);
        out.push(if largest > limit {
            format!("a hello of {limit} octets fails although one of {largest} works: an old load balancer mistakes that length")
        } else {
            format!("hellos of {limit} octets and more fail, {largest} work: more than one segment is lost or not put together on the way")
        });
    }
    let split = failed(About::Split);
    if !split.is_empty() {
        out.push(format!(
            "a hello in pieces is not put together ({}): something reads along and expects one piece",
            split.join("; ")
        ));
    }
    if !failed(About::Values).is_empty() {
        out.push("values that nobody knows are not ignored as they must be (RFC 8701)".to_owned());
    }
    let by_name = |test: &str| tested.iter().find(|(case, _)| case.test == test).map(|(_, result)| result);
    let is_answered = of(About::Name).any(|(_, result)| result.is_hello());
    for (case, result) in of(About::Name).filter(|(_, result)| is_answered && result.is_cut_off()) {
        let name =
            case.name.as_deref().map_or_else(|| "no name".to_owned(), |name| format!("the name {}", printable(name)));
        let both = if case.more.is_some() { " and another" } else { "" };
        out.push(format!(
            "with {name}{both} the connection ends in {} and with others it does not: a filter looks at the name",
            result.outcome()
        ));
    }
    let own = by_name("the name").and_then(Result::certificate);
    let nobody = by_name("a name of nobody's").and_then(Result::certificate);
    if let (Some(own), Some(nobody)) = (own, nobody)
        && own == nobody
    {
        out.push(
            "the same certificate comes for a name of nobody's: it is the default one, or the only one".to_owned(),
        );
    }
    out
}

/// Whether a finding is a fault, and not only worth knowing.
fn is_fault(tested: &[(Case, Result)]) -> bool {
    tested.iter().any(|(case, result)| match case.about {
        About::Ordinary | About::Size | About::Split | About::Values => !result.is_hello(),
        About::Small => false,
        About::Name => result.is_cut_off() && case.name.is_some() && case.more.is_none(),
    })
}

fn name_shown(case: &Case) -> Option<String> {
    let name = case.name.as_deref()?;
    Some(case.more.as_ref().map_or_else(|| name.to_owned(), |more| format!("{name},{more}")))
}

fn screen(found: &Found, tested: &[(Case, Result)], options: &Options, connections: usize) -> String {
    let address = found.reached.map(|at| format!(" at {at}")).unwrap_or_default();
    let mut out = format!("server       {}:{}{address}\n\n", printable(&options.host), options.port);
    for (case, result) in tested {
        let name = name_shown(case).map(|name| format!(" ({})", printable(&name))).unwrap_or_default();
        let test = format!("{}{name}", case.test);
        let micros = result.answer.took.as_micros();
        let time =
            if result.is_hello() { format!(", {}.{} ms", micros / 1000, micros / 100 % 10) } else { String::new() };
        let _ = writeln!(out, "{test:<34} {:>6} octets  {}{time}", result.octets, printable(&result.words()));
        if let Some((subject, digest)) = result.certificate() {
            let _ = writeln!(out, "{:50}{} {}", "", printable(&subject), digest.get(..16).unwrap_or_default());
        }
    }
    out.push('\n');
    let findings = findings(tested);
    for (at, finding) in findings.iter().enumerate() {
        let _ = writeln!(out, "{:<13}{finding}", if at == 0 { "found" } else { "" });
    }
    if findings.is_empty() && tested.iter().any(|(_, result)| result.is_hello()) {
        out.push_str("found        nothing: all hellos are treated alike\n");
    }
    let _ = writeln!(out, "connections  {connections}, at most {} at once", crate::engine::AT_ONCE);
    out
}

fn json(tested: &[(Case, Result)], connections: usize, object: Value) -> Value {
    let tests: Vec<Value> = tested
        .iter()
        .map(|(case, result)| {
            let flight = &result.answer.flight;
            let hello = flight.hello.as_ref();
            let certificate = result.certificate();
            Value::object()
                .with("test", case.test)
                .with("name", if case.about == About::Name { name_shown(case) } else { None })
                .with("octets", result.octets)
                .with("outcome", result.outcome())
                .with("version", hello.map(|hello| version_name(hello.version)))
                .with("suite", hello.and_then(|hello| Suite::of(hello.suite)).map(|suite| suite.name()))
                .with("retry", hello.map(|hello| hello.is_retry))
                .with("alert", flight.alert.map(|(_, alert)| alert))
                .with("refusal", if hello.is_none() { Some(result.words()) } else { None })
                .with("took_us", result.answer.took.as_micros())
                .with("certificate_subject", certificate.as_ref().map(|(subject, _)| subject.clone()))
                .with("certificate_sha256", certificate.map(|(_, digest)| digest))
        })
        .collect();
    object
        .with("tests", tests)
        .with("findings", findings(tested))
        .with("connections", connections)
        .with("at_once", crate::engine::AT_ONCE)
}

/// What is broken, when the hellos are not answered as they should be.
fn broken(tested: &[(Case, Result)]) -> Option<Broken> {
    let ordinary = tested.iter().find(|(case, _)| case.about == About::Ordinary).map(|(_, result)| result)?;
    if ordinary.answer.flight.trouble == Some(Trouble::NotTls) {
        return Some((status::NOT_TLS, ordinary.answer.refusal()));
    }
    if tested.iter().all(|(_, result)| !result.is_hello()) {
        return Some((status::HANDSHAKE, format!("no hello is answered: {}", ordinary.answer.refusal())));
    }
    is_fault(tested).then(|| (status::HANDSHAKE, "not every hello is answered".to_owned()))
}

/// `--hello-test`.
pub(crate) fn run(ctx: &mut Ctx, options: &Options) -> std::result::Result<Exit, Error> {
    let mut found = Found::default();
    let mut tested: Vec<(Case, Result)> = Vec::new();
    let mut connections = 0;
    let broken = match crate::probe::reach(ctx, options, &mut found) {
        Err(broken) => Some(broken),
        Ok(socket) => {
            let address = found.reached.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
            let engine = &Engine::new(options, address, socket);
            let cases = cases(options, engine.name());
            let results: Vec<Option<Result>> = std::thread::scope(|scope| {
                let running: Vec<_> = cases.iter().map(|case| scope.spawn(move || run_case(engine, case))).collect();
                running.into_iter().map(|one| one.join().ok()).collect()
            });
            tested = cases.into_iter().zip(results).filter_map(|(case, result)| Some((case, result?))).collect();
            connections = engine.connections();
            broken(&tested)
        }
    };
    let text = if options.json {
        let object = crate::show::heading(&found, options, ctx, "hello-test");
        format!("{}\n", crate::show::ending(json(&tested, connections, object), broken.as_ref()))
    } else {
        let mut text = screen(&found, &tested, options, connections);
        if let Some((exit, why)) = &broken {
            let _ =
                writeln!(text, "result       {} (status {}): {}", crate::show::layer(*exit), exit.0, printable(why));
        }
        text
    };
    ctx.stdout.write_all(text.as_bytes())?;
    if let Some(hint) = &found.hint {
        ctx.hint(hint);
    }
    Ok(broken.map_or(Exit::OK, |(exit, _)| exit))
}
