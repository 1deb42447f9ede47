//! Traits and methods under `#[cfg]`, and what else may stand on a method.

use std::sync::Arc;

use loosely::{EventInterface, ValueRef, event_interface};

use crate::publisher::publisher;

#[event_interface]
#[cfg(test)]
pub(crate) trait Conditional: Send {
    #[cfg(any())]
    fn never(&self, value: NoSuchType);
    #[cfg(test)]
    #[cfg(not(any()))]
    fn always(&self, value: u8);
    #[deprecated(note = "call `last`")]
    fn old(&self);
    #[cfg(any())]
    fn always(&self, value: &NoSuchType);
    #[allow(clippy::too_many_arguments)]
    fn last(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8);
}

#[event_interface]
#[cfg(any())]
pub(crate) trait Absent {
    fn event(&self, value: NoSuchType);
}

/// A trait made by a macro of the user's, with names and types from outside and inside it.
macro_rules! generated {
    ($name:ident, $method:ident, $parameter:ident: $ty:ty, $optional:ty) => {
        #[event_interface]
        trait $name {
            fn $method(&self, $parameter: $ty, optional: $optional, inside: &str);
        }
    };
}

generated!(Generated, happened, what: &[u8], Option<&str>);

#[test]
fn method_that_is_not_there_has_no_index() {
    let schema = <dyn Conditional>::schema();
    let names: Vec<_> = schema
        .methods()
        .iter()
        .map(|method| method.name())
        .collect();
    assert_eq!(names, ["always", "old", "last"]);
    let handlers = ConditionalHandlers::new()
        .on_always(|value| assert_eq!(value, 7))
        .on_last(|a, b, c, d, e, f, g| assert_eq!([a, b, c, d, e, f, g], [1; 7]));
    let target: Arc<dyn Conditional> = Arc::new(handlers);
    target.invoke(0, &[ValueRef::U64(7)]).unwrap();
    target.invoke(2, &[ValueRef::U64(1); 7]).unwrap();
    assert!(target.invoke(3, &[]).is_err());
    assert_eq!(publisher(&target).last(1, 1, 1, 1, 1, 1, 1).delivered(), 1);
}

#[test]
fn trait_from_a_declarative_macro_is_an_event_interface() {
    let handlers = GeneratedHandlers::new().on_happened(|what, optional, inside| {
        assert_eq!((what, optional, inside), (&[1][..], Some("o"), "i"));
    });
    let target: Arc<dyn Generated> = Arc::new(handlers);
    assert_eq!(
        publisher(&target)
            .happened(&[1], Some("o"), "i")
            .delivered(),
        1
    );
    GeneratedHappened::new(&[1], Some("o"), "i")
        .deliver(&*target)
        .unwrap();
    let method = &<dyn Generated>::schema().methods()[0];
    assert_eq!(
        method.to_string(),
        "happened(what: bytes, optional: string?, inside: string)"
    );
}

#[test]
fn trait_inside_a_function_is_an_event_interface() {
    #[derive(Clone, loosely::EventValue)]
    struct Local(u8);

    #[event_interface]
    trait Inner {
        fn event(&self, value: &Local);
    }

    let handlers = InnerHandlers::new().on_event(|value| assert_eq!(value.0, 3));
    let target: Arc<dyn Inner> = Arc::new(handlers);
    assert_eq!(publisher(&target).event(&Local(3)).delivered(), 1);
}
