//! Packets of interfaces: rings of the kernel, the closing counters, signals.

use std::io::Write as _;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use netkit_core::privilege::{Capability, missing};
use netkit_core::{Ctx, Error, Exit};
use netkit_filter::{Program, Source, link};
use netkit_sys::capture::{Captured, Counters, OpenError, Ring, Settings};
use netkit_sys::signals::{Signals, Wish};
use netkit_wire::pcap::{self, Record};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::args::{FAILURE, Mode, Opts, usage};
use crate::filters::{self, Filter};
use crate::interfaces::{self, Interface};
use crate::output::Output;

/// Size of a ring where `-B` does not say otherwise, in bytes.
const RING: usize = 8 << 20;
/// After how many milliseconds a block of the ring that is not full is handed over.
const HANDOVER_MS: u32 = 100;
/// How long to wait at the end for packets that the kernel has counted and not handed over yet.
const LAST: Duration = Duration::from_secs(2);
/// sll_pkttype of what this machine sends.
const OUTGOING: u8 = 4;

/// One interface that is captured on.
struct Tap {
    interface: Interface,
    link: u32,
    ring: Ring,
    /// The filter, where the kernel does not run it.
    filter: Option<Program>,
    /// Packets taken out of the ring, wanted or not.
    taken: u64,
    down: bool,
}

/// `-D`, `-L`, `-J`, `-d` without a file, or a capture.
pub(crate) fn run(ctx: &mut Ctx, opts: &Opts) -> Result<Exit, Error> {
    if opts.list_interfaces {
        interfaces::show(ctx)?;
        return Ok(Exit::OK);
    }
    if opts.list_link_types || opts.list_stamp_types {
        interfaces::show_types(ctx, opts)?;
        return Ok(Exit::OK);
    }
    if opts.dump_filter > 0 {
        filters::show(ctx, opts, None)?;
        return Ok(Exit::OK);
    }
    if opts.stamp_type.as_deref().is_some_and(|kind| kind != "host") {
        let kind = opts.stamp_type.as_deref().unwrap_or_default();
        return Err(usage(format!("-j {kind} is not offered: packets carry the kernel's own time (host)")));
    }
    if opts.write.as_deref() == Some("-") && ctx.stdout_is_terminal {
        return Err(Error::new(
            FAILURE,
            "standard output is a terminal: packets written to it would be spoiled; redirect, or -w FILE\n\
             (kubectl exec and docker run without -t keep the bytes as they are)",
        ));
    }
    // From here on a signal ends the capture, not the process.
    let mut signals = Signals::hold().map_err(|errno| Error::new(FAILURE, format!("signals: {}", errno.desc())))?;
    let mut taps = Vec::new();
    let names: Vec<Option<&str>> = match opts.interfaces.as_slice() {
        [] => vec![None],
        names => names.iter().map(|name| Some(name.as_str())).collect(),
    };
    let mut filter = Filter::new(opts, Source::Live)?;
    for name in names {
        let interface = interfaces::chosen(name)?;
        let tap = open(opts, &mut filter, interface)?;
        taps.push(tap);
    }
    // Whose sockets a flow belongs to is looked up as it comes.
    netkit_sys::capabilities::lower(netkit_core::privilege::Capability::SysPtrace.bit());
    let mut output = Output::new(ctx, opts);
    output.live();
    let described: Vec<(u32, u32, &str)> =
        taps.iter().map(|tap| (tap.link, opts.snaplen, tap.interface.name.as_str())).collect();
    output.begin_several(ctx, opts, &described)?;
    announce(ctx, opts, &taps);
    let mut run = Run {
        opts,
        output,
        captured: 0,
        scratch: Vec::new(),
        loopback: interfaces::chosen(Some("lo")).map_or(0, |lo| lo.index),
    };
    let outcome = run.until_end(ctx, &mut taps, &mut signals);
    let closing = run.output.finish(ctx, opts);
    if outcome.as_ref().is_ok_and(|ended| *ended == End::Signal) && (opts.write.is_none() || opts.print_too) {
        // The line that was being printed may not be complete.
        if opts.mode == Mode::Text && !opts.count_only {
            let _ = ctx.stdout.write_all(b"\n");
        }
    }
    if opts.count_only {
        let plural = if run.captured == 1 { "" } else { "s" };
        writeln!(ctx.stdout, "{} packet{plural}", run.captured)?;
    }
    ctx.stdout.flush()?;
    let counters = totals(&mut taps);
    ctx.say(&report(run.captured, counters, "\n"));
    outcome?;
    closing?;
    Ok(Exit::OK)
}

