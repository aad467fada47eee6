//! `--resume`: whether sessions are taken up again, in each of the three ways there are. Two handshakes a way.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use netkit_core::json::Value;
use netkit_core::text::printable;
use netkit_core::{Ctx, Error, Exit};
use netkit_tls::{Ready, Resumer, Shaken, Socket, Transport, Way};
use netkit_wire::tls::extension;
use netkit_wire::tls::flight::{Flight, Trouble};

use crate::args::Options;
use crate::engine::Engine;
use crate::probe::{Broken, Found};
use crate::starttls::plain;
use crate::status;

/// How long tickets are waited for behind a handshake.
const AFTER: Duration = Duration::from_millis(500);

const WAYS: [(Way, &str, &str); 3] = [
    (Way::PreShared, "TLSv1.3", "pre_shared_key"),
    (Way::Ticket, "TLSv1.2", "session_ticket"),
    (Way::Identifier, "TLSv1.2", "session_id"),
];

/// Reads along what is in the clear.
struct Along {
    inner: Socket,
    flight: Arc<Mutex<Flight>>,
}

impl Read for Along {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        let mut flight = self.flight.lock().unwrap_or_else(PoisonError::into_inner);
        flight.feed(buffer.get(..length).unwrap_or_default());
        Ok(length)
    }
}

impl Write for Along {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Transport for Along {
    fn wait(&mut self, wanted: Ready, limit: Option<Duration>) -> io::Result<Ready> {
        self.inner.wait(wanted, limit)
    }

    fn finish(&mut self) {
        self.inner.finish();
    }
}

/// What came of one way.
#[derive(Default)]
struct Tried {
    /// Why the first handshake failed; then nothing else is known.
    refused: Option<String>,
    is_plain: bool,
    /// Whether the server gives tickets in this way.
    gives_tickets: bool,
    first: Shaken,
    /// The second handshake, or why it failed.
    second: Option<Result<Shaken, String>>,
}

fn shake(engine: &Engine<'_>, resumer: &Resumer, after: Duration) -> (Result<Shaken, String>, Flight) {
    let flight = Arc::new(Mutex::new(Flight::default()));
    let result = engine.open().and_then(|(_turn, inner)| {
        let stream = Box::new(Along { inner, flight: flight.clone() });
        let deadline = Instant::now().checked_add(engine.options.timeout);
        resumer.shake(stream, deadline, after).map_err(|error| plain(&error))
    });
    let flight = flight.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (result, flight)
}

fn attempt(engine: &Engine<'_>, way: Way) -> Tried {
    let mut out = Tried::default();
    let name = engine.options.name().split('%').next().unwrap_or("");
    let resumer = match Resumer::new(name, way, &engine.options.alpn) {
        Ok(resumer) => resumer,
        Err(why) => return Tried { refused: Some(why), ..out },
    };
    let (first, flight) = shake(engine, &resumer, AFTER);
    out.is_plain = flight.trouble == Some(Trouble::NotTls);
    match first {
        Err(why) => out.refused = Some(why),
        Ok(first) => {
            let hello = flight.hello.as_ref();
            out.gives_tickets = match way {
                Way::PreShared => first.tickets > 0,
                Way::Ticket => hello.is_some_and(|hello| hello.extension(extension::SESSION_TICKET).is_some()),
                Way::Identifier => hello.is_some_and(|hello| hello.has_session),
            };
            out.first = first;
            out.second = Some(shake(engine, &resumer, Duration::ZERO).0);
        }
    }
    out
}

impl Tried {
    /// A ticket, or an identifier, and it is taken back.
    fn is_resumed(&self) -> Option<bool> {
        match &self.second {
            Some(Ok(second)) => Some(second.resumed && self.gives_tickets),
            Some(Err(_)) => Some(false),
            None => None,
        }
    }

