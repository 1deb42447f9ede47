//! An event of any method with its arguments, owned: what streams, mailboxes and deliveries on
//! other threads share.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::Ident;

use super::{delivery, index};
use crate::names::plain;
use crate::parse::{Interface, Method};

/// Returns the enum: a variant per method, which holds its arguments.
pub(super) fn structure(interface: &Interface) -> TokenStream {
    let (ident, vis, event) = (interface.ident(), interface.vis(), interface.event());
    let name = plain(ident);
    let docs = format!("An event of [`{name}`] with its arguments, owned.");
    let variants = interface.methods.iter().map(|method| {
        let Method {
            arguments,
            cfgs,
            variant,
            ..
        } = method;
        let docs = format!("[`{name}::{}`].", plain(&method.ident));
        quote! {
            #(#cfgs)*
            #[doc = #docs]
            #variant(#arguments)
        }
    });
    quote! {
        #[doc = #docs]
        #vis enum #event {
            #(#variants,)*
        }
    }
}

/// Returns its methods and implementations.
pub(super) fn impls(interface: &Interface) -> TokenStream {
    let deliver = deliver(interface);
    let traits = [
        clone(interface),
        debug(interface),
        record_view(interface),
        interface_event(interface),
    ];
    let event = interface.event();
    let conversions = interface.methods.iter().map(|method| {
        let Method {
            arguments,
            cfgs,
            variant,
            ..
        } = method;
        quote! {
            #(#cfgs)*
            #[automatically_derived]
            impl ::core::convert::From<#arguments> for #event {
                fn from(arguments: #arguments) -> Self {
                    Self::#variant(arguments)
                }
            }
        }
    });
    quote! {
        impl #event {
            #deliver
        }

        #(#[automatically_derived] #traits)*

        #(#conversions)*
    }
}

/// Returns the event that is made of arguments as the method takes them.
pub(super) fn made_of(
    interface: &Interface,
    method: &Method,
    arguments: impl Iterator<Item = TokenStream>,
) -> TokenStream {
    let (event, variant, owned) = (interface.event(), &method.variant, &method.arguments);
    quote!(#event::#variant(#owned::new(#(#arguments),*)))
}

/// Returns a `match` of `event` with an arm per method, in whose body the variable is the
/// arguments.
pub(super) fn each(
    interface: &Interface,
    event: &TokenStream,
    body: impl Fn(usize, &Method, &Ident) -> TokenStream,
) -> TokenStream {
    let enumeration = interface.event();
    let arguments = Ident::new("arguments", Span::mixed_site());
    let arms = interface.methods.iter().enumerate().map(|(index, method)| {
        let Method { cfgs, variant, .. } = method;
        let body = body(index, method, &arguments);
        quote! {
            #(#cfgs)*
            #enumeration::#variant(ref #arguments) => #body,
        }
    });
    // Of the place itself, since all methods may be under conditions that do not hold.
    quote! {
        match *#event {
            #(#arms)*
        }
    }
}

fn deliver(interface: &Interface) -> TokenStream {
    let call = each(interface, &quote!(self), |_, method, arguments| {
        let owned = &method.arguments;
        quote!(#owned::deliver(#arguments, target))
    });
    delivery(interface, &call)
}

fn clone(interface: &Interface) -> TokenStream {
    let event = interface.event();
    let clone = each(interface, &quote!(self), |_, method, arguments| {
        let variant = &method.variant;
        quote!(Self::#variant(::core::clone::Clone::clone(#arguments)))
    });
    quote! {
        impl ::core::clone::Clone for #event {
            fn clone(&self) -> Self {
                #clone
            }
        }
    }
}

fn debug(interface: &Interface) -> TokenStream {
    let event = interface.event();
    let debug = each(interface, &quote!(self), |_, method, arguments| {
        let name = method.variant.to_string();
        quote! {
            ::core::fmt::Formatter::debug_tuple(f, #name)
                .field(#arguments)
                .finish()
        }
    });
    quote! {
        impl ::core::fmt::Debug for #event {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                #debug
            }
        }
    }
}

fn record_view(interface: &Interface) -> TokenStream {
    let (krate, event) = (&interface.krate, interface.event());
    let field_count = each(
        interface,
        &quote!(self),
        |_, _, arguments| quote!(#krate::RecordView::field_count(#arguments)),
    );
    let field = each(
        interface,
        &quote!(self),
        |_, _, arguments| quote!(#krate::RecordView::field(#arguments, index)),
    );
    let field_named = each(
        interface,
        &quote!(self),
        |_, _, arguments| quote!(#krate::RecordView::field_named(#arguments, name)),
    );
    quote! {
        impl #krate::RecordView for #event {
            fn field_count(&self) -> ::core::primitive::usize {
                #field_count
            }

            fn field(
                &self,
                index: ::core::primitive::usize,
            ) -> ::core::option::Option<(&::core::primitive::str, #krate::ValueRef<'_>)> {
                #field
            }

            fn field_named(
                &self,
                name: &::core::primitive::str,
            ) -> ::core::option::Option<#krate::ValueRef<'_>> {
                #field_named
            }
        }
    }
}

fn interface_event(interface: &Interface) -> TokenStream {
    let (krate, trait_ident, event) = (&interface.krate, interface.ident(), interface.event());
    let number = each(interface, &quote!(self), |position, _, _| {
        let index = index(interface, position);
        quote!(#index)
    });
    let arms = interface.methods.iter().enumerate();
    let arms = arms.map(|(position, method)| {
        let Method {
            arguments: owned,
            cfgs,
            variant,
            ..
        } = method;
        let index = index(interface, position);
        quote! {
            #(#cfgs)*
            #index => ::core::result::Result::Ok(Self::#variant(
                #owned::from_arguments(arguments)?,
            )),
        }
    });
    quote! {
        impl #krate::InterfaceEvent<dyn #trait_ident> for #event {
            fn deliver(
                &self,
                target: &dyn #trait_ident,
            ) -> ::core::result::Result<(), #krate::SubscriberError> {
                #event::deliver(self, target)
            }

            fn method(&self) -> ::core::primitive::usize {
                #number
            }

            fn from_arguments(
                method: ::core::primitive::usize,
                arguments: &[#krate::ValueRef<'_>],
            ) -> ::core::result::Result<Self, #krate::SubscriberError> {
                match method {
                    #(#arms)*
                    _ => ::core::result::Result::Err(#krate::__private::no_such_method(
                        <dyn #trait_ident as #krate::EventInterface>::schema(),
                        method,
                    )),
                }
            }
        }
    }
}
