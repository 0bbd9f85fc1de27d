//! Why an image cannot be baked.

use crate::agent::AGENT_PATH;

/// What is wrong with an archive of an image. Paths are those of the archive and may hold anything.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// There is no tar header where one must be.
    #[error("has no tar header at byte {0}")]
    NoHeader(u64),
    /// An entry is longer than the rest of the archive.
    #[error("is cut short in {0:?}")]
    CutShort(String),
    /// An entry, or what it links to, lies outside of the archive.
    #[error("names {0:?}, which is outside of it")]
    Escapes(String),
    /// There are more entries than any image needs.
    #[error("has more than {0} entries")]
    TooManyEntries(usize),
    /// What has to be read as a whole is longer than any real one.
    #[error("has {path:?} with more than {limit_bytes} bytes")]
    TooLong {
        /// Which entry.
        path: String,
        /// The most that is read.
        limit_bytes: u64,
    },
    /// Something is named and not there.
    #[error("lacks {0:?}")]
    Missing(String),
    /// Something is named and is no file, also at the end of its links.
    #[error("has {0:?}, which is no file")]
    NotAFile(String),
    /// What should be JSON of a certain form is not.
    #[error("has {path:?}, which cannot be understood: {why}")]
    Json {
        /// Which entry.
        path: String,
        /// In which way.
        why: String,
    },
    /// It holds not exactly one image.
    #[error("holds {0} images, not one")]
    NotOneImage(usize),
    /// The configuration and the manifest disagree.
    #[error("has {layers} layers for the {diff_ids} that the configuration names")]
    LayerCount {
        /// In the manifest.
        layers: usize,
        /// In the configuration.
        diff_ids: usize,
    },
}

/// Why an image is not baked, and what to do instead.
#[derive(Debug, thiserror::Error)]
pub enum BakeError {
    /// The archive of the image is broken.
    #[error(
        "the Engine's archive of the image {0}; the image may be damaged: pull or build it again"
    )]
    Archive(#[source] ArchiveError),
    /// Containers of this image have no Linux.
    #[error("it is an image for {0:?}; the agent runs on Linux only")]
    System(String),
    /// The agent cannot run on the image's processor.
    #[error(
        "the image is made for {image:?} and the agent for {agent}; bake it on a host with that processor"
    )]
    Architecture {
        /// The image's, in Docker's words.
        image: String,
        /// The agent's.
        agent: &'static str,
    },
    /// The image starts an init that has to be pid 1.
    #[error(
        "it starts {0:?}, an init that has to be process 1 itself; leave the image as it is: diogenes serve attaches to its containers as they run"
    )]
    OwnInit(String),
    /// Something was built on top of a baked image.
    #[error(
        "it was built on an image that was baked before, and {AGENT_PATH} cannot be taken out from below; bake the image it was built on anew, or build it on the plain one and bake the result"
    )]
    BuiltOnBaked,
    /// A directory that the layer needs is something else in the image.
    #[error(
        "it has {path:?} as a {kind}, where the agent needs a directory; leave the image as it is: diogenes serve attaches to its containers as they run"
    )]
    NoDirectory {
        /// The directory's path.
        path: &'static str,
        /// What is there.
        kind: &'static str,
    },
}

impl From<ArchiveError> for BakeError {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}
