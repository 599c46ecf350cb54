//! A hostile agent's git objects: `wsm_daemon::workspace::fuzz::object`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| wsm_daemon::workspace::fuzz::object(data));
