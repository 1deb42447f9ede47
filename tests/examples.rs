//! Every example runs and says what its head promises.
//!
//! The examples are those that `cargo test` has built beside this test; to run this file alone,
//! build them before: `cargo build --examples && cargo test --test examples`.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// What a finished example left.
struct Outcome {
    code: Option<i32>,
    output: String,
    errors: String,
}

/// Runs an example with these arguments to its end, or fails the test and ends the example.
fn run(example: &str, arguments: &[&str]) -> Outcome {
    finish(example, Command::new(path_of(example)).args(arguments))
}

fn finish(example: &str, command: &mut Command) -> Outcome {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = reading(child.stdout.take().unwrap());
    let errors = reading(child.stderr.take().unwrap());
    let texts = [output, errors].map(|text| text.recv_timeout(WATCHDOG));
    let [Ok(output), Ok(errors)] = texts else {
        child.kill().unwrap();
        panic!("{example} did not end within {WATCHDOG:?}");
    };
    let code = child.wait().unwrap().code();
    Outcome {
        code,
        output,
        errors,
    }
}

fn reading(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).unwrap();
        // Nobody listens any more once the watchdog has failed the test.
        drop(sender.send(text));
    });
    receiver
}

/// Returns where Cargo puts an example: beside the directory of this test's own binary.
fn path_of(example: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    let name = format!("{example}{}", std::env::consts::EXE_SUFFIX);
    let path = profile.join("examples").join(name);
    assert!(
        path.exists(),
        "{} is not there: cargo build --examples",
        path.display()
    );
    path
}

