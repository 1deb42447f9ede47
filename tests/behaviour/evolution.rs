//! Interfaces that change from one version of a program to the next, over one store.

use std::sync::Arc;

use loosely::{
    Broker, EventInterface, MemoryStore, Publishes, Store, Subscription, SubscriptionId,
    SubscriptionStatus, ValueRef, event_interface,
};

use crate::support::{Tape, on_store};

/// Another version of the same interface: the id comes from the name.
macro_rules! version {
    ($module:ident { $($item:item)* }) => {
        mod $module {
            use super::*;
            $($item)*
        }
    };
}

version! { first {
    #[event_interface]
    pub(super) trait Quotes {
        fn moved(&self, symbol: &str, price: i32);
    }
}}

version! { with_method {
    #[event_interface]
    pub(super) trait Quotes {
        fn halted(&self, reason: &str);
        fn moved(&self, symbol: &str, price: i32);
    }
}}

version! { with_parameter {
    #[event_interface]
    pub(super) trait Quotes {
        fn moved(&self, symbol: &str, price: i32, note: Option<&str>);
    }
}}

version! { widened {
    #[event_interface]
    pub(super) trait Quotes {
        fn moved(&self, symbol: &str, price: i64);
    }
}}

version! { renamed {
    #[event_interface]
    pub(super) trait Quotes {
        #[event(alias = "moved")]
        fn changed(&self, #[event(alias = "symbol")] ticker: &str, price: i32);
    }
}}

version! { incompatible {
    #[event_interface]
    pub(super) trait Quotes {
        fn moved(&self, symbol: &str, cost: i32);
    }
}}

const FILTERED: &str = "filtered";
const OF_METHOD: &str = "of method";

/// A store that the first version of the program has wired.
fn wired() -> Arc<dyn Store> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let broker = on_store(store.clone());
    broker.publisher::<dyn first::Quotes>().unwrap();
    let record = |name| {
        let record = Subscription::builder(name).to::<dyn first::Quotes>();
        record.component("taker").id(name)
    };
    let filtered = record(FILTERED).filter("price > 100 AND symbol = 'MSFT'");
    broker.ensure(&filtered.build().unwrap()).unwrap();
    broker
        .ensure(&record(OF_METHOD).method("moved").build().unwrap())
        .unwrap();
    broker.close(std::time::Duration::MAX).unwrap();
    store
}

/// Opens the store as the version with the interface `I` would.
fn open<I: Publishes + ?Sized>(store: &Arc<dyn Store>, tape: &Tape) -> (Broker, I::Publisher) {
    let broker = on_store(store.clone());
    let tape = tape.clone();
    let taker = loosely::Component::new("taker", move || {
        let tape = tape.clone();
        move |event: &loosely::Event<'_>| {
            tape.write(event.to_string());
            Ok::<(), loosely::SubscriberError>(())
        }
    });
    broker.register_component(taker.implements_any()).unwrap();
    let publisher = broker.publisher::<I>().unwrap();
    (broker, publisher)
}

fn statuses(broker: &Broker) -> Vec<SubscriptionStatus> {
    let ids = [FILTERED, OF_METHOD].map(SubscriptionId::named);
    ids.iter().map(|id| broker.status(*id).unwrap()).collect()
}

const BOTH_ACTIVE: [SubscriptionStatus; 2] =
    [SubscriptionStatus::Active, SubscriptionStatus::Active];

#[test]
fn new_method_suspends_nothing() {
    let (store, tape) = (wired(), Tape::new());
    let (broker, quotes) = open::<dyn with_method::Quotes>(&store, &tape);
    assert_eq!(statuses(&broker), BOTH_ACTIVE);
    assert_eq!(quotes.moved("MSFT", 101).delivered(), 2);
    assert_eq!(quotes.moved("MSFT", 99).delivered(), 1);
    assert_eq!(quotes.halted("news").filtered(), 1);
}

