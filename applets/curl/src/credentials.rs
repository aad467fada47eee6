//! Who we are to a server or a proxy: from the command line, the URL or .netrc, in the scheme the other side wants.

use netkit_dns::random::random_u64;
use netkit_http::auth::{Challenge, basic, challenges};
use netkit_http::head::Head;

use crate::config::{Netrc, Schemes};
use crate::connect::{Route, split_login};
use crate::request::{Kind, custom};
use crate::transfer::Transfer;

impl Transfer<'_> {
    /// User and password for the present URL.
    pub(crate) fn login(&self) -> Option<(String, String)> {
        let foreign = self.is_foreign();
        if let Some(text) = self.config.user.as_ref().filter(|_| !foreign) {
            let (user, password) = split_login(text);
            if let Some(password) = password {
                return Some((user, password));
            }
            return Some((user, String::new()));
        }
        let own = self.url.login();
        if self.config.netrc != Netrc::Ignored
            && own.as_ref().is_none_or(|(_, password)| password.is_empty())
            && let Some(found) = self.netrc(own.as_ref().map(|(user, _)| user.as_str()))
        {
            return Some(found);
        }
        own
    }

    fn netrc(&self, user: Option<&str>) -> Option<(String, String)> {
        if self.config.netrc == Netrc::Ignored {
            return None;
        }
        let home = self.world.var("HOME").unwrap_or("");
        let path = self.config.netrc_file.clone().unwrap_or_else(|| format!("{home}/.netrc"));
        let text = std::fs::read_to_string(path).ok()?;
        crate::netrc::find(&text, &self.url.host, user)
    }

    pub(crate) fn schemes(&self) -> Schemes {
        let auth = self.config.auth;
        if auth == Schemes::default() { Schemes { basic: true, ..auth } } else { auth }
    }

    /// The Authorization field, and whether the body must wait for a challenge.
    pub(crate) fn authorization(&mut self, method: &str, target: &str) -> (Option<String>, bool) {
        if let Some(token) = self.config.bearer.as_ref().filter(|_| !self.is_foreign()) {
            return (Some(format!("Bearer {token}")), false);
        }
        if custom(&self.headers, "Authorization").is_some() && !self.is_foreign() {
            return (None, false);
        }
        let Some((user, password)) = self.login() else { return (None, false) };
        let schemes = self.schemes();
        if let Some((challenge, count)) = &mut self.digest {
            *count += 1;
            let answer = challenge.answer(&user, &password, method, target, *count, &cnonce());
            self.tracer.info(&format!("Server auth using Digest with user '{user}'"));
            return (Some(answer), false);
        }
        if self.basic_chosen || (schemes.basic && !schemes.any && !schemes.digest) {
            self.tracer.info(&format!("Server auth using Basic with user '{user}'"));
            return (Some(basic(&user, &password)), false);
        }
        if schemes.digest && !schemes.any && !schemes.basic {
            self.tracer.info(&format!("Server auth using Digest with user '{user}'"));
            return (None, !matches!(self.kind, Kind::Get | Kind::Head));
        }
        (None, false)
    }

    pub(crate) fn proxy_authorization(&mut self, route: &Route, method: &str, target: &str) -> Option<String> {
        let proxy = route.proxy.as_ref().filter(|_| route.absolute())?;
        let (user, password) = proxy.login.clone()?;
        if custom(&self.config.proxy_headers, "Proxy-Authorization").is_some() {
            return None;
        }
        if let Some((challenge, count)) = &mut self.proxy_digest {
            *count += 1;
            self.tracer.info(&format!("Proxy auth using Digest with user '{user}'"));
            return Some(challenge.answer(&user, &password, method, target, *count, &cnonce()));
        }
        let schemes = self.config.proxy_auth;
        if (schemes.digest || schemes.any) && !schemes.basic {
            return None;
        }
        self.tracer.info(&format!("Proxy auth using Basic with user '{user}'"));
        Some(basic(&user, &password))
    }

    /// A server wants credentials: whether we have some of a kind it takes.
    pub(crate) fn challenge(&mut self, head: &Head) -> bool {
        if self.login().is_none() || self.config.bearer.is_some() {
            return false;
        }
        let schemes = self.schemes();
        if let Some(found) = Challenge::find(head.all("www-authenticate")).filter(|_| schemes.digest || schemes.any) {
            if self.digest.is_some() && !found.stale {
                return false;
            }
            self.digest = Some((found, 0));
            return true;
        }
        let basic =
            head.all("www-authenticate").flat_map(challenges).any(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"));
        if basic && (schemes.any || (schemes.basic && schemes.digest)) && !self.auth_tried {
            self.auth_tried = true;
            self.basic_chosen = true;
            return true;
        }
        false
    }

    pub(crate) fn proxy_challenge(&mut self, head: &Head) -> bool {
        let schemes = self.config.proxy_auth;
        if !(schemes.digest || schemes.any) || self.proxy_auth_tried {
            return false;
        }
        match Challenge::find(head.all("proxy-authenticate")) {
            Some(found) => {
                self.proxy_auth_tried = true;
                self.proxy_digest = Some((found, 0));
                true
            }
            None => false,
        }
    }
}

/// A nonce of the client's: 32 hexadecimal digits in base64, as curl makes them.
fn cnonce() -> String {
    use base64::Engine as _;
    let text = format!("{:016x}{:016x}", random_u64(), random_u64());
    base64::engine::general_purpose::STANDARD.encode(text)
}
