//! The second line of a socket: memory, tcp_info, MPTCP and SCTP figures, upper layer protocols (linux/tcp.h,
//! linux/mptcp.h, linux/sctp.h, linux/tls.h). A field that is zero is left out, as the peer does.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netkit_nl::diag::{TcpInfo, inet};
use netkit_nl::{Attrs, raw};

use crate::number::{push_g, push_ms, push_rate, push_u64};
use crate::print::push_address;
use crate::select::state;
use crate::socket::{Legacy, Socket, proto};

/// Bits of tcpi_options.
const OPTIONS: [(u8, &str); 6] =
    [(1, "ts"), (64, "usec_ts"), (2, "sack"), (8, "ecn"), (16, "ecnseen"), (32, "fastopen")];
const WSCALE: u8 = 4;

/// ` skmem:(...)`, or the older ` mem:(...)`.
pub(crate) fn push_memory(out: &mut Vec<u8>, attributes: &[u8], kind: u16) {
    let attrs = Attrs::new(attributes);
    let Some(memory) = attrs.find(kind) else {
        if let Some(old) = attrs.find(inet::MEMINFO).filter(|_| kind == inet::SKMEMINFO) {
            let word = |index: usize| raw::u32(old.value, index * 4).unwrap_or(0);
            let _ = write!(out, " mem:(r{},w{},f{},t{})", word(0), word(1), word(2), word(3));
        }
        return;
    };
    let names = ["r", "rb", "t", "tb", "f", "w", "o", "bl", "d"];
    out.extend_from_slice(b" skmem:(");
    for (index, name) in names.iter().enumerate() {
        // The last two came with later kernels.
        let Some(value) = raw::u32(memory.value, index * 4).or((index < 7).then_some(0)) else { break };
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(out, "{comma}{name}{value}");
    }
    out.push(b')');
}

/// What `-i` shows of an inet socket.
pub(crate) fn push_info(out: &mut Vec<u8>, socket: &Socket<'_>, options: bool, numeric: bool) {
    push_memory(out, socket.attributes, inet::SKMEMINFO);
    let attrs = Attrs::new(socket.attributes);
    if socket.protocol == proto::SCTP {
        push_endpoints(out, attrs, inet::LOCALS, " locals:");
        push_endpoints(out, attrs, inet::PEERS, " peers:");
    }
    if let Some(info) = attrs.find(inet::INFO) {
        match socket.protocol {
            proto::SCTP => push_sctp(out, info.value),
            proto::MPTCP => push_mptcp(out, info.value),
            _ => push_tcp(out, &TcpInfo::read(info.value), attrs, socket.state, options, numeric),
        }
    }
    if matches!(socket.protocol, proto::SCTP | proto::MPTCP) {
        return;
    }
    if let Some(keys) = attrs.find(inet::MD5SIG) {
        push_md5_keys(out, keys.value);
    }
    if let Some(ulp) = attrs.find(inet::ULP_INFO) {
        push_ulp(out, ulp.nested());
    }
}

fn field(out: &mut Vec<u8>, name: &str, value: impl Into<u64>) {
    let value = value.into();
    if value != 0 {
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        push_u64(out, value);
    }
}

fn millis(out: &mut Vec<u8>, name: &str, micros: u32) {
    if micros != 0 {
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        push_ms(out, micros);
    }
}

#[expect(clippy::cast_precision_loss, reason = "rates are printed with few digits")]
fn rate(out: &mut Vec<u8>, name: &str, bytes_per_second: u64, numeric: bool) {
    if bytes_per_second != 0 {
        let _ = write!(out, "{name}");
        push_rate(out, bytes_per_second as f64 * 8.0, numeric);
        out.extend_from_slice(b"bps");
    }
}

