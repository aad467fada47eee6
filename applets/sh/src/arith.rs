//! Arithmetic expansion (POSIX.1-2024, Shell 2.6.4): C's integer expressions on 64 bits, wrapping around.

use crate::ast::Bytes;

/// How deep parentheses and operators may nest.
const DEEPEST: u32 = 200;

/// What an expression reads and writes.
pub(crate) trait Variables {
    fn value(&self, name: &[u8]) -> Option<Bytes>;

    /// # Errors
    /// Why it cannot be set.
    fn assign(&mut self, name: &[u8], value: i64) -> Result<(), String>;
}

/// Computes an expression; an empty one is 0.
///
/// # Errors
/// What is wrong with it, as dash words it.
pub(crate) fn evaluate(text: &[u8], variables: &mut dyn Variables) -> Result<i64, String> {
    let mut parser = Parser { text, at: 0, variables, depth: 0, quiet: 0 };
    parser.blanks();
    if parser.at == text.len() {
        return Ok(0);
    }
    let value = parser.comma()?;
    parser.blanks();
    if parser.at < text.len() {
        return Err(parser.wrong("expecting EOF"));
    }
    Ok(value)
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    variables: &'a mut dyn Variables,
    depth: u32,
    /// Inside a branch that is not taken: nothing is assigned, nothing divides.
    quiet: u32,
}

