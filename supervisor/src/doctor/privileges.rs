//! What this process may do, or the supervisor that runs already. Source: proc(5), capabilities(7).

use diogenes_linux::contract::{CAP_DAC_OVERRIDE, CAP_SYS_PTRACE};

use crate::doctor::check::Check;

pub(super) const ID: &str = "privileges";
pub(super) const TITLE: &str = "Privileges";

const CAP_SYS_ADMIN: u32 = 21;
const CAP_KILL: u32 = 5;
/// The capabilities without any of which a launch fails, and what for. The agent itself keeps only what the launch
/// contract lists.
const NEEDED: [(u32, &str, &str); 7] = [
    (CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "join namespaces"),
    (18, "CAP_SYS_CHROOT", "join mount namespaces"),
    (
        CAP_SYS_PTRACE,
        "CAP_SYS_PTRACE",
        "see whose sockets are whose",
    ),
    (
        CAP_DAC_OVERRIDE,
        "CAP_DAC_OVERRIDE",
        "see whose sockets are whose",
    ),
    (7, "CAP_SETUID", "drop privileges"),
    (6, "CAP_SETGID", "drop privileges"),
    (8, "CAP_SETPCAP", "drop privileges"),
];
/// What `/proc/PID/uid_map` holds in the host's own user namespace: everybody is who they are.
const ALL_USERS: [u64; 3] = [0, 0, u32::MAX as u64];

/// Whose privileges, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Privileges {
    /// Pid of the supervisor they belong to; None for this process.
    pub(super) supervisor: Option<u32>,
    /// Effective user.
    pub(super) uid: u32,
    /// Effective capabilities.
    pub(super) effective: u64,
    /// Whether a user namespace other than the host's bounds them.
    pub(super) in_user_namespace: bool,
}

impl Privileges {
    /// Those of the running supervisor where there is one and it can be seen, else our own.
    pub(super) fn look(supervisor: Option<u32>) -> Self {
        let of = |pid: &str| {
            let read = |file| std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok();
            Self::parse(&read("status")?, &read("uid_map").unwrap_or_default())
        };
        let running = supervisor.and_then(|pid| {
            Some(Self {
                supervisor: Some(pid),
                ..of(&pid.to_string())?
            })
        });
        // Without /proc nothing can be entered, which is what no capabilities say.
        running.or_else(|| of("self")).unwrap_or(Self {
            supervisor: None,
            uid: rustix::process::geteuid().as_raw(),
            effective: 0,
            in_user_namespace: false,
        })
    }

    /// Reads `/proc/PID/status` and `/proc/PID/uid_map`.
    fn parse(status: &str, uid_map: &str) -> Option<Self> {
        let field = |name| {
            let mut lines = status.lines();
            lines.find_map(|line| line.strip_prefix(name))
        };
        let map: Vec<u64> = uid_map
            .split_whitespace()
            .filter_map(|number| number.parse().ok())
            .collect();
        Some(Self {
            supervisor: None,
            uid: field("Uid:")?.split_whitespace().nth(1)?.parse().ok()?,
            effective: u64::from_str_radix(field("CapEff:")?.trim(), 16).ok()?,
            in_user_namespace: !map.is_empty() && map != ALL_USERS,
        })
    }

    /// Whether `setns` is not refused for want of a capability.
    pub(super) fn is_sys_admin(&self) -> bool {
        self.has_on_host(CAP_SYS_ADMIN)
    }

    /// Whether no process is hidden.
    pub(super) fn is_sys_ptrace(&self) -> bool {
        self.has_on_host(CAP_SYS_PTRACE)
    }

    fn has(&self, capability: u32) -> bool {
        self.effective & (1 << capability) != 0
    }

    /// Whether it counts on the host, too.
    fn has_on_host(&self, capability: u32) -> bool {
        self.has(capability) && !self.in_user_namespace
    }
}

/// What helps where some are missing.
const LOST: &str = "grant it: CapabilityBoundingSet= of a systemd unit and --cap-drop of a container are where it gets lost";

/// The verdict.
pub(super) fn judge(facts: &Privileges) -> Check {
    let who = match (facts.supervisor, facts.uid) {
        (Some(pid), uid) => format!("the running supervisor (pid {pid}, user {uid})"),
        (None, 0) => "root".to_owned(),
        (None, uid) => format!("user {uid}"),
    };
    let missing: Vec<_> = NEEDED.iter().filter(|(bit, ..)| !facts.has(*bit)).collect();
    match missing.as_slice() {
        [] if facts.in_user_namespace => Check::failed(
            ID,
            TITLE,
            format!(
                "{who}, but of a user namespace: on the host these privileges count for nothing"
            ),
            "run the supervisor as the host's root, outside rootless and remapped containers",
        ),
        [] if !facts.has(CAP_KILL) => Check::warning(
            ID,
            TITLE,
            format!("{who}, without CAP_KILL: a companion that hangs cannot be ended"),
            LOST,
        ),
        [] => Check::ok(
            ID,
            TITLE,
            format!("{who}, with every capability that is needed"),
        ),
        missing if missing.len() == NEEDED.len() => Check::failed(
            ID,
            TITLE,
            format!("{who}, without any of the capabilities that entering containers takes"),
            "run as root: sudo diogenes serve",
        ),
        missing => {
            let names: Vec<_> = missing
                .iter()
                .map(|(_, name, purpose)| format!("{name} (to {purpose})"))
                .collect();
            Check::failed(
                ID,
                TITLE,
                format!("{who}, without {}", names.join(", ")),
                LOST,
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::Status;

    const HOST: &str = "         0          0 4294967295\n";

    fn verdict(status: &str, uid_map: &str) -> Check {
        judge(&Privileges::parse(status, uid_map).unwrap())
    }

    #[test]
    fn each_kind_of_user_gets_the_advice_that_helps() {
        let root = "Uid:\t0\t0\t0\t0\nCapEff:\t000001fffeffffff\n";
        let nobody = "Uid:\t65534\t65534\t65534\t65534\nCapEff:\t0000000000000000\n";
        let tame = "Uid:\t0\t0\t0\t0\nCapEff:\t000001fffeffffdf\n";
        // What Docker grants by default: no CAP_SYS_ADMIN, no CAP_SYS_PTRACE.
        let contained = "Uid:\t0\t0\t0\t0\nCapEff:\t00000000a80425fb\n";
        for (status, map, expected, words) in [
            (root, HOST, Status::Ok, "root, with every capability"),
            (
                root,
                "0 100000 65536\n",
                Status::Failed,
                "of a user namespace",
            ),
            (tame, HOST, Status::Warning, "root, without CAP_KILL"),
            (nobody, HOST, Status::Failed, "user 65534, without any"),
            (
                contained,
                HOST,
                Status::Failed,
                "root, without CAP_SYS_ADMIN (to join namespaces), CAP_SYS_PTRACE",
            ),
        ] {
            let check = verdict(status, map);
            assert_eq!(check.status, expected, "{check:?}");
            assert!(check.detail.contains(words), "{check:?}");
            assert_eq!(check.advice.is_none(), expected == Status::Ok);
        }
    }

    #[test]
    fn the_running_supervisor_counts_for_who_may_not_enter_containers() {
        let own = Privileges::look(None);
        assert_eq!(own.uid, rustix::process::geteuid().as_raw());
        let running = Privileges::look(Some(std::process::id()));
        assert_eq!(running.effective, own.effective);
        assert!(judge(&running).detail.contains("running supervisor (pid "));
        assert_eq!(Privileges::look(Some(u32::MAX)), own);
    }
}
