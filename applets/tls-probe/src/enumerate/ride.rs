//! Suites, curves and signature schemes from the same connections.
//!
//! As long as the server picks suites with a curve and a signature, each of its picks names one of all three lists. The
//! rarer curves and schemes are not waited for there: that a list is exhausted is asked with a suite that is known to be
//! taken in front of the rest, so that another pick of the server tells both that it is and which suite comes next.

use std::sync::{Mutex, PoisonError};

use netkit_wire::tls::suites::Suite;
use netkit_wire::tls::version;

use super::narrow::{Dimension, finish};
use super::{COMPRESSION, Lists, Offer, Scan, SuiteFound, VersionFound};
use crate::engine::Depth;

/// Curves and schemes that most servers take, if their key is an RSA key; others are worth a question of their own.
const USUAL_GROUPS: &[u16] = &[0x001d, 0x0017, 0x001e, 0x0018, 0x0019];
const USUAL_SCHEMES: &[u16] = &[0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0301, 0x0201];

/// What a server picked from the three lists.
#[derive(Clone, Copy)]
struct Pick {
    suite: u16,
    group: Option<u16>,
    scheme: Option<u16>,
}

impl Pick {
    /// One that names a curve and, where there are any, a scheme, and needs nothing of them but an RSA key.
    fn is_full(&self, has_schemes: bool) -> bool {
        let suite = Suite::of(self.suite);
        let is_like = suite.is_some_and(|suite| suite.is_signed() && suite.has_curve() && !suite.is_ecdsa());
        is_like && self.group.is_some() && (self.scheme.is_some() || !has_schemes)
    }

    fn has_curve(&self) -> bool {
        Suite::of(self.suite).is_some_and(|suite| suite.has_curve())
    }

    fn is_signed(&self) -> bool {
        Suite::of(self.suite).is_some_and(|suite| suite.is_signed())
    }
}

/// The three lists and what is known of them.
struct Ride<'a> {
    scan: &'a Scan<'a>,
    id: u16,
    lists: Lists,
    suites: Dimension,
    groups: Dimension,
    schemes: Dimension,
    seen: Vec<SuiteFound>,
    compression: Vec<u8>,
    /// The curve that is picked when all are offered.
    usual: Option<u16>,
}

