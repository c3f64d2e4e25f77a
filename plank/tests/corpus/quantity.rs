//! Quantities as Kubernetes writes them back: `1024Mi` is `1Gi`, `0.5` is `500m`.

const NANO: i128 = 1_000_000_000;
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];

/// `None` for what is no quantity, or has an exponent.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let split = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let binary = BINARY
        .iter()
        .position(|known| !known.is_empty() && *known == suffix);
    let decimal = DECIMAL.iter().position(|known| *known == suffix);
    let nanos = match (binary, decimal) {
        (Some(power), _) => {
            nanos(number)?.checked_mul(1024_i128.checked_pow(u32::try_from(power).ok()?)?)?
        }
        (_, Some(power)) => {
            nanos(number)?.checked_mul(1000_i128.checked_pow(u32::try_from(power).ok()?)?)? / NANO
        }
        _ => return None,
    };
    if nanos == 0 {
        return Some("0".into());
    }
    // A quantity that is no whole number of bytes is written in decimal.
    if binary.is_some() && nanos.abs() >= 1024 * NANO && nanos % NANO == 0 {
        return Some(scaled(nanos / NANO, 1024, &BINARY));
    }
    Some(scaled(nanos, 1000, &DECIMAL))
}

/// A decimal number in billionths.
fn nanos(number: &str) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{fraction:0<9}");
    if fraction.len() > 9 {
        return None;
    }
    digits.parse().ok()
}

/// A number with the largest suffix that leaves it whole.
fn scaled(mut number: i128, step: i128, suffixes: &[&str]) -> String {
    let mut power = 0;
    while number % step == 0 && power + 1 < suffixes.len() {
        number /= step;
        power += 1;
    }
    format!("{number}{}", suffixes[power])
}

#[test]
fn quantities_are_written_as_kubernetes_writes_them() {
    for (written, canonical) in [
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("512", "512"),
        ("1000", "1k"),
        ("0.5", "500m"),
        ("1000m", "1"),
        ("7300m", "7300m"),
        ("1Ki", "1Ki"),
        ("0.5Ki", "512"),
        ("0Gi", "0"),
        ("1.2Gi", "1288490188800m"),
        ("9000Mi", "9000Mi"),
    ] {
        assert_eq!(
            self::canonical(written).as_deref(),
            Some(canonical),
            "{written}"
        );
    }
}
