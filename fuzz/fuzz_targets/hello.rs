//! A hostile agent begins a connection: `wsm_egress::engine::fuzz::hello`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| wsm_egress::engine::fuzz::hello(data));