fn push_tcp(out: &mut Vec<u8>, info: &TcpInfo, attrs: Attrs<'_>, number: u8, options: bool, numeric: bool) {
    if options {
        for (bit, name) in OPTIONS {
            if info.options & bit != 0 {
                let _ = write!(out, " {name}");
            }
        }
    }
    if let Some(name) = attrs.find(inet::CONG).map(|name| name.text()).filter(|name| !name.is_empty()) {
        let _ = write!(out, " {name}");
    }
    if info.options & WSCALE != 0 {
        let (sent, received) = info.window_scales();
        let _ = write!(out, " wscale:{sent},{received}");
    }
    if info.rto_us != 3_000_000 {
        millis(out, "rto", info.rto_us);
    }
    field(out, "backoff", info.backoff);
    if info.rtt_us != 0 {
        millis(out, "rtt", info.rtt_us);
        out.push(b'/');
        push_ms(out, info.rttvar_us);
    }
    millis(out, "ato", info.ato_us);
    field(out, "mss", info.snd_mss);
    field(out, "pmtu", info.pmtu);
    field(out, "rcvmss", info.rcv_mss);
    field(out, "advmss", info.advmss);
    field(out, "cwnd", info.snd_cwnd);
    if info.snd_ssthresh < 0xffff {
        field(out, "ssthresh", info.snd_ssthresh);
    }
    field(out, "bytes_sent", info.bytes_sent);
    field(out, "bytes_retrans", info.bytes_retrans);
    field(out, "bytes_acked", info.bytes_acked);
    field(out, "bytes_received", info.bytes_received);
    field(out, "segs_out", info.segs_out);
    field(out, "segs_in", info.segs_in);
    field(out, "data_segs_out", info.data_segs_out);
    field(out, "data_segs_in", info.data_segs_in);
    push_congestion(out, attrs, numeric);
    push_sending_rate(out, info, attrs, numeric);
    field(out, "lastsnd", info.last_data_sent_ms);
    field(out, "lastrcv", info.last_data_recv_ms);
    field(out, "lastack", info.last_ack_recv_ms);
    if info.pacing_rate != u64::MAX {
        rate(out, " pacing_rate ", info.pacing_rate, numeric);
        if info.pacing_rate != 0 && info.max_pacing_rate != u64::MAX {
            rate(out, "/", info.max_pacing_rate, numeric);
        }
    }
    rate(out, " delivery_rate ", info.delivery_rate, numeric);
    field(out, "delivered", info.delivered);
    field(out, "delivered_ce", info.delivered_ce);
    if info.limits & 1 != 0 {
        out.extend_from_slice(b" app_limited");
    }
    push_limits(out, info);
    field(out, "unacked", info.unacked);
    if info.retrans != 0 || info.total_retrans != 0 {
        let _ = write!(out, " retrans:{}/{}", info.retrans, info.total_retrans);
    }
    field(out, "lost", info.lost);
    // A listener keeps the limit of its accept queue here, which is Send-Q already.
    if number != state::N_LISTEN {
        field(out, "sacked", info.sacked);
    }
    field(out, "dsack_dups", info.dsack_dups);
    field(out, "fackets", info.fackets);
    if info.reordering != 3 {
        let _ = write!(out, " reordering:{}", info.reordering);
    }
    field(out, "reord_seen", info.reord_seen);
    millis(out, "rcv_rtt", info.rcv_rtt_us);
    field(out, "rcv_space", info.rcv_space);
    field(out, "rcv_ssthresh", info.rcv_ssthresh);
    field(out, "notsent", info.notsent_bytes);
    if info.min_rtt_us != u32::MAX {
        millis(out, "minrtt", info.min_rtt_us);
    }
    field(out, "rcv_ooopack", info.rcv_ooopack);
    field(out, "snd_wnd", info.snd_wnd);
    field(out, "rcv_wnd", info.rcv_wnd);
    field(out, "rehash", info.rehash);
    push_newer(out, info);
}

/// Fields of newer kernels, which the peer does not show yet.
fn push_newer(out: &mut Vec<u8>, info: &TcpInfo) {
    field(out, "total_rto", info.total_rto);
    field(out, "total_rto_recoveries", info.total_rto_recoveries);
    field(out, "total_rto_time", info.total_rto_time_ms);
    field(out, "received_ce", info.received_ce);
    field(out, "delivered_e1_bytes", info.delivered_e1_bytes);
    field(out, "delivered_e0_bytes", info.delivered_e0_bytes);
    field(out, "delivered_ce_bytes", info.delivered_ce_bytes);
    field(out, "received_e1_bytes", info.received_e1_bytes);
    field(out, "received_e0_bytes", info.received_e0_bytes);
    field(out, "received_ce_bytes", info.received_ce_bytes);
    field(out, "accecn_fail_mode", info.accecn_fail_mode);
    field(out, "accecn_opt_seen", info.accecn_opt_seen);
}

