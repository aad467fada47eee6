//! What a transfer took and moved, for `-w`, `--timing` and the report.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Phases, each from the start of the transfer.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    pub(crate) start: Instant,
    pub(crate) queue: Duration,
    pub(crate) namelookup: Duration,
    pub(crate) connect: Duration,
    pub(crate) appconnect: Duration,
    pub(crate) pretransfer: Duration,
    pub(crate) posttransfer: Duration,
    pub(crate) starttransfer: Duration,
    pub(crate) redirect: Duration,
    pub(crate) total: Duration,
}

impl Times {
    pub(crate) fn new(start: Instant) -> Times {
        let zero = Duration::ZERO;
        Times {
            start,
            queue: zero,
            namelookup: zero,
            connect: zero,
            appconnect: zero,
            pretransfer: zero,
            posttransfer: zero,
            starttransfer: zero,
            redirect: zero,
            total: zero,
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

/// One request of a transfer: a redirect or a repetition with credentials makes more than one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hop {
    pub(crate) url: String,
    pub(crate) method: String,
    pub(crate) status: u16,
    pub(crate) version: u8,
    pub(crate) began: Duration,
    pub(crate) namelookup: Duration,
    pub(crate) connect: Duration,
    pub(crate) appconnect: Duration,
    pub(crate) sent: Duration,
    pub(crate) first_byte: Duration,
    pub(crate) end: Duration,
    pub(crate) reused: bool,
    pub(crate) how: String,
    pub(crate) attempts: Vec<netkit_probe::Attempt>,
}

/// Everything known of a transfer when it has ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) status: u16,
    pub(crate) connect_status: u16,
    pub(crate) version: u8,
    pub(crate) down: u64,
    pub(crate) up: u64,
    pub(crate) header_bytes: u64,
    pub(crate) request_bytes: u64,
    pub(crate) redirects: u64,
    pub(crate) retries: u64,
    pub(crate) connects: u64,
    pub(crate) redirect_url: Option<String>,
    pub(crate) effective: String,
    pub(crate) method: String,
    pub(crate) content_type: Option<String>,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) scheme: String,
    pub(crate) referer: Option<String>,
    pub(crate) verify_result: u32,
    pub(crate) proxy_verify_result: u32,
    pub(crate) certificates: Vec<Vec<u8>>,
    pub(crate) tls: Option<netkit_tls::Session>,
    pub(crate) proxy_used: bool,
    pub(crate) conn_id: Option<u64>,
    /// Of every response, in order, the last one's alone at the end.
    pub(crate) heads: Vec<netkit_http::head::Head>,
    pub(crate) hops: Vec<Hop>,
    pub(crate) filename: Option<String>,
}
