use loosely::event_interface;

#[event_interface]
trait Parameters {
    fn mutable(&self, value: &mut u8, maybe: Option<&mut u8>);
    fn lifetimes(&self, text: &'static str, cow: std::borrow::Cow<'_, str>);
    fn nested(&self, list: &[&str], texts: Vec<&str>, twice: &&u8);
    fn implemented(&self, value: impl Clone, shared: &dyn std::fmt::Debug);
    fn same(&self, value: Self, other: &Self);
    fn patterns(&self, _: u8, (a, b): (u8, u8));
    fn reserved(&self, publisher: &str, #[event(rename = "subscription")] name: &str);
    fn conditional(&self, #[cfg(all())] value: u8);
}

fn main() {}
