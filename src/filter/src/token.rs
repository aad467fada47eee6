//! Words of a filter. The longest reading wins; of two equally long ones the one that stands earlier in [`longest`].

use std::net::Ipv6Addr;

use super::FilterError;

/// A protocol that can qualify a primitive, stand alone or be indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proto {
    Default,
    Link,
    Ip,
    Arp,
    Rarp,
    Sctp,
    Tcp,
    Udp,
    Icmp,
    Igmp,
    Igrp,
    Atalk,
    Decnet,
    Lat,
    Sca,
    Moprc,
    Mopdl,
    Ip6,
    Icmp6,
    Ah,
    Esp,
    Pim,
    Vrrp,
    Aarp,
    Iso,
    Esis,
    Isis,
    Clnp,
    Stp,
    Ipx,
    Netbeui,
    L1,
    L2,
    Iih,
    Lsp,
    Snp,
    Csnp,
    Psnp,
    Radio,
    Carp,
    /// After something that leaves no qualifiers behind.
    Undefined,
}

/// Which address a primitive means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dir {
    Default,
    Src,
    Dst,
    Or,
    And,
    /// An address of a wireless frame, with the words that messages use for it.
    Wireless(&'static str),
}

/// A word of the grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    End,
    Proto(Proto),
    Src,
    Dst,
    Wireless(&'static str),
    Host,
    Net,
    Mask,
    Port,
    PortRange,
    ProtoWord,
    ProtoChain,
    Gateway,
    Type,
    Subtype,
    Direction,
    Less,
    Greater,
    Byte,
    Broadcast,
    Multicast,
    And,
    Or,
    Not,
    Len,
    Inbound,
    Outbound,
    IfIndex,
    Vlan,
    Mpls,
    Pppoed,
    Pppoes,
    Geneve,
    Llc,
    /// A word that only an ATM link knows, and whether a value follows.
    Atm(&'static str, bool),
    /// A word that only an SS7 link knows, whether a value follows, and the link's name.
    Ss7(&'static str, bool, &'static str),
    /// A word that only packets of PF have: 0 takes a word, 1 a number, 2 a reason, 3 an action.
    Pf(&'static str, u8),
    Number(u32),
    /// An operator, in its shortest spelling.
    Op(&'static str),
    Arcnet(String),
    Ether([u8; 6]),
    Ip4(String),
    Ip6(Ipv6Addr, String),
    Name(String),
    /// What is no word, with the reason where it looks like one.
    Bad(FilterError),
}

/// Where a token stands: bytes from the start of the text.
pub(super) type Span = (usize, usize);

/// The words of a text, one after the other.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Lexer<'a> {
        Lexer { text, at: 0 }
    }

    /// The next word and where it stands. A broken one is an error only once the grammar looks at it.
    pub(super) fn next(&mut self) -> (Token, Span) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let blank = rest.len() - rest.trim_start_matches([' ', '\r', '\n', '\t']).len();
        self.at += blank;
        let rest = rest.get(blank..).unwrap_or_default();
        if rest.is_empty() {
            return (Token::End, (self.text.len(), self.text.len()));
        }
        let (length, token) = longest(rest);
        let span = (self.at, self.at + length);
        self.at = span.1;
        (token.unwrap_or_else(Token::Bad), span)
    }
}

const OPERATORS: [&str; 24] = [
    ">=", "<=", "!=", "==", "<<", ">>", "&&", "||", "+", "-", "*", "/", "%", ":", "[", "]", "!", "<", ">", "(", ")",
    "&", "|", "^",
];

fn longest(text: &str) -> (usize, Result<Token, FilterError>) {
    let bytes = text.as_bytes();
    let slice = |length: usize| text.get(..length).unwrap_or_default();
    let word = word_length(bytes);
    let address = ether_length(bytes);
    let number = number_length(bytes);
    let dotted = dotted_length(bytes);
    let six = ip6_length(bytes);
    let bogus = bogus_ether_length(bytes);
    let most = word.max(address).max(number).max(dotted).max(six).max(bogus);
    if most == 0 {
        return other(text);
    }
    let found = slice(most);
    if word == most
        && let Some(token) = keyword(found)
    {
        return (most, Ok(token));
    }
    let token = if address == most {
        Ok(Token::Ether(ether(found)))
    } else if number == most {
        value(found).map(Token::Number)
    } else if dotted == most {
        Ok(Token::Ip4(found.to_owned()))
    } else if six == most {
        match found.parse() {
            Ok(address) => Ok(Token::Ip6(address, found.to_owned())),
            Err(_) => Err(FilterError::new(format!("bogus IPv6 address {found}"))),
        }
    } else if bogus == most {
        Err(FilterError::new(format!("bogus ethernet address {found}")))
    } else {
        match constant(found) {
            Some(number) => Ok(Token::Number(number)),
            None => Ok(Token::Name(found.to_owned())),
        }
    };
    (most, token)
}

