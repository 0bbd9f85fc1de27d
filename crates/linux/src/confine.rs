//! The agent's first act: it gives up what an intruder would want and it never needs.

use rustix::io::Errno;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

/// System calls an agent has no use for, each a step towards other processes, the host or more privileges.
/// Filtered after `execve`, which is why that one can be among them.
const DENIED: &[libc::c_long] = &[
    // other processes' memory and descriptors
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // file systems and namespaces
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    // keys, programs in the kernel, and other machinery
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_kexec_load,
    libc::SYS_personality,
    // another program in the agent's place
    libc::SYS_execve,
    libc::SYS_execveat,
];

/// Named at compile time: `TargetArch` from a text brings Unicode's tables of small letters, 5 KB of the agent's megabyte.
#[cfg(target_arch = "x86_64")]
const ARCH: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCH: TargetArch = TargetArch::aarch64;
#[cfg(target_arch = "riscv64")]
const ARCH: TargetArch = TargetArch::riscv64;

/// Namespace flags of clone(2): threads are made, namespaces are not.
const NEW_NAMESPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP) as u64;

/// Installs the filter for this thread and those it will start: denied calls fail with EPERM, `clone3` (whose
/// flags a filter cannot see) with ENOSYS, so that libraries fall back to `clone`. Sets no_new_privs, which the
/// kernel asks for. Sources: seccomp(2), Documentation/userspace-api/seccomp_filter.rst.
///
/// # Errors
/// A sentence saying which step failed; the agent must not run on.
pub fn install_filter() -> Result<(), String> {
    for filter in [missing_calls(), denied_calls()] {
        let filter =
            filter.map_err(|error| format!("the system call filter cannot be built: {error}"))?;
        seccompiler::apply_filter(&filter)
            .map_err(|error| format!("the system call filter was refused: {error}"))?;
    }
    Ok(())
}

/// Gives the process its name in `ps` and `/proc/PID/comm`: executing from memory left it without a telling one.
pub fn name_process() {
    if let Ok(name) = std::ffi::CString::new(crate::contract::AGENT_NAME) {
        let _ = rustix::thread::set_name(&name);
    }
}

fn missing_calls() -> Result<BpfProgram, BackendError> {
    let mut missing = BTreeMap::new();
    missing.insert(libc::SYS_clone3, Vec::new());
    compile(missing, Errno::NOSYS)
}

fn denied_calls() -> Result<BpfProgram, BackendError> {
    // Filled in a loop: collecting sorts first, by a sort of its own that is 4 KB of the agent's megabyte.
    let mut denied = BTreeMap::new();
    for &number in DENIED {
        denied.insert(number, Vec::new());
    }
    let mut namespaces = Vec::new();
    for flag in (0..64)
        .map(|bit| 1 << bit)
        .filter(|flag| NEW_NAMESPACES & flag != 0)
    {
        let condition = SeccompCondition::new(
            0,
            SeccompCmpArgLen::Qword,
            SeccompCmpOp::MaskedEq(flag),
            flag,
        )?;
        namespaces.push(SeccompRule::new(vec![condition])?);
    }
    denied.insert(libc::SYS_clone, namespaces);
    let mut program = if cfg!(target_arch = "x86_64") {
        deny_x32()
    } else {
        Vec::new()
    };
    program.extend(compile(denied, Errno::PERM)?);
    Ok(program)
}

/// A filter that answers the given calls with an error and lets all others through.
fn compile(
    calls: BTreeMap<i64, Vec<SeccompRule>>,
    answer: Errno,
) -> Result<BpfProgram, BackendError> {
    let action = SeccompAction::Errno(answer.raw_os_error().unsigned_abs());
    SeccompFilter::new(calls, SeccompAction::Allow, action, ARCH)?.try_into()
}

/// The x32 ABI has the same architecture number and call numbers from 2^30 up, which no rule above would match.
fn deny_x32() -> BpfProgram {
    const X32_BIT: u32 = 0x4000_0000;
    let op = |code: u32, jt, jf, k| seccompiler::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    vec![
        op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0), // seccomp_data.nr
        op(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, X32_BIT),
        op(
            libc::BPF_RET | libc::BPF_K,
            0,
            0,
            libc::SECCOMP_RET_ERRNO | Errno::PERM.raw_os_error().unsigned_abs(),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A filter cannot be taken off again, so each test lives in a thread of its own.
    fn confined<T: Send>(body: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                install_filter().expect("installed");
                body()
            });
            thread.join().expect("no panic")
        })
    }

    /// Makes the call with arguments that are wrong in any case and returns its errno.
    fn errno_of(number: libc::c_long, first: libc::c_long) -> i32 {
        // SAFETY: the other arguments are null or -1; each of the calls refuses them without touching memory.
        let result = unsafe { libc::syscall(number, first, -1_i64, 0_i64, -1_i64, 0_i64, 0_i64) };
        assert_eq!(result, -1, "call {number} succeeded");
        std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
    }

    #[test]
    fn denied_calls_fail_and_threads_still_start() {
        let (errnos, clone3, namespace) = confined(|| {
            let errnos: Vec<_> = DENIED
                .iter()
                .map(|&number| (number, errno_of(number, -1)))
                .collect();
            let flags = libc::c_long::from(libc::CLONE_NEWUSER);
            std::thread::spawn(|| ())
                .join()
                .expect("threads can be started");
            (
                errnos,
                errno_of(libc::SYS_clone3, 0),
                errno_of(libc::SYS_clone, flags),
            )
        });
        assert!(
            errnos.iter().all(|(_, errno)| *errno == libc::EPERM),
            "{errnos:?}"
        );
        assert_eq!((clone3, namespace), (libc::ENOSYS, libc::EPERM));
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_x32_numbers_of_denied_calls_are_no_way_around() {
        const X32_PTRACE: libc::c_long = 0x4000_0000 + 521;
        assert_eq!(confined(|| errno_of(X32_PTRACE, -1)), libc::EPERM);
    }
}
