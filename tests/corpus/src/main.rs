//! `make corpus`: puts all entries to the test, or those that `CORPUS` names, and prints what is right and wrong. With
//! `NMAP=no` without the comparison, which takes longer than all else.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use diogenes_corpus::entry::{self, Entry, Fault};
use diogenes_corpus::image::image;
use diogenes_corpus::table;
use diogenes_corpus::trial::{Field, Outcome, caught, joined};
use diogenes_corpus::verdict::{Sort, Tally};

/// As many impostors are looked at together: they do nothing but wait. As many containers does a service have at most.
const AT_ONCE: usize = Fault::ALL.len();

fn main() -> Result<ExitCode> {
    let chosen = std::env::var("CORPUS").unwrap_or_default();
    let entries = entry::choose(entry::all()?, &chosen)?;
    let mut untried = 0;
    let mut pairs: Vec<(&Entry, String)> = Vec::new();
    for entry in &entries {
        match caught(|| image(entry)) {
            Ok(image) => pairs.push((entry, image)),
            Err(error) => {
                untried += 1;
                println!("{}: its image cannot be made: {error:#}", entry.name);
            }
        }
    }
    if std::env::args().any(|it| it == "images") {
        return Ok(exit(untried == 0));
    }
    let compared = std::env::var("NMAP").as_deref() != Ok("no");
    let field = Field::prepare();
    let width = table::width();
    println!(
        "What is told of each, and the seconds until something new that listens is told,\n\
         and each fault. Promised are: new within 2 s, dead within 1 s, a hang within two\n\
         probe intervals (20 or 60 s).\n\
         ! is late, ✗ wrong, - not there.\n"
    );
    print!("{}", table::head());
    let mut outcomes = Vec::new();
    for group in pairs.chunk_by(|(a, _), (b, _)| a.negative && b.negative) {
        for (entry, outcome) in group
            .chunks(AT_ONCE)
            .flat_map(|some| trials(&field, some, compared))
        {
            match outcome {
                Ok(outcome) => {
                    print!("{}", table::row(entry, &outcome, width));
                    outcomes.push((entry, outcome));
                }
                Err(error) => {
                    untried += 1;
                    println!("{}: could not be tried: {error:#}", entry.name);
                }
            }
        }
    }
    let less_right = print_comparison(&outcomes, width);
    let perfect = print_summary(&outcomes);
    Ok(exit(perfect && untried == 0 && less_right == 0))
}

fn exit(passed: bool) -> ExitCode {
    if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// One service with all its faults, or some impostors at the same time.
fn trials<'a>(
    field: &Field,
    some: &[(&'a Entry, String)],
    compared: bool,
) -> Vec<(&'a Entry, Result<Outcome>)> {
    std::thread::scope(|scope| {
        let start = |(entry, image): &'_ (&'a Entry, String)| {
            let (entry, image) = (*entry, image.clone());
            let trial =
                move || field.trial(entry, &image, &Fault::ALL, compared && !entry.negative);
            (entry, scope.spawn(trial))
        };
        let threads: Vec<_> = some.iter().map(start).collect();
        let end = |(entry, thread)| (entry, joined(thread));
        threads.into_iter().map(end).collect()
    })
}

/// Prints the table beside nmap; returns the number of rows in which nmap knows more.
fn print_comparison(outcomes: &[(&Entry, Outcome)], width: usize) -> usize {
    let mut less_right = 0;
    if outcomes.iter().all(|(_, outcome)| outcome.beside.is_none()) {
        return less_right;
    }
    print!(
        "\nThe same containers, found out from within and from outside: the seconds from\n\
         attach to full knowledge, and those of nmap -sV on the published ports.\n\n{}",
        table::beside_head()
    );
    for (entry, outcome) in outcomes {
        let (Some(beside), Some(truth)) = (&outcome.beside, entry.service.first()) else {
            continue;
        };
        let told = &outcome.verdict.first;
        print!("{}", table::beside_row(entry, told, beside, width));
        if let Some(missed) = beside.missed(truth, told) {
            less_right += 1;
            println!("    ✗ {missed}");
        }
    }
    less_right
}

/// Prints precision and recall; returns whether both are whole.
fn print_summary(outcomes: &[(&Entry, Outcome)]) -> bool {
    let mut sorts = BTreeMap::<Sort, Tally>::new();
    let mut whole = Tally::default();
    for (sort, tally) in outcomes
        .iter()
        .flat_map(|(_, outcome)| &outcome.verdict.tallies)
    {
        *sorts.entry(*sort).or_default() += *tally;
        whole += *tally;
    }
    let sorts: Vec<(Sort, Tally)> = sorts.into_iter().collect();
    let wrongs: usize = outcomes
        .iter()
        .map(|(_, outcome)| outcome.verdict.wrongs.len())
        .sum();
    println!(
        "\n{} entries, {wrongs} things wrong\n\n{}",
        outcomes.len(),
        table::summary(&sorts, whole)
    );
    whole.is_perfect() && wrongs == 0
}