/// DCTCP and BBR (linux/inet_diag.h, struct tcp_dctcp_info and tcp_bbr_info).
fn push_congestion(out: &mut Vec<u8>, attrs: Attrs<'_>, numeric: bool) {
    if let Some(dctcp) = attrs.find(inet::DCTCPINFO) {
        let half = |at: usize| raw::u16(dctcp.value, at).unwrap_or(0);
        let word = |at: usize| raw::u32(dctcp.value, at).unwrap_or(0);
        if half(0) == 0 {
            out.extend_from_slice(b" dctcp:fallback_mode");
        } else {
            let (state, alpha, ecn, total) = (half(2), word(4), word(8), word(12));
            let _ = write!(out, " dctcp:(ce_state:{state},alpha:{alpha},ab_ecn:{ecn},ab_tot:{total})");
        }
    }
    if let Some(bbr) = attrs.find(inet::BBRINFO) {
        let word = |at: usize| raw::u32(bbr.value, at).unwrap_or(0);
        out.extend_from_slice(b" bbr:(");
        let bandwidth = u64::from(word(4)) << 32 | u64::from(word(0));
        if bandwidth == 0 {
            out.extend_from_slice(b"bw:0bps");
        }
        rate(out, "bw:", bandwidth, numeric);
        out.extend_from_slice(b",mrtt:");
        push_ms(out, word(8));
        for (at, name) in [(12, ",pacing_gain:"), (16, ",cwnd_gain:")] {
            if word(at) != 0 {
                out.extend_from_slice(name.as_bytes());
                push_g(out, f64::from(word(at)) / 256.0, 6);
            }
        }
        out.push(b')');
    }
}

/// The rate that window and round trip time allow.
fn push_sending_rate(out: &mut Vec<u8>, info: &TcpInfo, attrs: Attrs<'_>, numeric: bool) {
    let mut rtt = info.rtt_us;
    // struct tcpvegas_info: enabled, count, rtt, smallest rtt.
    if let Some(vegas) = attrs.find(inet::VEGASINFO) {
        let word = |at: usize| raw::u32(vegas.value, at).unwrap_or(0);
        if word(0) != 0 && word(8) != 0 && word(8) != 0x7fff_ffff {
            rtt = word(8);
        }
    }
    if rtt > 0 && info.snd_mss > 0 && info.snd_cwnd > 0 {
        let bits = f64::from(info.snd_cwnd) * f64::from(info.snd_mss) * 8_000_000.0 / f64::from(rtt);
        out.extend_from_slice(b" send ");
        push_rate(out, bits, numeric);
        out.extend_from_slice(b"bps");
    }
}

/// How long there was something to send, and the shares of it in which a window or buffer stood in the way.
#[expect(clippy::cast_precision_loss, reason = "a share is printed with one decimal")]
fn push_limits(out: &mut Vec<u8>, info: &TcpInfo) {
    let busy = info.busy_time_us;
    if busy == 0 {
        return;
    }
    let _ = write!(out, " busy:{}ms", busy / 1000);
    for (name, limited) in [("rwnd_limited", info.rwnd_limited_us), ("sndbuf_limited", info.sndbuf_limited_us)] {
        if limited != 0 {
            let share = 100.0 * limited as f64 / busy as f64;
            let _ = write!(out, " {name}:{}ms({share:.1}%)", limited / 1000);
        }
    }
}

/// What /proc/net/tcp has in place of tcp_info. Ticks are hundredths of a second.
pub(crate) fn push_legacy(out: &mut Vec<u8>, legacy: &Legacy) {
    let mut ticks = |name: &str, ticks: u32| {
        if ticks != 0 {
            let _ = write!(out, " {name}:");
            push_g(out, f64::from(ticks) / 100.0, 6);
        }
    };
    ticks("rto", if legacy.rto == 300 { 0 } else { legacy.rto });
    ticks("ato", legacy.ato);
    let quick = legacy.quick_ack / 2;
    field(out, "qack", quick);
    if quick & 1 != 0 {
        out.extend_from_slice(b" bidir");
    }
    field(out, "cwnd", legacy.cwnd);
    if let Ok(ssthresh) = u32::try_from(legacy.ssthresh) {
        field(out, "ssthresh", ssthresh);
    }
}

