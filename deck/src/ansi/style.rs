//! Select Graphic Rendition (`ESC [ … m`): the style that it sets, and the CSS classes for it.

use super::palette::nearest_color;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TextStyle {
    foreground: Option<u8>,
    background: Option<u8>,
    bold: bool,
    dim: bool,
    italic: bool,
    underline: bool,
    inverse: bool,
    strike: bool,
}

impl TextStyle {
    /// Applies the parameters of one sequence. Unknown or malformed parameters change nothing.
    pub(super) fn apply_sgr(&mut self, parameters: &str) {
        let mut groups = parameters.split(';');
        while let Some(group) = groups.next() {
            let (code, sub) = group
                .split_once(':')
                .map_or((group, None), |(code, sub)| (code, Some(sub)));
            match (code.parse::<u8>().unwrap_or(0), sub) {
                _ if !code.is_empty() && code.parse::<u8>().is_err() => {}
                (38, sub) => self.foreground = parse_color(sub, &mut groups).or(self.foreground),
                (48, sub) => self.background = parse_color(sub, &mut groups).or(self.background),
                (4, Some("0")) => self.underline = false,
                (code, _) => self.apply_code(code),
            }
        }
    }

    fn apply_code(&mut self, code: u8) {
        match code {
            0 => *self = Self::default(),
            1 => self.bold = true,
            2 => self.dim = true,
            3 => self.italic = true,
            4 | 21 => self.underline = true,
            7 => self.inverse = true,
            9 => self.strike = true,
            22 => (self.bold, self.dim) = (false, false),
            23 => self.italic = false,
            24 => self.underline = false,
            27 => self.inverse = false,
            29 => self.strike = false,
            30..=37 => self.foreground = Some(code - 30),
            39 => self.foreground = None,
            40..=47 => self.background = Some(code - 40),
            49 => self.background = None,
            90..=97 => self.foreground = Some(code - 90 + 8),
            100..=107 => self.background = Some(code - 100 + 8),
            _ => {}
        }
    }

    /// `b`old, `d`im, `i`talic, `u`nderline, `s`trike, `fN` foreground, `gN` background; `fd` and
    /// `gd` are the page's own colours, swapped by inverse.
    pub(super) fn css_classes(self) -> String {
        let mut classes = Vec::new();
        for (on, class) in [
            (self.bold, "b"),
            (self.dim, "d"),
            (self.italic, "i"),
            (self.underline, "u"),
            (self.strike, "s"),
        ] {
            if on {
                classes.push(class.to_owned());
            }
        }
        let name = |letter: char, color: Option<u8>| color.map(|index| format!("{letter}{index}"));
        if self.inverse {
            classes.push(name('f', self.background).unwrap_or_else(|| "fd".into()));
            classes.push(name('g', self.foreground).unwrap_or_else(|| "gd".into()));
        } else {
            classes.extend(name('f', self.foreground));
            classes.extend(name('g', self.background));
        }
        classes.join(" ")
    }
}

/// The colour after 38 or 48: `5;N` or `2;R;G;B`, as separate parameters or as sub-parameters
/// (`5:N`, `2:R:G:B`, `2::R:G:B`).
fn parse_color<'a>(sub: Option<&'a str>, groups: &mut impl Iterator<Item = &'a str>) -> Option<u8> {
    let channel = |text: Option<&str>| text.and_then(|text| text.parse::<u8>().ok());
    if let Some(sub) = sub {
        let parts: Vec<&str> = sub.split(':').collect();
        return match (parts.first().copied(), parts.len()) {
            (Some("5"), 2) => channel(Some(parts[1])),
            (Some("2"), length @ 4..) => {
                let [red, green, blue] =
                    [length - 3, length - 2, length - 1].map(|at| channel(Some(parts[at])));
                Some(nearest_color(red?, green?, blue?))
            }
            _ => None,
        };
    }
    match groups.next() {
        Some("5") => channel(groups.next()),
        Some("2") => {
            let [red, green, blue] = [0, 1, 2].map(|_| channel(groups.next()));
            Some(nearest_color(red?, green?, blue?))
        }
        _ => None,
    }
}
