//! Names of the Unicode classes that Go 1.26 knows, in lower case without `_`, `-` and spaces.

/// General categories under their short and long names, and three names that are no categories.
/// Surrogates are left out: they occur in no text.
const CATEGORIES: &str = "
any ascii assigned c casedletter cc cf closepunctuation cn cntrl co combiningmark
connectorpunctuation control currencysymbol dashpunctuation decimalnumber digit
enclosingmark finalpunctuation format initialpunctuation l lc letter letternumber
lineseparator ll lm lo lowercaseletter lt lu m mark mathsymbol mc me mn modifierletter
modifiersymbol n nd nl no nonspacingmark number openpunctuation other otherletter
othernumber otherpunctuation othersymbol p paragraphseparator pc pd pe pf pi po privateuse
ps punct punctuation s sc separator sk sm so spaceseparator spacingmark symbol
titlecaseletter unassigned uppercaseletter z zl zp zs";

/// Scripts under their full names; Go does not know their four-letter codes.
const SCRIPTS: &str = "
adlam ahom anatolianhieroglyphs arabic armenian avestan balinese bamum bassavah batak
bengali bhaiksuki bopomofo brahmi braille buginese buhid canadianaboriginal carian
caucasianalbanian chakma cham cherokee chorasmian common coptic cuneiform cypriot
cyprominoan cyrillic deseret devanagari divesakuru dogra duployan egyptianhieroglyphs
elbasan elymaic ethiopic georgian glagolitic gothic grantha greek gujarati gunjalagondi
gurmukhi han hangul hanifirohingya hanunoo hatran hebrew hiragana imperialaramaic inherited
inscriptionalpahlavi inscriptionalparthian javanese kaithi kannada katakana kawi kayahli
kharoshthi khitansmallscript khmer khojki khudawadi lao latin lepcha limbu lineara linearb
lisu lycian lydian mahajani makasar malayalam mandaic manichaean marchen masaramgondi
medefaidrin meeteimayek mendekikakui meroiticcursive meroitichieroglyphs miao modi mongolian
mro multani myanmar nabataean nagmundari nandinagari newa newtailue nko nushu
nyiakengpuachuehmong ogham olchiki oldhungarian olditalic oldnortharabian oldpermic
oldpersian oldsogdian oldsoutharabian oldturkic olduyghur oriya osage osmanya pahawhhmong
palmyrene paucinhau phagspa phoenician psalterpahlavi rejang runic samaritan saurashtra
sharada shavian siddham signwriting sinhala sogdian sorasompeng soyombo sundanese
sylotinagri syriac tagalog tagbanwa taile taitham taiviet takri tamil tangsa tangut telugu
thaana thai tibetan tifinagh tirhuta toto ugaritic vai vithkuqi wancho warangciti yezidi yi
zanabazarsquare";

/// Whether `name` is allowed in `\p{…}`, in Go and here.
pub(super) fn is_known(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' ');
    let name_only = name.chars().filter(char::is_ascii_alphanumeric);
    let canonical: String = name_only.map(|c| c.to_ascii_lowercase()).collect();
    let mut known = CATEGORIES
        .split_whitespace()
        .chain(SCRIPTS.split_whitespace());
    name.chars().all(plain) && known.any(|known| known == canonical)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_one_in_rust() {
        let mut names = CATEGORIES
            .split_whitespace()
            .chain(SCRIPTS.split_whitespace());
        let unknown = names.find(|name| regex::Regex::new(&format!(r"\p{{{name}}}")).is_err());
        assert_eq!(unknown, None);
    }
}
