//! `@all`, `--path` and `--race`: the verdict, the exit status and the JSON of each situation.

use std::collections::BTreeSet;

use libtest_mimic::Trial;

use super::scene::{Ran, Scene};
use super::{NSID, addresses, room, script, silent};
use crate::lab::message::{Message, flag, kind, question, soa};
use crate::lab::recorder::{self, Job, Recording};
use crate::lab::{self, Stop, trial};

const THREE: &str = "nameserver 127.0.0.1\nnameserver 127.0.0.2\nnameserver 127.0.0.3\nsearch lab.test\n";
const ONE: &[u8; 4] = &[192, 0, 2, 1];
const TWO: &[u8; 4] = &[192, 0, 2, 2];

pub fn trials() -> Vec<Trial> {
    vec![
        trial("dig_modes::all::agreement", all_agree),
        trial("dig_modes::all::another_answer", all_differ),
        trial("dig_modes::all::another_serial", all_serial),
        trial("dig_modes::all::one_silent", all_one_silent),
        trial("dig_modes::all::truncated_is_fetched_over_tcp", all_truncated),
        trial("dig_modes::all::agreement_on_a_failure", all_fail),
        trial("dig_modes::all::nobody", all_nobody),
        trial("dig_modes::path::every_way", path_every_way),
        trial("dig_modes::path::tcp_blocked", path_tcp_blocked),
        trial("dig_modes::path::large_udp_lost", path_large_lost),
        trial("dig_modes::path::only_the_largest_lost", path_largest_lost),
        trial("dig_modes::path::edns_dropped", path_edns_dropped),
        trial("dig_modes::path::udp_blocked", path_udp_blocked),
        trial("dig_modes::path::nothing", path_nothing),
        trial("dig_modes::race::no_loss", race_no_loss),
        trial("dig_modes::race::second_query_of_a_port_dropped", race_lost),
        trial("dig_modes::race::nobody", race_nobody),
    ]
}

// ---- @all ----

/// A server with its own name, TTL and order of the same two addresses.
fn member(id: &'static [u8], ttl: u32, list: [&'static [u8; 4]; 2]) -> std::sync::Arc<lab::server::Script> {
    script(move |asked, _, _| {
        let mut reply = Message::reply(asked, flag::RA);
        for address in list {
            let owner = lab::message::ASKED;
            reply = reply.record(lab::message::Section::Answer, owner, [kind::A, 1], ttl, address);
        }
        Some(if asked.edns { reply.edns(0, &[(NSID, id)]) } else { reply })
    })
}

fn all_agree() -> Result<(), Stop> {
    let mut scene = Scene::new(THREE, "")?;
    scene.serve("127.0.0.1", member(b"one", 60, [ONE, TWO]))?;
    scene.serve("127.0.0.2", member(b"two", 59, [TWO, ONE]))?;
    scene.serve("127.0.0.3", member(b"\x1b[31m", 58, [ONE, TWO]))?;
    // The order of records and the TTL make no difference; bytes of an NSID reach no terminal.
    scene.dig(&["@all", "www.lab.test"])?.exits(0)?.golden("all_agree.txt")?;
    let ran = scene.dig(&["@all", "--json", "www.lab.test"])?;
    let value = ran.exits(0)?.json()?;
    ran.claim(value["schema"] == "dig.all/1", "schema")?;
    ran.claim(value["name"] == "www.lab.test." && value["type"] == "A", "the question")?;
    ran.claim(value["verdict"] == "all 3 name servers that answered agree", "verdict")?;
    let servers = value["servers"].as_array().cloned().unwrap_or_default();
    ran.claim(servers.len() == 3, "three servers")?;
    for (row, (address, ttl)) in servers.iter().zip([("127.0.0.1", 60), ("127.0.0.2", 59), ("127.0.0.3", 58)]) {
        ran.claim(row["server"] == address && row["port"] == 53 && row["transport"] == "udp", "who was asked")?;
        ran.claim(row["rcode"] == "NOERROR" && row["ttl_s"] == ttl && row["serial"].is_null(), "rcode, TTL, serial")?;
        ran.claim(row["tries"] == 1 && row["rtt_us"].is_u64(), "tries and time")?;
        ran.claim(row["answers"].as_array().is_some_and(|list| list.len() == 2), "both records")?;
    }
    ran.claim(servers[0]["nsid"] == "one" && servers[1]["nsid"] == "two", "NSID")?;
    Ok(())
}

