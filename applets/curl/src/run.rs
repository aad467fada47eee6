//! From configurations to transfers: globbing, names of files, retries, parallel runs, what is said at the end.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use netkit_http::url::percent_encode;
use netkit_http::{Code, Failure, Url};

use crate::args::at_home;
use crate::body::{Body, Segment};
use crate::config::{Config, Node, Resume, Target};
use crate::explain;
use crate::form;
use crate::glob::{Glob, Match, substitute};
use crate::output::{Output, remote_name};
use crate::request::{Kind, custom};
use crate::transfer::{Common, Transfer};
use crate::world::{World, lock};
use crate::writeout::Report;

/// One transfer to come.
struct Job<'c> {
    config: &'c Config,
    node: &'c Node,
    found: Match,
    upload: Option<String>,
    number: u64,
    only: Option<std::net::IpAddr>,
}

/// Runs everything; the status to leave with.
pub(crate) fn all(world: &World, configs: &[Config]) -> u8 {
    let shared = Common::default();
    let mut status = 0;
    let mut number = 0;
    let stop = AtomicBool::new(false);
    let mut queue = Vec::new();
    for config in configs {
        if config.nodes.is_empty() {
            world.say(&format!("{0}: (2) no URL specified\n{0}: try '{0} --help' for more information\n", world.name));
            status = Code::FailedInit.number();
            break;
        }
        match jobs(world, config, &mut number, &mut |job| {
            if world.global.parallel {
                queue.push(job);
            } else {
                status = one(world, &shared, job);
                if status != 0 && world.global.fail_early {
                    return false;
                }
            }
            true
        }) {
            Ok(true) => {}
            Ok(false) => break,
            Err(code) => {
                status = code;
                break;
            }
        }
    }
    if world.global.parallel {
        status = parallel(world, &shared, queue, &stop).max(status);
    }
    write_cookies(world, configs, &shared);
    status
}

