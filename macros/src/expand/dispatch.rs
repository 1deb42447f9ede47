//! The interface at run time: schema, call by index, and untyped subscribers.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Expr, ExprLit, Ident, Lit};

use super::{generic_implementation, implementation, index, views};
use crate::names::Names;
use crate::parse::{Interface, Method, Parameter};
use crate::record;

/// Returns everything that `dyn Trait` implements, and the trait for subscribers of the crate's
/// own.
pub(super) fn impls(interface: &Interface) -> TokenStream {
    let event_interface = event_interface(interface);
    let implemented_by = implemented_by(interface);
    let (untyped, deduplicated) = (untyped(interface), deduplicated(interface));
    quote! { #event_interface #implemented_by #untyped #deduplicated }
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
        .map(|parameter| parameter_schema(krate, parameter));
    quote! {
        #(#cfgs)*
        #krate::EventMethod::new(#name, [#(#parameters),*]) #(.alias(#aliases))*
    }
}

fn parameter_schema(krate: &TokenStream, parameter: &Parameter) -> TokenStream {
    let owned = parameter.shape.owned_type();
    let schema = record::schema(krate, &parameter.names, &owned);
    let Some(default) = &parameter.default else {
        return schema;
    };
    let default = match default {
        // Text stands for what owns it.
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => quote_spanned!(text.span()=> ::core::convert::Into::into(#text)),
        other => quote!(#other),
    };
    quote! {
        #schema.with_default({
            let default: #owned = #default;
            #krate::EventValue::view(&default).to_value()
        })
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

/// Returns the trait for subscribers that are not called again for an event.
fn deduplicated(interface: &Interface) -> TokenStream {
    let (krate, ident) = (&interface.krate, interface.ident());
    let generics = quote!(<__T: #ident>);
    let target = quote!(#krate::Deduplicated<__T>);
    // Hygienic, so that a parameter may have the same name.
    let subscriber = Ident::new("subscriber", Span::mixed_site());
    generic_implementation(interface, &generics, &target, |_, method| {
        let (name, arguments) = (&method.ident, method.idents());
        let call = match method.error_span() {
            Some(_) => quote!(deduplicated_fallible),
            None => quote!(deduplicated),
        };
        quote! {
            #krate::__private::#call(
                self,
                |#subscriber| <__T as #ident>::#name(#subscriber, #(#arguments),*),
            )
        }
    })
}
