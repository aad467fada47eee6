//! Running commands (POSIX.1-2024, Shell 2.9).

use std::rc::Rc;

use netkit_sys::process;
use nix::libc;

use crate::ast::{Bytes, Command, Item, Join, Kind, List, Pipeline, Word};
use crate::builtins::Builtin;
use crate::parse::{Parser, Source, Stop, Text};
use crate::program::{quote, reason};
use crate::shell::{DEEPEST_CALL, Shell, Trap, Unwind};

/// The most bytes a command substitution may take: a runaway command must not fill the memory.
const MOST_OUTPUT: usize = 256 << 20;

/// What a command name stands for (2.9.1.4).
pub(crate) enum Found {
    Special(Builtin),
    Function(Rc<Command>),
    Builtin(Builtin),
    Applet,
    File(Bytes),
    Missing,
}

impl Shell {
    /// Runs everything a source holds.
    ///
    /// # Errors
    /// What its commands unwind to; a syntax error is [`Unwind::Fatal`].
    pub(crate) fn run_source(&mut self, source: &mut dyn Source) -> Result<(), Unwind> {
        let mut parser = Parser::new(source, Rc::clone(&self.aliases));
        loop {
            match parser.next() {
                Ok(None) => return Ok(()),
                Ok(Some(list)) => {
                    if !self.options.noexec {
                        self.run_list(&list)?;
                    }
                }
                Err(stop) => return Err(self.syntax_error(stop)),
            }
        }
    }

    pub(crate) fn syntax_error(&mut self, stop: Stop) -> Unwind {
        match stop {
            Stop::Syntax { line, message } => {
                self.line = line;
                self.fatal(&message)
            }
            Stop::Interrupted => Unwind::Interrupt,
        }
    }

    pub(crate) fn run_text(&mut self, text: &[u8]) -> Result<(), Unwind> {
        let line = self.line;
        let result = self.run_source(&mut Text::new(text));
        self.line = line;
        result
    }

    pub(crate) fn run_list(&mut self, list: &List) -> Result<(), Unwind> {
        for item in &list.items {
            if item.background {
                self.start_background(item)?;
            } else {
                self.run_item(item)?;
            }
        }
        Ok(())
    }

    /// The last list of this process: its last command may replace it.
    pub(crate) fn run_last_list(&mut self, list: &List) -> Result<(), Unwind> {
        let Some((last, before)) = list.items.split_last() else { return Ok(()) };
        for item in before {
            if item.background { self.start_background(item)? } else { self.run_item(item)? }
        }
        match only_command(last) {
            Some(command) if !self.options.noexec => self.run_last(command),
            _ if last.background => self.start_background(last),
            _ => self.run_item(last),
        }
    }

    fn run_item(&mut self, item: &Item) -> Result<(), Unwind> {
        if self.options.noexec {
            return Ok(());
        }
        let last = item.rest.len();
        self.run_pipeline(&item.first, last > 0)?;
        for (index, (join, pipeline)) in item.rest.iter().enumerate() {
            let wanted = match join {
                Join::And => self.status == 0,
                Join::Or => self.status != 0,
            };
            if wanted {
                self.run_pipeline(pipeline, index + 1 < last)?;
            }
        }
        Ok(())
    }

    fn run_pipeline(&mut self, pipeline: &Pipeline, checked: bool) -> Result<(), Unwind> {
        let checked = u32::from(checked || pipeline.negated);
        self.checked += checked;
        let result = match pipeline.commands.as_slice() {
            [command] => self.run_command(command, &pipeline.text),
            commands => self.run_piped(commands, &pipeline.text),
        };
        self.checked -= checked;
        result?;
        if pipeline.negated {
            self.status = u8::from(self.status == 0);
        }
        self.run_traps()
    }

    /// `set -e`: a failed command ends the shell where nothing checks its status.
    fn check_error(&mut self) -> Result<(), Unwind> {
        if self.status != 0 && self.options.errexit && self.checked == 0 { Err(Unwind::Exit) } else { Ok(()) }
    }

