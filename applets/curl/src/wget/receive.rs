//! What an answer means, and how its body becomes a file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use netkit_core::text::printable;
use netkit_http::Url;
use netkit_http::decode::Decoder;

use super::fetch::{Asked, Fetch, Level, Outcome, without_password};
use super::say::{Dots, rate, size};
use super::wire::{self, BodyError, Conn, Extent, Response};
use super::{status, target};
use crate::output::disposition_name;

impl Fetch {
    pub(super) fn answered(&mut self, asked: &Asked<'_>, conn: Conn, response: &Response, count: u64) -> Outcome {
        let Asked { options, url, .. } = asked;
        let code = response.head.status;
        if options.retry_statuses.contains(&code) {
            self.leave(conn, response, asked);
            return Outcome::Retry;
        }
        if code == 401 || code == 407 {
            self.save_error(asked, conn, response);
            self.verbose("\n");
            self.notice(if code == 401 {
                "Username/Password Authentication Failed.\n"
            } else {
                "Proxy tunneling failed: Proxy Authentication Required\n"
            });
            return Outcome::Failed(if code == 401 { status::AUTHENTICATION } else { status::SERVER });
        }
        let location = response.head.field("Location").map(str::to_owned);
        if let (301..=303 | 307 | 308, Some(location)) = (code, location) {
            let keep = matches!(code, 307 | 308);
            self.leave(conn, response, asked);
            let tail = " [following]";
            self.verbose(&format!("Location: {}{tail}\n", printable(&location)));
            return match url.join(&location, false) {
                Ok(next) if matches!(next.scheme.as_str(), "http" | "https") => {
                    // Credentials of a URL belong to it alone.
                    Outcome::Redirect(Box::new(next), keep)
                }
                _ => {
                    self.notice(&format!("{}: Unsupported scheme.\n", printable(&location)));
                    Outcome::Failed(status::GENERIC)
                }
            };
        }
        let shown = self.quoted(&asked.file.display().to_string());
        match code {
            304 if asked.since.is_some() => {
                self.leave(conn, response, asked);
                self.verbose(&format!("File {shown} not modified on server. Omitting download.\n\n"));
                return Outcome::Done;
            }
            416 => {
                self.leave(conn, response, asked);
                self.verbose("\n    The file is already fully retrieved; nothing to do.\n\n");
                return Outcome::Done;
            }
            200..300 => {}
            _ => {
                self.save_error(asked, conn, response);
                self.little(&format!("{}:\n", without_password(url)));
                if asked.method == "HEAD" && options.method.is_none() && matches!(code, 500 | 501) {
                    return Outcome::NoHead;
                }
                if options.spider {
                    self.notice("Remote file does not exist -- broken link!!!\n");
                } else {
                    let (now, reason) = (self.now(), &response.reason);
                    self.notice(&format!("{now} ERROR {code}: {reason}.\n"));
                }
                self.verbose("\n");
                return Outcome::Failed(status::SERVER);
            }
        }
        self.received(asked, conn, response, count)
    }

    /// `--content-on-error`
    fn save_error(&mut self, asked: &Asked<'_>, mut conn: Conn, response: &Response) {
        let extent = response.extent(asked.method == "HEAD", asked.options.ignore_length);
        if !asked.options.content_on_error || extent == Extent::None {
            self.leave(conn, response, asked);
            return;
        }
        let mut sink = match self.sink(asked, asked.file, false) {
            Ok(sink) => sink,
            Err(_) => return,
        };
        let _ = conn.body(extent, asked.options.read_timeout, &mut |piece| sink.write_all(piece));
    }

