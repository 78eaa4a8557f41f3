//! The table of all scalar functions.

use super::{Function, conditional};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The families, each in a file of its own.
const FAMILIES: &[&[Function]] = &[conditional::FUNCTIONS];

static BY_NAME: LazyLock<BTreeMap<&'static str, &'static Function>> = LazyLock::new(|| {
    FAMILIES.iter().flat_map(|family| family.iter()).map(|function| (function.name, function)).collect()
});

/// The function of that name, in any case.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    BY_NAME.get(name.to_ascii_uppercase().as_str()).copied()
}

/// The names of all functions, in order.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    BY_NAME.keys().copied()
}
