//! `diogenes-agent init`: reads what is asked of the first process, and leaves the rest to [`diogenes_linux::init`].
//!
//! Its options are read by hand: what follows the first word that is none belongs to the application, untouched, and this
//! process is to hold no more memory than it needs.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;
use std::str::FromStr;

use diogenes_linux::init::{LAST_SIGNAL, Order};

/// Runs until the application ends.
pub(crate) fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let why = match order(args) {
        Ok(None) => return crate::client::print(crate::HELP),
        Ok(Some(order)) => match diogenes_linux::init::run(&order) {
            Ok(code) => return ExitCode::from(code),
            Err(errno) => {
                eprintln!("diogenes-agent: the application cannot be started: {errno}");
                return ExitCode::FAILURE;
            }
        },
        Err(why) => why,
    };
    crate::misused(&why)
}

/// None where help was asked for.
fn order(mut args: impl Iterator<Item = OsString>) -> Result<Option<Order>, String> {
    let mut order = Order::new(Vec::new());
    while let Some(word) = args.next() {
        let option = word.to_str().filter(|word| word.starts_with('-'));
        match option.unwrap_or_default() {
            "" => {
                order.command.push(word);
                break;
            }
            "--" => break,
            "-h" | "--help" => return Ok(None),
            "-g" | "--group" => order.to_group = true,
            "--no-companion" => order.companion = false,
            "-e" => order
                .successes
                .push(number(args.next().as_deref(), u8::MAX)?),
            "-p" => order.parent_death = Some(number(args.next().as_deref(), LAST_SIGNAL)?),
            "-r" => {
                let pair = args.next().unwrap_or_default();
                let (from, to) = pair
                    .to_str()
                    .and_then(|pair| pair.split_once(':'))
                    .ok_or("-r needs two signals: for example 15:3")?;
                let from: u8 = number(Some(from.as_ref()), LAST_SIGNAL)?;
                order.rewrite[usize::from(from)] = number(Some(to.as_ref()), LAST_SIGNAL)?;
            }
            other => return Err(format!("init has no option {other}")),
        }
    }
    order.command.extend(args);
    if order.command.is_empty() {
        return Err("init of what? For example: diogenes-agent init -- redis-server".to_owned());
    }
    Ok(Some(order))
}

fn number(word: Option<&OsStr>, limit: u8) -> Result<u8, String> {
    word.and_then(OsStr::to_str)
        .and_then(|word| u8::from_str(word).ok())
        .filter(|&number| number <= limit)
        .ok_or_else(|| format!("-e, -p and -r take numbers up to {limit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Order>, String> {
        order(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn options_end_where_the_application_begins() {
        for (line, to_group, companion) in [
            ("sleep -g 1", false, true),
            ("-- sleep -g 1", false, true),
            ("-g -- sleep -g 1", true, true),
            ("--no-companion --group sleep -g 1", true, false),
        ] {
            let order = parsed(line).expect(line).expect(line);
            assert_eq!(order.command, ["sleep", "-g", "1"], "{line}");
            assert_eq!(
                (order.to_group, order.companion),
                (to_group, companion),
                "{line}"
            );
        }
        let dashes = parsed("-- -x").expect("an order").expect("an order");
        assert_eq!(dashes.command, ["-x"]);
    }

    #[test]
    fn signals_are_rewritten_and_codes_forgiven_by_number() {
        let order = parsed("-r 15:3 -r 10:0 -e 143 -e 1 -p 9 true");
        let order = order.expect("an order").expect("an order");
        assert_eq!(
            (order.rewrite[15], order.rewrite[10], order.rewrite[1]),
            (3, 0, 1)
        );
        assert_eq!(
            (order.successes, order.parent_death),
            (vec![143, 1], Some(9))
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "",
            "--",
            "-g",
            "-x true",
            "-r 15 true",
            "-r 65:1 true",
            "-e 256 true",
            "-p",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
        assert!(parsed("--help").expect("help").is_none());
    }
}
