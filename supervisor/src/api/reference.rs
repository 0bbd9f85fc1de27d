//! What `REFERENCE.md` says of this interface, made from its operations.

use std::fmt::Write as _;

use crate::api::operation::Operation;
use crate::api::operations;
use crate::api::problem::Code;

/// All operations, and all kinds of problem.
pub(crate) fn text() -> String {
    let mut text = String::from("| operation | query | what it is |\n| --- | --- | --- |\n");
    for operation in operations() {
        let query: Vec<_> = operation
            .parameters()
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        let Operation {
            method,
            path,
            summary,
            acts,
            ..
        } = operation;
        let note = if acts {
            "; over TCP with a token only"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "| `{method} {path}` | {} | {summary}{note} |",
            query.join(" ")
        );
    }
    text += "\nThe kinds of problem:\n\n| status | `code` | when |\n| --- | --- | --- |\n";
    for code in Code::ALL {
        let _ = writeln!(
            text,
            "| {} | `{}` | {} |",
            code.status().as_u16(),
            code.as_str(),
            code.meaning()
        );
    }
    text
}
