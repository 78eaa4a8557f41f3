//! The implementation of `Data` for a checked type.

use crate::input::{Body, Field, Input, Shape, Variant};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use syn::Type;

/// Writes the implementation.
pub fn expand(input: &Input<'_>) -> TokenStream {
    let Input { ident, core, .. } = input;
    let mut generics = input.generics.clone();
    for parameter in generics.type_params_mut() {
        parameter.bounds.push(syn::parse_quote!(#core::Data));
    }
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let methods = match &input.shape {
        Shape::Struct(body) => for_struct(core, &ident.to_string(), body),
        Shape::Enum(variants) => for_enum(core, &ident.to_string(), variants),
    };
    let from_value = match &input.shape {
        Shape::Struct(body) => struct_from_value(core, body),
        Shape::Enum(variants) => enum_from_value(core, &ident.to_string(), variants),
    };
    let from_value = migrating(core, &input.migrate_from, from_value);
    let has_heap = any_has_heap(core, &input.shape);
    quote! {
        #[automatically_derived]
        impl #impl_generics #core::Data for #ident #type_generics #where_clause {
            const HAS_HEAP: bool = #has_heap;
            #methods
            fn from_value(__value: #core::Value) -> ::core::result::Result<Self, #core::DecodeError> {
                #from_value
            }
        }
    }
}

/// `from_value` that reads what cannot be mapped as the types that this one was before.
fn migrating(core: &TokenStream, before: &[Type], from_value: TokenStream) -> TokenStream {
    if before.is_empty() {
        return from_value;
    }
    quote! {
        let __written = __value.clone();
        let __mapped = (move || -> ::core::result::Result<Self, #core::DecodeError> { #from_value })();
        let __error = match __mapped {
            ::core::result::Result::Ok(__mapped) => return ::core::result::Result::Ok(__mapped),
            ::core::result::Result::Err(__error) => __error,
        };
        #(
            if let ::core::option::Option::Some(__migrated) =
                #core::data::migrated_from::<#before, Self>(__written.clone())?
            {
                return ::core::result::Result::Ok(__migrated);
            }
        )*
        ::core::result::Result::Err(__error)
    }
}

fn any_has_heap(core: &TokenStream, shape: &Shape<'_>) -> TokenStream {
    let types: Vec<&Type> = match shape {
        Shape::Struct(body) => body.types(),
        Shape::Enum(variants) => variants.iter().flat_map(|variant| variant.body.types()).collect(),
    };
    if types.is_empty() { quote!(false) } else { quote!(#(<#types as #core::Data>::HAS_HEAP)||*) }
}

fn for_struct(core: &TokenStream, name: &str, body: &Body<'_>) -> TokenStream {
    let schema = match body {
        // A struct without fields is still a struct: fields may come.
        Body::Unit => named_schema(core, name, &[]),
        _ => schema(core, name, body),
    };
    let (pattern, bound) = pattern(body);
    let encode = encode(core, body, &bound);
    let heap_bytes = heap_bytes(core, body, &bound);
    let touch = touch(core, body, &bound);
    let decode = decode(core, &quote!(Self), body);
    quote! {
        fn schema() -> #core::DataType {
            #schema
        }
        #[inline]
        fn encode(&self, __out: &mut ::std::vec::Vec<u8>) {
            let Self #pattern = self;
            #encode
        }
        #[inline]
        fn decode(__input: &mut #core::Reader<'_>) -> ::core::result::Result<Self, #core::DecodeError> {
            ::core::result::Result::Ok(#decode)
        }
        fn heap_bytes(&self) -> usize {
            let Self #pattern = self;
            #heap_bytes
        }
        #[inline]
        fn touch(&self) -> u64 {
            let Self #pattern = self;
            #touch
        }
    }
}

fn struct_from_value(core: &TokenStream, body: &Body<'_>) -> TokenStream {
    match body {
        Body::Unit => quote!(__value.into_fields().map(|_| Self)),
        _ => from_value(core, &quote!(Self), body),
    }
}

fn for_enum(core: &TokenStream, name: &str, variants: &[Variant<'_>]) -> TokenStream {
    let schemas = variants.iter().map(|Variant { name, aliases, body, .. }| {
        let data_type = schema(core, name, body);
        let aliases = strings(aliases);
        quote!(#core::data::Variant { name: ::std::string::String::from(#name), aliases: #aliases, data_type: #data_type })
    });
    let encodes = variants.iter().zip(0u32..).map(|(Variant { ident, body, .. }, number)| {
        let (pattern, bound) = pattern(body);
        let encode = encode(core, body, &bound);
        quote!(Self::#ident #pattern => { <u32 as #core::Data>::encode(&#number, __out); #encode })
    });
    let decodes = variants.iter().zip(0u32..).map(|(Variant { ident, body, .. }, number)| {
        let decode = decode(core, &quote!(Self::#ident), body);
        quote!(#number => ::core::result::Result::Ok(#decode))
    });
    let heap_bytes = variants.iter().map(|Variant { ident, body, .. }| {
        let (pattern, bound) = pattern(body);
        let heap_bytes = heap_bytes(core, body, &bound);
        quote!(Self::#ident #pattern => #heap_bytes)
    });
    quote! {
        fn schema() -> #core::DataType {
            #core::DataType::Enum {
                name: ::std::string::String::from(#name),
                variants: ::std::vec![#(#schemas),*],
            }
        }
        #[inline]
        fn encode(&self, __out: &mut ::std::vec::Vec<u8>) {
            match self { #(#encodes)* }
        }
        #[inline]
        fn decode(__input: &mut #core::Reader<'_>) -> ::core::result::Result<Self, #core::DecodeError> {
            match <u32 as #core::Data>::decode(__input)? {
                #(#decodes,)*
                __number => ::core::result::Result::Err(#core::data::unknown_variant_number(#name, __number)),
            }
        }
        fn heap_bytes(&self) -> usize {
            match self { #(#heap_bytes,)* }
        }
    }
}

fn enum_from_value(core: &TokenStream, name: &str, variants: &[Variant<'_>]) -> TokenStream {
    let mappings = variants.iter().map(|variant| map_variant(core, variant));
    // Every name goes before any alias: an old name may have been given to a new variant.
    let names = variants.iter().zip(0usize..).map(|(variant, index)| {
        let name = &variant.name;
        quote!((#index, #name))
    });
    let aliases = variants
        .iter()
        .zip(0usize..)
        .flat_map(|(variant, index)| variant.aliases.iter().map(move |alias| quote!((#index, #alias))));
    let indexes = 0..variants.len();
    quote! {
        let (__index, __value) = __value.into_variant(#name, &[#(#names,)* #(#aliases,)*])?;
        match __index {
            #(#indexes => #mappings,)*
            _ => ::core::unreachable!("invariant: the index is one of those given"),
        }
    }
}

/// The variant from what the writer's variant of that name carried.
fn map_variant(core: &TokenStream, variant: &Variant<'_>) -> TokenStream {
    let Variant { ident, name, body, .. } = variant;
    let path = quote!(Self::#ident);
    let mapped = match body {
        Body::Unit => quote!(<() as #core::Data>::from_value(__value).map(|()| #path)),
        _ => {
            let from_value = from_value(core, &path, body);
            quote!((|| { #from_value })())
        }
    };
    quote!(#mapped.map_err(|__error: #core::DecodeError| __error.in_field(#name)))
}

fn schema(core: &TokenStream, name: &str, body: &Body<'_>) -> TokenStream {
    match body {
        Body::Unit => quote!(#core::DataType::Unit),
        Body::Tuple(types) => {
            quote!(#core::DataType::Tuple(::std::vec![#(<#types as #core::Data>::schema()),*]))
        }
        Body::Named(fields) => named_schema(core, name, fields),
    }
}

fn named_schema(core: &TokenStream, name: &str, fields: &[Field<'_>]) -> TokenStream {
    let fields = fields.iter().map(|Field { name, aliases, data_type, .. }| {
        let aliases = strings(aliases);
        quote! {
            #core::Field {
                name: ::std::string::String::from(#name),
                aliases: #aliases,
                data_type: <#data_type as #core::Data>::schema(),
            }
        }
    });
    quote! {
        #core::DataType::Struct {
            name: ::std::string::String::from(#name),
            fields: ::std::vec![#(#fields),*],
        }
    }
}

fn strings(texts: &[String]) -> TokenStream {
    quote!(::std::vec![#(::std::string::String::from(#texts)),*])
}

/// A pattern that binds every field by reference, and the names it binds them to.
fn pattern(body: &Body<'_>) -> (TokenStream, Vec<Ident>) {
    let bound: Vec<Ident> = (0..body.types().len())
        .map(|index| format_ident!("__field_{index}", span = Span::mixed_site()))
        .collect();
    let pattern = match body {
        Body::Unit => quote!(),
        Body::Tuple(_) => quote!((#(#bound),*)),
        Body::Named(fields) => {
            let names = fields.iter().map(|field| field.ident);
            quote!({ #(#names: #bound),* })
        }
    };
    (pattern, bound)
}

fn encode(core: &TokenStream, body: &Body<'_>, bound: &[Ident]) -> TokenStream {
    let types = body.types();
    quote!(#(<#types as #core::Data>::encode(#bound, __out);)*)
}

fn heap_bytes(core: &TokenStream, body: &Body<'_>, bound: &[Ident]) -> TokenStream {
    if bound.is_empty() {
        return quote!(0);
    }
    let types = body.types();
    quote!(#(<#types as #core::Data>::heap_bytes(#bound))+*)
}

fn touch(core: &TokenStream, body: &Body<'_>, bound: &[Ident]) -> TokenStream {
    if bound.is_empty() {
        return quote!(0);
    }
    let types = body.types();
    quote!(#(<#types as #core::Data>::touch(#bound))^*)
}

/// The value built by decoding its fields in order.
fn decode(core: &TokenStream, path: &TokenStream, body: &Body<'_>) -> TokenStream {
    let types = body.types();
    match body {
        Body::Unit => path.clone(),
        Body::Tuple(_) => quote!(#path(#(<#types as #core::Data>::decode(__input)?),*)),
        Body::Named(fields) => {
            let names = fields.iter().map(|field| field.ident);
            quote!(#path { #(#names: <#types as #core::Data>::decode(__input)?),* })
        }
    }
}

/// The value built from one of another schema: named fields by name and alias, others by position.
fn from_value(core: &TokenStream, path: &TokenStream, body: &Body<'_>) -> TokenStream {
    match body {
        Body::Unit => path.clone(),
        Body::Tuple(types) if types.is_empty() => quote!(__value.into_tuple(0).map(|_| #path())),
        Body::Named(fields) if fields.is_empty() => quote!(__value.into_fields().map(|_| #path {})),
        Body::Tuple(types) => {
            let count = types.len();
            let positions = 0..count;
            quote! {
                let mut __items = __value.into_tuple(#count)?.into_iter();
                ::core::result::Result::Ok(#path(
                    #(#core::data::item_from_value::<#types>(&mut __items, #positions)?),*
                ))
            }
        }
        Body::Named(fields) => {
            let lines = fields.iter().map(|Field { ident, name, aliases, data_type }| {
                quote!(#ident: #core::data::field_from_value::<#data_type>(&mut __fields, #name, &[#(#aliases),*])?)
            });
            quote! {
                let mut __fields = __value.into_fields()?;
                ::core::result::Result::Ok(#path { #(#lines),* })
            }
        }
    }
}
