//! The processes of the container, and what was learnt of each.
//!
//! A process is the same as long as its pid and its start time are. Then most of what is known stays true,
//! and a scan reads its `stat` alone, in a crowd not even that ([`Turns`]). The rest is read again while it is young,
//! when its name changed (it executed something), and in turn, a few at each scan:
//!
//! ```text
//! new ─► described, walked ─► young: described at each scan ─► known: stat at most, described in turn ─► gone
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use diogenes_linux::clock::{ClockId, milliseconds};
use diogenes_proto::{Process, Timestamp, Untrusted};
use rustix::fd::OwnedFd;
use rustix::io::Errno;

use crate::frameworks::{Frameworks, Id};
use crate::kinds::{Kind, Kinds, Program};
use crate::membership::Membership;
use crate::procfs::stat::Stat;
use crate::procfs::{cgroup, limits, stat, status};
use crate::redact::redact;
use crate::scanner::Scope;
use crate::tree::{Entry, Tree};
use crate::turns::Turns;

/// Most processes that are reported.
const MAX_PROCESSES: usize = 4096;
/// Most pids that are looked at: with a shared pid namespace, many belong to others.
const MAX_PIDS: usize = 32_768;
/// Most of a command line.
const COMMAND_BYTES: usize = 4096;
const COMMAND_ARGUMENTS: usize = 64;
/// An init script and the like execute their program within this time.
const YOUNG_MS: u64 = 5_000;
/// `stat` files that are kept open, for to open and close one costs as much as to read it: everyone's where there are no
/// more, or else those of attended processes. Each holds some 5 KiB of the kernel's memory, a page of them for the text.
const MAX_OPEN: usize = 64;
/// A line of `stat` is at most some 400 bytes long.
const STAT_BYTES: usize = 1024;
/// `limits` and `cgroup` come in one piece.
const SMALL_BYTES: usize = 4095;

/// Whose a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The container's.
    Member,
    /// Somebody else's in a shared pid namespace, or a kernel thread there.
    Stranger,
    /// The companion's own: not reported, but it may hold sockets.
    Companion,
}

/// What is known of a process.
#[derive(Debug)]
pub(crate) struct Known {
    process: Process,
    /// As the kernel has it; tells an exec.
    pub(crate) comm: Vec<u8>,
    start_ticks: u64,
    /// Of its directory in `/proc`. Another process under its pid has another; the same one gets another only where the
    /// kernel was short of memory.
    inode: u64,
    standing: Standing,
    /// It had used the CPU when it was read last.
    busy: bool,
    /// Its limits were never read.
    is_limit_due: bool,
    stat_file: Option<OwnedFd>,
    /// Its executable was removed or replaced since it started.
    deleted: bool,
    /// Part of its command line was left out.
    cut: bool,
    /// Inodes of the listeners it holds.
    pub(crate) holds: Vec<u64>,
    /// Its descriptors are to be walked in this scan, or have been.
    pub(crate) walk_due: bool,
    /// In a crowd, what it is like.
    pub(crate) kind: Kind,
    /// Its descriptors were never walked.
    pub(crate) walk_owed: bool,
    /// Its descriptors cannot be read.
    pub(crate) denied: bool,
    /// How many descriptors it has, as far as known.
    pub(crate) descriptors: usize,
}

impl Known {
    pub(crate) fn pid(&self) -> u32 {
        self.process.container_pid
    }

    pub(crate) fn uid(&self) -> u32 {
        self.process.uid
    }

    fn id(&self) -> Id {
        (self.process.container_pid, self.start_ticks)
    }

    /// Takes over how many descriptors it has; None where that cannot be told.
    pub(crate) fn count(&mut self, descriptors: Option<u64>) {
        if let Some(count) = descriptors {
            self.descriptors = usize::try_from(count).unwrap_or(usize::MAX);
            self.process.fds = Some(count);
        }
    }
}

