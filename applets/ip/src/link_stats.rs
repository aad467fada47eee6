//! Counters of a link (struct rtnl_link_stats64 in linux/if_link.h).

use netkit_nl::{Attrs, raw};

use crate::out::Out;
use crate::world::World;

/// IFLA_STATS (32 bits) and IFLA_STATS64.
const STATS: u16 = 7;
const STATS64: u16 = 23;
const CARRIER_CHANGES: u16 = 35;

/// Counters by position.
struct Counters {
    values: Vec<u64>,
    carrier_changes: Option<u64>,
}

impl Counters {
    fn read(attrs: &Attrs<'_>) -> Option<Counters> {
        let values: Vec<u64> = if let Some(attr) = attrs.find(STATS64) {
            (0..24).map(|index| raw::u64(attr.value, index * 8).unwrap_or(0)).collect()
        } else {
            let attr = attrs.find(STATS)?;
            (0..24).map(|index| raw::u32(attr.value, index * 4).map_or(0, u64::from)).collect()
        };
        let carrier_changes = attrs.find(CARRIER_CHANGES).and_then(|attr| attr.u32()).map(u64::from);
        Some(Counters { values, carrier_changes })
    }

    fn at(&self, index: usize) -> u64 {
        self.values.get(index).copied().unwrap_or(0)
    }
}

/// A table row: heading, JSON key, value.
type Cell<'a> = (&'a str, &'a str, u64);

/// Prints the counters, with those of errors by kind when `-s` was given twice.
pub(crate) fn put(out: &mut Out<'_>, world: &World, attrs: &Attrs<'_>) {
    let Some(c) = Counters::read(attrs) else { return };
    let twice = world.options.stats > 1;
    let rx = [
        ("bytes", "bytes", c.at(2)),
        ("packets", "packets", c.at(0)),
        ("errors", "errors", c.at(4)),
        ("dropped", "dropped", c.at(6)),
        ("missed", "", c.at(15)),
        ("mcast", "multicast", c.at(8)),
    ];
    let rx_errors = [
        ("length", "length_errors", c.at(10)),
        ("crc", "crc_errors", c.at(12)),
        ("frame", "frame_errors", c.at(13)),
        ("fifo", "fifo_errors", c.at(14)),
        ("overrun", "missed_errors", c.at(11)),
    ];
    let tx = [
        ("bytes", "bytes", c.at(3)),
        ("packets", "packets", c.at(1)),
        ("errors", "errors", c.at(5)),
        ("dropped", "dropped", c.at(7)),
        ("carrier", "carrier_errors", c.at(17)),
        ("collsns", "collisions", c.at(9)),
    ];
    let mut tx_errors = vec![
        ("aborted", "aborted_errors", c.at(16)),
        ("fifo", "fifo_errors", c.at(18)),
        ("window", "window_errors", c.at(20)),
        ("heartbt", "heartbeat_errors", c.at(19)),
    ];
    if let Some(changes) = c.carrier_changes {
        tx_errors.push(("transns", "carrier_changes", changes));
    }
    if out.json() {
        json(out, &c, &[&rx, &rx_errors, &tx, &tx_errors], twice);
        return;
    }
    // Widths are shared by every row.
    let mut widths = [10, 7, 6, 7, 7, 7, 10];
    let human = |value: u64| number(value, world.options.human, world.options.iec);
    let mut widen = |skip: usize, values: &mut dyn Iterator<Item = u64>| {
        for (width, value) in widths.iter_mut().skip(skip).zip(values) {
            *width = human(value).len().max(*width);
        }
    };
    widen(0, &mut rx.iter().map(|cell| cell.2).chain([c.at(21)]));
    widen(0, &mut tx.iter().map(|cell| cell.2).chain([c.at(22)]));
    if twice {
        widen(1, &mut rx_errors.iter().map(|cell| cell.2).chain([c.at(23)]));
        widen(1, &mut tx_errors.iter().map(|cell| cell.2));
    }
    main_row(out, "RX:", &rx, c.at(21), &widths, &human);
    if twice {
        error_row(out, "RX errors:", &rx_errors, c.at(23), &widths, &human);
    }
    out.line();
    main_row(out, "TX:", &tx, c.at(22), &widths, &human);
    if twice {
        error_row(out, "TX errors:", &tx_errors, 0, &widths, &human);
    }
}

