//! What every netkit applet shares: the applet contract, its context, errors, exit statuses,
//! text and JSON output, hints, privilege wording and the clock. Nothing here touches the network.

mod applet;
mod caps;
mod clock;
mod ctx;
mod error;
pub mod front;
mod install;
pub mod json;
mod manifest;
pub mod privilege;
pub mod rooted;
pub mod text;

pub use applet::{Applet, Build, Flag, Flags, Group, Powers, find, flag, pack, packed_length};
pub use clock::{Civil, Clock, SystemClock, civil_from_unix};
pub use ctx::Ctx;
pub use error::{Error, Exit};
