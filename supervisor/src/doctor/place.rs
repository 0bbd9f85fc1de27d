//! The two directories: whether they can be made and written, and how much room they have.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, Mode, OFlags, StatVfsMountFlags};

use crate::cli::table::short_bytes;
use crate::doctor::check::Check;
use crate::doctor::running::Running;
use crate::run_dir;

pub(super) const RUN_ID: &str = "run-directory";
pub(super) const RUN_TITLE: &str = "Run directory";
pub(super) const STATE_ID: &str = "state-directory";
pub(super) const STATE_TITLE: &str = "State directory";

/// Sockets and a lock take next to nothing.
const LEAST_RUN_BYTES: u64 = 1 << 20;
/// What is remembered is small; a disk that has less left is about to be full.
const LEAST_STATE_BYTES: u64 = 16 << 20;
/// `sun_path` of unix(7), less its final zero.
const MAX_SOCKET_PATH_BYTES: usize = 107;

/// What was seen of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    /// The path itself, or the nearest directory above it that exists: there the rest would be made.
    pub(super) existing: PathBuf,
    /// Why nothing can be written there.
    pub(super) writable: Result<(), String>,
    /// Room for this user; None where the file system does not tell.
    pub(super) free_bytes: Option<u64>,
    /// Whether programs there cannot be executed.
    pub(super) is_noexec: bool,
}

/// The path itself, or the nearest above it that exists.
pub(super) fn existing(path: &Path) -> &Path {
    let exists = |path: &&Path| path.symlink_metadata().is_ok();
    path.ancestors()
        .filter(|path| !path.as_os_str().is_empty())
        .find(exists)
        .unwrap_or(Path::new("."))
}

impl Place {
    /// Looks. Where the directory exists, a file is written and gone at once; else access(2) judges.
    pub(super) fn look(path: &Path) -> Self {
        let existing = existing(path);
        let writable = if !existing.is_dir() {
            Err(format!("{} is not a directory", existing.display()))
        } else if existing == path {
            try_to_write(path).map_err(|error| error.to_string())
        } else {
            let access = Access::WRITE_OK | Access::EXEC_OK;
            rustix::fs::access(existing, access).map_err(|error| error.to_string())
        };
        let room = rustix::fs::statvfs(existing).ok();
        Self {
            path: path.into(),
            existing: existing.into(),
            writable,
            free_bytes: room
                .as_ref()
                .map(|room| room.f_bavail.saturating_mul(room.f_frsize)),
            is_noexec: room.is_some_and(|room| room.f_flag.contains(StatVfsMountFlags::NOEXEC)),
        }
    }

    /// `(3.2G free)`, and where it is to be made.
    fn words(&self) -> String {
        let mut words = self.path.display().to_string();
        if self.existing != self.path {
            words += &format!(" will be made in {}", self.existing.display());
        }
        match self.free_bytes {
            Some(free) => words + &format!(" ({} free)", short_bytes(free)),
            None => words,
        }
    }

    fn has_less_than(&self, bytes: u64) -> bool {
        self.free_bytes.is_some_and(|free| free < bytes)
    }
}

/// Writes a little into a file that nobody else ever sees; where the file system cannot do that, into a named one.
fn try_to_write(directory: &Path) -> std::io::Result<()> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let unnamed = rustix::fs::open(directory, flags, Mode::RUSR | Mode::WUSR);
    if let Ok(file) = unnamed {
        return File::from(file).write_all(b"diogenes doctor\n");
    }
    let path = directory.join(format!(".diogenes-doctor-{}", std::process::id()));
    let written = File::create_new(&path)?.write_all(b"diogenes doctor\n");
    written.and(std::fs::remove_file(&path))
}

