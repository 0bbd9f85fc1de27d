//! Hostile containers: what root inside one tries, and that nothing is gained and nobody else is affected.

mod companion;
mod files;
mod floods;
mod inside;
mod session;
mod terminal;
mod words;
mod world;
