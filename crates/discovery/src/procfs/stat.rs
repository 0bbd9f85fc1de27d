//! `/proc/PID/stat`, and the boot time of `/proc/stat`.

use super::{number, words};

/// Bit of `flags` that marks a kernel thread (`PF_KTHREAD`, include/linux/sched.h).
const KERNEL_THREAD: u32 = 0x0020_0000;

/// What one line of `/proc/PID/stat` tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stat<'a> {
    /// The kernel's name of the process; any bytes but NUL, a line feed and `)` included.
    pub(crate) comm: &'a [u8],
    pub(crate) state: char,
    pub(crate) parent: u32,
    /// The pid of its process group's leader; 0 where that is in another pid namespace.
    pub(crate) group: u32,
    pub(crate) kernel_thread: bool,
    /// User and system time of all its threads, the dead ones included.
    pub(crate) cpu_ticks: u64,
    pub(crate) threads: u32,
    /// Since boot. With the pid it identifies a process for good.
    pub(crate) start_ticks: u64,
    pub(crate) rss_pages: u64,
}

/// Reads the line; None where it is cut short. The name ends at the *last* parenthesis, for it may hold some.
pub(crate) fn parse(bytes: &[u8]) -> Option<Stat<'_>> {
    let open = bytes.iter().position(|byte| *byte == b'(')?;
    let close = bytes.iter().rposition(|byte| *byte == b')')?;
    let comm = bytes.get(open + 1..close)?;
    let mut fields = words(&bytes[close + 1..]);
    // Numbered as in proc(5): what follows the name begins with field 3.
    let state = char::from(*fields.next()?.first()?);
    let parent = number(fields.next()?)?;
    let group = number(fields.next()?)?; // 5
    let flags: u32 = number(fields.nth(3)?)?; // 9
    let user: u64 = number(fields.nth(4)?)?; // 14
    let system: u64 = number(fields.next()?)?; // 15
    let threads = number(fields.nth(4)?)?; // 20
    let start_ticks = number(fields.nth(1)?)?; // 22
    let rss: i64 = number(fields.nth(1)?)?; // 24
    Some(Stat {
        comm,
        state,
        parent,
        group,
        kernel_thread: flags & KERNEL_THREAD != 0,
        cpu_ticks: user.saturating_add(system),
        threads,
        start_ticks,
        rss_pages: rss.try_into().unwrap_or(0),
    })
}

/// When the system was booted, in seconds since the epoch: `btime` of `/proc/stat`.
pub(crate) fn boot_time_s(bytes: &[u8]) -> Option<u64> {
    let line = bytes
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"btime "))?;
    number(line.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_real_line() {
        let stat = parse(include_bytes!("../../tests/fixtures/live/proc/7/stat")).unwrap();
        assert_eq!(stat.comm, b"a) R (b\nc");
        assert_eq!((stat.state, stat.parent, stat.threads), ('S', 1, 1));
        assert_eq!(stat.group, 1);
        assert_eq!((stat.cpu_ticks, stat.rss_pages > 100), (1, true));
        assert!(!stat.kernel_thread);
    }

    #[test]
    fn knows_a_kernel_thread() {
        let stat = parse(include_bytes!("../../tests/fixtures/kernel-thread/stat")).unwrap();
        assert_eq!(stat.comm, b"kthreadd");
        assert!(stat.kernel_thread);
    }

    #[test]
    fn refuses_what_is_cut_short() {
        let line = include_bytes!("../../tests/fixtures/live/proc/7/stat");
        assert_eq!(parse(&line[..60]), None);
        assert_eq!(parse(b")("), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn finds_the_boot_time() {
        let text = b"cpu  1 2 3\nintr 5 6\nctxt 7\nbtime 1763720000\nprocesses 4\n";
        assert_eq!(boot_time_s(text), Some(1_763_720_000));
        assert_eq!(boot_time_s(b"cpu 1\n"), None);
    }
}
