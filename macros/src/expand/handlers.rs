//! The subscriber made of closures.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::Ident;

use super::{closures, implementation};
use crate::names::plain;
use crate::parse::{Interface, Method};

/// Returns the struct: a closure per method, if it has one.
pub(super) fn structure(interface: &Interface) -> TokenStream {
    let docs = format!(
        "A subscriber to [`{}`] made of closures; events without one are received and ignored.",
        plain(interface.ident()),
    );
    closures::structure(interface, &interface.handlers(), &docs, |method| {
        let closure = closure_type(method);
        quote! {
            ::std::boxed::Box<dyn #closure + ::core::marker::Send + ::core::marker::Sync>
        }
    })
}

/// Returns its methods and implementations.
pub(super) fn impls(interface: &Interface) -> TokenStream {
    let setter = |method: &Method| setter(interface, method);
    let (handlers, subscriber) = (interface.handlers(), subscriber(interface));
    closures::impls(interface, &handlers, setter, &subscriber)
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
