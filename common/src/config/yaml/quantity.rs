//! Kubernetes quantities of memory, time and the like.

/// Whether the text is a quantity: a decimal number with a unit or an exponent.
pub(super) fn is_quantity(text: &str) -> bool {
    let number = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = number.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (digits, unit) = number.split_at(end.unwrap_or(number.len()));
    let is_number = digits.bytes().any(|byte| byte != b'.') && digits.matches('.').count() < 2;
    let units = [
        "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
    ];
    let is_exponent = unit.strip_prefix(['e', 'E']).is_some_and(|power| {
        let power = power.strip_prefix(['+', '-']).unwrap_or(power);
        !power.is_empty() && power.bytes().all(|byte| byte.is_ascii_digit())
    });
    is_number && (units.contains(&unit) || is_exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities() {
        for (text, valid) in [
            ("500m", true),
            ("0.5", true),
            (".5", true),
            ("4Gi", true),
            ("1e3", true),
            ("-1", true),
            ("12E", true),
            ("10Gb", false),
            ("4 Gi", false),
            ("Gi", false),
            ("1.2.3", false),
            ("", false),
        ] {
            assert_eq!(is_quantity(text), valid, "{text}");
        }
    }
}
