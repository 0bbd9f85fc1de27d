//! Hermes and Ergon: whether they answer, and whether Hermes knows who it should.

use std::path::Path;

use diogenes_tekton::Address;
use diogenes_tekton::ergon;
use diogenes_tekton::hermes::{Client as HermesClient, Component};
use tokio::time::timeout;

use super::{some_of, told};
use crate::api::health::COMPONENT_NAME;
use crate::api::view::StatusView;
use crate::cli::client::Client;
use crate::doctor::PATIENCE;
use crate::doctor::check::Check;
use crate::tekton::hermes::HermesView;

const HERMES_ID: &str = "hermes";
const HERMES_TITLE: &str = "Hermes";
const ERGON_ID: &str = "ergon";
const ERGON_TITLE: &str = "Ergon";

/// What was found at Hermes.
#[derive(Debug)]
struct HermesFacts {
    address: String,
    /// All that it knows, and whether each counts as alive; or why it does not say.
    known: Result<Vec<(String, bool)>, String>,
    /// How the running supervisor gets on with it; None where it does without, or none runs.
    own: Option<HermesView>,
    /// Who is to be known; None where no supervisor runs.
    wanted: Option<Vec<String>>,
}

/// Everything of Hermes.
pub(super) async fn hermes(
    address: Option<&Address>,
    run_dir: &Path,
    status: Option<&StatusView>,
) -> Check {
    let Some(address) = address else {
        return Check::warning(
            HERMES_ID,
            HERMES_TITLE,
            "not configured: nothing is registered",
            "give its address as tekton.hermes, --hermes URL or HERMES_URL",
        );
    };
    let own = async { Client::new(run_dir).ok()?.hermes().await.ok()? };
    let (known, own) = tokio::join!(components(address.clone()), own);
    let wanted = status.map(|status| {
        let companions = told(status).map(|container| container.ci_name.clone());
        companions.chain([COMPONENT_NAME.to_owned()]).collect()
    });
    judge_hermes(&HermesFacts {
        address: address.as_str().to_owned(),
        known,
        own,
        wanted,
    })
}

