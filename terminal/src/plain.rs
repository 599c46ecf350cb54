//! Text of people and programs that is drawn on somebody's terminal: text and nothing else.

use unicode_width::UnicodeWidthChar;

/// What of it fits so many columns. Whatever a terminal would act on is left out, and what has no
/// width: nothing moves the cursor, turns what follows around or is longer than it looks.
pub(crate) fn line(text: &str, cols: usize) -> String {
    let mut line = String::new();
    let mut left = cols;
    for c in text.chars() {
        let Some(width) = c.width().filter(|width| *width > 0) else {
            continue;
        };
        if matches!(c, '\u{2028}' | '\u{2029}') {
            continue;
        }
        if width > left {
            break;
        }
        left -= width;
        line.push(c);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn nothing_but_text_is_left_and_it_fits() {
        for (text, cols, left) in [
            ("ada asks", 80, "ada asks"),
            ("ada asks", 4, "ada "),
            (
                "\x1b]52;c;QQ==\x07a\nb\r\u{9b}2J\u{90}",
                80,
                "]52;c;QQ==ab2J",
            ),
            ("a\u{202e}b\u{2066}c\u{200f}\u{2028}d\u{301}", 80, "abcd"),
            ("漢字", 3, "漢"),
            ("x", 0, ""),
        ] {
            assert_eq!(line(text, cols), left, "{text:?}");
        }
    }
}