/// Why a capture ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Signal,
    Limit,
}

fn open(opts: &Opts, filter: &mut Filter, interface: Interface) -> Result<Tap, Error> {
    let link = interfaces::link_of(&interface, opts.link_type.as_deref())?;
    let cooked = matches!(link, link::LINUX_SLL | link::LINUX_SLL2);
    let program = if filter.is_empty() { None } else { Some(filter.program(link, opts.snaplen)?.clone()) };
    let cut = netkit_sys::capture::Instruction { code: 6, jt: 0, jf: 0, k: opts.snaplen };
    let in_kernel = match &program {
        Some(program) => filters::for_kernel(program, link),
        None => Some(vec![cut]),
    };
    let all = [cut];
    let settings = Settings {
        ifindex: interface.index,
        cooked,
        bytes: match opts.buffer_kib {
            0 => RING,
            kib => usize::try_from(kib).unwrap_or(usize::MAX).saturating_mul(1024),
        },
        handover_ms: if opts.immediate { 1 } else { HANDOVER_MS },
        promiscuous: opts.promiscuous,
        filter: in_kernel.as_deref().unwrap_or(&all),
    };
    let (ring, ours) = match Ring::open(&settings) {
        // The kernel does not take every program that is valid here.
        Err(OpenError { what: "filter", errno: Errno::EINVAL }) if program.is_some() => {
            (Ring::open(&Settings { filter: &all, ..settings }), true)
        }
        other => (other, in_kernel.is_none()),
    };
    let ring = ring.map_err(|error| refused(&interface, error))?;
    Ok(Tap { interface, link, ring, filter: program.filter(|_| ours), taken: 0, down: false })
}

/// Why an interface cannot be captured on.
fn refused(interface: &Interface, OpenError { what, errno }: OpenError) -> Error {
    let name = &interface.name;
    match errno {
        Errno::EPERM | Errno::EACCES => {
            let why = missing(Capability::NetRaw, "capturing", "reading files (-r), -d, -D");
            Error::new(
                FAILURE,
                format!("{name}: You don't have permission to perform this capture on that device\n({why})"),
            )
        }
        Errno::ENODEV | Errno::ENXIO => {
            Error::new(FAILURE, format!("{name}: No such device exists\n({what}: {})", errno.desc()))
        }
        Errno::ENETDOWN => Error::new(FAILURE, format!("{name}: That device is not up")),
        Errno::ENOMEM => {
            Error::new(FAILURE, format!("{name}: the kernel has no memory for the ring; try a smaller -B"))
        }
        _ => Error::new(FAILURE, format!("{name}: {what}: {}", errno.desc())),
    }
}

fn announce(ctx: &mut Ctx, opts: &Opts, taps: &[Tap]) {
    let name = ctx.name.clone();
    let mut first = format!("{name}: ");
    if opts.print.verbose == 0 && opts.write.is_none() && opts.mode == Mode::Text {
        ctx.say(&format!("{name}: verbose output suppressed, use -v[v]... for full protocol decode"));
        first.clear();
    }
    for tap in taps {
        let link = match pcap::link_name(tap.link) {
            Some((name, text)) => format!("{name} ({text})"),
            None => tap.link.to_string(),
        };
        let on = &tap.interface.name;
        ctx.say(&format!("{first}listening on {on}, link-type {link}, snapshot length {} bytes", opts.snaplen));
    }
}

fn totals(taps: &mut [Tap]) -> Counters {
    let mut all = Counters::default();
    for tap in taps {
        let counters = tap.ring.counters().unwrap_or_default();
        all.received += counters.received;
        all.dropped += counters.dropped;
    }
    all
}

