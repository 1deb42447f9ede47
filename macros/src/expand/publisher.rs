//! The publisher object: its event methods, alone and with properties for single events, and its
//! other side as a subscriber.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::Ident;

use super::{event, implementation, index, outcome, views};
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

/// Returns the struct with properties for single events.
pub(super) fn with_structure(interface: &Interface) -> TokenStream {
    let (krate, ident, vis) = (&interface.krate, interface.ident(), interface.vis());
    let with = interface.with();
    let docs = format!(
        "Fires the events of [`{}`] with publisher properties that the object itself has not; its \
         method `with` makes it.",
        plain(ident),
    );
    quote! {
        #[doc = #docs]
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #vis struct #with<'a>(#krate::With<'a, dyn #ident>);
    }
}

/// Returns its methods and implementations.
pub(super) fn impls(interface: &Interface) -> TokenStream {
    let (publisher, with) = (interface.publisher(), interface.with());
    let ident = interface.ident();
    let krate = &interface.krate;
    let conversions = [
        conversions(
            &publisher,
            &TokenStream::new(),
            &quote!(#krate::Publisher<dyn #ident>),
        ),
        conversions(&with, &quote!(<'a>), &quote!(#krate::With<'a, dyn #ident>)),
    ];
    let methods = interface.methods.iter().enumerate();
    let methods: Vec<_> = methods
        .map(|(position, method)| event_method(interface, position, method))
        .collect();
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

        impl #with<'_> {
            #(#methods)*
        }

        #(#conversions)*

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
    let owned = event::made_of(interface, method, passed);
    let (trait_name, name) = (plain(interface.ident()), plain(ident));
    let fires = format!("Fires [`{trait_name}::{name}`] and returns who received it.\n\n");
    quote! {
        #(#cfgs)*
        #[doc = #fires]
        #(#docs)*
        #vis fn #ident(&self, #inputs) -> #krate::FireReport {
            self.0.__fire(#index, || #views, |#target| #call, || #owned)
        }
    }
}

/// Returns the ways between a type with event methods and what it has inside.
fn conversions(outer: &Ident, generics: &TokenStream, inner: &TokenStream) -> TokenStream {
    let parameter = format_ident!("publisher");
    quote! {
        #[automatically_derived]
        impl #generics ::core::convert::From<#inner> for #outer #generics {
            fn from(#parameter: #inner) -> Self {
                Self(#parameter)
            }
        }

        #[automatically_derived]
        impl #generics ::core::ops::Deref for #outer #generics {
            type Target = #inner;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }
    }
}
