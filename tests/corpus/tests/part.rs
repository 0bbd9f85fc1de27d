//! The part of the corpus that needs no image of its own packages: what `make test` can afford of `make corpus`.

use diogenes_corpus::entry::{self, Entry, Fault};
use diogenes_corpus::image::image;
use diogenes_corpus::trial::{Field, Outcome};

/// Tries an entry, and fails with what is wrong.
fn tried(field: &Field, entry: &Entry, faults: &[Fault]) -> Outcome {
    let image = image(entry).expect("an image");
    let outcome = field.trial(entry, &image, faults, false).expect("a trial");
    assert_eq!(
        outcome.verdict.wrongs,
        Vec::<String>::new(),
        "{}",
        entry.name
    );
    outcome
}

fn chosen(names: &str) -> Vec<Entry> {
    entry::choose(entry::all().expect("entries"), names).expect("these")
}

#[test]
fn redis_and_postgresql_are_known_and_their_death_and_spoilt_configuration_too() {
    let field = Field::prepare();
    for entry in chosen("redis,postgresql") {
        let outcome = tried(&field, &entry, &[Fault::Kill, Fault::Conf]);
        assert_eq!(outcome.faults.len(), 2, "{}", entry.name);
    }
}

#[test]
fn nginx_before_an_application_is_told_apart_from_it() {
    let field = Field::prepare();
    for entry in chosen("nginx-proxy") {
        tried(&field, &entry, &[Fault::Gone]);
    }
}

#[test]
fn impostors_deceive_nobody() {
    let field = Field::prepare();
    for entry in chosen("script-nginx,http-on-6379,sleeping-postgres") {
        tried(&field, &entry, &Fault::ALL);
    }
}
