//! Captures made here, scene by scene: what a filter may meet on each kind of link, whole and cut short.

/// A packet: what was captured of how many bytes.
#[derive(Clone, Debug)]
pub struct Packet {
    pub bytes: Vec<u8>,
    pub length: usize,
}

/// Packets of one kind.
#[derive(Debug)]
pub struct Scene {
    pub name: &'static str,
    pub packets: Vec<Packet>,
}

/// A file: a link type by number and as `-y` names it, and its scenes in order.
#[derive(Debug)]
pub struct Capture {
    pub link: u32,
    pub name: &'static str,
    pub scenes: Vec<Scene>,
}

impl Capture {
    /// As a pcap file, in the byte order of this machine or in the other.
    pub fn file(&self, swapped: bool) -> Vec<u8> {
        let word = |n: u32| if swapped { n.swap_bytes().to_ne_bytes() } else { n.to_ne_bytes() };
        let half = |n: u16| if swapped { n.swap_bytes().to_ne_bytes() } else { n.to_ne_bytes() };
        let mut file = word(0xa1b2_c3d4).to_vec();
        file.extend([half(2), half(4)].concat());
        file.extend([word(0), word(0), word(262_144), word(self.link)].concat());
        for (number, packet) in self.packets().enumerate() {
            let size = |n: usize| word(u32::try_from(n).unwrap());
            file.extend(
                [size(1_700_000_000 + number), size(number), size(packet.bytes.len()), size(packet.length)].concat(),
            );
            file.extend(&packet.bytes);
        }
        file
    }

    pub fn packets(&self) -> impl Iterator<Item = &Packet> {
        self.scenes.iter().flat_map(|scene| &scene.packets)
    }

    /// The scene of the packet with this number.
    pub fn scene_of(&self, number: usize) -> &'static str {
        let names = self.scenes.iter().flat_map(|scene| scene.packets.iter().map(|_| scene.name));
        names.into_iter().nth(number).unwrap_or("?")
    }
}

fn cat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn ports(source: u16, destination: u16) -> Vec<u8> {
    [source.to_be_bytes(), destination.to_be_bytes()].concat()
}

fn tcp(source: u16, destination: u16, flags: u8, data: &[u8]) -> Vec<u8> {
    let rest = [0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0x20, 0, 0, 0, 0, 0];
    cat(&[&ports(source, destination), &rest, data])
}

fn udp(source: u16, destination: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + data.len()).unwrap().to_be_bytes();
    cat(&[&ports(source, destination), &length, &[0, 0], data])
}

/// IPv4: options, fragment field, protocol, source and destination by their last octets in 10.0.0.0/24 or whole.
fn ip4(options: &[u8], fragment: u16, protocol: u8, from: [u8; 4], to: [u8; 4], data: &[u8]) -> Vec<u8> {
    let words = 5 + options.len() / 4;
    let length = u16::try_from(4 * words + data.len()).unwrap().to_be_bytes();
    let head = [0x40 | u8::try_from(words).unwrap(), 0];
    cat(&[&head, &length, &[0, 7], &fragment.to_be_bytes(), &[64, protocol, 0, 0], &from, &to, options, data])
}

fn ip6(next: u8, from: u8, to: [u8; 16], data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap().to_be_bytes();
    let source = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, from];
    cat(&[&[0x60, 0, 0, 0], &length, &[next, 64], &source, &to, data])
}

const HOST6: [u8; 16] = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2];
const GROUP6: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const A: [u8; 4] = [10, 0, 0, 1];
const B: [u8; 4] = [10, 0, 0, 2];
const C: [u8; 4] = [10, 0, 0, 3];
const FAR: [u8; 4] = [192, 168, 7, 9];

