//! What each thread has for itself: the threads of a model are one thread of the system.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;

use shuttle::thread;

/// What each thread of a model has for itself.
pub(crate) struct LocalKey<T: 'static> {
    key: thread::LocalKey<T>,
}

impl<T: 'static> LocalKey<T> {
    pub(crate) const fn new(init: fn() -> T) -> Self {
        let key = thread::LocalKey {
            init,
            _p: PhantomData,
        };
        Self { key }
    }

    pub(crate) fn with<R>(&'static self, work: impl FnOnce(&T) -> R) -> R {
        self.key.with(work)
    }

    pub(crate) fn try_with<R>(
        &'static self,
        work: impl FnOnce(&T) -> R,
    ) -> Result<R, thread::AccessError> {
        self.key.try_with(work)
    }
}

impl<T: 'static> LocalKey<Cell<T>> {
    pub(crate) fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    pub(crate) fn set(&'static self, value: T) {
        self.with(|cell| cell.set(value));
    }

    pub(crate) fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> LocalKey<RefCell<T>> {
    pub(crate) fn with_borrow<R>(&'static self, work: impl FnOnce(&T) -> R) -> R {
        self.with(|cell| work(&cell.borrow()))
    }

    pub(crate) fn with_borrow_mut<R>(&'static self, work: impl FnOnce(&mut T) -> R) -> R {
        self.with(|cell| work(&mut cell.borrow_mut()))
    }

    pub(crate) fn set(&'static self, value: T) {
        self.with(|cell| drop(cell.replace(value)));
    }

    pub(crate) fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }

    pub(crate) fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(RefCell::take)
    }
}

/// As that of std, for values that need no thread to be made.
macro_rules! locals {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = const $init:block;)*) => {
        $(
            $(#[$attribute])*
            static $name: $crate::sync::LocalKey<$type> =
                $crate::sync::LocalKey::new(|| $init);
        )*
    };
}

pub(crate) use locals as thread_local;
