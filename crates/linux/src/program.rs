//! The agent's executable, held in memory that nobody can change.
//!
//! All agents are executed from one sealed memfd, so they share its pages: ten agents cost little more than
//! one. Its mode is 0111, executable and not readable. The kernel makes a process that executes what it cannot
//! read undumpable from its first instruction (`would_dump()` in fs/exec.c), and so closed to a ptrace by
//! an equal.

use std::fs::{File, Permissions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;

/// `MFD_EXEC` of memfd_create(2), Linux 6.3.
const MFD_EXEC: MemfdFlags = MemfdFlags::from_bits_retain(0x10);
/// `F_SEAL_EXEC` of fcntl(2), Linux 6.3: the executable bits cannot change.
const SEAL_EXEC: SealFlags = SealFlags::from_bits_retain(0x20);

/// Neither the content, nor the length, nor these seals themselves can change.
const CONTENT_SEALS: SealFlags = SealFlags::SEAL
    .union(SealFlags::SHRINK)
    .union(SealFlags::GROW)
    .union(SealFlags::WRITE)
    .union(SealFlags::FUTURE_WRITE);

/// Why a program cannot be used as the agent.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The file cannot be read.
    #[error("cannot read the agent program {path}")]
    Read {
        /// Where it was looked for.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The file is not what can run in any container.
    #[error("{path} cannot be the agent: {why}")]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Neither memory nor a file can hold it.
    #[error(
        "cannot keep the agent program in memory ({memory}), nor as an unnamed file in {directory} ({file})"
    )]
    Hold {
        /// What memfd_create said.
        memory: Errno,
        /// Where the file was tried.
        directory: PathBuf,
        /// What the file system said.
        file: std::io::Error,
    },
}

/// A sealed program, ready to be executed any number of times.
#[derive(Debug)]
pub struct Program {
    fd: OwnedFd,
    in_memory: bool,
}

impl Program {
    /// Loads the program at `path`. Where the system forbids executable memory files (`vm.memfd_noexec=2`),
    /// it becomes an unnamed file in `fallback_directory` instead, which must not be mounted `noexec`.
    ///
    /// # Errors
    /// [`ProgramError`], which names the file.
    pub fn load(path: &Path, fallback_directory: &Path) -> Result<Self, ProgramError> {
        let read = || -> std::io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            File::open(path)?.take(64 << 20).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|source| ProgramError::Read {
            path: path.into(),
            source,
        })?;
        check_elf(&bytes).map_err(|why| ProgramError::Unfit {
            path: path.into(),
            why,
        })?;
        match hold_in_memory(&bytes) {
            Ok(fd) => Ok(Self {
                fd,
                in_memory: true,
            }),
            Err(memory) => match hold_in_file(&bytes, fallback_directory) {
                Ok(fd) => Ok(Self {
                    fd,
                    in_memory: false,
                }),
                Err(file) => Err(ProgramError::Hold {
                    memory,
                    directory: fallback_directory.into(),
                    file,
                }),
            },
        }
    }

    /// False where the system forbade executable memory and an unnamed file holds the program.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        self.in_memory
    }
}

impl AsFd for Program {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Puts the program into a memfd and seals it for good.
fn hold_in_memory(bytes: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let (fd, seal_exec) =
        match rustix::fs::memfd_create(crate::contract::AGENT_NAME, flags | MFD_EXEC) {
            Ok(fd) => (fd, SEAL_EXEC),
            // A kernel older than 6.3 knows neither the flag nor the seal; its memfds are executable.
            Err(Errno::INVAL) => (
                rustix::fs::memfd_create(crate::contract::AGENT_NAME, flags)?,
                SealFlags::empty(),
            ),
            Err(error) => return Err(error),
        };
    let mut file = File::from(fd);
    let failed = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    // Page by page: for a longer write the kernel takes larger blocks of memory (mm/shmem.c), which it then maps whole
    // into every agent, however little of them is used.
    for page in bytes.chunks(rustix::param::page_size()) {
        file.write_all(page).map_err(failed)?;
    }
    file.set_permissions(Permissions::from_mode(0o111))
        .map_err(failed)?;
    rustix::fs::fcntl_add_seals(&file, CONTENT_SEALS | seal_exec)?;
    Ok(file.into())
}

/// Puts the program into a file without a name, which is gone when the last agent is.
fn hold_in_file(bytes: &[u8], directory: &Path) -> std::io::Result<OwnedFd> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(directory, flags, Mode::RUSR | Mode::WUSR)?);
    file.write_all(bytes)?;
    file.set_permissions(Permissions::from_mode(0o111))?;
    // A file open for writing cannot be executed (ETXTBSY): keep a descriptor that only names it.
    Ok(reopen(&file, OFlags::PATH)?)
}

