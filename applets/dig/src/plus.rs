//! What each `+keyword` does to the lookup at hand.

use std::path::PathBuf;

use netkit_core::{Error, text};
use netkit_wire::dns::{EdnsOption, Opcode, RrType, Split};

use crate::args::{Line, Parser, Source};
use crate::exit;
use crate::link::path_is_valid;
use crate::lookup::{Format, RrComments, Settings, UDP_SIZE};
use crate::numbers;
use crate::options::{self, Apply, Http, Rule};

/// Most `+ednsopt` options on a query.
const EDNS_OPTIONS: usize = 100;

/// What `+fuzztime` alone stands for, in seconds of Unix time: that of BIND.
const FUZZ_TIME: u32 = 0x622a_cce1;

/// Names that `+ednsopt=` takes besides numbers (IANA, "DNS EDNS0 Option Codes").
const EDNS_NAMES: &[(&str, u16)] = &[
    ("LLQ", 1),
    ("NSID", 3),
    ("DAU", 5),
    ("DHU", 6),
    ("N3U", 7),
    ("ECS", 8),
    ("EXPIRE", 9),
    ("COOKIE", 10),
    ("KEEPALIVE", 11),
    ("PADDING", 12),
    ("PAD", 12),
    ("CHAIN", 13),
    ("KEY-TAG", 14),
    ("EDE", 15),
    ("CLIENT-TAG", 16),
    ("SERVER-TAG", 17),
    ("DEVICEID", 26946),
];

/// Applies `word`, which has lost its `+`.
pub(crate) fn apply(parser: &mut Parser<'_>, line: &mut Line, word: &str) -> Result<(), Error> {
    let word = word.trim_start_matches('=');
    if word.is_empty() {
        parser.out.push_str(";; Invalid option \n");
        return Ok(());
    }
    let (whole, value) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value).filter(|value| !value.is_empty())),
        None => (word, None),
    };
    let negated = whole.get(..2).is_some_and(|head| head.eq_ignore_ascii_case("no"));
    let keyword = if negated { whole.get(2..).unwrap_or("") } else { whole };
    let Some(option) = options::find(keyword) else { return Err(parser.invalid("+", whole)) };
    let state = !negated;
    match option.apply {
        Apply::Switch(field) => *field(parser.settings(line)) = state,
        Apply::Inverse(field) => *field(parser.settings(line)) = !state,
        Apply::Obsolete => {
            let name = text::printable(keyword);
            parser.err.push_str(&format!(";; +{name} is obsolete and has no effect\n"));
        }
        // What is not offered is off already.
        Apply::Refused(_) if negated => {}
        Apply::Refused(why) => {
            return Err(Error::usage(format!("+{} {why}", text::printable(keyword))));
        }
        Apply::Rule(rule) => {
            let given = Given { whole, value, state };
            if !plain(parser, line, rule, &given) && !valued(parser, line, rule, &given)? {
                edns(parser, line, rule, &given)?;
            }
        }
    }
    Ok(())
}

/// An option as written.
struct Given<'a> {
    /// Everything before `=`.
    whole: &'a str,
    value: Option<&'a str>,
    /// False after `no`.
    state: bool,
}

