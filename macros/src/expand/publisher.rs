//! The publisher object: its event methods, and its other side as a subscriber.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::Ident;

use super::{implementation, index, outcome, views};
use crate::names::plain;
use crate::parse::{Interface, Method};

/// Returns the struct.
pub(super) fn structure(interface: &Interface) -> TokenStream {
    let (krate, ident, vis) = (&interface.krate, interface.ident(), interface.vis());
    let publisher = interface.publisher();
    let docs = format!(
        "Fires the events of [`{}`].\n\nIt has the event methods only, so that an event may bear \
         any name; what controls the publisher is what it dereferences to. A clone is the same \
         publisher.",
        plain(ident),
    );
    quote! {
        #[doc = #docs]
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #vis struct #publisher(#krate::Publisher<dyn #ident>);
    }
}

/// Returns its methods and implementations.
pub(super) fn impls(interface: &Interface) -> TokenStream {
    let publisher = interface.publisher();
    let conversions = conversions(interface);
    let methods = interface
        .methods
        .iter()
        .enumerate()
        .map(|(position, method)| event_method(interface, position, method));
    let forwarding = implementation(interface, &quote!(#publisher), |_, method| {
        let (name, arguments, success) = (&method.ident, method.idents(), method.success());
        quote! {
            #publisher::#name(self, #(#arguments),*);
            #success
        }
    });
    quote! {
        impl #publisher {
            #(#methods)*
        }

        #conversions

        #forwarding
    }
}

fn event_method(interface: &Interface, position: usize, method: &Method) -> TokenStream {
    let Interface { krate, .. } = interface;
    let Method {
        ident,
        cfgs,
        docs,
        parameters,
        ..
    } = method;
    let vis = interface.vis();
    let inputs = method.inputs();
    let index = index(interface, position);
    let views = views(interface, method);
    // Hygienic, so that a parameter may have the same name.
    let target = Ident::new("target", Span::mixed_site());
    let arguments = parameters
        .iter()
        .map(|parameter| parameter.shape.pass(&parameter.ident));
    let passed = arguments.clone();
    let call = outcome(interface, method, &quote!(#target), arguments);
    let owned = &method.arguments;
    let (trait_name, name) = (plain(interface.ident()), plain(ident));
    let fires = format!("Fires [`{trait_name}::{name}`] and returns who received it.\n\n");
    quote! {
        #(#cfgs)*
        #[doc = #fires]
        #(#docs)*
        #vis fn #ident(&self, #inputs) -> #krate::FireReport {
            self.0.__fire(#index, || #views, |#target| #call, || #owned::new(#(#passed),*))
        }
    }
}

fn conversions(interface: &Interface) -> TokenStream {
    let (krate, ident) = (&interface.krate, interface.ident());
    let publisher = interface.publisher();
    let inner = quote!(#krate::Publisher<dyn #ident>);
    let parameter = format_ident!("publisher");
    quote! {
        #[automatically_derived]
        impl ::core::convert::From<#inner> for #publisher {
            fn from(#parameter: #inner) -> Self {
                Self(#parameter)
            }
        }

        #[automatically_derived]
        impl ::core::ops::Deref for #publisher {
            type Target = #inner;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }
    }
}