/// struct mptcp_info.
fn push_mptcp(out: &mut Vec<u8>, info: &[u8]) {
    let byte = |at: usize| raw::u8(info, at).unwrap_or(0);
    let word = |at: usize| raw::u32(info, at).unwrap_or(0);
    let long = |at: usize| raw::u64(info, at).unwrap_or(0);
    let bytes = [
        "subflows",
        "add_addr_signal",
        "add_addr_accepted",
        "subflows_max",
        "add_addr_signal_max",
        "add_addr_accepted_max",
    ];
    for (at, name) in bytes.into_iter().enumerate() {
        field(out, name, byte(at));
    }
    for (bit, name) in [(1, " fallback"), (2, " remote_key")] {
        if word(8) & bit != 0 {
            out.extend_from_slice(name.as_bytes());
        }
    }
    if word(12) != 0 {
        let _ = write!(out, " token:{:x}", word(12));
    }
    for (at, name) in [(16, "write_seq"), (24, "snd_una"), (32, "rcv_nxt")] {
        field(out, name, long(at));
    }
    for (at, name) in [(40, "local_addr_used"), (41, "local_addr_max"), (42, "csum_enabled")] {
        field(out, name, byte(at));
    }
    field(out, "retransmits", word(44));
    for (at, name) in [(48, "bytes_retrans"), (56, "bytes_sent"), (64, "bytes_received"), (72, "bytes_acked")] {
        field(out, name, long(at));
    }
    field(out, "subflows_total", byte(80));
    for (at, name) in [(84, "last_data_sent"), (88, "last_data_recv"), (92, "last_ack_recv")] {
        field(out, name, word(at));
    }
}

/// struct sctp_info.
fn push_sctp(out: &mut Vec<u8>, info: &[u8]) {
    let word = |at: usize| raw::u32(info, at).unwrap_or(0);
    let half = |at: usize| u32::from(raw::u16(info, at).unwrap_or(0));
    let byte = |at: usize| u32::from(raw::u8(info, at).unwrap_or(0));
    if word(0) != 0 {
        let _ = write!(out, " tag:{:x}", word(0));
    }
    if word(4) != 0 {
        let _ = write!(out, " state:{}", sctp_state(u8::try_from(word(4)).unwrap_or(u8::MAX)));
    }
    field(out, "rwnd", word(8));
    for (at, name) in [(12, "unackdata"), (14, "penddata"), (16, "instrms"), (18, "outstrms")] {
        field(out, name, half(at));
    }
    for (at, name) in
        [(24, "inqueue"), (28, "outqueue"), (32, "overerr"), (36, "maxburst"), (40, "maxseg"), (44, "prwnd")]
    {
        field(out, name, word(at));
    }
    if word(48) != 0 {
        let _ = write!(out, " ptag:{:x}", word(48));
    }
    for (at, name) in [(52, "pcapable"), (53, "psack")] {
        field(out, name, byte(at));
    }
    // Between these stand fourteen counters and the primary transport.
    for (at, name) in [(344, "autoclose"), (348, "adapind"), (352, "pdpoint")] {
        field(out, name, word(at));
    }
    for (at, name) in [(356, "nodelay"), (357, "nofrag"), (358, "v4mapped"), (359, "fraginl")] {
        field(out, name, byte(at));
    }
}

/// States of an SCTP association (linux/sctp.h, enum sctp_sstat_state).
pub(crate) fn sctp_state(number: u8) -> &'static str {
    match number {
        0 => "CLOSED",
        1 => "COOKIE_WAIT",
        2 => "COOKIE_ECHOED",
        3 => "ESTAB",
        4 => "SHUTDOWN_PENDING",
        5 => "SHUTDOWN_SENT",
        6 => "SHUTDOWN_RECEIVED",
        7 => "ACK_SENT",
        _ => "UNKNOWN",
    }
}

/// Addresses of a multihomed SCTP endpoint: an array of struct sockaddr_storage.
fn push_endpoints(out: &mut Vec<u8>, attrs: Attrs<'_>, kind: u16, name: &str) {
    let Some(list) = attrs.find(kind) else { return };
    out.extend_from_slice(name.as_bytes());
    for (index, entry) in list.value.chunks_exact(128).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let address = match raw::u16(entry, 0) {
            Some(2) => raw::array::<4>(entry, 4).map(|octets| IpAddr::V4(Ipv4Addr::from(octets))),
            Some(10) => raw::array::<16>(entry, 8).map(|octets| IpAddr::V6(Ipv6Addr::from(octets))),
            _ => None,
        };
        if let Some(address) = address {
            push_address(out, address);
        }
    }
}

