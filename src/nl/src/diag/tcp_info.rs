//! struct tcp_info (linux/tcp.h), which grows with the kernel.

use crate::raw;

/// Everything the kernel measures of a TCP connection. What this kernel's structure is too short for is 0; see
/// [`TcpInfo::has`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// Octets the kernel gave.
    pub length: usize,
    /// TCP_* state, 1 is established.
    pub state: u8,
    /// Congestion avoidance state.
    pub ca_state: u8,
    /// Unanswered retransmissions of the timer.
    pub retransmits: u8,
    /// Zero window probes sent.
    pub probes: u8,
    /// Exponent of the timer's backoff.
    pub backoff: u8,
    /// TCPI_OPT_*: 1 timestamps, 2 SACK, 4 window scale, 8 ECN, 16 ECN seen, 32 SYN data acked, 64 timestamps in microseconds.
    pub options: u8,
    /// Window scale: low four bits sent, high four received.
    pub wscale: u8,
    /// Bit 0: delivery rate limited by the application; bits 1 and 2: why Fast Open failed.
    pub limits: u8,
    /// Retransmission timeout, microseconds.
    pub rto_us: u32,
    /// Delayed acknowledgement timeout, microseconds.
    pub ato_us: u32,
    /// Octets.
    pub snd_mss: u32,
    /// Octets.
    pub rcv_mss: u32,
    /// Segments; in LISTEN the length of the accept queue.
    pub unacked: u32,
    /// Segments; in LISTEN the limit of the accept queue.
    pub sacked: u32,
    /// Segments.
    pub lost: u32,
    /// Segments.
    pub retrans: u32,
    /// Segments.
    pub fackets: u32,
    /// Milliseconds ago.
    pub last_data_sent_ms: u32,
    /// Never filled by the kernel.
    pub last_ack_sent_ms: u32,
    /// Milliseconds ago.
    pub last_data_recv_ms: u32,
    /// Milliseconds ago.
    pub last_ack_recv_ms: u32,
    /// Octets.
    pub pmtu: u32,
    /// Octets.
    pub rcv_ssthresh: u32,
    /// Smoothed round trip time, microseconds.
    pub rtt_us: u32,
    /// Its variation, microseconds.
    pub rttvar_us: u32,
    /// Segments, 0x7fffffff when unset.
    pub snd_ssthresh: u32,
    /// Segments.
    pub snd_cwnd: u32,
    /// Octets.
    pub advmss: u32,
    /// Segments.
    pub reordering: u32,
    /// Microseconds.
    pub rcv_rtt_us: u32,
    /// Octets.
    pub rcv_space: u32,
    /// Segments retransmitted ever.
    pub total_retrans: u32,
    /// Octets a second, all ones when unlimited.
    pub pacing_rate: u64,
    /// Octets a second, all ones when unlimited.
    pub max_pacing_rate: u64,
    /// Octets.
    pub bytes_acked: u64,
    /// Octets.
    pub bytes_received: u64,
    /// Segments.
    pub segs_out: u32,
    /// Segments.
    pub segs_in: u32,
    /// Octets.
    pub notsent_bytes: u32,
    /// Microseconds, all ones when unknown.
    pub min_rtt_us: u32,
    /// Segments.
    pub data_segs_in: u32,
    /// Segments.
    pub data_segs_out: u32,
    /// Octets a second.
    pub delivery_rate: u64,
    /// Microseconds with data outstanding.
    pub busy_time_us: u64,
    /// Microseconds limited by the receive window.
    pub rwnd_limited_us: u64,
    /// Microseconds limited by the send buffer.
    pub sndbuf_limited_us: u64,
    /// Segments.
    pub delivered: u32,
    /// Segments with a congestion mark.
    pub delivered_ce: u32,
    /// Octets.
    pub bytes_sent: u64,
    /// Octets.
    pub bytes_retrans: u64,
    /// Duplicates reported.
    pub dsack_dups: u32,
    /// Reordering events.
    pub reord_seen: u32,
    /// Segments that came out of order.
    pub rcv_ooopack: u32,
    /// Octets the peer's window allows.
    pub snd_wnd: u32,
    /// Octets our window allows.
    pub rcv_wnd: u32,
    /// How often the path was changed.
    pub rehash: u32,
    /// Timeouts.
    pub total_rto: u16,
    /// Recoveries from timeouts.
    pub total_rto_recoveries: u16,
    /// Milliseconds in them.
    pub total_rto_time_ms: u32,
    /// Segments received with a congestion mark (Accurate ECN).
    pub received_ce: u32,
    /// Octets (Accurate ECN).
    pub delivered_e1_bytes: u32,
    /// Octets (Accurate ECN).
    pub delivered_e0_bytes: u32,
    /// Octets (Accurate ECN).
    pub delivered_ce_bytes: u32,
    /// Octets (Accurate ECN).
    pub received_e1_bytes: u32,
    /// Octets (Accurate ECN).
    pub received_e0_bytes: u32,
    /// Octets (Accurate ECN).
    pub received_ce_bytes: u32,
    /// Why Accurate ECN failed.
    pub accecn_fail_mode: u16,
    /// Whether its option was seen.
    pub accecn_opt_seen: u16,
}

