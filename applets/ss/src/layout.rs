//! Columns: cells are collected as they come and printed when their widths are known, as the peer does.
//!
//! Addresses stand to the right and ports to the left, so that the colons between them are in one line. Widths are those
//! of the content; on a terminal (or with COLUMNS) the room that is left is spread over the columns, and a row that does
//! not fit goes on in the next line. Rows are printed in batches of a few megabytes; widths only ever grow.

use std::io::{self, Write};

/// A column, in the order of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Column {
    Netid,
    State,
    RecvQ,
    SendQ,
    LocalAddress,
    LocalPort,
    PeerAddress,
    PeerPort,
    /// Not the peer's: the pod or container of the socket.
    Pod,
    Process,
    Details,
}

const COUNT: usize = 11;

struct Shape {
    column: Column,
    header: &'static str,
    /// What stands before it unless it begins a line.
    delimiter: &'static [u8],
    right: bool,
}

const fn shape(column: Column, header: &'static str, delimiter: &'static [u8], right: bool) -> Shape {
    Shape { column, header, delimiter, right }
}

const SHAPES: [Shape; COUNT] = [
    shape(Column::Netid, "Netid", b"", false),
    shape(Column::State, "State", b" ", false),
    shape(Column::RecvQ, "Recv-Q", b" ", false),
    shape(Column::SendQ, "Send-Q", b" ", false),
    shape(Column::LocalAddress, "Local Address:", b" ", true),
    shape(Column::LocalPort, "Port", b"", false),
    shape(Column::PeerAddress, "Peer Address:", b" ", true),
    shape(Column::PeerPort, "Port", b"", false),
    shape(Column::Pod, "Pod/Container", b" ", false),
    shape(Column::Process, "Process", b"", false),
    shape(Column::Details, "", b"", false),
];

/// When this much is collected it is printed; the peer keeps somewhat more.
const BATCH: usize = 3 << 20;

/// Rows of cells on their way to the output.
pub(crate) struct Layout {
    enabled: [bool; COUNT],
    longest: [usize; COUNT],
    text: Vec<u8>,
    /// How many bytes of `text` each cell of an enabled column has.
    lengths: Vec<u16>,
    /// Columns of the screen; nothing when unknown: then there is no filling and no trailing blank.
    screen: Option<usize>,
    terminal: bool,
}

impl Layout {
    pub(crate) fn new(screen: Option<usize>, terminal: bool) -> Layout {
        Layout { enabled: [true; COUNT], longest: [0; COUNT], text: Vec::new(), lengths: Vec::new(), screen, terminal }
    }

    pub(crate) fn hide(&mut self, column: Column) {
        if let Some(enabled) = self.enabled.get_mut(column as usize) {
            *enabled = false;
        }
    }

    pub(crate) fn shows(&self, column: Column) -> bool {
        self.enabled.get(column as usize).copied().unwrap_or(false)
    }

    pub(crate) fn header(&mut self) {
        for shape in &SHAPES {
            self.cell(shape.column, |out| out.extend_from_slice(shape.header.as_bytes()));
        }
    }

    /// Adds the next cell. Every row has all columns, in order; hidden ones cost nothing.
    pub(crate) fn cell(&mut self, column: Column, write: impl FnOnce(&mut Vec<u8>)) {
        if !self.shows(column) {
            return;
        }
        let start = self.text.len();
        write(&mut self.text);
        // The peer, too, cuts a cell at 65,535 bytes.
        let length = u16::try_from(self.text.len() - start).unwrap_or(u16::MAX);
        self.text.truncate(start + usize::from(length));
        self.lengths.push(length);
        let length = usize::from(length);
        if let Some(longest) = self.longest.get_mut(column as usize) {
            *longest = length.max(*longest);
        }
    }

    /// Ends a row and prints what there is when it is much.
    pub(crate) fn end_row(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.text.capacity() < BATCH && self.text.len() > BATCH / 64 {
            // Growing step by step would hold two copies at a time; what is not written yet costs nothing.
            self.text.reserve_exact(BATCH + usize::from(u16::MAX));
            self.lengths.reserve_exact(BATCH / 8);
        }
        if self.text.len() + self.lengths.len() * 2 < BATCH {
            return Ok(());
        }
        self.flush(out)
    }

    /// Prints what is collected.
    pub(crate) fn flush(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let widths = self.widths();
        let shown: Vec<(&Shape, usize)> = SHAPES
            .iter()
            .zip(widths)
            .zip(self.enabled)
            .filter(|(_, enabled)| *enabled)
            .map(|((shape, width), _)| (shape, width))
            .collect();
        let mut line = Vec::with_capacity(1 << 16);
        let mut start = 0usize;
        let mut lengths = self.lengths.iter();
        'rows: loop {
            for (position, (shape, width)) in shown.iter().enumerate() {
                let Some(length) = lengths.next() else { break 'rows };
                let end = start + usize::from(*length);
                let cell = self.text.get(start..end).unwrap_or_default();
                start = end;
                let delimiter = if position == 0 { &[][..] } else { shape.delimiter };
                line.extend_from_slice(delimiter);
                let fill = width.saturating_sub(cell.len() + delimiter.len());
                if shape.right {
                    line.resize(line.len() + fill, b' ');
                }
                if !self.terminal && cell.first() == Some(&b'\n') {
                    strip(&mut line);
                }
                line.extend_from_slice(cell);
                if !shape.right && (self.terminal || position + 1 < shown.len()) {
                    line.resize(line.len() + fill, b' ');
                }
            }
            if !self.terminal {
                strip(&mut line);
            }
            line.push(b'\n');
            if line.len() > (1 << 16) - 4096 {
                out.write_all(&line)?;
                line.clear();
            }
        }
        out.write_all(&line)?;
        self.text.clear();
        self.lengths.clear();
        Ok(())
    }

