//! `/proc/PID/mountinfo`: where the cgroup hierarchies are mounted. Source: proc(5), proc_pid_mountinfo(5).

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

/// Reads the file and keeps the cgroup mounts.
pub(crate) fn parse(bytes: &[u8]) -> Vec<CgroupMount> {
    bytes
        .split(|byte| *byte == b'\n')
        .filter_map(cgroup_mount)
        .collect()
}

fn cgroup_mount(line: &[u8]) -> Option<CgroupMount> {
    let mut fields = words(line);
    let root = unescape(fields.nth(3)?);
    let point = unescape(fields.next()?);
    // Any number of optional fields comes before the dash.
    fields.by_ref().find(|field| *field == b"-")?;
    let controllers = match fields.next()? {
        b"cgroup2" => None,
        b"cgroup" => Some(unescape(fields.nth(1)?)),
        _ => return None,
    };
    Some(CgroupMount {
        root,
        point,
        controllers,
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
