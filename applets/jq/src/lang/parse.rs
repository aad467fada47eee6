//! Tokens to expressions: the grammar of jq 1.8, by recursive descent.
//!
//! Messages are those of jq's bison parser: what was unexpected, and what was expected where that is little.

mod parts;

use std::rc::Rc;

use super::ast::{Assign, Ast, BinOp, Def, Import, Node, Pattern, Program};
use super::lex::{Span, Tok, name, tokens};
use crate::value::{Map, Value};

/// Brackets within brackets.
const MAX_DEPTH: usize = 200;
/// Stages of a pipe, operands of a chain.
const MAX_CHAIN: usize = 900;

/// A complaint and its place.
pub(crate) type Complaint = (String, Span);

/// The parser gave up; its complaints are in its list.
struct Failed;

type Parsed<T> = Result<T, Failed>;

/// Reads a filter or a library.
///
/// # Errors
/// Every complaint, in order.
pub(crate) fn parse(text: &str) -> Result<Program, Vec<Complaint>> {
    let (tokens, errors) = tokens(text);
    let lines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
    let mut parser = Parser { tokens, at: 0, depth: 0, errors: Vec::new(), lines, end: Tok::End };
    let program = parser.program();
    let mut complaints = errors;
    complaints.extend(parser.errors);
    complaints.sort_by_key(|(_, span)| span.start);
    match program {
        Ok(program) if complaints.is_empty() => Ok(program),
        _ => Err(complaints),
    }
}

struct Parser {
    tokens: Vec<(Tok, Span)>,
    at: usize,
    depth: usize,
    errors: Vec<Complaint>,
    /// Where the line feeds are.
    lines: Vec<usize>,
    end: Tok,
}

