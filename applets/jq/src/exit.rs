//! Exit statuses of jq (manual of 1.8, "-e" and the notes on errors).

use netkit_core::Exit;

/// With `-e`: the last output was `false` or `null`.
pub(crate) const FALSY: Exit = Exit(1);
/// Bad usage, or a file that cannot be read.
pub(crate) const SYSTEM: Exit = Exit(2);
/// The filter does not compile.
pub(crate) const COMPILE: Exit = Exit(3);
/// With `-e`: there was no output.
pub(crate) const NO_OUTPUT: Exit = Exit(4);
/// An error that nothing caught, or input that is no JSON.
pub(crate) const UNCAUGHT: Exit = Exit(5);
