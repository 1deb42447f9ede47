//! What is promised, what survives what, and where each promise is shown.
//!
//! A line names the test that would fail without it, or the contract that it follows from. Tests
//! under `tests/store` and `tests/behaviour` are named as `file: test`, or by the file where it is
//! all about the matter.
//!
//! Beside them the whole is held against a plain model, with operations and power cuts drawn at
//! random (`tests/model`); commits, lanes and queues go through the orders in which threads can go
//! on (`tests/interleavings`); and what others write and the crate reads is fuzzed (`tests/fuzz`).
//!
//! # What survives
//!
//! | | stored wiring, trees | transient subscriptions | an event being delivered, or in a lane |
//! | --- | --- | --- | --- |
//! | an error or panic of a subscriber | all | all | reaches all others |
//! | `kill -9` of the process | all that was acknowledged | none | is gone |
//! | a loss of power | all that was acknowledged and synced | none | is gone |
//! | a write error of the store | all that was acknowledged | all | is delivered |
//! | damage to the database | what the copy holds | all | is delivered |
//! | the close of the broker | all | all, for publishers still held | is delivered, in time |
//!
//! - *`kill -9`*: `durability.rs: acknowledged_commits_survive_kill_under_load`.
//! - *Power*: a commit is acknowledged after its bytes were written and the device was told to
//!   sync, in this order: `durability.rs: system_calls_are_write_then_sync_then_acknowledge`. What
//!   the device does with that is its own affair; power itself was not cut.
//! - *`Durability::Interval`* gives up to that much away, and says so: `durability.rs:
//!   commits_acknowledged_before_the_flush_are_seen_to_be_lost`.
//! - *Write errors*: `faults.rs: batch_torn_by_a_failure_is_never_seen`,
//!   `failed_flush_is_uncertain_and_refuses_writes_until_reopened`. The store opens its engine
//!   again by itself.
//! - *Damage*: `copy.rs: database_that_is_gone_is_restored_from_the_copy`, `damage.rs:
//!   flipped_bit_is_healed_from_the_copy`. The copy is written some seconds after a change, at most
//!   every three minutes, and at close; [`Broker::notices`](crate::Broker::notices) says which
//!   revision came back. Without a copy the loss is reported: `copy.rs:
//!   database_damaged_without_a_copy_is_lost_aloud`.
//! - *An import* is in the store whole or not at all: `imports.rs:
//!   import_with_one_that_is_not_valid_stores_none`; read beside it, `large.rs:
//!   large_batch_is_never_seen_in_part`; cut off by a crash, `durability.rs:
//!   large_batch_cut_off_by_a_kill_is_not_there_in_part`.
//! - *A transaction* is in the store whole or not at all, its subscriptions and its trees: on an
//!   engine that fails, `transactions.rs:
//!   transaction_on_an_engine_that_fails_is_there_whole_or_not_at_all`; cut off by a kill,
//!   `tests/store/transactions.rs: transaction_cut_off_by_a_kill_is_there_whole_or_not_at_all`. A
//!   value that is not as expected leaves nothing: `transactions.rs:
//!   value_that_is_not_as_expected_is_a_conflict_that_leaves_nothing`.
//! - *A tree* survives what records survive, and is in the copy too: `trees.rs:
//!   tree_is_there_after_a_reopen_and_is_restored_from_the_copy`.
//! - *One record that cannot be read* is quarantined, reported, and the rest served: `damage.rs:
//!   value_damaged_below_sled_is_quarantined_and_the_rest_served`.
//! - *Commits that a damaged log lost* are noticed when the directory is opened, by a mark beside
//!   the database, and reported as [`Notice::RolledBack`](crate::Notice::RolledBack). The mark is
//!   synced at close alone: after a loss of power, a loss may go unnoticed.
//! - *A compaction* changes no content, and a crash in any step of it leaves the old database or
//!   the new one, whole: `compaction.rs:
//!   crash_after_any_step_leaves_the_old_database_or_the_new_one_whole`, `durability.rs:
//!   acknowledged_commits_survive_a_kill_while_the_database_is_written_anew`. Without room for both
//!   the old one stays, as a notice says: `full_disk.rs:
//!   database_is_not_written_anew_where_there_is_no_room_for_both`.
//! - *An idle broker* writes nothing: `idle.rs:
//!   idle_broker_with_events_that_wait_writes_nothing_in_a_day`.
//! - *Revisions* are never given twice, not even after a crash: `durability.rs:
//!   revision_lost_to_a_crash_is_not_given_again`.
//! - *Ownership*: one process has the directory, and a second is refused: `durability.rs:
//!   directory_of_another_process_is_locked_until_it_dies`. It is free at once after a close:
//!   `copy.rs: directory_is_free_at_once_after_close`.
//! - *Privacy*: on Unix the directory is 0700 and the files 0600: `durability.rs:
//!   nobody_but_the_owner_may_read_what_the_store_makes`.
//! - *Formats*: a directory of a newer version is refused untouched: `copy.rs:
//!   newer_format_is_refused_with_nothing_touched`.
//!
//! The contract of every store is with [`Store`](crate::Store); `conformance.rs` holds it over
//! memory and sled.
//!
//! # Who decides about a record
//!
//! - [`ensure`](crate::Broker::ensure) adds what is absent and updates what the same program
//!   defined before; it never undoes what somebody else changed: `ensure.rs:
//!   administrators_edit_is_never_undone`, and `examples/restart.rs` to look at.
//! - A rerun adds nothing, since a subscription without an explicit id has that of its owner,
//!   binding and name: `ensure.rs: id_is_that_of_owner_binding_and_name_in_every_process`; nor do
//!   several at once: `ensures_at_the_same_time_add_one`.
//! - A record that somebody else changed after it was read is a
//!   [`Conflict`](crate::ErrorKind::Conflict) when it is stored: `store.rs:
//!   record_read_before_somebody_elses_change_is_a_conflict`. The same holds for an import, which
//!   leaves to others what they stored while it was prepared: `faults.rs:
//!   import_leaves_place_and_definition_to_what_came_while_it_was_prepared`.
//! - Code owns the schema of an interface, the store owns every attribute of a class: `classes.rs:
//!   store_owns_the_attributes_after_the_first_registration`.
//! - A filter is checked when it is stored, against every class that is known: `ensure.rs:
//!   what_does_not_fit_a_known_interface_is_refused_when_stored`. What does not fit later is
//!   suspended, which is computed and not stored: `evolution.rs:
//!   incompatible_change_suspends_what_it_breaks_and_a_roll_back_heals_it`. New methods, new
//!   trailing `Option` parameters, wider integers and renames by alias suspend nothing; the rest of
//!   that file shows each.
//! - Nothing is deleted on suspicion: `report.rs: nothing_is_removed_on_suspicion`. The only
//!   subscriptions that go by themselves are weak ones whose object is gone: `transient.rs:
//!   weak_object_that_is_gone_is_skipped_once_and_its_subscription_removed`.
//! - From a revision on, what changed can be had without a gap, or the answer is that the log does
//!   not reach back that far: [`Broker::changes_since`](crate::Broker::changes_since),
//!   `conformance.rs: changes_since_leads_to_the_present_or_is_compacted`. They can be followed
//!   from there into what is yet to come: `feeds.rs:
//!   feed_returns_the_past_and_what_comes_without_gap_or_repetition`.
//! - Who watches a [`Tree`](crate::Tree) is listed to and then told of each change, without a gap
//!   and in the order of revisions for each key, or is told that it begins again:
//!   `tree_watches.rs: list_and_changes_have_no_gap_under_concurrent_commits`,
//!   `greatest_transaction_fits_and_what_is_more_has_the_watch_begin_again`. Subscriptions and
//!   their changes are as if there were no trees: `trees.rs: wiring_is_told_nothing_of_trees`.
//! - Subscribers of [`WiringChanges`](crate::WiringChanges) are told of each change once and in the
//!   order of revisions, or that there is a gap: `wiring_changes.rs:
//!   every_change_is_told_once_and_in_the_order_of_revisions`, `health.rs:
//!   slow_subscriber_is_told_of_a_gap_and_then_of_what_comes`. What was committed before a close is
//!   told before it returns: `wiring_changes.rs: close_tells_what_was_committed_before`.
//!
//! # Who is called
//!
//! - When a change returned, no fire that begins afterwards in this process uses the old wiring;
//!   one that began before finishes with its snapshot. The contract is in `src/cache/mod.rs`; it
//!   rests on `conformance.rs: sink_knows_the_commit_when_it_returns`.
//! - [`close_and_wait`](crate::SubscriptionGuard::close_and_wait) returns once no fire can call the
//!   object any more, and refuses to wait where the wait could not end: `transient.rs:
//!   close_and_wait_waits_for_the_fire_that_calls_the_object`,
//!   `close_and_wait_inside_any_delivery_would_deadlock`.
//! - A private subscription is called for the events of its publisher object and no other, and
//!   nobody else is told of it: `private.rs:
//!   private_subscriber_hears_its_publisher_object_and_its_clones_and_no_other`,
//!   `nobody_else_finds_a_private_subscription`. It has its place among all others:
//!   `private_among_all.rs`.
//! - A per-user subscription is called while its owner has a session at the broker that fires, and
//!   not before or after: `sessions.rs`, and `examples/roaming.rs` to look at.
//! - A subscription is called in the times of its [`Schedule`](crate::Schedule) and not before or
//!   after, and no fire looks at a clock for it: `schedules.rs`, such as
//!   `quiet_hours_over_midnight_are_quiet_to_the_nanosecond_every_day`,
//!   `quiet_hours_follow_the_clocks_of_their_zone`. What a queue accepts meanwhile waits:
//!   `schedules/waiting.rs:
//!   events_of_quiet_hours_wait_in_a_queue_and_are_delivered_in_order`. What has expired stays:
//!   `schedules.rs: nothing_is_delivered_before_the_first_instant_or_from_the_last_on`.
//! - Subscribers are called by priority, then in store order, after a restart too; an update keeps
//!   the place: `firing.rs: order_of_calling_is_the_same_after_a_reopen`, `store.rs:
//!   place_in_store_order_is_kept_over_an_update`.
//! - Fires of one publisher object that follow one another start at a subscriber in that order:
//!   `firing.rs: events_of_one_publisher_start_in_the_order_of_firing`.
//! - Nested fires run depth first, or, on a class with [`Nesting::Queued`](crate::Nesting::Queued),
//!   after the outermost one: `nesting.rs:
//!   queued_nesting_runs_after_the_outermost_fire_in_the_order_of_firing`. They end at
//!   [`NESTING_LIMIT`](crate::NESTING_LIMIT) with a failure, not with the end of the stack:
//!   `firing.rs: nested_fires_end_at_the_limit_with_an_error`.
//! - Where a class fires in [parallel](crate::Firing::Parallel), subscribers are called at the same
//!   time, at most as many as it says, those of a higher priority before those of a lower one. It
//!   is one event for all, and lines, limits and refusals are as in serial firing: `parallel.rs`.
//!   No thread of the broker is ever waited for, and none keeps what a fire has let go of:
//!   `together.rs: fire_goes_on_alone_while_the_pool_is_held_up`,
//!   `guard_is_not_held_up_by_a_pool_that_came_too_late`.
//! - A [publisher filter](crate::PublisherFilter) calls each subscriber at most once:
//!   `publisher_filters.rs: control_returns_what_became_of_a_subscriber_and_calls_it_once_at_most`.
//!   One that panics, or is missing, fails those that it had not fired and nobody else:
//!   `panicking_filter_fails_what_it_had_not_fired_and_nothing_else`. Whom it, or a default query,
//!   leaves out is counted apart from whom a filter does: `default_query.rs`. A predicate that
//!   cannot be asked fails the delivery: `predicates.rs`.
//! - A [`BagEquality`](crate::BagEquality) of a class and one of a publisher object select the
//!   same: `bag_equality.rs: publisher_object_and_class_compare_alike`.
//! - A property that is lent to an event stands before the object's own, for filters and for
//!   subscribers on whatever thread, and ends with the event: `with.rs`.
//! - A new subscription to a class that [retains](crate::Retained) events is given those first, and
//!   then every one that is fired afterwards, none missed and none twice, however many fire
//!   meanwhile: `retained/races.rs`, whichever way a fire finds its subscribers. A subscriber that
//!   hangs in them holds up nobody else: `retained/races.rs:
//!   subscriber_that_hangs_in_a_retained_event_holds_up_nobody_else`. Who counts as new is in
//!   `retained/wiring.rs`.
//! - Only a filter that is TRUE selects. UNKNOWN, as from a comparison with NULL, does not:
//!   [`Filter`](crate::Filter), held against SQLite in `tests/sqlite`.
//! - A singleton component is made once, however many threads need it first; components that need
//!   each other are an error and no deadlock: `components.rs:
//!   singleton_is_made_once_by_fires_on_several_threads`,
//!   `components_that_need_each_other_are_an_error_across_threads`.
//! - An instance of a pool serves one call at a time, and one that panicked serves no other:
//!   `activation.rs`. An unused one is dropped after its idle time-out, down to the minimum.
//! - While many change the wiring and others fire, there is one revision at which all calls of a
//!   fire are right together, whether filters are asked in turn or found by index: `tests/stress`,
//!   with commits of a few subscriptions. One commit of more than a thousand for a class that has
//!   subscriptions, which is an import or a removal by criteria, is taken in by sections of a
//!   thousand, and a fire between two sections sees it in part. When the call returned all of it is
//!   seen: `imports.rs: import_stores_all_in_one_commit_and_all_are_seen_when_it_returned`. A class
//!   without subscriptions takes an import in at once: `imports.rs:
//!   import_into_a_class_without_subscriptions_is_seen_whole_or_not_at_all`.
//! - An index selects whom asking every filter would select, in the same order: `operators.rs`,
//!   each operator, and `many.rs: fires_agree_with_a_scan_while_subscriptions_come_and_go`. It
//!   neither loses nor repeats anybody when it begins or ends: `many.rs:
//!   subscription_that_leaves_an_index_with_its_end_is_called_exactly_once_by_every_fire`.
//! - A fire of ready subscribers without filters allocates nothing, and no fire reads the store:
//!   `firing.rs: plain_fire_allocates_nothing_and_reifies_no_event`,
//!   `fire_reads_nothing_from_the_store`.
//!
//! # What waits in lanes
//!
//! - A lane keeps the order in which it accepted events and calls its subscriber for one at a time,
//!   with a key for one of each value: `detached.rs:
//!   fire_goes_on_while_its_subscriber_is_at_it_and_the_order_is_kept`,
//!   `events_of_one_key_come_in_order_and_those_of_others_at_the_same_time`.
//! - All lanes share one copy of the arguments: `detached.rs:
//!   all_lanes_share_one_copy_of_the_arguments`.
//! - Nothing is lost unless a policy is chosen that loses, and what is lost is told to the
//!   subscriber, in order, and as a health event: `detached.rs:
//!   oldest_events_are_lost_where_that_was_asked_for_and_the_subscriber_is_told`. A publisher that
//!   waits for room inside a delivery would wait for itself, and fails instead:
//!   `publisher_inside_a_delivery_does_not_wait_for_room`.
//! - An edit, or a component that comes, keeps what waits: `detached.rs:
//!   edit_keeps_what_waits_and_gives_it_to_whom_the_subscription_names_now`. Removing a
//!   subscription or switching it off gives it up, as a health event says:
//!   `what_waits_for_a_subscription_that_is_removed_is_for_nobody`.
//! - [`close`](crate::Broker::close) accepts nothing more, delivers what waits and says how much
//!   was left at its deadline; the last drop of a broker gives it up: `detached.rs:
//!   closed_broker_accepts_nothing_and_says_what_was_left`. Nothing of it survives the process.
//! - The hop count travels along, so a cycle of detached events ends too: `detached.rs:
//!   cycle_of_detached_events_ends_at_the_nesting_limit`.
//! - A subscriber that hangs holds up nobody else once its deadline is over: `deadlines.rs`. One
//!   whose breaker is open is not called; of a detached one nothing is lost meanwhile:
//!   `breakers.rs`.
//! - A trigger that tells of a change tells it once, however the input flaps: `triggers.rs`. What
//!   it remembers survives the program where it is [`kept`](crate::Trigger::kept), but for the last
//!   seconds before a crash: `triggers/kept.rs`.
//!
//! # What waits in queues
//!
//! A subscription with a [queue](crate::Queued). Tests are in `queued.rs` and the files beside it.
//!
//! | | a fire that waits | [`without_waiting`](crate::Queued::without_waiting) | in a transaction |
//! | --- | --- | --- | --- |
//! | an error or panic of the subscriber | is retried, then a dead letter | the same | the same |
//! | `kill -9` after the fire, or commit, returned | is delivered | may be lost | is delivered |
//! | `kill -9` after the subscriber returned | may be delivered again | the same | the same |
//! | the same, of one that works [once](crate::KeyWindow) | has no effect | the same | the same |
//! | a loss of power | what was synced is delivered | the same | the same |
//! | a write error of the store | the fire fails | a notice | the commit fails |
//! | damage to the database | may be lost, which is told | the same | the same |
//! | the close of the broker | is delivered by the next | the same | the same |
//!
//! - *`kill -9`*: `examples/torture.rs` kills a program as often as one likes and compares what is
//!   there with what was acknowledged; `crash.rs:
//!   killed_program_loses_nothing_that_it_was_told_is_done` does so fifty times, and
//!   `program_that_acknowledges_before_the_flush_is_caught` shows that it would notice. *Power* was
//!   not cut; what reaches the device in which order is that of any commit.
//! - *The table's other lines*: `queued.rs:
//!   event_is_stored_when_the_fire_returns_and_delivered_by_the_next_broker`, and for transactions
//!   `tests/examples.rs: order_and_event_are_there_together_whenever_the_program_was_killed`. What
//!   a fire that does not wait may lose is not tested, as nothing is promised.
//! - *Bounds*: a queue takes so many events, of whatever size, and says what becomes of more:
//!   `queued.rs: full_queue_fails_drops_or_blocks_as_it_is_told_to`. One that comes too late is a
//!   dead letter: `event_that_is_too_old_is_a_dead_letter`. Dead letters have no bound.
//! - *The last word*: a final-failure handler may see to an event before it is a dead letter:
//!   `queued.rs: handler_of_final_failures_may_see_to_an_event_itself`. A subscriber may say that
//!   no attempt can help: `queued/hopeless.rs:
//!   hopeless_event_is_given_up_at_once_and_holds_nothing_back`. An error whose own code panics is
//!   a failure like any other: `error_that_panics_or_has_no_end_is_a_failure_like_any_other`.
//! - *Write errors*: whichever call of the engine fails, and however much it has done: what was
//!   accepted is delivered, and what was not fired is not: `faults.rs:
//!   nothing_that_was_accepted_is_lost_whichever_call_fails`. A fire whose event is reported as
//!   [`NotStored`](crate::Failure::NotStored) while the store is uncertain may be delivered.
//! - *Damage*, a bit flipped or a file cut short, at rest or while events are written: the broker
//!   opens, and where an event is missing a notice says what was lost: `queue_damage.rs:
//!   event_lost_by_a_flipped_bit_is_told`, `event_lost_by_a_file_cut_short_is_told`.
//! - *A full disk* is an error that says so: what was acknowledged is delivered when there is room,
//!   and the store opens itself again then: `full_disk.rs:
//!   broker_on_a_full_disk_says_so_loses_nothing_and_goes_on_when_there_is_room`. So is one on
//!   which a broker is opened:
//!   `broker_that_is_opened_on_a_full_disk_opens_or_fails_and_leaves_all_as_it_was`. The tests need
//!   the right to mount a small disk, and say so where they lack it.
//! - *Order* is that of acceptance, for each value of a key if there is one; what is tried again
//!   holds back what is behind it, unless the queue is relaxed: `queued.rs:
//!   event_that_failed_is_tried_again_before_those_behind_it`,
//!   `relaxed_queue_lets_others_pass_one_that_waits_for_its_next_attempt`,
//!   `event_of_one_key_holds_back_no_other`.
//! - *The past*: a class with a [history](crate::History) keeps its events, subscribers or not. A
//!   queue that [begins](crate::Start) with a past event has each one from there on, past and new,
//!   none missed and none twice, however many fire meanwhile: `catching_up.rs:
//!   no_event_is_left_out_or_comes_twice_between_the_past_and_the_present`; and
//!   `examples/replay.rs` to look at. A fire whose event could not be kept says so in its report
//!   ([`FireReport::unkept`](crate::FireReport::unkept)); what was kept is there whichever call of
//!   the engine fails: `catching_up.rs: nothing_that_was_kept_is_lost_whichever_call_fails`. Nested
//!   events come before the event around them: one is kept when its fire is over.
//! - *Once*: never promised. Effectively once is what a subscriber does in the transaction of
//!   [`KeyWindow::once`](crate::KeyWindow), as the key of the event is committed with it: whichever
//!   call of the engine fails, `queued/once.rs:
//!   every_accepted_event_is_handled_exactly_once_whichever_call_fails`, and as far as the window
//!   goes back: `window_holds_so_many_keys_of_each_subscription_the_newest_across_reopening`. What
//!   it does elsewhere, a mail that is sent, may happen twice, though not where the end of the
//!   delivery alone was lost ([`Deduplicated`](crate::Deduplicated)):
//!   `deduplicated_subscriber_is_not_called_again_where_the_end_alone_was_lost`.
//! - *Attempts* that ended are counted and kept with their errors. One whose process died is not
//!   counted, so an event that ends the process each time is tried for ever; nor is one that failed
//!   while the broker was being closed: `queued/closing.rs:
//!   attempt_that_fails_while_the_broker_is_closed_is_none`.
//! - *Absence*: events wait for a component that is not registered, for an owner who is not logged
//!   on, and, where the queue keeps its backlog, for a subscription that is switched off:
//!   `queued.rs: events_wait_for_an_owner_who_is_not_logged_on`,
//!   `subscription_that_is_switched_off_keeps_what_waits`. Removing the subscription gives up what
//!   waits, as a health event says: `removed_subscription_gives_up_what_waits_and_says_so`.
//! - *Dead letters* stay until they are replayed or purged: `queued.rs:
//!   dead_letter_keeps_every_attempt_and_is_replayed_or_purged`. One that several replay at once
//!   comes once: `dead_letters_that_several_replay_at_once_come_once`.
//! - *Evolution*: an event is stored with its schema and delivered by name, with defaults, or
//!   through an [`Upcaster`](crate::Upcaster); what has no way is a dead letter, and can be
//!   replayed once there is one: `queued/evolution.rs`, `queued/upcasters.rs`, and
//!   `tests/evolution.rs` between processes. What a class retains, and what waits in lanes, is of
//!   the program that runs, and meets no upcaster.
//! - *Closing* waits for what is being delivered; subscribers may use the store until it has
//!   waited: `queued/closing.rs: what_ends_well_while_the_broker_is_closed_does_not_come_again`,
//!   `subscriber_may_use_the_store_as_long_as_closing_waits_for_it`.
//! - *Transactions*: the event is stored if the commit is made, and not otherwise:
//!   `transactions.rs: order_and_event_are_there_together_or_not_at_all`.
//! - One broker of a process has the queues of a store; fires of others on the same store report
//!   that: `queued.rs: second_broker_on_one_store_leaves_its_queues_alone`,
//!   `second_broker_on_one_store_ends_no_queue_of_the_first_when_subscriptions_go`.
//!
//! # Who may do what
//!
//! - With an [`Authorizer`](crate::Authorizer), what is done through a view of a principal is done
//!   only if it allows it; a refusal is an error of kind [`Denied`](crate::ErrorKind::Denied) and a
//!   notice: `access.rs` has each right, allowed and denied.
//! - Who may not read sees subscriptions of others by no way of a publisher object, its views,
//!   its `explain`, its publisher filters: `selections.rs`.
//! - A change of roles takes effect with its commit, at every broker of the store: fires that begin
//!   afterwards go by it, of publisher objects that were made before too: `access.rs:
//!   fires_of_a_principal_who_lost_the_right_reach_nobody_until_it_is_back`,
//!   `role_changed_at_one_broker_counts_at_the_others_of_its_store`.
//! - A subscription that demands a role hears no publisher object of a principal without it:
//!   `access.rs: subscriber_that_demands_a_role_does_not_hear_publishers_without_it`.
//! - The right to subscribe is asked when a subscription is stored, of the classes that are known
//!   then. Who loses it later keeps what is stored, until somebody removes it.
//! - The handle that opened the broker may do everything, and so may component factories: this
//!   keeps trusted code from mistakes, and is no wall against other code of the process or against
//!   whoever can write the store.
//!
//! # What a failure does
//!
//! - A subscriber that errs, panics, or cannot be made is one line of the
//!   [`FireReport`](crate::FireReport), and the others are called.
//! - The failure hook hears of every one, read or not: `report.rs:
//!   hook_hears_of_every_failure_with_class_and_cause`. By default it is one line a second on
//!   standard error, with the number of those left out. A hook that panics changes no report.
//! - Under `panic = "abort"` a panic ends the process, and none of this can be kept for panics.
//!   Errors are reported as ever.
//! - A caller's input is no reason to panic: whatever is wrong with it is an
//!   [`Error`](crate::Error) with a [kind](crate::ErrorKind).
//! - Subscribers, factories, hooks and a user's `Drop` run with no lock held, so any of them may
//!   call the broker: `firing.rs: subscriber_may_change_the_wiring_during_a_fire`, `conformance.rs:
//!   drop_of_what_a_sink_replaced_may_call_the_store`. [Internals](super::internals) has the order
//!   of locks.
//!
//! # What is not promised
//!
//! - Delivery of an event without a queue: it is attempted once, by the fire or from a lane.
//! - What a class retains, after its broker is gone.
//! - An end to a fire: a subscriber that does not return holds its publisher for ever, unless it
//!   has a deadline or is detached; and a full lane does that waits for room.
//! - An order between publishers, or between threads of one.
//! - Memory that a queue of nested events takes on a class with `Nesting::Queued`: nothing bounds
//!   how many one delivery may fire.
