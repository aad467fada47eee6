//! The text form of a world: what is served, what is broken, what is asked and what must be found.
//!
//! A file holds worlds one after the other. A world starts with `== name`; every other line is a keyword and its text.
//! A line that ends in a backslash goes on in the next; `#` starts a comment at the start of a line.
//!
//! | keyword | meaning |
//! |---|---|
//! | `about` | one line for the reader |
//! | `target` | what doctor is asked about, with further flags after it |
//! | `layer` | the layer that must be found: `none` when nothing is broken; several with `\|` between them are all right |
//! | `cause` | the cause's word in the JSON, likewise |
//! | `says` | words the sentence must hold; one of several with `\|` between them, upper and lower case alike |
//! | `resolv` | `/etc/resolv.conf`, lines separated by `;`; `none` when there is no such file |
//! | `hosts` | a line of `/etc/hosts` |
//! | `env` | `NAME=VALUE` in doctor's environment |
//! | `serve` | a line for [`super::actors`] in the server's namespace; `serve@client`, `serve@router` elsewhere |
//! | `wire` | a slow or lossy wire between router and server: `delay=MS` each way, `every=N` frames one is lost |
//! | `client`, `router`, `server` | a shell line there, as root, before anything is served |
//! | `late` | the same on the client, when everything is up |
//! | `daemon` | place, port and command line of a real server; its port is waited for |
//! | `proof` | exit status and command on the client that shows the world to be as broken as it says |
//! | `nobody` | the layer without any capability, where it cannot be the same |
//! | `chance` | why it is chance which of the right layers is found; the table does not say which |
//! | `skip` | `base`: no name server and no web server unless the world makes them |

/// One world.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// Its name, `layer.subject`.
    pub name: String,
    /// Arguments of doctor, by words.
    pub target: Vec<String>,
    /// Layers that are right.
    pub layers: Vec<String>,
    /// Causes that are right.
    pub causes: Vec<String>,
    /// One of these must be said.
    pub says: Vec<String>,
    /// The layers that are right for nobody, where they differ.
    pub nobody: Vec<String>,
    /// All other lines in their order: keyword and text.
    pub lines: Vec<(String, String)>,
}

impl World {
    /// The texts of one keyword.
    pub fn all<'a>(&'a self, keyword: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines.iter().filter(move |(word, _)| word == keyword).map(|(_, text)| text.as_str())
    }
}

/// Words that a line may start with and that are kept as they are.
const LINES: &[&str] = &[
    "about",
    "resolv",
    "hosts",
    "env",
    "serve",
    "serve@client",
    "serve@router",
    "wire",
    "client",
    "router",
    "server",
    "late",
    "daemon",
    "proof",
    "chance",
    "skip",
];

/// Reads a file of worlds.
///
/// # Errors
/// The line that cannot be read, or the world that says nothing about its outcome.
pub fn parse(text: &str) -> Result<Vec<World>, String> {
    let mut worlds: Vec<World> = Vec::new();
    let mut whole = String::new();
    for line in text.lines() {
        if let Some(start) = line.strip_suffix('\\') {
            whole.push_str(start.trim_start());
            continue;
        }
        whole.push_str(line.trim());
        let line = std::mem::take(&mut whole);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("== ") {
            worlds.push(World { name: name.trim().to_owned(), ..World::default() });
            continue;
        }
        let world = worlds.last_mut().ok_or_else(|| format!("{line}: no world yet"))?;
        let (word, text) = line.split_once(' ').map_or((line.as_str(), ""), |(word, text)| (word, text.trim()));
        let alternatives = || text.split('|').map(|part| part.trim().to_owned()).collect();
        match word {
            "target" => world.target = text.split_whitespace().map(str::to_owned).collect(),
            "layer" => world.layers = alternatives(),
            "cause" => world.causes = alternatives(),
            "says" => world.says = alternatives(),
            "nobody" => world.nobody = alternatives(),
            _ if LINES.contains(&word) => world.lines.push((word.to_owned(), text.to_owned())),
            _ => return Err(format!("{}: unknown word `{word}`", world.name)),
        }
    }
    for (index, world) in worlds.iter().enumerate() {
        if world.target.is_empty() || world.layers.is_empty() {
            return Err(format!("{}: no target or no layer", world.name));
        }
        if worlds.iter().take(index).any(|other| other.name == world.name) {
            return Err(format!("{}: twice", world.name));
        }
    }
    Ok(worlds)
}
