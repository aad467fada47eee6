//! `--enumerate`: what a server takes, by offering everything, removing what it picks, and offering the rest until it
//! refuses. Each connection ends at the ServerHello or what follows it in the clear, so old versions cost no more than new
//! ones and nothing is ever computed.

mod narrow;
mod ride;
mod show;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use netkit_core::{Ctx, Error, Exit};
use netkit_tls::{Closely, Session, Settings};
use netkit_wire::tls::flight::{Flight, ServerHello, Trouble};
use netkit_wire::tls::hello::ClientHello;
use netkit_wire::tls::suites::{FALLBACK_SCSV, Suite, offered};
use netkit_wire::tls::{GROUPS, INAPPROPRIATE_FALLBACK, SCHEMES, is_group_of, version};

use crate::engine::{Answer, Depth, End, Engine};
use crate::probe::{Broken, Found};
use crate::status;
use narrow::{Dimension, Order, bisect, narrow, narrow_turned};

/// Newest first, as they are shown.
const VERSIONS: [u16; 5] = [version::TLS13, version::TLS12, version::TLS11, version::TLS10, version::SSL3];
/// Suites of a hello for servers that do not take a long one.
const FEW: usize = 60;
/// Groups with a key share in hellos that have any.
const SHARES: &[u16] = &[0x001d, 0x0017];
/// Every method that was ever defined: DEFLATE (RFC 3749) and LZS (RFC 3943).
const COMPRESSION: &[u8] = &[1, 64, 0];

/// A suite that the server takes, with what its part of the key exchange is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SuiteFound {
    pub(crate) id: u16,
    pub(crate) group: Option<u16>,
    pub(crate) prime_bits: Option<u32>,
    pub(crate) modulus_bits: Option<u32>,
}

/// What is found out about one version.
#[derive(Default)]
pub(crate) struct VersionFound {
    pub(crate) id: u16,
    /// Why it is not spoken.
    pub(crate) refused: Option<String>,
    pub(crate) suites: Vec<SuiteFound>,
    pub(crate) order: Order,
    pub(crate) groups: Vec<u16>,
    pub(crate) group_order: Order,
    /// The curve of the certificate, which a client has to offer beside any other.
    pub(crate) certificate_curve: Option<u16>,
    pub(crate) schemes: Vec<u16>,
    pub(crate) scheme_order: Order,
    pub(crate) compression: Vec<u8>,
    pub(crate) extensions: Vec<u16>,
    /// The hello that everything was offered in, and what followed it.
    pub(crate) flight: Flight,
    /// Nothing at all was answered.
    is_mute: bool,
    /// TLS 1.3 is spoken only to those who send key shares.
    wants_shares: bool,
    /// What keeps the lists from being whole.
    pub(crate) troubles: Vec<String>,
}

/// Everything.
pub(crate) struct Enumerated {
    pub(crate) versions: Vec<VersionFound>,
    /// Whether a fall-back is noticed; absent where there is nothing to fall back to.
    pub(crate) fallback: Option<Result<bool, String>>,
    /// A whole handshake, where nothing older than TLS 1.3 is spoken, which shows its certificates to nobody else.
    pub(crate) session: Option<Session>,
    pub(crate) connections: usize,
}

/// What one hello offers.
#[derive(Clone, Copy)]
struct Offer<'a> {
    version: u16,
    suites: &'a [u16],
    groups: &'a [u16],
    schemes: &'a [u16],
    compression: &'a [u8],
    shares: &'a [u16],
}

/// Everything that is offered with a version.
struct Lists {
    suites: Vec<u16>,
    groups: Vec<u16>,
    schemes: Vec<u16>,
}

impl Lists {
    fn of(version: u16) -> Lists {
        let tls13 = version >= version::TLS13;
        Lists {
            suites: offered(tls13),
            groups: GROUPS.iter().map(|(group, ..)| *group).filter(|group| is_group_of(*group, tls13)).collect(),
            schemes: SCHEMES.iter().map(|(scheme, _)| *scheme).collect(),
        }
    }

    fn offer(&self, version: u16) -> Offer<'_> {
        let (groups, schemes) = (&*self.groups, &*self.schemes);
        Offer { version, suites: &self.suites, groups, schemes, compression: &[], shares: &[] }
    }
}

struct Scan<'a> {
    engine: &'a Engine<'a>,
}

