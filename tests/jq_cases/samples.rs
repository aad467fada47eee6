//! jq's own test files, where they lie beside the checkout: none is stored here.
//!
//! Their format: a filter, an input, and the outputs, a line each, separated by blank lines; after `%%FAIL`, a filter and
//! what is said on refusing it.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::jq;
use crate::lab::{Skip, Stop, TempDir};

/// Percent of the cases that must be equal in value, and to the byte.
const WANTED: (usize, usize) = (97, 95);

/// The modules that the files import, and what is in them.
const MODULES: &[(&str, &str)] = &[
    ("a.jq", "module {version: 1.7}; def a: \"a\";"),
    (
        "c/c.jq",
        "module {whatever: null}; import \"a\" as foo; import \"d\" as d {search: \"./\"};\n\
         import \"d\" as d2 {search: \"./\"}; import \"e\" as e {search: \"./../lib/jq\"};\n\
         import \"f\" as f {search: \"./../lib/jq\"}; import \"data\" as $d;\n\
         def a: 0;\n\
         def c: if $d::d[0].this == \"is a test\" and d2::meh == d::meh and e::bah == f::bah\n\
         then foo::a + \"c\" + d::meh + e::bah else error(\"modules\") end;",
    ),
    ("c/d.jq", "def meh: \"meh\";"),
    ("lib/jq/e/e.jq", "def bah: \"bah\";"),
    ("lib/jq/f.jq", "def bah: \"bah\";"),
    ("data.json", "{\"this\":\"is a test\",\"that\":\"is too\"}"),
    ("shadow1.jq", "def e: 2;"),
    ("shadow2.jq", "def e: 3;"),
];

struct Sample {
    filter: String,
    input: String,
    outputs: Vec<String>,
    refused: bool,
}

fn read(text: &str) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let refused = line.starts_with("%%FAIL");
        let filter = if refused { lines.next().unwrap_or_default() } else { line }.to_owned();
        let input = if refused { "null" } else { lines.next().unwrap_or("null") }.to_owned();
        let mut outputs = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.trim().is_empty()) {
            if refused || !line.starts_with('#') {
                outputs.push(line.to_owned());
            }
        }
        samples.push(Sample { filter, input, outputs, refused });
    }
    samples
}

/// The files asked for, or those beside the checkout.
fn files() -> Result<Vec<PathBuf>, Stop> {
    if let Some(path) = std::env::var_os("NETKIT_JQ_TESTS") {
        return Ok(vec![PathBuf::from(path)]);
    }
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/jq");
    let Ok(entries) = fs::read_dir(&dir) else {
        return Err(Skip("jq's sample cases are not beside the checkout (../shared/data/jq)".to_owned()).into());
    };
    let mut files: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    files.sort();
    if files.is_empty() {
        return Err("no .test file in ../shared/data/jq".into());
    }
    Ok(files)
}

/// Runs the files and demands [`WANTED`].
pub fn run() -> Result<(), Stop> {
    let dir = TempDir::new("jq-samples")?;
    for (name, text) in MODULES {
        let path = dir.0.join("modules").join(name);
        fs::create_dir_all(path.parent().ok_or("no parent")?)?;
        fs::write(path, text)?;
    }
    let (mut cases, mut values, mut bytes) = (0, 0, 0);
    let mut report = String::new();
    for file in files()? {
        for sample in read(&fs::read_to_string(&file)?) {
            let output = jq(&dir.0, &["-c", "-L", "modules", &sample.filter], &format!("{}\n", sample.input))?;
            let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            let got: Vec<&str> = out.lines().collect();
            let (value, byte) = if sample.refused {
                // What follows the message, a count of the errors, is the command line's.
                let equal =
                    output.status.code() == Some(3) && err.starts_with(&format!("{}\n", sample.outputs.join("\n")));
                (equal, equal)
            } else {
                (
                    same(&got, &sample.outputs, |line| serde_json::from_str::<Value>(line).ok().map(plain)),
                    same(&got, &sample.outputs, compact),
                )
            };
            cases += 1;
            values += usize::from(value);
            bytes += usize::from(byte);
            if !value || !byte {
                let kind = if value { "bytes" } else { "value" };
                let _ = writeln!(
                    report,
                    "{}: {kind}: {}\n  input  {}\n  wanted {:?}\n  got    {got:?} {}",
                    file.display(),
                    sample.filter,
                    sample.input,
                    sample.outputs,
                    err.trim_end()
                );
            }
        }
    }
    let percent = |part: usize| part as f64 * 100.0 / cases.max(1) as f64;
    let figure = format!(
        "{cases} cases: {values} equal in value ({:.1} %), {bytes} to the byte ({:.1} %)",
        percent(values),
        percent(bytes)
    );
    if std::env::var_os("NETKIT_JQ_SHOW").is_some() {
        let _ = writeln!(std::io::stderr(), "{report}{figure}");
    }
    if std::env::var_os("NETKIT_JQ_TESTS").is_some() {
        let _ = writeln!(std::io::stderr(), "{figure}");
        return Ok(());
    }
    if values * 100 < cases * WANTED.0 || bytes * 100 < cases * WANTED.1 {
        return Err(format!("{figure}; wanted {} % and {} %\n{report}", WANTED.0, WANTED.1).into());
    }
    Ok(())
}

/// Whether both lists have the same lines once each is read; a line that cannot be read is equal to nothing.
fn same<T: PartialEq>(got: &[&str], wanted: &[String], read: impl Fn(&str) -> Option<T>) -> bool {
    got.len() == wanted.len()
        && got.iter().zip(wanted).all(|(got, wanted)| match (read(got), read(wanted)) {
            (Some(got), Some(wanted)) => got == wanted,
            _ => false,
        })
}

/// Numbers as doubles, so that `1` and `1.0` are equal.
fn plain(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Null, |number| serde_json::json!(number)),
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, plain(value))).collect(),
        other => other,
    }
}

/// A line as `-c` would print it: the tests are written with spaces, and with escapes and zeros that are not printed.
/// The order of the keys stays.
fn compact(line: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '"' => {
                let mut escaped = false;
                let end = rest.char_indices().skip(1).find(|&(_, c)| {
                    let closes = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    closes
                });
                let (token, _) = rest.split_at(end?.0 + 1);
                let text: String = serde_json::from_str(token).ok()?;
                // serde_json escapes as jq does, but for DEL.
                out.push_str(&serde_json::to_string(&text).ok()?.replace('\x7f', "\\u007f"));
                token.len()
            }
            '-' | '0'..='9' => {
                let end =
                    rest.find(|c: char| !matches!(c, '-' | '+' | '.' | 'e' | 'E' | '0'..='9')).unwrap_or(rest.len());
                let (token, _) = rest.split_at(end);
                let number: f64 = token.parse().ok()?;
                out.push_str(&if number.is_finite() { format!("{number:e}") } else { token.to_owned() });
                end
            }
            c => {
                if !c.is_ascii_whitespace() {
                    out.push(c);
                }
                c.len_utf8()
            }
        };
        rest = rest.get(length..)?;
    }
    Some(out)
}
