//! From the command line to the exit status: compiles the filter, feeds it its inputs, prints what comes out.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use netkit_core::{Ctx, Error, Exit, front};

use crate::args::{self, Options, Request};
use crate::exit;
use crate::host::{Filter, Host, Outcome, Settings, Stop};
use crate::input::{Around, Inputs, Plan, reason};
use crate::read::Mode;
use crate::token::lossy;
use crate::value::{Map, Value};
use crate::write::{self, Colors, Indent, Style};

/// jq's version whose behaviour this is; scripts read it.
const PEER_VERSION: &str = "1.8.2";

/// How a filter text becomes a filter; the error is what is said, without the closing count of errors.
pub(crate) type Compile = fn(&str, &Settings) -> Result<Box<dyn Filter>, Vec<String>>;

/// Runs jq-lite.
pub(crate) fn run(ctx: &mut Ctx, compile: Compile) -> Result<Exit, Error> {
    let options = match args::parse(&ctx.args) {
        Ok(Request::Run(options)) => options,
        Ok(Request::Help) => {
            ctx.stdout.write_all(help().as_bytes())?;
            return Ok(Exit::OK);
        }
        Ok(Request::Version) => {
            writeln!(ctx.stdout, "jq-{PEER_VERSION}-netkit{}", ctx.build.version)?;
            return Ok(Exit::OK);
        }
        Ok(Request::BuildConfiguration) => {
            writeln!(ctx.stdout, "{}", build_configuration(ctx))?;
            return Ok(Exit::OK);
        }
        Err(refusal) => {
            ctx.say(&format!("jq: {}", refusal.message));
            if refusal.usage {
                ctx.say("Use jq --help for help with command-line options.");
            }
            return Ok(exit::SYSTEM);
        }
    };
    let style = style(ctx, &options);
    let Some(program) = program(ctx, &options) else {
        let page = help();
        ctx.say(page.trim_end());
        return Ok(exit::SYSTEM);
    };
    let settings = settings(ctx, &options, &program);
    let text = if options.from_file {
        match args::load(&program) {
            // jq reads the file up to the first NUL.
            Ok(content) => lossy(content.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned(),
            Err(message) => {
                ctx.say(&format!("jq: {message}"));
                return Ok(exit::SYSTEM);
            }
        }
    } else {
        lossy(program.as_bytes()).into_owned()
    };
    let mut filter = match compile(&text, &settings) {
        Ok(filter) => filter,
        Err(errors) => {
            for error in &errors {
                ctx.say(error);
            }
            let count = errors.len();
            ctx.say(&format!("jq: {count} compile error{}", if count == 1 { "" } else { "s" }));
            return Ok(exit::COMPILE);
        }
    };
    let stdin = Box::new(std::mem::replace(&mut ctx.stdin, Box::new(io::empty())));
    let out = Output {
        stdout: std::mem::replace(&mut ctx.stdout, Box::new(io::sink())),
        stderr: std::mem::replace(&mut ctx.stderr, Box::new(io::sink())),
        buffer: String::new(),
        style,
        failure: None,
    };
    let mut session = Session::new(&options, out, stdin);
    let exit = session.all(filter.as_mut());
    // A large value is quicker left to the system than freed piece by piece.
    std::mem::forget(filter);
    let Session { world, .. } = session;
    let (out, inputs) = (world.out, world.inputs);
    std::mem::forget(inputs);
    let Ok(out) = Rc::try_unwrap(out).map(RefCell::into_inner) else { return Ok(exit) };
    (ctx.stdout, ctx.stderr) = (out.stdout, out.stderr);
    let flushed = ctx.stdout.flush();
    match out.failure.or(flushed.err()) {
        None => Ok(exit),
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(error.into()),
        Some(error) => {
            // What could not be written is not to be tried, and complained about, once more.
            ctx.stdout = Box::new(io::sink());
            ctx.say(&format!("jq: error: writing output failed: {}", reason(&error)));
            Ok(exit::SYSTEM)
        }
    }
}

fn help() -> String {
    crate::APPLETS.first().map(front::help_page).unwrap_or_default()
}

fn build_configuration(ctx: &Ctx) -> String {
    format!(
        "netkit {} ({}), {}; own reader, evaluator and decimal literals",
        ctx.build.version, ctx.build.commit, ctx.build.target
    )
}

/// The filter, or the file that holds it; `.` when there is none and jq is part of a pipe.
fn program(ctx: &Ctx, options: &Options) -> Option<OsString> {
    match &options.program {
        Some(program) => Some(program.clone()),
        None if options.from_file || (ctx.stdout_is_terminal && io::stdin().is_terminal()) => None,
        None => Some(".".into()),
    }
}

fn style(ctx: &mut Ctx, options: &Options) -> Style {
    let quiet = ctx.var("NO_COLOR").is_some_and(|value| !value.is_empty());
    let wanted = options.color || (ctx.stdout_is_terminal && !quiet);
    let colors = match ctx.env.get(std::ffi::OsStr::new("JQ_COLORS")) {
        None => Colors::default(),
        Some(text) => match Colors::parse(&text.to_string_lossy()) {
            Some(colors) => colors,
            None => {
                ctx.say("Failed to set $JQ_COLORS");
                Colors::default()
            }
        },
    };
    Style {
        indent: options.indent.0,
        sort_keys: options.sort_keys,
        ascii: options.ascii,
        colors: (wanted && !options.monochrome).then_some(colors),
    }
}

fn settings(ctx: &Ctx, options: &Options, program: &OsString) -> Settings {
    let mut arguments = Map::new();
    arguments.insert("positional".into(), Value::array(options.positional.clone()));
    arguments.insert("named".into(), Value::object(options.named.clone()));
    let mut variables = options.named.clone();
    variables.insert("ARGS".into(), Value::object(arguments));
    if !variables.contains_key("JQ_BUILD_CONFIGURATION") {
        variables.insert("JQ_BUILD_CONFIGURATION".into(), build_configuration(ctx).into());
    }
    let origin = match options.from_file {
        true => Path::new(program).parent().map(Path::to_owned).unwrap_or_default(),
        false => PathBuf::new(),
    };
    let origin = if origin.as_os_str().is_empty() { PathBuf::from(".") } else { origin };
    let own = Path::new(&ctx.argv0).parent().filter(|path| !path.as_os_str().is_empty());
    Settings {
        variables,
        library: options.library.clone(),
        origin: std::fs::canonicalize(&origin).unwrap_or(origin),
        program: own.unwrap_or(Path::new(".")).to_owned(),
        env: ctx
            .env
            .iter()
            .map(|(name, value)| (Rc::from(lossy(name.as_bytes())), lossy(value.as_bytes()).as_ref().into()))
            .collect(),
        home: ctx.env.get(std::ffi::OsStr::new("HOME")).map(PathBuf::from),
    }
}

/// Standard output and error, and how values look there.
struct Output {
    stdout: Box<dyn Write>,
    stderr: Box<dyn Write>,
    /// Text of values, handed on in chunks.
    buffer: String,
    style: Style,
    failure: Option<io::Error>,
}

impl Output {
    fn value(&mut self, value: &Value) -> io::Result<()> {
        let Output { stdout, buffer, style, .. } = self;
        write::write(value, style, buffer, &mut |text| {
            let done = stdout.write_all(text.as_bytes());
            text.clear();
            done
        })
    }

    fn hand_on(&mut self) -> io::Result<()> {
        let done = self.stdout.write_all(self.buffer.as_bytes());
        self.buffer.clear();
        done
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hand_on()?;
        self.stdout.flush()
    }

    /// Text for standard error, behind everything printed so far.
    fn talk(&mut self, text: &str) {
        if let Err(error) = self.flush() {
            self.failure.get_or_insert(error);
        }
        // A closed standard error is no reason to stop.
        let _ = self.stderr.write_all(text.as_bytes());
        let _ = self.stderr.flush();
    }
}

impl Around for Output {
    fn about_to_wait(&mut self) {
        if let Err(error) = self.flush() {
            self.failure.get_or_insert(error);
        }
    }

    fn complain(&mut self, line: &str) {
        self.talk(&format!("{line}\n"));
    }
}

/// What the filter sees of the inputs and of standard error.
struct World {
    inputs: Inputs,
    out: Rc<RefCell<Output>>,
}

impl World {
    fn next(&mut self) -> Option<Result<Value, String>> {
        self.inputs.next(&mut *self.out.borrow_mut())
    }

    /// Where errors are reported.
    fn position(&mut self) -> String {
        let line = self.inputs.line();
        match self.inputs.filename() {
            Some(name) => format!("{name}:{line}"),
            None => "<unknown>".to_owned(),
        }
    }
}

impl Host for World {
    fn next_input(&mut self) -> Option<Result<Value, String>> {
        self.next()
    }

    fn input_filename(&self) -> Value {
        match self.inputs.filename() {
            Some(name) => name.into(),
            None => Value::Null,
        }
    }

    fn input_line_number(&mut self) -> u64 {
        self.inputs.line()
    }

    fn debug(&mut self, value: &Value) {
        let mut out = self.out.borrow_mut();
        let style = Style { indent: Indent::Compact, ..out.style.clone() };
        let mut text = String::new();
        let message = Value::array(vec!["DEBUG:".into(), value.clone()]);
        let _ = write::write(&message, &style, &mut text, &mut |_| Ok(()));
        text.push('\n');
        out.talk(&text);
    }

    fn stderr(&mut self, value: &Value) {
        let mut out = self.out.borrow_mut();
        match value {
            Value::String(text) => out.talk(text),
            other => {
                let text = write::to_json(other);
                out.talk(&text);
            }
        }
    }
}

/// What `-e` remembers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    Falsy,
    Truthy,
}

