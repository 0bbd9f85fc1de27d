//! Real services, well and unwell: what their companions make of them.

use std::time::Duration;

use diogenes_testkit::{Container, Supervisor, base_image, demo_image, listener_image, wait_until};
use diogenes_tests::{SOON, agent_in, agents_in, health, present, service};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

#[test]
fn redis_dies_inside_its_container_and_the_companion_says_so() {
    let container = Container::of(demo_image("redis")).run();
    let supervisor = Supervisor::start();
    let (well, _) = health(&supervisor, &container, "healthy");
    let redis = service(&well, "redis");
    assert_eq!(
        (&redis["role"], &redis["health"]),
        (&"cache".into(), &"healthy".into())
    );
    assert_eq!(well["roles"], json!({ "cache": "redis on port 6379" }));
    assert_eq!(
        (&well["via"], &well["state"]),
        (&"attached".into(), &"present".into())
    );
    let words = supervisor.ask(container.name(), "status");
    assert!(words.contains("Redis (healthy)"), "{words}");

    container.sh("kill -9 $(cat /proc/[0-9]*/stat | sed -n 's/ (redis-server) .*//p')");
    let (unwell, took) = health(&supervisor, &container, "unhealthy");
    assert!(
        took < Duration::from_secs(1),
        "its death was shown after {took:?}"
    );
    assert_eq!(service(&unwell, "redis")["health"], "unhealthy");
    assert_eq!(
        container.inspect("{{.State.Status}}"),
        "running",
        "the container itself lives on"
    );
    let why = supervisor.ask(container.name(), "why is redis down?");
    assert!(why.contains("Redis") && why.contains("6379"), "{why}");
    assert!(
        why.contains("Ready to accept connections"),
        "its last words are there: {why}"
    );

    container.sh("start-redis");
    let (again, _) = health(&supervisor, &container, "healthy");
    assert_eq!(
        again["services"].as_array().expect("services").len(),
        1,
        "the same service, not another"
    );
}

#[test]
fn what_ended_is_missed_by_the_next_companion_and_by_the_next_supervisor() {
    let container = Container::of(demo_image("redis")).run();
    let supervisor = Supervisor::start();
    health(&supervisor, &container, "healthy");
    container.sh("kill -9 $(cat /proc/[0-9]*/stat | sed -n 's/ (redis-server) .*//p')");
    let (unwell, _) = health(&supervisor, &container, "unhealthy");
    let since = &service(&unwell, "redis")["since"];
    let is_missed = |it: &Value| it["state"] == "present" && it["health"] == "unhealthy";

    // A companion that has just come sees a shell, and nothing that is wrong.
    let first = agent_in(&supervisor, &container);
    kill_process(
        Pid::from_raw(first.cast_signed()).expect("a pid"),
        Signal::KILL,
    )
    .expect("a kill");
    wait_until(SOON, "another companion", || {
        let pid = *agents_in(&supervisor, &container).first()?;
        (pid != first).then_some(())
    });
    let is_news = |it: &Value| is_missed(it) && it["reported_at"] != unwell["reported_at"];
    let (next, _) = supervisor.wait_for(container.name(), SOON, "Redis is missed", is_news);
    assert_eq!(&service(&next, "redis")["since"], since);

    let kept = supervisor
        .run_dir()
        .with_file_name("state")
        .join("past.json");
    wait_until(SOON, "the state to be kept", || {
        std::fs::read_to_string(&kept)
            .ok()
            .filter(|text| text.contains("redis"))
    });
    let folder = supervisor.end(Signal::KILL);
    let supervisor = Supervisor::spec().folder(folder).start();
    let (next, _) = supervisor.wait_for(container.name(), SOON, "Redis is missed", is_missed);
    let redis = service(&next, "redis");
    assert_eq!((&redis["since"], &redis["role"]), (since, &"cache".into()));
    let why = supervisor.ask(container.name(), "why is redis down?");
    assert!(why.contains("ended at") && why.contains("6379"), "{why}");

    container.sh("start-redis");
    let (again, _) = health(&supervisor, &container, "healthy");
    assert_eq!(again["services"].as_array().expect("services").len(), 1);
}