/// IPv4 packets of every protocol that a filter knows.
fn four() -> Vec<Vec<u8>> {
    let geneve = |kind: u16, inner: &[u8], options: &[u8], network: u8| {
        let head = [u8::try_from(options.len() / 4).unwrap(), 0];
        let header = cat(&[&head, &kind.to_be_bytes(), &[0, 0, network, 0], options, inner]);
        ip4(&[], 0, 17, A, B, &udp(4000, 6081, &header))
    };
    let inner = ip4(&[], 0, 6, [10, 9, 0, 1], [10, 9, 0, 2], &tcp(5, 80, 2, b""));
    let inner_frame = cat(&[&[2, 0, 0, 0, 0, 0x22, 2, 0, 0, 0, 0, 0x21, 8, 0], &inner]);
    let inner_tagged = cat(&[&[2, 0, 0, 0, 0, 0x22, 2, 0, 0, 0, 0, 0x21, 0x81, 0, 0, 5, 8, 0], &inner]);
    vec![
        ip4(&[], 0, 6, A, B, &tcp(40_000, 80, 2, b"")),
        ip4(&[], 0, 6, B, A, &tcp(80, 40_000, 0x12, b"")),
        ip4(&[], 0x4000, 6, A, C, &tcp(40_001, 443, 0x18, b"GET / HTTP/1.1\r\n")),
        ip4(&[], 0, 6, C, A, &tcp(22, 22, 1, b"x")),
        ip4(&[1, 1, 1, 0], 0, 6, A, B, &tcp(1, 80, 4, b"yy")),
        ip4(&[], 0, 17, A, FAR, &udp(5000, 53, b"abcd")),
        ip4(&[], 0, 17, FAR, A, &udp(53, 5000, b"abcdefghijklmnopqrstuvwxyz")),
        ip4(&[], 0, 17, A, B, &udp(80, 81, b"")),
        ip4(&[], 0, 17, A, B, &udp(1500, 1999, &[0; 1000])),
        ip4(&[], 0, 132, A, B, &cat(&[&ports(80, 9), &[0; 20]])),
        ip4(&[], 0, 1, A, B, &[8, 0, 0, 0, 0, 1, 0, 1]),
        ip4(&[], 0, 1, B, A, &[0, 0, 0, 0, 0, 1, 0, 1]),
        ip4(&[], 0, 1, B, A, &cat(&[&[3, 3, 0, 0, 0, 0, 0, 0], &ip4(&[], 0, 17, A, B, &udp(1, 2, b""))])),
        ip4(&[1, 1, 1, 0], 0, 2, A, [224, 0, 0, 22], &[0x22, 0, 0, 0, 0, 0, 0, 0]),
        ip4(&[], 0, 103, A, [224, 0, 0, 13], &[0x20, 0, 0, 0]),
        ip4(&[], 0, 112, A, [224, 0, 0, 18], &[0x21, 1, 100, 1, 0, 1, 0, 0]),
        ip4(&[], 0, 9, A, B, &[0; 12]),
        ip4(&[], 0, 50, A, B, &[0; 24]),
        ip4(&[], 0, 51, A, B, &cat(&[&[6, 4, 0, 0], &[0; 20], &tcp(7, 80, 2, b"")])),
        ip4(&[], 0, 47, A, B, &cat(&[&[0, 0, 8, 0], &inner])),
        ip4(&[], 0, 4, A, B, &inner),
        ip4(&[], 0, 41, A, B, &ip6(17, 1, HOST6, &udp(9, 53, b""))),
        ip4(&[], 0, 89, A, [224, 0, 0, 5], &[0; 24]),
        ip4(&[], 0x2000, 17, A, B, &udp(5000, 53, &[1; 24])),
        ip4(&[], 0x2003, 17, A, B, &cat(&[&ports(5000, 53), &[1; 20]])),
        ip4(&[], 0x0006, 6, A, B, &cat(&[&ports(80, 80), &[1; 20]])),
        ip4(&[], 0, 17, A, [255, 255, 255, 255], &udp(68, 67, &[1; 40])),
        ip4(&[], 0, 17, [0; 4], [0; 4], &udp(68, 67, b"")),
        geneve(0x6558, &inner_frame, &[], 7),
        geneve(0x6558, &inner_tagged, &[1, 2, 3, 4, 5, 6, 7, 8], 8),
        geneve(0x0800, &inner, &[0; 4], 7),
        geneve(0x86dd, &ip6(6, 1, HOST6, &tcp(5, 80, 2, b"")), &[], 9),
    ]
}