/// What begins neither with a letter, a digit nor a colon that opens an address.
fn other(text: &str) -> (usize, Result<Token, FilterError>) {
    if let Some(escaped) = text.strip_prefix('\\') {
        let length = escaped.find([' ', '!', '(', ')', '\n', '\t']).unwrap_or(escaped.len());
        if length > 0 {
            return (length + 1, Ok(Token::Name(escaped.get(..length).unwrap_or_default().to_owned())));
        }
    }
    if let Some(octet) = text.strip_prefix('$') {
        let length = octet.bytes().take(2).take_while(u8::is_ascii_hexdigit).count();
        if length > 0 {
            return (length + 1, Ok(Token::Arcnet(octet.get(..length).unwrap_or_default().to_owned())));
        }
    }
    if let Some(op) = OPERATORS.iter().find(|op| text.starts_with(**op)) {
        let token = match *op {
            "&&" => Token::And,
            "||" => Token::Or,
            "!" => Token::Not,
            "==" => Token::Op("="),
            op => Token::Op(op),
        };
        return (op.len(), Ok(token));
    }
    if text.starts_with('=') {
        return (1, Ok(Token::Op("=")));
    }
    (
        text.chars().next().map_or(1, char::len_utf8),
        Err(FilterError::new("can't parse filter expression: syntax error")),
    )
}

/// A letter or digit, then letters, digits, `-`, `_` and `.`, the last of which is no `-` or `_`.
fn word_length(bytes: &[u8]) -> usize {
    if !bytes.first().is_some_and(u8::is_ascii_alphanumeric) {
        return 0;
    }
    let run = bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte)).count();
    let end =
        bytes.get(..run).and_then(|run| run.iter().rposition(|byte| *byte == b'.' || byte.is_ascii_alphanumeric()));
    end.map_or(1, |last| last + 1)
}

fn number_length(bytes: &[u8]) -> usize {
    if let [b'0', b'x' | b'X', rest @ ..] = bytes {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        if digits > 0 {
            return digits + 2;
        }
    }
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Two to four numbers with dots between them.
fn dotted_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    let mut found = 0;
    for part in 0..4 {
        let length = number_length(bytes.get(at..).unwrap_or_default());
        if length == 0 {
            break;
        }
        at += length;
        if part > 0 {
            found = at;
        }
        if bytes.get(at) != Some(&b'.') {
            break;
        }
        at += 1;
    }
    found
}

fn hex_run(bytes: &[u8], at: usize, most: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter().take(most).take_while(|byte| byte.is_ascii_hexdigit()).count()
}

/// Six octets with one kind of separator, three groups of four digits with dots, or twelve digits.
fn ether_length(bytes: &[u8]) -> usize {
    let grouped = |groups: usize, digits: usize, exact: bool, separator: Option<u8>| {
        let mut at = 0;
        for group in 0..groups {
            if group > 0
                && let Some(separator) = separator
            {
                if bytes.get(at) != Some(&separator) {
                    return 0;
                }
                at += 1;
            }
            let run = hex_run(bytes, at, digits);
            if run == 0 || exact && run < digits {
                return 0;
            }
            at += run;
        }
        at
    };
    let octets = [b':', b'-', b'.'].map(|separator| grouped(6, 2, false, Some(separator)));
    let [a, b, c] = octets;
    a.max(b).max(c).max(grouped(3, 4, true, Some(b'.'))).max(grouped(3, 4, true, None))
}

