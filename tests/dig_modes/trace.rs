//! `+trace` over three levels of real name servers, when the local resolver is broken or knows the root only.

use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libtest_mimic::Trial;

use super::scene::{Holder, Ran};
use super::script;
use crate::lab::hierarchy::Lab;
use crate::lab::message::{Message, Section, flag, kind, name};
use crate::lab::server::Act;
use crate::lab::{self, Stop, same, trial};

/// a.root-servers.net (IANA, named.root); inside the lab a loopback address.
const ROOT: &str = "198.41.0.4";

pub fn trials() -> Vec<Trial> {
    vec![trial("dig_modes::trace::without_a_resolver", trace)]
}

/// The hops of a trace: who sent each part.
fn hops(ran: &Ran) -> String {
    let hop = |line: &str| {
        let from = line.strip_prefix(";; Received ")?.split(" from ").nth(1)?;
        Some(from.split(" in ").next()?.to_owned())
    };
    ran.out.lines().filter_map(hop).collect::<Vec<_>>().join("\n")
}

fn trace() -> Result<(), Stop> {
    let lab = Lab::hierarchy()?;
    let guest = Holder::start(lab.command("default", "sh").args(["-c", "echo ready; exec cat >/dev/null"]))?;
    let dig = |resolv: &str, arguments: &[&str]| {
        let mut command = lab.command(resolv, lab::netkit());
        Ran::of(command.arg("dig").args(["-r", "-4", "+trace"]).args(arguments))
    };
    let write = |variant: &str, text: &str| std::fs::write(lab.dir().join("etc").join(variant), text);
    write("resolv.conf.hole", "nameserver 192.0.2.99\noptions timeout:1 attempts:1\n")?;
    write("resolv.conf.rootonly", "nameserver 127.0.0.67\n")?;
    write("resolv.conf.lame", "nameserver 127.0.0.31\n")?;

    // Nobody there: the trace ends, says that it fell back, and fails.
    let ran = dig("broken", &["+time=1", "+tries=1", "www.zone.example"])?;
    ran.claim(ran.status != 0, "a failure without any root")?;

    let out = lab.exec(&["ip", "addr", "add", &format!("{ROOT}/32"), "dev", "lo"], Duration::from_secs(60))?;
    if !out.status.success() {
        return Err(Stop::Fail(format!("ip addr: {}", String::from_utf8_lossy(&out.stderr))));
    }
    // The lab's root, under the address that everybody knows.
    let forward = |query: &[u8], _tcp: bool| {
        let exchange = || -> std::io::Result<Vec<u8>> {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.set_read_timeout(Some(Duration::from_secs(60)))?;
            socket.send_to(query, "127.0.0.10:53")?;
            let mut reply = vec![0; 4096];
            let (length, _) = socket.recv_from(&mut reply)?;
            reply.truncate(length);
            Ok(reply)
        };
        exchange().map(Act::Send).into_iter().collect()
    };
    let _root = guest.serve(format!("{ROOT}:53").parse().map_err(|_| "an address")?, Arc::new(forward))?;

    let path = format!("{ROOT}#53(a.root-servers.net)\n127.0.0.20#53(ns.tld.example)\n127.0.0.30#53(ns1.zone.example)");
    // A closed port, a black hole, a server that refuses, no resolv.conf line at all.
    for resolv in ["broken", "hole", "lame", "empty"] {
        let ran = dig(resolv, &["+time=1", "+tries=1", "www.zone.example"])?;
        ran.exits(0)?.says("www.zone.example.\t3600\tIN\tA\t192.0.2.10\n")?;
        let hops = hops(&ran);
        let after = hops.lines().skip_while(|line| !line.starts_with(ROOT)).collect::<Vec<_>>().join("\n");
        same(&format!("hops with the resolver `{resolv}`"), &path, &after)?;
    }

    // A resolver that knows the root's servers and nothing else: glue leads on, and nothing more is asked of it.
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let only_root = script(move |question, _, _| {
        if let Ok(mut log) = log.lock() {
            log.push(format!("{}. {}", question.name, question.kind));
        }
        let reply = Message::reply(question, flag::RA);
        if question.kind != kind::NS || !question.name.is_empty() {
            return Some(reply.flags(flag::QR | 2));
        }
        let server = name("a.root-servers.lab");
        Some(reply.record(Section::Answer, &[0], [kind::NS, 1], 60, &server).record(
            Section::Additional,
            &server,
            [kind::A, 1],
            60,
            &[127, 0, 0, 10],
        ))
    });
    let _resolver = guest.serve("127.0.0.67:53".parse().map_err(|_| "an address")?, only_root)?;
    let ran = dig("rootonly", &["www.zone.example"])?;
    ran.exits(0)?.says("www.zone.example.\t3600\tIN\tA\t192.0.2.10\n")?;
    let expected = "127.0.0.67#53(127.0.0.67)\n127.0.0.10#53(a.root-servers.lab)\n\
                    127.0.0.20#53(ns.tld.example)\n127.0.0.30#53(ns1.zone.example)";
    same("hops on glue", expected, &hops(&ran))?;
    let asked = asked.lock().map_err(|_| "the log is broken")?.join("\n");
    same("what the local resolver was asked", ". 2", &asked)
}
