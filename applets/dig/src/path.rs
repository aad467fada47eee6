//! `dig --path NAME [TYPE]`: the same question over UDP with three sizes and over TCP, to tell a lost large
//! reply from a blocked port from a dead server in one line.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use netkit_core::json::Value;
use netkit_core::{Ctx, Error, Exit};
use netkit_dns::transport::{Failure, TcpConnection, udp_exchange};
use netkit_wire::dns::{Message, Name, RrType};

use crate::modes::{Request, has_id, query};

/// Every way works; some do not; none does (dig's 9).
const ALL_WORK: Exit = Exit(0);
const SOME_FAIL: Exit = Exit(1);
const NO_REPLY: Exit = Exit(9);
/// Tries over UDP, so that one lost packet is not taken for a blocked path.
const TRIES: u32 = 2;

/// One way of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// UDP; 0 is without EDNS, where a reply has at most 512 octets (RFC 1035 section 4.2.1).
    Udp(u16),
    Tcp,
}

const WAYS: [Way; 4] = [Way::Udp(0), Way::Udp(1232), Way::Udp(4096), Way::Tcp];

impl Way {
    fn title(self) -> String {
        match self {
            Way::Udp(0) => "udp 512 (no EDNS)".to_owned(),
            Way::Udp(size) => format!("udp {size}"),
            Way::Tcp => "tcp".to_owned(),
        }
    }
}

/// How one way went.
struct Row {
    way: Way,
    rtt: Duration,
    reply: Result<Message, Failure>,
}

pub(crate) fn run(ctx: &mut Ctx, request: &Request) -> Result<Exit, Error> {
    let name = request.full_name()?;
    let rtype = request.rtype.unwrap_or(RrType::A);
    let server = *request.servers()?.first().ok_or_else(|| Error::usage("no name server"))?;
    let rows: Vec<Row> = WAYS.into_iter().map(|way| ask(way, server, &name, rtype, request.timeout)).collect();
    let verdict = sentence(&rows);
    if request.json {
        writeln!(ctx.stdout, "{}", json(&name, rtype, server, &rows, &verdict))?;
    } else {
        ctx.stdout.write_all(table(&name, rtype, server, &rows, &verdict).as_bytes())?;
    }
    Ok(match rows.iter().filter(|row| row.reply.is_ok()).count() {
        0 => NO_REPLY,
        works if works == rows.len() => ALL_WORK,
        _ => SOME_FAIL,
    })
}

fn ask(way: Way, server: SocketAddr, name: &Name, rtype: RrType, timeout: Duration) -> Row {
    let started = Instant::now();
    let reply = match way {
        Way::Udp(size) => over_udp(size, server, name, rtype, timeout),
        Way::Tcp => over_tcp(server, name, rtype, timeout),
    };
    let (rtt, reply) = match reply {
        Ok((rtt, bytes)) => (rtt, Message::decode(bytes).map_err(|fault| Failure::Other(fault.to_string()))),
        Err(failure) => (started.elapsed(), Err(failure)),
    };
    Row { way, rtt, reply }
}

fn over_udp(
    size: u16,
    server: SocketAddr,
    name: &Name,
    rtype: RrType,
    timeout: Duration,
) -> Result<(Duration, Vec<u8>), Failure> {
    let mut last = Failure::TimedOut;
    for _ in 0..TRIES {
        let (id, bytes) = query(name, rtype, size, false);
        match udp_exchange(server, None, &bytes, timeout, &mut |reply, _| has_id(reply, id)) {
            Ok(reply) => return Ok((reply.elapsed, reply.bytes)),
            Err(failure) => last = failure,
        }
    }
    Err(last)
}

fn over_tcp(server: SocketAddr, name: &Name, rtype: RrType, timeout: Duration) -> Result<(Duration, Vec<u8>), Failure> {
    let (id, bytes) = query(name, rtype, 1232, false);
    let started = Instant::now();
    let mut connection = TcpConnection::connect(server, None, timeout)?;
    connection.send(&bytes)?;
    let reply = connection.receive(started + timeout)?;
    if has_id(&reply, id) {
        Ok((started.elapsed(), reply))
    } else {
        Err(Failure::Other("reply with another id".to_owned()))
    }
}

fn outcome(row: &Row) -> String {
    match &row.reply {
        Ok(message) => {
            let cut = if message.header.tc { ", truncated" } else { "" };
            format!("{}, {} bytes{cut}", message.rcode(), message.bytes.len())
        }
        Err(failure) => failure.to_string(),
    }
}

fn table(name: &Name, rtype: RrType, server: SocketAddr, rows: &[Row], verdict: &str) -> String {
    let mut out = format!(";; {name} {rtype} from {}#{}\n", server.ip(), server.port());
    for row in rows {
        let _ = writeln!(out, "{:<20} {:>8.1} ms  {}", row.way.title(), row.rtt.as_secs_f64() * 1000.0, outcome(row));
    }
    let _ = writeln!(out, ";; not tried: DNS over TLS (this build has no TLS)\n;; VERDICT: {verdict}");
    out
}

