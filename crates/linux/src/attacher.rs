//! Bringing agents into containers: a small process that does nothing else.
//!
//! Joining a mount namespace takes a single-threaded process (setns(2)), and the parent of agents must never
//! make `docker stop` wait for it; neither can be the supervisor, which has threads and may be stopped. So it
//! executes itself anew as the *attacher*:
//!
//! ```text
//!  supervisor                attacher                     launcher                   agent
//!  request, init pidfd ──►   fork ──────────────────────► setns ×6
//!                                                         drop all privileges
//!                                                         clone(CLONE_PARENT) ─────► setsid, PDEATHSIG
//!                            ◄── agent's pidfd ────────── exit                       execute from memory
//!  ◄── session, pidfd        ◄── end of file: executed ────────────────────────────┘
//! ```
//!
//! - The attacher ignores SIGCHLD, so the kernel reaps agents at once, whether anybody waits or not. An agent left
//!   as a zombie in the container's pid namespace would make `docker stop` fail.
//! - The launcher drops its privileges and descriptors *before* the agent process exists: from its first moment in
//!   the container's pid namespace that process holds nothing that [`crate::contract`] does not grant.
//! - `CLONE_PARENT` makes the agent the attacher's child. Agents die with the attacher (PDEATHSIG), the attacher ends
//!   when the supervisor's end of the control socket closes.

mod launch;
mod link;
mod serve;

/// Makes this process, the supervisor, the parent of agents whose attacher was killed, and has the kernel reap them
/// too: a host's init may take seconds for it, and `docker stop` waits for as long (prctl(2), PR_SET_CHILD_SUBREAPER).
/// From then on no child of this process can be waited for.
///
/// # Errors
/// The system's.
pub fn adopt_orphans() -> rustix::io::Result<()> {
    crate::signals::ignore(rustix::process::Signal::CHILD)?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
}

pub use link::{Attached, Link, Refusal, Reply, command};
pub use serve::serve;
