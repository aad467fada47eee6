//! Files with definitions and data: where they are looked for, and how messages show a place in them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use super::ast::Program;
use super::lex::Span;
use super::parse::Complaint;
use crate::host::Settings;
use crate::read;
use crate::token::lossy;
use crate::value::Value;

/// No library is nearly as large.
const MAX_LIBRARY: u64 = 16 << 20;

/// One text of definitions, for messages.
pub(crate) struct Unit {
    name: String,
    text: String,
}

impl Unit {
    /// The filter of the command line.
    pub(crate) fn main(text: &str) -> Unit {
        Unit { name: "<top-level>".to_owned(), text: text.to_owned() }
    }

    /// A definition of our own.
    pub(crate) fn builtin(text: &str) -> Unit {
        Unit { name: "<builtin>".to_owned(), text: text.to_owned() }
    }

    /// `jq: error: MESSAGE at FILE, line L, column C:`, the line, and a mark below the place.
    pub(crate) fn message(&self, message: &str, span: Span) -> String {
        let start = span.start.min(self.text.len());
        let before = self.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let rest = self.text.get(line_start..).unwrap_or_default();
        let line = rest.split('\n').next().unwrap_or_default();
        let number = before.matches('\n').count() + 1;
        let column = start - line_start;
        let room = line.len().saturating_sub(column).max(1);
        let width = span.end.saturating_sub(span.start).clamp(1, room);
        format!(
            "jq: error: {message} at {}, line {number}, column {}:\n    {line}\n    {}{}",
            self.name,
            column + 1,
            " ".repeat(column),
            "^".repeat(width)
        )
    }

    /// Every complaint of the parser.
    pub(crate) fn messages(&self, complaints: Vec<Complaint>) -> Vec<String> {
        complaints.into_iter().map(|(message, span)| self.message(&message, span)).collect()
    }
}

/// A file of definitions, for messages and for its names.
type Library = (Rc<Unit>, Rc<Program>);

/// Finds and reads modules.
pub(crate) struct Loader {
    library: Vec<PathBuf>,
    origin: PathBuf,
    program: PathBuf,
    home: Option<PathBuf>,
    units: RefCell<HashMap<PathBuf, Library>>,
}

impl Loader {
    /// A loader with the search path of these settings.
    pub(crate) fn new(settings: &Settings) -> Loader {
        let usual = || ["~/.jq", "$ORIGIN/../lib/jq", "$ORIGIN/../lib"].map(PathBuf::from).into();
        Loader {
            library: settings.library.clone().unwrap_or_else(usual),
            origin: settings.origin.clone(),
            program: settings.program.clone(),
            home: settings.home.clone(),
            units: RefCell::new(HashMap::new()),
        }
    }

    /// The directories that are searched, with `~` and `$ORIGIN` replaced.
    pub(crate) fn search_list(&self) -> Vec<PathBuf> {
        self.library.iter().map(|path| self.expanded(path)).collect()
    }

    fn expanded(&self, path: &Path) -> PathBuf {
        if let Ok(rest) = path.strip_prefix("~") {
            return self.home.as_ref().map_or_else(|| path.to_owned(), |home| home.join(rest));
        }
        match path.strip_prefix("$ORIGIN") {
            Ok(rest) => self.program.join(rest),
            Err(_) => path.to_owned(),
        }
    }

    /// The file of a module that is named in a file of directory `origin`.
    ///
    /// # Errors
    /// jq's message.
    pub(crate) fn find(
        &self,
        name: &str,
        meta: Option<&Value>,
        origin: &Path,
        is_data: bool,
    ) -> Result<PathBuf, String> {
        let relative = relative(name)?;
        let mut places = Vec::new();
        let search = match meta {
            Some(Value::Object(map)) => map.get("search").cloned(),
            _ => None,
        };
        let add = |place: &Value, places: &mut Vec<PathBuf>| {
            if let Value::String(text) = place {
                let path = self.expanded(Path::new(&**text));
                places.push(if path.is_absolute() { path } else { origin.join(path) });
            }
        };
        match &search {
            Some(Value::Array(list)) => list.iter().for_each(|place| add(place, &mut places)),
            Some(place) => add(place, &mut places),
            None => {}
        }
        places.extend(self.search_list());
        let suffix = if is_data { "json" } else { "jq" };
        let last = relative.file_name().map(PathBuf::from).unwrap_or_default();
        for place in &places {
            let base = place.join(&relative);
            let with_suffix = |path: PathBuf| {
                let mut text = path.into_os_string();
                text.push(".");
                text.push(suffix);
                PathBuf::from(text)
            };
            let candidates =
                [with_suffix(base.clone()), with_suffix(base.join("jq").join("main")), with_suffix(base.join(&last))];
            if let Some(found) = candidates.into_iter().find(|candidate| candidate.is_file()) {
                return Ok(found);
            }
        }
        Err(format!("module not found: {name}\n"))
    }

