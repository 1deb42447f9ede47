use super::*;

fn idle_pool(pool: Pool) -> Rig {
    Rig::new(|component| component.pooled(pool).with_idle_timeout(MINUTE))
}

fn idle_singleton(timeout: Duration) -> Rig {
    Rig::new(|component| component.with_idle_timeout(timeout))
}

#[test]
fn idle_singleton_is_dropped_and_made_anew() {
    let rig = idle_singleton(MINUTE);
    for round in 0..3 {
        assert_eq!(rig.borrow().unwrap().number, round);
        assert_eq!(rig.borrow().unwrap().number, round);
        assert!(rig.recipe.is_active());
        rig.clock.advance(MINUTE);
        assert_eq!(rig.until_dropped(1), [round]);
        assert!(!rig.recipe.is_active());
    }
}

#[test]
fn singleton_with_an_idle_time_is_one_instance_for_calls_at_the_same_time() {
    let rig = idle_singleton(Duration::ZERO);
    let first = rig.borrow().unwrap();
    let second = rig.borrow().unwrap();
    drop(first);
    let third = rig.borrow().unwrap();
    assert_eq!((second.number, third.number, rig.made()), (0, 0, 1));
    drop((second, third));
    assert_eq!(rig.until_dropped(1), [0]);
}

#[test]
fn singleton_in_a_call_is_not_idle_however_long_the_call_takes() {
    let rig = idle_singleton(MINUTE);
    drop(rig.borrow().unwrap());
    rig.clock.until_waiting(1);
    let held = rig.borrow().unwrap();
    rig.clock.advance(5 * MINUTE);
    drop(held);
    rig.clock.until_waiting(1);
    assert!(rig.dropped().is_empty());
    rig.clock.advance(MINUTE);
    assert_eq!(rig.until_dropped(1), [0]);
}

#[test]
fn each_call_begins_the_idle_time_anew() {
    let rig = idle_singleton(MINUTE);
    for _ in 0..5 {
        assert_eq!(rig.borrow().unwrap().number, 0);
        rig.clock.until_waiting(1);
        rig.clock.advance(MINUTE / 2);
    }
    rig.clock.advance(MINUTE / 2);
    assert_eq!(rig.until_dropped(1), [0]);
}

#[test]
fn singleton_whose_idle_time_never_ends_stays() {
    let rig = idle_singleton(Duration::MAX);
    drop(rig.borrow().unwrap());
    rig.clock.advance(MINUTE);
    assert_eq!(rig.borrow().unwrap().number, 0);
}

#[test]
fn pool_shrinks_to_its_minimum_and_keeps_what_was_used_last() {
    let rig = idle_pool(Pool::new(3).with_minimum(1));
    let all = [(); 3].map(|()| rig.borrow().unwrap());
    drop(all);
    rig.clock.advance(MINUTE);
    assert_eq!(rig.until_dropped(2), [0, 1]);
    rig.clock.advance(5 * MINUTE);
    assert_eq!(rig.borrow().unwrap().number, 2);
    assert!(rig.dropped().is_empty());
}

#[test]
fn instances_of_a_pool_come_of_age_one_by_one() {
    let rig = idle_pool(Pool::new(3));
    for borrowed in [(); 3].map(|()| rig.borrow().unwrap()) {
        drop(borrowed);
        rig.clock.advance(MINUTE / 4);
    }
    for number in 0..3 {
        assert!(rig.dropped().is_empty());
        rig.clock.advance(MINUTE / 4);
        assert_eq!(rig.until_dropped(1), [number]);
    }
    assert!(!rig.recipe.is_active());
}

#[test]
fn lent_instances_count_towards_the_minimum() {
    let rig = idle_pool(Pool::new(3).with_minimum(2));
    let [first, second, third] = [(); 3].map(|()| rig.borrow().unwrap());
    drop(third);
    rig.clock.advance(MINUTE);
    assert_eq!(rig.until_dropped(1), [2]);
    drop((first, second));
    rig.clock.advance(MINUTE);
    drop([rig.borrow().unwrap(), rig.borrow().unwrap()]);
    assert_eq!((rig.dropped(), rig.made()), (vec![], 3));
}

#[test]
fn drop_that_panics_keeps_no_other_from_being_dropped() {
    let rig = idle_pool(Pool::new(3));
    rig.factory.fragile.store(true, Ordering::SeqCst);
    drop([(); 3].map(|()| rig.borrow().unwrap()));
    rig.clock.advance(MINUTE);
    assert_eq!(rig.until_dropped(3), [0, 1, 2]);
    drop(rig.borrow().unwrap());
    rig.clock.advance(MINUTE);
    assert_eq!(rig.until_dropped(1), [3]);
}

#[test]
fn component_that_is_gone_takes_its_idle_instances_and_the_thread_along() {
    let rig = idle_pool(Pool::new(3));
    drop([rig.borrow().unwrap(), rig.borrow().unwrap()]);
    rig.clock.until_waiting(1);
    drop(rig.registry.unregister(rig.recipe.id()));
    drop(rig.recipe);
    assert_eq!(rig.dropped.lock().try_iter().count(), 2);
    drop(rig.registry);
    // What is left to hold the clock is the thread.
    while Arc::strong_count(&rig.clock) > 1 {
        thread::yield_now();
    }
}
