//! Who is read in a scan, and who waits for a turn.
//!
//! To have one process' `stat` written costs the kernel 5 to 10 µs, and in a crowd that is most of a scan. So of a crowd
//! not everyone is read each time:
//!
//! | who | is read |
//! |---|---|
//! | everyone, of up to [`FEW`] processes | in each scan |
//! | a new process; another one under a known pid, which the inode of `/proc/PID` tells | at once, in full |
//! | a young one | in each scan, in full |
//! | one that is attended: the main process of a service | in each scan |
//! | one that had used the CPU when it was read last | in each scan, the first [`BUSY`] of them |
//! | everyone else | in each [`ROUND`]th scan |
//! | everyone in full, for it may have executed something of the same name | in turn, once in [`TURN_PART`] scans |
//!
//! Even in the first scan of a crowd, some things are left to their turn: limits, and the descriptors of those that are
//! like another process, unless an owner is looked for.
//!
//! So what is told of a process in a crowd is at most [`ROUND`] scans old, and that of a service's main process is new. With
//! a scan every 2 s in a restless container that is 16 s, with one every 30 s in a calm one 4 min; an exec that kept
//! the process' name shows within 64 scans, 2 min and 32 min. Deaths, new processes and new listeners show in each scan.

use std::ops::Range;

/// So many processes are no crowd.
const FEW: usize = 256;
/// In a crowd, everyone is read once in so many scans; a power of two.
const ROUND: u32 = 8;
/// Busy processes of a crowd that are read out of turn.
const BUSY: usize = 128;
/// Each scan describes this part of the processes anew, and at least so many.
const TURN_PART: usize = 64;
const TURN_LEAST: usize = 2;

/// The turns of one table of processes.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    scan: u32,
    is_crowd: bool,
    busy: usize,
    /// By their places in the list.
    described: Range<usize>,
    /// Ascending.
    attended: Vec<u32>,
}

impl Turns {
    /// Attends to these processes from now on.
    pub(crate) fn attend(&mut self, pids: impl Iterator<Item = u32>) {
        self.attended.clear();
        self.attended.extend(pids);
        self.attended.sort_unstable();
    }

    /// Begins a scan of so many processes.
    pub(crate) fn begin(&mut self, processes: usize) {
        self.scan = self.scan.wrapping_add(1);
        self.is_crowd = processes > FEW;
        self.busy = 0;
        let first = match self.described.end {
            end if end < processes => end,
            _ => 0,
        };
        self.described = first..first + (processes / TURN_PART).max(TURN_LEAST);
    }

    pub(crate) fn is_crowd(&self) -> bool {
        self.is_crowd
    }

    pub(crate) fn attends(&self, pid: u32) -> bool {
        self.attended.binary_search(&pid).is_ok()
    }

    /// Whether the process in this place of the list is to be described anew.
    pub(crate) fn describes(&self, place: usize) -> bool {
        self.described.contains(&place)
    }

    /// Whether this is the scan of a round in which a process is read for sure.
    pub(crate) fn is_turn_of(&self, pid: u32) -> bool {
        class(pid) == self.scan % ROUND
    }

    /// Whether a known process need not be read in this scan.
    pub(crate) fn spares(&mut self, pid: u32, is_busy: bool) -> bool {
        if !self.is_crowd || self.is_turn_of(pid) || self.attends(pid) {
            return false;
        }
        let out_of_turn = is_busy && self.busy < BUSY;
        self.busy += usize::from(out_of_turn);
        !out_of_turn
    }
}

/// In which scan of a round a process has its turn. Scattered, for pids often come at equal distances: as far apart as a
/// program has threads. The multiplier is 2^32 over the golden ratio (Knuth, The Art of Computer Programming 3, 6.4).
fn class(pid: u32) -> u32 {
    pid.wrapping_mul(0x9e37_79b9) >> (u32::BITS - ROUND.ilog2())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_crowd_everyone_is_read_once_in_a_round_and_no_scan_reads_many() {
        const CROWD: u32 = 1000;
        for distance in [1, 2, 7, 8, 16, 33] {
            let mut turns = Turns::default();
            let mut reads = vec![0; CROWD as usize];
            for _ in 0..ROUND {
                turns.begin(reads.len());
                let before: u32 = reads.iter().sum();
                for (index, reads) in (0..).zip(&mut reads) {
                    *reads += u32::from(!turns.spares(300 + index * distance, false));
                }
                let now = reads.iter().sum::<u32>() - before;
                assert!(now < CROWD / ROUND * 2, "{now} at a distance of {distance}");
            }
            assert!(reads.iter().all(|reads| *reads == 1));
        }
    }

    #[test]
    fn who_is_attended_or_busy_is_read_each_time_and_few_are_always() {
        let mut turns = Turns::default();
        turns.attend([9, 7].into_iter());
        for _ in 0..ROUND {
            turns.begin(FEW + 1);
            assert!(turns.is_crowd() && !turns.spares(7, false) && !turns.spares(9, false));
            let busy = (1000..2000).filter(|pid| class(*pid) != turns.scan % ROUND);
            let busy: Vec<u32> = busy.collect();
            let read = busy.iter().filter(|pid| !turns.spares(**pid, true)).count();
            assert_eq!(read, BUSY);
            turns.begin(FEW);
            assert!(!turns.is_crowd() && (1..100).all(|pid| !turns.spares(pid, false)));
        }
    }

    #[test]
    fn each_is_described_in_turn() {
        for processes in [1, 2, 5, 200, 1000] {
            let mut turns = Turns::default();
            let mut times = vec![0; processes];
            for _ in 0..processes.div_ceil((processes / TURN_PART).max(TURN_LEAST)) {
                turns.begin(processes);
                for (place, times) in times.iter_mut().enumerate() {
                    *times += u32::from(turns.describes(place));
                }
            }
            assert!(
                times.iter().all(|times| *times == 1),
                "{processes}: {times:?}"
            );
        }
    }
}
