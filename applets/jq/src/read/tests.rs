use super::*;
use crate::write::to_json;
use proptest::prelude::*;

/// Everything a text gives, cut into pieces of `size` bytes.
fn pieces(text: &[u8], mode: Mode, size: usize) -> Vec<String> {
    let mut reader = Reader::new(mode);
    let mut seen = Vec::new();
    let show = |item| match item {
        Item::Value(value) => to_json(&value),
        Item::Error(message) => format!("! {message}"),
    };
    for piece in text.chunks(size) {
        let mut at = 0;
        while let Some(item) = reader.next(piece, &mut at) {
            let error = matches!(item, Item::Error(_));
            seen.push(show(item));
            if error && !mode.seq {
                return seen;
            }
        }
        reader.piece_done(piece);
    }
    while let Some(item) = reader.finish() {
        seen.push(show(item));
    }
    seen
}

fn read(text: &str) -> Vec<String> {
    pieces(text.as_bytes(), Mode::default(), usize::MAX)
}

fn stream(text: &str) -> Vec<String> {
    pieces(text.as_bytes(), Mode { stream: true, ..Mode::default() }, usize::MAX)
}

fn seq(text: &str) -> Vec<String> {
    pieces(text.as_bytes(), Mode { seq: true, ..Mode::default() }, usize::MAX)
}

#[test]
fn values_follow_each_other() {
    assert_eq!(read(""), [""; 0]);
    assert_eq!(read(" \n"), [""; 0]);
    assert_eq!(
        read("1 2\n\"a\"\"b\"[]{}true null[3]4"),
        ["1", "2", "\"a\"", "\"b\"", "[]", "{}", "true", "null", "[3]", "4"]
    );
    assert_eq!(read("1[2]3\"x\""), ["1", "[2]", "3", "\"x\""]);
    assert_eq!(read("{\"a\":1,\"b\":{\"c\":[1,2,{}]},\"a\":3}"), ["{\"a\":3,\"b\":{\"c\":[1,2,{}]}}"]);
    assert_eq!(read("\u{feff}[1]"), ["[1]"]);
    assert_eq!(read("nan NaN -nan 007 1.50 +5 .5"), ["null", "null", "null", "7", "1.50", "5", "0.5"]);
    assert_eq!(read("1e1000 1E400000000000"), ["1E+1000", "1.7976931348623157e+308"]);
}

#[test]
fn errors_have_jqs_text_and_place() {
    for (text, error) in [
        ("[1,2", "Unfinished JSON term at EOF at line 1, column 4"),
        ("\"abc", "Unfinished string at EOF at line 1, column 4"),
        ("foobar\n", "Invalid literal at line 2, column 0"),
        ("oops\n", "Invalid numeric literal at line 2, column 0"),
        ("oops", "Invalid numeric literal at EOF at line 1, column 4"),
        ("{'a':1}", "Invalid string literal; expected \", but got ' at line 1, column 5"),
        ("[1 2]", "Expected separator between values at line 1, column 5"),
        ("[1,]", "Expected another array element at line 1, column 4"),
        ("{\"a\":1,}", "Expected another key-value pair at line 1, column 8"),
        ("{\"a\"}", "Objects must consist of key:value pairs at line 1, column 5"),
        ("{\"a\",1}", "Objects must consist of key:value pairs at line 1, column 5"),
        ("{1:2}", "Object keys must be strings at line 1, column 3"),
        ("{:1}", "Expected string key before ':' at line 1, column 2"),
        ("[\"a\":1]", "':' not as part of an object at line 1, column 5"),
        ("{\"a\":1:2}", "':' not as part of an object at line 1, column 7"),
        ("[,1]", "Expected value before ',' at line 1, column 2"),
        ("1,2", "Expected value before ',' at line 1, column 2"),
        ("]", "Unmatched ']' at line 1, column 1"),
        ("}", "Unmatched '}' at line 1, column 1"),
        ("[}", "Unmatched '}' at line 1, column 2"),
        ("{]", "Unmatched ']' at line 1, column 2"),
        ("{\"a\":}", "Unmatched '}' at line 1, column 6"),
        ("[\n\n  tru]", "Invalid literal at line 3, column 6"),
        ("\"\\x\"", "Invalid escape at line 1, column 4"),
        ("\"\\u12\"", "Invalid \\uXXXX escape at line 1, column 6"),
        (
            "\"a\nb\"",
            "Invalid string: control characters from U+0000 through U+001F must be escaped at line 2, column 2",
        ),
        ("\u{1e}1", "Invalid numeric literal at EOF at line 1, column 2"),
    ] {
        assert_eq!(read(text), [format!("! {error}")], "{text:?}");
    }
    assert_eq!(read("1 2]"), ["1", "! Unmatched ']' at line 1, column 4"]);
    assert_eq!(pieces(b"\xef\xbb[]", Mode::default(), 9), ["! Malformed BOM"]);
}