    fn words(&self, way: Way) -> String {
        if let Some(why) = &self.refused {
            return format!("no handshake: {}", printable(why));
        }
        let given = match (way, self.gives_tickets) {
            (Way::Identifier, true) => "an identifier is given".to_owned(),
            (Way::Identifier, false) => "no identifier is given".to_owned(),
            (Way::Ticket, true) => "a ticket is given".to_owned(),
            (_, false) => "no ticket is given".to_owned(),
            (Way::PreShared, true) => format!("tickets are given ({} at once)", self.first.tickets),
        };
        let taken = match (&self.second, self.is_resumed()) {
            (Some(Err(why)), _) => format!("; the second handshake fails: {}", printable(why)),
            (_, Some(true)) => ", and the session is resumed".to_owned(),
            _ if self.gives_tickets => ", and the session is not resumed".to_owned(),
            _ => String::new(),
        };
        let early = match &self.second {
            Some(Ok(second)) if second.early_data_accepted => "; early data is accepted",
            Some(Ok(second)) if second.early_data => "; early data is allowed and then not accepted",
            Some(Ok(_)) if way == Way::PreShared && self.gives_tickets => "; no early data",
            _ => "",
        };
        format!("{given}{taken}{early}")
    }
}

fn json(tried: &[Tried], connections: usize, object: Value) -> Value {
    let ways: Vec<Value> = WAYS
        .iter()
        .zip(tried)
        .map(|((way, version, name), tried)| {
            let second = tried.second.as_ref().and_then(|second| second.as_ref().ok());
            Value::object()
                .with("way", *name)
                .with("version", *version)
                .with("supported", tried.refused.is_none())
                .with("refusal", tried.refused.clone())
                .with("given", if tried.refused.is_none() { Some(tried.gives_tickets) } else { None })
                .with("tickets", if *way == Way::PreShared { Some(u64::from(tried.first.tickets)) } else { None })
                .with("resumed", tried.is_resumed())
                .with("early_data_offered", second.map(|second| second.early_data))
                .with("early_data_accepted", second.map(|second| second.early_data_accepted))
        })
        .collect();
    object.with("ways", ways).with("connections", connections).with("at_once", crate::engine::AT_ONCE)
}

/// `--resume`.
pub(crate) fn run(ctx: &mut Ctx, options: &Options) -> Result<Exit, Error> {
    let mut found = Found::default();
    let mut tried: Vec<Tried> = Vec::new();
    let mut connections = 0;
    let broken: Option<Broken> = match crate::probe::reach(ctx, options, &mut found) {
        Err(broken) => Some(broken),
        Ok(socket) => {
            let address = found.reached.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
            let engine = &Engine::new(options, address, socket);
            tried = std::thread::scope(|scope| {
                let running: Vec<_> = WAYS.iter().map(|(way, ..)| scope.spawn(move || attempt(engine, *way))).collect();
                running.into_iter().map(|one| one.join().unwrap_or_default()).collect()
            });
            connections = engine.connections();
            let refusal = tried.first().and_then(|first| first.refused.clone()).unwrap_or_default();
            match tried.iter().all(|one| one.refused.is_some()) {
                true if tried.iter().any(|one| one.is_plain) => Some((status::NOT_TLS, "this is not TLS".to_owned())),
                true => Some((status::HANDSHAKE, refusal)),
                false => None,
            }
        }
    };
    let text = if options.json {
        let object = crate::show::heading(&found, options, ctx, "resume");
        format!("{}\n", crate::show::ending(json(&tried, connections, object), broken.as_ref()))
    } else {
        let address = found.reached.map(|at| format!(" at {at}")).unwrap_or_default();
        let mut text = format!("server       {}:{}{address}\n", printable(&options.host), options.port);
        for ((way, version, name), tried) in WAYS.iter().zip(&tried) {
            let _ = writeln!(text, "{version:<12} {name:<15} {}", tried.words(*way));
        }
        if !tried.is_empty() {
            let _ = writeln!(text, "connections  {connections}, at most {} at once", crate::engine::AT_ONCE);
        }
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
