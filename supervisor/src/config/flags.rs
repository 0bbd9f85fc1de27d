//! The flags of the configuration keys, made from the table.
//!
//! Their defaults and variables are told in the help but not left to clap: it would end at the first wrong one, and
//! could not say which file a value comes from.

use clap::{Arg, ArgMatches, Command};

use super::given::{Given, Givens, Source};
use super::{Key, keys};

/// What was given on the command line: for the keys that every command takes, or for all others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags<const EVERYWHERE: bool>(Vec<(&'static Key, String)>);

impl<const EVERYWHERE: bool> Flags<EVERYWHERE> {
    fn keys() -> impl Iterator<Item = &'static Key> {
        keys().filter(|key| key.everywhere == EVERYWHERE)
    }

    /// Notes what was given.
    pub(crate) fn note(&self, givens: &mut Givens) {
        for (key, text) in &self.0 {
            let name = format!("--{}", key.flag());
            let source = Source::Flag { name };
            givens.note(
                key,
                Given {
                    words: key.words(text),
                    source,
                },
            );
        }
    }
}

fn arg(key: &'static Key) -> Arg {
    let read = move |text: &str| (key.check)(&key.words(text)).map(|()| text.to_owned());
    Arg::new(key.path())
        .long(key.flag())
        .visible_aliases(key.short)
        .value_name(key.value)
        .value_parser(read)
        .global(key.everywhere)
        .help(key.usage())
}

impl<const EVERYWHERE: bool> clap::FromArgMatches for Flags<EVERYWHERE> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given =
            |key: &'static Key| Some((key, matches.get_one::<String>(&key.path())?.clone()));
        Ok(Self(Self::keys().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<const EVERYWHERE: bool> clap::Args for Flags<EVERYWHERE> {
    fn augment_args(command: Command) -> Command {
        command.args(Self::keys().map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
