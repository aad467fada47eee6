//! Expressions to terms: resolves names, functions and modules.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use super::ast::{Assign, Ast, Def, Node, Pattern as AstPattern, Program as Source};
use super::lex::Span;
use super::modules::{Loader, Unit};
use super::term::{Arg, Class, Destructure, Func, Loop, Op, Pattern, Piece, Program, Term};
use crate::builtins::{self, Special};
use crate::host::Settings;
use crate::value::{Map, Value};

/// What a name means, innermost first.
type Scope = Option<Rc<ScopeNode>>;

struct ScopeNode {
    entry: Entry,
    next: Scope,
    /// Slots outside this entry.
    depth: usize,
}

enum Entry {
    Var(Rc<str>),
    /// A parameter without parameters of its own.
    Closure(Rc<str>),
    Label(Rc<str>),
    /// A slot that no name reaches.
    Hidden,
    /// A function; its number once it is compiled.
    Def(Rc<Def>, Rc<Cell<Option<usize>>>, Rc<Unit>),
    /// A function of another file under a name, with its number once it is compiled.
    Foreign(Rc<str>, Rc<Foreign>),
    /// A constant.
    Global(Rc<str>, Value),
}

/// A function of a module.
struct Foreign {
    def: Rc<Def>,
    scope: Scope,
    number: Rc<Cell<Option<usize>>>,
    unit: Rc<Unit>,
}

fn depth(scope: &Scope) -> usize {
    match scope {
        None => 0,
        Some(node) => node.depth + usize::from(node.is_slot()),
    }
}

impl ScopeNode {
    fn is_slot(&self) -> bool {
        !matches!(self.entry, Entry::Def(..) | Entry::Foreign(..) | Entry::Global(..))
    }
}

fn with(scope: &Scope, entry: Entry) -> Scope {
    Some(Rc::new(ScopeNode { entry, next: scope.clone(), depth: depth(scope) }))
}

fn walk(scope: &Scope) -> impl Iterator<Item = &Rc<ScopeNode>> {
    std::iter::successors(scope.as_ref(), |node| node.next.as_ref())
}

/// Compiles a filter.
///
/// # Errors
/// Messages with their place.
pub(crate) fn compile(text: &str, settings: &Settings) -> Result<(Program, Rc<Loader>), Vec<String>> {
    let unit = Rc::new(Unit::main(text));
    let source = super::parse::parse(text).map_err(|complaints| unit.messages(complaints))?;
    let loader = Rc::new(Loader::new(settings));
    let mut compiler = Compiler {
        funcs: Vec::new(),
        builtins: HashMap::new(),
        errors: Vec::new(),
        settings,
        loader: loader.clone(),
        modules: HashMap::new(),
        nesting: 0,
        loading: 0,
    };
    let scope = compiler.file(&source, &unit, &settings.origin)?;
    let identity = Node::new(Ast::Identity, Span::default());
    let main = compiler.node(source.main.as_ref().unwrap_or(&identity), &scope, &unit);
    if compiler.errors.is_empty() {
        Ok((Program { main, funcs: compiler.funcs }, loader))
    } else {
        Err(compiler.errors)
    }
}

struct Compiler<'a> {
    funcs: Vec<Option<Func>>,
    builtins: HashMap<(Rc<str>, usize), usize>,
    errors: Vec<String>,
    settings: &'a Settings,
    loader: Rc<Loader>,
    /// Functions of each module, by its file.
    modules: HashMap<std::path::PathBuf, Rc<Vec<Rc<Foreign>>>>,
    nesting: usize,
    loading: usize,
}

/// Modules within modules.
const MAX_IMPORTS: usize = 64;
/// Terms within terms.
const MAX_NESTING: usize = 1000;

