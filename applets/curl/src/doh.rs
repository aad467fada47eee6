//! Names looked up over HTTPS (RFC 8484), with the same TLS and HTTP as everything else.

use std::net::{IpAddr, SocketAddr};

use crate::net::Found;
use netkit_dns::simulate::Family;
use netkit_http::{Code, Failure, Url};
use netkit_wire::dns::{Class, Message, Name, Query, Question, RrType, Section};

use crate::body::{Body, Segment};
use crate::config::Config;
use crate::output::Output;
use crate::transfer::Transfer;

/// Largest reply taken, in bytes.
const MAX_REPLY: u64 = 65_535;

/// Asks for both families at `doh`.
pub(crate) fn resolve(transfer: &mut Transfer<'_>, doh: &str, host: &str, port: u16) -> Result<Found, Failure> {
    let name =
        Name::parse(host).map_err(|_| Failure::new(Code::ResolveHost, format!("Could not resolve host: {host}")))?;
    let family = transfer.config.family;
    let mut found = Found { addresses: Vec::new(), why: format!("{doh} gave no address") };
    for (rtype, wanted) in [(RrType::AAAA, family != Family::Inet), (RrType::A, family != Family::Inet6)] {
        if !wanted {
            continue;
        }
        // The id is 0, so that replies can be cached (section 4.1).
        let question = Question { name: name.clone(), rtype, class: Class::IN };
        let bytes = Query::new(0, question.clone()).encode();
        let Some(reply) = ask(transfer, doh, bytes)? else { continue };
        let Ok(message) = Message::decode(reply) else { continue };
        if !message.questions.contains(&question) {
            continue;
        }
        let records = message.section(Section::Answer).filter(|record| record.rtype == rtype);
        let addresses: Vec<IpAddr> = records.filter_map(|record| message.rdata_ip(record)).collect();
        found.addresses.extend(addresses.into_iter().map(|ip| SocketAddr::new(ip, port)));
    }
    Ok(found)
}

fn ask(transfer: &mut Transfer<'_>, doh: &str, query: Vec<u8>) -> Result<Option<Vec<u8>>, Failure> {
    let url = Url::parse(doh, false)?;
    let outer = transfer.config;
    let config = Config {
        headers: vec!["Content-Type: application/dns-message".to_owned(), "Accept: application/dns-message".to_owned()],
        insecure: outer.doh_insecure,
        cacert: outer.cacert.clone(),
        family: outer.family,
        resolve: outer.resolve.clone(),
        dns_servers: outer.dns_servers.clone(),
        max_filesize: Some(MAX_REPLY),
        ..Config::default()
    };
    let output = Output::new(transfer.world, None, &config, false);
    let mut inner = Transfer::new(transfer.world, transfer.shared, &config, url, output, 0);
    inner.body = Body::Segments(vec![Segment::Bytes(query)]);
    inner.kind = crate::request::Kind::Post;
    inner.capture = Some(Vec::new());
    inner.deadline = transfer.deadline;
    let done = inner.perform();
    let status = inner.facts.status;
    let body = inner.capture.take();
    done.map_err(|failure| {
        Failure::new(Code::ResolveHost, format!("Could not resolve host over {doh}: {}", failure.text))
    })?;
    Ok(body.filter(|_| status == 200))
}
