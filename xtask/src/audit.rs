//! The list of dependencies that a released binary carries for vulnerability scanners.
//!
//! Format: a section named `.dep-v0` holding zlib-compressed JSON, as cargo-auditable defines it (its PARSING.md and
//! JSON schema). Packages stand in a list; dependencies are indices into it; what runs only while building has
//! `"kind": "build"`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::Result;
use crate::process::output;
use crate::workspace::{TARGET, cargo, list, metadata, text};

/// The section's name.
pub(crate) const SECTION: &str = ".dep-v0";
/// A decompressed list above this many bytes is not ours.
const LARGEST: usize = 8 << 20;

/// The compressed list for a release build of the root package.
pub(crate) fn section() -> Result<Vec<u8>> {
    let metadata = metadata(&["--filter-platform", TARGET])?;
    let list = dependencies(&metadata, &built()?)?;
    Ok(miniz_oxide::deflate::compress_to_vec_zlib(list.to_string().as_bytes(), 9))
}

/// Reads a section back.
pub(crate) fn read(section: &[u8]) -> Result<Value> {
    let bytes = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(section, LARGEST)
        .map_err(|error| format!("{SECTION} is not zlib data: {error}"))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("{SECTION} is not JSON: {error}"))
}

/// Name and version of every package that a build of the root package compiles. `cargo metadata` would also name what
/// only other members' features bring in.
fn built() -> Result<BTreeSet<(String, String)>> {
    let tree = output(
        cargo()
            .args(["tree", "--locked", "--package", "netkit", "--edges", "normal,build"])
            .args(["--target", TARGET, "--prefix", "none", "--format", "{p}"]),
    )?;
    Ok(tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
        })
        .collect())
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Build,
    Runtime,
}

fn dependencies(metadata: &Value, built: &BTreeSet<(String, String)>) -> Result<Value> {
    let packages: BTreeMap<&str, &Value> =
        list(metadata, "packages").iter().map(|package| (text(package, "id"), package)).collect();
    let resolve = metadata.get("resolve").ok_or("cargo metadata resolved nothing")?;
    let root = text(resolve, "root");
    let nodes: BTreeMap<&str, &Value> = list(resolve, "nodes").iter().map(|node| (text(node, "id"), node)).collect();

    let mut kinds: BTreeMap<&str, Kind> = BTreeMap::new();
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut waiting = vec![(root, Kind::Runtime)];
    while let Some((id, kind)) = waiting.pop() {
        if kinds.get(id).is_some_and(|known| *known >= kind) {
            continue;
        }
        kinds.insert(id, kind);
        let node = nodes.get(id).ok_or_else(|| format!("{id} is not in the resolved graph"))?;
        for dependency in list(node, "deps") {
            let to = text(dependency, "pkg");
            let package = packages.get(to).ok_or_else(|| format!("{to} is not among the packages"))?;
            if !built.contains(&(text(package, "name").to_owned(), text(package, "version").to_owned())) {
                continue;
            }
            let Some(edge) = strongest(dependency) else { continue };
            edges.entry(id).or_default().insert(to);
            // A procedural macro runs in the compiler, so nothing below it is in the binary.
            let edge = if is_proc_macro(package) { Kind::Build } else { edge };
            waiting.push((to, kind.min(edge)));
        }
    }

    let mut order: Vec<&str> = kinds.keys().copied().collect();
    let key = |id: &&str| packages.get(*id).map(|package| (text(package, "name"), text(package, "version")));
    order.sort_by_key(key);
    let index: BTreeMap<&str, usize> = order.iter().enumerate().map(|(index, id)| (*id, index)).collect();
    let mut out = Vec::new();
    for id in &order {
        let package = packages.get(id).ok_or("a package vanished")?;
        let mut entry = Map::new();
        let mut put = |key: &str, value: Value| drop(entry.insert(key.to_owned(), value));
        put("name", json!(text(package, "name")));
        put("version", json!(text(package, "version")));
        put("source", json!(source(package)));
        if kinds.get(id) == Some(&Kind::Build) {
            put("kind", json!("build"));
        }
        if let Some(to) = edges.get(id) {
            let mut indices: Vec<usize> = to.iter().filter_map(|to| index.get(to).copied()).collect();
            indices.sort_unstable();
            put("dependencies", json!(indices));
        }
        if *id == root {
            put("root", json!(true));
        }
        out.push(Value::Object(entry));
    }
    Ok(json!({ "packages": out }))
}

/// Normal wins over build; an edge that exists for tests only is none.
fn strongest(dependency: &Value) -> Option<Kind> {
    list(dependency, "dep_kinds")
        .iter()
        .filter_map(|kind| match kind.get("kind") {
            None | Some(Value::Null) => Some(Kind::Runtime),
            Some(Value::String(word)) if word == "build" => Some(Kind::Build),
            _ => None,
        })
        .max()
}

fn is_proc_macro(package: &Value) -> bool {
    list(package, "targets").iter().any(|target| list(target, "kind").iter().any(|kind| kind == "proc-macro"))
}

/// `local`, `git`, or the registry's name as its index spells it, which is what scanners compare with.
fn source(package: &Value) -> &str {
    match text(package, "source") {
        "" => "local",
        source if source.starts_with("git+") => "git",
        source => source.rsplit('/').next().and_then(|index| index.strip_suffix("-index")).unwrap_or("registry"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(id: &str, kind: &str) -> Value {
        json!({ "id": id, "name": id, "version": "1.0.0", "source": null, "targets": [{ "kind": [kind] }] })
    }

    fn edge(to: &str, kind: Value) -> Value {
        json!({ "pkg": to, "dep_kinds": [{ "kind": kind }] })
    }

    #[test]
    fn kinds_and_indices() {
        let metadata = json!({
            "packages": [package("root", "bin"), package("lib", "lib"), package("mac", "proc-macro"),
                         package("syn", "lib"), package("tester", "lib"), package("unbuilt", "lib")],
            "resolve": { "root": "root", "nodes": [
                { "id": "root", "deps": [edge("lib", Value::Null), edge("mac", Value::Null),
                                         edge("tester", json!("dev")), edge("unbuilt", Value::Null)] },
                { "id": "lib", "deps": [] },
                { "id": "mac", "deps": [edge("syn", Value::Null)] },
                { "id": "syn", "deps": [] },
            ] },
        });
        let built = ["root", "lib", "mac", "syn", "tester"].map(|name| (name.to_owned(), "1.0.0".to_owned())).into();
        let expected = json!({ "packages": [
            { "name": "lib", "version": "1.0.0", "source": "local" },
            { "name": "mac", "version": "1.0.0", "source": "local", "kind": "build", "dependencies": [3] },
            { "name": "root", "version": "1.0.0", "source": "local", "dependencies": [0, 1], "root": true },
            { "name": "syn", "version": "1.0.0", "source": "local", "kind": "build" },
        ] });
        assert_eq!(dependencies(&metadata, &built).unwrap(), expected);
    }

    #[test]
    fn what_is_written_is_read_back_and_damage_is_refused() {
        let section = section().unwrap();
        let list_read = read(&section).unwrap();
        let root = list(&list_read, "packages").iter().find(|package| package.get("root").is_some()).unwrap();
        assert_eq!(text(root, "name"), "netkit");
        assert!(list(&list_read, "packages").iter().any(|package| text(package, "name") == "netkit-core"));
        assert!(list(&list_read, "packages").iter().all(|package| text(package, "name") != "libtest-mimic"));
        assert!(read(&section[..section.len() / 2]).is_err());
    }
}
