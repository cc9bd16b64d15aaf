#![no_main]
#[path = "../checks.rs"]
#[allow(dead_code, reason = "each target has its check")]
mod checks;

libfuzzer_sys::fuzz_target!(|text: &str| checks::expression(text));
