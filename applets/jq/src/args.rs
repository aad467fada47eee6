//! The command line, by jq 1.8's rules: options anywhere, short ones combined, the first other word is the filter.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use netkit_core::{Flags, flag, flags};

use crate::input::reason;
use crate::read;
use crate::token::lossy;
use crate::value::{Map, Value};
use crate::write::Indent;

/// What help shows.
pub(crate) const FLAGS: Flags = flags![
    flag("-n, --null-input", "", "run the filter once, on null; `input` and `inputs` read"),
    flag("-R, --raw-input", "", "each line is a string"),
    flag("-s, --slurp", "", "all inputs as one array (with -R, one string)"),
    flag("-c, --compact-output", "", "one line an output"),
    flag("-r, --raw-output", "", "strings without quotes and escapes"),
    flag("-j, --join-output", "", "-r, and nothing between outputs"),
    flag("    --raw-output0", "", "-r, and NUL behind each output"),
    flag("-a, --ascii-output", "", "escape what is not ASCII"),
    flag("-S, --sort-keys", "", "object keys in order"),
    flag("-C, --color-output", "", "colours, as $JQ_COLORS says"),
    flag("-M, --monochrome-output", "", "no colours"),
    flag("    --tab", "", "indent with tabs"),
    flag("    --indent", "N", "indent with N spaces, 0 to 7"),
    flag("    --unbuffered", "", "flush behind each output"),
    flag("    --from", "FORMAT", "yaml: inputs are YAML documents; json is the default"),
    flag("    --stream", "", "inputs as events [path, leaf], before they are complete"),
    flag("    --stream-errors", "", "--stream, and errors as [message, path]"),
    flag("    --seq", "", "inputs and outputs begin with RS (RFC 7464)"),
    flag("-f, --from-file", "", "the first word is a file that holds the filter"),
    flag("-L, --library-path", "DIR", "look for modules there"),
    flag("    --arg", "NAME TEXT", "$NAME is the text"),
    flag("    --argjson", "NAME JSON", "$NAME is the value"),
    flag("    --slurpfile", "NAME FILE", "$NAME is the array of the file's values"),
    flag("    --rawfile", "NAME FILE", "$NAME is the file's text"),
    flag("    --args", "", "the other words are $ARGS.positional, as strings"),
    flag("    --jsonargs", "", "the other words are $ARGS.positional, as values"),
    flag("-e, --exit-status", "", "1 if the last output is false or null, 4 if there is none"),
    flag("-b, --binary", "", "accepted; output is never translated here"),
    flag("-V, --version", "", "the version"),
    flag("    --build-configuration", "", "what this build is"),
    flag("-h, --help", "", "this page"),
];

/// What a valid command line asks for.
pub(crate) enum Request {
    Run(Box<Options>),
    Help,
    Version,
    BuildConfiguration,
}

/// Everything a run needs to know.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// The filter, or with `from_file` the file that holds it.
    pub(crate) program: Option<OsString>,
    pub(crate) files: Vec<OsString>,
    /// `$ARGS.positional`.
    pub(crate) positional: Vec<Value>,
    /// `$ARGS.named`; of a name given twice, the first.
    pub(crate) named: Map,
    /// `-L`, made absolute where they exist; `None` for the usual places.
    pub(crate) library: Option<Vec<PathBuf>>,
    pub(crate) null_input: bool,
    pub(crate) raw_input: bool,
    pub(crate) slurp: bool,
    /// `--from yaml`.
    pub(crate) yaml: bool,
    pub(crate) indent: Layout,
    pub(crate) raw_output: bool,
    pub(crate) join: bool,
    pub(crate) nul: bool,
    pub(crate) ascii: bool,
    pub(crate) sort_keys: bool,
    pub(crate) color: bool,
    pub(crate) monochrome: bool,
    pub(crate) unbuffered: bool,
    pub(crate) stream: bool,
    pub(crate) stream_errors: bool,
    pub(crate) seq: bool,
    pub(crate) from_file: bool,
    pub(crate) exit_status: bool,
}

/// The indentation, whose default is two spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout(pub(crate) Indent);

impl Default for Layout {
    fn default() -> Layout {
        Layout(Indent::Spaces(2))
    }
}

