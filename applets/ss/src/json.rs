//! A socket as a JSON record: the figures of the page with their units in the key, zero or not.

use netkit_core::json::Value;
use netkit_nl::diag::{self, SkMemInfo, TcpInfo, inet};
use netkit_nl::{Attrs, raw};

use crate::names;
use crate::print::{World, netid, socket_options, timer_name};
use crate::select::{Family, Table, state};
use crate::socket::{Socket, proto};

/// Version of the records.
pub(crate) const SCHEMA: &str = "ss/1";

/// The record of one socket.
pub(crate) fn record(world: &mut World<'_>, socket: &Socket<'_>) -> Value {
    let attrs = Attrs::new(socket.attributes);
    let mut value = Value::object()
        .with("netid", netid(socket))
        .with("state", state::label(socket.state))
        .with("recv_q_bytes", socket.recv_q)
        .with("send_q_bytes", socket.send_q);
    if socket.state == state::N_LISTEN {
        // A listener's queues count connections.
        value = Value::object()
            .with("netid", netid(socket))
            .with("state", state::label(socket.state))
            .with("accept_queue", socket.recv_q)
            .with("backlog", socket.send_q);
    }
    ends(&mut value, world, socket);
    if socket.interface != 0 {
        value.set("interface", world.interfaces.name(socket.interface));
    }
    value.set("uid", socket.uid);
    value.set("inode", socket.inode);
    if socket.cookie != 0 {
        value.set("cookie", format!("{:x}", socket.cookie));
    }
    if socket.mark != 0 {
        value.set("fwmark", socket.mark);
    }
    if socket.timer != 0 {
        let timer = Value::object()
            .with("name", timer_name(socket.timer))
            .with("expires_ms", socket.expires)
            .with("retransmits", socket.retransmits);
        value.set("timer", timer);
    }
    if socket.is_inet() {
        inet_details(&mut value, world, socket, attrs);
    }
    if let Some(memory) = attrs.find(memory_kind(socket)) {
        value.set("memory", memory_record(&SkMemInfo::read(memory.value)));
    }
    let holders: Vec<Value> = world
        .owners
        .of(socket.inode)
        .map(|(name, holder)| {
            let record = Value::object().with("name", name).with("pid", holder.pid);
            let record = if world.show.threads { record.with("tid", holder.tid) } else { record };
            record.with("fd", holder.fd)
        })
        .collect();
    if world.show.processes || world.show.threads {
        value.set("processes", holders);
    }
    if world.pods.is_some()
        && let Some(container) = world.container(socket)
    {
        let mut record = Value::object();
        for (key, text) in [
            ("namespace", &container.namespace),
            ("pod", &container.pod),
            ("pod_uid", &container.pod_uid),
            ("name", &container.name),
            ("id", &container.id),
        ] {
            if !text.is_empty() {
                record.set(key, text.as_str());
            }
        }
        value.set("container", record);
    }
    value
}

fn memory_kind(socket: &Socket<'_>) -> u16 {
    match socket.family {
        Family::Unix => diag::unix::MEMINFO,
        Family::Packet => diag::packet::MEMINFO,
        Family::Netlink => diag::netlink::MEMINFO,
        _ => inet::SKMEMINFO,
    }
}

fn ends(value: &mut Value, world: &mut World<'_>, socket: &Socket<'_>) {
    match socket.family {
        Family::Inet | Family::Inet6 => {
            let text = |address: Option<std::net::IpAddr>| address.map(|address| address.to_string());
            value.set("local_address", text(socket.local));
            value.set("local_port", socket.local_port);
            value.set("peer_address", text(socket.remote));
            value.set("peer_port", socket.remote_port);
        }
        Family::Unix => {
            let name = |name: Option<&[u8]>| {
                let text = String::from_utf8_lossy(name?).into_owned();
                let bare = text.trim_end_matches('\0');
                Some(if text.starts_with('\0') { text.replace('\0', "@") } else { bare.to_owned() })
            };
            value.set("path", name(socket.name));
            value.set("peer_inode", socket.remote_port);
        }
        Family::Packet => {
            value.set("ethertype", socket.local_word);
            value.set("ethertype_name", names::ethertype(socket.local_word));
        }
        Family::Netlink => {
            value.set("protocol", socket.local_word);
            value.set("protocol_name", names::netlink(socket.local_word));
            value.set("port_id", socket.local_port);
            value.set("groups", socket.groups);
            if socket.connected {
                value.set("peer_port_id", socket.remote_port);
                value.set("peer_group", socket.remote_word);
            }
        }
        Family::Vsock => {
            value.set("local_cid", socket.local_word);
            value.set("local_port", socket.local_port);
            value.set("peer_cid", socket.remote_word);
            value.set("peer_port", socket.remote_port);
        }
    }
    let _ = world;
}

