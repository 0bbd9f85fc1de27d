//! What a companion sees in its container at this moment: processes and listeners, in pages.
//!
//! A snapshot is taken by the companion and stays with it for a while, to be paged through by its hash. Processes and
//! listeners are counted through there, in pages of whatever fits a line; here each list has its own offsets, and
//! pages of the size that is asked for.

use axum::Json;
use axum::http::StatusCode;
use diogenes_proto::{ErrorCode, Listener, Message, Process, Request, SnapshotPage, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::asked::{Asked, Limit, NAMING, Named};
use crate::api::document::INSIDE;
use crate::api::operation::Operation;
use crate::api::problem::{Code, Problem};
use crate::ci_sockets::ci_session::REQUEST_DEADLINE;
use crate::registry::Entry;
use crate::session::RequestError;

/// Pages a companion is asked for at most, to answer one request: some 40,000 processes before the first listener.
const MAX_PAGES: usize = 64;
/// Pages whose items are kept at most, each a quarter of a megabyte: what comes after is left to the next request.
const MAX_KEPT_PAGES: usize = 4;

/// Asking a companion may fail in these.
const FAILS: &[Code] = &[
    Code::NoSuchSnapshot,
    Code::StrangeCompanion,
    Code::NoCompanion,
    Code::CompanionBusy,
    Code::CompanionSlow,
];

/// Which page is wanted.
#[derive(Debug, Deserialize, JsonSchema)]
struct Paging {
    /// The snapshot, by the hash of an earlier page; without it, a new one is taken.
    #[schemars(with = "String")]
    hash: Option<String>,
    /// How many items to pass over.
    #[serde(default)]
    #[schemars(range(max = u32::MAX))]
    offset: u32,
    /// How many items at most; a page may have fewer also where it is not the last.
    #[serde(default)]
    limit: Limit,
}

/// Which page is wanted, as the companion has it.
#[derive(Debug, Deserialize, JsonSchema)]
struct Part {
    /// The snapshot, by the hash of an earlier page; without it, a new one is taken.
    #[schemars(with = "String")]
    hash: Option<String>,
    /// Index of the first item: processes first, then listeners, counted through.
    #[serde(default)]
    #[schemars(range(max = u32::MAX))]
    offset: u32,
}

/// A page of processes.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ProcessesPage")]
struct ProcessesView {
    #[serde(flatten)]
    page: PageView,
    /// The processes, by pid.
    processes: Vec<Process>,
}

/// A page of listening sockets.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ListenersPage")]
struct ListenersView {
    #[serde(flatten)]
    page: PageView,
    /// Listening TCP sockets, bound UDP sockets and listening Unix sockets.
    listeners: Vec<Listener>,
}

/// What all pages tell.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct PageView {
    /// The container's name.
    container: String,
    /// Its companion's name.
    ci_name: String,
    /// The snapshot, by its hash.
    hash: String,
    /// When it was taken.
    taken_at: Timestamp,
    /// How many items are before this page.
    offset: u32,
    /// Where the next page is, a reference to this one's place; null on the last.
    #[schemars(extend("format" = "uri-reference"))]
    next: Option<String>,
}

/// What is told.
pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::get(
            "/api/v1/containers/{name}/processes",
            "processes",
            processes,
        )
        .is(INSIDE, "A container's processes")
        .takes::<Paging>()
        .answers::<ProcessesView>(StatusCode::OK, "A page of processes.")
        .fails(NAMING)
        .fails(FAILS),
        Operation::get(
            "/api/v1/containers/{name}/listeners",
            "listeners",
            listeners,
        )
        .is(
            INSIDE,
            "A container's listening sockets, with the processes that hold them",
        )
        .takes::<Paging>()
        .answers::<ListenersView>(StatusCode::OK, "A page of listening sockets.")
        .fails(NAMING)
        .fails(FAILS),
        Operation::get("/api/v1/containers/{name}/snapshot", "snapshot", snapshot)
            .is(INSIDE, "A page of a snapshot, as the companion has it")
            .takes::<Part>()
            .answers::<SnapshotPage>(StatusCode::OK, "The page.")
            .fails(NAMING)
            .fails(FAILS),
    ]
}

async fn snapshot(
    Named(entry): Named,
    Asked(Part { hash, offset }): Asked<Part>,
) -> Result<Json<SnapshotPage>, Problem> {
    Ok(Json(page(&entry, hash, offset).await?))
}

