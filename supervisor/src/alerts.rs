//! Alerts: telling somebody when a container's health changes.
//!
//! ```text
//! journal ─► how the container stands now ─► rule ─► notice ─► alert ─┬─► delivery ─► webhook
//!  (a hint)        (registry)                                         └─► delivery ─► on_change ─► helper ─► command
//! ```
//! An event of the journal only says where to look; all is looked at again every few seconds, so nothing depends on
//! having heard everything. Each receiver has a queue of its own, and none can hold up the rest of the supervisor.
//!
//! What was told is not remembered over a restart of the supervisor: a container that is not well then is told again.

mod alert;
mod delivery;
pub(crate) mod helper;
pub(crate) mod on_change;
mod rule;
pub(crate) mod signature;
mod webhook;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Settings;
use crate::registry::Registry;
use alert::Alert;
use delivery::Delivery;
pub(crate) use delivery::DeliveryState;
use on_change::OnChange;
use rule::{Rule, Standing};
use signature::Keys;
use webhook::Webhook;

/// How often all containers are looked at. The journal leaves out what a container changes too fast.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Whom to tell.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct AlertSettings {
    /// Where alerts are posted, `http` or `https`; None for nowhere.
    pub(crate) webhook: Option<Url>,
    /// The content of the file of secrets; None for calls without a signature.
    pub(crate) webhook_secrets: Option<String>,
    /// The command to run, and its arguments; empty for none.
    pub(crate) on_change: Vec<String>,
}

impl From<&Arc<Settings>> for AlertSettings {
    fn from(settings: &Arc<Settings>) -> Self {
        let alerts = &settings.alerts;
        let secrets = settings.secrets.webhook.as_ref();
        let words = alerts.on_change.iter();
        Self {
            webhook: alerts.webhook.as_ref().map(|webhook| webhook.url().clone()),
            webhook_secrets: secrets.map(|secrets| secrets.reveal().to_owned()),
            on_change: words.map(|word| word.as_str().to_owned()).collect(),
        }
    }
}

impl fmt::Debug for AlertSettings {
    /// Without the secrets, and the URL may be one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlertSettings")
            .field("webhook", &self.webhook.is_some())
            .field("webhook_secrets", &self.webhook_secrets.is_some())
            .field("on_change", &!self.on_change.is_empty())
            .finish()
    }
}

/// The alerts of a supervisor: for those who look how they fare.
pub(crate) struct Alerts {
    webhook: Arc<Delivery>,
    on_change: Arc<Delivery>,
}

impl Default for Alerts {
    /// Alerts that nobody receives.
    fn default() -> Self {
        Self {
            webhook: Arc::new(Delivery::new("alerts.webhook")),
            on_change: Arc::new(Delivery::new("alerts.on_change")),
        }
    }
}

impl Alerts {
    /// Starts telling of what happens in `registry`. `settings` are followed as they change, without losing what
    /// waits. `stop` ends it: what waits is tried once more.
    pub(crate) fn start<S>(
        registry: Arc<Registry>,
        settings: watch::Receiver<S>,
        stop: CancellationToken,
        tasks: &TaskTracker,
    ) -> Arc<Self>
    where
        S: Send + Sync + 'static,
        AlertSettings: for<'a> From<&'a S>,
    {
        let alerts = Arc::new(Self::default());
        let in_force = AlertSettings::from(&*settings.borrow());
        alerts.configure(&in_force, &AlertSettings::default());
        for delivery in [&alerts.webhook, &alerts.on_change] {
            tasks.spawn(delivery.clone().run(stop.clone()));
        }
        let watching = alerts.clone();
        tasks.spawn(async move {
            let watch = watching.watch(&registry, settings, in_force);
            let _ = stop.run_until_cancelled(watch).await;
        });
        alerts
    }

