//! Application servers and runtimes: what they serve has a name of its own, if it can be found out.

use super::Language::{Java, Node, Perl, Php, Python, Ruby};
use super::Mark::{Calls, Executable, Given, Product, Runs, Task, Title, VersionAfter};
use super::{Kind, Layer, USUAL};
use diogenes_proto::ProbeKind;

/// A server of applications.
const HOST: Kind = Kind {
    layer: Layer::Host,
    ..USUAL
};

/// One of Python's, whose usual port is 8000.
const PYTHON: Kind = Kind {
    default_port: Some(8000),
    ..HOST
};

/// One of Java's, whose usual port is 8080.
const JAVA: Kind = Kind {
    default_port: Some(8080),
    ..HOST
};

/// An interpreter that runs anything.
const RUNTIME: Kind = Kind {
    layer: Layer::Runtime,
    ..USUAL
};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        kind: "gunicorn",
        name: "Gunicorn",
        // Debian's gunicorn; python -m runs the package itself or the module of its documentation.
        marks: &[
            Runs(Python, "gunicorn"),
            Runs(Python, "gunicorn.app.wsgiapp"),
            // gunicorn/util.py, _setproctitle: where the setproctitle module is installed.
            Title(Python, "gunicorn: master ["),
            Title(Python, "gunicorn: worker ["),
        ],
        ..PYTHON
    },
    Kind {
        kind: "uvicorn",
        name: "Uvicorn",
        marks: &[Runs(Python, "uvicorn")],
        ..PYTHON
    },
    Kind {
        kind: "hypercorn",
        name: "Hypercorn",
        // Debian's python3-hypercorn.
        marks: &[Runs(Python, "hypercorn")],
        ..PYTHON
    },
    Kind {
        kind: "daphne",
        name: "Daphne",
        marks: &[Runs(Python, "daphne")],
        ..PYTHON
    },
    Kind {
        kind: "granian",
        name: "Granian",
        // granian/server/common.py titles its processes "granian", workers "granian worker".
        marks: &[Runs(Python, "granian"), Title(Python, "granian")],
        ..PYTHON
    },
    Kind {
        kind: "waitress",
        name: "Waitress",
        // Debian's python3-waitress.
        marks: &[Runs(Python, "waitress-serve"), Runs(Python, "waitress")],
        default_port: Some(8080),
        ..HOST
    },
    Kind {
        kind: "uwsgi",
        name: "uWSGI",
        // Debian's uwsgi-core; elsewhere one executable.
        marks: &[
            Executable("uwsgi-core"),
            Executable("uwsgi"),
            // uWSGI's --auto-procname (core/utils.c).
            Calls("uWSGI master"),
            Calls("uWSGI worker"),
        ],
        // HTTP, or its own protocol, or FastCGI.
        relays: true,
        ..HOST
    },
    Kind {
        kind: "puma",
        name: "Puma",
        marks: &[
            Runs(Ruby, "puma"),
            // Puma's lib/puma/runner.rb, cluster.rb: "puma 5.6.5 (tcp://0.0.0.0:9292) [app]", "puma: cluster worker".
            Title(Ruby, "puma "),
            Title(Ruby, "puma: "),
        ],
        default_port: Some(9292),
        ..HOST
    },
    Kind {
        kind: "unicorn",
        name: "Unicorn",
        marks: &[
            Runs(Ruby, "unicorn"),
            Runs(Ruby, "unicorn_rails"),
            // unicorn's lib/unicorn/http_server.rb, proc_name.
            Title(Ruby, "unicorn "),
            Title(Ruby, "unicorn_rails "),
        ],
        default_port: Some(8080),
        ..HOST
    },
    Kind {
        kind: "thin",
        name: "Thin",
        // thin's lib/thin/server.rb: "thin server (0.0.0.0:3000)".
        marks: &[Runs(Ruby, "thin"), Title(Ruby, "thin server ")],
        default_port: Some(3000),
        ..HOST
    },
    Kind {
        kind: "rackup",
        name: "Rack",
        // What it starts sets a title of its own, where it has one.
        marks: &[Runs(Ruby, "rackup")],
        default_port: Some(9292),
        ..HOST
    },
    Kind {
        kind: "passenger",
        name: "Passenger",
        marks: &[
            Executable("PassengerAgent"),
            Runs(Ruby, "passenger"),
            // passenger's src/agent/Core/CoreMain.cpp, Watchdog/WatchdogMain.cpp.
            Calls("Passenger core"),
            Calls("Passenger watchdog"),
        ],
        ..HOST
    },
    Kind {
        kind: "php-fpm",
        name: "PHP-FPM",
        // Debian's php8.2-fpm: /usr/sbin/php-fpm8.2.
        marks: &[
            Executable("php-fpm"),
            // PHP's sapi/fpm/fpm/fpm_env.c, fpm_worker_pool.c.
            Calls("php-fpm: master process"),
            Calls("php-fpm: pool "),
        ],
        probe: ProbeKind::Fastcgi,
        default_port: Some(9000),
        layer: Layer::Server,
        ..HOST
    },
    Kind {
        kind: "fcgiwrap",
        name: "fcgiwrap",
        marks: &[Executable("fcgiwrap")],
        probe: ProbeKind::Fastcgi,
        layer: Layer::Server,
        ..HOST
    },
    Kind {
        kind: "frankenphp",
        name: "FrankenPHP",
        marks: &[Executable("frankenphp")],
        default_port: Some(80),
        ..HOST
    },
    Kind {
        kind: "laravel",
        name: "Laravel",
        // php artisan serve and octane:start (Laravel documentation).
        marks: &[
            Task(Php, &("artisan", "serve")),
            Task(Php, &("artisan", "octane:start")),
            Task(Php, &("artisan", "reverb:start")),
        ],
        default_port: Some(8000),
        layer: Layer::Framework,
        ..HOST
    },
    Kind {
        kind: "starman",
        name: "Starman",
        // starman's lib/Starman/Server.pm: "starman master", "starman worker".
        marks: &[
            Runs(Perl, "starman"),
            Title(Perl, "starman master"),
            Title(Perl, "starman worker"),
        ],
        default_port: Some(5000),
        ..HOST
    },
    Kind {
        kind: "tomcat",
        name: "Tomcat",
        // Tomcat's bin/catalina.sh; Debian's tomcat10 starts the same class.
        marks: &[Runs(Java, "org.apache.catalina.startup.Bootstrap")],
        ..JAVA
    },
    Kind {
        kind: "jetty",
        name: "Jetty",
        // jetty.sh, and Debian's jetty9: java … -Djetty.home=… -jar start.jar.
        marks: &[
            Given(Java, "-Djetty.home="),
            Given(Java, "-Djetty.base="),
            Runs(Java, "org.eclipse.jetty.start.Main"),
            Runs(Java, "org.eclipse.jetty.xml.XmlConfiguration"),
            Runs(Java, "jetty-runner.jar"),
        ],
        ..JAVA
    },
    Kind {
        kind: "wildfly",
        name: "WildFly",
        // WildFly's bin/standalone.sh: -Djboss.home.dir=… -jar jboss-modules.jar … org.jboss.as.standalone.
        marks: &[
            Runs(Java, "jboss-modules.jar"),
            Given(Java, "-Djboss.home.dir="),
        ],
        ..JAVA
    },
    Kind {
        kind: "node",
        name: "Node.js",
        // "nodejs" is Debian's older name of it.
        marks: &[
            Executable("node"),
            Executable("nodejs"),
            // Where nvm keeps its versions: ~/.nvm/versions/node/v20.11.0/bin/node.
            VersionAfter("/versions/node/v"),
        ],
        ..RUNTIME
    },
    Kind {
        kind: "deno",
        name: "Deno",
        marks: &[Executable("deno")],
        default_port: Some(8000),
        ..RUNTIME
    },
    Kind {
        kind: "bun",
        name: "Bun",
        marks: &[Executable("bin/bun")],
        default_port: Some(3000),
        ..RUNTIME
    },
    Kind {
        kind: "dotnet",
        name: ".NET",
        marks: &[Executable("dotnet")],
        ..RUNTIME
    },
    Kind {
        kind: "aspnet",
        name: "ASP.NET Core",
        // Its server Kestrel says so: Microsoft.AspNetCore.Server.Kestrel, KestrelServerOptions.AddServerHeader.
        marks: &[Product("Kestrel")],
        ..RUNTIME
    },
    Kind {
        kind: "pm2",
        name: "PM2",
        // pm2's lib/Daemon.js: "PM2 v5.3.0: God Daemon (/root/.pm2)".
        marks: &[Title(Node, "PM2 v")],
        layer: Layer::Supervisor,
        ..RUNTIME
    },
];
