//! `/proc/PID/mountinfo`: what is mounted where, the cgroup hierarchies among it. Source: proc(5), proc_pid_mountinfo(5).

use super::words;

/// A mounted cgroup hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CgroupMount {
    /// The part of the hierarchy that the mount shows.
    pub(crate) root: String,
    /// Where it is mounted.
    pub(crate) point: String,
    /// Controllers of a v1 hierarchy; None for v2.
    pub(crate) controllers: Option<String>,
}

/// Anything that is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// `major:minor` of the file system.
    pub(crate) device: String,
    /// The part of the file system that the mount shows.
    root: String,
    /// Where it is mounted.
    pub(crate) point: String,
    /// The type of the file system: `ext4`, `fuse.sshfs`.
    pub(crate) kind: String,
    /// What it was mounted with, as the file system tells it.
    options: String,
}

/// Reads the file.
pub(crate) fn parse_all(bytes: &[u8]) -> Vec<Mount> {
    bytes
        .split(|byte| *byte == b'\n')
        .filter_map(mount)
        .collect()
}

/// Reads the file and keeps the cgroup mounts.
pub(crate) fn parse(bytes: &[u8]) -> Vec<CgroupMount> {
    let cgroup = |mount: Mount| {
        let controllers = match mount.kind.as_str() {
            "cgroup2" => None,
            "cgroup" => Some(mount.options),
            _ => return None,
        };
        Some(CgroupMount {
            root: mount.root,
            point: mount.point,
            controllers,
        })
    };
    parse_all(bytes).into_iter().filter_map(cgroup).collect()
}

fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = words(line);
    let device = unescape(fields.nth(2)?);
    let root = unescape(fields.next()?);
    let point = unescape(fields.next()?);
    // Any number of optional fields comes before the dash.
    fields.by_ref().find(|field| *field == b"-")?;
    let kind = unescape(fields.next()?);
    let options = unescape(fields.nth(1)?);
    Some(Mount {
        device,
        root,
        point,
        kind,
        options,
    })
}

/// The kernel writes blanks, line feeds and backslashes as three octal digits.
fn unescape(field: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let octal = |digits: &[u8]| {
            let text = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(text, 8).ok()
        };
        match tail.first_chunk::<3>().and_then(|digits| octal(digits)) {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_v1_and_v2_mounts_among_others() {
        let mounts = parse(
            b"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
              700 690 0:35 /docker/0a /sys/fs/cgroup/memory ro,nosuid master:9 - cgroup cgroup rw,memory\n\
              31 30 0:26 / /sys/fs/my\\040cgroup rw shared:4 master:1 - cgroup2 cgroup2 rw,nsdelegate\n\
              half a line",
        );
        assert_eq!(mounts.len(), 2);
        assert_eq!(mounts[0].root, "/docker/0a");
        assert_eq!(mounts[0].point, "/sys/fs/cgroup/memory");
        assert_eq!(mounts[0].controllers.as_deref(), Some("rw,memory"));
        assert_eq!(mounts[1].point, "/sys/fs/my cgroup");
        assert_eq!(mounts[1].controllers, None);
    }
}
