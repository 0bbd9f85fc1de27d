//! Strategies for everything that travels. The larger ones are boxed: nested as they are, they would not fit
//! the stack of a test's thread.

use std::collections::BTreeMap;
use std::net::IpAddr;

use diogenes_proto::fraction::{LIMIT, thousandths};
use diogenes_proto::probe::{ProbeOutcome, Verdict};
use diogenes_proto::request::MAX_QUESTION_BYTES;
use diogenes_proto::word::{MAX_SENTENCE_BYTES, MAX_WORD_BYTES};
use diogenes_proto::{
    Activity, Answer, Disk, EndedService, ErrorCode, Finding, Health, Hello, HostFacts, Listener,
    LogFile, LogPosition, Logs, Message, PastStart, ProbeStats, Process, ProtocolRange,
    PublishedPort, Report, Request, Resources, Service, Severity, Snapshot, SnapshotPage,
    Timestamp, Transport, Untrusted, WireError,
};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;

fn string(max_chars: usize) -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..max_chars).prop_map(String::from_iter)
}

/// A text of a container: mostly short, sometimes beyond the bound, sometimes as long as JSON can make it.
pub(crate) fn text() -> BoxedStrategy<Untrusted> {
    prop_oneof![
        30 => string(24).prop_map(Untrusted::new),
        1 => (0_usize..9000).prop_map(|len| Untrusted::new("é".repeat(len))),
        1 => (0_usize..5000).prop_map(|len| Untrusted::new("\u{1}".repeat(len))),
    ]
    .boxed()
}

/// A word as honest peers use them.
pub(crate) fn word() -> impl Strategy<Value = String> {
    prop_oneof![20 => "[a-z0-9/@:. ü-]{0,20}", 1 => Just("w".repeat(MAX_WORD_BYTES))]
}

pub(crate) fn moment() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        any::<u64>().prop_map(Timestamp::from_unix_ms),
        (0..4_000_000_000_000_u64).prop_map(Timestamp::from_unix_ms),
    ]
}

/// A fraction as it travels.
fn finite() -> impl Strategy<Value = f64> {
    let number = prop_oneof![0.0..1e5, -LIMIT..LIMIT, any::<f64>()];
    number.prop_filter_map("beyond the limit", thousandths)
}

pub(crate) fn health() -> impl Strategy<Value = Health> {
    use Health::{Degraded, Healthy, Starting, Unhealthy, Unknown};
    prop::sample::select(&[Starting, Healthy, Degraded, Unhealthy, Unknown][..])
}

fn activity() -> impl Strategy<Value = Activity> {
    prop::sample::select(&[Activity::Busy, Activity::Idle, Activity::Unknown][..])
}

fn severity() -> impl Strategy<Value = Severity> {
    prop::sample::select(&[Severity::Critical, Severity::Warning, Severity::Info][..])
}

fn transport() -> impl Strategy<Value = Transport> {
    prop::sample::select(&[Transport::Tcp, Transport::Udp, Transport::Unix][..])
}

fn verdict() -> impl Strategy<Value = Verdict> {
    use Verdict::{Alive, Failing, Garbled, Impossible, Refused, Silent, Starting};
    prop::sample::select(
        &[
            Alive, Starting, Failing, Refused, Silent, Garbled, Impossible,
        ][..],
    )
}

pub(crate) const ERROR_CODES: &[ErrorCode] = &[
    ErrorCode::Malformed,
    ErrorCode::LineTooLong,
    ErrorCode::HelloExpected,
    ErrorCode::VersionMismatch,
    ErrorCode::Unsupported,
    ErrorCode::Invalid,
    ErrorCode::NotFound,
    ErrorCode::Busy,
    ErrorCode::Forbidden,
    ErrorCode::Internal,
];

pub(crate) fn listener() -> BoxedStrategy<Listener> {
    let socket = (
        transport(),
        of(any::<IpAddr>()),
        of(any::<u16>()),
        of(text()),
    );
    let rest = (
        any::<u64>(),
        any::<u32>(),
        of(any::<u32>()),
        of(any::<u32>()),
        vec(any::<u32>(), 0..4),
    );
    (socket, rest)
        .prop_map(
            |((transport, address, port, path), (inode, uid, accept_queue, backlog, owners))| {
                Listener {
                    transport,
                    address,
                    port,
                    path,
                    inode,
                    uid,
                    accept_queue,
                    backlog,
                    owners,
                }
            },
        )
        .boxed()
}