/// All processes that were seen in the last scan.
#[derive(Debug)]
pub(crate) struct ProcessTable {
    known: BTreeMap<u32, Known>,
    scope: Scope,
    companions: Vec<u32>,
    /// The system itself, not a copy of its files.
    live: bool,
    /// Since the epoch; 0 where it is not known.
    boot_ms: u64,
    ticks_per_second: u64,
    page_bytes: u64,
    /// The size of `/proc/PID/fd` is the number of descriptors (since Linux 6.2).
    counts_descriptors: bool,
    turns: Turns,
    kinds: Kinds,
    listed: Vec<Entry>,
    /// How many `stat` files are open.
    open: usize,
}

impl ProcessTable {
    pub(crate) fn new(root: &Path, scope: Scope, live: bool) -> Self {
        // The link tells the own pid as this /proc numbers it, whatever namespace it was mounted in.
        let own = std::fs::read_link("/proc/self").ok();
        let own = own.and_then(|link| link.to_str()?.parse().ok());
        let fd_size = std::fs::metadata("/proc/self/fd").map_or(0, |fd| fd.len());
        Self {
            known: BTreeMap::new(),
            scope,
            companions: Vec::from_iter(live.then(|| own.unwrap_or_else(std::process::id))),
            live,
            boot_ms: if live {
                booted_ms()
            } else {
                recorded_boot_ms(root)
            },
            ticks_per_second: rustix::param::clock_ticks_per_second().max(1),
            page_bytes: u64::try_from(rustix::param::page_size()).unwrap_or(4096),
            counts_descriptors: live && fd_size > 0,
            turns: Turns::default(),
            kinds: Kinds::default(),
            listed: Vec::new(),
            open: 0,
        }
    }

    pub(crate) fn exclude(&mut self, pid: u32) {
        self.companions.push(pid);
    }

    /// Reads these processes in every scan from now on, a crowd or not.
    pub(crate) fn attend(&mut self, pids: impl Iterator<Item = u32>) {
        self.turns.attend(pids);
    }

    pub(crate) fn counts_descriptors(&self) -> bool {
        self.counts_descriptors
    }

    pub(crate) fn standing(&self, pid: u32) -> Option<Standing> {
        self.known.get(&pid).map(|known| known.standing)
    }

    /// The processes that may hold sockets which matter, by pid.
    pub(crate) fn holders_mut(&mut self) -> impl Iterator<Item = &mut Known> {
        self.known
            .values_mut()
            .filter(|known| known.standing != Standing::Stranger)
    }

    /// The present moment as start times are told: the system's clock may have been set since the boot was looked up.
    fn now_ms(&self) -> u64 {
        if !self.live {
            return Timestamp::now().as_unix_ms();
        }
        let since_boot = u64::try_from(milliseconds(ClockId::Boottime)).unwrap_or(0);
        self.boot_ms.saturating_add(since_boot)
    }

    /// Brings the table up to date.
    ///
    /// # Errors
    /// Where `/proc` itself cannot be listed. A process that ends meanwhile is merely gone.
    pub(crate) fn update(
        &mut self,
        tree: &mut Tree,
        frameworks: &mut Frameworks,
        gaps: &mut Vec<String>,
    ) -> Result<(), Errno> {
        let mut listed = std::mem::take(&mut self.listed);
        if tree.numbers(MAX_PIDS, &mut listed)? {
            gaps.push(format!("processes: only {MAX_PIDS} were looked at"));
        }
        listed.sort_unstable();
        self.open = 0;
        let mut rest = listed.iter().peekable();
        self.known.retain(|pid, known| {
            while rest.next_if(|entry| entry.number < *pid).is_some() {}
            let lives = rest.peek().is_some_and(|entry| entry.number == *pid);
            self.open += usize::from(lives && known.stat_file.is_some());
            lives
        });
        let membership = self.membership(tree, gaps);
        let now_ms = self.now_ms();
        self.turns.begin(listed.len());
        for (place, entry) in listed.iter().enumerate() {
            let due = self.turns.describes(place);
            if due || !self.spares(entry, now_ms) {
                self.look_at(*entry, tree, membership.as_ref(), frameworks, due, now_ms);
            }
        }
        self.listed = listed;
        self.kinds = Kinds::default();
        frameworks.retain(|(pid, start)| {
            self.known
                .get(&pid)
                .is_some_and(|known| known.start_ticks == start)
        });
        Ok(())
    }

