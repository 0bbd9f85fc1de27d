//! Which kind a process's marks say it is, and whether that is believed.

use diogenes_proto::{Process, Untrusted};

use super::application_of;
use super::family::Family;
use crate::catalogue::{Kind, Layer, Mark, bearing, is_name, kinds, plain};
use crate::program::{Program, basename};
use crate::words::sentence;

/// The kind of the program that a process runs; frameworks are not looked at here, for a server's master
/// often does not load what its workers do.
pub(super) fn of_process(process: &Process) -> Option<&'static Kind> {
    marked(process).map(|(kind, _)| kind)
}

/// The kind, and the mark by which it is known. Only the marks that have one of the process's words are looked at.
fn marked(process: &Process) -> Option<(&'static Kind, &'static Mark)> {
    let program = Program::of(process)?;
    let language = program.interpreted.map(|(language, _)| language.name());
    let words = [
        Some(program.executable),
        Some(plain(program.executable)).filter(|&name| name != program.executable),
        program.runs(),
        program
            .runs()
            .map(plain)
            .filter(|&name| program.runs() != Some(name)),
        language.filter(|&name| name != plain(program.executable)),
    ];
    let mut best: Option<(&'static Kind, &'static Mark)> = None;
    for word in words.into_iter().flatten() {
        for (kind, mark) in bearing(word).filter(|(_, mark)| bears(process, &program, mark)) {
            if best.is_none_or(|(known, _)| known.layer < kind.layer) {
                best = Some((kind, mark));
            }
        }
    }
    best
}

/// Whether a process runs what belongs to this kind where a process of it has started it.
pub(super) fn is_helper(process: &Process, of: &Kind) -> bool {
    let Some(program) = Program::of(process) else {
        return false;
    };
    bearing(program.executable)
        .any(|(kind, mark)| kind.kind == of.kind && matches!(mark, Mark::Helper(_)))
}

/// The kind of a family: its framework's where one is known, else its program's; None where that is not
/// believed.
pub(super) fn of_family(family: &Family<'_>, listens: bool) -> Option<&'static Kind> {
    let by_program = family
        .claim
        .filter(|kind| is_believed(kind, family, listens));
    // A program that loads a web framework serves the web only where it listens, or is run by a server.
    let by_framework = framework(family)
        .filter(|_| listens || by_program.is_some_and(|kind| kind.layer == Layer::Host));
    match (by_program, by_framework) {
        (Some(program), Some(framework)) if program.layer >= framework.layer => Some(program),
        (_, Some(framework)) => Some(framework),
        (program, None) => program,
    }
}

/// Whether a family is of the kind that its program says it is.
fn is_believed(kind: &Kind, family: &Family<'_>, listens: bool) -> bool {
    match kind.layer {
        // What starts others and serves nothing is nothing to tell of.
        Layer::Supervisor => listens && kind.listens,
        Layer::Runtime => listens,
        _ => listens || vouched(kind, family),
    }
}

/// The framework that a family loads; of several, the one that comes first in the catalogue.
fn framework(family: &Family<'_>) -> Option<&'static Kind> {
    let loaded = family.processes.iter().flat_map(|p| &p.frameworks);
    loaded
        .flat_map(|name| bearing(name))
        .filter(|(_, mark)| matches!(mark, Mark::Framework(_)))
        .map(|(kind, _)| kind)
        .min_by_key(|kind| kinds().position(|other| other.kind == kind.kind))
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

fn bears(process: &Process, program: &Program<'_>, mark: &Mark) -> bool {
    let is_of = |language| program.interpreted.is_some_and(|(of, _)| of == language);
    match *mark {
        Mark::Executable(path) => executes(process, program, path),
        Mark::Applet(&(executable, comm)) => {
            program.executable == executable && process.name.as_raw() == comm
        }
        Mark::Runs(language, name) => program.runs_installed(language, name),
        Mark::Task(language, &(name, word)) => {
            program.runs_installed(language, name) && program.is_told(word)
        }
        Mark::Given(language, begins) => is_of(language) && program.given(begins),
        Mark::Title(language, begins) => is_of(language) && title(process).starts_with(begins),
        Mark::Framework(_)
        | Mark::Product(_)
        | Mark::Calls(_)
        | Mark::Helper(_)
        | Mark::VersionAfter(_) => false,
    }
}

/// Whether a process executes a file of this name, or at the end of this path.
fn executes(process: &Process, program: &Program<'_>, path: &str) -> bool {
    if !is_name(program.executable, basename(path)) {
        return false;
    }
    let Some((folder, _)) = path.rsplit_once('/') else {
        return true;
    };
    let executable = process.executable.as_ref().map(Untrusted::as_raw);
    let folders = executable.and_then(|path| Some(path.rsplit_once('/')?.0));
    let folders = folders.and_then(|folders| folders.strip_suffix(folder));
    folders.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

/// Whether more than an executable's name speaks for a kind: what an interpreter was told to run, one of a
/// program's many names, its place, or a title.
fn vouched(kind: &Kind, family: &Family<'_>) -> bool {
    family.processes.iter().any(|process| {
        let Some((_, mark)) = marked(process).filter(|(known, _)| known.kind == kind.kind) else {
            return false;
        };
        match mark {
            Mark::Executable(path) => path.contains('/') || is_titled(kind, process),
            _ => true,
        }
    })
}

/// Whether a process has given itself a title that programs of this kind do.
fn is_titled(kind: &Kind, process: &Process) -> bool {
    kind.marks
        .iter()
        .any(|mark| matches!(*mark, Mark::Calls(begins) if title(process).starts_with(begins)))
}

/// Whether programs of this kind give themselves a title, and none of the family has.
pub(super) fn is_untitled(kind: &Kind, family: &Family<'_>) -> bool {
    let has_titles = kind.marks.iter().any(|mark| matches!(mark, Mark::Calls(_)));
    has_titles
        && !family
            .processes
            .iter()
            .any(|process| is_titled(kind, process))
}

/// What a process calls itself.
fn title(process: &Process) -> &str {
    process.command.first().map_or("", Untrusted::as_raw)
}
