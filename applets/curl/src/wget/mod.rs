//! wget: files over HTTP in the words and with the statuses of GNU wget 1.21; single files, no recursion.

mod fetch;
mod options;
mod receive;
mod say;
mod target;
mod wire;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::time::Instant;

use netkit_core::{Ctx, Error, Exit, front};

use fetch::Fetch;
pub(crate) use options::FLAGS;
use options::Options;

/// wget(1), EXIT STATUS.
pub(crate) mod status {
    pub(crate) const GENERIC: u8 = 1;
    pub(crate) const FILE: u8 = 3;
    pub(crate) const NETWORK: u8 = 4;
    pub(crate) const TLS: u8 = 5;
    pub(crate) const AUTHENTICATION: u8 = 6;
    pub(crate) const PROTOCOL: u8 = 7;
    pub(crate) const SERVER: u8 = 8;
}

const SYNOPSIS: &str = "Usage: wget [OPTION]... [URL]...\n\nTry `wget --help' for more options.\n";

pub(crate) fn run(ctx: &mut Ctx) -> Result<Exit, Error> {
    let words = ctx.args_lossy();
    let mut options = match options::parse(&words) {
        Ok(options) => options,
        Err(complaint) => {
            let behind = if complaint.synopsis { SYNOPSIS } else { "" };
            let _ = ctx.stderr.write_all(format!("wget: {}\n{behind}", complaint.text).as_bytes());
            return Ok(Exit(complaint.status));
        }
    };
    if options.help {
        let page = crate::APPLETS.get(1).map(front::help_page).unwrap_or_default();
        ctx.stdout.write_all(page.as_bytes())?;
        return Ok(Exit::OK);
    }
    if options.version {
        let text = format!("GNU Wget 1.21.3 compatible (netkit {})\n", ctx.build.version);
        ctx.stdout.write_all(text.as_bytes())?;
        return Ok(Exit::OK);
    }
    let complain = |ctx: &mut Ctx, text: &str, status: u8| {
        let _ = ctx.stderr.write_all(format!("wget: {text}\n{SYNOPSIS}").as_bytes());
        Ok(Exit(status))
    };
    if options.urls.is_empty() && options.input.is_none() {
        return complain(ctx, "missing URL", status::GENERIC);
    }
    if options.body.is_some() || options.body_file.is_some() {
        if options.method.is_none() {
            let text =
                "You must specify a method through --method=HTTPMethod to use with --body-data or --body-file.\n";
            let _ = ctx.stderr.write_all(text.as_bytes());
            return Ok(Exit(status::GENERIC));
        }
        if options.body.is_some() && options.body_file.is_some() {
            let _ = ctx.stderr.write_all(b"You cannot specify both --body-data and --body-file.\n");
            return Ok(Exit(status::GENERIC));
        }
    }
    if options.timestamping && options.no_clobber {
        let text = "Can't timestamp and not clobber old files at the same time.\nUsage: wget [OPTION]... [URL]...\n";
        let _ = ctx.stderr.write_all(text.as_bytes());
        return Ok(Exit(status::GENERIC));
    }
    if let Some(target) = &options.netns {
        netkit_sys::netns::enter(target)?;
    }
    ctx.stdout.flush()?;
    let log: Box<dyn Write> = match &options.log {
        None => crate::world::standard(&std::io::stderr()),
        Some((name, _)) if name == "-" => crate::world::standard(&std::io::stdout()),
        Some((name, append)) => {
            let opened = OpenOptions::new().create(true).write(true).append(*append).truncate(!append).open(name);
            match opened {
                Ok(file) => Box::new(file),
                Err(error) => {
                    ctx.say(&format!("{name}: {}", wire::reason(&error)));
                    return Ok(Exit(status::GENERIC));
                }
            }
        }
    };
    let mut fetch = Fetch::new(ctx, log);
    let from_file = match read_urls(&mut options) {
        Ok(count) => count,
        Err(line) => {
            fetch.notice(&line);
            0
        }
    };
    if options.output.as_deref().is_some_and(|name| name != "-") && !options.spider {
        let name = options.output.clone().unwrap_or_default();
        if options.no_clobber && std::path::Path::new(&name).exists() {
            let quoted = fetch.quoted(&name);
            fetch.notice(&format!("File {quoted} already there; not retrieving.\n"));
            return Ok(Exit(status::GENERIC));
        }
        let mut how = OpenOptions::new();
        how.create(true).write(true);
        if options.resume || options.start.is_some() {
            how.append(true);
        } else {
            how.truncate(true);
        }
        match how.open(&name) {
            Ok(file) => fetch.file = Some(file),
            Err(error) => {
                fetch.always(&format!("{name}: {}\n", wire::reason(&error)));
                return Ok(Exit(status::GENERIC));
            }
        }
    }
    if let Some(path) = &options.load_cookies {
        match std::fs::read_to_string(path) {
            Ok(text) => fetch.load_cookies(&text),
            Err(error) => {
                let quoted = fetch.quoted(path);
                fetch.notice(&format!("Cannot open cookies file {quoted}: {}\n", wire::reason(&error)));
            }
        }
    }
    let began = Instant::now();
    let several = options.urls.len() > 1 || from_file > 0;
    for (index, url) in options.urls.iter().enumerate() {
        if index > 0 && !options.wait.is_zero() {
            std::thread::sleep(options.wait);
        }
        fetch.retrieve(&options, url);
    }
    if several {
        fetch.summary(began.elapsed());
    }
    if let Some(path) = &options.save_cookies {
        let text = fetch.cookies(options.keep_session);
        if let Err(error) = File::create(path).and_then(|mut file| file.write_all(text.as_bytes())) {
            let quoted = fetch.quoted(path);
            fetch.notice(&format!("Cannot open cookies file {quoted}: {}\n", wire::reason(&error)));
        }
    }
    if fetch.broken {
        return Err(Error::new(Exit::PIPE, ""));
    }
    Ok(Exit(fetch.status))
}

/// Appends the URLs of the input file; how many there were, or what to say.
fn read_urls(options: &mut Options) -> Result<usize, String> {
    let Some(name) = options.input.clone() else { return Ok(0) };
    let bytes = crate::apply::read_file(&name)
        .map_err(|error| format!("{name}: {}\nNo URLs found in {name}.\n", wire::reason(&error)))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let found: Vec<String> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if found.is_empty() {
        return Err(format!("No URLs found in {name}.\n"));
    }
    options.urls.extend(found.iter().cloned());
    Ok(found.len())
}