    /// A file of definitions.
    ///
    /// # Errors
    /// Messages as they are printed.
    pub(crate) fn library(&self, path: &Path) -> Result<Library, Vec<String>> {
        if let Some(known) = self.units.borrow().get(path) {
            return Ok(known.clone());
        }
        let text = contents(path).map_err(|message| vec![format!("jq: error: {message}")])?;
        let unit = Rc::new(Unit { name: path.display().to_string(), text });
        let source = super::parse::parse(&unit.text).map_err(|complaints| unit.messages(complaints))?;
        if source.main.is_some() {
            let text = "library should only have function definitions, not a main expression";
            return Err(vec![format!("jq: error: {text}")]);
        }
        let loaded = (unit, Rc::new(source));
        self.units.borrow_mut().insert(path.to_owned(), loaded.clone());
        Ok(loaded)
    }

    /// The documents of a data file as an array, or its text when the metadata have `raw`.
    ///
    /// # Errors
    /// The message as it is printed.
    pub(crate) fn data(&self, path: &Path, meta: Option<&Value>) -> Result<Value, String> {
        let raw = match meta {
            Some(Value::Object(map)) => map.get("raw").is_some_and(Value::is_truthy),
            _ => false,
        };
        let text = contents(path).map_err(|message| format!("jq: error: {message}"))?;
        if raw {
            return Ok(text.into());
        }
        read::parse_all(text.as_bytes())
            .map(Value::array)
            .map_err(|message| format!("jq: error: Bad JSON in {}: {message}", path.display()))
    }

    /// `modulemeta`
    ///
    /// # Errors
    /// jq's message.
    pub(crate) fn meta(&self, name: &str) -> Result<Value, Value> {
        let path = self.find(name, None, &self.origin, false).map_err(|message| Value::from(message.trim_end()))?;
        let (_, source) = self.library(&path).map_err(|lines| Value::from(lines.join("\n")))?;
        Ok(super::compile::module_meta(&source))
    }
}

fn contents(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("Could not open {}: {error}", path.display());
    let file = fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_LIBRARY + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_LIBRARY {
        return Err(format!("Could not open {}: larger than 16 MiB", path.display()));
    }
    Ok(lossy(&bytes).into_owned())
}

/// A module's name as a path below a directory of the search list.
fn relative(name: &str) -> Result<PathBuf, String> {
    let path = Path::new(name);
    let mut last = None;
    for component in path.components() {
        match component {
            Component::ParentDir => {
                return Err(format!("Relative paths to modules may not traverse to parent directories ({name})"));
            }
            Component::Normal(part) => {
                if last == Some(part) {
                    return Err(format!("Relative paths to modules may not repeat components ({name})"));
                }
                last = Some(part);
            }
            _ => {}
        }
    }
    Ok(path.components().filter(|part| matches!(part, Component::Normal(_))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_point_at_their_place() {
        let unit = Unit::main("1 |\n  $foo + 2");
        let message = unit.message("$foo is not defined", Span { start: 6, end: 10 });
        let wanted = "jq: error: $foo is not defined at <top-level>, line 2, column 3:\n      $foo + 2\n      ^^^^";
        assert_eq!(message, wanted);
    }

    #[test]
    fn module_names() {
        assert_eq!(relative("a/b").unwrap(), Path::new("a/b"));
        assert!(relative("../a").is_err());
        assert!(relative("a/a").is_err());
    }
}
