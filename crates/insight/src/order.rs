//! Putting things in order, with one copy of the code for it.
//!
//! The standard library compiles its sort anew for every type and comparison, and so does collecting into a
//! `BTreeMap`: 4 KB each time, of the megabyte that the agent may have. Here only positions are sorted, so
//! one copy serves everything.

use std::cmp::Ordering;

use diogenes_proto::Process;

/// Sorts; equals keep their order.
pub(crate) fn sort_by<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    let mut order = sorted(items.len(), &|a, b| compare(&items[a], &items[b]));
    for to in 0..items.len() {
        // What belongs here may have been swapped away by an earlier step; where to, that step's entry tells.
        let mut from = order[to];
        while from < to {
            from = order[from];
        }
        order[to] = from;
        items.swap(to, from);
    }
}

/// Sorts by what `key` makes of each item; equals keep their order.
pub(crate) fn sort_by_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    sort_by(items, |a, b| key(a).cmp(&key(b)));
}

/// The positions `0..count` in the order of a comparison; equals ascending.
fn sorted(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&a, &b| compare(a, b));
    order
}

/// Processes, found by their numbers.
#[derive(Debug)]
pub(crate) struct ByPid<'a> {
    processes: &'a [Process],
    /// Positions, by ascending pid.
    order: Vec<usize>,
}

impl<'a> ByPid<'a> {
    pub(crate) fn new(processes: &'a [Process]) -> Self {
        let pid = |at: usize| processes[at].container_pid;
        let order = sorted(processes.len(), &|a, b| pid(a).cmp(&pid(b)));
        Self { processes, order }
    }

    /// Where among the processes the one of this number is.
    pub(crate) fn position(&self, pid: u32) -> Option<usize> {
        let found = self
            .order
            .binary_search_by_key(&pid, |&at| self.processes[at].container_pid);
        found.ok().map(|place| self.order[place])
    }

    pub(crate) fn get(&self, pid: u32) -> Option<&'a Process> {
        self.position(pid).map(|at| &self.processes[at])
    }

    /// All, by ascending pid.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a Process> {
        self.order.iter().map(|&at| &self.processes[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sorts_as_the_standard_library_does(
            mut items in prop::collection::vec((0_u8..8, any::<u8>()), 0..100),
        ) {
            let mut expected = items.clone();
            expected.sort_by_key(|item| item.0);
            sort_by_key(&mut items, |item| item.0);
            prop_assert_eq!(items, expected);
        }
    }

    #[test]
    fn finds_processes_by_number() {
        let processes = [30, 10, 20].map(|pid| Process {
            container_pid: pid,
            ..Process::default()
        });
        let by_pid = ByPid::new(&processes);
        assert_eq!(
            [10, 20, 30, 40].map(|pid| by_pid.position(pid)),
            [Some(1), Some(2), Some(0), None]
        );
        assert_eq!(by_pid.get(20).map(|p| p.container_pid), Some(20));
        let pids: Vec<u32> = by_pid.iter().map(|p| p.container_pid).collect();
        assert_eq!(pids, [10, 20, 30]);
    }
}
