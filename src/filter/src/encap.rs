//! What moves the offsets of everything behind it: VLAN tags, MPLS labels, PPPoE sessions, Geneve; and facts of the link.

use super::FilterError;
use super::code::*;
use super::r#gen::{ETHER_IP, ETHER_IP6, From, Gen, Made, Offset};
use super::graph::{Code, Stmt, stmt};
use super::{Source, link};

/// EtherType of MPLS with a unicast label.
const ETHER_MPLS: u32 = 0x8847;
/// The same as PPP numbers it.
const PPP_MPLS: u32 = 0x0281;
/// EtherTypes of PPPoE's two stages.
const ETHER_PPPOED: u32 = 0x8863;
const ETHER_PPPOES: u32 = 0x8864;
/// EtherTypes that announce a VLAN tag: 802.1Q, 802.1ad and what came before it.
const TAGS: [u32; 3] = [0x8100, 0x88a8, 0x9100];
/// UDP port of Geneve (RFC 8926).
const GENEVE_PORT: u32 = 6081;
/// Geneve's protocol type for Ethernet.
const GENEVE_ETHERNET: u32 = 0x6558;

fn too_large(what: &str, value: u32, most: u32) -> Result<(), FilterError> {
    if value > most {
        return Err(FilterError::new(format!("{what} {value} greater than maximum {most}")));
    }
    Ok(())
}