fn all_differ() -> Result<(), Stop> {
    let mut scene = Scene::new(THREE, "")?;
    scene.serve("127.0.0.1", member(b"one", 60, [ONE, TWO]))?;
    scene.serve("127.0.0.2", member(b"two", 60, [ONE, ONE]))?;
    scene.serve("127.0.0.3", script(|asked, _, _| Some(Message::reply(asked, flag::RA | 3))))?;
    scene.dig(&["@all", "www.lab.test"])?.exits(1)?.golden("all_differ.txt")?;
    let ran = scene.dig(&["@all", "+json", "www.lab.test"])?;
    let value = ran.exits(1)?.json()?;
    ran.claim(value["servers"][2]["rcode"] == "NXDOMAIN" && value["servers"][2]["ttl_s"].is_null(), "NXDOMAIN")?;
    ran.claim(value["verdict"].as_str().is_some_and(|line| line.contains("3 different answers")), "verdict")?;
    // A suffix of the search list is never added.
    ran.claim(value["name"] == "www.lab.test.", "the name as typed")?;
    Ok(())
}

/// Primary and secondary: same name servers, but one has not transferred the zone.
fn all_serial() -> Result<(), Stop> {
    let mut scene = Scene::new("nameserver 127.0.0.1\nnameserver 127.0.0.2\n", "")?;
    for (address, serial) in [("127.0.0.1", 2_024_010_107), ("127.0.0.2", 2_024_010_106)] {
        scene.serve(
            address,
            script(move |asked, _, _| {
                let soa_asked = asked.kind == kind::SOA;
                Some(match soa_asked {
                    true => Message::reply(asked, flag::AA).answer(kind::SOA, &soa(serial)),
                    // NODATA with its SOA: the same answer whatever the serial.
                    false => Message::reply(asked, flag::AA).record(
                        lab::message::Section::Authority,
                        lab::message::ASKED,
                        [kind::SOA, 1],
                        30,
                        &soa(serial),
                    ),
                })
            }),
        )?;
    }
    scene.dig(&["@all", "lab.test", "SOA"])?.exits(1)?.golden("all_serial.txt")?;
    let ran = scene.dig(&["@all", "lab.test", "TXT", "--json"])?;
    let value = ran.exits(0)?.json()?;
    let serials = [&value["servers"][0]["serial"], &value["servers"][1]["serial"]];
    ran.claim(serials == [2_024_010_107_u32, 2_024_010_106], "the serials of a negative answer")?;
    ran.claim(value["servers"][0]["ttl_s"] == 30, "TTL of a negative answer")?;
    Ok(())
}

fn all_one_silent() -> Result<(), Stop> {
    let mut scene = Scene::new(THREE, "")?;
    scene.serve("127.0.0.1", member(b"one", 60, [ONE, TWO]))?;
    scene.serve("127.0.0.2", silent())?;
    scene.serve("127.0.0.3", member(b"three", 60, [ONE, TWO]))?;
    let ran = scene.dig(&["@all", "www.lab.test", "+time=1"])?;
    ran.exits(1)?.golden("all_one_silent.txt")?;
    let ran = scene.dig(&["@all", "www.lab.test", "+time=1", "--json"])?;
    let value = ran.exits(1)?.json()?;
    let row = &value["servers"][1];
    ran.claim(row["error"] == "timed out" && row["tries"] == 3, "three tries in vain")?;
    ran.claim(row["rcode"].is_null() && row["answers"].is_null(), "nothing made up")?;
    Ok(())
}

/// Only TCP brings the addresses: what is compared is the whole answer.
fn all_truncated() -> Result<(), Stop> {
    let mut scene = Scene::new("nameserver 127.0.0.1\nnameserver 127.0.0.2\n", "")?;
    let cut = script(|asked, _, tcp| {
        Some(if tcp { addresses(asked, &[*ONE]) } else { Message::reply(asked, flag::RA | flag::TC) })
    });
    scene.serve("127.0.0.1", cut)?;
    scene.serve("127.0.0.2", script(|asked, _, _| Some(addresses(asked, &[*ONE]))))?;
    let ran = scene.dig(&["@all", "www.lab.test", "--json"])?;
    let value = ran.exits(0)?.json()?;
    ran.claim(value["servers"][0]["transport"] == "tcp" && value["servers"][1]["transport"] == "udp", "transports")?;
    Ok(())
}