    /// Whether a process is known and need not be read in this scan.
    fn spares(&mut self, entry: &Entry, now_ms: u64) -> bool {
        let known = self.known.get(&entry.number);
        known.is_some_and(|known| {
            known.inode == entry.inode
                && !is_young(known.process.started_at.as_unix_ms(), now_ms)
                && self.turns.spares(entry.number, known.busy)
        })
    }

    fn membership(&self, tree: &mut Tree, gaps: &mut Vec<String>) -> Option<Membership> {
        if !self.scope.shared_pids {
            return None;
        }
        let init = self.scope.init_pid;
        let places = tree.read(init, "cgroup").map(cgroup::parse);
        if let Err(error) = &places {
            gaps.push(format!(
                "processes: cannot tell the container's from others: {error}"
            ));
        }
        // Without the init's place nobody is a member: better too few than somebody else's.
        Some(Membership::of(places.unwrap_or_default()))
    }

    fn look_at(
        &mut self,
        entry: Entry,
        tree: &mut Tree,
        membership: Option<&Membership>,
        frameworks: &mut Frameworks,
        due: bool,
        now_ms: u64,
    ) {
        let pid = entry.number;
        // What an open file says is of the same process, or that it is gone and the pid another's.
        let kept = self
            .known
            .get(&pid)
            .and_then(|known| known.stat_file.as_ref());
        let kept = kept.is_some_and(|file| tree.read_again(file, STAT_BYTES).is_ok());
        let line = if kept {
            Ok(tree.content())
        } else {
            tree.read_once(pid, "stat", STAT_BYTES)
        };
        let Some(stat) = line.ok().and_then(stat::parse) else {
            self.known.remove(&pid);
            return;
        };
        let since_boot_ms = stat.start_ticks.saturating_mul(1000) / self.ticks_per_second;
        let started_ms = self.boot_ms.saturating_add(since_boot_ms);
        let same = self
            .known
            .get(&pid)
            .is_some_and(|known| known.start_ticks == stat.start_ticks);
        let standing = match membership {
            _ if self.companions.contains(&pid) => Some(Standing::Companion),
            Some(_) if stat.kernel_thread => Some(Standing::Stranger),
            Some(_) => None,
            None => Some(Standing::Member),
        };
        if !same {
            self.known.insert(pid, unknown(pid, &stat, started_ms));
        }
        let is_crowd = self.turns.is_crowd();
        let attended = self.turns.attends(pid);
        let keeps_open = self.live && (attended || self.known.len() <= MAX_OPEN);
        let Some(known) = self.known.get_mut(&pid) else {
            return;
        };
        let executed = same && known.comm != stat.comm;
        let describe = !same || is_young(started_ms, now_ms) || executed || due;
        known.inode = entry.inode;
        refresh(known, &stat, self.ticks_per_second, self.page_bytes);
        let zombie = stat.state == 'Z';
        if !keeps_open {
            known.stat_file = None;
        } else if known.stat_file.is_none() && self.open < MAX_OPEN {
            known.stat_file = tree.open_file(pid, "stat").ok();
            self.open += 1;
        }
        if describe {
            known.standing = standing.unwrap_or_else(|| {
                let places = tree
                    .read_once(pid, "cgroup", SMALL_BYTES)
                    .map(cgroup::parse);
                let member = membership
                    .zip(places.ok())
                    .is_some_and(|(m, p)| m.includes(&p));
                if member {
                    Standing::Member
                } else {
                    Standing::Stranger
                }
            });
        }
        if known.standing == Standing::Stranger {
            known.holds.clear();
            return;
        }
        let is_turn = same && self.turns.is_turn_of(pid);
        let mut is_like_another = false;
        let descriptors = known.descriptors;
        if known.standing == Standing::Member {
            if describe {
                let uid = if self.live {
                    tree.owner(pid).ok()
                } else {
                    tree.read(pid, "status")
                        .ok()
                        .and_then(status::effective_uid)
                };
                known.process.uid = uid.unwrap_or(known.process.uid);
                // Whose turn it is is looked at for its own sake.
                let kinds = (is_crowd && !due).then_some(&mut self.kinds);
                is_like_another = !describe_process(known, tree, frameworks, kinds);
            }
            // Of a crowd, who is new is counted where it is walked.
            if self.counts_descriptors && (due && same || !is_crowd) {
                known.count(tree.size(pid, "fd").ok());
            }
            // Limits rarely change: not looked at again just because the process is young. They are the dearest file of
            // all; of a crowd that is there at once, they are left to the next turn.
            if due || known.is_limit_due && (is_turn || !is_crowd) {
                let limits = tree.read_once(pid, "limits", SMALL_BYTES);
                known.process.fd_limit = limits.ok().and_then(limits::open_files);
                known.is_limit_due = false;
            }
        }
        // In a crowd, a turn is no reason where nothing was held and as many descriptors are open as before.
        let is_unchanged = self.counts_descriptors && known.descriptors == descriptors;
        let may_hold_others = if same && is_crowd && is_unchanged && known.holds.is_empty() {
            executed
        } else {
            describe && (due || executed || !is_like_another)
        };
        known.walk_due = !zombie && (may_hold_others || known.walk_owed && is_turn);
    }

