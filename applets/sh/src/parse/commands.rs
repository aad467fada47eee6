//! Commands: lists, pipelines, compound and simple commands (POSIX.1-2024, Shell 2.9 and 2.10).

use super::*;

impl Parser<'_> {
    /// Commands up to something that cannot begin one. `line_only`: a newline ends it too.
    pub(super) fn list(&mut self, line_only: bool) -> Parsed<List> {
        let mut list = List::default();
        if !line_only {
            self.newlines()?;
        }
        loop {
            match self.peek(true)? {
                Token::Op(Op::Newline) if !line_only => {
                    self.newlines()?;
                    continue;
                }
                Token::Op(Op::Open) | Token::Redirect(_) => {}
                Token::Op(_) => return Ok(list),
                Token::Word(word) if plain(word).is_some_and(ends_a_list) => return Ok(list),
                Token::Word(_) => {}
            }
            let mut item = self.and_or()?;
            match self.peek(true)? {
                Token::Op(Op::Semi) => self.token = None,
                Token::Op(Op::Amp) => {
                    self.token = None;
                    item.background = true;
                }
                Token::Op(Op::Newline) if !line_only => self.newlines()?,
                _ => {
                    list.items.push(item);
                    return Ok(list);
                }
            }
            list.items.push(item);
        }
    }

    /// A list that must hold a command.
    pub(super) fn some_list(&mut self) -> Parsed<List> {
        let list = self.deeper(|parser| parser.list(false))?;
        if list.items.is_empty() { Err(self.unexpected()) } else { Ok(list) }
    }

    pub(super) fn newlines(&mut self) -> Parsed<()> {
        while matches!(self.peek(true)?, Token::Op(Op::Newline)) {
            self.token = None;
            self.here_documents()?;
        }
        Ok(())
    }

    pub(super) fn and_or(&mut self) -> Parsed<Item> {
        self.peek(true)?;
        let start = self.token_at;
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        loop {
            let join = match self.peek(true)? {
                Token::Op(Op::And) => Join::And,
                Token::Op(Op::Or) => Join::Or,
                _ => break,
            };
            self.token = None;
            self.newlines()?;
            rest.push((join, self.pipeline()?));
        }
        let text = self.text_since(start);
        Ok(Item { first, rest, background: false, text })
    }

    /// The script's text from `start` to the token in hand.
    pub(super) fn text_since(&self, start: usize) -> Rc<str> {
        let bytes = self.buffer.get(start..self.token_at.max(start)).unwrap_or_default();
        String::from_utf8_lossy(bytes).trim_end().into()
    }

    pub(super) fn pipeline(&mut self) -> Parsed<Pipeline> {
        self.peek(true)?;
        let start = self.token_at;
        let mut negated = false;
        while matches!(self.peek(true)?, Token::Word(word) if plain(word) == Some(b"!")) {
            self.token = None;
            negated = !negated;
        }
        let mut commands = vec![Rc::new(self.command()?)];
        while matches!(self.peek(false)?, Token::Op(Op::Pipe)) {
            self.token = None;
            self.newlines()?;
            commands.push(Rc::new(self.command()?));
        }
        let text = self.text_since(start);
        Ok(Pipeline { negated, commands, text })
    }

    pub(super) fn command(&mut self) -> Parsed<Command> {
        self.deeper(|parser| {
            parser.peek(true)?;
            let line = parser.token_line;
            let kind = match parser.peek(true)? {
                Token::Op(Op::Open) => {
                    parser.token = None;
                    let list = parser.some_list()?;
                    parser.close(Op::Close)?;
                    Kind::Subshell(list)
                }
                Token::Op(_) => return Err(parser.unexpected()),
                Token::Redirect(_) => return parser.simple(line),
                Token::Word(word) => match plain(word) {
                    Some(b"{") => {
                        parser.token = None;
                        let list = parser.some_list()?;
                        parser.keyword(b"}")?;
                        Kind::Group(list)
                    }
                    Some(b"if") => parser.conditional()?,
                    Some(b"while") => parser.repeat(false)?,
                    Some(b"until") => parser.repeat(true)?,
                    Some(b"for") => parser.for_loop()?,
                    Some(b"case") => parser.case()?,
                    Some(b"[[") => parser.double_brackets()?,
                    Some(b"function") => {
                        // As bash and ash have it; a plain command name in dash.
                        parser.token = None;
                        let Token::Word(word) = parser.take(false)? else { return Err(parser.unexpected()) };
                        let Some(name) = plain(&word).map(<[u8]>::to_vec) else { return Err(parser.unexpected()) };
                        if matches!(parser.peek(false)?, Token::Op(Op::Open)) {
                            parser.token = None;
                            parser.close(Op::Close)?;
                        }
                        return parser.function(name, line);
                    }
                    Some(word) if reserved(word) => return Err(parser.unexpected()),
                    _ => return parser.simple(line),
                },
            };
            let mut redirects = Vec::new();
            while matches!(parser.peek(false)?, Token::Redirect(_)) {
                if let Token::Redirect(redirect) = parser.take(false)? {
                    redirects.push(redirect);
                }
            }
            Ok(Command { kind, redirects, line })
        })
    }

    pub(super) fn close(&mut self, op: Op) -> Parsed<()> {
        match self.peek(true)? {
            Token::Op(found) if *found == op => {
                self.token = None;
                Ok(())
            }
            _ => Err(self.expected(op.text())),
        }
    }

    pub(super) fn keyword(&mut self, word: &'static [u8]) -> Parsed<()> {
        match self.peek(true)? {
            Token::Word(found) if plain(found) == Some(word) => {
                self.token = None;
                Ok(())
            }
            _ => Err(self.expected(&format!("\"{}\"", String::from_utf8_lossy(word)))),
        }
    }

    pub(super) fn at_keyword(&mut self, word: &[u8]) -> Parsed<bool> {
        let found = matches!(self.peek(true)?, Token::Word(found) if plain(found) == Some(word));
        if found {
            self.token = None;
        }
        Ok(found)
    }

    pub(super) fn conditional(&mut self) -> Parsed<Kind> {
        self.token = None;
        let mut branches = Vec::new();
        loop {
            let condition = self.some_list()?;
            self.keyword(b"then")?;
            let body = self.some_list()?;
            branches.push((condition, body));
            if self.at_keyword(b"elif")? {
                continue;
            }
            let otherwise = if self.at_keyword(b"else")? { Some(self.some_list()?) } else { None };
            self.keyword(b"fi")?;
            return Ok(Kind::If { branches, otherwise });
        }
    }

    pub(super) fn repeat(&mut self, until: bool) -> Parsed<Kind> {
        self.token = None;
        let condition = self.some_list()?;
        let body = self.do_group()?;
        Ok(Kind::Loop { until, condition, body })
    }

    pub(super) fn do_group(&mut self) -> Parsed<List> {
        self.keyword(b"do")?;
        let body = self.some_list()?;
        self.keyword(b"done")?;
        Ok(body)
    }

    pub(super) fn for_loop(&mut self) -> Parsed<Kind> {
        self.token = None;
        let name = match self.take(false)? {
            Token::Word(word) => plain(&word).filter(|name| is_name(name)).map(<[u8]>::to_vec),
            other => {
                self.token = Some(other);
                None
            }
        };
        let Some(name) = name else { return self.syntax("Bad for loop variable") };
        self.newlines_without_aliases()?;
        let mut words = None;
        if matches!(self.peek(false)?, Token::Word(word) if plain(word) == Some(b"in")) {
            self.token = None;
            let mut list = Vec::new();
            while matches!(self.peek(false)?, Token::Word(_)) {
                if let Token::Word(word) = self.take(false)? {
                    list.push(word);
                }
            }
            words = Some(list);
            match self.peek(false)? {
                Token::Op(Op::Semi | Op::Newline) => {}
                _ => return Err(self.unexpected()),
            }
        }
        if matches!(self.peek(false)?, Token::Op(Op::Semi)) {
            self.token = None;
        }
        self.newlines()?;
        let body = self.do_group()?;
        Ok(Kind::For { name, words, body })
    }

    pub(super) fn newlines_without_aliases(&mut self) -> Parsed<()> {
        while matches!(self.peek(false)?, Token::Op(Op::Newline)) {
            self.token = None;
            self.here_documents()?;
        }
        Ok(())
    }

    pub(super) fn case(&mut self) -> Parsed<Kind> {
        self.token = None;
        let Token::Word(word) = self.take(false)? else { return Err(self.unexpected()) };
        self.newlines_without_aliases()?;
        match self.take(false)? {
            Token::Word(found) if plain(&found) == Some(b"in") => {}
            other => {
                self.token = Some(other);
                return Err(self.expected("\"in\""));
            }
        }
        let mut arms = Vec::new();
        loop {
            self.newlines_without_aliases()?;
            if matches!(self.peek(false)?, Token::Word(word) if plain(word) == Some(b"esac")) {
                self.token = None;
                return Ok(Kind::Case { word, arms });
            }
            if matches!(self.peek(false)?, Token::Op(Op::Open)) {
                self.token = None;
            }
            let mut patterns = Vec::new();
            loop {
                match self.take(false)? {
                    Token::Word(pattern) => patterns.push(pattern),
                    other => {
                        self.token = Some(other);
                        return Err(self.unexpected());
                    }
                }
                match self.peek(false)? {
                    Token::Op(Op::Pipe) => self.token = None,
                    Token::Op(Op::Close) => {
                        self.token = None;
                        break;
                    }
                    _ => return Err(self.expected("\")\"")),
                }
            }
            let body = self.deeper(|parser| parser.list(false))?;
            arms.push((patterns, body));
            match self.peek(true)? {
                Token::Op(Op::DoubleSemi) => self.token = None,
                Token::Word(found) if plain(found) == Some(b"esac") => {}
                _ => return Err(self.expected("\";;\"")),
            }
        }
    }

    pub(super) fn double_brackets(&mut self) -> Parsed<Kind> {
        self.token = None;
        let mut words = Vec::new();
        loop {
            match self.take(false)? {
                Token::Word(word) if plain(&word) == Some(b"]]") => return Ok(Kind::Test(words)),
                Token::Word(word) => words.push(word),
                Token::Op(op @ (Op::And | Op::Or | Op::Open | Op::Close)) => {
                    let text: &[u8] = match op {
                        Op::And => b"&&",
                        Op::Or => b"||",
                        Op::Open => b"(",
                        _ => b")",
                    };
                    words.push(vec![Part::Text { text: text.to_vec(), quoted: false }]);
                }
                Token::Redirect(Redirect { fd: 0, action: Action::Read(word) }) => {
                    words.push(vec![Part::Text { text: b"<".to_vec(), quoted: false }]);
                    words.push(word);
                }
                Token::Redirect(Redirect { fd: 1, action: Action::Write { word, clobber: false } }) => {
                    words.push(vec![Part::Text { text: b">".to_vec(), quoted: false }]);
                    words.push(word);
                }
                Token::Op(Op::Newline) => {}
                other => {
                    self.token = Some(other);
                    return Err(self.expected("\"]]\""));
                }
            }
        }
    }

    pub(super) fn function(&mut self, name: Bytes, line: u32) -> Parsed<Command> {
        self.newlines()?;
        let body = Rc::new(self.command()?);
        Ok(Command { kind: Kind::Function { name, body }, redirects: Vec::new(), line })
    }

    pub(super) fn simple(&mut self, line: u32) -> Parsed<Command> {
        let (mut assignments, mut words, mut redirects) = (Vec::new(), Vec::<Word>::new(), Vec::new());
        loop {
            let command = words.is_empty();
            match self.peek(command)? {
                Token::Redirect(_) => {
                    if let Token::Redirect(redirect) = self.take(false)? {
                        redirects.push(redirect);
                    }
                }
                Token::Word(_) => {
                    let Token::Word(word) = self.take(false)? else { continue };
                    match split_assignment(word, command) {
                        Ok(assignment) => assignments.push(assignment),
                        Err(word) => words.push(word),
                    }
                }
                Token::Op(Op::Open) if words.len() == 1 && assignments.is_empty() && redirects.is_empty() => {
                    let name = words.first().and_then(|word| plain(word)).map(<[u8]>::to_vec);
                    self.token = None;
                    match self.peek(false)? {
                        Token::Op(Op::Close) => self.token = None,
                        _ => return Err(self.expected("\")\"")),
                    }
                    let Some(name) = name.filter(|name| is_name(name) || is_function_name(name)) else {
                        return self.syntax("Bad function name");
                    };
                    return self.function(name, line);
                }
                Token::Op(Op::Open) => return Err(self.unexpected()),
                Token::Op(_) => {
                    if assignments.is_empty() && words.is_empty() && redirects.is_empty() {
                        return Err(self.unexpected());
                    }
                    return Ok(Command { kind: Kind::Simple { assignments, words }, redirects, line });
                }
            }
        }
    }
}