/// Agreement is not success, and one server agrees with nobody.
fn all_fail() -> Result<(), Stop> {
    let case = "case all\nresolv nameserver 127.0.0.1\nresolv nameserver 127.0.0.2\nanswer a.test * SERVFAIL\n\
                answer b.test AAAA 2001:db8::1\nanswer c.test A 192.0.2.1\n";
    for (arguments, verdict) in [
        (["@all", "a.test"], "all 2 name servers that answered agree on SERVFAIL"),
        (["@all", "b.test"], "all 2 name servers that answered agree that there is no such record"),
        (["@all", "x.test"], "all 2 name servers that answered agree on NXDOMAIN"),
        (["@all", "c.test"], "all 2 name servers that answered agree"),
    ] {
        of(&on_the_wire(case, &arguments)?).exits(0)?.says(&format!(";; VERDICT: {verdict}\n"))?;
    }
    // Servers named on the command line take the place of those of resolv.conf.
    let recording = on_the_wire(case, &["@all", "@127.0.0.3", "c.test"])?;
    of(&recording)
        .exits(0)?
        .says(";; VERDICT: there is only one name server, so nothing to compare its answer with\n")?;
    let asked: Vec<&str> = recording.queries.iter().map(|query| query.server.as_str()).collect();
    lab::same("who was asked", "127.0.0.3", &asked.join(" "))
}

fn all_nobody() -> Result<(), Stop> {
    // .2 refuses, .1 is silent.
    let mut scene = Scene::new("nameserver 127.0.0.1\nnameserver 127.0.0.2\n", "")?;
    scene.serve("127.0.0.1", silent())?;
    let ran = scene.dig(&["@all", "www.lab.test", "+time=1"])?;
    ran.exits(9)?.says(
        "VERDICT: none of the 2 name servers answered: 127.0.0.1 (timed out), 127.0.0.2 (connection refused)\n",
    )?;
    let ran = scene.dig(&["@all", "www.lab.test", "+time=1", "--json"])?;
    let value = ran.exits(9)?.json()?;
    ran.claim(value["servers"][1]["error"] == "connection refused" && value["servers"][1]["tries"] == 1, "refused")?;
    Ok(())
}

// ---- --path ----

/// `count` addresses, cut where the way allows no more; none where `lost` says so of way and size.
fn sized(
    count: u8,
    lost: impl Fn(bool, usize, u16) -> bool + Send + Sync + 'static,
) -> std::sync::Arc<lab::server::Script> {
    script(move |asked, query, tcp| {
        let list: Vec<[u8; 4]> = (0..count).map(|number| [192, 0, 2, number]).collect();
        let room = room(asked, query);
        let whole = addresses(asked, &list);
        let reply = if tcp || whole.bytes().len() <= usize::from(room) {
            whole
        } else {
            Message::reply(asked, flag::RA | flag::TC)
        };
        (!lost(tcp, reply.bytes().len(), room)).then_some(reply)
    })
}

fn path(
    count: u8,
    lost: impl Fn(bool, usize, u16) -> bool + Send + Sync + 'static,
) -> Result<(Ran, serde_json::Value), Stop> {
    let mut scene = Scene::new("nameserver 127.0.0.1\n", "")?;
    scene.serve("127.0.0.1", sized(count, lost))?;
    let text = scene.dig(&["--path", "big.lab.test", "+time=1"])?;
    let ran = scene.dig(&["--path", "big.lab.test", "+time=1", "--json"])?;
    let value = ran.json()?;
    ran.exits(text.status)?.claim(value["schema"] == "dig.path/1" && value["server"] == "127.0.0.1", "schema")?;
    // One sentence, whether text or JSON.
    let verdict = value["verdict"].as_str().unwrap_or_default().to_owned();
    text.claim(text.out.ends_with(&format!("\n;; VERDICT: {verdict}\n")), "the same verdict in text and JSON")?;
    let ways = value["ways"].as_array().map(Vec::len);
    ran.claim(ways == Some(4), "four ways")?;
    Ok((text, value))
}