impl Ride<'_> {
    fn ask(&mut self, suites: &[u16], groups: &[u16], schemes: &[u16], compression: &[u8]) -> Option<Pick> {
        let offer = Offer { suites, groups, schemes, compression, ..self.lists.offer(self.id) };
        let answer = self.scan.ask(&offer, Depth::Exchange);
        let hello = Scan::agreed(&offer, &answer).ok()?;
        let mut found = Scan::suite(hello, &answer.flight);
        let exchange = answer.flight.exchange.as_ref();
        let pick = Pick { suite: found.id, group: found.group, scheme: exchange.and_then(|exchange| exchange.scheme) };
        // The group beside a suite is the one that is taken when all are offered.
        found.group = found.group.and(self.usual);
        self.compression.push(hello.compression);
        self.seen.push(found);
        Some(pick)
    }

    /// What is offered of a list that has something usual left, and whether that is less than all of it.
    fn part(list: &Dimension, usual: &[u16]) -> (Vec<u16>, bool) {
        let is_part = list.is_open() && usual.iter().any(|one| !list.has(*one));
        (list.offer(is_part), is_part)
    }

    /// Asks until the suites are exhausted. `None` when the server has keys of several kinds: what it picks then depends
    /// on the schemes that are offered, and nothing can be told of its order.
    fn suites(&mut self, first: u16, has_schemes: bool) -> Option<()> {
        let mut turned = [self.lists.suites.clone(), self.lists.groups.clone(), self.lists.schemes.clone()];
        turned.iter_mut().for_each(|list| list.reverse());
        let [suites, groups, schemes] = &turned;
        let pick = self.ask(suites, groups, schemes, COMPRESSION)?;
        if !pick.is_full(has_schemes) {
            return None;
        }
        self.suites.turned(Some(pick.suite));
        self.groups.turned(pick.group);
        self.schemes.turned(pick.scheme);
        let mut is_riding = true;
        // Picks with a curve, and with a signature, are over as far as the last pick tells.
        let (mut is_past_curves, mut is_past_signed) = (false, false);
        while self.suites.is_open()
            && let Some(rest) = self.suites.rest()
        {
            // Who is asked with a part of one list only, behind a suite that is known to be taken.
            let is_proof = |list: &Dimension, is_past: bool| is_past && list.is_open() && list.rest().is_some();
            if is_proof(&self.groups, is_past_curves) || is_proof(&self.schemes, is_past_signed) {
                let is_groups = is_proof(&self.groups, is_past_curves);
                let mut known = vec![first];
                known.extend(&rest);
                let (groups, schemes) = (self.groups.offer(is_groups), self.schemes.offer(!is_groups));
                let pick = self.ask(&known, &groups, &schemes, &[]);
                let value = pick.and_then(|pick| if is_groups { pick.group } else { pick.scheme });
                let list = if is_groups { &mut self.groups } else { &mut self.schemes };
                list.take(value);
                if let Some(pick) = pick.filter(|pick| pick.suite != first) {
                    if pick.has_curve() || pick.is_signed() {
                        return None;
                    }
                    self.suites.take(Some(pick.suite));
                }
                continue;
            }
            let ((groups, few), (schemes, fewer)) =
                (Ride::part(&self.groups, USUAL_GROUPS), Ride::part(&self.schemes, USUAL_SCHEMES));
            let is_part = is_riding && (few || fewer);
            let pick = match is_part {
                true => self.ask(&rest, &groups, &schemes, &[]),
                false => {
                    let (groups, schemes) = (self.groups.offer(false), self.schemes.offer(false));
                    self.ask(&rest, &groups, &schemes, &[])
                }
            };
            if let Some(pick) = pick {
                let is_other_key = pick.is_signed() && pick.has_curve() && !pick.is_full(has_schemes);
                // What was skipped while its curve or scheme was not offered comes out of order.
                let is_late = is_past_curves && pick.has_curve() || is_past_signed && pick.is_signed();
                if is_other_key || is_late {
                    return None;
                }
            }
            match pick {
                Some(pick) if pick.is_full(has_schemes) => {
                    self.suites.take(Some(pick.suite));
                    if is_part && few {
                        self.groups.take(pick.group);
                    }
                    if is_part && fewer {
                        self.schemes.take(pick.scheme);
                    }
                }
                // Either the suites of that kind are exhausted, or what was offered beside them.
                _ if is_part => is_riding = false,
                pick => {
                    self.suites.take(pick.map(|pick| pick.suite));
                    let is_over = pick.is_some_and(|pick| !pick.has_curve() && !pick.is_signed());
                    (is_past_curves, is_past_signed) = (is_over && is_riding, is_over && is_riding);
                }
            }
        }
        Some(())
    }

    /// What is left of curves and schemes, with signed suites alone.
    fn rest(&mut self) {
        let mut signed = self.lists.suites.clone();
        signed.retain(|id| Suite::of(*id).is_some_and(|suite| suite.is_signed()));
        // What has no curve comes last, and is taken when no curve is left.
        signed.sort_by_key(|id| !Suite::of(*id).is_some_and(|suite| suite.has_curve()));
        let empty = || Dimension::new(Vec::new(), None);
        let mut both = [std::mem::replace(&mut self.schemes, empty()), std::mem::replace(&mut self.groups, empty())];
        finish(&mut both, &mut |offers, _| match offers {
            [schemes, groups] => {
                let pick = self.ask(&signed, groups, schemes, &[]).filter(|pick| pick.is_signed())?;
                Some(vec![pick.scheme, pick.group])
            }
            _ => None,
        });
        [self.schemes, self.groups] = both;
    }
}

impl Scan<'_> {
    /// Suites, curves and schemes of a version before TLS 1.3 together. False where they have to be asked for apart.
    pub(super) fn ride(&self, found: &Mutex<VersionFound>) -> bool {
        let (id, first, exchange, is_plain) = {
            let found = found.lock().unwrap_or_else(PoisonError::into_inner);
            let curve = found.flight.certificates.first().and_then(|der| super::certificate_curve(der));
            let is_plain = found.troubles.is_empty() && curve.is_none();
            (found.id, found.suites.first().cloned(), found.flight.exchange.clone(), is_plain)
        };
        let has_schemes = id >= version::TLS12;
        let (Some(first), Some(exchange), true) = (first, exchange, is_plain) else { return false };
        let begun = Pick { suite: first.id, group: exchange.group, scheme: exchange.scheme };
        if !begun.is_full(has_schemes) {
            return false;
        }
        let lists = Lists::of(id);
        let mut ride = Ride {
            scan: self,
            id,
            suites: Dimension::new(lists.suites.clone(), Some(first.id)),
            groups: Dimension::new(lists.groups.clone(), exchange.group),
            schemes: Dimension::new(lists.schemes.clone(), exchange.scheme),
            lists,
            usual: exchange.group,
            compression: Vec::new(),
            seen: vec![first.clone()],
        };
        if !has_schemes {
            ride.schemes.close();
        }
        if ride.suites(first.id, has_schemes).is_none() {
            return false;
        }
        ride.rest();
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = &ride.seen;
        found.suites =
            ride.suites.found().iter().filter_map(|id| seen.iter().find(|one| one.id == *id).cloned()).collect();
        found.order = ride.suites.order();
        found.compression.append(&mut ride.compression);
        found.compression.sort_unstable();
        found.compression.dedup();
        found.group_order = ride.groups.order();
        found.groups = ride.groups.found();
        found.scheme_order = ride.schemes.order();
        found.schemes = ride.schemes.found();
        true
    }
}
