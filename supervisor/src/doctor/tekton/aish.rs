//! aish: whether its registry has our companions, and whether a message gets through to one.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use diogenes_tekton::Address;
use diogenes_tekton::aish::{call, folder};
use serde_json::Value;

use super::{companions, some_of, told};
use crate::api::view::StatusView;
use crate::config::secrets::read_bounded;
use crate::doctor::check::Check;
use crate::doctor::{PATIENCE, hung, place, without_hanging};

const ROOT_ID: &str = "tekton-root";
const ROOT_TITLE: &str = "Tekton's directory";
const REGISTRY_ID: &str = "aish-registry";
const REGISTRY_TITLE: &str = "aish's registry";
const WAY_ID: &str = "aish-way";
const WAY_TITLE: &str = "aish's way";
/// Largest registry that is read.
const MAX_BYTES: u64 = 16 << 20;

/// An entry, as far as aish looks at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct EntryFacts {
    /// Whether its process lives, as far as this user can tell.
    is_alive: bool,
    has_socket: bool,
    endpoint: String,
    message_endpoint: String,
}

/// The entries by name; or why there are none.
type Registry = Result<BTreeMap<String, EntryFacts>, String>;

/// Everything of aish.
pub(super) async fn checks(root: Option<&Path>, status: Option<&StatusView>) -> Vec<Check> {
    let Some(root) = root else {
        return vec![Check::warning(
            ROOT_ID,
            ROOT_TITLE,
            "not configured: aish is told nothing, and projects are not found",
            "give Tekton's directory as tekton.root, --tekton-root DIR or TEKTON_ROOT",
        )];
    };
    let at = root.to_owned();
    let looked =
        without_hanging(move || (place::Place::look(&at), look(&folder::file_of(&at)))).await;
    let Some((place, registry)) = looked else {
        return vec![hung(ROOT_ID, ROOT_TITLE)];
    };
    let mut checks = vec![judge_root(&place)];
    let names: Vec<String> = status.map_or_else(Vec::new, |status| {
        let names = told(status).map(|container| container.ci_name.to_lowercase());
        names.collect()
    });
    checks.push(judge_registry(&registry, &names, status.is_some()));
    let entry = registry.ok().and_then(|entries| {
        let name = names.iter().find(|name| entries.contains_key(*name))?;
        Some((name.clone(), entries.get(name)?.clone()))
    });
    if let Some((name, entry)) = entry {
        checks.push(way(&name, &entry).await);
    }
    checks
}

fn look(path: &Path) -> Registry {
    let text = match read_bounded(path, MAX_BYTES) {
        Ok((text, _)) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
    };
    let entries: BTreeMap<String, Value> = serde_json::from_str(&text)
        .map_err(|error| format!("{} is no registry: {error}", path.display()))?;
    let facts = |entry: &Value| {
        let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        let socket = text("socket");
        EntryFacts {
            is_alive: entry["pid"].as_i64().is_some_and(is_alive),
            has_socket: Path::new(&socket).exists(),
            endpoint: text("endpoint"),
            message_endpoint: text("message_endpoint"),
        }
    };
    Ok(entries
        .iter()
        .map(|(name, entry)| (name.clone(), facts(entry)))
        .collect())
}

/// As aish finds out: by a signal that is none (kill(2)).
fn is_alive(pid: i64) -> bool {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}

fn judge_root(place: &place::Place) -> Check {
    let path = place.path.display();
    if place.existing != place.path {
        return Check::failed(
            ROOT_ID,
            ROOT_TITLE,
            format!("{path} is not there"),
            "give the directory that Tekton is in as tekton.root, --tekton-root DIR or TEKTON_ROOT",
        );
    }
    match &place.writable {
        Ok(()) => Check::ok(ROOT_ID, ROOT_TITLE, path.to_string()),
        Err(why) => Check::failed(
            ROOT_ID,
            ROOT_TITLE,
            format!("{path} cannot be written: {why}"),
            "run as the user who owns it, or as root",
        ),
    }
}

fn judge_registry(registry: &Registry, names: &[String], runs: bool) -> Check {
    let entries = match registry {
        Ok(entries) => entries,
        Err(why) => {
            let advice = "mend the file, or remove it: aish makes an empty one, and our entries come back within seconds";
            return Check::failed(REGISTRY_ID, REGISTRY_TITLE, why, advice);
        }
    };
    if !runs {
        return Check::warning(
            REGISTRY_ID,
            REGISTRY_TITLE,
            format!(
                "{} entries in all; which are to be ours, only a running supervisor knows",
                entries.len()
            ),
            "start one with: diogenes serve",
        );
    }
    let those = |is_amiss: &dyn Fn(Option<&EntryFacts>) -> bool| -> Vec<&str> {
        let amiss = names.iter().filter(|name| is_amiss(entries.get(*name)));
        amiss.map(String::as_str).collect()
    };
    for (amiss, what, advice) in [
        (
            those(&|entry| entry.is_none()),
            "not in it",
            "is the supervisor that runs given the same tekton.root? A container just started takes 5 s; else its log says why",
        ),
        (
            those(&|entry| entry.is_some_and(|entry| !entry.is_alive)),
            "there, but their process is not to be signalled by this user, and so dead to aish",
            "run this check as the user who runs aish; where it fails there too, set tekton.user to that user",
        ),
        (
            those(&|entry| entry.is_some_and(|entry| !entry.has_socket)),
            "there, but without their socket, and so dead to aish",
            "is the supervisor's run directory visible to this user?",
        ),
    ] {
        if !amiss.is_empty() {
            let detail = format!(
                "of {}, {what}: {}",
                companions(names.len()),
                some_of(&amiss)
            );
            return Check::failed(REGISTRY_ID, REGISTRY_TITLE, detail, advice);
        }
    }
    let detail = format!(
        "{} in it, each with a live process and a socket",
        companions(names.len())
    );
    Check::ok(REGISTRY_ID, REGISTRY_TITLE, detail)
}

