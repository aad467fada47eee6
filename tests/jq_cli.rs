//! jq-lite as a program: what jq 1.8 does on the command line that Debian's 1.6 does not, when output appears, how much
//! memory a long stream takes.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use libtest_mimic::Trial;

use crate::lab::tls::Running;
use crate::lab::{self, Stop, TempDir, same, trial};

const LIMIT: Duration = Duration::from_secs(300);

/// The trials of this module.
pub fn trials() -> Vec<Trial> {
    vec![
        trial("jq_cli::what_1_8_does", table),
        trial("jq_cli::values_appear_when_they_are_complete", live),
        trial("jq_cli::a_long_stream_takes_no_memory", long_stream),
        trial("jq_cli::a_closed_pipe_ends_it", closed_pipe),
        trial("jq_cli::deep_nesting_is_an_error", deep),
        trial("jq_cli::a_full_disk_is_said", full),
    ]
}

fn jq(words: &[&str]) -> Command {
    let mut command = Command::new(lab::netkit());
    command.arg("jq").args(words).env_clear().env("HOME", "/nonexistent");
    command
}

/// Arguments, input; status, output, talk.
type Row = (&'static [&'static str], &'static str, i32, &'static str, &'static str);

const TABLE: &[Row] = &[
    // Numbers keep their digits.
    (
        &["-c", "."],
        "[1.000,100000000000000000000,1e1000,-0,0.10]",
        0,
        "[1.000,100000000000000000000,1E+1000,-0,0.10]\n",
        "",
    ),
    (&["-c", "map(.+0)"], "[1.000,100000000000000000000,0.10]", 0, "[1,1e+20,0.1]\n", ""),
    (&["-c", "."], "nan NaN", 0, "null\nnull\n", ""),
    // Input that is no JSON: status 5, and what came before is there.
    (&["-c", "."], "{\"a\":1}\n{\"a\":\n]", 5, "{\"a\":1}\n", "jq: parse error: Unmatched ']' at line 3, column 1\n"),
    (
        &["."],
        "'a'",
        5,
        "",
        "jq: parse error: Invalid string literal; expected \", but got ' at EOF at line 1, column 3\n",
    ),
    (&["."], "[1,2", 5, "", "jq: parse error: Unfinished JSON term at EOF at line 1, column 4\n"),
    (&["-n", "[inputs]"], "1 oops\n", 5, "", "jq: error (at <stdin>:1): Invalid numeric literal at line 2, column 0\n"),
    (&["-nc", "try input catch ."], "]\n", 0, "\"Unmatched ']' at line 1, column 1\"\n", ""),
    // Layout.
    (&["--indent", "0", "."], "[1,{\"a\":2}]", 0, "[\n1,\n{\n\"a\": 2\n}\n]\n", ""),
    (&["--indent", "-1", "."], "[1]", 0, "[\n\t1\n]\n", ""),
    (
        &["-Cc", "."],
        "[{\"k\":null},true,\"s\",1]",
        0,
        "\x1b[1;39m[\x1b[0m\x1b[1;39m{\x1b[0m\x1b[1;34m\"k\"\x1b[0m\x1b[1;39m:\x1b[0m\x1b[0;90mnull\x1b[0m\x1b[1;39m}\x1b[0m\
         \x1b[1;39m,\x1b[0m\x1b[0;39mtrue\x1b[0m\x1b[1;39m,\x1b[0m\x1b[0;32m\"s\"\x1b[0m\x1b[1;39m,\x1b[0m\x1b[0;39m1\x1b[0m\
         \x1b[1;39m]\x1b[0m\n",
        "",
    ),
    (&["--raw-output0", ".[]"], "[\"a\",1,\"b\"]", 0, "a\x001\0b\0", ""),
    (
        &["--raw-output0", ".[]"],
        "[\"a\",\"b\\u0000\",\"c\"]",
        5,
        "a\0",
        "jq: error (at <stdin>:0): Cannot dump a string containing NUL with --raw-output0 option\n",
    ),
    (&["-ja", "."], "\"é\"", 0, "\"\\u00e9\"", ""),
    // Streams and sequences.
    (
        &["-c", "--stream-errors", "."],
        "[1,",
        0,
        "[[0],1]\n[\"Unfinished JSON term at EOF at line 1, column 3\",[1]]\n",
        "",
    ),
    (
        &["-c", "--stream", "."],
        "[1,{\"a\":2}",
        5,
        "[[0],1]\n[[1,\"a\"],2]\n[[1,\"a\"]]\n",
        "jq: parse error: Unfinished JSON term at EOF at line 1, column 10\n",
    ),
    (
        &["--seq", "-c", "."],
        "\x1e[1\x1e[2]\n",
        0,
        "\x1e[2]\n",
        "jq: ignoring parse error: Truncated value at line 1, column 4\n",
    ),
    (
        &["--seq", "-ce", "."],
        "\"foo",
        4,
        "",
        "jq: ignoring parse error: Unfinished abandoned text at EOF at line 1, column 4\n",
    ),
    // halt_error says what it is given and nothing else.
    (&["-n", "{\"a\":1}|halt_error"], "", 5, "", "{\"a\":1}\n"),
    (&["-n", "\"bye\"|halt_error(11)"], "", 11, "", "bye"),
    (&["-nc", "\"a\",[1]|stderr"], "", 0, "\"a\"\n[1]\n", "a[1]"),
    // Arguments.
    (&["-nr", "--args", "--", "$ARGS.positional[0]", "bar"], "", 0, "bar\n", ""),
    (
        &["-nc", "$ARGS", "--args", "a", "--jsonargs", "1", "--arg", "x", "y"],
        "",
        0,
        "{\"positional\":[\"a\",1],\"named\":{\"x\":\"y\"}}\n",
        "",
    ),
    (
        &["-n", "--jsonargs", "1", "{"],
        "",
        2,
        "",
        "jq: invalid JSON text passed to --jsonargs\nUse jq --help for help with command-line options.\n",
    ),
    (&["--nope", "."], "", 2, "", "jq: Unknown option --nope\nUse jq --help for help with command-line options.\n"),
    (&["-nq", "."], "", 2, "", "jq: Unknown option -q\nUse jq --help for help with command-line options.\n"),
    (
        &["--indent", "8", "."],
        "",
        2,
        "",
        "jq: --indent takes a number between -1 and 7\nUse jq --help for help with command-line options.\n",
    ),
    (&["-c", "--from", "yaml", "."], "a: [1, yes]\n---\nb: ~\n", 0, "{\"a\":[1,\"yes\"]}\n{\"b\":null}\n", ""),
    (
        &["--to", "yaml", "."],
        "",
        2,
        "",
        "jq: --to is not offered; output is JSON on standard output\nUse jq --help for help with command-line options.\n",
    ),
    (
        &[".", "/nonexistent/file"],
        "",
        2,
        "",
        "jq: error: Could not open file /nonexistent/file: No such file or directory\n",
    ),
    (&[".", "/"], "", 2, "", "jq: error: Could not read /: Is a directory\n"),
    (&["-n", "{"], "", 3, "", "*"),
    (&["-n", "nonesuch"], "", 3, "", "*"),
    // Statuses.
    (&["-e", "."], "null", 1, "null\n", ""),
    (&["-e", "empty"], "1", 4, "", ""),
    (&[".a"], "[1]\n", 5, "", "*"),
    (&["-n", "input"], "", 5, "", "jq: error (at <stdin>:0): break\n"),
];

