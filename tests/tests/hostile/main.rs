//! Hostile containers: what root inside one tries, and that nothing is gained and nobody else is affected.

mod companion;
mod inside;
mod world;
