//! `/proc/PID/cgroup`: where a process stands in each hierarchy. Source: cgroups(7).

use super::number;

/// One line, `ID:CONTROLLERS:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// 0 is the unified hierarchy, cgroup v2.
    pub(crate) hierarchy: u32,
    /// `cpu,cpuacct`, `name=systemd`; empty for v2.
    pub(crate) controllers: String,
    /// Relative to the cgroup namespace of the reader: a process outside of it shows `/..`.
    pub(crate) path: String,
}

impl Place {
    /// Whether this is the hierarchy of a v1 controller.
    pub(crate) fn has(&self, controller: &str) -> bool {
        self.hierarchy != 0 && self.controllers.split(',').any(|one| one == controller)
    }
}

/// Reads the file; lines that are none are passed over.
pub(crate) fn parse(bytes: &[u8]) -> Vec<Place> {
    let place = |line: &[u8]| {
        let mut parts = line.splitn(3, |byte| *byte == b':');
        Some(Place {
            hierarchy: number(parts.next()?)?,
            controllers: String::from_utf8_lossy(parts.next()?).into_owned(),
            path: String::from_utf8_lossy(parts.next()?).into_owned(),
        })
    };
    bytes
        .split(|byte| *byte == b'\n')
        .filter_map(place)
        .collect()
}

/// What `path` is below `above`: empty for itself, else beginning with a slash; None where it is not below.
pub(crate) fn below<'a>(path: &'a str, above: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(above.trim_end_matches('/'))?;
    match rest {
        "" | "/" => Some(""),
        _ if rest.starts_with('/') && !rest.starts_with("/..") => Some(rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_versions() {
        let places =
            parse(b"12:cpu,cpuacct:/docker/a:b\n1:name=systemd:/x\n0::/docker/c\nrubbish\n");
        assert_eq!(places.len(), 3);
        assert!(places[0].has("cpuacct") && places[0].has("cpu") && !places[0].has("pids"));
        assert_eq!(places[0].path, "/docker/a:b");
        assert!(places[2].hierarchy == 0 && !places[2].has(""));
    }

    #[test]
    fn below_is_by_whole_names_and_never_outside() {
        for (path, above, expected) in [
            ("/docker/a", "/docker/a", Some("")),
            ("/docker/a/b", "/docker/a", Some("/b")),
            ("/docker/ab", "/docker/a", None),
            ("/", "/", Some("")),
            ("/x", "/", Some("/x")),
            ("/../x", "/", None),
            ("/..", "/", None),
            ("/docker", "/docker/a", None),
        ] {
            assert_eq!(below(path, above), expected, "{path} below {above}");
        }
    }
}
