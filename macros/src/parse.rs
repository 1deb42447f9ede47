//! An event interface as the user wrote it; everything that is refused is refused here.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Expr, FnArg, GenericArgument, GenericParam, Generics, Ident, ItemTrait, Pat,
    PatType, Path, PathArguments, ReturnType, Signature, Token, TraitItem, TraitItemFn, Type,
    TypeParamBound, Visibility, parse_quote,
};

use crate::attributes::{ContainerOptions, named, names_and_default, names_of};
use crate::errors::Errors;
use crate::names::{Case, EventNames, Names, plain, refuse_repeated};
use crate::shape::{Shape, at, ungrouped};

/// A trait that can be an event interface.
pub(crate) struct Interface {
    /// The trait to emit: without the macro's attributes, with the supertraits.
    pub(crate) item: ItemTrait,
    /// The path of the crate.
    pub(crate) krate: TokenStream,
    /// The name outside Rust.
    pub(crate) name: String,
    /// What the id is made of.
    pub(crate) id: String,
    /// The methods in the order of declaration.
    pub(crate) methods: Vec<Method>,
}

/// One event method.
pub(crate) struct Method {
    /// The name in Rust.
    pub(crate) ident: Ident,
    /// The names outside Rust.
    pub(crate) names: Names,
    /// The name of the struct of owned arguments.
    pub(crate) arguments: Ident,
    /// The name of the variant that holds that struct.
    pub(crate) variant: Ident,
    /// The parameters without the receiver.
    pub(crate) parameters: Vec<Parameter>,
    /// The return type as written.
    pub(crate) output: ReturnType,
    /// The conditions under which the method is there.
    pub(crate) cfgs: Vec<Attribute>,
    /// What generated methods repeat: documentation and deprecation.
    pub(crate) docs: Vec<Attribute>,
}

/// One parameter of an event method.
pub(crate) struct Parameter {
    /// The name in Rust.
    pub(crate) ident: Ident,
    /// The names outside Rust.
    pub(crate) names: Names,
    /// The type as written.
    pub(crate) ty: Type,
    /// The form of the type.
    pub(crate) shape: Shape,
    /// The value that it has where an event of an older version has none.
    pub(crate) default: Option<Expr>,
}

