//! The .netrc file (ftp(1)): machine, login, password.

/// Login and password for a host. With `login` given only an entry of that login counts.
pub(crate) fn find(text: &str, host: &str, login: Option<&str>) -> Option<(String, String)> {
    #[derive(Default)]
    struct Entry {
        applies: bool,
        login: Option<String>,
        password: Option<String>,
    }
    let mut entry = Entry::default();
    let settled = |entry: &Entry| {
        let fits = entry.applies && login.is_none_or(|login| entry.login.as_deref().is_none_or(|own| own == login));
        let name = entry.login.clone().or_else(|| login.map(str::to_owned));
        (fits && (entry.login.is_some() || entry.password.is_some()))
            .then(|| (name.unwrap_or_default(), entry.password.clone().unwrap_or_default()))
    };
    let mut words = tokens(text).into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "machine" => {
                if let Some(found) = settled(&entry) {
                    return Some(found);
                }
                let applies = words.next().is_some_and(|machine| machine.eq_ignore_ascii_case(host));
                entry = Entry { applies, ..Entry::default() };
            }
            "default" => {
                if let Some(found) = settled(&entry) {
                    return Some(found);
                }
                entry = Entry { applies: true, ..Entry::default() };
            }
            "login" => entry.login = words.next(),
            "password" => entry.password = words.next(),
            "account" => {
                words.next();
            }
            _ => {}
        }
    }
    settled(&entry)
}

/// Words, perhaps in quotation marks; comments and macros are left out.
fn tokens(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut in_macro = false;
    for line in text.lines() {
        let line = line.trim_start();
        if in_macro {
            in_macro = !line.is_empty();
            continue;
        }
        if line.starts_with('#') {
            continue;
        }
        if line.starts_with("macdef") {
            in_macro = true;
            continue;
        }
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.peek().copied() {
            if c.is_whitespace() {
                chars.next();
                continue;
            }
            let mut word = String::new();
            if c == '"' {
                chars.next();
                while let Some(c) = chars.next() {
                    match c {
                        '"' => break,
                        '\\' => match chars.next() {
                            Some('n') => word.push('\n'),
                            Some('r') => word.push('\r'),
                            Some('t') => word.push('\t'),
                            Some(c) => word.push(c),
                            None => {}
                        },
                        c => word.push(c),
                    }
                }
            } else {
                while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
                    word.push(c);
                }
            }
            out.push(word);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries() {
        let text =
            "# c\nmachine a login x password y\nmachine b\n login u\n password \"p w\"\ndefault login d password e\n";
        let both = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(find(text, "a", None), both("x", "y"));
        assert_eq!(find(text, "B", None), both("u", "p w"));
        assert_eq!(find(text, "zzz", None), both("d", "e"));
        assert_eq!(find("machine a login x password y", "a", Some("q")), None);
        assert_eq!(find("machine q", "a", None), None);
    }
}
