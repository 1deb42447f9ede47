//! What the schema says of a trait.

use loosely::{EventInterface, InterfaceId, SchemaHash, event_interface};

/// The same trait again and again, each time a little different.
macro_rules! variants {
    ($($module:ident [$($options:tt)*] { $($body:tt)* })*) => {$(
        mod $module {
            #[loosely::event_interface($($options)*)]
            pub(super) trait StockEvents { $($body)* }
        }
    )*};
}

variants! {
    plain [] { fn price_changed(&self, symbol: &str, price: f64); }
    documented [] {
        /// The price of one share.
        fn price_changed(&self, symbol: &str, price: f64);
    }
    owned [] { fn price_changed(&self, symbol: String, price: &f64); }
    fallible [] { fn price_changed(&self, symbol: &str, price: f64) -> Result<(), String>; }
    wider [] { fn price_changed(&self, symbol: &str, price: f32); }
    longer [] { fn price_changed(&self, symbol: &str, price: f64, note: Option<&str>); }
    aliased [] { fn price_changed(&self, #[event(alias = "s")] symbol: &str, price: f64); }
    renamed [name = "Ticker", rename_all = "PascalCase"] {
        #[event(alias = "Moved", alias = "Shifted")]
        fn price_changed(&self, symbol: &str, #[event(rename = "last")] price: f64);
    }
    identified [id = "5fa1ec13-1f3b-4f3c-8a44-5e7f34ac4ac9", name = "Ticker"] {
        fn price_changed(&self, symbol: &str, price: f64);
    }
}

#[event_interface(rename_all = "camelCase", crate = ::loosely)]
trait Shop {
    fn order_placed(&self, order_id: u32, r#type: Option<&[u8]>, publisher_name: &str);
}

fn hash<I: EventInterface + ?Sized>() -> SchemaHash {
    I::schema().hash()
}

#[test]
fn hash_does_not_depend_on_documentation_or_on_how_rust_passes_an_argument() {
    let plain = hash::<dyn plain::StockEvents>();
    assert_eq!(plain, hash::<dyn documented::StockEvents>());
    assert_eq!(plain, hash::<dyn owned::StockEvents>());
    assert_eq!(plain, hash::<dyn fallible::StockEvents>());
}

#[test]
fn hash_changes_with_the_signature_and_the_id_does_not() {
    let plain = <dyn plain::StockEvents>::schema();
    let others = [
        <dyn wider::StockEvents>::schema(),
        <dyn longer::StockEvents>::schema(),
        <dyn aliased::StockEvents>::schema(),
    ];
    for other in others {
        assert_eq!(plain.id(), other.id());
        assert_ne!(plain.hash(), other.hash());
    }
    assert_eq!(plain.id(), InterfaceId::named("StockEvents"));
}

#[test]
fn id_is_made_of_the_given_id_or_else_of_the_given_name() {
    assert_eq!(
        <dyn renamed::StockEvents>::schema().id(),
        InterfaceId::named("Ticker")
    );
    let identified = <dyn identified::StockEvents>::schema();
    assert_eq!(
        identified.id().to_string(),
        "5fa1ec13-1f3b-4f3c-8a44-5e7f34ac4ac9"
    );
    assert_eq!(identified.name(), "Ticker");
}

#[test]
fn names_are_spelled_as_asked_and_one_by_one_before_all() {
    let method = &<dyn renamed::StockEvents>::schema().methods()[0];
    assert_eq!(
        method.to_string(),
        "PriceChanged|Moved|Shifted(Symbol: string, last: f64)"
    );
    let method = &<dyn Shop>::schema().methods()[0];
    assert_eq!(
        method.to_string(),
        "orderPlaced(orderId: u32, type: bytes?, publisherName: string)"
    );
}

#[test]
fn arguments_are_read_by_the_names_of_the_schema_and_former_names() {
    use loosely::RecordView;
    let arguments = aliased::StockEventsPriceChanged::new("MSFT", 1.0);
    for name in ["symbol", "s"] {
        assert_eq!(
            arguments.field_named(name).and_then(|view| view.as_str()),
            Some("MSFT")
        );
    }
    assert!(arguments.field_named("S").is_none());
    assert!(arguments.field(2).is_none());
    assert_eq!(
        format!("{arguments:?}"),
        "StockEventsPriceChanged { symbol: 'MSFT', price: 1.0 }"
    );
}
