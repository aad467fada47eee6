//! The walk: layer after layer, polite while all is well.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use netkit_http::url::Url;
use netkit_probe::Protocol;

use crate::exchange::{self, Answer, End, Exchange, Manner, Trouble};
use crate::kernel::Kernel;
use crate::report::{Fault, Layer, Report, millis};
use crate::target::{Speak, Target};
use crate::world::World;
use crate::{applications, dns, environment, http, proxy, route, tcp, tls};

/// Redirects followed.
const MOST_REDIRECTS: usize = 5;
/// How long a plain connection is watched, beside two round trips: what the server does with it takes one to show.
const WATCH: Duration = Duration::from_millis(250);

/// How much of the surroundings is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Everything.
    Whole,
    /// The path alone, for redirects and repetitions.
    Path,
}

/// Walks to a target.
pub(crate) fn walk(world: &World, target: &Target, depth: Depth) -> Report {
    let began = Instant::now();
    let mut report = Report { target: target.text.clone(), ..Report::default() };
    let mut kernel = Kernel::default();
    if depth == Depth::Whole {
        environment::look(world, target, &mut kernel, &mut report);
    }
    path(world, target, &mut kernel, &mut report, MOST_REDIRECTS);
    report.elapsed = began.elapsed();
    report
}

fn path(world: &World, target: &Target, kernel: &mut Kernel, report: &mut Report, redirects: usize) {
    let proxy = proxy::of(world, target);
    if let Some(proxy) = proxy {
        proxy::path(world, target, &proxy, kernel, report);
        return;
    }
    let Some(addresses) = dns::look_up(world, &target.host, target.port, report) else { return };
    report.addresses.clone_from(&addresses);
    if !route::look(kernel, &addresses, report) {
        return;
    }
    if target.speak == Speak::Dns {
        dns::ask_server(world, &addresses, &target.path, report);
        return;
    }
    if target.is_udp() {
        applications::udp(world, target, kernel, &addresses, report);
        return;
    }
    let Some(connected) = tcp::reach(world, kernel, &addresses, Protocol::Tcp, report) else { return };
    above(world, target, kernel, connected, report, redirects);
}

/// What is spoken over a connection.
fn above(
    world: &World,
    target: &Target,
    kernel: &mut Kernel,
    connected: tcp::Connected,
    report: &mut Report,
    redirects: usize,
) {
    let (address, handshake) = (connected.address, connected.elapsed);
    let watched = connected.socket.try_clone().ok();
    match target.speak {
        Speak::Tcp => tcp::watch(&connected, (WATCH + handshake * 2).min(world.patience().max(WATCH)), report),
        Speak::Postgres => applications::postgres(world, target, connected, report),
        Speak::Grpc => applications::grpc(world, target, connected, report),
        _ => {
            let exchange = exchange::speak(world, target, connected.socket, &Manner::of(world));
            let answer = judge(world, target, address, exchange, report);
            if let Some(answer) = answer
                && !report.is_fatal()
            {
                redirect(world, target, kernel, &answer, report, redirects);
            }
        }
    }
    if let Some(socket) = &watched {
        tcp::quality(world, socket, address, handshake, report);
    }
}

