//! `#[derive(Data)]`: schema and field-wise encoding for structs and enums.
//!
//! The derive reads a type into a checked `input::Input` (everything that can be misused is refused there, with
//! the span of what is wrong) and then writes the implementation from it (`expand`). The generated code names
//! the crate of the trait by an absolute path, found by `location`.
//!
//! **Architecture invariant:** what bytes a type becomes is decided in `eddyline-core`; here only the order of
//! fields and the numbers of variants are.

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

mod expand;
mod input;
mod location;
#[cfg(test)]
mod tests;

/// Derives `eddyline::Data`: a schema, an encoding and evolution by name.
///
/// Works for structs and enums of all shapes; every field must be `Data` itself, every type parameter is bound by
/// `Data`. Types must own their data (no lifetimes) and must not be recursive.
///
/// Attributes:
///
/// - `#[data(alias = "old_name")]` on a named field or a variant: a name it had before, under which it is still
///   found in state that was written then; may be repeated;
/// - `#[data(crate = "path")]` on the type: where the items of `eddyline-core` are. Needed only where neither
///   `eddyline` nor `eddyline-core` is a dependency of the crate that derives.
#[proc_macro_derive(Data, attributes(data))]
pub fn derive_data(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    derive(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

fn derive(input: &DeriveInput) -> syn::Result<proc_macro2::TokenStream> {
    let input = input::Input::read(input)?;
    Ok(expand::expand(&input))
}
