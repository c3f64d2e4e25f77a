//! What strangers wrote, as it may stand in a sink of ours: one function per sink.
//!
//! | sink | function |
//! |---|---|
//! | comments, check runs | [`code`], [`code_cell`] within a table's row, [`fence`] for lines |
//! | the same, where code will not do: an operator's template, a name that Prow reads back | [`markdown`] |
//! | HTML within Markdown | [`html`] |
//! | the target of a Markdown link | [`target`] |
//! | whom a comment is for | [`login`] |
//! | Slack | [`slack`] |
//! | titles, descriptions: shown as they are, on one line | [`plain`] |
//! | terminals | [`terminal`], [`terminal_lines`]; [`json`] for a log of JSON |
//!
//! What comes out notifies nobody, links to nothing, ends nothing around it and hides nothing. Every
//! function takes a limit in characters of the text; `…` stands for what was cut. One character
//! becomes at most [`MAX_GROWTH`] bytes.

mod hidden;
mod links;
mod markdown;
mod slack;
mod terminal;

pub use hidden::{is_hidden, plain};
pub use links::{login, target};
pub use markdown::{code, code_cell, fence, html, markdown};
pub use slack::slack;
pub use terminal::{json, terminal, terminal_lines};

/// Bytes that one character of a text can become, `\u{e0fff}` as an entity.
pub const MAX_GROWTH: usize = 14;

#[cfg(test)]
mod tests;
