//! The native text of single rules, for lists in which iptables has no words for them.

use netkit_nf::nft::build::{self, NoSets};
use netkit_nf::nft::datatype::{Name, Style};
use netkit_nf::nft::{NftRule, text};

use super::kernel::Sets;
use super::names::Known;

/// Opens what it needs with the first such rule.
#[derive(Default)]
pub(crate) struct Native {
    needs: Option<(Option<Sets>, Known)>,
}

impl Native {
    /// The rule's statements. Sets that cannot be read are shown by name.
    pub(crate) fn text(&mut self, rule: &NftRule<'_>) -> String {
        let (sets, known) = self.needs.get_or_insert_with(|| (Sets::open().ok(), Known::new(false, false)));
        let statements = match sets {
            Some(sets) => build::statements(rule, sets),
            None => build::statements(rule, &mut NoSets),
        };
        let names = |name: Name, number: u64| known.find(name, number);
        let style = Style {
            numeric_symbol: false,
            numeric_priority: false,
            numeric_protocol: false,
            numeric_time: false,
            stateless: false,
            terse: false,
            handles: false,
            names: &names,
        };
        let mut out = String::new();
        text::statements(&mut out, &statements, &style);
        out
    }
}