fn ether(text: &str) -> [u8; 6] {
    let mut digits = [0u8; 12];
    let parts: Vec<&str> = text.split([':', '-', '.']).collect();
    let width = 12 / parts.len().max(1);
    let mut at = 0;
    for part in parts {
        at += width.saturating_sub(part.len());
        for digit in part.bytes() {
            if let Some(slot) = digits.get_mut(at) {
                *slot = char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or_default();
            }
            at += 1;
        }
    }
    let [a, b, c, d, e, f, g, h, i, j, k, l] = digits;
    [a << 4 | b, c << 4 | d, e << 4 | f, g << 4 | h, i << 4 | j, k << 4 | l]
}

/// Groups of colons between octets with a colon at the end: what a mistyped hardware address looks like.
fn bogus_ether_length(bytes: &[u8]) -> usize {
    let (mut at, mut groups, mut found) = (0, 0, 0);
    loop {
        let digits = hex_run(bytes, at, 2);
        let colons = bytes.get(at + digits..).unwrap_or_default().iter().take_while(|byte| **byte == b':').count();
        if digits == 0 || colons == 0 {
            return found;
        }
        at += digits + colons;
        groups += 1;
        if groups >= 2 {
            found = at;
        }
    }
}

/// Longest text looked at as an IPv6 address, in bytes.
const MAX_IP6: usize = 80;

fn ip6_length(bytes: &[u8]) -> usize {
    let run = bytes.iter().take(MAX_IP6).take_while(|byte| byte.is_ascii_hexdigit() || b":.xX".contains(byte)).count();
    if !bytes.iter().take(5).any(|byte| *byte == b':') {
        return 0;
    }
    (2..=run).rev().find(|&length| looks_like_ip6(bytes.get(..length).unwrap_or_default())).unwrap_or(0)
}

/// Groups of up to four digits with one `::` or eight of them; the last two groups may be an IPv4 address.
fn looks_like_ip6(bytes: &[u8]) -> bool {
    let gap = bytes.windows(2).position(|pair| pair == b"::");
    let (left, right) = match gap {
        Some(gap) => (bytes.get(..gap).unwrap_or_default(), bytes.get(gap + 2..).unwrap_or_default()),
        None => (Default::default(), bytes),
    };
    let (Some((before, false)), Some((after, dotted))) = (groups(left), groups(right)) else { return false };
    let count = before + after + if dotted { 2 } else { 0 };
    if gap.is_some() { count <= 7 } else { count == 8 }
}

/// How many groups, not counting the IPv4 address at the end, and whether there is one.
fn groups(bytes: &[u8]) -> Option<(usize, bool)> {
    if bytes.is_empty() {
        return Some((0, false));
    }
    let mut count = 0;
    let mut parts = bytes.split(|byte| *byte == b':').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() && part.contains(&b'.') {
            let whole = part.iter().filter(|byte| **byte == b'.').count() == 3;
            return (whole && dotted_length(part) == part.len()).then_some((count, true));
        }
        if part.is_empty() || part.len() > 4 || !part.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        count += 1;
    }
    Some((count, false))
}

/// A number in C's notation.
pub(super) fn value(text: &str) -> Result<u32, FilterError> {
    let (digits, radix, kind) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => (hex, 16, "hex"),
        None if text.len() > 1 && text.starts_with('0') => (text, 8, "octal"),
        None => (text, 10, "decimal"),
    };
    let mut number: u32 = 0;
    for digit in digits.chars() {
        let digit = digit
            .to_digit(radix)
            .ok_or_else(|| FilterError::new(format!("number {text} contains non-{kind} digit")))?;
        number = number
            .checked_mul(radix)
            .and_then(|number| number.checked_add(digit))
            .ok_or_else(|| FilterError::new(format!("number {text} overflows 32 bits")))?;
    }
    Ok(number)
}

const ADDR1: &str = "'addr1' and 'address1'";
const ADDR2: &str = "'addr2' and 'address2'";
const ADDR3: &str = "'addr3' and 'address3'";
const ADDR4: &str = "'addr4' and 'address4'";

