//! `ip netns`: namespaces bound below /run/netns, who is in them, and running something there.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;

use netkit_core::privilege::{Capability, missing};
use netkit_core::text::printable;
use netkit_core::{Ctx, Exit};
use netkit_nl::route::kind;
use netkit_nl::{Request, flags};

use crate::out::Out;
use crate::stop::{FAILED, Res, Stop};
use crate::words::{Words, number};
use crate::world::{NETNS_DIR, World};

pub(crate) fn list(ctx: &mut Ctx, world: &mut World, words: &mut Words) -> Res<Exit> {
    if let Some(extra) = words.peek() {
        return Err(Stop::wrong(&printable(extra), "`ip netns list` takes no arguments"));
    }
    let found = world.bound_namespaces();
    let style = world.options.style;
    let mut out = Out::new(&mut *ctx.stdout, style);
    out.array("");
    for (name, id) in found {
        out.object("");
        let shown = printable(&name);
        out.put("name", shown.as_str(), format_args!("{shown}"));
        if id >= 0 {
            out.put("id", id, format_args!(" (id: {id})"));
        }
        out.newline();
        out.end();
    }
    out.end();
    out.flush()?;
    Ok(Exit::OK)
}

pub(crate) fn list_ids(ctx: &mut Ctx, world: &mut World, words: &mut Words) -> Res<Exit> {
    let (mut target, mut wanted) = (None, None);
    while let Some(word) = words.next() {
        let value = words.value()?;
        let id = number(&value).and_then(|id| i32::try_from(id).ok());
        match word.as_str() {
            "target-nsid" => {
                target = Some(id.ok_or_else(|| Stop::wrong(&printable(&value), "\"target-nsid\" value is invalid\n"))?)
            }
            "nsid" => wanted = Some(id.ok_or_else(|| Stop::wrong(&printable(&value), "\"nsid\" value is invalid\n"))?),
            other => return Err(Stop::wrong(&printable(other), "neither \"target-nsid\" nor \"nsid\"")),
        }
    }
    // NETNSA_NSID 1, NETNSA_TARGET_NSID 4, NETNSA_CURRENT_NSID 5; struct rtgenmsg is one octet, padded.
    let extra = if wanted.is_some() { 0 } else { flags::DUMP };
    let mut request = Request::new(kind::GET_NSID, extra, &[0; 4]);
    if let Some(target) = target {
        request.put(4, &target.to_ne_bytes());
    }
    let answer = match wanted {
        Some(id) => {
            request.put(1, &id.to_ne_bytes());
            world.route()?.exchange(&request).map_err(Stop::talk)?
        }
        None => world.dump(&request)?,
    };
    let style = world.options.style;
    let mut out = Out::new(&mut *ctx.stdout, style);
    out.array("");
    for message in answer.messages().filter(|message| message.kind == kind::NEW_NSID) {
        out.object("");
        print_id(&mut out, world, &message);
        out.newline();
        out.end();
    }
    out.end();
    out.flush()?;
    Ok(Exit::OK)
}

/// Prints what a message says of a namespace's id.
pub(crate) fn print_id(out: &mut Out<'_>, world: &mut World, message: &netkit_nl::Message<'_>) {
    let attrs = message.attrs(4);
    if message.kind == kind::DEL_NSID {
        out.put("deleted", true, format_args!("Deleted "));
    }
    let Some(id) = attrs.find(1).and_then(|attr| attr.i32()) else { return };
    if id < 0 {
        out.put("nsid", "unassigned", format_args!("nsid unassigned "));
    } else {
        out.put("nsid", id, format_args!("nsid {id} "));
    }
    let current = attrs.find(5).and_then(|attr| attr.i32());
    if let Some(current) = current {
        if current < 0 {
            out.put("current-nsid", "unassigned", format_args!("current-nsid unassigned "));
        } else {
            out.put("current-nsid", current, format_args!("current-nsid {current} "));
        }
    }
    let named = current.filter(|current| *current >= 0).unwrap_or(id);
    if let Some(name) = world.namespace_name(named).map(|name| printable(&name)) {
        out.put("name", name.as_str(), format_args!("(iproute2 netns name: {name})"));
    }
}

/// Device and inode, which are one for each namespace.
fn identity(path: &str) -> std::io::Result<(u64, u64)> {
    fs::metadata(path).map(|meta| (meta.dev(), meta.ino()))
}

