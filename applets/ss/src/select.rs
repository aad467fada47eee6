//! What is selected before any filter: socket tables, address families, states (ss(8), "OPTIONS" and "STATE-FILTER").

/// A socket table; the discriminant is its bit in [`Selection::tables`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    Tcp,
    Mptcp,
    Udp,
    Raw,
    UnixDgram,
    UnixStream,
    UnixSeqpacket,
    PacketDgram,
    PacketRaw,
    Netlink,
    Sctp,
    VsockStream,
    VsockDgram,
}

impl Table {
    pub(crate) const ALL: [Table; 13] = [
        Table::Tcp,
        Table::Mptcp,
        Table::Udp,
        Table::Raw,
        Table::UnixDgram,
        Table::UnixStream,
        Table::UnixSeqpacket,
        Table::PacketDgram,
        Table::PacketRaw,
        Table::Netlink,
        Table::Sctp,
        Table::VsockStream,
        Table::VsockDgram,
    ];

    pub(crate) const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// States shown when no option names any.
    fn default_states(self) -> u32 {
        match self {
            Table::Udp | Table::Raw => state::ESTABLISHED,
            Table::UnixDgram | Table::PacketDgram | Table::PacketRaw | Table::Netlink => state::CLOSE,
            _ => state::CONNECTED,
        }
    }

    fn families(self) -> u32 {
        match self {
            Table::Tcp | Table::Mptcp | Table::Udp | Table::Raw | Table::Sctp => {
                Family::Inet.bit() | Family::Inet6.bit()
            }
            Table::UnixDgram | Table::UnixStream | Table::UnixSeqpacket => Family::Unix.bit(),
            Table::PacketDgram | Table::PacketRaw => Family::Packet.bit(),
            Table::Netlink => Family::Netlink.bit(),
            Table::VsockStream | Table::VsockDgram => Family::Vsock.bit(),
        }
    }
}

/// An address family; the number is Linux's (socket(2), linux/socket.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    Unix = 1,
    Inet = 2,
    Inet6 = 10,
    Netlink = 16,
    Packet = 17,
    Vsock = 40,
}

impl Family {
    const ALL: [Family; 6] =
        [Family::Unix, Family::Inet, Family::Inet6, Family::Netlink, Family::Packet, Family::Vsock];

    /// Its bit in [`Selection::families`], which are not Linux's numbers: those do not fit.
    pub(crate) const fn bit(self) -> u32 {
        match self {
            Family::Unix => 1,
            Family::Inet => 2,
            Family::Inet6 => 4,
            Family::Netlink => 8,
            Family::Packet => 16,
            Family::Vsock => 32,
        }
    }

    /// The word of `-f` and of an address prefix.
    pub(crate) fn named(word: &str) -> Option<Family> {
        Some(match word {
            "unix" => Family::Unix,
            "inet" => Family::Inet,
            "inet6" => Family::Inet6,
            "netlink" => Family::Netlink,
            "link" => Family::Packet,
            "vsock" => Family::Vsock,
            _ => return None,
        })
    }

    fn tables(self) -> u32 {
        match self {
            Family::Unix => UNIX,
            Family::Inet | Family::Inet6 => INET,
            Family::Netlink => Table::Netlink.bit(),
            Family::Packet => PACKET,
            Family::Vsock => VSOCK,
        }
    }

    fn default_states(self) -> u32 {
        match self {
            Family::Netlink | Family::Packet => state::CLOSE,
            _ => state::CONNECTED,
        }
    }
}

pub(crate) const UNIX: u32 = Table::UnixDgram.bit() | Table::UnixStream.bit() | Table::UnixSeqpacket.bit();
pub(crate) const PACKET: u32 = Table::PacketDgram.bit() | Table::PacketRaw.bit();
pub(crate) const VSOCK: u32 = Table::VsockStream.bit() | Table::VsockDgram.bit();
pub(crate) const INET: u32 =
    Table::Tcp.bit() | Table::Mptcp.bit() | Table::Udp.bit() | Table::Raw.bit() | Table::Sctp.bit();
