//! Bodies of HTTP whose frames are sealed or opened as they pass.

mod open;
mod seal;

pub(crate) use open::{OpenBody, Side, alone, first};
pub(crate) use seal::{Ends, SealBody};
