use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::*;
use crate::error::ErrorKind;

#[test]
fn pool_makes_its_minimum_when_the_first_is_needed() {
    let rig = Rig::pooled(Pool::new(4).with_minimum(3));
    assert_eq!((rig.made(), rig.recipe.is_active()), (0, false));
    let first = rig.borrow().unwrap();
    assert_eq!((first.number, rig.made()), (0, 3));
    let others = [rig.borrow().unwrap(), rig.borrow().unwrap()];
    assert_eq!(rig.made(), 3);
    let fourth = rig.borrow().unwrap();
    assert_eq!((fourth.number, rig.made()), (3, 4));
    drop((first, others, fourth));
    assert!(rig.dropped().is_empty() && rig.recipe.is_active());
}

#[test]
fn factory_that_fails_holds_no_place_and_the_next_event_tries_again() {
    let rig = Rig::pooled(Pool::new(2).with_minimum(2));
    rig.set_broken(true);
    for _ in 0..3 {
        let failed = rig.refused();
        assert!(matches!(failed, ActivationError::Failed { .. }), "{failed}");
        assert!(!rig.recipe.is_active(), "a place is held");
    }
    assert_eq!(rig.made(), 3, "a spare was made before the first");
    rig.set_broken(false);
    assert_eq!(rig.borrow().unwrap().number, 3);
    assert_eq!(rig.made(), 5);
}

#[test]
fn spare_that_cannot_be_made_fails_nobody_and_is_made_up_for() {
    let rig = Rig::new(|_| {
        let count = AtomicUsize::new(0);
        let (dropped, _) = mpsc::channel();
        let factory = Arc::new(Factory {
            made: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            fragile: AtomicBool::new(false),
            dropped,
        });
        let make = move |_: &Activation<'_>| match count.fetch_add(1, Ordering::SeqCst) {
            1 => Err("broken".into()),
            _ => factory.make(),
        };
        Component::activated("numbered", make).pooled(Pool::new(3).with_minimum(2))
    });
    let first = rig.borrow().unwrap();
    let second = rig.borrow().unwrap();
    assert_eq!((first.number, second.number), (0, 1));
    let third = rig.borrow().unwrap();
    assert_eq!(third.number, 2);
}

#[test]
fn instance_given_back_last_is_lent_first() {
    let rig = Rig::pooled(Pool::new(2));
    let (first, second) = (rig.borrow().unwrap(), rig.borrow().unwrap());
    drop(second);
    drop(first);
    assert_eq!(rig.borrow().unwrap().number, 0);
}

#[test]
fn event_that_waits_in_vain_fails_after_the_stated_time() {
    let rig = Rig::pooled(Pool::new(1).with_wait(5 * SECOND));
    let held = rig.borrow().unwrap();
    let failed = thread::scope(|scope| {
        let waiting = scope.spawn(|| rig.refused());
        rig.clock.until_waiting(1);
        rig.clock.advance(4 * SECOND);
        rig.clock.advance(SECOND);
        waiting.join().unwrap()
    });
    let ActivationError::Exhausted { size, waited, .. } = failed else {
        panic!("{failed}")
    };
    assert_eq!((size, waited), (1, 5 * SECOND));
    drop(held);
    assert_eq!(rig.borrow().unwrap().number, 0);
}

#[test]
fn event_fails_at_once_without_a_wait() {
    let rig = Rig::pooled(Pool::new(2).with_wait(Duration::ZERO));
    let _held = [rig.borrow().unwrap(), rig.borrow().unwrap()];
    let failed = thread::scope(|scope| scope.spawn(|| rig.refused()).join().unwrap());
    let text = failed.to_string();
    assert!(
        text.starts_with("all 2 instances") && text.ends_with("are busy"),
        "{text}"
    );
}

#[test]
fn thread_that_holds_every_instance_does_not_wait_for_itself() {
    let rig = Rig::pooled(Pool::new(2).with_wait(Duration::MAX));
    let _held = [rig.borrow().unwrap(), rig.borrow().unwrap()];
    let failed = rig.refused();
    let text = failed.to_string();
    assert!(matches!(
        failed,
        ActivationError::WouldDeadlock { size: 2, .. }
    ));
    assert!(text.contains("from inside their own calls"), "{text}");
}

#[test]
fn those_who_wait_are_served_in_the_order_they_came() {
    let rig = Rig::pooled(Pool::new(1).with_wait(Duration::MAX));
    let held = rig.borrow().unwrap();
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        for place in 1..=4 {
            let (rig, tell) = (&rig, tell.clone());
            scope.spawn(move || {
                let borrowed = rig.borrow().unwrap();
                tell.send((place, borrowed.number)).unwrap();
            });
            rig.clock.until_waiting(place);
        }
        drop(held);
    });
    drop(tell);
    let served: Vec<_> = told.iter().collect();
    assert_eq!(served, [(1, 0), (2, 0), (3, 0), (4, 0)]);
}

