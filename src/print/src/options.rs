//! How to print.

use std::net::IpAddr;

/// The flags of tcpdump that change what is printed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// How many `-v`.
    pub verbose: u8,
    /// `-q`
    pub quiet: bool,
    /// `-e`
    pub link_header: bool,
    /// How many `-n`.
    pub numeric: u8,
    /// `-N`
    pub no_domain: bool,
    /// `-S`
    pub absolute_seq: bool,
    /// `-K`
    pub skip_checksums: bool,
    /// Checksums of local packets may be left to the hardware: said instead of called wrong.
    pub offloaded: bool,
    /// `-b`
    pub asdot: bool,
    /// `-#`
    pub number: bool,
    /// How many `-x`.
    pub hex: u8,
    /// How many `-X`.
    pub hex_ascii: u8,
    /// How many `-A`.
    pub ascii: u8,
    /// `-t`
    pub time: TimeStyle,
    /// Nine digits after the second.
    pub nano: bool,
    /// `-T`
    pub force: Option<Force>,
}

/// The time before each packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeStyle {
    /// Time of day.
    #[default]
    Clock,
    /// `-t`
    None,
    /// `-tt`: seconds since 1970.
    Seconds,
    /// `-ttt`: since the packet before.
    SinceLast,
    /// `-tttt`: with the date.
    Date,
    /// `-ttttt`: since the first packet.
    SinceFirst,
}

/// `-T`: what packets are taken for, whatever their ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// CARP
    Carp,
    /// DNS
    Domain,
    /// RADIUS
    Radius,
    /// Redis
    Resp,
    /// SNMP
    Snmp,
    /// TFTP
    Tftp,
    /// VXLAN
    Vxlan,
}

const FORCES: &[(&str, Force)] = &[
    ("carp", Force::Carp),
    ("domain", Force::Domain),
    ("radius", Force::Radius),
    ("resp", Force::Resp),
    ("snmp", Force::Snmp),
    ("tftp", Force::Tftp),
    ("vxlan", Force::Vxlan),
];

impl Force {
    /// The type of this name, as `-T` takes it.
    pub fn named(name: &str) -> Option<Force> {
        FORCES.iter().find(|entry| entry.0.eq_ignore_ascii_case(name)).map(|entry| entry.1)
    }
}

/// Where names come from when `-n` is not given.
pub trait Resolve {
    /// The name of an address.
    fn host(&mut self, address: IpAddr) -> Option<String>;
    /// The service at a port.
    fn port(&mut self, port: u16, tcp: bool) -> Option<String>;
}
