//! `netkit caps [--json]`: what this process may do here, what each applet can therefore do, and how to get the rest.

mod needs;
mod place;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::caps::needs::{Instead, NEEDS, Need};
use crate::caps::place::Place;
use crate::json::Value;
use crate::privilege::{Capability, Standing, names};
use crate::{Applet, Ctx, Error, Exit, manifest, text};

/// What the released binary's file grants, as `=p` (capabilities(7), "File capabilities").
const FILE_GRANT: u64 = 1 << 12 | 1 << 13 | 1 << 19;

/// The capabilities that an applet can put to use, as a set.
pub(crate) fn wanted(applet: &Applet) -> u64 {
    let listed = NEEDS.iter().filter(|need| need.applet == family(applet.name)).flat_map(|need| need.wants);
    listed.chain(applet.capability.as_ref()).fold(0, |set, capability| set | capability.bit())
}

/// The name under which [`NEEDS`] has an applet.
fn family(applet: &str) -> &str {
    if applet.starts_with("iptables") || applet.starts_with("ip6tables") { "iptables-list" } else { applet }
}

/// Everything that `caps` says.
struct Here {
    standing: Standing,
    place: Place,
    /// What an applet that is started here may raise.
    usable: u64,
}

/// What is missing for one function.
struct Lack {
    need: &'static Need,
    missing: Vec<Capability>,
}

impl Here {
    fn new() -> Here {
        let standing = Standing::of_this_process();
        // The front door itself has not raised anything yet: what is permitted can be.
        let usable = standing.effective.unwrap_or(0) | standing.permitted.unwrap_or(0) & FILE_GRANT;
        Here { place: Place::of(&standing), standing, usable }
    }

    fn lacks(&self, applet: &str) -> Vec<Lack> {
        let applet = family(applet);
        let instead = |need: &Need| match need.instead {
            Instead::Nothing => false,
            Instead::PingGroup => self.place.may_ping == Some(true),
            Instead::LowPorts => self.place.low_ports,
        };
        NEEDS
            .iter()
            .filter(|need| need.applet == applet && !instead(need))
            .filter_map(|need| {
                let missing: Vec<Capability> =
                    need.wants.iter().copied().filter(|wanted| self.usable & wanted.bit() == 0).collect();
                (!missing.is_empty()).then_some(Lack { need, missing })
            })
            .collect()
    }

    /// `works`, `partly` or `no`.
    fn verdict(lacks: &[Lack]) -> &'static str {
        match lacks.iter().find(|lack| lack.need.whole) {
            Some(lack) if lack.need.rest.is_empty() => "no",
            Some(_) => "partly",
            None => "works",
        }
    }

    /// Every capability that some applet lacks.
    fn missing(&self, applets: &[&'static Applet]) -> Vec<Capability> {
        let mut all: Vec<Capability> = Vec::new();
        for name in applets.iter().map(|applet| applet.name).chain(["*"]) {
            for capability in self.lacks(name).into_iter().flat_map(|lack| lack.missing) {
                if !all.contains(&capability) {
                    all.push(capability);
                }
            }
        }
        all.sort_by_key(|capability| *capability as u32);
        all
    }

    /// Lines to type for what is missing, each with the capabilities that it brings.
    fn remedies(&self, ctx: &Ctx, missing: &[Capability]) -> Vec<(String, Vec<Capability>)> {
        let pod = self.place.pod.as_deref().unwrap_or("POD");
        let space = self.place.namespace.as_deref().map_or(String::new(), |space| format!(" -n {space}"));
        let line = format!("kubectl debug{space} -it {pod} --image={} --target=CONTAINER", manifest::image(ctx));
        // Added capabilities never become effective for who is not root, except through the file's grant, which
        // no_new_privs takes away.
        let root = self.standing.uid == Some(0);
        // Whether the file grants anything shows only where the bounding set has something of it.
        let shown = self.standing.bounding.is_none_or(|bounding| bounding & FILE_GRANT != 0);
        let granted =
            root || self.standing.no_new_privs == Some(false) && (self.standing.permitted != Some(0) || !shown);
        let mut lines = Vec::new();
        for profile in ["general", "netadmin", "sysadmin"] {
            let brings: Vec<Capability> =
                missing.iter().copied().filter(|capability| capability.profile() == profile).collect();
            // SYS_ADMIN is not in the file's grant: only root has it.
            if !brings.is_empty() && (granted && profile != "sysadmin" || root) {
                lines.push((format!("{line} --profile={profile}"), brings));
            }
        }
        let together: Vec<Capability> =
            missing.iter().copied().filter(|capability| FILE_GRANT & capability.bit() != 0).collect();
        if lines.len() > 1 && together.len() > 1 || !root && !together.is_empty() {
            let custom = format!(
                "netkit manifest custom-profile --image={} > netkit.yaml, then {line} --custom=netkit.yaml",
                manifest::image(ctx)
            );
            lines.push((custom, together));
        }
        if !root && missing.contains(&Capability::SysAdmin) {
            lines.push(("netkit manifest daemonset (as root, privileged)".to_owned(), vec![Capability::SysAdmin]));
        }
        lines
    }
}