fn parallel(world: &World, shared: &Common, queue: Vec<Job<'_>>, stop: &AtomicBool) -> u8 {
    let workers = world.global.parallel_max.min(queue.len());
    let queue = Mutex::new(VecDeque::from(queue));
    let last = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let Some(job) = lock(&queue).pop_front() else { return };
                    let status = one(world, shared, job);
                    if status != 0 {
                        last.store(u64::from(status), Ordering::Relaxed);
                        if world.global.fail_early {
                            stop.store(true, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    u8::try_from(last.load(Ordering::Relaxed)).unwrap_or(1)
}

/// Hands out the transfers of one configuration; `false` from `each` ends it.
fn jobs<'c>(
    world: &World,
    config: &'c Config,
    number: &mut u64,
    each: &mut dyn FnMut(Job<'c>) -> bool,
) -> Result<bool, u8> {
    let mut last_start: Option<Instant> = None;
    for node in &config.nodes {
        let Some(url) = &node.url else { continue };
        let glob = |text: &str| {
            if config.globoff {
                return Ok(Glob::literal(text));
            }
            Glob::parse(text).map_err(|why| {
                world.say(&format!("curl: (3) {why}\n"));
                3u8
            })
        };
        // `-T ''` stands for no upload of this URL.
        let uploads = match node.upload.as_ref().filter(|upload| !upload.is_empty()) {
            Some(upload) => {
                let glob = glob(upload)?;
                (0..glob.count()).map(|index| Some(glob.at(index).url)).collect()
            }
            None => vec![None],
        };
        let urls = glob(url)?;
        for upload in uploads {
            for index in 0..urls.count() {
                for turn in 0..world.global.repeat.max(1) {
                    if let Some(last) = last_start {
                        let wait = Duration::from_millis(world.global.rate_ms).max(if turn > 0 {
                            world.global.interval
                        } else {
                            Duration::ZERO
                        });
                        std::thread::sleep(wait.saturating_sub(last.elapsed()));
                    }
                    last_start = Some(Instant::now());
                    let job = Job {
                        config,
                        node,
                        found: urls.at(index),
                        upload: upload.clone(),
                        number: *number,
                        only: None,
                    };
                    *number += 1;
                    if !each(job) {
                        return Ok(false);
                    }
                }
            }
        }
    }
    Ok(true)
}

/// Reads the cookie files of an operation, as libcurl does for each of its transfers: what a server has taken away
/// comes back, what it has changed stays changed.
fn read_cookies(world: &World, config: &Config, shared: &Common) {
    let now = world.clock.unix_seconds();
    let mut jar = lock(&shared.jar);
    jar.new_session = config.junk_session;
    for file in config.cookie_files.iter().filter(|file| !file.is_empty()) {
        match crate::apply::read_file(file) {
            Ok(bytes) => jar.read(&String::from_utf8_lossy(&bytes), now),
            Err(_) => world.note(&format!("failed to open cookie file \"{file}\"")),
        }
    }
}

fn write_cookies(world: &World, configs: &[Config], shared: &Common) {
    for path in configs.iter().filter_map(|config| config.cookie_jar.as_ref()) {
        let text = lock(&shared.jar).text(world.clock.unix_seconds());
        let written = if path == "-" {
            std::io::Write::write_all(&mut *lock(&world.out), text.as_bytes())
        } else {
            std::fs::write(path, text)
        };
        if written.is_err() {
            world.warn(&format!("failed to save cookies in {path}"));
        }
    }
}

/// A transfer that is ready to begin.
fn prepare<'w>(
    world: &'w World,
    shared: &'w Common,
    job: &Job<'w>,
    held: &mut Option<u64>,
) -> Result<Transfer<'w>, Failure> {
    let config = job.config;
    let bad = |text: &str| Failure::new(Code::FailedInit, text);
    let mut text = job.found.url.clone();
    if let Some(scheme) = config.proto_default.as_ref().filter(|_| netkit_http::url::split_scheme(&text).0.is_none()) {
        text = format!("{scheme}://{text}");
    }
    let mut url = Url::parse(&text, config.path_as_is)?;
    if config.no_user_in_url && url.user.is_some() {
        return Err(Failure::new(Code::LoginDenied, "URL rejected: Credentials was passed in the URL when prohibited"));
    }
    let chosen =
        [config.head, job.upload.is_some(), !config.form.parts.is_empty(), config.data.is_some() && !config.get];
    if chosen.iter().filter(|one| **one).count() > 1 {
        world.warn("You can only select one HTTP request method!");
        return Err(bad(""));
    }
    let mut kind = Kind::Get;
    let mut body = Body::None;
    let mut form_type = None;
    let mut query = config.url_query.clone();
    if let (Some(data), true) = (&config.data, config.get) {
        // It takes the place of --url-query.
        query = Some(String::from_utf8_lossy(data).into_owned());
    }
    if let Some(query) = &mut query {
        if query.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Err(Failure::new(Code::UrlMalformat, "URL rejected: Malformed input to a URL function"));
        }
        *query = lower_codes(query);
    }
    if config.head {
        kind = Kind::Head;
    } else if let Some(upload) = &job.upload {
        kind = Kind::Put;
        body = upload_body(world, &mut url, upload)?;
    } else if !config.form.parts.is_empty() {
        kind = Kind::Form;
        let boundary = form::boundary();
        let own = custom(&config.headers, "Content-Type").and_then(|rest| rest.get(1..)).map(str::trim).unwrap_or("");
        let outer = if own.is_empty() { "multipart/form-data" } else { own };
        let segments = form::segments(&config.form.parts, &boundary, config.form_escape, outer)?;
        body = Body::Segments(segments);
        form_type = Some(format!("multipart/form-data; boundary={boundary}"));
    } else if let Some(data) = config.data.as_ref().filter(|_| !config.get) {
        kind = Kind::Post;
        body = Body::Segments(vec![Segment::Bytes(data.clone())]);
    }
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        url.query = Some(match url.query.take().filter(|before| !before.is_empty()) {
            Some(before) => format!("{before}&{query}"),
            None => query,
        });
    }
    let path = match &job.node.target {
        Some(Target::File(name)) if name == "-" => None,
        Some(Target::File(name)) => Some(substitute(name, &job.found.parts)),
        Some(Target::Remote) => Some(remote_name(&url.path).unwrap_or_else(|| {
            world.warn("No remote filename, uses \"curl_response\"");
            "curl_response".to_owned()
        })),
        None => None,
    };
    let path = path.map(|name| match &config.output_dir {
        Some(dir) => PathBuf::from(dir).join(name),
        None => PathBuf::from(name),
    });
    let forced = matches!(&job.node.target, Some(Target::File(name)) if name == "-");
    let mut output = Output::new(world, path, config, forced);
    let mut resume = 0;
    let mut content_range = None;
    let mut range = config.range.clone();
    if let Some(wanted) = config.resume {
        resume = match wanted {
            Resume::At(offset) => offset,
            // A retry goes on where the first try began.
            Resume::FromFile => *held.get_or_insert_with(|| {
                output.path().and_then(|path| std::fs::metadata(path).ok()).map_or(0, |found| found.len())
            }),
        };
        if kind == Kind::Put {
            if let Body::File(path, _) = &body {
                let total = std::fs::metadata(path).map(|found| found.len()).unwrap_or(0);
                if resume > 0 && total > 0 && resume >= total {
                    return Err(Failure::new(Code::Partial, "File already completely uploaded"));
                }
                content_range = Some(format!("bytes {resume}-{}/{total}", total.saturating_sub(1)));
                body = Body::File(path.clone(), resume);
            }
        } else if kind == Kind::Post {
            // The rest of the data is sent, and where it belongs.
            if let (true, Some(data)) = (resume > 0, &config.data) {
                let total = u64::try_from(data.len()).unwrap_or(u64::MAX);
                let rest =
                    usize::try_from(resume).ok().and_then(|from| data.get(from..)).filter(|rest| !rest.is_empty());
                let rest = rest.ok_or_else(|| Failure::new(Code::Partial, "File already completely uploaded"))?;
                content_range = Some(format!("bytes {resume}-{}/{total}", total.saturating_sub(1)));
                body = Body::Segments(vec![Segment::Bytes(rest.to_vec())]);
            }
        } else if resume > 0 {
            range = Some(format!("{resume}-"));
            output.append = true;
            output.before = resume;
        }
    }
    let mut transfer = Transfer::new(world, shared, config, url, output, job.number);
    transfer.named_by_server = matches!(job.node.target, Some(Target::Remote));
    transfer.kind = kind;
    transfer.body = body;
    transfer.form_type = form_type;
    transfer.resume = resume;
    transfer.range = range;
    transfer.content_range = content_range;
    transfer.only_address = job.only;
    if config.json {
        for line in ["Content-Type: application/json", "Accept: application/json"] {
            let name = line.split(':').next().unwrap_or("");
            if custom(&transfer.headers, name).is_none() {
                transfer.headers.push(line.to_owned());
            }
        }
    }
    if let Some(path) = &config.etag_compare {
        let etag =
            std::fs::read_to_string(path).map_err(|_| Failure::new(Code::Read, format!("Failed to open {path}")))?;
        let etag = etag.lines().next().unwrap_or("").trim().to_owned();
        let etag = if etag.is_empty() { "\"\"".to_owned() } else { etag };
        transfer.headers.push(format!("If-None-Match: {etag}"));
    }
    if let Some(path) = &config.etag_save {
        let opened = std::fs::OpenOptions::new().append(true).create(true).open(path);
        opened.map_err(|_| {
            world.warn(&format!("Failed creating file for saving etags: \"{path}\". Skip this transfer"));
            Failure::new(Code::Read, "")
        })?;
    }
    if let Some(path) = &config.dump_header {
        let again = !lock(&shared.heads).insert((path.clone(), std::ptr::from_ref(config) as usize));
        let sink = if again && !matches!(path.as_str(), "-" | "%") {
            let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
            file.map(|file| Arc::new(Mutex::new(Box::new(file) as Box<dyn std::io::Write + Send>)))
        } else {
            World::sink(path, &world.out, &world.err)
        };
        transfer.head_file = Some(sink.map_err(|_| {
            world.warn(&format!("Failed to open {path}"));
            Failure::new(Code::Write, format!("Failed to open {path}"))
        })?);
    }
    let plain = config.request.as_deref();
    if plain.is_some_and(|method| method == kind.method()) {
        world.note(&format!("Unnecessary use of -X or --request, {} is already inferred.", kind.method()));
    }
    if plain == Some("HEAD") && kind == Kind::Get {
        world.warn(
            "Setting custom HTTP method to HEAD with -X/--request may not work the way you want. Consider using -I/--head \
             instead.",
        );
    }
    Ok(transfer)
}

