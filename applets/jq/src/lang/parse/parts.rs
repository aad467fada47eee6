//! Objects, strings and destructuring patterns.

use std::rc::Rc;

use super::super::ast::{Ast, Node, Pattern};
use super::super::lex::Tok;
use super::{Failed, Parsed, Parser};
use crate::builtins::text::shown;
use crate::value::Value;

impl Parser {
    /// Members of an object, up to and with the brace.
    pub(super) fn pairs(&mut self) -> Parsed<Vec<(Node, Node)>> {
        let mut pairs = Vec::new();
        loop {
            if self.take("}") {
                return Ok(pairs);
            }
            pairs.push(self.pair()?);
            if !self.is("}") {
                self.want(",", "")?;
            }
        }
    }

    fn pair(&mut self) -> Parsed<(Node, Node)> {
        let start = self.span();
        let literal = |text: Rc<str>| Node::new(Ast::Const(Value::String(text)), start);
        let field = |text: Rc<str>| {
            let base = Box::new(Node::new(Ast::Identity, start));
            Node::new(Ast::Index(base, Box::new(literal(text)), false), start)
        };
        let colon = matches!(self.peek(1), Tok::Op(":"));
        let closes = matches!(self.peek(1), Tok::Op("," | "}"));
        let (key, value) = match self.token().clone() {
            Tok::Ident(name) if colon || closes => {
                self.at += 1;
                (literal(name.clone()), field(name))
            }
            Tok::Keyword(word) if colon || closes => {
                self.at += 1;
                (literal(word.into()), field(word.into()))
            }
            Tok::Binding(name) if colon || closes => {
                self.at += 1;
                let variable = Node::new(Ast::Var(name.clone()), start);
                if colon { (variable.clone(), variable) } else { (literal(name), variable) }
            }
            Tok::Loc if closes => {
                self.at += 1;
                let value = self.location(start);
                (literal("__loc__".into()), Node::new(Ast::Const(value), start))
            }
            Tok::StringStart => {
                let key = self.string(None)?;
                self.string_pair(key)
            }
            Tok::Format(_) if *self.peek(1) == Tok::StringStart => {
                let key = self.formatted()?;
                self.string_pair(key)
            }
            Tok::Op("(") => {
                self.at += 1;
                let key = self.query()?;
                self.want(")", "")?;
                if let Some(value) = key.constant().filter(|value| value.as_str().is_none()) {
                    let message = format!("Cannot use {} as object key", shown(&value));
                    self.complain(message, key.span);
                }
                if !self.is(":") {
                    return Err(self.unexpected("':'"));
                }
                (key, Node::new(Ast::Identity, start))
            }
            _ => return Err(self.key_error()),
        };
        if !self.take(":") {
            return match self.token() {
                Tok::Op("," | "}") => Ok((key, value)),
                _ => Err(self.key_error()),
            };
        }
        let value = self.member()?;
        Ok((key, value))
    }

    fn string_pair(&mut self, key: Node) -> (Node, Node) {
        let base = Box::new(Node::new(Ast::Identity, key.span));
        let value = Node::new(Ast::Index(base, Box::new(key.clone()), false), key.span);
        (key, value)
    }

    /// Value of a member: expressions joined by pipes.
    fn member(&mut self) -> Parsed<Node> {
        let left = self.expr(0)?;
        if !self.take("|") {
            return Ok(left);
        }
        self.enter()?;
        let right = self.member()?;
        self.depth -= 1;
        let span = left.span.to(right.span);
        Ok(Node::new(Ast::Pipe(Box::new(left), Box::new(right)), span))
    }

    /// Something that is no key; when a colon follows before the object ends, parentheses may be missing.
    fn key_error(&mut self) -> Failed {
        let mut first = self.at;
        // Bison takes the key back together with what does not fit behind it.
        while first > 0 && !matches!(self.tokens.get(first - 1), Some((Tok::Op("{" | ","), _)) | None) {
            first -= 1;
        }
        let failed = self.unexpected("");
        let start = self.tokens.get(first).map(|(_, span)| *span).unwrap_or_default();
        let mut depth = 0usize;
        let mut last = start;
        while *self.token() != Tok::End {
            match self.token() {
                Tok::Op("(" | "[" | "{") => depth += 1,
                Tok::Op("}") if depth == 0 => return failed,
                Tok::Op(")" | "]" | "}") => depth = depth.saturating_sub(1),
                Tok::Op(":") if depth == 0 => {
                    self.complain("May need parentheses around object key expression", start.to(last));
                    return failed;
                }
                _ => {}
            }
            last = self.span();
            self.at += 1;
        }
        failed
    }

