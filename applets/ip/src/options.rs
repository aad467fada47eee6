//! Options before the object (ip(8), OPTIONS).

use netkit_core::text::printable;
use netkit_core::{Ctx, Error};

use crate::out::Style;
use crate::stop::{Res, Stop};
use crate::words::{Words, matches};

/// What the options say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// AF_*, 0 for all.
    pub(crate) family: u8,
    pub(crate) style: Style,
    pub(crate) details: bool,
    /// How often `-s` was given.
    pub(crate) stats: u8,
    pub(crate) brief: bool,
    pub(crate) numeric: bool,
    /// `-a`: every namespace.
    pub(crate) all: bool,
    /// `-h`, and `-iec` for powers of 1024.
    pub(crate) human: bool,
    pub(crate) iec: bool,
    /// `-t` or `-ts`.
    pub(crate) timestamp: Timestamp,
    /// `-n`.
    pub(crate) netns: Option<String>,
    /// bridge: ranges of VLANs on one line.
    pub(crate) compress_vlans: bool,
}

/// How `monitor` says when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Timestamp {
    #[default]
    None,
    Long,
    Short,
}

/// What is wanted besides the object's work.
pub(crate) enum Parsed {
    Run(Options),
    Version,
    Help,
}

/// Families by the name `-f` takes.
pub(crate) fn family_id(name: &str) -> Option<u8> {
    Some(match name {
        "inet" => 2,
        "inet6" => 10,
        "link" => 17,
        "bridge" => 7,
        "mpls" => 28,
        _ => return None,
    })
}

pub(crate) fn family_name(family: u8) -> String {
    match family {
        2 => "inet".to_owned(),
        10 => "inet6".to_owned(),
        17 => "link".to_owned(),
        7 => "bridge".to_owned(),
        28 => "mpls".to_owned(),
        _ => "???".to_owned(),
    }
}

/// Reads the options of `ip`.
pub(crate) fn parse(ctx: &mut Ctx, words: &mut Words) -> Res<Parsed> {
    let mut options = Options::default();
    let mut colour = None;
    while let Some(word) = words.peek().map(str::to_owned) {
        if word == "--" {
            words.next();
            break;
        }
        if !word.starts_with('-') {
            break;
        }
        words.next();
        let opt = word.strip_prefix('-').filter(|rest| rest.starts_with('-')).unwrap_or(&word);
        // House options first: they have no abbreviation.
        match opt {
            "-explain" => {
                ctx.explain = true;
                continue;
            }
            "-4" => options.family = 2,
            "-6" => options.family = 10,
            "-0" => options.family = 17,
            "-M" => options.family = 28,
            "-B" => options.family = 7,
            _ if matches(opt, "-loops") => return Err(refused(&word, "it limits `flush`, which this ip does not do")),
            _ if matches(opt, "-family") => {
                let Some(name) = words.next() else { return Ok(Parsed::Help) };
                options.family = match name.as_str() {
                    "help" => return Ok(Parsed::Help),
                    other => {
                        family_id(other).ok_or_else(|| Stop::wrong(&printable(other), "invalid protocol family"))?
                    }
                };
            }
            _ if matches(opt, "-human-readable") => options.human = true,
            _ if matches(opt, "-iec") => options.iec = true,
            _ if matches(opt, "-stats") || matches(opt, "-statistics") => {
                options.stats = options.stats.saturating_add(1)
            }
            _ if matches(opt, "-details") => options.details = true,
            _ if matches(opt, "-resolve") => return Err(refused(&word, "use `host ADDRESS` for a name")),
            _ if matches(opt, "-oneline") => options.style.oneline = true,
            _ if matches(opt, "-timestamp") => options.timestamp = Timestamp::Long,
            _ if matches(opt, "-tshort") => options.timestamp = Timestamp::Short,
            _ if matches(opt, "-Version") => return Ok(Parsed::Version),
            _ if matches(opt, "-force") => return Err(refused(&word, "it is for `-batch`, which is not offered")),
            _ if matches(opt, "-batch") => return Err(refused(&word, "call ip once for each line")),
            _ if matches(opt, "-brief") => options.brief = true,
            _ if matches(opt, "-json") => options.style.json = true,
            _ if matches(opt, "-pretty") => options.style.pretty = true,
            _ if matches(opt, "-rcvbuf") => return Err(refused(&word, "the buffer's size is fixed")),
            _ if matches_colour(opt) && colour_mode(opt).is_some() => {
                colour = Some(opt.split_once('=').map_or("always", |(_, how)| how).to_owned())
            }
            _ if matches(opt, "-help") => return Ok(Parsed::Help),
            _ if matches(opt, "-netns") => options.netns = Some(words.value()?),
            _ if matches(opt, "-Numeric") => options.numeric = true,
            _ if matches(opt, "-all") => options.all = true,
            "-echo" => return Err(refused(&word, "it shows what a modification did, and this ip makes none")),
            _ => {
                let shown = printable(opt);
                return Err(Stop::peer(255, format!("Option \"{shown}\" is unknown, try \"ip -help\".")));
            }
        }
    }
    finish_style(ctx, &mut options, colour.as_deref())?;
    Ok(Parsed::Run(options))
}

/// Decides on colour, which JSON never has.
pub(crate) fn finish_style(ctx: &Ctx, options: &mut Options, colour: Option<&str>) -> Res {
    let style = &mut options.style;
    style.colour = match colour {
        None | Some("never") => false,
        Some("always") => true,
        Some("auto") => ctx.stdout_is_terminal && ctx.var("NO_COLOR").is_none_or(str::is_empty),
        Some(other) => {
            let shown = printable(other);
            return Err(Stop::peer(255, format!("Option \"-color={shown}\" is unknown, try \"ip -help\".")));
        }
    } && !style.json;
    // The background is the last number of COLORFGBG; 0 to 6 and 8 are dark.
    let background = ctx.var("COLORFGBG").and_then(|value| value.rsplit(';').next()).and_then(|last| last.parse().ok());
    style.dark = matches!(background, Some(0u8..=6 | 8));
    Ok(())
}

/// What follows `=`, if it is known.
fn colour_mode(opt: &str) -> Option<&str> {
    opt.split_once('=')
        .map_or(Some("always"), |(_, mode)| ["always", "auto", "never"].into_iter().find(|known| *known == mode))
}

/// `-c`, `-col`, `-color`, each possibly with `=auto` and so on.
pub(crate) fn matches_colour(opt: &str) -> bool {
    let name = opt.split_once('=').map_or(opt, |(name, _)| name);
    name.len() >= 2 && (matches(name, "-color") || matches(name, "-colour"))
}

pub(crate) fn refused(word: &str, instead: &str) -> Stop {
    Stop::House(Error::usage(format!("{} is not offered: {instead}", printable(word))))
}