fn table() -> Result<(), Stop> {
    let dir = TempDir::new("jq-cli")?;
    let mut wrong = Vec::new();
    for (words, input, status, out, err) in TABLE {
        let file = dir.0.join("input");
        std::fs::write(&file, input)?;
        let ran = lab::run_with(&mut jq(words), Stdio::from(std::fs::File::open(&file)?), LIMIT)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (got, talk) = (text(&ran.stdout), text(&ran.stderr));
        // `*`: something is said, but what is the evaluator's affair.
        let said = if *err == "*" { !talk.is_empty() } else { talk == *err };
        if ran.status.code() != Some(*status) || got != *out || !said {
            wrong.push(format!("{words:?} <<< {input:?}: {:?}\n  out {got:?}\n  err {talk:?}", ran.status.code()));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Stop::Fail(wrong.join("\n"))) }
}

fn start(words: &[&str]) -> Result<Running, Stop> {
    Ok(Running(jq(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?))
}

/// Writes a part of the input, and nothing more until the output it must give has been read: a jq that waits for more
/// hangs here, and is killed by the test runner's own limit.
fn live() -> Result<(), Stop> {
    /// Arguments, and what is written with what must come of it.
    type Steps = (&'static [&'static str], &'static [(&'static str, &'static str)]);
    let cases: [Steps; 5] = [
        (&["-c", "."], &[("{\"a\":1}", "{\"a\":1}\n"), ("[2", ""), ("] 3 ", "[2]\n3\n")]),
        (
            &["-c", "--stream", "."],
            &[("[1,", "[[0],1]\n"), ("{\"a\":\"x\"}", "[[1,\"a\"],\"x\"]\n[[1,\"a\"]]\n"), ("]", "[[1]]\n")],
        ),
        (&["-R", "."], &[("one\ntw", "\"one\"\n"), ("o\n", "\"two\"\n")]),
        (&["--seq", "-c", "."], &[("\x1e[1]", "\x1e[1]\n"), ("\n\x1e\"x\"", "\x1e\"x\"\n")]),
        (&["-n", "--unbuffered", "1,input"], &[("", "1\n"), ("7\n", "7\n")]),
    ];
    for (words, steps) in cases {
        let mut child = start(words)?;
        let mut input = child.0.stdin.take().ok_or("no stdin")?;
        let mut output = child.0.stdout.take().ok_or("no stdout")?;
        for (write, wanted) in steps {
            input.write_all(write.as_bytes())?;
            let mut got = vec![0; wanted.len()];
            output.read_exact(&mut got)?;
            same(&format!("{words:?} after {write:?}"), &String::from_utf8_lossy(&got), wanted)?;
        }
        drop(input);
        let mut rest = String::new();
        output.read_to_string(&mut rest)?;
        same("the rest", &rest, "")?;
        if !child.0.wait()?.success() {
            return Err(Stop::Fail(format!("{words:?} failed")));
        }
    }
    Ok(())
}

/// Peak resident memory so far, in KiB (proc_pid_status(5)).
fn peak(child: &Child) -> Result<u64, Stop> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    let number = line.split_whitespace().next().and_then(|word| word.parse().ok());
    Ok(number.ok_or("VmHWM is no number")?)
}