/// Why the command line is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// What is said after `jq: `.
    pub(crate) message: String,
    /// Whether `--help` would help.
    pub(crate) usage: bool,
}

fn refuse<T>(message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { message: message.into(), usage: true })
}

/// What follows the options that read values.
#[derive(Clone, Copy)]
enum Words {
    Files,
    Strings,
    Values,
}

/// Reads a command line. `--argjson`, `--rawfile` and `--slurpfile` are read as they come.
pub(crate) fn parse(words: &[OsString]) -> Result<Request, Refusal> {
    let mut options = Options::default();
    let mut kind = Words::Files;
    let mut only_words = false;
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let bytes = word.as_bytes();
        let option = match bytes {
            _ if only_words => None,
            [b'-', b'-', long @ ..] => Some((long, true)),
            [b'-', short @ ..] if short.first().is_some_and(u8::is_ascii_alphabetic) => Some((short, false)),
            _ => None,
        };
        match option {
            None if options.program.is_none() => options.program = Some(word.clone()),
            None => match kind {
                Words::Files => options.files.push(word.clone()),
                Words::Strings => options.positional.push(text(word)),
                Words::Values => match read::parse(&lossy(bytes)) {
                    Ok(value) => options.positional.push(value),
                    Err(_) => return refuse("invalid JSON text passed to --jsonargs"),
                },
            },
            Some(([], true)) => only_words = true,
            Some((long, true)) => {
                if let Some(request) = long_option(long, &mut rest, &mut kind, &mut options)? {
                    return Ok(request);
                }
            }
            Some((letters, false)) => {
                for (at, letter) in letters.iter().enumerate() {
                    if *letter == b'L' {
                        let tail = letters.get(at + 1..).unwrap_or_default();
                        library(
                            &mut options,
                            (!tail.is_empty()).then(|| OsString::from_vec(tail.to_vec())),
                            &mut rest,
                        )?;
                        break;
                    }
                    if let Some(request) = short_option(*letter, &mut options)? {
                        return Ok(request);
                    }
                }
            }
        }
    }
    if options.yaml && (options.raw_input || options.stream || options.seq) {
        return refuse("--from yaml does not go with --raw-input, --stream and --seq");
    }
    Ok(Request::Run(Box::new(options)))
}

fn short_option(letter: u8, options: &mut Options) -> Result<Option<Request>, Refusal> {
    match letter {
        b'n' => options.null_input = true,
        b'R' => options.raw_input = true,
        b's' => options.slurp = true,
        b'c' => options.indent = Layout(Indent::Compact),
        b'r' => options.raw_output = true,
        b'j' => (options.raw_output, options.join) = (true, true),
        b'a' => options.ascii = true,
        b'S' => options.sort_keys = true,
        b'C' => options.color = true,
        b'M' => options.monochrome = true,
        b'f' => options.from_file = true,
        b'e' => options.exit_status = true,
        b'b' => {}
        b'h' => return Ok(Some(Request::Help)),
        b'V' => return Ok(Some(Request::Version)),
        b'i' => return refuse("-i (in-place editing) is not offered; write to a new file and rename it"),
        other => return refuse(format!("Unknown option -{}", lossy(&[other]))),
    }
    Ok(None)
}