impl Scan<'_> {
    fn ask(&self, offer: &Offer<'_>, depth: Depth) -> Answer {
        let tls13 = offer.version >= version::TLS13;
        let name = self.engine.name();
        let names = name.as_slice();
        let versions = [offer.version];
        let all: Vec<u16> = SCHEMES.iter().map(|(scheme, _)| *scheme).collect();
        // Some servers refuse whoever wants a protocol that they do not have, so none is wanted unless somebody says so.
        let given = &self.engine.options.alpn;
        let alpn: Vec<&str> =
            if crate::args::is_usual(given) { Vec::new() } else { given.iter().map(String::as_str).collect() };
        let hello = ClientHello {
            version: offer.version.min(version::TLS12),
            versions: if tls13 { &versions } else { &[] },
            session_id: tls13,
            suites: offer.suites,
            compression: offer.compression,
            names,
            alpn: &alpn,
            groups: offer.groups,
            schemes: if offer.version >= version::TLS12 { offer.schemes } else { &[] },
            certificate_schemes: if tls13 { &all } else { &[] },
            shares: tls13.then_some(offer.shares),
            asks: depth == Depth::Whole,
            bare: offer.version == version::SSL3,
            ..ClientHello::default()
        };
        let answer = self.engine.ask(&hello, depth);
        // A server that sheds connections is not one that refuses.
        if answer.is_accident() && depth != Depth::Whole { self.engine.ask(&hello, depth) } else { answer }
    }

    /// The ServerHello if it agrees to what was offered.
    fn agreed<'f>(offer: &Offer<'_>, answer: &'f Answer) -> Result<&'f ServerHello, String> {
        let Some(hello) = &answer.flight.hello else { return Err(answer.refusal()) };
        if hello.version != offer.version {
            return Err(format!("the server answers with {}", netkit_wire::tls::version_name(hello.version)));
        }
        if !offer.suites.contains(&hello.suite) {
            return Err(format!("the server picks 0x{:04x}, which was not offered", hello.suite));
        }
        Ok(hello)
    }

    fn suite(hello: &ServerHello, flight: &Flight) -> SuiteFound {
        let exchange = flight.exchange.as_ref();
        SuiteFound {
            id: hello.suite,
            group: hello.group.or_else(|| exchange.and_then(|exchange| exchange.group)),
            prime_bits: exchange.and_then(|exchange| exchange.prime_bits),
            modulus_bits: exchange.and_then(|exchange| exchange.modulus_bits),
        }
    }

    /// Offers everything once.
    fn begin(&self, version: u16) -> VersionFound {
        // What servers say to a list of key shares that is empty, if they do not know that they may ask for one.
        const AFRAID: &[u8] = &[47, 50, 80, 109];
        let lists = Lists::of(version);
        let mut out = VersionFound { id: version, ..VersionFound::default() };
        self.try_with(&lists.offer(version), &mut out);
        let is_afraid = out.flight.alert.is_some_and(|(_, alert)| AFRAID.contains(&alert));
        if version == version::TLS13 && out.refused.is_some() && is_afraid {
            self.try_with(&Offer { shares: SHARES, ..lists.offer(version) }, &mut out);
            out.wants_shares = out.refused.is_none();
        }
        out
    }

    /// The same with few suites: old servers, and things in between, may not take a hello as long as that.
    fn begin_with_few(&self, found: &mut VersionFound) {
        let lists = Lists::of(found.id);
        let few = Offer { suites: lists.suites.get(..FEW).unwrap_or(&lists.suites), ..lists.offer(found.id) };
        self.try_with(&few, found);
        if found.refused.is_none() {
            found.troubles.push(format!("takes no hello with {} suites: {FEW} at a time", lists.suites.len()));
        }
    }

    fn try_with(&self, offer: &Offer<'_>, out: &mut VersionFound) {
        let answer = self.ask(offer, Depth::Whole);
        match Scan::agreed(offer, &answer) {
            Ok(hello) => {
                out.suites.push(Scan::suite(hello, &answer.flight));
                out.extensions = hello.extensions.iter().map(|(number, _)| *number).collect();
                out.compression.push(hello.compression);
                out.refused = None;
            }
            Err(why) => out.refused = Some(why),
        }
        // Neither TLS nor anything else: old servers seldom say with an alert what they do not like.
        out.is_mute = answer.flight.first.is_empty() && !matches!(answer.end, End::Nowhere(_));
        out.flight = answer.flight;
    }

    /// Suites before TLS 1.3, in the order in which the server picks them.
    fn suites(&self, found: &Mutex<VersionFound>) {
        let (id, first, is_few) = {
            let found = found.lock().unwrap_or_else(PoisonError::into_inner);
            (found.id, found.suites.first().map(|suite| suite.id), !found.troubles.is_empty())
        };
        let lists = Lists::of(id);
        let pieces = lists.suites.chunks(if is_few { FEW } else { lists.suites.len().max(1) });
        let mut all: Vec<SuiteFound> = Vec::new();
        let mut order = Order::Single;
        let mut compression = Vec::new();
        for piece in pieces {
            let first = first.filter(|first| piece.contains(first));
            let mut dimensions = [Dimension::new(piece.to_vec(), first)];
            let mut seen: Vec<SuiteFound> = Vec::new();
            let mut ask = |offers: &[Vec<u16>], is_reversed: bool| {
                let offer = Offer {
                    suites: offers.first().map(Vec::as_slice).unwrap_or_default(),
                    // The same order once more the other way round: the right moment to offer compression too.
                    compression: if is_reversed { COMPRESSION } else { &[] },
                    ..lists.offer(id)
                };
                let answer = self.ask(&offer, Depth::Exchange);
                let hello = Scan::agreed(&offer, &answer).ok()?;
                compression.push(hello.compression);
                seen.push(Scan::suite(hello, &answer.flight));
                Some(vec![Some(hello.suite)])
            };
            match &mut dimensions {
                // What makes a server's order depend on the client's is ChaCha20, which is not to be had before TLS 1.2.
                [one] if id < version::TLS12 && first.is_some() => narrow_turned(one, &mut ask),
                lists => narrow(lists, &mut ask),
            }
            let [dimension] = dimensions;
            order = if all.is_empty() { dimension.order() } else { Order::Mixed };
            let known = found.lock().unwrap_or_else(PoisonError::into_inner).suites.clone();
            for id in dimension.found() {
                all.extend(seen.iter().chain(&known).find(|one| one.id == id).cloned());
            }
        }
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        found.suites = all;
        found.order = order;
        found.compression.extend(compression);
        found.compression.sort_unstable();
        found.compression.dedup();
    }

    /// Curves and, in TLS 1.2, signature schemes of the version before TLS 1.3 that is best.
    fn curves(&self, found: &Mutex<VersionFound>) {
        let (id, curve, first) = {
            let found = found.lock().unwrap_or_else(PoisonError::into_inner);
            let curve = found.flight.certificates.first().and_then(|der| certificate_curve(der));
            // What was picked when everything was offered counts if the suite is one of those asked for here.
            let suite = found.suites.first().and_then(|suite| Suite::of(suite.id));
            let is_like = suite.is_some_and(|suite| suite.is_signed() && suite.has_curve());
            (found.id, curve, found.flight.exchange.clone().filter(|_| is_like).unwrap_or_default())
        };
        let mut lists = Lists::of(id);
        lists.suites.retain(|id| Suite::of(*id).is_some_and(|suite| suite.is_signed()));
        // What has no curve comes last, and is taken when no curve is left.
        lists.suites.sort_by_key(|id| !Suite::of(*id).is_some_and(|suite| suite.has_curve()));
        // The longer list stands first: when the server refuses, the other one is more likely to be exhausted.
        let mut dimensions =
            [Dimension::new(lists.schemes.clone(), first.scheme), Dimension::new(lists.groups.clone(), first.group)];
        if id < version::TLS12
            && let [schemes, _] = &mut dimensions
        {
            schemes.close();
        }
        let mut is_ecdsa = false;
        let mut is_free = false;
        let mut ask = |groups: &[u16], schemes: &[u16]| {
            let offer = Offer { groups, schemes, ..lists.offer(id) };
            let answer = self.ask(&offer, Depth::Exchange);
            let hello = Scan::agreed(&offer, &answer).ok()?;
            let exchange = answer.flight.exchange.as_ref()?;
            is_ecdsa |= Suite::of(hello.suite).is_some_and(|suite| suite.is_ecdsa());
            // A second certificate, with a key of another kind, goes with any curve.
            is_free |= exchange.group.is_some() && curve.is_some_and(|curve| !groups.contains(&curve));
            Some(vec![exchange.scheme, exchange.group])
        };
        narrow(&mut dimensions, &mut |offers, _| match offers {
            [schemes, groups] => ask(groups, schemes),
            _ => None,
        });
        let [schemes, mut groups] = dimensions;
        // A certificate with a curve can be used only while that curve is offered. It goes to the end of the list, so that
        // a server which follows the client's order shows what else it takes.
        if let Some(curve) = curve.filter(|curve| groups.has(*curve)) {
            while let Some(mut rest) = groups.rest() {
                rest.retain(|group| *group != curve);
                rest.push(curve);
                match ask(&rest, &lists.schemes).and_then(|picks| picks.get(1).copied().flatten()) {
                    Some(group) if group != curve && groups.add(group) => {}
                    _ => break,
                }
            }
        }
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        found.group_order = groups.order();
        found.groups = groups.found();
        found.scheme_order = schemes.order();
        found.schemes = schemes.found();
        found.certificate_curve = curve.filter(|_| is_ecdsa && !is_free);
    }

    /// Suites and groups of TLS 1.3, both from the same connections: without a key share the server has to name the group
    /// it wants.
    fn tls13(&self, found: &Mutex<VersionFound>) {
        let (first, wants_shares) = {
            let found = found.lock().unwrap_or_else(PoisonError::into_inner);
            (found.suites.first().cloned(), found.wants_shares)
        };
        let Some(first) = first else { return };
        let lists = Lists::of(version::TLS13);
        let mut dimensions =
            [Dimension::new(lists.groups.clone(), first.group), Dimension::new(lists.suites.clone(), Some(first.id))];
        narrow(&mut dimensions, &mut |offers, _| {
            let [groups, suites] = offers else { return None };
            let shares: Vec<u16> =
                SHARES.iter().copied().filter(|group| wants_shares && groups.contains(group)).collect();
            let offer = Offer { suites, groups, shares: &shares, ..lists.offer(version::TLS13) };
            let answer = self.ask(&offer, Depth::Hello);
            let hello = Scan::agreed(&offer, &answer).ok()?;
            Some(vec![hello.group, Some(hello.suite)])
        });
        let [groups, suites] = dimensions;
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        found.order = suites.order();
        // The group beside a suite is the one that is taken when all are offered.
        let wanted = first.group;
        let all = suites.found().into_iter();
        found.suites = all.map(|id| SuiteFound { id, group: wanted, prime_bits: None, modulus_bits: None }).collect();
        found.group_order = groups.order();
        found.groups = groups.found();
    }

    /// Signature schemes of TLS 1.3. The signature itself is encrypted, so that only a refusal tells: those of a key that is
    /// known one by one, and all others in sets that are halved.
    fn schemes(&self, found: &Mutex<VersionFound>, key: Option<&[u8]>) {
        let lists = Lists::of(version::TLS13);
        let usable: &[&[u16]] = &[
            &[0x0804, 0x0805, 0x0806],
            &[0x0403, 0x0503, 0x0603],
            &[0x0807, 0x0808, 0x0809, 0x080a, 0x080b, 0x0904, 0x0905, 0x0906, 0x081a, 0x081b, 0x081c, 0x0708],
            // What TLS 1.3 forbids in the handshake comes last; some take it all the same.
            &[0x0401, 0x0501, 0x0601, 0x0201, 0x0203, 0x0301, 0x0303],
        ];
        let mut is_taken = |set: &[u16]| {
            let offer = Offer { schemes: set, shares: SHARES, ..lists.offer(version::TLS13) };
            Scan::agreed(&offer, &self.ask(&offer, Depth::Hello)).is_ok()
        };
        let all = usable.concat();
        let mut out: Vec<u16> = key.map(schemes_of).unwrap_or_default().to_vec();
        let others: Vec<u16> = all.iter().copied().filter(|scheme| !out.contains(scheme)).collect();
        let is_known = !out.is_empty();
        out.retain(|scheme| is_taken(std::slice::from_ref(scheme)));
        if !is_known || is_taken(&others) {
            for set in usable {
                let set: Vec<u16> = set.iter().copied().filter(|scheme| others.contains(scheme)).collect();
                out.extend(bisect(&set, &mut is_taken));
            }
        }
        out.sort_by_key(|scheme| all.iter().position(|one| one == scheme));
        found.lock().unwrap_or_else(PoisonError::into_inner).schemes = out;
    }

    /// Whether a client that comes with less than it could is turned away (RFC 7507).
    fn fallback(&self, lower: u16) -> Result<bool, String> {
        let mut lists = Lists::of(lower);
        lists.suites.push(FALLBACK_SCSV);
        let offer = lists.offer(lower);
        let answer = self.ask(&offer, Depth::Hello);
        match (answer.flight.alert, Scan::agreed(&offer, &answer)) {
            (Some((_, INAPPROPRIATE_FALLBACK)), _) => Ok(true),
            (_, Ok(_)) => Ok(false),
            (_, Err(why)) => Err(why),
        }
    }
}

