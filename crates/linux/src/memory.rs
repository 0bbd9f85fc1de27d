//! Giving memory back.

use std::fs;
use std::os::raw::c_void;
use std::sync::OnceLock;

/// Unmaps this program's own code from this process: what is used again comes back page by page from the file, what
/// was only used at the start does not. Nothing happens where `/proc` cannot be read.
///
/// Only mappings that are executable and not writable are given up: they hold nothing but the file's bytes. Source:
/// madvise(2), `MADV_DONTNEED`; proc(5), `/proc/PID/maps`.
pub fn release_program_code() {
    static CODE: OnceLock<Vec<(usize, usize)>> = OnceLock::new();
    for &(start, length) in CODE.get_or_init(program_code) {
        // SAFETY: the range is a private, read-only mapping of the program file as the kernel has listed it, and this
        // program never unmaps its own code: dropping its pages changes no byte of what is read there.
        unsafe { libc::madvise(start as *mut c_void, length, libc::MADV_DONTNEED) };
    }
}

/// Where the program's code is mapped: this stays as it is from the program's start to its end.
fn program_code() -> Vec<(usize, usize)> {
    let Ok(program) = fs::read_link("/proc/self/exe") else {
        return Vec::new();
    };
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let own = |line: &&str| line.ends_with(&*program.to_string_lossy());
    maps.lines().filter(own).filter_map(code_range).collect()
}

/// Start and length of a mapping, if it is code.
fn code_range(line: &str) -> Option<(usize, usize)> {
    let mut fields = line.split(' ');
    let (start, end) = fields.next()?.split_once('-')?;
    let (start, end) = (
        usize::from_str_radix(start, 16).ok()?,
        usize::from_str_radix(end, 16).ok()?,
    );
    (fields.next()? == "r-xp").then_some((start, end.checked_sub(start)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_is_given_up() {
        let code =
            "7f0be08a7000-7f0be098b000 r-xp 0000d000 00:01 1194   /memfd:diogenes-agent (deleted)";
        assert_eq!(code_range(code), Some((0x7f0b_e08a_7000, 0xe4000)));
        assert_eq!(
            code_range(&code.replace("r-xp", "r--p")),
            None,
            "this may hold what was relocated"
        );
        assert_eq!(code_range(&code.replace("r-xp", "rwxp")), None);
        assert_eq!(code_range("nonsense"), None);
    }

    #[test]
    fn the_program_goes_on_without() {
        release_program_code();
        assert_eq!(std::thread::spawn(|| 6 * 7).join().expect("a thread"), 42);
    }
}
