//! What two runs of the same query cannot have in common, replaced by a word: times, random ids, cookies, keys' stamps
//! and the version. Everything else stays, so that any other difference shows.

use std::net::IpAddr;

/// What the command line itself fixed and the mask must therefore leave alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fixed {
    /// `+qid=` was given.
    pub id: bool,
    /// `+cookie=` was given: the client's half is not random.
    pub cookie: bool,
    /// Not `+trace` over both families, where the peer takes a server's addresses in random order.
    pub address: bool,
}

impl Fixed {
    /// Reads the command line.
    pub fn of(line: &str) -> Fixed {
        let words = |word: &str| line.split(' ').any(|other| other == word);
        Fixed {
            id: line.contains("+qid="),
            cookie: line.contains("+cookie="),
            address: !words("+trace") || words("-4") || words("-6"),
        }
    }
}

/// Masks every line of one stream; bytes become characters one to one, so nothing is lost on the way.
pub fn mask(bytes: &[u8], fixed: Fixed) -> String {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let mut out = String::with_capacity(text.len());
    let mut state = State::Plain;
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        out.push_str(
            &match state {
                State::Dump => dump(line, fixed),
                State::Tsig => tsig_rest(line),
                State::Plain | State::Bad => None,
            }
            .unwrap_or_else(|| mask_line(line, fixed)),
        );
        out.push_str(end);
        state = state.after(line);
    }
    out
}

/// Where in something that takes more than one line.
#[derive(Debug, Clone, Copy)]
enum State {
    Plain,
    /// After `;; Got bad packet: ...`: its size comes next.
    Bad,
    /// After the size: the first line of the dump, which begins with the id.
    Dump,
    /// Inside the brackets of a TSIG record with `+multiline`.
    Tsig,
}

impl State {
    fn after(self, line: &str) -> State {
        if line.starts_with(";; Got bad packet: ") {
            State::Bad
        } else if matches!(self, State::Bad) && line.strip_suffix(" bytes").is_some_and(number) {
            State::Dump
        } else if (matches!(self, State::Tsig) && !line.contains(')'))
            || (line.contains(" ANY TSIG ") && line.ends_with('('))
        {
            State::Tsig
        } else {
            State::Plain
        }
    }
}

fn mask_line(line: &str, fixed: Fixed) -> String {
    let masks: [fn(&str, Fixed) -> Option<String>; 11] =
        [header, query_time, when, cookie, received, from_server, mismatch, banner, yaml_id, yaml_stamp, tsig];
    masks.iter().find_map(|mask| mask(line, fixed)).unwrap_or_else(|| line.to_owned())
}

/// `;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 4711`
fn header(line: &str, fixed: Fixed) -> Option<String> {
    line.strip_prefix(";; ->>HEADER<<- opcode: ")?;
    let (before, id) = line.rsplit_once(", id: ")?;
    (number(id) && !fixed.id).then(|| format!("{before}, id: ID"))
}

/// `;; Query time: 3 msec`, or `usec`
fn query_time(line: &str, _: Fixed) -> Option<String> {
    let (time, unit) = line.strip_prefix(";; Query time: ")?.split_once(' ')?;
    (number(time) && matches!(unit, "msec" | "usec")).then(|| format!(";; Query time: N {unit}"))
}

/// `;; WHEN: Fri Nov 20 19:55:26 UTC 2026`
fn when(line: &str, _: Fixed) -> Option<String> {
    let fields: Vec<&str> = line.strip_prefix(";; WHEN: ")?.split(' ').collect();
    let [day, month, date, time, zone, year] = fields.as_slice() else { return None };
    let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let clock: Vec<&str> = time.split(':').collect();
    let right = days.contains(day)
        && months.contains(month)
        && [*date].iter().chain(&clock).all(|field| field.len() == 2 && number(field))
        && clock.len() == 3
        && year.len() == 4
        && number(year);
    right.then(|| format!(";; WHEN: DATE {zone}"))
}

/// `; COOKIE: 0011223344556677 (good)`, or indented `COOKIE: ...` in YAML; the length stays.
fn cookie(line: &str, fixed: Fixed) -> Option<String> {
    let at = line.find("COOKIE: ")?;
    let (before, rest) = line.split_at(at + "COOKIE: ".len());
    if before != "; COOKIE: " && !before.trim_start().eq("COOKIE: ") {
        return None;
    }
    let (value, after) = rest.split_once(' ').map_or((rest, String::new()), |(v, a)| (v, format!(" {a}")));
    let hex = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if !hex {
        return None;
    }
    let kept = if fixed.cookie { 16.min(value.len()) } else { 0 };
    let (client, server) = value.split_at(kept);
    Some(format!("{before}{client}<{} hex>{after}", server.len()))
}

/// `;; Received 239 bytes from 127.0.0.20#53(ns.tld.example) in 3 ms`
fn received(line: &str, fixed: Fixed) -> Option<String> {
    let (before, time) = line.strip_prefix(";; Received ")?.rsplit_once(" in ")?;
    let (time, unit) = time.split_once(' ')?;
    if !number(time) || !matches!(unit, "ms" | "us") {
        return None;
    }
    let (size, server) = before.split_once(" bytes from ")?;
    let (address, name) = server.split_once('#')?;
    let address = if fixed.address || address.parse::<IpAddr>().is_err() { address } else { "ADDRESS" };
    Some(format!(";; Received {size} bytes from {address}#{name} in N {unit}"))
}