#[test]
fn one_who_gave_up_is_not_handed_an_instance() {
    let rig = Rig::pooled(Pool::new(1).with_wait(SECOND));
    let held = rig.borrow().unwrap();
    thread::scope(|scope| {
        let first = scope.spawn(|| rig.refused());
        rig.clock.until_waiting(1);
        rig.clock.advance(SECOND);
        first.join().unwrap();
        let second = scope.spawn(|| rig.borrow().unwrap().number);
        rig.clock.until_waiting(1);
        drop(held);
        assert_eq!(second.join().unwrap(), 0);
    });
}

#[test]
fn place_of_a_spoilt_instance_goes_to_the_first_who_waits() {
    let rig = Rig::pooled(Pool::new(1).with_wait(Duration::MAX));
    let mut held = rig.borrow().unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| rig.borrow().unwrap().number);
        rig.clock.until_waiting(1);
        held.lease.spoil();
        drop(held);
        assert_eq!(waiting.join().unwrap(), 1);
    });
    assert_eq!(rig.dropped(), [0]);
}

#[test]
fn factory_that_fails_for_one_who_waited_passes_the_place_on() {
    let rig = Rig::pooled(Pool::new(1).with_wait(Duration::MAX));
    let mut held = rig.borrow().unwrap();
    held.lease.spoil();
    rig.set_broken(true);
    thread::scope(|scope| {
        let waiting = [1, 2, 3].map(|count| {
            let thread = scope.spawn(|| rig.refused());
            rig.clock.until_waiting(count);
            thread
        });
        drop(held);
        for thread in waiting {
            let failed = thread.join().unwrap();
            assert!(matches!(failed, ActivationError::Failed { .. }), "{failed}");
        }
    });
}

#[test]
fn lease_that_a_panic_drops_gives_nothing_back() {
    let rig = Rig::pooled(Pool::new(1));
    let call = || {
        let _held = rig.borrow().unwrap();
        resume_unwind(Box::new("a call that panics"));
    };
    catch_unwind(AssertUnwindSafe(call)).unwrap_err();
    assert_eq!(rig.dropped(), [0]);
    assert_eq!(rig.borrow().unwrap().number, 1);
}

#[test]
fn lease_of_a_call_that_a_panic_makes_gives_the_instance_back() {
    struct Calls<'a>(&'a Rig);

    impl Drop for Calls<'_> {
        fn drop(&mut self) {
            drop(self.0.borrow());
        }
    }

    let rig = Rig::pooled(Pool::new(1));
    let panics = || {
        let _calls = Calls(&rig);
        resume_unwind(Box::new("a panic"));
    };
    catch_unwind(AssertUnwindSafe(panics)).unwrap_err();
    assert!(rig.dropped().is_empty());
    assert_eq!(rig.borrow().unwrap().number, 0);
}

#[test]
fn lease_ends_quietly_when_its_component_is_gone() {
    let rig = Rig::pooled(Pool::new(2));
    let (held, idle) = (rig.borrow().unwrap(), rig.borrow().unwrap());
    drop(idle);
    let removed = rig.registry.unregister(rig.recipe.id());
    let (recipe, dropped) = (rig.recipe, rig.dropped);
    drop((recipe, removed));
    assert_eq!(
        dropped.lock().try_iter().count(),
        0,
        "the lease keeps the pool"
    );
    drop(held);
    assert_eq!(dropped.lock().try_iter().count(), 2);
}

#[test]
fn policy_that_cannot_be_kept_is_refused() {
    let rig = Rig::pooled(Pool::new(1));
    let refused = |policy: fn(Component<Numbered>) -> Component<Numbered>| {
        let recipe = policy(component(&rig.factory).with_id("other")).into_recipe();
        let error = rig.registry.register(recipe, |_| Ok(())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        error.to_string()
    };
    let text = refused(|component| component.pooled(Pool::new(0)));
    assert!(text.ends_with("has a pool of no instances"), "{text}");
    let text = refused(|component| component.pooled(Pool::new(2).with_minimum(3)));
    assert!(text.contains("at least 3 and at most 2"), "{text}");
    let text = refused(|component| component.with_idle_timeout(SECOND).per_call());
    assert!(text.contains("never idle"), "{text}");
}

#[test]
fn another_pool_or_idle_time_is_another_component() {
    let pool = Pool::new(2).with_wait(SECOND);
    let rig = Rig::pooled(pool);
    let register = |pool, idle: Option<Duration>| {
        let component = component(&rig.factory).pooled(pool);
        let component = match idle {
            Some(idle) => component.with_idle_timeout(idle),
            None => component,
        };
        let registered = rig.registry.register(component.into_recipe(), |_| Ok(()));
        registered.map_err(|error| (error.kind(), error.to_string()))
    };
    assert_eq!(register(pool, None), Ok(false));
    let (kind, text) = register(pool.with_minimum(1), None).unwrap_err();
    assert_eq!(kind, ErrorKind::AlreadyExists);
    assert!(
        text.contains("a pool of 0 to 2 waited for 1s, not"),
        "{text}"
    );
    let (kind, text) = register(pool, Some(SECOND)).unwrap_err();
    assert_eq!(kind, ErrorKind::AlreadyExists);
    assert!(
        text.ends_with("at no time, not after 1s without a use"),
        "{text}"
    );
}
