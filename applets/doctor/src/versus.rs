//! `--versus` and `--pid`: the same walk in several ways, and the first layer at which they part.

use std::net::IpAddr;

use netkit_core::json::Value;
use netkit_core::text::printable;
use netkit_core::{Error, Exit};
use netkit_probe::Family;

use crate::report::{Fault, Gravity, Layer, Report, layer_words, millis};
use crate::show;
use crate::target::{Speak, Target};
use crate::walk::{Depth, walk};
use crate::world::World;

/// One way to walk.
struct Variant {
    label: String,
    world: World,
    target: Target,
    /// Whose network namespace.
    pid: Option<u32>,
}

/// What came of all of them.
pub(crate) struct Comparison {
    variants: Vec<(String, Report)>,
    /// Where they part; `None` when they fare alike.
    parting: Option<Fault>,
    exit: Exit,
}

/// Walks every way.
///
/// # Errors
/// A word of `--versus` that means nothing, or a namespace that cannot be entered.
pub(crate) fn run(world: &World, target: &Target) -> Result<Comparison, Error> {
    let mut variants =
        vec![Variant { label: target.text.clone(), world: world.clone(), target: target.clone(), pid: None }];
    for word in &world.options.versus {
        variants.push(variant(world, target, word)?);
    }
    if let Some(pid) = world.options.pid {
        let mut world = world.clone();
        world.files_of = Some(pid);
        variants.push(Variant { label: format!("from process {pid}"), world, target: target.clone(), pid: Some(pid) });
    }
    let mut walked = Vec::new();
    for variant in &variants {
        let mut report = match variant.pid {
            None => walk(&variant.world, &variant.target, Depth::Path),
            Some(pid) => elsewhere(pid, variant)?,
        };
        report.target.clone_from(&variant.label);
        walked.push((variant.label.clone(), report));
    }
    let parting = part(&walked);
    let own = walked.first().map_or(Exit::OK, |(_, report)| report.exit());
    let exit = parting.as_ref().map_or(own, |fault| fault.layer.exit());
    Ok(Comparison { variants: walked, parting, exit })
}

/// A thread of its own enters the other namespace; this one stays.
fn elsewhere(pid: u32, variant: &Variant) -> Result<Report, Error> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            netkit_sys::netns::enter(&pid.to_string())?;
            Ok(walk(&variant.world, &variant.target, Depth::Path))
        });
        thread.join().unwrap_or_else(|_| Err(Error::new(Exit(1), format!("the walk from process {pid} failed"))))
    })
}

fn variant(world: &World, target: &Target, word: &str) -> Result<Variant, Error> {
    let mut one = Variant { label: word.to_owned(), world: world.clone(), target: target.clone(), pid: None };
    match word {
        "v4" => one.world.options.family = Family::Inet,
        "v6" => one.world.options.family = Family::Inet6,
        "sni" | "nosni" if !target.tls => {
            return Err(Error::usage(format!("--versus {word}: no TLS is spoken to {}", printable(&target.text))));
        }
        "sni" => {}
        "nosni" => one.world.nameless = true,
        word if word.contains("://") => one.target = Target::parse(word)?,
        word => {
            let wrong = || {
                Error::usage(format!(
                    "--versus: '{}' is none of v4, v6, sni, nosni, an address, a host or a URL",
                    printable(word)
                ))
            };
            let (host, port) = match word.parse::<IpAddr>() {
                Ok(address) => (address.to_string(), None),
                Err(_) => {
                    let read = Target::parse(&format!("tcp://{word}:1"))
                        .or_else(|_| Target::parse(&format!("tcp://{word}")))
                        .map_err(|_| wrong())?;
                    (read.host, Some(read.port).filter(|port| *port != 1))
                }
            };
            // The other address is to serve the same name.
            if target.tls && one.world.options.sni.is_none() {
                one.world.options.sni = Some(target.host.clone());
            }
            if target.speak == Speak::Http && one.world.options.host.is_none() {
                one.world.options.host = Some(target.authority());
            }
            one.target.host = host;
            one.target.port = port.unwrap_or(target.port);
        }
    }
    Ok(one)
}