#[test]
fn nginx_before_fastapi_is_a_proxy_before_a_web_service() {
    let container = Container::of(demo_image("web")).run();
    let supervisor = Supervisor::start();
    let (well, _) = health(&supervisor, &container, "healthy");
    let (nginx, fastapi) = (service(&well, "nginx"), service(&well, "fastapi"));
    assert_eq!(
        (&nginx["role"], &nginx["ports"]),
        (&"proxy".into(), &json!([80]))
    );
    assert_eq!(
        (&fastapi["role"], &fastapi["ports"]),
        (&"web".into(), &json!([8000]))
    );
    assert_eq!(well["roles"]["web"], "fastapi on port 8000");
    assert!(
        nginx["version"]
            .as_str()
            .is_some_and(|version| version.starts_with("1.")),
        "{nginx:#}"
    );
    // FastAPI tells nobody its version; what is installed beside it does.
    let installed = container.sh("python3 -c 'import fastapi; print(fastapi.__version__)'");
    let is_told = |now: &Value| service(now, "fastapi")["version"] == installed.trim();
    supervisor.wait_for(container.name(), SOON, "FastAPI's version", is_told);
    let words = supervisor.ask(container.name(), "status");
    assert!(words.starts_with("Running 2 services: "), "{words}");
    assert!(
        words.contains("FastAPI (healthy)") && words.contains("nginx (healthy)"),
        "{words}"
    );

    // The application ends; nginx lives on and can only answer 502.
    container.sh("kill -9 $(cat /proc/[0-9]*/stat | sed -n 's/ (uvicorn) .*//p')");
    supervisor.wait_for(
        container.name(),
        SOON,
        "nginx is not well without it",
        |it| {
            it["services"].as_array().is_some_and(|services| {
                services.iter().any(|it| {
                    it["kind"] == "nginx" && it["health"] != "healthy" && it["health"] != "starting"
                }) && services
                    .iter()
                    .any(|it| it["kind"] == "fastapi" && it["health"] == "unhealthy")
            })
        },
    );
}

#[test]
fn postgresql_is_known_by_name_version_and_answer() {
    let container = Container::of(demo_image("postgres")).run();
    let supervisor = Supervisor::start();
    let (well, _) = health(&supervisor, &container, "healthy");
    let postgresql = service(&well, "postgresql");
    assert_eq!(
        (&postgresql["role"], &postgresql["ports"]),
        (&"db".into(), &json!([5432]))
    );
    assert!(
        postgresql["version"]
            .as_str()
            .is_some_and(|version| version.starts_with("15")),
        "{postgresql:#}"
    );
    assert_eq!(
        well["services"].as_array().expect("services").len(),
        1,
        "all its processes are one service"
    );
    // Probes leave nothing in its log.
    let before = container.logs();
    std::thread::sleep(Duration::from_secs(12));
    assert_eq!(container.logs(), before);
}

#[test]
fn node_and_gunicorn_are_known_by_name() {
    let script = "require('http').createServer((q, r) => r.end('ok')).listen(3000)";
    let node = Container::of(base_image())
        .args(["node", "-e", script])
        .run();
    let wsgi = "def app(e, start): start('200 OK', []); return [b'ok']";
    let command = format!(
        "mkdir /srv/w; cd /srv/w; echo \"{wsgi}\" > wsgi.py; exec gunicorn -w 2 -b 0.0.0.0:8000 wsgi:app"
    );
    let gunicorn = Container::of(base_image())
        .args(["sh", "-c", &command])
        .run();
    let supervisor = Supervisor::start();
    for (container, kind, port) in [(&node, "node", 3000), (&gunicorn, "gunicorn", 8000)] {
        let (well, _) = health(&supervisor, container, "healthy");
        let found = service(&well, kind);
        assert_eq!(
            (&found["ports"], &found["role"]),
            (&json!([port]), &"web".into())
        );
        assert_eq!(
            well["services"].as_array().expect("services").len(),
            1,
            "{well:#}"
        );
    }
}

