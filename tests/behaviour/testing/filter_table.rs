//! Tables of filter criteria.

use loosely::Value;
use loosely::testing::FilterTable;

use super::complaint;
use crate::support::StockEvents;

fn table() -> FilterTable {
    FilterTable::of::<dyn StockEvents>("price_changed")
}

#[test]
fn table_holds_where_every_row_does() {
    table()
        .rows(
            "criteria                    | price | symbol | expected
             symbol = ('MSFT' | 'IBM')   | 1     | 'IBM'  | TRUE

             price > 185 | symbol = 'IBM'| 185   | 'MSFT' | FALSE
             NOT price > 185             | NULL  | 'MSFT' | UNKNOWN
             color = 'red'               | 1     | 'x'    | ERROR
             price >                     | 1     | 'x'    | ERROR",
        )
        .rows("criteria | expected\n price IS NULL | TRUE")
        .row(
            "symbol LIKE 'M%'",
            [Value::from("a | b"), 1.0.into()],
            Some(false),
        )
        .row("price = 1", ["x".into(), Value::Null], None)
        .check();
}

#[test]
fn row_that_is_not_as_expected_is_named_with_what_decided() {
    let wrong = table().rows(
        "criteria                        | symbol | price | expected
         symbol = 'MSFT' AND price > 185 | 'MSFT' | 185   | TRUE
         symbol = 'MSFT'                 | 'MSFT' | 185   | TRUE
         color = 'red'                   | 'MSFT' | 185   | FALSE",
    );
    let text = complaint(|| wrong.check());
    let expected = "2 of 3 rows are not as expected:\n\
         row 1: symbol = 'MSFT' AND price > 185\n  \
         of price_changed(symbol = 'MSFT', price = 185.0)\n  \
         is FALSE, expected TRUE: price > 185 is false: price = 185.0\n\
         row 3: color = 'red'\n  \
         of price_changed(symbol = 'MSFT', price = 185.0)\n  \
         is ERROR, expected FALSE: ";
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn text_that_is_no_table_is_refused_with_its_line() {
    let refusals = [
        (
            "",
            "the first line names the columns, criteria to expected: ",
        ),
        (
            "criteria | color | expected",
            "price_changed has no parameter color: ",
        ),
        (
            "criteria | price | expected\n ALL | x | TRUE",
            "x is no constant: ALL | x | TRUE",
        ),
        (
            "criteria | price | expected\n ALL | TRUE",
            "there are too few columns: ALL | TRUE",
        ),
        (
            "criteria | expected\n ALL | yes",
            "TRUE, FALSE, UNKNOWN or ERROR",
        ),
    ];
    for (text, refusal) in refusals {
        let complaint = complaint(|| table().rows(text));
        assert!(complaint.starts_with(refusal), "{complaint}");
    }
    assert_eq!(complaint(|| table().check()), "the table has no row");
    let short = table().row("ALL", [Value::Null], Some(true));
    assert!(complaint(|| short.check()).contains("too few or too many"));
    let none = complaint(|| FilterTable::of::<dyn StockEvents>("raised"));
    assert_eq!(none, "StockEvents has no method raised");
}