impl Gen<'_> {
    /// A VLAN tag; what follows counts from behind it.
    pub(super) fn vlan(&mut self, tag: Option<u32>) -> Made {
        if self.labels > 0 {
            return Err(FilterError::new("no VLAN match after MPLS"));
        }
        if self.link != link::ETHERNET {
            return Err(FilterError::new(format!("no VLAN support for {}", self.link_name())));
        }
        if let Some(tag) = tag {
            too_large("VLAN tag", tag, 0xfff)?;
        }
        let outermost = self.vlans == 0 && !self.tunnelled && self.link_header.k == self.outer_header.k;
        let tagged =
            if self.source == Source::Live && outermost { self.live_vlan(tag)? } else { self.written_vlan(tag)? };
        self.vlans = self.vlans.saturating_add(1);
        Ok(tagged)
    }

    fn tag_type(&mut self) -> Made {
        let [first, second, third] = TAGS;
        let first = self.link_type(first)?;
        let second = self.link_type(second)?;
        let any = self.or(first, second);
        let third = self.link_type(third)?;
        Ok(self.or(any, third))
    }

    /// A tag that stands in the packet.
    fn written_vlan(&mut self, tag: Option<u32>) -> Made {
        let mut tagged = self.tag_type()?;
        if let Some(tag) = tag {
            let equal = self.masked(From::Net, 0, H, tag, 0x0fff);
            tagged = self.and(tagged, equal);
        }
        self.payload.k = self.payload.k.wrapping_add(4);
        if let Some(kind) = &mut self.type_field {
            kind.k = kind.k.wrapping_add(4);
        }
        Ok(tagged)
    }

    /// The outermost tag of a live packet: the kernel may have taken it off, then nothing moves; else what is behind
    /// moves by four octets, which is known when the program runs only.
    fn live_vlan(&mut self, tag: Option<u32>) -> Made {
        let present = self.graph.test(vec![stmt(LD | ABS | B, AD_VLAN_PRESENT)], JEQ, 1);
        let written = self.tag_type()?;
        let number = tag.map(|tag| {
            let mut list = vec![
                stmt(LD | ABS | B, AD_VLAN_PRESENT),
                Stmt { code: JMP | JEQ, k: 1, jt: 1, jf: 3 },
                stmt(LD | ABS | B, AD_VLAN_TAG),
                Stmt { code: JMP | JA, k: 0, jt: 2, jf: 0 },
            ];
            list.extend(self.load(From::Net, 0, H));
            list.push(stmt(ALU | AND, 0x0fff));
            self.graph.test(list, JEQ, tag)
        });
        let mut moved = Vec::new();
        let kind = self.type_field.unwrap_or_default();
        let mut places = [self.payload, kind];
        for place in &mut places {
            let cell = match place.cell {
                Some(cell) => cell,
                None => self.take_cell()?,
            };
            place.cell = Some(cell);
            self.zeroed.push(cell);
            moved.extend([stmt(LD | MEM, cell), stmt(ALU | ADD, 4), stmt(ST, cell)]);
        }
        let [payload, kind] = places;
        self.payload = payload;
        self.type_field = Some(kind);
        self.graph.prepend(&written, moved);
        let tagged = self.or(present, written);
        Ok(match number {
            Some(number) => self.and(tagged, number),
            None => tagged,
        })
    }

    /// A label of MPLS; what follows counts from behind it.
    pub(super) fn mpls(&mut self, label: Option<u32>) -> Made {
        let mut labelled = if self.labels > 0 {
            // The label before must not be the bottom of the stack.
            self.masked(From::Label, 2, B, 0, 1)
        } else {
            match self.link {
                link::ETHERNET | link::C_HDLC => self.link_type(ETHER_MPLS)?,
                link::PPP => self.link_type(PPP_MPLS)?,
                _ => return Err(FilterError::new(format!("no MPLS support for {}", self.link_name()))),
            }
        };
        if let Some(label) = label {
            too_large("MPLS label", label, 0xf_ffff)?;
            let equal = self.masked(From::Net, 0, W, label << 12, 0xffff_f000);
            labelled = self.and(labelled, equal);
        }
        self.net = self.net.wrapping_add(4);
        self.net_no_snap = self.net_no_snap.wrapping_add(4);
        self.labels = self.labels.saturating_add(1);
        Ok(labelled)
    }

    /// What is behind the last label: nothing says so but the version of an IP header.
    pub(super) fn label_type(&mut self, proto: u32) -> Made {
        let version = match proto {
            ETHER_IP => 0x40,
            ETHER_IP6 => 0x60,
            _ => return Err(FilterError::new("unsupported protocol over mpls")),
        };
        let bottom = self.masked(From::Label, 2, B, 1, 1);
        let version = self.masked(From::Net, 0, B, version, 0xf0);
        Ok(self.and(bottom, version))
    }

    pub(super) fn pppoe_discovery(&mut self) -> Made {
        self.link_type(ETHER_PPPOED)
    }

    /// A PPPoE session; what follows counts from behind its header.
    pub(super) fn pppoe_session(&mut self, session: Option<u32>) -> Made {
        let mut inside = self.link_type(ETHER_PPPOES)?;
        if let Some(session) = session {
            too_large("PPPoE session number", session, 0xffff)?;
            let equal = self.masked(From::Net, 0, W, session, 0x0000_ffff);
            inside = self.and(inside, equal);
        }
        let header = Offset { k: self.payload.k.wrapping_add(self.net).wrapping_add(6), cell: self.payload.cell };
        self.link = link::PPP;
        self.tunnelled = false;
        self.link_header = header;
        self.type_field = Some(header);
        self.payload = Offset { k: header.k.wrapping_add(2), cell: header.cell };
        self.net = 0;
        self.net_no_snap = 0;
        Ok(inside)
    }

    /// A Geneve tunnel; what follows counts from the inner header, wherever it begins.
    pub(super) fn geneve(&mut self, network: Option<u32>) -> Made {
        let four = self.geneve_over(false, network)?;
        let six = self.geneve_over(true, network)?;
        let any = self.or(four, six);
        let mut list =
            vec![stmt(ALU | ADD, self.payload.k.wrapping_add(self.net).wrapping_add(8)), stmt(MISC | TAX, 0)];
        let kind = self.take_cell()?;
        list.extend([
            stmt(ALU | ADD, 2),
            stmt(ST, kind),
            stmt(LD | IND | B, 0),
            stmt(ALU | AND, 0x3f),
            stmt(ALU | MUL, 4),
            stmt(ALU | ADD, 8),
            stmt(ALU | ADD | X, 0),
        ]);
        let header = self.take_cell()?;
        list.extend([stmt(ST, header), stmt(LD | IND | H, 2), stmt(LDX | MEM, header)]);
        // With an Ethernet header inside, type and payload are those behind it.
        let payload = self.take_cell()?;
        list.extend([
            Stmt { code: JMP | JEQ, k: GENEVE_ETHERNET, jt: 1, jf: 6 },
            stmt(MISC | TXA, 0),
            stmt(ALU | ADD, 12),
            stmt(ST, kind),
            stmt(ALU | ADD, 2),
            stmt(MISC | TAX, 0),
            stmt(STX, payload),
        ]);
        // Block by block, the optimiser knows nothing of the cells that the jump above leaves alone.
        self.unoptimizable = true;
        self.link = link::ETHERNET;
        self.tunnelled = true;
        let at = |cell| Offset { k: 0, cell: Some(cell) };
        self.link_header = at(header);
        self.type_field = Some(at(kind));
        self.payload = at(payload);
        self.net = 0;
        let found = self.graph.constant(true);
        self.graph.prepend(&found, list);
        Ok(self.and(any, found))
    }

    /// The outer headers of a Geneve packet; leaves the length of its IP header in A.
    fn geneve_over(&mut self, six: bool, network: Option<u32>) -> Made {
        let from = if six { From::Over6 } else { From::Over4 };
        let port = self.udp_to(six, GENEVE_PORT)?;
        let version = self.masked(from, 8, B, 0, 0xc0);
        let mut outer = self.and(port, version);
        if let Some(network) = network {
            too_large("Geneve VNI", network, 0xff_ffff)?;
            let equal = self.masked(from, 12, W, network << 8, 0xffff_ff00);
            outer = self.and(outer, equal);
        }
        let list = match (six, self.payload.cell) {
            (false, _) => {
                let mut list = self.load_header_length();
                list.push(stmt(MISC | TXA, 0));
                list
            }
            (true, None) => vec![stmt(LD | IMM, 40), stmt(MISC | TAX, 0)],
            (true, Some(cell)) => {
                vec![stmt(LDX | MEM, cell), stmt(LD | IMM, 40), stmt(ALU | ADD | X, 0), stmt(MISC | TAX, 0)]
            }
        };
        let length = self.graph.test(list, JEQ | X, 0);
        Ok(self.and(outer, length))
    }

    /// Leaving (or entering) this machine.
    pub(super) fn direction(&mut self, outbound: bool) -> Made {
        const OUTGOING: u32 = 4;
        let code = match self.link {
            link::LINUX_SLL => self.equal(From::Link, 0, H, OUTGOING),
            link::LINUX_SLL2 => self.equal(From::Link, 10, B, OUTGOING),
            _ if self.is_file() => {
                return Err(FilterError::new(format!(
                    "inbound/outbound not supported on {} when reading savefiles",
                    self.link_name()
                )));
            }
            _ => self.equal(From::Link, AD_PKTTYPE, H, OUTGOING),
        };
        Ok(if outbound { code } else { self.not(code) })
    }

    /// Through the interface of this index.
    pub(super) fn interface(&mut self, index: u32) -> Made {
        match self.link {
            link::LINUX_SLL2 => Ok(self.equal(From::Link, 4, W, index)),
            _ if self.is_file() => {
                Err(FilterError::new(format!("ifindex not supported on {} when reading savefiles", self.link_name())))
            }
            _ => Ok(self.equal(From::Link, AD_IFINDEX, W, index)),
        }
    }

    /// An 802.2 header.
    pub(super) fn llc(&mut self) -> Made {
        if self.link != link::ETHERNET {
            return Err(FilterError::new(format!("'llc' not supported for {}", self.link_name())));
        }
        let length = self.has_length();
        let bare = self.equal(From::Llc, 0, H, 0xffff);
        let header = self.not(bare);
        Ok(self.and(length, header))
    }

    /// An 802.2 header with a control field of a kind.
    pub(super) fn llc_kind(&mut self, name: &str) -> Made {
        let lower = name.to_ascii_lowercase();
        let llc = self.llc();
        let (value, mask) = match lower.as_str() {
            "i" => {
                let llc = llc?;
                let other = self.compare(JSET, (From::Llc, 2, B), u32::MAX, 1);
                let other = self.not(other);
                return Ok(self.and(llc, other));
            }
            "s" => (1, 3),
            "u" => (3, 3),
            "rr" => (0x01, 0x0f),
            "rnr" => (0x05, 0x0f),
            "rej" => (0x09, 0x0f),
            "ui" => (0x03, 0xef),
            "ua" => (0x63, 0xef),
            "disc" => (0x43, 0xef),
            "dm" => (0x0f, 0xef),
            "sabme" => (0x6f, 0xef),
            "test" => (0xe3, 0xef),
            "xid" => (0xaf, 0xef),
            "frmr" => (0x87, 0xef),
            _ => return Err(FilterError::new(format!("unknown LLC type name \"{name}\""))),
        };
        let llc = llc?;
        let kind = self.masked(From::Llc, 2, B, value, mask);
        Ok(self.and(llc, kind))
    }

    /// The length of the packet.
    pub(super) fn length(&mut self, op: u16, bytes: u32) -> Code {
        self.graph.test(vec![stmt(LD | LEN, 0)], op, bytes)
    }
}
