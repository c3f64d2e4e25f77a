//! Decodes UTF-8, one byte at a time.

#[derive(Debug, Default)]
pub(super) struct Utf8Decoder {
    bytes: [u8; 4],
    length: usize,
    wanted: usize,
}

pub(super) enum Utf8Step {
    More,
    Char(char),
    /// Not UTF-8. Holds the byte that showed it, if that byte may begin another character.
    BadThen(Option<u8>),
}

impl Utf8Decoder {
    /// Whether a character has begun and is not complete.
    pub(super) fn is_open(&self) -> bool {
        self.length > 0
    }

    pub(super) fn push_byte(&mut self, byte: u8) -> Utf8Step {
        if self.length == 0 {
            self.wanted = match byte {
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                _ => return Utf8Step::BadThen(None),
            };
        } else if byte & 0xc0 != 0x80 {
            *self = Self::default();
            return Utf8Step::BadThen(Some(byte));
        }
        self.bytes[self.length] = byte;
        self.length += 1;
        if self.length < self.wanted {
            return Utf8Step::More;
        }
        let read = std::str::from_utf8(&self.bytes[..self.length])
            .ok()
            .and_then(|text| text.chars().next());
        *self = Self::default();
        read.map_or(Utf8Step::BadThen(None), Utf8Step::Char)
    }
}