pub(crate) fn process() -> BoxedStrategy<Process> {
    let who = (
        any::<u32>(),
        of(any::<u32>()),
        any::<u32>(),
        of(any::<u32>()),
        any::<u32>(),
        moment(),
    );
    let what = (
        text(),
        vec(text(), 0..4),
        of(text()),
        any::<char>(),
        vec(word(), 0..3),
    );
    let numbers = (
        any::<u32>(),
        any::<u64>(),
        any::<u64>(),
        of(any::<u64>()),
        of(any::<u64>()),
    );
    (who, what, numbers)
        .prop_map(
            |(
                (container_pid, host_pid, parent_pid, group, uid, started_at),
                (name, command, executable, state, frameworks),
                (threads, cpu_ms, rss_bytes, fds, fd_limit),
            )| Process {
                container_pid,
                host_pid,
                parent_pid,
                group,
                uid,
                started_at,
                name,
                command,
                executable,
                state,
                threads,
                cpu_ms,
                rss_bytes,
                fds,
                fd_limit,
                frameworks,
            },
        )
        .boxed()
}

fn disk() -> impl Strategy<Value = Disk> {
    let sizes = (any::<u64>(), any::<u64>(), of(any::<u64>()));
    (text(), sizes, vec(any::<u32>(), 0..3)).prop_map(
        |(point, (total_bytes, free_bytes, free_inodes), holders)| Disk {
            point,
            total_bytes,
            free_bytes,
            free_inodes,
            holders,
        },
    )
}

pub(crate) fn resources() -> BoxedStrategy<Resources> {
    let number = || of(any::<u64>());
    let memory = (of(any::<u8>()), number(), number(), number());
    let cpu = (number(), of(finite()), of(finite()), number(), number());
    let disks = vec(disk(), 0..3);
    (memory, cpu, any::<bool>(), number(), (number(), disks))
        .prop_map(
            |(
                (cgroup_version, memory_bytes, memory_limit_bytes, oom_kills),
                (cpu_usage_us, cpu_percent, cpu_limit_cores, throttled_periods, throttled_us),
                frozen,
                pids,
                (pids_limit, disks),
            )| Resources {
                cgroup_version,
                memory_bytes,
                memory_limit_bytes,
                oom_kills,
                cpu_usage_us,
                cpu_percent,
                cpu_limit_cores,
                throttled_periods,
                throttled_us,
                frozen,
                pids,
                pids_limit,
                disks,
            },
        )
        .boxed()
}

pub(crate) fn service() -> BoxedStrategy<Service> {
    let what = (word(), text(), word(), of(word()), of(text()));
    let where_ = (
        vec(any::<u16>(), 0..4),
        vec(listener(), 0..3),
        vec(any::<u32>(), 0..4),
    );
    (
        what,
        where_,
        (
            health(),
            of(activity()),
            moment(),
            vec(text(), 0..3),
            (of(probe_stats()), of(any::<u64>())),
        ),
    )
        .prop_map(
            |(
                (key, name, kind, role, version),
                (ports, listeners, pids),
                (health, activity, since, evidence, (probes, start_ms)),
            )| Service {
                key,
                name,
                kind,
                role,
                version,
                ports,
                listeners,
                pids,
                health,
                activity,
                since,
                evidence,
                probes,
                start_ms,
            },
        )
        .boxed()
}

fn probe_stats() -> impl Strategy<Value = ProbeStats> {
    let counts = (any::<u64>(), any::<u64>(), any::<u32>());
    (counts, any::<u64>(), any::<u64>()).prop_map(
        |((run, failed, failed_in_a_row), last_us, total_us)| ProbeStats {
            run,
            failed,
            failed_in_a_row,
            last_us,
            total_us,
        },
    )
}

fn log_position() -> impl Strategy<Value = LogPosition> {
    (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(device, inode, offset)| LogPosition {
        device,
        inode,
        offset,
    })
}