/// TCP-MD5 keys: an array of struct tcp_diag_md5sig (100 octets). The keys themselves are secrets of the user's and the
/// kernel gives them to CAP_NET_ADMIN only; their lengths are shown, not they.
fn push_md5_keys(out: &mut Vec<u8>, keys: &[u8]) {
    for (index, key) in keys.chunks_exact(100).enumerate() {
        out.extend_from_slice(if index == 0 { b" md5keys:" } else { b"," });
        let address = match raw::u8(key, 0) {
            Some(10) => raw::array::<16>(key, 4).map(|octets| IpAddr::V6(Ipv6Addr::from(octets))),
            _ => raw::array::<4>(key, 4).map(|octets| IpAddr::V4(Ipv4Addr::from(octets))),
        };
        if let Some(address) = address {
            push_address(out, address);
        }
        let (prefix, length) = (raw::u8(key, 1).unwrap_or(0), raw::u16(key, 2).unwrap_or(0));
        let _ = write!(out, "/{prefix}=({length} bytes)");
    }
}

/// INET_ULP_INFO_NAME, _TLS, _MPTCP.
fn push_ulp(out: &mut Vec<u8>, ulp: Attrs<'_>) {
    if let Some(name) = ulp.find(1) {
        let _ = write!(out, " tcp-ulp-{}", name.text());
    }
    if let Some(tls) = ulp.find(2) {
        push_tls(out, tls.nested());
    }
    if let Some(subflow) = ulp.find(3) {
        push_subflow(out, subflow.nested());
    }
}

/// TLS_INFO_* of linux/tls.h.
fn push_tls(out: &mut Vec<u8>, tls: Attrs<'_>) {
    let half = |kind: u16| tls.find(kind).and_then(|attribute| attribute.u16());
    match half(1) {
        Some(0x0303) => out.extend_from_slice(b" version: 1.2"),
        Some(0x0304) => out.extend_from_slice(b" version: 1.3"),
        Some(other) => {
            let _ = write!(out, " version: unknown({other})");
        }
        None => {}
    }
    match half(2) {
        Some(51) => out.extend_from_slice(b" cipher: aes-gcm-128"),
        Some(52) => out.extend_from_slice(b" cipher: aes-gcm-256"),
        Some(54) => out.extend_from_slice(b" cipher: chacha20-poly1305"),
        _ => {}
    }
    for (kind, name) in [(4, "rxconf"), (3, "txconf")] {
        let Some(way) = half(kind) else { continue };
        let _ = match way {
            1 => write!(out, " {name}: none"),
            2 => write!(out, " {name}: sw"),
            3 => write!(out, " {name}: hw"),
            4 => write!(out, " {name}: hw-record"),
            other => write!(out, " {name}: unknown({other})"),
        };
    }
    for (kind, name) in [(5, " zc_ro_tx"), (6, " no_pad_rx")] {
        if tls.find(kind).is_some() {
            out.extend_from_slice(name.as_bytes());
        }
    }
}

/// MPTCP_SUBFLOW_ATTR_* of linux/mptcp.h.
fn push_subflow(out: &mut Vec<u8>, subflow: Attrs<'_>) {
    let word = |kind: u16| subflow.find(kind).and_then(|attribute| attribute.u32());
    let byte = |kind: u16| subflow.find(kind).and_then(|attribute| attribute.u8());
    let flags = word(8).unwrap_or(0);
    let letters = "MmJjBbecv".chars().enumerate().filter(|(bit, _)| flags >> bit & 1 != 0);
    let letters: String = letters.map(|(_, letter)| letter).collect();
    if flags != 0 {
        let _ = write!(out, " flags:{letters}");
    }
    if let (Some(remote), Some(local), Some(remote_id), Some(local_id)) = (word(1), word(2), byte(9), byte(10)) {
        let _ = write!(out, " token:{remote:04x}(id:{remote_id})/{local:04x}(id:{local_id})");
    }
    if let Some(sequence) = subflow.find(4).and_then(|attribute| attribute.u64()) {
        let _ = write!(out, " seq:{sequence}");
    }
    for (kind, name) in [(5, "sfseq"), (6, "ssnoff")] {
        if let Some(value) = word(kind) {
            let _ = write!(out, " {name}:{value}");
        }
    }
    if let Some(length) = subflow.find(7).and_then(|attribute| attribute.number()) {
        let _ = write!(out, " maplen:{length}");
    }
}
