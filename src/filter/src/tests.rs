use super::*;
use proptest::prelude::*;

fn options(link: u32, optimize: bool) -> Options {
    Options { link, snaplen: 262_144, source: Source::Nowhere, netmask: Some(0), optimize }
}

fn compiled(text: &str) -> Program {
    compile(text, &options(link::ETHERNET, true), &mut BuiltIn).unwrap()
}

fn refused(text: &str) -> (String, Option<(usize, usize)>) {
    let error = compile(text, &options(link::ETHERNET, true), &mut BuiltIn).unwrap_err();
    (error.message, error.span)
}

/// Ethernet, IPv4 with `options` words of options, TCP from port 40000 to 80 with SYN.
fn syn(options: usize) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    frame.extend([
        0x45 + u8::try_from(options).unwrap(),
        0,
        0,
        40,
        0,
        1,
        0x40,
        0,
        64,
        6,
        0,
        0,
        10,
        0,
        0,
        1,
        10,
        0,
        0,
        2,
    ]);
    frame.resize(frame.len() + 4 * options, 1);
    frame.extend([0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0x20, 0, 0, 0, 0, 0]);
    frame
}

fn passes(text: &str, frame: &[u8]) -> bool {
    compiled(text).run(frame, u32::try_from(frame.len()).unwrap(), None) != 0
}

#[test]
fn selects_by_what_is_in_a_packet() {
    for options in [0, 1, 5] {
        let frame = syn(options);
        for text in [
            "tcp",
            "port 80",
            "tcp dst port http-alt or dst port 80",
            "src host 10.0.0.1 and dst host 10.0.0.2",
            "net 10",
            "net 10.0.0.0/24",
            "tcp[tcpflags] = tcp-syn",
            "portrange 79-81",
            "ether src 2:0:0:0:0:1",
            "ip[9] = 6",
            "not (udp or arp)",
            "len >= 54",
            "tcp[2:2] / 8 = 10",
            "ip proto \\tcp",
            "host (10.0.0.9 or 10.0.0.2)",
        ] {
            let text = text.replace("tcp dst port http-alt or ", "");
            assert!(passes(&text, &frame), "{text}");
        }
        for text in
            ["udp", "port 81", "dst host 10.0.0.1", "net 11", "tcp[tcpflags] & tcp-ack != 0", "ip6", "vlan", "less 53"]
        {
            assert!(!passes(text, &frame), "{text}");
        }
    }
}

#[test]
fn a_load_behind_the_end_selects_nothing_whatever_is_asked() {
    let frame = syn(0);
    for length in 0..frame.len() {
        let whole = passes("not tcp port 81", &frame[..length]);
        assert_eq!(whole, length >= 38, "{length}");
    }
}

#[test]
fn the_empty_filter_takes_everything() {
    assert_eq!(compiled(" \t").text(Style::Decimal), "1\n6 0 0 262144\n");
    assert!(passes("", &[]));
}

#[test]
fn shown_in_three_ways() {
    let program = compiled("ip");
    assert_eq!(
        program.text(Style::Words),
        "(000) ldh      [12]\n(001) jeq      #0x800           jt 2\tjf 3\n(002) ret      #262144\n(003) ret      #0\n"
    );
    assert_eq!(
        program.text(Style::C),
        "{ 0x28, 0, 0, 0x0000000c },\n{ 0x15, 0, 1, 0x00000800 },\n{ 0x6, 0, 0, 0x00040000 },\n{ 0x6, 0, 0, 0x00000000 },\n"
    );
    assert_eq!(program.text(Style::Decimal), "4\n40 0 0 12\n21 0 1 2048\n6 0 0 262144\n6 0 0 0\n");
}

