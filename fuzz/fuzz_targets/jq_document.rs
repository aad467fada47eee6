//! A document from anybody: read in every mode, cut into pieces, printed in several layouts, read again.
//!
//! The first byte chooses mode, piece size and layout, or YAML (0xff); the rest is the input.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netkit_jq::read::{Item, Mode, Reader, parse};
use netkit_jq::value::Value;
use netkit_jq::write::{Colors, Indent, Style, to_json, write};

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, text)) = bytes.split_first() else { return };
    if *choice == u8::MAX {
        return yaml(text);
    }
    let bit = |number: u8| choice >> number & 1 == 1;
    let mode = Mode { seq: bit(0), stream: bit(1), stream_errors: bit(1) && bit(2) };
    let size = if bit(3) { 1 } else { 1 + usize::from(choice >> 4) };
    let whole = items(text, mode, usize::MAX);
    assert_eq!(shown(&whole), shown(&items(text, mode, size)), "how the input is cut must not matter");
    let style = Style {
        indent: if bit(4) { Indent::Spaces(usize::from(choice >> 5)) } else { Indent::Compact },
        sort_keys: bit(5),
        ascii: bit(6),
        colors: bit(7).then(Colors::default),
    };
    for value in whole.iter().filter_map(|item| if let Item::Value(value) = item { Some(value) } else { None }) {
        let mut printed = String::new();
        write(value, &style, &mut printed, &mut |_| Ok(())).expect("nothing is handed on, so nothing can fail");
        if style.ascii {
            assert!(printed.is_ascii(), "{printed:?}");
        }
        if style.colors.is_none() {
            again(value, &printed);
        }
        again(value, &to_json(value));
    }
});

fn yaml(text: &[u8]) {
    for value in netkit_jq::yaml::documents(&String::from_utf8_lossy(text)).unwrap_or_default() {
        // Aliases let a short text stand for a million values; printing them is not what is asked here.
        if text.len() < 256 {
            again(&value, &to_json(&value));
        }
    }
}

/// What is printed reads back as the same value, but for NaN, which is printed as null, and for what is too deep.
fn again(value: &Value, shown: &str) {
    match parse(shown) {
        Ok(read) => assert_eq!(sorted(&read), sorted(value)),
        Err(message) => assert!(message.contains("depth limit"), "{message}: {shown}"),
    }
}

/// With its keys in order, which `-S` changes.
fn sorted(value: &Value) -> String {
    let style = Style { sort_keys: true, ..Style::default() };
    let mut text = String::new();
    write(value, &style, &mut text, &mut |_| Ok(())).expect("nothing is handed on, so nothing can fail");
    // An infinity is printed as the largest double, and that literal keeps the form it is read in.
    text.replace("1.7976931348623157E+308", "1.7976931348623157e+308")
}

/// As text, because NaN is not equal to itself.
fn shown(items: &[Item]) -> Vec<String> {
    let text = |item: &Item| match item {
        Item::Value(value) => to_json(value),
        Item::Error(message) => message.clone(),
    };
    items.iter().map(text).collect()
}

fn items(text: &[u8], mode: Mode, size: usize) -> Vec<Item> {
    let mut reader = Reader::new(mode);
    let mut items = Vec::new();
    for piece in text.chunks(size.min(text.len().max(1))) {
        let mut at = 0;
        while let Some(item) = reader.next(piece, &mut at) {
            items.push(item);
            // Behind an error the reader goes on behind its line, which is the inputs' work.
            if !mode.seq && matches!(items.last(), Some(Item::Error(_))) || items.len() > 2000 {
                return items;
            }
        }
        reader.piece_done(piece);
    }
    while let Some(item) = reader.finish() {
        items.push(item);
    }
    items
}
