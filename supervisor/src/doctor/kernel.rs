//! What the kernel has and what it denies.

use std::path::Path;

use diogenes_linux::calls::{self, Call};
use diogenes_linux::sock_diag::SockDiag;
use rustix::io::Errno;

use crate::doctor::check::Check;

/// The oldest kernel that has all that a launch takes: `close_range` came with it.
const OLDEST: (u32, u32) = (5, 9);
/// `CGROUP2_SUPER_MAGIC` of statfs(2).
const CGROUP2_MAGIC: u64 = 0x6367_7270;

/// How cgroups are mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cgroups {
    /// Version 2 alone.
    V2,
    /// Version 1, perhaps with an empty version 2 beside it.
    V1,
    /// Not where they are expected.
    None,
}

/// What was seen of the kernel. None stands for a file that this kernel or this user has not.
#[derive(Clone, Debug)]
pub(super) struct Kernel {
    /// `6.1.0-18-amd64`
    pub(super) release: String,
    /// The system calls of a launch.
    pub(super) calls: Vec<Call>,
    /// `vm.memfd_noexec`: 0 and 1 allow executable memory files, 2 forbids them.
    pub(super) memfd_noexec: Option<u8>,
    /// How many sockets listen on the host, or why the kernel does not tell.
    pub(super) sock_diag: Result<usize, String>,
    pub(super) cgroups: Cgroups,
    /// What a seccomp filter may do.
    pub(super) seccomp_actions: Option<String>,
    /// `kernel.yama.ptrace_scope`.
    pub(super) ptrace_scope: Option<u8>,
    /// The AppArmor profile this process is under.
    pub(super) apparmor: Option<String>,
    /// The SELinux context this process has, where SELinux enforces.
    pub(super) selinux: Option<String>,
    /// The `hidepid` option of `/proc`.
    pub(super) hidepid: Option<String>,
}

impl Kernel {
    pub(super) fn look() -> Self {
        let apparmor = read("/sys/module/apparmor/parameters/enabled")
            .filter(|enabled| enabled == "Y")
            .and_then(|_| {
                read("/proc/self/attr/apparmor/current").or_else(|| read("/proc/self/attr/current"))
            });
        let selinux = read("/sys/fs/selinux/enforce")
            .filter(|enforce| enforce == "1")
            .and_then(|_| read("/proc/self/attr/current"));
        let listening = SockDiag::open().and_then(|mut kernel| kernel.tcp_listening());
        Self {
            release: rustix::system::uname()
                .release()
                .to_string_lossy()
                .into_owned(),
            calls: calls::try_all(),
            memfd_noexec: number("/proc/sys/vm/memfd_noexec"),
            sock_diag: listening
                .map(|dump| dump.sockets.len() + dump.omitted)
                .map_err(|error| error.to_string()),
            cgroups: cgroups(Path::new("/sys/fs/cgroup")),
            seccomp_actions: read("/proc/sys/kernel/seccomp/actions_avail"),
            ptrace_scope: number("/proc/sys/kernel/yama/ptrace_scope"),
            apparmor,
            selinux,
            hidepid: read("/proc/self/mountinfo").and_then(|mounts| hidepid(&mounts)),
        }
    }
}

fn read(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim_end_matches(['\0', '\n']).to_owned())
}

fn number(path: &str) -> Option<u8> {
    read(path)?.parse().ok()
}

fn cgroups(root: &Path) -> Cgroups {
    #[expect(clippy::cast_sign_loss, reason = "magic numbers are bit patterns")]
    let magic = rustix::fs::statfs(root).map(|stat| stat.f_type as u64);
    match magic {
        Ok(CGROUP2_MAGIC) => Cgroups::V2,
        _ if root.join("memory").is_dir() || root.join("pids").is_dir() => Cgroups::V1,
        _ => Cgroups::None,
    }
}

/// The option of the topmost `/proc` in `/proc/self/mountinfo` (proc(5)), where it hides anything.
fn hidepid(mounts: &str) -> Option<String> {
    let mount = mounts
        .lines()
        .rfind(|line| line.split(' ').nth(4) == Some("/proc"))?;
    let options = mount.rsplit(' ').next()?.split(',');
    let mut values = options.filter_map(|option| option.strip_prefix("hidepid="));
    values
        .next()
        .filter(|value| !matches!(*value, "0" | "off"))
        .map(str::to_owned)
}