/// The first layer at which not all fare the same.
fn part(walked: &[(String, Report)]) -> Option<Fault> {
    let state = |report: &Report| report.verdict().map(|fault| (fault.layer, fault.cause));
    let states: Vec<_> = walked.iter().map(|(_, report)| state(report)).collect();
    let (first, rest) = states.split_first()?;
    if rest.iter().all(|other| other == first) {
        // All work, or fail alike; then only who answered can differ.
        let (base, mine) = walked.first()?;
        let other = walked.iter().skip(1).find(|(_, report)| report.answerer != mine.answerer)?;
        let (Some(left), Some(right)) = (&mine.answerer, &other.1.answerer) else { return None };
        let sentence = format!("{base} and {} both get an answer, and not the same one: {left}; {right}", other.0);
        return Some(Fault::new(Layer::Http, "answers_differ", Gravity::Impaired, sentence));
    }
    // The failure nearest to us is where they part.
    let worst = walked
        .iter()
        .filter_map(|(label, report)| Some((report.verdict()?, label)))
        .min_by_key(|(fault, _)| (fault.layer, fault.gravity != Gravity::Fatal))?;
    let (fault, label) = worst;
    let fine = walked.iter().find(|(_, report)| state(report) != Some((fault.layer, fault.cause)));
    let (other, how) = fine.map(|(other, report)| {
        let how = match report.verdict() {
            None => "works".to_owned(),
            Some(fault) => format!("gets further, to {}", layer_words(fault.layer)),
        };
        (other.clone(), how)
    })?;
    let sentence =
        format!("they part at {}: {other} {how}, and with {label}: {}", layer_words(fault.layer), fault.sentence);
    let mut told = Fault::new(fault.layer, fault.cause, Gravity::Impaired, sentence);
    told.certain = fault.certain;
    told.evidence.clone_from(&fault.evidence);
    told.next.clone_from(&fault.next);
    Some(told)
}

impl Comparison {
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    fn sentence(&self) -> String {
        match &self.parting {
            Some(fault) => fault.sentence.clone(),
            None => {
                let alike = self.variants.first().map_or_else(String::new, |(_, report)| report.sentence());
                format!("all {} fare alike: {alike}", self.variants.len())
            }
        }
    }

    /// Every walk in short, then where they part.
    pub(crate) fn text(&self, quiet: bool) -> String {
        let mut out = String::new();
        for (label, report) in self.variants.iter().filter(|_| !quiet) {
            let times: Vec<String> =
                report.timings.iter().map(|(name, elapsed)| format!("{name} {}", millis(*elapsed))).collect();
            let how = report
                .verdict()
                .map_or_else(|| "fine".to_owned(), |fault| format!("{} ({})", layer_words(fault.layer), fault.cause));
            let answer = report.answerer.as_ref().map_or_else(String::new, |answer| format!(", {answer}"));
            let reached = report.reached.map_or_else(|| "nothing reached".to_owned(), |address| address.to_string());
            out.push_str(&format!("{label}: {how}; {reached}{answer}; {}\n", times.join(", ")));
        }
        out.push_str(&self.verdict());
        out
    }

    pub(crate) fn verdict(&self) -> String {
        let mut out = format!("verdict: {}\n", self.sentence());
        let shown = self.parting.as_ref().or_else(|| self.variants.first().and_then(|(_, report)| report.verdict()));
        if let Some(fault) = shown {
            fault.evidence.iter().for_each(|line| out.push_str(&format!("  evidence: {line}\n")));
            if !fault.next.is_empty() {
                out.push_str(&format!("  next: {}\n", fault.next));
            }
        }
        out
    }

    pub(crate) fn value(&self) -> Value {
        let fault = self.parting.as_ref().or_else(|| self.variants.first().and_then(|(_, report)| report.verdict()));
        Value::object()
            .with("schema", "doctor/1")
            .with("variants", self.variants.iter().map(|(_, report)| show::value(report)).collect::<Vec<_>>())
            .with("parts", self.parting.is_some())
            .with("verdict", show::verdict_value(fault, &self.sentence()))
            .with("exit_status", self.exit.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(layer: Layer, cause: &'static str) -> Report {
        let mut report = Report::default();
        report.faults.push(Fault::fatal(layer, cause, format!("{cause} it is")));
        report
    }

    #[test]
    fn where_they_part() {
        let fine = Report::default();
        let named = |reports: Vec<Report>| -> Vec<(String, Report)> {
            reports.into_iter().enumerate().map(|(index, report)| (format!("way {index}"), report)).collect()
        };
        assert!(part(&named(vec![fine.clone(), fine.clone()])).is_none());
        let fault = part(&named(vec![fine.clone(), broken(Layer::Tcp, "silent")])).unwrap();
        assert_eq!(fault.sentence, "they part at TCP: way 0 works, and with way 1: silent it is");
        let fault = part(&named(vec![broken(Layer::Http, "not_found"), broken(Layer::Dns, "nxdomain")])).unwrap();
        assert!(fault.sentence.contains("they part at DNS: way 0 gets further, to HTTP"), "{}", fault.sentence);
        assert!(part(&named(vec![broken(Layer::Tcp, "refused"), broken(Layer::Tcp, "refused")])).is_none());
        let answered = |who: &str| Report { answerer: Some(who.to_owned()), ..Report::default() };
        assert_eq!(part(&named(vec![answered("a"), answered("b")])).map(|fault| fault.cause), Some("answers_differ"));
    }
}
