//! What `deploy/` grants a supervisor is enough, and what becomes of it with less.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use diogenes_testkit::{Container, Supervisor, base_image, docker, listener_image, wait_until};
use diogenes_tests::{SOON, agent_in, is_gone, kill, present, signal};
use rustix::process::Signal;
use serde_json::Value;

/// What is granted for an end that is not an attach: a companion that hangs is ended, a socket is given to a group.
const FOR_OTHER_ENDS: [&str; 2] = ["CHOWN", "KILL"];

fn deployed(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../deploy")
        .join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The unit's capabilities, without `CAP_`.
fn capabilities_of_unit() -> BTreeSet<String> {
    deployed("systemd/diogenes.service")
        .lines()
        .filter_map(|line| line.strip_prefix("CapabilityBoundingSet="))
        .flat_map(str::split_whitespace)
        .map(|name| name.trim_start_matches("CAP_").to_owned())
        .collect()
}

/// The compose file's.
fn capabilities_of_compose() -> BTreeSet<String> {
    let file = deployed("compose/compose.yaml");
    let (_, after) = file
        .split_once("cap_add:\n")
        .expect("a list of capabilities");
    let items = after
        .lines()
        .map_while(|line| line.trim().strip_prefix("- "));
    items.map(str::to_owned).collect()
}

/// A supervisor with these capabilities and no way to others, that attends to `container` alone.
#[track_caller]
fn confined(capabilities: &BTreeSet<String>, container: &Container, args: &[&str]) -> Supervisor {
    let granted: String = capabilities
        .iter()
        .map(|name| format!(",+{}", name.to_lowercase()))
        .collect();
    let spec = Supervisor::spec()
        .wrapper([
            "setpriv",
            "--no-new-privs",
            &format!("--bounding-set=-all{granted}"),
        ])
        .arg("--attach-default=false")
        .arg(format!("--attach-include={}", container.name()));
    args.iter().fold(spec, |spec, arg| spec.arg(*arg)).start()
}

fn listener() -> Container {
    Container::of(listener_image())
        .args(["tcp", "127.0.0.1:7000"])
        .run()
}

#[test]
fn the_unit_and_the_compose_file_grant_the_same_and_enough() {
    let capabilities = capabilities_of_unit();
    assert_eq!(capabilities, capabilities_of_compose());
    let container = listener();
    let supervisor = confined(&capabilities, &container, &["--via=attach"]);
    present(&supervisor, &container);
    let status =
        fs::read_to_string(format!("/proc/{}/status", supervisor.pid())).expect("its status");
    assert!(status.contains("\nNoNewPrivs:\t1\n"), "{status}");
    let told = supervisor.words(&["detach", container.name()]);
    assert!(told.contains("detached by hand"), "{told}");
}

#[test]
fn no_container_is_entered_without_any_one_of_them() {
    let capabilities = capabilities_of_unit();
    let container = listener();
    let needed = capabilities
        .iter()
        .filter(|name| !FOR_OTHER_ENDS.contains(&name.as_str()));
    for name in needed {
        let mut rest = capabilities.clone();
        rest.remove(name);
        let supervisor = confined(&rest, &container, &["--via=attach"]);
        let failed = |it: &Value| it["companion"] == "failed";
        supervisor.wait_for(
            container.name(),
            SOON,
            &format!("no way in without {name}"),
            failed,
        );
    }
}

#[test]
fn a_companion_that_hangs_is_ended_by_one_of_them() {
    let container = listener();
    let hung = |capabilities: &BTreeSet<String>| {
        let supervisor = confined(capabilities, &container, &[]);
        let agent = agent_in(&supervisor, &container);
        signal(agent, Signal::STOP);
        (supervisor, agent)
    };
    let mut capabilities = capabilities_of_unit();
    let (supervisor, agent) = hung(&capabilities);
    supervisor.words(&["detach", container.name()]);
    assert!(is_gone(agent), "told to go, and made to");

    // The kernel, too, asks for the parent's right to kill before it lets a child die with it.
    let (supervisor, agent) = hung(&capabilities);
    supervisor.end(Signal::KILL);
    wait_until(SOON, "it to end with its supervisor", || {
        is_gone(agent).then_some(())
    });

    capabilities.remove("KILL");
    let (supervisor, agent) = hung(&capabilities);
    supervisor.words(&["detach", container.name()]);
    assert!(!is_gone(agent), "nobody there may end it");
    kill(agent);
}

#[test]
fn the_unit_lets_the_sockets_be_given_to_a_group() {
    const DAEMON: u32 = 1;
    let container = listener();
    let supervisor = confined(&capabilities_of_unit(), &container, &["--socket-group=1"]);
    let socket = fs::metadata(supervisor.api_socket()).expect("its socket");
    assert_eq!(socket.gid(), DAEMON);
}

/// The image of the compose file, on the base that is here, for as long as it is held.
struct Image(String);

impl Image {
    #[track_caller]
    fn build() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let path = |below: &str| root.join(below).display().to_string();
        let image = Self(format!("diogenes-test/supervisor:{}", std::process::id()));
        docker(&[
            "build",
            "-q",
            &format!("--tag={}", image.0),
            &format!("--build-arg=BASE={}", base_image()),
            &format!("--file={}", path("deploy/compose/Dockerfile")),
            &path("dist"),
        ]);
        image
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        docker(&["rmi", &self.0]);
    }
}

#[test]
fn a_supervisor_in_a_container_attends_to_the_others_and_not_to_itself() {
    let image = Image::build();
    let container = listener();
    let spec = Container::of(image.0.as_str())
        .option("--pid=host")
        .option("--userns=host")
        .option("--read-only")
        .option("--security-opt=no-new-privileges:true")
        .option("--volume=/var/run/docker.sock:/var/run/docker.sock")
        .option("--tmpfs=/run/diogenes")
        .option("--tmpfs=/var/lib/diogenes")
        .network("host")
        .cap_drop("ALL");
    let capabilities = capabilities_of_compose();
    let spec = capabilities
        .iter()
        .fold(spec, |spec, name| spec.cap_add(name));
    let supervisor = spec
        .args([
            "serve".to_owned(),
            "--listen=127.0.0.1:0".to_owned(),
            "--attach-default=false".to_owned(),
            format!("--attach-include={}", container.name()),
        ])
        .run();
    let confined = supervisor.inspect("{{.HostConfig.Privileged}} {{.HostConfig.SecurityOpt}}");
    assert!(
        confined.starts_with("false ") && !confined.contains("seccomp"),
        "{confined}"
    );

    let listed = |name: &str| {
        let listed = supervisor.exec(&["diogenes", "ls", "--all", "--json"]);
        let all: Value = serde_json::from_slice(&listed.stdout).ok()?;
        all.as_array()?
            .iter()
            .find(|it| it["name"] == name)
            .cloned()
    };
    wait_until(SOON, "the container to be attended", || {
        listed(container.name()).filter(|it| it["attended"] == true)
    });
    let (own, _) = wait_until(SOON, "its own verdict", || {
        listed(supervisor.name()).filter(|it| !it["policy"].is_null())
    });
    assert_eq!(
        (&own["attended"], &own["policy"]["rule"]),
        (&false.into(), &"label".into())
    );
    supervisor.stop();
    assert!(
        supervisor.logs().contains("all companions have left"),
        "{}",
        supervisor.logs()
    );
}
