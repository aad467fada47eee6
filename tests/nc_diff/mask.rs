//! What a record says that is chance or name only: ports that the kernel chose, times, the version, the usage text.

use crate::lab::{Stop, same};

/// The record without what is chance.
pub fn mask(record: &str) -> String {
    let mut text = String::new();
    let mut lines = record.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("usage: nc ") || line.starts_with("usage: netcat ") {
            // Ours is its own text; that there is one, and where, is compared.
            text.push_str("usage\n");
            while lines.next_if(|line| line.starts_with(['\t', ' ', '\\']) || line.starts_with("usage:")).is_some() {}
            continue;
        }
        if line.starts_with("Ncat: Version ") {
            text.push_str("Ncat: Version V\n");
            continue;
        }
        text.push_str(&seconds(&ports(line)));
        text.push('\n');
    }
    text
}

/// Numbers from 40000 to 49999 that stand alone: the range of ports that the kernel chooses from inside a play.
fn ports(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some(start) = rest.find(|character: char| character.is_ascii_alphanumeric()) {
        let (before, word) = rest.split_at(start);
        let end = word.find(|character: char| !character.is_ascii_alphanumeric()).unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        let chosen = word.len() == 5 && word.starts_with('4') && word.bytes().all(|byte| byte.is_ascii_digit());
        text.push_str(before);
        text.push_str(if chosen { "PORT" } else { word });
        rest = after;
    }
    text + rest
}

fn seconds(line: &str) -> String {
    match line.split_once(" received in ") {
        Some((before, time)) if line.starts_with("Ncat: ") && time.ends_with(" seconds.") => {
            format!("{before} received in T seconds.")
        }
        _ => line.to_owned(),
    }
}

/// Each mask: what it turns alike, and what it must leave different.
pub fn masks() -> Result<(), Stop> {
    for (left, right) in [
        ("Connection received on 127.0.0.1 40001", "Connection received on 127.0.0.1 49999"),
        ("accepted from [::1]:41234", "accepted from [::1]:45678"),
        (
            "Ncat: 1 bytes sent, 2 bytes received in 0.01 seconds.",
            "Ncat: 1 bytes sent, 2 bytes received in 1.20 seconds.",
        ),
        ("Ncat: Version 7.93 ( x )", "Ncat: Version 1.0"),
        ("-- err\nusage: nc [-46]\n\t  [-a]\n== wire", "-- err\nusage: nc FLAGS\n== wire"),
    ] {
        same("must be alike", &mask(left), &mask(right))?;
    }
    for (left, right) in [
        ("Connection received on 127.0.0.1 40001", "Connection received on 127.0.0.1 8000"),
        ("Connection received on 127.0.0.1 40001", "Connection received on 127.0.0.2 40001"),
        ("got \"40001x\"", "got \"40002x\""),
        ("got 40001 ", "got 400010 "),
        (
            "Ncat: 1 bytes sent, 2 bytes received in 0.01 seconds.",
            "Ncat: 1 bytes sent, 3 bytes received in 0.01 seconds.",
        ),
        ("nc: a\nusage: nc [-46]", "nc: b\nusage: nc [-46]"),
        ("usage: nc [-46]", ""),
        ("usage: nc [-46]\nmore", "usage: nc [-46]\nless"),
    ] {
        if mask(left) == mask(right) {
            return Err(Stop::Fail(format!("the mask hides a difference:\n{left}\n{right}")));
        }
    }
    Ok(())
}
