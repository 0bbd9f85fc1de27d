//! The folder of aish's registry: reading its file, replacing it whole, and the marks beside it.
//!
//! The file is replaced by rename, so that nobody ever reads a part of it. Others write it in place: one who opened it
//! before the rename then writes into a file that has no name any more. So what was replaced stays open for a while
//! ([`Held`]), and what is written into it is not lost.
//!
//! Whoever owns Tekton's folder may plant links in it. Run as that user, this leads nowhere they could not go by
//! themselves, and links are followed. Run as root it may be anybody's: then no link below the root is followed. The
//! file itself must be a regular one in either case, for a rename would put a file in a link's place.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, FlockOperation, Gid, Mode, OFlags, RenameFlags, ResolveFlags, Stat,
    Uid, fchmod, fchown, flock, fstat, mkdirat, mknodat, openat, openat2, renameat, renameat_with,
    statat, unlinkat,
};
use rustix::io::Errno;

/// Where it is below Tekton's root, step by step.
const STEPS: [&str; 3] = [".tekton", "aish", "ci-registry"];
/// The file.
const FILE: &str = "wrapped_cis.json";
/// What we lock against each other.
const LOCK: &str = ".diogenes.lock";
/// What becomes the file; under the lock there is one.
const DRAFT: &str = ".wrapped_cis.json.diogenes";
/// Largest file that is read: a thousand times what Tekton has.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// The modes of what is made here where nothing is to be kept: Tekton's other files have these.
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);
const DIR_MODE: Mode = Mode::from_raw_mode(0o755);
const MARK_MODE: Mode = Mode::from_raw_mode(0o600);

/// Why the folder cannot be used as it is.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A step on the way to it.
    #[error("cannot {what} {}: {error}{}", path.display(), advice(*error))]
    Failed {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// What the kernel says.
        error: Errno,
    },
    /// The file is a link, a directory or something stranger.
    #[error("{} is no regular file; put one in its place", .0.display())]
    NoFile(PathBuf),
    /// The file is larger than any registry.
    #[error("{} has more than {MAX_BYTES} bytes; nothing of Tekton's is that long: look what fills it", .0.display())]
    TooLong(PathBuf),
    /// The file is another user's, and could not be given back after it was replaced.
    #[error("{} belongs to the user with uid {uid}, who alone may replace it; run as that user", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
}

fn advice(error: Errno) -> &'static str {
    match error {
        Errno::NOENT => "; is this Tekton's directory?",
        Errno::LOOP => "; as root no links are followed there: put a directory in the link's place",
        Errno::ACCESS | Errno::PERM => "; run as the user who owns Tekton's directory",
        Errno::NOSPC | Errno::DQUOT => "; free some space there",
        Errno::ROFS => "; the file system is read-only",
        _ => "",
    }
}

/// What tells one state of the file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    place: (u64, u64),
    length: i64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(stat: &Stat) -> Self {
        // The fields' types differ from one machine to another; what they hold does not.
        #[allow(
            clippy::unnecessary_cast,
            clippy::cast_possible_wrap,
            reason = "see above"
        )]
        Self {
            place: (stat.st_dev as u64, stat.st_ino as u64),
            length: stat.st_size as i64,
            written: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        }
    }
}

/// The file as it was read, still open.
#[derive(Debug)]
pub struct Held {
    file: File,
    stat: Stat,
    /// What it held.
    pub text: Vec<u8>,
}

impl Held {
    /// Its state when it was read.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp::of(&self.stat)
    }

    /// What somebody has written into it since it was read, or since this was last asked; None where nobody has. Losing
    /// its name is no writing.
    ///
    /// # Errors
    /// Where it can no longer be read.
    pub fn written_since(&mut self) -> io::Result<Option<&[u8]>> {
        let (before, now) = (self.stamp(), fstat(&self.file)?);
        if (before.length, before.written) == (Stamp::of(&now).length, Stamp::of(&now).written) {
            return Ok(None);
        }
        self.stat = now;
        self.text = read_whole(&mut self.file)?;
        Ok(Some(&self.text))
    }
}

fn read_whole(file: &mut File) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    file.rewind()?;
    file.take(MAX_BYTES + 1).read_to_end(&mut text)?;
    Ok(text)
}

/// The folder, open.
#[derive(Debug)]
pub struct Folder {
    dir: OwnedFd,
    path: PathBuf,
}

/// Keeps others of us out; the kernel gives it back when this is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: OwnedFd,
}

/// None where another holds it.
fn try_lock(file: OwnedFd) -> Result<Option<Lock>, Errno> {
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(Lock { _file: file })),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where the registry of the Tekton in `root` is.
#[must_use]
pub fn file_of(root: &Path) -> PathBuf {
    root.join(STEPS.join("/")).join(FILE)
}