    pub(super) fn formatted(&mut self) -> Parsed<Node> {
        let start = self.span();
        let Tok::Format(format) = self.next() else { return Err(self.unexpected("")) };
        let mut node = self.string(Some(format))?;
        node.span = start.to(node.span);
        Ok(node)
    }

    pub(super) fn string(&mut self, format: Option<Rc<str>>) -> Parsed<Node> {
        let start = self.span();
        self.at += 1;
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut place = self.span();
        loop {
            match self.token().clone() {
                Tok::Text(piece) => {
                    if text.is_empty() {
                        place = self.span();
                    }
                    place = place.to(self.span());
                    text.push_str(&piece);
                    self.at += 1;
                }
                Tok::InterpolationStart => {
                    if !text.is_empty() {
                        parts.push(Node::new(Ast::Const(std::mem::take(&mut text).into()), place));
                    }
                    self.at += 1;
                    let inner = self.query()?;
                    if *self.token() != Tok::InterpolationEnd {
                        return Err(self.unexpected(""));
                    }
                    self.at += 1;
                    parts.push(Node::new(Ast::Format("".into()), inner.span));
                    parts.push(inner);
                }
                Tok::StringEnd => {
                    self.at += 1;
                    break;
                }
                _ => {
                    return Err(self.unexpected("QQSTRING_TEXT or QQSTRING_INTERP_START or QQSTRING_END"));
                }
            }
        }
        let span = start.to(self.last_span());
        if parts.is_empty() {
            return Ok(Node::new(Ast::Const(text.into()), if span.end - span.start > 2 { place } else { span }));
        }
        if !text.is_empty() {
            parts.push(Node::new(Ast::Const(text.into()), place));
        }
        Ok(Node::new(Ast::Text(format, parts), span))
    }

    pub(super) fn patterns(&mut self) -> Parsed<Vec<Pattern>> {
        let mut patterns = vec![self.pattern()?];
        while self.take("?//") {
            patterns.push(self.pattern()?);
        }
        Ok(patterns)
    }

    pub(super) fn pattern(&mut self) -> Parsed<Pattern> {
        self.enter()?;
        let pattern = match self.token().clone() {
            Tok::Binding(name) => {
                self.at += 1;
                Pattern::Var(name)
            }
            Tok::Op("[") => {
                self.at += 1;
                let mut items = vec![self.pattern()?];
                while self.take(",") {
                    items.push(self.pattern()?);
                }
                self.want("]", "',' or ']'")?;
                Pattern::Array(items)
            }
            Tok::Op("{") => {
                self.at += 1;
                let mut members = vec![self.member_pattern()?];
                while self.take(",") {
                    members.push(self.member_pattern()?);
                }
                self.want("}", "',' or '}'")?;
                Pattern::Object(members)
            }
            _ => return Err(self.unexpected("BINDING or '[' or '{'")),
        };
        self.depth -= 1;
        Ok(pattern)
    }

    fn member_pattern(&mut self) -> Parsed<(Option<Rc<str>>, Node, Option<Pattern>)> {
        let start = self.span();
        let literal = |text: Rc<str>| Node::new(Ast::Const(Value::String(text)), start);
        let colon = matches!(self.peek(1), Tok::Op(":"));
        let key = match self.token().clone() {
            Tok::Binding(name) => {
                self.at += 1;
                let inner = if self.take(":") { Some(self.pattern()?) } else { None };
                return Ok((Some(name.clone()), literal(name), inner));
            }
            Tok::Ident(name) if colon => {
                self.at += 1;
                literal(name)
            }
            Tok::Keyword(word) if colon => {
                self.at += 1;
                literal(word.into())
            }
            Tok::StringStart => self.string(None)?,
            Tok::Format(_) if *self.peek(1) == Tok::StringStart => self.formatted()?,
            Tok::Op("(") => {
                self.at += 1;
                let key = self.query()?;
                self.want(")", "")?;
                if let Some(value) = key.constant().filter(|value| value.as_str().is_none()) {
                    let message = format!("Cannot use {} as object key", shown(&value));
                    self.complain(message, key.span);
                }
                key
            }
            _ => return Err(self.key_error()),
        };
        self.want(":", "':'")?;
        let inner = self.pattern()?;
        Ok((None, key, Some(inner)))
    }
}
