//! What happened, on a terminal: the lines that `history` and `events` share.
//!
//! ```text
//! 2026-11-21 (UTC)
//! 14:09:00  unhealthy  Redis: its process (pid 10) ended 2 s ago
//! ```

use diogenes_proto::Timestamp;
use diogenes_proto::untrusted::escape;

use crate::cli::terminal::Terminal;
use crate::registry::journal::Event;
use crate::registry::words::{WORD, Words};

/// Writes events, a line each, below the day they are of.
pub(crate) struct Happenings {
    terminal: Terminal,
    /// Whether a line says which container it is about.
    names: bool,
    /// The day of the last line, as `2026-11-21`.
    day: String,
}

impl Happenings {
    /// A writer; with `names`, each line begins with the container's.
    pub(crate) fn new(terminal: Terminal, names: bool) -> Self {
        Self {
            terminal,
            names,
            day: String::new(),
        }
    }

    /// The lines of an event.
    pub(crate) fn line(&mut self, event: &Event) -> String {
        let (day, time) = day_and_time(event.at);
        let mut text = String::new();
        if day != self.day {
            text += &format!("{day} (UTC)\n");
            self.day = day;
        }
        let name = event.container.as_ref().filter(|_| self.names);
        let name = name.map_or_else(String::new, |subject| {
            format!("{}  ", escape(&subject.name))
        });
        for Words {
            word,
            weight,
            sentence,
        } in event.lines()
        {
            let padding = " ".repeat(WORD.saturating_sub(word.chars().count()));
            let word = match weight {
                Some(weight) => self.terminal.paint(&word, weight),
                None => word,
            };
            text += &format!("{time}  {word}{padding}  {name}{sentence}\n");
        }
        text
    }
}

/// `2026-11-21` and `14:09:00`.
fn day_and_time(at: Timestamp) -> (String, String) {
    let text = at.to_string();
    let day = text.get(..10).unwrap_or_default();
    let time = text.get(11..19).unwrap_or_default();
    (day.to_owned(), time.to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use diogenes_proto::{Health, Severity, Untrusted};

    use super::*;
    use crate::registry::change::Change;
    use crate::registry::journal::Subject;

    /// One event of each kind, a minute apart, over midnight.
    pub(crate) fn events() -> Vec<Event> {
        let changes = vec![
            Change::ContainerAppeared {
                image: "shop:1".into(),
                state: "created".into(),
            },
            Change::ContainerState {
                from: "created".into(),
                to: "running".into(),
                exit_code: None,
                oom_killed: false,
            },
            Change::Companion {
                from: "absent".into(),
                to: "present".into(),
                reason: "diogenes-agent 0.1.0 attached at 2026-11-20T23:57:00.000Z".into(),
            },
            Change::ServiceHealth {
                service: "redis-6379".into(),
                name: "Redis".into(),
                from: None,
                to: Some(Health::Healthy),
                reason: "PONG in 0.2 ms".into(),
            },
            Change::ServiceHealth {
                service: "redis-6379".into(),
                name: "Redis".into(),
                from: Some(Health::Healthy),
                to: Some(Health::Unhealthy),
                reason: "its process (pid 10) ended 1 s ago".into(),
            },
            Change::Health {
                from: Health::Healthy,
                to: Health::Unhealthy,
                reason: "Redis does not work".into(),
            },
            Change::FindingOpened {
                code: "service-gone".into(),
                severity: Severity::Critical,
                service: Some("redis-6379".into()),
                summary: "Redis ended and has not come back".into(),
            },
            Change::FindingClosed {
                code: "service-gone".into(),
                service: Some("redis-6379".into()),
            },
            Change::ServiceHealth {
                service: "redis-6379".into(),
                name: "Redis".into(),
                from: Some(Health::Unhealthy),
                to: None,
                reason: Untrusted::default(),
            },
            Change::ContainerRenamed {
                from: "shop".into(),
            },
            Change::ContainerState {
                from: "running".into(),
                to: "exited".into(),
                exit_code: Some(137),
                oom_killed: true,
            },
            Change::ContainerRemoved {},
            Change::Engine {
                reachable: false,
                error: Some("there is no such socket".into()),
            },
            Change::Engine {
                reachable: true,
                error: None,
            },
        ];
        let event = |(minute, change): (u64, Change)| Event {
            id: minute,
            at: Timestamp::from_unix_ms((1_795_219_020 + 60 * minute) * 1000),
            container: Some(Subject {
                id: "c1".into(),
                name: "shop".into(),
                ci_name: "shop-container-ci".into(),
            })
            .filter(|_| !matches!(change, Change::Engine { .. })),
            omitted: u64::from(minute == 4) * 7,
            change,
        };
        (0..).zip(changes).map(event).collect()
    }

    fn text(colour: bool, names: bool, events: &[Event]) -> String {
        let terminal = Terminal {
            width: Some(80),
            colour,
            is_terminal: colour,
        };
        let mut happenings = Happenings::new(terminal, names);
        events.iter().map(|event| happenings.line(event)).collect()
    }

    #[test]
    fn every_change_has_its_words() {
        insta::assert_snapshot!(text(false, false, &events()));
    }

    #[test]
    fn lines_about_several_containers_name_them() {
        insta::assert_snapshot!(text(false, true, &events()[3..5]));
        let coloured = text(true, true, &events()[5..6]);
        assert!(
            coloured.contains("\x1b[31;1munhealthy\x1b[0m  shop  the container"),
            "{coloured}"
        );
    }

    #[test]
    fn words_of_a_container_move_no_cursor() {
        let mut event = events().remove(4);
        event.change = Change::FindingOpened {
            code: "x".into(),
            severity: Severity::Info,
            service: None,
            summary: "\u{1b}[2J\nforged".into(),
        };
        let text = text(false, true, &[event]);
        assert!(text.ends_with("\\u{1b}[2J\\nforged\n"), "{text}");
    }
}
