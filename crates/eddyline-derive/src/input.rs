//! What a type that derives `Data` looks like, checked.
//!
//! Whatever has been read into an [`Input`] can be expanded; everything else has become an error that points at
//! the part of the type that is wrong.

use crate::location;
use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use std::collections::BTreeSet;
use syn::ext::IdentExt;
use syn::{Attribute, Data, DeriveInput, Error, Fields, Generics, Ident, LitStr, Path, Result, Type};

/// A type for which `Data` can be implemented.
pub struct Input<'a> {
    pub ident: &'a Ident,
    pub generics: &'a Generics,
    /// The absolute path of `eddyline-core`.
    pub core: TokenStream,
    /// The types that this one was before.
    pub migrate_from: Vec<Type>,
    pub shape: Shape<'a>,
}

/// The alternatives of a type.
pub enum Shape<'a> {
    Struct(Body<'a>),
    Enum(Vec<Variant<'a>>),
}

/// The fields of a struct or of a variant.
pub enum Body<'a> {
    Unit,
    Tuple(Vec<&'a Type>),
    Named(Vec<Field<'a>>),
}

/// A named field.
pub struct Field<'a> {
    pub ident: &'a Ident,
    pub name: String,
    pub aliases: Vec<String>,
    pub data_type: &'a Type,
}

/// A variant of an enum.
pub struct Variant<'a> {
    pub ident: &'a Ident,
    pub name: String,
    pub aliases: Vec<String>,
    pub body: Body<'a>,
}

impl<'a> Input<'a> {
    /// Reads a type.
    pub fn read(input: &'a DeriveInput) -> Result<Self> {
        if let Some(lifetime) = input.generics.lifetimes().next() {
            return Err(Error::new_spanned(
                lifetime,
                "`Data` types own their data: a lifetime is not possible here",
            ));
        }
        let Container { core, migrate_from } = container_attributes(&input.attrs)?;
        let shape = match &input.data {
            Data::Struct(data) => Shape::Struct(Body::read(&data.fields, &input.ident)?),
            Data::Enum(data) => Shape::Enum(read_variants(data, &input.ident)?),
            Data::Union(data) => {
                let message = "`Data` cannot be derived for a union: nothing says which of its fields is set; use an enum";
                return Err(Error::new_spanned(data.union_token, message));
            }
        };
        Ok(Input { ident: &input.ident, generics: &input.generics, core, migrate_from, shape })
    }
}

fn read_variants<'a>(data: &'a syn::DataEnum, owner: &'a Ident) -> Result<Vec<Variant<'a>>> {
    if data.variants.is_empty() {
        return Err(Error::new_spanned(
            owner,
            "`Data` cannot be derived for an enum without variants: it has no values",
        ));
    }
    let mut names = Names::default();
    let mut variants = Vec::with_capacity(data.variants.len());
    for variant in &data.variants {
        let aliases = member_attributes(&variant.attrs)?;
        let name = variant.ident.unraw().to_string();
        let aliases = names.admit(aliases)?;
        variants.push(Variant {
            ident: &variant.ident,
            name,
            aliases,
            body: Body::read(&variant.fields, owner)?,
        });
    }
    Ok(variants)
}

impl<'a> Body<'a> {
    fn read(fields: &'a Fields, owner: &Ident) -> Result<Self> {
        for field in fields {
            refuse_recursion(&field.ty, owner)?;
        }
        match fields {
            Fields::Unit => Ok(Body::Unit),
            Fields::Unnamed(fields) => {
                for field in &fields.unnamed {
                    if let Some(alias) = member_attributes(&field.attrs)?.first() {
                        return Err(Error::new(
                            alias.span(),
                            "a positional field has no name, so it can have no alias",
                        ));
                    }
                }
                Ok(Body::Tuple(fields.unnamed.iter().map(|field| &field.ty).collect()))
            }
            Fields::Named(fields) => {
                let mut names = Names::default();
                let mut read = Vec::with_capacity(fields.named.len());
                for field in &fields.named {
                    let ident = field.ident.as_ref().expect("invariant: a named field has a name");
                    let aliases = names.admit(member_attributes(&field.attrs)?)?;
                    read.push(Field {
                        ident,
                        name: ident.unraw().to_string(),
                        aliases,
                        data_type: &field.ty,
                    });
                }
                Ok(Body::Named(read))
            }
        }
    }

