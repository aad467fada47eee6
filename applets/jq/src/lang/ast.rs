//! What a filter says, before its names are resolved.

use std::rc::Rc;

use super::lex::Span;
use crate::value::Value;

/// An expression with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Ast,
    pub(crate) span: Span,
}

/// Arithmetic and comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// What an assignment does with the paths of its left side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assign {
    /// `=`
    Set,
    /// `|=`
    Modify,
    /// `+=` and its kin.
    Op(BinOp),
    /// `//=`
    Alt,
}

/// An expression.
#[derive(Clone, Debug)]
pub(crate) enum Ast {
    Identity,
    Recurse,
    Const(Value),
    Var(Rc<str>),
    /// `$$$$name` is only for definitions of our own.
    Call(Rc<str>, Vec<Node>),
    Format(Rc<str>),
    /// A string: pieces, and the format of the interpolations.
    Text(Option<Rc<str>>, Vec<Node>),
    Array(Option<Box<Node>>),
    Object(Vec<(Node, Node)>),
    Negate(Box<Node>),
    Pipe(Box<Node>, Box<Node>),
    Comma(Box<Node>, Box<Node>),
    Binary(BinOp, Box<Node>, Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Alt(Box<Node>, Box<Node>),
    Assign(Assign, Box<Node>, Box<Node>),
    /// Base, key, and whether errors are swallowed.
    Index(Box<Node>, Box<Node>, bool),
    Slice(Box<Node>, Option<Box<Node>>, Option<Box<Node>>, bool),
    Iterate(Box<Node>, bool),
    Try(Box<Node>, Option<Box<Node>>),
    If(Box<Node>, Box<Node>, Option<Box<Node>>),
    Reduce(Box<Node>, Vec<Pattern>, Box<Node>, Box<Node>),
    Foreach(Box<Node>, Vec<Pattern>, Box<Node>, Box<Node>, Option<Box<Node>>),
    Bind(Box<Node>, Vec<Pattern>, Box<Node>),
    Label(Rc<str>, Box<Node>),
    Break(Rc<str>),
    Def(Rc<Def>, Box<Node>),
}

/// A destructuring pattern.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    Var(Rc<str>),
    Array(Vec<Pattern>),
    /// Variable bound to the whole member, key, pattern of the member.
    Object(Vec<(Option<Rc<str>>, Node, Option<Pattern>)>),
}

/// A function definition.
#[derive(Clone, Debug)]
pub(crate) struct Def {
    pub(crate) name: Rc<str>,
    /// Names; true for `$name`.
    pub(crate) params: Vec<(Rc<str>, bool)>,
    pub(crate) body: Node,
}

/// `import` or `include`.
#[derive(Clone, Debug)]
pub(crate) struct Import {
    pub(crate) path: Rc<str>,
    /// Name after `as`; `None` for `include`.
    pub(crate) name: Option<Rc<str>>,
    /// `as $name`.
    pub(crate) is_data: bool,
    pub(crate) meta: Option<Value>,
}

/// A whole file.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) module: Option<Value>,
    pub(crate) imports: Vec<Import>,
    pub(crate) defs: Vec<Rc<Def>>,
    /// `None` for a library.
    pub(crate) main: Option<Node>,
}

impl Node {
    /// An expression at a place.
    pub(crate) fn new(kind: Ast, span: Span) -> Node {
        Node { kind, span }
    }

    /// The value of a constant expression.
    pub(crate) fn constant(&self) -> Option<Value> {
        match &self.kind {
            Ast::Const(value) => Some(value.clone()),
            Ast::Text(None, parts) => {
                let mut text = String::new();
                for part in parts {
                    match &part.kind {
                        Ast::Const(Value::String(piece)) => text.push_str(piece),
                        _ => return None,
                    }
                }
                Some(text.into())
            }
            Ast::Array(None) => Some(Value::array(Vec::new())),
            Ast::Array(Some(inner)) => {
                let mut items = Vec::new();
                inner.constants(&mut items).then(|| Value::array(items))
            }
            Ast::Object(pairs) => {
                let mut map = crate::value::Map::new();
                for (key, value) in pairs {
                    match (key.constant()?, value.constant()?) {
                        (Value::String(key), value) => map.insert(key, value),
                        _ => return None,
                    };
                }
                Some(Value::object(map))
            }
            _ => None,
        }
    }

    fn constants(&self, items: &mut Vec<Value>) -> bool {
        match &self.kind {
            Ast::Comma(left, right) => left.constants(items) && right.constants(items),
            _ => self.constant().map(|value| items.push(value)).is_some(),
        }
    }
}