    /// The container's processes by pid, and what about them could not be seen. The texts of an `old` report that are
    /// still true are taken over, for in a crowd to copy them all costs much.
    pub(crate) fn report(
        &self,
        frameworks: &Frameworks,
        old: Vec<Process>,
        gaps: &mut Vec<String>,
    ) -> Vec<Process> {
        let members = || {
            self.known
                .values()
                .filter(|known| known.standing == Standing::Member)
        };
        let mut processes = old;
        let reported = || members().take(MAX_PROCESSES);
        let are_same = |(old, known): (&Process, &Known)| old.container_pid == known.pid();
        if processes.len() != reported().count() || !processes.iter().zip(reported()).all(are_same)
        {
            processes = with_these(processes, reported().map(Known::pid));
        }
        for (process, known) in processes.iter_mut().zip(reported()) {
            take_over(process, &known.process);
            process.frameworks = frameworks.found(known.id());
            let is_shared = self.scope.shared_pids;
            if is_shared && self.standing(process.parent_pid) == Some(Standing::Stranger) {
                process.parent_pid = 0;
            }
        }
        let omitted = members().skip(MAX_PROCESSES).count();
        if omitted > 0 {
            gaps.push(format!(
                "processes: {omitted} left out, {MAX_PROCESSES} are reported"
            ));
        }
        let cut = members().filter(|known| known.cut).count();
        if cut > 0 {
            gaps.push(format!("command lines of {cut} processes: longer than {COMMAND_BYTES} bytes or {COMMAND_ARGUMENTS} arguments, cut"));
        }
        // Harmless, but it explains much: they run what is on no disk any more.
        let deleted: Vec<String> = members()
            .filter(|known| known.deleted)
            .take(8)
            .map(|known| known.pid().to_string())
            .collect();
        if !deleted.is_empty() {
            gaps.push(format!(
                "executables deleted or replaced since the start: pid {}",
                deleted.join(", ")
            ));
        }
        processes
    }
}