impl TcpInfo {
    /// Reads as much as there is.
    pub fn read(bytes: &[u8]) -> TcpInfo {
        TcpInfo {
            length: bytes.len(),
            state: raw::u8(bytes, 0).unwrap_or_default(),
            ca_state: raw::u8(bytes, 1).unwrap_or_default(),
            retransmits: raw::u8(bytes, 2).unwrap_or_default(),
            probes: raw::u8(bytes, 3).unwrap_or_default(),
            backoff: raw::u8(bytes, 4).unwrap_or_default(),
            options: raw::u8(bytes, 5).unwrap_or_default(),
            wscale: raw::u8(bytes, 6).unwrap_or_default(),
            limits: raw::u8(bytes, 7).unwrap_or_default(),
            rto_us: raw::u32(bytes, 8).unwrap_or_default(),
            ato_us: raw::u32(bytes, 12).unwrap_or_default(),
            snd_mss: raw::u32(bytes, 16).unwrap_or_default(),
            rcv_mss: raw::u32(bytes, 20).unwrap_or_default(),
            unacked: raw::u32(bytes, 24).unwrap_or_default(),
            sacked: raw::u32(bytes, 28).unwrap_or_default(),
            lost: raw::u32(bytes, 32).unwrap_or_default(),
            retrans: raw::u32(bytes, 36).unwrap_or_default(),
            fackets: raw::u32(bytes, 40).unwrap_or_default(),
            last_data_sent_ms: raw::u32(bytes, 44).unwrap_or_default(),
            last_ack_sent_ms: raw::u32(bytes, 48).unwrap_or_default(),
            last_data_recv_ms: raw::u32(bytes, 52).unwrap_or_default(),
            last_ack_recv_ms: raw::u32(bytes, 56).unwrap_or_default(),
            pmtu: raw::u32(bytes, 60).unwrap_or_default(),
            rcv_ssthresh: raw::u32(bytes, 64).unwrap_or_default(),
            rtt_us: raw::u32(bytes, 68).unwrap_or_default(),
            rttvar_us: raw::u32(bytes, 72).unwrap_or_default(),
            snd_ssthresh: raw::u32(bytes, 76).unwrap_or_default(),
            snd_cwnd: raw::u32(bytes, 80).unwrap_or_default(),
            advmss: raw::u32(bytes, 84).unwrap_or_default(),
            reordering: raw::u32(bytes, 88).unwrap_or_default(),
            rcv_rtt_us: raw::u32(bytes, 92).unwrap_or_default(),
            rcv_space: raw::u32(bytes, 96).unwrap_or_default(),
            total_retrans: raw::u32(bytes, 100).unwrap_or_default(),
            pacing_rate: raw::u64(bytes, 104).unwrap_or_default(),
            max_pacing_rate: raw::u64(bytes, 112).unwrap_or_default(),
            bytes_acked: raw::u64(bytes, 120).unwrap_or_default(),
            bytes_received: raw::u64(bytes, 128).unwrap_or_default(),
            segs_out: raw::u32(bytes, 136).unwrap_or_default(),
            segs_in: raw::u32(bytes, 140).unwrap_or_default(),
            notsent_bytes: raw::u32(bytes, 144).unwrap_or_default(),
            min_rtt_us: raw::u32(bytes, 148).unwrap_or_default(),
            data_segs_in: raw::u32(bytes, 152).unwrap_or_default(),
            data_segs_out: raw::u32(bytes, 156).unwrap_or_default(),
            delivery_rate: raw::u64(bytes, 160).unwrap_or_default(),
            busy_time_us: raw::u64(bytes, 168).unwrap_or_default(),
            rwnd_limited_us: raw::u64(bytes, 176).unwrap_or_default(),
            sndbuf_limited_us: raw::u64(bytes, 184).unwrap_or_default(),
            delivered: raw::u32(bytes, 192).unwrap_or_default(),
            delivered_ce: raw::u32(bytes, 196).unwrap_or_default(),
            bytes_sent: raw::u64(bytes, 200).unwrap_or_default(),
            bytes_retrans: raw::u64(bytes, 208).unwrap_or_default(),
            dsack_dups: raw::u32(bytes, 216).unwrap_or_default(),
            reord_seen: raw::u32(bytes, 220).unwrap_or_default(),
            rcv_ooopack: raw::u32(bytes, 224).unwrap_or_default(),
            snd_wnd: raw::u32(bytes, 228).unwrap_or_default(),
            rcv_wnd: raw::u32(bytes, 232).unwrap_or_default(),
            rehash: raw::u32(bytes, 236).unwrap_or_default(),
            total_rto: raw::u16(bytes, 240).unwrap_or_default(),
            total_rto_recoveries: raw::u16(bytes, 242).unwrap_or_default(),
            total_rto_time_ms: raw::u32(bytes, 244).unwrap_or_default(),
            received_ce: raw::u32(bytes, 248).unwrap_or_default(),
            delivered_e1_bytes: raw::u32(bytes, 252).unwrap_or_default(),
            delivered_e0_bytes: raw::u32(bytes, 256).unwrap_or_default(),
            delivered_ce_bytes: raw::u32(bytes, 260).unwrap_or_default(),
            received_e1_bytes: raw::u32(bytes, 264).unwrap_or_default(),
            received_e0_bytes: raw::u32(bytes, 268).unwrap_or_default(),
            received_ce_bytes: raw::u32(bytes, 272).unwrap_or_default(),
            accecn_fail_mode: raw::u16(bytes, 276).unwrap_or_default(),
            accecn_opt_seen: raw::u16(bytes, 278).unwrap_or_default(),
        }
    }

    /// Whether the kernel's structure reaches to octet `end`, e.g. 232 for one that has `snd_wnd`.
    pub fn has(&self, end: usize) -> bool {
        self.length >= end
    }

    /// The window scales: sent and received.
    pub fn window_scales(&self) -> (u8, u8) {
        (self.wscale & 15, self.wscale >> 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_length_is_read() {
        let bytes: Vec<u8> = (0..=255).chain(0..=255).collect();
        let whole = TcpInfo::read(&bytes);
        assert_eq!(whole.total_retrans, u32::from_ne_bytes([100, 101, 102, 103]));
        assert_eq!(whole.pacing_rate, u64::from_ne_bytes([104, 105, 106, 107, 108, 109, 110, 111]));
        assert_eq!(whole.snd_wnd, u32::from_ne_bytes([228, 229, 230, 231]));
        assert_eq!(whole.window_scales(), (6, 0));
        for length in 0..300 {
            let part = TcpInfo::read(&bytes[..length]);
            assert_eq!(part.snd_wnd != 0, part.has(232));
            assert_eq!(part.length, length);
        }
    }
}