async fn processes(
    Named(entry): Named,
    Asked(paging): Asked<Paging>,
) -> Result<Json<ProcessesView>, Problem> {
    let from = paging.offset;
    let read = |page: SnapshotPage| {
        let ended = !page.listeners.is_empty();
        (page.processes, ended)
    };
    let (page, processes) = gather(&entry, "processes", &paging, from, 0, read).await?;
    Ok(Json(ProcessesView { page, processes }))
}

async fn listeners(
    Named(entry): Named,
    Asked(paging): Asked<Paging>,
) -> Result<Json<ListenersView>, Problem> {
    // Where the listeners begin is seen only on the way through the processes.
    let read = |page: SnapshotPage| (page.listeners, false);
    let (page, listeners) = gather(&entry, "listeners", &paging, 0, paging.offset, read).await?;
    Ok(Json(ListenersView { page, listeners }))
}

/// Reads a snapshot from its item `from` on, and gathers what `read` finds in its pages: passes over `skip` items,
/// and keeps one page of them. `read` also says whether no more can come.
async fn gather<T>(
    entry: &Entry,
    list: &str,
    paging: &Paging,
    from: u32,
    mut skip: u32,
    read: impl Fn(SnapshotPage) -> (Vec<T>, bool),
) -> Result<(PageView, Vec<T>), Problem> {
    let limit = paging.limit.get();
    let mut first = page(entry, paging.hash.clone(), from).await?;
    let (hash, taken_at) = (first.hash.clone(), first.taken_at);
    let (mut items, mut kept_pages, mut more) = (Vec::new(), 0, true);
    for asked in 1.. {
        let (offset, next) = (first.offset, first.next);
        let (found, ended) = read(first);
        let passed = found.len().min(skip as usize);
        skip -= u32::try_from(passed).unwrap_or(skip);
        kept_pages += usize::from(found.len() > passed);
        items.extend(found.into_iter().skip(passed));
        let next = next.filter(|_| !ended);
        more = items.len() > limit || next.is_some();
        let Some(next) = next.filter(|_| items.len() <= limit && kept_pages < MAX_KEPT_PAGES)
        else {
            break;
        };
        if next <= offset || asked >= MAX_PAGES {
            let detail = format!("the companion's snapshot does not end after {asked} pages");
            return Err(Problem::of(Code::StrangeCompanion, detail));
        }
        first = page(entry, Some(hash.clone()), next).await?;
    }
    items.truncate(limit);
    let next = u32::try_from(items.len())
        .ok()
        .and_then(|told| paging.offset.checked_add(told));
    let next = next.filter(|_| more && !items.is_empty());
    let view = PageView {
        container: entry.facts.name.clone(),
        ci_name: entry.ci_name(),
        next: next
            .map(|next| format!("{list}?hash={}&offset={next}&limit={limit}", escaped(&hash))),
        hash,
        taken_at,
        offset: paging.offset,
    };
    Ok((view, items))
}

/// One page, of the companion's own making.
async fn page(entry: &Entry, hash: Option<String>, offset: u32) -> Result<SnapshotPage, Problem> {
    let name = &entry.facts.name;
    let session = entry.session.as_ref().ok_or_else(|| {
        let reason = entry.presence.reason(&entry.facts, entry.presence_since);
        Problem::of(
            Code::NoCompanion,
            format!("{name} has no companion to be asked: {reason}"),
        )
    })?;
    let wanted = hash.clone();
    let reply = session
        .request(Request::Snapshot { hash, offset }, REQUEST_DEADLINE)
        .await;
    let problem = |code, error: &dyn std::fmt::Display| {
        Problem::of(
            code,
            format!("the companion of {name} cannot tell: {error}"),
        )
    };
    match reply {
        Ok(Message::Snapshot(mut page)) if wanted.is_none_or(|wanted| wanted == page.hash) => {
            // A companion cannot know these: what it says of the host is its container's invention.
            for process in &mut page.processes {
                process.host_pid = None;
            }
            Ok(*page)
        }
        Ok(_) => Err(problem(Code::StrangeCompanion, &"it said something else")),
        Err(RequestError::Refused(error)) if error.code == ErrorCode::NotFound => {
            Err(Problem::of(Code::NoSuchSnapshot, error.message))
        }
        Err(error @ RequestError::Refused(_)) => Err(problem(Code::StrangeCompanion, &error)),
        Err(error @ RequestError::Gone) => Err(problem(Code::NoCompanion, &error)),
        Err(error @ RequestError::Busy) => Err(problem(Code::CompanionBusy, &error)),
        Err(error @ RequestError::TimedOut(_)) => Err(problem(Code::CompanionSlow, &error)),
    }
}

/// A hash in a query: an honest one is letters and digits anyway, another cannot add parameters.
fn escaped(hash: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    hash.chars().filter(plain).collect()
}
