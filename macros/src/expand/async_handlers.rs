//! The subscriber made of closures that return futures.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::Ident;

use super::closures;
use crate::names::plain;
use crate::parse::{Interface, Method};

/// Returns the struct: a closure per method, if it has one.
pub(super) fn structure(interface: &Interface) -> TokenStream {
    let krate = &interface.krate;
    let docs = format!(
        "A subscriber to [`{}`] made of closures that return futures; events without one are \
         received and ignored.",
        plain(interface.ident()),
    );
    closures::structure(interface, &interface.async_handlers(), &docs, |method| {
        let arguments = &method.arguments;
        quote!(#krate::__private::AsyncHandler<#arguments>)
    })
}

/// Returns its methods and implementations.
pub(super) fn impls(interface: &Interface) -> TokenStream {
    let setter = |method: &Method| setter(interface, method);
    let (handlers, subscriber) = (interface.async_handlers(), subscriber(interface));
    closures::impls(interface, &handlers, setter, &subscriber)
}

fn setter(interface: &Interface, method: &Method) -> TokenStream {
    let Method {
        ident,
        arguments,
        cfgs,
        ..
    } = method;
    let (krate, vis) = (&interface.krate, interface.vis());
    let setter = format_ident!("on_{}", ident);
    let docs = format!(
        "Awaits what `handler` returns on every [`{}::{}`]: nothing, or a `Result` whose error the \
         failure hook hears.",
        plain(interface.ident()),
        plain(ident)
    );
    quote! {
        #(#cfgs)*
        #[doc = #docs]
        #[must_use]
        #vis fn #setter<__F>(
            mut self,
            handler: impl ::core::ops::FnMut(#arguments) -> __F + ::core::marker::Send + 'static,
        ) -> Self
        where
            __F: ::core::future::Future<Output: #krate::IntoOutcome>
                + ::core::marker::Send
                + 'static,
        {
            self.#ident = ::core::option::Option::Some(#krate::__private::async_handler(handler));
            self
        }
    }
}

fn subscriber(interface: &Interface) -> TokenStream {
    let (krate, trait_ident) = (&interface.krate, interface.ident());
    let (event, handlers) = (interface.event(), interface.async_handlers());
    let names = ["handler", "arguments"];
    let [handler, arguments] = names.map(|name| Ident::new(name, Span::mixed_site()));
    let arms = interface.methods.iter().map(|method| {
        let Method {
            ident,
            cfgs,
            variant,
            ..
        } = method;
        quote! {
            #(#cfgs)*
            #event::#variant(#arguments) => match &mut self.#ident {
                ::core::option::Option::Some(#handler) => {
                    ::core::option::Option::Some(#handler(#arguments))
                }
                ::core::option::Option::None => ::core::option::Option::None,
            },
        }
    });
    quote! {
        #[automatically_derived]
        impl #krate::AsyncSubscriber<dyn #trait_ident> for #handlers {
            fn event(
                &mut self,
                event: #event,
            ) -> ::core::option::Option<#krate::HandlerFuture> {
                match event {
                    #(#arms)*
                }
            }
        }
    }
}
