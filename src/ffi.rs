//! `hs_predict` for other programs with DataFusion inside, the Python package `datafusion` among them, by the interface of
//! `datafusion-ffi`: a function that crosses from one library to another as a table of C functions.
//!
//! What always holds: the function answers for one model version, and gives what `harmonize sql` gives. Refuses: a program whose
//! DataFusion has another major version; the interface itself says so.

use std::ffi::{CStr, c_char};
use std::sync::Arc;

use datafusion_ffi::udf::FFI_ScalarUDF;

use crate::error::{Error, Result};
use crate::lake::Place;
use crate::registry::Registry;
use crate::sql::{Classifier, hs_predict};

/// The function for a model version of a registry, such as `hs@7` or `hs@champion`; null when there is none, and then the reason
/// stands in `why`, which has room for `room` bytes. It is given back with [`harmonize_release`].
///
/// # Safety
/// `registry` and `model` are C strings, and `why` points to as much room as it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn harmonize_hs_predict(
    registry: *const c_char,
    model: *const c_char,
    why: *mut c_char,
    room: usize,
) -> *mut FFI_ScalarUDF {
    // SAFETY: the caller gives C strings.
    let [registry, model] = [registry, model].map(|text| unsafe { CStr::from_ptr(text) });
    match made(registry, model) {
        Ok(function) => Box::into_raw(Box::new(function)),
        Err(e) => {
            let mut told = e.to_string().into_bytes();
            told.truncate(room.saturating_sub(1));
            if room > 0 {
                // SAFETY: no more than the room that the caller says there is.
                unsafe {
                    std::ptr::copy_nonoverlapping(told.as_ptr(), why.cast(), told.len());
                    why.add(told.len()).write(0);
                }
            }
            std::ptr::null_mut()
        }
    }
}

/// Gives back what [`harmonize_hs_predict`] gave.
///
/// # Safety
/// It came from there, and is given back once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn harmonize_release(function: *mut FFI_ScalarUDF) {
    if !function.is_null() {
        // SAFETY: it was a box.
        drop(unsafe { Box::from_raw(function) });
    }
}

fn made(registry: &CStr, model: &CStr) -> Result<FFI_ScalarUDF> {
    let text = |text: &CStr| text.to_str().map(str::to_owned).map_err(|_| Error::Usage("it is not UTF-8".into()));
    let (registry, model) = (Registry::new(Place::open(&text(registry)?)?), text(model)?.parse()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Error::Resources(format!("no thread can be started: {e}")))?;
    let loaded = runtime.block_on(registry.load(&model))?;
    let function = hs_predict(Arc::new(Classifier::new(&loaded, &loaded.bundle.policy)?));
    // It shows its version, and is called by the name that it has everywhere.
    Ok(FFI_ScalarUDF::from(Arc::new(function.with_aliases(["hs_predict"]))))
}
