//! One configuration key: what the table in [`config`](super) says of it, and what follows from that.
//!
//! Flag, variable and place in the file are made from the section and the name, so that nobody has to look them up:
//! `alerts.webhook` is `--alerts-webhook`, `DIOGENES_ALERTS_WEBHOOK`, and `webhook` under `[alerts]`.

use super::value::Shape;

/// The beginning of every variable.
pub(crate) const PREFIX: &str = "DIOGENES_";

/// When a changed value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// At the next SIGHUP.
    Reload,
    /// Only at the next start.
    Restart,
}

/// A key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// Its table in the file; empty for those before any table.
    pub(crate) section: &'static str,
    /// Its name in the file.
    pub(crate) name: &'static str,
    /// What it is for: the text of the help, the reference and the sample.
    pub(crate) help: &'static str,
    /// How it looks in a file.
    pub(crate) shape: Shape,
    /// Reads words and says what is wrong with them.
    pub(crate) check: fn(&[String]) -> Result<(), String>,
    /// A word as it may be shown to anybody.
    pub(crate) shown: fn(&str) -> String,
    /// What stands for its value in the help: `ADDR`, `FILE`.
    pub(crate) value: &'static str,
    /// The value where none is given; None where it then does without.
    pub(crate) default: Option<&'static str>,
    /// What being without means, in words; empty where there is a default.
    pub(crate) without: &'static str,
    /// An example for the sample file, as words.
    pub(crate) example: &'static str,
    /// A shorter flag that means the same.
    pub(crate) short: Option<&'static str>,
    /// Another program's variable that is looked at after our own.
    pub(crate) borrowed: Option<&'static str>,
    /// When a changed value counts.
    pub(crate) takes: Takes,
    /// Whether clients need it too: its flag then stands with every command.
    pub(crate) everywhere: bool,
}

impl Key {
    /// What the table's entries start from: a key that takes a restart.
    pub(crate) const RESTART: Self = Self {
        section: "",
        name: "",
        help: "",
        shape: Shape::Text,
        check: |_| Ok(()),
        shown: str::to_owned,
        value: "",
        default: None,
        without: "",
        example: "",
        short: None,
        borrowed: None,
        takes: Takes::Restart,
        everywhere: false,
    };

    /// What the table's entries start from: a key that SIGHUP changes.
    pub(crate) const RELOAD: Self = Self {
        takes: Takes::Reload,
        ..Self::RESTART
    };

    /// Its full name: `listen`, `alerts.webhook`.
    pub(crate) fn path(&self) -> String {
        match self.section {
            "" => self.name.to_owned(),
            section => format!("{section}.{}", self.name),
        }
    }

    /// Its flag without the dashes.
    pub(crate) fn flag(&self) -> String {
        self.path().replace(['.', '_'], "-")
    }

    /// Its variable.
    pub(crate) fn variable(&self) -> String {
        PREFIX.to_owned() + &self.path().replace('.', "_").to_uppercase()
    }

    /// Its help for the command line: what it is for, its variables, its default.
    pub(crate) fn usage(&self) -> String {
        let variables = std::iter::once(self.variable()).chain(self.borrowed.map(str::to_owned));
        let variables = variables.collect::<Vec<_>>().join(", ");
        let default = self.default.unwrap_or(self.without);
        format!(
            "{} [env: {variables}] [default: {default}]",
            self.help.trim()
        )
    }

    /// A text from a flag, a variable or the table as the words of a value.
    pub(crate) fn words(&self, text: &str) -> Vec<String> {
        match self.shape {
            Shape::Text | Shape::Switch => vec![text.to_owned()],
            Shape::List => text.split_whitespace().map(str::to_owned).collect(),
        }
    }
}

/// Declares one section of the configuration: a struct with a field for each key, and the table of the keys.
///
/// A field's documentation is the key's help, its type says how the value is read.
macro_rules! section {
    (
        $(#[$about:meta])*
        struct $Section:ident = $section:literal {
            $( $(#[doc = $help:literal])+ $name:ident: $Type:ty = $key:expr; )+
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug)]
        pub(crate) struct $Section {
            $( $(#[doc = $help])+ pub(crate) $name: $Type, )+
        }

        impl $Section {
            /// Its keys, as they stand above.
            pub(crate) const KEYS: &[$crate::config::key::Key] = &[$( $crate::config::key::Key {
                section: $section,
                name: stringify!($name),
                help: concat!($($help),+),
                shape: <$Type as $crate::config::value::Value>::SHAPE,
                check: |words| <$Type as $crate::config::value::Value>::read(words).map(drop),
                shown: <$Type as $crate::config::value::Value>::shown,
                ..$key
            } ),+];

            /// Reads every value that was given; what is wrong goes to `mistakes`, and then there is no result.
            fn read(
                givens: &$crate::config::given::Givens,
                mistakes: &mut Vec<$crate::config::given::Mistake>,
            ) -> Option<Self> {
                let mut keys = Self::KEYS.iter();
                $( let $name = keys.next().and_then(|key| givens.read::<$Type>(key, mistakes)); )+
                Some(Self { $( $name: $name?, )+ })
            }
        }
    };
}

pub(crate) use section;