/// The named curve of a certificate's key, as a group.
fn certificate_curve(der: &[u8]) -> Option<u16> {
    let read = netkit_wire::x509::Certificate::read(der)?;
    let shown = netkit_wire::x509::KeyShown::of(&read.spki);
    Some(match shown.curve.as_deref()? {
        "prime256v1" => 0x0017,
        "secp384r1" => 0x0018,
        "secp521r1" => 0x0019,
        "secp256k1" => 0x0016,
        "brainpoolP256r1" => 0x001a,
        "brainpoolP384r1" => 0x001b,
        "brainpoolP512r1" => 0x001c,
        _ => return None,
    })
}

/// What a key can sign with in TLS 1.3 (RFC 8446, section 4.2.3). Empty where that is not known.
fn schemes_of(der: &[u8]) -> &'static [u16] {
    let Some(read) = netkit_wire::x509::Certificate::read(der) else { return &[] };
    let shown = netkit_wire::x509::KeyShown::of(&read.spki);
    match (shown.algorithm.as_str(), certificate_curve(der)) {
        ("rsaEncryption", _) => &[0x0804, 0x0805, 0x0806],
        ("rsassaPss", _) => &[0x0809, 0x080a, 0x080b],
        (_, Some(0x0017)) => &[0x0403],
        (_, Some(0x0018)) => &[0x0503],
        (_, Some(0x0019)) => &[0x0603],
        _ => &[],
    }
}