fn reason(error: &std::io::Error) -> String {
    netkit_nl::describe(error.raw_os_error().unwrap_or(0))
}

/// Why a process of somebody else does not tell its namespace (ptrace(2), access mode PTRACE_MODE_READ_FSCREDS).
fn others() -> String {
    missing(Capability::SysPtrace, "looking at another user's process", "one's own processes")
}

pub(crate) fn identify(ctx: &mut Ctx, world: &mut World, words: &mut Words) -> Res<Exit> {
    let pid = words.next().unwrap_or_else(|| "self".to_owned());
    if words.peek().is_some() {
        return Err(Stop::peer(FAILED, "extra arguments specified"));
    }
    if pid != "self" && (pid.is_empty() || !pid.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(Stop::peer(FAILED, format!("Specified string '{}' is not a pid", printable(&pid))));
    }
    let wanted = identity(&format!("/proc/{pid}/ns/net")).map_err(|error| {
        if error.kind() == std::io::ErrorKind::PermissionDenied {
            ctx.hint(&others());
        }
        Stop::peer(FAILED, format!("Cannot open network namespace: {}", reason(&error)))
    })?;
    let mut names = world.bound_namespaces();
    names.retain(|(name, _)| identity(&format!("{NETNS_DIR}/{name}")).is_ok_and(|found| found == wanted));
    let names: Vec<String> = names.iter().map(|(name, _)| printable(name)).collect();
    // An empty line says that it is none of them.
    writeln!(ctx.stdout, "{}", names.join("\n"))?;
    Ok(Exit::OK)
}

pub(crate) fn pids(ctx: &mut Ctx, _: &mut World, words: &mut Words) -> Res<Exit> {
    let Some(name) = words.next() else { return Err(Stop::peer(FAILED, "No netns name specified")) };
    if words.peek().is_some() {
        return Err(Stop::peer(FAILED, "extra arguments specified"));
    }
    let wanted = identity(&format!("{NETNS_DIR}/{name}"))
        .map_err(|error| Stop::peer(FAILED, format!("Cannot open network namespace: {}", reason(&error))))?;
    let Ok(entries) = fs::read_dir("/proc") else { return Err(Stop::peer(FAILED, "Open of /proc failed")) };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut denied = false;
    for pid in pids {
        match identity(&format!("/proc/{pid}/ns/net")) {
            Ok(found) if found == wanted => writeln!(ctx.stdout, "{pid}")?,
            Err(error) => denied |= error.kind() == std::io::ErrorKind::PermissionDenied,
            Ok(_) => {}
        }
    }
    if denied {
        ctx.hint(&others());
    }
    Ok(Exit::OK)
}

pub(crate) fn exec(ctx: &mut Ctx, world: &mut World, words: &mut Words) -> Res<Exit> {
    if !world.options.all {
        let Some(name) = words.next() else { return Err(Stop::peer(FAILED, "No netns name specified")) };
        let Some((command, arguments)) = split(words.rest()) else {
            return Err(Stop::peer(FAILED, "No command specified"));
        };
        ctx.stdout.flush()?;
        world.enter(&name)?;
        // Only a failure comes back.
        let error = Command::new(&command).args(arguments).exec();
        return Err(failed(&command, &error));
    }
    let Some((command, arguments)) = split(words.rest()) else {
        return Err(Stop::peer(FAILED, "No command specified"));
    };
    let mut exit = Exit::OK;
    for (name, _) in world.bound_namespaces() {
        writeln!(ctx.stdout, "\nnetns: {}", printable(&name))?;
        ctx.stdout.flush()?;
        world.enter(&name)?;
        let status = Command::new(&command).args(&arguments).status().map_err(|error| failed(&command, &error))?;
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
        if code != 0 {
            exit = Exit(u8::try_from(code & 0xff).unwrap_or(1));
        }
    }
    Ok(exit)
}

fn split(words: Vec<String>) -> Option<(String, Vec<OsString>)> {
    let mut words = words.into_iter();
    let command = words.next()?;
    Some((command, words.map(OsString::from).collect()))
}

fn failed(command: &str, error: &std::io::Error) -> Stop {
    Stop::peer(FAILED, format!("exec of \"{}\" failed: {}", printable(command), reason(error)))
}

/// `ip netns monitor`: names that appear and vanish, which needs inotify.
pub(crate) const MONITOR_INSTEAD: &str = "`ip monitor nsid` tells of ids that appear and vanish";
