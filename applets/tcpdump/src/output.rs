//! Where packets go: text to stdout, records to a file.

use std::io::Write;

use netkit_core::{Ctx, Error};
use netkit_print::walk::walk;
use netkit_print::{Packet, Printer, TimeStyle};
use netkit_wire::pcap::Record;

use crate::args::{FAILURE, Mode, Opts};
use crate::flows::Flows;
use crate::lines::{self, Dns};
use crate::names;
use crate::rotate::Files;

/// Text is handed on when it is this long.
const FULL: usize = 1 << 16;

/// The destination of packets.
pub(crate) struct Output {
    printer: Printer,
    print: bool,
    /// What is said instead of tcpdump's lines.
    mode: Mode,
    number: u64,
    flows: Flows,
    dns: Dns,
    file: Option<Files>,
    /// The last file of `-W` is full.
    full: bool,
}

impl Output {
    pub(crate) fn new(ctx: &Ctx, opts: &Opts) -> Output {
        let mut print = opts.print;
        print.nano = opts.nano;
        let mut printer = Printer::new(print);
        printer.set_zone(names::zone(ctx));
        printer.set_interfaces(names::interfaces());
        if opts.print.numeric == 0 {
            printer.set_resolver(Box::new(names::System::new()));
        }
        let shown = !opts.count_only && (opts.write.is_none() || opts.print_too);
        Output {
            printer,
            print: shown,
            mode: opts.mode,
            number: 0,
            flows: Flows::default(),
            dns: Dns::default(),
            file: None,
            full: false,
        }
    }

    /// Opens the file of `-w` when the first link type is known.
    pub(crate) fn begin(&mut self, ctx: &mut Ctx, opts: &Opts, link: u32, snaplen: u32) -> Result<(), Error> {
        self.begin_several(ctx, opts, &[(link, snaplen, "")])
    }

    /// The same for several interfaces: link type, snapshot length and name of each.
    pub(crate) fn begin_several(
        &mut self,
        ctx: &mut Ctx,
        opts: &Opts,
        interfaces: &[(u32, u32, &str)],
    ) -> Result<(), Error> {
        let Some(name) = &opts.write else { return Ok(()) };
        if self.file.is_some() {
            return Ok(());
        }
        if name == "-" && ctx.stdout_is_terminal {
            return Err(Error::new(FAILURE, "refusing to write binary packets to a terminal: redirect, or -w FILE")
                .hint("kubectl exec -t turns line ends round and spoils a capture: leave -t away"));
        }
        self.file = Some(Files::open(ctx, opts, name, interfaces)?);
        Ok(())
    }

    /// Prints or copies one packet whose checksums the interface may still have to compute. False at the end of all files.
    pub(crate) fn live_packet(
        &mut self,
        ctx: &mut Ctx,
        opts: &Opts,
        record: &Record<'_>,
        offloaded: bool,
    ) -> Result<bool, Error> {
        self.printer.options.offloaded = offloaded;
        self.packet(ctx, opts, record)?;
        Ok(!self.full)
    }

    /// Packets will come from interfaces of this host.
    pub(crate) fn live(&mut self) {
        self.flows.live();
    }

    /// Nothing more is there for now.
    pub(crate) fn idle(&mut self, ctx: &mut Ctx, opts: &Opts) -> Result<(), Error> {
        if self.print && !self.printer.out.is_empty() {
            self.text(ctx)?;
        }
        if opts.write.is_none() || opts.print_too {
            ctx.stdout.flush()?;
        }
        Ok(())
    }

    /// Whether the last file of `-W` is full.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// Prints or copies one packet.
    pub(crate) fn packet(&mut self, ctx: &mut Ctx, opts: &Opts, record: &Record<'_>) -> Result<(), Error> {
        if let Some(files) = &mut self.file
            && !files.packet(ctx, opts, record)?
        {
            self.full = true;
            ctx.say(&format!("Maximum file limit reached: {}", opts.rotate_files));
            return Ok(());
        }
        if self.print {
            self.number += 1;
            if self.mode == Mode::Text {
                let Record { link, seconds, nanos, data, length, .. } = *record;
                self.printer.packet(&Packet { link, seconds, nanos, data, length });
            } else {
                self.own(record);
            }
            if self.printer.out.len() >= FULL || opts.line_buffered || opts.packet_buffered {
                self.text(ctx)?;
                if opts.line_buffered || opts.packet_buffered {
                    ctx.stdout.flush()?;
                }
            }
        }
        Ok(())
    }

    /// One line of the modes that the peer has not.
    fn own(&mut self, record: &Record<'_>) {
        let Record { link, seconds, nanos, data, length, .. } = *record;
        let found = walk(link, data, length);
        let now = seconds.saturating_mul(1_000_000_000).saturating_add(u64::from(nanos));
        if self.mode == Mode::Json {
            let before = self.printer.out.len();
            let time = std::mem::replace(&mut self.printer.options.time, TimeStyle::None);
            self.printer.packet(&Packet { link, seconds, nanos, data, length });
            self.printer.options.time = time;
            let line = String::from_utf8_lossy(self.printer.out.get(before..).unwrap_or_default()).into_owned();
            self.printer.out.truncate(before);
            let object = lines::json(self.number, record, found.as_ref(), line.trim_end_matches('\n'));
            let _ = writeln!(self.printer.out, "{object}");
            return;
        }
        let Some(found) = found else { return };
        let line = match self.mode {
            Mode::Flows => {
                self.flows.add(now, &found);
                None
            }
            Mode::Dns => self.dns.add(now, &found),
            Mode::Http => lines::http(&found),
            _ => lines::sni(&found),
        };
        if let Some(line) = line {
            self.printer.stamped(seconds, nanos, &line);
        }
    }

    fn text(&mut self, ctx: &mut Ctx) -> Result<(), Error> {
        ctx.stdout.write_all(&self.printer.out)?;
        self.printer.out.clear();
        Ok(())
    }

    /// Hands on what is held back.
    pub(crate) fn flush(&mut self, ctx: &mut Ctx) -> Result<(), Error> {
        self.text(ctx)?;
        if let Some(files) = &mut self.file {
            files.flush()?;
        }
        Ok(())
    }

    /// The end of all packets.
    pub(crate) fn finish(&mut self, ctx: &mut Ctx, _opts: &Opts) -> Result<(), Error> {
        if self.print && self.mode == Mode::Flows {
            self.printer.out.extend_from_slice(self.flows.report().as_bytes());
        }
        if self.print && self.mode == Mode::Dns {
            for line in self.dns.unanswered() {
                let _ = writeln!(self.printer.out, "{line}");
            }
        }
        self.flush(ctx)
    }
}
