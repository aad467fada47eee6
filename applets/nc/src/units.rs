//! Durations and port lists as people write them.

use std::time::Duration;

use netkit_core::Error;
use netkit_probe::Protocol;
use netkit_probe::services::Services;

use crate::args::{FAILURE, number};

/// Longest duration taken: a week.
const MOST: Duration = Duration::from_secs(604_800);

/// `3`, `0.5`, `500ms`, `2s`, `1m`, `1h`; without a unit, seconds.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (digits, factor) = if let Some(digits) = text.strip_suffix("ms") {
        (digits, 0.001)
    } else if let Some(digits) = text.strip_suffix('s') {
        (digits, 1.0)
    } else if let Some(digits) = text.strip_suffix('m') {
        (digits, 60.0)
    } else if let Some(digits) = text.strip_suffix('h') {
        (digits, 3600.0)
    } else {
        (text, 1.0)
    };
    // Digits and one point: parse would also take signs, exponents and words.
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let value: f64 = if plain { digits.parse().ok()? } else { return None };
    Duration::try_from_secs_f64(value * factor).ok().filter(|duration| *duration <= MOST)
}

/// Ports in the order they are tried: `80`, `http`, `8000-8010`, several of them.
///
/// # Errors
/// The peer's words for a port that is none.
pub(crate) fn ports(words: &[String], protocol: Protocol, services: &Services) -> Result<Vec<u16>, Error> {
    let mut ports = Vec::new();
    for word in words {
        if let Some(port) = services.port(word, protocol) {
            ports.push(port);
        } else if let Some((low, high)) = word.split_once('-').filter(|(low, _)| !low.is_empty()) {
            let (low, high) = (port(low)?, port(high)?);
            ports.extend(low.min(high)..=low.max(high));
        } else {
            ports.push(port(word)?);
        }
        if ports.len() > 65_535 {
            return Err(Error::new(FAILURE, "more than 65535 ports"));
        }
    }
    Ok(ports)
}

/// A port number.
pub(crate) fn port(text: &str) -> Result<u16, Error> {
    Ok(u16::try_from(number("port number", text, 1, 65_535)?).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Some(Duration::from_secs(120)));
        for bad in ["", "x", "-1", "1e9", "inf", "nan", "ms", "1d", "99999999h", "1.2.3"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn port_lists() {
        let services = Services::embedded();
        let ports = |text: &str| ports(&[text.to_owned()], Protocol::Tcp, &services);
        assert_eq!(ports("http").unwrap(), [80]);
        assert_eq!(ports("ftp-data").unwrap(), [20]);
        assert_eq!(ports("8003-8001").unwrap(), [8001, 8002, 8003]);
        let message = |text: &str| ports(text).unwrap_err().message;
        assert_eq!(message("70000"), "port number too large: 70000");
        assert_eq!(message("0"), "port number too small: 0");
        assert_eq!(message("9-"), "port number invalid: ");
        assert_eq!(message("5-x"), "port number invalid: x");
    }

    proptest! {
        #[test]
        fn any_text(text in "\\PC{0,12}") {
            let _ = duration(&text);
            if let Ok(ports) = ports(&[text], Protocol::Udp, &Services::embedded()) {
                prop_assert!(!ports.is_empty() && !ports.contains(&0));
            }
        }

        #[test]
        fn any_range(a in 1u16.., b in 1u16..) {
            let list = ports(&[format!("{a}-{b}")], Protocol::Tcp, &Services::embedded()).unwrap();
            prop_assert_eq!(list.len(), usize::from(a.abs_diff(b)) + 1);
        }
    }
}
