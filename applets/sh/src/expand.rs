//! Word expansions (POSIX.1-2024, Shell 2.6): tilde, parameter, command, arithmetic, field splitting, path names, quotes.

use crate::arith;
use crate::ast::{Bytes, Operation, Parameter, Part, Word};
use crate::pattern::{self, Pattern};
use crate::shell::{Shell, Unwind};

/// A word under expansion: its text, and for each byte whether it was quoted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Field {
    pub(crate) text: Bytes,
    pub(crate) quoted: Vec<bool>,
    /// It stays although it is empty.
    pub(crate) kept: bool,
}

impl Field {
    fn push(&mut self, text: &[u8], quoted: bool) {
        self.text.extend_from_slice(text);
        self.quoted.resize(self.text.len(), quoted);
    }
}

/// Fields as they grow.
struct Fields {
    done: Vec<Field>,
    current: Option<Field>,
    /// White space of IFS came: what follows begins a new field.
    ended: bool,
    /// Whether unquoted results are split at all.
    split: bool,
    ifs: Bytes,
}

impl Fields {
    fn finish(&mut self) {
        self.ended = false;
        if let Some(field) = self.current.take() {
            self.done.push(field);
        }
    }

    fn open(&mut self) -> &mut Field {
        if self.ended {
            self.finish();
        }
        self.current.get_or_insert_default()
    }

    fn quoted(&mut self, text: &[u8]) {
        let field = self.open();
        field.kept = true;
        field.push(text, true);
    }

    /// Text of the script itself, which is not split.
    fn literal(&mut self, text: &[u8]) {
        if !text.is_empty() {
            self.open().push(text, false);
        }
    }

    /// The result of an unquoted expansion (2.6.5).
    fn result(&mut self, text: &[u8]) {
        if !self.split {
            return self.literal(text);
        }
        for byte in text {
            if !self.ifs.contains(byte) {
                self.open().push(&[*byte], false);
            } else if byte.is_ascii_whitespace() {
                self.ended = self.current.is_some();
            } else {
                self.open_if_none();
                self.finish();
            }
        }
    }

    /// An empty field where a separator stands without text before it.
    fn open_if_none(&mut self) {
        if self.current.is_none() {
            self.current = Some(Field { kept: true, ..Field::default() });
        }
    }
}

impl Shell {
    /// The fields that words make.
    pub(crate) fn expand_words(&mut self, words: &[Word]) -> Result<Vec<Bytes>, Unwind> {
        let mut out = Vec::with_capacity(words.len());
        for word in words {
            // Most words are plain text.
            if let [Part::Text { text, quoted }] = word.as_slice()
                && (*quoted || !text.iter().any(|byte| b"*?[~\\".contains(byte)))
            {
                out.push(text.clone());
                continue;
            }
            for field in self.fields(word)? {
                if !self.options.noglob && pattern::is_pattern(&field) {
                    let names = pattern::names(&field);
                    if !names.is_empty() {
                        out.extend(names);
                        continue;
                    }
                }
                out.push(field.text);
            }
        }
        Ok(out)
    }

    fn fields(&mut self, word: &Word) -> Result<Vec<Field>, Unwind> {
        let ifs = self.variable(b"IFS").unwrap_or_else(|| b" \t\n".to_vec());
        let mut fields = Fields { done: Vec::new(), current: None, ended: false, split: true, ifs };
        self.expand_into(word, &mut fields, false)?;
        fields.finish();
        fields.done.retain(|field| field.kept || !field.text.is_empty());
        Ok(fields.done)
    }

    /// A word as one field, neither split nor matched with file names.
    pub(crate) fn expand_one(&mut self, word: &Word) -> Result<Field, Unwind> {
        self.one(word, false)
    }

    fn one(&mut self, word: &Word, assignment: bool) -> Result<Field, Unwind> {
        let mut fields = Fields { done: Vec::new(), current: None, ended: false, split: false, ifs: Bytes::new() };
        self.expand_into(word, &mut fields, assignment)?;
        fields.finish();
        let mut all = fields.done.into_iter();
        let mut one = all.next().unwrap_or_default();
        for next in all {
            one.push(b" ", true);
            one.text.extend_from_slice(&next.text);
            one.quoted.extend_from_slice(&next.quoted);
        }
        Ok(one)
    }

    pub(crate) fn expand_text(&mut self, word: &Word) -> Result<Bytes, Unwind> {
        Ok(self.expand_one(word)?.text)
    }

    /// The value of an assignment: tildes also after colons (2.6.1).
    pub(crate) fn expand_assignment(&mut self, word: &Word) -> Result<Bytes, Unwind> {
        Ok(self.one(word, true)?.text)
    }

