use proptest::prelude::*;

use super::*;

/// Every match as `offset+length` and the groups as `offset:text`, `-` for none; or the error.
fn all(text: &str, pattern: &str, letters: &str) -> String {
    let flags = Flags::parse(&format!("g{letters}")).unwrap();
    let regex = match Regex::new(pattern, flags) {
        Ok(regex) => regex,
        Err(error) => return error.0,
    };
    let matches = match regex.matches(text) {
        Ok(matches) => matches,
        Err(error) => return error.0,
    };
    let part = |span: &Option<Span>| match span {
        Some(span) => format!(" {}:{}", span.offset, &text[span.start..span.end]),
        None => " -".to_owned(),
    };
    let one =
        |m: &Match| format!("{}+{}{}", m.span.offset, m.span.length, m.captures.iter().map(part).collect::<String>());
    matches.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn check(cases: &[(&str, &str, &str, &str)]) {
    for (text, pattern, letters, wanted) in cases {
        assert_eq!(all(text, pattern, letters), *wanted, "{text:?} {pattern:?} {letters:?}");
    }
}

#[test]
fn empty_matches_and_iteration() {
    check(&[
        ("", "", "", "0+0"),
        ("ab", "", "", "0+0, 1+0, 2+0"),
        ("éß", "", "", "0+0, 1+0, 2+0"),
        ("aa", "a*", "", "0+2, 2+0"),
        ("baac", "a*", "", "0+0, 1+2, 3+0, 4+0"),
        ("baac", "a*", "n", "1+2"),
        ("aaa", "a*?", "n", "0+1, 1+1, 2+1"),
        ("qux", "(?=u)", "", "1+0"),
        ("abc", "( )*", "", "0+0 -, 1+0 -, 2+0 -, 3+0 -"),
        ("ab", "()", "", "0+0 0:, 1+0 1:, 2+0 2:"),
        ("a", "^|$", "", "0+0, 1+0"),
        ("xay", "(z)?a(b)?", "", "1+1 - -"),
    ]);
    let once = Regex::new("a", Flags::default()).unwrap();
    assert_eq!(once.matches("xaa").unwrap().len(), 1);
    assert!(once.is_match("xa").unwrap() && !once.is_match("x").unwrap());
}

#[test]
fn places() {
    check(&[
        ("a\nb", "^b", "", ""),
        ("a\nb", "(?m)^b", "", "2+1"),
        ("a\nb", "a$", "", ""),
        ("a\n", "a$", "", "0+1"),
        ("a\nb", "(?m)a$", "", "0+1"),
        ("a\n", "a\\z", "", ""),
        ("a\n", "a\\Z", "", "0+1"),
        ("aab", "\\Ga", "", "0+1, 1+1"),
        ("aba", "\\Ga", "", "0+1"),
        ("foo bar", "\\b.", "", "0+1, 3+1, 4+1"),
        ("foo", "\\Bo", "", "1+1, 2+1"),
        ("price: 10", "price: \\K\\d+", "", "7+2"),
    ]);
}

#[test]
fn sets() {
    check(&[
        ("a]b", "[]]", "", "1+1"),
        ("a-b", "[a-]+", "", "0+2"),
        ("a[&", "[a[&&]+", "", "0+3"),
        ("x1٣", "\\d", "", "1+1, 2+1"),
        ("é_1 -", "\\w+", "", "0+3"),
        ("Ab", "[[:upper:]]", "", "0+1"),
        ("Ab", "[[:^upper:]]", "", "1+1"),
        ("+.", "[[:punct:]]", "", "1+1"),
        ("αb", "\\p{Greek}", "", "0+1"),
        ("é1", "\\p{^L}", "", "1+1"),
        ("é1", "\\P{Ll}", "", "1+1"),
        ("a\r\nb\nc", "\\R", "", "1+2, 4+1"),
        ("e\u{301}x", "\\X", "", "0+2, 2+1"),
        ("a.b", "\\Qa.b\\E", "", "0+3"),
        ("aσ", "Σ", "i", "1+1"),
        ("B", "[^b]", "i", ""),
        ("h", "\\h", "", "0+1"),
    ]);
}

#[test]
fn repeats() {
    check(&[
        ("aaa", "a++a", "", ""),
        ("aaa", "a{1,2}+", "", "0+2, 2+1"),
        ("aaaa", "a{2}", "", "0+2, 2+2"),
        ("aaab", "a{2,}?", "", "0+2"),
        ("a{,2}", "a{,2}", "", "0+5"),
        ("a{x", "a{x", "", "0+3"),
        ("abab", "(ab){2}", "", "0+4 2:ab"),
        ("ab", "((a)|(b))*", "n", "0+2 1:b 0:a 1:b"),
        ("b", "(a*)*b", "", "0+1 0:"),
        ("aab", "(?>a+)ab", "", ""),
        ("abc", "(?:a|ab)(?:c|bcd)?$", "", "0+3"),
        ("abcd", "(a|ab)(c|bcd)?", "l", "0+4 0:a 1:bcd"),
        ("<<a>>", "<(.+?)>", "", "0+4 1:<a"),
    ]);
}

#[test]
fn groups() {
    check(&[
        ("abab", "(?<x>ab)\\k<x>", "", "0+4 0:ab"),
        ("aAa", "(a)\\1", "i", "0+2 0:a"),
        ("aa", "(a)\\k<-1>", "", "0+2 0:a"),
        ("ab", "(?<=a)b", "", "1+1"),
        ("ab", "(?<!a)b", "", ""),
        ("abc", "(?<=(?:a|b))c", "", "2+1"),
        ("aXbX", "[ab](?!X)|b", "", "2+1"),
        ("(a(b)c)", "(?<p>\\((?:[^()]|\\g<p>)*\\))", "", "0+7 0:(a(b)c)"),
        ("f(a(b))", "\\((?:[^()]|\\g<0>)*\\)", "", "1+6"),
        ("12-34", "(?<n>\\d+){0}\\g<n>-\\g<n>", "", "0+5 3:34"),
        ("ab", "(a)?(?(1)b|c)", "", "0+2 0:a"),
        ("aB", "(?:(?i)A)B", "", "0+2"),
        ("aB", "((?i)a)b", "", ""),
        ("ac", "a(?i)b|C", "", "1+1"),
        ("ab", "a (?#why) b # tail", "x", "0+2"),
    ]);
    let names = Regex::new("(?<y>a)(b)(?<z>c)", Flags::default()).unwrap();
    assert_eq!(names.names(), [Some("y".to_owned()), None, Some("z".to_owned())]);
}

#[test]
fn errors() {
    check(&[
        ("", "(", "", "end pattern with unmatched parenthesis"),
        ("", ")", "", "unmatched close parenthesis"),
        ("", "*", "", "target of repeat operator is not specified"),
        ("", "^*", "", "target of repeat operator is invalid"),
        ("", "[a", "", "premature end of char-class"),
        ("", "[]", "", "empty char-class"),
        ("", "[b-a]", "", "empty range in char class"),
        ("", "[\\d-z]", "", "unmatched range specifier in char-class"),
        ("", "[a-\\d]", "", "char-class value at end of range"),
        ("", "\\", "", "end pattern at escape"),
        ("", "(?", "", "end pattern in group"),
        ("", "(?z)", "", "undefined group option"),
        ("", "(?P<x>a)", "", "undefined group option"),
        ("", "(?<>a)", "", "group name is empty"),
        ("", "(?<1a>a)", "", "invalid group name <1a>"),
        ("", "\\k<n>", "", "undefined name <n> reference"),
        ("", "\\g<1>", "", "undefined group <1> reference"),
        ("", "(a)\\2", "", "invalid backref number/name"),
        ("", "(?<a>\\g<a>)", "", "never ending recursion"),
        ("", "\\p{Foo}", "", "invalid character property name {Foo}"),
        ("", "[[:foo:]]", "", "invalid POSIX bracket type"),
        ("", "a{2,1}", "", "upper is smaller than lower in repeat range"),
        ("", "a{100001}", "", "too big number for repeat range"),
        ("", "(?<=ab?)c", "", "invalid pattern in look-behind"),
        ("", "(?<!(a)b)c", "", "invalid pattern in look-behind"),
    ]);
    assert_eq!(Flags::parse("gq"), Err("gq is not a valid modifier string".to_owned()));
    let error = Regex::new("(", Flags::default()).unwrap_err();
    assert_eq!(error.to_string(), "Regex failure: end pattern with unmatched parenthesis");
}

#[test]
fn hostile_patterns_end() {
    let text = "a".repeat(40) + "X";
    assert_eq!(all(&text, "(a+)+$", ""), "retry-limit-in-match over");
    let deep = "(".repeat(100_000);
    assert_eq!(all("", &deep, ""), "parse depth limit over");
    assert_eq!(all("aaa", "((((a{100000}){100000}){100000}){100000})", ""), "");
    assert_eq!(all("", "(?:(?:(?:){100000}){100000}){100000}x", ""), "");
    assert_eq!(all(&"(".repeat(5_000_000), "(?<p>\\(\\g<p>?)x", ""), "match-stack limit over");
    let wide = "a?".repeat(2_000) + &"a".repeat(2_000);
    assert!(Regex::new(&wide, Flags::default()).is_ok());
}

#[test]
fn a_long_text_is_searched_in_linear_time() {
    let text = "é".repeat(200_000) + "x";
    let regex = Regex::new(".", Flags { global: true, ..Flags::default() }).unwrap();
    let matches = regex.matches(&text).unwrap();
    assert_eq!((matches.len(), matches.last().unwrap().span.offset), (200_001, 200_000));
    assert!(Regex::new("^(.*)x$", Flags::default()).unwrap().is_match(&text).unwrap());
}

#[test]
fn from_a_place_on() {
    let regex = Regex::new("a|é", Flags::default()).unwrap();
    let found: Vec<_> = (0..=6).map(|from| regex.find("aéaé", from).unwrap()).collect();
    let places = [(0, 1), (1, 3), (3, 4), (3, 4), (4, 6)];
    assert_eq!(found[..5], places.map(Some));
    assert_eq!(found[5..], [None, None]);
}

proptest! {
    #[test]
    fn any_pattern_is_read_or_refused(pattern in "[ab(){}|*+?\\\\.^$\\[\\]0-9<>=!:kgpPdLi#,-]{0,24}", text in "[ab\n1é]{0,12}") {
        if let Ok(regex) = Regex::new(&pattern, Flags { global: true, ..Flags::default() })
            && let Ok(matches) = regex.matches(&text)
        {
            for found in matches {
                prop_assert!(text.get(found.span.start..found.span.end).is_some());
                prop_assert_eq!(text[..found.span.start].chars().count(), found.span.offset);
            }
            for from in 0..=text.len() + 1 {
                if let Ok(Some((start, end))) = regex.find(&text, from) {
                    prop_assert!(text.get(start..end).is_some() && end >= from);
                }
            }
        }
    }

    #[test]
    fn a_quoted_text_finds_itself(before in "[a-z.*]{0,6}", text in "[a-z.*+?(){}|^$éß]{1,10}") {
        let pattern = format!("\\Q{text}\\E");
        let whole = format!("{before}{text}");
        let found = Regex::new(&pattern, Flags::default()).unwrap().matches(&whole).unwrap();
        prop_assert_eq!(found.first().map(|m| m.span.start), whole.find(&text));
    }
}
