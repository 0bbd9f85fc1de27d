//! The words an enum knows, as serde knows them: so that no list of them can fall behind the enum.

use std::fmt;

use diogenes_proto::line::Body;
use diogenes_proto::{Message, Request};
use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

/// Carries the words out of a decoder in place of an error.
#[derive(Debug)]
enum Told {
    Words(&'static [&'static str]),
    Else(String),
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(words) => write!(f, "known are {}", words.join(", ")),
            Self::Else(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Told {}

impl serde::de::Error for Told {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Else(message.to_string())
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::Words(expected)
    }
}

struct Asked;

impl<'de> Deserializer<'de> for Asked {
    type Error = Told;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Told> {
        Err(Told::Else("this is no enum of words".into()))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Told> {
        Err(Told::Words(words))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The words of an enum that travels as a string.
pub(crate) fn words<T: DeserializeOwned>() -> &'static [&'static str] {
    match T::deserialize(Asked) {
        Err(Told::Words(words)) => words,
        Err(told) => panic!("{told}"),
        Ok(_) => panic!("decoded from nothing"),
    }
}

/// The tags of an enum that travels as an object with a `type`.
fn tags<T: DeserializeOwned>() -> &'static [&'static str] {
    let object = MapDeserializer::<_, Told>::new([("type", "no such type")].into_iter());
    match T::deserialize(object) {
        Err(Told::Words(words)) => words,
        Err(told) => panic!("{told}"),
        Ok(_) => panic!("decoded a type that does not exist"),
    }
}

#[test]
fn types_are_in_step_with_the_enums() {
    assert_eq!(tags::<Request>(), <Request as Body>::TYPES);
    assert_eq!(tags::<Message>(), <Message as Body>::TYPES);
}