    fn run_piped(&mut self, commands: &[Rc<Command>], text: &Rc<str>) -> Result<(), Unwind> {
        let members = self.start_piped(commands, false)?;
        let number = self.add_job(members, Rc::clone(text), self.options.monitor);
        self.status = self.foreground(number, false);
        self.check_error()
    }

    /// Starts each command of a pipeline in a process of its own.
    fn start_piped(&mut self, commands: &[Rc<Command>], asynchronous: bool) -> Result<Vec<i32>, Unwind> {
        let mut members: Vec<i32> = Vec::new();
        let mut input = None;
        for (index, command) in commands.iter().enumerate() {
            let output = if index + 1 < commands.len() {
                match process::pipe() {
                    Ok((from, to)) => Some((process::duplicate_away(from), process::duplicate_away(to), from, to)),
                    Err(error) => return Err(self.fatal(&format!("Pipe call failed: {}", reason(&error)))),
                }
            } else {
                None
            };
            // The ends of the pipe move out of the script's numbers.
            let output = match output {
                None => None,
                Some((from_away, to_away, from, to)) => {
                    process::close(from);
                    process::close(to);
                    match (from_away, to_away) {
                        (Ok(from), Ok(to)) => Some((from, to)),
                        (Err(error), _) | (_, Err(error)) => {
                            return Err(self.fatal(&format!("Pipe call failed: {}", reason(&error))));
                        }
                    }
                }
            };
            let group = members.first().copied();
            let background = asynchronous && index == 0;
            let pid = self.fork(group, asynchronous, |shell| {
                if let Some(input) = input {
                    let _ = process::duplicate(input, 0);
                    process::close(input);
                } else if background {
                    shell.no_input();
                }
                if let Some((from, to)) = output {
                    let _ = process::duplicate(to, 1);
                    process::close(to);
                    process::close(from);
                }
                shell.run_last(command)
            });
            if let Some(input) = input {
                process::close(input);
            }
            if let Some((_, to)) = output {
                process::close(to);
            }
            input = output.map(|(from, _)| from);
            match pid {
                Ok(pid) => members.push(pid),
                Err(unwind) => {
                    if let Some(input) = input {
                        process::close(input);
                    }
                    return Err(unwind);
                }
            }
        }
        Ok(members)
    }

    /// A background command without job control does not read the shell's input (2.9.3.1).
    fn no_input(&self) {
        if !self.options.monitor
            && let Ok(null) = process::open(b"/dev/null", libc::O_RDONLY, 0)
            && null != 0
        {
            let _ = process::duplicate(null, 0);
            process::close(null);
        }
    }

    fn start_background(&mut self, item: &Item) -> Result<(), Unwind> {
        let members = if item.rest.is_empty() && !item.first.negated {
            self.start_piped(&item.first.commands, true)?
        } else {
            let pid = self.fork(None, true, |shell| {
                shell.no_input();
                shell.run_item(item)
            })?;
            vec![pid]
        };
        self.background = members.last().copied();
        let number = self.add_job(members.clone(), Rc::clone(&item.text), self.options.monitor);
        if self.options.interactive && !self.subshell {
            let pid = members.last().copied().unwrap_or(0);
            let _ = process::write_all(2, format!("[{number}] {pid}\n").as_bytes());
        }
        self.status = 0;
        Ok(())
    }

