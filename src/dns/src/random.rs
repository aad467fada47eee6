//! Unpredictable numbers for query ids and cookies.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// 64 bits from std's keyed hash, whose key comes from the kernel's random source. Good enough against
/// off-path guessing of a query id (RFC 5452); not for keys.
pub fn random_u64() -> u64 {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(COUNTER.fetch_add(1, Ordering::Relaxed));
    hasher.finish()
}

/// A query id.
pub fn random_u16() -> u16 {
    u16::try_from(random_u64() >> 48).unwrap_or(0)
}
