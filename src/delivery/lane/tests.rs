use std::sync::Arc;

use super::*;

/// Comes whenever it is told, and takes nothing by itself.
struct Patient;

impl Outlet for Patient {
    fn ready(&self) -> bool {
        true
    }
}

fn lane(capacity: usize, overflow: Overflow, keyed: bool) -> Lane<Arc<()>> {
    let bounds = Bounds {
        capacity,
        overflow,
        keyed,
    };
    Lane::new(bounds, Box::new(Patient))
}

#[test]
fn event_is_put_plainly_only_where_nothing_but_room_is_needed() {
    let event = Arc::new(());
    let put = |lane: &Lane<_>| lane.push_plainly(Arc::clone(&event)).is_ok();
    assert!(put(&lane(1, Overflow::Block, false)));
    assert!(!put(&lane(1, Overflow::Block, true)));
    assert!(!put(&lane(1, Overflow::Coalesce, false)));
    let narrow = lane(1, Overflow::DropOldest, false);
    assert!(put(&narrow) && !put(&narrow));
    let shut = lane(1, Overflow::Block, false);
    shut.shut();
    assert!(!put(&shut));
    assert_eq!((narrow.len(), shut.len()), (1, 0));
}

#[test]
fn publishers_drop_two_delivered_events_each_and_who_finds_nothing_the_rest() {
    let event = Arc::new(());
    let lane = lane(64, Overflow::Block, false);
    let put = || assert!(lane.push_plainly(Arc::clone(&event)).is_ok());
    let (mut taken, mut spent) = (VecDeque::new(), Vec::new());
    (0..6).for_each(|_| put());
    let mut key = lane.take(None, 5, &mut taken, &mut spent);
    assert_eq!(taken.len(), 5);
    spent.extend(taken.drain(..).filter_map(Entry::into_item));
    key = lane.take(key, 1, &mut taken, &mut spent);
    assert!(key.is_some() && spent.is_empty());
    assert_eq!(Arc::strong_count(&event), 1 + 6);
    for left in [6, 5] {
        put();
        assert_eq!(Arc::strong_count(&event), left);
    }
    taken.clear();
    key = lane.take(key, 2, &mut taken, &mut spent);
    taken.clear();
    assert!(lane.take(key, 1, &mut taken, &mut spent).is_none());
    assert_eq!((spent.len(), lane.is_idle()), (1, true));
}
