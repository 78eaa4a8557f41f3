//! The table of all scalar functions.

use super::{
    Function, array, conditional, encoding, hash, json, like, map, math, math_functions, numerals, printf,
    random, regexp, text, text_search, text_shape, time, type_name, url,
};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The families, each in a file of its own.
const FAMILIES: &[&[Function]] = &[
    array::FUNCTIONS,
    conditional::FUNCTIONS,
    encoding::FUNCTIONS,
    hash::FUNCTIONS,
    like::FUNCTIONS,
    map::FUNCTIONS,
    math::FUNCTIONS,
    math_functions::FUNCTIONS,
    numerals::FUNCTIONS,
    printf::FUNCTIONS,
    random::FUNCTIONS,
    regexp::FUNCTIONS,
    text::FUNCTIONS,
    text_search::FUNCTIONS,
    text_shape::FUNCTIONS,
    type_name::FUNCTIONS,
    url::FUNCTIONS,
];

static BY_NAME: LazyLock<BTreeMap<&'static str, &'static Function>> = LazyLock::new(|| {
    let families = FAMILIES.iter().chain(&time::FAMILIES).chain(&json::FAMILIES);
    families.flat_map(|family| family.iter()).map(|function| (function.name, function)).collect()
});

/// The function of that name, in any case.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    BY_NAME.get(name.to_ascii_uppercase().as_str()).copied()
}

/// The names of all functions, in order.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    BY_NAME.keys().copied()
}

/// How many functions the families have.
#[cfg(test)]
pub(super) fn count() -> usize {
    FAMILIES.iter().chain(&time::FAMILIES).chain(&json::FAMILIES).map(|family| family.len()).sum()
}
