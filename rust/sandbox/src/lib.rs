//! Process confinement: the only crate with `unsafe` code.
