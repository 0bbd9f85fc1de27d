//! Every kept input still keeps every promise, without libFuzzer.

use std::fs;
use std::path::{Path, PathBuf};

use diogenes_fuzz::TARGETS;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<String> = entries
        .map(|entry| {
            let name = entry.expect("an entry").file_name();
            name.into_string().expect("a name in UTF-8")
        })
        .collect();
    names.sort();
    names
}

fn replay(target: &str) {
    let (_, check) = TARGETS
        .iter()
        .find(|(name, _)| *name == target)
        .expect("a target of this name");
    let folder = folder("corpus").join(target);
    let names = names(&folder);
    assert!(names.len() >= 3, "{target} has a corpus");
    for name in names {
        let path = folder.join(name);
        // On failure the harness shows it: the input to look at.
        println!("{}", path.display());
        check(&fs::read(&path).expect("a kept input"));
    }
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                replay(stringify!($name));
            }
        )*

        #[test]
        fn none_is_left_out() {
            let here = [$(stringify!($name)),*];
            let declared: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(declared, here);
            assert_eq!(names(&folder("corpus")), here);
            assert_eq!(names(&folder("fuzz_targets")), here.map(|name| format!("{name}.rs")));
        }
    };
}

targets! { answers engine identity image lines own_words probes redaction registries scan snapshot sock_diag tekton text }

#[test]
fn nothing_in_it_is_absurdly_large() {
    let mut total = 0;
    for (target, _) in TARGETS {
        let folder = folder("corpus").join(target);
        for name in names(&folder) {
            total += fs::metadata(folder.join(name)).expect("a kept input").len();
        }
    }
    assert!(
        total < 256 * 1024,
        "{total} bytes: fewer and smaller ones tell as much"
    );
}
