//! A chain as OpenSSL 3.0 judges it (X509_verify_cert(3)): built from what the server sent and from the anchors, then
//! looked through in the order in which OpenSSL reports, so that numbers, depths and their sequence are the same.
//!
//! Left out because no client of today sets it: CRLs, policies, proxy certificates, DANE, `-x509_strict`.

mod codes;
mod constraints;
mod facts;
mod names;
mod signature;
#[cfg(test)]
mod tests;

pub use codes::text as error_text;
pub(crate) use names::element;
pub use names::{fits_address, fits_email, fits_host, name_for, name_hash};

use facts::Facts;

/// What a certificate at the end of a chain is wanted for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// Nothing in particular.
    #[default]
    Any,
    /// A TLS server.
    Server,
    /// A TLS client.
    Client,
}

/// What is asked of a chain.
#[derive(Clone, Debug)]
pub struct Query<'a> {
    /// Seconds since the epoch; `None` looks at no date.
    pub now: Option<i64>,
    /// What the leaf is for.
    pub purpose: Purpose,
    /// The name it must be for.
    pub host: Option<&'a str>,
    /// The address it must be for.
    pub address: Option<std::net::IpAddr>,
    /// The mailbox it must be for.
    pub email: Option<&'a str>,
    /// OpenSSL's security level, 0 to 5: how weak keys and digests may be.
    pub level: u8,
    /// Any certificate of the store ends a chain.
    pub partial: bool,
    /// Unknown critical extensions are passed over.
    pub ignore_critical: bool,
    /// Most certificates between leaf and anchor.
    pub depth: usize,
    /// The store is asked before what was sent.
    pub trusted_first: bool,
}

impl Default for Query<'_> {
    fn default() -> Self {
        Query {
            now: None,
            purpose: Purpose::Any,
            host: None,
            address: None,
            email: None,
            level: 0,
            partial: false,
            ignore_critical: false,
            depth: 100,
            trusted_first: true,
        }
    }
}

/// One report on the way, as OpenSSL's callback gets it.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Whether this depth is fine.
    pub ok: bool,
    /// Number of the error; on a fine depth that of the last one before it.
    pub code: u16,
    /// 0 is the leaf.
    pub depth: usize,
    /// The certificate it is about.
    pub der: &'a [u8],
}

/// How it ended.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Whether it went through to the end, with what the callback forgave.
    pub passed: bool,
    /// The last error, which is what OpenSSL remembers; 0 when there was none.
    pub code: u16,
    /// Every error with its depth, in order.
    pub errors: Vec<(u16, usize)>,
    /// The chain as built, leaf first: DER, and for one from the store its number there.
    pub chain: Vec<(Vec<u8>, Option<usize>)>,
    /// Depths whose signature no code here can check, and which was taken for good.
    pub unchecked: Vec<usize>,
}

/// Most certificates of the peer that are looked at.
const MAX_SENT: usize = 100;

/// Judges `leaf` with `sent` (what the peer showed) and `store` (the anchors). `told` sees every report and says whether
/// to go on after an error. `None` when the leaf is no certificate.
pub fn judge(
    leaf: &[u8],
    sent: &[Vec<u8>],
    store: &[&[u8]],
    query: &Query<'_>,
    told: &mut dyn FnMut(&Report<'_>) -> bool,
) -> Option<Verdict> {
    let leaf = Facts::read(leaf)?;
    let sent: Vec<Facts<'_>> = sent.iter().take(MAX_SENT).filter_map(|der| Facts::read(der)).collect();
    let store: Vec<Facts<'_>> = store.iter().filter_map(|der| Facts::read(der)).collect();
    let mut run = Run { query, store: &store, chain: Vec::new(), untrusted: 1, verdict: Verdict::default(), told };
    run.chain.push((&leaf, None));
    let passed = run.all(&sent).is_some();
    let mut verdict = run.verdict;
    verdict.chain = run.chain.iter().map(|(one, at)| (one.read.der.to_vec(), *at)).collect();
    if !passed && verdict.code == 0 {
        verdict.code = codes::UNSPECIFIED;
        verdict.errors.push((codes::UNSPECIFIED, 0));
    }
    verdict.passed = passed;
    Some(verdict)
}

/// The errors alone, each forgiven, as `openssl s_client` does it.
pub fn errors(leaf: &[u8], sent: &[Vec<u8>], store: &[&[u8]], query: &Query<'_>) -> Option<Verdict> {
    judge(leaf, sent, store, query, &mut |_| true)
}

struct Run<'a, 'b> {
    query: &'a Query<'a>,
    store: &'a [Facts<'a>],
    /// The chain, with the place in the store of what comes from there.
    chain: Vec<(&'a Facts<'a>, Option<usize>)>,
    /// How many at its beginning are not from the store.
    untrusted: usize,
    verdict: Verdict,
    told: &'b mut dyn FnMut(&Report<'_>) -> bool,
}

