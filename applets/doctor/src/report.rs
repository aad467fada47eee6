//! What a walk found: lines of the tree, faults, and the one verdict that follows from them.

use std::net::SocketAddr;
use std::time::Duration;

use netkit_core::Exit;

/// The layers in the order they are walked. Whatever protocol is not HTTP is `Application`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Layer {
    Environment,
    Dns,
    Route,
    Netfilter,
    Tcp,
    Udp,
    Tls,
    Http,
    Application,
}

impl Layer {
    /// As text, JSON and the golden table spell it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Layer::Environment => "environment",
            Layer::Dns => "dns",
            Layer::Route => "route",
            Layer::Netfilter => "netfilter",
            Layer::Tcp => "tcp",
            Layer::Udp => "udp",
            Layer::Tls => "tls",
            Layer::Http => "http",
            Layer::Application => "application",
        }
    }

    /// The exit status of a verdict that names this layer.
    pub(crate) fn exit(self) -> Exit {
        Exit(match self {
            Layer::Dns => 3,
            Layer::Route => 4,
            Layer::Netfilter => 5,
            Layer::Tcp | Layer::Udp => 6,
            Layer::Tls => 7,
            Layer::Http | Layer::Application => 8,
            Layer::Environment => 9,
        })
    }
}

/// How a layer, or one line of it, looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// It could not be looked at.
    Unseen,
    /// It works.
    Fine,
    /// It works, and something about it should be known.
    Note,
    /// It does not work.
    Broken,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Unseen => "unseen",
            State::Fine => "fine",
            State::Note => "note",
            State::Broken => "broken",
        }
    }
}

/// One line of the tree.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) layer: Layer,
    pub(crate) state: State,
    pub(crate) text: String,
    pub(crate) elapsed: Option<Duration>,
}

/// How bad a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gravity {
    /// It works today; nothing is broken by it alone.
    Advice,
    /// It works for some programs, some addresses or some of the time, or far too slowly.
    Impaired,
    /// Nothing gets past it.
    Fatal,
}

/// Something wrong, with its cause.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) layer: Layer,
    /// A word for machines.
    pub(crate) cause: &'static str,
    pub(crate) gravity: Gravity,
    /// False: the sentence names several causes that the evidence does not tell apart.
    pub(crate) certain: bool,
    pub(crate) sentence: String,
    pub(crate) evidence: Vec<String>,
    /// The command to type next.
    pub(crate) next: String,
}

impl Fault {
    pub(crate) fn new(layer: Layer, cause: &'static str, gravity: Gravity, sentence: String) -> Fault {
        Fault { layer, cause, gravity, certain: true, sentence, evidence: Vec::new(), next: String::new() }
    }

    /// Nothing gets past it.
    pub(crate) fn fatal(layer: Layer, cause: &'static str, sentence: String) -> Fault {
        Fault::new(layer, cause, Gravity::Fatal, sentence)
    }

    /// It works partly.
    pub(crate) fn impaired(layer: Layer, cause: &'static str, sentence: String) -> Fault {
        Fault::new(layer, cause, Gravity::Impaired, sentence)
    }

    #[must_use]
    pub(crate) fn unsure(mut self) -> Fault {
        self.certain = false;
        self
    }

    #[must_use]
    pub(crate) fn evidence(mut self, line: impl Into<String>) -> Fault {
        self.evidence.push(line.into());
        self
    }

    #[must_use]
    pub(crate) fn all_evidence(mut self, lines: Vec<String>) -> Fault {
        self.evidence.extend(lines);
        self
    }

    #[must_use]
    pub(crate) fn next(mut self, command: impl Into<String>) -> Fault {
        self.next = command.into();
        self
    }
}

/// One walk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// As typed, or what this variant is called.
    pub(crate) target: String,
    pub(crate) lines: Vec<Line>,
    pub(crate) faults: Vec<Fault>,
    /// What could not be looked at, and why.
    pub(crate) unseen: Vec<String>,
    /// Addresses of the name, in the order they are tried.
    pub(crate) addresses: Vec<SocketAddr>,
    /// The address that was spoken to.
    pub(crate) reached: Option<SocketAddr>,
    /// Our end of that connection.
    pub(crate) source: Option<SocketAddr>,
    /// Name of a stage and how long it took.
    pub(crate) timings: Vec<(&'static str, Duration)>,
    /// How far a walk without faults looked.
    pub(crate) looked: Vec<String>,
    /// Who answered in the end, to compare attempts by.
    pub(crate) answerer: Option<String>,
    pub(crate) elapsed: Duration,
}

