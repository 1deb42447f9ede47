use loosely::event_interface;

#[event_interface(names = "a", id = "", rename_all = "lowercase", other(1, 2))]
trait Options {
    #[event(rename = "", skip)]
    fn event(&self, #[event(standard = 3, alias = "a")] value: u8);
}

#[event_interface(name = 3)]
trait Kinds {
    #[event(rename)]
    fn event(&self);
}

fn main() {}
