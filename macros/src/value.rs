//! The derive of `EventValue`: records, transparent newtypes, and enums as text.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::{
    Attribute, Data, DataEnum, DeriveInput, Fields, FieldsNamed, Generics, Index, Member, Variant,
    parse_quote,
};

use crate::attributes::{ContainerOptions, named, names_of};
use crate::errors::Errors;
use crate::names::{Names, plain, refuse_repeated};
use crate::record::{Field, conversion, schema, view_methods};
use crate::shape::at;

/// A type under the derive.
struct Target<'a> {
    item: &'a DeriveInput,
    options: ContainerOptions,
    krate: TokenStream,
    generics: Generics,
}

/// The three methods of an implementation of `EventValue`.
struct Methods {
    value_type: TokenStream,
    view: TokenStream,
    from_view: TokenStream,
}

/// Returns the implementations for a type.
pub(crate) fn derive(item: &DeriveInput) -> syn::Result<TokenStream> {
    let mut errors = Errors::default();
    let options = ContainerOptions::of_type(&item.attrs, &mut errors);
    let krate = options.crate_path();
    for lifetime in item.generics.lifetimes() {
        errors.at(
            lifetime,
            "an event value owns what it holds: it may outlive the fire",
        );
    }
    let generics = bounded(&item.generics, &krate);
    let target = Target {
        item,
        options,
        krate,
        generics,
    };
    let implementations = match &item.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => target.record(fields, &mut errors),
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                target.newtype(&fields.unnamed[0], &mut errors)
            }
            _ => target.refused(
                "a struct has named fields, or one field without a name",
                &mut errors,
            ),
        },
        Data::Enum(data) => target.unit_enum(data, &mut errors),
        Data::Union(_) => target.refused("a union cannot be an event value", &mut errors),
    };
    errors.or(implementations)
}