/// What a conversation showed; the answer, if there was one.
pub(crate) fn judge(
    world: &World,
    target: &Target,
    address: SocketAddr,
    exchange: Exchange,
    report: &mut Report,
) -> Option<Answer> {
    if let (Some(session), Some(elapsed)) = (&exchange.session, exchange.handshake) {
        tls::accepted(world, target, session, elapsed, report);
    }
    match exchange.result {
        Ok(answer) => {
            if let End::Stalled(_) = answer.end
                && let Some(fault) =
                    crate::size::suspect(world, target, address, &exchange.info, exchange.mtu, exchange.padded, report)
            {
                report.faults.push(fault);
            }
            let refused_padding = exchange.padded && matches!(answer.head.status, 400 | 413 | 414 | 431);
            if refused_padding
                && let Some(other) = again(world, target, address, &Manner { pad: false, ..Manner::of(world) })
            {
                http::judge(world, target, address, &other, report);
                return Some(other);
            }
            http::judge(world, target, address, &answer, report);
            Some(answer)
        }
        Err(Trouble::Tls(error)) => {
            report.broken(Layer::Tls, error.text.clone(), None);
            let fault = match tls::blame(world, target, address, &error) {
                Some(fault) => skewed(world, target, address, fault),
                None => {
                    crate::size::suspect(world, target, address, &exchange.info, exchange.mtu, exchange.padded, report)
                        .unwrap_or_else(|| silent_handshake(target, address, &exchange.info, world.patience()))
                }
            };
            report.faults.push(fault);
            None
        }
        Err(Trouble::Silent) if target.speak == Speak::Tls => {
            report.looked.push("what the server says after it".to_owned());
            None
        }
        Err(Trouble::Other(_)) if target.speak == Speak::Tls => None,
        Err(Trouble::Empty) if target.speak == Speak::Tls => {
            report.note(Layer::Tls, "the server closed the connection after the handshake");
            None
        }
        Err(Trouble::Silent) => {
            let fault =
                crate::size::suspect(world, target, address, &exchange.info, exchange.mtu, exchange.padded, report)
                    .unwrap_or_else(|| silent_request(target, address, &exchange.info, world.patience()));
            report.broken(fault.layer, format!("no answer within {}", millis(world.patience())), None);
            report.faults.push(fault);
            None
        }
        Err(trouble) => {
            // A server that cannot take a long head may end the connection instead of saying so.
            if exchange.padded
                && matches!(trouble, Trouble::Reset | Trouble::Empty)
                && let Some(other) = again(world, target, address, &Manner { pad: false, ..Manner::of(world) })
            {
                // Unless a short one fails as well, or the long one is taken when it is sent once more: then the first
                // one just met bad luck.
                let short = Manner { pad: false, ..Manner::of(world) };
                if again(world, target, address, &short).is_none()
                    || again(world, target, address, &Manner::of(world)).is_some()
                {
                    report.faults.push(sometimes(address, &trouble));
                }
                http::judge(world, target, address, &other, report);
                return Some(other);
            }
            if matches!(trouble, Trouble::Reset | Trouble::Empty)
                && !target.tls
                && target.speak == Speak::Http
                && speaks_tls(world, target, address)
            {
                let fault = http::tls_wanted(target);
                report.broken(fault.layer, "closed the connection on plain HTTP, and answers a TLS handshake", None);
                report.faults.push(fault);
                return None;
            }
            if let Some(fault) = http::blame(target, address, &trouble) {
                report.broken(fault.layer, fault.sentence.clone(), None);
                report.faults.push(fault);
            }
            None
        }
    }
}

/// One of several conversations ended without an answer.
fn sometimes(address: SocketAddr, trouble: &Trouble) -> Fault {
    let how = if matches!(trouble, Trouble::Reset) { "reset" } else { "closed" };
    let sentence = format!(
        "{address} {how} one connection without an answer and served another: one of several backends is broken"
    );
    Fault::impaired(Layer::Http, "fails_sometimes", sentence).next(format!("netkit doctor --repeat 50 {address}"))
}

/// The same once more on a connection of its own.
fn again(world: &World, target: &Target, address: SocketAddr, manner: &Manner) -> Option<Answer> {
    let socket = exchange::connect(address, manner.mss, manner.patience).ok()?;
    exchange::speak(world, target, socket, manner).result.ok()
}

/// Whether a port that ended plain HTTP shakes hands in TLS.
fn speaks_tls(world: &World, target: &Target, address: SocketAddr) -> bool {
    if world.brief {
        return false;
    }
    let target = Target { tls: true, speak: Speak::Tls, ..target.clone() };
    let manner = Manner { insecure: true, patience: world.patience().min(Duration::from_secs(2)), ..Manner::of(world) };
    let Ok(socket) = exchange::connect(address, None, manner.patience) else { return false };
    exchange::speak(world, &target, socket, &manner).session.is_some()
}

/// A certificate that is out of its time may be right and our clock wrong: the server is asked for the time.
fn skewed(world: &World, target: &Target, address: SocketAddr, fault: Fault) -> Fault {
    if !matches!(fault.cause, "expired" | "not_yet_valid") {
        return fault;
    }
    if world.built > 0 && world.now < world.built {
        let sentence =
            format!("this clock is wrong: it says a time before this program was made, so {}", fault.sentence);
        return Fault::fatal(Layer::Environment, "clock_skew", sentence)
            .all_evidence(fault.evidence)
            .next("netkit date -u");
    }
    if target.speak != Speak::Http {
        return fault;
    }
    let manner = Manner { insecure: true, pad: false, ..Manner::of(world) };
    let Some(answer) = again(world, target, address, &manner) else { return fault };
    match http::skew(world, &answer.head).filter(|_| out_of_time(world, &answer.head, &fault)) {
        Some(skew) => {
            let sentence = format!("{} ({})", skew.sentence, fault.sentence);
            Fault::fatal(Layer::Environment, "clock_skew", sentence).all_evidence(fault.evidence).next("netkit date -u")
        }
        None => fault.evidence("the server's Date agrees with this clock"),
    }
}

