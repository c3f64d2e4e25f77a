//! Go's `text/template`, as configuration files use it: over a `ProwJob`, or over plain data.
//!
//! The `gotmpl` crate parses and runs templates. It has values but no Go structs, so this module
//! adds them: fields have Go's names ([`values`]), and an unknown field is an error, as is a field
//! of a nil pointer ([`rewrite`]). It also checks that blocks close ([`blocks`]). Operators write
//! templates; what strangers write is only ever data. Even so no template can hang: text, values,
//! output, loops and nesting have limits.
//!
//! Not here: which template is used when, and `html/template`.

use std::{fmt, sync::Arc};

use serde::Serialize;

use crate::prowjob::ProwJob;

mod blocks;
mod functions;
mod go_structs;
mod rewrite;
mod samples;
mod values;

/// Maximum size of a template, in bytes.
const MAX_TEXT: usize = 32 << 10;
/// Maximum size of the text that a function may return, in bytes.
const MAX_VALUE: usize = 16 << 10;
/// Maximum size of the rendered text, in bytes. GitHub takes 65,536 characters in a comment.
const MAX_OUTPUT: usize = 256 << 10;
/// Maximum number of iterations of all `range` loops of one rendering together.
const MAX_TURNS: u64 = 4_000;
/// The name of the outermost template; no `define` can use it.
const MAIN_TEMPLATE: &str = "\0";

/// A parsed template. Cheap to clone.
#[derive(Clone)]
pub struct GoTemplate {
    parsed: Arc<gotmpl::Template>,
}

/// Why a template is refused, or cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoTemplateError {
    /// From 1 in the template's own text; 0 if no position is known.
    pub line: usize,
    /// From 1, in characters; 0 if the line is.
    pub column: usize,
    pub message: String,
}

impl std::error::Error for GoTemplateError {}

impl fmt::Display for GoTemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return f.write_str(&self.message);
        }
        write!(
            f,
            "line {}, column {}: {}",
            self.line, self.column, self.message
        )
    }
}

impl GoTemplate {
    /// Parses a template; an error has its position in `text`.
    pub fn parse_template(text: &str) -> Result<Self, GoTemplateError> {
        Self::parse_with_functions(text, &[])
    }

    /// As [`GoTemplate::parse_template`], for a template that also calls functions that do not
    /// exist here: it can be parsed, but not rendered.
    pub fn parse_with_functions(text: &str, also: &[&str]) -> Result<Self, GoTemplateError> {
        if text.len() > MAX_TEXT {
            return Err(GoTemplateError {
                line: 1,
                column: 1,
                message: format!(
                    "a template of {} bytes is longer than {MAX_TEXT}",
                    text.len()
                ),
            });
        }
        blocks::check_blocks(text)?;
        let (main, named) = gotmpl::parse::Parser::new(text, "{{", "}}")
            .and_then(gotmpl::parse::Parser::parse)
            .map_err(|error| GoTemplateError::with_known_place(GoTemplateError::from(error)))?;
        let mut parsed = functions::register_functions(gotmpl::Template::new(MAIN_TEMPLATE))
            .max_range_iters(MAX_TURNS);
        for (name, tree) in rewrite::rewrite_templates(text, main, named, also)? {
            parsed = parsed.add_parse_tree(&name, tree);
        }
        Ok(Self {
            parsed: Arc::new(parsed),
        })
    }

    /// Parses a template over a `ProwJob` and renders it for one of each type, so that a misspelt
    /// field is found at once.
    pub fn parse_for_jobs(text: &str) -> Result<Self, GoTemplateError> {
        let template = Self::parse_template(text)?;
        for job in samples::sample_jobs() {
            template.render_job(&job)?;
        }
        Ok(template)
    }

    /// Renders the template for a job. Fields have their Go names, `.Spec.Refs.Org` or `.Name`.
    pub fn render_job(&self, job: &ProwJob) -> Result<String, GoTemplateError> {
        self.execute_template(&values::job_value(job))
    }

    /// As [`GoTemplate::render_job`], with each of the job's texts replaced by `write` of its
    /// field's JSON name and the text: for a sink in which text could be more than text.
    pub fn render_job_as(
        &self,
        job: &ProwJob,
        write: impl Fn(&str, &str) -> String,
    ) -> Result<String, GoTemplateError> {
        self.execute_template(&values::escaped_job_value(job, &write))
    }

    /// Renders the template for plain data; objects are structs, keys are Go's field names.
    pub fn render_data(&self, data: &impl Serialize) -> Result<String, GoTemplateError> {
        let data = serde_json::to_value(data)
            .map_err(|error| GoTemplateError::from_message(error.to_string()))?;
        self.execute_template(&values::data_value(&data))
    }

    fn execute_template(&self, data: &gotmpl::Value) -> Result<String, GoTemplateError> {
        let mut output = BoundedOutput::default();
        match self
            .parsed
            .execute_template_fmt(&mut output, MAIN_TEMPLATE, data)
        {
            Ok(()) => Ok(output.text),
            Err(_) if output.full => Err(GoTemplateError::from_message(format!(
                "the rendered text is longer than {MAX_OUTPUT} bytes"
            ))),
            Err(error) => Err(error.into()),
        }
    }
}

impl fmt::Debug for GoTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").finish_non_exhaustive()
    }
}

impl GoTemplateError {
    fn from_message(message: String) -> Self {
        Self {
            line: 0,
            column: 0,
            message,
        }
    }

    /// A parse error always has a position.
    fn with_known_place(self) -> Self {
        Self {
            line: self.line.max(1),
            column: self.column.max(1),
            message: self.message,
        }
    }
}

impl From<gotmpl::TemplateError> for GoTemplateError {
    fn from(error: gotmpl::TemplateError) -> Self {
        use gotmpl::TemplateError as E;
        match error {
            E::Parse {
                line, col, message, ..
            }
            | E::Lex {
                line, col, message, ..
            } => Self {
                line,
                column: col,
                message,
            },
            E::Exec(message) => Self::from_message(message),
            other => Self::from_message(other.to_string()),
        }
    }
}

/// Line and column, from 1, of a byte of `text`.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line = before.matches('\n').count() + 1;
    let last = before.rsplit('\n').next().unwrap_or_default();
    (line, last.chars().count() + 1)
}

/// The output so far, up to [`MAX_OUTPUT`].
#[derive(Default)]
struct BoundedOutput {
    text: String,
    full: bool,
}

impl fmt::Write for BoundedOutput {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.full |= self.text.len() + text.len() > MAX_OUTPUT;
        if self.full {
            return Err(fmt::Error);
        }
        self.text.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
