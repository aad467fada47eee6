//! From settings to the query on the wire.

use std::net::IpAddr;

use netkit_wire::dns::{Edns, EdnsOption, Header, Name, Query, Question, RrType};

use crate::lookup::{Settings, Subnet, UDP_SIZE};
use crate::print::{CO, DO};

/// Everything that decides the bytes of a query besides the settings.
pub(crate) struct Asked<'a> {
    pub(crate) id: u16,
    pub(crate) name: &'a Name,
    pub(crate) rtype: RrType,
    /// Whether the RD bit may be set at all; a delegation walk never asks for recursion.
    pub(crate) may_recurse: bool,
    /// EDNS version, `None` without OPT.
    pub(crate) edns: Option<u8>,
    /// The COOKIE option to send, if any.
    pub(crate) cookie: Option<&'a [u8]>,
    /// Octets that a TSIG record will add; padding counts them.
    pub(crate) signature: usize,
}

/// EDNS version the query will carry: BIND adds OPT whenever a setting needs it.
pub(crate) fn edns_version(settings: &Settings, version: Option<u8>) -> Option<u8> {
    let needed = settings.udp_size.is_some() || settings.dnssec || settings.subnet.is_some();
    version.or(needed.then_some(0))
}

/// The query in wire form.
pub(crate) fn encode(settings: &Settings, asked: &Asked<'_>) -> Vec<u8> {
    let transfer = asked.rtype == RrType::AXFR || asked.rtype == RrType::IXFR;
    let header = Header {
        id: asked.id,
        qr: false,
        opcode: settings.opcode,
        aa: settings.aa,
        tc: settings.tc,
        rd: settings.rd && asked.may_recurse && !transfer,
        ra: settings.ra,
        z: settings.z,
        ad: settings.ad,
        cd: settings.cd,
        rcode: 0,
        counts: [0; 4],
    };
    let question = Question { name: asked.name.clone(), rtype: asked.rtype, class: settings.class };
    let edns = asked.edns.map(|version| {
        let mut flags = settings.edns_flags & !(DO | CO);
        flags |= if settings.dnssec { DO } else { 0 };
        flags |= if settings.co { CO } else { 0 };
        let udp_size = settings.udp_size.unwrap_or(UDP_SIZE);
        Edns { udp_size, version, flags, options: options(settings, asked.cookie) }
    });
    let mut query = Query {
        header,
        questions: if settings.header_only { Vec::new() } else { vec![question] },
        ixfr: (asked.rtype == RrType::IXFR).then(|| (asked.name.clone(), settings.ixfr_serial)),
        edns,
    };
    let bytes = query.encode();
    match query.edns.as_mut() {
        Some(edns) if settings.padding != 0 => {
            pad(edns, settings.padding, bytes.len() + asked.signature);
            query.encode()
        }
        _ => bytes,
    }
}

/// Appends a PADDING option that brings the message to a multiple of `block` bytes (RFC 7830).
fn pad(edns: &mut Edns, block: u16, size: usize) {
    const OPTION_HEADER: usize = 4;
    let block = usize::from(block);
    let over = (size + OPTION_HEADER) % block;
    let length = if over == 0 { 0 } else { block - over };
    edns.options.push(EdnsOption { code: EdnsOption::PADDING, data: vec![0; length] });
}

/// The EDNS options, in BIND's order.
fn options(settings: &Settings, cookie: Option<&[u8]>) -> Vec<EdnsOption> {
    let mut options = Vec::new();
    let mut add = |code: u16, data: Vec<u8>| options.push(EdnsOption { code, data });
    if settings.nsid {
        add(EdnsOption::NSID, Vec::new());
    }
    if let Some(subnet) = &settings.subnet {
        add(EdnsOption::CLIENT_SUBNET, subnet_data(subnet));
    }
    if let Some(cookie) = cookie {
        add(EdnsOption::COOKIE, cookie.to_vec());
    }
    if settings.expire {
        add(EdnsOption::EXPIRE, Vec::new());
    }
    if settings.keepalive {
        add(EdnsOption::TCP_KEEPALIVE, Vec::new());
    }
    options.extend(settings.edns_options.iter().cloned());
    options
}

/// FAMILY, SOURCE PREFIX-LENGTH, SCOPE PREFIX-LENGTH and as many address octets as the prefix needs (RFC 7871, section 6).
fn subnet_data(subnet: &Subnet) -> Vec<u8> {
    let (family, address) = match subnet.address {
        None => (1, Vec::new()),
        Some(IpAddr::V4(v4)) => (1, v4.octets().to_vec()),
        Some(IpAddr::V6(v6)) => (2, v6.octets().to_vec()),
    };
    let mut data = vec![0, family, subnet.prefix, 0];
    data.extend(address.iter().take(usize::from(subnet.prefix).div_ceil(8)));
    let rest = subnet.prefix % 8;
    if let (true, Some(last)) = (rest != 0, data.last_mut()) {
        *last &= 0xff << (8 - rest);
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use netkit_wire::dns::Message;

    fn bytes(change: impl Fn(&mut Settings), cookie: Option<&[u8]>) -> Vec<u8> {
        let mut settings = Settings::default();
        change(&mut settings);
        let name = Name::parse("a.example").unwrap();
        let edns = edns_version(&settings, settings.edns);
        let asked = Asked { id: 7, name: &name, rtype: RrType::A, may_recurse: true, edns, cookie, signature: 0 };
        encode(&settings, &asked)
    }

    #[test]
    fn defaults_are_digs() {
        let message = Message::decode(bytes(|_| {}, Some(&[1; 8]))).unwrap();
        assert!(message.header.rd && message.header.ad && !message.header.cd);
        let opt = message.opt().unwrap();
        assert_eq!((opt.udp_size, opt.version, opt.flags), (1232, 0, 0));
        assert_eq!(opt.options.len(), 1);
    }

    #[test]
    fn no_edns_unless_needed() {
        assert!(Message::decode(bytes(|s| s.edns = None, None)).unwrap().opt().is_none());
        let dnssec = |s: &mut Settings| {
            s.edns = None;
            s.dnssec = true;
        };
        assert_eq!(Message::decode(bytes(dnssec, None)).unwrap().opt().unwrap().flags, DO);
    }

    #[test]
    fn padding_reaches_the_block() {
        for block in [1, 16, 128, 468] {
            assert_eq!(bytes(|s| s.padding = block, None).len() % usize::from(block), 0);
        }
    }

    #[test]
    fn subnet_bits_beyond_the_prefix_are_cleared() {
        let subnet = Subnet { address: Some(IpAddr::from([10, 255, 255, 255])), prefix: 12 };
        assert_eq!(subnet_data(&subnet), [0, 1, 12, 0, 10, 0xf0]);
        assert_eq!(subnet_data(&Subnet { address: None, prefix: 0 }), [0, 1, 0, 0]);
    }
}
