//! What subscribers made of closures have in common, whatever the closures are.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::Ident;

use crate::names::plain;
use crate::parse::{Interface, Method};

/// Returns the struct: a closure per method, if it has one, of the type that `closure` gives.
pub(super) fn structure(
    interface: &Interface,
    handlers: &Ident,
    docs: &str,
    closure: impl Fn(&Method) -> TokenStream,
) -> TokenStream {
    let vis = interface.vis();
    let fields = interface.methods.iter().map(|method| {
        let Method { ident, cfgs, .. } = method;
        let closure = closure(method);
        quote! {
            #(#cfgs)*
            #ident: ::core::option::Option<#closure>
        }
    });
    quote! {
        #[doc = #docs]
        #[derive(::core::default::Default)]
        #vis struct #handlers {
            #(#fields,)*
        }
    }
}

/// Returns its methods, one for each closure that it may have, and what it implements.
pub(super) fn impls(
    interface: &Interface,
    handlers: &Ident,
    setter: impl Fn(&Method) -> TokenStream,
    subscriber: &TokenStream,
) -> TokenStream {
    let vis = interface.vis();
    let setters = interface.methods.iter().map(setter);
    let debug = debug(interface, handlers);
    quote! {
        impl #handlers {
            /// Returns a subscriber that ignores every event.
            #[must_use]
            #vis fn new() -> Self {
                <Self as ::core::default::Default>::default()
            }

            #(#setters)*
        }

        #debug

        #subscriber
    }
}

/// Returns an implementation of `Debug` that says which methods have a closure.
fn debug(interface: &Interface, handlers: &Ident) -> TokenStream {
    let name = plain(handlers);
    // Hygienic, so that a method may have the same name.
    let debug = Ident::new("debug", Span::mixed_site());
    let fields = interface.methods.iter().map(|Method { ident, cfgs, .. }| {
        let name = plain(ident);
        quote! {
            #(#cfgs)*
            #debug.field(#name, &::core::option::Option::is_some(&self.#ident));
        }
    });
    quote! {
        #[automatically_derived]
        impl ::core::fmt::Debug for #handlers {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                let mut #debug = ::core::fmt::Formatter::debug_struct(f, #name);
                #(#fields)*
                #debug.finish()
            }
        }
    }
}