pub(crate) fn log_file() -> BoxedStrategy<LogFile> {
    let what = (text(), of(word()), any::<u32>(), of(log_position()));
    let read = (vec(text(), 0..4), of(text()), of(text()));
    (what, read, any::<bool>(), any::<bool>())
        .prop_map(
            |((path, service, pid, position), (lines, unfinished, failure), omitted, restarted)| {
                LogFile {
                    path,
                    service,
                    pid,
                    position,
                    lines,
                    unfinished,
                    omitted,
                    restarted,
                    failure,
                }
            },
        )
        .boxed()
}

fn logs() -> BoxedStrategy<Logs> {
    (vec(log_file(), 0..4), any::<u32>())
        .prop_map(|(files, omitted)| Logs { files, omitted })
        .boxed()
}

pub(crate) fn finding() -> BoxedStrategy<Finding> {
    (
        word(),
        severity(),
        text(),
        of(word()),
        vec(text(), 0..3),
        moment(),
    )
        .prop_map(
            |(code, severity, summary, service, evidence, since)| Finding {
                code,
                severity,
                summary,
                service,
                evidence,
                since,
            },
        )
        .boxed()
}

pub(crate) fn roles() -> impl Strategy<Value = BTreeMap<String, Untrusted>> {
    btree_map(word(), text(), 0..4)
}

pub(crate) fn report() -> BoxedStrategy<Report> {
    let state = (moment(), word(), health(), moment(), text(), roles());
    let body = (
        vec(service(), 0..3),
        resources(),
        vec(finding(), 0..3),
        any::<u32>(),
        any::<u32>(),
    );
    (state, body)
        .prop_map(
            |(
                (at, snapshot, health, since, reason, roles),
                (services, resources, findings, processes, omitted),
            )| Report {
                at,
                snapshot,
                health,
                since,
                reason,
                roles,
                services,
                resources,
                findings,
                processes,
                omitted,
            },
        )
        .boxed()
}

pub(crate) fn snapshot(max_items: usize) -> impl Strategy<Value = Snapshot> {
    let items = (
        vec(process(), 0..=max_items),
        vec(listener(), 0..=max_items),
    );
    (moment(), items, resources(), vec(text(), 0..3)).prop_map(
        |(taken_at, (processes, listeners), resources, gaps)| Snapshot {
            taken_at,
            processes,
            listeners,
            resources,
            gaps,
        },
    )
}

fn page() -> BoxedStrategy<SnapshotPage> {
    let place = (
        word(),
        moment(),
        any::<u32>(),
        any::<u32>(),
        of(any::<u32>()),
    );
    let items = (
        vec(process(), 0..3),
        vec(listener(), 0..3),
        of(resources()),
        vec(text(), 0..3),
    );
    (place, items)
        .prop_map(
            |((hash, taken_at, offset, total, next), (processes, listeners, resources, gaps))| {
                SnapshotPage {
                    hash,
                    taken_at,
                    offset,
                    total,
                    next,
                    processes,
                    listeners,
                    resources,
                    gaps,
                }
            },
        )
        .boxed()
}

fn answer() -> BoxedStrategy<Answer> {
    (word(), text(), vec(text(), 0..3), roles(), moment())
        .prop_map(|(intent, text, evidence, data, as_of)| Answer {
            intent,
            text,
            evidence,
            data,
            as_of,
        })
        .boxed()
}

fn outcome() -> BoxedStrategy<ProbeOutcome> {
    (
        verdict(),
        text(),
        any::<u64>(),
        of(text()),
        of(word()),
        of(text()),
        of(word()),
        of(moment()),
    )
        .prop_map(
            |(verdict, evidence, took_us, version, protocol, product, path, expires_at)| {
                ProbeOutcome {
                    verdict,
                    evidence,
                    took_us,
                    version,
                    protocol,
                    product,
                    path,
                    expires_at,
                }
            },
        )
        .boxed()
}

fn error() -> impl Strategy<Value = WireError> {
    let message = prop_oneof![10 => "[ -~é]{0,40}", 1 => Just("m".repeat(MAX_SENTENCE_BYTES))];
    (prop::sample::select(ERROR_CODES), message, any::<bool>()).prop_map(
        |(code, message, retryable)| WireError {
            code,
            message,
            retryable,
        },
    )
}

