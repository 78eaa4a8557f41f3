//! `#[derive(Data)]`: schema and field-wise encoding for structs and enums.

use proc_macro::TokenStream;

/// Derives `eddyline_core::Data`.
#[proc_macro_derive(Data, attributes(data))]
pub fn derive_data(_input: TokenStream) -> TokenStream {
    TokenStream::new()
}
