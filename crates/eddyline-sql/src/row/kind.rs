//! What a row of a changelog means.

/// `+I`: a row is there that was not.
pub(crate) const INSERT: i8 = 0;
/// `-U`: a row as it was before a change.
pub(crate) const UPDATE_BEFORE: i8 = 1;
/// `+U`: a row as it is after a change.
pub(crate) const UPDATE_AFTER: i8 = 2;
/// `-D`: a row is gone.
pub(crate) const DELETE: i8 = 3;

/// Whether a row is taken away.
#[inline]
pub(crate) fn is_retraction(kind: i8) -> bool {
    kind == UPDATE_BEFORE || kind == DELETE
}

/// `+I`, `-U`, `+U` or `-D`.
pub(crate) fn symbol(kind: i8) -> &'static str {
    match kind {
        INSERT => "+I",
        UPDATE_BEFORE => "-U",
        UPDATE_AFTER => "+U",
        _ => "-D",
    }
}
