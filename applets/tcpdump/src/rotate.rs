//! The files of `-w`: one, or a new one each time (`-G`) or size (`-C`), with `-W` as their number.

use std::fs::File;
use std::io::{self, Write};

use netkit_core::{Ctx, Error, civil_from_unix};
use netkit_wire::pcap::{self, Record};

use crate::args::{FAILURE, Opts};
use crate::names;
use crate::offline::reason;

/// Records are handed on when they are this long together.
const FULL: usize = 1 << 16;

/// How each file begins.
enum Header {
    Pcap([u8; 24]),
    Pcapng(Vec<u8>),
}

impl Header {
    fn bytes(&self) -> &[u8] {
        match self {
            Header::Pcap(bytes) => bytes,
            Header::Pcapng(bytes) => bytes,
        }
    }
}

/// The file being written.
pub(crate) struct Files {
    name: String,
    header: Header,
    nano: bool,
    sink: Box<dyn Write>,
    buffer: Vec<u8>,
    /// Bytes of the current file, those still held back included.
    size: u64,
    /// Which file of `-C` this is.
    by_size: u32,
    /// How often the time of `-G` has passed.
    by_time: u32,
    /// When this file was begun, in seconds since 1970.
    since: i64,
}

impl Files {
    /// Opens the first file for packets of `interfaces`: link type, snapshot length and name of each.
    pub(crate) fn open(
        ctx: &mut Ctx,
        opts: &Opts,
        name: &str,
        interfaces: &[(u32, u32, &str)],
    ) -> Result<Files, Error> {
        let header = match interfaces {
            [(link, snaplen, _)] => Header::Pcap(pcap::file_header(*link, *snaplen, opts.nano)),
            several => Header::Pcapng(pcap::ng_header(several)),
        };
        let since = ctx.clock.unix_seconds();
        let mut files = Files {
            name: name.to_owned(),
            header,
            nano: opts.nano,
            sink: Box::new(io::sink()),
            buffer: Vec::with_capacity(2 * FULL),
            size: 0,
            by_size: 0,
            by_time: 0,
            since,
        };
        if name == "-" {
            files.sink = std::mem::replace(&mut ctx.stdout, Box::new(io::sink()));
            files.begin();
        } else {
            files.next(ctx, opts)?;
        }
        Ok(files)
    }

    fn begin(&mut self) {
        self.buffer.extend_from_slice(self.header.bytes());
        self.size = u64::try_from(self.buffer.len()).unwrap_or_default();
    }

    /// Ends the current file and begins the next.
    fn next(&mut self, ctx: &Ctx, opts: &Opts) -> Result<(), Error> {
        self.drain()?;
        let name = self.file_name(ctx, opts);
        let file = File::create(&name);
        self.sink = Box::new(file.map_err(|error| Error::new(FAILURE, format!("{name}: {}", reason(&error))))?);
        self.begin();
        Ok(())
    }

    fn file_name(&self, ctx: &Ctx, opts: &Opts) -> String {
        let mut name = if opts.rotate_seconds > 0 {
            strftime(&self.name, self.since, &|at| names::zone(ctx).offset(at))
        } else {
            self.name.clone()
        };
        if opts.rotate_bytes == 0 {
            return name;
        }
        match opts.rotate_files {
            0 if self.by_size == 0 => {}
            0 => name.push_str(&self.by_size.to_string()),
            files => {
                let width = (files - 1).to_string().len();
                name.push_str(&format!("{:0width$}", self.by_size));
            }
        }
        name
    }

    /// Writes one packet, to a new file if it is time for one. False when the last file of `-W` is full.
    pub(crate) fn packet(&mut self, ctx: &Ctx, opts: &Opts, record: &Record<'_>) -> Result<bool, Error> {
        if self.name != "-" {
            if opts.rotate_seconds > 0 {
                let now = ctx.clock.unix_seconds();
                if now - self.since >= i64::try_from(opts.rotate_seconds).unwrap_or(i64::MAX) {
                    self.since = now;
                    self.by_time += 1;
                    if opts.rotate_bytes == 0 && opts.rotate_files > 0 && self.by_time >= opts.rotate_files {
                        self.flush()?;
                        return Ok(false);
                    }
                    self.by_size = 0;
                    self.next(ctx, opts)?;
                }
            }
            if opts.rotate_bytes > 0 && self.size > opts.rotate_bytes {
                self.by_size += 1;
                if opts.rotate_files > 0 && self.by_size >= opts.rotate_files {
                    self.by_size = 0;
                }
                self.next(ctx, opts)?;
            }
        }
        let before = self.buffer.len();
        match self.header {
            Header::Pcap(_) => {
                self.buffer.extend_from_slice(&pcap::record_header(record, self.nano));
                self.buffer.extend_from_slice(record.data);
            }
            Header::Pcapng(_) => pcap::ng_record(&mut self.buffer, record),
        }
        self.size += u64::try_from(self.buffer.len() - before).unwrap_or_default();
        if self.buffer.len() >= FULL {
            self.drain()?;
        }
        if opts.packet_buffered {
            self.flush()?;
        }
        Ok(true)
    }

