//! aish, the shell people talk to CIs with: what makes a CI reachable for it, and how it talks.
//!
//! ```text
//! ROOT/.tekton/aish/ci-registry/wrapped_cis.json    one JSON object: lower-case name → entry
//!                               OWNER/NAME.sock     what an entry names as its socket: a mark, nobody listens
//!                               .diogenes.lock      held (flock) while one of us changes the file
//! ```
//!
//! Whenever aish starts it deletes the entries whose `pid` it cannot signal or whose `socket` is not there. It never
//! connects to that socket: it posts a [`Message`] to `endpoint` + `message_endpoint`, and prints the [`Reply`].
//! All of Tekton's programs rewrite the file without a lock, in place, and from what they read some time ago. So an
//! entry is not written once but kept: see [`registrar`].
//!
//! `aish list remove NAME` ends the entry's process, by SIGTERM and a second later by SIGKILL, and then deletes its
//! socket. That is why the process is one that nobody misses, and the socket a mark: whose mark is gone was removed.

mod call;
pub mod contact;
pub mod entries;
pub mod folder;
pub mod registrar;
pub mod talk;

pub use call::call;
pub use contact::Contact;
pub use registrar::{Notice, Registrar};
pub use talk::{Message, Reply};
