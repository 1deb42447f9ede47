//! Nothing generated is warned about, however strict the user is.
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub)]
#![deny(unused_qualifications, unused_results, elided_lifetimes_in_paths, trivial_casts)]
#![deny(rust_2018_idioms, let_underscore_drop, single_use_lifetimes, unnameable_types)]
#![forbid(unsafe_code)]

use loosely::{EventValue, Properties, event_interface};

/// A private type behind a private interface.
#[derive(Clone, EventValue)]
struct Private {
    #[deprecated]
    field: Option<u8>,
}

#[event_interface(id = "42")]
trait PrivateEvents {
    fn event(&self, value: &Private, list: &[Private]);
    #[deprecated]
    fn old(&self);
    fn fallible(&self, bag: &Properties) -> std::io::Result<()>;
    fn unit(&self) -> ();
}

pub mod nested {
    //! Things of a module.

    /// Events that the parent sees.
    #[loosely::event_interface]
    pub(super) trait Narrow: Send + Sync + 'static {
        /// Happens.
        fn event(&self, text: &str);
    }

    /// Events that everyone sees.
    #[loosely::event_interface]
    pub trait Wide {
        /// Happens.
        fn event(&self, text: std::sync::Arc<str>) -> Result<(), std::fmt::Error>;

        /// Happens to fail with anything.
        fn failing(&self) -> Result<(), loosely::SubscriberError>;
    }
}

fn main() {
    let handlers = PrivateEventsHandlers::new().on_unit(|| ());
    handlers.unit();
    nested::NarrowHandlers::new().event("text");
    #[allow(deprecated)]
    let value = Private { field: None };
    handlers.event(&value, &[]);
}

use nested::Narrow as _;
