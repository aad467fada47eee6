//! Who we are to a server or a proxy: from the command line, the URL or .netrc, in the scheme the other side wants.

use netkit_dns::random::random_u64;
use netkit_http::auth::{Challenge, basic, schemes};
use netkit_http::head::Head;
use netkit_http::{Code, Failure};

use crate::config::{Netrc, Schemes};
use crate::connect::{Route, split_login};
use crate::request::{Kind, custom};
use crate::transfer::Transfer;

/// User and password.
pub(crate) type Login = (String, String);

/// How one side, the server or the proxy, has been dealt with so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Side {
    /// The last challenge and how often it was answered.
    digest: Option<(Challenge, u32)>,
    /// The scheme that was settled; until then the one that was asked for, if only one was.
    picked: Option<Picked>,
    /// The other side wants what we do not have, or refused what we gave.
    problem: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Picked {
    Basic,
    Digest,
    /// None of what is wanted is offered.
    Nothing,
}

impl Side {
    /// The scheme to use now: the settled one, or the only one that may be used.
    fn scheme(&self, wanted: Schemes) -> Option<Picked> {
        self.picked.or(match (wanted.basic, wanted.digest, wanted.any) {
            (_, true, false) if !wanted.basic => Some(Picked::Digest),
            (_, false, false) => Some(Picked::Basic),
            _ => None,
        })
    }

    /// The field's value, and whether more requests are needed before it stands.
    fn answer(&mut self, wanted: Schemes, login: &Login, method: &str, target: &str) -> (Option<String>, bool) {
        let (user, password) = login;
        match self.scheme(wanted) {
            Some(Picked::Basic) => {
                self.picked = Some(Picked::Basic);
                (Some(basic(user, password)), false)
            }
            Some(Picked::Digest) => match &mut self.digest {
                Some((challenge, count)) => {
                    *count += 1;
                    (Some(challenge.answer(user, password, method, target, *count, &cnonce())), false)
                }
                None => (None, true),
            },
            Some(Picked::Nothing) | None => (None, false),
        }
    }

    /// Takes the challenges of a response; whether there is one to answer.
    fn challenge<'a>(&mut self, wanted: Schemes, fields: impl Iterator<Item = &'a str>) -> bool {
        let (mut digest, mut plain) = (false, false);
        for field in fields {
            for (scheme, parameters) in schemes(field) {
                if scheme.eq_ignore_ascii_case("digest") && !digest {
                    digest = true;
                    let before = self.digest.is_some();
                    match Challenge::parse(parameters) {
                        // Another nonce, and the old one was not stale: the password was wrong.
                        Some(found) if !before || found.stale => self.digest = Some((found, 0)),
                        _ => self.problem = true,
                    }
                } else if scheme.eq_ignore_ascii_case("basic") {
                    plain = self.picked != Some(Picked::Basic);
                    self.problem |= !plain;
                }
            }
        }
        if self.problem {
            return false;
        }
        let any = wanted.any;
        self.picked = Some(match () {
            () if digest && (any || wanted.digest) => Picked::Digest,
            () if plain && (any || wanted.basic) => Picked::Basic,
            () => Picked::Nothing,
        });
        self.problem = self.picked == Some(Picked::Nothing);
        !self.problem
    }
}

