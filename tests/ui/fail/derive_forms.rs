use loosely::EventValue;

#[derive(Clone, EventValue)]
struct Unit;

#[derive(Clone, EventValue)]
struct Pair(u8, u8);

#[derive(Clone, EventValue)]
struct Borrowed<'a> {
    text: &'a str,
}

#[derive(Clone, EventValue)]
enum Fields {
    None,
    Some(u8),
    Named { value: u8 },
}

#[derive(Clone, EventValue)]
enum Never {}

#[derive(Clone, Copy, EventValue)]
union Bits {
    number: u32,
}

#[derive(Clone, EventValue)]
#[event_value(rename_all = "Title Case", alias = "x")]
struct Names {
    #[event_value(rename = "same", skip)]
    first: u8,
    #[event_value(alias = "same")]
    second: u8,
}

#[derive(Clone, EventValue)]
#[event_value(rename = "Amount")]
struct Newtype(#[event_value(rename = "cents")] u8);

#[derive(Clone, EventValue)]
#[event_value(rename = "Side")]
enum Named {
    #[event_value(rename = "b")]
    A,
    #[event_value(alias = "b")]
    C,
}

#[derive(EventValue)]
struct NotClone {
    field: u8,
}

fn main() {}
