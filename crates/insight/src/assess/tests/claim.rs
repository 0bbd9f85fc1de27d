//! What a service is told to be.

use super::*;

#[test]
fn a_stranger_is_what_it_turns_out_to_speak() {
    for (protocol, kind, name, role, probe, health) in [
        (
            "http",
            "http",
            "shopd",
            Some("web"),
            ProbeKind::Http,
            Health::Healthy,
        ),
        (
            "redis",
            "redis",
            "Redis",
            Some("cache"),
            ProbeKind::Redis,
            Health::Healthy,
        ),
        (
            "ssh",
            "ssh",
            "shopd",
            Some("ssh"),
            ProbeKind::Ssh,
            Health::Healthy,
        ),
        (
            "vnc",
            "vnc",
            "shopd",
            Some("desktop"),
            ProbeKind::Discover,
            Health::Healthy,
        ),
        (
            "grpc",
            "grpc",
            "shopd",
            Some("api"),
            ProbeKind::Grpc,
            Health::Healthy,
        ),
        ("tcp", "tcp", "shopd", None, ProbeKind::Tcp, Health::Unknown),
        ("tls", "tls", "shopd", None, ProbeKind::Tls, Health::Unknown),
    ] {
        let mut play = Play::of(stranger());
        play.look();
        assert_eq!(
            play.assessor.probe_of("tcp:7000").unwrap().kind,
            ProbeKind::Discover
        );
        play.probe(discovers(protocol));
        let service = play.report().services.remove(0);
        assert_eq!(
            (service.kind.as_str(), service.name.to_string().as_str()),
            (kind, name)
        );
        assert_eq!(
            (service.role.as_deref(), service.health),
            (role, health),
            "{protocol}"
        );
        assert_eq!(service.key, "tcp:7000");
        assert_eq!(
            play.assessor.probe_of("tcp:7000").unwrap().kind,
            probe,
            "{protocol}"
        );
    }
}

#[test]
fn what_never_answered_as_its_kind_is_not_condemned() {
    let mut play = Play::of(scene::redis());
    play.look();
    for _ in 0..6 {
        play.probe(outcome(
            Verdict::Garbled,
            "what it answers to PING is something else",
        ));
        play.wait(60_000);
    }
    assert_eq!(play.first().0, Health::Unknown);
    assert_eq!(play.codes(), Vec::<String>::new());
}

#[test]
fn learns_kinds_and_names_late() {
    // uvicorn is up before its application is loaded and its framework is known.
    let scene = |frameworks: &[&str], port: bool| {
        let scene = Scene::new()
            .process(
                1,
                0,
                "/usr/bin/python3.11",
                &["python3", "/usr/bin/uvicorn", "main:app"],
            )
            .with(|p| p.frameworks = frameworks.iter().map(|&f| f.into()).collect());
        if port {
            scene.tcp("0.0.0.0", 8000, &[1])
        } else {
            scene
        }
    };
    let mut play = Play::of(scene(&[], false));
    let mut keys = Vec::new();
    for (frameworks, port) in [(&[][..], false), (&[], true), (&["fastapi"], true)] {
        play.see(scene(frameworks, port));
        let report = play.report();
        assert_eq!(report.services.len(), 1);
        keys.push(report.services[0].key.clone());
        play.probe(answers());
    }
    assert_eq!(keys, ["uvicorn", "uvicorn:8000", "fastapi:8000"]);
}

#[test]
fn versions_are_the_services_own() {
    let mut play = Play::of(scene::web());
    play.look();
    let version = |product: &str| ProbeOutcome {
        product: Some(product.into()),
        version: Some("1.22.1".into()),
        ..answers()
    };
    play.assessor.probed(at(0), "nginx:80", version("nginx"));
    play.assessor
        .probed(at(0), "fastapi:8000", version("Werkzeug"));
    let report = play.report();
    assert_eq!(
        report.services[0].version.as_ref().unwrap().as_raw(),
        "1.22.1"
    );
    assert_eq!(report.services[1].version, None);
}

