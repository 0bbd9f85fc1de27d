//! FastCGI: `FCGI_GET_VALUES`, a question about the server itself, which runs no script.
//!
//! php-fpm 8.2 answers without a line in its log. Source: FastCGI specification §3.3, §4.1, §4.2.

use crate::reply::{Answer, Reply};
use crate::script::{Reader, Script};

pub(crate) const SCRIPT: Script = Script {
    protocol: "fastcgi",
    // Version 1, FCGI_GET_VALUES (9), no request, 17 bytes and 7 of padding: the name FCGI_MPXS_CONNS, no value.
    question: b"\x01\x09\0\0\0\x11\x07\0\x0f\0FCGI_MPXS_CONNS\0\0\0\0\0\0\0",
    asks: "FCGI_GET_VALUES",
    reader: Reader::Parser(parse),
    farewell: |_| b"",
};

/// Reads a record's header: `FCGI_GET_VALUES_RESULT`, or `FCGI_UNKNOWN_TYPE` of a server that knows no values.
pub(crate) fn parse(heard: &[u8]) -> Reply {
    match heard {
        [1, 10 | 11, 0, 0, ..] => Answer::alive("answers FCGI_GET_VALUES").into(),
        [] | [1] | [1, 10 | 11] | [1, 10 | 11, 0] => Reply::Incomplete,
        _ => Reply::Stranger,
    }
}
