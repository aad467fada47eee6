//! What the parser makes of a script (POSIX.1-2024, Shell Command Language, 2.9 and 2.10).

use std::rc::Rc;

/// Text of a script: bytes, since file names need not be UTF-8.
pub(crate) type Bytes = Vec<u8>;

/// A word before expansion.
pub(crate) type Word = Vec<Part>;

/// A piece of a word.
#[derive(Debug)]
pub(crate) enum Part {
    /// Text as it stands. Quoted text is neither split nor a pattern.
    Text { text: Bytes, quoted: bool },
    /// `$name`, `${name...}`.
    Parameter(Box<Parameter>),
    /// `$(...)` and backquotes.
    Command { program: Rc<List>, quoted: bool },
    /// `$((...))`.
    Arithmetic { word: Word, quoted: bool },
}

/// A parameter expansion (2.6.2).
#[derive(Debug)]
pub(crate) struct Parameter {
    /// The name, a number, or one special character.
    pub(crate) name: Bytes,
    pub(crate) operation: Operation,
    /// Inside double quotes.
    pub(crate) quoted: bool,
}

/// What is done to a parameter. `colon`: also where it is set but empty.
#[derive(Debug)]
pub(crate) enum Operation {
    Plain,
    Length,
    Default {
        colon: bool,
        word: Word,
    },
    Assign {
        colon: bool,
        word: Word,
    },
    Error {
        colon: bool,
        word: Word,
    },
    Alternate {
        colon: bool,
        word: Word,
    },
    /// `#`, `##` at the start, `%`, `%%` at the end.
    Remove {
        end: bool,
        longest: bool,
        pattern: Word,
    },
    /// `${name:offset:length}`, as busybox ash and bash have it.
    Slice {
        offset: Word,
        length: Option<Word>,
    },
    /// `${name/pattern/text}`, `//` for all, as busybox ash and bash have it.
    Replace {
        all: bool,
        pattern: Word,
        text: Word,
    },
    /// Something that is no operation: an error when it is expanded, as in dash.
    Bad,
}

/// Commands one after the other.
#[derive(Debug, Default)]
pub(crate) struct List {
    pub(crate) items: Vec<Item>,
}

/// Pipelines joined by `&&` and `||`.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) first: Pipeline,
    pub(crate) rest: Vec<(Join, Pipeline)>,
    pub(crate) background: bool,
    /// The text of a background command, for `jobs`.
    pub(crate) text: Rc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Join {
    And,
    Or,
}

/// Commands joined by `|`.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) negated: bool,
    pub(crate) commands: Vec<Rc<Command>>,
    /// Its text, for `jobs`.
    pub(crate) text: Rc<str>,
}

#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) kind: Kind,
    pub(crate) redirects: Vec<Redirect>,
    pub(crate) line: u32,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Simple {
        assignments: Vec<(Bytes, Word)>,
        words: Vec<Word>,
    },
    Subshell(List),
    Group(List),
    If {
        branches: Vec<(List, List)>,
        otherwise: Option<List>,
    },
    Loop {
        until: bool,
        condition: List,
        body: List,
    },
    For {
        name: Bytes,
        words: Option<Vec<Word>>,
        body: List,
    },
    Case {
        word: Word,
        arms: Vec<(Vec<Word>, List)>,
    },
    Function {
        name: Bytes,
        body: Rc<Command>,
    },
    /// `[[ ... ]]`: its words; operators among them are unquoted text.
    Test(Vec<Word>),
}

#[derive(Debug)]
pub(crate) struct Redirect {
    pub(crate) fd: i32,
    pub(crate) action: Action,
}

#[derive(Debug)]
pub(crate) enum Action {
    Read(Word),
    Write {
        word: Word,
        clobber: bool,
    },
    Append(Word),
    ReadWrite(Word),
    /// `<&`, `>&`: a number, or `-` to close.
    Duplicate(Word),
    /// `&>`, `&>>`: stdout and stderr.
    Both {
        word: Word,
        append: bool,
    },
    /// A here-document or here-string; filled in when its lines have been read.
    Here(Rc<std::cell::RefCell<Word>>),
}
