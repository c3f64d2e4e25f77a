//! Formats an error with all its sources, as one line.

use std::error::Error;

/// The error's message and those of its sources, outermost first, joined by `: `. A source's
/// message that the text already contains is not repeated.
///
/// Many libraries keep the helpful detail (a name that does not resolve, a certificate, a refusal)
/// in the innermost source.
#[must_use]
pub fn format_error_chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Layer>>);

    impl fmt::Display for Layer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Layer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    fn layers(texts: &[&'static str]) -> Layer {
        let (first, rest) = texts.split_first().unwrap();
        let cause = (!rest.is_empty()).then(|| Box::new(layers(rest)));
        Layer(first, cause)
    }

    #[test]
    fn every_cause_is_told_once() {
        for (texts, expected) in [
            (&["broken"][..], "broken"),
            (
                &["cannot send", "connect", "refused"],
                "cannot send: connect: refused",
            ),
            (&["cannot send: refused", "refused"], "cannot send: refused"),
            (
                &["sending", "inner: deep", "deep", "deeper"],
                "sending: inner: deep: deeper",
            ),
        ] {
            assert_eq!(format_error_chain(&layers(texts)), expected);
        }
    }
}