impl Interface {
    /// Returns the interface, or all refusals as tokens, with the trait so that they stand alone.
    pub(crate) fn parse(options: TokenStream, item: syn::Item) -> Result<Self, TokenStream> {
        let syn::Item::Trait(mut item) = item else {
            let refusal = syn::Error::new_spanned(&item, "an event interface is a trait");
            let refusal = refusal.into_compile_error();
            return Err(quote!(#item #refusal));
        };
        let mut errors = Errors::default();
        let options = ContainerOptions::of_interface(options, &mut errors);
        refuse_trait_forms(&item, &mut errors);
        let methods = parse_methods(&item, options.rename_all, &mut errors);
        clean(&mut item);
        if let Err(refusals) = errors.or(()) {
            let refusals = refusals.into_compile_error();
            return Err(quote!(#item #refusals));
        }
        add_supertraits(&mut item);
        let krate = options.crate_path();
        let name = options.name.unwrap_or_else(|| plain(&item.ident));
        let id = options.id.unwrap_or_else(|| name.clone());
        Ok(Self {
            item,
            krate,
            name,
            id,
            methods,
        })
    }

    /// Returns the trait's name.
    pub(crate) fn ident(&self) -> &Ident {
        &self.item.ident
    }

    /// Returns the visibility of everything that is made.
    pub(crate) fn vis(&self) -> &Visibility {
        &self.item.vis
    }

    /// Returns the conditions under which the trait is there.
    pub(crate) fn cfgs(&self) -> Vec<&Attribute> {
        named(&self.item.attrs, "cfg").collect()
    }

    /// Returns the name of the publisher object.
    pub(crate) fn publisher(&self) -> Ident {
        format_ident!("{}Publisher", self.ident())
    }

    /// Returns the name of the publisher object with properties for single events.
    pub(crate) fn with(&self) -> Ident {
        format_ident!("{}With", self.ident())
    }

    /// Returns the name of the subscriber made of closures.
    pub(crate) fn handlers(&self) -> Ident {
        format_ident!("{}Handlers", self.ident())
    }

    /// Returns the name of the subscriber made of closures that stay on one thread.
    pub(crate) fn local_handlers(&self) -> Ident {
        format_ident!("{}LocalHandlers", self.ident())
    }

    /// Returns the name of the subscriber made of closures that return futures.
    pub(crate) fn async_handlers(&self) -> Ident {
        format_ident!("{}AsyncHandlers", self.ident())
    }

    /// Returns the name of the enum of owned events.
    pub(crate) fn event(&self) -> Ident {
        format_ident!("{}Event", self.ident())
    }
}

impl Method {
    fn parse(method: &TraitItemFn, rename_all: Option<Case>, errors: &mut Errors) -> Self {
        let signature = &method.sig;
        refuse_signature_forms(signature, errors);
        errors.at_some(
            method.default.as_ref(),
            "an event method has no body: subscribers give it theirs, and who has none does not \
             subscribe to it",
        );
        refuse_output(&signature.output, errors);
        let parameters: Vec<Parameter> = signature
            .inputs
            .iter()
            .filter_map(|input| match input {
                FnArg::Receiver(_) => None,
                FnArg::Typed(parameter) => Parameter::parse(parameter, rename_all, errors),
            })
            .collect();
        refuse_repeated("parameter", parameters.iter().map(|p| &p.names), errors);
        let repeated = ["doc", "deprecated"];
        let docs = repeated.iter().flat_map(|name| named(&method.attrs, name));
        Self {
            ident: signature.ident.clone(),
            names: names_of(&signature.ident, &method.attrs, "event", rename_all, errors),
            arguments: signature.ident.clone(),
            variant: signature.ident.clone(),
            parameters,
            output: signature.output.clone(),
            cfgs: named(&method.attrs, "cfg").cloned().collect(),
            docs: docs.cloned().collect(),
        }
    }

    /// Returns whether the method returns a `Result`.
    fn is_fallible(&self) -> bool {
        match &self.output {
            ReturnType::Default => false,
            ReturnType::Type(_, ty) => !is_unit(ty),
        }
    }

    /// Returns where errors about the subscriber's error type point, if the method has one.
    pub(crate) fn error_span(&self) -> Option<Span> {
        match &self.output {
            ReturnType::Type(_, ty) if self.is_fallible() => Some(error_span(ty)),
            _ => None,
        }
    }

    /// Returns the parameters as a signature has them.
    pub(crate) fn inputs(&self) -> TokenStream {
        let inputs = self
            .parameters
            .iter()
            .map(|Parameter { ident, ty, .. }| quote!(#ident: #ty));
        quote!(#(#inputs),*)
    }

    /// Returns the names of the parameters.
    pub(crate) fn idents(&self) -> impl Iterator<Item = &Ident> {
        self.parameters.iter().map(|parameter| &parameter.ident)
    }

    /// Returns what a method of the trait returns when nothing went wrong.
    pub(crate) fn success(&self) -> TokenStream {
        if self.is_fallible() {
            quote!(::core::result::Result::Ok(()))
        } else {
            quote!(())
        }
    }
}

impl Parameter {
    fn parse(parameter: &PatType, rename_all: Option<Case>, errors: &mut Errors) -> Option<Self> {
        let shape = Shape::parse(&parameter.ty, errors);
        let Some(ident) = plain_ident(&parameter.pat) else {
            errors.at(
                &parameter.pat,
                "a parameter has a name, by which filters and queued events know it",
            );
            return None;
        };
        let (names, default) = names_and_default(ident, &parameter.attrs, rename_all, errors);
        for name in names.all().filter(|name| RESERVED.contains(&name.as_str())) {
            let message = format!(
                "`{name}` means something else in filter criteria: name the parameter otherwise, \
                 or give it another name with `#[event(rename = \"...\")]`"
            );
            errors.push(syn::Error::new(names.span, message));
        }
        for cfg in ["cfg", "cfg_attr"] {
            errors.at_some(
                named(&parameter.attrs, cfg).next(),
                "a parameter is always there: put the condition on the method",
            );
        }
        Some(Self {
            ident: ident.clone(),
            names,
            ty: (*parameter.ty).clone(),
            shape,
            default,
        })
    }
}

fn parse_methods(item: &ItemTrait, rename_all: Option<Case>, errors: &mut Errors) -> Vec<Method> {
    let mut methods = Vec::new();
    for member in &item.items {
        match member {
            TraitItem::Fn(method) => methods.push(Method::parse(method, rename_all, errors)),
            TraitItem::Const(_) => errors.at(member, "an event interface has no constants"),
            TraitItem::Type(_) => errors.at(member, "an event interface has no associated types"),
            _ => errors.at(member, "an event interface has methods and nothing else"),
        }
    }
    if item.items.is_empty() {
        errors.at(&item.ident, "an event interface has at least one method");
    }
    // Methods under conditions may exclude one another; if they do not, rustc finds them twice.
    let certain = methods.iter().filter(|method| method.cfgs.is_empty());
    refuse_repeated("method", certain.map(|method| &method.names), errors);
    let mut events = EventNames::default();
    for method in &mut methods {
        (method.arguments, method.variant) = events.of(&item.ident, &method.ident);
    }
    methods
}

fn refuse_trait_forms(item: &ItemTrait, errors: &mut Errors) {
    refuse_generics(&item.generics, "interface", errors);
    errors.at_some(item.unsafety, "an event interface is safe to implement");
    errors.at_some(item.auto_token, "an event interface is not an auto trait");
    for bound in item.supertraits.iter().filter(|bound| !is_implied(bound)) {
        errors.at(
            bound,
            "an event interface has no supertraits but `Send`, `Sync` and `'static`: generated \
             publishers and handlers implement it, and know no other trait",
        );
    }
}

fn refuse_generics(generics: &Generics, what: &str, errors: &mut Errors) {
    for parameter in &generics.params {
        let reason = match parameter {
            GenericParam::Lifetime(_) => {
                "has no lifetimes: subscribers are kept, and arguments may be"
            }
            _ => "is not generic: events are known by name at run time",
        };
        errors.at(parameter, format!("an event {what} {reason}"));
    }
    errors.at_some(
        generics.where_clause.as_ref(),
        format!("an event {what} has no `where` clause"),
    );
}

fn refuse_signature_forms(signature: &Signature, errors: &mut Errors) {
    refuse_generics(&signature.generics, "method", errors);
    errors.at_some(
        signature.asyncness,
        "events do not return futures: spawn the work inside, or use a queued or detached \
         subscription",
    );
    errors.at_some(signature.constness, "an event method is not `const`");
    errors.at_some(signature.unsafety, "an event method is safe to call");
    errors.at_some(signature.abi.as_ref(), "an event method has no foreign ABI");
    errors.at_some(
        signature.variadic.as_ref(),
        "an event method has named parameters only",
    );
    match signature.receiver() {
        None => errors.at(
            &signature.ident,
            "an event method takes `&self`: it is called on subscribers",
        ),
        Some(receiver) => {
            let shared = receiver.colon_token.is_none()
                && matches!(&receiver.reference, Some((_, None)))
                && receiver.mutability.is_none();
            if !shared {
                errors.at(
                    receiver,
                    "an event method takes `&self`: many publishers may call a subscriber at once",
                );
            }
            if !receiver.attrs.is_empty() {
                errors.at(&receiver.attrs[0], "the receiver has no attributes");
            }
        }
    }
}

/// Refuses every return type but `()` and a `Result` of it.
fn refuse_output(output: &ReturnType, errors: &mut Errors) {
    let ReturnType::Type(_, ty) = output else {
        return;
    };
    if !is_unit(ty) && !is_result_of_unit(ty) {
        errors.at(
            ty,
            "an event method returns nothing or `Result<(), E>`: an event has many subscribers, \
             and its publisher gets a report, not their answers",
        );
    } else if borrows(ty.to_token_stream()) {
        errors.at(
            ty,
            "an error that a subscriber returns is owned: the report keeps it",
        );
    }
}

fn is_unit(ty: &Type) -> bool {
    matches!(ungrouped(ty), Type::Tuple(tuple) if tuple.elems.is_empty())
}

/// Whether it is `Result<(), E>`, or an alias `Result<()>` such as `std::io`'s.
fn is_result_of_unit(ty: &Type) -> bool {
    let arguments = result_arguments(ty);
    matches!(
        arguments.and_then(|arguments| arguments.first()),
        Some(GenericArgument::Type(first)) if is_unit(first)
    )
}

/// Returns where errors about the error type of a `Result` point.
fn error_span(ty: &Type) -> Span {
    let arguments = result_arguments(ty);
    arguments
        .and_then(|arguments| arguments.get(1))
        .map_or_else(|| at(ty), at)
}

fn result_arguments(ty: &Type) -> Option<&Punctuated<GenericArgument, Token![,]>> {
    let Type::Path(path) = ungrouped(ty) else {
        return None;
    };
    let last = path.path.segments.last();
    match &last.filter(|last| last.ident == "Result")?.arguments {
        PathArguments::AngleBracketed(arguments) => Some(&arguments.args),
        _ => None,
    }
}

/// Whether a type's tokens hold a reference or lifetime other than `'static`.
fn borrows(tokens: TokenStream) -> bool {
    let text = tokens
        .to_string()
        .replace("& 'static", "")
        .replace("'static", "");
    text.contains(['&', '\''])
}

fn plain_ident(pattern: &Pat) -> Option<&Ident> {
    match pattern {
        Pat::Ident(name) if name.by_ref.is_none() && name.mutability.is_none() => Some(&name.ident),
        _ => None,
    }
}

/// Whether the bound is one that the macro adds if it is not there.
fn is_implied(bound: &TypeParamBound) -> bool {
    match bound {
        TypeParamBound::Lifetime(lifetime) => lifetime.ident == "static",
        TypeParamBound::Trait(bound) => {
            names_trait(&bound.path, "Send") || names_trait(&bound.path, "Sync")
        }
        _ => false,
    }
}

fn names_trait(path: &Path, name: &str) -> bool {
    path.segments.last().is_some_and(|last| last.ident == name)
}

fn add_supertraits(item: &mut ItemTrait) {
    item.colon_token.get_or_insert_default();
    item.supertraits.push(parse_quote!(::core::marker::Send));
    item.supertraits.push(parse_quote!(::core::marker::Sync));
    item.supertraits.push(parse_quote!('static));
}

/// Removes the attributes that are the macro's own.
fn clean(item: &mut ItemTrait) {
    for member in &mut item.items {
        if let TraitItem::Fn(method) = member {
            method.attrs.retain(is_foreign);
            for input in &mut method.sig.inputs {
                if let FnArg::Typed(parameter) = input {
                    parameter.attrs.retain(is_foreign);
                }
            }
        }
    }
}

fn is_foreign(attribute: &Attribute) -> bool {
    !attribute.path().is_ident("event")
}

/// The words that begin a path of their own in filter criteria.
const RESERVED: [&str; 2] = ["publisher", "subscription"];