async fn components(address: Address) -> Result<Vec<(String, bool)>, String> {
    let client = HermesClient::new(address).map_err(|error| error.to_string())?;
    let asked = async { tokio::try_join!(client.components(false), client.components(true)) };
    let (all, alive) = match timeout(PATIENCE, asked).await {
        Ok(answer) => answer.map_err(|error| error.to_string())?,
        Err(_) => return Err(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    let is_alive = |id: &str| alive.iter().any(|it: &Component| it.component_id == id);
    let all = all
        .into_iter()
        .map(|it| (it.component_id.clone(), is_alive(&it.component_id)));
    Ok(all.collect())
}

fn judge_hermes(facts: &HermesFacts) -> Check {
    let failed =
        |detail: String, advice: &str| Check::failed(HERMES_ID, HERMES_TITLE, detail, advice);
    let address = &facts.address;
    let known = match &facts.known {
        Ok(known) => known,
        Err(why) => {
            let detail = format!("{address} does not answer as Hermes does: {why}");
            return failed(
                detail,
                "start Hermes, or mend tekton.hermes; the supervisor registers by itself as soon as it answers",
            );
        }
    };
    let Some(wanted) = &facts.wanted else {
        return Check::warning(
            HERMES_ID,
            HERMES_TITLE,
            format!(
                "{address} answers and knows {} components; no supervisor runs that registers any",
                known.len()
            ),
            "start one with: diogenes serve",
        );
    };
    let Some(own) = &facts.own else {
        let detail =
            format!("{address} answers, but the supervisor that runs was started without a Hermes");
        return failed(detail, "start it anew with the same configuration");
    };
    let find = |name: &String| known.iter().find(|(id, _)| id == name);
    let missing = wanted.iter().filter(|name| find(name).is_none());
    let missing: Vec<&str> = missing.map(String::as_str).collect();
    let refusal = own.last_refusal.as_deref();
    if !missing.is_empty() {
        let refused =
            refusal.map_or_else(String::new, |why| format!("; it refused something: {why}"));
        let detail = format!("{address} does not know {}{refused}", some_of(&missing));
        let advice = "wait half a minute: who is missing is registered anew; else the supervisor's log says why";
        return failed(detail, advice);
    }
    let dead = wanted
        .iter()
        .filter(|name| find(name).is_some_and(|(_, is_alive)| !is_alive));
    let dead: Vec<&str> = dead.map(String::as_str).collect();
    if !dead.is_empty() {
        let detail = format!("{address} takes for dead: {}", some_of(&dead));
        return failed(
            detail,
            "no heartbeat of theirs was taken for 60 s; the supervisor's log says why",
        );
    }
    let detail = format!(
        "{address} knows the supervisor and {} of ours, all alive; tokens are good for {} of {}",
        wanted.len() - 1,
        own.registered,
        own.wanted
    );
    if own.registered < own.wanted {
        return Check::warning(
            HERMES_ID,
            HERMES_TITLE,
            detail,
            "some are being registered just now; look again in a moment",
        );
    }
    Check::ok(HERMES_ID, HERMES_TITLE, detail)
}

/// Everything of Ergon.
pub(super) async fn ergon(address: Option<&Address>) -> Check {
    let Some(address) = address else {
        return Check::warning(
            ERGON_ID,
            ERGON_TITLE,
            "not configured: nothing can be published without saying where",
            "give its address as tekton.ergon or ERGON_URL, or with each tekton publish --ergon URL",
        );
    };
    let answer = async {
        let client = ergon::Client::new(address.clone())?;
        client.kinds().await
    };
    let answer = timeout(PATIENCE, answer).await;
    let told = address.as_str();
    let why = match answer {
        Ok(Ok(kinds)) if kinds.contains_key("types") => {
            return Check::ok(ERGON_ID, ERGON_TITLE, format!("{told} answers"));
        }
        Ok(Ok(_)) => "an answer that makes no sense".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
    };
    Check::failed(
        ERGON_ID,
        ERGON_TITLE,
        format!("{told} does not answer as Ergon does: {why}"),
        "start Ergon, or mend tekton.ergon",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::Status::{Failed, Ok as Fine, Warning};
    use diogenes_testkit::{FakeHermes, Mood};

    fn facts() -> HermesFacts {
        let view = crate::fakes::hermes("http://127.0.0.1:9").view();
        HermesFacts {
            address: "http://h".into(),
            known: Ok(vec![
                ("diogenes".into(), true),
                ("a-container-ci".into(), true),
            ]),
            own: Some(HermesView {
                wanted: 2,
                registered: 2,
                ..view
            }),
            wanted: Some(vec!["a-container-ci".into(), "diogenes".into()]),
        }
    }

    #[test]
    fn hermes_has_its_verdicts() {
        let mut away = facts();
        away.known = Err("Connection refused".into());
        let mut alone = facts();
        alone.wanted = None;
        let mut without = facts();
        without.own = None;
        let mut forgetful = facts();
        forgetful.known = Ok(vec![("diogenes".into(), true)]);
        let mut dead = facts();
        dead.known.as_mut().unwrap()[1].1 = false;
        let mut busy = facts();
        busy.own.as_mut().unwrap().registered = 1;
        for (facts, status, part) in [
            (facts(), Fine, "knows the supervisor and 1 of ours"),
            (away, Failed, "Connection refused"),
            (alone, Warning, "no supervisor runs"),
            (without, Failed, "started without a Hermes"),
            (forgetful, Failed, "does not know a-container-ci"),
            (dead, Failed, "takes for dead: a-container-ci"),
            (busy, Warning, "good for 1 of 2"),
        ] {
            let check = judge_hermes(&facts);
            assert_eq!(check.status, status, "{check:?}");
            assert!(check.detail.contains(part), "{check:?}");
        }
    }

    #[tokio::test]
    async fn whoever_answers_in_their_place_is_not_taken_for_them() {
        let hermes = FakeHermes::start();
        let address = Address::parse(&hermes.url()).unwrap();
        assert_eq!(components(address.clone()).await, Ok(Vec::new()));
        hermes.set_mood(Mood::Garbles);
        assert!(components(address.clone()).await.is_err());
        let check = ergon(Some(&address)).await;
        assert!(check.detail.contains("makes no sense"), "{check:?}");
        hermes.set_mood(Mood::Hangs);
        let why = components(address.clone()).await.unwrap_err();
        assert_eq!(why, "no answer within 2 s");
        assert_eq!(ergon(Some(&address)).await.status, Failed);
        assert_eq!(ergon(None).await.status, Warning);
    }
}
