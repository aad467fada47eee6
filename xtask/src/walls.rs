//! `cargo xtask walls`: who may call whom (DESIGN.md, section 2), held against `cargo metadata`.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::Result;
use crate::process::at;
use crate::workspace::{list, metadata, root, text};

/// Each room and the rooms it may call. What is not listed here is an applet or a wall to be drawn first.
const ROOMS: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("wire", &["core"]),
    ("print", &["core"]),
    ("filter", &[]),
    ("regex", &[]),
    ("sys", &["core"]),
    ("nl", &["sys", "wire", "core"]),
    ("nf", &["nl", "wire", "core"]),
    ("dns", &["sys", "wire", "core"]),
    ("tls", &["wire", "sys", "core"]),
    ("probe", &["dns", "sys", "wire", "core"]),
    ("http", &["tls", "probe", "wire", "core"]),
];
/// An applet may call every room, never another applet.
const APPLET_MAY_CALL: &[&str] =
    &["probe", "http", "tls", "dns", "nf", "nl", "sys", "wire", "print", "filter", "regex", "core"];
/// The only room with a lint table of its own: the one where unsafe code may stand.
const OWN_LINTS: &str = "sys";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        return Err("takes no arguments".to_owned());
    }
    let metadata = metadata(&["--no-deps"])?;
    let members = members(&metadata)?;
    let mut broken = violations(&members);
    broken.extend(lints(&members)?);
    if broken.is_empty() {
        let edges: usize = members.iter().map(|member| member.calls.len()).sum();
        println!("walls: {} members, {edges} edges, all allowed", members.len());
        return Ok(());
    }
    Err(format!("{} walls broken:\n  {}", broken.len(), broken.join("\n  ")))
}

/// A package of the workspace.
#[derive(Debug)]
struct Member {
    name: String,
    /// Its manifest, relative to the workspace's root.
    manifest: String,
    /// Packages of the workspace that it depends on in any way, tests and build scripts included.
    calls: BTreeSet<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place<'a> {
    Root,
    Xtask,
    Room(&'a str),
    Applet(&'a str),
}

impl Member {
    fn place(&self) -> std::result::Result<Place<'_>, String> {
        let short = self.name.strip_prefix("netkit-");
        match (self.manifest.split('/').collect::<Vec<_>>().as_slice(), short) {
            (["Cargo.toml"], None) => Ok(Place::Root),
            (["xtask", "Cargo.toml"], None) => Ok(Place::Xtask),
            (["src", folder, "Cargo.toml"], Some(short)) if *folder == short => Ok(Place::Room(short)),
            (["applets", folder, "Cargo.toml"], Some(short)) if *folder == short => Ok(Place::Applet(short)),
            _ => Err(format!("{}: package `{}` lies where DESIGN.md knows no such name", self.manifest, self.name)),
        }
    }
}

fn members(metadata: &Value) -> Result<Vec<Member>> {
    let root = text(metadata, "workspace_root").to_owned() + "/";
    let names: BTreeSet<&str> = list(metadata, "packages").iter().map(|package| text(package, "name")).collect();
    list(metadata, "packages")
        .iter()
        .map(|package| {
            let manifest = text(package, "manifest_path");
            let calls = list(package, "dependencies").iter().map(|dependency| text(dependency, "name"));
            Ok(Member {
                name: text(package, "name").to_owned(),
                manifest: manifest
                    .strip_prefix(&root)
                    .ok_or_else(|| format!("{manifest} lies outside the workspace"))?
                    .to_owned(),
                calls: calls.filter(|name| names.contains(name)).map(str::to_owned).collect(),
            })
        })
        .collect()
}

fn violations(members: &[Member]) -> Vec<String> {
    let mut broken = Vec::new();
    for member in members {
        let from = match member.place() {
            Ok(place) => place,
            Err(error) => {
                broken.push(error);
                continue;
            }
        };
        if let Place::Room(room) = from
            && !ROOMS.iter().any(|(name, _)| *name == room)
        {
            broken.push(format!("src/{room}: a room without walls; draw them in DESIGN.md and xtask/src/walls.rs"));
            continue;
        }
        for callee in &member.calls {
            // A member without a place was already reported on its own line.
            let Some(to) = members.iter().find(|m| m.name == *callee).and_then(|m| m.place().ok()) else { continue };
            if !allowed(from, to) {
                broken.push(format!("{} may not call {callee}", member.name));
            }
        }
    }
    broken
}

fn allowed(from: Place<'_>, to: Place<'_>) -> bool {
    match (from, to) {
        // The allocator, which only the program as a whole can choose, lies where `unsafe` may stand.
        (Place::Root, Place::Room(room)) => matches!(room, "core" | "sys"),
        (Place::Root, Place::Applet(_)) => true,
        (Place::Applet(_), Place::Room(room)) => APPLET_MAY_CALL.contains(&room),
        (Place::Room(from), Place::Room(to)) => {
            ROOMS.iter().any(|(name, may_call)| *name == from && may_call.contains(&to))
        }
        _ => false,
    }
}

/// Every member but one obeys the workspace's lints, and with them the ban of unsafe code.
fn lints(members: &[Member]) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for member in members {
        let path = root().join(&member.manifest);
        let manifest = fs::read_to_string(&path).map_err(at("read", &path))?;
        if member.place() != Ok(Place::Room(OWN_LINTS)) && !obeys_workspace_lints(&manifest) {
            broken.push(format!("{}: no `[lints]` with `workspace = true`", member.manifest));
        }
    }
    Ok(broken)
}

