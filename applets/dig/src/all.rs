//! `dig @all NAME [TYPE]`: the same question to every name server of resolv.conf, and where the answers differ.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use netkit_core::json::Value;
use netkit_core::{Ctx, Error, Exit, text};
use netkit_dns::transport::{Failure, TcpConnection, udp_exchange};
use netkit_wire::dns::{EdnsOption, Message, Name, RrType, Section};

use crate::modes::{Request, answer_set, has_id, query};

/// Statuses of our own: agreement, difference, and dig's 9 when nobody answered.
const AGREE: Exit = Exit(0);
const DIFFER: Exit = Exit(1);
const NO_REPLY: Exit = Exit(9);
/// A query is sent this often before a server counts as silent; dig's +tries.
const TRIES: u32 = 3;
const UDP_SIZE: u16 = 1232;

/// What one server said.
struct Row {
    server: SocketAddr,
    tcp: bool,
    tries: u32,
    rtt: Duration,
    reply: Result<Message, Failure>,
}

pub(crate) fn run(ctx: &mut Ctx, request: &Request) -> Result<Exit, Error> {
    let name = request.full_name()?;
    let rtype = request.rtype.unwrap_or(RrType::A);
    let servers = request.servers()?;
    // All at once: a slow one must not age the caches of the others.
    let rows: Vec<Row> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            servers.iter().map(|server| scope.spawn(|| ask(*server, &name, rtype, request.timeout))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let groups = groups(&rows);
    let verdict = sentence(&rows, &groups);
    if request.json {
        writeln!(ctx.stdout, "{}", json(&name, rtype, &rows, &verdict))?;
    } else {
        ctx.stdout.write_all(table(&rows, &groups, &verdict).as_bytes())?;
    }
    let answered = rows.iter().filter(|row| row.reply.is_ok()).count();
    Ok(match (answered, groups.len()) {
        (0, _) => NO_REPLY,
        (answered, 1) if answered == rows.len() => AGREE,
        _ => DIFFER,
    })
}

fn ask(server: SocketAddr, name: &Name, rtype: RrType, timeout: Duration) -> Row {
    let (id, bytes) = query(name, rtype, UDP_SIZE, true);
    let mut row = Row { server, tcp: false, tries: 0, rtt: Duration::ZERO, reply: Err(Failure::TimedOut) };
    while row.tries < TRIES {
        row.tries += 1;
        match udp_exchange(server, None, &bytes, timeout, &mut |reply, _| has_id(reply, id)) {
            Ok(reply) => {
                row.rtt = reply.elapsed;
                row.reply = Message::decode(reply.bytes).map_err(|fault| Failure::Other(fault.to_string()));
                break;
            }
            Err(Failure::TimedOut) => {}
            Err(failure) => {
                row.reply = Err(failure);
                break;
            }
        }
    }
    if row.reply.as_ref().is_ok_and(|message| message.header.tc) {
        let started = Instant::now();
        row.tcp = true;
        row.reply = over_tcp(server, &bytes, timeout);
        row.rtt = started.elapsed();
    }
    row
}

fn over_tcp(server: SocketAddr, bytes: &[u8], timeout: Duration) -> Result<Message, Failure> {
    let mut connection = TcpConnection::connect(server, None, timeout)?;
    connection.send(bytes)?;
    let reply = connection.receive(Instant::now() + timeout)?;
    Message::decode(reply).map_err(|fault| Failure::Other(fault.to_string()))
}

/// What is compared: the response code and the answers without their TTLs.
fn essence(message: &Message) -> (u16, Vec<String>) {
    (message.rcode().0, answer_set(message))
}

/// The different essences, in order of first appearance.
fn groups(rows: &[Row]) -> Vec<(u16, Vec<String>)> {
    let mut groups = Vec::new();
    for message in rows.iter().filter_map(|row| row.reply.as_ref().ok()) {
        let essence = essence(message);
        if !groups.contains(&essence) {
            groups.push(essence);
        }
    }
    groups
}

/// Smallest TTL of the answer, or of the authority section of a negative reply; in seconds.
fn ttl(message: &Message) -> Option<u32> {
    let least = |section| message.section(section).filter(|record| !record.is_pseudo()).map(|record| record.ttl).min();
    least(Section::Answer).or_else(|| least(Section::Authority))
}

fn nsid(message: &Message) -> Option<String> {
    let opt = message.opt()?;
    let option = opt.options.iter().find(|option| option.code == EdnsOption::NSID && !option.data.is_empty())?;
    Some(text::printable(&String::from_utf8_lossy(&option.data)))
}

fn serial(message: &Message) -> Option<u32> {
    message.records.iter().find_map(|record| message.soa(record)).map(|soa| soa.serial)
}

fn optional(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn table(rows: &[Row], groups: &[(u16, Vec<String>)], verdict: &str) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{:<28} {:<10} {:>5} {:>7} {:>10} {:>9}  {:<16} SET",
        "SERVER", "STATUS", "RECS", "TTL", "SERIAL", "MS", "NSID"
    );
    for row in rows {
        let server = format!("{}#{}", row.server.ip(), row.server.port());
        match &row.reply {
            Ok(message) => {
                let own = essence(message);
                let set = groups.iter().zip('A'..='Z').find(|(group, _)| **group == own).map(|(_, letter)| letter);
                let _ = writeln!(
                    out,
                    "{server:<28} {:<10} {:>5} {:>7} {:>10} {:>9.1}  {:<16} {}",
                    message.rcode().to_string(),
                    own.1.len(),
                    optional(ttl(message)),
                    optional(serial(message)),
                    row.rtt.as_secs_f64() * 1000.0,
                    optional(nsid(message)),
                    optional(set)
                );
            }
            Err(failure) => {
                let _ = writeln!(out, "{server:<28} {failure} ({} tries)", row.tries);
            }
        }
    }
    for (group, letter) in groups.iter().zip('A'..='Z') {
        let _ = writeln!(out, "\n;; set {letter}: {}", netkit_wire::dns::Rcode(group.0));
        for line in &group.1 {
            let _ = writeln!(out, "   {line}");
        }
    }
    let _ = writeln!(out, "\n;; VERDICT: {verdict}");
    out
}

