//! Exit statuses, JSON, addresses in a pod, and refused transports of plain look-ups.

use libtest_mimic::Trial;

use super::scene::{Ran, Scene};
use super::script;
use crate::lab::hierarchy::Lab;
use crate::lab::message::{ASKED, Message, Section, flag, kind, name};
use crate::lab::recorder::{self, Job, Recording};
use crate::lab::{self, Stop, same, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("dig_modes::rc::every_status", rc),
        trial("dig_modes::status::of_plain_lookups", plain_statuses),
        trial("dig_modes::json::one_object_per_reply", json_replies),
        trial("dig_modes::json::bad_records_hide_nothing", bad_records),
        trial("dig_modes::json::whatever_is_said", json_only),
        trial("dig_modes::pod::addresses_are_never_completed", literals),
        trial("dig_modes::refused::transports_by_name", refused),
    ]
}

/// Command lines after `dig` in the lab of a case, one after another.
fn recorded(case: &str, lines: &[&str]) -> Result<Vec<(Ran, Recording)>, Stop> {
    lab::namespaces()?;
    let case = recorder::cases(case)?.pop().ok_or("no case")?;
    let job = |line: &&str| {
        let mut argv = vec![lab::netkit().display().to_string(), "dig".to_owned()];
        argv.extend(line.split_whitespace().map(str::to_owned));
        Job { label: format!("dig {line}"), argv, env: Vec::new() }
    };
    let jobs: Vec<Job> = lines.iter().map(job).collect();
    let recordings = recorder::record(&case, &jobs)?;
    let ran = |recording: Recording| {
        let ran = Ran {
            line: recording.label.clone(),
            status: i32::try_from(recording.status).unwrap_or(-1),
            out: recording.stdout.clone(),
            err: recording.stderr.clone(),
        };
        (ran, recording)
    };
    Ok(recordings.into_iter().map(ran).collect())
}

const CODES: &str = "case codes
resolv nameserver 127.0.0.1
answer found.test A 192.0.2.1
answer nodata.test AAAA 2001:db8::1
answer nothere.test * NXDOMAIN
answer servfail.test * SERVFAIL
answer refused.test * REFUSED
answer @127.0.0.1 half.test * SERVFAIL
answer half.test A 192.0.2.1
answer formerr.test * FORMERR
answer notimp.test * NOTIMP
answer silent.test * SILENCE
closed 127.0.0.2
";

fn rc() -> Result<(), Stop> {
    let cases = [
        ("found.test", 0),
        ("nodata.test", 2),
        ("nothere.test", 3),
        ("servfail.test", 4),
        ("refused.test", 5),
        ("formerr.test", 6),
        ("notimp.test", 6),
        ("+time=1 +tries=1 silent.test", 9),
        ("@127.0.0.2 +time=1 +tries=1 found.test", 9),
        ("@no.such.server found.test", 1),
        // Several look-ups: the worst counts, wherever it stands.
        ("nothere.test found.test", 3),
        ("found.test refused.test nodata.test", 5),
        // The short and the JSON form say the same.
        ("+short nothere.test", 3),
        // What counts is the end of the search list, not a step on the way.
        ("+search +domain=test found", 0),
        ("+search +domain=nowhere +ndots=3 found.test", 0),
        ("+search +domain=test nowhere", 3),
        // A reply of another server after SERVFAIL.
        ("+nofail @127.0.0.1 @127.0.0.3 half.test", 0),
        ("+fail @127.0.0.1 @127.0.0.3 half.test", 4),
        ("--json servfail.test", 4),
    ];
    let with: Vec<String> = cases.iter().map(|(line, _)| format!("+rc {line}")).collect();
    let with: Vec<&str> = with.iter().map(String::as_str).collect();
    for ((ran, _), (_, status)) in recorded(CODES, &with)?.iter().zip(cases) {
        ran.exits(status)?;
    }
    // Without +rc a reply is a success, whatever it says.
    for (ran, _) in recorded(CODES, &["nodata.test", "nothere.test", "servfail.test", "refused.test", "formerr.test"])?
    {
        ran.exits(0)?;
    }
    Ok(())
}