    /// The types of the fields, in order.
    pub fn types(&self) -> Vec<&'a Type> {
        match self {
            Body::Unit => Vec::new(),
            Body::Tuple(types) => types.clone(),
            Body::Named(fields) => fields.iter().map(|field| field.data_type).collect(),
        }
    }
}

/// The aliases seen so far: one old name can have become only one new one.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn admit(&mut self, aliases: Vec<LitStr>) -> Result<Vec<String>> {
        let mut admitted = Vec::with_capacity(aliases.len());
        for alias in aliases {
            let name = alias.value();
            if name.is_empty() {
                return Err(Error::new(alias.span(), "an alias cannot be empty"));
            }
            if !self.0.insert(name.clone()) {
                return Err(Error::new(alias.span(), format!("the alias `{name}` is given twice")));
            }
            admitted.push(name);
        }
        Ok(admitted)
    }
}

/// What is said of the type as a whole.
struct Container {
    /// The path of `eddyline-core`, from `#[data(crate = "…")]` or from the dependencies.
    core: TokenStream,
    /// The types of `#[data(migrate_from = "…")]`, in order.
    migrate_from: Vec<Type>,
}

fn container_attributes(attributes: &[Attribute]) -> Result<Container> {
    let (mut core, mut migrate_from) = (None, Vec::new());
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("data")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("migrate_from") {
                migrate_from.push(meta.value()?.parse::<LitStr>()?.parse()?);
                return Ok(());
            }
            if !meta.path.is_ident("crate") {
                return Err(meta.error(format!(
                    "unknown attribute `{}`: a type takes `crate` and `migrate_from`",
                    written(&meta.path)
                )));
            }
            if core.is_some() {
                return Err(meta.error("`crate` is given twice"));
            }
            let path: Path = meta.value()?.parse::<LitStr>()?.parse_with(Path::parse_mod_style)?;
            core = Some(quote!(#path));
            Ok(())
        })?;
    }
    Ok(Container { core: core.unwrap_or_else(location::core_path), migrate_from })
}

/// The aliases of a field or a variant.
fn member_attributes(attributes: &[Attribute]) -> Result<Vec<LitStr>> {
    let mut aliases = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("data")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("alias") {
                let message =
                    format!("unknown attribute `{}`: a field or variant takes `alias`", written(&meta.path));
                return Err(meta.error(message));
            }
            aliases.push(meta.value()?.parse::<LitStr>()?);
            Ok(())
        })?;
    }
    Ok(aliases)
}

fn written(path: &Path) -> String {
    path.to_token_stream().to_string().replace(' ', "")
}

/// Refuses a field whose type names the type it is in: its schema would have no end. Recursion through another
/// type cannot be seen here.
fn refuse_recursion(field: &Type, owner: &Ident) -> Result<()> {
    match mention(field.to_token_stream(), owner) {
        Some(place) => {
            let message = format!(
                "`{owner}` contains itself: a `Data` type has a finite schema, boxed or not; keep the parts in a list \
                 and refer to them by position"
            );
            Err(Error::new(place.span(), message))
        }
        None => Ok(()),
    }
}

/// Where `tokens` name `owner` or `Self` as a type of their own, not as part of a longer path.
fn mention(tokens: TokenStream, owner: &Ident) -> Option<Ident> {
    let mut in_path = false;
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let separator =
            |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':');
        match token {
            TokenTree::Ident(ident) if !in_path && (ident == *owner || ident == "Self") => {
                if !tokens.peek().is_some_and(separator) {
                    return Some(ident);
                }
            }
            TokenTree::Group(group) => {
                if let Some(found) = mention(group.stream(), owner) {
                    return Some(found);
                }
                in_path = false;
                continue;
            }
            other => {
                in_path = separator(&other);
                continue;
            }
        }
        in_path = false;
    }
    None
}