/// Names prove nothing: neither a script's, nor a port's, nor a process title's.
#[test]
fn what_only_looks_like_a_service_is_not_taken_for_one() {
    let claims = [
        (
            "nginx",
            "printf '#!/bin/sh\\nwhile :; do sleep 1; done\\n' > /tmp/nginx; chmod +x /tmp/nginx; exec /tmp/nginx",
        ),
        ("redis", "exec python3 -m http.server 6379"),
        ("postgresql", "exec -a postgres sleep 600"),
    ];
    let containers = claims.map(|(kind, script)| {
        (
            kind,
            Container::of(base_image())
                .args(["bash", "-c", script])
                .run(),
        )
    });
    let supervisor = Supervisor::start();
    for (kind, container) in &containers {
        let known = present(&supervisor, container);
        let services = known["services"].as_array().expect("services");
        assert!(!services.is_empty(), "what runs is described");
        assert!(services.iter().all(|it| it["kind"] != *kind), "{known:#}");
    }
}

#[test]
fn a_service_that_hangs_or_fails_is_not_healthy() {
    let hang = Container::of(listener_image())
        .args(["hang", "127.0.0.1:8000"])
        .run();
    let fail = Container::of(listener_image())
        .args(["http", "127.0.0.1:8000", "503"])
        .run();
    let well = Container::of(listener_image())
        .args(["http", "127.0.0.1:8000", "200"])
        .run();
    let supervisor = Supervisor::start();
    health(&supervisor, &well, "healthy");
    supervisor.wait_for(fail.name(), SOON, "503 is not health", |it| {
        it["health"] == "unhealthy" || it["health"] == "degraded"
    });
    // It speaks no known protocol, so all that can be said is that it listens.
    let known = present(&supervisor, &hang);
    assert_eq!(known["services"][0]["ports"], json!([8000]));
}

#[test]
fn a_stopped_redis_is_shown_within_two_probes() {
    let container = Container::of(demo_image("redis")).run();
    let supervisor = Supervisor::start();
    health(&supervisor, &container, "healthy");
    let redis = "$(cat /proc/[0-9]*/stat | sed -n 's/ (redis-server) .*//p')";
    container.sh(&format!("kill -STOP {redis}"));
    let deadline = Duration::from_secs(30);
    let (hung, took) = supervisor.wait_for(container.name(), deadline, "it is unhealthy", |it| {
        it["health"] == "unhealthy"
    });
    println!("a hang was shown after {took:?}");
    let evidence = service(&hung, "redis")["evidence"].to_string();
    assert!(
        evidence.contains("stopped") || evidence.contains("no answer"),
        "{evidence}"
    );
    container.sh(&format!("kill -CONT {redis}"));
    supervisor.wait_for(
        container.name(),
        Duration::from_secs(75),
        "it recovers",
        |it| it["health"] == "healthy",
    );
}

#[test]
fn a_new_listener_shows_within_two_seconds() {
    let container = Container::of(base_image()).args(["sleep", "600"]).run();
    let supervisor = Supervisor::start();
    present(&supervisor, &container);
    container.sh("setsid redis-server --port 6400 --save '' </dev/null >/dev/null 2>&1 &");
    let start = std::time::Instant::now();
    supervisor.wait_for(container.name(), SOON, "Redis is there", |it| {
        it["services"].as_array().is_some_and(|all| {
            all.iter()
                .any(|it| it["kind"] == "redis" && it["ports"] == json!([6400]))
        })
    });
    let took = start.elapsed();
    assert!(took < Duration::from_millis(2500), "{took:?}");
}

