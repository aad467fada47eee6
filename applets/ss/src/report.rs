//! `--group-by`, counts in place of rows, and `--watch`, what changes.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::rc::Rc;
use std::time::Duration;

use netkit_core::json::Value;
use netkit_core::{Ctx, Error, Exit};
use netkit_nl::Attrs;
use netkit_nl::diag::{TcpInfo, inet};

use crate::args::GroupBy;
use crate::print::{World, netid, push_address};
use crate::run::Job;
use crate::select::{Family, state};
use crate::socket::Socket;

/// Groups that are kept; further ones count together.
const MOST_GROUPS: usize = 100_000;

/// The far end as text, of whatever family.
pub(crate) fn end(socket: &Socket<'_>, local: bool) -> String {
    let (address, port) = if local { (socket.local, socket.local_port) } else { (socket.remote, socket.remote_port) };
    match (socket.family, address) {
        (Family::Inet | Family::Inet6, Some(address)) => {
            let mut text = Vec::new();
            push_address(&mut text, address);
            let text = String::from_utf8(text).unwrap_or_default();
            if address.is_ipv6() { format!("[{text}]:{port}") } else { format!("{text}:{port}") }
        }
        (Family::Unix, _) => {
            let name = if local { socket.name } else { socket.peer_name };
            let name = String::from_utf8_lossy(name.unwrap_or(b"*")).replace('\0', "@");
            netkit_core::text::printable(name.trim_end_matches('@'))
        }
        _ => format!("{}:{port}", if local { socket.local_word } else { socket.remote_word }),
    }
}

fn key(world: &mut World<'_>, socket: &Socket<'_>, by: GroupBy) -> String {
    match by {
        GroupBy::Peer => match socket.remote {
            Some(address) => address.to_string(),
            None => end(socket, false),
        },
        GroupBy::PeerPort => socket.remote_port.to_string(),
        GroupBy::LocalPort => socket.local_port.to_string(),
        GroupBy::State => state::label(socket.state).to_owned(),
        GroupBy::Uid => socket.uid.to_string(),
        GroupBy::Process => match world.owners.of(socket.inode).next() {
            Some((name, holder)) => format!("{name} pid={}", holder.pid),
            None => format!("- uid={}", socket.uid),
        },
        GroupBy::Pod => world.container(socket).map_or_else(|| "-".to_owned(), ToString::to_string),
    }
}

#[derive(Default)]
struct Group {
    count: u64,
    recv_q: u64,
    send_q: u64,
    states: BTreeMap<&'static str, u64>,
}

/// Counts the selected sockets by one key, the largest group first.
pub(crate) fn group(ctx: &mut Ctx, job: &Job, by: GroupBy) -> Result<Exit, Error> {
    let mut world = job.world_for(by)?;
    let mut groups: HashMap<String, Group> = HashMap::new();
    let mut tour = job.tour();
    tour.known.owners = Rc::clone(&world.owners);
    tour.each(&mut |socket| {
        if !job.lets_through(&mut world, socket) {
            return true;
        }
        let mut key = key(&mut world, socket, by);
        if groups.len() >= MOST_GROUPS && !groups.contains_key(&key) {
            "(others)".clone_into(&mut key);
        }
        let group = groups.entry(key).or_default();
        group.count += 1;
        // A listener's queues hold connections, not bytes.
        if socket.state != state::N_LISTEN {
            group.recv_q += u64::from(socket.recv_q);
            group.send_q += u64::from(socket.send_q);
        }
        *group.states.entry(state::label(socket.state)).or_default() += 1;
        true
    })?;
    let mut list: Vec<(String, Group)> = groups.into_iter().collect();
    list.sort_by(|(a, left), (b, right)| right.count.cmp(&left.count).then_with(|| a.cmp(b)));
    if job.options.json {
        let groups: Vec<Value> = list.iter().map(|(key, group)| group_record(key, group)).collect();
        writeln!(ctx.stdout, "{}", Value::object().with("schema", "ss-groups/1").with("groups", groups))?;
        return Ok(Exit::OK);
    }
    if !job.options.show.no_header {
        writeln!(ctx.stdout, "{:>7} {:>10} {:>10} Group", "Count", "Recv-Q", "Send-Q")?;
    }
    for (key, group) in &list {
        let states: Vec<String> = group.states.iter().map(|(state, count)| format!("{state}:{count}")).collect();
        let states = if by == GroupBy::State { String::new() } else { format!("  ({})", states.join(" ")) };
        writeln!(ctx.stdout, "{:>7} {:>10} {:>10} {key}{states}", group.count, group.recv_q, group.send_q)?;
    }
    Ok(Exit::OK)
}

fn group_record(key: &str, group: &Group) -> Value {
    let states = group.states.iter().fold(Value::object(), |value, (state, count)| value.with(state, *count));
    Value::object()
        .with("key", key)
        .with("count", group.count)
        .with("recv_q_bytes", group.recv_q)
        .with("send_q_bytes", group.send_q)
        .with("states", states)
}

/// What is compared from one look to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    text: String,
    state: u8,
    listens: bool,
    recv_q: u32,
    send_q: u32,
    bytes_sent: u64,
    bytes_received: u64,
    retransmitted: u32,
}

