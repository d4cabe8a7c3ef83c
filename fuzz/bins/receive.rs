#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    virtual_channels_fuzz::targets::receive::run(data);
});
