//! `-r` and `-V`: packets of files, printed or copied.

use std::fs::File;
use std::io::{self, BufRead, Read};

use netkit_core::{Ctx, Error, Exit};
use netkit_filter::{self as filter, Source};
use netkit_wire::pcap::{self, Reader};

use crate::args::{FAILURE, MAXIMUM_SNAPLEN, Mode, Opts, usage};
use crate::filters::{self, Filter};
use crate::output::Output;

/// Reads every file and prints or copies what passes the filter.
pub(crate) fn run(ctx: &mut Ctx, opts: &Opts) -> Result<Exit, Error> {
    let files = match (&opts.read, &opts.read_list) {
        (Some(file), _) => vec![file.clone()],
        (None, Some(list)) => file_list(ctx, list)?,
        (None, None) => Vec::new(),
    };
    let mut output = Output::new(ctx, opts);
    let mut seen = 0u64;
    for file in &files {
        let source = open(ctx, file)?;
        let mut reader = Reader::open(source).map_err(|error| usage(error.to_string()))?;
        let link = reader.link();
        if opts.mode == Mode::Text && opts.write.is_none() && !netkit_print::Printer::knows_link(link) {
            let text = match pcap::link_name(link) {
                Some((name, _)) => format!("packet printing is not supported for link type {name}: use -w"),
                None => format!("packet printing is not supported for link type {link}: use -w"),
            };
            return Err(usage(text));
        }
        announce(ctx, file, &reader);
        if opts.dump_filter > 0 {
            filters::show(ctx, opts, Some((link, reader.snaplen(), reader.is_swapped())))?;
            return Ok(Exit::OK);
        }
        output.begin(ctx, opts, link, reader.snaplen())?;
        let mut filter = Filter::new(opts, Source::File { swapped: reader.is_swapped() })?;
        if !filter.is_empty() {
            filter.program(link, reader.snaplen())?;
        }
        let result = packets(ctx, opts, (&mut reader, &mut filter), &mut output, &mut seen);
        output.flush(ctx)?;
        result?;
        if opts.limit > 0 && seen >= opts.limit {
            break;
        }
    }
    output.finish(ctx, opts)?;
    if opts.count_only {
        let plural = if seen == 1 { "" } else { "s" };
        writeln!(ctx.stdout, "{seen} packet{plural}")?;
    }
    Ok(Exit::OK)
}

fn packets(
    ctx: &mut Ctx,
    opts: &Opts,
    (reader, filter): (&mut Reader<'_>, &mut Filter),
    output: &mut Output,
    seen: &mut u64,
) -> Result<(), Error> {
    loop {
        let record = match reader.next() {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(()),
            Err(error) => return Err(Error::new(FAILURE, format!("pcap_loop: {error}"))),
        };
        if !filter.passes(record.link, MAXIMUM_SNAPLEN, record.data, record.length)? {
            continue;
        }
        *seen += 1;
        output.packet(ctx, opts, &record)?;
        if output.is_full() {
            return Ok(());
        }
        if opts.limit > 0 && *seen >= opts.limit {
            return Ok(());
        }
    }
}

fn open<'a>(ctx: &mut Ctx, file: &str) -> Result<Box<dyn Read + 'a>, Error> {
    if file == "-" {
        let stdin = std::mem::replace(&mut ctx.stdin, Box::new(io::empty()));
        return Ok(Box::new(stdin));
    }
    match File::open(file) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(Error::new(FAILURE, format!("{file}: {}", reason(&error)))),
    }
}

/// The kernel's words for an error, without Rust's number.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(at) => text.get(..at).unwrap_or_default().to_owned(),
        None => text,
    }
}

fn file_list(ctx: &mut Ctx, list: &str) -> Result<Vec<String>, Error> {
    let mut source = io::BufReader::new(open(ctx, list)?);
    let mut files = Vec::new();
    let mut line = String::new();
    loop {
        line.clear();
        let got = source.read_line(&mut line);
        match got.map_err(|error| Error::new(FAILURE, format!("{list}: {}", reason(&error))))? {
            0 => break,
            _ => files.push(line.trim_end_matches(['\n', '\r']).to_owned()),
        }
    }
    if files.iter().all(String::is_empty) {
        return Err(usage(format!("Nothing in {list}")));
    }
    Ok(files.into_iter().filter(|file| !file.is_empty()).collect())
}

/// The line on stderr that says what is read.
fn announce(ctx: &mut Ctx, file: &str, reader: &Reader<'_>) {
    let link = reader.link();
    let link = match pcap::link_name(link) {
        Some((name, text)) => format!("{name} ({text})"),
        None => link.to_string(),
    };
    ctx.say(&format!("reading from file {file}, link-type {link}, snapshot length {}", reader.snaplen()));
    if reader.link() == filter::link::LINUX_SLL2 {
        // The packets hold indices, and this machine's names need not be those of where they were captured.
        ctx.say("Warning: interface names might be incorrect");
    }
}
