//! The forms that a parameter's type can take, and how a value goes from one form to another.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{GenericArgument, Ident, PathArguments, Type, TypePath, TypeReference};

use crate::errors::Errors;

/// A parameter's type as its syntax has it.
pub(crate) enum Shape {
    /// `T`: cloned for every subscriber.
    Value(Type),
    /// `&T`.
    Reference(Referent),
    /// `Option<&T>`.
    OptionalReference(Referent),
}

/// What is behind a reference.
pub(crate) enum Referent {
    /// `str`, owned as a `String`.
    Str(Type),
    /// `[T]`, owned as a `Vec<T>`: the slice and its element.
    Slice(Type, Box<Type>),
    /// A type that is its own owned form.
    Sized(Type),
}

impl Shape {
    /// Returns the shape of `ty`; what events cannot carry by its syntax alone is refused.
    pub(crate) fn parse(ty: &Type, errors: &mut Errors) -> Self {
        let ty = ungrouped(ty);
        if let Type::Reference(reference) = ty {
            return Self::Reference(Referent::parse(reference, errors));
        }
        if let Some(reference) = optional_reference(ty) {
            return Self::OptionalReference(Referent::parse(reference, errors));
        }
        Refusals { errors }.visit_type(ty);
        Self::Value(ty.clone())
    }

