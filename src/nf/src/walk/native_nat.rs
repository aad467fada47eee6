//! Translation and refusal by native expressions.

use std::net::IpAddr;

use super::play::{Fate, INPUT, OUTPUT, POSTROUTING, PREROUTING, Walk};

impl Walk<'_> {
    /// `dnat` and `snat`; an address or a port that is not known is said, not guessed.
    pub(super) fn native_nat(
        &mut self,
        kind: u32,
        address: Result<Option<IpAddr>, ()>,
        port: Result<Option<u16>, ()>,
        step: usize,
    ) -> Fate {
        let hook = self.hook;
        let effect = match (kind, address, port) {
            (_, Err(()), _) | (_, _, Err(())) => {
                self.notes.push("an address or port to translate to is not known".to_owned());
                "to what is not known".to_owned()
            }
            (1, Ok(address), Ok(port)) if matches!(hook, PREROUTING | OUTPUT) => self.set_destination(address, port),
            (0, Ok(address), Ok(port)) if matches!(hook, POSTROUTING | INPUT) => {
                self.set_source(address, port.map(|port| (port, port)))
            }
            _ => "without effect in this hook".to_owned(),
        };
        self.add_effect(step, &effect);
        Fate::Accept(Some(step))
    }

    /// NFT_REJECT_*, in nft's words.
    pub(super) fn reject_words(&self, kind: u32, code: u8) -> String {
        const V4: &[(u8, &str)] = &[
            (0, "net-unreachable"),
            (1, "host-unreachable"),
            (2, "prot-unreachable"),
            (3, "port-unreachable"),
            (9, "net-prohibited"),
            (10, "host-prohibited"),
            (13, "admin-prohibited"),
        ];
        const V6: &[(u8, &str)] = &[
            (0, "no-route"),
            (1, "admin-prohibited"),
            (3, "addr-unreachable"),
            (4, "port-unreachable"),
            (5, "policy-fail"),
            (6, "reject-route"),
        ];
        const BOTH: &[(u8, &str)] =
            &[(0, "no-route"), (1, "port-unreachable"), (2, "host-unreachable"), (3, "admin-prohibited")];
        let (family, names) = match (kind, self.packet.source.is_ipv4()) {
            (1, _) => return "with tcp reset".to_owned(),
            (2, _) => ("icmpx", BOTH),
            (_, true) => ("icmp", V4),
            (_, false) => ("icmpv6", V6),
        };
        match names.iter().find(|(number, _)| *number == code) {
            Some((_, name)) => format!("with {family} {name}"),
            None => format!("with {family} {code}"),
        }
    }
}
