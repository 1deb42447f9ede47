//! Guards: what has returned is not called any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use loosely::Subscription;

use crate::support::{LONG, Ticks, close, explore, memory, open, pause, publisher, together};

/// A subscriber that must not be called any more once it is closed.
#[derive(Default)]
struct Watched {
    closed: AtomicBool,
}

impl Ticks for Watched {
    fn tick(&self, _from: u32, _number: u32) {
        assert!(!self.closed.load(Ordering::SeqCst), "called after its end");
        pause();
        assert!(
            !self.closed.load(Ordering::SeqCst),
            "its end has not waited"
        );
    }
}

#[test]
fn nobody_is_in_a_call_when_close_and_wait_returned() {
    explore(|| {
        let broker = open(&memory());
        let object = Arc::new(Watched::default());
        let record = Subscription::builder("live")
            .class("ticks")
            .object()
            .build();
        let record = record.expect("a valid record");
        let guard = broker.subscribe_with::<dyn Ticks>(&record, Arc::clone(&object));
        let guard = guard.expect("a subscription");
        let fire = |from| -> Box<dyn FnOnce() + Send> {
            let ticks = publisher(&broker);
            Box::new(move || {
                for number in 0..2 {
                    // The broker catches the panic of a subscriber.
                    assert_eq!(ticks.tick(from, number).failed(), 0);
                }
            })
        };
        let end = move || {
            guard.close_and_wait(LONG).expect("it waits");
            object.closed.store(true, Ordering::SeqCst);
        };
        together(vec![fire(0), fire(1), Box::new(end)]);
        close(broker);
    });
}
