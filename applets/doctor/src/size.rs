//! Large packets that vanish: a conversation that stalls is held again with small segments. If that works, and the
//! usual ones stall once more, the path swallows large packets.

use std::net::SocketAddr;
use std::time::Duration;

use netkit_probe::TcpInfo;

use crate::exchange::{self, End, Exchange, Manner, SMALL_MSS, Trouble};
use crate::kernel::Kernel;
use crate::report::{Fault, Layer, Report};
use crate::target::Target;
use crate::world::World;

/// Whether a conversation came to an end.
fn went_through(exchange: &Exchange) -> bool {
    match &exchange.result {
        Ok(answer) => !matches!(answer.end, End::Stalled(_)),
        Err(Trouble::Silent) => false,
        Err(Trouble::Tls(error)) => error.kind != netkit_tls::Kind::TimedOut,
        Err(_) => true,
    }
}

/// Looks for a black hole behind a stall; `mtu` is what the kernel took the path's for before. `None` when small segments stall as well.
pub(crate) fn suspect(
    world: &World,
    target: &Target,
    address: SocketAddr,
    first: &Option<TcpInfo>,
    mtu: u32,
    padded: bool,
    report: &mut Report,
) -> Option<Fault> {
    let kernel = &mut Kernel::default();
    if world.brief {
        return None;
    }
    let hold = |mss: Option<u32>, pad: bool, patience: Duration| -> Option<Exchange> {
        let manner = Manner { mss, pad, patience, ..Manner::of(world) };
        let socket = exchange::connect(address, mss, patience.min(world.patience())).ok()?;
        Some(exchange::speak(world, target, socket, &manner))
    };
    let patience = world.patience();
    let small = hold(Some(SMALL_MSS), padded, patience * 3)?;
    if !went_through(&small) {
        return None;
    }
    if let Ok(answer) = &small.result
        && answer.first_byte >= patience
    {
        // It was slow, not lost.
        let sentence = format!(
            "{address} answers, after {}: the application or what is behind it is slow",
            crate::report::millis(answer.first_byte)
        );
        return Some(
            Fault::fatal(Layer::Http, "slow_first_byte", sentence)
                .next(format!("netkit curl -sv -m 60 {}", crate::http::url(target))),
        );
    }
    let usual = hold(None, padded, patience)?;
    if went_through(&usual) && (1..mtu).contains(&usual.mtu) {
        let sentence = format!(
            "large packets from {} vanish on the way here and no ICMP tells it so (a PMTU black hole): {} bytes fit, not {mtu}",
            address.ip(),
            usual.mtu
        );
        report.broken(Layer::Route, format!("the path takes {} bytes, not {mtu}", usual.mtu), None);
        return Some(
            Fault::fatal(Layer::Route, "pmtu_black_hole", sentence)
                .evidence("the first conversation stalled; our own large packet was told of the path's MTU, and since this is known here the same goes through")
                .next(format!("netkit ping --mtu {}", address.ip())),
        );
    }
    if went_through(&usual) {
        return Some(learnt(target, address, kernel));
    }
    let out = usual.info.is_some_and(|info| info.unacked > 0) || first.is_some_and(|info| info.unacked > 0);
    let mtu = usual.info.map_or(0, |info| info.snd_mss);
    let largest = largest(&hold, mtu, patience);
    let direction = if out { "to it" } else { "from it" };
    let fits =
        largest.map_or_else(String::new, |mss| format!("; segments of {mss} bytes get through, those of {mtu} do not"));
    let sentence = format!(
        "large packets {direction} vanish on the way between here and {} and no ICMP says so (a PMTU black hole){fits}",
        address.ip()
    );
    report.broken(Layer::Route, format!("segments of {SMALL_MSS} bytes go through, usual ones of {mtu} do not"), None);
    Some(
        Fault::fatal(Layer::Route, "pmtu_black_hole", sentence)
            .evidence(format!("the same conversation with segments of {SMALL_MSS} bytes went through, with the usual size it stalled twice"))
            .next(format!("netkit ping --mtu {}", address.ip())),
    )
}

/// The usual size went through as well, the second time. Either our kernel was told meanwhile what fits, and announces
/// smaller segments since; or it is a matter of luck.
fn learnt(target: &Target, address: SocketAddr, kernel: &mut Kernel) -> Fault {
    let way = kernel.way(address.ip(), None).ok();
    let interfaces = kernel.interfaces().unwrap_or_default();
    let own = way
        .as_ref()
        .and_then(|way| interfaces.iter().find(|iface| iface.index == way.output))
        .map_or(0, |iface| iface.mtu);
    if let Some(fits) = way.and_then(|way| way.mtu).filter(|fits| *fits < own) {
        let sentence = format!(
            "large packets from {} vanish on the way here: {fits} bytes fit (an MTU mismatch), a router told us so, and nobody tells the other side",
            address.ip()
        );
        return Fault::fatal(Layer::Route, "pmtu_black_hole", sentence)
            .evidence(format!("the first conversation stalled; since this machine learnt an MTU of {fits} (its interface has {own}) and announces smaller segments, the same goes through"))
            .next(format!("netkit ping --mtu {}", address.ip()));
    }
    let sentence = format!(
        "{address} let one conversation of three stall without an answer, the others went through: one of several backends hangs, or packets get lost"
    );
    Fault::impaired(Layer::Http, "stalls_sometimes", sentence)
        .unsure()
        .next(format!("netkit doctor --repeat 50 {}", target.text))
}

/// The largest segment that gets through, by a few steps of halving.
fn largest(
    hold: &dyn Fn(Option<u32>, bool, Duration) -> Option<Exchange>,
    usual: u32,
    patience: Duration,
) -> Option<u32> {
    let short = patience.min(Duration::from_millis(700));
    let (mut low, mut high) = (SMALL_MSS, usual);
    if high <= low {
        return None;
    }
    for _ in 0..4 {
        let middle = low + (high - low) / 2;
        let through = hold(Some(middle), true, short).is_some_and(|exchange| went_through(&exchange));
        if through { low = middle } else { high = middle }
    }
    Some(low)
}