fn published() -> impl Strategy<Value = PublishedPort> {
    (any::<u16>(), word(), word(), any::<u16>()).prop_map(
        |(container_port, protocol, host_address, host_port)| PublishedPort {
            container_port,
            protocol,
            host_address,
            host_port,
        },
    )
}

fn facts() -> BoxedStrategy<HostFacts> {
    let what = (
        string(20),
        string(20),
        string(20),
        of(moment()),
        any::<u64>(),
    );
    let how = (
        of(any::<i64>()),
        any::<bool>(),
        of(health()),
        of(string(20)),
    );
    (what, how, vec(published(), 0..3), vec(text(), 0..3))
        .prop_map(
            |(
                (name, image, state, started_at, restart_count),
                (exit_code, oom_killed, docker_health, without_agent),
                published,
                log_tail,
            )| HostFacts {
                name,
                image,
                state,
                started_at,
                restart_count,
                exit_code,
                oom_killed,
                docker_health,
                published,
                log_tail,
                without_agent,
            },
        )
        .boxed()
}

pub(crate) fn request() -> impl Strategy<Value = Request> {
    let question = prop_oneof![10 => string(40), 1 => Just("?".repeat(MAX_QUESTION_BYTES))];
    prop_oneof![
        Just(Request::Ping {}),
        Just(Request::Report {}),
        Just(Request::Services {}),
        of(word()).prop_map(|service| Request::Health { service }),
        (question, of(facts().prop_map(Box::new)))
            .prop_map(|(question, facts)| Request::Ask { question, facts }),
        (of(word()), any::<u32>()).prop_map(|(hash, offset)| Request::Snapshot { hash, offset }),
        word().prop_map(|service| Request::Probe { service }),
        vec(text(), 0..4).prop_map(|labels| Request::Labels { labels }),
        (of(word()), any::<u32>(), of(vec(log_position(), 0..4))).prop_map(
            |(service, lines, after)| Request::Logs {
                service,
                lines,
                after
            }
        ),
        (vec(past_start(), 0..4), vec(ended_service(), 0..4))
            .prop_map(|(starts, ended)| Request::Remember { starts, ended }),
    ]
}

fn past_start() -> impl Strategy<Value = PastStart> {
    (word(), any::<u64>()).prop_map(|(service, ms)| PastStart { service, ms })
}

fn ended_service() -> impl Strategy<Value = EndedService> {
    let named = (word(), text(), word(), of(word()));
    (named, of(text()), vec(any::<u16>(), 0..4), moment()).prop_map(
        |((service, name, kind, role), version, ports, since)| EndedService {
            service,
            name,
            kind,
            role,
            version,
            ports,
            since,
        },
    )
}

pub(crate) fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        Just(Message::Pong {}),
        report().prop_map(|report| Message::Report(Box::new(report))),
        vec(service(), 0..3).prop_map(|services| Message::Services { services }),
        (health(), moment(), text()).prop_map(|(health, since, reason)| Message::Health {
            health,
            since,
            reason
        }),
        answer().prop_map(|answer| Message::Answer(Box::new(answer))),
        page().prop_map(|page| Message::Snapshot(Box::new(page))),
        (word(), outcome()).prop_map(|(service, outcome)| Message::Probe { service, outcome }),
        logs().prop_map(Message::Logs),
        error().prop_map(Message::Error),
    ]
}

pub(crate) fn range() -> impl Strategy<Value = ProtocolRange> {
    let small = (0_u32..6, 0_u32..6).prop_map(|(min, max)| ProtocolRange { min, max });
    let any = (any::<u32>(), any::<u32>()).prop_map(|(min, max)| ProtocolRange { min, max });
    prop_oneof![4 => small, 1 => any]
}

pub(crate) fn hello() -> impl Strategy<Value = Hello> {
    (range(), "[ -~é]{0,40}", vec("[a-z]{1,12}", 0..8)).prop_map(
        |(protocol, build, capabilities)| Hello {
            protocol,
            build,
            capabilities,
        },
    )
}