/// Rules that take no value; false when `rule` is not one of them.
fn plain(parser: &mut Parser<'_>, line: &mut Line, rule: Rule, given: &Given<'_>) -> bool {
    let state = given.state;
    match rule {
        Rule::All => {
            parser.settings(line).show_all(state);
            parser.globals.cmd = state;
        }
        Rule::Cmd => parser.globals.cmd = state,
        Rule::Comments => {
            if parser.at_default(line) {
                parser.globals.comments_asked = state;
            }
            parser.settings(line).comments = state;
        }
        Rule::Question => {
            if parser.at_default(line) {
                parser.globals.question_asked = state;
            }
            parser.settings(line).question = state;
        }
        Rule::Dnssec => {
            let settings = parser.settings(line);
            if state {
                settings.edns.get_or_insert(0);
            }
            settings.dnssec = state;
        }
        Rule::Nsid => {
            let settings = parser.settings(line);
            if state {
                settings.edns.get_or_insert(0);
            }
            settings.nsid = state;
        }
        Rule::KeepOpen => parser.globals.keep_open = state,
        Rule::Rc => parser.globals.rc = state,
        Rule::Explain => parser.globals.explain = state,
        Rule::Json | Rule::Yaml => {
            let wanted = if rule == Rule::Json { Format::Json } else { Format::Yaml };
            parser.globals.format = if state { wanted } else { Format::Text };
            if state {
                parser.globals.cmd = false;
                let settings = parser.settings(line);
                settings.stats = false;
                settings.rr_comments = RrComments::Off;
            }
        }
        Rule::RrComments => {
            parser.settings(line).rr_comments = if state { RrComments::On } else { RrComments::Off };
        }
        Rule::Search | Rule::ShowSearch => {
            if !parser.settings(line).trace {
                parser.globals.search = state;
                if rule == Rule::ShowSearch {
                    parser.globals.show_search = state;
                }
            }
        }
        Rule::Short => {
            parser.globals.short = state;
            if state {
                parser.globals.cmd = false;
                let settings = parser.settings(line);
                settings.show_answers_only();
                settings.rr_comments = RrComments::Off;
            }
        }
        Rule::Tcp => {
            // A batch or digrc line cannot change the transport.
            if line.source == Source::Command {
                let settings = parser.settings(line);
                settings.tcp = state;
                settings.tcp_set = true;
            }
        }
        Rule::Tls => {
            let settings = parser.settings(line);
            settings.secure.tls = state;
            prefer_stream(settings, state);
        }
        Rule::TtlUnits => {
            let settings = parser.settings(line);
            settings.no_ttl = false;
            settings.ttl_units = state;
        }
        Rule::Trace => trace(parser, line, state),
        Rule::NsSearch => nssearch(parser, line, state),
        _ => return false,
    }
    true
}

/// A transport over TCP means TCP, unless that was decided before.
fn prefer_stream(settings: &mut Settings, state: bool) {
    if !settings.tcp_set {
        settings.tcp = state;
    }
}

/// `+https` and its kin.
fn http(parser: &mut Parser<'_>, line: &mut Line, mode: Http, given: &Given<'_>) -> Result<(), Error> {
    let path = given.value.filter(|_| given.state);
    if let Some(path) = path.filter(|path| !path_is_valid(path)) {
        let shown = text::printable(path);
        parser.err.push_str(&format!(";; The given HTTP path \"{shown}\" is not a valid absolute path\n"));
        return Err(parser.invalid("+", given.whole));
    }
    let settings = parser.settings(line);
    let secure = &mut settings.secure;
    secure.path = path.map(str::to_owned);
    secure.http = given.state;
    if given.state {
        (secure.plain, secure.get) = (mode.plain, mode.get);
    }
    // Without it the stream stays, as in BIND.
    if given.state {
        prefer_stream(settings, true);
    }
    Ok(())
}

/// `+tls-ca` and its kin; each of them alone asks for TLS too.
fn tls(parser: &mut Parser<'_>, line: &mut Line, rule: Rule, given: &Given<'_>) -> Result<(), Error> {
    let missing = match rule {
        Rule::TlsHost => "TLS hostname",
        Rule::TlsCert => "TLS certificate file",
        Rule::TlsKey => "TLS private key file",
        _ => "",
    };
    let value = given.value.filter(|_| given.state);
    if given.state && value.is_none() && !missing.is_empty() {
        parser.err.push_str(&format!(";; {missing} is not specified\n"));
        return Err(parser.invalid("+", given.whole));
    }
    let settings = parser.settings(line);
    let secure = &mut settings.secure;
    match rule {
        Rule::TlsHost => secure.hostname = value.map(str::to_owned),
        Rule::TlsCert => secure.certificate = value.map(PathBuf::from),
        Rule::TlsKey => secure.key = value.map(PathBuf::from),
        _ => secure.authority = given.state.then(|| value.map(PathBuf::from)),
    }
    if given.state {
        prefer_stream(settings, true);
    }
    Ok(())
}

fn trace(parser: &mut Parser<'_>, line: &mut Line, state: bool) {
    if state {
        parser.globals.search = false;
    }
    let settings = parser.settings(line);
    settings.trace = state;
    if state {
        settings.rd = true;
        settings.identify = true;
        settings.comments = false;
        settings.rr_comments = RrComments::Default;
        settings.stats = false;
        settings.additional = false;
        settings.authority = true;
        settings.question = false;
        settings.dnssec = true;
        settings.cookie = true;
    }
}

fn nssearch(parser: &mut Parser<'_>, line: &mut Line, state: bool) {
    if state {
        parser.globals.short = true;
    }
    let settings = parser.settings(line);
    settings.nssearch = state;
    if state {
        settings.rd = true;
        settings.identify = true;
        settings.stats = false;
        settings.comments = false;
        settings.additional = false;
        settings.authority = false;
        settings.question = false;
        settings.rtype = RrType::NS;
        settings.type_set = true;
        settings.rr_comments = RrComments::Default;
    }
}

