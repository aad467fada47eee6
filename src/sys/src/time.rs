//! Local time, by the zone that TZ or /etc/localtime names (localtime_r(3), tzset(3)).

use nix::libc;

/// How local time differs from UTC at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Seconds east of UTC.
    pub offset: i64,
    /// The abbreviation, such as `UTC` or `CET`.
    pub name: String,
}

/// The zone at this moment, in seconds since the epoch. A year that no calendar here can hold is UTC.
pub fn zone(seconds: i64) -> Zone {
    let utc = Zone { offset: 0, name: "UTC".to_owned() };
    #[allow(clippy::useless_conversion)]
    let moment: libc::time_t = seconds;
    // SAFETY: an all-zero tm is valid: integers and a null pointer.
    #[allow(unsafe_code)]
    let mut fields: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid during the call. It reads TZ; no applet changes the environment of this process.
    #[allow(unsafe_code)]
    let result = unsafe { libc::localtime_r(&raw const moment, &raw mut fields) };
    if result.is_null() || fields.tm_zone.is_null() {
        return utc;
    }
    // SAFETY: tm_zone is a C string that libc keeps until the next change of TZ, which does not happen here.
    #[allow(unsafe_code)]
    let name = unsafe { std::ffi::CStr::from_ptr(fields.tm_zone) };
    Zone { offset: fields.tm_gmtoff, name: name.to_string_lossy().into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_within_a_day() {
        for moment in [0, 1_700_000_000, -1, i64::MAX] {
            let zone = zone(moment);
            assert!(zone.offset.abs() <= 86_400 && !zone.name.is_empty(), "{zone:?}");
        }
    }
}