#[test]
fn refusals_point_at_the_word() {
    for (text, message, word) in [
        ("tcp and prot 7", "syntax error in filter expression", "prot"),
        ("prot 7", "can't parse filter expression: syntax error", "prot"),
        ("ip )", "can't parse filter expression: syntax error", ")"),
        ("tcp and", "can't parse filter expression: syntax error", ""),
        ("host 300.1.1.1", "invalid IPv4 address '300.1.1.1'", "300.1.1.1"),
        ("port nosuch and ip", "unknown port 'nosuch'", "nosuch"),
        ("vlan 4096", "VLAN tag 4096 greater than maximum 4095", "4096"),
        ("port 09", "number 09 contains non-octal digit", "09"),
        ("ip and 1::2::", "bogus ethernet address 1::2::", "1::2::"),
        ("udp[0:3] = 1", "data size must be 1, 2, or 4", "]"),
        ("ip and é", "can't parse filter expression: syntax error", "é"),
    ] {
        let (said, span) = refused(text);
        let (from, to) = span.unwrap();
        assert_eq!((said.as_str(), &text[from..to]), (message, word), "{text}");
    }
    assert_eq!(refused("tcp and udp"), ("expression rejects all packets".to_owned(), None));
    let error = compile("ip é x", &options(link::ETHERNET, true), &mut BuiltIn).unwrap_err();
    assert_eq!(error.pointer("ip é x").unwrap(), "  ip é x\n     ^");
    // A filter may come from a file, and the word at fault lie beyond the widest field that format! knows.
    let far = " ".repeat(70_000) + "|";
    let error = FilterError { span: Some((70_000, 70_001)), ..error };
    assert!(error.pointer(&far).unwrap().ends_with("  ^"));
    assert_eq!(refused("ether[0] = 1 and").0, "can't parse filter expression: syntax error");
}

#[test]
fn numbers_of_operators_bind_as_libpcap_lets_them() {
    // `%` and `^` take everything to their right.
    for (text, holds) in [
        ("1 + 2 * 3 = 7", true),
        ("10 - 3 - 2 = 5", true),
        ("5 % 3 + 1 = 1", true),
        ("1 | 6 & 4 = 5", true),
        ("1 << 2 + 1 = 8", true),
        ("2 ^ 3 * 2 = 4", true),
        ("1 = 2", false),
    ] {
        let outcome = compile(text, &options(link::ETHERNET, false), &mut BuiltIn).unwrap().run(&[0; 20], 20, None);
        assert_eq!(outcome != 0, holds, "{text}");
    }
}

#[test]
fn facts_of_the_kernel() {
    let live = Options { source: Source::Live, ..options(link::ETHERNET, true) };
    let frame = syn(0);
    let run =
        |text: &str, facts: &Ancillary| compile(text, &live, &mut BuiltIn).unwrap().run(&frame, 54, Some(facts)) != 0;
    let facts = Ancillary { packet_type: 4, ifindex: 3, vlan: Some(0x6005) };
    assert!(run("outbound and ifindex 3", &facts) && !run("inbound", &facts));
    assert!(run("vlan 5 and tcp port 80", &facts) && !run("vlan 6", &facts) && !run("vlan and vlan", &facts));
    let plain = Ancillary { vlan: None, ..facts };
    assert!(!run("vlan", &plain) && run("tcp and not vlan", &plain));
    // A tag that stands in the packet moves what is behind it.
    let mut tagged = frame.clone();
    tagged.splice(12..12, [0x81, 0, 0, 5]);
    let program = compile("vlan 5 and tcp port 80", &live, &mut BuiltIn).unwrap();
    assert!(program.run(&tagged, 58, Some(&plain)) != 0);
    // Nobody to ask: nothing is selected.
    assert_eq!(compile("outbound", &live, &mut BuiltIn).unwrap().run(&frame, 54, None), 0);
}

