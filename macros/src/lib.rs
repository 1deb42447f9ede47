//! The procedural macros of `loosely`; use them through that crate.
#![forbid(unsafe_code)]

mod attributes;
mod errors;
mod expand;
mod names;
mod parse;
mod record;
mod shape;
mod value;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes an event interface of a trait.
///
/// The trait stays an ordinary trait, which subscribers implement; it gains the supertraits `Send`,
/// `Sync` and `'static`. Its methods take `&self` and event values, and return nothing or
/// `Result<(), E>` where `E` converts into `Box<dyn Error + Send + Sync>`.
///
/// ```
/// use loosely::{EventInterface, event_interface};
///
/// #[event_interface]
/// pub trait StockEvents {
///     fn price_changed(&self, symbol: &str, price: f64);
/// }
///
/// let handlers = StockEventsHandlers::new()
///     .on_price_changed(|symbol, price| println!("{symbol} is at {price}"));
/// handlers.price_changed("MSFT", 185.5);
/// assert_eq!(<dyn StockEvents>::schema().methods()[0].name(), "price_changed");
/// ```
///
/// # What is made
///
/// Beside the trait, and as visible as it:
///
/// - `StockEventsPublisher`: the publisher object. It has the event methods, each of which fires
///   and returns a `FireReport`, and nothing else; it dereferences to `Publisher<dyn StockEvents>`
///   for control, and implements the trait, so that a publisher can be a subscriber.
/// - `StockEventsHandlers`: a subscriber made of closures; a method without one does nothing.
/// - `StockEventsEvent`: an event with its arguments, owned, as streams yield it: an enum with a
///   variant per method, `PriceChanged`, which holds `StockEventsPriceChanged`.
/// - `StockEventsLocalHandlers`: a subscriber made of closures that need not be `Send` and may
///   change what they capture, for a `Mailbox`.
/// - `StockEventsAsyncHandlers`: a subscriber made of closures that take `StockEventsPriceChanged`
///   and return futures, for `Broker::subscribe_async`.
/// - `StockEventsWith`: the same event methods, with publisher properties for single events.
/// - `StockEventsPriceChanged`, and so on for every method: its arguments, owned. An event whose
///   type would take a name that is taken has `Event` added, as `StockEventsPublisherEvent` has.
///
/// A variant is named as its method is; only one that would be called `Self` or begin with a digit
/// has `Event` added.
///
/// # Parameters
///
/// A parameter is `T`, `&T`, `&str`, `&[T]` or `Option` of one of these references, where `T`
/// implements `EventValue`. A parameter by value is cloned for every subscriber, so prefer
/// references to a `String` or a `Vec`. No parameter is called `publisher` or `subscription`: in
/// filter criteria these words have their own meaning.
///
/// # Attributes
///
/// On the trait, all optional:
///
/// | key | is |
/// | --- | --- |
/// | `name = "..."` | the name of the interface; the trait's name unless given |
/// | `id = "..."` | what the interface's id is made of, a UUID or any text; the name unless given |
/// | `rename_all = "..."` | how methods and parameters are spelled outside Rust |
/// | `crate = path` | where `loosely` is, if it is not a dependency of the package itself |
///
/// The spellings are `camelCase`, `PascalCase`, `snake_case`, `SCREAMING_SNAKE_CASE` and
/// `kebab-case`.
///
/// On a method or a parameter, `#[event(rename = "...")]` gives the name outside Rust and
/// `#[event(alias = "...")]`, which may be repeated, a former one: subscriptions and queued events
/// that use it still fit. On a parameter, `#[event(default = value)]` is what it has in queued
/// events of a version that did not have it, where it would be NULL: a value of the owned type,
/// such as `3`, `"EUR"` or `Some(Currency::EUR)`. It is what this program says, and no part of the
/// schema.
///
/// ```
/// # use loosely::{EventInterface, event_interface};
/// #[event_interface(rename_all = "camelCase")]
/// trait StockEvents {
///     #[event(alias = "priceMoved")]
///     fn price_changed(&self, #[event(rename = "ticker")] symbol: &str, new_price: f64);
/// }
///
/// let method = &<dyn StockEvents>::schema().methods()[0];
/// assert_eq!(method.to_string(), "priceChanged|priceMoved(ticker: string, newPrice: f64)");
/// ```
#[proc_macro_attribute]
pub fn event_interface(options: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as syn::Item);
    match parse::Interface::parse(options.into(), item) {
        Ok(interface) => expand::interface(&interface).into(),
        Err(refusal) => refusal.into(),
    }
}

/// Makes a struct or an enum an event value.
///
/// - A struct with named fields is a record: criteria read its fields by path, as in
///   `order.customer.city`. A field that is missing in what is converted to the struct is NULL, so
///   it had better be an `Option` if it is new.
/// - A tuple struct with one field is seen as that field.
/// - An enum without fields is its variant's name as text.
///
/// The type must be `Clone`, and its fields event values. Parameters of a generic type must be
/// event values too; lifetimes are refused, since a value may outlive the fire.
///
/// ```
/// use loosely::{EventValue, Value};
///
/// #[derive(Clone, EventValue)]
/// #[event_value(rename_all = "camelCase")]
/// struct Order {
///     #[event_value(alias = "number")]
///     order_id: u64,
///     side: Side,
/// }
///
/// #[derive(Clone, Copy, EventValue)]
/// enum Side {
///     Buy,
///     Sell,
/// }
///
/// let order = Order { order_id: 7, side: Side::Sell };
/// assert_eq!(order.view().to_string(), "{orderId: 7, side: 'Sell'}");
/// ```
///
/// # Attributes
///
/// On the type, `#[event_value(...)]` takes `rename` for the name of the record, `rename_all` for
/// its fields or variants, and `crate = path`, all as in `event_interface`; on a field or a variant
/// `rename` and `alias`.
#[proc_macro_derive(EventValue, attributes(event_value))]
pub fn derive_event_value(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    value::derive(&item)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