/// The verdicts. With `is_admin` a refused `setns` is the kernel's doing; with `may_see_all` hidden processes are not
/// hidden from the supervisor.
pub(super) fn judge(facts: &Kernel, is_admin: bool, may_see_all: bool) -> Vec<Check> {
    vec![
        version(facts),
        system_calls(facts, is_admin),
        sock_diag(facts),
        judge_cgroups(facts),
        seccomp(facts),
        ptrace_scope(facts),
        security_module(facts),
        proc_mount(facts, may_see_all),
    ]
}

fn version(facts: &Kernel) -> Check {
    const ID: &str = "kernel";
    const TITLE: &str = "Kernel";
    let (major, minor) = OLDEST;
    let release = &facts.release;
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(a)), Some(Ok(b))) if (a, b) >= OLDEST => {
            Check::ok(ID, TITLE, format!("Linux {release}"))
        }
        // The calls decide: distributions carry features back.
        (Some(Ok(_)), Some(Ok(_))) => Check::warning(
            ID,
            TITLE,
            format!("Linux {release} is older than {major}.{minor}"),
            format!(
                "if a system call below is missing, upgrade the kernel to {major}.{minor} or later"
            ),
        ),
        _ => Check::warning(
            ID,
            TITLE,
            format!("\"{release}\" tells no version"),
            "the checks below say what the kernel can do",
        ),
    }
}

fn system_calls(facts: &Kernel, is_admin: bool) -> Check {
    const ID: &str = "system-calls";
    const TITLE: &str = "System calls";
    let mut missing = Vec::new();
    let mut denied = Vec::new();
    for call in &facts.calls {
        match call.result {
            Ok(()) => {}
            Err(Errno::NOSYS | Errno::INVAL) => {
                missing.push(format!("{} (Linux {})", call.name, call.since));
            }
            Err(Errno::PERM) if call.name == "setns" && !is_admin => {}
            Err(errno) => denied.push(format!("{}: {errno}", call.name)),
        }
    }
    if !missing.is_empty() {
        return Check::failed(
            ID,
            TITLE,
            format!("the kernel does not have {}", missing.join(", ")),
            "upgrade the kernel; gVisor and other sandboxes do not have them at all",
        );
    }
    if !denied.is_empty() {
        return Check::failed(
            ID,
            TITLE,
            format!("denied: {}", denied.join(", ")),
            "a seccomp filter is over this program; in a container, start it with --security-opt seccomp=unconfined",
        );
    }
    let names: Vec<_> = facts.calls.iter().map(|call| call.name).collect();
    Check::ok(ID, TITLE, names.join(", "))
}

fn sock_diag(facts: &Kernel) -> Check {
    const ID: &str = "sock-diag";
    const TITLE: &str = "Socket tables";
    match &facts.sock_diag {
        Ok(count) => Check::ok(
            ID,
            TITLE,
            format!("sock_diag answers (TCP sockets that listen here: {count})"),
        ),
        Err(error) => Check::warning(
            ID,
            TITLE,
            format!("sock_diag does not answer: {error}"),
            "companions read /proc/net instead, which is slower and knows no queues; modprobe tcp_diag may bring it",
        ),
    }
}

fn judge_cgroups(facts: &Kernel) -> Check {
    const ID: &str = "cgroups";
    const TITLE: &str = "Control groups";
    match facts.cgroups {
        Cgroups::V2 => Check::ok(ID, TITLE, "version 2"),
        Cgroups::V1 => Check::ok(
            ID,
            TITLE,
            "version 1: everything but pressure, which only version 2 measures",
        ),
        Cgroups::None => Check::warning(
            ID,
            TITLE,
            "not found at /sys/fs/cgroup",
            "without them neither limits nor use of CPU and memory are known; in a container, mount the host's there",
        ),
    }
}

