//! A stranger's bytes on the network: `wsm_web::fuzz::origin`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| wsm_web::fuzz::origin(data));