/// Finds everything out.
fn enumerate(engine: &Engine<'_>) -> Enumerated {
    let scan = &Scan { engine };
    let allowed = |id: &u16| match engine.options.versions {
        (2, 3) => true,
        (one, _) => *id == version::TLS10 + u16::from(one),
    };
    let begun: Vec<Mutex<VersionFound>> = std::thread::scope(|scope| {
        let running: Vec<_> =
            VERSIONS.into_iter().filter(allowed).map(|id| scope.spawn(move || scan.begin(id))).collect();
        running.into_iter().filter_map(|one| one.join().ok().map(Mutex::new)).collect()
    });
    let mut begun = begun;
    let is_old = |found: &VersionFound| found.id < version::TLS13;
    // Only where no old version is spoken at all, since silence takes its time.
    if begun.iter_mut().filter_map(|one| one.get_mut().ok()).all(|found| !is_old(found) || found.refused.is_some()) {
        std::thread::scope(|scope| {
            for found in
                begun.iter_mut().filter_map(|one| one.get_mut().ok()).filter(|found| is_old(found) && found.is_mute)
            {
                scope.spawn(move || scan.begin_with_few(found));
            }
        });
    }
    let spoken: Vec<(u16, &Mutex<VersionFound>)> = begun
        .iter()
        .filter_map(|one| {
            let found = one.lock().unwrap_or_else(PoisonError::into_inner);
            found.refused.is_none().then_some((found.id, one))
        })
        .collect();
    let legacy = spoken.iter().find(|(id, _)| *id < version::TLS13);
    let lower = spoken.get(1).map(|(id, _)| *id);
    let best = legacy.map(|(id, _)| *id).filter(|id| *id > version::SSL3);
    // Seen in the clear, which TLS 1.3 shows nobody.
    let key = legacy.and_then(|(_, found)| {
        let found = found.lock().unwrap_or_else(PoisonError::into_inner);
        found.flight.certificates.first().cloned()
    });
    let fallback = std::thread::scope(|scope| {
        for (id, found) in &spoken {
            if *id == version::TLS13 {
                scope.spawn(|| scan.tls13(found));
                scope.spawn(|| scan.schemes(found, key.as_deref()));
            } else if Some(*id) == best {
                scope.spawn(|| {
                    if !scan.ride(found) {
                        scope.spawn(|| scan.curves(found));
                        scan.suites(found);
                    }
                });
            } else {
                scope.spawn(|| scan.suites(found));
            }
        }
        lower.map(|lower| scan.fallback(lower))
    });
    let session = if legacy.is_none() && !spoken.is_empty() { look(engine) } else { None };
    let versions = begun.into_iter().map(|one| one.into_inner().unwrap_or_else(PoisonError::into_inner)).collect();
    Enumerated { versions, fallback, session, connections: engine.connections() }
}