fn inet_details(value: &mut Value, world: &mut World<'_>, socket: &Socket<'_>, attrs: Attrs<'_>) {
    let number = |kind: u16| attrs.find(kind).and_then(|attribute| attribute.number());
    if socket.cgroup != 0 {
        value.set("cgroup_id", socket.cgroup);
        if let Some(path) = world.cgroups.path(socket.cgroup) {
            value.set("cgroup", path);
        }
    }
    if let Some(only) = number(inet::SKV6ONLY).filter(|_| socket.family == Family::Inet6) {
        value.set("v6only", only != 0);
    }
    if let Some(mask) = number(inet::SHUTDOWN) {
        value.set("receive_shut", mask & 1 != 0);
        value.set("send_shut", mask & 2 != 0);
    }
    for (kind, key) in [(inet::TOS, "tos"), (inet::TCLASS, "tclass"), (inet::CLASS_ID, "class_id")] {
        if let Some(number) = number(kind) {
            value.set(key, number);
        }
    }
    if let Some(options) = attrs.find(inet::SOCKOPT) {
        value.set("socket_options", socket_options(options.value).map(Value::from).collect::<Vec<_>>());
    }
    if let Some(name) = attrs.find(inet::CONG) {
        value.set("congestion_control", name.text());
    }
    if let Some(legacy) = &socket.legacy {
        value.set("rto_us", u64::from(legacy.rto) * 10_000);
        value.set("cwnd_segments", legacy.cwnd);
    }
    if let Some(info) = attrs.find(inet::INFO).filter(|_| socket.table == Table::Tcp && socket.protocol == proto::TCP) {
        value.set("tcp_info", tcp_record(&TcpInfo::read(info.value)));
    }
    if let Some(info) = attrs.find(inet::INFO).filter(|_| socket.protocol == proto::MPTCP) {
        let token = raw::u32(info.value, 12).unwrap_or(0);
        let subflows = raw::u8(info.value, 0).unwrap_or(0);
        value.set("mptcp", Value::object().with("subflows", subflows).with("token", format!("{token:x}")));
    }
}

fn memory_record(memory: &SkMemInfo) -> Value {
    Value::object()
        .with("receive_allocated_bytes", memory.rmem_alloc)
        .with("receive_buffer_bytes", memory.rcvbuf)
        .with("send_allocated_bytes", memory.wmem_alloc)
        .with("send_buffer_bytes", memory.sndbuf)
        .with("forward_allocated_bytes", memory.fwd_alloc)
        .with("send_queued_bytes", memory.wmem_queued)
        .with("option_bytes", memory.optmem)
        .with("backlog_bytes", memory.backlog)
        .with("dropped_packets", memory.drops)
}

fn tcp_record(info: &TcpInfo) -> Value {
    let (sent, received) = info.window_scales();
    let options =
        [(1, "timestamps"), (2, "sack"), (4, "window_scale"), (8, "ecn"), (16, "ecn_seen"), (32, "fast_open")];
    let names: Vec<Value> =
        options.into_iter().filter(|(bit, _)| info.options & bit != 0).map(|(_, name)| name.into()).collect();
    Value::object()
        .with("options", names)
        .with("window_scale_sent", sent)
        .with("window_scale_received", received)
        .with("rto_us", info.rto_us)
        .with("ato_us", info.ato_us)
        .with("rtt_us", info.rtt_us)
        .with("rtt_variation_us", info.rttvar_us)
        .with("min_rtt_us", Some(info.min_rtt_us).filter(|rtt| *rtt != u32::MAX))
        .with("receive_rtt_us", info.rcv_rtt_us)
        .with("backoff", info.backoff)
        .with("retransmits", info.retransmits)
        .with("probes", info.probes)
        .with("send_mss_bytes", info.snd_mss)
        .with("receive_mss_bytes", info.rcv_mss)
        .with("advertised_mss_bytes", info.advmss)
        .with("pmtu_bytes", info.pmtu)
        .with("cwnd_segments", info.snd_cwnd)
        .with("ssthresh_segments", info.snd_ssthresh)
        .with("bytes_sent", info.bytes_sent)
        .with("bytes_retransmitted", info.bytes_retrans)
        .with("bytes_acked", info.bytes_acked)
        .with("bytes_received", info.bytes_received)
        .with("segments_out", info.segs_out)
        .with("segments_in", info.segs_in)
        .with("data_segments_out", info.data_segs_out)
        .with("data_segments_in", info.data_segs_in)
        .with("last_sent_ms", info.last_data_sent_ms)
        .with("last_received_ms", info.last_data_recv_ms)
        .with("last_ack_ms", info.last_ack_recv_ms)
        .with("pacing_rate_bytes_per_s", Some(info.pacing_rate).filter(|rate| *rate != u64::MAX))
        .with("max_pacing_rate_bytes_per_s", Some(info.max_pacing_rate).filter(|rate| *rate != u64::MAX))
        .with("delivery_rate_bytes_per_s", info.delivery_rate)
        .with("app_limited", info.limits & 1 != 0)
        .with("delivered_segments", info.delivered)
        .with("delivered_ce_segments", info.delivered_ce)
        .with("busy_us", info.busy_time_us)
        .with("receive_window_limited_us", info.rwnd_limited_us)
        .with("send_buffer_limited_us", info.sndbuf_limited_us)
        .with("unacked_segments", info.unacked)
        .with("retransmitted_segments", info.retrans)
        .with("total_retransmitted_segments", info.total_retrans)
        .with("lost_segments", info.lost)
        .with("sacked_segments", info.sacked)
        .with("dsack_duplicates", info.dsack_dups)
        .with("reordering", info.reordering)
        .with("reorderings_seen", info.reord_seen)
        .with("receive_space_bytes", info.rcv_space)
        .with("receive_ssthresh_bytes", info.rcv_ssthresh)
        .with("not_sent_bytes", info.notsent_bytes)
        .with("out_of_order_packets", info.rcv_ooopack)
        .with("send_window_bytes", info.snd_wnd)
        .with("receive_window_bytes", info.rcv_wnd)
        .with("rehashes", info.rehash)
        .with("total_rtos", info.total_rto)
        .with("total_rto_recoveries", info.total_rto_recoveries)
        .with("total_rto_ms", info.total_rto_time_ms)
}
