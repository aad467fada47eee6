//! Where a zone transfer stands: AXFR (RFC 5936) and IXFR (RFC 1995) are told apart and ended by their SOA records.

use netkit_wire::dns::{Message, RrType, Section};

use crate::print::TransferSize;

/// A transfer under way.
pub(crate) struct Transfer {
    pub(crate) size: TransferSize,
    /// Ends at the second SOA; an IXFR may turn out to be one.
    whole_zone: bool,
    incremental: bool,
    /// Serial we hold, for IXFR.
    held: u32,
    first_serial: Option<u32>,
    second_seen: bool,
    /// Times the newest SOA came back since the start.
    repeats: u32,
}

/// What the latest message means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    More,
    Complete,
    /// With the line to print.
    Failed(&'static str),
}

impl Transfer {
    /// For a query of type AXFR or IXFR; `held` is the serial the latter named.
    pub(crate) fn new(rtype: RrType, held: u32) -> Transfer {
        Transfer {
            size: TransferSize::default(),
            whole_zone: rtype == RrType::AXFR,
            incremental: rtype == RrType::IXFR,
            held,
            first_serial: None,
            second_seen: false,
            repeats: 0,
        }
    }

    /// Takes the next message.
    pub(crate) fn feed(&mut self, message: &Message) -> Progress {
        self.size.messages += 1;
        self.size.bytes += message.bytes.len() as u64;
        let mut any = false;
        for record in message.section(Section::Answer) {
            any = true;
            self.size.records += 1;
            if record.rtype != RrType::SOA {
                if self.first_serial.is_none() {
                    return Progress::Failed("; Transfer failed.  Didn't start with SOA answer.\n");
                }
                if !self.second_seen {
                    self.second_seen = true;
                    self.whole_zone = true;
                }
                continue;
            }
            // A SOA too broken to read its serial still counts as one.
            let serial = message.soa(record).map_or(0, |soa| soa.serial);
            let Some(first) = self.first_serial else {
                self.first_serial = Some(serial);
                if self.incremental && serial_at_least(self.held, serial) {
                    return Progress::Complete;
                }
                continue;
            };
            if self.whole_zone {
                return Progress::Complete;
            }
            if !self.second_seen {
                if first == serial {
                    return Progress::Complete;
                }
                self.second_seen = true;
                continue;
            }
            if first == serial {
                self.repeats += 1;
                if self.repeats == 2 {
                    return Progress::Complete;
                }
            }
        }
        if any { Progress::More } else { Progress::Failed("; Transfer failed.\n") }
    }
}

/// `a >= b` in serial number arithmetic (RFC 1982).
fn serial_at_least(a: u32, b: u32) -> bool {
    a == b || a.wrapping_sub(b) < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reply whose answer section holds SOAs with these serials; `None` stands for an A record.
    fn reply(serials: &[Option<u32>]) -> Message {
        let count = u8::try_from(serials.len()).unwrap();
        let mut bytes = vec![0, 1, 0x80, 0, 0, 0, 0, count, 0, 0, 0, 0];
        for serial in serials {
            match serial {
                None => bytes.extend_from_slice(&[0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 10, 0, 0, 1]),
                Some(serial) => {
                    bytes.extend_from_slice(&[0, 0, 6, 0, 1, 0, 0, 0, 0, 0, 22, 0, 0]);
                    bytes.extend_from_slice(&serial.to_be_bytes());
                    bytes.extend_from_slice(&[0; 16]);
                }
            }
        }
        Message::decode(bytes).unwrap()
    }

    #[test]
    fn axfr_ends_at_the_second_soa() {
        let mut transfer = Transfer::new(RrType::AXFR, 0);
        assert_eq!(transfer.feed(&reply(&[Some(5), None])), Progress::More);
        assert_eq!(transfer.feed(&reply(&[None, Some(5)])), Progress::Complete);
        assert_eq!((transfer.size.records, transfer.size.messages), (4, 2));
    }

    #[test]
    fn refused_and_senseless() {
        assert_eq!(Transfer::new(RrType::AXFR, 0).feed(&reply(&[])), Progress::Failed("; Transfer failed.\n"));
        let failed = Transfer::new(RrType::AXFR, 0).feed(&reply(&[None]));
        assert_eq!(failed, Progress::Failed("; Transfer failed.  Didn't start with SOA answer.\n"));
    }

    #[test]
    fn ixfr_in_its_three_forms() {
        // Nothing new: one SOA.
        assert_eq!(Transfer::new(RrType::IXFR, 7).feed(&reply(&[Some(7)])), Progress::Complete);
        // Differences: newest, old, ..., newer, ..., newest.
        let mut transfer = Transfer::new(RrType::IXFR, 5);
        assert_eq!(transfer.feed(&reply(&[Some(7), Some(5), None])), Progress::More);
        assert_eq!(transfer.feed(&reply(&[Some(7), None])), Progress::More);
        assert_eq!(transfer.feed(&reply(&[Some(7)])), Progress::Complete);
        // The whole zone.
        let mut transfer = Transfer::new(RrType::IXFR, 5);
        assert_eq!(transfer.feed(&reply(&[Some(7), None, None, Some(7)])), Progress::Complete);
    }

    #[test]
    fn serials_wrap() {
        assert!(serial_at_least(0, u32::MAX));
        assert!(!serial_at_least(u32::MAX, 0));
    }
}