fn main_row(
    out: &mut Out<'_>,
    label: &str,
    cells: &[Cell<'_>],
    compressed: u64,
    widths: &[usize; 7],
    human: &dyn Fn(u64) -> String,
) {
    out.words(format_args!("    {label}"));
    for ((heading, _, _), (at, width)) in cells.iter().zip(widths.iter().enumerate()) {
        if at == 0 {
            out.words(format_args!("{heading:>0$}", width.saturating_sub(label.len())));
        } else {
            out.words(format_args!(" {heading:>width$}"));
        }
    }
    let heading = if compressed > 0 { "compressed" } else { "" };
    let [.., last] = widths;
    out.words(format_args!(" {heading:>last$}"));
    out.line();
    out.words(format_args!("    "));
    for ((_, _, value), width) in cells.iter().zip(widths) {
        out.words(format_args!("{:>width$} ", human(*value)));
    }
    if compressed > 0 {
        out.words(format_args!("{:>last$} ", human(compressed)));
    }
}

fn error_row(
    out: &mut Out<'_>,
    label: &str,
    cells: &[Cell<'_>],
    no_handler: u64,
    widths: &[usize; 7],
    human: &dyn Fn(u64) -> String,
) {
    let [first, rest @ ..] = widths;
    let cells: Vec<(&str, u64)> = cells
        .iter()
        .map(|cell| (cell.0, cell.2))
        .chain((no_handler > 0).then_some(("nohandler", no_handler)))
        .collect();
    out.line();
    out.words(format_args!("    {label:<first$}"));
    for ((heading, _), width) in cells.iter().zip(rest) {
        out.words(format_args!(" {heading:>width$}"));
    }
    out.line();
    out.words(format_args!("    {:>first$} ", ""));
    for ((_, value), width) in cells.iter().zip(rest) {
        out.words(format_args!("{:>width$} ", human(*value)));
    }
}

fn json(out: &mut Out<'_>, c: &Counters, rows: &[&[Cell<'_>]; 4], twice: bool) {
    let [rx, rx_errors, tx, tx_errors] = rows;
    out.object("stats64");
    for (name, cells, errors, compressed, no_handler) in
        [("rx", rx, rx_errors, c.at(21), c.at(23)), ("tx", tx, tx_errors, c.at(22), 0)]
    {
        out.object(name);
        for (_, key, value) in cells.iter() {
            // The text shows what was missed, JSON what ran over.
            match *key {
                "" => out.member("over_errors", c.at(11)),
                key => out.member(key, *value),
            }
        }
        if compressed > 0 {
            out.member("compressed", compressed);
        }
        if twice {
            for (_, key, value) in errors.iter() {
                out.member(key, if *key == "missed_errors" { c.at(15) } else { *value });
            }
            if no_handler > 0 {
                out.member("nohandler", no_handler);
            }
        }
        out.end();
    }
    out.end();
}

/// A counter, with `-h` as iproute2 shortens it.
fn number(value: u64, human: bool, iec: bool) -> String {
    let base: u64 = if iec { 1024 } else { 1000 };
    if !human || value < base {
        return value.to_string();
    }
    let mut unit = base;
    let mut letters = "kMGTPE".chars();
    let mut letter = letters.next().unwrap_or('k');
    while value / base >= unit {
        unit = unit.saturating_mul(base);
        letter = letters.next().unwrap_or('E');
    }
    // Three digits that count, rounded to the nearest.
    let (value, unit) = (u128::from(value), u128::from(unit));
    let decimals: u32 = match value / unit {
        0..=9 => 2,
        10..=99 => 1,
        _ => 0,
    };
    let scale = 10u128.pow(decimals);
    let scaled = (value * scale * 2 + unit) / (unit * 2);
    let suffix = if iec { "i" } else { "" };
    if decimals == 0 {
        format!("{scaled}{letter}{suffix}")
    } else {
        let width = usize::try_from(decimals).unwrap_or(2);
        format!("{}.{:0width$}{letter}{suffix}", scaled / scale, scaled % scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn human_numbers() {
        for (value, iec, text) in [
            (999, false, "999"),
            (6168, false, "6.17k"),
            (6168, true, "6.02ki"),
            (120_000, false, "120k"),
            (120_000, true, "117ki"),
            (12_005_600_746, false, "12.0G"),
            (2_401_120_000, true, "2.24Gi"),
            (u64::MAX, false, "18.4E"),
            (u64::MAX, true, "16.0Ei"),
        ] {
            assert_eq!(number(value, true, iec), text);
        }
        assert_eq!(number(6168, false, false), "6168");
    }
}
