//! A filter from anybody: compiled, and run on a few small inputs with a bound on its results.
//!
//! A filter can loop for ever or grow without end by right, as any program can; those that may are only compiled.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netkit_jq::host::{NoHost, Outcome, Settings, Stop};
use netkit_jq::value::{Map, Value};
use netkit_jq::{compile, read, write};

const INPUTS: [&str; 4] =
    ["null", "[1,\"a\",[2,null]]", "{\"a\":{\"b\":[1,2]},\"c\":\"x y\"}", "\"2015-03-05T23:51:47Z\""];

/// What can go on without end, or ask for very much at once.
const ENDLESS: [&str; 12] =
    ["def", "repeat", "range", "while", "until", "recurse", "..", "limit", "combinations", "e", "*", "walk"];

fuzz_target!(|text: &str| {
    let settings = Settings {
        variables: Map::new(),
        library: Some(Vec::new()),
        origin: "/nonexistent".into(),
        program: "/nonexistent".into(),
        env: Map::new(),
        home: None,
    };
    let Ok(mut filter) = compile(text, &settings) else { return };
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if ENDLESS.iter().any(|word| text.contains(word)) || digits > 6 || text.len() > 400 {
        return;
    }
    for input in INPUTS {
        let Ok(input) = read::parse(input) else { continue };
        let mut count = 0;
        let outcome = filter.run(input, &mut NoHost, &mut |value: Value| {
            count += 1;
            assert!(read::parse(&write::to_json(&value)).is_ok());
            if count < 100 { Ok(()) } else { Err(Stop) }
        });
        if let Outcome::Error(error) = outcome {
            let _ = write::to_json(&error);
        }
    }
});
