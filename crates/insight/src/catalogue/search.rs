//! Search engines, and databases of vectors.

use super::Language::{Java, Python};
use super::Mark::{Executable, Given, Helper, Runs};
use super::{Kind, USUAL};

/// A search engine.
const SEARCH: Kind = Kind {
    role: "search",
    ..USUAL
};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        kind: "elasticsearch",
        name: "Elasticsearch",
        // Since 8 its command line starts the server as a child: -m org.elasticsearch.server/….
        marks: &[
            Runs(Java, "org.elasticsearch.bootstrap.Elasticsearch"),
            Runs(
                Java,
                "org.elasticsearch.server/org.elasticsearch.bootstrap.Elasticsearch",
            ),
            Given(Java, "-Des.path.home="),
            Given(Java, "-Des.distribution.type="),
            Helper("controller"),
        ],
        default_port: Some(9200),
        // Elasticsearch reference, "Cluster health".
        readiness: Some("/_cluster/health"),
        ..SEARCH
    },
    Kind {
        kind: "opensearch",
        name: "OpenSearch",
        marks: &[
            Runs(Java, "org.opensearch.bootstrap.OpenSearch"),
            Given(Java, "-Dopensearch.path.home="),
            Given(Java, "-Dopensearch.distribution.type="),
        ],
        default_port: Some(9200),
        readiness: Some("/_cluster/health"),
        ..SEARCH
    },
    Kind {
        kind: "solr",
        name: "Solr",
        // bin/solr starts Jetty's start.jar with options of its own.
        marks: &[
            Given(Java, "-Dsolr.solr.home="),
            Given(Java, "-Dsolr.log.dir="),
        ],
        default_port: Some(8983),
        ..SEARCH
    },
    Kind {
        kind: "meilisearch",
        name: "Meilisearch",
        marks: &[Executable("meilisearch")],
        default_port: Some(7700),
        readiness: Some("/health"),
        ..SEARCH
    },
    Kind {
        kind: "typesense",
        name: "Typesense",
        marks: &[Executable("typesense-server")],
        default_port: Some(8108),
        readiness: Some("/health"),
        ..SEARCH
    },
    Kind {
        kind: "manticore",
        name: "Manticore",
        // Sphinx, from which it comes, has the same name for its server.
        marks: &[Executable("searchd")],
        default_port: Some(9308),
        ..SEARCH
    },
    Kind {
        kind: "qdrant",
        name: "Qdrant",
        marks: &[Executable("qdrant")],
        default_port: Some(6333),
        readiness: Some("/readyz"),
        ..SEARCH
    },
    Kind {
        kind: "weaviate",
        name: "Weaviate",
        marks: &[Executable("weaviate"), Executable("weaviate-server")],
        default_port: Some(8080),
        readiness: Some("/v1/.well-known/ready"),
        ..SEARCH
    },
    Kind {
        kind: "chroma",
        name: "Chroma",
        marks: &[Runs(Python, "chroma"), Executable("chroma")],
        default_port: Some(8000),
        ..SEARCH
    },
];
