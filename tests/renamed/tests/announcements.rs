//! What was made for the interface of this crate works.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use loosely_renamed::{
    Announcements, AnnouncementsHandlers, AnnouncementsOwn, AnnouncementsStandard, Box as OwnBox,
    Option as OwnOption, String as OwnString, Vec as OwnVec,
};
use slack::{EventInterface, ValueRef};

#[test]
fn interface_of_a_renamed_crate_without_prelude_is_complete() {
    let handlers = AnnouncementsHandlers::new()
        .on_own(|string, _, vec, boxed| assert_eq!((string.length, vec[0].0, boxed.0), (1, 2, 3)))
        .on_fallible(|result| Err(std::io::Error::other(result.to_string())));
    let target: &dyn Announcements = &handlers;
    let string = OwnString { length: 1 };
    let own = AnnouncementsOwn::new(&string, OwnOption::None, &[OwnVec(2)], OwnBox(3));
    own.deliver(target).unwrap();
    AnnouncementsStandard::new("a", &[1], None)
        .deliver(target)
        .unwrap();
    let error = target.invoke(3, &[ValueRef::U64(9)]).unwrap_err();
    assert_eq!(error.to_string(), "9");
}