fn path_every_way() -> Result<(), Stop> {
    let (ran, value) = path(100, |_, _, _| false)?;
    ran.exits(0)?.golden("path_every_way.txt")?;
    let ways = &value["ways"];
    ran.claim(ways[0]["udp_size"] == 512 && ways[0]["truncated"] == true, "512 octets do not suffice")?;
    ran.claim(ways[2]["udp_size"] == 4096 && ways[2]["truncated"] == false, "4096 do")?;
    ran.claim(ways[3]["transport"] == "tcp" && ways[3]["size_bytes"] == ways[2]["size_bytes"], "TCP brings the same")?;
    // A small reply says less, and that is said.
    let (small, _) = path(1, |_, _, _| false)?;
    small.exits(0)?.says("every way works, though this reply is small (46 bytes)")?;
    Ok(())
}

fn path_tcp_blocked() -> Result<(), Stop> {
    let mut scene = Scene::new("nameserver 127.0.0.1\n", "")?;
    scene.serve_udp("127.0.0.1", |query: &[u8], _| Some(addresses(&question(query)?, &[*ONE]).bytes()))?;
    scene.dig(&["--path", "www.lab.test"])?.exits(1)?.golden("path_tcp_blocked.txt")?;
    let ran = scene.dig(&["--path", "www.lab.test", "--json"])?;
    let value = ran.exits(1)?.json()?;
    ran.claim(value["ways"][3]["error"] == "connection refused" && value["ways"][0]["error"].is_null(), "only TCP")?;
    Ok(())
}

/// Nothing above 512 octets comes through over UDP.
fn path_large_lost() -> Result<(), Stop> {
    let (ran, value) = path(60, |tcp, size, _| !tcp && size > 512)?;
    ran.exits(1)?.golden("path_large_lost.txt")?;
    ran.claim(value["ways"][1]["error"] == "timed out", "1232 is lost")?;
    // The same without TCP: nothing large at all.
    let (ran, _) = path(60, |tcp, size, _| tcp || size > 512)?;
    ran.exits(1)?.says("VERDICT: only small UDP replies come through; large ones are lost and TCP is blocked\n")?;
    Ok(())
}

/// 1232 octets come through and 4096 do not: an MTU, not a server that hates EDNS. Also when the reply without EDNS is
/// whole, as from a server that adds more where there is room.
fn path_largest_lost() -> Result<(), Stop> {
    let (ran, _) = path(100, |tcp, size, _| !tcp && size > 1232)?;
    ran.exits(1)?
        .says("VERDICT: large UDP replies are lost, and TCP works: fragments are dropped or the MTU is wrong\n")?;
    let (ran, _) = path(1, |tcp, _, room| !tcp && room > 1232)?;
    ran.exits(1)?
        .says("VERDICT: queries that allow 4096 bytes get no answer, those that allow 1232 do, and TCP works")?;
    Ok(())
}

fn path_edns_dropped() -> Result<(), Stop> {
    let (ran, _) = path(1, |tcp, _, room| !tcp && room > 512)?;
    ran.exits(1)?.says("VERDICT: queries with EDNS get no answer: a middlebox or an old server drops them\n")?;
    Ok(())
}

fn path_udp_blocked() -> Result<(), Stop> {
    let (ran, _) = path(1, |tcp, _, _| !tcp)?;
    ran.exits(1)?.says("VERDICT: UDP gets no answer, TCP does: UDP port 53 is blocked on the way\n")?;
    Ok(())
}

fn path_nothing() -> Result<(), Stop> {
    let scene = Scene::new("nameserver 127.0.0.1\n", "")?;
    scene.dig(&["--path", "www.lab.test"])?.exits(9)?.golden("path_nothing.txt")?;
    Ok(())
}

// ---- --race ----

/// `dig ARGUMENTS` in the recorder's lab, with the queries it sent.
fn on_the_wire(case: &str, arguments: &[&str]) -> Result<Recording, Stop> {
    lab::namespaces()?;
    let case = recorder::cases(case)?.pop().ok_or("no case")?;
    let mut argv = vec![lab::netkit().display().to_string(), "dig".to_owned()];
    argv.extend(arguments.iter().map(|word| (*word).to_owned()));
    let job = Job { label: format!("dig {}", arguments.join(" ")), argv, env: Vec::new() };
    recorder::record(&case, &[job])?.pop().ok_or_else(|| "no recording".into())
}