fn sentence(rows: &[Row], groups: &[(u16, Vec<String>)]) -> String {
    let silent: Vec<String> = rows
        .iter()
        .filter_map(|row| row.reply.as_ref().err().map(|failure| format!("{} ({failure})", row.server.ip())))
        .collect();
    let answered = rows.len() - silent.len();
    let mut out = match (answered, groups.len()) {
        (0, _) => return format!("none of the {} name servers answered: {}", rows.len(), silent.join(", ")),
        (1, _) if rows.len() == 1 => "there is only one name server, so nothing to compare its answer with".to_owned(),
        (1, _) => "only one name server answered".to_owned(),
        (answered, 1) => format!("all {answered} name servers that answered agree{}", negative(groups)),
        (answered, sets) => format!(
            "{answered} name servers give {sets} different answers, so what a client sees depends on whom it asks"
        ),
    };
    if !silent.is_empty() {
        let _ = write!(out, "; no answer from {}", silent.join(", "));
    }
    out
}

/// What the servers agree on when it is no answer: agreement on SERVFAIL must not read like success.
fn negative(groups: &[(u16, Vec<String>)]) -> String {
    match groups.first() {
        Some((0, answers)) if answers.is_empty() => " that there is no such record".to_owned(),
        Some((rcode, _)) if *rcode != 0 => format!(" on {}", netkit_wire::dns::Rcode(*rcode)),
        _ => String::new(),
    }
}

fn json(name: &Name, rtype: RrType, rows: &[Row], verdict: &str) -> Value {
    let row = |row: &Row| {
        let mut value = Value::object()
            .with("server", row.server.ip().to_string())
            .with("port", row.server.port())
            .with("transport", if row.tcp { "tcp" } else { "udp" })
            .with("tries", row.tries);
        match &row.reply {
            Ok(message) => {
                value.set("rcode", message.rcode().to_string());
                value.set("answers", answer_set(message));
                value.set("ttl_s", ttl(message));
                value.set("serial", serial(message));
                value.set("nsid", nsid(message));
                value.set("rtt_us", row.rtt.as_micros());
            }
            Err(failure) => value.set("error", failure.to_string()),
        }
        value
    };
    Value::object()
        .with("schema", "dig.all/1")
        .with("name", name.to_string())
        .with("type", rtype.to_string())
        .with("servers", rows.iter().map(row).collect::<Vec<_>>())
        .with("verdict", verdict)
}
