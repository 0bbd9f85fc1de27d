//! Being at home in Tekton: what its programs need to know of the companions is kept where they look for it.
//!
//! ```text
//! registry ─► aish ── pipe ─► registrar (a process of Tekton's user) ─► wrapped_cis.json
//! ```

pub(crate) mod aish;
pub(crate) mod registrar;