/// Whether a chain ends in an anchor.
#[derive(PartialEq, Eq)]
enum End {
    Trusted,
    Open,
}

impl<'a> Run<'a, '_> {
    fn at(&self, depth: usize) -> Option<&'a Facts<'a>> {
        self.chain.get(depth).map(|(one, _)| *one)
    }

    /// Reports an error; `None` ends everything.
    fn fail(&mut self, depth: usize, code: u16) -> Option<()> {
        self.verdict.code = code;
        self.verdict.errors.push((code, depth));
        let der = self.at(depth).map(|one| one.read.der).unwrap_or_default();
        (self.told)(&Report { ok: false, code, depth, der }).then_some(())
    }

    fn fail_if(&mut self, wrong: bool, depth: usize, code: u16) -> Option<()> {
        if wrong { self.fail(depth, code) } else { Some(()) }
    }

    fn all(&mut self, sent: &'a [Facts<'a>]) -> Option<()> {
        let leaf = self.at(0)?;
        let level = self.query.level;
        self.fail_if(!signature::key_is_strong(leaf, level), 0, codes::EE_KEY_TOO_SMALL)?;
        self.build(sent)?;
        self.extensions()?;
        self.strength()?;
        self.identity()?;
        self.signatures()?;
        self.name_constraints()
    }

    /// Whether a certificate is in force; errors are told unless it is only a candidate.
    fn in_force(&self, one: &Facts<'_>) -> bool {
        let Some(now) = self.query.now else { return true };
        let (begin, end) = one.read.valid();
        begin.is_some_and(|begin| begin <= now) && end.is_some_and(|end| end > now)
    }

    /// The best of the candidates that may have issued `subject`: one in force, else the one that ran longest.
    fn best(&self, candidates: impl Iterator<Item = (usize, &'a Facts<'a>)>) -> Option<(usize, &'a Facts<'a>)> {
        let mut best: Option<(usize, &'a Facts<'a>)> = None;
        for (at, one) in candidates {
            if self.in_force(one) {
                return Some((at, one));
            }
            if best.is_none_or(|(_, held)| one.read.valid().1 > held.read.valid().1) {
                best = Some((at, one));
            }
        }
        best
    }

    fn in_store(&self, subject: &Facts<'_>) -> Option<(usize, &'a Facts<'a>)> {
        let store = self.store;
        self.best(store.iter().enumerate().filter(|(_, one)| one.likely_issued(subject)))
    }

    fn among_sent(&self, sent: &'a [Facts<'a>], used: &[bool], subject: &Facts<'_>) -> Option<(usize, &'a Facts<'a>)> {
        let own = |one: &Facts<'_>| self.chain.iter().any(|(held, _)| held.read.der == one.read.der);
        let alone = subject.self_issued && self.chain.len() == 1;
        let free = sent.iter().enumerate().filter(|(at, _)| !used.get(*at).copied().unwrap_or(true));
        self.best(free.filter(|(_, one)| one.likely_issued(subject) && (alone || !own(one))))
    }

    /// What was added from the store since `from`: a self-signed one ends the chain, any with partial chains.
    fn trust(&mut self, from: usize) -> End {
        let added = self.chain.get(from..).unwrap_or_default();
        if added.iter().any(|(one, _)| one.self_signed) || (!added.is_empty() && self.query.partial) {
            return End::Trusted;
        }
        if added.is_empty() && self.query.partial && from == self.chain.len() {
            let leaf = self.at(0).map(|one| one.read.der).unwrap_or_default();
            if let Some((at, held)) = self.store.iter().enumerate().find(|(_, one)| one.read.der == leaf) {
                if let Some(first) = self.chain.first_mut() {
                    *first = (held, Some(at));
                }
                self.untrusted = 0;
                return End::Trusted;
            }
        }
        End::Open
    }

    fn build(&mut self, sent: &'a [Facts<'a>]) -> Option<()> {
        let most = self.query.depth.saturating_add(1);
        let mut used = vec![false; sent.len()];
        let mut from_sent = !sent.is_empty();
        let mut from_store = !from_sent || self.query.trusted_first;
        let may_alternate = !from_store;
        let mut alternate: Option<usize> = None;
        let mut end = End::Open;
        while from_sent || from_store {
            if from_store {
                let length = self.chain.len();
                let at = alternate.unwrap_or(length);
                let current = self.at(at.checked_sub(1)?)?;
                let mut found = if length > most { None } else { self.in_store(current) };
                if let Some((place, issuer)) = found {
                    let mut num = length;
                    if alternate.take().is_some() {
                        self.chain.truncate(at);
                        self.untrusted = at;
                        num = at;
                    }
                    let mut ended = current.self_signed;
                    if !current.self_signed {
                        self.chain.push((issuer, Some(place)));
                        ended = issuer.self_signed;
                    } else if num == self.untrusted {
                        if current.read.der == issuer.read.der {
                            num -= 1;
                            self.untrusted = num;
                            if let Some(last) = self.chain.get_mut(num) {
                                *last = (issuer, Some(place));
                            }
                        } else {
                            // The same names as an anchor, and another certificate.
                            found = None;
                        }
                    }
                    if found.is_some() {
                        from_sent = false;
                        end = self.trust(num);
                        if end == End::Trusted {
                            break;
                        }
                        if !ended {
                            continue;
                        }
                    }
                }
                if !from_sent {
                    if let Some(place) = alternate.as_mut() {
                        *place -= 1;
                        if *place > 0 {
                            continue;
                        }
                    }
                    if !may_alternate || alternate.is_some() || self.untrusted < 2 {
                        break;
                    }
                    alternate = Some(self.untrusted - 1);
                }
            }
            if from_sent {
                let current = self.at(self.chain.len().checked_sub(1)?)?;
                let closed = current.self_signed || self.chain.len() > most;
                match if closed { None } else { self.among_sent(sent, &used, current) } {
                    Some((at, issuer)) => {
                        if let Some(mark) = used.get_mut(at) {
                            *mark = true;
                        }
                        self.chain.push((issuer, None));
                        self.untrusted += 1;
                    }
                    None => {
                        from_sent = false;
                        from_store = true;
                    }
                }
            }
        }
        let length = self.chain.len();
        if length <= most && end == End::Open && length == self.untrusted {
            end = self.trust(length);
        }
        if end == End::Trusted {
            return Some(());
        }
        let last = length.checked_sub(1)?;
        if self.verdict.code != 0 {
            // What was found before has become final.
            return self.fail(last, self.verdict.code);
        }
        self.fail_if(length > most, last, codes::CHAIN_TOO_LONG)?;
        let code = match (self.at(last)?.self_signed, length, self.untrusted < length) {
            (true, 1, _) => codes::SELF_SIGNED_LEAF,
            (true, ..) => codes::SELF_SIGNED_IN_CHAIN,
            (false, _, true) => codes::NO_ISSUER,
            (false, ..) => codes::NO_LOCAL_ISSUER,
        };
        self.fail(last, code)
    }

    fn extensions(&mut self) -> Option<()> {
        let length = self.chain.len();
        let mut path = 0u64;
        for depth in 0..length {
            let one = self.at(depth)?;
            self.fail_if(one.critical && !self.query.ignore_critical, depth, codes::UNHANDLED_CRITICAL)?;
            self.fail_if(one.proxy, depth, codes::PROXY)?;
            let above = depth > 0;
            let ca = one.ca_kind();
            self.fail_if(above && (ca == 0 || (depth + 1 < length && ca != 1)), depth, codes::INVALID_CA)?;
            self.fail_if(length > 1 && signature::has_explicit_curve(one), depth, codes::EXPLICIT_CURVE)?;
            self.fail_if(!one.serves(self.query.purpose, above), depth, codes::PURPOSE)?;
            let longer = one.path_length.is_some_and(|limit| path > limit);
            self.fail_if(depth > 1 && longer, depth, codes::PATH_LENGTH)?;
            if above && !one.self_issued {
                path += 1;
            }
        }
        Some(())
    }

    fn strength(&mut self) -> Option<()> {
        let level = self.query.level;
        let length = self.chain.len();
        for depth in 0..length {
            let one = self.at(depth)?;
            self.fail_if(depth > 0 && !signature::key_is_strong(one, level), depth, codes::CA_KEY_TOO_SMALL)?;
            let weak = depth + 1 < length && !signature::digest_is_strong(one, level);
            self.fail_if(weak, depth, codes::DIGEST_TOO_WEAK)?;
        }
        Some(())
    }

    fn identity(&mut self) -> Option<()> {
        let read = self.at(0)?.read;
        self.fail_if(self.query.host.is_some_and(|host| !fits_host(&read, host)), 0, codes::HOSTNAME)?;
        self.fail_if(self.query.email.is_some_and(|email| !fits_email(&read, email)), 0, codes::EMAIL)?;
        self.fail_if(self.query.address.is_some_and(|address| !fits_address(&read, address)), 0, codes::ADDRESS)
    }

    fn signatures(&mut self) -> Option<()> {
        let mut depth = self.chain.len().checked_sub(1)?;
        let mut issuer = self.at(depth)?;
        let mut subject = issuer;
        if !issuer.likely_issued(issuer) && !self.query.partial {
            if depth > 0 {
                depth -= 1;
                subject = self.at(depth)?;
            } else {
                self.fail(0, codes::UNVERIFIED_LEAF)?;
            }
        }
        loop {
            if !std::ptr::eq(issuer, subject) {
                self.fail_if(!issuer.may_sign(), depth + 1, codes::NO_CERT_SIGN)?;
                match signature::check(subject, issuer) {
                    signature::Checked::Good => {}
                    signature::Checked::Bad => self.fail(depth, codes::BAD_SIGNATURE)?,
                    signature::Checked::NoKey => self.fail(depth + 1, codes::UNDECODABLE_KEY)?,
                    signature::Checked::Unknown => self.verdict.unchecked.push(depth),
                }
            }
            if let Some(now) = self.query.now {
                let (begin, end) = subject.read.valid();
                match begin {
                    None => self.fail(depth, codes::BAD_NOT_BEFORE)?,
                    Some(begin) => self.fail_if(begin > now, depth, codes::NOT_YET_VALID)?,
                }
                match end {
                    None => self.fail(depth, codes::BAD_NOT_AFTER)?,
                    Some(end) => self.fail_if(end <= now, depth, codes::EXPIRED)?,
                }
            }
            let report = Report { ok: true, code: self.verdict.code, depth, der: subject.read.der };
            if !(self.told)(&report) {
                return None;
            }
            issuer = subject;
            match depth.checked_sub(1) {
                None => return Some(()),
                Some(next) => {
                    depth = next;
                    subject = self.at(depth)?;
                }
            }
        }
    }

    fn name_constraints(&mut self) -> Option<()> {
        let last = self.chain.len().checked_sub(1)?;
        for depth in (0..=last).rev() {
            let one = self.at(depth)?;
            if depth != 0 && one.self_issued {
                continue;
            }
            for above in (depth + 1..=last).rev() {
                let Some(limits) = self.at(above)?.constraints() else { continue };
                let code = constraints::check(&one.read, limits, depth == 0);
                self.fail_if(code != 0, depth, code)?;
            }
        }
        Some(())
    }
}
