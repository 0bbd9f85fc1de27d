//! What needs `unsafe` or raw system calls, each behind a safe function.
//!
//! ```text
//! supervisor ──control socket──► attacher ──fork──► launcher ──setns, drop, clone──► agent
//!                (attacher)      (attacher::serve)  (attacher::launch)               (confine)
//! ```
//!
//! [`program`] keeps the agent's executable in sealed memory, [`attacher`] brings it into containers,
//! [`contract`] lists what an agent is started with, [`confine`] is the agent's own last step, [`pidfd`]
//! awaits the end of processes, [`peer`] tells who is at the other end of a socket and [`entrance`] who came in at one so
//! that nobody can be mistaken for another, [`sock_diag`] asks the kernel for listening sockets, and [`calls`] tries
//! whether it answers at all; [`fs_identity`] reads what is another user's; [`init`] is the first process of a container
//! whose image holds the companion; [`timer`] wakes once, and [`clock`] tells the time; [`signals`] is what whoever starts programs must put right.
#![allow(
    unsafe_code,
    reason = "the one crate where it is allowed; each block says why it is sound"
)]

pub mod attacher;
pub mod calls;
pub mod clock;
pub mod confine;
pub mod contract;
pub mod entrance;
pub mod fs_identity;
pub mod init;
pub mod memory;
pub mod peer;
pub mod pidfd;
pub mod program;
pub mod signals;
pub mod sock_diag;
#[cfg(all(panic = "abort", target_env = "musl"))]
mod thread_name;
pub mod timer;
#[cfg(all(panic = "abort", target_env = "musl"))]
mod unwinder;