/// The counters, separated by `between`.
fn report(captured: u64, counters: Counters, between: &str) -> String {
    let count = |number: u64, what: &str| format!("{number} packet{} {what}", if number == 1 { "" } else { "s" });
    [
        count(captured, "captured"),
        count(counters.received, "received by filter"),
        count(counters.dropped, "dropped by kernel"),
    ]
    .join(between)
}

/// A capture under way.
struct Run<'o> {
    opts: &'o Opts,
    output: Output,
    captured: u64,
    scratch: Vec<u8>,
    loopback: u32,
}

impl Run<'_> {
    fn until_end(&mut self, ctx: &mut Ctx, taps: &mut [Tap], signals: &mut Signals) -> Result<End, Error> {
        // With -v, a file is written while its growth is told each second.
        let progress = self.opts.write.is_some() && self.opts.print.verbose > 0 && !self.opts.print_too;
        let mut told = Instant::now();
        loop {
            let mut busy = false;
            for (index, tap) in taps.iter_mut().enumerate() {
                let (had_block, full) = self.one_block(ctx, tap, index)?;
                busy |= had_block;
                if full {
                    return Ok(End::Limit);
                }
            }
            while let Ok(Some(wish)) = signals.take() {
                match wish {
                    Wish::End => return self.rest(ctx, taps),
                    Wish::Report => {
                        let text = report(self.captured, totals(taps), ", ");
                        ctx.say(&format!("{}: {text}", ctx.name.clone()));
                    }
                    Wish::Flush => self.output.flush(ctx)?,
                }
            }
            if progress && told.elapsed() >= Duration::from_secs(1) {
                told = Instant::now();
                let _ = write!(ctx.stderr, "Got {}\r", self.captured);
            }
            if busy {
                continue;
            }
            // Nothing more is there: whoever reads along gets what there is.
            self.output.idle(ctx, self.opts)?;
            wait(taps, signals, progress)?;
            for tap in taps.iter_mut().filter(|tap| !tap.down) {
                if tap.ring.error() == Some(Errno::ENETDOWN) {
                    tap.down = true;
                    let text = format!("{}: {}: The interface disappeared or went down", ctx.name, tap.interface.name);
                    ctx.say(&text);
                }
            }
            if taps.iter().all(|tap| tap.down) {
                return Err(Error::new(FAILURE, "pcap_loop: The interface disappeared or went down"));
            }
        }
    }

    /// Takes in what the kernel had accepted before the signal, so that the counters fit.
    fn rest(&mut self, ctx: &mut Ctx, taps: &mut [Tap]) -> Result<End, Error> {
        let deadline = Instant::now() + LAST;
        for tap in taps.iter_mut() {
            let _ = tap.ring.stop();
        }
        for (index, tap) in taps.iter_mut().enumerate() {
            loop {
                let (had_block, full) = self.one_block(ctx, tap, index)?;
                if full {
                    return Ok(End::Limit);
                }
                if had_block {
                    continue;
                }
                let counters = tap.ring.counters().unwrap_or_default();
                if tap.taken + counters.dropped >= counters.received || Instant::now() > deadline {
                    break;
                }
                let mut set = [PollFd::new(tap.ring.as_fd(), PollFlags::POLLIN)];
                let _ = poll(&mut set, PollTimeout::from(50u8));
            }
        }
        Ok(End::Signal)
    }

    /// Works through one block of a ring if there is one; whether there was, and whether the limit of `-c` is reached.
    fn one_block(&mut self, ctx: &mut Ctx, tap: &mut Tap, index: usize) -> Result<(bool, bool), Error> {
        let Tap { ring, link, filter, taken, .. } = tap;
        let Some(block) = ring.block() else { return Ok((false, false)) };
        for packet in block.packets() {
            *taken += 1;
            if !self.wanted(&packet) {
                continue;
            }
            if self.packet(ctx, &packet, *link, filter.as_ref(), index)? {
                if self.output.is_full() {
                    return Ok((true, true));
                }
                self.captured += 1;
                if self.opts.limit > 0 && self.captured >= self.opts.limit {
                    return Ok((true, true));
                }
            }
        }
        Ok((true, false))
    }

    /// The direction fits. What loopback sends comes back as received, and is shown once.
    fn wanted(&self, packet: &Captured<'_>) -> bool {
        let outgoing = packet.packet_type == OUTGOING;
        if outgoing && packet.ifindex == self.loopback {
            return false;
        }
        match self.opts.direction.as_deref() {
            Some("in") => !outgoing,
            Some("out") => outgoing,
            _ => true,
        }
    }

    /// Prints or writes one packet with its link-layer header complete; false if the filter, run here, rejects it.
    fn packet(
        &mut self,
        ctx: &mut Ctx,
        packet: &Captured<'_>,
        link: u32,
        filter: Option<&Program>,
        index: usize,
    ) -> Result<bool, Error> {
        let scratch = &mut self.scratch;
        scratch.clear();
        let mut length = packet.length;
        let bytes = match (link, packet.vlan) {
            (link::LINUX_SLL2 | link::LINUX_SLL, _) => {
                let header = if link == link::LINUX_SLL2 { cooked2(packet).to_vec() } else { cooked(packet).to_vec() };
                length = length.saturating_add(u32::try_from(header.len()).unwrap_or_default());
                scratch.extend(header);
                scratch.extend_from_slice(packet.bytes);
                scratch.as_slice()
            }
            (link::ETHERNET, Some((kind, tag))) if packet.bytes.len() >= 12 => {
                let (addresses, rest) = packet.bytes.split_at(12);
                scratch.extend_from_slice(addresses);
                scratch.extend(kind.to_be_bytes());
                scratch.extend(tag.to_be_bytes());
                scratch.extend_from_slice(rest);
                length = length.saturating_add(4);
                scratch.as_slice()
            }
            _ => packet.bytes,
        };
        if let Some(filter) = filter {
            // A program for Ethernet was made for the bytes as the kernel has them, with the tag beside them.
            let (seen, long) = if link == link::ETHERNET { (packet.bytes, packet.length) } else { (bytes, length) };
            if filter.run(seen, long, Some(&filters::facts(packet))) == 0 {
                return Ok(false);
            }
        }
        let keep = usize::try_from(self.opts.snaplen).unwrap_or(usize::MAX).min(bytes.len());
        let record = Record {
            link,
            interface: u32::try_from(index).unwrap_or_default(),
            seconds: packet.seconds.into(),
            nanos: packet.nanos,
            data: bytes.get(..keep).unwrap_or_default(),
            length,
        };
        self.output.live_packet(ctx, self.opts, &record, packet.offloaded)?;
        Ok(true)
    }
}

