//! Where the crate that derives finds the items of `eddyline-core`.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::Ident;

/// The path of `eddyline-core` as seen from the crate that is being compiled: its own dependency if it has one,
/// else what `eddyline` re-exports.
pub fn core_path() -> TokenStream {
    if let Ok(found) = crate_name("eddyline-core") {
        let name = extern_name(found, "eddyline_core");
        return quote!(::#name);
    }
    if let Ok(found) = crate_name("eddyline") {
        let name = extern_name(found, "eddyline");
        return quote!(::#name::__core);
    }
    quote!(::eddyline_core)
}

/// The name under which `found` is known; a crate names itself, for its own tests and documentation.
fn extern_name(found: FoundCrate, own: &str) -> Ident {
    match found {
        FoundCrate::Itself => Ident::new(own, Span::call_site()),
        FoundCrate::Name(name) => Ident::new(&name, Span::call_site()),
    }
}