fn seccomp(facts: &Kernel) -> Check {
    const ID: &str = "seccomp";
    const TITLE: &str = "Seccomp";
    match facts.seccomp_actions.as_deref() {
        Some(actions) if actions.split_whitespace().any(|action| action == "errno") => {
            Check::ok(ID, TITLE, "filters work: companions confine themselves")
        }
        _ => Check::failed(
            ID,
            TITLE,
            "this kernel has no seccomp filters, and a companion does not run unconfined",
            "use a kernel with CONFIG_SECCOMP_FILTER, which every distribution's has",
        ),
    }
}

fn ptrace_scope(facts: &Kernel) -> Check {
    const ID: &str = "ptrace-scope";
    const TITLE: &str = "Yama";
    // security/yama/yama_lsm.c: it restricts attaching only; companions read (PTRACE_MODE_READ).
    let detail = match facts.ptrace_scope {
        None => "not in this kernel".to_owned(),
        Some(scope) => {
            format!("kernel.yama.ptrace_scope is {scope}, which does not concern reading")
        }
    };
    Check::ok(ID, TITLE, detail)
}

fn security_module(facts: &Kernel) -> Check {
    const ID: &str = "security-module";
    const TITLE: &str = "AppArmor, SELinux";
    if let Some(profile) = &facts.apparmor
        && profile != "unconfined"
    {
        return Check::warning(
            ID,
            TITLE,
            format!("this program is under the AppArmor profile {profile}"),
            "if attaching fails, start it unconfined (--security-opt apparmor=unconfined), or allow the profile \
             ptrace read, mount namespaces and memory files",
        );
    }
    if let Some(context) = &facts.selinux {
        // user:role:type:level
        let kind = context.split(':').nth(2).unwrap_or(context);
        if !(kind.starts_with("unconfined") || kind == "spc_t") {
            return Check::warning(
                ID,
                TITLE,
                format!("SELinux enforces, and this program runs as {context}"),
                "if attaching fails, see what was denied with: ausearch -m avc -c diogenes; a unit whose program is \
                 labelled bin_t runs unconfined",
            );
        }
        return Check::ok(
            ID,
            TITLE,
            format!("SELinux enforces; this program is free ({kind})"),
        );
    }
    let detail = match facts.apparmor {
        Some(_) => "AppArmor is on; this program is unconfined",
        None => "neither is in the way",
    };
    Check::ok(ID, TITLE, detail)
}

