//! A hostile agent asks its name server: `wsm_egress::engine::fuzz::dns`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| wsm_egress::engine::fuzz::dns(data));