fn plain_statuses() -> Result<(), Stop> {
    let long = format!("{}.test", "a".repeat(64));
    let cases = [
        ("found.test", 0, ""),
        ("@no.such.server found.test", 1, "couldn't get address for 'no.such.server'"),
        ("+nosuchoption found.test", 1, "Invalid option: +nosuchoption"),
        ("-Z found.test", 1, "Invalid option: -Z"),
        ("-f /nowhere/at/all", 8, "couldn't open specified batch file"),
        ("-f /etc", 0, ""),
        ("+time=1 +tries=1 silent.test", 9, ""),
        (long.as_str(), 10, "is not a legal name"),
        // The last look-up decides, as with BIND.
        ("+time=1 +tries=1 silent.test found.test", 0, ""),
        ("+time=1 +tries=1 found.test silent.test", 9, ""),
    ];
    let lines: Vec<&str> = cases.iter().map(|(line, ..)| *line).collect();
    for ((ran, _), (_, status, part)) in recorded(CODES, &lines)?.iter().zip(cases) {
        ran.exits(status)?.complains(part)?;
    }
    Ok(())
}

fn json_replies() -> Result<(), Stop> {
    let lines = ["--json found.test nothere.test", "+json +time=1 +tries=2 silent.test", "+json @127.0.0.2 found.test"];
    let runs = recorded(CODES, &lines)?;
    let [(two, recording), (silent, _), (closed, _)] = runs.as_slice() else { return Err("not three runs".into()) };
    let values = two.exits(0)?.jsons()?;
    let [found, nothere] = values.as_slice() else { return two.fail("not two objects") };
    two.claim(found["schema"] == "dig/1" && nothere["schema"] == "dig/1", "schema")?;
    two.claim(recording.queries.first().map(|query| query.id) == found["ID"].as_i64(), "the id that was sent")?;
    // The members of RFC 8427, section 2.1, with its types: integers, bits as 0 and 1, names as strings.
    for (key, value) in
        [("QR", 1), ("AA", 0), ("TC", 0), ("RD", 1), ("RA", 1), ("RCODE", 0), ("QTYPE", 1), ("QCLASS", 1)]
    {
        two.claim(found[key] == value, &format!("{key} is {value}"))?;
    }
    for (key, value) in [("Opcode", 0), ("QDCOUNT", 1), ("ANCOUNT", 1), ("NSCOUNT", 0), ("ARCOUNT", 0)] {
        two.claim(found[key] == value, &format!("{key} is {value}"))?;
    }
    two.claim(found["QNAME"] == "found.test." && found["QTYPEname"] == "A" && found["QCLASSname"] == "IN", "names")?;
    let record = &found["answerRRs"][0];
    two.claim(record["NAME"] == "found.test." && record["TYPE"] == 1 && record["CLASS"] == 1, "owner, type, class")?;
    two.claim(record["TTL"] == 60 && record["RDLENGTH"] == 4 && hex(record, "C0000201"), "the record")?;
    two.claim(record["rdataA"] == "192.0.2.1" && record["TYPEname"] == "A", "the record in words")?;
    two.claim(nothere["RCODE"] == 3 && nothere["answerRRs"] == serde_json::json!([]), "NXDOMAIN")?;
    two.claim(found["server"] == "127.0.0.1#53" && found["transport"] == "udp", "who answered")?;
    two.claim(found["attempts"].as_array().map(Vec::len) == Some(1), "one attempt")?;

    let value = silent.exits(9)?.json()?;
    silent.claim(value["error"].is_string() && value["server"].is_null() && value["RCODE"].is_null(), "no reply")?;
    let attempts = value["attempts"].as_array().cloned().unwrap_or_default();
    silent.claim(attempts.len() == 2 && attempts.iter().all(|a| a["error"] == "timed out"), "two attempts")?;
    let value = closed.exits(9)?.json()?;
    closed.claim(value["attempts"][0]["error"] == "connection refused", "refused")?;
    Ok(())
}

/// RFC 4648, section 8, leaves the case to the writer.
fn hex(record: &serde_json::Value, bytes: &str) -> bool {
    record["RDATAHEX"].as_str().is_some_and(|text| text.eq_ignore_ascii_case(bytes))
}

