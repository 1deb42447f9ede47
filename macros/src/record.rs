//! Schemas and views of things with named values: structs and owned arguments.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Member;

use crate::names::Names;
use crate::shape::at;

/// A named value of a struct.
pub(crate) struct Field<'a> {
    /// The names outside Rust.
    pub(crate) names: &'a Names,
    /// The field of the Rust struct.
    pub(crate) member: Member,
    /// The field's type.
    pub(crate) ty: TokenStream,
}

impl Field<'_> {
    /// Returns the view of the field of `self`.
    pub(crate) fn view(&self, krate: &TokenStream) -> TokenStream {
        let Self { member, ty, .. } = self;
        quote_spanned!(at(ty)=> <#ty as #krate::EventValue>::view(&self.#member))
    }
}

/// Returns the schema of a field or a parameter of this type.
pub(crate) fn schema(krate: &TokenStream, names: &Names, ty: &TokenStream) -> TokenStream {
    let Names { name, aliases, .. } = names;
    let value_type = quote_spanned!(at(ty)=> <#ty as #krate::EventValue>::value_type());
    quote! {
        #krate::Parameter::new(#name, #value_type) #(.alias(#aliases))*
    }
}

/// Returns how a value becomes one of this type.
pub(crate) fn conversion(krate: &TokenStream, ty: &TokenStream) -> TokenStream {
    quote_spanned! {at(ty)=>
        (<#ty as #krate::EventValue>::from_view, <#ty as #krate::EventValue>::value_type)
    }
}

/// Returns the body of the implementation of `RecordView`.
pub(crate) fn view_methods(krate: &TokenStream, fields: &[Field<'_>]) -> TokenStream {
    let count = fields.len();
    let indices = 0..count;
    let names = fields.iter().map(|field| &field.names.name);
    let views: Vec<_> = fields.iter().map(|field| field.view(krate)).collect();
    let all_names = fields.iter().map(|field| {
        let names = field.names.all();
        quote!(#(#names)|*)
    });
    quote! {
        fn field_count(&self) -> ::core::primitive::usize {
            #count
        }

        fn field(
            &self,
            index: ::core::primitive::usize,
        ) -> ::core::option::Option<(&::core::primitive::str, #krate::ValueRef<'_>)> {
            match index {
                #(#indices => ::core::option::Option::Some((#names, #views)),)*
                _ => ::core::option::Option::None,
            }
        }

        fn field_named(
            &self,
            name: &::core::primitive::str,
        ) -> ::core::option::Option<#krate::ValueRef<'_>> {
            match name {
                #(#all_names => ::core::option::Option::Some(#views),)*
                _ => ::core::option::Option::None,
            }
        }
    }
}
