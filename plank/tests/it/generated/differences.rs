//! Where ours answers otherwise on purpose, each with its reason.

use serde_json::Value;

use super::Input;

pub(super) const REASONS: usize = 0;

/// Why ours differs from upstream's answer, `refused` or not.
pub(super) fn reason(
    _input: &Input,
    _ours: &Result<Value, String>,
    _refused: bool,
) -> Option<&'static str> {
    None
}
