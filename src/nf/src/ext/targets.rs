//! Targets.

use super::Definition;

pub(super) static TABLE: &[Definition] = &[];
