//! UTF-8, one byte at a time.

#[derive(Debug, Default)]
pub(super) struct Utf8 {
    bytes: [u8; 4],
    length: usize,
    wanted: usize,
}

pub(super) enum Decoded {
    More,
    Char(char),
    /// Not UTF-8; the byte that showed it, if it may begin something else.
    BadThen(Option<u8>),
}

impl Utf8 {
    /// In the middle of a character.
    pub(super) fn is_open(&self) -> bool {
        self.length > 0
    }

    pub(super) fn push(&mut self, byte: u8) -> Decoded {
        if self.length == 0 {
            self.wanted = match byte {
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                _ => return Decoded::BadThen(None),
            };
        } else if byte & 0xc0 != 0x80 {
            *self = Self::default();
            return Decoded::BadThen(Some(byte));
        }
        self.bytes[self.length] = byte;
        self.length += 1;
        if self.length < self.wanted {
            return Decoded::More;
        }
        let read = std::str::from_utf8(&self.bytes[..self.length])
            .ok()
            .and_then(|text| text.chars().next());
        *self = Self::default();
        read.map_or(Decoded::BadThen(None), Decoded::Char)
    }
}
