//! Every metric there is: the one place for its name, type, unit, labels and meaning.
//!
//! Samples, help texts, the reference and the checks of rules and dashboard all come from here. Names follow
//! Prometheus' conventions (<https://prometheus.io/docs/practices/naming/>): base units, `_total` for what only
//! grows, `_info` for what is told in labels, and the `process_*` names every client library has.

use Kind::{Counter, Gauge, Info, StateSet};

/// What a metric's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only grows, until its source begins anew.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Always 1; its labels are what it tells.
    Info,
    /// One series for each state there is, 1 for the one that holds and 0 for the others; its last label is the state.
    StateSet,
}

impl Kind {
    /// The word for people.
    #[cfg(test)]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Counter => "counter",
            Gauge => "gauge",
            Info => "info",
            StateSet => "state set",
        }
    }
}

/// One metric.
#[derive(Debug)]
pub(crate) struct Metric {
    /// Its name, as samples carry it.
    pub(crate) name: &'static str,
    /// What its value is.
    pub(crate) kind: Kind,
    /// The unit, which its name ends in too; empty for plain numbers.
    pub(crate) unit: &'static str,
    /// Its labels, in the order in which their values are given.
    pub(crate) labels: &'static [&'static str],
    /// One sentence without its full stop, quotes or backslashes: it stands in both formats as it is.
    pub(crate) help: &'static str,
}

/// Makes the ids and the table from one list, so that neither can miss an entry of the other.
macro_rules! table {
    ($($id:ident $kind:ident $name:literal $unit:literal [$($label:literal),*] $help:literal;)*) => {
        /// The place of a metric in [`TABLE`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Id { $(#[doc = $help] $id),* }

        /// All metrics, in the order in which they are written.
        pub(crate) const TABLE: &[Metric] = &[$(Metric {
            name: $name,
            kind: $kind,
            unit: $unit,
            labels: &[$($label),*],
            help: $help,
        }),*];
    };
}

impl Id {
    /// What it stands for.
    pub(crate) fn metric(self) -> &'static Metric {
        &TABLE[self as usize]
    }
}

