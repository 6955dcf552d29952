//! A read past the end of what is given, which a sanitizer has to report: `tests.fuzz.sanitized`
//! compiles it with the flags of the core, and believes them only after that.

/// The value at a place, wherever that is.
///
/// # Safety
/// None: that is its purpose.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn value_at(values: *const f64, place: usize) -> f64 {
    unsafe { *values.add(place) }
}