impl Compiler<'_> {
    /// The scope that a file's main expression has: its imports and definitions.
    fn file(&mut self, source: &Source, unit: &Rc<Unit>, origin: &std::path::Path) -> Result<Scope, Vec<String>> {
        let mut scope: Scope = None;
        for import in &source.imports {
            let found = match self.loader.find(&import.path, import.meta.as_ref(), origin, import.is_data) {
                Ok(found) => found,
                Err(message) => {
                    let full = format!("jq: error: {message}");
                    return Err(vec![full, String::new()].into_iter().filter(|line| !line.is_empty()).collect());
                }
            };
            if import.is_data {
                let value = self.loader.data(&found, import.meta.as_ref()).map_err(|message| vec![message])?;
                let name = import.name.clone().unwrap_or_default();
                scope = with(&scope, Entry::Global(format!("{name}::{name}").into(), value.clone()));
                scope = with(&scope, Entry::Global(name, value));
                continue;
            }
            for foreign in self.module(&found)?.iter() {
                let name = match &import.name {
                    Some(prefix) => format!("{prefix}::{}", foreign.def.name).into(),
                    None => foreign.def.name.clone(),
                };
                scope = with(&scope, Entry::Foreign(name, foreign.clone()));
            }
        }
        for def in &source.defs {
            scope = with(&scope, Entry::Def(def.clone(), Rc::default(), unit.clone()));
        }
        Ok(scope)
    }

    fn module(&mut self, path: &std::path::Path) -> Result<Rc<Vec<Rc<Foreign>>>, Vec<String>> {
        if let Some(known) = self.modules.get(path) {
            return Ok(known.clone());
        }
        self.loading += 1;
        if self.loading > MAX_IMPORTS {
            return Err(vec![format!("jq: error: too many modules within modules: {}", path.display())]);
        }
        let (unit, source) = self.loader.library(path)?;
        let origin = path.parent().unwrap_or(path).to_owned();
        let scope = self.file(&source, &unit, &origin)?;
        let mut functions = Vec::new();
        for node in walk(&scope) {
            if let Entry::Def(def, number, unit) = &node.entry {
                let scope = Some(node.clone());
                functions.push(Rc::new(Foreign {
                    def: def.clone(),
                    scope,
                    number: number.clone(),
                    unit: unit.clone(),
                }));
            }
        }
        functions.reverse();
        let functions = Rc::new(functions);
        self.modules.insert(path.to_owned(), functions.clone());
        self.loading -= 1;
        Ok(functions)
    }

    fn boxed(&mut self, node: &Node, scope: &Scope, unit: &Rc<Unit>) -> Box<Term> {
        Box::new(self.node(node, scope, unit))
    }

    fn pair(&mut self, a: &Node, b: &Node, scope: &Scope, unit: &Rc<Unit>) -> Box<(Term, Term)> {
        Box::new((self.node(a, scope, unit), self.node(b, scope, unit)))
    }

    fn node(&mut self, node: &Node, scope: &Scope, unit: &Rc<Unit>) -> Term {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            if self.errors.is_empty() {
                self.errors.push("jq: error: the filter is nested too deeply".to_owned());
            }
            self.nesting -= 1;
            return Term::identity();
        }
        let term = Term::new(self.op(node, scope, unit));
        self.nesting -= 1;
        term
    }

    fn op(&mut self, node: &Node, scope: &Scope, unit: &Rc<Unit>) -> Op {
        match &node.kind {
            Ast::Identity => Op::Identity,
            Ast::Recurse => self.call("recurse", &[], node.span, scope, unit),
            Ast::Const(value) => Op::Const(value.clone()),
            Ast::Var(name) => self.variable(name, node.span, scope, unit),
            Ast::Call(name, args) => self.call(name, args, node.span, scope, unit),
            Ast::Format(name) => Op::Native(builtins::FORMAT, vec![Term::new(Op::Const(Value::from(&**name)))]),
            Ast::Text(format, parts) => self.text(format.as_ref(), parts, scope, unit),
            Ast::Array(None) => Op::Const(Value::array(Vec::new())),
            Ast::Array(Some(inner)) => match node.constant() {
                Some(value) => Op::Const(value),
                None => Op::Array(self.boxed(inner, scope, unit)),
            },
            Ast::Object(pairs) => match node.constant() {
                Some(value) => Op::Const(value),
                None => Op::Object(
                    pairs
                        .iter()
                        .map(|(key, value)| (self.node(key, scope, unit), self.node(value, scope, unit)))
                        .collect(),
                ),
            },
            Ast::Negate(inner) => Op::Negate(self.boxed(inner, scope, unit)),
            Ast::Pipe(a, b) => Op::Pipe(self.pair(a, b, scope, unit)),
            Ast::Comma(a, b) => Op::Comma(self.pair(a, b, scope, unit)),
            Ast::Binary(op, a, b) => Op::Binary(*op, self.pair(a, b, scope, unit)),
            Ast::And(a, b) => Op::And(self.pair(a, b, scope, unit)),
            Ast::Or(a, b) => Op::Or(self.pair(a, b, scope, unit)),
            Ast::Alt(a, b) => Op::Alt(self.pair(a, b, scope, unit)),
            Ast::Assign(kind, left, right) => self.assign(*kind, left, right, scope, unit),
            Ast::Index(base, key, optional) => match key.constant() {
                Some(key @ Value::String(_)) => Op::Field(self.boxed(base, scope, unit), key, *optional),
                _ => Op::Index(self.pair(base, key, scope, unit), *optional),
            },
            Ast::Slice(base, from, to, optional) => {
                let missing = Node::new(Ast::Const(Value::Null), node.span);
                let base = self.node(base, scope, unit);
                let from = self.node(from.as_deref().unwrap_or(&missing), scope, unit);
                let to = self.node(to.as_deref().unwrap_or(&missing), scope, unit);
                Op::Slice(Box::new((base, from, to)), *optional)
            }
            Ast::Iterate(base, optional) => Op::Iterate(self.boxed(base, scope, unit), *optional),
            Ast::Try(body, handler) => {
                let body = self.boxed(body, scope, unit);
                Op::Try(body, handler.as_ref().map(|handler| self.boxed(handler, scope, unit)))
            }
            Ast::If(condition, then, otherwise) => {
                let condition = self.node(condition, scope, unit);
                let then = self.node(then, scope, unit);
                let otherwise = match otherwise {
                    Some(otherwise) => self.node(otherwise, scope, unit),
                    None => Term::identity(),
                };
                Op::If(Box::new((condition, then, otherwise)))
            }
            Ast::Reduce(source, patterns, init, update) => {
                Op::Reduce(Box::new(self.looped(source, patterns, init, update, None, scope, unit)))
            }
            Ast::Foreach(source, patterns, init, update, extract) => {
                Op::Foreach(Box::new(self.looped(source, patterns, init, update, extract.as_deref(), scope, unit)))
            }
            Ast::Bind(source, patterns, body) => {
                let source = self.node(source, scope, unit);
                let (pattern, inner) = self.destructure(patterns, scope, unit);
                let body = self.node(body, &inner, unit);
                Op::Bind(Box::new((source, pattern, body)))
            }
            Ast::Label(name, body) => {
                let inner = with(scope, Entry::Label(name.clone()));
                Op::Label(self.boxed(body, &inner, unit))
            }
            Ast::Break(name) => {
                let here = depth(scope);
                let found = walk(scope).find(|node| matches!(&node.entry, Entry::Label(label) if label == name));
                match found {
                    Some(found) => Op::Break(here - found.depth - 1),
                    None => self.undefined(&format!("$*label-{name}"), node.span, unit),
                }
            }
            Ast::Def(def, rest) => {
                let inner = with(scope, Entry::Def(def.clone(), Rc::default(), unit.clone()));
                self.op(rest, &inner, unit)
            }
        }
    }

    fn undefined(&mut self, what: &str, span: Span, unit: &Rc<Unit>) -> Op {
        self.errors.push(unit.message(&format!("{what} is not defined"), span));
        Op::Empty
    }

    fn variable(&mut self, name: &Rc<str>, span: Span, scope: &Scope, unit: &Rc<Unit>) -> Op {
        let here = depth(scope);
        for node in walk(scope) {
            match &node.entry {
                Entry::Var(known) if known == name => return Op::Var(here - node.depth - 1),
                Entry::Global(known, value) if known == name => return Op::Const(value.clone()),
                _ => {}
            }
        }
        if &**name == "ENV" {
            return Op::Const(Value::object(self.settings.env.clone()));
        }
        if let Some(value) = self.settings.variables.get(name) {
            return Op::Const(value.clone());
        }
        if &**name == "__prog_args" {
            return Op::Const(Value::object(self.settings.variables.clone()));
        }
        self.undefined(&format!("${name}"), span, unit)
    }

    fn text(&mut self, format: Option<&Rc<str>>, parts: &[Node], scope: &Scope, unit: &Rc<Unit>) -> Op {
        let format: Rc<str> = format.cloned().unwrap_or_else(|| "@text".into());
        let mut pieces = Vec::new();
        let mut marked = false;
        for part in parts {
            match &part.kind {
                // The parser puts a mark before each interpolation.
                Ast::Format(mark) if mark.is_empty() && !marked => marked = true,
                Ast::Const(Value::String(text)) if !marked => pieces.push(Piece::Plain(text.clone())),
                _ => {
                    pieces.push(Piece::Value(self.node(part, scope, unit)));
                    marked = false;
                }
            }
        }
        let simple = pieces.iter().all(|piece| match piece {
            Piece::Value(term) => term.class == Class::Simple,
            Piece::Plain(_) => true,
        });
        if simple {
            return Op::Text(format, pieces);
        }
        // Several outputs: a sum, which has jq's order of combinations.
        let mut sum = Term::new(Op::Const("".into()));
        for piece in pieces {
            let right = match piece {
                Piece::Plain(text) => Term::new(Op::Const(Value::String(text))),
                Piece::Value(term) => {
                    let name = Term::new(Op::Const(Value::String(format.clone())));
                    let formatted = Term::new(Op::Native(builtins::FORMAT, vec![name]));
                    Term::new(Op::Pipe(Box::new((term, formatted))))
                }
            };
            sum = Term::new(Op::Binary(super::ast::BinOp::Add, Box::new((sum, right))));
        }
        sum.op
    }

    fn assign(&mut self, kind: Assign, left: &Node, right: &Node, scope: &Scope, unit: &Rc<Unit>) -> Op {
        match kind {
            Assign::Set => Op::Assign(self.pair(left, right, scope, unit)),
            Assign::Modify => Op::Modify(self.pair(left, right, scope, unit)),
            Assign::Op(_) | Assign::Alt => {
                let value = self.node(right, scope, unit);
                let inner = with(scope, Entry::Hidden);
                let paths = self.node(left, &inner, unit);
                let operands = Box::new((Term::identity(), Term::new(Op::Var(0))));
                let update = Term::new(match kind {
                    Assign::Op(op) => Op::Binary(op, operands),
                    _ => Op::Alt(operands),
                });
                let modify = Term::new(Op::Modify(Box::new((paths, update))));
                let pattern = Destructure { variables: 1, patterns: vec![Pattern::Var(0)] };
                Op::Bind(Box::new((value, pattern, modify)))
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn looped(
        &mut self,
        source: &Node,
        patterns: &[AstPattern],
        init: &Node,
        update: &Node,
        extract: Option<&Node>,
        scope: &Scope,
        unit: &Rc<Unit>,
    ) -> Loop {
        let source = self.node(source, scope, unit);
        let (pattern, inner) = self.destructure(patterns, scope, unit);
        Loop {
            source,
            pattern,
            init: self.node(init, scope, unit),
            update: self.node(update, &inner, unit),
            extract: extract.map(|extract| self.node(extract, &inner, unit)),
        }
    }

    /// Patterns and the scope behind them. Each variable has one slot, whichever pattern names it.
    fn destructure(&mut self, patterns: &[AstPattern], scope: &Scope, unit: &Rc<Unit>) -> (Destructure, Scope) {
        let mut names: Vec<Rc<str>> = Vec::new();
        for pattern in patterns {
            variables(pattern, &mut names);
        }
        let mut inner = scope.clone();
        for name in &names {
            inner = with(&inner, Entry::Var(name.clone()));
        }
        let patterns = patterns.iter().map(|pattern| self.pattern(pattern, &names, &inner, unit)).collect();
        (Destructure { variables: names.len(), patterns }, inner)
    }

    fn pattern(&mut self, pattern: &AstPattern, names: &[Rc<str>], scope: &Scope, unit: &Rc<Unit>) -> Pattern {
        let slot = |name: &Rc<str>| names.iter().position(|known| known == name).unwrap_or_default();
        match pattern {
            AstPattern::Var(name) => Pattern::Var(slot(name)),
            AstPattern::Array(items) => {
                Pattern::Array(items.iter().map(|item| self.pattern(item, names, scope, unit)).collect())
            }
            AstPattern::Object(members) => Pattern::Object(
                members
                    .iter()
                    .map(|(name, key, inner)| {
                        let key = self.node(key, scope, unit);
                        let inner = inner.as_ref().map(|inner| self.pattern(inner, names, scope, unit));
                        (name.as_ref().map(slot), key, inner)
                    })
                    .collect(),
            ),
        }
    }

    fn call(&mut self, name: &str, args: &[Node], span: Span, scope: &Scope, unit: &Rc<Unit>) -> Op {
        let here = depth(scope);
        for node in walk(scope) {
            match &node.entry {
                Entry::Closure(known) if &**known == name && args.is_empty() => {
                    return Op::Closure(here - node.depth - 1);
                }
                Entry::Def(def, number, home) if &*def.name == name && def.params.len() == args.len() => {
                    let own = Some(node.clone());
                    let number = self.function(def, number, &own, home);
                    return self.calling(number, here - depth(&own), args, scope, unit);
                }
                Entry::Foreign(known, foreign) if &**known == name && foreign.def.params.len() == args.len() => {
                    let number = self.function(&foreign.def, &foreign.number, &foreign.scope, &foreign.unit);
                    return self.calling(number, here, args, scope, unit);
                }
                _ => {}
            }
        }
        self.builtin(name, args, span, scope, unit)
    }

    fn calling(&mut self, number: usize, leave: usize, args: &[Node], scope: &Scope, unit: &Rc<Unit>) -> Op {
        let args = args.iter().map(|arg| match self.node(arg, scope, unit) {
            Term { op: Op::Closure(slot), .. } => Arg::Slot(slot),
            term => Arg::Filter(term),
        });
        Op::Call(number, leave, args.collect())
    }

    /// The number of a function; compiles it when it is called for the first time.
    fn function(&mut self, def: &Rc<Def>, number: &Cell<Option<usize>>, scope: &Scope, unit: &Rc<Unit>) -> usize {
        if let Some(known) = number.get() {
            return known;
        }
        let own = self.funcs.len();
        self.funcs.push(None);
        number.set(Some(own));
        let body = self.body(def, scope, unit);
        if let Some(place) = self.funcs.get_mut(own) {
            *place = Some(Func { body });
        }
        own
    }

    fn body(&mut self, def: &Def, scope: &Scope, unit: &Rc<Unit>) -> Term {
        let mut inner = scope.clone();
        for (name, _) in &def.params {
            inner = with(&inner, Entry::Closure(name.clone()));
        }
        let values: Vec<&Rc<str>> = def.params.iter().filter(|(_, value)| *value).map(|(name, _)| name).collect();
        // The slots of values lie inside those of the parameters, the last one innermost.
        let mut sources = Vec::new();
        for name in &values {
            let here = depth(&inner);
            let found = walk(&inner).find(|node| matches!(&node.entry, Entry::Closure(known) if known == *name));
            sources.push(found.map_or(0, |found| here - found.depth - 1));
            inner = with(&inner, Entry::Var((*name).clone()));
        }
        let mut body = self.node(&def.body, &inner, unit);
        for slot in sources.into_iter().rev() {
            let pattern = Destructure { variables: 1, patterns: vec![Pattern::Var(0)] };
            body = Term::new(Op::Bind(Box::new((Term::new(Op::Closure(slot)), pattern, body))));
        }
        body
    }

    fn builtin(&mut self, name: &str, args: &[Node], span: Span, scope: &Scope, unit: &Rc<Unit>) -> Op {
        let arity = args.len();
        if let Some(special) = builtins::special(name, arity) {
            return self.special(special, args, scope, unit);
        }
        if let Some(native) = builtins::native(name, arity) {
            let args = args.iter().map(|arg| self.node(arg, scope, unit)).collect();
            return Op::Native(native, args);
        }
        let key = (Rc::from(name), arity);
        if let Some(number) = self.builtins.get(&key).copied() {
            return self.calling(number, depth(scope), args, scope, unit);
        }
        let Some(text) = builtins::prelude(name, arity) else {
            return self.undefined(&format!("{name}/{arity}"), span, unit);
        };
        let home = Rc::new(Unit::builtin(text));
        let source = match super::parse::parse(text) {
            Ok(source) => source,
            Err(complaints) => {
                self.errors.extend(home.messages(complaints));
                return Op::Empty;
            }
        };
        let Some(def) = source.defs.first() else { return self.undefined(name, span, unit) };
        let own = self.funcs.len();
        self.funcs.push(None);
        self.builtins.insert(key, own);
        let body = self.body(def, &None, &home);
        if let Some(place) = self.funcs.get_mut(own) {
            *place = Some(Func { body });
        }
        self.calling(own, depth(scope), args, scope, unit)
    }

    fn special(&mut self, special: Special, args: &[Node], scope: &Scope, unit: &Rc<Unit>) -> Op {
        let missing = Node::new(Ast::Identity, Span::default());
        let first = args.first().unwrap_or(&missing);
        let second = args.get(1).unwrap_or(&missing);
        match special {
            Special::Empty => Op::Empty,
            Special::Error => Op::Error(self.boxed(first, scope, unit)),
            Special::Path => Op::Path(self.boxed(first, scope, unit)),
            Special::GetPath => Op::GetPath(self.boxed(first, scope, unit)),
            Special::First => Op::First(self.boxed(first, scope, unit)),
            Special::Range => Op::Range(self.pair(first, second, scope, unit)),
            Special::RangeTo => {
                let zero = Term::new(Op::Const(Value::number(0.0)));
                Op::Range(Box::new((zero, self.node(first, scope, unit))))
            }
            Special::Map => {
                let each = Term::new(Op::Iterate(Box::new(Term::identity()), false));
                let inner = self.node(first, scope, unit);
                let pipe = Term::new(Op::Pipe(Box::new((each, inner))));
                Op::Array(Box::new(pipe))
            }
            Special::MapValues => {
                let each = Term::new(Op::Iterate(Box::new(Term::identity()), false));
                Op::Modify(Box::new((each, self.node(first, scope, unit))))
            }
            Special::Select => {
                let condition = self.node(first, scope, unit);
                Op::If(Box::new((condition, Term::identity(), Term::new(Op::Empty))))
            }
            Special::Keyed(native) => {
                // map([f]), then the native on the values and their keys.
                let each = Term::new(Op::Iterate(Box::new(Term::identity()), false));
                let key = Term::new(Op::Array(Box::new(self.node(first, scope, unit))));
                let keys = Term::new(Op::Array(Box::new(Term::new(Op::Pipe(Box::new((each, key)))))));
                Op::Native(native, vec![keys])
            }
            Special::Constant(value) => Op::Const(value(self.settings)),
            Special::SearchList => {
                let list = self.loader.search_list();
                Op::Const(list.into_iter().map(|path| Value::from(path.display().to_string())).collect())
            }
            Special::Builtins => Op::Const(builtins::names()),
        }
    }
}

fn variables(pattern: &AstPattern, names: &mut Vec<Rc<str>>) {
    let mut add = |name: &Rc<str>| {
        if !names.contains(name) {
            names.push(name.clone());
        }
    };
    match pattern {
        AstPattern::Var(name) => add(name),
        AstPattern::Array(items) => items.iter().for_each(|item| variables(item, names)),
        AstPattern::Object(members) => {
            for (name, _, inner) in members {
                if let Some(name) = name
                    && !names.contains(name)
                {
                    names.push(name.clone());
                }
                if let Some(inner) = inner {
                    variables(inner, names);
                }
            }
        }
    }
}

/// Facts for `modulemeta`.
pub(crate) fn module_meta(source: &Source) -> Value {
    let mut map = match &source.module {
        Some(Value::Object(map)) => (**map).clone(),
        _ => Map::new(),
    };
    let deps = source.imports.iter().map(|import| {
        let mut dep = match &import.meta {
            Some(Value::Object(meta)) => (**meta).clone(),
            _ => Map::new(),
        };
        if let Some(name) = &import.name {
            dep.insert("as".into(), Value::String(name.clone()));
        }
        dep.insert("is_data".into(), Value::Bool(import.is_data));
        dep.insert("relpath".into(), Value::String(import.path.clone()));
        Value::object(dep)
    });
    map.insert("deps".into(), deps.collect());
    let defs = source.defs.iter().map(|def| Value::from(format!("{}/{}", def.name, def.params.len())));
    map.insert("defs".into(), defs.collect());
    Value::object(map)
}
