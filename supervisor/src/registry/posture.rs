//! How well a container is walled in: what it was given that makes an intruder in it dangerous to the host.
//!
//! | code | severity | the fact |
//! |---|---|---|
//! | `privileged` | warning | it runs with `--privileged` |
//! | `engine-socket-inside` | warning | an Engine's socket is mounted: whoever uses it is root on the host |
//! | `host-root-inside` | warning | the host's root directory is mounted |
//! | `strong-capabilities` | warning | it was given capabilities that lead out of a container |
//! | `host-namespaces` | info | it shares namespaces of the host |
//! | `unconfined` | info | seccomp, AppArmor or SELinux is switched off for it |
//!
//! These say nothing of health: a container that works is healthy, however it was started.

use diogenes_engine::Grants;
use diogenes_proto::{Finding, Severity, Timestamp, Untrusted};

/// Capabilities by which root in a container becomes more than that. Source: capabilities(7).
const STRONG: [&str; 12] = [
    "ALL",
    "SYS_ADMIN",
    "SYS_MODULE",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_BOOT",
    "SYS_TIME",
    "DAC_READ_SEARCH",
    "BPF",
    "PERFMON",
    "NET_ADMIN",
    "MAC_ADMIN",
];

/// What there is to say of these grants, since the container was made.
pub(crate) fn findings(grants: &Grants, since: Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |code: &str, severity, summary: String| {
        found.push(Finding {
            code: code.to_owned(),
            severity,
            summary: Untrusted::from(summary),
            service: None,
            evidence: Vec::new(),
            since,
        });
    };
    if grants.privileged {
        let summary = "runs privileged: root inside is root on the host";
        add("privileged", Severity::Warning, summary.to_owned());
    }
    if !grants.engine_sockets.is_empty() {
        let places = grants.engine_sockets.join(", ");
        let summary = format!(
            "an Engine's socket is inside, by the mount at {places}: who may write to it is root on the host"
        );
        add("engine-socket-inside", Severity::Warning, summary);
    }
    if let Some(place) = &grants.host_root {
        let summary = format!("the host's root directory is mounted at {place}");
        add("host-root-inside", Severity::Warning, summary);
    }
    let is_strong = |name: &&String| STRONG.contains(&name.as_str());
    let strong: Vec<&str> = grants
        .capabilities
        .iter()
        .filter(is_strong)
        .map(String::as_str)
        .collect();
    if !strong.is_empty() && !grants.privileged {
        let summary = format!("was given strong capabilities: {}", strong.join(", "));
        add("strong-capabilities", Severity::Warning, summary);
    }
    if !grants.host_namespaces.is_empty() {
        let names = grants.host_namespaces.join(", ");
        let summary = format!("shares namespaces of the host: {names}");
        add("host-namespaces", Severity::Info, summary);
    }
    if !grants.unconfined.is_empty() && !grants.privileged {
        let names = grants.unconfined.join(", ");
        let summary = format!("runs without confinement by {names}");
        add("unconfined", Severity::Info, summary);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(grants: &Grants) -> Vec<String> {
        let found = findings(grants, Timestamp::now());
        found.into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn a_usual_container_gives_no_cause_for_words() {
        let usual = Grants {
            capabilities: vec!["NET_BIND_SERVICE".into()],
            ..Grants::default()
        };
        assert!(codes(&usual).is_empty());
    }

    #[test]
    fn each_weakness_is_told_once() {
        let weak = Grants {
            privileged: false,
            host_namespaces: vec!["network", "pid"],
            capabilities: vec!["SYS_ADMIN".into()],
            unconfined: vec!["seccomp"],
            engine_sockets: vec!["/var/run/docker.sock".into()],
            host_root: Some("/host".into()),
        };
        assert_eq!(
            codes(&weak),
            [
                "engine-socket-inside",
                "host-root-inside",
                "strong-capabilities",
                "host-namespaces",
                "unconfined"
            ]
        );
        let privileged = Grants {
            privileged: true,
            ..weak
        };
        assert_eq!(
            codes(&privileged),
            [
                "privileged",
                "engine-socket-inside",
                "host-root-inside",
                "host-namespaces"
            ]
        );
    }
}
