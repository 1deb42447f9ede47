use loosely::{EventValue, event_interface};

struct Opaque;

#[event_interface]
trait Values {
    fn by_value(&self, value: Opaque);
    fn by_reference(&self, value: &Opaque);
    fn in_a_list(&self, list: Vec<Opaque>);
    fn optional(&self, value: Option<&Opaque>);
}

#[derive(Clone, EventValue)]
struct Record {
    field: Opaque,
}

fn main() {}