pub(crate) fn run(ctx: &mut Ctx) -> Result<Exit, Error> {
    let json = match ctx.args_lossy().as_slice() {
        [] => false,
        [flag] if flag == "--json" => true,
        [other, ..] => {
            return Err(Error::usage(format!("caps: no argument `{}`; there is --json", text::printable(other))));
        }
    };
    let here = Here::new();
    let applets: Vec<&'static Applet> = ctx.table.iter().flat_map(|entries| entries.iter()).collect();
    let out = if json { as_json(ctx, &here, &applets).pretty() } else { as_text(ctx, &here, &applets) };
    ctx.stdout.write_all(out.as_bytes())?;
    Ok(Exit::OK)
}

fn list(capabilities: &[Capability]) -> String {
    capabilities.iter().map(|capability| capability.name()).collect::<Vec<_>>().join(" ")
}

/// Every capability that has a name (linux/capability.h).
const ALL: u64 = (1 << 41) - 1;

fn set_text(set: Option<u64>) -> String {
    match set {
        None => "unknown".to_owned(),
        Some(0) => "none".to_owned(),
        Some(set) => match names(!set & ALL) {
            without if without.is_empty() => "all".to_owned(),
            without if without.len() < 10 => format!("all but {}", without.join(" ")),
            _ => names(set).join(" "),
        },
    }
}

fn flag_text(flag: Option<bool>, yes: &str, no: &str) -> String {
    flag.map_or("unknown", |flag| if flag { yes } else { no }).to_owned()
}

const SECCOMP: [&str; 3] = ["none", "strict", "filter"];

fn seccomp_name(number: u32) -> String {
    usize::try_from(number).ok().and_then(|at| SECCOMP.get(at)).map_or(number.to_string(), |name| (*name).to_owned())
}

