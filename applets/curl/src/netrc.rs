//! The .netrc file (ftp(1)): machine, login, password; read as libcurl 8.14 reads it.

/// Longest word taken, in bytes, as libcurl has it.
const MAX_WORD: usize = 4096;
/// Largest file, in bytes.
pub(crate) const MAX_FILE: usize = 128 * 1024;

/// The file cannot be read as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Syntax;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Between entries.
    Outside,
    /// The next word is a machine's name.
    Name,
    /// In an entry for our host.
    Ours,
    /// In a macro, which ends with an empty line.
    Macro,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    None,
    Login,
    Password,
}

/// What was found so far.
#[derive(Debug, Default)]
struct Entry {
    login: Option<String>,
    password: Option<String>,
    has_login: bool,
    has_password: bool,
    /// The login is the one that was asked for, or any where none was.
    right_login: bool,
}

/// Login and password for a host; with `wanted` the entry of that login.
///
/// # Errors
/// A quotation that does not end, a stray control byte, a word or file too long.
pub(crate) fn find(text: &str, host: &str, wanted: Option<&str>) -> Result<Option<(String, String)>, Syntax> {
    if text.len() > MAX_FILE {
        return Err(Syntax);
    }
    let mut place = Place::Outside;
    let mut key = Key::None;
    let mut entry = Entry::default();
    let mut matched = false;
    'lines: for line in text.split('\n') {
        let mut rest = line.trim_start_matches([' ', '\t']);
        if rest.starts_with('#') {
            continue;
        }
        if place == Place::Macro && matches!(rest, "" | "\r") {
            place = Place::Outside;
        }
        while !rest.is_empty() {
            let (word, behind) = word(rest)?;
            rest = behind.trim_start_matches([' ', '\t']);
            let is = |name: &str| word.eq_ignore_ascii_case(name);
            match place {
                Place::Outside if is("macdef") => place = Place::Macro,
                Place::Outside if is("machine") => {
                    (place, key, entry) = (Place::Name, Key::None, Entry::default());
                }
                Place::Outside if is("default") => (place, matched) = (Place::Ours, true),
                Place::Outside => {}
                Place::Macro => {
                    if word.is_empty() {
                        place = Place::Outside;
                    }
                }
                Place::Name if is(host) => (place, matched) = (Place::Ours, true),
                Place::Name => place = Place::Outside,
                Place::Ours => match key {
                    Key::Login => {
                        entry.right_login = wanted.is_none_or(|wanted| wanted == word);
                        entry.login = Some(word);
                        entry.has_login = true;
                        key = Key::None;
                    }
                    Key::Password => {
                        entry.password = Some(word);
                        entry.has_password |= wanted.is_none() || entry.right_login;
                        key = Key::None;
                    }
                    Key::None if is("login") => key = Key::Login,
                    Key::None if is("password") => key = Key::Password,
                    Key::None if is("machine") => {
                        if entry.has_password {
                            break 'lines;
                        }
                        (place, entry) = (Place::Name, Entry::default());
                    }
                    Key::None if is("default") => (entry.login, entry.password) = (None, None),
                    Key::None => {}
                },
            }
            if entry.has_login && entry.has_password && entry.right_login {
                break 'lines;
            }
        }
    }
    if !matched {
        return Ok(None);
    }
    let login = wanted.map(str::to_owned).or(entry.login);
    let password = entry.password.or_else(|| entry.right_login.then(String::new));
    Ok(match (login, password) {
        (None, None) => None,
        (login, password) => Some((login.unwrap_or_default(), password.unwrap_or_default())),
    })
}

/// The first word, perhaps in quotation marks, and what is behind it.
fn word(text: &str) -> Result<(String, &str), Syntax> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| c <= ' ').unwrap_or(text.len());
        let (word, behind) = text.split_at_checked(end).ok_or(Syntax)?;
        // A carriage return at the end of a line ends it; any other control byte has no place here.
        if word.is_empty() && behind.trim_end_matches('\r').is_empty() {
            return Ok((String::new(), ""));
        }
        let fits = !word.is_empty() && word.len() < MAX_WORD;
        return if fits { Ok((word.to_owned(), behind)) } else { Err(Syntax) };
    };
    let mut out = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((out, quoted.get(at + 1..).unwrap_or(""))),
            '\\' => out.push(match chars.next().ok_or(Syntax)?.1 {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                c => c,
            }),
            c => out.push(c),
        }
        if out.len() >= MAX_WORD {
            break;
        }
    }
    Err(Syntax)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_file(words in proptest::collection::vec("machine|login|password|account|macdef|default|a|b|\"|\"a\\\\n|\\\\|#|\\PC{0,6}", 0..12),
            between in " |\n|\n\n|\t", wanted in proptest::option::of("a|b")) {
            let text = words.join(&between);
            if let Ok(Some((login, password))) = find(&text, "a", wanted.as_deref()) {
                prop_assert!(login.len() <= MAX_WORD && password.len() <= MAX_WORD);
                prop_assert!(wanted.is_none_or(|wanted| wanted == login));
            }
        }
    }

    #[test]
    fn entries() {
        let text =
            "# c\nmachine a login x password y\nmachine b\n login u\n password \"p w\"\ndefault login d password e\n";
        let both = |a: &str, b: &str| Ok(Some((a.to_owned(), b.to_owned())));
        assert_eq!(find(text, "a", None), both("x", "y"));
        assert_eq!(find(text, "B", None), both("u", "p w"));
        assert_eq!(find(text, "zzz", None), both("d", "e"));
        assert_eq!(find("machine q", "a", None), Ok(None));
        assert_eq!(find("machine a login x", "a", None), both("x", ""));
        assert_eq!(find("machine a password y", "a", None), both("", "y"));
        assert_eq!(find("machine a login x password y\nmachine a login z password w", "a", Some("z")), both("z", "w"));
        assert_eq!(find("machine a login \"x", "a", None), Err(Syntax));
        assert_eq!(
            find("macdef m\n machine a login x password y\n\nmachine a login z password w", "a", None),
            both("z", "w")
        );
    }
}
