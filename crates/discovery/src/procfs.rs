//! Readers of `/proc` files, apart from the system: bytes in, values out.
//!
//! Every file may be cut short, or come from a kernel or an emulation (gVisor, LXCFS) that words it
//! differently; a reader then returns None or less, and never panics. Source: proc(5).

pub(crate) mod cgroup;
pub(crate) mod limits;
pub(crate) mod mountinfo;
pub(crate) mod net;
pub(crate) mod stat;
pub(crate) mod status;

/// A decimal number that is the whole of `bytes`.
pub(crate) fn number<T: std::str::FromStr>(bytes: &[u8]) -> Option<T> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// The words of a line, split at any run of blanks.
pub(crate) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            read_all(&bytes);
        }

        #[test]
        fn nor_do_mangled_real_files(at in 0usize..4096, byte: u8, cut in 0usize..4096) {
            for file in REAL {
                let mut bytes = file.to_vec();
                bytes.truncate(cut.min(bytes.len()));
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
                read_all(&bytes);
            }
        }
    }

    const REAL: [&[u8]; 6] = [
        include_bytes!("../tests/fixtures/live/proc/1/stat"),
        include_bytes!("../tests/fixtures/live/proc/1/status"),
        include_bytes!("../tests/fixtures/live/proc/1/limits"),
        include_bytes!("../tests/fixtures/live/proc/1/cgroup"),
        include_bytes!("../tests/fixtures/live/proc/1/mountinfo"),
        include_bytes!("../tests/fixtures/live/proc/net/tcp"),
    ];

    fn read_all(bytes: &[u8]) {
        let _ = super::stat::parse(bytes);
        let _ = super::stat::boot_time_s(bytes);
        let _ = super::status::effective_uid(bytes);
        let _ = super::limits::open_files(bytes);
        let _ = super::cgroup::parse(bytes);
        let _ = super::mountinfo::parse(bytes);
        for line in bytes.split(|byte| *byte == b'\n') {
            let _ = super::net::inet(line);
            let _ = super::net::unix(line);
        }
    }
}