    /// A response that is the file.
    fn received(&mut self, asked: &Asked<'_>, mut conn: Conn, response: &Response, count: u64) -> Outcome {
        let Asked { options, url, .. } = asked;
        let is_head = asked.method == "HEAD";
        let extent = response.extent(is_head, options.ignore_length);
        let mut path = asked.file.to_owned();
        if options.disposition && options.output.is_none() {
            let name = response.head.field("Content-Disposition").and_then(disposition_name);
            if let Some(name) = name {
                path = target::unique(&target::named(options, &name));
            }
        }
        let shown = self.quoted(&path.display().to_string());
        let modified = response.head.field("Last-Modified").and_then(netkit_http::date::parse);
        if let Some(since) = asked.since {
            match modified {
                None => {
                    self.notice("Last-modified header missing -- time-stamps turned off.\n");
                }
                Some(modified) => {
                    let local = fs::metadata(asked.file).map(|found| found.len()).unwrap_or(0);
                    let same = response.length().is_none_or(|length| length == local);
                    if modified <= since && same {
                        conn.stream.finish();
                        self.verbose(&if options.if_modified {
                            format!(
                                "Server ignored If-Modified-Since header for file {shown}.\nYou might want to add \
                                 --no-if-modified-since option.\n\n"
                            )
                        } else {
                            format!("Server file no newer than local file {shown} -- not retrieving.\n\n")
                        });
                        return Outcome::Done;
                    }
                }
            }
        }
        let range = response.range().filter(|_| response.head.status == 206);
        let mut begin = 0;
        if asked.resume > 0 {
            match range {
                Some((first, _)) if first == asked.resume => begin = first,
                Some(_) => {
                    self.notice("\nThe server sent another part of the file than was asked for.\n");
                    return Outcome::Failed(status::PROTOCOL);
                }
                None if options.start.is_none() && response.length() == Some(asked.resume) => {
                    conn.stream.finish();
                    self.verbose("\n    The file is already fully retrieved; nothing to do.\n\n");
                    return Outcome::Done;
                }
                // The whole comes once more; what is there already is written over.
                None => {}
            }
        }
        let length = response.length().filter(|_| !options.ignore_length && response.head.status != 204);
        let total = length.map(|length| length + begin);
        if response.head.status != 204 {
            let mut line = "Length: ".to_owned();
            match (total, length) {
                (Some(total), Some(length)) => {
                    line.push_str(&total.to_string());
                    if total >= 1024 {
                        line.push_str(&format!(" ({})", size(total)));
                    }
                    if begin > 0 {
                        line.push_str(&format!(", {length}"));
                        if length >= 1024 {
                            line.push_str(&format!(" ({})", size(length)));
                        }
                        line.push_str(" remaining");
                    }
                }
                _ if options.ignore_length => line.push_str("ignored"),
                _ => line.push_str("unspecified"),
            }
            let kind = response.head.field("Content-Type").map(|kind| kind.split(';').next().unwrap_or("").trim());
            match kind.filter(|kind| !kind.is_empty()) {
                Some(kind) => line.push_str(&format!(" [{}]\n", printable(kind))),
                None => line.push('\n'),
            }
            self.verbose(&line);
            if options.spider {
                self.leave(conn, response, asked);
                return self.exists(url, response, kind.unwrap_or(""));
            }
            let stdout = options.output.as_deref() == Some("-");
            let name = if stdout { self.quoted("STDOUT") } else { shown.clone() };
            self.verbose(&format!("Saving to: {name}\n"));
        } else if options.spider {
            return self.exists(url, response, "");
        }
        self.download(asked, conn, response, &Download { path, begin, total, extent, modified, count })
    }

    fn exists(&mut self, url: &Url, response: &Response, kind: &str) -> Outcome {
        if kind.eq_ignore_ascii_case("text/html") {
            self.verbose(
                "Remote file exists and could contain further links,\nbut recursion is disabled -- not retrieving.\n\n",
            );
        } else {
            self.verbose("Remote file exists.\n\n");
        }
        let line =
            format!("{} URL: {} {:2} {}\n", self.now(), without_password(url), response.head.status, response.reason);
        self.little(&line);
        Outcome::Done
    }