/// An empty file that nobody can write, for standard input and output: reads end at once, writes fail. Better
/// than `/dev/null`, which in a container may be anything, and on the host is the host's.
///
/// # Errors
/// The system's own.
pub fn empty_sealed_file() -> rustix::io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = rustix::fs::memfd_create(
        "empty",
        flags | MemfdFlags::from_bits_retain(0x8 /* MFD_NOEXEC_SEAL */),
    )
    .or_else(|_| rustix::fs::memfd_create("empty", flags))?;
    rustix::fs::fchmod(&fd, Mode::empty())?;
    rustix::fs::fcntl_add_seals(&fd, CONTENT_SEALS)?;
    reopen(&fd, OFlags::RDONLY)
}

/// Opens the same file anew, with less access than it was made with.
fn reopen(fd: &impl AsRawFd, access: OFlags) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(
        format!("/proc/self/fd/{}", fd.as_raw_fd()),
        access | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

/// Checks that the file is a program for this machine that needs no loader (elf(5)).
fn check_elf(bytes: &[u8]) -> Result<(), &'static str> {
    const MACHINE: u16 = if cfg!(target_arch = "x86_64") {
        62
    } else {
        183
    };
    const PT_INTERP: u32 = 3;
    let u16_at = |at: usize| {
        bytes
            .get(at..at + 2)
            .map(|b| u16::from_le_bytes([b[0], b[1]]))
    };
    let u32_at = |at: usize| {
        bytes
            .get(at..at + 4)
            .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    };
    if !bytes.starts_with(b"\x7fELF\x02\x01") {
        return Err("it is not a 64-bit little-endian ELF program");
    }
    if u16_at(18) != Some(MACHINE) {
        return Err("it is made for another processor");
    }
    let table = u32_at(32).ok_or("it is cut short")? as usize;
    let size = usize::from(u16_at(54).ok_or("it is cut short")?);
    let count = usize::from(u16_at(56).ok_or("it is cut short")?);
    for index in 0..count {
        let at = index
            .checked_mul(size)
            .and_then(|offset| table.checked_add(offset))
            .ok_or("it is cut short")?;
        if u32_at(at).ok_or("it is cut short")? == PT_INTERP {
            return Err(
                "it is linked dynamically, and a container need not have its libraries; build it static",
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_would_not_run_everywhere() {
        assert!(check_elf(b"#!/bin/sh\n").unwrap_err().contains("ELF"));
        let mut elf = vec![0_u8; 64];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        assert!(check_elf(&elf).unwrap_err().contains("processor"));
        // The test program itself: dynamic with glibc, static with musl.
        let own = std::fs::read("/proc/self/exe").unwrap();
        assert_eq!(check_elf(&own).is_ok(), cfg!(target_env = "musl"));
        assert!(check_elf(&own[..60]).is_err() || cfg!(target_env = "musl"));
    }

    #[test]
    fn what_is_held_cannot_be_changed() {
        let fd = hold_in_memory(b"program").unwrap();
        let seals = rustix::fs::fcntl_get_seals(&fd).unwrap();
        assert!(seals.contains(
            SealFlags::SEAL | SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SEAL_EXEC
        ));
        assert_eq!(rustix::fs::fstat(&fd).unwrap().st_mode & 0o777, 0o111);
        assert!(File::from(fd).write_all(b"x").is_err());
        let empty = File::from(empty_sealed_file().unwrap());
        assert!((&empty).write_all(b"x").is_err());
        assert_eq!((&empty).read(&mut [0; 8]).unwrap(), 0);
    }

    #[test]
    fn a_file_takes_over_where_memory_is_forbidden() {
        let fd = hold_in_file(b"#!/bin/sh\n", Path::new("/tmp")).unwrap();
        let stat = rustix::fs::fstat(&fd).unwrap();
        assert_eq!((stat.st_mode & 0o777, stat.st_nlink), (0o111, 0));
    }
}