/// Good records around one of an unknown type, one whose data do not fit, and one that lies about its length.
fn bad_records() -> Result<(), Stop> {
    let mut scene = Scene::new("nameserver 127.0.0.1\n", "")?;
    let replies = script(|asked, _, _| {
        let message = Message::reply(asked, flag::RA)
            .answer(kind::A, &[192, 0, 2, 1])
            .answer(65_300, &[1, 2, 0xfe])
            .answer(kind::A, &[10, 0])
            .answer(kind::MX, &[0])
            .answer(kind::MX, &[&[0, 10], name("mail.test").as_slice()].concat());
        Some(match asked.name.as_str() {
            "cut.test" => message.lying(Section::Additional, ASKED, [kind::A, 1], 60, 400, &[192, 0, 2, 2]),
            _ => message.record(Section::Additional, &name("mail.test"), [kind::A, 1], 60, &[192, 0, 2, 3]),
        })
    });
    scene.serve("127.0.0.1", replies)?;

    let ran = scene.dig(&["bad.test"])?;
    ran.exits(0)?;
    for line in [
        "bad.test.\t\t3600\tIN\tA\t192.0.2.1\n",
        "bad.test.\t\t3600\tIN\tTYPE65300 \\# 3 0102FE\n",
        "bad.test.\t\t3600\tIN\tTYPE1\t\\# 2 0A00\n;; WARNING: malformed A record shown as bytes",
        "bad.test.\t\t3600\tIN\tTYPE15\t\\# 1 00\n;; WARNING: malformed MX record shown as bytes",
        "bad.test.\t\t3600\tIN\tMX\t10 mail.test.\n",
        "mail.test.\t\t60\tIN\tA\t192.0.2.3\n",
    ] {
        ran.says(line)?;
    }
    let ran = scene.dig(&["+json", "bad.test"])?;
    let value = ran.exits(0)?.json()?;
    let records = value["answerRRs"].as_array().cloned().unwrap_or_default();
    ran.claim(records.len() == 5 && value["additionalRRs"].as_array().map(Vec::len) == Some(1), "all records")?;
    for (record, (number, bytes, faulty)) in records.iter().zip([
        (1, "C0000201", false),
        (65_300, "0102FE", false),
        (1, "0A00", true),
        (15, "00", true),
        (15, "000A046D61696C047465737400", false),
    ]) {
        ran.claim(record["TYPE"] == number && hex(record, bytes), &format!("number {number}, bytes {bytes}"))?;
        ran.claim(record["fault"].is_string() == faulty, "the fault is named, and only where there is one")?;
    }
    ran.claim(records[1]["TYPEname"] == "TYPE65300" && records[1]["rdataTYPE65300"] == "\\# 3 0102FE", "RFC 3597")?;
    ran.claim(records[4]["rdataMX"] == "10 mail.test.", "the last one in words")?;
    ran.claim(value["fault"].is_null(), "the message itself is whole")?;

    // A message that ends inside a record keeps those before it.
    let ran = scene.dig(&["cut.test"])?;
    ran.exits(0)?.says("192.0.2.1\n")?.says("10 mail.test.\n")?.says(";; WARNING: message ended early")?;
    let ran = scene.dig(&["+json", "cut.test"])?;
    let value = ran.exits(0)?.json()?;
    ran.claim(
        value["answerRRs"].as_array().map(Vec::len) == Some(5) && value["fault"].is_string(),
        "five and a fault",
    )?;
    Ok(())
}

/// Replies that make the text form talk: standard output stays JSON, one object for each reply that counts.
fn json_only() -> Result<(), Stop> {
    let lab = Lab::hierarchy()?;
    let dig = |arguments: &[&str]| {
        let mut command = lab.command("default", lab::netkit());
        Ran::of(command.args(["dig", "-r", "+json", "+time=1", "+tries=1"]).args(arguments))
    };
    // See lab::rogue for what is wrong with each.
    let names = [
        "wrongid",
        "wrongquestion",
        "trailing",
        "cut",
        "manyanswers",
        "pointerloop",
        "longlength",
        "tc",
        "goodthenbad",
        "unknown",
        "nsidbinary",
        "edebinary",
        "edeshort",
        "ecsshort",
        "cookiewrong",
        "cookieshort",
        "local",
        "chain",
        "rcode16",
        "rcode23",
        "shortsoa",
        "svcbkeys",
        "allflags",
        "twoquestions",
        "emptytxt",
    ];
    let full: Vec<String> = names.iter().map(|name| format!("{name}.rogue")).collect();
    let mut arguments = vec!["@127.0.0.66"];
    arguments.extend(full.iter().map(String::as_str));
    let ran = dig(&arguments)?;
    let values = ran.jsons()?;
    ran.claim(values.len() == names.len(), "one object for each name")?;
    for (value, name) in values.iter().zip(&full) {
        ran.claim(value["schema"] == "dig/1" && value["search"] == name.as_str(), &format!("the object of {name}"))?;
    }
    let tc = &values[7];
    ran.claim(tc["transport"] == "tcp" && tc["TC"] == 0, "what came over TCP after truncation")?;
    let transports: Vec<&str> =
        tc["attempts"].as_array().into_iter().flatten().filter_map(|attempt| attempt["transport"].as_str()).collect();
    same("attempts at tc.rogue", "udp tcp", &transports.join(" "))?;

    // Awkward names, a transfer in several messages, a delegation walk.
    let ran =
        dig(&["@127.0.0.30", r"null\000byte.zone.example", r"high\200\255.zone.example", "quo\\\"te.zone.example"])?;
    let values = ran.exits(0)?.jsons()?;
    ran.claim(values.len() == 3 && values.iter().all(|v| v["ANCOUNT"] == 1), "three answers")?;
    ran.claim(values[0]["QNAME"] == r"null\000byte.zone.example.", "presentation form of a name")?;
    let ran = dig(&["@127.0.0.30", "AXFR", "large.example"])?;
    let values = ran.exits(0)?.jsons()?;
    let records: usize = values.iter().filter_map(|value| value["answerRRs"].as_array().map(Vec::len)).sum();
    ran.claim(values.len() > 1 && records == 903, "two SOA, one NS and 900 TXT in several messages")?;
    let ran = dig(&["-4", "+trace", "www.zone.example"])?;
    let values = ran.exits(0)?.jsons()?;
    ran.claim(values.len() == 4 && values[3]["answerRRs"][0]["rdataA"] == "192.0.2.10", "four hops")?;

    // What BIND says on stdout about the command line itself.
    let ran = dig(&["@127.0.0.30", "-y", "hmac-sha256:k:!!!", "www.zone.example"])?;
    ran.claim(ran.jsons()?.len() == 1 && ran.err.contains("Couldn't create key k"), "a bad key is said on stderr")?;
    let ran = dig(&["@127.0.0.30", "+ednsflags=99999", "www.zone.example"])?;
    ran.claim(ran.out.is_empty() && ran.err.contains("invalid ednsflags"), "a bad number is said on stderr")?;
    Ok(())
}