impl Folder {
    /// Opens the folder below Tekton's root, and makes it where only that is missing.
    ///
    /// # Errors
    /// Where the root is not there, or the folder can be neither opened nor made.
    pub fn open(root: &Path) -> Result<Self, FolderError> {
        let resolve = match rustix::process::geteuid().is_root() {
            true => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
            false => ResolveFlags::empty(),
        };
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut path = root.to_owned();
        let failed = |what, path: &Path, error| FolderError::Failed {
            what,
            path: path.to_owned(),
            error,
        };
        let mut dir = openat(CWD, root, flags | OFlags::PATH, Mode::empty())
            .map_err(|error| failed("open", root, error))?;
        for step in STEPS {
            path.push(step);
            let open = || openat2(&dir, step, flags, Mode::empty(), resolve);
            dir = match open() {
                Err(Errno::NOENT) => match mkdirat(&dir, step, DIR_MODE) {
                    Ok(()) | Err(Errno::EXIST) => open(),
                    Err(error) => return Err(failed("make", &path, error)),
                },
                opened => opened,
            }
            .map_err(|error| failed("open", &path, error))?;
        }
        Ok(Self { dir, path })
    }

    /// The file's path, for people.
    #[must_use]
    pub fn file_path(&self) -> PathBuf {
        self.path.join(FILE)
    }

    fn failed(&self, what: &'static str, name: &str, error: Errno) -> FolderError {
        FolderError::Failed {
            what,
            path: self.path.join(name),
            error,
        }
    }

    /// Keeps others of us from changing the file; None where another does so at this moment.
    ///
    /// # Errors
    /// Where there can be no lock.
    pub fn lock(&self) -> Result<Option<Lock>, FolderError> {
        // Reading is enough to lock, so that one user's lock serves another.
        let flags =
            OFlags::RDONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let failed = |error| self.failed("lock", LOCK, error);
        let file = openat(&self.dir, LOCK, flags, FILE_MODE).map_err(failed)?;
        try_lock(file).map_err(failed)
    }

    /// The file's state; None where there is no file.
    ///
    /// # Errors
    /// Where the kernel does not tell.
    pub fn stamp(&self) -> Result<Option<Stamp>, FolderError> {
        match statat(&self.dir, FILE, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Stamp::of(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.failed("look at", FILE, error)),
        }
    }

