use loosely::event_interface;

#[event_interface]
trait Receivers {
    fn none(value: u8);
    fn mutable(&mut self);
    fn owned(self);
    fn typed(self: Box<Self>);
    fn lifetime<'a>(&'a self);
}

#[event_interface]
trait Qualifiers {
    async fn later(&self, value: u8);
    unsafe fn risky(&self);
    extern "C" fn foreign(&self);
    fn generic<T: Clone>(&self, value: u8)
    where
        T: Send;
    fn body(&self) {}
}

#[event_interface]
trait Returns {
    fn value(&self) -> u8;
    fn result(&self) -> Result<u8, String>;
    fn borrowed(&self) -> Result<(), &str>;
    fn future(&self) -> impl Future<Output = ()>;
}

fn main() {}