fn literals() -> Result<(), Stop> {
    let case = "case pod
resolv nameserver 127.0.0.1
resolv search default.svc.cluster.local svc.cluster.local cluster.local
resolv options ndots:5
answer web.default.svc.cluster.local A 192.0.2.1
";
    let expected = [
        // The name as typed and nothing else, in every way to ask for it.
        ("+search 10.96.0.1", "A 10.96.0.1."),
        ("+search +ndots=9 10.96.0.1 AAAA", "AAAA 10.96.0.1."),
        ("+search +short -q 10.96.0.1", "A 10.96.0.1."),
        ("+search fd00:10:96::1", "A fd00:10:96::1."),
        ("+search +domain=lab.test 10.96.0.1", "A 10.96.0.1."),
        ("--as glibc,musl,go 10.96.0.1", ""),
        ("--as glibc,musl,go fd00:10:96::1", ""),
        // Without it the search list is at work; else the lines above would prove nothing.
        ("+search web", "A web.default.svc.cluster.local."),
        (
            "+search 10.96.0.x",
            "A 10.96.0.x.default.svc.cluster.local.\nA 10.96.0.x.svc.cluster.local.\nA 10.96.0.x.cluster.local.\nA 10.96.0.x.",
        ),
    ];
    let lines: Vec<&str> = expected.iter().map(|(line, _)| *line).collect();
    for ((ran, recording), (line, queries)) in recorded(case, &lines)?.iter().zip(expected) {
        ran.exits(0)?;
        let sent: Vec<String> =
            recording.queries.iter().map(|query| format!("{} {}", query.rtype, query.name)).collect();
        same(&format!("queries of dig {line}, expected against sent"), queries, &sent.join("\n"))?;
    }
    let ran = recorded(case, &["--as glibc,musl,go --json 10.96.0.1"])?.pop().ok_or("no run")?.0;
    let value = ran.exits(0)?.json()?;
    for resolver in value["resolvers"].as_array().cloned().unwrap_or_default() {
        ran.claim(resolver["answers"] == serde_json::json!(["10.96.0.1"]), "the address itself is the answer")?;
    }
    Ok(())
}

fn refused() -> Result<(), Stop> {
    let case = "case refused\nresolv nameserver 127.0.0.1\n";
    let lines =
        [("@quic://x www.test", "@quic:// "), ("@h3://x www.test", "@h3:// "), ("+proxy=x www.test", "+proxy ")];
    let typed: Vec<&str> = lines.iter().map(|(line, _)| *line).collect();
    for ((ran, recording), (_, named)) in recorded(case, &typed)?.iter().zip(lines) {
        ran.exits(2)?.complains(&format!("dig: {named}"))?.complains("is not offered")?;
        ran.claim(ran.err.lines().count() == 1 && ran.out.is_empty(), "one sentence")?;
        ran.claim(recording.queries.is_empty(), "nothing was sent in the clear instead")?;
    }
    Ok(())
}