/// IPv6 packets, with and without headers between.
fn six() -> Vec<Vec<u8>> {
    let syn = tcp(40_000, 80, 2, b"");
    let query = udp(5000, 53, b"abcd");
    let echo = [128u8, 0, 0, 0, 0, 1, 0, 1];
    let header = |next: u8, data: &[u8]| cat(&[&[next, 0, 1, 4, 0, 0, 0, 0], data]);
    vec![
        ip6(6, 1, HOST6, &syn),
        ip6(6, 1, HOST6, &tcp(443, 40_000, 0x12, b"data")),
        ip6(17, 1, HOST6, &query),
        ip6(132, 1, HOST6, &cat(&[&ports(80, 9), &[0; 20]])),
        ip6(58, 1, HOST6, &echo),
        ip6(58, 1, GROUP6, &cat(&[&[135, 0, 0, 0, 0, 0, 0, 0], &HOST6])),
        ip6(0, 1, GROUP6, &header(58, &[143, 0, 0, 0, 0, 0, 0, 0])),
        ip6(0, 1, HOST6, &header(60, &header(17, &query))),
        ip6(43, 1, HOST6, &header(6, &syn)),
        ip6(44, 1, HOST6, &cat(&[&[17, 0, 0, 1, 0, 0, 0, 9], &query])),
        ip6(44, 1, HOST6, &cat(&[&[17, 0, 0, 0x11, 0, 0, 0, 9], &query])),
        ip6(60, 1, HOST6, &header(44, &cat(&[&[6, 0, 0, 1, 0, 0, 0, 9], &syn]))),
        ip6(51, 1, HOST6, &cat(&[&[6, 4, 0, 0], &[0; 20], &syn])),
        ip6(50, 1, HOST6, &[0; 24]),
        ip6(59, 1, HOST6, &[]),
        ip6(103, 1, GROUP6, &[0x20, 0, 0, 0]),
        ip6(17, 1, HOST6, &udp(9, 6081, &cat(&[&[0, 0, 8, 0, 0, 0, 7, 0], &ip4(&[], 0, 6, A, B, &syn)]))),
        ip6(17, 1, HOST6, &udp(9, 6081, &cat(&[&[0x40, 0, 8, 0, 0, 0, 7, 0], &ip4(&[], 0, 6, A, B, &syn)]))),
    ]
}

fn arp(operation: u8, from: [u8; 4], to: [u8; 4]) -> Vec<u8> {
    let own = [2, 0, 0, 0, 0, 1];
    cat(&[&[0, 1, 8, 0, 6, 4, 0, operation], &own, &from, &[0; 6], &to])
}

/// Payloads with their EtherType.
fn typed() -> Vec<(u16, Vec<u8>)> {
    let mut all: Vec<(u16, Vec<u8>)> = four().into_iter().map(|packet| (0x0800, packet)).collect();
    all.extend(six().into_iter().map(|packet| (0x86dd, packet)));
    all.extend([(0x0806, arp(1, A, B)), (0x0806, arp(2, B, A)), (0x8035, arp(3, A, A)), (0x88cc, vec![2, 7, 4, 1])]);
    all
}

const UNICAST: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
const BROADCAST: [u8; 12] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1];
const MULTICAST: [u8; 12] = [1, 0x80, 0xc2, 0, 0, 0, 2, 0, 0, 0, 0, 2];

fn whole(packets: Vec<Vec<u8>>) -> Vec<Packet> {
    packets.into_iter().map(|bytes| Packet { length: bytes.len(), bytes }).collect()
}

fn frames(addresses: &[u8], between: &[u8], payloads: &[(u16, Vec<u8>)]) -> Vec<Vec<u8>> {
    payloads.iter().map(|(kind, data)| cat(&[addresses, between, &kind.to_be_bytes(), data])).collect()
}