/// Asks one companion as aish would. Only on the loopback: what stands in the file may be anybody's.
async fn way(name: &str, entry: &EntryFacts) -> Check {
    let failed = |detail: String, advice: &str| Check::failed(WAY_ID, WAY_TITLE, detail, advice);
    let host = entry.endpoint.trim_start_matches("http://");
    let address = host.parse::<SocketAddr>();
    if !address.is_ok_and(|address| IpAddr::is_loopback(&address.ip())) {
        let detail = format!(
            "{name} is not at an address of the loopback: {}",
            entry.endpoint
        );
        return failed(
            detail,
            "listen on 127.0.0.1: aish shows no token, and nobody else is let in without",
        );
    }
    let Ok(endpoint) = Address::parse(&entry.endpoint) else {
        return failed(format!("{name} has no address"), "see the supervisor's log");
    };
    let late = || format!("no answer within {} s", PATIENCE.as_secs());
    let asked = tokio::time::timeout(PATIENCE, call(endpoint, &entry.message_endpoint, "status"));
    let answer = asked.await.map_err(|_| late());
    match answer.and_then(|answer| answer.map_err(|error| error.to_string())) {
        Err(why) => failed(
            format!("{name} does not answer what aish posts: {why}"),
            "is the supervisor at that address the one of this host? diogenes status tells how it is",
        ),
        Ok(_) if goes_by_proxy() => Check::warning(
            WAY_ID,
            WAY_TITLE,
            format!(
                "{name} answers, but aish run like this would ask the proxy in http_proxy instead"
            ),
            "add 127.0.0.1 to no_proxy where aish runs",
        ),
        Ok(reply) => {
            let first = reply.response.lines().next().unwrap_or_default().to_owned();
            Check::ok(WAY_ID, WAY_TITLE, format!("{name} answers: {first}"))
        }
    }
}

/// Whether a program that heeds these variables, as aish does, would ask a proxy for the loopback.
fn goes_by_proxy() -> bool {
    let get = |name: &str| {
        let value = std::env::var(name).or_else(|_| std::env::var(name.to_uppercase()));
        value.unwrap_or_default()
    };
    let spared = get("no_proxy");
    !get("http_proxy").is_empty()
        && !spared
            .split(',')
            .any(|host| matches!(host.trim(), "127.0.0.1" | "*"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::Status::{Failed, Ok as Fine, Warning};

    #[test]
    fn what_aish_would_take_for_dead_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("a.sock");
        std::fs::write(&socket, "").unwrap();
        let own = std::process::id();
        let file = dir.path().join("registry.json");
        let write = |text: &str| std::fs::write(&file, text).unwrap();
        let names = ["a-container-ci".to_owned()];
        let judged = || judge_registry(&look(&file), &names, true);
        assert_eq!(judged().status, Failed, "no file yet");
        for (pid, socket, status, part) in [
            (
                i64::from(own),
                socket.to_str().unwrap(),
                Fine,
                "1 companion in it",
            ),
            (0, socket.to_str().unwrap(), Failed, "not to be signalled"),
            (
                i64::from(i32::MAX),
                socket.to_str().unwrap(),
                Failed,
                "not to be signalled",
            ),
            (
                i64::from(own),
                "/nowhere.sock",
                Failed,
                "without their socket",
            ),
        ] {
            write(&format!(
                r#"{{"x":[1],"a-container-ci":{{"pid":{pid},"socket":"{socket}","endpoint":"http://127.0.0.1:1"}}}}"#
            ));
            let check = judged();
            assert_eq!(check.status, status, "{check:?}");
            assert!(check.detail.contains(part), "{check:?}");
        }
        assert_eq!(judge_registry(&look(&file), &[], false).status, Warning);
        for broken in ["[]", "{", "\u{1}"] {
            write(broken);
            assert!(judged().detail.contains("is no registry"), "{broken}");
        }
    }

    #[tokio::test]
    async fn nobody_beyond_the_loopback_is_asked() {
        for endpoint in [
            "http://192.0.2.1:80",
            "http://example.com",
            "",
            "http://127.0.0.1",
        ] {
            let entry = EntryFacts {
                endpoint: endpoint.into(),
                ..EntryFacts::default()
            };
            let check = way("a", &entry).await;
            assert!(
                check.detail.contains("not at an address of the loopback"),
                "{check:?}"
            );
        }
        let entry = EntryFacts {
            endpoint: "http://127.0.0.1:9".into(),
            message_endpoint: "/ci/a/message".into(),
            ..EntryFacts::default()
        };
        assert!(way("a", &entry).await.detail.contains("Connection refused"));
    }
}