    /// Alerts that wait for receivers nobody has started.
    #[cfg(test)]
    pub(crate) fn waiting(settings: &AlertSettings) -> Self {
        let alerts = Self::default();
        alerts.configure(settings, &AlertSettings::default());
        alerts
    }

    /// How the webhook fares; None where none is configured.
    pub(crate) fn webhook(&self) -> Option<DeliveryState> {
        self.webhook.state()
    }

    /// How `on_change` fares; None where none is configured.
    pub(crate) fn on_change(&self) -> Option<DeliveryState> {
        self.on_change.state()
    }

    /// Takes over settings, as far as they differ from those `before`.
    fn configure(&self, settings: &AlertSettings, before: &AlertSettings) {
        let webhook =
            |settings: &AlertSettings| (settings.webhook.clone(), settings.webhook_secrets.clone());
        if webhook(settings) != webhook(before) {
            match settings.webhook() {
                Ok(webhook) => self
                    .webhook
                    .set_receiver(webhook.map(|webhook| Arc::new(webhook) as _)),
                Err(why) => tracing::error!("alerts.webhook stays as it was: {why}"),
            }
        }
        if settings.on_change != before.on_change {
            let command = OnChange::new(settings.on_change.clone(), on_change::DEADLINE);
            self.on_change
                .set_receiver(command.map(|command| Arc::new(command) as _));
        }
    }

    /// Follows the registry and the settings for ever.
    async fn watch<S>(
        &self,
        registry: &Registry,
        mut settings: watch::Receiver<S>,
        mut in_force: AlertSettings,
    ) where
        AlertSettings: for<'a> From<&'a S>,
    {
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        let mut events = registry.journal().follow();
        let mut rule = Rule::default();
        let mut sweep = interval(SWEEP_INTERVAL);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = rule.next_due();
            let ripe = async {
                match due {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Ok(()) = settings.changed() => {
                    let next = AlertSettings::from(&*settings.borrow_and_update());
                    self.configure(&next, &in_force);
                    in_force = next;
                }
                event = events.recv() => match event {
                    Ok(event) => if let Some(container) = &event.container {
                        look(registry, &mut rule, &container.id);
                    },
                    Err(RecvError::Lagged(_)) => look_at_all(registry, &mut rule),
                    // The registry is gone, and so is everybody.
                    Err(RecvError::Closed) => return,
                },
                _ = sweep.tick() => look_at_all(registry, &mut rule),
                () = ripe => {}
            }
            for notice in rule.due(Instant::now()) {
                if let Some(entry) = registry.get(&notice.id) {
                    let alert = Alert::new(&notice, &entry, &host);
                    tracing::info!("{}", alert.text);
                    self.webhook.push(&alert);
                    self.on_change.push(&alert);
                }
            }
        }
    }
}

impl AlertSettings {
    /// The webhook they ask for; None where they ask for none.
    fn webhook(&self) -> Result<Option<Webhook>, String> {
        let Some(url) = self.webhook.clone() else {
            return Ok(None);
        };
        let keys = self.webhook_secrets.as_deref().map(Keys::read).transpose();
        let keys = keys.map_err(|error| format!("its file of secrets: {error}"))?;
        if keys.is_none() {
            tracing::warn!(
                "alerts.webhook: calls are not signed, so the receiver cannot tell them from forged ones; \
                 name a file with a secret in alerts.webhook_secret_file"
            );
        }
        Webhook::new(url, keys).map(Some)
    }
}

fn look(registry: &Registry, rule: &mut Rule, id: &str) {
    match registry.get(id) {
        Some(entry) => rule.see(id, Standing::of(&entry), Instant::now()),
        None => rule.retain(|known| known != id),
    }
}

fn look_at_all(registry: &Registry, rule: &mut Rule) {
    rule.retain(|id| registry.get(id).is_some());
    for id in registry.ids() {
        look(registry, rule, &id);
    }
}

#[cfg(test)]
#[path = "alerts/tests.rs"]
mod tests;