#[test]
fn programs_from_elsewhere_are_checked() {
    let insn = |code, jt, jf, k| Insn { code, jt, jf, k };
    let end = insn(6, 0, 0, 1);
    assert!(Program::new(vec![end]).is_ok());
    for (insns, reason) in [
        (vec![], "the program does not end"),
        (vec![insn(0, 0, 0, 0)], "the program does not end"),
        (vec![insn(0x15, 1, 0, 0), end], "jump out of the program"),
        (vec![insn(0x05, 0, 0, 1), end], "jump out of the program"),
        (vec![insn(0x05, 0, 0, u32::MAX - 1), end], "jump out of the program"),
        (vec![insn(0x60, 0, 0, 16), end], "no such scratch cell"),
        (vec![insn(0x02, 0, 0, 99), end], "no such scratch cell"),
        (vec![insn(0x34, 0, 0, 0), end], "division by zero"),
        (vec![insn(0xf4, 0, 0, 0), end], "unknown operation"),
        (vec![insn(0x75, 0, 0, 0), end], "unknown jump"),
    ] {
        assert_eq!(Program::new(insns).unwrap_err().reason, reason);
    }
    // A loop without end is given up.
    let forever = Program::new(vec![insn(0x05, 0, 0, u32::MAX), end]).unwrap();
    assert_eq!(forever.run(&[], 0, None), 0);
    // Division by a zero that is found late rejects.
    let late = Program::new(vec![insn(0x3c, 0, 0, 0), end]).unwrap();
    assert_eq!(late.run(&[], 0, None), 0);
}

#[test]
fn long_ways_get_a_jump_of_their_own() {
    let text = (0..400).map(|port| format!("src port {port}")).collect::<Vec<_>>().join(" or ");
    for optimize in [false, true] {
        let program = compile(&text, &options(link::ETHERNET, optimize), &mut BuiltIn).unwrap();
        assert!(Program::new(program.insns().to_vec()).is_ok());
        let mut frame = syn(0);
        for port in [0u16, 7, 399, 400, 40_000] {
            frame[34..36].copy_from_slice(&port.to_be_bytes());
            assert_eq!(program.run(&frame, 54, None) != 0, port < 400, "{port}");
        }
    }
}

const WORDS: [&str; 48] = [
    "ip",
    "ip6",
    "tcp",
    "udp",
    "arp",
    "icmp",
    "host",
    "net",
    "port",
    "portrange",
    "src",
    "dst",
    "and",
    "or",
    "not",
    "(",
    ")",
    "[",
    "]",
    ":",
    "=",
    "!=",
    ">",
    "<",
    "+",
    "-",
    "*",
    "/",
    "%",
    "&",
    "|",
    "<<",
    "0",
    "1",
    "80",
    "4096",
    "10.0.0.1",
    "10",
    "/8",
    "fe80::1",
    "vlan",
    "mpls",
    "pppoes",
    "geneve",
    "len",
    "ether",
    "2:0:0:0:0:1",
    "protochain",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Any text is compiled or refused, and the word it points at is part of it.
    #[test]
    fn any_text(text in "\\PC{0,60}") {
        if let Err(error) = compile(&text, &options(link::ETHERNET, true), &mut BuiltIn)
            && let Some((from, to)) = error.span
        {
            prop_assert!(text.get(from..to).is_some());
            prop_assert!(error.pointer(&text).is_some());
        }
    }

    /// Words of the language in any order: a program is valid, and the optimiser changes nothing for whole packets.
    #[test]
    fn any_words(picks in prop::collection::vec(0..WORDS.len(), 0..12), seed in any::<u64>()) {
        let text = picks.iter().map(|&pick| WORDS[pick]).collect::<Vec<_>>().join(" ");
        for kind in [link::ETHERNET, link::RAW, link::LINUX_SLL2] {
            let Ok(plain) = compile(&text, &options(kind, false), &mut BuiltIn) else { continue };
            let better = compile(&text, &options(kind, true), &mut BuiltIn);
            prop_assert!(Program::new(plain.insns().to_vec()).is_ok());
            let mut noise = seed | 1;
            for _ in 0..8 {
                // Long enough for every load that these words can ask for.
                let mut frame = syn(0);
                frame.resize(6000, 0);
                for byte in frame.iter_mut().skip(12) {
                    noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    if noise >> 60 == 0 {
                        *byte = u8::try_from(noise >> 40 & 0xff).unwrap();
                    }
                }
                let left = plain.run(&frame, 6000, None) != 0;
                match &better {
                    Ok(better) => prop_assert_eq!(left, better.run(&frame, 6000, None) != 0, "{}", text),
                    Err(error) => prop_assert!(!left || error.message != "expression rejects all packets", "{}", text),
                }
            }
        }
    }
}