/// One handshake to the end, with no judgement of what is seen.
fn look(engine: &Engine<'_>) -> Option<Session> {
    let (_turn, socket) = engine.open().ok()?;
    let options = engine.options;
    let settings = Settings { insecure: true, min: 3, max: 3, ..Settings::default() };
    let closely = Closely { trust: Some(Arc::default()), silent: options.silent };
    let deadline = Instant::now().checked_add(options.timeout);
    let name = options.name().split('%').next().unwrap_or("");
    let (mut stream, session) =
        netkit_tls::connect_closely(Box::new(socket), name, &settings, closely, deadline).ok()?;
    stream.finish();
    Some(session)
}

impl Enumerated {
    /// The best version whose flight is in the clear.
    fn clear(&self) -> Option<&VersionFound> {
        self.versions.iter().find(|found| found.refused.is_none() && found.id < version::TLS13)
    }

    /// Whether certificates and what goes with them were seen at all.
    fn is_seen(&self) -> bool {
        self.clear().is_some() || self.session.is_some()
    }

    fn chain(&self) -> &[Vec<u8>] {
        match (self.clear(), &self.session) {
            (Some(clear), _) => &clear.flight.certificates,
            (None, Some(session)) => &session.chain,
            (None, None) => &[],
        }
    }

    fn staple(&self) -> Option<&[u8]> {
        match (self.clear(), &self.session) {
            (Some(clear), _) => clear.flight.staple.as_deref(),
            (None, session) => session.as_ref().map(|session| &*session.staple).filter(|staple| !staple.is_empty()),
        }
    }