/// Whether the server's clock differs from ours by more than an hour; for certificates less hardly matters.
fn out_of_time(world: &World, head: &netkit_http::head::Head, fault: &Fault) -> bool {
    let theirs = head.field("date").and_then(netkit_http::date::parse);
    let right = |now: i64| if fault.cause == "expired" { now < world.now } else { now > world.now };
    theirs.is_some_and(|theirs| (theirs - world.now).abs() > 3_600 && right(theirs))
}

fn silent_handshake(
    target: &Target,
    address: SocketAddr,
    info: &Option<netkit_probe::TcpInfo>,
    patience: Duration,
) -> Fault {
    if let Some(fault) = unacknowledged(address, info) {
        return fault;
    }
    let sentence = format!(
        "{address} takes the connection and our ClientHello and says nothing for {}: the server hangs, or does not speak TLS",
        millis(patience)
    );
    Fault::fatal(Layer::Tls, "handshake_stalls", sentence).unsure().next(tls::probe_command(target))
}

fn silent_request(
    target: &Target,
    address: SocketAddr,
    info: &Option<netkit_probe::TcpInfo>,
    patience: Duration,
) -> Fault {
    if let Some(fault) = unacknowledged(address, info) {
        return fault;
    }
    let sentence = format!(
        "{address} accepted the connection and the request, and says nothing for {}; cannot tell which of: the application hangs, it is too slow, its listen queue is not served, its answers are lost on the way",
        millis(patience)
    );
    Fault::fatal(Layer::Http, "no_answer", sentence)
        .unsure()
        .evidence("the kernel there acknowledged every byte of the request")
        .next(format!("netkit curl -sv -m 60 {}", http::url(target)))
}

/// The connection exists for us, and nothing we send is taken.
pub(crate) fn unacknowledged(address: SocketAddr, info: &Option<netkit_probe::TcpInfo>) -> Option<Fault> {
    let info = info.filter(|info| info.unacked > 0)?;
    let sentence = format!(
        "{address} answered the SYN and acknowledges nothing we send after it: cannot tell which of: a full listen queue there, a filter that lets only the handshake pass, a load balancer with a dead backend"
    );
    Some(
        Fault::fatal(Layer::Tcp, "half_open", sentence)
            .unsure()
            .evidence(format!("{} segments unacknowledged, {} retransmitted", info.unacked, info.total_retrans))
            .next(format!("netkit tcpdump -n -c 20 host {} and port {}", address.ip(), address.port())),
    )
}

/// Follows a redirect, and says so when it leads nowhere.
fn redirect(world: &World, target: &Target, kernel: &mut Kernel, answer: &Answer, report: &mut Report, left: usize) {
    if !matches!(answer.head.status, 301 | 302 | 303 | 307 | 308) {
        return;
    }
    let next = format!("netkit curl -svL {}", http::url(target));
    let broken = |cause: &'static str, sentence: String| Fault::fatal(Layer::Http, cause, sentence).next(next.clone());
    let Some(location) = answer.head.field("location") else {
        let fault = broken("redirect_nowhere", format!("{} redirects without saying where to", http::url(target)));
        report.faults.push(fault);
        return;
    };
    let shown = netkit_core::text::printable(location);
    let joined = Url::parse(&http::url(target), false).and_then(|base| base.join(location, false));
    let onward = joined.ok().and_then(|url| Target::parse(&url.text(false, false)).ok());
    let Some(onward) = onward else {
        report
            .faults
            .push(broken("redirect_nowhere", format!("{} redirects to '{shown}', which is no URL", http::url(target))));
        return;
    };
    report.note(Layer::Http, format!("redirects to {shown}"));
    if left == 0 || http::url(&onward) == http::url(target) {
        let sentence = format!("{} redirects in circles, lastly to {shown}", http::url(target));
        report.faults.push(broken("redirect_loop", sentence));
        return;
    }
    let mut further = Report { target: onward.text.clone(), ..Report::default() };
    path(world, &onward, kernel, &mut further, left - 1);
    for line in further.lines {
        report.lines.push(crate::report::Line { text: format!("after the redirect: {}", line.text), ..line });
    }
    for fault in further.faults {
        let cause = if fault.cause.starts_with("redirect") { fault.cause } else { "redirect_broken" };
        let sentence = if cause == "redirect_broken" {
            format!(
                "it redirects to {shown}, and there {}: {}",
                crate::report::layer_words(fault.layer),
                fault.sentence
            )
        } else {
            fault.sentence.clone()
        };
        report.faults.push(Fault { layer: Layer::Http, cause, sentence, ..fault });
    }
    report.answerer = further.answerer;
}