/// Whether a process may still be on its way to what it will be.
fn is_young(started_ms: u64, now_ms: u64) -> bool {
    now_ms.saturating_sub(started_ms) < YOUNG_MS
}

fn unknown(pid: u32, stat: &Stat<'_>, started_ms: u64) -> Known {
    Known {
        process: Process {
            container_pid: pid,
            started_at: Timestamp::from_unix_ms(started_ms),
            state: stat.state,
            ..Process::default()
        },
        comm: Vec::new(),
        start_ticks: stat.start_ticks,
        inode: 0,
        standing: Standing::Stranger,
        busy: false,
        is_limit_due: true,
        stat_file: None,
        deleted: false,
        cut: false,
        holds: Vec::new(),
        walk_due: true,
        kind: 0,
        walk_owed: true,
        denied: false,
        descriptors: 0,
    }
}

/// Takes over what changes all the time.
fn refresh(known: &mut Known, stat: &Stat<'_>, ticks_per_second: u64, page_bytes: u64) {
    let process = &mut known.process;
    process.parent_pid = stat.parent;
    process.group = Some(stat.group).filter(|&group| group != 0);
    process.state = stat.state;
    process.threads = stat.threads;
    let cpu_ms = stat.cpu_ticks.saturating_mul(1000) / ticks_per_second;
    known.busy = cpu_ms != process.cpu_ms;
    process.cpu_ms = cpu_ms;
    process.rss_bytes = stat.rss_pages.saturating_mul(page_bytes);
    if known.comm != stat.comm {
        known.comm = stat.comm.to_vec();
        process.name = Untrusted::from_bytes(stat.comm);
    }
}

/// The reports of the processes with these pids, ascending as both are; empty ones where there were none.
fn with_these(old: Vec<Process>, pids: impl Iterator<Item = u32>) -> Vec<Process> {
    let mut old = old.into_iter().peekable();
    let of_pid = |pid| {
        while old.next_if(|old| old.container_pid < pid).is_some() {}
        old.next_if(|old| old.container_pid == pid)
            .unwrap_or_default()
    };
    pids.map(of_pid).collect()
}

/// Makes a report say what is known, but for the frameworks. Texts that are the same are left alone.
fn take_over(process: &mut Process, known: &Process) {
    let Process {
        container_pid,
        host_pid,
        parent_pid,
        group,
        uid,
        started_at,
        name,
        command,
        executable,
        state,
        threads,
        cpu_ms,
        rss_bytes,
        fds,
        fd_limit,
        frameworks: _,
    } = known;
    process.container_pid = *container_pid;
    process.host_pid = *host_pid;
    process.parent_pid = *parent_pid;
    process.group = *group;
    process.uid = *uid;
    process.started_at = *started_at;
    process.state = *state;
    process.threads = *threads;
    process.cpu_ms = *cpu_ms;
    process.rss_bytes = *rss_bytes;
    process.fds = *fds;
    process.fd_limit = *fd_limit;
    if process.name != *name {
        process.name.clone_from(name);
    }
    if process.command != *command {
        process.command.clone_from(command);
    }
    if process.executable != *executable {
        process.executable.clone_from(executable);
    }
}

/// Reads what stays as it is as long as nothing is executed. Returns whether the process is the first of its kind, if
/// that is asked.
fn describe_process(
    known: &mut Known,
    tree: &mut Tree,
    frameworks: &mut Frameworks,
    kinds: Option<&mut Kinds>,
) -> bool {
    let pid = known.pid();
    let command_line = tree
        .read_once(pid, "cmdline", COMMAND_BYTES)
        .unwrap_or_default()
        .to_vec();
    let (argv, is_cut) = arguments(&command_line);
    let mut look = || {
        // Kernel threads and zombies have none; of others it may not be readable.
        let target = tree.read_link(pid, "exe").ok();
        let left = target.and_then(|target| target.strip_suffix(b" (deleted)"));
        Program {
            executable: left.or(target).map(Untrusted::from_bytes),
            is_deleted: left.is_some(),
            command: redact(&argv),
            is_cut,
        }
    };
    let (program, is_first);
    (known.kind, program, is_first) = match kinds {
        Some(kinds) => kinds.meet(&known.process, &command_line, look),
        None => (0, look(), true),
    };
    (known.deleted, known.cut) = (program.is_deleted, program.is_cut);
    known.process.executable = program.executable;
    known.process.command = program.command;
    frameworks.consider(known.id(), &argv, || {
        tree.read_link(pid, "cwd").ok().map(<[u8]>::to_vec)
    });
    is_first
}

