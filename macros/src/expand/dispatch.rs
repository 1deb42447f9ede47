//! The interface at run time: schema, call by index, and untyped subscribers.

use proc_macro2::TokenStream;
use quote::quote;

use super::{implementation, index, views};
use crate::names::Names;
use crate::parse::{Interface, Method};
use crate::record;

/// Returns everything that `dyn Trait` implements, and the trait for untyped subscribers.
pub(super) fn impls(interface: &Interface) -> TokenStream {
    let event_interface = event_interface(interface);
    let implemented_by = implemented_by(interface);
    let untyped = untyped(interface);
    quote! { #event_interface #implemented_by #untyped }
}

fn event_interface(interface: &Interface) -> TokenStream {
    let (krate, ident, event) = (&interface.krate, interface.ident(), interface.event());
    let schema = schema(interface);
    let invoke = invoke(interface);
    quote! {
        #[automatically_derived]
        impl #krate::EventInterface for dyn #ident {
            type Event = #event;

            #schema

            #invoke

            fn from_subscriber(
                subscriber: ::std::sync::Arc<dyn #krate::Subscriber>,
            ) -> ::std::sync::Arc<Self> {
                ::std::sync::Arc::new(#krate::__private::Untyped(subscriber))
            }
        }
    }
}

fn schema(interface: &Interface) -> TokenStream {
    let Interface {
        krate,
        name,
        id,
        methods,
        ..
    } = interface;
    let methods = methods.iter().map(|method| method_schema(krate, method));
    quote! {
        fn schema() -> &'static #krate::InterfaceSchema {
            static SCHEMA: ::std::sync::OnceLock<#krate::InterfaceSchema> =
                ::std::sync::OnceLock::new();
            SCHEMA.get_or_init(|| #krate::InterfaceSchema::new(#id, #name, [#(#methods),*]))
        }
    }
}

fn method_schema(krate: &TokenStream, method: &Method) -> TokenStream {
    let Names { name, aliases, .. } = &method.names;
    let cfgs = &method.cfgs;
    let parameters = method
        .parameters
        .iter()
        .map(|parameter| record::schema(krate, &parameter.names, &parameter.shape.owned_type()));
    quote! {
        #(#cfgs)*
        #krate::EventMethod::new(#name, [#(#parameters),*]) #(.alias(#aliases))*
    }
}

fn invoke(interface: &Interface) -> TokenStream {
    let krate = &interface.krate;
    let arms = interface
        .methods
        .iter()
        .enumerate()
        .map(|(position, method)| {
            let Method {
                cfgs, arguments, ..
            } = method;
            let index = index(interface, position);
            quote! {
                #(#cfgs)*
                #index => #arguments::from_arguments(arguments)?.deliver(self),
            }
        });
    quote! {
        fn invoke(
            &self,
            method: ::core::primitive::usize,
            arguments: &[#krate::ValueRef<'_>],
        ) -> ::core::result::Result<(), #krate::SubscriberError> {
            match method {
                #(#arms)*
                _ => ::core::result::Result::Err(#krate::__private::no_such_method(
                    <Self as #krate::EventInterface>::schema(),
                    method,
                )),
            }
        }
    }
}

fn implemented_by(interface: &Interface) -> TokenStream {
    let (krate, ident) = (&interface.krate, interface.ident());
    let (publisher, with) = (interface.publisher(), interface.with());
    quote! {
        #[automatically_derived]
        impl<__T: #ident> #krate::ImplementedBy<__T> for dyn #ident {
            fn upcast(subscriber: ::std::sync::Arc<__T>) -> ::std::sync::Arc<Self> {
                subscriber
            }
        }

        #[automatically_derived]
        impl #krate::Publishes for dyn #ident {
            type Publisher = #publisher;
            type With<'a> = #with<'a>;
        }

        #[automatically_derived]
        impl #krate::IntoTarget<dyn #ident> for ::std::sync::Arc<dyn #ident> {
            fn into_target(self) -> #krate::__private::LiveTarget<dyn #ident> {
                #krate::__private::LiveTarget::Strong(self)
            }
        }

        #[automatically_derived]
        impl #krate::IntoTarget<dyn #ident> for ::std::sync::Weak<dyn #ident> {
            fn into_target(self) -> #krate::__private::LiveTarget<dyn #ident> {
                #krate::__private::LiveTarget::Weak(::std::boxed::Box::new(move || self.upgrade()))
            }
        }
    }
}

fn untyped(interface: &Interface) -> TokenStream {
    let (krate, ident) = (&interface.krate, interface.ident());
    implementation(
        interface,
        &quote!(#krate::__private::Untyped),
        |position, method| {
            let index = index(interface, position);
            let views = views(interface, method);
            let success = method.success();
            quote! {
                #krate::__private::Untyped::deliver(
                    self,
                    <dyn #ident as #krate::EventInterface>::schema(),
                    #index,
                    &#views,
                );
                #success
            }
        },
    )
}
