//! Escapes strangers' text for the place where it is shown, the sink: one function per sink.
//!
//! | sink | function |
//! |---|---|
//! | comments, check runs | [`escape_code_span`], or [`escape_code_block`] for lines |
//! | the same, within a table's row | [`escape_code_cell`] |
//! | the same, not as code: an operator's template, names Prow reads back | [`escape_markdown`] |
//! | HTML within Markdown | [`escape_html`] |
//! | the target of a Markdown link | [`escape_link_target`] |
//! | the login that a comment mentions | [`sanitize_login`] |
//! | Slack | [`escape_slack`] |
//! | titles, descriptions: shown as they are, on one line | [`escape_plain`] |
//! | terminals | [`escape_terminal`], [`escape_terminal_lines`]; [`escape_json`] for JSON logs |
//!
//! The result notifies nobody, links to nothing, ends nothing around it and hides nothing. Every
//! function but [`escape_json`] takes a limit in characters of the text. `…` stands for what was
//! cut; [`escape_link_target`] drops a longer URL, and [`sanitize_login`] cuts without a mark. One
//! character becomes at most [`MAX_GROWTH`] bytes.

mod hidden;
mod links;
mod markdown;
mod slack;
mod terminal;

pub use hidden::{escape_plain, is_hidden};
pub use links::{escape_link_target, sanitize_login};
pub use markdown::{
    escape_code_block, escape_code_cell, escape_code_span, escape_html, escape_markdown,
};
pub use slack::escape_slack;
pub use terminal::{escape_json, escape_terminal, escape_terminal_lines};

/// Maximum number of bytes that one character becomes: `\u{e0fff}` as an entity.
pub const MAX_GROWTH: usize = 14;

#[cfg(test)]
mod tests;