fn as_text(ctx: &Ctx, here: &Here, applets: &[&'static Applet]) -> String {
    let (standing, place) = (&here.standing, &here.place);
    let number = |id: Option<u32>| id.map_or("unknown".to_owned(), |id| id.to_string());
    let mut groups = String::new();
    for group in standing.groups.iter().filter(|group| Some(**group) != standing.gid) {
        let _ = write!(groups, " {group}");
    }
    let may_ping = flag_text(place.may_ping, "holds this user", "does not hold this user");
    let ping = match place.ping_range {
        Some((first, last)) => format!("{first} to {last}: {may_ping}"),
        None => "unknown".to_owned(),
    };
    let rows = [
        ("user", format!("uid {} gid {}{groups}", number(standing.uid), number(standing.gid))),
        ("effective", set_text(standing.effective)),
        ("permitted", set_text(standing.permitted)),
        ("bounding", set_text(standing.bounding)),
        ("no_new_privs", flag_text(standing.no_new_privs, "yes", "no")),
        ("seccomp", standing.seccomp.map_or("unknown".to_owned(), seccomp_name)),
        ("ping groups", ping),
        ("root", format!("{}{}", flag_text(place.read_only_root, "read-only", "writable"), place.writable_text())),
        ("processes", place.processes_text()),
    ];
    let mut out = String::new();
    for (name, value) in rows {
        let _ = writeln!(out, "{name:<13} {value}");
    }
    out.push('\n');
    for applet in applets {
        let lacks = here.lacks(applet.name);
        let _ = writeln!(out, "{:<13} {}", applet.name, applet_text(&lacks));
    }
    for lack in here.lacks("*") {
        let _ = writeln!(out, "{:<13} not {} ({})", "every applet", lack.need.function, list(&lack.missing));
    }
    let missing = here.missing(applets);
    if missing.is_empty() {
        return out;
    }
    out.push_str("\nwhy:\n");
    for capability in &missing {
        let _ = writeln!(out, "  {}", standing.lack(*capability).0);
    }
    out.push_str("the rest:\n");
    for (line, brings) in here.remedies(ctx, &missing) {
        let _ = writeln!(out, "  {line}\n    {}", list(&brings));
    }
    out
}

fn applet_text(lacks: &[Lack]) -> String {
    let (mut text, link) = match lacks.iter().find(|lack| lack.need.whole) {
        Some(lack) if !lack.need.rest.is_empty() => (format!("only {}", lack.need.rest), "; not "),
        Some(_) => ("no".to_owned(), ": "),
        None => ("works".to_owned(), "; not "),
    };
    for (index, lack) in lacks.iter().enumerate() {
        let link = if index == 0 { link } else { ", " };
        let _ = write!(text, "{link}{} ({})", lack.need.function, list(&lack.missing));
    }
    text
}

fn as_json(ctx: &Ctx, here: &Here, applets: &[&'static Applet]) -> Value {
    let (standing, place) = (&here.standing, &here.place);
    let set = |set: Option<u64>| set.map(names);
    let capability_names = |list: &[Capability]| list.iter().map(|capability| capability.name()).collect::<Vec<&str>>();
    let mut each = Vec::new();
    for applet in applets {
        let lacks = here.lacks(applet.name);
        let mut lines = Vec::new();
        for lack in &lacks {
            lines.push(
                Value::object().with("function", lack.need.function).with("missing", capability_names(&lack.missing)),
            );
        }
        each.push(
            Value::object()
                .with("name", applet.name)
                .with("verdict", Here::verdict(&lacks))
                .with("lacks", Value::Array(lines)),
        );
    }
    let missing = here.missing(applets);
    let mut remedies = Vec::new();
    for (line, brings) in here.remedies(ctx, &missing) {
        remedies.push(Value::object().with("run", line).with("grants", capability_names(&brings)));
    }
    let range = place.ping_range.map(|(first, last)| vec![first, last]);
    Value::object()
        .with("schema", "netkit-caps/1")
        .with("uid", standing.uid)
        .with("gid", standing.gid)
        .with("groups", standing.groups.clone())
        .with("effective", set(standing.effective))
        .with("permitted", set(standing.permitted))
        .with("bounding", set(standing.bounding))
        .with("usable", names(here.usable))
        .with("no_new_privs", standing.no_new_privs)
        .with("seccomp", standing.seccomp.map(seccomp_name))
        .with("ping_group_range", range)
        .with("may_ping", place.may_ping)
        .with("read_only_root", place.read_only_root)
        .with("writable", place.writable.iter().map(|path| (*path).to_owned()).collect::<Vec<String>>())
        .with("shared_pid_namespace", place.shared_processes)
        .with("first_process", place.first_process.clone())
        .with("applets", Value::Array(each))
        .with("missing", capability_names(&missing))
        .with("remedies", Value::Array(remedies))
}

/// The three lines before the first prompt: where one is, what works here, and what does not.
pub(crate) fn greeting(ctx: &Ctx) -> String {
    let here = Here::new();
    let applets: Vec<&'static Applet> = ctx.table.iter().flat_map(|entries| entries.iter()).collect();
    let mut works = Vec::new();
    let mut lacking = Vec::new();
    for applet in applets.iter().filter(|applet| applet.group != crate::Group::Shell) {
        let lacks = here.lacks(applet.name);
        if Here::verdict(&lacks) == "works" {
            works.push(applet.name);
        }
        for lack in lacks.iter().filter(|lack| lack.need.whole) {
            lacking.push(format!("{} {} ({})", applet.name, lack.need.function, list(&lack.missing)));
        }
    }
    let others: BTreeSet<&str> = (here.missing(&applets).iter())
        .map(|capability| capability.name())
        .filter(|name| !lacking.iter().any(|text| text.contains(name)))
        .collect();
    if !others.is_empty() {
        lacking.push(format!("what needs {}", others.into_iter().collect::<Vec<_>>().join(" ")));
    }
    let lacking = if lacking.is_empty() { "nothing".to_owned() } else { lacking.join(", ") };
    format!(
        "netkit {}: a shell whose commands are netkit's tools; `netkit --list`, `netkit --help TOOL`\n\
         works here: {}\n\
         does not: {lacking}; `netkit caps` says why, and how to get it",
        ctx.build.version,
        works.join(" "),
    )
}
