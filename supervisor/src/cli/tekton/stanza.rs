//! `diogenes tekton stanza`: what makes `tekton status` show the supervisor.
//!
//! A component of Tekton is a port: the supervisor is one. Its containers are not; `diogenes status --format tekton`
//! shows them in the same way.

use diogenes_tekton::stanza::Stanza;

use crate::api::discovery::CAPABILITY;
use crate::api::health::COMPONENT_NAME;
use crate::cli::client::Client;
use crate::config::Sources;
use crate::exit::Failure;

/// The supervisor, as Tekton is to know it.
pub(crate) fn own() -> Stanza {
    Stanza {
        id: COMPONENT_NAME.to_owned(),
        name: "Diogenes".to_owned(),
        description: "Companions for containers: tells how the containers of this host fare"
            .to_owned(),
        category: "infrastructure".to_owned(),
        // What is no part of Tekton is nobody's dependency.
        startup_priority: 6,
        dependencies: Vec::new(),
        capabilities: vec![CAPABILITY.to_owned()],
    }
}

/// What is printed: for the port of the supervisor that runs, or of the one that would.
///
/// # Errors
/// A [`Failure`] where the configuration is wrong.
pub(crate) async fn run(sources: &Sources) -> anyhow::Result<String> {
    let running = match sources.run_dir() {
        Ok(run_dir) => Client::new(&run_dir)?.status().await.ok(),
        Err(_) => None,
    };
    let listen = match running.and_then(|status| status.supervisor.listen.parse().ok()) {
        Some(listen) => listen,
        None => sources.read().map_err(Failure::from)?.general.listen,
    };
    Ok(text(&own(), listen.port()))
}

fn text(stanza: &Stanza, port: u16) -> String {
    format!(
        "# For Tekton's config/tekton_components.yaml, below `components:`\n{stanza}\n\
         # For Tekton's .env.local: without it, with the lines above, none of Tekton's programs starts\n{}={port}\n",
        stanza.port_variable()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stanza_and_its_variable_go_together() {
        insta::assert_snapshot!(text(&own(), 4120), @r#"
        # For Tekton's config/tekton_components.yaml, below `components:`
          diogenes:
            name: "Diogenes"
            description: "Companions for containers: tells how the containers of this host fare"
            category: "infrastructure"
            startup_priority: 6
            dependencies: []
            capabilities:
              - "container_ci"

        # For Tekton's .env.local: without it, with the lines above, none of Tekton's programs starts
        DIOGENES_PORT=4120
        "#);
    }
}
