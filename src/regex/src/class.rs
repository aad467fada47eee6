//! Sets of characters: brackets, `\d \w \s`, POSIX names, general categories and scripts.
//!
//! In Oniguruma with UTF-8 these are Unicode sets: `\d` is Nd, `\s` is White_Space, `\w` is Alphabetic, marks, Nd and Pc.

use crate::unicode::{category, category_named, category_names, lower, script, script_named, upper};

/// One named set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Any,
    Ascii,
    Alnum,
    Alpha,
    Blank,
    Cntrl,
    Digit,
    Graph,
    Lower,
    Print,
    Punct,
    Space,
    Upper,
    Word,
    XDigit,
    /// General categories, one bit each by their numbers.
    Category(u32),
    /// The number of a script.
    Script(u8),
}

/// Long names of categories and groups (Unicode, PropertyValueAliases), squeezed as [`Class::property`] squeezes.
const LONG_NAMES: [(&str, &str); 37] = [
    ("letter", "l"),
    ("mark", "m"),
    ("number", "n"),
    ("punctuation", "p"),
    ("symbol", "s"),
    ("separator", "z"),
    ("other", "c"),
    ("uppercaseletter", "lu"),
    ("lowercaseletter", "ll"),
    ("titlecaseletter", "lt"),
    ("modifierletter", "lm"),
    ("otherletter", "lo"),
    ("nonspacingmark", "mn"),
    ("spacingmark", "mc"),
    ("enclosingmark", "me"),
    ("decimalnumber", "nd"),
    ("letternumber", "nl"),
    ("othernumber", "no"),
    ("connectorpunctuation", "pc"),
    ("dashpunctuation", "pd"),
    ("openpunctuation", "ps"),
    ("closepunctuation", "pe"),
    ("initialpunctuation", "pi"),
    ("finalpunctuation", "pf"),
    ("otherpunctuation", "po"),
    ("mathsymbol", "sm"),
    ("currencysymbol", "sc"),
    ("modifiersymbol", "sk"),
    ("othersymbol", "so"),
    ("spaceseparator", "zs"),
    ("lineseparator", "zl"),
    ("paragraphseparator", "zp"),
    ("control", "cc"),
    ("format", "cf"),
    ("surrogate", "cs"),
    ("privateuse", "co"),
    ("unassigned", "cn"),
];

/// POSIX bracket names; they are property names too.
const POSIX: [(&str, Class); 14] = [
    ("alnum", Class::Alnum),
    ("alpha", Class::Alpha),
    ("blank", Class::Blank),
    ("cntrl", Class::Cntrl),
    ("digit", Class::Digit),
    ("graph", Class::Graph),
    ("lower", Class::Lower),
    ("print", Class::Print),
    ("punct", Class::Punct),
    ("space", Class::Space),
    ("upper", Class::Upper),
    ("xdigit", Class::XDigit),
    ("word", Class::Word),
    ("ascii", Class::Ascii),
];

/// The bit of a category in [`Class::Category`], by its two letters.
fn bit(name: &str) -> u32 {
    category_named(name).map_or(0, |number| 1 << number)
}

/// The bits of all categories whose two letters begin so.
fn group(prefix: &str) -> u32 {
    let member = |(number, name): (usize, &&str)| if name.starts_with(prefix) { 1 << number } else { 0 };
    category_names().iter().enumerate().map(member).sum()
}

/// Whether a character has one of these categories.
fn is(c: char, names: &[&str]) -> bool {
    let number = category(c);
    category_names().get(usize::from(number)).is_some_and(|name| names.contains(name))
}

impl Class {
    /// A name between `[:` and `:]`.
    pub(super) fn posix(name: &str) -> Option<Class> {
        POSIX.iter().find(|(known, _)| *known == name).map(|(_, class)| *class)
    }

    /// A name between `\p{` and `}`; case, spaces, hyphens and underscores do not count.
    pub(super) fn property(name: &str) -> Option<Class> {
        let squeezed: String =
            name.chars().filter(|c| !matches!(c, ' ' | '-' | '_')).map(|c| c.to_ascii_lowercase()).collect();
        if squeezed == "any" {
            return Some(Class::Any);
        }
        if squeezed == "assigned" {
            return Some(Class::Category(!bit("cn")));
        }
        if let Some(class) = Class::posix(&squeezed) {
            return Some(class);
        }
        match squeezed.as_str() {
            "alphabetic" => return Some(Class::Alpha),
            "lowercase" => return Some(Class::Lower),
            "uppercase" => return Some(Class::Upper),
            "whitespace" => return Some(Class::Space),
            _ => {}
        }
        let short = LONG_NAMES.iter().find(|(long, _)| *long == squeezed).map_or(squeezed.as_str(), |(_, short)| short);
        let mask = if matches!(short.len(), 1 | 2) { group(short) } else { 0 };
        if mask != 0 {
            return Some(Class::Category(mask));
        }
        script_named(&name.replace([' ', '-'], "_")).map(Class::Script)
    }

