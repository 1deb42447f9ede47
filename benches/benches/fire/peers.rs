//! What programs use today, each calling the same subscribers.
//!
//! None of them can lend a `&str` to its receivers, so each event is an owned value. The channels
//! are sent to and then received from on one thread: what waking another thread takes is left out,
//! in their favour.

use std::sync::Arc;

use bevy_ecs::event::Event;
use bevy_ecs::observer::On;
use bevy_ecs::world::World;
use crossbeam_channel::bounded;
use loosely_benches::{Contest, Entrant};
use signals2::{Connect1, Emit1, Signal};
use tokio::sync::broadcast;

use crate::stock::{Feed, StockEvents};

#[derive(Clone, Event)]
struct Tick {
    symbol: Arc<str>,
    price: f64,
}

/// Makes the events of a feed, all with one shared symbol.
struct Ticks {
    feed: Feed,
    symbol: Arc<str>,
}

impl Ticks {
    fn new() -> Self {
        let mut feed = Feed::default();
        let symbol = feed.next().0.into();
        Self { feed, symbol }
    }

    fn next(&mut self) -> Tick {
        let (_, price) = self.feed.next();
        Tick {
            symbol: Arc::clone(&self.symbol),
            price,
        }
    }
}

/// Enters all peers and returns them with their names.
pub(crate) fn enter(
    contest: &mut Contest<'_>,
    subscribers: &[Arc<dyn StockEvents>],
) -> Vec<(&'static str, Entrant)> {
    vec![
        ("signals2 0.3", signals(contest, subscribers)),
        ("bevy_ecs 0.20 observers", observers(contest, subscribers)),
        ("tokio 1 broadcast", broadcast(contest, subscribers)),
        ("crossbeam channels", channels(contest, subscribers)),
    ]
}

fn broadcast(contest: &mut Contest<'_>, subscribers: &[Arc<dyn StockEvents>]) -> Entrant {
    let (sender, _) = broadcast::channel(16);
    let mut receivers: Vec<_> = subscribers
        .iter()
        .map(|subscriber| (sender.subscribe(), Arc::clone(subscriber)))
        .collect();
    let mut ticks = Ticks::new();
    contest.enter(move || {
        // It fails without receivers only.
        let _ = sender.send(ticks.next());
        for (receiver, subscriber) in &mut receivers {
            if let Ok(tick) = receiver.try_recv() {
                subscriber.price_changed(&tick.symbol, tick.price);
            }
        }
    })
}

fn channels(contest: &mut Contest<'_>, subscribers: &[Arc<dyn StockEvents>]) -> Entrant {
    let channels: Vec<_> = subscribers
        .iter()
        .map(|subscriber| (bounded::<Tick>(16), Arc::clone(subscriber)))
        .collect();
    let mut ticks = Ticks::new();
    contest.enter(move || {
        let tick = ticks.next();
        for ((sender, _), _) in &channels {
            // It is empty, and its receiver lives.
            let _ = sender.send(tick.clone());
        }
        for ((_, receiver), subscriber) in &channels {
            if let Ok(tick) = receiver.try_recv() {
                subscriber.price_changed(&tick.symbol, tick.price);
            }
        }
    })
}

fn observers(contest: &mut Contest<'_>, subscribers: &[Arc<dyn StockEvents>]) -> Entrant {
    let mut world = World::new();
    for subscriber in subscribers {
        let subscriber = Arc::clone(subscriber);
        world.add_observer(move |tick: On<'_, '_, Tick>| {
            subscriber.price_changed(&tick.symbol, tick.price);
        });
    }
    world.flush();
    let mut ticks = Ticks::new();
    contest.enter(move || world.trigger(ticks.next()))
}

fn signals(contest: &mut Contest<'_>, subscribers: &[Arc<dyn StockEvents>]) -> Entrant {
    let signal = Signal::<(Tick,)>::new();
    for subscriber in subscribers {
        let subscriber = Arc::clone(subscriber);
        signal.connect(move |tick: Tick| subscriber.price_changed(&tick.symbol, tick.price));
    }
    let mut ticks = Ticks::new();
    contest.enter(move || {
        signal.emit(ticks.next());
    })
}