/// How tightly a binary operator binds, and how it groups.
fn precedence(operator: &Tok) -> Option<(u8, Group)> {
    let Tok::Op(operator) = operator else {
        return match operator {
            Tok::Keyword("or") => Some((3, Group::Left)),
            Tok::Keyword("and") => Some((4, Group::Left)),
            _ => None,
        };
    };
    Some(match *operator {
        "//" => (1, Group::Right),
        "=" | "|=" | "+=" | "-=" | "*=" | "/=" | "%=" | "//=" => (2, Group::None),
        "==" | "!=" | "<" | ">" | "<=" | ">=" => (5, Group::None),
        "+" | "-" => (6, Group::Left),
        "*" | "/" | "%" => (7, Group::Left),
        _ => return None,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    Left,
    Right,
    None,
}

impl Parser {
    fn token(&self) -> &Tok {
        self.tokens.get(self.at).map_or(&self.end, |(token, _)| token)
    }

    fn span(&self) -> Span {
        self.tokens.get(self.at).or(self.tokens.last()).map(|(_, span)| *span).unwrap_or_default()
    }

    /// The place of the token before.
    fn last_span(&self) -> Span {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map(|(_, span)| *span).unwrap_or_default()
    }

    fn peek(&self, ahead: usize) -> &Tok {
        self.tokens.get(self.at + ahead).map_or(&self.end, |(token, _)| token)
    }

    fn next(&mut self) -> Tok {
        let token = self.token().clone();
        if token != Tok::End {
            self.at += 1;
        }
        token
    }

    fn is(&self, operator: &str) -> bool {
        matches!(self.token(), Tok::Op(found) if *found == operator)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.token(), Tok::Keyword(found) if *found == word)
    }

    fn take(&mut self, operator: &str) -> bool {
        let found = self.is(operator);
        self.at += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    fn complain(&mut self, message: impl Into<String>, span: Span) {
        self.errors.push((message.into(), span));
    }

    /// `syntax error, unexpected X, expecting ...`
    fn unexpected(&mut self, expected: &str) -> Failed {
        let expecting = if expected.is_empty() { String::new() } else { format!(", expecting {expected}") };
        let message = format!("syntax error, unexpected {}{expecting}", name(self.token()));
        self.complain(message, self.span());
        Failed
    }

    fn want(&mut self, operator: &str, expected: &str) -> Parsed<()> {
        if self.take(operator) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn enter(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            self.complain("memory exhausted", self.span());
            return Err(Failed);
        }
        Ok(())
    }

    fn program(&mut self) -> Parsed<Program> {
        let mut program = Program { module: None, imports: Vec::new(), defs: Vec::new(), main: None };
        if self.take_word("module") {
            let meta = self.query()?;
            program.module = self.metadata(&meta);
            self.want(";", "")?;
        }
        while self.is_word("import") || self.is_word("include") {
            program.imports.push(self.import()?);
        }
        while self.is_word("def") {
            program.defs.push(Rc::new(self.def()?));
        }
        if *self.token() == Tok::End {
            return Ok(program);
        }
        program.main = Some(self.query()?);
        if *self.token() != Tok::End {
            return Err(self.unexpected(""));
        }
        Ok(program)
    }

    fn metadata(&mut self, node: &Node) -> Option<Value> {
        match node.constant() {
            Some(value @ Value::Object(_)) => Some(value),
            Some(_) => {
                self.complain("Module metadata must be an object", node.span);
                None
            }
            None => {
                self.complain("Module metadata must be constant", node.span);
                None
            }
        }
    }

    fn import(&mut self) -> Parsed<Import> {
        let include = self.take_word("include");
        if !include {
            self.at += 1;
        }
        let format = match self.token() {
            Tok::Format(_) if *self.peek(1) == Tok::StringStart => true,
            Tok::StringStart => false,
            _ => return Err(self.unexpected("FORMAT or QQSTRING_START")),
        };
        self.at += usize::from(format);
        let node = self.string(None)?;
        let path = match node.constant() {
            Some(Value::String(path)) => path,
            _ => {
                self.complain("Import path must be constant", node.span);
                Rc::from("")
            }
        };
        let (mut bound, mut is_data) = (None, false);
        if !include {
            if !self.take_word("as") {
                return Err(self.unexpected("as"));
            }
            match self.token().clone() {
                Tok::Ident(name) => bound = Some(name),
                Tok::Binding(name) => (bound, is_data) = (Some(name), true),
                _ => return Err(self.unexpected("IDENT or BINDING")),
            }
            self.at += 1;
        }
        let mut meta = None;
        if !self.is(";") {
            let node = self.query()?;
            meta = self.metadata(&node);
        }
        self.want(";", "")?;
        Ok(Import { path, name: bound, is_data, meta })
    }

    fn def(&mut self) -> Parsed<Def> {
        self.enter()?;
        self.at += 1;
        let Tok::Ident(name) = self.token().clone() else { return Err(self.unexpected("IDENT")) };
        self.at += 1;
        let mut params = Vec::new();
        if self.take("(") {
            loop {
                match self.next() {
                    Tok::Ident(name) => params.push((name, false)),
                    Tok::Binding(name) => params.push((name, true)),
                    _ => {
                        self.at = self.at.saturating_sub(usize::from(*self.token() != Tok::End || self.at > 0));
                        return Err(self.unexpected("IDENT or BINDING"));
                    }
                }
                if self.take(")") {
                    break;
                }
                self.want(";", "';' or ')'")?;
            }
            self.want(":", "':'")?;
        } else {
            self.want(":", "'(' or ':'")?;
        }
        let body = self.query()?;
        self.want(";", "")?;
        self.depth -= 1;
        Ok(Def { name, params, body })
    }

    /// Pipes, commas and what binds to the right of them.
    fn query(&mut self) -> Parsed<Node> {
        self.enter()?;
        let node = self.pipe();
        self.depth -= 1;
        node
    }

    fn pipe(&mut self) -> Parsed<Node> {
        let mut stages = vec![self.stage()?];
        let mut links = 0;
        while self.take("|") {
            self.chained(&mut links)?;
            stages.push(self.stage()?);
        }
        let mut node = stages.pop().unwrap_or_else(|| Node::new(Ast::Identity, self.span()));
        while let Some(left) = stages.pop() {
            let span = left.span.to(node.span);
            node = Node::new(Ast::Pipe(Box::new(left), Box::new(node)), span);
        }
        Ok(node)
    }

    /// What stands between two pipes; a definition, a label and a binding reach to the end.
    fn stage(&mut self) -> Parsed<Node> {
        let start = self.span();
        if self.is_word("def") {
            let def = self.def()?;
            self.enter()?;
            let rest = self.pipe()?;
            self.depth -= 1;
            let span = start.to(rest.span);
            return Ok(Node::new(Ast::Def(Rc::new(def), Box::new(rest)), span));
        }
        if self.take_word("label") {
            let Tok::Binding(label) = self.token().clone() else { return Err(self.unexpected("BINDING")) };
            self.at += 1;
            self.want("|", "'|'")?;
            self.enter()?;
            let body = self.pipe()?;
            self.depth -= 1;
            let span = start.to(body.span);
            return Ok(Node::new(Ast::Label(label, Box::new(body)), span));
        }
        let mut left = self.expr(0)?;
        if self.take_word("as") {
            let patterns = self.patterns()?;
            self.want("|", "'|'")?;
            self.enter()?;
            let body = self.pipe()?;
            self.depth -= 1;
            let span = start.to(body.span);
            return Ok(Node::new(Ast::Bind(Box::new(left), patterns, Box::new(body)), span));
        }
        let mut links = 0;
        while self.take(",") {
            self.chained(&mut links)?;
            let right = self.comma_operand()?;
            let span = start.to(right.span);
            left = Node::new(Ast::Comma(Box::new(left), Box::new(right)), span);
        }
        Ok(left)
    }

    /// Counts the links of a chain.
    fn chained(&mut self, links: &mut usize) -> Parsed<()> {
        *links += 1;
        if *links > MAX_CHAIN {
            self.complain("memory exhausted", self.span());
            return Err(Failed);
        }
        Ok(())
    }

    /// What stands right of a comma: an expression, or one of the forms that reach as far as they can.
    fn comma_operand(&mut self) -> Parsed<Node> {
        if self.is_word("def") || self.is_word("label") {
            return self.pipe();
        }
        let start = self.span();
        let left = self.expr(0)?;
        if !self.take_word("as") {
            return Ok(left);
        }
        let patterns = self.patterns()?;
        self.want("|", "'|'")?;
        self.enter()?;
        let body = self.pipe()?;
        self.depth -= 1;
        let span = start.to(body.span);
        Ok(Node::new(Ast::Bind(Box::new(left), patterns, Box::new(body)), span))
    }

    fn expr(&mut self, least: u8) -> Parsed<Node> {
        let mut left = self.postfix()?;
        let mut forbidden = None;
        let mut links = 0;
        while let Some((level, group)) = precedence(self.token()) {
            if level < least {
                break;
            }
            self.chained(&mut links)?;
            if forbidden == Some(level) {
                return Err(self.unexpected(""));
            }
            let operator = self.next();
            self.enter()?;
            let right = self.expr(if group == Group::Right { level } else { level + 1 })?;
            self.depth -= 1;
            let span = left.span.to(right.span);
            left = Node::new(binary(&operator, Box::new(left), Box::new(right)), span);
            forbidden = (group == Group::None).then_some(level);
        }
        Ok(left)
    }

    /// A term and its suffixes.
    fn postfix(&mut self) -> Parsed<Node> {
        let start = self.span();
        let mut node = self.term()?;
        let mut links = 0;
        loop {
            self.chained(&mut links)?;
            let base = Box::new(node);
            let kind = match self.token().clone() {
                Tok::Field(field) => {
                    self.at += 1;
                    let key = Box::new(Node::new(Ast::Const(Value::String(field)), self.last_span()));
                    Ast::Index(base, key, self.take("?"))
                }
                Tok::Op(".") if matches!(self.peek(1), Tok::StringStart) => {
                    self.at += 1;
                    let key = Box::new(self.string(None)?);
                    Ast::Index(base, key, self.take("?"))
                }
                Tok::Op(".") if matches!((self.peek(1), self.peek(2)), (Tok::Format(_), Tok::StringStart)) => {
                    self.at += 1;
                    let key = Box::new(self.formatted()?);
                    Ast::Index(base, key, self.take("?"))
                }
                Tok::Op(".") if matches!(self.peek(1), Tok::Op("[")) => {
                    self.at += 1;
                    self.bracket(base)?
                }
                Tok::Op(".") => {
                    self.at += 1;
                    return Err(self.unexpected("FORMAT or QQSTRING_START or '['"));
                }
                Tok::Op("[") => self.bracket(base)?,
                Tok::Op("?") => {
                    self.at += 1;
                    Ast::Try(base, None)
                }
                _ => return Ok(*base),
            };
            node = Node::new(kind, start.to(self.last_span()));
        }
    }

    /// `[...]` behind a term.
    fn bracket(&mut self, base: Box<Node>) -> Parsed<Ast> {
        self.at += 1;
        if self.take("]") {
            return Ok(Ast::Iterate(base, self.take("?")));
        }
        if self.take(":") {
            let to = Box::new(self.query()?);
            self.want("]", "")?;
            return Ok(Ast::Slice(base, None, Some(to), self.take("?")));
        }
        let key = Box::new(self.query()?);
        if self.take("]") {
            return Ok(Ast::Index(base, key, self.take("?")));
        }
        self.want(":", "")?;
        let to = match self.is("]") {
            true => None,
            false => Some(Box::new(self.query()?)),
        };
        self.want("]", "")?;
        Ok(Ast::Slice(base, Some(key), to, self.take("?")))
    }

    fn term(&mut self) -> Parsed<Node> {
        let start = self.span();
        let kind = match self.token().clone() {
            Tok::Literal(value) => {
                self.at += 1;
                Ast::Const(value)
            }
            Tok::Field(field) => {
                self.at += 1;
                let base = Box::new(Node::new(Ast::Identity, start));
                let key = Box::new(Node::new(Ast::Const(Value::String(field)), start));
                Ast::Index(base, key, self.take("?"))
            }
            Tok::StringStart => return self.string(None),
            Tok::Format(_) if *self.peek(1) == Tok::StringStart => return self.formatted(),
            Tok::Format(format) => {
                self.at += 1;
                Ast::Format(format)
            }
            Tok::Binding(name) => {
                self.at += 1;
                Ast::Var(name)
            }
            Tok::Loc => {
                self.at += 1;
                Ast::Const(self.location(start))
            }
            Tok::Ident(_) => self.call()?,
            Tok::Keyword(word) => return self.keyword(word),
            Tok::Op(operator) => return self.operator(operator),
            _ => return Err(self.unexpected("")),
        };
        Ok(Node::new(kind, start.to(self.last_span())))
    }

    /// The object of `$__loc__`.
    fn location(&self, span: Span) -> Value {
        let line = self.lines.partition_point(|feed| *feed < span.start) + 1;
        let mut map = Map::new();
        map.insert("file".into(), "<top-level>".into());
        map.insert("line".into(), Value::number(line as f64));
        Value::object(map)
    }

    fn call(&mut self) -> Parsed<Ast> {
        let Tok::Ident(name) = self.next() else { return Err(self.unexpected("")) };
        if !self.take("(") {
            return Ok(match &*name {
                "true" => Ast::Const(Value::Bool(true)),
                "false" => Ast::Const(Value::Bool(false)),
                "null" => Ast::Const(Value::Null),
                _ => Ast::Call(name, Vec::new()),
            });
        }
        let mut args = vec![self.query()?];
        while self.take(";") {
            args.push(self.query()?);
        }
        self.want(")", "")?;
        Ok(Ast::Call(name, args))
    }

    fn keyword(&mut self, word: &str) -> Parsed<Node> {
        let start = self.span();
        self.enter()?;
        let kind = match word {
            "if" => {
                self.at += 1;
                self.condition(start)?
            }
            "try" => {
                self.at += 1;
                let body = Box::new(self.postfix()?);
                let mut handler = None;
                if self.take_word("catch") {
                    let before = self.errors.len();
                    match self.postfix() {
                        Ok(node) => handler = Some(Box::new(node)),
                        Err(failed) => {
                            if self.errors.len() == before + 1 {
                                let span = start.to(self.span());
                                self.complain("Possibly unterminated 'try' statement", span);
                            }
                            return Err(failed);
                        }
                    }
                }
                Ast::Try(body, handler)
            }
            "reduce" => {
                self.at += 1;
                let (source, patterns) = self.source()?;
                let init = Box::new(self.query()?);
                self.want(";", "")?;
                let update = Box::new(self.query()?);
                self.want(")", "")?;
                Ast::Reduce(source, patterns, init, update)
            }
            "foreach" => {
                self.at += 1;
                let (source, patterns) = self.source()?;
                let init = Box::new(self.query()?);
                self.want(";", "")?;
                let update = Box::new(self.query()?);
                let extract = match self.take(";") {
                    true => Some(Box::new(self.query()?)),
                    false => None,
                };
                self.want(")", "")?;
                Ast::Foreach(source, patterns, init, update, extract)
            }
            "break" => {
                self.at += 1;
                let Tok::Binding(label) = self.token().clone() else {
                    let failed = self.unexpected("BINDING");
                    let span = start.to(self.span());
                    self.complain("break requires a label to break to", span);
                    return Err(failed);
                };
                self.at += 1;
                Ast::Break(label)
            }
            _ => return Err(self.unexpected("")),
        };
        self.depth -= 1;
        Ok(Node::new(kind, start.to(self.last_span())))
    }

    /// `EXPR as PATTERNS (` of a loop.
    fn source(&mut self) -> Parsed<(Box<Node>, Vec<Pattern>)> {
        let source = Box::new(self.expr(0)?);
        if !self.take_word("as") {
            return Err(self.unexpected(""));
        }
        let patterns = self.patterns()?;
        self.want("(", "'('")?;
        Ok((source, patterns))
    }

    fn condition(&mut self, start: Span) -> Parsed<Ast> {
        let condition = Box::new(self.query()?);
        if !self.take_word("then") {
            return Err(self.unexpected(""));
        }
        let before = self.errors.len();
        let then = match self.query() {
            Ok(node) => Box::new(node),
            Err(failed) => {
                if self.errors.len() == before + 1 {
                    let span = start.to(self.span());
                    self.complain("Possibly unterminated 'if' statement", span);
                }
                return Err(failed);
            }
        };
        let place = self.span();
        if self.take_word("elif") {
            self.enter()?;
            let nested = self.condition(place)?;
            self.depth -= 1;
            let span = place.to(self.last_span());
            return Ok(Ast::If(condition, then, Some(Box::new(Node::new(nested, span)))));
        }
        if self.take_word("else") {
            let otherwise = Box::new(self.query()?);
            if !self.take_word("end") {
                return Err(self.unexpected(""));
            }
            return Ok(Ast::If(condition, then, Some(otherwise)));
        }
        if !self.take_word("end") {
            let failed = self.unexpected("");
            let span = start.to(self.span());
            self.complain("Possibly unterminated 'if' statement", span);
            return Err(failed);
        }
        Ok(Ast::If(condition, then, None))
    }

    fn operator(&mut self, operator: &str) -> Parsed<Node> {
        let start = self.span();
        let kind = match operator {
            "." => {
                self.at += 1;
                match self.token() {
                    Tok::StringStart => {
                        let key = Box::new(self.string(None)?);
                        let base = Box::new(Node::new(Ast::Identity, start));
                        Ast::Index(base, key, self.take("?"))
                    }
                    Tok::Format(_) if *self.peek(1) == Tok::StringStart => {
                        let key = Box::new(self.formatted()?);
                        let base = Box::new(Node::new(Ast::Identity, start));
                        Ast::Index(base, key, self.take("?"))
                    }
                    Tok::Ident(_) | Tok::Literal(_) | Tok::Format(_) | Tok::Binding(_) | Tok::Loc => {
                        let failed = self.unexpected("");
                        let span = start.to(self.span());
                        self.complain("try .[\"field\"] instead of .field for unusually named fields", span);
                        return Err(failed);
                    }
                    _ => Ast::Identity,
                }
            }
            ".." => {
                self.at += 1;
                Ast::Recurse
            }
            "-" => {
                self.at += 1;
                self.enter()?;
                let inner = self.postfix()?;
                self.depth -= 1;
                match &inner.kind {
                    Ast::Const(Value::Number(number)) => Ast::Const(Value::Number(number.negated())),
                    _ => Ast::Negate(Box::new(inner)),
                }
            }
            "(" => {
                self.at += 1;
                let mut inner = self.query()?;
                self.want(")", "")?;
                inner.span = start.to(self.last_span());
                return Ok(inner);
            }
            "[" => {
                self.at += 1;
                if self.take("]") {
                    Ast::Array(None)
                } else {
                    let inner = Box::new(self.query()?);
                    self.want("]", "")?;
                    Ast::Array(Some(inner))
                }
            }
            "{" => {
                self.at += 1;
                self.enter()?;
                let pairs = self.pairs()?;
                self.depth -= 1;
                Ast::Object(pairs)
            }
            _ => return Err(self.unexpected("")),
        };
        Ok(Node::new(kind, start.to(self.last_span())))
    }
}

fn binary(operator: &Tok, left: Box<Node>, right: Box<Node>) -> Ast {
    let operator = match operator {
        Tok::Op(operator) | Tok::Keyword(operator) => *operator,
        _ => "",
    };
    let op = match operator {
        "or" => return Ast::Or(left, right),
        "and" => return Ast::And(left, right),
        "//" => return Ast::Alt(left, right),
        "=" => return Ast::Assign(Assign::Set, left, right),
        "|=" => return Ast::Assign(Assign::Modify, left, right),
        "//=" => return Ast::Assign(Assign::Alt, left, right),
        "+=" => return Ast::Assign(Assign::Op(BinOp::Add), left, right),
        "-=" => return Ast::Assign(Assign::Op(BinOp::Sub), left, right),
        "*=" => return Ast::Assign(Assign::Op(BinOp::Mul), left, right),
        "/=" => return Ast::Assign(Assign::Op(BinOp::Div), left, right),
        "%=" => return Ast::Assign(Assign::Op(BinOp::Mod), left, right),
        "==" => BinOp::Eq,
        "!=" => BinOp::Ne,
        "<" => BinOp::Lt,
        "<=" => BinOp::Le,
        ">" => BinOp::Gt,
        ">=" => BinOp::Ge,
        "+" => BinOp::Add,
        "-" => BinOp::Sub,
        "*" => BinOp::Mul,
        "/" => BinOp::Div,
        _ => BinOp::Mod,
    };
    Ast::Binary(op, left, right)
}
