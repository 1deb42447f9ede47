//! The subscriber made of closures.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::Ident;

use super::implementation;
use crate::names::plain;
use crate::parse::{Interface, Method};

/// Returns the struct: a closure per method, if it has one.
pub(super) fn structure(interface: &Interface) -> TokenStream {
    let (ident, vis, handlers) = (interface.ident(), interface.vis(), interface.handlers());
    let docs = format!(
        "A subscriber to [`{}`] made of closures; events without one are received and ignored.",
        plain(ident),
    );
    let fields = interface.methods.iter().map(|method| {
        let Method { ident, cfgs, .. } = method;
        let closure = closure_type(method);
        quote! {
            #(#cfgs)*
            #ident: ::core::option::Option<
                ::std::boxed::Box<dyn #closure + ::core::marker::Send + ::core::marker::Sync>,
            >
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

/// Returns its methods and implementations.
pub(super) fn impls(interface: &Interface) -> TokenStream {
    let handlers = interface.handlers();
    let vis = interface.vis();
    let setters = interface
        .methods
        .iter()
        .map(|method| setter(interface, method));
    let debug = debug(interface, &handlers);
    let subscriber = subscriber(interface);
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

fn setter(interface: &Interface, method: &Method) -> TokenStream {
    let Method { ident, cfgs, .. } = method;
    let vis = interface.vis();
    let setter = format_ident!("on_{}", ident);
    let closure = closure_type(method);
    let name = plain(ident);
    let docs = format!(
        "Calls `handler` on every [`{}::{name}`].",
        plain(interface.ident())
    );
    quote! {
        #(#cfgs)*
        #[doc = #docs]
        #[must_use]
        #vis fn #setter(
            mut self,
            handler: impl #closure + ::core::marker::Send + ::core::marker::Sync + 'static,
        ) -> Self {
            self.#ident = ::core::option::Option::Some(::std::boxed::Box::new(handler));
            self
        }
    }
}

/// Returns an implementation of `Debug` that says which methods have a closure.
pub(super) fn debug(interface: &Interface, handlers: &Ident) -> TokenStream {
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

fn subscriber(interface: &Interface) -> TokenStream {
    let handlers = interface.handlers();
    // Hygienic, so that a parameter may have the same name.
    let handler = Ident::new("handler", Span::mixed_site());
    implementation(interface, &quote!(#handlers), |_, method| {
        let (ident, arguments, success) = (&method.ident, method.idents(), method.success());
        quote! {
            match &self.#ident {
                ::core::option::Option::Some(#handler) => #handler(#(#arguments),*),
                ::core::option::Option::None => #success,
            }
        }
    })
}

fn closure_type(method: &Method) -> TokenStream {
    let types = method.parameters.iter().map(|parameter| &parameter.ty);
    let output = &method.output;
    quote!(::core::ops::Fn(#(#types),*) #output)
}