/// Splits a command line. True where something was left out; then `…` stands in its place. What was cut in
/// the middle of a word is left out as far back as its beginning: half a secret has not the secret's shape.
fn arguments(command: &[u8]) -> (Vec<Vec<u8>>, bool) {
    let long = command.len() > COMMAND_BYTES;
    let mut text = &command[..command.len().min(COMMAND_BYTES)];
    if long {
        let last = text
            .iter()
            .rposition(|byte| *byte == 0 || byte.is_ascii_whitespace());
        text = &text[..last.unwrap_or(0)];
    }
    // Programs that write a title over their arguments leave NULs behind it.
    while let [rest @ .., 0] = text {
        text = rest;
    }
    if text.is_empty() {
        let only = long.then(|| "…".as_bytes().to_vec());
        return (only.into_iter().collect(), long);
    }
    let mut all = text.split(|byte| *byte == 0);
    let mut argv: Vec<Vec<u8>> = all
        .clone()
        .take(COMMAND_ARGUMENTS)
        .map(<[u8]>::to_vec)
        .collect();
    let cut = long || all.nth(COMMAND_ARGUMENTS).is_some();
    if cut {
        argv.push("…".as_bytes().to_vec());
    }
    (argv, cut)
}

/// The moment of boot by the present clocks. More exact than `btime`, which has whole seconds, and in a
/// time namespace shifted as the start times are.
fn booted_ms() -> u64 {
    u64::try_from(milliseconds(ClockId::Realtime) - milliseconds(ClockId::Boottime)).unwrap_or(0)
}

fn recorded_boot_ms(root: &Path) -> u64 {
    let stat = std::fs::read(root.join("proc/stat")).unwrap_or_default();
    stat::boot_time_s(&stat).unwrap_or(0).saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(command: &[u8]) -> (Vec<String>, bool) {
        let (argv, cut) = arguments(command);
        let text = |one: Vec<u8>| String::from_utf8(one).unwrap();
        (argv.into_iter().map(text).collect(), cut)
    }

    #[test]
    fn splits_command_lines_and_titles() {
        assert_eq!(split(b""), (vec![], false));
        assert_eq!(
            split(b"a\0\0b c\0"),
            (vec!["a".into(), String::new(), "b c".into()], false)
        );
        assert_eq!(
            split(b"nginx: master\0\0\0\0"),
            (vec!["nginx: master".into()], false)
        );
    }

    #[test]
    fn cuts_at_a_word_and_says_so() {
        let mut long = b"app\0--x\0".to_vec();
        long.extend([b'y'; COMMAND_BYTES]);
        assert_eq!(
            split(&long),
            (vec!["app".into(), "--x".into(), "…".into()], true)
        );
        assert_eq!(split(&[b'y'; COMMAND_BYTES + 1]), (vec!["…".into()], true));
        let many = "a\0".repeat(COMMAND_ARGUMENTS + 1);
        let (argv, cut) = split(many.as_bytes());
        assert!(cut && argv.len() == COMMAND_ARGUMENTS + 1 && argv[COMMAND_ARGUMENTS] == "…");
        assert!(!split("a\0".repeat(COMMAND_ARGUMENTS).as_bytes()).1);
    }
}
