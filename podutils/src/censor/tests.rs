use proptest::prelude::*;
use serde_json::json;

use super::*;

fn mask(secrets: &[&str], text: &str) -> String {
    Censor::new(secrets).unwrap().mask_text(text)
}

#[test]
fn masks_what_is_secret_and_keeps_the_length() {
    for (secrets, text, expected) in [
        (&["secret"][..], "a secret b", "a XXXXXX b"),
        (&["secret"], "secretsecret", "XXXXXXXXXXXX"),
        (
            &["pass", "password"],
            "my password, my pass",
            "my XXXXXXXX, my XXXX",
        ),
        (&["abc", "bcd"], "zabcdz", "zXXXXz"),
        (&["aba"], "ababa", "XXXXX"),
        (&["a"], "banana", "bXnXnX"),
        (&["", "x"], "xy", "Xy"),
        (&[], "anything", "anything"),
        (
            &["a long secret of words"],
            "a long secret of words",
            "XXXXXXXXXXXXXXXXXXXXXX",
        ),
    ] {
        assert_eq!(mask(secrets, text), expected, "{secrets:?}");
    }
}

#[test]
fn holds_back_only_what_a_secret_begins_with() {
    let censor = Censor::new(["0123456789", "aba"]).unwrap();
    let mut stream = censor.start_stream();
    for (chunk, settled) in [
        (
            "the last line of a silent job\n",
            "the last line of a silent job\n",
        ),
        ("half: 0123", "half: "),
        ("45 no", "012345 no"),
        ("012345678", ""),
        ("9.", "XXXXXXXXXX."),
        // The first two are masked; the last may begin another secret.
        ("aba", "XX"),
        ("b", ""),
        ("", ""),
    ] {
        let out = stream.push(chunk.into());
        assert_eq!(String::from_utf8(out).unwrap(), settled, "{chunk}");
    }
    assert_eq!(stream.finish(), b"Xb");
    assert!(stream.has_masked());
    let mut stream = Censor::default().start_stream();
    assert_eq!(stream.push(b"all of it".to_vec()), b"all of it");
    assert!(!stream.has_masked());
}

#[test]
fn json_is_masked_as_it_reads() {
    let censor = Censor::new(["p&ss", "90210"]).unwrap();
    let document: Value = serde_json::from_str(
        r#"{"p\u0026ss": [{"a": "is p\u0026ss", "n": 90210, "m": 7}], "b": true}"#,
    )
    .unwrap();
    assert_eq!(
        censor.mask_json(document),
        json!({"XXXX": [{"a": "is XXXX", "n": "XXXXX", "m": 7}], "b": true})
    );
}

/// A key of 135 kB: 2,100 lines, no two of them alike.
fn large_secret() -> String {
    let mut state = 1u64;
    let mut line = || -> String {
        (0..63)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
                char::from(alphabet[usize::try_from(state >> 58).unwrap()])
            })
            .chain(['\n'])
            .collect()
    };
    (0..2_100).map(|_| line()).collect()
}

#[test]
fn a_large_secret_costs_little_memory() {
    let secret = large_secret();
    let shapes = secret_variants(secret.as_bytes(), 0);
    let all: usize = shapes.iter().map(Vec::len).sum();
    let censor = Censor::new(shapes).unwrap();
    let heap = censor.needles.as_ref().unwrap().heap_size();
    assert!(all < 8 << 20, "{all} bytes of shapes");
    assert!(heap < 12 << 20, "{heap} bytes");

    let text = format!("before\n{secret}after\n");
    let masked = censor.mask_text(&text);
    assert_eq!(
        masked,
        format!("before\n{}\nafter\n", "X".repeat(secret.len() - 1))
    );
    let line = secret.lines().nth(1_000).unwrap();
    assert_eq!(
        censor.mask_text(&format!("+ {line}.")),
        format!("+ {}.", "X".repeat(63))
    );
}

/// Masks every byte that any occurrence covers, by brute force.
fn reference(secrets: &[Vec<u8>], text: &[u8]) -> Vec<u8> {
    let mut out = text.to_vec();
    for secret in secrets.iter().filter(|s| !s.is_empty()) {
        for (at, window) in text.windows(secret.len()).enumerate() {
            if window == secret {
                out[at..at + secret.len()].fill(MASK);
            }
        }
    }
    out
}

/// The output of a stream that is fed in chunks, and the most bytes that it held back.
fn in_pieces(censor: &Censor, text: &[u8], cuts: &[usize]) -> (Vec<u8>, usize) {
    let mut stream = censor.start_stream();
    let (mut rest, mut out, mut held) = (text, Vec::new(), 0);
    for cut in cuts.iter().copied().chain([usize::MAX]) {
        let (chunk, tail) = rest.split_at(cut.min(rest.len()));
        out.extend(stream.push(chunk.to_vec()));
        rest = tail;
        held = held.max(text.len() - rest.len() - out.len());
    }
    out.extend(stream.finish());
    (out, held)
}

proptest! {
    /// A small alphabet makes overlaps and near misses common.
    #[test]
    fn any_cut_of_any_text_is_masked_like_the_whole(
        secrets in prop::collection::vec("[abc]{0,12}", 0..6),
        text in "[abcd]{0,200}",
        cuts in prop::collection::vec(0usize..40, 0..30),
    ) {
        let secrets: Vec<Vec<u8>> = secrets.into_iter().map(String::into_bytes).collect();
        let censor = Censor::new(&secrets).unwrap();
        let (out, _) = in_pieces(&censor, text.as_bytes(), &cuts);
        prop_assert_eq!(out.len(), text.len());
        prop_assert_eq!(&out, &reference(&secrets, text.as_bytes()));
    }

    /// Secrets of any bytes and lengths, some of them beginnings or ends of others. The text has
    /// whole secrets, parts of secrets, and other text between them.
    #[test]
    fn whatever_the_secrets_are_no_occurrence_is_left(
        seeds in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 1..4),
        narrow in any::<bool>(),
        parts in prop::collection::vec((0usize..8, any::<prop::sample::Index>(), "[ -~\n]{0,20}"), 0..12),
        cuts in prop::collection::vec(0usize..300, 0..12),
    ) {
        let mut secrets: Vec<Vec<u8>> = seeds;
        if narrow {
            secrets.iter_mut().flatten().for_each(|byte| *byte = b'a' + *byte % 2);
        }
        secrets.push(secrets[0][..secrets[0].len().div_ceil(2)].to_vec());
        secrets.push(secrets[0][secrets[0].len() / 2..].to_vec());
        let text: Vec<u8> = parts.iter().flat_map(|(which, at, between)| {
            let secret = &secrets[which % secrets.len()];
            let end = if *which < 4 { secret.len() } else { at.index(secret.len()) };
            [&secret[..end], between.as_bytes()].concat()
        }).collect();
        let censor = Censor::new(&secrets).unwrap();
        let (out, held) = in_pieces(&censor, &text, &cuts);

        prop_assert_eq!(out.len(), text.len());
        prop_assert!(held < 128);
        let at_least = reference(&secrets, &text);
        for (at, byte) in at_least.iter().enumerate().filter(|(at, byte)| **byte != text[*at]) {
            prop_assert_eq!(out[at], *byte, "at {}", at);
        }
        if secrets.iter().all(|secret| secret.len() <= 128) {
            prop_assert_eq!(&out, &at_least);
        }
        prop_assert_eq!(&out, &censor.mask_bytes(text.clone()));
    }

    #[test]
    fn without_secrets_nothing_changes(text in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(Censor::default().mask_bytes(text.clone()), text);
    }
}