#[test]
fn secrets_on_command_lines_and_in_environments_stay_inside() {
    let secret = "correct-horse-battery";
    // Redis hides its arguments by itself; Python does not.
    let script = format!(
        "python3 -c 'import time; time.sleep(600)' --password {secret} & exec redis-server --requirepass {secret} --save ''"
    );
    let container = Container::of(base_image())
        .env("API_TOKEN", secret)
        .args(["sh", "-c", &script])
        .run();
    let supervisor = Supervisor::start();
    let (well, _) = health(&supervisor, &container, "healthy");
    let snapshot = diogenes_tests::snapshot(&supervisor, container.name());
    let answers: Vec<_> = ["status", "why", "processes", "help"]
        .map(|it| supervisor.ask(container.name(), it))
        .into();
    for text in [
        well.to_string(),
        snapshot.to_string(),
        answers.concat(),
        supervisor.log(),
    ] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(snapshot.to_string().contains("[redacted]"));
}

#[test]
fn a_program_that_could_overwrite_itself_is_told_of() {
    const COPY: &str = "cp /usr/bin/redis-server /tmp/ && exec /tmp/redis-server --save ''";
    let run = |user, script| {
        let spec = Container::of(demo_image("redis")).entrypoint("/bin/sh");
        spec.user(user).args(["-c", script]).run()
    };
    let own = run("1000", COPY);
    let roots = run("1000", "exec redis-server --save ''");
    let supervisor = Supervisor::start();
    let writable = |it: &serde_json::Value| {
        let findings = it["findings"].as_array().expect("findings");
        let mut found = findings.iter();
        found
            .find(|it| it["code"] == "writable-program")
            .map(|it| it["evidence"].to_string())
    };
    let (told, _) = supervisor.wait_for(own.name(), SOON, "it is a finding", |it| {
        it["health"] == "healthy" && writable(it).is_some()
    });
    assert_eq!(
        writable(&told).as_deref(),
        Some(r#"["Redis: /tmp/redis-server"]"#)
    );
    let (well, _) = health(&supervisor, &roots, "healthy");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(writable(&well), None);
    let now = supervisor.container(roots.name()).expect("the container");
    assert_eq!(writable(&now), None);
}

#[test]
fn resources_are_those_of_the_container() {
    let container = Container::of(listener_image())
        .memory_mib(64)
        .option("--cpus=0.5")
        .option("--pids-limit=50")
        .run();
    let supervisor = Supervisor::start();
    present(&supervisor, &container);
    let (known, _) = supervisor.wait_for(container.name(), SOON, "its CPU use is known", |it| {
        it["resources"]["cpu_percent"].is_number()
    });
    let resources = &known["resources"];
    assert_eq!(resources["memory_limit_bytes"], 64 << 20);
    assert_eq!(resources["cpu_limit_cores"], 0.5);
    assert_eq!(resources["pids_limit"], 50);
    assert!(
        resources["memory_bytes"]
            .as_u64()
            .is_some_and(|bytes| bytes > 0 && bytes < 64 << 20),
        "{resources:#}"
    );
    assert_eq!(resources["oom_kills"], 0);
}

#[test]
fn an_ended_container_is_told_with_its_code() {
    let container = Container::of(listener_image()).args(["die", "1500"]).run();
    let supervisor = Supervisor::start();
    present(&supervisor, &container);
    let (ended, _) = supervisor.wait_for(container.name(), SOON, "its end is told", |it| {
        it["exit_code"] == 3
    });
    assert_eq!(
        (&ended["state"], &ended["via"]),
        (&"absent".into(), &serde_json::Value::Null)
    );
    assert!(
        ended["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains('3')),
        "{ended:#}"
    );
    assert_eq!(ended["health"], "unknown");
    let words = wait_until(SOON, "an answer", || {
        Some(supervisor.ask(container.name(), "status"))
    })
    .0;
    assert!(words.contains("exited"), "{words}");
}
