//! A streaming masker: every byte of every occurrence of a secret becomes `X`.
//!
//! It knows bytes and nothing of files, so it serves logs, artifacts and live views alike. The
//! length never changes. Where secrets overlap, all that they cover is masked, so that no end of a
//! longer secret stays visible behind a shorter one.
//!
//! ```text
//! secret ──secret_variants──► variants ──NeedleSet──► sorted pieces ──CensorStream──► masked text
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

/// The byte that replaces each masked byte.
pub const MASK: u8 = b'X';

/// A set of secrets to mask. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Censor {
    /// `None` if there is nothing to mask.
    needles: Option<Arc<NeedleSet>>,
}

impl Censor {
    /// Masks exactly these byte strings; empty ones are skipped. [`secret_variants()`] gives the
    /// other forms in which a secret is printed.
    ///
    /// Strings longer than 128 bytes are cut into pieces of 64 bytes, masked wherever they occur.
    pub fn new<S: AsRef<[u8]>>(
        secrets: impl IntoIterator<Item = S>,
    ) -> Result<Self, SecretsTooLarge> {
        let needles = NeedleSet::new(secrets)?;
        Ok(Self {
            needles: (!needles.is_empty()).then(|| Arc::new(needles)),
        })
    }

    /// Whether there is nothing to mask, so that callers can skip the work.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.needles.is_none()
    }

    /// Starts to mask a stream of bytes.
    #[must_use]
    pub fn start_stream(&self) -> CensorStream {
        CensorStream::new(self.needles.clone())
    }

    /// Masks a complete byte string.
    #[must_use]
    pub fn mask_bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
        let mut stream = self.start_stream();
        let mut out = stream.push(bytes);
        out.append(&mut stream.finish());
        out
    }

    /// Masks a text. A character of several bytes that is masked in part becomes U+FFFD.
    #[must_use]
    pub fn mask_text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.mask_bytes(text.as_bytes().to_vec())).into_owned()
    }

    /// Masks every decoded string of a JSON value, names of fields included. If two names become
    /// the same, the last one's value stays.
    #[must_use]
    pub fn mask_json(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.mask_text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.mask_json(item)).collect(),
            Value::Object(fields) => fields
                .into_iter()
                .map(|(name, value)| (self.mask_text(&name), self.mask_json(value)))
                .collect(),
            // A secret may be a number, such as a PIN.
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