/// 802.2 and everything else that does not say its EtherType, or another one.
fn odd_frames() -> Vec<Vec<u8>> {
    let llc = |payload: &[u8]| {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        cat(&[&MULTICAST, &length, payload])
    };
    let isis = |kind: u8| llc(&[0xfe, 0xfe, 3, 0x83, 27, 1, 0, kind, 1, 0, 0]);
    let typed = |kind: u16, data: &[u8]| cat(&[&UNICAST, &kind.to_be_bytes(), data]);
    let mut all = vec![
        llc(&[0x42, 0x42, 3, 0, 0, 0, 0, 0]),
        llc(&[0xfe, 0xfe, 3, 0x81, 1, 2, 3, 4]),
        llc(&[0xfe, 0xfe, 3, 0x82, 1, 2, 3, 4]),
        llc(&[0xe0, 0xe0, 3, 0xff, 0xff, 0, 30]),
        llc(&[0xff, 0xff, 0, 30, 0, 4]),
        llc(&[0xaa, 0xaa, 3, 0, 0, 0, 0x81, 0x37, 0, 0]),
        llc(&[0xaa, 0xaa, 3, 8, 0, 7, 0x80, 0x9b, 0, 0]),
        llc(&[0xaa, 0xaa, 3, 0, 0, 0, 0x80, 0xf3, 0, 0]),
        llc(&cat(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &ip4(&[], 0, 17, A, B, &udp(1, 53, b""))])),
        llc(&[0xf0, 0xf0, 3, 44, 0, 0xff, 0xef]),
        llc(&[6, 6, 3, 0x45, 0, 0, 20]),
        llc(&[4, 4, 0xaf, 0x81, 1, 2]),
        llc(&[4, 4, 0x7f, 0, 0]),
        llc(&[4, 5, 0x01, 2, 0]),
        llc(&[4, 5, 0x05, 2, 0]),
        llc(&[4, 5, 0x02, 2, 0]),
        llc(&[]),
        typed(0x8137, &[0xff, 0xff, 0, 30]),
        typed(0x809b, &[0; 20]),
        typed(0x80f3, &[0; 20]),
        typed(0x6003, &[8, 0, 0x02, 1, 0x28, 2, 0x28, 0, 0, 0]),
        typed(0x6003, &[8, 0, 0x81, 0x02, 1, 0x28, 2, 0x28, 0, 0, 0]),
        typed(
            0x6003,
            &cat(&[&[30, 0, 0x06, 0, 0, 0xaa, 0, 4, 0], &[1, 0x28], &[0, 0, 0xaa, 0, 4, 0], &[2, 0x28], &[0; 9]]),
        ),
        typed(0x6004, &[0; 20]),
        typed(0x6001, &[0; 20]),
        typed(0x6002, &[0; 20]),
        typed(0x6007, &[0; 20]),
        typed(0x9000, &[0; 20]),
        typed(0x8863, &[0x11, 9, 0, 0, 0, 4, 1, 1, 0, 0]),
        typed(1501, &[0; 20]),
    ];
    all.extend([15, 16, 17, 18, 20, 24, 25, 26, 27].map(isis));
    all
}

/// Every packet cut to some lengths, its own length kept.
fn cut(packets: &[Vec<u8>]) -> Vec<Packet> {
    let mut all = Vec::new();
    for (index, packet) in packets.iter().enumerate() {
        for step in 0..5 {
            let at = (index * 3 + step * 13) % (packet.len().min(70) + 1);
            all.push(Packet { bytes: packet[..at].to_vec(), length: packet.len() });
        }
    }
    all
}