/// The verdict on the run directory.
pub(super) fn judge_run_dir(place: &Place, running: &Running) -> Check {
    let path = place.path.display();
    let socket_bytes = run_dir::api_socket(&place.path).as_os_str().len();
    if socket_bytes > MAX_SOCKET_PATH_BYTES {
        return Check::failed(
            RUN_ID,
            RUN_TITLE,
            format!(
                "{path} is {} bytes too long for the sockets in it",
                socket_bytes - MAX_SOCKET_PATH_BYTES
            ),
            "give a shorter one with --run-dir",
        );
    }
    match &place.writable {
        // It is the supervisor's, not ours.
        _ if running.has_run_dir() => Check::ok(RUN_ID, RUN_TITLE, format!("{path} is in use")),
        Err(why) => Check::failed(
            RUN_ID,
            RUN_TITLE,
            format!("{path} cannot be written: {why}"),
            "run as root, make room, or give a directory of your own with --run-dir",
        ),
        Ok(()) if place.has_less_than(LEAST_RUN_BYTES) => Check::warning(
            RUN_ID,
            RUN_TITLE,
            format!("little room: {}", place.words()),
            "make room there, or give another place with --run-dir",
        ),
        Ok(()) => Check::ok(RUN_ID, RUN_TITLE, place.words()),
    }
}

/// The verdict on the state directory. Without it a supervisor works, and forgets.
pub(super) fn judge_state_dir(place: &Place) -> Check {
    const ADVICE: &str = "make room there, or give a writable place with --state-dir";
    match &place.writable {
        Err(why) => Check::warning(
            STATE_ID,
            STATE_TITLE,
            format!(
                "{} cannot be written: {why}; what was detached by hand is forgotten at a restart",
                place.path.display()
            ),
            ADVICE,
        ),
        Ok(()) if place.has_less_than(LEAST_STATE_BYTES) => Check::warning(
            STATE_ID,
            STATE_TITLE,
            format!("little room: {}", place.words()),
            ADVICE,
        ),
        Ok(()) => Check::ok(STATE_ID, STATE_TITLE, place.words()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::Status::{Failed, Ok as Fine, Warning};

    fn place() -> Place {
        Place {
            path: "/run/diogenes".into(),
            existing: "/run".into(),
            writable: Ok(()),
            free_bytes: Some(3 << 30),
            is_noexec: true,
        }
    }

    #[test]
    fn each_directory_has_its_verdict() {
        let denied = Place {
            writable: Err("Permission denied".into()),
            ..place()
        };
        let full = Place {
            free_bytes: Some(4096),
            ..place()
        };
        let untold = Place {
            free_bytes: None,
            ..place()
        };
        let long = Place {
            path: format!("/{}", "d".repeat(100)).into(),
            ..place()
        };
        for (place, run, state) in [
            (place(), Fine, Fine),
            (denied, Failed, Warning),
            (full, Warning, Warning),
            (untold, Fine, Fine),
            (long, Failed, Fine),
        ] {
            let verdict = judge_run_dir(&place, &Running::None);
            assert_eq!(verdict.status, run, "{verdict:?}");
            let verdict = judge_state_dir(&place);
            assert_eq!(verdict.status, state, "{verdict:?}");
        }
        assert_eq!(
            place().words(),
            "/run/diogenes will be made in /run (3.0G free)"
        );
    }

    #[test]
    fn looking_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::look(dir.path());
        assert_eq!((&place.writable, &place.existing), (&Ok(()), &place.path));
        assert!(place.free_bytes.is_some());
        let below = Place::look(&dir.path().join("not/yet/there"));
        assert_eq!((&below.writable, &*below.existing), (&Ok(()), dir.path()));
        assert_eq!(dir.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn what_is_no_directory_cannot_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let below = Place::look(&file.join("below")).writable.unwrap_err();
        assert!(below.ends_with("file is not a directory"), "{below}");
        for path in [
            file.clone(),
            file.join("below"),
            PathBuf::from("/proc/self/net"),
        ] {
            assert!(Place::look(&path).writable.is_err(), "{}", path.display());
        }
    }
}
