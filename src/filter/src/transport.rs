//! Protocols above the network layer, ports, and header chains.

use super::FilterError;
use super::code::*;
use super::r#gen::{ETHER_IP, ETHER_IP6, From, Gen, Made, SAP_ISO};
use super::graph::{Code, Stmt, stmt};
use super::names;
use super::token::{Dir, Proto};

/// Fragment header of IPv6.
const FRAGMENT: u32 = 44;

impl Gen<'_> {
    /// `proto`'s own protocol number is `value`.
    pub(super) fn protocol(&mut self, value: u32, proto: Proto) -> Made {
        use Proto as P;
        let text = match proto {
            P::Default => {
                let four = self.protocol(value, P::Ip)?;
                let six = self.protocol(value, P::Ip6)?;
                return Ok(self.or(four, six));
            }
            P::Link => return self.link_type(value),
            P::Ip => {
                let kind = self.link_type(ETHER_IP)?;
                let equal = self.equal(From::Net, 9, B, value);
                return Ok(self.and(kind, equal));
            }
            P::Ip6 => {
                let kind = self.link_type(ETHER_IP6)?;
                let fragment = self.equal(From::Net, 6, B, FRAGMENT);
                let behind = self.equal(From::Net, 40, B, value);
                let behind = self.and(fragment, behind);
                let direct = self.equal(From::Net, 6, B, value);
                let either = self.or(direct, behind);
                return Ok(self.and(kind, either));
            }
            P::Iso => {
                let hdlc = self.link == super::link::C_HDLC;
                let kind = self.link_type(SAP_ISO)?;
                let equal = self.equal(From::NetNoSnap, u32::from(hdlc), B, value);
                return Ok(self.and(kind, equal));
            }
            P::Isis => {
                let kind = self.protocol(0x83, P::Iso)?;
                let equal = self.equal(From::NetNoSnap, 4, B, value);
                return Ok(self.and(kind, equal));
            }
            P::Arp | P::Rarp => format!("{} does not encapsulate another protocol", proto.name()),
            P::Lat | P::Sca | P::Moprc | P::Mopdl => {
                format!("{} does not encapsulate another protocol", proto.name().to_ascii_uppercase())
            }
            P::Atalk => "AppleTalk encapsulation is not specifiable".to_owned(),
            P::Decnet => "DECNET encapsulation is not specifiable".to_owned(),
            P::Clnp => "'clnp proto' is not supported".to_owned(),
            P::Undefined => "syntax error in filter expression".to_owned(),
            other => format!("'{} proto' is bogus", other.name()),
        };
        Err(FilterError::new(text))
    }

    /// The number that `name` has as a protocol inside `proto`.
    fn protocol_number(&mut self, name: &str, proto: Proto) -> Result<u32, FilterError> {
        let (number, kind) = match proto {
            Proto::Default | Proto::Ip | Proto::Ip6 => (self.names.protocol(name).map(u32::from), "ip proto"),
            Proto::Iso => (names::iso_protocol(name), "osi proto"),
            Proto::Link => (names::link_protocol(name), "ether proto"),
            _ => return Err(FilterError::new(format!("unknown protocol: {name}"))),
        };
        number.ok_or_else(|| FilterError::new(format!("unknown {kind} '{name}'")))
    }

    pub(super) fn protocol_by_name(&mut self, name: &str, proto: Proto) -> Made {
        let number = self.protocol_number(name, proto)?;
        self.protocol(number, proto)
    }

    pub(super) fn chain_by_name(&mut self, name: &str, proto: Proto) -> Made {
        let number = self.protocol_number(name, proto)?;
        self.chain(number, proto)
    }

    /// The first fragment, or all of a packet. The offset stands in the low 13 bits.
    pub(super) fn first_fragment(&mut self) -> Code {
        let later = self.compare(JSET, (From::Net, 6, H), u32::MAX, 0x1fff);
        self.not(later)
    }

    /// A port, or a range if `last` differs; behind IPv4 or IPv6.
    fn ports_of(&mut self, six: bool, (first, last): (u32, u32), ip_proto: Option<u32>, dir: Dir, what: &str) -> Made {
        let (kind, from) = if six { (ETHER_IP6, From::Over6) } else { (ETHER_IP, From::Over4) };
        let is_range = what == "port ranges";
        let kind = self.link_type(kind)?;
        let one = |this: &mut Self, ip_proto: u32| {
            let mut carried = this.equal(From::Net, if six { 6 } else { 9 }, B, ip_proto);
            if !six {
                let whole = this.first_fragment();
                carried = this.and(carried, whole);
            }
            let port = this.directed(dir, what, &mut |this, is_src| {
                let at = if is_src { 0 } else { 2 };
                if !is_range {
                    return Ok(this.equal(from, at, H, first));
                }
                let low = this.compare(JGE, (from, at, H), u32::MAX, first);
                let high = this.compare(JGT, (from, at, H), u32::MAX, last);
                let high = this.not(high);
                Ok(this.and(low, high))
            })?;
            Ok::<Code, FilterError>(this.and(carried, port))
        };
        let carried = match ip_proto {
            Some(ip_proto) => one(self, ip_proto)?,
            None => {
                let (tcp, udp) = (one(self, 6)?, one(self, 17)?);
                let sctp = one(self, 132)?;
                let any = self.or(tcp, udp);
                self.or(sctp, any)
            }
        };
        Ok(self.and(kind, carried))
    }

    fn ports(&mut self, range: (u32, u32), ip_proto: Option<u32>, dir: Dir, what: &str) -> Made {
        let four = self.ports_of(false, range, ip_proto, dir, what)?;
        let six = self.ports_of(true, range, ip_proto, dir, what)?;
        Ok(self.or(six, four))
    }

    /// Geneve's outer UDP, over IPv4 or IPv6.
    pub(super) fn udp_to(&mut self, six: bool, port: u32) -> Made {
        self.ports_of(six, (port, port), Some(17), Dir::Dst, "ports")
    }

    fn carrier(proto: Proto, what: &str) -> Result<Option<u32>, FilterError> {
        match proto {
            Proto::Udp => Ok(Some(17)),
            Proto::Tcp => Ok(Some(6)),
            Proto::Sctp => Ok(Some(132)),
            Proto::Default => Ok(None),
            _ => Err(FilterError::new(format!("illegal qualifier of '{what}'"))),
        }
    }

    fn checked(port: u32) -> Result<u32, FilterError> {
        if port > 65535 { Err(FilterError::new(format!("illegal port number {port} > 65535"))) } else { Ok(port) }
    }

    pub(super) fn port(&mut self, port: u32, proto: Proto, dir: Dir) -> Made {
        let ip_proto = Self::carrier(proto, "port")?;
        let port = Self::checked(port)?;
        self.ports((port, port), ip_proto, dir, "ports")
    }

    pub(super) fn port_range(&mut self, (first, last): (u32, u32), proto: Proto, dir: Dir) -> Made {
        let ip_proto = Self::carrier(proto, "portrange")?;
        let (first, last) = (Self::checked(first)?, Self::checked(last)?);
        self.ports((first.min(last), first.max(last)), ip_proto, dir, "port ranges")
    }

    /// The port that `name` stands for, and the transport if it exists over one of TCP and UDP only.
    fn port_number(&mut self, name: &str) -> Option<(u32, Option<u32>)> {
        if let Ok(number) = name.parse::<u16>() {
            return Some((number.into(), None));
        }
        match self.names.port(name) {
            (Some(tcp), Some(udp)) if tcp == udp => Some((tcp.into(), None)),
            (Some(tcp), _) => Some((tcp.into(), Some(6))),
            (None, Some(udp)) => Some((udp.into(), Some(17))),
            (None, None) => None,
        }
    }

    /// Which transport to look at, after the name's and the filter's wishes.
    fn agreed(real: Option<u32>, proto: Proto, what: &str) -> Result<Option<u32>, FilterError> {
        let wanted = match proto {
            Proto::Udp => 17,
            Proto::Tcp => 6,
            Proto::Sctp => 132,
            _ => return Ok(real),
        };
        match real {
            Some(real) if real != wanted => {
                Err(FilterError::new(format!("{what} is {}", if real == 6 { "tcp" } else { "udp" })))
            }
            _ => Ok(Some(wanted)),
        }
    }

    pub(super) fn port_by_name(&mut self, name: &str, proto: Proto, dir: Dir) -> Made {
        Self::carrier(proto, "port")?;
        let (port, real) = self.port_number(name).ok_or_else(|| FilterError::new(format!("unknown port '{name}'")))?;
        let ip_proto = Self::agreed(real, proto, &format!("port '{name}'"))?;
        self.ports((port, port), ip_proto, dir, "ports")
    }

    pub(super) fn range_by_name(&mut self, name: &str, proto: Proto, dir: Dir) -> Made {
        Self::carrier(proto, "portrange")?;
        let (range, real) =
            self.range(name).ok_or_else(|| FilterError::new(format!("unknown port in range '{name}'")))?;
        let ip_proto = Self::agreed(real, proto, &format!("port in range '{name}'"))?;
        let (first, last) = (Self::checked(range.0)?, Self::checked(range.1)?);
        self.ports((first.min(last), first.max(last)), ip_proto, dir, "port ranges")
    }

    fn range(&mut self, name: &str) -> Option<((u32, u32), Option<u32>)> {
        let (first, last) = name.split_once('-')?;
        let leading = |text: &str| {
            let length = text.bytes().take_while(u8::is_ascii_digit).count();
            text.get(..length).and_then(|digits| digits.parse::<u32>().ok())
        };
        if let (Ok(first), Some(last)) = (first.parse::<u32>(), leading(last)) {
            return Some(((first, last), None));
        }
        let (first, last) = (self.port_number(first)?, self.port_number(last)?);
        Some(((first.0, last.0), if first.1 == last.1 { first.1 } else { None }))
    }

    /// The chain of headers holds `value`: a loop over IPv6's extension headers or AH.
    pub(super) fn chain(&mut self, value: u32, proto: Proto) -> Made {
        let six = match proto {
            Proto::Default => {
                // Taken and never used nor given back, which limits how often this may stand in a filter.
                self.take_cell()?;
                let four = self.chain(value, Proto::Ip)?;
                let six = self.chain(value, Proto::Ip6)?;
                return Ok(self.or(four, six));
            }
            Proto::Ip => false,
            Proto::Ip6 => true,
            _ => return Err(FilterError::new("bad protocol applied for 'protochain'")),
        };
        if self.payload.cell.is_some() {
            return Err(FilterError::new("'protochain' not supported with variable length headers"));
        }
        self.unoptimizable = true;
        let cell = self.take_cell()?;
        let base = self.payload.k.wrapping_add(self.net);
        let kind = self.link_type(if six { ETHER_IP6 } else { ETHER_IP })?;
        let mut list = if six {
            vec![stmt(LD | ABS | B, base.wrapping_add(6)), stmt(LDX | IMM, 40)]
        } else {
            vec![stmt(LD | ABS | B, base.wrapping_add(9)), stmt(LDX | MSH | B, base)]
        };
        let again = list.len();
        // Filled in once the length of the list is known: jumps to its end and to the step over AH.
        let mut to_end = Vec::new();
        let mut to_ah = Vec::new();
        for header in [value, 59] {
            to_end.push((list.len(), true));
            list.push(jump(JEQ, header, 1, 1));
        }
        if six {
            // Hop-by-hop options, destination options, routing, fragment: the same step over each.
            for (header, step) in [(0, 4), (60, 3), (43, 2), (FRAGMENT, 1)] {
                if header == FRAGMENT {
                    to_ah.push((list.len(), false));
                }
                list.push(jump(JEQ, header, step, 1));
            }
            list.extend([
                stmt(LD | IND | B, base),
                stmt(ST, cell),
                stmt(LD | IND | B, base.wrapping_add(1)),
                stmt(ALU | ADD, 1),
                stmt(ALU | MUL, 8),
                stmt(ALU | ADD | X, 0),
                stmt(MISC | TAX, 0),
                stmt(LD | MEM, cell),
            ]);
            list.push(back(list.len(), again));
        } else {
            list.push(stmt(ALU | ADD, 0));
        }
        let ah = list.len();
        to_end.push((ah, false));
        list.push(jump(JEQ, 51, 1, 1));
        list.extend([
            stmt(MISC | TXA, 0),
            stmt(LD | IND | B, base),
            stmt(ST, cell),
            stmt(MISC | TXA, 0),
            stmt(ALU | ADD, 1),
            stmt(MISC | TAX, 0),
            stmt(LD | IND | B, base),
            stmt(ALU | ADD, 2),
            stmt(ALU | MUL, 4),
            stmt(MISC | TAX, 0),
            stmt(LD | MEM, cell),
        ]);
        list.push(back(list.len(), again));
        let end = list.len();
        list.push(stmt(ALU | ADD, 0));
        for (target, jumps) in [(end, to_end), (ah, to_ah)] {
            for (at, if_equal) in jumps {
                let by = i16::try_from(target - at).unwrap_or(i16::MAX);
                if let Some(jump) = list.get_mut(at) {
                    if if_equal { jump.jt = by } else { jump.jf = by }
                }
            }
        }
        let found = self.graph.test(list, JEQ, value);
        self.free_cell(cell);
        Ok(self.and(kind, found))
    }
}

fn jump(op: u16, k: u32, jt: i16, jf: i16) -> Stmt {
    Stmt { code: JMP | op, k, jt, jf }
}

fn back(at: usize, target: usize) -> Stmt {
    let by = i16::try_from(at - target).unwrap_or(i16::MAX);
    Stmt { code: JMP | JA, k: 0, jt: -by, jf: 0 }
}