impl Target<'_> {
    fn record(&self, fields: &FieldsNamed, errors: &mut Errors) -> TokenStream {
        let krate = &self.krate;
        let mut names = Vec::new();
        for field in &fields.named {
            if let Some(ident) = &field.ident {
                names.push(self.names_of(ident, &field.attrs, errors));
            }
        }
        refuse_repeated("field", &names, errors);
        let fields: Vec<Field<'_>> = fields
            .named
            .iter()
            .zip(&names)
            .filter_map(|(field, names)| {
                let member = Member::Named(field.ident.clone()?);
                Some(Field {
                    names,
                    member,
                    ty: field.ty.to_token_stream(),
                })
            })
            .collect();
        let value = self.event_value(&self.record_methods(&fields));
        let (generics, ident, arguments, conditions) = self.head();
        let view = view_methods(krate, &fields);
        quote! {
            #value

            #[automatically_derived]
            #[allow(deprecated, clippy::all, clippy::pedantic)]
            impl #generics #krate::RecordView for #ident #arguments #conditions {
                #view
            }
        }
    }

    fn record_methods(&self, fields: &[Field<'_>]) -> Methods {
        let krate = &self.krate;
        let name = self.options.name.clone();
        let name = name.unwrap_or_else(|| plain(&self.item.ident));
        let schemas = fields
            .iter()
            .map(|field| schema(krate, field.names, &field.ty));
        let conversions = fields.iter().map(|Field { names, member, ty }| {
            let (names, conversion) = (names.all(), conversion(krate, ty));
            quote!(#member: #krate::__private::field(record, &[#(#names),*], #conversion)?)
        });
        Methods {
            value_type: quote! {
                #krate::__private::record_type::<Self>(
                    #name,
                    || ::std::vec![#(#schemas),*],
                )
            },
            view: quote!(#krate::ValueRef::Record(self)),
            from_view: quote! {
                let #krate::ValueRef::Record(record) = view else {
                    return ::core::result::Result::Err(#krate::__private::unexpected::<Self>(view));
                };
                ::core::result::Result::Ok(Self { #(#conversions),* })
            },
        }
    }

    fn newtype(&self, field: &syn::Field, errors: &mut Errors) -> TokenStream {
        let krate = &self.krate;
        self.refuse_names(
            &field.attrs,
            "the only field of a tuple struct has no name",
            errors,
        );
        if self.options.name.is_some() || self.options.rename_all.is_some() {
            errors.at(
                &self.item.ident,
                "a tuple struct is seen as its field, and has no name",
            );
        }
        let ty = &field.ty;
        let member = Index::from(0);
        let inner = quote_spanned!(at(ty)=> <#ty as #krate::EventValue>);
        self.event_value(&Methods {
            value_type: quote!(#inner::value_type()),
            view: quote!(#inner::view(&self.#member)),
            from_view: quote!(::core::result::Result::map(#inner::from_view(view), Self)),
        })
    }

    fn unit_enum(&self, data: &DataEnum, errors: &mut Errors) -> TokenStream {
        if data.variants.is_empty() {
            return self.refused("an enum has at least one variant", errors);
        }
        let mut names = Vec::new();
        for variant in &data.variants {
            if !matches!(variant.fields, Fields::Unit) {
                errors.at(
                    &variant.fields,
                    "a variant has no fields: an enum is its name as text",
                );
            }
            names.push(self.names_of(&variant.ident, &variant.attrs, errors));
        }
        refuse_repeated("variant", &names, errors);
        let variants: Vec<_> = data.variants.iter().zip(&names).collect();
        if self.options.name.is_some() {
            errors.at(&self.item.ident, "an enum is seen as text, and has no name");
        }
        self.event_value(&self.enum_methods(&variants))
    }

    fn enum_methods(&self, variants: &[(&Variant, &Names)]) -> Methods {
        let krate = &self.krate;
        let idents: Vec<_> = variants.iter().map(|(variant, _)| &variant.ident).collect();
        let names: Vec<_> = variants.iter().map(|(_, names)| &names.name).collect();
        let all_names = variants.iter().map(|(_, names)| {
            let names = names.all();
            quote!(#(::core::option::Option::Some(#names))|*)
        });
        Methods {
            value_type: quote! {
                #krate::ValueType::Enum(::std::vec![
                    #(::std::borrow::ToOwned::to_owned(#names)),*
                ])
            },
            view: quote! {
                #krate::ValueRef::Str(match self {
                    #(Self::#idents => #names,)*
                })
            },
            from_view: quote! {
                match view.as_str() {
                    #(#all_names => ::core::result::Result::Ok(Self::#idents),)*
                    _ => ::core::result::Result::Err(#krate::__private::unexpected::<Self>(view)),
                }
            },
        }
    }

    fn event_value(&self, methods: &Methods) -> TokenStream {
        let krate = &self.krate;
        let Methods {
            value_type,
            view,
            from_view,
        } = methods;
        let (generics, ident, arguments, conditions) = self.head();
        quote! {
            #[automatically_derived]
            #[allow(deprecated, clippy::all, clippy::pedantic)]
            impl #generics #krate::EventValue for #ident #arguments #conditions {
                fn value_type() -> #krate::ValueType {
                    #value_type
                }

                fn view(&self) -> #krate::ValueRef<'_> {
                    #view
                }

                fn from_view(
                    view: #krate::ValueRef<'_>,
                ) -> ::core::result::Result<Self, #krate::ConversionError> {
                    #from_view
                }
            }
        }
    }

    /// Returns the parts of an implementation's first line.
    fn head(&self) -> (impl ToTokens, &syn::Ident, impl ToTokens, impl ToTokens) {
        let (generics, arguments, conditions) = self.generics.split_for_impl();
        (generics, &self.item.ident, arguments, conditions)
    }

    fn names_of(&self, ident: &syn::Ident, attributes: &[Attribute], errors: &mut Errors) -> Names {
        names_of(
            ident,
            attributes,
            "event_value",
            self.options.rename_all,
            errors,
        )
    }

    fn refuse_names(&self, attributes: &[Attribute], message: &str, errors: &mut Errors) {
        errors.at_some(named(attributes, "event_value").next(), message);
    }

    fn refused(&self, message: &str, errors: &mut Errors) -> TokenStream {
        errors.at(&self.item.ident, message);
        TokenStream::new()
    }
}

/// Returns the generics, with every type parameter an event value.
fn bounded(generics: &Generics, krate: &TokenStream) -> Generics {
    let mut bounded = generics.clone();
    for parameter in bounded.type_params_mut() {
        parameter.bounds.push(parse_quote!(#krate::EventValue));
    }
    bounded
}
