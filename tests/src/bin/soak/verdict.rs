//! What counts as a leak.
//!
//! - What can be counted must be exactly as before, at the end of every round: descriptors, threads, zombies,
//!   companions, entries, sockets, files.
//! - Memory that is no part of a file may not grow from the second third of the rounds to the last one by more than [`GROWTH_KIB`], as a mean. In
//!   the first third the journal fills, which keeps its newest 4,096 events.

use crate::sample::Sample;

/// By how much the mean memory of one third of the soak may be above that of the third before: what an allocator's
/// fragments come and go by. Of 2,000 containers a third is 667, so a leak of 800 bytes in each is found.
const GROWTH_KIB: u64 = 512;

/// What leaked, in words; nothing where nothing did. The first sample is that from before.
pub(crate) fn leaks(samples: &[Sample]) -> Vec<String> {
    let Some((before, rounds)) = samples.split_first() else {
        return Vec::new();
    };
    let mut leaks: Vec<String> = rounds
        .iter()
        .filter(|sample| sample.counts != before.counts)
        .map(|sample| {
            format!(
                "after {} containers there is {:?}, and was {:?}",
                sample.cycles, sample.counts, before.counts
            )
        })
        .collect();
    let (_, later) = rounds.split_at(rounds.len() / 3);
    let (second, last) = later.split_at(later.len() / 2);
    leaks.extend(growth("the supervisor", second, last, |it| {
        it.memory_kib[1]
    }));
    leaks.extend(growth("the attacher", second, last, |it| {
        it.attacher_memory_kib[1]
    }));
    leaks
}

/// Compares the mean memory of two thirds of the soak, and tells both.
fn growth(who: &str, second: &[Sample], last: &[Sample], of: fn(&Sample) -> u64) -> Option<String> {
    let mean =
        |samples: &[Sample]| samples.iter().map(of).sum::<u64>() / samples.len().max(1) as u64;
    let (second, last) = (mean(second), mean(last));
    let told = format!(
        "memory of {who}: {second} KiB in the second third, {last} KiB in the last; {GROWTH_KIB} KiB more may come and go"
    );
    println!("{told}");
    (last > second + GROWTH_KIB).then_some(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A soak whose memory grows by so much in each round.
    fn samples(growth_kib: u64) -> Vec<Sample> {
        let memory_kib = |round| [9000, 2000 + round * growth_kib];
        let sample = |round| Sample {
            memory_kib: memory_kib(round),
            ..Sample::default()
        };
        (0..=12).map(sample).collect()
    }

    #[test]
    fn what_stays_as_it_was_does_not_leak() {
        assert!(leaks(&samples(0)).is_empty());
        assert!(leaks(&samples(GROWTH_KIB / 4)).is_empty());
    }

    #[test]
    fn one_descriptor_or_more_memory_is_a_leak() {
        let mut one = samples(0);
        one[12].counts.fds[0] += 1;
        let found = leaks(&one);
        assert!(
            found.len() == 1 && found[0].contains("fds: [1, 0]"),
            "{found:?}"
        );
        let found = leaks(&samples(GROWTH_KIB / 4 + 1));
        assert!(
            found.len() == 1 && found[0].contains("memory of the supervisor"),
            "{found:?}"
        );
    }
}
