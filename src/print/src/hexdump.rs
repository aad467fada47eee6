//! `-x`, `-X`, `-A`: the bytes themselves.

use crate::Printer;
use crate::fetch::Fetch;
use crate::put;

impl Printer {
    /// The dumps that the options ask for, each without the link header unless its letter was given twice.
    pub(crate) fn dumps(&mut self, data: &[u8]) {
        let options = self.options;
        let (kind, times) = match (options.hex_ascii, options.hex, options.ascii) {
            (0, 0, 0) => return,
            (0, 0, times) => (2, times),
            (0, times, _) => (1, times),
            (times, _, _) => (0, times),
        };
        let skip = if times > 1 { 0 } else { self.link_header };
        if times == 1 && data.len() <= skip {
            return;
        }
        let data = data.tail(skip);
        match kind {
            0 => self.hex_and_ascii("\n\t", data),
            1 => self.hex_lines("\n\t", data),
            _ => self.ascii(data),
        }
    }

    /// Lines of sixteen bytes in pairs.
    pub(crate) fn hex_lines(&mut self, indent: &str, data: &[u8]) {
        for (index, row) in data.chunks(16).enumerate() {
            put!(self, "{indent}0x{:04x}: ", index * 16);
            self.pairs(row);
        }
    }

    /// Lines of sixteen bytes in pairs, with the characters beside them.
    pub(crate) fn hex_and_ascii(&mut self, indent: &str, data: &[u8]) {
        for (index, row) in data.chunks(16).enumerate() {
            put!(self, "{indent}0x{:04x}: ", index * 16);
            let before = self.out.len();
            self.pairs(row);
            let width = self.out.len() - before;
            self.out.resize(self.out.len() + 40usize.saturating_sub(width) + 2, b' ');
            self.out.extend(row.iter().map(|byte| if byte.is_ascii_graphic() { *byte } else { b'.' }));
        }
    }

    fn pairs(&mut self, row: &[u8]) {
        for pair in row.chunks(2) {
            self.out.push(b' ');
            self.hex(pair);
        }
    }

    fn ascii(&mut self, data: &[u8]) {
        self.out.push(b'\n');
        let mut rest = data;
        while let Some((byte, after)) = rest.split_first() {
            rest = after;
            match byte {
                // A line end of the wire becomes a line end here.
                b'\r' if after.first().is_none_or(|next| *next == b'\n') => {}
                b'\r' => self.out.push(b'.'),
                b'\t' | b'\n' | b' ' => self.out.push(*byte),
                byte if byte.is_ascii_graphic() => self.out.push(*byte),
                _ => self.out.push(b'.'),
            }
        }
    }
}
