//! One container in full, as `status NAME` shows it.

use diogenes_proto::untrusted::escape;
use diogenes_proto::{Activity, Timestamp};

use crate::api::view::{ContainerView, ServiceView};
use crate::cli::table::{short_bytes, short_duration};
use crate::cli::terminal::Terminal;

/// The sheet of one container.
pub(crate) fn sheet(container: &ContainerView, terminal: Terminal, now: Timestamp) -> String {
    let mut text = String::new();
    let mut fact = |name: &str, value: String| text += &format!("{name:<11} {value}\n");
    fact(
        "Container",
        format!(
            "{} ({})",
            escape(&container.name),
            container.id.get(..12).unwrap_or(&container.id)
        ),
    );
    fact("Image", escape(&container.image).to_string());
    fact(
        "Ask",
        format!(
            "diogenes ask {} QUESTION, or {} in aish",
            escape(&container.name),
            escape(&container.ci_name)
        ),
    );
    let health = terminal.paint(container.health.as_str(), container.health);
    let since = short_duration(now.since(container.since));
    let why = container
        .health_reason
        .as_ref()
        .map_or_else(String::new, |reason| format!(": {reason}"));
    fact("Health", format!("{health} for {since}{why}"));
    if let Some(docker) = container.docker_health {
        fact(
            "HEALTHCHECK",
            format!("{docker}, says the image's own check"),
        );
    }
    fact("State", state(container, now));
    fact(
        "Companion",
        format!("{}: {}", container.state, escape(&container.reason)),
    );
    fact("CPU", cpu(container));
    fact("Memory", memory(container));
    if !container.published.is_empty() {
        let ports = container.published.iter().map(|port| {
            format!(
                "{}:{} -> {}/{}",
                port.host_address, port.host_port, port.container_port, port.protocol
            )
        });
        fact("Published", ports.collect::<Vec<_>>().join(", "));
    }
    for service in &container.services {
        text += &format!("\n{}\n", headline(service, terminal, now));
        for evidence in &service.evidence {
            text += &format!("  {evidence}\n");
        }
    }
    for finding in &container.findings {
        text += &format!("\n{}: {}\n", escape(&finding.code), finding.summary);
        for evidence in &finding.evidence {
            text += &format!("  {evidence}\n");
        }
    }
    text
}

fn state(container: &ContainerView, now: Timestamp) -> String {
    let mut text = container.container_state.clone();
    if let Some(up) = container.uptime(now) {
        text += &format!(" for {}", short_duration(up));
    }
    if let Some(code) = container.exit_code {
        text += &format!(", exit code {code}");
    }
    if container.oom_killed {
        text += ", out of memory";
    }
    if container.restart_count > 0 {
        text += &format!(
            ", restarted {} times by the Engine",
            container.restart_count
        );
    }
    text
}

fn cpu(container: &ContainerView) -> String {
    let resources = &container.resources;
    let used = resources.cpu_percent.map_or_else(
        || "unknown".into(),
        |percent| format!("{percent:.1}% of one core"),
    );
    resources
        .cpu_limit_cores
        .map_or(used.clone(), |limit| format!("{used}, limit {limit} cores"))
}

fn memory(container: &ContainerView) -> String {
    let resources = &container.resources;
    let used = resources
        .memory_bytes
        .map_or_else(|| "unknown".into(), short_bytes);
    let limit = resources.memory_limit_bytes.map_or_else(
        || "no limit".into(),
        |limit| format!("limit {}", short_bytes(limit)),
    );
    let percent = resources
        .memory_percent
        .map_or_else(String::new, |percent| format!(", {percent:.0}%"));
    format!("{used}, {limit}{percent}")
}

fn headline(service: &ServiceView, terminal: Terminal, now: Timestamp) -> String {
    let mut text = service.name.to_string();
    if let Some(version) = &service.version {
        text += &format!(" {version}");
    }
    if let Some(role) = &service.role {
        text += &format!(", {}", escape(role));
    }
    if !service.ports.is_empty() {
        let ports: Vec<String> = service.ports.iter().map(u16::to_string).collect();
        text += &format!(", port {}", ports.join(", "));
    }
    let health = terminal.paint(service.health.as_str(), service.health);
    text += &format!(
        ": {health} for {}",
        short_duration(now.since(service.since))
    );
    match service.activity {
        Some(Activity::Busy) => text += ", busy",
        Some(Activity::Idle) => text += ", idle",
        Some(Activity::Unknown) | None => {}
    }
    text
}