    pub(crate) fn expand_pattern(&mut self, word: &Word) -> Result<Pattern, Unwind> {
        Ok(Pattern::new(&self.expand_one(word)?))
    }

    fn expand_into(&mut self, word: &Word, fields: &mut Fields, assignment: bool) -> Result<(), Unwind> {
        for (index, part) in word.iter().enumerate() {
            match part {
                Part::Text { text, quoted: false } => self.text(text, index, word.len(), fields, assignment),
                other => self.expand_part(other, fields)?,
            }
        }
        Ok(())
    }

    pub(crate) fn arithmetic(&mut self, word: &Word) -> Result<i64, Unwind> {
        let text = self.expand_text(word)?;
        self.compute(&text)
    }

    pub(crate) fn compute(&mut self, text: &[u8]) -> Result<i64, Unwind> {
        arith::evaluate(text, self).map_err(|message| self.fatal(&message))
    }

    /// Unquoted text of the script: tildes, then as it stands.
    fn text(&mut self, text: &[u8], index: usize, parts: usize, fields: &mut Fields, assignment: bool) {
        let mut rest = text;
        let mut at_start = index == 0;
        loop {
            if at_start && rest.first() == Some(&b'~') {
                let stops: &[u8] = if assignment { b"/:" } else { b"/" };
                let length = rest.iter().position(|byte| stops.contains(byte)).unwrap_or(rest.len());
                // A quoted or expanded rest of the name makes it no tilde prefix.
                let whole = length < rest.len() || index + 1 == parts;
                if whole && let Some(home) = self.home(rest.get(1..length).unwrap_or_default()) {
                    fields.quoted(&home);
                    rest = rest.get(length..).unwrap_or_default();
                }
            }
            let colon = if assignment { rest.iter().position(|byte| *byte == b':') } else { None };
            let Some(colon) = colon else { return fields.literal(rest) };
            let (before, after) = rest.split_at(colon + 1);
            fields.literal(before);
            rest = after;
            at_start = true;
        }
    }