fn obeys_workspace_lints(manifest: &str) -> bool {
    let mut section = "";
    manifest.lines().map(str::trim).any(|line| {
        if line.starts_with('[') {
            section = line;
        }
        section == "[lints]" && line.replace(' ', "") == "workspace=true"
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn workspace(edges: &[(&str, &[&str])]) -> Vec<Member> {
        let packages: Vec<Value> = edges
            .iter()
            .map(|(path, calls)| {
                let folder = path.rsplit('/').next().unwrap();
                let name = if path.contains('/') { format!("netkit-{folder}") } else { (*path).to_owned() };
                let manifest = match *path {
                    "netkit" => "/w/Cargo.toml".to_owned(),
                    other => format!("/w/{other}/Cargo.toml"),
                };
                let calls: Vec<Value> = calls.iter().map(|name| json!({ "name": name })).collect();
                json!({ "name": name, "manifest_path": manifest, "dependencies": calls })
            })
            .collect();
        members(&json!({ "workspace_root": "/w", "packages": packages })).unwrap()
    }

    const SOUND: &[(&str, &[&str])] = &[
        ("netkit", &["netkit-core", "netkit-dig", "serde_json"]),
        ("xtask", &["serde_json"]),
        ("src/core", &[]),
        ("src/wire", &["netkit-core"]),
        ("src/sys", &["netkit-core"]),
        ("src/dns", &["netkit-wire", "netkit-sys", "netkit-core"]),
        ("src/tls", &["netkit-wire"]),
        ("applets/dig", &["netkit-dns", "netkit-core"]),
        ("applets/nc", &["netkit-sys"]),
    ];

    fn broken_by(path: &str, calls: &[&str]) -> Vec<String> {
        let mut edges = SOUND.to_vec();
        edges.retain(|(known, _)| *known != path);
        edges.push((path, calls));
        violations(&workspace(&edges))
    }

    #[test]
    fn the_plan_is_accepted() {
        assert_eq!(violations(&workspace(SOUND)), Vec::<String>::new());
    }

    #[test]
    fn wrong_edges_are_refused() {
        for (path, callee, who) in [
            ("applets/nc", "netkit-dig", "netkit-nc"),
            ("applets/nc", "netkit", "netkit-nc"),
            ("applets/nc", "xtask", "netkit-nc"),
            ("src/core", "netkit-wire", "netkit-core"),
            ("src/wire", "netkit-sys", "netkit-wire"),
            ("src/sys", "netkit-wire", "netkit-sys"),
            ("src/dns", "netkit-tls", "netkit-dns"),
            ("src/dns", "netkit-dig", "netkit-dns"),
            ("netkit", "netkit-dns", "netkit"),
            ("xtask", "netkit-core", "xtask"),
        ] {
            assert_eq!(broken_by(path, &[callee]), [format!("{who} may not call {callee}")], "{path} -> {callee}");
        }
    }

    #[test]
    fn unknown_rooms_and_names_are_refused() {
        assert!(broken_by("src/attic", &[])[0].contains("a room without walls"));
        let mut members = workspace(SOUND);
        members[8].name = "nc".to_owned();
        assert!(violations(&members)[0].contains("knows no such name"));
    }

    #[test]
    fn lints_are_looked_for_in_their_section() {
        assert!(obeys_workspace_lints("[package]\nname = \"a\"\n[lints]\nworkspace = true\n"));
        assert!(!obeys_workspace_lints("[package]\nversion.workspace = true\n[lints.rust]\nunsafe_code = \"allow\"\n"));
        assert!(!obeys_workspace_lints("[dependencies]\nworkspace = true\n[lints]\n"));
    }
}