fn sentence(rows: &[Row]) -> String {
    let reply = |way: Way| rows.iter().find(|row| row.way == way).map(|row| &row.reply);
    let works = |way: Way| reply(way).is_some_and(Result::is_ok);
    let (small, medium, large) = (works(Way::Udp(0)), works(Way::Udp(1232)), works(Way::Udp(4096)));
    let tcp = works(Way::Tcp);
    // Only a reply that really was large says anything about large replies.
    let size =
        rows.iter().filter_map(|row| row.reply.as_ref().ok()).map(|message| message.bytes.len()).max().unwrap_or(0);
    let truncated = reply(Way::Udp(0)).and_then(|reply| reply.as_ref().ok()).is_some_and(|message| message.header.tc);
    match (small, medium, large, tcp) {
        (true, true, true, true) if size > 512 => {
            format!("every way works, and replies up to {size} bytes come through")
        }
        (true, true, true, true) => {
            format!("every way works, though this reply is small ({size} bytes); a larger one may fare differently")
        }
        (true, true, true, false) => {
            "UDP works, TCP does not: truncated replies cannot be fetched, and neither can transfers".to_owned()
        }
        (true, _, false, true) if truncated => {
            "large UDP replies are lost, and TCP works: fragments are dropped or the MTU is wrong".to_owned()
        }
        (true, true, false, true) => "queries that allow 4096 bytes get no answer, those that allow 1232 do, and TCP \
                                      works: fragments are dropped or the MTU is wrong"
            .to_owned(),
        (true, false, false, true) => {
            "queries with EDNS get no answer: a middlebox or an old server drops them".to_owned()
        }
        (true, false, false, false) if !truncated => {
            "queries with EDNS get no answer, and TCP is blocked: only UDP without EDNS works".to_owned()
        }
        (true, _, false, false) => {
            "only small UDP replies come through; large ones are lost and TCP is blocked".to_owned()
        }
        // The larger size got through and the smaller did not: no rule about size explains that.
        (_, false, true, _) | (false, true, false, _) => {
            "some UDP queries get an answer and some do not, whatever the size: packets are lost".to_owned()
        }
        (false, true, true, _) => "queries without EDNS get no answer, those with EDNS do".to_owned(),
        (false, false, false, true) => "UDP gets no answer, TCP does: UDP port 53 is blocked on the way".to_owned(),
        (false, false, false, false) => "no way works: the server is down, not there, or port 53 is blocked".to_owned(),
    }
}

fn json(name: &Name, rtype: RrType, server: SocketAddr, rows: &[Row], verdict: &str) -> Value {
    let row = |row: &Row| {
        let mut value = Value::object().with("transport", if row.way == Way::Tcp { "tcp" } else { "udp" });
        if let Way::Udp(size) = row.way {
            value.set("udp_size", if size == 0 { 512 } else { size });
        }
        match &row.reply {
            Ok(message) => {
                value.set("rcode", message.rcode().to_string());
                value.set("size_bytes", message.bytes.len());
                value.set("truncated", message.header.tc);
                value.set("rtt_us", row.rtt.as_micros());
            }
            Err(failure) => value.set("error", failure.to_string()),
        }
        value
    };
    Value::object()
        .with("schema", "dig.path/1")
        .with("name", name.to_string())
        .with("type", rtype.to_string())
        .with("server", server.ip().to_string())
        .with("port", server.port())
        .with("ways", rows.iter().map(row).collect::<Vec<_>>())
        .with("verdict", verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(size: usize, truncated: bool) -> Result<Message, Failure> {
        let mut bytes = vec![0; size];
        bytes[2] = if truncated { 0x82 } else { 0x80 };
        Ok(Message::decode(bytes).unwrap())
    }

    fn verdict(replies: [Result<Message, Failure>; 4]) -> String {
        let rows: Vec<Row> =
            WAYS.into_iter().zip(replies).map(|(way, reply)| Row { way, rtt: Duration::ZERO, reply }).collect();
        sentence(&rows)
    }

    #[test]
    fn verdicts() {
        let lost = || Err(Failure::TimedOut);
        assert!(
            verdict([reply(512, true), reply(1100, false), reply(1800, false), reply(1800, false)])
                .contains("1800 bytes")
        );
        assert!(
            verdict([reply(512, true), reply(1100, false), lost(), reply(1800, false)])
                .contains("fragments are dropped")
        );
        assert!(verdict([reply(60, false), reply(60, false), reply(60, false), lost()]).contains("TCP does not"));
        assert!(verdict([reply(60, false), reply(60, false), lost(), reply(60, false)]).contains("that allow 1232 do"));
        assert!(verdict([reply(60, false), lost(), lost(), reply(60, false)]).contains("with EDNS get no answer"));
        assert!(verdict([reply(60, false), lost(), lost(), lost()]).contains("only UDP without EDNS"));
        assert!(verdict([reply(60, true), reply(900, false), lost(), lost()]).contains("only small UDP"));
        assert!(verdict([lost(), reply(60, false), lost(), reply(60, false)]).contains("packets are lost"));
        assert!(verdict([lost(), lost(), lost(), lost()]).contains("no way works"));
        assert!(verdict([lost(), lost(), lost(), reply(60, false)]).contains("UDP port 53 is blocked"));
    }
}
