//! Packs the large constants of brotli (RFC 7932, appendices A and B) from the decoder crate that carries them: its dictionary
//! alone has 122,784 bytes, and deflated 53,000.

#![allow(clippy::indexing_slicing)]

use std::fmt::Write as _;
use std::path::PathBuf;

use brotli_decompressor::dictionary::{kBrotliDictionary, kBrotliDictionarySizeBitsByLength};
use brotli_decompressor::transform::{TransformDictionaryWord, kNumTransforms, kTransforms};

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    std::fs::write(out.join("brotli.bin"), miniz_oxide::deflate::compress_to_vec(&kBrotliDictionary, 10))?;
    let mut text = String::new();
    let _ = writeln!(text, "const DICTIONARY_BITS: [u8; 25] = {kBrotliDictionarySizeBitsByLength:?};");
    let _ = writeln!(text, "const TRANSFORMS: &[u8] = &{:?};", transforms());
    std::fs::write(out.join("brotli.rs"), text)
}

/// For each transform its number, the text before and the text after, each with its length first. The numbers are
/// the crate's: 0 leaves the word, 1 to 9 leave out so many bytes at its end, 10 and 11 make the first or every letter
/// a capital, from 12 on so many less 11 are left out at its start.
fn transforms() -> Vec<u8> {
    const WORD: &[u8] = b"abcdefghijklmnopqrst";
    let mut packed = Vec::new();
    for (index, transform) in kTransforms.iter().enumerate().take(kNumTransforms as usize) {
        let kind = transform.transform;
        let mut body = WORD.to_vec();
        match kind {
            1..=9 => body.truncate(WORD.len() - usize::from(kind)),
            10 => body[0].make_ascii_uppercase(),
            11 => body.make_ascii_uppercase(),
            12.. => body = WORD[usize::from(kind - 11)..].to_vec(),
            0 => {}
        }
        let mut buffer = [0; 64];
        let length = TransformDictionaryWord(&mut buffer, WORD, WORD.len() as i32, index as i32) as usize;
        let whole = &buffer[..length];
        let before = whole.windows(body.len()).position(|part| part == body).unwrap_or_default();
        for part in [&[kind][..], &whole[..before], &whole[before + body.len()..]] {
            packed.push(part.len() as u8);
            packed.extend_from_slice(part);
        }
    }
    packed
}
