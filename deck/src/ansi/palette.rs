//! The 256 colours: xterm's cube and greys, and the style sheet that defines them.
//!
//! The theme defines the first sixteen colours in `style.css`. The page's content security policy
//! allows no inline style, so a true colour is shown as the nearest of the other 240.

use std::fmt::Write;

/// The six levels of a channel in the cube.
const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
const CUBE: u8 = 16;
const GREYS: u8 = 232;

fn color_rgb(index: u8) -> [u8; 3] {
    if index >= GREYS {
        return [8 + 10 * (index - GREYS); 3];
    }
    let cube = index - CUBE;
    [cube / 36, cube / 6 % 6, cube % 6].map(|level| LEVELS[usize::from(level)])
}

/// The colour 16–255 that is nearest to a true colour.
pub(super) fn nearest_color(red: u8, green: u8, blue: u8) -> u8 {
    let distance = |index: &u8| -> u32 {
        color_rgb(*index)
            .iter()
            .zip([red, green, blue])
            .map(|(have, want)| u32::from(have.abs_diff(want)).pow(2))
            .sum()
    };
    (CUBE..=u8::MAX)
        .min_by_key(distance)
        .expect("the palette is not empty")
}

/// CSS rules `.fN` (foreground) and `.gN` (background) for the colours 16–255.
pub(crate) fn palette_css() -> String {
    let mut css = String::with_capacity(16 * 1024);
    for index in CUBE..=u8::MAX {
        let [red, green, blue] = color_rgb(index);
        let _ = write!(
            css,
            ".f{index}{{color:#{red:02x}{green:02x}{blue:02x}}}.g{index}{{background:#{red:02x}{green:02x}{blue:02x}}}"
        );
    }
    css
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_xterms_palette() {
        for (index, expected) in [
            (16, [0, 0, 0]),
            (208, [255, 135, 0]),
            (231, [255, 255, 255]),
            (232, [8, 8, 8]),
            (255, [238, 238, 238]),
        ] {
            assert_eq!(color_rgb(index), expected, "{index}");
            assert_eq!(
                color_rgb(nearest_color(expected[0], expected[1], expected[2])),
                expected
            );
        }
        assert!(palette_css().contains(".f208{color:#ff8700}"));
    }
}
