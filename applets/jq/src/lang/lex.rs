//! Filter text to tokens. A string is several tokens, with those of its interpolations between them.

use std::rc::Rc;

use crate::number::Number;
use crate::read;
use crate::value::Value;

/// Bytes of the filter text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    /// First byte.
    pub(crate) start: usize,
    /// Behind the last byte.
    pub(crate) end: usize,
}

impl Span {
    /// From the start of this to the end of the other.
    pub(crate) fn to(self, other: Span) -> Span {
        Span { start: self.start, end: other.end.max(self.start) }
    }
}

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tok {
    /// A character or bracket that belongs nowhere.
    Invalid,
    /// A name, possibly with `module::` before it.
    Ident(Rc<str>),
    /// `.name`
    Field(Rc<str>),
    /// `$name`
    Binding(Rc<str>),
    /// A number.
    Literal(Value),
    /// `@name`
    Format(Rc<str>),
    /// A reserved word.
    Keyword(&'static str),
    /// `$__loc__`
    Loc,
    /// An operator or bracket.
    Op(&'static str),
    /// `"` that opens.
    StringStart,
    /// Text of a string, decoded.
    Text(Rc<str>),
    /// `\(`
    InterpolationStart,
    /// `)` of an interpolation.
    InterpolationEnd,
    /// `"` that closes.
    StringEnd,
    /// The end of the filter.
    End,
}

/// Messages with their places.
type Complaints = Vec<(String, Span)>;

const KEYWORDS: [&str; 19] = [
    "as", "def", "module", "import", "include", "if", "then", "else", "elif", "reduce", "foreach", "end", "and", "or",
    "try", "catch", "label", "break", "__loc__",
];

/// Longest first.
const OPERATORS: [&str; 34] = [
    "?//", "//=", "!=", "==", "//", "|=", "+=", "-=", "*=", "/=", "%=", "<=", ">=", "..", ".", "?", "=", ";", ",", ":",
    "|", "+", "-", "*", "/", "%", "$", "<", ">", "(", "[", "{", ")", "]",
];

/// The tokens, the last of which is [`Tok::End`], and what the literals complain about.
pub(crate) fn tokens(text: &str) -> (Vec<(Tok, Span)>, Complaints) {
    let mut lexer = Lexer { text, at: 0, open: Vec::new(), tokens: Vec::new(), errors: Vec::new() };
    lexer.run();
    (lexer.tokens, lexer.errors)
}

/// What is open: the character that closes it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Bracket(char),
    String,
    Interpolation,
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    open: Vec<Open>,
    tokens: Vec<(Tok, Span)>,
    errors: Complaints,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn push(&mut self, token: Tok, length: usize) {
        let span = Span { start: self.at, end: self.at + length };
        self.at += length;
        self.tokens.push((token, span));
    }

    fn run(&mut self) {
        while !self.rest().is_empty() {
            if self.open.last() == Some(&Open::String) { self.in_string() } else { self.outside() }
        }
        // The end has no place of its own: complaints about it point at the last token.
        let last = self.tokens.last().map(|(_, span)| *span).unwrap_or_default();
        self.tokens.push((Tok::End, last));
    }

    fn in_string(&mut self) {
        let rest = self.rest();
        if rest.starts_with('"') {
            self.open.pop();
            return self.push(Tok::StringEnd, 1);
        }
        if rest.starts_with("\\(") {
            self.open.push(Open::Interpolation);
            return self.push(Tok::InterpolationStart, 2);
        }
        let plain = rest.find(['"', '\\']).unwrap_or(rest.len());
        if plain > 0 {
            let text = rest.get(..plain).unwrap_or_default();
            return self.push(Tok::Text(text.into()), plain);
        }
        let length = escapes(rest);
        if length == 0 {
            // A backslash at the very end.
            return self.push(Tok::Invalid, rest.len());
        }
        let run = rest.get(..length).unwrap_or_default();
        let quoted = format!("\"{run}\"");
        match read::parse(&quoted) {
            Ok(Value::String(text)) => self.push(Tok::Text(text), length),
            Ok(_) => self.push(Tok::Text("".into()), length),
            Err(message) => {
                let span = Span { start: self.at, end: self.at + length };
                self.errors.push((format!("{message} (while parsing '{quoted}')"), span));
                self.push(Tok::Text("".into()), length);
            }
        }
    }

    fn outside(&mut self) {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let first = bytes.first().copied().unwrap_or_default();
        match first {
            b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
            b'#' => self.at += comment(bytes),
            b'"' => {
                self.open.push(Open::String);
                self.push(Tok::StringStart, 1);
            }
            b'0'..=b'9' => self.number(),
            b'.' if bytes.get(1).is_some_and(u8::is_ascii_digit) => self.number(),
            b'.' if bytes.get(1).is_some_and(|byte| is_name_start(*byte)) => {
                let length = 1 + word(bytes.get(1..).unwrap_or_default());
                self.push(Tok::Field(rest.get(1..length).unwrap_or_default().into()), length);
            }
            b'@' => {
                let name = bytes.iter().skip(1).take_while(|byte| is_name(**byte)).count();
                match name {
                    0 => self.push(Tok::Invalid, 1),
                    _ => self.push(Tok::Format(rest.get(..=name).unwrap_or_default().into()), name + 1),
                }
            }
            b'$' if bytes.get(1).is_some_and(|byte| is_name_start(*byte)) => {
                let length = 1 + qualified(bytes.get(1..).unwrap_or_default());
                match rest.get(1..length).unwrap_or_default() {
                    "__loc__" => self.push(Tok::Loc, length),
                    name => self.push(Tok::Binding(name.into()), length),
                }
            }
            byte if is_name_start(byte) => {
                let length = qualified(bytes);
                let name = rest.get(..length).unwrap_or_default();
                let keyword = KEYWORDS.iter().find(|keyword| **keyword == name && name != "__loc__");
                let token = keyword.map_or_else(|| Tok::Ident(name.into()), |keyword| Tok::Keyword(keyword));
                self.push(token, length);
            }
            _ => self.operator(),
        }
    }

    fn number(&mut self) {
        let rest = self.rest();
        let length = number_length(rest.as_bytes());
        let digits = rest.get(..length).unwrap_or_default();
        let value = Number::parse(digits).map_or(Value::Null, Value::Number);
        self.push(Tok::Literal(value), length);
    }

    fn operator(&mut self) {
        let rest = self.rest();
        let brace = match rest.as_bytes().first() {
            Some(b'}') => Some("}"),
            _ => None,
        };
        let found = OPERATORS.iter().copied().find(|operator| rest.starts_with(operator)).or(brace);
        let Some(operator) = found else {
            let length = rest.chars().next().map_or(1, char::len_utf8);
            return self.push(Tok::Invalid, length);
        };
        let token = match operator {
            "(" => self.opened(')', operator),
            "[" => self.opened(']', operator),
            "{" => self.opened('}', operator),
            ")" if self.open.last() == Some(&Open::Interpolation) => {
                self.open.pop();
                Tok::InterpolationEnd
            }
            ")" | "]" | "}" => match self.open.last() {
                Some(Open::Bracket(wanted)) if operator.starts_with(*wanted) => {
                    self.open.pop();
                    Tok::Op(operator)
                }
                _ => Tok::Invalid,
            },
            _ => Tok::Op(operator),
        };
        self.push(token, operator.len());
    }

    fn opened(&mut self, close: char, operator: &'static str) -> Tok {
        self.open.push(Open::Bracket(close));
        Tok::Op(operator)
    }
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn word(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| is_name(**byte)).count()
}

/// Length of a name with its modules.
fn qualified(bytes: &[u8]) -> usize {
    let mut length = word(bytes);
    while let Some([b':', b':', next, ..]) = bytes.get(length..) {
        if !is_name_start(*next) {
            break;
        }
        length += 2 + word(bytes.get(length + 2..).unwrap_or_default());
    }
    length
}

/// Length of a run of escapes, none of which is `\(`.
fn escapes(text: &str) -> usize {
    let mut length = 0;
    loop {
        let mut chars = text.get(length..).unwrap_or_default().chars();
        match (chars.next(), chars.next()) {
            (Some('\\'), Some('u')) => {
                let digits = chars.take(4).take_while(char::is_ascii_alphanumeric).count();
                length += 2 + digits;
            }
            (Some('\\'), Some(c)) if c != '(' => length += 1 + c.len_utf8(),
            _ => return length,
        }
    }
}

/// Length of a comment. A line that ends in an odd number of backslashes goes on in the next, as in Tcl.
fn comment(bytes: &[u8]) -> usize {
    let mut at = 0;
    let mut backslashes = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\n' if backslashes % 2 == 0 => return at,
            b'\r' if bytes.get(at + 1) == Some(&b'\n') && backslashes % 2 == 1 => at += 1,
            b'\\' => {
                backslashes += 1;
                at += 1;
                continue;
            }
            _ => {}
        }
        backslashes = 0;
        at += 1;
    }
    at
}