/// Percent codes in lower case, as libcurl has them in what it adds to a query.
fn lower_codes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut left = 0;
    for c in text.chars() {
        left = if c == '%' { 2 } else { left };
        out.push(if left > 0 && c.is_ascii_hexdigit() { c.to_ascii_lowercase() } else { c });
        if c != '%' && left > 0 {
            left -= 1;
        }
    }
    out
}

fn upload_body(world: &World, url: &mut Url, upload: &str) -> Result<Body, Failure> {
    if upload == "-" || upload == "." {
        return Ok(Body::Stdin);
    }
    let path = at_home(upload, None);
    if url.path.ends_with('/') {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        url.path.push_str(&percent_encode(name.as_bytes()));
    }
    if upload.is_empty() {
        return Ok(Body::None);
    }
    match std::fs::File::open(&path) {
        Ok(_) => Ok(Body::File(upload.to_owned(), 0)),
        Err(_) => {
            world
                .say(&format!("{0}: cannot open '{upload}'\n{0}: try '{0} --help' for more information\n", world.name));
            Err(Failure::new(Code::Read, "Failed to open/read local data from file/application"))
        }
    }
}

/// One transfer with its retries; the status.
fn one(world: &World, shared: &Common, job: Job<'_>) -> u8 {
    if world.global.all_ips && job.only.is_none() {
        return explain::all_ips(world, &job.found.url, job.config, &mut |address| {
            let job = Job { only: Some(address), found: job.found.clone(), upload: job.upload.clone(), ..job };
            attempt(world, shared, &job, true).1
        });
    }
    let (status, summary) = attempt(world, shared, &job, false);
    explain::remember(world, &summary);
    status
}