/// Binary operators by precedence, weakest first. Longer spellings stand before their beginnings.
const LEVELS: &[&[&str]] = &[
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<=", ">=", "<", ">"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];
const ASSIGNMENTS: &[&str] = &["<<=", ">>=", "*=", "/=", "%=", "+=", "-=", "&=", "^=", "|=", "="];

impl Parser<'_> {
    fn wrong(&self, what: &str) -> String {
        format!("arithmetic expression: {what}: \"{}\"", String::from_utf8_lossy(self.text))
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn blanks(&mut self) {
        self.at += self.rest().iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    }

    fn eat(&mut self, text: &str) -> bool {
        self.blanks();
        let found = self.rest().starts_with(text.as_bytes());
        if found {
            self.at += text.len();
        }
        found
    }

    fn comma(&mut self) -> Result<i64, String> {
        let mut value = self.assignment()?;
        while self.eat(",") {
            value = self.assignment()?;
        }
        Ok(value)
    }

    fn assignment(&mut self) -> Result<i64, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.wrong("nested too deeply"));
        }
        let value = self.assignment_here();
        self.depth -= 1;
        value
    }

    fn assignment_here(&mut self) -> Result<i64, String> {
        self.blanks();
        let start = self.at;
        if let Some(name) = self.name() {
            self.blanks();
            let rest = self.rest();
            let operator = ASSIGNMENTS.iter().find(|operator| rest.starts_with(operator.as_bytes())).copied();
            if let Some(operator) = operator.filter(|operator| *operator != "=" || rest.get(1) != Some(&b'=')) {
                self.at += operator.len();
                let right = self.assignment()?;
                let value = match operator.strip_suffix('=') {
                    Some("") | None => right,
                    Some(operator) => {
                        let left = self.variable(&name)?;
                        self.apply(operator, left, right)?
                    }
                };
                self.set(&name, value)?;
                return Ok(value);
            }
            self.at = start;
        }
        self.ternary()
    }

    fn ternary(&mut self) -> Result<i64, String> {
        let condition = self.binary(0)?;
        if !self.eat("?") {
            return Ok(condition);
        }
        self.quiet += u32::from(condition == 0);
        let yes = self.comma();
        self.quiet -= u32::from(condition == 0);
        let yes = yes?;
        if !self.eat(":") {
            return Err(self.wrong("expecting ':'"));
        }
        self.quiet += u32::from(condition != 0);
        let no = self.assignment();
        self.quiet -= u32::from(condition != 0);
        let no = no?;
        Ok(if condition != 0 { yes } else { no })
    }

    fn operator(&mut self, level: usize) -> Option<&'static str> {
        self.blanks();
        let rest = self.rest();
        let found = LEVELS.get(level)?.iter().find(|operator| rest.starts_with(operator.as_bytes())).copied()?;
        let next = rest.get(found.len());
        // `|` is not `||`, `+` is not `+=`, and so on.
        let longer = match found {
            "|" | "&" => next == found.as_bytes().first() || next == Some(&b'='),
            "<" | ">" => next == found.as_bytes().first(),
            "==" | "!=" | "<=" | ">=" | "||" | "&&" => false,
            _ => next == Some(&b'='),
        };
        if longer {
            return None;
        }
        self.at += found.len();
        Some(found)
    }

    fn binary(&mut self, level: usize) -> Result<i64, String> {
        if level == LEVELS.len() {
            return self.unary();
        }
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = self.operator(level) {
            let skips = operator == "||" && left != 0 || operator == "&&" && left == 0;
            self.quiet += u32::from(skips);
            let right = self.binary(level + 1);
            self.quiet -= u32::from(skips);
            left = self.apply(operator, left, right?)?;
        }
        Ok(left)
    }

    fn apply(&self, operator: &str, left: i64, right: i64) -> Result<i64, String> {
        // The kernel's own shells shift by the low six bits.
        let bits = u32::try_from(right & 63).unwrap_or(0);
        Ok(match operator {
            "||" => i64::from(left != 0 || right != 0),
            "&&" => i64::from(left != 0 && right != 0),
            "|" => left | right,
            "^" => left ^ right,
            "&" => left & right,
            "==" => i64::from(left == right),
            "!=" => i64::from(left != right),
            "<=" => i64::from(left <= right),
            ">=" => i64::from(left >= right),
            "<" => i64::from(left < right),
            ">" => i64::from(left > right),
            "<<" => left.wrapping_shl(bits),
            ">>" => left.wrapping_shr(bits),
            "+" => left.wrapping_add(right),
            "-" => left.wrapping_sub(right),
            "*" => left.wrapping_mul(right),
            "/" | "%" if right == 0 && self.quiet > 0 => 0,
            "/" | "%" if right == 0 => return Err(self.wrong("division by zero")),
            "/" => left.wrapping_div(right),
            _ => left.wrapping_rem(right),
        })
    }

    fn unary(&mut self) -> Result<i64, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.wrong("nested too deeply"));
        }
        let value = self.unary_here();
        self.depth -= 1;
        value
    }

    fn unary_here(&mut self) -> Result<i64, String> {
        self.blanks();
        let step = match self.rest() {
            [b'+', b'+', ..] => 1,
            [b'-', b'-', ..] => -1,
            _ => 0,
        };
        if step != 0 {
            let start = self.at;
            self.at += 2;
            self.blanks();
            if let Some(name) = self.name() {
                let value = self.variable(&name)?.wrapping_add(step);
                self.set(&name, value)?;
                return Ok(value);
            }
            self.at = start;
        }
        match self.rest().first() {
            Some(b'-') => {
                self.at += 1;
                Ok(self.unary()?.wrapping_neg())
            }
            Some(b'+') => {
                self.at += 1;
                self.unary()
            }
            Some(b'~') => {
                self.at += 1;
                Ok(!self.unary()?)
            }
            Some(b'!') => {
                self.at += 1;
                Ok(i64::from(self.unary()? == 0))
            }
            _ => self.primary(),
        }
    }

    fn primary(&mut self) -> Result<i64, String> {
        if self.eat("(") {
            let value = self.comma()?;
            if !self.eat(")") {
                return Err(self.wrong("expecting ')'"));
            }
            return Ok(value);
        }
        if let Some(name) = self.name() {
            let value = self.variable(&name)?;
            let step = match self.rest() {
                [b'+', b'+', ..] => 1,
                [b'-', b'-', ..] => -1,
                _ => return Ok(value),
            };
            self.at += 2;
            self.set(&name, value.wrapping_add(step))?;
            return Ok(value);
        }
        let rest = self.rest();
        let length = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'#').count();
        let digits = rest.get(..length).unwrap_or_default();
        if !digits.first().is_some_and(u8::is_ascii_digit) {
            return Err(self.wrong("expecting primary"));
        }
        match number(digits) {
            Some(value) => {
                self.at += length;
                Ok(value)
            }
            None => Err(self.wrong("expecting EOF")),
        }
    }

    fn name(&mut self) -> Option<Bytes> {
        let rest = self.rest();
        if !rest.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_') {
            return None;
        }
        let length = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        let name = rest.get(..length)?.to_vec();
        self.at += length;
        Some(name)
    }

    fn variable(&self, name: &[u8]) -> Result<i64, String> {
        let Some(value) = self.variables.value(name) else { return Ok(0) };
        let text = value.trim_ascii();
        if text.is_empty() {
            return Ok(0);
        }
        let (negative, digits) = match text {
            [b'-', digits @ ..] => (true, digits),
            [b'+', digits @ ..] => (false, digits),
            digits => (false, digits),
        };
        match number(digits) {
            Some(value) => Ok(if negative { value.wrapping_neg() } else { value }),
            None => Err(format!("Illegal number: {}", String::from_utf8_lossy(&value))),
        }
    }

    fn set(&mut self, name: &[u8], value: i64) -> Result<(), String> {
        if self.quiet > 0 { Ok(()) } else { self.variables.assign(name, value) }
    }
}

