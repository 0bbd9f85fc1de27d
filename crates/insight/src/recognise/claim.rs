//! Which kind a process's marks say it is, and whether that is believed.

use diogenes_proto::{Process, Untrusted};

use super::family::Family;
use super::{application_of, needs_listener};
use crate::catalogue::{KINDS, Kind, Mark};
use crate::program::Program;
use crate::words::sentence;

/// The kind of the program that a process runs; frameworks are not looked at here, for a server's master
/// often does not load what its workers do.
pub(super) fn of_process(process: &Process) -> Option<&'static Kind> {
    let program = Program::of(process)?;
    KINDS
        .iter()
        .filter(|kind| kind.marks.iter().any(|mark| bears(process, &program, mark)))
        .max_by_key(|kind| (kind.layer, std::cmp::Reverse(position(kind))))
}

/// The kind of a family: its framework's where one is known, else its program's; None where that is not
/// believed.
pub(super) fn of_family(family: &Family<'_>, listens: bool) -> Option<&'static Kind> {
    let by_program = family
        .claim
        .filter(|kind| listens || (!needs_listener(kind.layer) && vouched(kind, family)));
    // A program that loads a web framework serves the web only where it listens, or is run by a server.
    let by_framework = KINDS
        .iter()
        .find(|kind| kind.marks.iter().any(|mark| loads(family, mark)))
        .filter(|_| listens || by_program.is_some());
    match (by_program, by_framework) {
        (Some(program), Some(framework)) if program.layer >= framework.layer => Some(program),
        (_, Some(framework)) => Some(framework),
        (program, None) => program,
    }
}

/// What shows that a family is of this kind, beside its executable.
pub(super) fn evidence(kind: &Kind, family: &Family<'_>) -> Vec<Untrusted> {
    let mut evidence = Vec::new();
    if let Some(application) = application_of(family) {
        evidence.push(sentence(format!("serves the application {application}")));
    }
    if let Some(server) = family.claim.filter(|claim| claim.kind != kind.kind) {
        evidence.push(sentence(format!(
            "{} runs under {}",
            kind.name, server.name
        )));
    }
    if family.processes.len() > 1 {
        evidence.push(sentence(format!("{} processes", family.processes.len())));
    }
    evidence
}

fn position(kind: &Kind) -> usize {
    KINDS
        .iter()
        .position(|k| k.kind == kind.kind)
        .unwrap_or(KINDS.len())
}

fn bears(process: &Process, program: &Program<'_>, mark: &Mark) -> bool {
    match *mark {
        Mark::Executable(name) => program.executable == name,
        Mark::Applet { executable, comm } => {
            program.executable == executable && process.name.as_raw() == comm
        }
        Mark::Script(name) => program.is_script(name),
        Mark::Module(name) => program.is_module(name),
        Mark::Title {
            interpreter,
            begins,
        } => {
            program
                .interpreted
                .is_some_and(|(name, _)| name == interpreter)
                && title(process).starts_with(begins)
        }
        Mark::Framework(_) => false,
    }
}

fn loads(family: &Family<'_>, mark: &Mark) -> bool {
    let Mark::Framework(framework) = mark else {
        return false;
    };
    family
        .processes
        .iter()
        .any(|p| p.frameworks.iter().any(|f| f == framework))
}

/// Whether more than an executable's name speaks for a kind: what an interpreter was told to run, or a title.
fn vouched(kind: &Kind, family: &Family<'_>) -> bool {
    family.processes.iter().any(|process| {
        let interpreted = Program::of(process).is_some_and(|p| p.interpreted.is_some());
        let titled = kind
            .titles
            .iter()
            .any(|begins| title(process).starts_with(begins));
        of_process(process).is_some_and(|k| k.kind == kind.kind) && (interpreted || titled)
    })
}

/// What a process calls itself.
fn title(process: &Process) -> &str {
    process.command.first().map_or("", Untrusted::as_raw)
}
