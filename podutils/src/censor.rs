//! A streaming masker: every byte of every occurrence of a secret becomes `X`.
//!
//! It knows bytes and nothing of files, so it serves logs, artifacts and live views alike. The
//! length never changes. Where secrets overlap, all of what they cover is masked, so no tail of
//! a longer one is left beside a shorter one.
//!
//! ```text
//! a secret's bytes ──variants──► its shapes ──Needles──► pieces, sorted ──Stream──► masked text
//! ```

mod needles;
mod stream;
mod variants;

use std::sync::Arc;

use serde_json::Value;

use needles::NeedleSet;

pub use needles::SecretsTooLarge;
pub use stream::CensorStream;
pub use variants::{is_too_short, secret_variants};

/// What takes the place of each masked byte.
pub const MASK: u8 = b'X';

/// The secrets, ready to be looked for. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Censor {
    /// `None` if there is nothing to hide.
    needles: Option<Arc<NeedleSet>>,
}

impl Censor {
    /// Hides exactly these byte strings; empty ones are skipped. See [`secret_variants()`] for the other
    /// shapes in which a secret shows up.
    ///
    /// Of those longer than 128 bytes, pieces of 64 bytes are hidden wherever they occur.
    pub fn new<S: AsRef<[u8]>>(
        secrets: impl IntoIterator<Item = S>,
    ) -> Result<Self, SecretsTooLarge> {
        let needles = NeedleSet::new(secrets)?;
        Ok(Self {
            needles: (!needles.is_empty()).then(|| Arc::new(needles)),
        })
    }

    /// Whether there is nothing to hide, so that a pass can be spared.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.needles.is_none()
    }

    /// Begins a stream of bytes.
    #[must_use]
    pub fn start_stream(&self) -> CensorStream {
        CensorStream::new(self.needles.clone())
    }

    /// Masks bytes that are all there.
    #[must_use]
    pub fn mask_bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
        let mut stream = self.start_stream();
        let mut out = stream.push(bytes);
        out.append(&mut stream.finish());
        out
    }

    /// Masks a text. What is not ASCII may come out as a replacement character if it is masked.
    #[must_use]
    pub fn mask_text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.mask_bytes(text.as_bytes().to_vec())).into_owned()
    }

    /// Masks every string of a JSON value, the names of fields too, as it reads once it is
    /// decoded. Of two names that are the same then, the last one's value stays.
    #[must_use]
    pub fn mask_json(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.mask_text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.mask_json(item)).collect(),
            Value::Object(fields) => fields
                .into_iter()
                .map(|(name, value)| (self.mask_text(&name), self.mask_json(value)))
                .collect(),
            // A secret may be a number, as a pin is.
            Value::Number(number) => {
                let text = number.to_string();
                let masked = self.mask_text(&text);
                if masked == text {
                    Value::Number(number)
                } else {
                    Value::String(masked)
                }
            }
            Value::Null | Value::Bool(_) => value,
        }
    }
}

#[cfg(test)]
mod tests;
