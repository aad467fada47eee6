//! Local time, by the zone that TZ or /etc/localtime names (localtime_r(3), tzset(3)).

use std::sync::Once;

use nix::libc;

/// When daylight saving time begins and ends where TZ names it and does not say: glibc's rule, which POSIX leaves open.
const RULE: &str = ",M3.2.0,M11.1.0";

/// How local time differs from UTC at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Seconds east of UTC.
    pub offset: i64,
    /// The abbreviation, such as `UTC` or `CET`.
    pub name: String,
}

/// The zone at this moment, in seconds since the epoch. A year that no calendar here can hold is UTC.
// The types of time_t and tm_gmtoff differ between targets.
#[allow(clippy::useless_conversion, irrefutable_let_patterns)]
pub fn zone(seconds: i64) -> Zone {
    static ONCE: Once = Once::new();
    ONCE.call_once(complete);
    let utc = Zone { offset: 0, name: "UTC".to_owned() };
    let Ok(moment) = libc::time_t::try_from(seconds) else { return utc };
    // SAFETY: an all-zero tm is valid: integers and a null pointer.
    #[allow(unsafe_code)]
    let mut fields: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid during the call. It reads TZ, which nobody changes after [`complete`].
    #[allow(unsafe_code)]
    let result = unsafe { libc::localtime_r(&raw const moment, &raw mut fields) };
    if result.is_null() || fields.tm_zone.is_null() {
        return utc;
    }
    // SAFETY: tm_zone is a C string that libc keeps until the next change of TZ, which does not happen here.
    #[allow(unsafe_code)]
    let name = unsafe { std::ffi::CStr::from_ptr(fields.tm_zone) };
    Zone { offset: i64::from(fields.tm_gmtoff), name: name.to_string_lossy().into_owned() }
}

/// Adds [`RULE`] to a TZ without one: without it musl takes the whole year for summer.
fn complete() {
    let Some(zone) = std::env::var_os("TZ") else { return };
    if lacks_rule(zone.as_encoded_bytes()) {
        let mut whole = zone;
        whole.push(RULE);
        // SAFETY: the tools that show local time have one thread; nobody reads the environment meanwhile.
        #[allow(unsafe_code)]
        unsafe {
            std::env::set_var("TZ", whole);
        };
    }
}

/// Whether TZ has the form `EST5EDT` or `<-03>3<-02>2` (tzset(3)), and ends there.
fn lacks_rule(zone: &[u8]) -> bool {
    fn name(text: &[u8]) -> Option<&[u8]> {
        if let [b'<', rest @ ..] = text {
            return rest.get(rest.iter().position(|byte| *byte == b'>')? + 1..);
        }
        let length = text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        text.get(length..).filter(|_| length >= 3)
    }
    fn offset(text: &[u8]) -> &[u8] {
        let text = text.strip_prefix(b"+").or_else(|| text.strip_prefix(b"-")).unwrap_or(text);
        let length = text.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b':').count();
        text.get(length..).unwrap_or_default()
    }
    let standard = name(zone).map(|rest| (rest, offset(rest))).filter(|(before, after)| before.len() > after.len());
    standard.and_then(|(_, rest)| name(rest)).is_some_and(|rest| offset(rest).is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_without_a_rule_are_known() {
        for zone in ["EST5EDT", "EST5EDT4", "CET-1CEST", "<-03>3<-02>2", "AEST-10:00AEDT"] {
            assert!(lacks_rule(zone.as_bytes()), "{zone}");
        }
        for zone in [
            "",
            "UTC",
            "UTC0",
            "EST5",
            "EST5EDT,M3.2.0,M11.1.0",
            "Europe/Berlin",
            ":EST5EDT",
            "<-03",
            "<-03>3",
            "ES5ED",
        ] {
            assert!(!lacks_rule(zone.as_bytes()), "{zone}");
        }
    }

    #[test]
    fn offsets_are_within_a_day() {
        for moment in [0, 1_700_000_000, -1, i64::MAX] {
            let zone = zone(moment);
            assert!(zone.offset.abs() <= 86_400 && !zone.name.is_empty(), "{zone:?}");
        }
    }
}
