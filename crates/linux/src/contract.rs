//! The launch contract: what an agent is, and is not, given when it is started in a container.
//!
//! An agent that comes in through the Engine is given less and keeps more: it is a further program of the container,
//! with its privileges, limits and environment, and takes nothing from here but its path and its arguments.
//!
//! One list in one place. [`crate::attacher`] keeps it step by step; the end-to-end tests read it back from
//! `/proc/PID` of a running agent.

use std::ffi::CStr;

/// The user and group an agent runs as: in use nowhere else, so that no process of the container is its equal.
pub const AGENT_UID: u32 = 65532;

/// `CAP_SYS_PTRACE`: with the next one, what reading another user's `/proc/PID/fd` takes (proc(5)).
pub const CAP_SYS_PTRACE: u32 = 19;

/// `CAP_DAC_OVERRIDE`. Never `CAP_DAC_READ_SEARCH` (2): with it `open_by_handle_at` on a bind mount reaches the
/// host's files.
pub const CAP_DAC_OVERRIDE: u32 = 1;

/// All the capabilities an agent holds: permitted, effective, inheritable, ambient and bounding (capabilities(7)).
pub const AGENT_CAPABILITIES: u64 = (1 << CAP_SYS_PTRACE) | (1 << CAP_DAC_OVERRIDE);

/// The name of the agent's process and of its executable in memory.
pub const AGENT_NAME: &str = "diogenes-agent";

/// The descriptor of the session with the supervisor; 0 to 2 are an empty, sealed file, and no other is open.
pub const SESSION_FD: i32 = 3;

/// Where a container has the supervisor's directory mounted, read-only, if a companion that is part of the image is to
/// dial in.
pub const DIAL_IN_DIR: &CStr = c"/run/diogenes/dial-in";

/// The one socket in it.
pub const DIAL_IN_SOCKET: &CStr = c"supervisor.sock";

/// The agent's arguments, its own name first: nothing in them that a container may not see. `init_pid` is the
/// container's first process in the pid namespace the agent runs in; by it the agent tells the container's processes
/// from others in shared namespaces.
#[must_use]
pub fn agent_args(init_pid: u32) -> [String; 3] {
    [
        AGENT_NAME.to_owned(),
        "attached".to_owned(),
        format!("--init={init_pid}"),
    ]
}

/// Where in a container the Engine puts the agent that it is to start. The root directory is the one directory that
/// every image has.
pub const UPLOAD_PATH: &str = "/.diogenes-agent";

/// The agent's path and arguments where the Engine starts it: then its session is its standard input and output.
/// `shared_pids` and `shared_net` tell whether the container shares these namespaces with others, so that only what
/// is its own is to be told.
#[must_use]
pub fn exec_args(shared_pids: bool, shared_net: bool) -> Vec<String> {
    let mut args = vec![UPLOAD_PATH, "attached", "--stdio"];
    args.extend(shared_pids.then_some("--shared-pids"));
    args.extend(shared_net.then_some("--shared-net"));
    args.into_iter().map(str::to_owned).collect()
}

/// Takes over the session that the launcher left at [`SESSION_FD`].
///
/// # Errors
/// Where no connected socket is there: the program was not started by the attacher.
pub fn take_session() -> std::io::Result<std::os::unix::net::UnixStream> {
    use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
    // SAFETY: borrowed for one call, which answers EBADF where nothing is open under the number.
    rustix::net::getpeername(unsafe { BorrowedFd::borrow_raw(SESSION_FD) })?;
    // SAFETY: it is open, and the contract gives the number to the session alone: nobody else here owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(SESSION_FD) }.into())
}
