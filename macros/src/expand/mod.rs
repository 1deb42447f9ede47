//! What an event interface expands to: one function per emitted item.

mod arguments;
mod async_handlers;
mod closures;
mod dispatch;
mod event;
mod handlers;
mod local_handlers;
mod publisher;

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Ident;

use crate::parse::{Interface, Method};

/// Returns the trait and everything that is made for it.
pub(crate) fn interface(interface: &Interface) -> TokenStream {
    let item = &interface.item;
    let cfgs = interface.cfgs();
    let types = types(interface);
    let impls = impls(interface);
    quote! {
        #item

        #types

        #(#cfgs)*
        #[allow(
            dead_code,
            deprecated,
            non_local_definitions,
            non_snake_case,
            non_upper_case_globals,
            private_bounds,
            private_interfaces,
            unreachable_pub,
            unused_qualifications,
            clippy::all,
            clippy::nursery,
            clippy::pedantic,
            unused_variables
        )]
        const _: () = { #impls };
    }
}

/// Returns the types that users name.
fn types(interface: &Interface) -> TokenStream {
    let publisher = publisher::structure(interface);
    let with = publisher::with_structure(interface);
    let handlers = handlers::structure(interface);
    let local_handlers = local_handlers::structure(interface);
    let async_handlers = async_handlers::structure(interface);
    let event = event::structure(interface);
    let arguments = interface
        .methods
        .iter()
        .map(|method| arguments::structure(interface, method));
    let cfgs = interface.cfgs();
    let others = [local_handlers, async_handlers, event];
    let types = [publisher, with, handlers].into_iter().chain(others);
    types
        .chain(arguments)
        .map(|structure| {
            quote! {
                #(#cfgs)*
                #[allow(
                    dead_code,
                    deprecated,
                    non_camel_case_types,
                    private_interfaces,
                    unreachable_pub,
                    unused_qualifications,
                    clippy::all,
                    clippy::pedantic
                )]
                #structure
            }
        })
        .collect()
}

/// Returns the implementations, and the constants that number methods under conditions.
fn impls(interface: &Interface) -> TokenStream {
    let indices = indices(interface);
    let dispatch = dispatch::impls(interface);
    let publisher = publisher::impls(interface);
    let handlers = [
        handlers::impls(interface),
        local_handlers::impls(interface),
        async_handlers::impls(interface),
    ];
    let event = event::impls(interface);
    let arguments = interface
        .methods
        .iter()
        .map(|method| arguments::impls(interface, method));
    quote! { #indices #dispatch #publisher #(#handlers)* #event #(#arguments)* }
}

/// Returns the constants that [`index`] names, if there are methods that may not be there.
fn indices(interface: &Interface) -> TokenStream {
    if !has_conditions(interface) {
        return TokenStream::new();
    }
    let constants = interface.methods.iter().enumerate().map(|(i, method)| {
        let (index, next) = (
            format_ident!("__INDEX_{i}"),
            format_ident!("__INDEX_{}", i + 1),
        );
        let conditions = method
            .cfgs
            .iter()
            .filter_map(|cfg| cfg.meta.require_list().ok());
        let conditions = conditions.map(|list| &list.tokens);
        quote! {
            const #next: ::core::primitive::usize = if ::core::cfg!(all(#(#conditions),*)) {
                #index + 1
            } else {
                #index
            };
        }
    });
    quote! {
        const __INDEX_0: ::core::primitive::usize = 0;
        #(#constants)*
    }
}

/// Returns the index of a method in the schema, as a pattern and as an expression.
fn index(interface: &Interface, method: usize) -> TokenStream {
    if has_conditions(interface) {
        let index = format_ident!("__INDEX_{method}");
        quote!(#index)
    } else {
        quote!(#method)
    }
}

fn has_conditions(interface: &Interface) -> bool {
    interface
        .methods
        .iter()
        .any(|method| !method.cfgs.is_empty())
}

/// Returns an implementation of the trait for `target`, with this body for each method.
fn implementation(
    interface: &Interface,
    target: &TokenStream,
    body: impl Fn(usize, &Method) -> TokenStream,
) -> TokenStream {
    generic_implementation(interface, &TokenStream::new(), target, body)
}

/// Returns an implementation of the trait for `target`, which has these generics.
fn generic_implementation(
    interface: &Interface,
    generics: &TokenStream,
    target: &TokenStream,
    body: impl Fn(usize, &Method) -> TokenStream,
) -> TokenStream {
    let ident = interface.ident();
    let methods = interface.methods.iter().enumerate().map(|(index, method)| {
        let Method {
            ident,
            cfgs,
            output,
            ..
        } = method;
        let inputs = method.inputs();
        let body = body(index, method);
        quote! {
            #(#cfgs)*
            fn #ident(&self, #inputs) #output {
                #body
            }
        }
    });
    quote! {
        impl #generics #ident for #target {
            #(#methods)*
        }
    }
}

/// Returns the views of the arguments in the parameters' variables, as an array.
fn views(interface: &Interface, method: &Method) -> TokenStream {
    let views = method
        .parameters
        .iter()
        .map(|parameter| parameter.shape.view(&interface.krate, &parameter.ident));
    quote!([#(#views),*])
}

/// Returns a call of the method on `target` that yields a subscriber's outcome.
fn outcome(
    interface: &Interface,
    method: &Method,
    target: &TokenStream,
    arguments: impl Iterator<Item = TokenStream>,
) -> TokenStream {
    let (ident, name) = (interface.ident(), &method.ident);
    let call = quote!(<dyn #ident as #ident>::#name(#target, #(#arguments),*));
    outcome_of(method, &call)
}

/// Returns the method of an owned event, or of its arguments, that calls a subscriber.
fn delivery(interface: &Interface, call: &TokenStream) -> TokenStream {
    let (krate, trait_ident, vis) = (&interface.krate, interface.ident(), interface.vis());
    quote! {
        /// Calls the event's method of `target` with the arguments.
        ///
        /// # Errors
        ///
        /// When the subscriber returns one.
        #vis fn deliver(
            &self,
            target: &dyn #trait_ident,
        ) -> ::core::result::Result<(), #krate::SubscriberError> {
            #call
        }
    }
}

/// Returns a call that returns what the method does, as one that yields a subscriber's outcome.
fn outcome_of(method: &Method, call: &TokenStream) -> TokenStream {
    let Some(span) = method.error_span() else {
        return quote! {{
            #call;
            ::core::result::Result::Ok(())
        }};
    };
    let error = Ident::new("error", span.resolved_at(Span::mixed_site()));
    let converted = quote_spanned!(span=> ::core::convert::Into::into(#error));
    quote! {
        match #call {
            ::core::result::Result::Ok(()) => ::core::result::Result::Ok(()),
            ::core::result::Result::Err(#error) => ::core::result::Result::Err(#converted),
        }
    }
}
