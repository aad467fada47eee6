//! Tables of iptables-nft: one dump of chains and one of rules, turned into text as it arrives.

use std::collections::HashMap;
use std::fmt::Write as _;

use netkit_nf::nft::{NftChain, NftRule, NftTable, command, compat};
use netkit_nf::{Family, save};
use netkit_nl::netfilter::{request, subsystem};
use netkit_nl::{Error, Protocol, Socket, flags};

/// NFPROTO_IPV4 and NFPROTO_IPV6
fn number(family: Family) -> u8 {
    match family {
        Family::Ipv4 => 2,
        Family::Ipv6 => 10,
    }
}

/// Text of every table that iptables-nft knows.
pub(crate) fn save(family: Family, counters: bool) -> Result<String, Error> {
    let mut socket = Socket::open(Protocol::Netfilter)?;
    let ask = |command| request(subsystem::NFTABLES, command, flags::DUMP, number(family));
    let tables: Vec<NftTable> =
        socket.dump(&ask(command::GET_TABLE))?.messages().filter_map(|message| NftTable::read(&message)).collect();
    let chains: Vec<NftChain> =
        socket.dump(&ask(command::GET_CHAIN))?.messages().filter_map(|message| NftChain::read(&message)).collect();
    let mut lines: HashMap<(String, String), String> = HashMap::new();
    socket.stream(&ask(command::GET_RULE), |message| {
        let Some(found) = NftRule::read(&message) else { return Ok::<(), Error>(()) };
        let text = lines.entry((found.table.clone(), found.chain.clone())).or_default();
        match compat::rule(&found, family) {
            Ok(rule) => {
                if counters {
                    let _ = write!(text, "[{}:{}] ", rule.counters.packets, rule.counters.bytes);
                }
                save::rule(text, family, &found.chain, &rule);
                text.push('\n');
            }
            Err(compat::Foreign(name)) => {
                let _ = writeln!(text, "# nft: {} handle {}: {name}", found.chain, found.handle);
            }
        }
        Ok(())
    })?;
    let mut out = String::new();
    for table in tables {
        let _ = writeln!(out, "*{}", table.name);
        let mut own: Vec<&NftChain> = chains.iter().filter(|chain| chain.table == table.name).collect();
        own.sort_by(|left, right| {
            let key = |chain: &NftChain| chain.hook.as_ref().map_or(u32::MAX, |hook| hook.number);
            key(left).cmp(&key(right)).then_with(|| left.name.cmp(&right.name))
        });
        for chain in &own {
            let (policy, counters) = match &chain.hook {
                Some(hook) if hook.policy == 0 => ("DROP", hook.counters),
                Some(hook) => ("ACCEPT", hook.counters),
                None => ("-", None),
            };
            let counters = counters.unwrap_or_default();
            let _ = writeln!(out, ":{} {policy} [{}:{}]", chain.name, counters.packets, counters.bytes);
        }
        for chain in own {
            out.push_str(lines.get(&(table.name.clone(), chain.name.clone())).map_or("", String::as_str));
        }
        out.push_str("COMMIT\n");
    }
    Ok(out)
}