    /// Starts a copy of the shell that runs `inner` and ends. `group`: the process group to join under job control.
    pub(crate) fn fork(
        &mut self,
        group: Option<i32>,
        asynchronous: bool,
        inner: impl FnOnce(&mut Shell) -> Result<(), Unwind>,
    ) -> Result<i32, Unwind> {
        let control = self.options.monitor;
        let terminal = self.terminal;
        // The first process of a job gets the terminal from the shell and waits for it. Were it to take the terminal by
        // itself, it might do so when the job has been stopped already, and the shell would be without one.
        let handed = terminal.filter(|_| control && !asynchronous && group.is_none());
        let gate = handed.and_then(|_| process::pipe().ok());
        let held = process::hold_signals();
        let forked = process::fork(|| {
            // What the parent had noted is the parent's.
            while process::take_signal().is_some() {}
            if control {
                let _ = process::join_group(0, group.unwrap_or(0));
            }
            if let Some((from, to)) = gate {
                process::close(to);
                let _ = process::read(from, &mut [0]);
                process::close(from);
            }
            self.child_signals(asynchronous);
            process::release_signals(&held);
            self.enter_subshell();
            // How far it got is in the status.
            let _ = inner(self);
            self.finish()
        });
        if let (true, Ok(pid)) = (control, &forked) {
            let _ = process::join_group(*pid, group.unwrap_or(*pid));
            if let Some(terminal) = handed {
                let _ = process::set_foreground(terminal, *pid);
            }
        }
        if let Some((from, to)) = gate {
            process::close(from);
            process::close(to);
        }
        process::release_signals(&held);
        forked.map_err(|error| self.fatal(&format!("Cannot fork: {}", reason(&error))))
    }

    fn enter_subshell(&mut self) {
        self.subshell = true;
        self.exiting = false;
        self.options.monitor = false;
        self.terminal = None;
        self.jobs = Default::default();
        self.loops = 0;
        self.arrived.clear();
    }

    /// Runs `inner` in a copy of the shell and waits for it.
    fn subshell(&mut self, text: &Rc<str>, inner: impl FnOnce(&mut Shell) -> Result<(), Unwind>) -> Result<(), Unwind> {
        let pid = self.fork(None, false, inner)?;
        let number = self.add_job(vec![pid], Rc::clone(text), self.options.monitor);
        self.status = self.foreground(number, false);
        Ok(())
    }

