//! Web servers: they serve files, or pass requests on to what lives beside them.

use super::Language::{Php, Python, Ruby};
use super::Mark::{Applet, Calls, Executable, Given, Helper, Runs};
use super::{Kind, USUAL};

/// A web server.
const WEB: Kind = Kind {
    default_port: Some(80),
    ..USUAL
};

/// One that is put before an application.
const FRONT: Kind = Kind {
    fronts: true,
    ..WEB
};

pub(super) const KINDS: &[Kind] = &[
    // Before nginx, which its executable is called as well.
    Kind {
        kind: "openresty",
        name: "OpenResty",
        // The link "openresty" leads to nginx/sbin/nginx below its own prefix (openresty.org, "Installation").
        marks: &[
            Executable("openresty/nginx/sbin/nginx"),
            Executable("openresty"),
        ],
        relays: true,
        ..FRONT
    },
    Kind {
        kind: "nginx",
        name: "nginx",
        // The official image has nginx-debug too.
        marks: &[
            Executable("nginx"),
            Executable("nginx-debug"),
            // nginx' src/os/unix/ngx_process_cycle.c.
            Calls("nginx: master process"),
            Calls("nginx: worker process"),
        ],
        // Its stream module.
        relays: true,
        ..FRONT
    },
    Kind {
        kind: "apache",
        name: "Apache",
        // Debian's apache2-bin; httpd elsewhere, in Red Hat's packages and the official image.
        marks: &[
            Executable("apache2"),
            Executable("sbin/httpd"),
            Executable("apache2/bin/httpd"),
            Executable("usr/bin/httpd"),
        ],
        ..FRONT
    },
    Kind {
        kind: "lighttpd",
        name: "lighttpd",
        marks: &[Executable("lighttpd"), Helper("lighttpd-angel")],
        ..FRONT
    },
    Kind {
        kind: "h2o",
        name: "H2O",
        marks: &[Executable("h2o")],
        ..FRONT
    },
    Kind {
        kind: "caddy",
        name: "Caddy",
        marks: &[Executable("caddy")],
        ..FRONT
    },
    Kind {
        kind: "busybox-httpd",
        name: "BusyBox httpd",
        // BusyBox looks at its own name.
        marks: &[Applet(&("busybox", "httpd"))],
        ..WEB
    },
    Kind {
        kind: "thttpd",
        name: "thttpd",
        marks: &[
            Executable("thttpd"),
            Executable("mini_httpd"),
            Executable("mini-httpd"),
        ],
        ..WEB
    },
    Kind {
        kind: "webfs",
        name: "webfs",
        marks: &[Executable("webfsd")],
        default_port: Some(8000),
        ..WEB
    },
    Kind {
        kind: "http.server",
        name: "Python http.server",
        // The Python Standard Library, http.server, "Command-line interface".
        marks: &[Runs(Python, "http.server")],
        default_port: Some(8000),
        ..WEB
    },
    Kind {
        kind: "webrick",
        name: "WEBrick",
        // ruby -run -e httpd: un.rb of Ruby's library.
        marks: &[Given(Ruby, "-run")],
        default_port: Some(8080),
        ..WEB
    },
    Kind {
        kind: "php",
        name: "PHP's own server",
        // php -S 0.0.0.0:8000 (PHP manual, "Built-in web server").
        marks: &[Given(Php, "-S")],
        default_port: Some(8000),
        ..WEB
    },
];
