//! Images for tests: those of `make images`, and scratch images of one static program.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use crate::dist;
use crate::docker::{attempt, docker};

/// Where [`listener_image`] has its program.
pub const LISTENER: &str = "/testkit-listener";

/// Debian with Redis, nginx, PostgreSQL, uvicorn, FastAPI, gunicorn and Node.
///
/// # Panics
/// Where `make images` has not made it.
#[track_caller]
#[must_use]
pub fn base_image() -> &'static str {
    made_by_make_images("diogenes-test/base")
}

/// An image of the demo: `redis`, `web` or `postgres`.
///
/// # Panics
/// Where `make images` has not made it.
#[track_caller]
#[must_use]
pub fn demo_image(name: &str) -> String {
    let image = format!("diogenes-demo/{name}");
    made_by_make_images(&image);
    image
}

/// An image `FROM scratch` with nothing in it but the test listener, as its entrypoint. The
/// header of `src/bin/listener.rs` has its arguments.
///
/// # Panics
/// Where `make build-test` has not built the listener, or the Engine refuses.
#[track_caller]
#[must_use]
pub fn listener_image() -> String {
    scratch_image(&dist("test/testkit-listener"))
}

/// An image `FROM scratch` with nothing in it but the static program at `program`, as its entrypoint and under
/// its own name in `/`.
///
/// # Panics
/// Where the program cannot be read or the Engine refuses.
#[track_caller]
#[must_use]
pub fn scratch_image(program: &Path) -> String {
    let name = file_name(program);
    scratch_image_of(&name, &[program], &format!("ENTRYPOINT [\"/{name}\"]\n"))
}

/// An image `FROM scratch` with nothing in it but static programs, under their own names in `/`, and with these further
/// lines of a Dockerfile. It is tagged by its content and kept for the next test; images of the same `name` as it was
/// before are removed.
///
/// # Panics
/// Where a program cannot be read or the Engine refuses.
#[track_caller]
#[must_use]
pub fn scratch_image_of(name: &str, programs: &[&Path], instructions: &str) -> String {
    let mut hasher = DefaultHasher::new();
    let mut dockerfile = "FROM scratch\n".to_owned();
    for program in programs {
        let content =
            fs::read(program).unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        content.hash(&mut hasher);
        let name = file_name(program);
        dockerfile += &format!("COPY {name} /{name}\n");
    }
    dockerfile += instructions;
    dockerfile.hash(&mut hasher);
    let repository = format!("diogenes-test/{name}");
    let image = format!("{repository}:{:016x}", hasher.finish());
    if attempt(&["image", "inspect", &image]).status.success() {
        return image;
    }
    for old in docker(&[
        "images",
        "--format",
        "{{.Repository}}:{{.Tag}}",
        &repository,
    ])
    .lines()
    {
        // Refused while a test of another run still has a container of it, and then rightly so.
        attempt(&["rmi", old]);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    for program in programs {
        // Copied, not written: the program stays executable.
        fs::copy(program, folder.path().join(file_name(program))).expect("a copy of a program");
    }
    fs::write(folder.path().join("Dockerfile"), dockerfile).expect("a Dockerfile");
    docker(&[
        "build",
        "-q",
        "-t",
        &image,
        &folder.path().to_string_lossy(),
    ]);
    image
}

/// A label of an image; None where there is no such image, or it has no such label.
///
/// # Panics
/// Where the client cannot be run.
#[track_caller]
#[must_use]
pub fn image_label(image: &str, label: &str) -> Option<String> {
    let format = format!("{{{{index .Config.Labels \"{label}\"}}}}");
    let output = attempt(&["image", "inspect", "--format", &format, image]);
    let value = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !value.is_empty()).then_some(value)
}

fn file_name(program: &Path) -> String {
    let name = program.file_name().expect("a program has a file name");
    name.to_string_lossy().into_owned()
}

#[track_caller]
fn made_by_make_images(image: &str) -> &str {
    assert!(
        attempt(&["image", "inspect", image]).status.success(),
        "the engine has no image {image}: run `make images`"
    );
    image
}
