use loosely::event_interface;

struct NotAnError;

#[event_interface]
trait Errors {
    fn event(&self) -> Result<(), NotAnError>;
}

fn main() {}
