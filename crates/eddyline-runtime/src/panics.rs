//! Panics of user code, caught and turned into errors.
//!
//! While user code runs, its panics are recorded instead of printed; everything else panics as always.

use eddyline_core::Error;
use std::cell::{Cell, RefCell};
use std::panic::{UnwindSafe, catch_unwind};
use std::sync::Once;

const NO_ROW: u64 = u64::MAX;

thread_local! {
    static ROW: Cell<u64> = const { Cell::new(NO_ROW) };
    static IN_USER_CODE: Cell<bool> = const { Cell::new(false) };
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Operators that call user code for every record say here which record of the batch it is, so that an error can
/// name it; costs one store.
#[inline]
pub fn at_row(row: u64) {
    ROW.set(row);
}

pub(crate) fn reset_row() {
    ROW.set(NO_ROW);
}

pub(crate) fn current_row() -> Option<u64> {
    let row = ROW.get();
    (row != NO_ROW).then_some(row)
}

static HOOK: Once = Once::new();

fn install_hook() {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if IN_USER_CODE.get() {
                let place = info.location().map(|at| format!("{}:{}", at.file(), at.line()));
                LOCATION.with(|location| *location.borrow_mut() = place);
            } else {
                before(info);
            }
        }));
    });
}

/// Runs `code`; a panic in it becomes an error that says where it was.
///
/// # Errors
/// Of kind `User`, if `code` panics.
pub fn catch<R>(code: impl FnOnce() -> R + UnwindSafe) -> Result<R, Error> {
    install_hook();
    let outer = IN_USER_CODE.replace(true);
    let result = catch_unwind(code);
    IN_USER_CODE.set(outer);
    result.map_err(|payload| {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a value that is no text".to_owned());
        let error = Error::user(format!("user code panicked: {text}"));
        match LOCATION.with(|location| location.borrow_mut().take()) {
            Some(place) => error.with_detail(place),
            None => error,
        }
    })
}

/// What Timely's workers panic with when the network threads, which live as long as their connections, are gone.
const CONNECTION_LOST: &str = "MergeQueue poisoned";

/// Runs engine code; a panic in it is a bug of Eddyline and becomes an error that says so. Only a lost connection
/// is none: it is the echo of a peer that died.
pub(crate) fn guard<R>(code: impl FnOnce() -> R) -> Result<R, Error> {
    catch(std::panic::AssertUnwindSafe(code)).map_err(|error| {
        if error.message().contains(CONNECTION_LOST) {
            return Error::network("the connection to another process was lost");
        }
        let text = error.message().replacen("user code panicked", "a broken invariant", 1);
        let internal = Error::internal(text).with_hint("this is a bug in Eddyline: please report it");
        match error.detail() {
            Some(place) => internal.with_detail(place),
            None => internal,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use eddyline_core::ErrorKind;

    #[test]
    fn a_panic_becomes_an_error_with_its_place() {
        let error = catch(|| panic!("bad {}", 7)).unwrap_err();
        assert_eq!(error.message(), "user code panicked: bad 7");
        assert!(error.detail().unwrap().contains("panics.rs:"));
        assert_eq!(catch(|| 5).unwrap(), 5);
        assert_eq!(guard(|| panic!("bad")).unwrap_err().kind(), ErrorKind::Internal);
        assert_eq!(guard(|| panic!("MergeQueue poisoned.")).unwrap_err().kind(), ErrorKind::Network);
    }
}