const EVERYTHING: u32 = INET | UNIX | PACKET | VSOCK | Table::Netlink.bit();

/// Sets of socket states, as bits by the kernel's numbers (net/tcp_states.h).
pub(crate) mod state {
    pub(crate) const ESTABLISHED: u32 = 1 << 1;
    pub(crate) const SYN_SENT: u32 = 1 << 2;
    pub(crate) const SYN_RECV: u32 = 1 << 3;
    pub(crate) const TIME_WAIT: u32 = 1 << 6;
    pub(crate) const CLOSE: u32 = 1 << 7;
    pub(crate) const LISTEN: u32 = 1 << 10;
    pub(crate) const BOUND_INACTIVE: u32 = 1 << 13;
    /// The kernel's number for half-open connections, which it shows as SYN-RECV when that is asked for.
    const NEW_SYN_RECV: u32 = 1 << 12;
    pub(crate) const ALL: u32 = ((1 << 14) - 1) & !NEW_SYN_RECV;
    /// What is shown when nothing is asked for. The peer's newest releases also show bound sockets here, by accident of
    /// their mask.
    pub(crate) const CONNECTED: u32 = ALL & !(LISTEN | CLOSE | TIME_WAIT | SYN_RECV | BOUND_INACTIVE);

    /// Numbers of the states that the code tells apart.
    pub(crate) const N_ESTABLISHED: u8 = 1;
    pub(crate) const N_CLOSE: u8 = 7;
    pub(crate) const N_CLOSE_WAIT: u8 = 8;
    pub(crate) const N_LISTEN: u8 = 10;

    /// The label of a state number, as it stands in the State column.
    pub(crate) fn label(number: u8) -> &'static str {
        match number {
            1 => "ESTAB",
            2 => "SYN-SENT",
            3 => "SYN-RECV",
            4 => "FIN-WAIT-1",
            5 => "FIN-WAIT-2",
            6 => "TIME-WAIT",
            7 => "UNCONN",
            8 => "CLOSE-WAIT",
            9 => "LAST-ACK",
            10 => "LISTEN",
            11 => "CLOSING",
            12 | 13 => "UNDEF",
            _ => "UNKNOWN",
        }
    }

    /// The set a STATE-FILTER word stands for.
    pub(crate) fn named(word: &str) -> Option<u32> {
        let number = |number: u32| 1u32 << number;
        Some(match word.to_ascii_lowercase().as_str() {
            "all" => ALL,
            "connected" => ALL & !(CLOSE | LISTEN | BOUND_INACTIVE),
            "synchronized" => ALL & !(CLOSE | LISTEN | SYN_SENT | BOUND_INACTIVE),
            "bucket" => SYN_RECV | TIME_WAIT,
            "big" => ALL & !(SYN_RECV | TIME_WAIT),
            "established" => number(1),
            "syn-sent" => number(2),
            "syn-recv" | "syn-rcv" => number(3),
            "fin-wait-1" => number(4),
            "fin-wait-2" => number(5),
            "time-wait" => number(6),
            "close" | "closed" | "unconnected" => number(7),
            "close-wait" => number(8),
            "last-ack" => number(9),
            "listening" => number(10),
            "closing" => number(11),
            "bound-inactive" => BOUND_INACTIVE,
            "unknown" => number(0),
            _ => return None,
        })
    }
}

/// Tables, families and states, filled in the order of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) tables: u32,
    pub(crate) families: u32,
    pub(crate) states: u32,
    /// The family named last; addresses without a prefix are read as its own.
    pub(crate) preferred: Option<Family>,
    /// No option has named a table or family yet.
    pub(crate) untouched: bool,
}

impl Default for Selection {
    fn default() -> Selection {
        Selection { tables: 0, families: 0, states: 0, preferred: None, untouched: true }
    }
}

impl Selection {
    pub(crate) fn has(&self, table: Table) -> bool {
        self.tables & table.bit() != 0
    }

