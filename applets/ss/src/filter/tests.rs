use std::net::IpAddr;

use proptest::prelude::*;

use super::bytecode::{compile, interpreter};
use super::evaluate::Facts;
use super::host::Prefix;
use super::*;
use crate::select::{Family, Table};
use crate::socket::Socket;

struct World;

impl Lookup for World {
    fn service(&self, name: &str, udp: bool, tcp: bool) -> Result<Option<u16>, ()> {
        match name {
            "http" => Ok(Some(80)),
            "split" if udp && tcp => Err(()),
            _ => Ok(None),
        }
    }
    fn host(&self, name: &str) -> Vec<IpAddr> {
        if name == "web" { vec!["10.0.0.1".parse().unwrap(), "2001:db8::1".parse().unwrap()] } else { vec![] }
    }
    fn interface(&self, name: &str) -> Option<u32> {
        (name == "eth0").then_some(7)
    }
    fn cgroup(&self, path: &str) -> Option<u64> {
        (path == "/pods").then_some(99)
    }
}

impl Facts for World {
    fn is_ephemeral(&self, port: i64) -> bool {
        (32_768..=60_999).contains(&port)
    }
    fn held_by(&self, _: &Socket<'_>, name: &str) -> bool {
        name == "nginx"
    }
}

fn parsed(text: &str) -> Result<Parsed, Error> {
    let mut selection = Selection::default();
    selection.add(Table::Tcp);
    selection.add(Table::Udp);
    parse(&[text.to_owned()], &mut selection, &World)
}

fn node(text: &str) -> Node {
    parsed(text).unwrap_or_else(|error| panic!("{text}: {error}")).node.unwrap()
}

#[test]
fn one_level_from_left_to_right() {
    let (a, b, c) = (node("sport = :1"), node("sport = :2"), node("sport = :3"));
    assert_eq!(node("sport = :1 or sport = :2 and sport = :3"), a.clone().or(b.clone()).and(c.clone()));
    assert_eq!(node("sport = :1 sport = :2"), a.clone().and(b.clone()));
    assert_eq!(node("sport = :1 and ( sport = :2 or sport = :3 )"), a.clone().and(b.clone().or(c)));
    assert_eq!(node("not sport = :1 or sport = :2"), a.negated().or(b));
}

#[test]
fn spellings_of_operators() {
    for (left, right) in [
        ("dport = :80", "dport eq 80"),
        ("dport = :80", "dport :http"),
        ("dport == :80", "dport 0x50"),
        ("dport != :80", "dport neq :80"),
        ("dport != :80", "! dport = :80"),
        ("dport >= :80", "dport geq :80"),
        ("dport > :80", "dport gt :80"),
        ("dport < :80", "not dport ge :80"),
        ("dst 10.0.0.1 && sport 1", "dst = 10.0.0.1 & sport = :1"),
        ("dst 10.0.0.1 || sport 1", "dst = 10.0.0.1 | sport = :1"),
        // Without blanks, which the peer does not take.
        ("dport = :80", "dport=:80"),
        ("( dport = :80 )", "(dport=:80)"),
        ("( dport = :80 or ( dport >= :90 ) )", "(dport=:80 or (dport>=:90))"),
        ("! ( dport = :80 )", "!(dport=80)"),
        ("dst 10.1.0.0", "dst 10.1"),
        ("dst 10.1.0.0/16", "dst 10.1.0.0/255.255.0.0"),
        ("dst [::1]:80", "dst = [::1]:80"),
        ("dst ::1/128", "dst ::1"),
        ("dst web", "dst web:*"),
    ] {
        assert_eq!(node(left), node(right), "{left} / {right}");
    }
}

#[test]
fn addresses_split_as_the_peer_splits_them() {
    let inet = |address: &str, bits, port| Condition::Inet {
        prefixes: vec![Prefix { address: address.parse().unwrap(), bits }],
        port,
    };
    assert_eq!(node("dst 10.0.0.1:80"), Node::Remote(inet("10.0.0.1", 32, 80)));
    assert_eq!(node("dst 10.0.0.0/8:80"), Node::Remote(inet("10.0.0.0", 8, 80)));
    assert_eq!(node("src ::1:80"), Node::Local(inet("::1", 128, 80)));
    assert_eq!(node("src 2001:db8::/32"), Node::Local(inet("2001:db8::", 32, -1)));
    assert_eq!(node("dst *:80"), Node::Remote(Condition::Inet { prefixes: vec![], port: 80 }));
    assert_eq!(node("dst :80"), node("dst *:80"));
    assert_eq!(node("src unix:/run/*"), Node::Local(Condition::Unix("/run/*".into())));
    assert_eq!(node("src netlink:rtnl:kernel"), Node::Local(Condition::Netlink { protocol: Some(0), port_id: 0 }));
    assert_eq!(node("src link:arp:eth0"), Node::Local(Condition::Packet { protocol: Some(0x806), interface: 7 }));
    assert_eq!(node("dst vsock:2:1024"), Node::Remote(Condition::Vsock { cid: Some(2), port: 1024 }));
    assert_eq!(node("dev eth0"), Node::Device(7));
    assert_eq!(node("dev != 3"), Node::Device(3).negated());
    assert_eq!(node("fwmark = 0x1/0xff"), Node::Mark { mark: 1, mask: 255 });
    assert_eq!(node("cgroup = /pods"), Node::Cgroup(99));
}