/// One file a link type.
pub fn all() -> Vec<Capture> {
    let payloads = typed();
    let few: Vec<(u16, Vec<u8>)> = payloads.iter().step_by(2).cloned().collect();
    let plain = frames(&UNICAST, &[], &payloads);
    let mut tagged = frames(&UNICAST, &[0x81, 0, 0, 5], &few);
    tagged.extend(frames(&BROADCAST, &[0x81, 0, 0x60, 100], &few));
    tagged.extend(frames(&UNICAST, &[0x91, 0, 0, 5], &payloads[..4]));
    let mut twice = frames(&UNICAST, &[0x88, 0xa8, 0, 100, 0x81, 0, 0, 5], &few);
    twice.extend(frames(&UNICAST, &[0x81, 0, 0, 7, 0x81, 0, 0, 5], &payloads[..6]));
    let label = |number: u32, bottom: u32| (number << 12 | bottom << 8 | 64).to_be_bytes();
    let mut labelled = Vec::new();
    let mut sessions = Vec::new();
    for (kind, data) in payloads.iter().filter(|(kind, _)| matches!(kind, 0x0800 | 0x86dd)) {
        labelled.push(cat(&[&UNICAST, &[0x88, 0x47], &label(100, 1), data]));
        labelled.push(cat(&[&UNICAST, &[0x88, 0x47], &label(16, 0), &label(17, 1), data]));
        let ppp = if *kind == 0x0800 { [0, 0x21] } else { [0, 0x57] };
        let length = u16::try_from(data.len() + 2).unwrap().to_be_bytes();
        sessions.push(cat(&[&UNICAST, &[0x88, 0x64, 0x11, 0, 0, 7], &length, &ppp, data]));
        sessions.push(cat(&[&UNICAST, &[0x81, 0, 0, 5, 0x88, 0x64, 0x11, 0, 0, 8], &length, &ppp, data]));
        sessions.push(cat(&[&UNICAST, &[0x88, 0x64, 0x11, 0, 0, 9, 0, 9, 2, 0x81], &label(5, 1), data]));
    }
    labelled.push(cat(&[&UNICAST, &[0x88, 0x47], &label(100, 1), &[0, 0, 0, 0, 1, 2, 3, 4]]));
    labelled.push(cat(&[&UNICAST, &[0x81, 0, 0, 5, 0x88, 0x47], &label(100, 1), &payloads[0].1]));
    let mut to_groups = frames(&BROADCAST, &[], &payloads[30..]);
    to_groups.extend(frames(&MULTICAST, &[], &payloads[10..20]));
    let mut everything = plain.clone();
    everything.extend(tagged.iter().step_by(2).cloned());
    everything.extend(twice.iter().step_by(3).cloned());
    everything.extend(labelled.iter().step_by(3).cloned());
    everything.extend(sessions.iter().step_by(3).cloned());
    everything.extend(odd_frames());
    let ethernet = vec![
        Scene { name: "ethernet", packets: whole(plain) },
        Scene { name: "groups", packets: whole(to_groups) },
        Scene { name: "vlan", packets: whole(tagged) },
        Scene { name: "qinq", packets: whole(twice) },
        Scene { name: "mpls", packets: whole(labelled) },
        Scene { name: "pppoe", packets: whole(sessions) },
        Scene { name: "llc", packets: whole(odd_frames()) },
        Scene { name: "truncated", packets: cut(&everything) },
        Scene { name: "nonsense", packets: whole(vec![vec![], vec![0], vec![0xff; 12], vec![0xff; 64], vec![0; 200]]) },
    ];
    let link = |link: u32, name: &'static str, scene: &'static str, packets: Vec<Vec<u8>>| {
        let short = cut(&packets);
        let scenes = vec![Scene { name: scene, packets: whole(packets) }, Scene { name: "truncated", packets: short }];
        Capture { link, name, scenes }
    };
    let with = |header: &dyn Fn(usize, u16) -> Vec<u8>| {
        payloads.iter().enumerate().map(|(index, (kind, data))| cat(&[&header(index, *kind), data])).collect::<Vec<_>>()
    };
    let bare = || [four(), six()].concat();
    let family = |packet: &Vec<u8>, swapped: bool| {
        // IPv6 is 24, 28 or 30 with the BSDs, and 10 with Linux.
        let number: u32 = if packet[0] >> 4 == 4 { 2 } else { [24, 28, 30, 10][packet.len() % 4] };
        if swapped { number.to_be_bytes() } else { number.to_ne_bytes() }
    };
    let mut sll = with(&|index, kind| {
        let direction = u8::try_from(index % 5).unwrap();
        cat(&[&[0, direction, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0], &kind.to_be_bytes()])
    });
    for (kind, data) in
        [(4u16, &[0xfe, 0xfe, 3, 0x83, 27, 1, 0, 15][..]), (4, &[0x42, 0x42, 3, 0, 0]), (1, &[0xff, 0xff, 0])]
    {
        sll.push(cat(&[&[0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0], &kind.to_be_bytes(), data]));
    }
    vec![
        Capture { link: 1, name: "EN10MB", scenes: ethernet },
        link(113, "LINUX_SLL", "sll", sll),
        link(
            276,
            "LINUX_SLL2",
            "sll2",
            with(&|index, kind| {
                let number = u8::try_from(index % 5).unwrap();
                cat(&[&kind.to_be_bytes(), &[0, 0, 0, 0, 0, number, 0, 1, number, 6, 2, 0, 0, 0, 0, 1, 0, 0]])
            }),
        ),
        link(101, "RAW", "raw", bare()),
        link(0, "NULL", "null", bare().iter().map(|packet| cat(&[&family(packet, false), packet])).collect()),
        link(108, "LOOP", "loop", bare().iter().map(|packet| cat(&[&family(packet, true), packet])).collect()),
        link(
            9,
            "PPP",
            "ppp",
            bare()
                .iter()
                .map(|packet| {
                    cat(&[if packet[0] >> 4 == 4 { &[0xff, 3, 0, 0x21] } else { &[0xff, 3, 0, 0x57] }, packet])
                })
                .collect(),
        ),
    ]
}
