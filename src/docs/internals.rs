//! How it works inside: the path of a commit, the path of a fire, and the order of locks.
//!
//! # Floors
//!
//! Each module knows those below it and none above.
//!
//! ```text
//! broker      the facade and the wiring: records in memory, and the channels that follow from them
//! publish     publisher objects, the pipeline of a fire, reports, explanations
//! delivery    the context of a delivery, failures      cache       snapshots
//! component   registry and activation              index       which filters select an event
//! store       commits, sled, memory, stored records    filter      parse, check, evaluate
//! model       event classes, subscriptions, ids, names
//! value       values, schemas, interfaces; beside it codec, clock, notices, sync, error
//! ```
//!
//! Beside the floors stands `testing`, under the feature of that name: it uses what is public,
//! [`VirtualClock`](crate::testing::VirtualClock) apart, which is the clock's own, and nothing but
//! tests uses it.
//!
//! A *channel* is one interface of one class: its subscriptions made ready, and the cache that
//! fires read. All publisher objects of that class and interface share it; a publisher object adds
//! its properties.
//!
//! # The path of a commit
//!
//! 1. The caller prepares everything that can fail, with no lock held: names are validated, filters
//!    parsed and checked against every class the subscription is bound to, records encoded. The
//!    batch carries the encoded bytes, the decoded record, and the revision it expects.
//! 2. The store takes its commit lock, checks the expectations, writes the batch, the change log
//!    and the head in one step of the engine, and takes the revision.
//! 3. Still under that lock it calls the attached sinks in revision order. The broker's wiring is
//!    one: it takes its own lock, takes the records in, and makes new snapshots of the channels
//!    that the change reaches. Nothing in it fails and nothing is the user's code. What it replaces
//!    goes to a list.
//! 4. The commit lock is released. Then the list is dropped: a target's `Drop` may do what it
//!    likes. Behind that, new subscriptions are given what is retained for them.
//! 5. Under [`Durability::Immediate`](crate::Durability::Immediate) the caller waits until a flush
//!    covers its batch. One of those who wait flushes for all of them. Then the call returns.
//!
//! So a fire may see a change shortly before it is durable, and a caller that got its `Ok` never
//! sees an older state. When the flush fails the answer is
//! [`Uncertain`](crate::ErrorKind::Uncertain): the change may or may not be there after a restart.
//! The store then refuses writes until it has opened the engine again, by itself and with growing
//! pauses, and lists everything to the sinks anew.
//!
//! What a change costs depends on the channel. With few filtered subscriptions each change makes
//! new lists of those that are called for a method, in proportion to their number. From sixty-four
//! filtered ones on those are in an index for each method, which is changed in place; only a
//! subscription without a filter then makes a new list, of those without one. An
//! [`import`](crate::Broker::import) changes an index by sections of a thousand, or, if the channel
//! has no subscription yet, builds it aside and puts it in place at once. A filter is compiled
//! once, when it is checked; where a class or a schema has changed since, it is compiled anew.
//!
//! A transient subscription has no commit: it takes the wiring's lock alone. So do sessions: a
//! log-on puts what its owner has from beside the lanes into them, and a log-off takes it out
//! again.
//!
//! Schedules are followed in the same way. What one says at present is computed when its
//! subscription is listed; the wiring has the next edge of each in order, and one timer for the
//! first. When that goes off a thread of the pool lists those anew of which something else is true
//! by now, a thousand at a time. Edges are times of day and the timer's clock is not the
//! computer's, so both are compared every hour as long as there is a schedule.
//!
//! A private subscription is listed by its publisher object and its id, beside those that queries
//! see. Each channel of the object's class has, for each object with private ones, lanes and, from
//! sixty-four filters on, an index of their own; the lanes of everybody stay as they are. When the
//! last clone of the publisher is dropped, all of them go in one change.
//!
//! What a principal's publisher object may do is no part of a snapshot, as an authorizer is the
//! user's code. A commit of roles or classes raises a generation, when its snapshots are in place;
//! a fire of such an object reads it first, and where it is another one than before, asks again
//! with no lock held. Objects that were made for nobody have nothing to compare.
//!
//! A [transaction](crate::Broker::transaction) is the same path for several: each part adds what it
//! writes and expects to one batch, again with a new one if somebody else came first, and is told
//! when the commit returned. A [tree](crate::Tree) has keys of its own in the store, so the wiring
//! is told of a commit that changes trees alone, and finds nothing in it; who watches one is
//! another sink, and copies what changed under its prefix into a bounded pipe.
//!
//! # The path of a wiring change
//!
//! The wiring, told of a commit, puts what it replaced and what is there now into a backlog, if a
//! subscriber of a built-in class is there; the records are shared, not copied. A thread of the
//! broker's own takes one after another out and fires it through an ordinary publisher, with no
//! lock held. It exists while there is such a subscriber, waits for a ring without an interval, and
//! holds the wiring, not the broker. Notices of lower floors ring it too. The backlog is as bounded
//! as the store's log: what does not fit, whole commits, is reported as a gap. In memory, a
//! subscriber is called 5 us after `store` was, and before it has returned (two cores of an AMD
//! EPYC, release build, 2026-11); with sled, while it waits for the device.
//!
//! [`follow_changes`](crate::Broker::follow_changes) uses neither backlog nor thread: it reads the
//! store's log on its caller's thread and waits for the same ring.
//!
//! # The path of a fire
//!
//! 1. *Snapshot.* One `ArcSwap::load` of the channel's cache, which takes no lock. The fire uses
//!    what it loaded to its end.
//!    Where the method [retains](crate::Retained) its events, the event gets its place and is kept
//!    before the snapshot is loaded; how that makes a new subscription get each event exactly once
//!    is in `src/publish/keep.rs`. Such a method is never called without a look, so that one that
//!    retains nothing need not ask.
//! 2. *Match.* If every subscription of the method is ready to be called as it is, there is nothing
//!    to match: the loop calls one target after another. Otherwise the event's values are borrowed
//!    as `ValueRef`s and the publisher's properties are captured once. A few subscriptions are
//!    asked in turn. Many filtered ones are in an index: the values that it needs
//!    are copied out of the event, then the index is locked for reading, and what it finds is a
//!    list of hits: for each subscription its place in store order, the number of its slot and the
//!    number of its target. They are of two tables, of which the fire has a snapshot each: as long
//!    as no fire has one a change is made in place, else it copies the three small nodes that lead
//!    to the slot. So no match is counted by itself, which would be a wait for memory each; and
//!    what was removed is dropped when the last fire that began before is over. A lane and an index
//!    carry a generation; if they do not fit, since a subscription moved between them, the fire
//!    loads its snapshot again. Then what was found is brought into the order of calling.
//!    Where a publisher filter or a default query selects, the fire takes another way: it gets all
//!    subscriptions of the method in the order of calling, made when first asked for after a
//!    change, and what is selected is asked one by one, its filter too. A default query over an
//!    index alone is asked about what the index has found.
//!    Where the publisher object has private subscriptions, the fire matches those too and puts
//!    both in one order; what a publisher filter selects from is put together for each fire. A
//!    publisher without any of this pays one look at a flag.
//! 3. *Delivery.* A predicate is asked, if the subscription names one. The target is found: a live
//!    object, a weak one that is still there, or a component, made now if need be. The trait's
//!    method is called with the publisher's own arguments, inside `catch_unwind`. Of what an index
//!    has found the slot is read only where there is something to ask, a failure to report, or a
//!    subscriber who asks for its context: a million slots are far from the processor, while the
//!    hits lie where the match has just been, and the targets are few. A class that
//!    fires in parallel goes the way of filters too. What keeps subscriptions back is asked of all
//!    first. The others of one priority are then places on a list, with one copy of the arguments,
//!    that the publisher's thread and helpers from the pool take in order. A helper that comes when
//!    the publisher is through finds no list. So the publisher waits for calls that have begun and
//!    for nothing else. Two subscribers of 1 ms take 1.1 ms, one after another 2.0 (two cores of an
//!    AMD EPYC, release build, 2026-11; bench `publish`).
//! 4. *Report.* Counts, and a line for each failure and each subscription passed over. The failure
//!    hook is told last.
//!
//! A singleton that was made, or a weak object found gone, changes the snapshot after the fire, so
//! that the next one need not look. An instance of a pool is given back behind its call. `explain`
//! takes the same steps and calls nobody.
//!
//! # The path of an event apart from its fire
//!
//! A subscription with a lane, a deadline, a breaker or a trigger is not called by the loop: its
//! target is a *post*, to which the fire hands the event over. What outlives an edit of such a
//! subscription lies on its *desk*: the lane, the breaker, the trigger's state, the call that was
//! abandoned. A post that is made anew finds the desk by the subscription's id and takes the seat
//! of the one before, so what waits goes to whom the subscription names when its turn comes.
//!
//! The event leaves the fire as a *parcel*: a copy of the arguments, with the class, the time and
//! the number of the event and how deep it was fired, in one piece of memory; one for all lanes,
//! streams and other threads. Where all subscribers of a method have lanes and nothing is to be
//! asked, the fire looks at nothing else. A thread that finds a lane empty lingers for some
//! microseconds, unless others wait for it, and hands what it has delivered back to the publisher
//! to be dropped there: memory is freed several times faster by the thread that took it. A lane is
//! in one hand at a time, or each key of it; whoever has it takes up to 64 events at once, one
//! where the lane may lose or replace what waits, and gives way after sixteen rounds if others
//! wait.
//!
//! What a detached event costs its publisher (two cores of an AMD EPYC, release build, 2026-11;
//! bench `delivery`): 250 ns, of which the copy, two pieces of memory taken and given back, is a
//! third, the clock a tenth, and the rest the waits for lines of memory that the other core has
//! just read. A bounded channel that carries the same struct to a thread takes 80.
//!
//! Where a subscriber comes for its events itself, the post hands them over to an *inbox*: the lane
//! of a stream, a mailbox or an asynchronous subscription. Whoever takes an event out finds the
//! post of its class again, which has it counted, traced and judged by the breaker as if the broker
//! had called. What a trigger has due comes through the desk's lane first, with its key in the
//! inbox.
//!
//! A call with a deadline in a fire is made by a thread of a pool of its own, which never queues;
//! the fire waits by the broker's clock. In a lane it is watched by one timer of the desk. A thread
//! that does not come back is replaced, and ends if it does. A future is watched by the same timer
//! and dropped by whoever polls it.
//!
//! # The path of an event through a queue
//!
//! A fire that finds subscriptions with queues goes through all of its subscribers first; then it
//! has the event stored once for all of them, with the numbers of their queues, and waits for that
//! if one of them asks for it. The *journal* writes for all who wait at once: whoever comes first
//! writes, and what comes meanwhile is the next batch, as are the events that were delivered in
//! the meantime and can go. The keys are [bulk](crate::Batch): they make no revision, and neither
//! the change log nor the copy has them.
//!
//! When the event is stored it goes into the lane of each desk, as long as there is room for 256
//! and nothing waits before it. Of what there is no room for, the number alone is in memory; it is
//! read again when the lane has half emptied. In the lane it is a parcel with a *receipt*: whoever
//! delivers says by it how that went, and a receipt that is dropped without a word puts the event
//! back. So nothing has to be done for it when a subscription is edited, switched off or loses its
//! component. What is to be tried again is parked with its lane, or, if the queue is relaxed, with
//! the timers.
//!
//! An event of another version of its interface stays as it was fired, in the store and in the
//! lane; it is made one that fits right before the call, by name or by upcasters, and anew for
//! every attempt. So a dead letter is what was fired, and can be replayed by either version.
//!
//! What a subscriber has handled once stands in a tree of the broker's own, a key for each event
//! and subscription, which the transaction of its work expects to be absent and puts. The store
//! alone says what was handled; in memory is the order in which keys make room, of those
//! subscriptions that had an event since the broker was opened.
//!
//! An event that one subscription waits for is a key that is put and deleted, and nothing else.
//! Where several do, what each of them has had of those that others wait for is written under its
//! number. When a broker is opened, what is left of both says what waits for whom.
//!
//! The history of a class is one more of those who wait for an event: its chronicle names no
//! subscriber, and lets events go by count, age and bytes. A queue that begins with a past event
//! gets the numbers that the chronicle has, and those of events whose fires began before it was in
//! every snapshot; what no filter was asked about is asked when it is read.
//! `delivery/journal/chronicle.rs` says why nothing is missed and nothing comes twice.
//!
//! Two cores of an AMD EPYC, release build, 2026-11; bench `queue`, with a million events: 97,000
//! of 128 bytes a second through a queue that does not have its fires wait, 0.56 times what sled
//! alone writes and removes with as many syncs, 0.47 to 0.58 in a dozen runs; 90,000 a second out
//! of a backlog of a million, of which 0.5 MB is left on the disk, 398 without compaction; 536
//! bytes for an event for which a hundred wait. sled writes its pages over: 3.7 KB reach the disk
//! for an event that was queued and delivered, and 9 KB for a change of the wiring that is synced
//! by itself.
//!
//! # Locks
//!
//! `a -> b`: `b` may be taken while `a` is held, never the other way round.
//!
//! ```text
//! store commit lock -> wiring state -> a channel's roster -> its index
//! a channel's roster -> its publisher objects -> the roster of one -> its index
//! a channel's roster -> component registry
//! wiring state -> what a commit hands to the wiring
//! wiring state -> the timers -> an alarm
//! store commit lock -> flush progress
//! store commit lock -> background duties
//! store commit lock -> the engine's own locks
//! store commit lock -> the pipe of one who watches a tree
//! wiring state -> notices, the registry, and the ring for the thread that tells of changes
//! components being made -> a component's instance, or the state of a shared singleton
//! a pool's or shared singleton's state -> the sweeper's rounds -> its alarm
//! a pool's state -> one who waits -> its alarm
//! any of these -> a test's clock -> an alarm
//! a fire: one index at a time, for reading, and nothing inside
//! a look at all ranges at one place -> that index, a part at a time, and nothing inside
//! a channel's roster, its index for reading -> what it retains
//! a channel's roster, its index for reading -> a subscription's seat
//! a channel's roster -> a desk's trigger -> what it keeps -> the timers
//! a channel's roster -> a desk's trigger -> that trigger's state
//! a trigger's state -> its lane -> the pool
//! a trigger's state -> what it keeps -> the timers
//! a channel's roster -> its pulse, which wakes those who wait for a change of interest
//! a change of a publisher object's properties or filters: alone
//! the list of a parallel fire, a place on it, the queue of the pool: each alone
//! a lane, the seats of a desk, the list of desks, a breaker: each alone
//! a channel's roster, the wiring state -> the journal -> the pool of those who write
//! the watch over a desk's calls -> the pool, notices, the breaker, what is parked -> the timers
//! the watch over a pool -> the pool
//! a change of registered publisher filters, predicates or upcasters: alone
//! a window of keys, the list of windows: each alone
//! ```
//!
//! - *commit lock -> wiring state*: the store owns the order of changes, so its sinks are called
//!   under its lock, and the wiring is a sink. Hence nothing asks the store for anything while it
//!   holds the wiring: the calls of the broker read the wiring, let it go, commit, and begin again
//!   if the revision they expected has passed.
//! - *wiring state -> roster*: what came and went is told to the channels one by one. A fire takes
//!   neither of the two, but for the list of publisher objects, for a moment, if its own has
//!   private subscriptions, and for the roster: at its end, if it made a singleton, and where a
//!   publisher filter or a default query needs the members of a method that has changed.
//! - *roster -> index*: it is locked, for all methods together, while a subscription moves between
//!   it and the snapshot, so that every fire sees it in one place. Under them runs library code
//!   alone: an event is read before, and subscribers are called behind.
//! - *roster -> registry*: a subscription that is made ready takes over a singleton that exists.
//!   The registry's lock covers look-ups and insertions only. No factory runs under it: one that
//!   makes a singleton is noted as the maker, other threads wait for it, and a circle of such waits
//!   is found and is an error.
//! - *wiring state -> what a commit hands over*: the decoded record and its compiled filter, which
//!   the first wiring that is told takes out. The lock is held for that alone.
//! - Large listings are decoded, and filters of many subscriptions compiled, on a thread more. It
//!   is joined under the commit lock, except while opening, and for filters under the wiring state
//!   as well: so neither kind of work takes a lock but that of the notices.
//! - A fire that found weak objects gone asks the wiring to remove their subscriptions, and does
//!   not wait for its lock.
//! - *flush progress* and *duties* are taken for a moment by whoever commits, and call nobody while
//!   held.
//!
//! The types of all these locks come from `src/sync.rs`, so that `tests/interleavings` can run
//! commits, lanes, queues and closings in many orders of their threads, with a scheduler in the
//! place of the system's.
//!
//! Three rules keep this list short. A subscriber, a factory, a publisher filter, a predicate, a
//! failure hook and a user's `Drop` run with no lock held; so does `on_progress` of
//! [`BrokerBuilder`](crate::BrokerBuilder), as the store is listed while it is opened and nobody
//! else has it yet. What must be held for a function is its `&mut` parameter, not a remark. And
//! what is shared with fires is immutable: a change makes a new one.
//!
//! # A million records on disk
//!
//! What the store alone takes for a million subscriptions with a filter each, 18 bytes of key and
//! 133 of value (two cores of an AMD EPYC, release build, 2026-11). The records that the
//! broker holds in memory come on top.
//!
//! | what | takes |
//! | --- | --- |
//! | open, check every pair, list all to a sink | 1.5 s; 2.8 s as open, then attach |
//! | memory of the process after that | 230 MB; 43 before the first page is read |
//! | size on disk | 431 MB in sled, 160 MB in the copy: 590 bytes a record, of them 151 its own |
//! | one commit of a million, values of 180 bytes | 7 s, 900 MB with the batch itself |
//! | one commit that replaces a million of these | 13 s, 1.8 GB with the batch itself |
//! | a hundred commits of ten thousand | 15 s, 250 MB |
//! | a pair in a store in memory, 198 bytes of key and value | 260 bytes |
//!
//! sled keeps sixteen records on a page and copies the page for each write, so records that are
//! neighbours are cheap to write together: one large commit takes half the time of a hundred small
//! ones, as it goes through the pages in order. It is written in sections that count as one; what
//! is cut off by a crash is taken back when the store is opened. So old values are written once
//! more, in small sections of some thirty of 180 bytes: larger records of what undoes them would be
//! in files that sled does not sync.
//!
//! sled's cache has 128 MB. With a gigabyte all of it fits, in 80 MB more; a second scan then takes
//! 0.3 s instead of 1, a point read 2 us instead of 10, importing in small commits a seventh less.
//! Nothing reads the store when events fire and opening reads it once, so the memory is better left
//! to the program. With 32 MB opening takes hardly longer, but small commits half as much processor
//! time again.
//!
//! # What is left of a queue
//!
//! sled uses segments of its file again once half of one is dead, so a broker that is busy reaches
//! a length and stays there: 12 MB in five minutes and two million events of example `soak`, with
//! 24 MB of memory resident, the last quarter 1.03 times the second. What it does not do is give
//! back what a backlog took. So the engine looks, after every 65,536 keys, or up to four times as
//! many where looking was for nothing, how much is live: it reads until that is more than a quarter
//! of the file or 16 MiB. If it is less, it holds the lock for which every call waits, copies the
//! pairs to `compacted/` in batches of a thousand, syncs, opens that once more, compares pair by
//! pair, lets go of the old database until its file can be locked, and swaps the two names. The
//! steps, and what each leaves to the next opening, are in `src/store/sled/compact.rs`.
//!
//! # Where contracts stand
//!
//! The store's is with [`Store`](crate::Store). The cache's is in `src/cache/mod.rs`, the grammar
//! and the meaning of filters in `src/filter/mod.rs`, the layout of a store's directory in
//! `src/store/sled/directory.rs`, the stored form of records in `src/store/record/mod.rs`.