fn long_option(
    name: &[u8],
    rest: &mut std::slice::Iter<'_, OsString>,
    kind: &mut Words,
    options: &mut Options,
) -> Result<Option<Request>, Refusal> {
    let letter = match name {
        b"null-input" => b'n',
        b"raw-input" => b'R',
        b"slurp" => b's',
        b"compact-output" => b'c',
        b"raw-output" => b'r',
        b"join-output" => b'j',
        b"ascii-output" => b'a',
        b"sort-keys" => b'S',
        b"color-output" => b'C',
        b"monochrome-output" => b'M',
        b"from-file" => b'f',
        b"exit-status" => b'e',
        b"binary" => b'b',
        b"help" => b'h',
        b"version" => b'V',
        _ => 0,
    };
    if letter != 0 {
        return short_option(letter, options);
    }
    match name {
        b"raw-output0" => (options.raw_output, options.join, options.nul) = (true, true, true),
        b"tab" => options.indent = Layout(Indent::Tab),
        b"indent" => options.indent = indent(rest)?,
        b"unbuffered" => options.unbuffered = true,
        b"stream" => options.stream = true,
        b"stream-errors" => (options.stream, options.stream_errors) = (true, true),
        b"seq" => options.seq = true,
        b"args" => *kind = Words::Strings,
        b"jsonargs" => *kind = Words::Values,
        b"library-path" => library(options, None, rest)?,
        b"arg" | b"argjson" | b"slurpfile" | b"rawfile" => named(name, rest, options)?,
        b"build-configuration" => return Ok(Some(Request::BuildConfiguration)),
        b"debug-dump-disasm" | b"debug-trace" | b"debug-trace=all" => {
            return refuse(format!("--{} is not offered: there is no bytecode to show", lossy(name)));
        }
        b"run-tests" => return refuse("--run-tests is not offered; run the filters one by one"),
        b"argfile" => return refuse("--argfile is not offered, as in jq since 1.7; use --slurpfile"),
        b"from" => match rest.next().map(|word| lossy(word.as_bytes())).as_deref() {
            Some("yaml") => options.yaml = true,
            Some("json") => options.yaml = false,
            Some(other) => return refuse(format!("--from {other} is not offered; it takes yaml or json")),
            None => return refuse("--from takes one parameter (yaml or json)"),
        },
        b"yaml-input" => return refuse("--yaml-input is not offered; use --from yaml"),
        b"to" | b"yaml-output" | b"in-place" | b"raw-input0" => {
            return refuse(format!("--{} is not offered; output is JSON on standard output", lossy(name)));
        }
        other => return refuse(format!("Unknown option --{}", lossy(other))),
    }
    Ok(None)
}

fn library(
    options: &mut Options,
    attached: Option<OsString>,
    rest: &mut std::slice::Iter<'_, OsString>,
) -> Result<(), Refusal> {
    let Some(path) = attached.or_else(|| rest.next().cloned()) else {
        return refuse("-L takes a parameter: (e.g. -L /search/path or -L/search/path)");
    };
    let path = fs::canonicalize(&path).unwrap_or_else(|_| PathBuf::from(path));
    options.library.get_or_insert_default().push(path);
    Ok(())
}

fn indent(rest: &mut std::slice::Iter<'_, OsString>) -> Result<Layout, Refusal> {
    let Some(word) = rest.next() else { return refuse("--indent takes one parameter") };
    match word.to_str().map(str::parse::<i64>) {
        Some(Ok(-1)) => Ok(Layout(Indent::Tab)),
        Some(Ok(width @ 0..=7)) => Ok(Layout(Indent::Spaces(width as usize))),
        _ => refuse("--indent takes a number between -1 and 7"),
    }
}

fn named(option: &[u8], rest: &mut std::slice::Iter<'_, OsString>, options: &mut Options) -> Result<(), Refusal> {
    let spelling = lossy(option);
    let (Some(name), Some(word)) = (rest.next(), rest.next()) else {
        let example = match option {
            b"arg" => "value",
            b"argjson" => "text",
            _ => "filename",
        };
        return refuse(format!("--{spelling} takes two parameters (e.g. --{spelling} varname {example})"));
    };
    let name: Rc<str> = lossy(name.as_bytes()).into();
    if options.named.contains_key(&name) {
        return Ok(());
    }
    let bad = |reason: String| {
        let file = lossy(word.as_bytes());
        Refusal { message: format!("Bad JSON in --{spelling} {name} {file}: {reason}"), usage: false }
    };
    let value = match option {
        b"arg" => text(word),
        b"argjson" => match read::parse(&lossy(word.as_bytes())) {
            Ok(value) => value,
            Err(_) => return refuse("invalid JSON text passed to --argjson"),
        },
        b"rawfile" => lossy(&load(word).map_err(bad)?).as_ref().into(),
        _ => {
            let content = load(word).map_err(bad)?;
            Value::array(read::parse_all(&content).map_err(bad)?)
        }
    };
    options.named.insert(name, value);
    Ok(())
}

fn text(word: &OsStr) -> Value {
    lossy(word.as_bytes()).as_ref().into()
}

