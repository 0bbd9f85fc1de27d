//! What an Engine says of how it is set up, from `GET /info` of the Docker Engine API.

use bollard::models::SystemInfo;
use diogenes_proto::Timestamp;

use crate::facts::moment;

/// How an Engine is set up. Words are the Engine's own; empty where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineInfo {
    /// How its host is called.
    pub host: String,
    /// The kernel it runs on: `6.1.0-18-amd64`.
    pub kernel: String,
    /// Where layers are kept: `overlay2`.
    pub storage_driver: String,
    /// Who makes cgroups: `cgroupfs` or `systemd`; `none` where a rootless Engine may not.
    pub cgroup_driver: String,
    /// 1 or 2; None where it does not say (before API 1.41).
    pub cgroup_version: Option<u8>,
    /// What starts containers unless told otherwise: `runc`.
    pub default_runtime: String,
    /// Whether it runs without root.
    pub is_rootless: bool,
    /// Whether root in its containers is another user on the host (`userns-remap`).
    pub remaps_users: bool,
    /// Its clock when it answered; None where it cannot be understood.
    pub time: Option<Timestamp>,
}

impl EngineInfo {
    /// Takes what matters from the wire.
    pub(crate) fn from_wire(wire: SystemInfo) -> Self {
        // `name=rootless`, `name=seccomp,profile=default`
        let options = wire.security_options.unwrap_or_default();
        let has = |name: &str| {
            options
                .iter()
                .flat_map(|option| option.split(','))
                .any(|part| part.strip_prefix("name=") == Some(name))
        };
        Self {
            is_rootless: has("rootless"),
            remaps_users: has("userns"),
            host: wire.name.unwrap_or_default(),
            kernel: wire.kernel_version.unwrap_or_default(),
            storage_driver: wire.driver.unwrap_or_default(),
            cgroup_driver: wire
                .cgroup_driver
                .map(|driver| driver.to_string())
                .unwrap_or_default(),
            cgroup_version: wire
                .cgroup_version
                .and_then(|version| version.as_ref().parse().ok()),
            default_runtime: wire.default_runtime.unwrap_or_default(),
            time: wire.system_time.as_deref().and_then(moment),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(json: &str) -> EngineInfo {
        EngineInfo::from_wire(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn an_engine_of_version_20_10() {
        let told = info(
            r#"{"Name":"vm","Driver":"overlay2","KernelVersion":"6.1.0","CgroupDriver":"cgroupfs","CgroupVersion":"1",
                "DefaultRuntime":"runc","SystemTime":"2026-01-31T08:00:00.150457754Z",
                "SecurityOptions":["name=seccomp,profile=default"]}"#,
        );
        let expected = EngineInfo {
            host: "vm".into(),
            kernel: "6.1.0".into(),
            storage_driver: "overlay2".into(),
            cgroup_driver: "cgroupfs".into(),
            cgroup_version: Some(1),
            default_runtime: "runc".into(),
            is_rootless: false,
            remaps_users: false,
            time: Some(Timestamp::from_unix_ms(1_769_846_400_150)),
        };
        assert_eq!(told, expected);
    }

    #[test]
    fn security_options_tell_of_users() {
        for (options, is_rootless, remaps_users) in [
            (
                r#"["name=seccomp,profile=builtin","name=rootless","name=cgroupns"]"#,
                true,
                false,
            ),
            (r#"["name=apparmor","name=userns"]"#, false, true),
            (r#"["name=not-rootless","profile=userns"]"#, false, false),
            ("null", false, false),
        ] {
            let told = info(&format!(r#"{{"SecurityOptions":{options}}}"#));
            assert_eq!(
                (told.is_rootless, told.remaps_users),
                (is_rootless, remaps_users),
                "{options}"
            );
        }
    }
}
