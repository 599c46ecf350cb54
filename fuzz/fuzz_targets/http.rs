//! A stranger's connection, whole: `wsm_web::fuzz::http`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| wsm_web::fuzz::http(data));