/// The content of a file.
///
/// # Errors
/// jq's text, which names the file.
pub(crate) fn load(path: &OsStr) -> Result<Vec<u8>, String> {
    let name = lossy(path.as_bytes());
    if Path::new(path).is_dir() {
        return Err(format!("Could not open {name}: It's a directory"));
    }
    fs::read(path).map_err(|error| format!("Could not open {name}: {}", reason(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::to_json;

    fn words(line: &[&str]) -> Result<Request, Refusal> {
        parse(&line.iter().map(OsString::from).collect::<Vec<_>>())
    }

    fn options(line: &[&str]) -> Options {
        match words(line) {
            Ok(Request::Run(options)) => *options,
            Ok(_) => panic!("{line:?} does not run"),
            Err(refusal) => panic!("{line:?}: {refusal:?}"),
        }
    }

    fn message(line: &[&str]) -> String {
        match words(line) {
            Err(refusal) => refusal.message,
            Ok(_) => panic!("{line:?} is accepted"),
        }
    }

    #[test]
    fn options_stand_anywhere() {
        let read = options(&["-nr", ".a", "file", "-c", "--", "-x", "--stream"]);
        assert!(read.null_input && read.raw_output && !read.stream);
        assert_eq!(read.indent, Layout(Indent::Compact));
        assert_eq!(read.program, Some(".a".into()));
        assert_eq!(read.files, ["file", "-x", "--stream"]);
        assert_eq!(options(&["-", "-"]).program, Some("-".into()));
        assert_eq!(options(&["-1"]).program, Some("-1".into()));
        assert_eq!(options(&["--", ".x"]).program, Some(".x".into()));
        assert_eq!(options(&["-ce", "--tab", "."]).indent, Layout(Indent::Tab));
        assert_eq!(options(&["--indent", "5", "."]).indent, Layout(Indent::Spaces(5)));
        assert_eq!(options(&["."]).indent, Layout(Indent::Spaces(2)));
    }

    #[test]
    fn arguments_become_values() {
        let read = options(&["--args", ".", "a", "--jsonargs", "[1]", "--args", "--", "-b", "--arg", "x"]);
        assert_eq!(to_json(&Value::array(read.positional)), r#"["a",[1],"-b","--arg","x"]"#);
        let read = options(&[".", "--arg", "a", "1", "--argjson", "b", "{\"c\":1.0}", "--arg", "a", "2", "file"]);
        assert_eq!(to_json(&Value::object(read.named)), r#"{"a":"1","b":{"c":1.0}}"#);
        assert_eq!(read.files, ["file"]);
        let read = options(&["-nL/nonexistent/a", "-L", "/nonexistent/b", "."]);
        assert_eq!(read.library, Some(vec!["/nonexistent/a".into(), "/nonexistent/b".into()]));
    }

    #[test]
    fn refusals_name_what_is_wrong() {
        for (line, text) in [
            (&["-nx"][..], "Unknown option -x"),
            (&["--nope"], "Unknown option --nope"),
            (&["--indent"], "--indent takes one parameter"),
            (&["--indent", "8"], "--indent takes a number between -1 and 7"),
            (&["--indent", "two"], "--indent takes a number between -1 and 7"),
            (&["--arg", "a"], "--arg takes two parameters (e.g. --arg varname value)"),
            (&["--rawfile"], "--rawfile takes two parameters (e.g. --rawfile varname filename)"),
            (&["--argjson", "a", "{"], "invalid JSON text passed to --argjson"),
            (&["--jsonargs", ".", "x"], "invalid JSON text passed to --jsonargs"),
            (&["-L"], "-L takes a parameter: (e.g. -L /search/path or -L/search/path)"),
            (
                &["--rawfile", "a", "/nonexistent"],
                "Bad JSON in --rawfile a /nonexistent: Could not open /nonexistent: No such file or directory",
            ),
            (&["--slurpfile", "a", "/"], "Bad JSON in --slurpfile a /: Could not open /: It's a directory"),
            (&["--from", "toml", "."], "--from toml is not offered; it takes yaml or json"),
            (&["--to", "yaml", "."], "--to is not offered; output is JSON on standard output"),
            (&["--from", "yaml", "--stream", "."], "--from yaml does not go with --raw-input, --stream and --seq"),
            (&["--run-tests"], "--run-tests is not offered; run the filters one by one"),
        ] {
            assert_eq!(message(line), text, "{line:?}");
        }
        assert!(matches!(words(&["-h", "--nope"]), Ok(Request::Help)));
        assert!(matches!(words(&["-nV"]), Ok(Request::Version)));
    }
}