struct Session<'a> {
    options: &'a Options,
    world: World,
    last: Last,
    /// A status that stands whatever `-e` says.
    status: Option<Exit>,
}

impl<'a> Session<'a> {
    fn new(options: &'a Options, out: Output, stdin: Box<dyn io::Read>) -> Session<'a> {
        let mode = Mode { seq: options.seq, stream: options.stream, stream_errors: options.stream_errors };
        let plan = Plan { raw: options.raw_input, slurp: options.slurp, yaml: options.yaml, mode };
        let inputs = Inputs::new(plan, options.files.clone(), stdin);
        let world = World { inputs, out: Rc::new(RefCell::new(out)) };
        Session { options, world, last: Last::Nothing, status: None }
    }

    /// Every input through the filter; the status to leave with.
    fn all(&mut self, filter: &mut dyn Filter) -> Exit {
        if self.options.null_input {
            self.one(filter, Value::Null);
        } else {
            while self.world.inputs.failures == 0 {
                match self.world.next() {
                    None => break,
                    Some(Ok(value)) => {
                        self.status = None;
                        if !self.one(filter, value) {
                            break;
                        }
                    }
                    Some(Err(message)) if self.options.seq => {
                        self.world.out.borrow_mut().complain(&format!("jq: ignoring parse error: {message}"));
                    }
                    Some(Err(message)) => {
                        self.world.out.borrow_mut().complain(&format!("jq: parse error: {message}"));
                        self.status = Some(exit::UNCAUGHT);
                        break;
                    }
                }
            }
        }
        self.world.out.borrow_mut().about_to_wait();
        if self.world.inputs.failures > 0 {
            return exit::SYSTEM;
        }
        match (self.status, self.last) {
            (Some(status), _) => status,
            _ if !self.options.exit_status => Exit::OK,
            (None, Last::Nothing) => exit::NO_OUTPUT,
            (None, Last::Falsy) => exit::FALSY,
            (None, Last::Truthy) => Exit::OK,
        }
    }

    /// One input; false when nothing more is to be done.
    fn one(&mut self, filter: &mut dyn Filter, input: Value) -> bool {
        let (options, out) = (self.options, self.world.out.clone());
        let mut refused = None;
        let last = &mut self.last;
        let mut emit = |value: Value| {
            let mut out = out.borrow_mut();
            match print(&mut out, options, &value) {
                Ok(None) => {}
                Ok(Some(message)) => {
                    refused = Some(message);
                    return Err(Stop);
                }
                Err(error) => {
                    out.failure.get_or_insert(error);
                    return Err(Stop);
                }
            }
            *last = if value.is_truthy() { Last::Truthy } else { Last::Falsy };
            if out.failure.is_some() { Err(Stop) } else { Ok(()) }
        };
        let outcome = filter.run(input, &mut self.world, &mut emit);
        match (outcome, refused) {
            (Outcome::Done, _) => true,
            (Outcome::Error(message), _) => self.uncaught(&message),
            (Outcome::Stopped, Some(message)) => self.uncaught(&message.into()),
            (Outcome::Stopped, None) => false,
            (Outcome::Halt { status, message }, _) => {
                let mut out = self.world.out.borrow_mut();
                match message {
                    None | Some(Value::Null) => {}
                    Some(Value::String(text)) => out.talk(&text),
                    Some(other) => out.talk(&format!("{}\n", write::to_json(&other))),
                }
                self.status = Some(Exit(status as u8));
                false
            }
        }
    }

    fn uncaught(&mut self, message: &Value) -> bool {
        let place = self.world.position();
        let line = match message {
            Value::String(text) => format!("jq: error (at {place}): {text}"),
            other => format!("jq: error (at {place}) (not a string): {}", write::to_json(other)),
        };
        self.world.out.borrow_mut().complain(&line);
        self.status = Some(exit::UNCAUGHT);
        true
    }
}

/// Prints one result; the text is an error of the filter's kind.
fn print(out: &mut Output, options: &Options, value: &Value) -> io::Result<Option<&'static str>> {
    match value {
        Value::String(text) if options.raw_output && options.ascii => write::write_string(text, true, &mut out.buffer),
        Value::String(text) if options.nul && text.contains('\0') => {
            return Ok(Some("Cannot dump a string containing NUL with --raw-output0 option"));
        }
        Value::String(text) if options.raw_output => out.buffer.push_str(text),
        other => {
            if options.seq {
                out.buffer.push('\x1e');
            }
            out.value(other)?;
        }
    }
    if options.nul {
        out.buffer.push('\0');
    } else if !options.join {
        out.buffer.push('\n');
    }
    if options.unbuffered {
        out.flush()?;
    } else if out.buffer.len() > 1 << 14 {
        out.hand_on()?;
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
