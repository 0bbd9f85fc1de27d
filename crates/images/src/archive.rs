//! An archive of one image, as `GET /images/ID/get` gives it.
//!
//! Engines write two shapes. Those up to 24 write a folder for each layer with a `layer.tar`, which is a symbolic link
//! where another layer is the same; later ones write an OCI layout, with everything below `blobs/`. Both have a
//! `manifest.json` that names configuration and layers, so nothing else has to be understood.
//! Source: Docker image specification v1.2, "Combined Image JSON + Filesystem Changeset Format".

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom, Take};

use serde::Deserialize;

use crate::ArchiveError;
use crate::tar::{Entries, Entry, Kind};

/// The entry that names all others.
pub(crate) const MANIFEST: &str = "manifest.json";

/// More entries no archive of one image has: an image has at most 127 layers, each with a few entries.
const MAX_ENTRIES: usize = 4096;
/// Longest manifest or configuration that is read. Real ones have a few kilobytes.
const MAX_JSON_BYTES: u64 = 4 << 20;
/// Longest chain of links that is followed.
const MAX_LINKS: usize = 8;

/// An image's archive: what is in it and where, its layers untouched.
#[derive(Debug)]
pub(crate) struct Archive<R> {
    file: R,
    /// The configuration as it is written there: its digest is the image's.
    pub(crate) config: Vec<u8>,
    /// The layers from the lowest up.
    pub(crate) layers: Vec<Span>,
}

/// Where a content is in the archive, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    offset: u64,
    pub(crate) size_bytes: u64,
}

/// One image of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    config: String,
    #[serde(default)]
    layers: Vec<String>,
}

/// The entries by their clean names. Of two with one name the last counts, as where an archive is unpacked.
struct Index(HashMap<String, Entry>);

impl<R: Read + Seek> Archive<R> {
    /// Reads what is where in an archive of exactly one image.
    ///
    /// # Errors
    /// [`ArchiveError`], whatever the bytes.
    pub(crate) fn open(mut file: R) -> Result<Self, ArchiveError> {
        let index = Index::of(&mut file)?;
        let manifest = read_json(&mut file, index.find(MANIFEST)?, MANIFEST)?;
        let images: Vec<Image> =
            serde_json::from_slice(&manifest).map_err(|error| ArchiveError::Json {
                path: MANIFEST.to_owned(),
                why: error.to_string(),
            })?;
        let [image] = images.as_slice() else {
            return Err(ArchiveError::NotOneImage(images.len()));
        };
        let config = read_json(&mut file, index.find(&image.config)?, &image.config)?;
        let layers = image.layers.iter().map(|path| index.find(path));
        Ok(Self {
            layers: layers.collect::<Result<_, _>>()?,
            config,
            file,
        })
    }

    /// The bytes of a content.
    pub(crate) fn read(&mut self, span: Span) -> io::Result<Take<&mut R>> {
        read(&mut self.file, span)
    }

    /// A content as a file of its own.
    pub(crate) fn window(&mut self, span: Span) -> Window<'_, R> {
        Window {
            file: &mut self.file,
            span,
            at: 0,
        }
    }
}

impl Index {
    fn of(file: &mut (impl Read + Seek)) -> Result<Self, ArchiveError> {
        let mut entries = HashMap::new();
        for (count, entry) in Entries::of(file)?.enumerate() {
            if count == MAX_ENTRIES {
                return Err(ArchiveError::TooManyEntries(MAX_ENTRIES));
            }
            let entry = entry?;
            entries.insert(clean("", &entry.name)?, entry);
        }
        Ok(Self(entries))
    }

    /// The file at a path, links followed.
    fn find(&self, path: &str) -> Result<Span, ArchiveError> {
        let mut name = clean("", path)?;
        for _ in 0..=MAX_LINKS {
            let entry = self.0.get(&name);
            let entry = entry.ok_or_else(|| ArchiveError::Missing(name.clone()))?;
            name = match &entry.kind {
                Kind::File => {
                    return Ok(Span {
                        offset: entry.offset,
                        size_bytes: entry.size_bytes,
                    });
                }
                Kind::SymbolicLink(target) => {
                    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                    clean(folder, target)?
                }
                Kind::HardLink(target) => clean("", target)?,
                Kind::Directory | Kind::Other => break,
            };
        }
        Err(ArchiveError::NotAFile(path.to_owned()))
    }
}

/// A path below a folder of the archive, without `.` and `..`.
fn clean(folder: &str, path: &str) -> Result<String, ArchiveError> {
    let escapes = || ArchiveError::Escapes(path.to_owned());
    if path.starts_with('/') {
        return Err(escapes());
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop().ok_or_else(escapes)?),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

fn read<R: Read + Seek>(file: &mut R, span: Span) -> io::Result<Take<&mut R>> {
    file.seek(SeekFrom::Start(span.offset))?;
    Ok(file.take(span.size_bytes))
}

fn read_json(
    file: &mut (impl Read + Seek),
    span: Span,
    path: &str,
) -> Result<Vec<u8>, ArchiveError> {
    if span.size_bytes > MAX_JSON_BYTES {
        return Err(ArchiveError::TooLong {
            path: path.to_owned(),
            limit_bytes: MAX_JSON_BYTES,
        });
    }
    let mut text = Vec::new();
    read(file, span)?.read_to_end(&mut text)?;
    Ok(text)
}

/// A part of a file that reads as if it were all of it.
#[derive(Debug)]
pub(crate) struct Window<'a, R> {
    file: &'a mut R,
    span: Span,
    /// Where to read next, from the part's beginning.
    at: u64,
}

impl<R: Read + Seek> Read for Window<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.span.size_bytes.saturating_sub(self.at);
        self.file
            .seek(SeekFrom::Start(self.span.offset + self.at))?;
        let length = Read::by_ref(self.file).take(rest).read(buffer)?;
        self.at += length as u64;
        Ok(length)
    }
}

impl<R> Seek for Window<'_, R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.span.size_bytes.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