#[test]
fn new_trailing_option_suspends_nothing() {
    let (store, tape) = (wired(), Tape::new());
    let (broker, quotes) = open::<dyn with_parameter::Quotes>(&store, &tape);
    assert_eq!(statuses(&broker), BOTH_ACTIVE);
    assert_eq!(quotes.moved("MSFT", 101, None).delivered(), 2);
}

#[test]
fn widened_integer_suspends_nothing() {
    let (store, tape) = (wired(), Tape::new());
    let (broker, quotes) = open::<dyn widened::Quotes>(&store, &tape);
    assert_eq!(statuses(&broker), BOTH_ACTIVE);
    assert_eq!(quotes.moved("MSFT", i64::MAX).delivered(), 2);
}

#[test]
fn rename_with_an_alias_suspends_nothing() {
    let (store, tape) = (wired(), Tape::new());
    let (broker, quotes) = open::<dyn renamed::Quotes>(&store, &tape);
    assert_eq!(statuses(&broker), BOTH_ACTIVE);
    assert_eq!(quotes.changed("MSFT", 101).delivered(), 2);
    assert_eq!(quotes.changed("IBM", 101).delivered(), 1);
}

#[test]
fn incompatible_change_suspends_what_it_breaks_and_a_roll_back_heals_it() {
    let (store, tape) = (wired(), Tape::new());
    let (broker, quotes) = open::<dyn incompatible::Quotes>(&store, &tape);
    let [filtered, of_method] = &statuses(&broker)[..] else {
        panic!()
    };
    assert!(matches!(filtered, SubscriptionStatus::Suspended(why) if why.contains("price")));
    assert_eq!(*of_method, SubscriptionStatus::Active);
    let report = quotes.moved("MSFT", 101);
    assert_eq!((report.delivered(), report.skipped()), (1, 1));
    assert!(
        report.lines()[0].to_string().contains("suspended"),
        "{}",
        report.lines()[0]
    );
    drop((broker, quotes));
    let (broker, quotes) = open::<dyn first::Quotes>(&store, &tape);
    assert_eq!(statuses(&broker), BOTH_ACTIVE);
    assert_eq!(quotes.moved("MSFT", 101).delivered(), 2);
}

/// A program without the Rust type, such as an administrator's, goes by the schema in the store. So
/// a publisher leaves the present one there, also when an older version comes back.
#[test]
fn store_has_the_schema_of_the_program_that_published_last() {
    let (store, tape) = (wired(), Tape::new());
    let methods = || {
        let broker = on_store(store.clone());
        let quotes = broker
            .dynamic_publisher(<dyn first::Quotes>::schema().name())
            .unwrap();
        let schema = quotes.schema();
        let methods = schema.methods().iter();
        methods.map(|method| method.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(methods(), ["moved(symbol: string, price: i32)"]);
    drop(open::<dyn widened::Quotes>(&store, &tape));
    assert_eq!(methods(), ["moved(symbol: string, price: i64)"]);
    let (broker, _quotes) = open::<dyn first::Quotes>(&store, &tape);
    assert_eq!(methods(), ["moved(symbol: string, price: i32)"]);
    let revision = broker.revision();
    broker.publisher::<dyn first::Quotes>().unwrap();
    assert_eq!(
        broker.revision(),
        revision,
        "and writes nothing when it is there"
    );
}

#[test]
fn dynamic_class_goes_back_to_an_older_schema() {
    let (store, tape) = (wired(), Tape::new());
    let (broker, _quotes) = (on_store(store), tape);
    let class = broker.class("Quotes").unwrap();
    let quotes = broker.dynamic_publisher("Quotes").unwrap();
    let with_note = [
        ValueRef::Str("MSFT"),
        ValueRef::I64(1),
        ValueRef::Str("note"),
    ];
    let newer = <dyn with_parameter::Quotes>::schema();
    broker.register_dynamic_class(class.clone(), newer).unwrap();
    quotes.fire("moved", &with_note).unwrap();
    broker
        .register_dynamic_class(class, <dyn first::Quotes>::schema())
        .unwrap();
    let error = quotes.fire("moved", &with_note).unwrap_err();
    assert_eq!(error.kind(), loosely::ErrorKind::SchemaMismatch);
}
