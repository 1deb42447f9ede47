//! What is called unwanted, beside what filters select.

use loosely::{EventInterface, Filter, Properties, Value, ValueRef};
use proptest::prelude::*;

use super::{Class, Quotes};

const SYMBOLS: [&str; 5] = ["MSFT", "msft", "MS", "IBM", ""];
const PATHS: [&str; 6] = ["symbol", "price", "size", "venue", "tags", "labels.a"];

fn comparison() -> impl Strategy<Value = String> {
    let text = prop::sample::select(SYMBOLS.to_vec());
    let number = -3..4_i32;
    let of_text = (
        prop::sample::select(vec!["symbol", "venue"]),
        text.clone(),
        0..6_u8,
    );
    let of_number = (
        prop::sample::select(vec!["price", "size", "labels.a"]),
        number,
        0..6_u8,
    );
    prop_oneof![
        3 => of_text.prop_map(|(name, text, form)| match form {
            0 | 1 => format!("{name} = '{text}'"),
            2 => format!("{name} = '{text}' COLLATE NOCASE"),
            3 => format!("{name} LIKE '{text}%'"),
            4 => format!("{name} IN ('{text}', 'SAP')"),
            _ => format!("{name} IS NULL"),
        }),
        3 => of_number.prop_map(|(name, number, form)| match form {
            0 => format!("{name} = {number}"),
            1 => format!("{name} > {number}"),
            2 => format!("{name} <= {number}.5"),
            3 => format!("{name} BETWEEN {number} AND {}", number + 2),
            4 => format!("{name} <> {number}"),
            _ => format!("NOT {name} < {number}"),
        }),
        1 => text.prop_map(|text| format!("tags = '{text}'")),
    ]
}

fn criteria() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => comparison(),
        3 => (comparison(), comparison()).prop_map(|(a, b)| format!("{a} AND {b}")),
        1 => (comparison(), comparison()).prop_map(|(a, b)| format!("{a} OR {b}")),
    ]
}

fn event() -> impl Strategy<Value = [Value; 6]> {
    let text = || prop::sample::select(SYMBOLS.to_vec()).prop_map(Value::from);
    let halves = (-8..9_i32).prop_map(|halves| Value::from(f64::from(halves) / 2.0));
    let tags = prop::collection::vec(text(), 0..3).prop_map(Value::from);
    let label = prop::option::of(-4..5_i64).prop_map(|level| {
        let label = level.map(|level| ("a", Value::from(level)));
        Value::from(label.into_iter().collect::<Properties>())
    });
    let venue = prop_oneof![text(), Just(Value::Null)];
    let size = (-4..5_i32).prop_map(Value::from);
    (text(), halves, size, venue, tags, label).prop_map(|(a, b, c, d, e, f)| [a, b, c, d, e, f])
}

/// Returns the value at one of the `PATHS`.
fn value_at<'a>(event: &'a [Value; 6], at: usize) -> ValueRef<'a> {
    match &event[at] {
        Value::Record(labels) => labels.get("a").map_or(ValueRef::Null, Value::view),
        value => value.view(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn nothing_that_a_filter_selects_is_called_unwanted(
        filters in prop::collection::vec(criteria(), 1..4),
        events in prop::collection::vec(event(), 30),
        gone in any::<prop::sample::Index>(),
    ) {
        let method = &<dyn Quotes>::schema().methods()[0];
        let [mut few, mut many] = [1, 64].map(|times| {
            let mut class = Class::new();
            (0..times).for_each(|_| filters.iter().for_each(|filter| class.add(filter)));
            class
        });
        let mut filters: Vec<_> = filters.iter().map(|text| Filter::parse(text).unwrap()).collect();
        for _ in 0..2 {
            for event in &events {
                let views: Vec<_> = event.iter().map(Value::view).collect();
                let holds = |filter: &Filter| filter.matches(method, &views).unwrap() == Some(true);
                let selected = filters.iter().any(holds);
                for (at, path) in PATHS.iter().enumerate() {
                    let value = value_at(event, at);
                    let wanted = few.parameter(path).wants(value);
                    prop_assert!(wanted || !selected, "{value} of {path}");
                    prop_assert_eq!(wanted, many.parameter(path).wants(value), "{}", path);
                }
            }
            let count = filters.len();
            let gone = gone.index(count);
            filters.remove(gone);
            drop(few.guards.remove(gone));
            let mut number = 0..;
            many.guards.retain(|_| number.next().unwrap_or(0) % count != gone);
            // Until ranges are told, those that went may be wanted still.
            PATHS.iter().for_each(|path| drop(many.parameter(path).ranges()));
            if filters.is_empty() {
                break;
            }
        }
    }
}
