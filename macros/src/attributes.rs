//! What the user writes in `#[event_interface(...)]`, `#[event(...)]` and `#[event_value(...)]`.

use proc_macro_crate::FoundCrate;
use proc_macro2::{Span, TokenStream, TokenTree};
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::{Attribute, Expr, Ident, LitStr, Path, Token};

use crate::errors::Errors;
use crate::names::{Case, Names, plain};

/// The options of a trait or of a type.
#[derive(Default)]
pub(crate) struct ContainerOptions {
    /// The name outside Rust.
    pub(crate) name: Option<String>,
    /// What the interface's id is made of.
    pub(crate) id: Option<String>,
    /// The spelling of the names inside.
    pub(crate) rename_all: Option<Case>,
    /// Where the crate is.
    krate: Option<Path>,
}

impl ContainerOptions {
    /// Returns the options of `#[event_interface(options)]`.
    pub(crate) fn of_interface(options: TokenStream, errors: &mut Errors) -> Self {
        let mut found = Self::default();
        let parser = syn::meta::parser(|meta| {
            if meta.path.is_ident("name") {
                found.name = text(&meta, errors)?;
                return Ok(());
            }
            if meta.path.is_ident("id") {
                found.id = text(&meta, errors)?;
                return Ok(());
            }
            found.common_key(&meta, "`name`, `id`, `rename_all`, `crate`", errors)
        });
        let parsed = parser.parse2(options);
        errors.take(parsed);
        found
    }

    /// Returns the options in the `#[event_value(...)]` of a type.
    pub(crate) fn of_type(attributes: &[Attribute], errors: &mut Errors) -> Self {
        let mut found = Self::default();
        for attribute in named(attributes, "event_value") {
            let parsed = attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("rename") {
                    found.name = text(&meta, errors)?;
                    return Ok(());
                }
                found.common_key(&meta, "`rename`, `rename_all`, `crate`", errors)
            });
            errors.take(parsed);
        }
        found
    }

    /// Returns the path under which generated code finds the crate, whatever the user calls it.
    pub(crate) fn crate_path(&self) -> TokenStream {
        if let Some(path) = &self.krate {
            return quote!(#path);
        }
        match proc_macro_crate::crate_name("loosely") {
            Ok(FoundCrate::Name(name)) => {
                let name = Ident::new(&name, Span::call_site());
                quote!(::#name)
            }
            // Inside the package itself the library knows itself by its own name, as its tests and
            // examples do; where the manifest does not name it, no better guess is possible.
            Ok(FoundCrate::Itself) | Err(_) => quote!(::loosely),
        }
    }

    fn common_key(
        &mut self,
        meta: &ParseNestedMeta<'_>,
        known: &str,
        errors: &mut Errors,
    ) -> syn::Result<()> {
        if meta.path.is_ident("rename_all") {
            let case = Case::parse(&meta.value()?.parse()?);
            self.rename_all = errors.take(case);
        } else if meta.path.is_ident("crate") {
            self.krate = Some(meta.value()?.parse()?);
        } else {
            unknown_key(meta, known, errors)?;
        }
        Ok(())
    }
}

/// Returns the name of what is called `ident` in Rust, as the `#[attribute(rename, alias)]` among
/// its attributes and the spelling of the whole have it.
pub(crate) fn names_of(
    ident: &Ident,
    attributes: &[Attribute],
    attribute: &str,
    rename_all: Option<Case>,
    errors: &mut Errors,
) -> Names {
    named_by(ident, attributes, attribute, rename_all, None, errors)
}

/// Returns the names of a parameter, as [`names_of`] does, and the value that it has where an event
/// has none.
pub(crate) fn names_and_default(
    ident: &Ident,
    attributes: &[Attribute],
    rename_all: Option<Case>,
    errors: &mut Errors,
) -> (Names, Option<Expr>) {
    let mut default = None;
    let taken = Some(&mut default);
    let names = named_by(ident, attributes, "event", rename_all, taken, errors);
    (names, default)
}

fn named_by(
    ident: &Ident,
    attributes: &[Attribute],
    attribute: &str,
    rename_all: Option<Case>,
    mut default: Option<&mut Option<Expr>>,
    errors: &mut Errors,
) -> Names {
    let (mut renamed, mut aliases) = (None, Vec::new());
    for attribute in named(attributes, attribute) {
        let parsed = attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("rename") {
                renamed = text(&meta, errors)?;
            } else if meta.path.is_ident("alias") {
                aliases.extend(text(&meta, errors)?);
            } else if let Some(default) = &mut default {
                if !meta.path.is_ident("default") {
                    return unknown_key(&meta, "`rename`, `alias`, `default`", errors);
                }
                **default = Some(meta.value()?.parse()?);
            } else {
                unknown_key(&meta, "`rename`, `alias`", errors)?;
            }
            Ok(())
        });
        errors.take(parsed);
    }
    let spelled = || {
        let name = plain(ident);
        rename_all.map_or_else(|| name.clone(), |case| case.apply(&name))
    };
    Names {
        name: renamed.unwrap_or_else(spelled),
        aliases,
        span: ident.span(),
    }
}

/// Returns the attributes of this name.
pub(crate) fn named<'a>(
    attributes: &'a [Attribute],
    name: &str,
) -> impl Iterator<Item = &'a Attribute> {
    attributes
        .iter()
        .filter(move |attribute| attribute.path().is_ident(name))
}

/// Returns the text after the `=`; an empty one is refused.
fn text(meta: &ParseNestedMeta<'_>, errors: &mut Errors) -> syn::Result<Option<String>> {
    let literal: LitStr = meta.value()?.parse()?;
    let text = literal.value();
    if text.trim().is_empty() {
        errors.at(literal, "a name is not empty");
        return Ok(None);
    }
    Ok(Some(text))
}

/// Refuses the key, and skips its value so that the keys after it are looked at.
fn unknown_key(meta: &ParseNestedMeta<'_>, known: &str, errors: &mut Errors) -> syn::Result<()> {
    errors.push(meta.error(format!("unknown key: expected one of {known}")));
    while !meta.input.is_empty() && !meta.input.peek(Token![,]) {
        meta.input.parse::<TokenTree>()?;
    }
    Ok(())
}