fn number_length(bytes: &[u8]) -> usize {
    let digits = |from: usize| bytes.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count();
    let mut length = digits(0);
    if bytes.get(length) == Some(&b'.') {
        let fraction = digits(length + 1);
        if length > 0 || fraction > 0 {
            length += 1 + fraction;
        }
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let exponent = digits(length + 1 + sign);
        if exponent > 0 {
            length += 1 + sign + exponent;
        }
    }
    length
}

/// The token as bison names it in its messages.
pub(crate) fn name(token: &Tok) -> String {
    match token {
        Tok::Invalid => "INVALID_CHARACTER".to_owned(),
        Tok::Ident(_) => "IDENT".to_owned(),
        Tok::Field(_) => "FIELD".to_owned(),
        Tok::Binding(_) => "BINDING".to_owned(),
        Tok::Literal(_) => "LITERAL".to_owned(),
        Tok::Format(_) => "FORMAT".to_owned(),
        Tok::Keyword(word) => (*word).to_owned(),
        Tok::Loc => "$__loc__".to_owned(),
        Tok::Op(operator) if operator.len() == 1 => format!("'{operator}'"),
        Tok::Op(operator) => (*operator).to_owned(),
        Tok::StringStart => "QQSTRING_START".to_owned(),
        Tok::Text(_) => "QQSTRING_TEXT".to_owned(),
        Tok::InterpolationStart => "QQSTRING_INTERP_START".to_owned(),
        Tok::InterpolationEnd => "QQSTRING_INTERP_END".to_owned(),
        Tok::StringEnd => "QQSTRING_END".to_owned(),
        Tok::End => "end of file".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<String> {
        tokens(text).0.iter().map(|(token, _)| name(token)).collect()
    }

    #[test]
    fn words_and_operators() {
        assert_eq!(kinds(".a.b?//1"), ["FIELD", "FIELD", "?//", "LITERAL", "end of file"]);
        assert_eq!(kinds("a::b $x::y @csv if"), ["IDENT", "BINDING", "FORMAT", "if", "end of file"]);
        assert_eq!(kinds(".. .5 1.e3 #c\n|"), ["..", "LITERAL", "LITERAL", "'|'", "end of file"]);
        assert_eq!(kinds("(]"), ["'('", "INVALID_CHARACTER", "end of file"]);
    }

    #[test]
    fn strings() {
        assert_eq!(
            kinds(r#""a\n\(1)b""#),
            [
                "QQSTRING_START",
                "QQSTRING_TEXT",
                "QQSTRING_TEXT",
                "QQSTRING_INTERP_START",
                "LITERAL",
                "QQSTRING_INTERP_END",
                "QQSTRING_TEXT",
                "QQSTRING_END",
                "end of file"
            ]
        );
        let (_, errors) = tokens(r#""x\q""#);
        assert_eq!(errors.len(), 1);
    }

    #[test]
    fn comments_go_on_after_a_backslash() {
        assert_eq!(kinds("1 # a \\\n 2\n3"), ["LITERAL", "LITERAL", "end of file"]);
        assert_eq!(kinds("1 # a \\\\\n 2"), ["LITERAL", "LITERAL", "end of file"]);
    }
}
