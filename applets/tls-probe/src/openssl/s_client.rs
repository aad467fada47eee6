//! `openssl s_client`.

use netkit_core::{Ctx, Error, Exit};

pub(super) fn run(_ctx: &mut Ctx, _words: &[String]) -> Result<Exit, Error> {
    Err(Error::usage("s_client is not offered"))
}