impl Transfer<'_> {
    /// Settles user and password for the present URL.
    ///
    /// # Errors
    /// A .netrc file that must be there and is not, or cannot be read as one.
    pub(crate) fn identify(&mut self) -> Result<(), Failure> {
        let foreign = self.is_foreign();
        if let Some(text) = &self.config.user {
            let (user, password) = split_login(text);
            self.login = Some((user, password.unwrap_or_default())).filter(|_| !foreign);
            return Ok(());
        }
        let mut own = self.url.login();
        let required = self.config.netrc == Netrc::Required;
        let complete = own.as_ref().is_some_and(|(_, password)| !password.is_empty()) && !required;
        if self.config.netrc != Netrc::Ignored && !complete {
            let user = own.as_ref().map(|(user, _)| user.clone());
            match self.netrc(user.as_deref()) {
                Ok(Some(found)) => {
                    self.login = Some(found);
                    return Ok(());
                }
                Ok(None) => self
                    .tracer
                    .info(&format!("Couldn't find host {} in the .netrc file; using defaults", self.url.host)),
                Err(why) if required => return Err(Failure::new(Code::Read, format!(".netrc parser error: {why}"))),
                Err(_) => {}
            }
            if required {
                own = user.map(|user| (user, String::new()));
            }
        }
        self.login = own.filter(|_| !foreign);
        Ok(())
    }

    fn netrc(&self, user: Option<&str>) -> Result<Option<Login>, &'static str> {
        let home = || format!("{}/.netrc", self.world.var("HOME").unwrap_or(""));
        let own = || self.world.var("NETRC").map(str::to_owned);
        let path = self.config.netrc_file.clone().or_else(own).unwrap_or_else(home);
        let bytes = crate::apply::read_file(&path).map_err(|_| "no such file")?;
        crate::netrc::find(&String::from_utf8_lossy(&bytes), &self.url.host, user).map_err(|_| "syntax error")
    }

    fn schemes(&self) -> Schemes {
        let auth = self.config.auth;
        if auth == Schemes::default() { Schemes { basic: true, ..auth } } else { auth }
    }

    /// The Authorization field, and whether the body must wait for a challenge.
    pub(crate) fn authorization(&mut self, method: &str, target: &str) -> (Option<String>, bool) {
        if custom(&self.headers, "Authorization").is_some() && !self.is_foreign() {
            return (None, false);
        }
        if let Some(token) = self.config.bearer.as_ref().filter(|_| !self.is_foreign()) {
            return (Some(format!("Bearer {token}")), false);
        }
        let Some(login) = self.login.clone() else { return (None, false) };
        let (field, more) = self.server.answer(self.schemes(), &login, method, target);
        if let Some(scheme) = field.as_deref().and_then(|field| field.split(' ').next()) {
            self.tracer.info(&format!("Server auth using {scheme} with user '{}'", login.0));
        }
        (field, more && !matches!(self.kind, Kind::Get | Kind::Head))
    }

    /// The Proxy-Authorization field for a request or a CONNECT.
    pub(crate) fn proxy_authorization(&mut self, route: &Route, method: &str, target: &str) -> (Option<String>, bool) {
        let Some(proxy) = route.proxy.as_ref() else { return (None, false) };
        let Some(login) = proxy.login.clone() else { return (None, false) };
        if custom(&self.config.proxy_headers, "Proxy-Authorization").is_some() {
            return (None, false);
        }
        let mut wanted = self.config.proxy_auth;
        if wanted == Schemes::default() {
            wanted.basic = true;
        }
        let (field, more) = self.proxy_side.answer(wanted, &login, method, target);
        if let Some(scheme) = field.as_deref().and_then(|field| field.split(' ').next()) {
            self.tracer.info(&format!("Proxy auth using {scheme} with user '{}'", login.0));
        }
        (field, more && !matches!(self.kind, Kind::Get | Kind::Head) && route.absolute())
    }

    /// A server wants credentials: whether we have some of a kind it takes.
    pub(crate) fn challenge(&mut self, head: &Head) -> bool {
        if self.login.is_none() || self.config.bearer.is_some() || self.server.problem {
            return false;
        }
        let wanted = self.schemes();
        self.server.challenge(wanted, head.all("www-authenticate"))
    }

    /// The same for a proxy.
    pub(crate) fn proxy_challenge(&mut self, head: &Head, has_login: bool) -> bool {
        if !has_login || self.proxy_side.problem {
            return false;
        }
        let mut wanted = self.config.proxy_auth;
        if wanted == Schemes::default() {
            wanted.basic = true;
        }
        self.proxy_side.challenge(wanted, head.all("proxy-authenticate"))
    }

    /// The body was held back for a challenge that did not come: it goes out with the next request.
    pub(crate) fn unchallenged(&mut self) {
        for side in [&mut self.server, &mut self.proxy_side] {
            if side.digest.is_none() {
                side.picked = Some(Picked::Nothing);
            }
        }
    }
}

/// A nonce of the client's: 32 hexadecimal digits in base64, as curl makes them.
fn cnonce() -> String {
    use base64::Engine as _;
    let text = format!("{:016x}{:016x}", random_u64(), random_u64());
    base64::engine::general_purpose::STANDARD.encode(text)
}