/// After some of the stream and after all of it the peak is the same but for a buffer or two.
fn long_stream() -> Result<(), Stop> {
    for words in
        [&["-c", ".a"][..], &["-c", "--stream", "select(length==2)|.[1]"], &["-n", "reduce inputs as $x (0; .+1)"]]
    {
        let mut child = start(words)?;
        let mut input = child.0.stdin.take().ok_or("no stdin")?;
        let mut output = child.0.stdout.take().ok_or("no stdout")?;
        let reader = std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        let lines = "{\"a\":\"some text\",\"b\":[1,2,{\"c\":null}]}\n".repeat(1000);
        let mut write = |times: usize| (0..times).try_for_each(|_| input.write_all(lines.as_bytes()));
        write(50)?;
        let early = peak(&child.0)?;
        write(450)?;
        let late = peak(&child.0)?;
        drop(input);
        reader.join().map_err(|_| "the reader died")??;
        if !child.0.wait()?.success() {
            return Err(Stop::Fail(format!("{words:?} failed")));
        }
        if late > early + 512 {
            return Err(Stop::Fail(format!("{words:?}: {early} KiB after a tenth, {late} KiB at the end")));
        }
    }
    Ok(())
}

fn closed_pipe() -> Result<(), Stop> {
    let mut child = start(&["-n", "range(100000000)"])?;
    let mut output = child.0.stdout.take().ok_or("no stdout")?;
    output.read_exact(&mut [0; 16])?;
    drop(output);
    let mut talk = String::new();
    let mut stderr = child.0.stderr.take().ok_or("no stderr")?;
    stderr.read_to_string(&mut talk)?;
    same("what is said", &talk, "")?;
    same("status", &format!("{:?}", child.0.wait()?.code()), "Some(141)")
}

fn deep() -> Result<(), Stop> {
    let dir = TempDir::new("jq-deep")?;
    let file = dir.0.join("deep.json");
    let path = file.display().to_string();
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels) + "\n";
    std::fs::write(&file, nested(10_000))?;
    let ran = lab::run(&mut jq(&["-c", ".", &path]), LIMIT)?;
    same("10,000 levels", &String::from_utf8_lossy(&ran.stdout), &nested(10_000))?;
    std::fs::write(&file, nested(1_000_000))?;
    for words in [&["-c", ".", &path][..], &["-c", "--seq", ".", &path], &["-c", "-n", "--slurpfile", "x", &path, "."]]
    {
        let ran = lab::run(&mut jq(words), LIMIT)?;
        if ran.status.code().is_none() || !ran.stdout.is_empty() && words.contains(&".") && ran.status.success() {
            return Err(Stop::Fail(format!("{words:?}: {:?}", ran.status)));
        }
    }
    let ran = lab::run(&mut jq(&["-c", ".", &path]), LIMIT)?;
    same(
        "a million levels",
        &String::from_utf8_lossy(&ran.stderr),
        "jq: parse error: Exceeds depth limit for parsing at line 1, column 10001\n",
    )
}

fn full() -> Result<(), Stop> {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let Ok(full) = full else { return Err(Stop::Skip(lab::Skip("/dev/full is not there".to_owned()))) };
    let out = jq(&["-n", "1"]).stdin(Stdio::null()).stdout(full).stderr(Stdio::piped()).output()?;
    same("status", &format!("{:?}", out.status.code()), "Some(2)")?;
    same(
        "what is said",
        &String::from_utf8_lossy(&out.stderr),
        "jq: error: writing output failed: No space left on device\n",
    )
}