#[test]
fn who_passes_on_questions_does_not_tell_the_version_of_who_answers() {
    let service = |executable: &str, title: &str, port| {
        let scene = Scene::new()
            .process(1, 0, "/usr/bin/dash", &["sh"])
            .process(5, 1, executable, &[title])
            .tcp("0.0.0.0", port, &[5]);
        let mut play = Play::of(scene);
        play.look();
        play
    };
    let version = |product: Option<&str>, protocol: &str| ProbeOutcome {
        product: product.map(Into::into),
        version: Some("1.17.1".into()),
        ..discovers(protocol)
    };
    let told = |play: &mut Play| {
        play.report()
            .services
            .remove(0)
            .version
            .map(|v| v.to_string())
    };

    // A stream of nginx' to a Redis, which tells its version when asked as Redis is.
    let mut nginx = service("/usr/sbin/nginx", "nginx: master process nginx", 6380);
    nginx.probe(outcome(Verdict::Garbled, "answers, but not as it should"));
    nginx.probe(discovers("redis"));
    nginx.probe(version(None, "redis"));
    assert_eq!(told(&mut nginx), None);

    for (executable, product, expected) in [
        ("/usr/bin/dnsdist", "unbound", None),
        ("/usr/sbin/unbound", "unbound", Some("1.17.1")),
        ("/usr/sbin/named", "", Some("1.17.1")),
        // It may be called as it likes.
        ("/usr/sbin/named", "nobody", Some("1.17.1")),
        ("/usr/sbin/pdns_recursor", "PowerDNS", Some("1.17.1")),
    ] {
        let mut play = service(executable, executable, 53);
        play.probe(version(Some(product), "dns"));
        assert_eq!(
            told(&mut play).as_deref(),
            expected,
            "{executable} {product}"
        );
    }
}

#[test]
fn what_answers_otherwise_is_not_what_it_is_called() {
    // An executable called redis-server on Redis' port, and what it speaks; the same of one called nginx, which may
    // pass on any protocol: then it is a proxy, but for TLS.
    let redis = || {
        Scene::new()
            .process(1, 0, "/usr/bin/dash", &["sh"])
            .process(5, 1, "/opt/redis-server", &["redis-server *:6379"])
            .tcp("0.0.0.0", 6379, &[5])
    };
    let nginx = || {
        let title = "nginx: master process nginx";
        Scene::new()
            .process(1, 0, "/usr/bin/dash", &["sh"])
            .process(5, 1, "/usr/sbin/nginx", &[title])
            .tcp("0.0.0.0", 6379, &[5])
    };
    // One of the web's servers, on a port of another protocol.
    let consul = || {
        Scene::new()
            .process(1, 0, "/bin/consul", &["consul", "agent"])
            .tcp("0.0.0.0", 8500, &[1])
    };
    for (scene, spoken, kind, name, role, key) in [
        (
            redis(),
            "http",
            "http",
            "redis-server",
            Some("web"),
            "tcp:6379",
        ),
        (redis(), "tcp", "tcp", "redis-server", None, "tcp:6379"),
        (
            redis(),
            "memcached",
            "memcached",
            "Memcached",
            Some("cache"),
            "tcp:6379",
        ),
        (
            redis(),
            "tls",
            "redis",
            "Redis",
            Some("cache"),
            "redis:6379",
        ),
        (
            redis(),
            "redis",
            "redis",
            "Redis",
            Some("cache"),
            "redis:6379",
        ),
        (
            consul(),
            "tcp",
            "consul",
            "Consul",
            Some("coordination"),
            "consul:8500",
        ),
        (
            nginx(),
            "redis",
            "nginx",
            "nginx",
            Some("proxy"),
            "nginx:6379",
        ),
        (nginx(), "tls", "nginx", "nginx", Some("web"), "nginx:6379"),
    ] {
        let mut play = Play::of(scene);
        play.look();
        assert_ne!(play.report().services[0].kind, "http");
        play.probe(outcome(Verdict::Garbled, "answers, but not as it should"));
        let due = play.assessor.due(at(0));
        assert_eq!(due[0].spec.kind, ProbeKind::Discover, "{spoken}");
        play.assessor.probed(at(0), &due[0].key, discovers(spoken));
        play.wait(1000);
        play.look();
        play.look();
        let service = play.report().services.remove(0);
        let told = (
            service.kind.as_str(),
            service.name.as_raw(),
            service.role.as_deref(),
        );
        assert_eq!(told, (kind, name, role), "{spoken}");
        assert_eq!(service.key, key);
        let says = |words| service.evidence.iter().any(|e| e.as_raw().contains(words));
        assert_eq!(
            says("does not answer as Redis does"),
            !matches!(kind, "redis" | "nginx" | "consul")
        );
    }
}