/// `192.0.2.10 from server 127.0.0.30 in 0 ms.`
fn from_server(line: &str, _: Fixed) -> Option<String> {
    let (before, time) = line.rsplit_once(" in ")?;
    before.rsplit_once(" from server ")?;
    let (time, unit) = time.split_once(' ')?;
    (number(time) && matches!(unit, "ms." | "us.")).then(|| format!("{before} in N {unit}"))
}

/// `;; Warning: ID mismatch: expected ID 1, got 2`
fn mismatch(line: &str, fixed: Fixed) -> Option<String> {
    let (expected, got) = line.strip_prefix(";; Warning: ID mismatch: expected ID ")?.split_once(", got ")?;
    (number(expected) && number(got) && !fixed.id).then(|| ";; Warning: ID mismatch: expected ID ID, got ID".to_owned())
}

/// `; <<>> DiG 9.18.49-1~deb12u3-Debian <<>> ...`, and `DiG 9.18.49` alone
fn banner(line: &str, _: Fixed) -> Option<String> {
    if let Some(rest) = line.strip_prefix("; <<>> DiG ") {
        let (version, arguments) = rest.split_once(" <<>>")?;
        return (!version.is_empty()).then(|| format!("; <<>> DiG VERSION <<>>{arguments}"));
    }
    let version = line.strip_prefix("DiG ")?;
    let plain = version.starts_with(|first: char| first.is_ascii_digit()) && !version.contains(' ');
    plain.then(|| "DiG VERSION".to_owned())
}

/// `      id: 4711`
fn yaml_id(line: &str, fixed: Fixed) -> Option<String> {
    let id = line.strip_prefix("      id: ")?;
    (number(id) && !fixed.id).then(|| "      id: ID".to_owned())
}

/// `    query_time: !!timestamp 2026-11-20T23:19:14.123Z`
fn yaml_stamp(line: &str, _: Fixed) -> Option<String> {
    let (key, stamp) = line.split_once(": !!timestamp ")?;
    let shape: String = stamp.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    (matches!(key.trim_start(), "query_time" | "response_time") && shape == "9999-99-99T99:99:99.999Z")
        .then(|| format!("{key}: !!timestamp STAMP"))
}

/// `lab-sha256. 0 ANY TSIG hmac-sha256. 1790000000 300 32 mac= 4711 NOERROR 0`, with tabs up to the type; the length of
/// the MAC and of its chunks stays.
fn tsig(line: &str, _: Fixed) -> Option<String> {
    let (before, rest) = line.split_once(" ANY TSIG ").or_else(|| line.split_once("\tANY\tTSIG\t"))?;
    let tabs = line.contains("\tANY\tTSIG\t");
    let mut fields: Vec<String> = rest.split(' ').map(str::to_owned).collect();
    let time = fields.get_mut(1).filter(|field| number(field))?;
    *time = "TIME".to_owned();
    let kind = if tabs { "\tANY\tTSIG\t" } else { " ANY TSIG " };
    if rest.ends_with('(') {
        return Some(format!("{before}{kind}{}", fields.join(" ")));
    }
    // After algorithm, time, fudge and length stand the chunks of the MAC, then original id, error, length and bytes of
    // the other data (with BADTIME the server's clock).
    let id = fields.windows(3).rposition(|three| match three {
        [id, error, length] => number(id) && error.bytes().all(|byte| byte.is_ascii_uppercase()) && number(length),
        _ => false,
    })?;
    for (at, field) in fields.iter_mut().enumerate().skip(4) {
        if at == id {
            *field = "ID".to_owned();
        } else if at < id || (at > id + 2 && !field.is_empty()) {
            *field = format!("<{} base64>", field.len());
        }
    }
    Some(format!("{before}{kind}{}", fields.join(" ")))
}

/// The lines of such a record after the first: chunks of the MAC, then `) 4711 NOERROR 0`.
fn tsig_rest(line: &str) -> Option<String> {
    let text = line.trim_start_matches(['\t', ' ']);
    let indent = line.strip_suffix(text)?;
    let (mac, rest) = text.split_once(" )").map_or((text, None), |(mac, rest)| (mac, Some(rest)));
    let rest = match rest {
        None => String::new(),
        Some(rest) => {
            let (id, error) = rest.strip_prefix(' ')?.split_once(' ')?;
            number(id).then(|| format!(" ) ID {error}"))?
        }
    };
    Some(format!("{indent}<{} base64>{rest}", mac.len()))
}

/// `f0 4e 81 00 ...          .N..` of a message that could not be read: the id is its first two bytes.
fn dump(line: &str, fixed: Fixed) -> Option<String> {
    let (id, rest) = line.split_at_checked(5)?;
    let hex = id.bytes().enumerate().all(|(at, byte)| if at == 2 { byte == b' ' } else { byte.is_ascii_hexdigit() });
    // Sixteen bytes of three characters, nine more blanks, then the same bytes as characters.
    let (bytes, text) = rest.split_at_checked(57 - 5)?;
    let shown = text.get(2..)?;
    (hex && !fixed.id).then(|| format!("ID ID{bytes}ID{shown}"))
}

/// The short usage on standard error is each program's own words; what was refused stands in the line above it and stays.
pub fn usage(stderr: &str) -> String {
    let mut out = String::new();
    for line in stderr.split_inclusive('\n') {
        if line.starts_with("Usage:  dig ") || line.starts_with("Usage: dig ") {
            out.push_str("USAGE\n");
            break;
        }
        out.push_str(line);
    }
    out
}

fn number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