    fn home(&self, user: &[u8]) -> Option<Bytes> {
        if user.is_empty() {
            return self.variable(b"HOME");
        }
        if !user.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte)) {
            return None;
        }
        let table = std::fs::read("/etc/passwd").ok()?;
        table.split(|byte| *byte == b'\n').find_map(|line| {
            let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
            (fields.first() == Some(&user)).then(|| fields.get(5).map(|home| home.to_vec())).flatten()
        })
    }

    /// The value of a parameter, or `None` when it is unset. `$@` and `$*` are joined by `list`.
    fn parameter_value(&self, name: &[u8]) -> Option<Bytes> {
        match name {
            b"@" => (!self.positional.is_empty()).then(|| self.positional.join(&b' ')),
            b"*" => (!self.positional.is_empty()).then(|| self.joined()),
            _ => self.special(name),
        }
    }

    /// `"$*"`: joined by the first byte of IFS.
    fn joined(&self) -> Bytes {
        match self.variable(b"IFS") {
            None => self.positional.join(&b' '),
            Some(ifs) => match ifs.first() {
                None => self.positional.concat(),
                Some(byte) => self.positional.join(byte),
            },
        }
    }

    fn parameter(&mut self, parameter: &Parameter, fields: &mut Fields) -> Result<(), Unwind> {
        let Parameter { name, operation, quoted } = parameter;
        let quoted = *quoted;
        let value = self.parameter_value(name);
        let empty = value.as_ref().is_none_or(Vec::is_empty);
        let unusable = |colon: bool| if colon { empty } else { value.is_none() };
        match operation {
            Operation::Plain => self.plain(name, value, quoted, fields),
            Operation::Length => {
                self.refuse_unset(name, value.is_none())?;
                let length = value.map_or(0, |value| value.len());
                put(fields, length.to_string().as_bytes(), quoted);
                Ok(())
            }
            Operation::Default { colon, word } => {
                if unusable(*colon) {
                    self.word(word, quoted, fields)
                } else {
                    self.plain(name, value, quoted, fields)
                }
            }
            Operation::Alternate { colon, word } => {
                if !unusable(*colon) {
                    return self.word(word, quoted, fields);
                }
                if quoted {
                    fields.quoted(b"");
                }
                Ok(())
            }
            Operation::Assign { colon, word } => {
                if !unusable(*colon) {
                    return self.plain(name, value, quoted, fields);
                }
                let text = self.expand_text(word)?;
                if !crate::parse::is_name(name) {
                    let message = format!("{}: bad variable name", String::from_utf8_lossy(name));
                    return Err(self.fatal(&message));
                }
                self.assign(name, text.clone())?;
                put(fields, &text, quoted);
                Ok(())
            }
            Operation::Error { colon, word } => {
                if !unusable(*colon) {
                    return self.plain(name, value, quoted, fields);
                }
                let text = self.expand_text(word)?;
                let name = String::from_utf8_lossy(name);
                let message = if text.is_empty() {
                    format!("{name}: parameter not set{}", if *colon { " or null" } else { "" })
                } else {
                    format!("{name}: {}", String::from_utf8_lossy(&text))
                };
                Err(self.fatal(&message))
            }
            Operation::Remove { end, longest, pattern } => {
                self.refuse_unset(name, value.is_none())?;
                let pattern = self.expand_pattern(pattern)?;
                let trimmed = pattern.trim(value.as_deref().unwrap_or_default(), *end, *longest).to_vec();
                put(fields, &trimmed, quoted);
                Ok(())
            }
            Operation::Slice { offset, length } => {
                self.refuse_unset(name, value.is_none())?;
                let text = self.slice(value.unwrap_or_default(), offset, length.as_ref())?;
                put(fields, &text, quoted);
                Ok(())
            }
            Operation::Replace { all, pattern, text } => {
                self.refuse_unset(name, value.is_none())?;
                let pattern = self.expand_pattern(pattern)?;
                let text = self.expand_text(text)?;
                put(fields, &pattern.replace(&value.unwrap_or_default(), &text, *all), quoted);
                Ok(())
            }
            Operation::Bad => Err(self.fatal("Bad substitution")),
        }
    }

    fn slice(&mut self, value: Bytes, offset: &Word, length: Option<&Word>) -> Result<Bytes, Unwind> {
        let total = i64::try_from(value.len()).unwrap_or(i64::MAX);
        let offset = self.arithmetic(offset)?;
        let start = if offset < 0 { total.saturating_add(offset) } else { offset };
        let end = match length {
            None => total,
            Some(word) => {
                let length = self.arithmetic(word)?;
                if length < 0 { total.saturating_add(length) } else { start.saturating_add(length).min(total) }
            }
        };
        let (Ok(start), Ok(end)) = (usize::try_from(start), usize::try_from(end)) else { return Ok(Bytes::new()) };
        Ok(value.get(start..end.max(start)).unwrap_or_default().to_vec())
    }

    /// `set -u` (2.5.2 exempts `$@` and `$*`).
    fn refuse_unset(&mut self, name: &[u8], unset: bool) -> Result<(), Unwind> {
        if unset && self.options.nounset && name != b"@" && name != b"*" {
            let message = format!("{}: parameter not set", String::from_utf8_lossy(name));
            return Err(self.fatal(&message));
        }
        Ok(())
    }

    fn plain(&mut self, name: &[u8], value: Option<Bytes>, quoted: bool, fields: &mut Fields) -> Result<(), Unwind> {
        self.refuse_unset(name, value.is_none())?;
        let several = name == b"@" || name == b"*" && !quoted;
        if !several {
            put(fields, &value.unwrap_or_default(), quoted);
            return Ok(());
        }
        for (index, text) in self.positional.clone().iter().enumerate() {
            if index > 0 {
                fields.finish();
            }
            put(fields, text, quoted);
        }
        Ok(())
    }

    /// The word of `${name-word}`: its own quotes count, and what is unquoted is split unless all is quoted.
    fn word(&mut self, word: &Word, quoted: bool, fields: &mut Fields) -> Result<(), Unwind> {
        if quoted {
            if word.is_empty() {
                fields.quoted(b"");
            }
            return self.expand_into(word, fields, false);
        }
        for (index, part) in word.iter().enumerate() {
            match part {
                Part::Text { text, quoted: false } if !(index == 0 && text.first() == Some(&b'~')) => {
                    fields.result(text)
                }
                Part::Text { text, quoted: false } => self.text(text, index, word.len(), fields, false),
                other => self.expand_part(other, fields)?,
            }
        }
        Ok(())
    }

    fn expand_part(&mut self, part: &Part, fields: &mut Fields) -> Result<(), Unwind> {
        match part {
            Part::Text { text, .. } => fields.quoted(text),
            Part::Parameter(parameter) => self.parameter(parameter, fields)?,
            Part::Command { program, quoted } => {
                let output = self.substitute(program)?;
                put(fields, &output, *quoted);
            }
            Part::Arithmetic { word, quoted } => {
                let value = self.arithmetic(word)?.to_string();
                put(fields, value.as_bytes(), *quoted);
            }
        }
        Ok(())
    }
}

fn put(fields: &mut Fields, text: &[u8], quoted: bool) {
    if quoted { fields.quoted(text) } else { fields.result(text) }
}
