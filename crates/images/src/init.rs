//! Programs that have to be process 1, and so cannot run below the agent's init.

/// Inits of s6-overlay, of distributions, and systemd by its paths.
const INITS: [&str; 9] = [
    "/init",
    "/sbin/init",
    "/usr/sbin/init",
    "/bin/init",
    "/bin/systemd",
    "/usr/bin/systemd",
    "/lib/systemd/systemd",
    "/usr/lib/systemd/systemd",
    "/sbin/openrc-init",
];

/// The program of s6 that supervises all others, wherever it is.
const S6: &str = "s6-svscan";

/// The init that a container of this command line starts, if it is one that must be process 1. A shell that does
/// nothing but start one counts.
pub(crate) fn own_init<'a>(mut command: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let program = command.next()?;
    let is_shell = matches!(
        program.rsplit('/').next(),
        Some("sh" | "bash" | "ash" | "dash")
    );
    let program = if is_shell && command.next() == Some("-c") {
        let mut words = command.next()?.split_whitespace();
        words.find(|word| *word != "exec")?
    } else {
        program
    };
    let is_init = INITS.contains(&program) || program.rsplit('/').next() == Some(S6);
    is_init.then_some(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_must_be_process_1() {
        for (line, init) in [
            (&["/init"][..], Some("/init")),
            (
                &["/lib/systemd/systemd", "--system"],
                Some("/lib/systemd/systemd"),
            ),
            (&["/bin/sh", "-c", "exec /sbin/init"], Some("/sbin/init")),
            (
                &["/package/admin/s6/command/s6-svscan", "/run"],
                Some("/package/admin/s6/command/s6-svscan"),
            ),
            (&["/sbin/tini", "--", "redis-server"], None),
            (&["redis-server", "/init"], None),
            (&["/bin/sh", "-c", "echo /init"], None),
            (&["/bin/sh", "/init"], None),
            (&["/bin/sh", "-c"], None),
            (&[], None),
        ] {
            assert_eq!(own_init(line.iter().copied()), init, "{line:?}");
        }
    }
}
