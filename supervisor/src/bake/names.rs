//! Names of images, as people give them and as the Engine has them.
//! Source: distribution/reference, the grammar in the header of `reference.go`.

use std::fmt;
use std::str::FromStr;

use diogenes_engine::Image;

use crate::exit::Failure;
use crate::registry::names::nearest;

/// What the Engine leaves away from the names of its home registry, longest first.
const HOME: [&str; 2] = ["docker.io/library/", "docker.io/"];
/// Longest name without its tag.
const MAX_NAME_CHARS: usize = 255;
/// Longest tag.
const MAX_TAG_CHARS: usize = 128;

/// A name that an image can be given, with its tag, in the Engine's own form: `shop:latest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewName(String);

impl fmt::Display for NewName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for NewName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = familiar(text);
        let (path, tag) = name.rsplit_once(':').unwrap_or((&name, ""));
        let mut parts: Vec<&str> = path.split('/').collect();
        // The first part is a registry's host where it looks like one.
        let is_host = parts.len() > 1 && (parts[0].contains(['.', ':']) || parts[0] == "localhost");
        if is_host && !is_host_name(parts.remove(0)) || !parts.iter().all(|part| is_part(part)) {
            return Err(
                "a name of an image has small letters, digits and single . _ - between them, in parts separated by /, and may end with :TAG"
                    .to_owned(),
            );
        }
        if !is_tag(tag) || path.len() > MAX_NAME_CHARS {
            return Err(format!(
                "a tag has letters, digits and . _ -, at most {MAX_TAG_CHARS} of them and no . or - first; a name is at most {MAX_NAME_CHARS} characters long"
            ));
        }
        Ok(Self(name))
    }
}

/// A name as the Engine's lists have it: with a tag, and without the home registry.
fn familiar(name: &str) -> String {
    let home = HOME.iter().find_map(|home| name.strip_prefix(home));
    let name = home.unwrap_or(name);
    let last = name.rsplit('/').next().unwrap_or_default();
    if last.contains([':', '@']) {
        name.to_owned()
    } else {
        format!("{name}:latest")
    }
}

fn is_host_name(host: &str) -> bool {
    let (name, port) = host.split_once(':').unwrap_or((host, "0"));
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.split('.').all(is_label) && port.parse::<u16>().is_ok()
}

/// Small letters and digits, with `.`, `_`, `__` or hyphens between them.
fn is_part(part: &str) -> bool {
    let words = part.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit()));
    let is_sound = part
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte));
    let ends = [words.clone().next(), words.clone().next_back()];
    let is_single = !part.contains("..") && !part.contains("___") && {
        let separators = part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        separators
            .filter(|separator| separator.len() > 1)
            .all(|separator| separator == "__" || separator.bytes().all(|byte| byte == b'-'))
    };
    is_sound
        && is_single
        && ends
            .iter()
            .all(|end| end.is_some_and(|word| !word.is_empty()))
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=MAX_TAG_CHARS).contains(&tag.len())
        && tag.bytes().next().is_some_and(is_word)
        && tag
            .bytes()
            .all(|byte| is_word(byte) || b".-".contains(&byte))
}

/// The image of a name, or of the beginning of an id. As for Docker, a name goes before an id.
///
/// # Errors
/// A [`Failure`] with the names most like it.
pub(super) fn find(images: &[Image], wanted: &str) -> Result<Image, Failure> {
    let name = familiar(wanted);
    if let Some(image) = images.iter().find(|image| image.names.contains(&name)) {
        return Ok(image.clone());
    }
    let digits = wanted.strip_prefix("sha256:").unwrap_or(wanted);
    let is_id = |image: &&Image| {
        let id = image.id.strip_prefix("sha256:").unwrap_or(&image.id);
        !digits.is_empty() && id.starts_with(digits)
    };
    let by_id: Vec<_> = images.iter().filter(is_id).collect();
    match by_id.as_slice() {
        [image] => Ok((*image).clone()),
        [] => {
            // Most names differ in nothing but their ends, and a tag that was left out is no likeness.
            let names = images.iter().flat_map(|image| &image.names);
            let near = nearest(names.map(|name| name.trim_end_matches(":latest")), wanted);
            let advice = if near.is_empty() {
                "docker images shows those there are".to_owned()
            } else {
                format!("did you mean {}?", near.join(", "))
            };
            Err(Failure::failed(format!(
                "the Engine has no image {wanted}; {advice}"
            )))
        }
        _ => Err(Failure::failed(format!(
            "{} images have ids that begin with {digits}; give more of it",
            by_id.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(digit: char, names: &[&str]) -> Image {
        Image {
            id: format!("sha256:{}", digit.to_string().repeat(64)),
            names: names.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    #[test]
    fn a_new_name_is_one_the_engine_takes() {
        for (text, name) in [
            ("shop", "shop:latest"),
            ("docker.io/library/shop:1", "shop:1"),
            ("docker.io/ann/shop", "ann/shop:latest"),
            (
                "localhost:5000/a/b__c-d.e:V_1",
                "localhost:5000/a/b__c-d.e:V_1",
            ),
            ("Registry.example/a--b", "Registry.example/a--b:latest"),
        ] {
            assert_eq!(text.parse(), Ok(NewName(name.to_owned())), "{text}");
        }
        let long = "x".repeat(256);
        for text in [
            "",
            ":1",
            "Shop",
            "a/",
            "/a",
            "a//b",
            "a:",
            "a:-1",
            "a@sha256:0",
            "a b",
            "a/../b",
            "-a",
            "a_.b",
            "a..b",
            "a___b",
            "host.example:x/a",
            "a:b:c",
            &long,
            &format!("a:{long}"),
        ] {
            assert!(text.parse::<NewName>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_image_is_found_as_docker_finds_it() {
        let images = [
            image('a', &["redis:7", "cache:latest"]),
            image('b', &["abc:latest", "shop@sha256:00"]),
            image('c', &[]),
        ];
        for (wanted, digit) in [
            ("redis:7", 'a'),
            ("cache", 'a'),
            ("docker.io/library/cache:latest", 'a'),
            ("abc", 'b'),
            ("shop@sha256:00", 'b'),
            ("cc", 'c'),
            ("sha256:bb", 'b'),
        ] {
            let found = find(&images, wanted).unwrap();
            assert_eq!(
                found,
                find(&images, &digit.to_string().repeat(64)).unwrap(),
                "{wanted}"
            );
        }
        let told = |wanted| find(&images, wanted).unwrap_err().message;
        assert_eq!(
            told("cachee"),
            "the Engine has no image cachee; did you mean cache?"
        );
        assert_eq!(
            told("zzz"),
            "the Engine has no image zzz; docker images shows those there are"
        );
        let twins = [image('d', &[]), image('d', &[])];
        let message = find(&twins, "d").unwrap_err().message;
        assert_eq!(
            message,
            "2 images have ids that begin with d; give more of it"
        );
    }
}