#[test]
fn nesting_is_bounded() {
    let nested = |open: &str, depth: usize| open.repeat(depth);
    assert!(read(&(nested("[", 10_000) + &nested("]", 10_000)))[0].starts_with("[["));
    assert_eq!(read(&nested("[", 10_001)), ["! Exceeds depth limit for parsing at line 1, column 10001"]);
    assert_eq!(read(&nested("[", 1_000_000)), ["! Exceeds depth limit for parsing at line 1, column 10001"]);
    // A key that waits for its value counts as a level.
    assert_eq!(read(&nested("{\"a\":", 6_000)), ["! Exceeds depth limit for parsing at line 1, column 25001"]);
}

#[test]
fn events() {
    assert_eq!(stream("3 \"a\" [] {}"), ["[[],3]", "[[],\"a\"]", "[[],[]]", "[[],{}]"]);
    assert_eq!(
        stream("{\"a\":[1,{\"b\":2}],\"c\":{}}"),
        ["[[\"a\",0],1]", "[[\"a\",1,\"b\"],2]", "[[\"a\",1,\"b\"]]", "[[\"a\",1]]", "[[\"c\"],{}]", "[[\"c\"]]"]
    );
    assert_eq!(stream("[1,[]]"), ["[[0],1]", "[[1],[]]", "[[1]]"]);
    for (text, error) in [
        ("[1,2", "Unfinished JSON term at EOF at line 1, column 4"),
        ("{\"a\":1,\"b\",", "Objects must consist of key:value pairs at line 1, column 11"),
        ("{{", "Expected string key after '{', not '{' at line 1, column 2"),
        ("{\"x\":1,[", "Expected string key after ',' in object, not '[' at line 1, column 8"),
        ("[1[", "Expected a separator between values at line 1, column 3"),
        ("[1 2", "Expected separator between values at EOF at line 1, column 4"),
        ("]", "Unmatched ']' at the top-level at line 1, column 1"),
        ("[}", "Unmatched '}' in the middle of an array at line 1, column 2"),
        ("{]", "Unmatched ']' in the middle of an object at line 1, column 2"),
        ("{\"a\":}", "Missing value in key:value pair at line 1, column 6"),
        ("{\"a\":1,}", "Expected another key:value pair at line 1, column 8"),
        ("[1,]", "Expected another array element at line 1, column 4"),
        ("{\"a\"}", "Objects must consist of key:value pairs at line 1, column 5"),
        ("[\"a\":", "':' not as part of an object at line 1, column 5"),
        ("{1:", "Object keys must be strings at line 1, column 3"),
        ("{:", "Expected string key before ':' at line 1, column 2"),
        ("[,", "Expected value before ',' at line 1, column 2"),
    ] {
        assert_eq!(stream(text).last().unwrap(), &format!("! {error}"), "{text:?}");
    }
    let errors = Mode { stream: true, stream_errors: true, ..Mode::default() };
    assert_eq!(pieces(b"[", errors, 9), ["[\"Unfinished JSON term at EOF at line 1, column 1\",[0]]"]);
    // A stream of any depth takes only its path.
    assert_eq!(stream(&"[".repeat(20_000)), ["! Unfinished JSON term at EOF at line 1, column 20000"]);
}

