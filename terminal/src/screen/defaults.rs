//! What the engine has no words for: keyboard flags as numbers, xterm's colours.

use alacritty_terminal::term::TermMode;
use alacritty_terminal::vte::ansi::Rgb;

/// The kitty keyboard flags among the modes, as the protocol numbers them.
pub(crate) fn key_bits(modes: TermMode) -> u8 {
    [
        TermMode::DISAMBIGUATE_ESC_CODES,
        TermMode::REPORT_EVENT_TYPES,
        TermMode::REPORT_ALTERNATE_KEYS,
        TermMode::REPORT_ALL_KEYS_AS_ESC,
        TermMode::REPORT_ASSOCIATED_TEXT,
    ]
    .iter()
    .enumerate()
    .filter(|(_, mode)| modes.contains(**mode))
    .fold(0, |bits, (at, _)| bits | 1 << at)
}

/// xterm's colours, for programs that ask what theirs look like.
pub(super) fn default_colour(index: usize) -> Rgb {
    const BASE: [u32; 16] = [
        0x00_0000, 0xcd_0000, 0x00_cd00, 0xcd_cd00, 0x00_00ee, 0xcd_00cd, 0x00_cdcd, 0xe5_e5e5,
        0x7f_7f7f, 0xff_0000, 0x00_ff00, 0xff_ff00, 0x5c_5cff, 0xff_00ff, 0x00_ffff, 0xff_ffff,
    ];
    let level = |step: usize| if step == 0 { 0 } else { 55 + 40 * step };
    let (r, g, b) = match index {
        0..16 => {
            let [_, r, g, b] = BASE[index].to_be_bytes();
            return Rgb { r, g, b };
        }
        16..232 => {
            let cube = index - 16;
            (level(cube / 36), level(cube / 6 % 6), level(cube % 6))
        }
        232..=255 => {
            let grey = 8 + 10 * (index - 232);
            (grey, grey, grey)
        }
        // Background; foreground and cursor are light.
        257 => (0, 0, 0),
        _ => (0xe5, 0xe5, 0xe5),
    };
    let byte = |value: usize| u8::try_from(value).unwrap_or(u8::MAX);
    Rgb {
        r: byte(r),
        g: byte(g),
        b: byte(b),
    }
}
