//! From a word to the marks that have it, without asking each of several hundred.

use std::sync::LazyLock;

use super::{KINDS, Kind, Language, Mark};
use crate::order::sort_by_key;

/// Where a mark is.
#[derive(Clone, Copy)]
struct Place {
    /// Of its word: numbers are found faster than words, and take less room.
    hash: u32,
    file: u8,
    entry: u8,
    mark: u8,
}

/// All marks in the order of their words' hashes. Made once: it is 5 KB.
static INDEX: LazyLock<Vec<Place>> = LazyLock::new(|| {
    let mut places = Vec::new();
    for (file, kinds) in (0..).zip(KINDS) {
        for (entry, kind) in (0..).zip(*kinds) {
            places.extend((0..).zip(kind.marks).map(|(mark, of)| Place {
                hash: hash(word(of)),
                file,
                entry,
                mark,
            }));
        }
    }
    sort_by_key(&mut places, |place| place.hash);
    places
});

fn at(place: Place) -> (&'static Kind, &'static Mark) {
    let kind = &KINDS[usize::from(place.file)][usize::from(place.entry)];
    (kind, &kind.marks[usize::from(place.mark)])
}

/// FNV-1a (Fowler, Noll, Vo): the words are the program's own, so nobody can make them collide.
fn hash(word: &str) -> u32 {
    word.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// The word by which a mark is looked up.
fn word(mark: &Mark) -> &'static str {
    match *mark {
        Mark::Executable(path) => path.rsplit('/').next().unwrap_or(path),
        Mark::Applet(&(name, _))
        | Mark::Runs(_, name)
        | Mark::Task(_, &(name, _))
        | Mark::Framework(name)
        | Mark::Helper(name)
        | Mark::Product(name) => name,
        Mark::Given(language, _) | Mark::Title(language, _) => language.name(),
        // Asked of a kind that is known.
        Mark::Calls(_) | Mark::VersionAfter(_) => "",
    }
}

/// The marks with this word, and their kinds, in the order of the catalogue.
pub(crate) fn bearing(name: &str) -> impl Iterator<Item = (&'static Kind, &'static Mark)> {
    let wanted = hash(name);
    let first = INDEX.partition_point(|place| place.hash < wanted);
    let those = INDEX[first..]
        .iter()
        .take_while(move |place| place.hash == wanted);
    those
        .map(|&place| at(place))
        .filter(move |(_, mark)| word(mark) == name)
}

/// A program's name without what a distribution puts around it: a version behind it (`php-fpm8.2`, `gunicorn3`),
/// or what Nix makes of a wrapped program (`.gunicorn-wrapped`).
pub(crate) fn plain(name: &str) -> &str {
    let wrapped = name
        .strip_prefix('.')
        .and_then(|n| n.strip_suffix("-wrapped"));
    let name = wrapped.unwrap_or(name);
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let bare = bare.strip_suffix('-').unwrap_or(bare);
    if bare.is_empty() { name } else { bare }
}

/// Whether a program goes by a name, its version aside.
pub(crate) fn is_name(program: &str, name: &str) -> bool {
    program == name || plain(program) == name
}

impl Language {
    /// The name of its usual interpreter.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
            Self::Ruby => "ruby",
            Self::Perl => "perl",
            Self::Lua => "lua",
            Self::Php => "php",
            Self::Java => "java",
            Self::Erlang => "beam.smp",
            Self::Dotnet => "dotnet",
            Self::Shell => "sh",
        }
    }
}
