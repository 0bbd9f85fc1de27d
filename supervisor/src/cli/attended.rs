//! `ls --all`: of each container whether a companion is there, who decided that, and why it is or is not there.

use diogenes_proto::untrusted::escape;
use serde::Serialize;

use crate::api::view::{ContainerView, PolicyView, StatusView};

/// The columns' heads.
const HEADS: [&str; 5] = ["NAME", "ATTENDED", "VIA", "RULE", "REASON"];
/// What stands where there is nothing.
const NONE: &str = "-";

/// One container as it is listed.
#[derive(Debug, Serialize)]
pub(crate) struct Attended<'a> {
    name: &'a str,
    ci_name: &'a str,
    /// Whether a companion is there.
    attended: bool,
    /// The way it came in; null where none is there.
    via: Option<&'a str>,
    /// Who decided whether one is to be there; null where that is not decided yet.
    policy: Option<&'a PolicyView>,
    /// Why it is there, or not.
    reason: &'a str,
}

impl<'a> Attended<'a> {
    fn new(container: &'a ContainerView) -> Self {
        Self {
            name: &container.name,
            ci_name: &container.ci_name,
            attended: container.via.is_some(),
            via: container.via.as_deref(),
            policy: container.policy.as_ref(),
            reason: &container.reason,
        }
    }

    /// Its line, column by column.
    fn cells(&self) -> [String; HEADS.len()] {
        let attended = if self.attended { "yes" } else { "no" };
        let rule = self.policy.map_or_else(
            || NONE.to_owned(),
            |policy| match &policy.pattern {
                Some(pattern) => format!("{} {pattern}", policy.rule),
                None => policy.rule.clone(),
            },
        );
        [
            self.name,
            attended,
            self.via.unwrap_or(NONE),
            &rule,
            self.reason,
        ]
        .map(|cell| escape(cell).to_string())
    }
}

/// All containers, by name.
pub(crate) fn list(status: &StatusView) -> Vec<Attended<'_>> {
    status.containers.iter().map(Attended::new).collect()
}

/// The same as a table, one line a container; the reason comes last, as long as it is.
pub(crate) fn text(listed: &[Attended<'_>]) -> String {
    let lines: Vec<_> = std::iter::once(HEADS.map(str::to_owned))
        .chain(listed.iter().map(Attended::cells))
        .collect();
    let width = |column: usize| {
        let widths = lines.iter().map(|line| line[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let widths: [usize; HEADS.len()] = std::array::from_fn(width);
    let line = |line: &[String; HEADS.len()]| {
        let cells = line.iter().zip(widths);
        let padded: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned() + "\n"
    };
    lines.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use diogenes_proto::Timestamp;

    use super::*;
    use crate::attendants::name_pattern::NamePattern;
    use crate::attendants::policy::{Hand, Verdict};
    use crate::attendants::way_in::Via;
    use crate::config::value::Word as _;
    use crate::fakes::{exited, running, supervisor};
    use crate::registry::Registry;
    use crate::registry::presence::{Absence, Presence};

    fn status() -> StatusView {
        let registry = Registry::default();
        let pattern = |word: &str| NamePattern::read(word).unwrap();
        let add = |name: &str, presence: Presence, verdict: Option<Verdict>| {
            registry.set_facts(running(name, name, 7));
            registry.set_presence(name, presence);
            if let Some(verdict) = verdict {
                registry.set_verdict(name, verdict);
            }
        };
        let unwanted = |verdict: &Verdict| Presence::Absent(Absence::Unwanted(verdict.clone()));
        let (excluded, labelled) = (Verdict::Exclude(pattern("*-tmp")), Verdict::Label(false));
        add("build-tmp", unwanted(&excluded), Some(excluded));
        add("ledger", unwanted(&labelled), Some(labelled));
        add("new\u{1b}[2J", Presence::Absent(Absence::NotYet), None);
        add(
            "sent-away",
            Presence::Absent(Absence::Detached),
            Some(Verdict::Hand(Hand::Detach)),
        );
        add(
            "shop-1",
            Presence::Silent(Via::Attached),
            Some(Verdict::Include(pattern("shop-*"))),
        );
        add(
            "web",
            Presence::Absent(Absence::NothingToBeWith),
            Some(Verdict::Default(true)),
        );
        registry.set_facts(exited(&running("web", "web", 7), 137));
        let views = registry.all();
        let mut containers: Vec<_> = views
            .iter()
            .map(|entry| ContainerView::new(entry))
            .collect();
        for container in &mut containers {
            // Only the silent one tells a time.
            if let Some((before, _)) = container.reason.split_once("about ") {
                container.reason = format!("{before}about {}", Timestamp::from_unix_ms(0));
            }
        }
        StatusView {
            containers,
            supervisor: supervisor().view(&registry.engine()),
        }
    }

    #[test]
    fn each_container_says_why_it_is_or_is_not_attended() {
        insta::assert_snapshot!(text(&list(&status())));
    }

    #[test]
    fn the_same_as_json() {
        let json = serde_json::to_value(list(&status())).unwrap();
        assert_eq!(
            json[0],
            serde_json::json!({
                "name": "build-tmp", "ci_name": "build-tmp-container-ci", "attended": false, "via": null,
                "policy": {
                    "wanted": false, "rule": "exclude", "pattern": "*-tmp",
                    "reason": "excluded by attach.exclude \"*-tmp\"",
                },
                "reason": "excluded by attach.exclude \"*-tmp\"",
            })
        );
        assert_eq!(json[2]["policy"], serde_json::Value::Null);
        assert_eq!(
            (&json[4]["attended"], &json[4]["via"]),
            (&true.into(), &"attached".into())
        );
    }
}
