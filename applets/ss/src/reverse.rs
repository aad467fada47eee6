//! `-r`: names of addresses, from /etc/hosts and by PTR queries to the servers of resolv.conf.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use netkit_dns::hosts::Hosts;
use netkit_dns::resolv_conf::ResolvConf;
use netkit_dns::{HOSTS, RESOLV_CONF, random, transport};
use netkit_wire::dns::{Class, Message, Query, Question, RrType, Section, push_text, reverse_name};

/// A page may have thousands of addresses; a server that does not answer shall not cost more than this for each.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The name of an address, if it has one.
pub(crate) fn name(address: IpAddr) -> Option<String> {
    // An IPv4 peer of an IPv6 socket is known by its IPv4 address.
    let address = address.to_canonical();
    let hosts = Hosts::read(Path::new(HOSTS)).unwrap_or_default();
    if let Some(entry) = hosts.entries.iter().find(|entry| entry.address == address) {
        return entry.names.first().map(|name| netkit_core::text::printable(name));
    }
    let resolv = ResolvConf::read(Path::new(RESOLV_CONF)).unwrap_or_default();
    let wait = Duration::from_secs(u64::from(resolv.timeout)).min(LONGEST_WAIT);
    let question = Question { name: reverse_name(address), rtype: RrType::PTR, class: Class::IN };
    let id = random::random_u16();
    let query = Query::new(id, question.clone()).encode();
    for server in resolv.nameservers.iter().take(3) {
        let mut fits = |bytes: &[u8], _| bytes.get(..2) == Some(&id.to_be_bytes()[..]);
        let Ok(reply) = transport::udp_exchange(*server, None, &query, wait, &mut fits) else { continue };
        let Ok(message) = Message::decode(reply.bytes) else { continue };
        let record = message.section(Section::Answer).find(|record| record.rtype == RrType::PTR)?;
        let name = message.rdata_name(record)?;
        let mut text = String::new();
        push_text(&mut text, &name);
        return Some(text.strip_suffix('.').unwrap_or(&text).to_owned()).filter(|text| !text.is_empty());
    }
    None
}
