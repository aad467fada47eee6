//! Sets of characters: brackets, `\d \w \s`, POSIX names, general categories and scripts.
//!
//! In Oniguruma with UTF-8 these are Unicode sets: `\d` is Nd, `\s` is White_Space, `\w` is Alphabetic, marks, Nd and Pc.

use unicode_general_category::{GeneralCategory as Gc, get_general_category};
use unicode_script::{Script, UnicodeScript as _};

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
    /// General categories, one bit each in the order of [`CATEGORIES`].
    Category(u32),
    Script(Script),
}

/// Short name and value of each general category; the groups (`L`, `M` ...) are the first letters.
const CATEGORIES: [(&str, Gc); 30] = [
    ("lu", Gc::UppercaseLetter),
    ("ll", Gc::LowercaseLetter),
    ("lt", Gc::TitlecaseLetter),
    ("lm", Gc::ModifierLetter),
    ("lo", Gc::OtherLetter),
    ("mn", Gc::NonspacingMark),
    ("mc", Gc::SpacingMark),
    ("me", Gc::EnclosingMark),
    ("nd", Gc::DecimalNumber),
    ("nl", Gc::LetterNumber),
    ("no", Gc::OtherNumber),
    ("pc", Gc::ConnectorPunctuation),
    ("pd", Gc::DashPunctuation),
    ("ps", Gc::OpenPunctuation),
    ("pe", Gc::ClosePunctuation),
    ("pi", Gc::InitialPunctuation),
    ("pf", Gc::FinalPunctuation),
    ("po", Gc::OtherPunctuation),
    ("sm", Gc::MathSymbol),
    ("sc", Gc::CurrencySymbol),
    ("sk", Gc::ModifierSymbol),
    ("so", Gc::OtherSymbol),
    ("zs", Gc::SpaceSeparator),
    ("zl", Gc::LineSeparator),
    ("zp", Gc::ParagraphSeparator),
    ("cc", Gc::Control),
    ("cf", Gc::Format),
    ("cs", Gc::Surrogate),
    ("co", Gc::PrivateUse),
    ("cn", Gc::Unassigned),
];

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

/// The bit of a category in [`Class::Category`].
fn bit(category: Gc) -> u32 {
    CATEGORIES.iter().position(|(_, known)| *known == category).map_or(0, |index| 1 << index)
}

fn group(prefix: &str) -> u32 {
    let member = |(index, (name, _)): (usize, &(&str, Gc))| if name.starts_with(prefix) { 1 << index } else { 0 };
    CATEGORIES.iter().enumerate().map(member).sum()
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
            return Some(Class::Category(!bit(Gc::Unassigned)));
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
        let mask = match short.len() {
            1 => group(short),
            2 => CATEGORIES.iter().find(|(known, _)| *known == short).map_or(0, |(_, category)| bit(*category)),
            _ => 0,
        };
        if mask != 0 {
            return Some(Class::Category(mask));
        }
        // Script names are written with capitals and underscores in the table: try the words as they stand.
        let words: Vec<String> = name
            .split(['_', ' ', '-'])
            .map(|word| {
                let mut letters = word.chars();
                let head = letters.next().map(|c| c.to_ascii_uppercase());
                head.into_iter().chain(letters.map(|c| c.to_ascii_lowercase())).collect()
            })
            .collect();
        Script::from_full_name(&words.join("_")).or_else(|| Script::from_short_name(&words.concat())).map(Class::Script)
    }

    /// Whether `c` belongs to the set.
    pub(super) fn has(self, c: char) -> bool {
        match self {
            Class::Any => true,
            Class::Ascii => c.is_ascii(),
            Class::Alnum => Class::Alpha.has(c) || Class::Digit.has(c),
            Class::Alpha => c.is_alphabetic(),
            Class::Blank => c == '\t' || (c == ' ' || !c.is_ascii() && get_general_category(c) == Gc::SpaceSeparator),
            Class::Cntrl => c.is_control(),
            Class::Digit => c.is_ascii_digit() || !c.is_ascii() && get_general_category(c) == Gc::DecimalNumber,
            Class::Graph => {
                if c.is_ascii() {
                    c.is_ascii_graphic()
                } else {
                    !c.is_whitespace()
                        && !matches!(get_general_category(c), Gc::Control | Gc::Unassigned | Gc::Surrogate)
                }
            }
            Class::Lower => c.is_lowercase(),
            Class::Print => Class::Graph.has(c) || get_general_category(c) == Gc::SpaceSeparator,
            // Symbols such as `+` and `$` are not punctuation, unlike in the C locale.
            Class::Punct => Class::Category(group("p")).has(c),
            Class::Space => c.is_whitespace(),
            Class::Upper => c.is_uppercase(),
            Class::Word => {
                if c.is_ascii() {
                    c.is_ascii_alphanumeric() || c == '_'
                } else {
                    c.is_alphabetic()
                        || matches!(
                            get_general_category(c),
                            Gc::NonspacingMark
                                | Gc::SpacingMark
                                | Gc::EnclosingMark
                                | Gc::DecimalNumber
                                | Gc::ConnectorPunctuation
                        )
                }
            }
            Class::XDigit => c.is_ascii_hexdigit(),
            Class::Category(mask) => mask & bit(get_general_category(c)) != 0,
            Class::Script(script) => c.script() == script,
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
        let found = listed(c) || self.fold && variants(c).any(listed);
        found != self.negated
    }
}

/// The other cases of a character, where they are one character each.
fn variants(c: char) -> impl Iterator<Item = char> {
    let single = |mut cases: Box<dyn Iterator<Item = char>>| match (cases.next(), cases.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    };
    let lower = single(Box::new(c.to_lowercase()));
    let upper = single(Box::new(c.to_uppercase()));
    let lower_of_upper = upper.and_then(|u| single(Box::new(u.to_lowercase())));
    [lower, upper, lower_of_upper].into_iter().flatten()
}

/// One character that is the same for all cases of `c`.
pub(super) fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let one = |mut cases: std::char::ToUppercase| match (cases.next(), cases.next()) {
        (Some(only), None) => only,
        _ => c,
    };
    let upper = one(c.to_uppercase());
    let mut lower = upper.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(only), None) => only,
        _ => upper,
    }
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