    /// Where bytes go.
    fn sink(&mut self, asked: &Asked<'_>, path: &Path, append: bool) -> io::Result<File> {
        if asked.options.output.as_deref() == Some("-") {
            return io::stdout().as_fd().try_clone_to_owned().map(File::from);
        }
        if let Some(file) = &self.file {
            return file.try_clone();
        }
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty())
            && let Err(error) = fs::create_dir_all(parent)
        {
            let line = format!("{}: {}\n", parent.display(), wire::reason(&error));
            self.notice(&line);
        }
        let mut how = OpenOptions::new();
        how.create(true).write(true).append(append).truncate(!append);
        how.open(path).inspect_err(|error| {
            let line = format!("{}: {}\n", path.display(), wire::reason(error));
            self.notice(&line);
        })
    }

    fn download(&mut self, asked: &Asked<'_>, mut conn: Conn, response: &Response, to: &Download) -> Outcome {
        let Asked { options, url, .. } = asked;
        let shown = self.quoted(&to.path.display().to_string());
        let mut written = 0u64;
        let began = Instant::now();
        let mut result = Ok(true);
        if response.head.status != 204 {
            let progress = options.progress.unwrap_or(self.level == Level::Usual);
            let keep = to.begin > 0 || (options.start.is_some() && asked.resume > 0);
            // Where the output cannot be begun anew, the part that is there already is passed over.
            let fixed = self.file.is_some() || options.output.as_deref() == Some("-");
            let mut skip = if fixed && self.partial > 0 && to.begin == 0 { self.partial } else { 0 };
            let sink = self.sink(asked, &to.path, keep);
            let mut sink = match sink {
                Ok(sink) => sink,
                Err(error) => {
                    self.verbose("\n");
                    self.notice(&format!("Cannot write to {shown} ({}).\n", wire::reason(&error)));
                    return Outcome::Failed(status::FILE);
                }
            };
            let mut log = std::mem::replace(&mut self.log, Box::new(io::sink()));
            let gzip = options.gzip && response.head.field("Content-Encoding").is_some();
            let mut decoder = if gzip { Decoder::new(response.head.all("Content-Encoding")).ok() } else { None };
            let mut dots = Dots::new(progress, to.begin, to.total, &mut *log);
            result = conn.body(to.extent, options.read_timeout, &mut |piece| {
                let passed = usize::try_from(skip).unwrap_or(usize::MAX).min(piece.len());
                skip -= passed as u64;
                let whole = piece.len() as u64;
                let piece = piece.get(passed..).unwrap_or_default();
                match &mut decoder {
                    None => sink.write_all(piece)?,
                    Some(decoder) => decoder
                        .feed(piece, &mut |bytes| {
                            sink.write_all(bytes)
                                .map_err(|error| netkit_http::Failure::new(netkit_http::Code::Write, error.to_string()))
                        })
                        .map_err(|failure| io::Error::other(failure.text))?,
                }
                written += whole;
                dots.add(whole, &mut *log);
                if let Some(most) = options.limit_rate {
                    let due = Duration::from_secs_f64(written as f64 / most as f64);
                    std::thread::sleep(due.saturating_sub(began.elapsed()));
                }
                Ok(())
            });
            let _ = sink.flush();
            drop(sink);
            dots.finish(&mut *log);
            self.log = log;
        }
        let elapsed = began.elapsed();
        let (now, speed) = (self.now(), rate(written, elapsed));
        let have = to.begin + written;
        self.partial = if matches!(result, Ok(true)) { 0 } else { have };
        match result {
            Err(BodyError::Write(error)) => {
                self.broken |= error.kind() == io::ErrorKind::BrokenPipe;
                self.verbose("\n");
                let line = format!("Cannot write to {shown} ({}).\n", wire::reason(&error));
                self.notice(&line);
                return Outcome::Failed(status::FILE);
            }
            Err(BodyError::Read(error)) => {
                let why = wire::reason(&error);
                self.verbose(&format!("{now} ({speed}) - Read error at byte {have}"));
                self.verbose(&match to.total {
                    Some(total) => format!("/{total} ({why}). "),
                    None => format!(" ({why})."),
                });
                return Outcome::Retry;
            }
            Ok(false) => {
                self.verbose(&format!("{now} ({speed}) - Connection closed at byte {have}. "));
                return Outcome::Retry;
            }
            Ok(true) => {}
        }
        if response.keeps() && options.keep_alive && to.extent != Extent::Close {
            self.conn = Some(conn);
        } else {
            conn.stream.finish();
        }
        self.files += 1;
        self.bytes += written;
        self.time += elapsed;
        let stdout = options.output.as_deref() == Some("-");
        if let (Some(modified), true, false) =
            (to.modified.and_then(|at| u64::try_from(at).ok()), options.server_time, stdout)
        {
            let time = UNIX_EPOCH + Duration::from_secs(modified);
            let _ = match &self.file {
                Some(file) => file.set_modified(time),
                None => File::options().write(true).open(&to.path).and_then(|file| file.set_modified(time)),
            };
        }
        let amount = to.total.map_or_else(|| format!("[{have}]"), |total| format!("[{have}/{total}]"));
        let line = match stdout {
            true => format!("{now} ({speed}) - written to stdout {amount}\n\n"),
            false => format!("{now} ({speed}) - {shown} saved {amount}\n\n"),
        };
        self.verbose(&line);
        let name = if stdout { "-".to_owned() } else { printable(&to.path.display().to_string()) };
        let line = format!("{now} URL:{} {amount} -> \"{name}\" [{}]\n", url.text(true, false), to.count);
        self.little(&line);
        Outcome::Done
    }
}

/// A body on its way to a file.
struct Download {
    path: PathBuf,
    /// Bytes that were there before.
    begin: u64,
    total: Option<u64>,
    extent: Extent,
    modified: Option<i64>,
    count: u64,
}