/// Rules whose value is a number, or a name that `no` makes senseless; false when `rule` is not one of them.
fn valued(parser: &mut Parser<'_>, line: &mut Line, rule: Rule, given: &Given<'_>) -> Result<bool, Error> {
    let needed = |parser: &mut Parser<'_>| match given.value {
        Some(value) if given.state => Ok(value.to_owned()),
        _ => Err(parser.invalid("+", given.whole)),
    };
    match rule {
        Rule::Domain => {
            let domain = needed(parser)?;
            parser.globals.origins = Some(vec![domain]);
            // The domain replaces the search list, and is used.
            parser.globals.search = true;
        }
        Rule::Ndots => {
            let value = needed(parser)?;
            parser.globals.ndots = Some(number(parser, &value, 0xffff, "ndots")?);
        }
        Rule::Timeout => {
            let value = needed(parser)?;
            parser.globals.timeout = Some(number(parser, &value, 0xffff, "timeout")?.max(1));
        }
        Rule::Tries => {
            let value = needed(parser)?;
            let tries = number(parser, &value, u32::MAX, "tries")?.max(1);
            parser.settings(line).tries = Some(tries);
        }
        Rule::Retry => {
            let value = needed(parser)?;
            let tries = number(parser, &value, u32::MAX - 1, "retries")?.saturating_add(1);
            parser.settings(line).tries = Some(tries);
        }
        Rule::FuzzTime => {
            parser.globals.fuzz_time = match given.value {
                _ if !given.state => None,
                Some(value) => Some(number(parser, value, u32::MAX, "fuzztime")?),
                None => Some(FUZZ_TIME),
            };
        }
        Rule::Qid => {
            let qid = match given.state {
                false => None,
                true => {
                    let value = needed(parser)?;
                    u16::try_from(number(parser, &value, 0xffff, "qid")?).ok()
                }
            };
            parser.settings(line).qid = qid;
        }
        Rule::Opcode => {
            let opcode = match given.state {
                false => Opcode::QUERY,
                true => {
                    let value = needed(parser)?;
                    opcode(parser, &value)?
                }
            };
            parser.settings(line).opcode = opcode;
        }
        Rule::Split => split(parser, given)?,
        Rule::Http(mode) => http(parser, line, mode, given)?,
        Rule::TlsCa | Rule::TlsCert | Rule::TlsHost | Rule::TlsKey => tls(parser, line, rule, given)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn opcode(parser: &mut Parser<'_>, value: &str) -> Result<Opcode, Error> {
    let named = (0..16).map(Opcode).find(|code| code.to_string().eq_ignore_ascii_case(value));
    match named {
        Some(code) => Ok(code),
        None => Ok(Opcode(u8::try_from(number(parser, value, 15, "opcode")?).unwrap_or(0))),
    }
}

fn split(parser: &mut Parser<'_>, given: &Given<'_>) -> Result<(), Error> {
    match given.value {
        Some(_) if !given.state => return Err(parser.invalid("+", given.whole)),
        None if !given.state => parser.globals.split = Split::Off,
        None => {}
        Some(value) => {
            let parsed = number(parser, value, 1023, "split");
            // BIND goes on with the width it had before it gives up: -1 for none given, else three more than was asked.
            let adjusted = match parser.globals.split {
                Split::Default => Some(0),
                Split::Width(width) => Some(width + 4),
                Split::Off => None,
            };
            if let (Err(_), Some(width)) = (&parsed, adjusted) {
                parser.err.push_str(&format!(";; Warning, split must be a multiple of 4; adjusting to {width}\n"));
            }
            let mut width = parsed?;
            if width % 4 != 0 {
                width = width.div_ceil(4) * 4;
                parser.err.push_str(&format!(";; Warning, split must be a multiple of 4; adjusting to {width}\n"));
            }
            parser.globals.split = if width == 0 { Split::Off } else { Split::Width(width) };
        }
    }
    Ok(())
}

/// Rules about EDNS.
fn edns(parser: &mut Parser<'_>, line: &mut Line, rule: Rule, given: &Given<'_>) -> Result<(), Error> {
    let state = given.state;
    match rule {
        Rule::BufSize => {
            if !state {
                return Err(parser.invalid("+", given.whole));
            }
            let size = match given.value {
                None => UDP_SIZE,
                Some(value) => {
                    u16::try_from(numeric(parser, value, 0xffff, "buffer size", "buffer size")?).unwrap_or(0)
                }
            };
            parser.settings(line).udp_size = Some(size);
        }
        Rule::Edns => {
            let version = match given.value {
                _ if !state => None,
                None => Some(0),
                Some(value) => u8::try_from(number(parser, value, 255, "edns")?).ok(),
            };
            parser.settings(line).edns = version;
        }
        Rule::EdnsFlags => {
            let flags = match given.value {
                Some(value) if state => match numbers::c_number(value, 0xffff) {
                    Ok(flags) => u16::try_from(flags).unwrap_or(0),
                    Err(why) => {
                        parser.out.push_str(&format!("invalid ednsflags '{}': {why}\n", text::printable(value)));
                        return Err(Error::new(exit::INTERNAL, "Couldn't parse ednsflags"));
                    }
                },
                _ => 0,
            };
            let settings = parser.settings(line);
            settings.edns_flags = flags;
            if state && given.value.is_some() {
                settings.edns.get_or_insert(0);
            }
        }
        Rule::EdnsOpt => {
            if !state {
                parser.settings(line).edns_options.clear();
                return Ok(());
            }
            let option = edns_option(parser, given)?;
            let options = &mut parser.settings(line).edns_options;
            if options.len() >= EDNS_OPTIONS {
                return Err(Error::new(exit::USAGE, "too many ednsopts"));
            }
            options.push(option);
        }
        Rule::Cookie => {
            let bytes = match given.value {
                Some(value) if value.len() > 80 => {
                    return Err(Error::new(exit::INTERNAL, "COOKIE data too large"));
                }
                Some(value) => Some(hexadecimal(value)?),
                None => None,
            };
            let settings = parser.settings(line);
            if state {
                settings.edns.get_or_insert(0);
            }
            settings.cookie = state;
            settings.cookie_value = bytes;
        }
        Rule::Padding => {
            if state {
                parser.settings(line).edns.get_or_insert(0);
            }
            let Some(value) = given.value else { return Err(parser.invalid("+", given.whole)) };
            let size = number(parser, value, 512, "padding")?;
            parser.settings(line).padding = u16::try_from(size).unwrap_or(0);
        }
        Rule::Subnet => {
            if !state {
                parser.settings(line).subnet = None;
                return Ok(());
            }
            let Some(value) = given.value else { return Err(parser.invalid("+", given.whole)) };
            let subnet =
                numbers::subnet(value).map_err(|why| Error::new(exit::USAGE, text::printable(why.trim_end())))?;
            let settings = parser.settings(line);
            settings.edns.get_or_insert(0);
            settings.subnet = Some(subnet);
        }
        _ => {}
    }
    Ok(())
}

/// `+ednsopt=code[:hex]`
fn edns_option(parser: &mut Parser<'_>, given: &Given<'_>) -> Result<EdnsOption, Error> {
    let missing = || Error::new(exit::INTERNAL, "ednsopt no code point specified");
    let value = given.value.map(|value| value.trim_start_matches(':')).filter(|value| !value.is_empty());
    let (code, data) = match value.ok_or_else(missing)?.split_once(':') {
        Some((code, data)) => (code, data),
        None => (value.ok_or_else(missing)?, ""),
    };
    let named = EDNS_NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(code)).map(|(_, number)| *number);
    let code = match named {
        Some(code) => code,
        None => {
            let number = parser.number(code, 0xffff, "ednsopt").and_then(|number| u16::try_from(number).ok());
            number.ok_or_else(|| Error::new(exit::USAGE, format!("bad edns code point: {}", text::printable(code))))?
        }
    };
    Ok(EdnsOption { code, data: hexadecimal(data)? })
}

fn hexadecimal(value: &str) -> Result<Vec<u8>, Error> {
    numbers::hex(value).ok_or_else(|| Error::new(exit::USAGE, "isc_hex_decodestring: bad hex encoding"))
}

fn number(parser: &mut Parser<'_>, value: &str, max: u32, what: &str) -> Result<u32, Error> {
    numeric(parser, value, max, what, what)
}

fn numeric(parser: &mut Parser<'_>, value: &str, max: u32, what: &str, shown: &str) -> Result<u32, Error> {
    parser.number(value, max, what).ok_or_else(|| Error::new(exit::INTERNAL, format!("Couldn't parse {shown}")))
}
