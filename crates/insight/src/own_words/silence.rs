//! Which findings a container may keep to itself.

/// All that the companion finds, but that own words are refused. What the host finds it tells in any case: who made an
/// image has no say in that.
pub(super) const FINDINGS: [&str; 19] = [
    "service-gone",
    "service-deaf",
    "service-silent",
    "service-refusing",
    "service-failing",
    "crash-loop",
    "accept-queue-full",
    "process-stopped",
    "fd-limit-near",
    "certificate-expired",
    "certificate-expires",
    "memory-near-limit",
    "out-of-memory-kills",
    "disk-full",
    "disk-nearly-full",
    "pids-near-limit",
    "secrets-on-command-lines",
    "runs-as-root",
    "writable-program",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn these_are_all_that_there_are() {
        let tables = [
            include_str!("../assess/finding.rs"),
            include_str!("../assess/posture.rs"),
        ];
        let rows = tables.iter().flat_map(|table| table.lines());
        let codes: Vec<&str> = rows
            .filter_map(|line| line.strip_prefix("//! | `")?.split('`').next())
            .collect();
        assert_eq!(codes, FINDINGS);
    }
}
