//! What applications are written with, found by what their source loads.

use super::Language::{Java, Node, Python, Ruby};
use super::Mark::{Executable, Framework, Helper, Runs, Title};
use super::{Kind, Layer, USUAL};

/// A web framework.
const FRAMEWORK: Kind = Kind {
    layer: Layer::Framework,
    ..USUAL
};

/// One that does not serve the web, but what people look at numbers with, and the like.
const NOTEBOOK: Kind = Kind {
    layer: Layer::Server,
    ..USUAL
};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        kind: "fastapi",
        name: "FastAPI",
        // "fastapi run" is the framework's own command (fastapi-cli).
        marks: &[Framework("fastapi"), Runs(Python, "fastapi")],
        ..FRAMEWORK
    },
    Kind {
        kind: "django",
        name: "Django",
        marks: &[Framework("django")],
        ..FRAMEWORK
    },
    Kind {
        kind: "flask",
        name: "Flask",
        // "flask run" is the framework's own command.
        marks: &[Framework("flask"), Runs(Python, "flask")],
        ..FRAMEWORK
    },
    Kind {
        kind: "litestar",
        name: "Litestar",
        marks: &[Framework("litestar"), Runs(Python, "litestar")],
        ..FRAMEWORK
    },
    Kind {
        kind: "quart",
        name: "Quart",
        marks: &[Framework("quart"), Runs(Python, "quart")],
        ..FRAMEWORK
    },
    Kind {
        kind: "sanic",
        name: "Sanic",
        marks: &[Framework("sanic"), Runs(Python, "sanic")],
        ..FRAMEWORK
    },
    Kind {
        kind: "aiohttp",
        name: "aiohttp",
        marks: &[Framework("aiohttp")],
        ..FRAMEWORK
    },
    Kind {
        kind: "tornado",
        name: "Tornado",
        marks: &[Framework("tornado")],
        ..FRAMEWORK
    },
    Kind {
        kind: "falcon",
        name: "Falcon",
        marks: &[Framework("falcon")],
        ..FRAMEWORK
    },
    Kind {
        kind: "bottle",
        name: "Bottle",
        marks: &[Framework("bottle")],
        ..FRAMEWORK
    },
    Kind {
        kind: "pyramid",
        name: "Pyramid",
        // pserve is its own command.
        marks: &[Framework("pyramid"), Runs(Python, "pserve")],
        ..FRAMEWORK
    },
    Kind {
        kind: "cherrypy",
        name: "CherryPy",
        marks: &[Framework("cherrypy"), Runs(Python, "cherryd")],
        ..FRAMEWORK
    },
    // After FastAPI and Litestar, which are built upon it or beside it.
    Kind {
        kind: "starlette",
        name: "Starlette",
        marks: &[Framework("starlette")],
        ..FRAMEWORK
    },
    Kind {
        kind: "next",
        name: "Next.js",
        // next's server/lib/start-server: "next-server (v14.1.0)".
        marks: &[
            Framework("next"),
            Runs(Node, "next"),
            Title(Node, "next-server ("),
        ],
        default_port: Some(3000),
        ..FRAMEWORK
    },
    Kind {
        kind: "nestjs",
        name: "NestJS",
        marks: &[Framework("nestjs"), Runs(Node, "nest")],
        ..FRAMEWORK
    },
    Kind {
        kind: "express",
        name: "Express",
        marks: &[Framework("express")],
        ..FRAMEWORK
    },
    Kind {
        kind: "fastify",
        name: "Fastify",
        marks: &[Framework("fastify"), Runs(Node, "fastify")],
        ..FRAMEWORK
    },
    Kind {
        kind: "koa",
        name: "Koa",
        marks: &[Framework("koa")],
        ..FRAMEWORK
    },
    Kind {
        kind: "hapi",
        name: "hapi",
        marks: &[Framework("hapi")],
        ..FRAMEWORK
    },
    Kind {
        kind: "hono",
        name: "Hono",
        marks: &[Framework("hono")],
        ..FRAMEWORK
    },
    Kind {
        kind: "rails",
        name: "Rails",
        marks: &[Framework("rails"), Runs(Ruby, "rails")],
        default_port: Some(3000),
        // Rails::HealthController, in what Rails generates since 7.1.
        ..FRAMEWORK
    },
    Kind {
        kind: "sinatra",
        name: "Sinatra",
        marks: &[Framework("sinatra")],
        ..FRAMEWORK
    },
    Kind {
        kind: "spring",
        name: "Spring Boot",
        marks: &[
            Framework("spring"),
            // Spring Boot's executable archives, unpacked ("Packaging OCI Images", "Launching").
            Runs(Java, "org.springframework.boot.loader.JarLauncher"),
            Runs(Java, "org.springframework.boot.loader.WarLauncher"),
            Runs(Java, "org.springframework.boot.loader.launch.JarLauncher"),
            Runs(Java, "org.springframework.boot.loader.launch.WarLauncher"),
        ],
        default_port: Some(8080),
        ..FRAMEWORK
    },
    Kind {
        kind: "quarkus",
        name: "Quarkus",
        marks: &[Runs(Java, "quarkus-run.jar")],
        default_port: Some(8080),
        // Quarkus' smallrye-health, where it is installed: not asked, as it may not be.
        ..FRAMEWORK
    },
    Kind {
        kind: "jupyter",
        name: "Jupyter",
        marks: &[
            Runs(Python, "jupyter-lab"),
            Runs(Python, "jupyter-notebook"),
            Runs(Python, "jupyter-server"),
            Runs(Python, "jupyterhub"),
            Runs(Python, "jupyterhub-singleuser"),
        ],
        default_port: Some(8888),
        readiness: Some("/api"),
        ..NOTEBOOK
    },
    Kind {
        kind: "streamlit",
        name: "Streamlit",
        marks: &[Runs(Python, "streamlit")],
        default_port: Some(8501),
        readiness: Some("/_stcore/health"),
        ..NOTEBOOK
    },
    Kind {
        kind: "ollama",
        name: "Ollama",
        marks: &[Executable("ollama"), Helper("ollama_llama_server")],
        role: "api",
        default_port: Some(11_434),
        ..NOTEBOOK
    },
];
