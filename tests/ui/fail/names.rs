use loosely::event_interface;

#[event_interface]
trait Methods {
    fn first(&self);
    #[event(rename = "first")]
    fn second(&self);
    #[event(alias = "first")]
    fn third(&self);
}

#[event_interface(rename_all = "camelCase")]
trait Parameters {
    fn event(&self, some_name: u8, #[event(rename = "someName")] other: u8);
    fn aliases(&self, #[event(alias = "b")] a: u8, b: u8);
}

fn main() {}
