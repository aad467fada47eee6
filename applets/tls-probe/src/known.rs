//! Certificates that give away who sent them: defaults of controllers, parts of Kubernetes, meshes, and whoever opens TLS
//! on the way.

use netkit_core::text::printable;
use netkit_wire::x509::{Certificate, GeneralName, NameStyle, name_text};

/// Where a word stands.
enum In {
    Subject,
    Issuer,
    /// An alternative name as OpenSSL writes it, or its end.
    Name,
    NameEnd,
}

#[rustfmt::skip]
const KNOWN: &[(In, &str, &str)] = &[
    (In::Subject, "Kubernetes Ingress Controller Fake Certificate",
        "the default certificate of ingress-nginx: no Ingress with TLS matches this name, or its Secret is missing"),
    (In::Subject, "TRAEFIK DEFAULT CERT", "the default certificate of Traefik: no router with TLS matches this name"),
    (In::Subject, "cert-manager.local", "a stand-in of cert-manager: the real certificate has not been issued yet"),
    (In::Subject, "system:node:", "the serving certificate of a kubelet, signed by the cluster"),
    (In::Name, "DNS:kubernetes.default.svc", "the API server of Kubernetes"),
    (In::Subject, "kube-apiserver", "the API server of Kubernetes"),
    (In::Subject, "dynamiclistener", "what k3s or Rancher made for its own API"),
    (In::Issuer, "openshift-service-serving-signer@", "a service of OpenShift: its authority is in the config map service-ca"),
    (In::Issuer, "ingress-operator@", "the default router certificate of OpenShift"),
    (In::NameEnd, ".linkerd.cluster.local", "an identity of Linkerd: a mesh, which wants a certificate of the mesh from the client"),
    (In::Issuer, "Caddy Local Authority", "Caddy's own authority, which only this Caddy's machine trusts"),
    (In::Issuer, "mkcert development CA", "made with mkcert on somebody's machine, which alone trusts it"),
    (In::Issuer, "CloudFlare Origin", "an origin certificate of Cloudflare, which only Cloudflare's proxies trust"),
    (In::Issuer, "Fake LE ", "of Let's Encrypt's staging, which nobody trusts"),
    (In::Issuer, "(STAGING)", "of Let's Encrypt's staging, which nobody trusts"),
];

/// Issuers that are on no server, but between it and its clients.
const BETWEEN: &[&str] = &[
    "zscaler",
    "fortinet",
    "fortigate",
    "palo alto",
    "blue coat",
    "bluecoat",
    "netskope",
    "cisco umbrella",
    "sophos",
    "check point",
    "forcepoint",
    "websense",
    "mcafee web gateway",
    "skyhigh",
    "symantec web",
    "barracuda",
    "watchguard",
    "sonicwall",
    "cloudflare managed",
    "cato networks",
    "iboss",
    "mitmproxy",
    "portswigger",
    "charles proxy",
    "fiddler",
    "kaspersky",
    "eset ssl filter",
    "avast web",
    "avg web",
    "bitdefender",
    "squid",
];

/// `node-ca@1700000000`: how client-go names what it signs by itself.
fn is_self_made(issuer: &str, subject: &str) -> Option<bool> {
    let (authority, stamp) = issuer.rsplit_once("-ca@")?;
    let digits = stamp.chars().take_while(char::is_ascii_digit).count();
    let host = authority.rsplit([' ', '=']).next().unwrap_or("");
    (digits > 0 && subject.contains(&format!("{host}@"))).then_some(host == "localhost")
}

/// Who this is, when the certificate gives it away; `asked` is whether the server asks for a certificate of the client.
pub(crate) fn known(der: &[u8], asked: bool) -> Option<String> {
    let read = Certificate::read(der)?;
    let subject = name_text(read.subject, NameStyle::OneLine);
    let issuer = name_text(read.issuer, NameStyle::OneLine);
    let names: Vec<String> = read.alt_names().iter().map(GeneralName::text).collect();
    if let Some(identity) =
        names.iter().find_map(|name| name.strip_prefix("URI:").filter(|uri| uri.starts_with("spiffe://")))
    {
        let how = if asked {
            "a mesh in strict mTLS, which wants a certificate of the mesh from the client"
        } else {
            "a workload of a mesh, which asks for no certificate here"
        };
        return Some(format!("a SPIFFE identity ({}): {how}", printable(identity)));
    }
    let fits = |place: &In, word: &str| match place {
        In::Subject => subject.contains(word),
        In::Issuer => issuer.contains(word),
        In::Name => names.iter().any(|name| name == word),
        In::NameEnd => names.iter().any(|name| name.ends_with(word)),
    };
    if let Some((.., text)) = KNOWN.iter().find(|(place, word, _)| fits(place, word)) {
        return Some((*text).to_owned());
    }
    match is_self_made(&issuer, &subject) {
        Some(false) => return Some("the self-signed certificate of a kubelet".to_owned()),
        Some(true) => {
            return Some(
                "the self-signed certificate of a part of Kubernetes: scheduler, controller or kubelet".to_owned(),
            );
        }
        None => {}
    }
    let lower = issuer.to_ascii_lowercase();
    let proxy = BETWEEN.iter().find(|word| lower.contains(**word))?;
    // Whoever makes such a thing may have a server too, with a certificate of somebody else's.
    let is_own = read.is_self_issued() && subject.to_ascii_lowercase().contains(proxy);
    let whose = if is_own { "the authority itself is shown" } else { "the certificate is not the server's own" };
    Some(format!("a proxy that opens TLS on the way ({}): {whose}", printable(&issuer)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_client_go_signs() {
        assert_eq!(is_self_made("CN = node7-ca@1700000000", "CN = node7@1700000000"), Some(false));
        assert_eq!(is_self_made("CN = localhost-ca@17", "CN = localhost@17"), Some(true));
        assert_eq!(is_self_made("CN = x-ca@y", "CN = x@1"), None);
        assert_eq!(is_self_made("CN = a", "CN = a@1"), None);
        assert_eq!(known(&[0x30, 0], false), None);
    }
}
