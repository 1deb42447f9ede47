//! The subscriber made of closures that stay on the thread that dispatches events to them.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::Ident;

use super::{closures, event, outcome_of};
use crate::names::plain;
use crate::parse::{Interface, Method};

/// Returns the struct: a closure per method, if it has one.
pub(super) fn structure(interface: &Interface) -> TokenStream {
    let docs = format!(
        "A subscriber to [`{}`] made of closures that need not be [`Send`], for a mailbox; events \
         without one are received and ignored.",
        plain(interface.ident()),
    );
    closures::structure(interface, &interface.local_handlers(), &docs, |method| {
        let closure = closure_type(method);
        quote!(::std::boxed::Box<dyn #closure>)
    })
}

/// Returns its methods and implementations.
pub(super) fn impls(interface: &Interface) -> TokenStream {
    let setter = |method: &Method| setter(interface, method);
    let (handlers, subscriber) = (interface.local_handlers(), subscriber(interface));
    closures::impls(interface, &handlers, setter, &subscriber)
}

fn setter(interface: &Interface, method: &Method) -> TokenStream {
    let Method { ident, cfgs, .. } = method;
    let vis = interface.vis();
    let setter = format_ident!("on_{}", ident);
    let closure = closure_type(method);
    let docs = format!(
        "Calls `handler` on every [`{}::{}`].",
        plain(interface.ident()),
        plain(ident)
    );
    quote! {
        #(#cfgs)*
        #[doc = #docs]
        #[must_use]
        #vis fn #setter(mut self, handler: impl #closure + 'static) -> Self {
            self.#ident = ::core::option::Option::Some(::std::boxed::Box::new(handler));
            self
        }
    }
}

fn subscriber(interface: &Interface) -> TokenStream {
    let (krate, trait_ident) = (&interface.krate, interface.ident());
    let (event, handlers) = (interface.event(), interface.local_handlers());
    let handler = Ident::new("handler", Span::mixed_site());
    let call = event::each(interface, &quote!(event), |_, method, arguments| {
        let ident = &method.ident;
        let parameters = method.parameters.iter();
        let lent = parameters.map(|it| it.shape.lend(&quote!(#arguments), &it.ident));
        let call = outcome_of(method, &quote!(#handler(#(#lent),*)));
        quote! {
            match &mut self.#ident {
                ::core::option::Option::Some(#handler) => #call,
                ::core::option::Option::None => ::core::result::Result::Ok(()),
            }
        }
    });
    quote! {
        #[automatically_derived]
        impl #krate::LocalSubscriber<dyn #trait_ident> for #handlers {
            fn event(
                &mut self,
                event: &#event,
            ) -> ::core::result::Result<(), #krate::SubscriberError> {
                #call
            }
        }
    }
}

fn closure_type(method: &Method) -> TokenStream {
    let types = method.parameters.iter().map(|parameter| &parameter.ty);
    let output = &method.output;
    quote!(::core::ops::FnMut(#(#types),*) #output)
}
