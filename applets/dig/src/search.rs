//! Which name a pass asks for: as typed, or completed from the search list, in BIND's order.

use netkit_core::Error;
use netkit_wire::dns::Name;

use crate::engine::{Pass, Run};
use crate::exit;

impl Run<'_, '_> {
    /// The name of this pass; `None` when a suffix makes it too long.
    pub(crate) fn name(&mut self, pass: &mut Pass) -> Result<Option<Name>, Error> {
        let text = &self.set.name;
        if pass.fresh {
            let enough = text.matches('.').count() >= self.ndots;
            if enough || !self.search || self.literal {
                pass.origin = None;
                pass.done_as_is = true;
                pass.need_search = self.search && enough;
            } else if pass.origin.is_none() {
                pass.origin = (!self.origins.is_empty()).then_some(0);
                pass.need_search = false;
            }
            pass.fresh = false;
        }
        if pass.trace && pass.root {
            return Ok(Some(Name::root()));
        }
        let shown = netkit_core::text::printable(text);
        let origin = pass.origin.and_then(|index| self.origins.get(index));
        let Some(origin) = origin else {
            return Name::parse(text)
                .map(Some)
                .map_err(|why| Error::new(self.globals.illegal, format!("'{shown}' is not a legal name ({why})")));
        };
        let illegal = |what: &str, why: &dyn std::fmt::Display| {
            Error::new(exit::USAGE, format!("'{what}' is not in legal name syntax ({why})"))
        };
        let suffix = Name::parse(origin).map_err(|why| illegal(origin, &why))?;
        let name = Name::parse(text).map_err(|why| illegal(&shown, &why))?;
        if is_absolute(text) {
            return Ok(Some(name));
        }
        Ok(name.concat(&suffix).ok())
    }

    /// The pass with the next suffix, if the search list has one and the name qualifies.
    pub(crate) fn next_origin(&self, pass: &Pass) -> Option<Pass> {
        if !self.search || self.literal {
            return None;
        }
        let text = &self.set.name;
        let enough = Name::parse(text).is_ok_and(|name| label_count(&name) > self.ndots);
        if is_absolute(text) || enough {
            return None;
        }
        let mut next = pass.clone();
        match pass.origin {
            None if !pass.need_search => return None,
            None => {
                next.origin = (!self.origins.is_empty()).then_some(0);
                next.need_search = false;
            }
            Some(index) => {
                let following = index + 1;
                if following < self.origins.len() {
                    next.origin = Some(following);
                } else if pass.done_as_is {
                    return None;
                } else {
                    next.origin = None;
                }
            }
        }
        Some(next)
    }
}

/// Whether the text ends in a dot that is not escaped.
fn is_absolute(text: &str) -> bool {
    match text.strip_suffix('.') {
        Some(rest) => rest.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 0,
        None => false,
    }
}

/// Labels without the root.
pub(crate) fn label_count(name: &Name) -> usize {
    name.labels().filter(|label| !label.is_empty()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_names() {
        assert!(is_absolute("a.") && is_absolute(".") && is_absolute("a\\\\."));
        assert!(!is_absolute("a") && !is_absolute("a\\.") && !is_absolute(""));
    }
}