fn of(recording: &Recording) -> Ran {
    Ran {
        line: recording.label.clone(),
        status: i32::try_from(recording.status).unwrap_or(-1),
        out: recording.stdout.clone(),
        err: recording.stderr.clone(),
    }
}

fn race_no_loss() -> Result<(), Stop> {
    let case = "case race\nresolv nameserver 127.0.0.1\nresolv search lab.test\nanswer www.lab.test A 192.0.2.1\n";
    let recording = on_the_wire(case, &["--race", "5", "www.lab.test", "--json"])?;
    let ran = of(&recording);
    let value = ran.exits(0)?.json()?;
    ran.claim(value["schema"] == "dig.race/1" && value["pairs"] == 5, "schema")?;
    ran.claim(value["verdict"] == "no query was lost either way", "verdict")?;
    for series in [&value["series"][0], &value["series"][1]] {
        ran.claim(series["sent"] == 10 && series["lost"] == 0 && series["failed"] == 0, "ten queries, none lost")?;
        let counts = series["histogram"].as_object().map(|all| all.values().filter_map(|n| n.as_u64()).sum::<u64>());
        ran.claim(counts == Some(10) && series["max_us"].as_u64() >= series["p50_us"].as_u64(), "histogram")?;
    }
    // On the wire: five ports with A and AAAA each, then ten ports with one query each.
    let mut ports: std::collections::BTreeMap<i64, BTreeSet<&str>> = std::collections::BTreeMap::new();
    for query in &recording.queries {
        ran.claim(query.name == "www.lab.test." && query.server == "127.0.0.1", "only the name as typed")?;
        ports.entry(query.socket).or_default().insert(&query.rtype);
    }
    let pairs = ports.values().filter(|kinds| kinds.len() == 2).count();
    ran.claim(recording.queries.len() == 20 && pairs == 5 && ports.len() == 15, "sockets shared and not shared")?;
    Ok(())
}

/// What connection tracking does when two first packets of a flow race: the second one vanishes.
fn race_lost() -> Result<(), Stop> {
    let mut scene = Scene::new("nameserver 127.0.0.1\n", "")?;
    let mut seen = std::collections::HashSet::new();
    scene.serve_udp("127.0.0.1", move |query: &[u8], client| {
        seen.insert(client.port()).then_some(())?;
        Some(addresses(&question(query)?, &[*ONE]).bytes())
    })?;
    scene.dig(&["--race", "2", "www.lab.test", "+time=2"])?.exits(1)?.says(
        "VERDICT: 2 queries were lost only when A and AAAA shared a socket: the connection-tracking race; \
         `options single-request-reopen` (glibc) or a node-local DNS cache avoids it\n",
    )?;
    let ran = scene.dig(&["--race=1", "www.lab.test", "+time=2", "--json"])?;
    let value = ran.exits(1)?.json()?;
    ran.claim(value["series"][0]["lost"] == 1 && value["series"][1]["lost"] == 0, "lost on the shared socket only")?;
    ran.claim(value["series"][0]["sent"] == 2, "what was lost counts as sent")?;
    Ok(())
}

fn race_nobody() -> Result<(), Stop> {
    let verdict = "VERDICT: the server answered nothing, so there is no race to see\n";
    // Refused, and silent.
    let refused =
        on_the_wire("case race\nresolv nameserver 127.0.0.1\nclosed 127.0.0.1\n", &["--race", "50", "www.lab.test"])?;
    of(&refused).exits(9)?.says(verdict)?.says(";; first failure: connection refused\n")?;
    let mut scene = Scene::new("nameserver 127.0.0.1\n", "")?;
    scene.serve("127.0.0.1", silent())?;
    let ran = scene.dig(&["--race", "1000", "www.lab.test", "+time=1", "--json"])?;
    let value = ran.exits(9)?.json()?;
    ran.claim(value["series"][0]["p50_us"].is_null() && value["series"][0]["histogram"]["<1ms"] == 0, "no times")?;
    // It does not go on for 1000 pairs of a second each.
    ran.claim(value["series"][0]["sent"].as_u64().is_some_and(|sent| sent <= 6), "an early end")?;
    Ok(())
}
