//! A hostile program's output: `wsm_terminal::fuzz::screen`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| wsm_terminal::fuzz::screen(data));