#[track_caller]
fn assert_says(example: &str, expected: &[&str]) {
    let Outcome {
        code,
        output,
        errors,
    } = run(example, &[]);
    assert_eq!(errors, "");
    assert_eq!(code, Some(0));
    assert_eq!(output.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn publisher_filter_offers_an_order_until_one_desk_accepts() {
    let expected = [
        "placed(region = 'north', amount = 80)",
        "  large: delivered",
        "  1 delivered, 0 failed, 0 filtered out, 2 withheld",
        "placed(region = 'south', amount = 300)",
        "  large: filtered out",
        "  far: delivered",
        "  1 delivered, 0 failed, 1 filtered out, 1 withheld",
        "placed(region = 'north', amount = 1000)",
        "  large: failed: 1000 is above 900",
        "  far: filtered out",
        "  small: failed: 1000 is above 100",
        "  0 delivered, 2 failed, 1 filtered out, 0 withheld",
    ];
    assert_says("publisher_filter", &expected);
}

#[test]
fn hello_delivers_the_event_that_passes_the_filter() {
    assert_says(
        "hello",
        &[
            "MSFT at 184: 0 delivered, 0 failed, AllFiltered",
            "alarm: MSFT at 185.5",
            "MSFT at 185.5: 1 delivered, 0 failed, Delivered",
        ],
    );
}

/// Returns the number behind a name in what an example prints.
#[track_caller]
fn bar(output: &str, name: &str) -> f64 {
    let prefix = format!("bar: {name} ");
    let value = output.lines().find_map(|line| line.strip_prefix(&prefix));
    value.unwrap().parse().unwrap()
}

#[test]
fn broker_of_the_small_profile_stays_below_32_mib_of_memory() {
    let Outcome {
        code,
        output,
        errors,
    } = run("small", &[]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(output.contains("2000 readings received"), "{output}");
    if cfg!(target_os = "linux") {
        let opened = output.lines().find_map(|line| {
            let line = line.strip_prefix("opened with ")?;
            line.strip_suffix(" MiB")
        });
        let opened: f64 = opened.unwrap().parse().unwrap();
        // A program that is not optimized takes several times as much before it has done anything.
        let base = match cfg!(debug_assertions) {
            true => opened,
            false => 0.0,
        };
        assert!(bar(&output, "small_peak_mib") - base <= 32.0, "{output}");
    }
}

#[test]
fn soak_prints_what_it_takes_over_time_and_sums_it_up() {
    for arguments in [&["--seconds", "2"][..], &["--seconds", "1", "--small"]] {
        let Outcome {
            code,
            output,
            errors,
        } = run("soak", arguments);
        assert_eq!((code, errors.as_str()), (Some(0), ""));
        assert!(output.contains("resident MB"), "{output}");
        let rows = output.lines().filter(|line| !line.starts_with("bar: "));
        assert_eq!(rows.count(), 21, "{output}");
        // On a slow disk there may be next to nothing after so short a time.
        assert!(bar(&output, "soak_file_mb") >= 0.0, "{output}");
        if cfg!(target_os = "linux") {
            assert!(bar(&output, "soak_rss_growth") > 0.0, "{output}");
        }
    }
}

#[test]
fn workers_share_the_jobs_of_one_queue_and_each_is_done_once() {
    let expected = [
        "30 jobs wait, and nobody is there",
        "\"workshop\": failed: the tool broke",
        "30 jobs done by 3 workers",
    ];
    assert_says("competing_consumers", &expected);
}

#[cfg(feature = "sled")]
#[test]
fn whoever_comes_late_has_the_past_and_then_the_present() {
    let expected = [
        "nobody listens, and 1000 readings are kept",
        "the chart's subscription: Added",
        "the chart's subscription: Present",
        "3000 readings drawn, each once and in order: true",
        "2000 are kept, from Some(U64(1000)) on",
    ];
    assert_says("replay", &expected);
}

#[cfg(feature = "sled")]
#[test]
fn order_and_event_are_there_together_whenever_the_program_was_killed() {
    let expected = [
        "killed 5 times, orders: some",
        "orders without an event: 0",
        "events without an order: 0",
    ];
    assert_says("outbox", &expected);
}

#[test]
fn subscriber_is_tested_without_waiting_for_the_time_that_passes() {
    assert_says(
        "testing",
        &[
            "the rule is as the table says",
            "during maintenance: the pager is silent",
            "an hour later: measured(service = 'web', load = 95)",
            "the pager fails: 1 delivered, 1 failed",
            "expected measured with load > 95, 2 times; it came once",
            "what came:",
            "  1. measured(service = 'web', load = 95)  not load > 95",
            "  2. measured(service = 'db', load = 97)  as expected",
        ],
    );
}

#[cfg(feature = "sled")]
#[test]
fn restarted_program_finds_its_subscription_and_leaves_an_edit_alone() {
    assert_says(
        "restart",
        &[
            "service: ensure answers Added",
            "  pager: backup of db1 failed: disk full",
            "  report: 1 delivered, 0 failed",
            "service: ensure answers Present",
            "  pager: backup of db1 failed: disk full",
            "  report: 1 delivered, 0 failed",
            "administrator: switched \"page somebody\" off",
            "service: ensure answers Differs",
            "  report: 0 delivered, 0 failed",
        ],
    );
}

#[test]
fn explanation_names_the_deciding_stage_of_every_subscription() {
    assert_says(
        "explain",
        &[
            "order_placed(customer = 'ada', total = 250.0)",
            "  \"thank you\": would be called",
            "  \"large order\": filtered out, total >= 1000 is false: total = 250.0",
            "  \"survey\": disabled",
            "  \"shipping\": would fail, component f4f490f5-14ad-59d1-8a9b-b8b234c357f1 is not \
             registered",
            "1 would be called",
        ],
    );
}

#[test]
fn temperature_that_flaps_gives_one_alarm_and_one_all_clear() {
    assert_says(
        "alarm_once",
        &[
            "mill 88",
            "mill 91",
            "  alarm: mill is at 91",
            "mill 89.5",
            "press 95",
            "  alarm: press is at 95",
            "mill 92",
            "mill 85",
            "mill 90.5",
            "mill 79",
            "  all clear: mill is at 79",
            "mill 78",
            "2 suppressed",
        ],
    );
}

#[test]
fn late_display_shows_what_each_sensor_told_last() {
    assert_says(
        "retained",
        &[
            "hall: attic 31, retained",
            "hall: cellar 12, retained",
            "hall: attic 30.5",
            "kitchen: attic 30.5, retained",
            "1 retained",
        ],
    );
}

#[test]
fn others_get_their_events_though_one_subscriber_hangs() {
    assert_says(
        "hung_subscriber",
        &[
            "\"pager\": failed: not done within its deadline of 100ms",
            "cellar: 1 delivered, 1 failed",
            "\"pager\": skipped: a call that overran its deadline still runs",
            "attic: 1 delivered, 0 failed",
            "\"pager\": skipped: a call that overran its deadline still runs",
            "garage: 1 delivered, 0 failed",
            "logged: cellar, attic, garage",
            "notice: \"pager\" was not done within its deadline of 100ms",
            "notice: a call was abandoned; 1 threads are held by calls that do not return",
            "closed",
        ],
    );
}

#[test]
fn slow_consumers_get_what_their_lanes_had_room_for() {
    assert_says(
        "slow_consumer",
        &[
            "2: 3 accepted",
            "3: 3 accepted",
            "4: 3 accepted",
            "5: 2 accepted, \"archive\": failed: its lane is full",
            "6: 2 accepted, \"archive\": failed: its lane is full",
            "7: 2 accepted, \"archive\": failed: its lane is full",
            "8: 2 accepted, \"archive\": failed: its lane is full",
            "display: 1 (4 missed) 6 7 8",
            "archive: 1 2 3 4",
            "chart: 1 8",
        ],
    );
}

#[test]
fn ticker_makes_the_prices_that_subscriptions_ask_for() {
    assert_says(
        "interest",
        &[
            "asked for: []; quoting: []",
            "  calls of the exchange: 0",
            "asked for: ['IBM']; quoting: [\"IBM\"]",
            "  ibm: IBM at 216",
            "  calls of the exchange: 1",
            "asked for: ['IBM', 'SAP', 'XYZ']; quoting: [\"IBM\", \"SAP\"]",
            "  ibm: IBM at 216",
            "  both: IBM at 216",
            "  both: SAP at 228",
            "  calls of the exchange: 2",
            "asked for: ['IBM', 'SAP', 'XYZ']; quoting: [\"IBM\", \"SAP\"]",
            "  both: IBM at 216",
            "  both: SAP at 228",
            "  calls of the exchange: 2",
            "asked for: any symbol; quoting: [\"AAPL\", \"IBM\", \"MSFT\", \"SAP\"]",
            "  all: AAPL at 286",
            "  both: IBM at 216",
            "  all: IBM at 216",
            "  all: MSFT at 314",
            "  both: SAP at 228",
            "  all: SAP at 228",
            "  calls of the exchange: 4",
        ],
    );
}

#[test]
fn labels_are_read_by_path_and_missing_ones_are_null() {
    assert_says(
        "labels",
        &[
            "pager: disk full",
            "database team: disk full",
            "database team: slow query",
            "pager: link down",
            "unsorted: something",
        ],
    );
}

#[test]
fn window_of_one_thread_is_called_by_its_event_loop() {
    assert_says(
        "mailbox",
        &[
            "woken for 3 events",
            "IBM is at 96",
            "MSFT is at 194",
            "2000 quotes, painted 2 times",
        ],
    );
}

#[test]
fn events_are_read_from_streams_and_received_in_a_task() {
    assert_says(
        "async_streams",
        &[
            "task: ada may order: true",
            "task: bob may order: true",
            "task: eve may order: false",
            "hook: \"an asynchronous subscriber of ShopEvents\": failed: an order for 0 is none",
            "task: kim may order: true",
            "main: ada has paid, says the task",
            "stream: 2 events are missing",
            "stream: eve ordered for 0",
            "stream: kim ordered for 80",
            "stream: ada paid",
            "by name: ordered 'bob'",
        ],
    );
}

#[test]
fn forwarded_event_is_filtered_and_nested_in_the_first() {
    assert_says(
        "forwarding",
        &[
            "feed screen: IBM at 96.5, depth 1",
            "desk screen: IBM at 125.25, depth 2",
            "feed screen: IBM at 125.25, depth 1",
        ],
    );
}

#[test]
fn auditor_hears_what_the_administrator_does() {
    assert_says(
        "wiring_changes",
        &[
            "the auditor heard:",
            "  revision 1: subscription \"audit\" added",
            "  revision 2: class \"Orders\" added",
            "  revision 3: subscription \"thank you\" added",
            "  revision 4: subscription \"thank you\" changed",
            "  revision 5: class \"Orders\" removed",
            "  revision 5: subscription \"thank you\" removed",
            "who was away since revision 1 reads 6 changes",
            "and goes on from revision 5",
        ],
    );
}

#[test]
fn per_user_subscription_is_delivered_where_its_owner_is_logged_on() {
    assert_says(
        "roaming",
        &[
            "before she came: shown 0 times",
            "  the screen at the window shows \"at the window\"",
            "at the window: shown 1 times",
            "  the screen at the window shows \"at both\"",
            "  the screen at the door shows \"at both\"",
            "at both: shown 2 times",
            "  the screen at the door shows \"at the door\"",
            "at the door: shown 1 times",
            "after she left: shown 0 times",
            "arrived(subject = 'anything')",
            "  \"ann's mail\": its owner is not logged on",
        ],
    );
}

#[test]
fn principals_may_do_what_their_roles_allow() {
    assert_says(
        "roles",
        &[
            "eve: \"eve\" lacks the right to publish, for the class \"Orders\"",
            "ann: 1 delivered, 0 failed",
            "  audit has heard: sell",
            "ann, no trader any more: denied",
            "bob, a trader by way of the night shift: 1 delivered, 0 failed",
            "  audit has heard: buy",
            "the system: 2 delivered, 0 failed",
            "  audit has heard: close",
            "  journal has heard: close",
            "notice: \"eve\" was refused: it lacks the right to publish, for the class \"Orders\"",
            "notice: \"ann\" was refused: it lacks the right to publish, for the class \"Orders\"",
        ],
    );
}

#[cfg(feature = "sled")]
mod stock_ticker {
    use super::{Outcome, run};

    const PRICES: &str = include_str!("../examples/data/stocks.csv");

    /// A row of the file.
    struct Row {
        symbol: &'static str,
        date: &'static str,
        price: f64,
    }

    fn rows() -> Vec<Row> {
        let parse = |line: &'static str| {
            let mut cells = line.split(',');
            let mut cell = || cells.next().unwrap();
            Row {
                symbol: cell(),
                date: cell(),
                price: cell().parse().unwrap(),
            }
        };
        PRICES.lines().skip(1).map(parse).collect()
    }

    /// Returns how many rows satisfy a condition.
    fn count(condition: impl Fn(&Row) -> bool) -> usize {
        rows().iter().filter(|row| condition(row)).count()
    }

    /// Returns name, matched, delivered and failed of each row of the printed table.
    fn table(output: &str) -> Vec<(String, [usize; 3])> {
        let rows = output.lines().filter(|line| line.starts_with("| "));
        let row = |line: &str| {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            // An empty cell stands before the first and behind the last separator.
            let number = |from_end: usize| cells[cells.len() - from_end].parse().unwrap();
            (cells[1].to_owned(), [number(4), number(3), number(2)])
        };
        rows.skip(1).map(row).collect()
    }

    #[track_caller]
    fn successful(arguments: &[&str]) -> String {
        let Outcome {
            code,
            output,
            errors,
        } = run("stock_ticker", arguments);
        assert_eq!(errors, "");
        assert_eq!(code, Some(0));
        output
    }

    #[test]
    fn counts_are_those_of_a_plain_scan_of_the_file() {
        let output = successful(&[]);
        let symbols: std::collections::BTreeSet<_> = rows().iter().map(|row| row.symbol).collect();
        let (changes, listings) = (rows().len(), symbols.len());
        let filtered_subscriptions = [
            (
                "price alarm",
                count(|row| row.symbol == "AAPL" && row.price > 185.0),
            ),
            ("nasdaq archive", count(|row| row.symbol != "IBM")),
            (
                "autumn 2008 archive",
                count(|row| ["Sep 1 2008", "Oct 1 2008", "Nov 1 2008"].contains(&row.date)),
            ),
        ];
        let others = [
            ("listings archive", listings),
            ("summits", changes + listings),
            ("announcer", listings),
        ];
        let matched: Vec<_> = filtered_subscriptions.iter().chain(&others).collect();
        let expected: Vec<_> = matched
            .iter()
            .map(|(name, count)| ((*name).to_owned(), [*count, *count, 0]))
            .collect();
        assert_eq!(table(&output), expected);

        let delivered: usize = matched.iter().map(|(_, count)| count).sum();
        let filtered: usize = filtered_subscriptions
            .iter()
            .map(|(_, count)| changes - count)
            .sum();
        assert_eq!((changes, listings), (560, 5));
        let last =
            format!("fired 565 events: {delivered} delivered, {filtered} filtered out, 0 failed");
        assert_eq!(output.lines().last(), Some(last.as_str()));
    }

    #[test]
    fn second_run_over_a_store_adds_nothing_and_delivers_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().to_str().unwrap();
        let first = successful(&["--store", store]);
        let second = successful(&["--store", store]);
        assert!(first.contains("found 0 subscriptions, added 4\n"));
        assert!(second.contains("found 4 subscriptions, added 0\n"));
        assert_eq!(table(&first), table(&second));
    }

    #[test]
    fn changed_filter_updates_the_stored_subscription_and_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().to_str().unwrap();
        successful(&["--store", store]);
        let output = successful(&["--store", store, "--symbol", "GOOG", "--above", "600"]);
        let said = "price alarm: updated, its filter is now symbol = 'GOOG' AND price > 600.0\n";
        assert!(output.contains(said), "{output}");
        assert!(output.contains("found 4 subscriptions, added 0\n"));
        let expected = count(|row| row.symbol == "GOOG" && row.price > 600.0);
        let alarm = ("price alarm".to_owned(), [expected, expected, 0]);
        assert_eq!(table(&output).first(), Some(&alarm));
    }

    #[test]
    fn any_filter_is_taken() {
        let text = "symbol = ('IBM' | 'MSFT') AND NOT price BETWEEN 30 AND 100";
        let output = successful(&["--filter", text]);
        let expected = count(|row| {
            ["IBM", "MSFT"].contains(&row.symbol) && !(30.0..=100.0).contains(&row.price)
        });
        let alarms = output
            .lines()
            .filter(|line| line.starts_with("alarm: "))
            .count();
        assert_eq!(alarms, expected);
    }

    #[test]
    fn bad_filter_is_shown_with_its_place() {
        for (text, at_fault) in [
            ("symbol = 'IBM' AND prise > 100", "prise"),
            ("symbol = 'IBM' AND AND price > 100", "AND price"),
            ("price > 'high'", "'high'"),
        ] {
            let Outcome { code, errors, .. } = run("stock_ticker", &["--filter", text]);
            assert_eq!(code, Some(1));
            let lines: Vec<_> = errors.lines().collect();
            let [.., excerpt, carets] = lines[..] else {
                panic!("{errors}");
            };
            assert!(errors.starts_with("error: "), "{errors}");
            assert!(!errors.contains('{'), "no Debug form: {errors}");
            assert_eq!(excerpt.trim(), text);
            assert_eq!(carets.find('^'), excerpt.find(at_fault), "{errors}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn directory_of_its_own_is_gone_after_success_and_after_an_error() {
        for arguments in [&[][..], &["--filter", "prise > 100"]] {
            let temporary = tempfile::tempdir().unwrap();
            let mut command = std::process::Command::new(super::path_of("stock_ticker"));
            command.args(arguments).env("TMPDIR", temporary.path());
            super::finish("stock_ticker", &mut command);
            let left = std::fs::read_dir(temporary.path()).unwrap();
            assert_eq!(left.count(), 0, "{arguments:?}");
        }
    }

    #[test]
    fn wrong_command_line_is_refused_with_usage() {
        for arguments in [
            &["--abov", "3"][..],
            &["--above", "much"],
            &["--symbol", "IBM", "--filter", "ALL"],
            &["prices.csv"],
        ] {
            let Outcome {
                code,
                output,
                errors,
            } = run("stock_ticker", arguments);
            assert_eq!(code, Some(2), "{arguments:?}");
            assert_eq!(output, "");
            assert!(errors.starts_with("error: "), "{errors}");
            let helpful = errors.contains("Usage: ") || errors.contains("--help");
            assert!(helpful, "{errors}");
        }
    }
}

#[cfg(feature = "sled")]
mod million {
    use super::{Outcome, run};

    #[test]
    fn few_thousand_alerts_are_found_again_and_match_as_in_a_scan() {
        let Outcome {
            code,
            output,
            errors,
        } = run("million", &["--count", "2000"]);
        assert_eq!(code, Some(0), "{errors}");
        for expected in [
            "2000 alerts, ",
            "560 fires, ",
            "551 distinct prices: the matches are those of a scan",
            "bar: import_2000_s ",
            "bar: open_2000_s ",
        ] {
            assert!(output.contains(expected), "{expected:?} in {output}");
        }
    }

    #[test]
    fn wrong_command_line_is_refused_with_the_reason() {
        for arguments in [&["--count", "0"][..], &["--count", "many"], &["1000"]] {
            let Outcome {
                code,
                output,
                errors,
            } = run("million", arguments);
            assert_eq!((code, output.as_str()), (Some(2), ""), "{arguments:?}");
            assert!(errors.starts_with("error: "), "{errors}");
        }
    }
}

/// The slowest of them takes well under a second; what takes this long has stopped.
const WATCHDOG: Duration = Duration::from_secs(120);
