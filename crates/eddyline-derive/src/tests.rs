//! Tests of what the derive refuses and which bounds it adds.

use crate::derive;
use syn::{DeriveInput, parse_str};

fn error_of(source: &str) -> String {
    let input: DeriveInput = parse_str(source).unwrap();
    derive(&input).unwrap_err().to_string()
}

fn expansion_of(source: &str) -> String {
    let input: DeriveInput = parse_str(source).unwrap();
    derive(&input).unwrap().to_string()
}

#[test]
fn unions_lifetimes_and_empty_enums_are_refused() {
    assert!(error_of("union Bits { a: u32, b: f32 }").contains("cannot be derived for a union"));
    assert!(error_of("struct View<'a> { text: &'a str }").contains("own their data"));
    assert!(error_of("enum Never {}").contains("it has no values"));
}

#[test]
fn unknown_attributes_are_refused_by_name() {
    assert_eq!(
        error_of("struct Event { #[data(rename = \"x\")] id: u64 }"),
        "unknown attribute `rename`: a field or variant takes `alias`"
    );
    assert_eq!(
        error_of("#[data(alias = \"x\")] struct Event;"),
        "unknown attribute `alias`: a type takes `crate` and `migrate_from`"
    );
    assert!(error_of("enum Event { #[data(skip)] A }").contains("unknown attribute `skip`"));
    assert!(error_of("enum Event { A { #[data(skip)] x: u8 } }").contains("unknown attribute `skip`"));
}

#[test]
fn aliases_are_unique_text_of_named_members() {
    assert!(error_of("struct A { #[data(alias = 3)] id: u64 }").contains("string literal"));
    assert!(error_of("struct A(#[data(alias = \"x\")] u64);").contains("positional field has no name"));
    let twice = "struct A { #[data(alias = \"x\")] id: u64, #[data(alias = \"x\")] of: u64 }";
    assert_eq!(error_of(twice), "the alias `x` is given twice");
    assert_eq!(error_of("enum A { #[data(alias = \"\")] B }"), "an alias cannot be empty");
}

#[test]
fn types_that_contain_themselves_are_refused() {
    for field in ["Box<Node>", "Option<Box<Self>>", "Vec<(u8, Node)>", "[Node; 2]"] {
        let message = error_of(&format!("struct Node {{ next: {field} }}"));
        assert!(message.starts_with("`Node` contains itself"), "{field}: {message}");
    }
    assert!(error_of("enum Tree { Leaf, Fork(Box<Tree>, Box<Tree>) }").contains("`Tree` contains itself"));
    // Another type of the same name, and a type that only hangs off this one, are no recursion.
    expansion_of("struct Node { other: graph::Node, id: u64 }");
    expansion_of("struct Node { other: ::graph::Node }");
}

#[test]
fn the_crate_can_be_named() {
    let named = expansion_of("#[data(crate = \"my::core\")] struct A { id: u64 }");
    assert!(named.contains("impl my :: core :: Data for A"), "{named}");
    assert!(expansion_of("struct A { id: u64 }").contains("impl :: eddyline_core :: Data for A"));
    assert!(error_of("#[data(crate = \"a\", crate = \"b\")] struct A;").contains("given twice"));
}

#[test]
fn every_type_parameter_is_bound() {
    let expanded = expansion_of("struct Pair<A, B: Ord, const N: usize> where A: Ord { a: A, b: [B; N] }");
    assert!(expanded.contains(
        "impl < A : :: eddyline_core :: Data , B : Ord + :: eddyline_core :: Data , const N : usize >"
    ));
    assert!(expanded.contains("where A : Ord"));
}