    /// `$(...)`: the output without newlines at its end (2.6.3).
    pub(crate) fn substitute(&mut self, list: &List) -> Result<Bytes, Unwind> {
        if list.items.is_empty() {
            self.substituted = Some(0);
            return Ok(Bytes::new());
        }
        let ends = process::pipe().and_then(|(from, to)| {
            let away = (process::duplicate_away(from), process::duplicate_away(to));
            process::close(from);
            process::close(to);
            Ok((away.0?, away.1?))
        });
        let (from, to) = match ends {
            Ok(ends) => ends,
            Err(error) => return Err(self.fatal(&format!("Pipe call failed: {}", reason(&error)))),
        };
        let monitor = std::mem::take(&mut self.options.monitor);
        let pid = self.fork(None, false, |shell| {
            let _ = process::duplicate(to, 1);
            process::close(to);
            process::close(from);
            shell.run_last_list(list)
        });
        self.options.monitor = monitor;
        process::close(to);
        let mut output = Bytes::new();
        let mut buffer = vec![0; 1 << 14];
        let mut too_much = false;
        loop {
            match process::read(from, &mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    output.extend_from_slice(buffer.get(..count).unwrap_or_default());
                    if output.len() > MOST_OUTPUT {
                        too_much = true;
                        break;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        process::close(from);
        let number = self.add_job(vec![pid?], "".into(), false);
        let status = self.wait_for(number);
        if too_much {
            return Err(self.fatal("command substitution: more than 256 MiB of output"));
        }
        self.substituted = Some(status);
        // A variable cannot hold a zero byte; dash leaves them out as well.
        output.retain(|byte| *byte != 0);
        while output.last() == Some(&b'\n') {
            output.pop();
        }
        Ok(output)
    }

    // ---- one command

    fn run_command(&mut self, command: &Rc<Command>, text: &Rc<str>) -> Result<(), Unwind> {
        self.line = command.line;
        match &command.kind {
            Kind::Simple { assignments, words } => {
                self.run_simple(command, assignments, words, text, false)?;
                self.check_error()
            }
            Kind::Subshell(list) => {
                self.subshell(text, |shell| {
                    if !shell.redirect_for_good(&command.redirects)? {
                        return Ok(());
                    }
                    shell.run_last_list(list)
                })?;
                self.check_error()
            }
            Kind::Function { name, body } => {
                self.functions.insert(name.clone(), Rc::clone(body));
                self.status = 0;
                Ok(())
            }
            _ if command.redirects.is_empty() => self.run_compound(command),
            _ => {
                let Some(saved) = self.redirect(&command.redirects)? else {
                    return self.check_error();
                };
                let result = self.run_compound(command);
                self.restore(saved);
                result
            }
        }
    }

    /// The command is the last thing this process does: a program replaces it.
    pub(crate) fn run_last(&mut self, command: &Rc<Command>) -> Result<(), Unwind> {
        self.line = command.line;
        match &command.kind {
            Kind::Simple { assignments, words } => self.run_simple(command, assignments, words, &"".into(), true),
            Kind::Subshell(list) => {
                if !self.redirect_for_good(&command.redirects)? {
                    return Ok(());
                }
                self.run_last_list(list)
            }
            _ => self.run_command(command, &"".into()),
        }
    }

    fn run_compound(&mut self, command: &Rc<Command>) -> Result<(), Unwind> {
        match &command.kind {
            Kind::Group(list) => self.run_list(list),
            Kind::If { branches, otherwise } => {
                for (condition, body) in branches {
                    if self.condition(condition)? {
                        return self.run_list(body);
                    }
                }
                match otherwise {
                    Some(list) => self.run_list(list),
                    None => {
                        self.status = 0;
                        Ok(())
                    }
                }
            }
            Kind::Loop { until, condition, body } => {
                let mut status = 0;
                self.looped(|shell| {
                    if shell.condition(condition)? == *until {
                        return Ok(false);
                    }
                    let result = shell.run_list(body);
                    status = shell.status;
                    result.map(|()| true)
                })?;
                if self.status != 0 || status != 0 {
                    self.status = status;
                }
                Ok(())
            }
            Kind::For { name, words, body } => {
                let values = match words {
                    Some(words) => self.expand_words(words)?,
                    None => self.positional.clone(),
                };
                let mut values = values.into_iter();
                self.status = 0;
                self.looped(|shell| {
                    let Some(value) = values.next() else { return Ok(false) };
                    shell.assign(name, value)?;
                    shell.run_list(body).map(|()| true)
                })
            }
            Kind::Case { word, arms } => {
                let word = self.expand_text(word)?;
                self.status = 0;
                for (patterns, body) in arms {
                    for pattern in patterns {
                        if self.expand_pattern(pattern)?.matches(&word) {
                            return self.run_list(body);
                        }
                    }
                }
                Ok(())
            }
            Kind::Test(words) => {
                self.status = crate::test::double_brackets(self, words)?;
                self.check_error()
            }
            Kind::Simple { .. } | Kind::Subshell(_) | Kind::Function { .. } => Ok(()),
        }
    }

    fn condition(&mut self, list: &List) -> Result<bool, Unwind> {
        self.checked += 1;
        let result = self.run_list(list);
        self.checked -= 1;
        result.map(|()| self.status == 0)
    }

    /// Runs `step` until it says false, and takes `break` and `continue` in.
    fn looped(&mut self, mut step: impl FnMut(&mut Shell) -> Result<bool, Unwind>) -> Result<(), Unwind> {
        self.loops += 1;
        let result = loop {
            match step(self) {
                Ok(true) | Err(Unwind::Continue(0 | 1)) => {}
                Ok(false) | Err(Unwind::Break(0 | 1)) => break Ok(()),
                Err(Unwind::Break(count)) => break Err(Unwind::Break(count - 1)),
                Err(Unwind::Continue(count)) => break Err(Unwind::Continue(count - 1)),
                Err(other) => break Err(other),
            }
            if let Err(unwind) = self.run_traps() {
                break Err(unwind);
            }
        };
        self.loops -= 1;
        result
    }

    fn run_simple(
        &mut self,
        command: &Rc<Command>,
        assignments: &[(Bytes, Word)],
        words: &[Word],
        text: &Rc<str>,
        last: bool,
    ) -> Result<(), Unwind> {
        self.substituted = None;
        let mut words = self.expand_command(words)?;
        let Some(name) = words.first().cloned() else {
            return self.run_assignments(command, assignments);
        };
        let mut special_allowed = true;
        // `command NAME` runs what it names, but no function, and without the strictness of special builtins.
        let mut found = self.find(&name, true);
        while matches!(found, Found::Builtin(_)) && words.first().is_some_and(|word| word == b"command") {
            let Some(next) = words.get(1).filter(|next| next.first() != Some(&b'-') || *next == b"--").cloned() else {
                break;
            };
            words.remove(0);
            if next == b"--" {
                words.remove(0);
            }
            special_allowed = false;
            let Some(name) = words.first() else { break };
            found = match self.find(name, false) {
                Found::Special(builtin) => Found::Builtin(builtin),
                other => other,
            };
        }
        if self.options.xtrace {
            self.trace(assignments, &words)?;
        }
        match found {
            Found::Special(builtin) => self.run_special(builtin, command, assignments, &words),
            Found::Builtin(builtin) => {
                let name = words.first().cloned().unwrap_or_default();
                let keeps = !special_allowed && name == b"exec";
                let Some(saved) = self.redirect(&command.redirects)? else { return Ok(()) };
                let before = match self.assign_for_now(assignments) {
                    Ok(before) => before,
                    Err(unwind) => {
                        self.restore(saved);
                        return Err(unwind);
                    }
                };
                let result = builtin(self, &words);
                self.put_back(before);
                if keeps {
                    self.keep(saved)
                } else {
                    self.restore(saved)
                }
                match result {
                    Ok(status) => {
                        self.status = status;
                        Ok(())
                    }
                    // Only errors of special builtins end the shell (2.8.1); the status is set.
                    Err(Unwind::Fatal) => Ok(()),
                    Err(unwind) => Err(unwind),
                }
            }
            Found::Function(body) => {
                let Some(saved) = self.redirect(&command.redirects)? else { return Ok(()) };
                let before = self.assign_for_now(assignments);
                let result = before.and_then(|before| {
                    let result = self.call(&body, words.get(1..).unwrap_or_default());
                    self.put_back(before);
                    result
                });
                self.restore(saved);
                result
            }
            found => {
                // A trap that must run here, or children to reap, keep this process.
                let stays = self.traps.values().any(|trap| matches!(trap, Trap::Run(_)));
                if last && !stays {
                    return self.become_program(&found, command, assignments, &words);
                }
                self.subshell(text, |shell| shell.become_program(&found, command, assignments, &words))
            }
        }
    }

    /// Expands the words of a command. After `export` and its like, assignments are not split (2.9.1.1).
    fn expand_command(&mut self, words: &[Word]) -> Result<Vec<Bytes>, Unwind> {
        let declares = words
            .first()
            .and_then(|word| crate::parse::plain(word))
            .is_some_and(|name| matches!(name, b"export" | b"readonly" | b"local"));
        if !declares {
            return self.expand_words(words);
        }
        let mut out = Vec::new();
        for word in words {
            let assigns = matches!(word.first(), Some(crate::ast::Part::Text { text, quoted: false })
                if text.iter().position(|byte| *byte == b'=').is_some_and(|at| crate::parse::is_name(text.get(..at).unwrap_or_default())));
            if assigns {
                out.push(self.expand_assignment(word)?);
            } else {
                out.extend(self.expand_words(std::slice::from_ref(word))?);
            }
        }
        Ok(out)
    }

    fn run_assignments(&mut self, command: &Rc<Command>, assignments: &[(Bytes, Word)]) -> Result<(), Unwind> {
        let Some(saved) = self.redirect(&command.redirects)? else { return Ok(()) };
        let mut result = Ok(());
        let mut shown = Vec::new();
        for (name, word) in assignments {
            result = self.expand_assignment(word).and_then(|value| {
                if self.options.xtrace {
                    shown.push([name.as_slice(), b"=", &quote(&value)].concat());
                }
                self.assign(name, value)
            });
            if result.is_err() {
                break;
            }
        }
        if !shown.is_empty() {
            self.trace_line(&shown.join(&b' '))?;
        }
        self.restore(saved);
        result?;
        self.status = self.substituted.take().unwrap_or(0);
        Ok(())
    }

    fn run_special(
        &mut self,
        builtin: Builtin,
        command: &Rc<Command>,
        assignments: &[(Bytes, Word)],
        words: &[Bytes],
    ) -> Result<(), Unwind> {
        // Assignments before a special builtin stay (2.14).
        let is_exec = words.first().is_some_and(|word| word == b"exec");
        let Some(saved) = self.redirect(&command.redirects)? else {
            return if self.options.interactive { Ok(()) } else { Err(Unwind::Fatal) };
        };
        let mut result = Ok(0);
        for (name, word) in assignments {
            let assigned = self.expand_assignment(word).and_then(|value| self.assign(name, value));
            if let Err(unwind) = assigned {
                result = Err(unwind);
                break;
            }
            if is_exec
                && words.len() > 1
                && let Some(variable) = self.variables.get_mut(name)
            {
                variable.exported = true;
            }
        }
        let result = result.and_then(|_| builtin(self, words));
        if is_exec && result.is_ok() {
            self.keep(saved)
        } else {
            self.restore(saved)
        }
        self.status = result?;
        Ok(())
    }

    /// Assigns for the time of one command and returns what was there before.
    pub(crate) fn assign_for_now(&mut self, assignments: &[(Bytes, Word)]) -> Result<Before, Unwind> {
        let mut before = Vec::new();
        for (name, word) in assignments {
            let value = match self.expand_assignment(word) {
                Ok(value) => value,
                Err(unwind) => {
                    self.put_back(before);
                    return Err(unwind);
                }
            };
            before.push((name.clone(), self.variables.get(name).cloned()));
            if let Err(unwind) = self.assign(name, value) {
                before.pop();
                self.put_back(before);
                return Err(unwind);
            }
            if let Some(variable) = self.variables.get_mut(name) {
                variable.exported = true;
            }
        }
        Ok(before)
    }

    fn put_back(&mut self, before: Before) {
        for (name, variable) in before.into_iter().rev() {
            match variable {
                Some(variable) => self.variables.insert(name, variable),
                None => self.variables.remove(&name),
            };
        }
    }

    pub(crate) fn call(&mut self, body: &Rc<Command>, arguments: &[Bytes]) -> Result<(), Unwind> {
        if self.calls >= DEEPEST_CALL {
            return Err(self.fatal("functions call each other too deeply"));
        }
        self.calls += 1;
        let positional = std::mem::replace(&mut self.positional, arguments.to_vec());
        let loops = std::mem::take(&mut self.loops);
        let getopts = std::mem::replace(&mut self.getopts, (1, 0));
        self.locals.push(Vec::new());
        let line = self.line;
        let result = self.run_command(body, &"".into());
        self.line = line;
        for (name, variable) in self.locals.pop().unwrap_or_default().into_iter().rev() {
            match variable {
                Some(variable) => self.variables.insert(name, variable),
                None => self.variables.remove(&name),
            };
        }
        self.getopts = getopts;
        self.loops = loops;
        self.positional = positional;
        self.calls -= 1;
        match result {
            Err(Unwind::Return) => Ok(()),
            other => other,
        }
    }
}

/// The simple command that an item is, if it is nothing else.
pub(crate) fn only_command(item: &Item) -> Option<&Rc<Command>> {
    if item.background || !item.rest.is_empty() || item.first.negated {
        return None;
    }
    match item.first.commands.as_slice() {
        [command] if matches!(command.kind, Kind::Simple { .. } | Kind::Subshell(_)) => Some(command),
        _ => None,
    }
}

/// Variables as they were before a command's own assignments.
type Before = Vec<(Bytes, Option<crate::shell::Variable>)>;