    /// Whether `c` belongs to the set.
    pub(super) fn has(self, c: char) -> bool {
        match self {
            Class::Any => true,
            Class::Ascii => c.is_ascii(),
            Class::Alnum => Class::Alpha.has(c) || Class::Digit.has(c),
            Class::Alpha => c.is_alphabetic(),
            Class::Blank => c == '\t' || (c == ' ' || !c.is_ascii() && is(c, &["zs"])),
            Class::Cntrl => c.is_control(),
            Class::Digit => c.is_ascii_digit() || !c.is_ascii() && is(c, &["nd"]),
            Class::Graph => {
                if c.is_ascii() {
                    c.is_ascii_graphic()
                } else {
                    !c.is_whitespace() && !is(c, &["cc", "cn", "cs"])
                }
            }
            Class::Lower => c.is_lowercase(),
            Class::Print => Class::Graph.has(c) || is(c, &["zs"]),
            // Symbols such as `+` and `$` are not punctuation, unlike in the C locale.
            Class::Punct => Class::Category(group("p")).has(c),
            Class::Space => c.is_whitespace(),
            Class::Upper => c.is_uppercase(),
            Class::Word => {
                if c.is_ascii() {
                    c.is_ascii_alphanumeric() || c == '_'
                } else {
                    c.is_alphabetic() || is(c, &["mn", "mc", "me", "nd", "pc"])
                }
            }
            Class::XDigit => c.is_ascii_hexdigit(),
            Class::Category(mask) => mask >> category(c) & 1 != 0,
            Class::Script(wanted) => script(c) == wanted,
        }
    }
}

/// A bracket expression, or one escape that stands for several characters.
#[derive(Clone, Debug, Default)]
pub(super) struct Set {
    /// `[^...]`.
    pub(super) negated: bool,
    /// Compared without case.
    pub(super) fold: bool,
    /// Both ends belong.
    pub(super) ranges: Vec<(char, char)>,
    /// Named sets; true means the complement.
    pub(super) classes: Vec<(Class, bool)>,
}

impl Set {
    /// One named set alone.
    pub(super) fn of(class: Class, complement: bool) -> Set {
        Set { classes: vec![(class, complement)], ..Set::default() }
    }

    /// Whether `c` belongs.
    pub(super) fn has(&self, c: char) -> bool {
        let listed = |c: char| {
            self.ranges.iter().any(|&(low, high)| low <= c && c <= high)
                || self.classes.iter().any(|&(class, complement)| class.has(c) != complement)
        };
        let found = listed(c) || self.fold && variants(c).into_iter().any(listed);
        found != self.negated
    }
}

/// The other cases of a character, where they are one character each.
fn variants(c: char) -> [char; 3] {
    let capital = upper(c);
    [lower(c), capital, lower(capital)]
}

/// One character that is the same for all cases of `c`.
pub(super) fn fold(c: char) -> char {
    if c.is_ascii() { c.to_ascii_lowercase() } else { lower(upper(c)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let has = |name: &str, c: char| Class::property(name).map(|class| class.has(c));
        assert_eq!(has("L", 'é'), Some(true));
        assert_eq!(has("Lu", 'é'), Some(false));
        assert_eq!(has("uppercase_letter", 'É'), Some(true));
        assert_eq!(has("Greek", 'α'), Some(true));
        assert_eq!(has("greek", 'a'), Some(false));
        assert_eq!(has("Old_Italic", '\u{10300}'), Some(true));
        assert_eq!(has("Alpha", '1'), Some(false));
        assert_eq!(has("Sc", '€'), Some(true));
        assert_eq!(has("Assigned", '\u{378}'), Some(false));
        assert_eq!(has("Nonsense", 'x'), None);
        assert_eq!(has("", 'x'), None);
        assert_eq!(Class::posix("Alpha"), None);
    }

    #[test]
    fn cases() {
        assert_eq!((fold('É'), fold('é'), fold('\u{212a}'), fold('ſ')), ('é', 'é', 'k', 's'));
        assert_eq!((fold('Σ'), fold('ς')), ('σ', 'σ'));
        let set = Set { fold: true, ranges: vec![('a', 'c')], ..Set::default() };
        assert!(set.has('B') && set.has('b') && !set.has('D'));
        let outside = Set { negated: true, ..set };
        assert!(!outside.has('B') && outside.has('D'));
    }
}