fn proc_mount(facts: &Kernel, may_see_all: bool) -> Check {
    const ID: &str = "proc";
    const TITLE: &str = "/proc";
    match &facts.hidepid {
        None => Check::ok(ID, TITLE, "hides no process"),
        Some(value) if may_see_all => Check::ok(
            ID,
            TITLE,
            format!("hidepid={value}, which hides nothing from CAP_SYS_PTRACE"),
        ),
        Some(value) => Check::warning(
            ID,
            TITLE,
            format!("hidepid={value} hides other users' processes from this user"),
            "run as root: what is seen of containers and of the supervisor from here is not the whole",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::Status::{self, Failed, Ok as Fine, Warning};

    fn kernel() -> Kernel {
        let call = |name| Call {
            name,
            since: "5.9",
            result: Ok(()),
        };
        Kernel {
            release: "6.1.0-18-amd64".into(),
            calls: vec![call("setns"), call("close_range")],
            memfd_noexec: Some(0),
            sock_diag: Ok(12),
            cgroups: Cgroups::V2,
            seccomp_actions: Some("kill_process kill_thread trap errno trace log allow".into()),
            ptrace_scope: Some(1),
            apparmor: None,
            selinux: None,
            hidepid: None,
        }
    }

    /// What is not as it should be.
    fn complaints(kernel: &Kernel, is_admin: bool) -> Vec<(&'static str, Status)> {
        judge(kernel, is_admin, is_admin)
            .iter()
            .filter(|check| check.status != Fine)
            .map(|check| (check.id, check.status))
            .collect()
    }

    #[test]
    fn a_usual_kernel_is_fine() {
        assert_eq!(complaints(&kernel(), true), []);
        for release in ["5.9.0", "5.10.0-8-amd64", "10.0"] {
            let kernel = Kernel {
                release: release.into(),
                ..kernel()
            };
            assert_eq!(complaints(&kernel, true), [], "{release}");
        }
    }

    #[test]
    fn each_fault_has_its_verdict() {
        type Break = fn(&mut Kernel);
        let faults: [(Break, (&str, Status)); 12] = [
            (|k| k.release = "5.8.18".into(), ("kernel", Warning)),
            (|k| k.release = "gVisor".into(), ("kernel", Warning)),
            (
                |k| k.calls[1].result = Err(Errno::NOSYS),
                ("system-calls", Failed),
            ),
            (
                |k| k.calls[0].result = Err(Errno::INVAL),
                ("system-calls", Failed),
            ),
            (
                |k| k.calls[0].result = Err(Errno::PERM),
                ("system-calls", Failed),
            ),
            (
                |k| k.sock_diag = Err("refused".into()),
                ("sock-diag", Warning),
            ),
            (|k| k.cgroups = Cgroups::None, ("cgroups", Warning)),
            (|k| k.seccomp_actions = None, ("seccomp", Failed)),
            (
                |k| k.seccomp_actions = Some("allow".into()),
                ("seccomp", Failed),
            ),
            (
                |k| k.apparmor = Some("docker-default (enforce)".into()),
                ("security-module", Warning),
            ),
            (
                |k| k.selinux = Some("system_u:system_r:container_t:s0".into()),
                ("security-module", Warning),
            ),
            (
                |k| k.selinux = Some("nonsense".into()),
                ("security-module", Warning),
            ),
        ];
        for (fault, expected) in faults {
            let mut kernel = kernel();
            fault(&mut kernel);
            assert_eq!(complaints(&kernel, true), [expected]);
        }
    }

    #[test]
    fn what_only_looks_bad_is_told_and_no_complaint() {
        type Tell = fn(&mut Kernel);
        let facts: [(Tell, &str, &str); 6] = [
            (|k| k.ptrace_scope = Some(3), "ptrace-scope", "is 3"),
            (
                |k| k.ptrace_scope = None,
                "ptrace-scope",
                "not in this kernel",
            ),
            (|k| k.cgroups = Cgroups::V1, "cgroups", "version 1"),
            (
                |k| k.apparmor = Some("unconfined".into()),
                "security-module",
                "AppArmor is on",
            ),
            (
                |k| k.selinux = Some("system_u:system_r:unconfined_service_t:s0".into()),
                "security-module",
                "is free",
            ),
            (|k| k.hidepid = Some("2".into()), "proc", "CAP_SYS_PTRACE"),
        ];
        for (fact, id, words) in facts {
            let mut kernel = kernel();
            fact(&mut kernel);
            let check = judge(&kernel, true, true)
                .into_iter()
                .find(|check| check.id == id)
                .unwrap();
            assert_eq!(check.status, Fine);
            assert!(check.detail.contains(words), "{check:?}");
        }
    }

    #[test]
    fn who_is_not_privileged_is_not_told_that_the_kernel_refuses() {
        let mut kernel = kernel();
        kernel.calls[0].result = Err(Errno::PERM);
        kernel.hidepid = Some("invisible".into());
        assert_eq!(complaints(&kernel, false), [("proc", Warning)]);
    }

    #[test]
    fn the_topmost_proc_counts() {
        let line = |options: &str| {
            format!("22 27 0:21 / /proc rw,relatime shared:5 - proc proc rw{options}\n")
        };
        assert_eq!(hidepid(&line("")), None);
        assert_eq!(hidepid(&line(",hidepid=0")), None);
        assert_eq!(
            hidepid(&line(",gid=4,hidepid=invisible")),
            Some("invisible".into())
        );
        assert_eq!(hidepid(&(line(",hidepid=2") + &line(""))), None);
        assert_eq!(hidepid("nonsense\n"), None);
    }

    #[test]
    fn this_kernel_can_be_looked_at() {
        let kernel = Kernel::look();
        assert!(kernel.release.contains('.'));
        assert_ne!(kernel.cgroups, Cgroups::None);
        assert_eq!(cgroups(Path::new("/nowhere")), Cgroups::None);
    }
}