    /// Authorities and signature schemes when a certificate of the client is asked for.
    fn request(&self) -> Option<(&[Vec<u8>], &[u16])> {
        if let Some(clear) = self.clear() {
            return clear.flight.request.as_ref().map(|request| (&*request.authorities, &*request.schemes));
        }
        let asked = self.session.as_ref()?.asked.as_ref()?;
        Some((&asked.authorities, &asked.schemes))
    }

    fn known(&self) -> Option<String> {
        crate::known::known(self.chain().first()?, self.request().is_some())
    }

    /// What is broken when no version is spoken at all.
    fn broken(&self, is_plain_first: bool) -> Option<Broken> {
        if self.versions.iter().any(|found| found.refused.is_none()) {
            return None;
        }
        let first = self.versions.first()?;
        let why = first.refused.clone().unwrap_or_default();
        if self.versions.iter().all(|found| found.flight.first.is_empty() && !found.is_mute) {
            // No connection any more, or no way to TLS.
            return Some((if is_plain_first { status::NOT_TLS } else { status::CONNECTION }, why));
        }
        let is_plain = self.versions.iter().any(|found| found.flight.trouble == Some(Trouble::NotTls));
        if is_plain {
            return Some((status::NOT_TLS, why));
        }
        Some((status::HANDSHAKE, format!("no version of TLS is spoken: {why}")))
    }
}

/// `--enumerate`.
pub(crate) fn run(ctx: &mut Ctx, options: &crate::args::Options) -> Result<Exit, Error> {
    let mut found = Found::default();
    let mut done = None;
    let broken = match crate::probe::reach(ctx, options, &mut found) {
        Err(broken) => Some(broken),
        Ok(socket) => {
            let address = found.reached.unwrap_or_else(|| std::net::SocketAddr::from(([0, 0, 0, 0], 0)));
            let enumerated = enumerate(&Engine::new(options, address, socket));
            let broken = enumerated.broken(options.starttls.is_some());
            done = Some(enumerated);
            broken
        }
    };
    let text = if options.json {
        format!("{}\n", show::json(&found, done.as_ref(), broken.as_ref(), options, ctx))
    } else {
        show::screen(&found, done.as_ref(), broken.as_ref(), options, ctx.clock.unix_seconds())
    };
    ctx.stdout.write_all(text.as_bytes())?;
    if let Some(hint) = &found.hint {
        ctx.hint(hint);
    }
    Ok(broken.map_or(Exit::OK, |(exit, _)| exit))
}