fn attempt(world: &World, shared: &Common, job: &Job<'_>, quiet: bool) -> (u8, explain::Summary) {
    let config = job.config;
    read_cookies(world, config, shared);
    let started = Instant::now();
    let mut retries = 0;
    let mut sleep = Duration::from_secs(1);
    let mut kept: Option<Output<'_>> = None;
    let mut held = None;
    loop {
        let mut transfer = match prepare(world, shared, job, &mut held) {
            Ok(transfer) => transfer,
            Err(failure) => {
                if failure.text.is_empty() {
                    return (failure.code.number(), explain::Summary::default());
                }
                if (!world.global.silent || world.global.show_error) && !quiet {
                    world.say(&format!("{}: ({}) {}\n", world.name, failure.code.number(), failure.text));
                }
                return (failure.code.number(), explain::Summary::default());
            }
        };
        if config.skip_existing && transfer.output.path().is_some_and(|path| path.exists()) {
            world.note(&format!("skips transfer, file already exists: {}", job.found.url));
            return (0, explain::Summary::default());
        }
        if let Some(output) = kept.take() {
            transfer.output = output;
        }
        if quiet || world.global.repeat > 1 {
            transfer.capture = Some(Vec::new());
        }
        transfer.facts.retries = retries;
        let mut result = transfer.perform();
        if result.is_ok() && transfer.capture.is_none() && transfer.facts.status != 304 && !transfer.unmet {
            result = transfer.output.open();
        }
        if let Err(failure) = transfer.output.close()
            && result.is_ok()
        {
            result = Err(failure);
        }
        let failure = result.err();
        if let Some(why) = retries_after(config, &transfer, failure.as_ref())
            && retries < config.retry
        {
            // The server's word counts when it asks for more patience than there is anyway.
            let asked = transfer.retry_after.map_or(Duration::ZERO, Duration::from_secs);
            let wait = config.retry_delay.filter(|delay| !delay.is_zero()).unwrap_or(sleep).max(asked);
            let most = config.retry_max_time.filter(|most| !most.is_zero());
            let mut in_time = most.is_none_or(|most| started.elapsed() < most);
            if in_time && !asked.is_zero() && most.is_some_and(|most| started.elapsed() + wait > most) {
                world.say(
                    "The Retry-After: time would make this command line exceed the maximum allowed time for retries.",
                );
                in_time = false;
            }
            if in_time {
                let left = config.retry - retries;
                world.warn(&format!(
                    "Problem: {why}. Will retry in {}.{:03} second{}. {left} retr{} left.",
                    wait.as_secs(),
                    wait.subsec_millis(),
                    if wait.as_secs() == 1 { "" } else { "s" },
                    if left == 1 { "y" } else { "ies" }
                ));
                std::thread::sleep(wait);
                sleep = (sleep * 2).min(Duration::from_secs(600));
                retries += 1;
                if transfer.output.written > 0 && !transfer.output.is_stdout() {
                    let _ = transfer.output.rewind();
                    kept = Some(transfer.output);
                }
                continue;
            }
        }
        return finish(world, job, transfer, failure.as_ref(), quiet);
    }
}