    /// The width of each column with its delimiter; zero for one without content.
    fn widths(&self) -> [usize; COUNT] {
        let mut widths = [0usize; COUNT];
        let mut first = true;
        for (((width, shape), longest), enabled) in widths.iter_mut().zip(&SHAPES).zip(self.longest).zip(self.enabled) {
            if !enabled || longest == 0 {
                continue;
            }
            *width = longest + if first { 0 } else { shape.delimiter.len() };
            if let Some(screen) = self.screen {
                *width = (*width).min(screen);
            }
            first = false;
        }
        if let Some(screen) = self.screen {
            spread(&mut widths, screen);
        }
        widths
    }
}

fn strip(line: &mut Vec<u8>) {
    while line.last() == Some(&b' ') {
        line.pop();
    }
}

/// Breaks the columns into as few screen lines as possible and gives the room left in each line to its columns,
/// the remainder to the last ones.
fn spread(widths: &mut [usize; COUNT], screen: usize) {
    let filled: Vec<usize> =
        widths.iter().enumerate().filter(|(_, width)| **width > 0).map(|(index, _)| index).collect();
    let mut line: Vec<usize> = Vec::new();
    let mut length = 0;
    let mut left = filled.as_slice();
    while let Some((next, rest)) = left.split_first() {
        let width = widths.get(*next).copied().unwrap_or(0);
        if !line.is_empty() && length + width > screen {
            fill(widths, &line, screen - length);
            line.clear();
            length = 0;
            continue;
        }
        line.push(*next);
        length += width;
        left = rest;
        if length >= screen || rest.is_empty() {
            fill(widths, &line, screen.saturating_sub(length));
            line.clear();
            length = 0;
        }
    }
}

fn fill(widths: &mut [usize; COUNT], line: &[usize], room: usize) {
    let (each, mut rest) = (room.checked_div(line.len()).unwrap_or(0), room.checked_rem(line.len()).unwrap_or(0));
    for index in line.iter().rev() {
        if let Some(width) = widths.get_mut(*index) {
            *width += each + usize::from(rest > 0);
            rest = rest.saturating_sub(1);
        }
    }
}

/// Columns of the terminal on stdout, else COLUMNS (environ(7)), else nothing.
pub(crate) fn screen_width(terminal: bool, columns: Option<&str>) -> Option<usize> {
    let asked = if terminal { rustix::termios::tcgetwinsize(io::stdout()).ok() } else { None };
    asked
        .map(|size| usize::from(size.ws_col))
        .filter(|width| *width > 0)
        .or_else(|| columns?.trim().parse().ok().filter(|width| (1..=10_000).contains(width)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(screen: Option<usize>, terminal: bool, rows: &[[&str; 4]]) -> String {
        let mut layout = Layout::new(screen, terminal);
        for column in [
            Column::Netid,
            Column::RecvQ,
            Column::SendQ,
            Column::PeerAddress,
            Column::PeerPort,
            Column::Pod,
            Column::Process,
        ] {
            layout.hide(column);
        }
        let mut out = Vec::new();
        layout.header();
        for row in rows {
            for (column, text) in
                [Column::State, Column::LocalAddress, Column::LocalPort, Column::Details].into_iter().zip(row)
            {
                layout.cell(column, |cell| cell.extend_from_slice(text.as_bytes()));
            }
            layout.end_row(&mut out).unwrap();
        }
        layout.flush(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn compact_when_the_screen_is_unknown() {
        let rows = [
            ["LISTEN", "0.0.0.0:", "80", ""],
            ["ESTAB", "10.11.12.13:", "65535", " timer"],
            ["X", "a:", "1", "\n\tcubic"],
        ];
        assert_eq!(
            page(None, false, &rows),
            "State  Local Address:Port\n\
             LISTEN       0.0.0.0:80\n\
             ESTAB    10.11.12.13:65535 timer\n\
             X                  a:1\n\tcubic\n"
        );
    }

    #[test]
    fn room_is_spread_on_a_screen() {
        // Widths 6, 15 and 5 leave 4 of 30 columns; the remainder goes to the last.
        let rows = [["LISTEN", "0.0.0.0:", "80123", ""]];
        assert_eq!(page(Some(30), true, &rows), "State    Local Address:Port   \nLISTEN         0.0.0.0:80123  \n");
    }

    #[test]
    fn a_row_that_does_not_fit_is_broken() {
        let mut widths = [10, 10, 10, 0, 0, 0, 0, 0, 0, 0, 5];
        spread(&mut widths, 25);
        assert_eq!(widths, [12, 13, 15, 0, 0, 0, 0, 0, 0, 0, 10]);
        let mut widths = [25, 30, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        spread(&mut widths, 25);
        assert_eq!(widths[0], 25);
    }
}
