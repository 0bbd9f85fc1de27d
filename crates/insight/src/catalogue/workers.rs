//! Workers and schedulers: they listen nowhere, take their work from a queue or a clock, and are idle without it.

use super::Language::{Php, Python, Ruby};
use super::Mark::{Applet, Executable, Runs, Task, Title};
use super::{Kind, USUAL};

/// A worker.
const WORKER: Kind = Kind {
    role: "worker",
    listens: false,
    ..USUAL
};

/// A worker that waits for work at a broker, on a connection that it keeps: RabbitMQ or Redis, and no file.
const CONSUMER: Kind = Kind {
    keeps_connection: true,
    ..WORKER
};

/// What starts work at its time.
const SCHEDULER: Kind = Kind {
    role: "scheduler",
    listens: false,
    ..USUAL
};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        kind: "celery",
        name: "Celery",
        marks: &[
            Task(Python, &("celery", "worker")),
            // celery/platforms.py, set_mp_process_title: where the setproctitle module is installed.
            Title(Python, "[celeryd: "),
        ],
        ..CONSUMER
    },
    Kind {
        kind: "celery-beat",
        name: "Celery beat",
        marks: &[
            Task(Python, &("celery", "beat")),
            // celery/apps/beat.py, set_process_title.
            Title(Python, "[celery beat"),
        ],
        ..SCHEDULER
    },
    Kind {
        kind: "flower",
        name: "Flower",
        marks: &[Task(Python, &("celery", "flower")), Runs(Python, "flower")],
        role: "monitoring",
        listens: true,
        default_port: Some(5555),
        readiness: Some("/healthcheck"),
        ..WORKER
    },
    Kind {
        kind: "rq",
        name: "RQ",
        // Debian's python3-rq. Its title: "rq:worker:NAME: Listening on default" (rq/worker.py, procline).
        marks: &[
            Task(Python, &("rq", "worker")),
            Task(Python, &("rq", "worker-pool")),
            Runs(Python, "rqworker"),
            Title(Python, "rq:worker:"),
        ],
        ..CONSUMER
    },
    Kind {
        kind: "dramatiq",
        name: "Dramatiq",
        marks: &[Runs(Python, "dramatiq"), Runs(Python, "dramatiq-gevent")],
        ..CONSUMER
    },
    Kind {
        kind: "huey",
        name: "Huey",
        marks: &[
            Runs(Python, "huey_consumer"),
            Runs(Python, "huey_consumer.py"),
        ],
        ..WORKER
    },
    Kind {
        kind: "sidekiq",
        name: "Sidekiq",
        // lib/sidekiq/launcher.rb, heartbeat: "sidekiq 6.5.8 app [0 of 10 busy]".
        marks: &[Runs(Ruby, "sidekiq"), Title(Ruby, "sidekiq ")],
        ..CONSUMER
    },
    Kind {
        kind: "resque",
        name: "Resque",
        // lib/resque/worker.rb, procline: "resque-2.2.1: Waiting for default".
        marks: &[Runs(Ruby, "resque"), Title(Ruby, "resque-")],
        ..CONSUMER
    },
    Kind {
        kind: "delayed_job",
        name: "Delayed Job",
        marks: &[Runs(Ruby, "delayed_job"), Title(Ruby, "delayed_job")],
        ..WORKER
    },
    Kind {
        kind: "solid_queue",
        name: "Solid Queue",
        // lib/solid_queue/processes/procline.rb: "solid-queue-supervisor(1.0.0): …".
        marks: &[Title(Ruby, "solid-queue-")],
        ..WORKER
    },
    Kind {
        kind: "laravel-queue",
        name: "Laravel queue worker",
        marks: &[
            Task(Php, &("artisan", "queue:work")),
            Task(Php, &("artisan", "queue:listen")),
        ],
        ..WORKER
    },
    Kind {
        kind: "horizon",
        name: "Laravel Horizon",
        marks: &[
            Task(Php, &("artisan", "horizon")),
            Task(Php, &("artisan", "horizon:supervisor")),
            Task(Php, &("artisan", "horizon:work")),
        ],
        ..CONSUMER
    },
    Kind {
        kind: "laravel-schedule",
        name: "Laravel scheduler",
        marks: &[Task(Php, &("artisan", "schedule:work"))],
        ..SCHEDULER
    },
    Kind {
        kind: "messenger",
        name: "Symfony Messenger",
        marks: &[Task(Php, &("console", "messenger:consume"))],
        ..WORKER
    },
    Kind {
        kind: "temporal-worker",
        name: "Temporal",
        marks: &[Executable("temporal-server")],
        role: "scheduler",
        listens: true,
        probe: diogenes_proto::ProbeKind::Tcp,
        default_port: Some(7233),
        ..WORKER
    },
    Kind {
        kind: "airflow-worker",
        name: "Airflow worker",
        marks: &[
            Task(Python, &("airflow", "worker")),
            Task(Python, &("airflow", "triggerer")),
        ],
        ..WORKER
    },
    Kind {
        kind: "airflow-scheduler",
        name: "Airflow scheduler",
        marks: &[
            Task(Python, &("airflow", "scheduler")),
            Task(Python, &("airflow", "dag-processor")),
            // airflow/jobs: setproctitle.
            Title(Python, "airflow scheduler"),
        ],
        ..SCHEDULER
    },
    Kind {
        kind: "airflow",
        name: "Airflow",
        marks: &[
            Task(Python, &("airflow", "webserver")),
            Task(Python, &("airflow", "api-server")),
            Task(Python, &("airflow", "standalone")),
        ],
        role: "web",
        listens: true,
        default_port: Some(8080),
        ..SCHEDULER
    },
    Kind {
        kind: "cron",
        name: "cron",
        // Debian's cron; cronie's and dcron's crond; BusyBox' in Alpine. Where they are installed vouches for
        // them, as they listen nowhere.
        marks: &[
            Executable("sbin/cron"),
            Executable("sbin/crond"),
            Executable("sbin/anacron"),
            Executable("sbin/fcron"),
            Applet(&("busybox", "crond")),
        ],
        ..SCHEDULER
    },
    Kind {
        kind: "supercronic",
        name: "Supercronic",
        marks: &[Executable("bin/supercronic")],
        ..SCHEDULER
    },
    Kind {
        kind: "atd",
        name: "atd",
        marks: &[Executable("sbin/atd")],
        ..SCHEDULER
    },
];