impl Look {
    fn of(socket: &Socket<'_>) -> Look {
        let info =
            Attrs::new(socket.attributes).find(inet::INFO).map(|info| TcpInfo::read(info.value)).unwrap_or_default();
        Look {
            text: format!("{} {} {}", netid(socket), end(socket, true), end(socket, false)),
            state: socket.state,
            listens: socket.state == state::N_LISTEN,
            recv_q: socket.recv_q,
            send_q: socket.send_q,
            bytes_sent: info.bytes_sent,
            bytes_received: info.bytes_received,
            retransmitted: info.total_retrans,
        }
    }

    /// Changes since an earlier look at the same socket; nothing when there are none.
    fn since(&self, before: &Look) -> Option<String> {
        let mut parts = Vec::new();
        if self.state != before.state {
            parts.push(format!("{} -> {}", state::label(before.state), state::label(self.state)));
        }
        let signed = |now: u64, then: u64| -> Option<String> {
            match now.cmp(&then) {
                std::cmp::Ordering::Greater => Some(format!("+{}", now - then)),
                std::cmp::Ordering::Less => Some(format!("-{}", then - now)),
                std::cmp::Ordering::Equal => None,
            }
        };
        let queues = if self.listens { ["accept-queue", "backlog"] } else { ["recv-q", "send-q"] };
        for (name, now, then) in [
            (queues[0], u64::from(self.recv_q), u64::from(before.recv_q)),
            (queues[1], u64::from(self.send_q), u64::from(before.send_q)),
            ("bytes_sent", self.bytes_sent, before.bytes_sent),
            ("bytes_received", self.bytes_received, before.bytes_received),
            ("retrans", u64::from(self.retransmitted), u64::from(before.retransmitted)),
        ] {
            if let Some(delta) = signed(now, then) {
                let total = if queues.contains(&name) { format!(" ({now})") } else { String::new() };
                parts.push(format!("{name} {delta}{total}"));
            }
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// Looks again and again; prints what came, went and changed.
pub(crate) fn watch(ctx: &mut Ctx, job: &Job, seconds: u64) -> Result<Exit, Error> {
    let mut before: Option<BTreeMap<(u64, String), Look>> = None;
    let mut round = 0u64;
    loop {
        let now = looks(job)?;
        let mut out = String::new();
        match &before {
            None => {
                line(job, &mut out, round, "watching", &format!("{} sockets", now.len()), None);
            }
            Some(before) => {
                for (key, look) in &now {
                    match before.get(key) {
                        None => {
                            line(job, &mut out, round, "new", &look.text, Some(state::label(look.state).to_owned()))
                        }
                        Some(earlier) => {
                            if let Some(change) = look.since(earlier) {
                                line(job, &mut out, round, "change", &look.text, Some(change));
                            }
                        }
                    }
                }
                for (key, look) in before.iter().filter(|(key, _)| !now.contains_key(*key)) {
                    let _ = key;
                    line(job, &mut out, round, "gone", &look.text, Some(state::label(look.state).to_owned()));
                }
            }
        }
        ctx.stdout.write_all(out.as_bytes())?;
        ctx.stdout.flush()?;
        before = Some(now);
        round += seconds;
        std::thread::sleep(Duration::from_secs(seconds));
    }
}

fn line(job: &Job, out: &mut String, after: u64, what: &str, socket: &str, change: Option<String>) {
    if job.options.json {
        let record = Value::object()
            .with("schema", "ss-watch/1")
            .with("after_s", after)
            .with("event", what)
            .with("socket", socket)
            .with("change", change);
        out.push_str(&format!("{record}\n"));
    } else {
        let change = change.map(|change| format!("  {change}")).unwrap_or_default();
        out.push_str(&format!("{after:>5}s {what:<8} {socket}{change}\n"));
    }
}

/// Every selected socket by cookie; where there is none, by its two ends.
fn looks(job: &Job) -> Result<BTreeMap<(u64, String), Look>, Error> {
    let mut world = job.world()?;
    let mut tour = job.tour_with_info();
    tour.known.owners = Rc::clone(&world.owners);
    let mut found = BTreeMap::new();
    tour.each(&mut |socket| {
        if job.lets_through(&mut world, socket) {
            let look = Look::of(socket);
            let key = (socket.cookie, if socket.cookie == 0 { look.text.clone() } else { String::new() });
            found.insert(key, look);
        }
        true
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::Table;

    #[test]
    fn ends_as_text() {
        let mut socket = Socket::new(Table::Tcp, Family::Inet6);
        (socket.local, socket.local_port) = (Some("::1".parse().unwrap()), 80);
        assert_eq!(end(&socket, true), "[::1]:80");
        let mut socket = Socket::new(Table::UnixStream, Family::Unix);
        socket.name = Some(b"\0abc");
        assert_eq!((end(&socket, true), end(&socket, false)), ("@abc".to_owned(), "*".to_owned()));
    }

    #[test]
    fn changes_between_two_looks() {
        let before = Look::of(&Socket::new(Table::Tcp, Family::Inet));
        assert_eq!(before.since(&before), None);
        let now = Look { state: 8, recv_q: 5, bytes_received: 100, retransmitted: 2, ..before.clone() };
        assert_eq!(
            now.since(&before).unwrap(),
            "UNKNOWN -> CLOSE-WAIT, recv-q +5 (5), bytes_received +100, retrans +2"
        );
        let back = Look { recv_q: 1, ..now.clone() };
        assert_eq!(back.since(&now).unwrap(), "recv-q -4 (1)");
    }
}
