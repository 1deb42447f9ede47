use loosely::event_interface;

#[event_interface]
trait Generic<T, const N: usize>
where
    T: Clone,
{
    fn event(&self, value: u8);
}

#[event_interface]
trait Lifetimes<'a> {
    fn event(&self);
}

#[event_interface]
trait Supertraits: std::fmt::Debug + Send {
    fn event(&self);
}

#[event_interface]
unsafe trait Unsafe {
    fn event(&self);
}

#[event_interface]
trait Members {
    const LIMIT: usize;
    type Item;
    fn event(&self);
    thread_local!();
}

#[event_interface]
trait Empty {}

#[event_interface]
struct NotATrait;

fn main() {}