    /// Reads the file; None where there is none.
    ///
    /// # Errors
    /// Where it cannot be read, or is no file that could be a registry.
    pub fn read(&self) -> Result<Option<Held>, FolderError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut file = match openat(&self.dir, FILE, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(FolderError::NoFile(self.file_path())),
            Err(error) => return Err(self.failed("read", FILE, error)),
        };
        let failed = |error| self.failed("read", FILE, error);
        // The state before the text: what is written in between shows as a change.
        let stat = fstat(&file).map_err(failed)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(FolderError::NoFile(self.file_path()));
        }
        let text = read_whole(&mut file)
            .map_err(|error| failed(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
        if text.len() as u64 > MAX_BYTES {
            return Err(FolderError::TooLong(self.file_path()));
        }
        Ok(Some(Held { file, stat, text }))
    }

    /// Puts a file with this text in the place of the one that was read (None where there was none), with its mode and
    /// owner. False, and nothing done, where that is no longer the one in its place, or was written since.
    ///
    /// # Errors
    /// Where the text cannot be written.
    pub fn replace(
        &self,
        old: Option<&Held>,
        text: &str,
        _lock: &Lock,
    ) -> Result<bool, FolderError> {
        let failed = |error| self.failed("write", FILE, error);
        // Left by one of us who was killed: the lock is ours.
        let _ = unlinkat(&self.dir, DRAFT, AtFlags::empty());
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut draft = File::from(openat(&self.dir, DRAFT, flags, MARK_MODE).map_err(failed)?);
        let replaced = (|| {
            draft
                .write_all(text.as_bytes())
                .map_err(|error| failed(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
            match old {
                Some(old) => self.take_after(&draft, &old.stat)?,
                None => fchmod(&draft, FILE_MODE).map_err(failed)?,
            }
            if self.stamp()? != old.map(Held::stamp) {
                return Ok(false);
            }
            match old {
                Some(_) => renameat(&self.dir, DRAFT, &self.dir, FILE).map_err(failed)?,
                None => {
                    match renameat_with(&self.dir, DRAFT, &self.dir, FILE, RenameFlags::NOREPLACE) {
                        Err(Errno::EXIST) => return Ok(false),
                        // Not every file system can promise that.
                        Err(Errno::INVAL) => {
                            renameat(&self.dir, DRAFT, &self.dir, FILE).map_err(failed)?
                        }
                        renamed => renamed.map_err(failed)?,
                    }
                }
            }
            Ok(true)
        })();
        if !matches!(replaced, Ok(true)) {
            let _ = unlinkat(&self.dir, DRAFT, AtFlags::empty());
        }
        replaced
    }

    /// Gives the draft the owner and mode of the file.
    fn take_after(&self, draft: &File, old: &Stat) -> Result<(), FolderError> {
        let failed = |error| self.failed("write", FILE, error);
        let own = fstat(draft).map_err(failed)?;
        if (own.st_uid, own.st_gid) != (old.st_uid, old.st_gid) {
            fchown(
                draft,
                Some(Uid::from_raw(old.st_uid)),
                Some(Gid::from_raw(old.st_gid)),
            )
            .map_err(|_| FolderError::Foreign {
                path: self.file_path(),
                uid: old.st_uid,
            })?;
        }
        fchmod(draft, Mode::from_raw_mode(old.st_mode & 0o7777)).map_err(failed)
    }

    /// The marks of one of us, whose name is part of no path: see [`Marks`].
    ///
    /// # Errors
    /// Where their directory can be neither opened nor made.
    pub fn marks(&self, owner: &str) -> Result<Marks, FolderError> {
        let name = marks_name(owner);
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || openat(&self.dir, &name, flags, Mode::empty());
        let dir = match open() {
            Err(Errno::NOENT) => match mkdirat(&self.dir, &name, DIR_MODE) {
                Ok(()) | Err(Errno::EXIST) => open(),
                Err(error) => Err(error),
            },
            opened => opened,
        };
        let dir = dir.map_err(|error| self.failed("make", &name, error))?;
        Ok(Marks {
            dir,
            path: self.path.join(name),
        })
    }

    /// Removes the marks' directory where it is empty.
    pub fn remove_marks(&self, owner: &str) {
        let _ = unlinkat(&self.dir, marks_name(owner), AtFlags::REMOVEDIR);
    }
}

/// The name of an owner's directory: an owner is named by host and path.
fn marks_name(owner: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "@._".contains(c) {
            c
        } else {
            '-'
        }
    };
    let name: String = owner.chars().take(200).map(plain).collect();
    name.trim_start_matches('.').to_owned()
}

/// The marks: for each CI a node of the type of a socket, since aish looks for one before it takes an entry for good. To
/// connect to it is refused, but nobody does.
#[derive(Debug)]
pub struct Marks {
    dir: OwnedFd,
    path: PathBuf,
}

impl Marks {
    /// The path of a CI's mark.
    #[must_use]
    pub fn path(&self, key: &str) -> PathBuf {
        self.path.join(file_name(key))
    }

    /// What tells this directory from one that was made in its place.
    ///
    /// # Errors
    /// Where the kernel does not tell.
    pub fn place(&self) -> Result<(u64, u64), FolderError> {
        let failed = |error| FolderError::Failed {
            what: "look at",
            path: self.path.clone(),
            error,
        };
        fstat(&self.dir)
            .map(|stat| Stamp::of(&stat).place)
            .map_err(failed)
    }

    /// Keeps others of the same owner away, for as long as this is held; None where another is there.
    ///
    /// # Errors
    /// Where there can be no lock.
    pub fn lock(&self) -> Result<Option<Lock>, FolderError> {
        let failed = |error| FolderError::Failed {
            what: "lock",
            path: self.path.clone(),
            error,
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = openat(&self.dir, ".", flags, Mode::empty()).map_err(failed)?;
        try_lock(dir).map_err(failed)
    }

    /// Whether it is there.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        statat(&self.dir, file_name(key), AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Makes it.
    ///
    /// # Errors
    /// Where that cannot be.
    pub fn set(&self, key: &str) -> Result<(), FolderError> {
        match mknodat(&self.dir, file_name(key), FileType::Socket, MARK_MODE, 0) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(FolderError::Failed {
                what: "make",
                path: self.path(key),
                error,
            }),
        }
    }

    /// Removes those of all but these keys.
    pub fn keep_only(&self, is_wanted: impl Fn(&str) -> bool) {
        for entry in rustix::fs::Dir::read_from(&self.dir)
            .into_iter()
            .flatten()
            .flatten()
        {
            let key = entry
                .file_name()
                .to_str()
                .ok()
                .and_then(|name| name.strip_suffix(SUFFIX));
            if let Some(key) = key.filter(|key| !is_wanted(key)) {
                let _ = unlinkat(&self.dir, file_name(key), AtFlags::empty());
            }
        }
    }
}

/// What the name of a mark ends in.
const SUFFIX: &str = ".sock";

fn file_name(key: &str) -> String {
    format!("{key}{SUFFIX}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    fn place() -> (tempfile::TempDir, Folder) {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        (root, folder)
    }

    #[test]
    fn the_file_is_replaced_whole_and_stays_whose_it_is() {
        let (_root, folder) = place();
        let path = folder.file_path();
        let lock = folder.lock().unwrap().unwrap();
        assert!(folder.read().unwrap().is_none());
        assert!(folder.replace(None, "{}", &lock).unwrap());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(4321), Some(4322)).unwrap();
        }
        let before = path.metadata().unwrap();
        let held = folder.read().unwrap().unwrap();
        assert!(folder.replace(Some(&held), r#"{"a":1}"#, &lock).unwrap());
        let after = path.metadata().unwrap();
        assert_ne!(before.ino(), after.ino());
        assert_eq!(
            (before.uid(), before.gid(), before.mode()),
            (after.uid(), after.gid(), after.mode())
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), r#"{"a":1}"#);
        assert!(
            !folder.replace(Some(&held), "{}", &lock).unwrap(),
            "it is another by now"
        );
        assert!(
            !folder.replace(None, "{}", &lock).unwrap(),
            "it is there by now"
        );
        let names: Vec<_> = std::fs::read_dir(path.parent().unwrap())
            .unwrap()
            .flatten()
            .map(|it| it.file_name())
            .collect();
        assert!(!names.iter().any(|name| name == DRAFT), "{names:?}");
    }

    #[test]
    fn what_is_written_into_the_replaced_file_is_not_lost() {
        let (_root, folder) = place();
        std::fs::write(folder.file_path(), "{}").unwrap();
        let mut late = File::options()
            .write(true)
            .open(folder.file_path())
            .unwrap();
        let lock = folder.lock().unwrap().unwrap();
        let mut held = folder.read().unwrap().unwrap();
        assert!(folder.replace(Some(&held), r#"{"a":1}"#, &lock).unwrap());
        assert_eq!(held.written_since().unwrap(), None, "only its name is gone");
        late.write_all(br#"{"b":2}"#).unwrap();
        assert_eq!(held.written_since().unwrap(), Some(&br#"{"b":2}"#[..]));
        assert_eq!(held.written_since().unwrap(), None);
    }

    #[test]
    fn one_of_us_at_a_time() {
        let (root, folder) = place();
        let lock = folder.lock().unwrap();
        let other = Folder::open(root.path()).unwrap();
        assert!(other.lock().unwrap().is_none());
        drop(lock);
        assert!(other.lock().unwrap().is_some());
    }

    #[test]
    fn what_is_no_file_is_neither_read_nor_replaced() {
        let (root, folder) = place();
        let elsewhere = root.path().join("elsewhere");
        std::fs::write(&elsewhere, "{}").unwrap();
        symlink(&elsewhere, folder.file_path()).unwrap();
        assert!(matches!(folder.read(), Err(FolderError::NoFile(_))));
        std::fs::remove_file(folder.file_path()).unwrap();
        std::fs::create_dir(folder.file_path()).unwrap();
        assert!(matches!(folder.read(), Err(FolderError::NoFile(_))));
        std::fs::remove_dir(folder.file_path()).unwrap();
        // A FIFO nobody writes to must not make anybody wait.
        mknodat(&folder.dir, FILE, FileType::Fifo, MARK_MODE, 0).unwrap();
        assert!(matches!(folder.read(), Err(FolderError::NoFile(_))));
    }

    #[test]
    fn as_root_links_lead_nowhere() {
        let (root, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(target.path(), root.path().join(".tekton")).unwrap();
        let opened = Folder::open(root.path());
        if rustix::process::geteuid().is_root() {
            let told = opened.unwrap_err().to_string();
            assert!(told.contains("no links are followed"), "{told}");
            assert_eq!(std::fs::read_dir(target.path()).unwrap().count(), 0);
        } else {
            opened.unwrap();
        }
        let told = Folder::open(Path::new("/no/such/place"))
            .unwrap_err()
            .to_string();
        assert_eq!(
            told,
            "cannot open /no/such/place: No such file or directory (os error 2); is this Tekton's directory?"
        );
    }

    #[test]
    fn marks_come_and_go() {
        let (_root, folder) = place();
        let owner = "diogenes@host:/run/../x";
        let marks = folder.marks(owner).unwrap();
        marks.set("shop-ci").unwrap();
        marks.set("shop-ci").unwrap();
        assert!(marks.has("shop-ci") && !marks.has("cafe-ci"));
        assert!(
            marks
                .path("shop-ci")
                .symlink_metadata()
                .unwrap()
                .file_type()
                .is_socket()
        );
        marks.set("cafe-ci").unwrap();
        marks.keep_only(|key| key == "shop-ci");
        assert!(marks.has("shop-ci") && !marks.has("cafe-ci"));
        folder.remove_marks(owner);
        assert!(marks.has("shop-ci"), "it was not empty");
        marks.keep_only(|_| false);
        folder.remove_marks(owner);
        assert!(!marks.path.exists());
    }
}
