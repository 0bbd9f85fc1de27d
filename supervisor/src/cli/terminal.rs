//! What is known of where the output goes: whether a person looks at it, how wide it is, whether it has colours.

use std::io::IsTerminal;
use std::os::fd::AsFd;

use diogenes_proto::Health;

/// Where text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terminal {
    /// Columns; None where no line is too long, as in a file.
    pub(crate) width: Option<usize>,
    /// Whether colours are wanted.
    pub(crate) colour: bool,
    /// Whether a person looks at it.
    pub(crate) is_terminal: bool,
}

impl Terminal {
    /// The standard output.
    pub(crate) fn stdout() -> Self {
        Self::of(&std::io::stdout())
    }

    /// The standard error.
    pub(crate) fn stderr() -> Self {
        Self::of(&std::io::stderr())
    }

    fn of(stream: &(impl IsTerminal + AsFd)) -> Self {
        let is_terminal = stream.is_terminal();
        let size = rustix::termios::tcgetwinsize(stream)
            .ok()
            .map(|size| usize::from(size.ws_col));
        // no-color.org: any value but the empty one; and terminals that are none.
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            width: is_terminal.then(|| size.filter(|width| *width > 0).unwrap_or(80)),
            colour: is_terminal && !no_colour && !dumb,
            is_terminal,
        }
    }

    /// A text in the colour of a health.
    pub(crate) fn paint(self, text: &str, health: Health) -> String {
        let colour = match health {
            Health::Healthy => "32",
            Health::Starting => "36",
            Health::Degraded => "33",
            Health::Unhealthy => "31;1",
            Health::Unknown => "2",
        };
        if self.colour {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