#[test]
fn words_that_stand_alone() {
    let port = Condition::Inet { prefixes: vec![], port: 443 };
    assert_eq!(node(":443"), Node::Local(port.clone()).or(Node::Remote(port)));
    assert_eq!(node("nginx"), Node::Process("nginx".into()));
    assert!(matches!(node("10.0.0.0/8"), Node::Or(..)) && matches!(node("fe80::1"), Node::Or(..)));
    assert!(parsed("nginx").unwrap().shorthand && !parsed("sport 1").unwrap().shorthand);
}

#[test]
fn errors_name_the_word() {
    for (text, status, part) in [
        ("( sport = :1", 255, "its end"),
        ("sport = :1 )", 255, "\")\""),
        ("or sport = :1", 255, "\"or\""),
        ("sport =", 255, "its end"),
        ("dst >= 10.0.0.1", 255, "operator"),
        ("dst nosuch.example", 1, "inet prefix is expected rather than \"nosuch.example\""),
        ("dst 300.1.1.1", 1, "300.1.1.1"),
        ("dst 10.0.0.0/33", 1, "10.0.0.0/33"),
        ("sport = :nosuch", 1, "\"nosuch\" does not look like a port"),
        ("sport = :split", 1, "ambiguous"),
        ("dev nosuch0", 1, "nosuch0"),
        ("fwmark = x", 1, "mark x"),
        ("cgroup = /none", 1, "/none"),
        ("src [::1", 1, "[::1"),
        ("dprt = :80", 255, "did you mean `dport`?"),
        ("src vsock:x", 1, "x"),
    ] {
        let error = parsed(text).unwrap_err();
        assert_eq!(error.exit.0, status, "{text}: {error}");
        assert!(error.message.contains(part), "{text}: {error}");
    }
}

#[test]
fn a_prefixed_address_narrows_the_families() {
    let mut selection = Selection::default();
    selection.add(Table::Tcp);
    selection.complete();
    parse(&["src inet6:*".to_owned()], &mut selection, &World).unwrap();
    assert_eq!(selection.families, Family::Inet6.bit());
}

#[test]
fn size_is_bounded() {
    let deep = "( ".repeat(5000);
    assert!(parsed(&deep).unwrap_err().message.contains("more than"));
    assert!(parsed(&"not ".repeat(5000)).is_err());
    let long = vec!["sport 1"; 400].join(" or ");
    assert!(compile(&node(&format!("{} or sport 2", vec!["sport 1"; 200].join(" or ")))).is_some());
    assert!(parsed(&long).is_err());
}

#[test]
fn what_the_kernel_cannot_do_is_not_compiled() {
    for text in ["nginx", "sport >= :70000", "dport = :99999999999", "src unix:*", "src netlink:*"] {
        assert_eq!(compile(&node(text)), None, "{text}");
    }
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0u8..3, 0u8..3).prop_map(|(a, b)| IpAddr::from([10, a, 0, b])),
        (0u16..3, 0u16..3).prop_map(|(a, b)| IpAddr::from([0x2001, 0xdb8, a, 0, 0, 0, 0, b])),
        (0u8..3, 0u8..3).prop_map(|(a, b)| IpAddr::V6(std::net::Ipv4Addr::new(10, a, 0, b).to_ipv6_mapped())),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let prefix = (address(), 0u8..=128)
        .prop_map(|(address, bits)| Prefix { address, bits: if address.is_ipv4() { bits % 33 } else { bits } });
    (proptest::collection::vec(prefix, 0..3), -1i64..5).prop_map(|(prefixes, port)| Condition::Inet { prefixes, port })
}

fn any_node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        condition().prop_map(Node::Local),
        condition().prop_map(Node::Remote),
        (0i64..5).prop_map(Node::LocalPortAtLeast),
        (0i64..5).prop_map(Node::LocalPortAtMost),
        (0i64..5).prop_map(Node::RemotePortAtLeast),
        (0i64..5).prop_map(Node::RemotePortAtMost),
        (0u32..3).prop_map(Node::Device),
        (0u32..4, 0u32..4).prop_map(|(mark, mask)| Node::Mark { mark, mask }),
        (0u64..3).prop_map(Node::Cgroup),
        Just(Node::Autobound),
    ];
    leaf.prop_recursive(6, 40, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.and(b)),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.or(b)),
            inner.prop_map(Node::negated),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn bytecode_and_evaluation_agree(
        node in any_node(),
        (local, remote) in (address(), address()),
        (local_port, remote_port) in (0i64..5, 0i64..5),
        (interface, mark, cgroup) in (0u32..3, 0u32..4, 0u64..3),
    ) {
        let family = if local.is_ipv4() { Family::Inet } else { Family::Inet6 };
        let remote = if local.is_ipv4() == remote.is_ipv4() { remote } else { local };
        let socket = Socket {
            local: Some(local),
            remote: Some(remote),
            local_port,
            remote_port,
            interface,
            mark,
            cgroup,
            ..Socket::new(Table::Tcp, family)
        };
        let program = compile(&node).unwrap();
        let autobound = World.is_ephemeral(local_port);
        prop_assert_eq!(interpreter::accepts(&program, &socket, autobound), node.selects(&socket, &World), "{:?}", node);
    }

    #[test]
    fn hostile_words_do_no_harm(words in proptest::collection::vec("[ -~]{0,12}|dst|src|sport|dport|=|>=|\\(|\\)|not|or", 0..12)) {
        let mut selection = Selection::default();
        let _ = parse(&words, &mut selection, &World);
    }
}