#[test]
fn sequences() {
    assert_eq!(seq("\u{1e}1\n\u{1e}[2]\n\u{1e}\"a\""), ["1", "[2]", "\"a\""]);
    assert_eq!(seq("1\n"), ["! Unfinished abandoned text at EOF at line 2, column 0"]);
    assert_eq!(seq("\"foo"), ["! Unfinished abandoned text at EOF at line 1, column 4"]);
    assert_eq!(seq("\u{1e}true\u{1e}"), ["! Truncated value at line 1, column 6"]);
    assert_eq!(seq("\u{1e}1\u{1e}2\n"), ["! Potentially truncated top-level numeric value at line 1, column 3", "2"]);
    assert_eq!(seq("\u{1e}1"), ["! Potentially truncated top-level numeric value at EOF at line 1, column 2"]);
    assert_eq!(seq("\u{1e}[1,2\u{1e}[3]\n"), ["! Truncated value at line 1, column 6", "[3]"]);
    assert_eq!(seq("\u{1e}\"ab\u{1e}[3]\n"), ["! Truncated value at line 1, column 5", "[3]"]);
    assert_eq!(
        seq("0\u{1e}9 8\n[7,6\u{1e}[5]false\"x\"{\"c\":4\u{1e}{}\u{1e}true\n"),
        [
            "9",
            "8",
            "! Truncated value at line 2, column 5",
            "[5]",
            "false",
            "\"x\"",
            "! Truncated value at line 2, column 23",
            "{}",
            "true"
        ]
    );
    // An unfinished string is judged as a word.
    for size in [1, 3, 99] {
        let events = Mode { seq: true, stream: true, stream_errors: false };
        assert_eq!(
            pieces(b"\x1e\"ab\x1e1 ", events, size),
            ["! Invalid numeric literal at line 1, column 5", "[[],1]"]
        );
        assert_eq!(pieces(b"\x1e\"12\x1e1 ", events, size), ["[[],1]"]);
    }
    // A broken byte order mark is skipped, and what stands behind it is not waited for.
    for size in [1, 2, 9] {
        let mode = Mode { seq: true, ..Mode::default() };
        assert_eq!(pieces(b"\xef\xbb1 \x1e2 ", mode, size), ["1", "2"]);
    }
    assert_eq!(seq("\u{1e}]\n1 "), ["! Unmatched ']' at line 1, column 2 (need RS to resync)", "1"]);
}

#[test]
fn one_text() {
    assert_eq!(parse(" [1] "), Ok(Value::array(vec![Value::number(1.0)])));
    assert_eq!(parse("").unwrap_err(), "Expected JSON value");
    assert_eq!(parse("1 2").unwrap_err(), "Unexpected extra JSON values");
    assert_eq!(parse("NaN10").unwrap_err(), "Invalid numeric literal at EOF at line 1, column 5");
    assert_eq!(parse("{").unwrap_err(), "Unfinished JSON term at EOF at line 1, column 1");
    assert_eq!(parse_all(b"1 [2]\n").unwrap().len(), 2);
    assert!(parse_all(b"1 [2").is_err());
}

proptest! {
    /// How the input is cut changes nothing, whatever it is.
    #[test]
    fn pieces_do_not_matter(
        text in "([\\[\\]{}:,\" \n\u{1e}\\\\]|true|null|nan|-?[0-9]{1,3}(\\.[0-9]{1,2})?|\"[a-zé\\\\u0-9]{0,6}\"){0,24}",
        size in 1usize..5,
        seq: bool, stream: bool, stream_errors: bool,
    ) {
        let mode = Mode { seq, stream, stream_errors: stream && stream_errors };
        let whole = pieces(text.as_bytes(), mode, usize::MAX);
        prop_assert_eq!(whole, pieces(text.as_bytes(), mode, size));
    }

    #[test]
    fn any_bytes(text in proptest::collection::vec(any::<u8>(), 0..80), seq: bool, stream: bool) {
        let _ = pieces(&text, Mode { seq, stream, stream_errors: false }, 7);
    }

    /// What is printed reads back as itself.
    #[test]
    fn round_trip(text in "\\PC{0,20}", number: f64) {
        let number = if number.is_nan() { 0.0 } else { number };
        let value = Value::array(vec![text.as_str().into(), Value::number(number)]);
        prop_assert_eq!(parse(&to_json(&value)), Ok(value));
    }
}
