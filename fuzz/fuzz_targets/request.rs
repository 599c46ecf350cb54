//! A hostile agent's bytes: no hello, head or body makes the proxy panic, and none makes a value
//! leave by another place than the declared ones.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| wsm_egress::engine::fuzz::request(data));
