//! MQTT 3.1.1: `CONNECT` with a clean session and no name, answered by a `CONNACK` of any code, and `DISCONNECT`.
//!
//! Servers of version 5 answer it too. Nothing is kept of a clean session. mosquitto 2.0 writes three lines about it of
//! level notice: "New connection", "New client connected", "disconnected". Source: MQTT 3.1.1 §3.1, §3.2, §3.14.

use crate::reply::{Answer, Reply};
use crate::script::{Reader, Script};

pub(crate) const SCRIPT: Script = Script {
    protocol: "mqtt",
    // Twelve bytes: the protocol's name and level 4, a clean session, ten seconds, an empty name.
    question: b"\x10\x0c\0\x04MQTT\x04\x02\0\x0a\0\0",
    asks: "CONNECT",
    reader: Reader::Parser(parse),
    farewell: |_| b"\xe0\0",
};

/// Reads a `CONNACK`.
pub(crate) fn parse(heard: &[u8]) -> Reply {
    match heard {
        [0x20, 2, 0, code @ 0..=5, ..] => match code {
            0 => Answer::alive("accepts CONNECT").into(),
            3 => Answer::failing("answers CONNECT: server unavailable").into(),
            4 | 5 => Answer::alive("answers CONNECT: authentication required").into(),
            _ => Answer::alive("answers CONNECT").into(),
        },
        [] | [0x20] | [0x20, 2] | [0x20, 2, 0] => Reply::Incomplete,
        _ => Reply::Stranger,
    }
}
