//! System calls that std does not offer. The only room that may hold `unsafe`; so far none is needed.

pub mod netns;