fn keyword(word: &str) -> Option<Token> {
    use Token as T;
    const MTP2: &str = "MTP2";
    const HSL: &str = "MTP2_HSL";
    const SS7: &str = "SS7";
    if let Some(proto) = proto(word) {
        return Some(T::Proto(proto));
    }
    Some(match word {
        "dst" => T::Dst,
        "src" => T::Src,
        "host" => T::Host,
        "net" => T::Net,
        "mask" => T::Mask,
        "port" => T::Port,
        "portrange" => T::PortRange,
        "proto" => T::ProtoWord,
        "protochain" => T::ProtoChain,
        "gateway" => T::Gateway,
        "type" => T::Type,
        "subtype" => T::Subtype,
        "direction" | "dir" => T::Direction,
        "address1" | "addr1" => T::Wireless(ADDR1),
        "address2" | "addr2" => T::Wireless(ADDR2),
        "address3" | "addr3" => T::Wireless(ADDR3),
        "address4" | "addr4" => T::Wireless(ADDR4),
        "ra" => T::Wireless("'ra'"),
        "ta" => T::Wireless("'ta'"),
        "less" => T::Less,
        "greater" => T::Greater,
        "byte" => T::Byte,
        "broadcast" => T::Broadcast,
        "multicast" => T::Multicast,
        "and" => T::And,
        "or" => T::Or,
        "not" => T::Not,
        "len" | "length" => T::Len,
        "inbound" => T::Inbound,
        "outbound" => T::Outbound,
        "ifindex" => T::IfIndex,
        "vlan" => T::Vlan,
        "mpls" => T::Mpls,
        "pppoed" => T::Pppoed,
        "pppoes" => T::Pppoes,
        "geneve" => T::Geneve,
        "llc" => T::Llc,
        "lane" => T::Atm("lane", false),
        "metac" => T::Atm("metac", false),
        "bcc" => T::Atm("bcc", false),
        "oam" => T::Atm("oam", false),
        "oamf4" => T::Atm("oamf4", false),
        "oamf4ec" => T::Atm("oam4ec", false),
        "oamf4sc" => T::Atm("oam4sc", false),
        "sc" => T::Atm("sc", false),
        "ilmic" => T::Atm("ilmic", false),
        "connectmsg" => T::Atm("connectmsg", false),
        "metaconnect" => T::Atm("metaconnect", false),
        "vpi" => T::Atm("vpi", true),
        "vci" => T::Atm("vci", true),
        "on" | "ifname" => T::Pf("ifname", 0),
        "rset" | "ruleset" => T::Pf("ruleset", 0),
        "rnr" | "rulenum" => T::Pf("rnr", 1),
        "srnr" | "subrulenum" => T::Pf("srnr", 1),
        "reason" => T::Pf("reason", 2),
        "action" => T::Pf("action", 3),
        "fisu" => T::Ss7("fisu", false, MTP2),
        "lssu" | "lsu" => T::Ss7("lssu", false, MTP2),
        "msu" => T::Ss7("msu", false, MTP2),
        "hfisu" => T::Ss7("hfisu", false, HSL),
        "hlssu" => T::Ss7("hlssu", false, HSL),
        "hmsu" => T::Ss7("hmsu", false, HSL),
        "sio" => T::Ss7("sio", true, SS7),
        "opc" => T::Ss7("opc", true, SS7),
        "dpc" => T::Ss7("dpc", true, SS7),
        "sls" => T::Ss7("sls", true, SS7),
        "hsio" => T::Ss7("hsio", true, SS7),
        "hopc" => T::Ss7("hopc", true, SS7),
        "hdpc" => T::Ss7("hdpc", true, SS7),
        "hsls" => T::Ss7("hsls", true, SS7),
        _ => return None,
    })
}

