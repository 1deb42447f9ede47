//! The owned arguments of a method: what a delivery keeps that comes after the fire.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Member;

use super::{delivery, outcome};
use crate::names::plain;
use crate::parse::{Interface, Method, Parameter};
use crate::record::{Field, conversion, view_methods};
use crate::shape::cloned;

/// Returns the struct.
pub(super) fn structure(interface: &Interface, method: &Method) -> TokenStream {
    let Method {
        ident,
        arguments,
        cfgs,
        parameters,
        ..
    } = method;
    let vis = interface.vis();
    let link = format!("{}::{}", plain(interface.ident()), plain(ident));
    let docs = format!("The arguments of [`{link}`], owned.");
    let fields = parameters.iter().map(|Parameter { ident, shape, .. }| {
        let docs = format!("The argument `{}`.", plain(ident));
        let ty = shape.owned_type();
        quote! {
            #[doc = #docs]
            #vis #ident: #ty
        }
    });
    quote! {
        #(#cfgs)*
        #[doc = #docs]
        #vis struct #arguments {
            #(#fields,)*
        }
    }
}

/// Returns its methods and implementations.
pub(super) fn impls(interface: &Interface, method: &Method) -> TokenStream {
    let Method {
        arguments, cfgs, ..
    } = method;
    let new = new(interface, method);
    let from_arguments = from_arguments(interface, method);
    let deliver = deliver(interface, method);
    let traits = [
        clone(method),
        debug(interface, method),
        record_view(interface, method),
    ];
    let traits = traits.iter().map(|implementation| {
        quote! {
            #(#cfgs)*
            #[automatically_derived]
            #implementation
        }
    });
    quote! {
        #(#cfgs)*
        impl #arguments {
            #new

            #from_arguments

            #deliver
        }

        #(#traits)*
    }
}

fn new(interface: &Interface, method: &Method) -> TokenStream {
    let vis = interface.vis();
    let inputs = method.inputs();
    let fields = method
        .parameters
        .iter()
        .map(|Parameter { ident, shape, .. }| {
            let owned = shape.owned(&interface.krate, ident);
            quote!(#ident: #owned)
        });
    quote! {
        /// Returns the arguments, owned.
        #[must_use]
        #vis fn new(#inputs) -> Self {
            Self { #(#fields),* }
        }
    }
}

fn from_arguments(interface: &Interface, method: &Method) -> TokenStream {
    let (krate, vis) = (&interface.krate, interface.vis());
    let fields = method
        .parameters
        .iter()
        .enumerate()
        .map(|(index, parameter)| {
            let Parameter {
                ident,
                names,
                shape,
                ..
            } = parameter;
            let (conversion, name) = (conversion(krate, &shape.owned_type()), &names.name);
            quote! {
                #ident: #krate::__private::argument(arguments, #index, #name, #conversion)?
            }
        });
    quote! {
        /// Returns the arguments in `arguments`, in the order of the parameters; one that is not
        /// there is NULL.
        ///
        /// # Errors
        ///
        /// When one of them does not fit its parameter.
        #vis fn from_arguments(
            arguments: &[#krate::ValueRef<'_>],
        ) -> ::core::result::Result<Self, #krate::ConversionError> {
            ::core::result::Result::Ok(Self { #(#fields),* })
        }
    }
}

fn deliver(interface: &Interface, method: &Method) -> TokenStream {
    let arguments = method
        .parameters
        .iter()
        .map(|parameter| parameter.shape.lend(&quote!(self), &parameter.ident));
    let call = outcome(interface, method, &quote!(target), arguments);
    delivery(interface, &call)
}

fn clone(method: &Method) -> TokenStream {
    let Method { arguments, .. } = method;
    let fields = method
        .parameters
        .iter()
        .map(|Parameter { ident, shape, .. }| {
            let clone = cloned(&shape.owned_type(), &quote!(&self.#ident));
            quote!(#ident: #clone)
        });
    quote! {
        impl ::core::clone::Clone for #arguments {
            fn clone(&self) -> Self {
                Self { #(#fields),* }
            }
        }
    }
}

/// Shows the views, since an event value need not be `Debug`.
fn debug(interface: &Interface, method: &Method) -> TokenStream {
    let Method { arguments, .. } = method;
    let name = arguments.to_string();
    let fields = fields(method);
    let names = fields.iter().map(|field| &field.names.name);
    let views = fields.iter().map(|field| field.view(&interface.krate));
    quote! {
        impl ::core::fmt::Debug for #arguments {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Formatter::debug_struct(f, #name)
                    #(.field(#names, &#views))*
                    .finish()
            }
        }
    }
}

fn record_view(interface: &Interface, method: &Method) -> TokenStream {
    let krate = &interface.krate;
    let arguments = &method.arguments;
    let methods = view_methods(krate, &fields(method));
    quote! {
        impl #krate::RecordView for #arguments {
            #methods
        }
    }
}

fn fields(method: &Method) -> Vec<Field<'_>> {
    let fields = method.parameters.iter().map(|parameter| Field {
        names: &parameter.names,
        member: Member::Named(parameter.ident.clone()),
        ty: parameter.shape.owned_type(),
    });
    fields.collect()
}
