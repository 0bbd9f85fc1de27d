//! The image of an entry: the tests' base image, Debian's packages on top, and the entry's own files.
//!
//! An image whose recipe has not changed is left as it is; the classic builder's cache keeps the packages when only
//! files change.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result};
use diogenes_testkit::{base_image, docker, image_label};
use sha2::{Digest as _, Sha256};

use crate::entry::Entry;

/// The label that holds the hash of what an image was made from; the same as that of the tests' other images.
const RECIPE: &str = "io.diogenes.recipe";
/// PID 1 of a service's container.
const KEEP: &str = include_str!("keep.sh");

/// The image of `entry`, made where it is not there yet.
///
/// # Errors
/// Where its files cannot be written to a temporary folder.
///
/// # Panics
/// Where the Engine refuses to build it.
pub fn image(entry: &Entry) -> Result<String> {
    let name = format!("diogenes-corpus/{}", entry.name);
    let folder = tempfile::tempdir()?;
    let mut recipe = Sha256::new();
    let mut place = |path: &str, content: &str, executable: bool| -> Result<()> {
        let file = folder
            .path()
            .join("root")
            .join(path.trim_start_matches('/'));
        fs::create_dir_all(file.parent().context("a file in a folder")?)?;
        fs::write(&file, content)?;
        let mode = if executable { 0o755 } else { 0o644 };
        fs::set_permissions(&file, fs::Permissions::from_mode(mode))?;
        recipe.update(format!("{path}\n{content}\n{mode}\n"));
        Ok(())
    };
    for (path, content) in &entry.files {
        place(path, content, content.starts_with("#!"))?;
    }
    let script = |body: &str| format!("#!/bin/sh\n{body}\n");
    place("/corpus/keep", KEEP, true)?;
    place("/corpus/start", &script(&entry.start), true)?;
    for (number, body) in entry.beside.iter().enumerate() {
        place(
            &format!("/corpus/beside/{number}"),
            &script(&format!("exec {body}")),
            true,
        )?;
    }
    place("/corpus/setup", &format!("set -e\n{}", entry.setup), false)?;
    let dockerfile = dockerfile(entry);
    recipe.update(&dockerfile);
    recipe.update(docker(&[
        "image",
        "inspect",
        "--format",
        "{{.Id}}",
        base_image(),
    ]));
    let hash = recipe
        .finalize()
        .iter()
        .take(8)
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
    if image_label(&name, RECIPE).as_deref() != Some(&hash) {
        fs::write(folder.path().join("Dockerfile"), dockerfile)?;
        let label = format!("--label={RECIPE}={hash}");
        docker(&[
            "build",
            "-q",
            "--force-rm",
            "--network=host",
            "-t",
            &name,
            &label,
            &folder.path().to_string_lossy(),
        ]);
    }
    Ok(name)
}

fn dockerfile(entry: &Entry) -> String {
    let mut lines = format!("FROM {}\n", base_image());
    if !entry.packages.is_empty() {
        // No daemon is started while its package is installed, and update-alternatives wants the manuals' folders,
        // which the base does without.
        let _ = writeln!(
            lines,
            "RUN printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d \\\n \
             && mkdir -p /usr/share/man/man1 /usr/share/man/man7 && apt-get update -q \\\n \
             && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends {} \\\n \
             && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /usr/share/doc/*",
            entry.packages.join(" ")
        );
    }
    // An impostor is what its container is there for.
    let first = if entry.negative { "start" } else { "keep" };
    let _ = writeln!(
        lines,
        "COPY root /\nRUN sh /corpus/setup\nENTRYPOINT [\"/corpus/{first}\"]"
    );
    lines
}