table! {
    ContainerInfo Info "diogenes_container_info" "" ["container", "id", "image"]
        "Which container and image stand behind the name";
    ContainerHealth StateSet "diogenes_container_health" "" ["container", "health"]
        "Health as the companion sees it from the inside; unknown where none speaks";
    ContainerHealthSince Gauge "diogenes_container_health_since_timestamp_seconds" "seconds" ["container"]
        "Since when the container has had this health, in Unix time";
    ContainerDockerHealth StateSet "diogenes_container_docker_health" "" ["container", "health"]
        "What the HEALTHCHECK of the image says; absent where it has none";
    ContainerCompanion StateSet "diogenes_container_companion" "" ["container", "presence"]
        "Whether a companion is there and speaks";
    ContainerCompanionSince Gauge "diogenes_container_companion_since_timestamp_seconds" "seconds" ["container"]
        "Since when the companion has been so, in Unix time";
    ContainerReport Gauge "diogenes_container_report_timestamp_seconds" "seconds" ["container"]
        "When the companion last concluded what it reported, in Unix time";
    ContainerState StateSet "diogenes_container_state" "" ["container", "state"]
        "State of the container in the words of the Engine";
    ContainerStart Gauge "diogenes_container_start_time_seconds" "seconds" ["container"]
        "When the container was last started, in Unix time";
    ContainerRestarts Counter "diogenes_container_restarts_total" "" ["container"]
        "Restarts of the container by its restart policy";
    ContainerCpu Counter "diogenes_container_cpu_seconds_total" "seconds" ["container"]
        "CPU time used, user and system";
    ContainerCpuLimit Gauge "diogenes_container_cpu_limit_cores" "cores" ["container"]
        "CPU limit; absent where there is none";
    ContainerThrottledPeriods Counter "diogenes_container_cpu_throttled_periods_total" "" ["container"]
        "Scheduler periods in which the container used up its CPU limit";
    ContainerThrottled Counter "diogenes_container_cpu_throttled_seconds_total" "seconds" ["container"]
        "Time its tasks waited because the CPU limit was used up";
    ContainerMemory Gauge "diogenes_container_memory_bytes" "bytes" ["container"]
        "Memory charged to the container without the inactive file cache, as docker stats has it";
    ContainerMemoryLimit Gauge "diogenes_container_memory_limit_bytes" "bytes" ["container"]
        "Memory limit; absent where there is none";
    ContainerOomKills Counter "diogenes_container_oom_kills_total" "" ["container"]
        "Processes killed by the out-of-memory killer";
    ContainerPids Gauge "diogenes_container_pids" "" ["container"]
        "Processes and threads";
    ContainerPidsLimit Gauge "diogenes_container_pids_limit" "" ["container"]
        "Limit of processes and threads; absent where there is none";
    ContainerProcesses Gauge "diogenes_container_processes" "" ["container"]
        "Processes, without their threads and without the companion";
    ContainerListeners Gauge "diogenes_container_listeners" "" ["container"]
        "Listening sockets of all its services";
    ContainerFindings Gauge "diogenes_container_findings" "" ["container", "severity"]
        "What is wrong or noteworthy at this moment";
    ContainerOmitted Gauge "diogenes_container_omitted" "" ["container", "what"]
        "Things of the container that are not among these series or its report, because they were too many or not distinct";
    ServiceInfo Info "diogenes_service_info" "" ["container", "service", "name", "kind", "role", "version"]
        "What a service is; role and version are empty where unknown";
    ServiceHealth StateSet "diogenes_service_health" "" ["container", "service", "health"]
        "Health of a service; unknown where no companion speaks";
    ServiceHealthSince Gauge "diogenes_service_health_since_timestamp_seconds" "seconds" ["container", "service"]
        "Since when the service has had this health, in Unix time";
    ServiceProbes Counter "diogenes_service_probes_total" "" ["container", "service"]
        "Probes of the service that came to a conclusion";
    ServiceProbeFailures Counter "diogenes_service_probe_failures_total" "" ["container", "service"]
        "Probes of the service that found it neither alive nor starting";
    ServiceProbeTime Counter "diogenes_service_probe_duration_seconds_total" "seconds" ["container", "service"]
        "How long the probes took together";
    ServiceProbeLast Gauge "diogenes_service_probe_last_duration_seconds" "seconds" ["container", "service"]
        "How long the last probe took";
    AcceptQueue Gauge "diogenes_listener_accept_queue" "" ["container", "service", "transport", "address"]
        "Connections waiting to be accepted; where several sockets share an address, those of the fullest";
    AcceptQueueLimit Gauge "diogenes_listener_accept_queue_limit" "" ["container", "service", "transport", "address"]
        "How many connections may wait in that queue";
    Containers Gauge "diogenes_containers" "" []
        "Containers the supervisor knows";
    ContainersOmitted Gauge "diogenes_containers_omitted" "" []
        "Containers that are not among these series, because another one goes by the same name";
    Sessions Gauge "diogenes_sessions" "" []
        "Live sessions with companions";
    Events Counter "diogenes_events_total" "" []
        "Changes noted in the journal since the supervisor started";
    Refused Counter "diogenes_refused_total" "" []
        "Requests and dial-ins that were refused for want of a right, each of which the audit tells or counts";
    EngineReachable Gauge "diogenes_engine_reachable" "" []
        "Whether the container engine answers: 1 or 0";
    AlertsDelivered Counter "diogenes_alerts_delivered_total" "" ["receiver"]
        "Alerts that arrived, by receiver: webhook or on_change";
    AlertsFailed Counter "diogenes_alerts_failed_attempts_total" "" ["receiver"]
        "Attempts to deliver an alert that failed";
    AlertsSuperseded Counter "diogenes_alerts_superseded_total" "" ["receiver"]
        "Alerts whose place a newer one about the same container took before they arrived";
    AlertsDropped Counter "diogenes_alerts_dropped_total" "" ["receiver"]
        "Alerts that were given up";
    AlertsWaiting Gauge "diogenes_alerts_waiting" "" ["receiver"]
        "Alerts that wait for their delivery";
    HermesReachable Gauge "diogenes_hermes_reachable" "" []
        "Whether Hermes answers: 1 or 0; absent where none is configured";
    HermesComponents Gauge "diogenes_hermes_components" "" ["state"]
        "The supervisor and its companions as components: those wanted at Hermes, and those registered there";
    HermesRequests Counter "diogenes_hermes_requests_total" "" ["outcome"]
        "Requests to Hermes: registration and heartbeat that were taken, refused ones and failed ones";
    EngineSince Gauge "diogenes_engine_since_timestamp_seconds" "seconds" []
        "Since when it answers or does not, in Unix time";
    EngineInfo Info "diogenes_engine_info" "" ["endpoint", "version", "api_version"]
        "Which engine it is; absent until it has answered once";
    AttachReady Gauge "diogenes_attach_ready" "" []
        "Whether this supervisor can enter containers at all: 1 or 0";
    BuildInfo Info "diogenes_build_info" "" ["version"]
        "Version of the supervisor";
    Children Gauge "diogenes_children" "" ["role"]
        "Processes the supervisor keeps: attacher and companions";
    ChildrenMemory Gauge "diogenes_children_private_memory_bytes" "bytes" ["role"]
        "Resident memory of their own, without the program that all companions share";
    Renders Counter "diogenes_metrics_renders_total" "" []
        "Times these metrics were written anew before this one";
    RenderTime Counter "diogenes_metrics_render_duration_seconds_total" "seconds" []
        "How long that took together";
    ProcessCpu Counter "process_cpu_seconds_total" "seconds" []
        "CPU time the supervisor itself used, user and system";
    ProcessResident Gauge "process_resident_memory_bytes" "bytes" []
        "Resident memory of the supervisor itself";
    ProcessVirtual Gauge "process_virtual_memory_bytes" "bytes" []
        "Virtual memory of the supervisor itself";
    ProcessFds Gauge "process_open_fds" "" []
        "Open file descriptors of the supervisor";
    ProcessMaxFds Gauge "process_max_fds" "" []
        "How many it may have open";
    ProcessThreads Gauge "process_threads" "" []
        "Threads of the supervisor";
    ProcessStart Gauge "process_start_time_seconds" "seconds" []
        "When the supervisor started, in Unix time";
}
