//! An archive of an image: the input is all of it, and once more its parts are a configuration and a layer in an
//! archive that is sound. Whatever is baked is an archive again, and baking that changes nothing.

use std::io::Cursor;

use diogenes_images::{Agent, BakeError, Baked, HealthCheck, RoleSource, bake};

use crate::parts;

/// The unit of a tar archive, in bytes.
const BLOCK: usize = 512;

/// See the module.
pub fn check(input: &[u8]) {
    baked_again(input);
    let parts = parts::of(input);
    let mut archive = entry("c.json", parts[0]);
    let layer = parts.get(1).map(|layer| entry("layer.tar", layer));
    let layers = if layer.is_some() { "\"layer.tar\"" } else { "" };
    archive.extend(layer.unwrap_or_default());
    let manifest = format!("[{{\"Config\":\"c.json\",\"Layers\":[{layers}]}}]");
    archive.extend(entry("manifest.json", manifest.as_bytes()));
    baked_again(&archive);
}

fn baked_again(archive: &[u8]) {
    let Ok((first, written)) = baked(archive) else {
        return;
    };
    let (second, again) = baked(&written).expect("what was baked can be baked");
    assert!(!second.is_changed());
    assert_eq!((first.id(), first.base()), (second.id(), second.base()));
    assert_eq!(written, again);
}

type InMemory<'a> = Baked<Cursor<&'a [u8]>>;

fn baked(archive: &[u8]) -> Result<(InMemory<'_>, Vec<u8>), BakeError> {
    let agent = Agent::new(b"agent".to_vec(), "1.0".to_owned(), "amd64");
    let mut baked = bake(
        Cursor::new(archive),
        &agent,
        RoleSource::Labels,
        HealthCheck::AddWhereNone,
    )?;
    let mut written = Vec::new();
    baked
        .write("fuzz:1", &mut written)
        .expect("a base in memory can be read");
    Ok((baked, written))
}

/// A file of a tar archive. Source: POSIX.1-2017, pax, "ustar Interchange Format".
fn entry(name: &str, content: &[u8]) -> Vec<u8> {
    let mut entry = vec![0; BLOCK];
    entry[..name.len()].copy_from_slice(name.as_bytes());
    entry[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    entry[148..156].fill(b' ');
    let sum: u32 = entry.iter().map(|&byte| u32::from(byte)).sum();
    entry[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    entry.extend(content);
    entry.resize(entry.len().next_multiple_of(BLOCK), 0);
    entry
}