/// Until a ring has something, a signal comes, or the next line of progress is due.
fn wait(taps: &[Tap], signals: &Signals, progress: bool) -> Result<(), Error> {
    let mut set: Vec<PollFd<'_>> =
        taps.iter().filter(|tap| !tap.down).map(|tap| PollFd::new(tap.ring.as_fd(), PollFlags::POLLIN)).collect();
    set.push(PollFd::new(signals.as_fd(), PollFlags::POLLIN));
    let timeout = if progress { PollTimeout::from(1000u16) } else { PollTimeout::NONE };
    match poll(&mut set, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(Error::new(FAILURE, format!("poll: {}", errno.desc()))),
    }
}

/// The header of Linux cooked capture, version 1.
fn cooked(packet: &Captured<'_>) -> [u8; 16] {
    let [t0, t1] = u16::from(packet.packet_type).to_be_bytes();
    let [h0, h1] = packet.hardware.to_be_bytes();
    let [l0, l1] = u16::from(packet.address_length).to_be_bytes();
    let [a, b, c, d, e, f, g, h] = packet.address;
    let [p0, p1] = packet.protocol.to_be_bytes();
    [t0, t1, h0, h1, l0, l1, a, b, c, d, e, f, g, h, p0, p1]
}

/// Version 2.
fn cooked2(packet: &Captured<'_>) -> [u8; 20] {
    let [p0, p1] = packet.protocol.to_be_bytes();
    let [i0, i1, i2, i3] = packet.ifindex.to_be_bytes();
    let [h0, h1] = packet.hardware.to_be_bytes();
    let [a, b, c, d, e, f, g, h] = packet.address;
    [p0, p1, 0, 0, i0, i1, i2, i3, h0, h1, packet.packet_type, packet.address_length, a, b, c, d, e, f, g, h]
}