impl Report {
    pub(crate) fn line(&mut self, layer: Layer, state: State, text: impl Into<String>, elapsed: Option<Duration>) {
        self.lines.push(Line { layer, state, text: text.into(), elapsed });
    }

    pub(crate) fn fine(&mut self, layer: Layer, text: impl Into<String>, elapsed: Option<Duration>) {
        self.line(layer, State::Fine, text, elapsed);
    }

    pub(crate) fn note(&mut self, layer: Layer, text: impl Into<String>) {
        self.line(layer, State::Note, text, None);
    }

    pub(crate) fn broken(&mut self, layer: Layer, text: impl Into<String>, elapsed: Option<Duration>) {
        self.line(layer, State::Broken, text, elapsed);
    }

    /// What could not be looked at; said once.
    pub(crate) fn unseen(&mut self, layer: Layer, why: impl Into<String>) {
        let why = why.into();
        if !self.unseen.contains(&why) {
            self.line(layer, State::Unseen, why.clone(), None);
            self.unseen.push(why);
        }
    }

    /// The fault the verdict is about: the first that lets nothing past, else the first that impairs.
    pub(crate) fn verdict(&self) -> Option<&Fault> {
        let first = |gravity: Gravity| self.faults.iter().find(|fault| fault.gravity == gravity);
        first(Gravity::Fatal).or_else(|| first(Gravity::Impaired))
    }

    pub(crate) fn is_fatal(&self) -> bool {
        self.faults.iter().any(|fault| fault.gravity == Gravity::Fatal)
    }

    pub(crate) fn exit(&self) -> Exit {
        self.verdict().map_or(Exit::OK, |fault| fault.layer.exit())
    }

    /// The one sentence.
    pub(crate) fn sentence(&self) -> String {
        if let Some(fault) = self.verdict() {
            let how = match (fault.gravity, fault.certain) {
                (Gravity::Fatal, true) => "is broken",
                (Gravity::Fatal, false) => "is where it stops",
                _ => "is impaired",
            };
            return format!("{} {how}: {}", layer_words(fault.layer), fault.sentence);
        }
        let looked = if self.looked.is_empty() { "nothing".to_owned() } else { self.looked.join(", ") };
        let unseen = match self.unseen.len() {
            0 => String::new(),
            _ => " (not everything could be looked at, see above)".to_owned(),
        };
        format!("nothing is broken here: looked at {looked}{unseen}")
    }
}

/// A layer as people write it.
pub(crate) fn layer_words(layer: Layer) -> &'static str {
    match layer {
        Layer::Environment => "the environment",
        Layer::Dns => "DNS",
        Layer::Route => "the route",
        Layer::Netfilter => "netfilter",
        Layer::Tcp => "TCP",
        Layer::Udp => "UDP",
        Layer::Tls => "TLS",
        Layer::Http => "HTTP",
        Layer::Application => "the application",
    }
}

/// Milliseconds for people: `0.8 ms`, `1203 ms`.
pub(crate) fn millis(duration: Duration) -> String {
    let micros = duration.as_micros();
    if micros >= 100_000 {
        format!("{} ms", micros / 1000)
    } else {
        format!("{}.{} ms", micros / 1000, micros / 100 % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fatal_fault_speaks() {
        let mut report = Report::default();
        assert_eq!(report.exit(), Exit::OK);
        assert!(report.sentence().starts_with("nothing is broken here"));
        report.faults.push(Fault::new(Layer::Environment, "x", Gravity::Advice, "a".to_owned()));
        assert_eq!(report.exit(), Exit::OK);
        report.faults.push(Fault::impaired(Layer::Dns, "slow", "b".to_owned()));
        assert_eq!(report.exit(), Exit(3));
        report.faults.push(Fault::fatal(Layer::Tcp, "refused", "c".to_owned()).unsure());
        assert_eq!(report.sentence(), "TCP is where it stops: c");
        assert_eq!((report.exit(), report.is_fatal()), (Exit(6), true));
    }

    #[test]
    fn times_for_people() {
        assert_eq!(millis(Duration::from_micros(840)), "0.8 ms");
        assert_eq!(millis(Duration::from_micros(1_203_456)), "1203 ms");
    }
}