    pub(crate) fn has_family(&self, family: Family) -> bool {
        self.families & family.bit() != 0
    }

    pub(crate) fn add(&mut self, table: Table) {
        self.states |= table.default_states();
        self.tables |= table.bit();
        self.untouched = false;
    }

    pub(crate) fn add_family(&mut self, family: Family) {
        self.states |= family.default_states();
        self.families |= family.bit();
        self.preferred = Some(family);
        self.untouched = false;
    }

    /// Adds or, with a leading `!`, removes the tables of one word of `-A`. False when the word names none.
    pub(crate) fn query(&mut self, word: &str) -> bool {
        let (enable, name) = word.strip_prefix('!').map_or((true, word), |name| (false, name));
        let Some(set) = tables_named(name) else { return false };
        for table in Table::ALL {
            if set & table.bit() == 0 {
                continue;
            }
            if enable {
                self.add(table);
            } else {
                self.tables &= !table.bit();
            }
        }
        self.untouched = false;
        true
    }

    /// What an option did not say: families of the tables, tables of the families.
    pub(crate) fn complete(&mut self) {
        for table in Table::ALL {
            if self.has(table) && table.families() & self.families == 0 {
                self.families |= table.families();
            }
        }
        for family in Family::ALL {
            if self.has_family(family) && family.tables() & self.tables == 0 {
                self.tables |= family.tables();
            }
        }
    }

    /// An address in a filter belongs to `family`: only that family is shown from now on.
    pub(crate) fn narrow(&mut self, family: Family) {
        self.families = family.bit();
        self.preferred = Some(family);
    }
}

fn tables_named(name: &str) -> Option<u32> {
    Some(match name {
        "all" => EVERYTHING,
        "inet" => INET,
        "tcp" => Table::Tcp.bit(),
        "mptcp" => Table::Mptcp.bit(),
        "udp" => Table::Udp.bit(),
        "raw" => Table::Raw.bit(),
        "sctp" => Table::Sctp.bit(),
        "unix" => UNIX,
        "unix_stream" | "u_str" => Table::UnixStream.bit(),
        "unix_dgram" | "u_dgr" => Table::UnixDgram.bit(),
        "unix_seqpacket" | "u_seq" => Table::UnixSeqpacket.bit(),
        "packet" => PACKET,
        "packet_raw" | "p_raw" => Table::PacketRaw.bit(),
        "packet_dgram" | "p_dgr" => Table::PacketDgram.bit(),
        "netlink" => Table::Netlink.bit(),
        "vsock" => VSOCK,
        "vsock_stream" | "v_str" => Table::VsockStream.bit(),
        "vsock_dgram" | "v_dgr" => Table::VsockDgram.bit(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_complete_each_other() {
        let mut selection = Selection::default();
        selection.add(Table::Tcp);
        selection.complete();
        assert_eq!(selection.families, Family::Inet.bit() | Family::Inet6.bit());
        let mut selection = Selection::default();
        selection.add_family(Family::Inet6);
        selection.complete();
        assert_eq!((selection.tables, selection.families), (INET, Family::Inet6.bit()));
        let mut selection = Selection::default();
        selection.add(Table::Tcp);
        selection.add_family(Family::Unix);
        selection.complete();
        assert!(selection.has_family(Family::Inet) && selection.has(Table::Tcp));
    }

    #[test]
    fn queries_add_and_remove() {
        let mut selection = Selection::default();
        assert!(selection.query("all") && selection.query("!tcp") && !selection.query("!nosuch"));
        assert!(!selection.has(Table::Tcp) && selection.has(Table::Udp));
    }

    #[test]
    fn state_words() {
        assert_eq!(state::named("ESTABLISHED"), Some(state::ESTABLISHED));
        assert_eq!(state::named("new-syn-recv"), None);
        assert_eq!(state::named("bucket"), Some(state::SYN_RECV | state::TIME_WAIT));
    }
}