#[test]
fn a_process_that_takes_the_place_of_a_disproved_one_is_believed_anew() {
    let scene = |pid| {
        Scene::new()
            .process(1, 0, "/usr/bin/dash", &["sh"])
            .process(pid, 1, "/usr/bin/redis-server", &["redis-server *:6379"])
            .tcp("0.0.0.0", 6379, &[pid])
    };
    let mut play = Play::of(scene(5));
    play.look();
    play.probe(outcome(Verdict::Garbled, "answers, but not as it should"));
    play.probe(discovers("http"));
    assert_eq!(play.report().services[0].kind, "http");
    play.see(scene(6));
    play.probe(answers());
    let service = play.report().services.remove(0);
    assert_eq!(
        (service.kind.as_str(), service.health),
        ("redis", Health::Healthy)
    );
}

#[test]
fn who_is_called_nginx_must_say_so_where_no_title_does() {
    for (title, product, kind) in [
        ("nginx -m http.server 80", "SimpleHTTP", "http"),
        ("nginx -g daemon off; master_process off;", "nginx", "nginx"),
        ("nginx: master process nginx", "SimpleHTTP", "nginx"),
    ] {
        let mut play = Play::of(Scene::new().process(1, 0, "/usr/sbin/nginx", &[title]).tcp(
            "0.0.0.0",
            80,
            &[1],
        ));
        play.look();
        play.probe(ProbeOutcome {
            protocol: Some("http".into()),
            product: Some(product.into()),
            ..answers()
        });
        assert_eq!(play.report().services[0].kind, kind, "{title}");
    }
}

#[test]
fn a_redis_that_watches_others_is_a_sentinel() {
    let starting = || {
        let title = ["redis-server *:6379 [sentinel]"];
        Scene::new().process(17, 0, "/usr/bin/redis-server", &title)
    };
    let mut play = Play::of(starting());
    play.look();
    // Its files would tell of its version, and then nobody would ask.
    assert_eq!(play.report().services[0].kind, "redis");
    assert_eq!(play.assessor.unexamined(&play.scene.snapshot), None);
    play.see(starting().tcp("0.0.0.0", 6379, &[17]));
    play.wait(1_000);
    play.probe(ProbeOutcome {
        product: Some("redis-sentinel".into()),
        protocol: Some("redis".into()),
        ..answers()
    });
    assert_eq!(play.report().services[0].kind, "redis-sentinel");
}

#[test]
fn a_stranger_that_said_nothing_is_asked_again_twice() {
    let mut play = Play {
        assessor: Assessor::new(),
        scene: stranger(),
        now_ms: 60_000,
    };
    play.look();
    let mut asked = Vec::new();
    for _ in 0..50 {
        for probe in play.assessor.due(at(play.now_ms)) {
            asked.push(probe.spec.kind);
            play.assessor
                .probed(at(play.now_ms), &probe.key, discovers("tcp"));
        }
        play.wait(40_000);
    }
    let questions: Vec<_> = (0..asked.len())
        .filter(|&place| asked[place] == ProbeKind::Discover)
        .collect();
    assert_eq!(questions, [0, 3, 30]);

    // Busy when it was met, it answers now.
    let mut play = Play {
        assessor: Assessor::new(),
        scene: stranger(),
        now_ms: 60_000,
    };
    play.look();
    for _ in 0..3 {
        play.probe(discovers("tcp"));
        play.wait(40_000);
    }
    play.probe(discovers("http"));
    assert_eq!(play.report().services[0].kind, "http");
}
