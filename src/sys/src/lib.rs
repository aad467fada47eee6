//! System calls that std does not offer. The only room that may hold `unsafe`, each block with its argument.

pub mod allocator;
pub mod capabilities;
pub mod capture;
pub mod crash;
pub mod first;
pub mod ipset;
pub mod link;
pub mod netlink;
pub mod netns;
pub mod packed;
pub mod process;
pub mod signals;
pub mod time;
pub mod xtables;
