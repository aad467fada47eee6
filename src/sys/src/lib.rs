//! System calls that std does not offer. The only room that may hold `unsafe`: one operation a block, its argument above it.

pub mod netns;
pub mod xtables;