/// Protocols by name, in the words that messages use for them first.
const PROTOS: &[(&str, Proto)] = &[
    ("link", Proto::Link),
    ("ether", Proto::Link),
    ("ppp", Proto::Link),
    ("slip", Proto::Link),
    ("fddi", Proto::Link),
    ("tr", Proto::Link),
    ("wlan", Proto::Link),
    ("ip", Proto::Ip),
    ("arp", Proto::Arp),
    ("rarp", Proto::Rarp),
    ("sctp", Proto::Sctp),
    ("tcp", Proto::Tcp),
    ("udp", Proto::Udp),
    ("icmp", Proto::Icmp),
    ("igmp", Proto::Igmp),
    ("igrp", Proto::Igrp),
    ("pim", Proto::Pim),
    ("vrrp", Proto::Vrrp),
    ("carp", Proto::Carp),
    ("radio", Proto::Radio),
    ("ip6", Proto::Ip6),
    ("icmp6", Proto::Icmp6),
    ("ah", Proto::Ah),
    ("esp", Proto::Esp),
    ("atalk", Proto::Atalk),
    ("aarp", Proto::Aarp),
    ("decnet", Proto::Decnet),
    ("lat", Proto::Lat),
    ("sca", Proto::Sca),
    ("moprc", Proto::Moprc),
    ("mopdl", Proto::Mopdl),
    ("iso", Proto::Iso),
    ("esis", Proto::Esis),
    ("es-is", Proto::Esis),
    ("isis", Proto::Isis),
    ("is-is", Proto::Isis),
    ("l1", Proto::L1),
    ("l2", Proto::L2),
    ("iih", Proto::Iih),
    ("lsp", Proto::Lsp),
    ("snp", Proto::Snp),
    ("csnp", Proto::Csnp),
    ("psnp", Proto::Psnp),
    ("clnp", Proto::Clnp),
    ("stp", Proto::Stp),
    ("ipx", Proto::Ipx),
    ("netbeui", Proto::Netbeui),
];

fn proto(word: &str) -> Option<Proto> {
    PROTOS.iter().find(|(name, _)| *name == word).map(|(_, proto)| *proto)
}

impl Proto {
    /// How messages name it.
    pub(super) fn name(self) -> &'static str {
        PROTOS.iter().find(|(_, proto)| *proto == self).map_or("link", |(name, _)| name)
    }
}

/// Names of offsets, types and flags that stand for numbers.
const CONSTANTS: &[(&str, u32)] = &[
    ("icmptype", 0),
    ("icmpcode", 1),
    ("icmp-echoreply", 0),
    ("icmp-unreach", 3),
    ("icmp-sourcequench", 4),
    ("icmp-redirect", 5),
    ("icmp-echo", 8),
    ("icmp-routeradvert", 9),
    ("icmp-routersolicit", 10),
    ("icmp-timxceed", 11),
    ("icmp-paramprob", 12),
    ("icmp-tstamp", 13),
    ("icmp-tstampreply", 14),
    ("icmp-ireq", 15),
    ("icmp-ireqreply", 16),
    ("icmp-maskreq", 17),
    ("icmp-maskreply", 18),
    ("icmp6type", 0),
    ("icmp6code", 1),
    ("icmp6-destinationunreach", 1),
    ("icmp6-packettoobig", 2),
    ("icmp6-timeexceeded", 3),
    ("icmp6-parameterproblem", 4),
    ("icmp6-echo", 128),
    ("icmp6-echoreply", 129),
    ("icmp6-multicastlistenerquery", 130),
    ("icmp6-multicastlistenerreportv1", 131),
    ("icmp6-multicastlistenerdone", 132),
    ("icmp6-routersolicit", 133),
    ("icmp6-routeradvert", 134),
    ("icmp6-neighborsolicit", 135),
    ("icmp6-neighboradvert", 136),
    ("icmp6-redirect", 137),
    ("icmp6-routerrenum", 138),
    ("icmp6-nodeinformationquery", 139),
    ("icmp6-nodeinformationresponse", 140),
    ("icmp6-ineighbordiscoverysolicit", 141),
    ("icmp6-ineighbordiscoveryadvert", 142),
    ("icmp6-multicastlistenerreportv2", 143),
    ("icmp6-homeagentdiscoveryrequest", 144),
    ("icmp6-homeagentdiscoveryreply", 145),
    ("icmp6-mobileprefixsolicit", 146),
    ("icmp6-mobileprefixadvert", 147),
    ("icmp6-certpathsolicit", 148),
    ("icmp6-certpathadvert", 149),
    ("icmp6-multicastrouteradvert", 151),
    ("icmp6-multicastroutersolicit", 152),
    ("icmp6-multicastrouterterm", 153),
    ("tcpflags", 13),
    ("tcp-fin", 0x01),
    ("tcp-syn", 0x02),
    ("tcp-rst", 0x04),
    ("tcp-push", 0x08),
    ("tcp-ack", 0x10),
    ("tcp-urg", 0x20),
    ("tcp-ece", 0x40),
    ("tcp-cwr", 0x80),
];

fn constant(word: &str) -> Option<u32> {
    CONSTANTS.iter().find(|(name, _)| *name == word).map(|(_, number)| *number)
}