/// An integer constant: decimal, 0 octal, 0x hexadecimal, `base#digits`. One too large is the largest there is, as
/// strtoimax(3) has it.
fn number(digits: &[u8]) -> Option<i64> {
    let (base, digits) = match digits {
        [b'0', b'x' | b'X', rest @ ..] => (16, rest),
        [b'0', rest @ ..] if !rest.is_empty() && !rest.contains(&b'#') => (8, rest),
        _ => match digits.iter().position(|byte| *byte == b'#') {
            Some(at) => {
                let base = std::str::from_utf8(digits.get(..at)?).ok()?.parse::<u32>().ok()?;
                if !(2..=36).contains(&base) {
                    return None;
                }
                (base, digits.get(at + 1..)?)
            }
            None => (10, digits),
        },
    };
    if digits.is_empty() {
        return None;
    }
    let mut value: i64 = 0;
    let mut full = false;
    for byte in digits {
        let digit = char::from(*byte).to_digit(base)?;
        match value.checked_mul(i64::from(base)).and_then(|value| value.checked_add(i64::from(digit))) {
            Some(next) => value = next,
            None => full = true,
        }
    }
    Some(if full { i64::MAX } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    struct Map(HashMap<Bytes, Bytes>);

    impl Variables for Map {
        fn value(&self, name: &[u8]) -> Option<Bytes> {
            self.0.get(name).cloned()
        }

        fn assign(&mut self, name: &[u8], value: i64) -> Result<(), String> {
            self.0.insert(name.to_vec(), value.to_string().into_bytes());
            Ok(())
        }
    }

    #[test]
    fn expressions() {
        let mut map = Map(HashMap::from([(b"x".to_vec(), b"5".to_vec())]));
        for (text, expected) in [
            ("1+2*3", 7),
            ("(1+2)*3", 9),
            ("7/2", 3),
            ("-7%3", -1),
            ("x", 5),
            ("y", 0),
            ("x+=2", 7),
            ("x++", 7),
            ("x", 8),
            ("--x", 7),
            ("1?2:3", 2),
            ("0&&1/0", 0),
            ("1||1/0", 1),
            ("1<<4|1", 17),
            ("0x1f+010", 39),
            ("!0", 1),
            ("~0", -1),
            ("2>1", 1),
            ("1,2", 2),
            ("", 0),
            ("9223372036854775807+1", i64::MIN),
        ] {
            assert_eq!(evaluate(text.as_bytes(), &mut map), Ok(expected), "{text}");
        }
        for wrong in ["1+", "1/0", "(1", "1 2", "@", "08"] {
            assert!(evaluate(wrong.as_bytes(), &mut map).is_err(), "{wrong}");
        }
        let deep = "(".repeat(100_000);
        assert!(evaluate(deep.as_bytes(), &mut map).is_err());
    }
}
