//! What a maintainer types.
fn main() {}
