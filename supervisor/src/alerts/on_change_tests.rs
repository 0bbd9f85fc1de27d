use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::alerts::alert::tests::alert;
use crate::alerts::rule::Standing;

/// A helper that keeps its order in a file beside it, and then does what the script says.
fn helper(script: &str) -> (tempfile::TempDir, OnChange) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("helper");
    let script = format!(
        "#!/bin/sh\nread -r order; printf '%s' \"$order\" >{}/order\n{script}\n",
        dir.path().display()
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = OnChange::new(vec!["/bin/page".into(), "--now".into()], DEADLINE).unwrap();
    command.helper = path;
    (dir, command)
}

async fn taken(script: &str) -> Result<(), Refusal> {
    let (_dir, command) = helper(script);
    command
        .take(&Parcel::new(alert("c1", Standing::Unhealthy)))
        .await
}

#[tokio::test]
async fn the_helper_is_told_all_and_believed() {
    let not_ever = |why: &str| Err(Refusal::NotEver { why: why.into() });
    for (outcome, expected) in [
        (r#""exited","code":0"#, Ok(())),
        (
            r#""exited","code":3"#,
            not_ever("/bin/page ended with exit code 3"),
        ),
        (
            r#""killed","signal":9"#,
            not_ever("/bin/page was ended by signal 9"),
        ),
        (
            r#""too_slow""#,
            not_ever("/bin/page was ended: it took longer than 30 s"),
        ),
        (
            r#""not_started","why":"No such file or directory (os error 2)""#,
            not_ever("cannot run /bin/page: No such file or directory (os error 2)"),
        ),
    ] {
        let script = format!(r#"echo '{{"end":{outcome},"output":"hi"}}'"#);
        assert_eq!(taken(&script).await, expected, "{outcome}");
    }
    let (dir, command) = helper(r#"echo '{"end":"exited","code":0,"output":""}'"#);
    let mut alert = alert("c1", Standing::Unhealthy);
    alert.data.reason = format!("a\0b\nc\x1b{}", "€".repeat(2000)).into();
    assert_eq!(command.take(&Parcel::new(alert)).await, Ok(()));
    let order: Order =
        serde_json::from_slice(&std::fs::read(dir.path().join("order")).unwrap()).unwrap();
    assert_eq!(order.argv, ["/bin/page", "--now"]);
    assert_eq!(order.variables["DIOGENES_CONTAINER"], "name-c1");
    assert_eq!(order.variables["DIOGENES_HEALTH"], "unhealthy");
    assert_eq!(order.variables["DIOGENES_FROM"], "healthy");
    let reason = &order.variables["DIOGENES_REASON"];
    assert!(reason.starts_with("a b c €") && reason.chars().count() == MAX_VALUE_CHARS);
    let input: serde_json::Value = serde_json::from_str(&order.input).unwrap();
    assert_eq!(input["data"]["to"], "unhealthy");
}

#[tokio::test]
async fn a_helper_that_is_killed_is_another_try() {
    let taken = taken("kill -9 $$").await;
    assert_eq!(
        taken,
        Err(Refusal::not_now("/bin/page: its helper was killed"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_helper_that_hangs_has_a_deadline() {
    let taken = taken("exec cat").await;
    let why = "/bin/page: its helper does not end".into();
    assert_eq!(taken, Err(Refusal::NotEver { why }));
}
