//! With any secrets in any text, split anywhere, no form of a secret is left, the length stays the
//! same, and few bytes are held back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use podutils::censor::{Censor, MASK, secret_variants};

/// The secrets, the shortest length of one, the parts of the text (the number of a secret's form,
/// and the bytes after it), and the positions of the splits.
type Input = (Vec<Vec<u8>>, u8, Vec<(u8, Vec<u8>)>, Vec<u8>);

fuzz_target!(|input: Input| {
    let (secrets, minimum, parts, cuts) = input;
    let minimum = usize::from(minimum % 16);
    let shapes: Vec<Vec<u8>> = secrets
        .iter()
        .flat_map(|secret| secret_variants(secret, minimum))
        .collect();
    let censor = Censor::new(&shapes).expect("a fuzzer's secrets are small");
    let shape = |which: usize| shapes.get(which % shapes.len().max(1));
    let text: Vec<u8> = parts
        .iter()
        .flat_map(|(which, behind)| {
            let shape = shape(usize::from(*which)).map_or(&[][..], Vec::as_slice);
            [shape, behind].concat()
        })
        .collect();

    let whole = censor.mask_bytes(text.clone());
    assert_eq!(whole.len(), text.len());
    for shape in &shapes {
        for (at, window) in text.windows(shape.len()).enumerate() {
            if window == shape {
                assert!(whole[at..at + shape.len()].iter().all(|byte| *byte == MASK));
            }
        }
    }
    let mut stream = censor.start_stream();
    let (mut rest, mut out) = (&text[..], Vec::new());
    for cut in cuts.into_iter().map(usize::from).chain([usize::MAX]) {
        let (chunk, tail) = rest.split_at(cut.min(rest.len()));
        out.extend(stream.push(chunk.to_vec()));
        rest = tail;
        assert!(text.len() - rest.len() - out.len() < 128);
    }
    out.extend(stream.finish());
    assert_eq!(out, whole);
});