    fn drain(&mut self) -> Result<(), Error> {
        if !self.buffer.is_empty() {
            self.sink.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Hands everything to the system.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.drain()?;
        self.sink.flush()?;
        Ok(())
    }
}

/// strftime(3) in the C locale, for the conversions that make sense in a file name; others stay as they are.
fn strftime(format: &str, at: i64, offset: &dyn Fn(i64) -> i64) -> String {
    let east = offset(at);
    let t = civil_from_unix(at + east);
    let mut out = String::new();
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let year_day = || (at + east).div_euclid(86_400) - days_before(t.year) + 1;
        let twelve = (t.hour + 11) % 12 + 1;
        match rest.next() {
            Some('Y') => out.push_str(&t.year.to_string()),
            Some('C') => out.push_str(&format!("{:02}", t.year.div_euclid(100))),
            Some('y') => out.push_str(&format!("{:02}", t.year.rem_euclid(100))),
            Some('m') => out.push_str(&format!("{:02}", t.month)),
            Some('d') => out.push_str(&format!("{:02}", t.day)),
            Some('e') => out.push_str(&format!("{:2}", t.day)),
            Some('H') => out.push_str(&format!("{:02}", t.hour)),
            Some('I') => out.push_str(&format!("{twelve:02}")),
            Some('M') => out.push_str(&format!("{:02}", t.minute)),
            Some('S') => out.push_str(&format!("{:02}", t.second)),
            Some('p') => out.push_str(if t.hour < 12 { "AM" } else { "PM" }),
            Some('j') => out.push_str(&format!("{:03}", year_day())),
            Some('b' | 'h') => out.push_str(t.month_name()),
            Some('a') => out.push_str(t.weekday_name()),
            Some('u') => out.push_str(&(if t.weekday == 0 { 7 } else { t.weekday }).to_string()),
            Some('w') => out.push_str(&t.weekday.to_string()),
            Some('s') => out.push_str(&at.to_string()),
            Some('F') => out.push_str(&format!("{}-{:02}-{:02}", t.year, t.month, t.day)),
            Some('D') => out.push_str(&format!("{:02}/{:02}/{:02}", t.month, t.day, t.year.rem_euclid(100))),
            Some('T') => out.push_str(&format!("{:02}:{:02}:{:02}", t.hour, t.minute, t.second)),
            Some('R') => out.push_str(&format!("{:02}:{:02}", t.hour, t.minute)),
            Some('z') => {
                let minutes = east.abs() / 60;
                let sign = if east < 0 { '-' } else { '+' };
                out.push_str(&format!("{sign}{:02}{:02}", minutes / 60, minutes % 60));
            }
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('%') => out.push('%'),
            Some(other) => {
                out.push('%');
                out.push(other);
            }
            None => out.push('%'),
        }
    }
    out
}

/// Days from 1970-01-01 to the first of January of `year`.
fn days_before(year: i64) -> i64 {
    let y = year - 1;
    y * 365 + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) - 719_162
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_date() {
        let name = |format, at| strftime(format, at, &|_| 0);
        // date -u -d @1709209845 +'%Y%m%d-%H%M%S %j %a %b %y %I%p'
        assert_eq!(name("%Y%m%d-%H%M%S %j %a %b %y %I%p", 1_709_209_845), "20240229-123045 060 Thu Feb 24 12PM");
        assert_eq!(name("x%%%s.%Q%", 7), "x%7.%Q%");
        assert_eq!(strftime("%F %T%z", 0, &|_| -5400), "1969-12-31 22:30:00-0130");
        assert_eq!(name("%j", 1_704_067_199), "365");
    }
}
