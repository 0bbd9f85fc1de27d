//! The part of the corpus that needs no packages but those of the tests' base image: what `make test` can afford of
//! `make corpus`.

use diogenes_corpus::entry::{self, Entry, Fault};
use diogenes_corpus::image::image;
use diogenes_corpus::trial::Field;

/// Tries an entry with each of these faults, and fails with what is wrong.
fn try_it(field: &Field, entry: &Entry, faults: &[Fault]) {
    let name = &entry.name;
    let image = image(entry).expect("an image");
    let outcome = field.trial(entry, &image, faults, false).expect("a trial");
    assert_eq!(outcome.verdict.wrongs, Vec::<String>::new(), "{name}");
    assert_eq!(outcome.faults.len(), faults.len(), "{name}");
}

fn chosen(names: &str) -> Vec<Entry> {
    entry::choose(entry::all().expect("entries"), names).expect("these")
}

#[test]
fn databases_are_known_and_their_death_and_spoilt_configuration_too() {
    let field = Field::prepare();
    for entry in chosen("redis,postgresql") {
        try_it(&field, &entry, &[Fault::Kill, Fault::Conf]);
    }
}

#[test]
fn nginx_is_known_and_a_hang_and_a_full_queue_of_it_too() {
    let field = Field::prepare();
    for entry in chosen("nginx") {
        try_it(&field, &entry, &[Fault::Stop, Fault::Full]);
    }
}

#[test]
fn impostors_deceive_nobody() {
    let field = Field::prepare();
    let impostors = chosen("script-nginx,http-on-6379,sleeping-postgres");
    // They do nothing but wait, and may do so together.
    std::thread::scope(|scope| {
        for entry in &impostors {
            scope.spawn(|| try_it(&field, entry, &[]));
        }
    });
}