/// Why the transfer is worth another try.
fn retries_after(config: &Config, transfer: &Transfer<'_>, failure: Option<&Failure>) -> Option<&'static str> {
    if config.retry == 0 || !transfer.body.repeats() {
        return None;
    }
    let status = transfer.facts.status;
    match failure.map(|failure| failure.code) {
        Some(Code::TimedOut | Code::ResolveHost | Code::ResolveProxy) => Some("timeout"),
        Some(Code::Connect) if config.retry_refused => Some("connection refused"),
        None | Some(Code::HttpReturned) if matches!(status, 408 | 429 | 500 | 502 | 503 | 504 | 522 | 524) => {
            Some("HTTP error")
        }
        Some(_) if config.retry_all => Some("(retrying all errors)"),
        _ => None,
    }
}

/// What is said and written once a transfer has ended.
fn finish(
    world: &World,
    job: &Job<'_>,
    transfer: Transfer<'_>,
    failure: Option<&Failure>,
    quiet: bool,
) -> (u8, explain::Summary) {
    let config = job.config;
    let status = failure.map_or(0, |failure| failure.code.number());
    let summary = explain::Summary::new(&transfer, failure, &job.found.url);
    if quiet {
        return (status, summary);
    }
    if let Some(failure) = failure {
        if !world.global.silent || world.global.show_error {
            world.say(&format!("{}: ({status}) {}\n", world.name, failure.text));
            for line in &transfer.chain_report {
                world.say(&format!("{line}\n"));
            }
        }
        if config.remove_on_error
            && transfer.output.opened
            && let Some(path) = transfer.output.path()
        {
            let _ = std::fs::remove_file(path);
        }
    }
    explain::hints(world, &transfer, failure);
    if config.remote_time
        && failure.is_none()
        && let Some(modified) = transfer.modified
    {
        transfer.output.set_time(modified);
    }
    if let Some(format) = &config.write_out {
        Report {
            world,
            facts: &transfer.facts,
            times: &transfer.times,
            failure,
            url: &job.found.url,
            number: job.number,
            headers_total: transfer.headers_total,
        }
        .print(format);
    }
    if world.global.timing {
        explain::timing(world, &transfer);
    }
    (status, summary)
}
