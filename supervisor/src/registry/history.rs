//! One container's recent past: its last changes, and its figures over an hour.
//!
//! Memory is bounded by the two lengths: 128 events, shared with the journal as long as that has them too, and 120
//! samples of 24 bytes. With texts of usual length that is some 40 KiB for a container in which things happen, and
//! 3 KiB for a calm one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use diogenes_proto::{Report, Timestamp};
use tokio::time::Instant;

use crate::registry::journal::Event;
use crate::session::token_bucket::TokenBucket;

/// Changes kept.
const EVENTS: usize = 128;
/// Time between two samples, but for the few milliseconds by which a report may come early.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(29_500);
/// Samples kept: an hour of them.
const SAMPLES: usize = 120;
/// Changes a container may cause, sustained and at once, before some are left out: a container whose services come
/// and go all the time, or pretend to, must not push the others' past out of the journal.
const EVENTS_PER_SECOND: u32 = 2;
const EVENTS_BURST: u32 = 100;

/// A container's figures at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    /// When.
    pub(crate) at: Timestamp,
    /// Memory in bytes; None where unknown.
    memory_bytes: u64,
    /// CPU in percent of one core; not a number where unknown.
    cpu_percent: f32,
    /// Processes.
    pub(crate) processes: u32,
}

/// In the place of a figure that is not known, so that a sample stays small.
const UNKNOWN: u64 = u64::MAX;

impl Sample {
    fn of(report: &Report, at: Timestamp) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a percentage for people needs no 53 bits"
        )]
        let cpu = |percent: f64| percent as f32;
        Self {
            at,
            memory_bytes: report.resources.memory_bytes.unwrap_or(UNKNOWN),
            cpu_percent: report.resources.cpu_percent.map_or(f32::NAN, cpu),
            processes: report.processes,
        }
    }

    /// Memory in bytes; None where unknown.
    pub(crate) fn memory_bytes(&self) -> Option<u64> {
        (self.memory_bytes != UNKNOWN).then_some(self.memory_bytes)
    }

    /// CPU in percent of one core; None where unknown.
    pub(crate) fn cpu_percent(&self) -> Option<f32> {
        (!self.cpu_percent.is_nan()).then_some(self.cpu_percent)
    }
}

/// A container's recent past.
#[derive(Clone, Debug)]
pub(crate) struct History {
    events: VecDeque<Arc<Event>>,
    samples: VecDeque<Sample>,
    pace: TokenBucket,
    open_at: Instant,
    omitted: u64,
}

impl Default for History {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            events: VecDeque::new(),
            samples: VecDeque::new(),
            pace: TokenBucket::new(EVENTS_PER_SECOND, EVENTS_BURST, now),
            open_at: now,
            omitted: 0,
        }
    }
}

impl History {
    /// Whether another change may be told: how many were left out before it; None where it is left out itself.
    pub(crate) fn admit(&mut self) -> Option<u64> {
        let now = Instant::now();
        if now < self.open_at {
            self.omitted += 1;
            return None;
        }
        self.open_at = now + self.pace.take(1, now);
        Some(std::mem::take(&mut self.omitted))
    }

    /// Keeps an event.
    pub(crate) fn note(&mut self, event: Arc<Event>) {
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// Takes a sample of a report that came `now`, where it is time for one. (The time in the report is what its
    /// agent says.) A clock that was set back loses nothing but time.
    pub(crate) fn sample(&mut self, report: &Report, now: Timestamp) {
        let is_due = self
            .samples
            .back()
            .is_none_or(|last| now < last.at || now.since(last.at) >= SAMPLE_INTERVAL);
        if is_due {
            if self.samples.len() == SAMPLES {
                self.samples.pop_front();
            }
            self.samples.push_back(Sample::of(report, now));
        }
    }

    /// The changes, the oldest first.
    pub(crate) fn events(&self) -> impl DoubleEndedIterator<Item = &Arc<Event>> {
        self.events.iter()
    }

    /// The samples, the oldest first.
    pub(crate) fn samples(&self) -> impl DoubleEndedIterator<Item = &Sample> {
        self.samples.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(history: &mut History, at_s: u64, memory_bytes: Option<u64>) {
        let mut report = Report::default();
        report.resources.memory_bytes = memory_bytes;
        history.sample(&report, Timestamp::from_unix_ms(at_s * 1000));
    }

    #[test]
    fn an_hour_is_kept_however_often_there_are_reports() {
        let mut history = History::default();
        for at_s in 0..7200 {
            sample(&mut history, at_s, Some(at_s));
        }
        let kept: Vec<u64> = history.samples().filter_map(Sample::memory_bytes).collect();
        assert_eq!(kept.len(), SAMPLES);
        assert_eq!((kept[0], kept[SAMPLES - 1]), (3600, 7170));
    }

    #[test]
    fn what_is_unknown_stays_so_and_costs_nothing() {
        assert_eq!(size_of::<Sample>(), 24);
        let mut history = History::default();
        sample(&mut history, 1, None);
        let sample = history.samples().next().unwrap();
        assert_eq!((sample.memory_bytes(), sample.cpu_percent()), (None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_mad_container_is_told_of_at_a_bearable_pace() {
        let mut history = History::default();
        let told = (0..1000).filter(|_| history.admit().is_some()).count();
        assert!((EVENTS_BURST as usize..200).contains(&told), "{told}");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(history.admit(), Some(1000 - told as u64));
    }
}
