//! Criteria against several methods, columns, and as compiled.

#![expect(clippy::unwrap_used, reason = "a failure shows the error")]

use uuid::Uuid;

use crate::filter::expr::{Collation, CompareOp};
use crate::filter::{
    Condition, EventRow, Filter, FilterError, FilterErrorKind, Path, Predicate, Root, Scope, Test,
    UndeclaredProperties, check, check_beside,
};
use crate::value::{EventMethod, Parameter, Properties, ValueRef, ValueType};

fn two_methods() -> [EventMethod; 2] {
    let symbol = || Parameter::new("symbol", ValueType::Str);
    [
        EventMethod::new("price", [symbol(), Parameter::new("price", ValueType::F64)]),
        EventMethod::new(
            "halt",
            [
                Parameter::new("price", ValueType::I32),
                symbol(),
                Parameter::new("why", ValueType::Str),
            ],
        ),
    ]
}

fn check_all(filter: &Filter, scopes: &[Scope<'_>]) -> Result<Vec<Predicate>, FilterError> {
    let scopes: Vec<_> = scopes.iter().map(|scope| (*scope, None)).collect();
    let checked = check_beside(Some(filter), &scopes)?;
    Ok(checked.into_iter().flatten().collect())
}

#[test]
fn of_several_methods_one_must_have_the_name_and_the_others_read_null() {
    let methods = two_methods();
    let scopes = methods.each_ref().map(Scope::for_method);
    let filter = Filter::parse("why IS NULL AND symbol = 'A' AND price > 1").unwrap();
    let predicates = check_all(&filter, &scopes).unwrap();
    let publisher = Properties::new();
    let evaluate = |index: usize, values: &[ValueRef<'_>]| {
        predicates[index].evaluate(&EventRow {
            values,
            publisher: &publisher,
        })
    };
    assert_eq!(evaluate(0, &["A".into(), ValueRef::F64(2.0)]), Some(true));
    assert_eq!(
        evaluate(1, &[ValueRef::I64(2), "A".into(), "x".into()]),
        Some(false)
    );

    let unknown = check_all(&Filter::parse("wyh = 'x'").unwrap(), &scopes).unwrap_err();
    assert_eq!(unknown.suggestion(), Some("`why`"));
    assert!(check_all(&Filter::parse("why = 5").unwrap(), &scopes).is_err());
}

#[test]
fn of_several_methods_types_must_agree_wherever_the_name_exists() {
    let mut methods = two_methods();
    methods[1] = EventMethod::new("halt", [Parameter::new("price", ValueType::Str)]);
    let scopes = methods.each_ref().map(Scope::for_method);
    let error = check_all(&Filter::parse("price IS NULL").unwrap(), &scopes).unwrap_err();
    assert_eq!(error.kind(), FilterErrorKind::Type);
    assert!(
        error.to_string().contains("f64 here and string there"),
        "{error}"
    );
}

#[test]
fn columns_are_found_without_regard_to_case_and_have_no_bags() {
    let columns = [
        Parameter::new("EventClassID", ValueType::Uuid),
        Parameter::new("MethodName", ValueType::Option(Box::new(ValueType::Str))),
    ];
    let scope = Scope::for_columns(&columns);
    let id = Uuid::from_u128(10);
    let criteria = format!("eventclassid == {{{id}}} AND METHODNAME = 'fire'");
    let predicate = check(&Filter::parse(&criteria).unwrap(), &scope).unwrap();
    let publisher = Properties::new();
    let row = EventRow {
        values: &[ValueRef::Uuid(id), "fire".into()],
        publisher: &publisher,
    };
    assert_eq!(predicate.evaluate(&row), Some(true));
    let error = check(&Filter::parse("publisher.x = 1").unwrap(), &scope).unwrap_err();
    assert!(
        error.to_string().contains("unknown column `publisher`"),
        "{error}"
    );
}

#[test]
fn compiled_form_has_indices_and_constants_of_the_parameters_type() {
    let method = EventMethod::new(
        "m",
        [
            Parameter::new("a", ValueType::Str),
            Parameter::new("n", ValueType::I32),
        ],
    );
    let filter = Filter::parse("n > 2.5").unwrap();
    let predicate = check(&filter, &Scope::for_method(&method)).unwrap();
    let expected = Condition::Test {
        path: Path {
            root: Root::Index(1),
            steps: Box::default(),
        },
        test: Test::Compare {
            op: CompareOp::Ge,
            value: 3.into(),
            collation: Collation::Exact,
        },
    };
    assert_eq!(*predicate.condition(), expected);
}

#[test]
fn evaluating_allocates_nothing() {
    let list = ValueType::List(Box::new(ValueType::Str));
    let map = ValueType::Map(Box::new(ValueType::Str));
    let method = EventMethod::new(
        "m",
        [
            Parameter::new("symbol", ValueType::Str),
            Parameter::new("price", ValueType::F64),
            Parameter::new("tags", list),
            Parameter::new("labels", map),
        ],
    );
    let criteria = "symbol LIKE 'm%s_' COLLATE NOCASE AND NOT price > 185 AND tags = ('a' & 'b') \
                    AND labels.severity IN ('page', 'mail') AND symbol <> labels.severity \
                    AND publisher.region = 'eu' AND price IN (1, 2.5, 184.2) AND tags = 'c'";
    let scope = Scope::for_method(&method).with_publisher(&[], UndeclaredProperties::Open);
    let predicate = check(&Filter::parse(criteria).unwrap(), &scope).unwrap();
    let tags = vec!["a".to_owned(), "b".to_owned()];
    let labels = Properties::from([("severity", "page")]);
    let publisher = Properties::from([("region", "eu")]);
    let row = EventRow {
        values: &[
            "MSXSF".into(),
            ValueRef::F64(184.2),
            ValueRef::List(&tags),
            ValueRef::from(&labels),
        ],
        publisher: &publisher,
    };
    let used = allocation_counter::measure(|| {
        // Every part is read, as only the last one is FALSE.
        assert_eq!(predicate.evaluate(&row), Some(false));
    });
    assert_eq!(used.count_total, 0);
    let decision = predicate.explain(&row);
    assert_eq!(
        decision.to_string(),
        "tags = 'c' is false: tags = ('a', 'b')"
    );
}

#[test]
fn deepest_criteria_need_half_of_a_threads_stack() {
    let mut deep = "n = 1".to_owned();
    for _ in 0..50 {
        deep = format!("NOT (n = 1 AND {deep})");
    }
    let small = std::thread::Builder::new().stack_size(1_024 * 1_024);
    let result = small.spawn(move || {
        let method = EventMethod::new("m", [Parameter::new("n", ValueType::I32)]);
        let filter = Filter::parse(&deep).unwrap();
        assert_eq!(filter.to_string(), deep);
        let decision = filter.explain(&method, &[ValueRef::I64(2)]).unwrap();
        assert_eq!(decision.outcome(), Some(true));
        filter.matches(&method, &[ValueRef::I64(2)])
    });
    assert_eq!(result.unwrap().join().unwrap(), Ok(Some(true)));
}

#[test]
fn aliases_of_parameters_are_known() {
    let method = EventMethod::new(
        "m",
        [Parameter::new("symbol", ValueType::Str).alias("ticker")],
    );
    let filter = Filter::parse("ticker = 'A'").unwrap();
    assert_eq!(filter.matches(&method, &["A".into()]), Ok(Some(true)));
}