    /// Returns the type of the argument once it is owned.
    pub(crate) fn owned_type(&self) -> TokenStream {
        match self {
            Self::Value(ty) => quote!(#ty),
            Self::Reference(referent) => referent.owned_type(),
            Self::OptionalReference(referent) => {
                let owned = referent.owned_type();
                quote_spanned!(at(referent.ty())=> ::core::option::Option<#owned>)
            }
        }
    }

    /// Returns the view of the argument in the variable `name`.
    pub(crate) fn view(&self, krate: &TokenStream, name: &Ident) -> TokenStream {
        match self {
            Self::Value(ty) => quote_spanned!(at(ty)=> <#ty as #krate::EventValue>::view(&#name)),
            Self::Reference(referent) => referent.view(krate, &quote!(&#name)),
            Self::OptionalReference(referent) => {
                // Hygienic, so that a parameter may have the same name.
                let inner = Ident::new("inner", Span::mixed_site());
                let view = referent.view(krate, &quote!(#inner));
                quote! {
                    match &#name {
                        ::core::option::Option::Some(#inner) => #view,
                        ::core::option::Option::None => #krate::ValueRef::Null,
                    }
                }
            }
        }
    }

    /// Returns the owned form of the argument in the variable `name`.
    pub(crate) fn owned(&self, krate: &TokenStream, name: &Ident) -> TokenStream {
        match self {
            Self::Value(_) => quote!(#name),
            Self::Reference(referent) => referent.owned(krate, name),
            Self::OptionalReference(referent) => {
                let inner = Ident::new("inner", Span::mixed_site());
                let owned = referent.owned(krate, &inner);
                quote! {
                    match #name {
                        ::core::option::Option::Some(#inner) => {
                            ::core::option::Option::Some(#owned)
                        }
                        ::core::option::Option::None => ::core::option::Option::None,
                    }
                }
            }
        }
    }

    /// Returns the argument for one more call, out of the variable `name`.
    pub(crate) fn pass(&self, name: &Ident) -> TokenStream {
        match self {
            Self::Value(ty) => cloned(ty, &quote!(&#name)),
            Self::Reference(_) | Self::OptionalReference(_) => quote!(#name),
        }
    }

    /// Returns the argument for a call, out of the owned form in the field `name` of `owner`.
    pub(crate) fn lend(&self, owner: &TokenStream, name: &Ident) -> TokenStream {
        match self {
            Self::Value(ty) => cloned(ty, &quote!(&#owner.#name)),
            Self::Reference(Referent::Str(_)) => {
                quote!(::std::string::String::as_str(&#owner.#name))
            }
            Self::Reference(Referent::Slice(..)) => {
                quote!(::std::vec::Vec::as_slice(&#owner.#name))
            }
            Self::Reference(Referent::Sized(_)) => quote!(&#owner.#name),
            Self::OptionalReference(Referent::Sized(_)) => {
                quote!(::core::option::Option::as_ref(&#owner.#name))
            }
            Self::OptionalReference(_) => {
                quote!(::core::option::Option::as_deref(&#owner.#name))
            }
        }
    }
}

impl Referent {
    fn parse(reference: &TypeReference, errors: &mut Errors) -> Self {
        errors.at_some(
            reference.mutability,
            "an event's arguments are for every subscriber: take `&T`, not `&mut T`",
        );
        errors.at_some(reference.lifetime.as_ref(), ELIDE);
        let ty = ungrouped(&reference.elem);
        Refusals { errors }.visit_type(ty);
        match ty {
            Type::Path(path) if path.path.is_ident("str") => Self::Str(ty.clone()),
            Type::Slice(slice) => Self::Slice(ty.clone(), slice.elem.clone()),
            _ => Self::Sized(ty.clone()),
        }
    }

    fn ty(&self) -> &Type {
        match self {
            Self::Str(ty) | Self::Slice(ty, _) | Self::Sized(ty) => ty,
        }
    }

    fn owned_type(&self) -> TokenStream {
        match self {
            Self::Str(ty) => quote_spanned!(at(ty)=> ::std::string::String),
            Self::Slice(ty, element) => quote_spanned!(at(ty)=> ::std::vec::Vec<#element>),
            Self::Sized(ty) => quote!(#ty),
        }
    }

    /// Returns the view of a reference to the reference.
    fn view(&self, krate: &TokenStream, twice: &TokenStream) -> TokenStream {
        match self {
            Self::Str(ty) | Self::Slice(ty, _) => quote_spanned! {at(ty)=>
                <#ty as #krate::__private::ReferencedValue>::view_of(#twice)
            },
            Self::Sized(ty) => quote_spanned!(at(ty)=> <#ty as #krate::EventValue>::view(*#twice)),
        }
    }

    /// Returns the owned form of the reference in the variable `name`.
    fn owned(&self, krate: &TokenStream, name: &Ident) -> TokenStream {
        match self {
            Self::Str(ty) | Self::Slice(ty, _) => quote_spanned! {at(ty)=>
                <#ty as #krate::__private::ReferencedValue>::owned(#name)
            },
            Self::Sized(ty) => cloned(ty, &quote!(#name)),
        }
    }
}

/// Returns a clone of what `reference` refers to.
pub(crate) fn cloned(ty: &impl ToTokens, reference: &TokenStream) -> TokenStream {
    quote_spanned!(at(ty)=> <#ty as ::core::clone::Clone>::clone(#reference))
}

/// Returns the type without the invisible group of a macro's `$t:ty`, and without parentheses.
pub(crate) fn ungrouped(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungrouped(&group.elem),
        Type::Paren(paren) => ungrouped(&paren.elem),
        other => other,
    }
}

/// Returns where errors about the type point, for tokens that resolve as all generated ones do.
pub(crate) fn at(ty: &impl ToTokens) -> Span {
    ty.span().resolved_at(Span::call_site())
}

/// Returns the reference inside if the type is an `Option` of one.
fn optional_reference(ty: &Type) -> Option<&TypeReference> {
    let Type::Path(TypePath { qself: None, path }) = ty else {
        return None;
    };
    let last = path.segments.last().filter(|last| last.ident == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    match arguments.args.first() {
        Some(GenericArgument::Type(inner)) if arguments.args.len() == 1 => match ungrouped(inner) {
            Type::Reference(reference) => Some(reference),
            _ => None,
        },
        _ => None,
    }
}

/// Finds what no parameter may have inside.
struct Refusals<'e> {
    errors: &'e mut Errors,
}

impl<'ast> Visit<'ast> for Refusals<'_> {
    fn visit_type(&mut self, ty: &'ast Type) {
        match ty {
            Type::Reference(_) => self.errors.at(
                ty,
                "a reference stands outermost, `&T` or `Option<&T>`: own what is further inside",
            ),
            Type::ImplTrait(_) => self.errors.at(
                ty,
                "`impl Trait` is not one type, and schemas name types: write the type",
            ),
            Type::TraitObject(_) => self.errors.at(
                ty,
                "trait objects cannot be seen as values: write a type that is an `EventValue`",
            ),
            _ => visit::visit_type(self, ty),
        }
    }

    fn visit_lifetime(&mut self, lifetime: &'ast syn::Lifetime) {
        self.errors.at(lifetime, ELIDE);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let first = path.segments.first().map(|segment| &segment.ident);
        self.errors.at_some(
            first.filter(|ident| *ident == "Self"),
            "events do not carry subscribers: `Self` is another type for each",
        );
        visit::visit_path(self, path);
    }
}

const ELIDE: &str = "event parameters elide their lifetimes, as in `&str`: an argument may be kept \
     longer than the call, and then it is owned";
