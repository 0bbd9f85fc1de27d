//! Whether a program could overwrite itself: who breaks into it could then stay for its next start.
//!
//! To look at a file may hang, as with [`crate::packages`].

use std::path::Path;

use diogenes_proto::{Origin, Untrusted};
use rustix::fs::{Mode, Stat, StatVfsMountFlags, stat, statvfs};

use crate::packages::absolute;
use crate::regular::below;

/// The first file of a program that the user it runs as can overwrite, or, where that is root, anybody else. Owners can,
/// whatever its mode says, for they may change that. A file system that nobody can write to is nobody's.
#[must_use]
pub fn writable(root: &Path, origin: &Origin) -> Option<Untrusted> {
    let files = absolute(root, origin.container_pid, &origin.files);
    let is_open = |path: &&std::path::PathBuf| {
        let path = below(root, path);
        stat(&path).is_ok_and(|it| is_another_s(&it, origin.uid))
            && statvfs(&path).is_ok_and(|it| !it.f_flag.contains(StatVfsMountFlags::RDONLY))
    };
    let file = files.iter().find(is_open)?;
    Some(file.to_string_lossy().as_ref().into())
}

/// Whether somebody other than root can overwrite what this user runs.
fn is_another_s(file: &Stat, uid: u32) -> bool {
    let owner_counts = if uid == 0 {
        file.st_uid != 0
    } else {
        file.st_uid == uid
    };
    owner_counts || Mode::from_raw_mode(file.st_mode).contains(Mode::WOTH)
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::{PermissionsExt as _, chown};

    use super::*;
    use crate::regular::tree;

    #[test]
    fn a_program_is_another_s_by_its_owner_or_its_mode() {
        let root = tree(&[("usr/bin/server", "")]);
        let path = root.path().join("usr/bin/server");
        let found = |uid| {
            let origin = Origin {
                uid,
                files: vec!["/usr/bin/server".into()],
                ..Origin::default()
            };
            writable(root.path(), &origin)
        };
        let own = rustix::process::geteuid().as_raw();
        set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(found(own + 1), None);
        set_permissions(&path, Permissions::from_mode(0o757)).unwrap();
        assert_eq!(found(own + 1), Some("/usr/bin/server".into()));
        set_permissions(&path, Permissions::from_mode(0o555)).unwrap();
        // Root may change everything anyway: what counts is who else may.
        assert_eq!(found(own).is_some(), own != 0);
        if own == 0 {
            chown(&path, Some(1000), None).unwrap();
            assert!(found(1000).is_some() && found(0).is_some());
            assert_eq!(found(1001), None);
        }
    }
}
