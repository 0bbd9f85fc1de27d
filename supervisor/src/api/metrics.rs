//! `GET /metrics`: what is known, for Prometheus and everything that scrapes like it.
//!
//! ```text
//! registry, supervisor, /proc/self ─► containers, services, host ─► Samples ─► text ─┬─► poller
//!                                     (names and meanings: table)    (exposition)    ├─► poller
//!                                                                                    └─► poller
//! ```
//! However many poll, the text is written at most once a second for each format, on a thread that may take its time,
//! and all get the same bytes: questions must not wait for monitors. Entries are shared, not copied, and no lock is
//! held while they are written.

mod accept;
mod containers;
mod exposition;
mod host;
#[cfg(test)]
pub(crate) mod reader;
#[cfg(test)]
pub(crate) mod reference;
mod services;
mod table;
mod value;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use crate::api::Api;
use crate::api::metrics::exposition::{Format, Samples};
use crate::api::metrics::table::Id;
use crate::api::metrics::value::whole;
use crate::api::problem::{Code, Problem};
use crate::registry::Registry;
use crate::supervisor::Supervisor;

/// How old a text may be that is given to a poller.
const FRESH: Duration = Duration::from_secs(1);

/// The texts that were written last, and what writing cost.
#[derive(Default)]
pub(crate) struct Metrics {
    pages: Mutex<Pages>,
    cost: Arc<Mutex<Cost>>,
}

/// By format.
#[derive(Default)]
struct Pages {
    classic: Option<Page>,
    openmetrics: Option<Page>,
}

/// A text, or one that is being written.
struct Page {
    begun: Instant,
    /// None where writing it came to grief.
    text: Shared<BoxFuture<'static, Option<Bytes>>>,
}

/// What writing cost so far.
#[derive(Clone, Copy, Default)]
struct Cost {
    renders: u64,
    time: Duration,
}

/// The handler.
pub(crate) async fn serve(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    let format = accept::format(&headers);
    let known = api.clone();
    let write = move |cost| render(&known.supervisor, &known.registry, cost, format);
    let Some(text) = api.metrics.text(format, write).await else {
        return Problem::of(Code::MetricsFailed, Code::MetricsFailed.meaning()).into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, format.content_type()),
        (header::VARY, "accept"),
    ];
    (headers, text).into_response()
}

impl Metrics {
    /// The text of this second, written by `write` unless that has been done; None where `write` panics.
    async fn text(
        &self,
        format: Format,
        write: impl FnOnce(Cost) -> String + Send + 'static,
    ) -> Option<Bytes> {
        let text = {
            let mut pages = lock(&self.pages);
            let page = match format {
                Format::Classic => &mut pages.classic,
                Format::OpenMetrics => &mut pages.openmetrics,
            };
            match page {
                Some(page) if page.begun.elapsed() < FRESH => page.text.clone(),
                page => page.insert(self.begin(write)).text.clone(),
            }
        };
        text.await
    }

    /// Begins a text; it is finished also when nobody waits for it any more.
    fn begin(&self, write: impl FnOnce(Cost) -> String + Send + 'static) -> Page {
        let cost = self.cost.clone();
        let written = tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            let before = *lock(&cost);
            let text = write(before);
            let mut cost = lock(&cost);
            cost.renders += 1;
            cost.time += begun.elapsed();
            Bytes::from(text)
        });
        Page {
            begun: Instant::now(),
            text: written.map(Result::ok).boxed().shared(),
        }
    }
}

/// Everything that is known at this moment.
fn render(supervisor: &Supervisor, registry: &Registry, cost: Cost, format: Format) -> String {
    let mut samples = Samples::new();
    containers::write(&mut samples, &registry.all());
    host::write(&mut samples, supervisor, registry);
    samples.add(Id::Renders, &[], whole(cost.renders));
    samples.add(Id::RenderTime, &[], cost.time.as_secs_f64());
    samples.text(format)
}

// What these locks guard is replaced as a whole, or counts.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
