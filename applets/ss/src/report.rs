//! x
use netkit_core::{Ctx, Error, Exit};
use crate::args::GroupBy; use crate::run::Job;
pub(crate) fn group(_: &mut Ctx, _: &Job, _: GroupBy) -> Result<Exit, Error> { Ok(Exit::OK) }
pub(crate) fn watch(_: &mut Ctx, _: &Job, _: u64) -> Result<Exit, Error> { Ok(Exit::OK) }
