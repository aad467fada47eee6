//! A record or question as a line of a master file, in the columns dig uses (RFC 1035 section 5.1).

use std::fmt::{self, Write as _};

use super::edns::duration_words;
use super::message::{Fault, Message, Question, Record};
use super::name::push_text;
use super::rdata::Split;
use super::types::Class;

/// How records are laid out; the default is dig's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// SOA, keys and signatures over several lines in parentheses.
    pub multiline: bool,
    /// Comments behind SOA numbers and keys.
    pub rrcomments: bool,
    /// Keys and signatures left out.
    pub nocrypto: bool,
    /// Every record as RFC 3597 has it.
    pub unknown_format: bool,
    /// IPv6 addresses in full.
    pub expand_aaaa: bool,
    /// TTL with w, d, h, m, s.
    pub ttl_units: bool,
    /// No TTL.
    pub no_ttl: bool,
    /// No class.
    pub no_class: bool,
    /// Blanks between the fields instead of columns, as in YAML output.
    pub plain: bool,
    /// Where hex and base64 are split.
    pub split: Split,
}

/// Distance of tab stops.
const TAB: usize = 8;

impl Style {
    /// Columns of TTL, class, type and data.
    fn columns(&self) -> [usize; 4] {
        if self.multiline {
            [24, 24, 24, 32]
        } else {
            match (self.no_ttl, self.no_class) {
                (true, true) => [24, 24, 24, 32],
                (true, false) | (false, true) => [24, 24, 32, 40],
                (false, false) => [24, 32, 40, 48],
            }
        }
    }
}

/// Text whose column is known.
struct Line<'a> {
    out: String,
    column: usize,
    style: &'a Style,
}

impl Line<'_> {
    /// Appends a number or mnemonic, which is ASCII.
    fn push(&mut self, item: impl fmt::Display) {
        let start = self.out.len();
        let _ = write!(self.out, "{item}");
        self.column += self.out.len() - start;
    }

    fn class(&mut self, class: Class) {
        if self.style.unknown_format { self.push(format_args!("CLASS{}", class.0)) } else { self.push(class) }
    }

    /// Moves to column `to`, at least one place on, with tabs as far as they go.
    fn indent(&mut self, to: usize) {
        if self.style.plain {
            self.out.push(' ');
            return;
        }
        let to = to.max(self.column + 1);
        let tabs = (to / TAB).saturating_sub(self.column / TAB);
        if tabs > 0 {
            self.out.extend(std::iter::repeat_n('\t', tabs));
            self.column = to / TAB * TAB;
        }
        self.out.extend(std::iter::repeat_n(' ', to.saturating_sub(self.column)));
        self.column = to;
    }
}

impl Message {
    /// The whole line of a record, without the final newline. With a fault the data could not be read as its
    /// type: the line then names the type by number and carries the bytes (RFC 3597).
    pub fn record_line(&self, record: &Record, style: &Style) -> (String, Option<Fault>) {
        let (data, fault) = self.rdata_text_or_unknown(record, style);
        let [ttl_column, class_column, type_column, data_column] = style.columns();
        let mut line = Line { out: String::with_capacity(64 + data.len()), column: 0, style };
        push_text(&mut line.out, &record.owner);
        line.column = line.out.len();
        if !style.no_ttl {
            line.indent(ttl_column);
            if style.ttl_units {
                line.push(ttl_units(record.ttl));
            } else {
                line.push(record.ttl);
            }
        }
        if !style.no_class {
            line.indent(class_column);
            line.class(record.class);
        }
        line.indent(type_column);
        if fault.is_some() || style.unknown_format {
            line.push(format_args!("TYPE{}", record.rtype.0));
        } else {
            line.push(record.rtype);
        }
        line.indent(data_column);
        line.out.push_str(&data);
        (line.out, fault)
    }

    /// A question in the same columns, without the leading `;`.
    pub fn question_line(question: &Question, style: &Style) -> String {
        let [_, class_column, type_column, _] = style.columns();
        let mut line = Line { out: String::new(), column: 0, style };
        push_text(&mut line.out, &question.name);
        line.column = line.out.len();
        // BIND leaves the class of a question in place even when it leaves that of records out.
        line.indent(class_column);
        line.class(question.class);
        line.indent(type_column);
        if style.unknown_format {
            line.push(format_args!("TYPE{}", question.rtype.0));
        } else {
            line.push(question.rtype);
        }
        line.out
    }
}

/// Seconds as `1w2d3h4m5s` without the parts that are zero.
fn ttl_units(ttl: u32) -> String {
    let words = duration_words(ttl);
    let mut out = String::new();
    for (index, word) in words.split(' ').enumerate() {
        if index % 2 == 0 { out.push_str(word) } else { out.extend(word.chars().next()) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Name, RrType};

    #[test]
    fn question_columns() {
        let question = Question { name: Name::parse("example.com").unwrap(), rtype: RrType::A, class: Class::IN };
        assert_eq!(Message::question_line(&question, &Style::default()), "example.com.\t\t\tIN\tA");
        let style = Style { no_class: true, ..Style::default() };
        assert_eq!(Message::question_line(&question, &style), "example.com.\t\tIN\tA");
    }

    #[test]
    fn ttl_in_units() {
        assert_eq!(ttl_units(3600), "1h");
        assert_eq!(ttl_units(694_861), "1w1d1h1m1s");
        assert_eq!(ttl_units(0), "0s");
    }
}
