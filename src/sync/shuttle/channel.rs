//! A queue without a bound that several threads take from.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Condvar, Mutex};

/// Returns the two ends of a queue.
pub(crate) fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    let queue = Arc::new(Queue {
        state: Mutex::new(State {
            items: VecDeque::new(),
            senders: 1,
        }),
        came: Condvar::default(),
    });
    (Sender(Arc::clone(&queue)), Receiver(queue))
}

/// Puts items into a queue.
pub(crate) struct Sender<T>(Arc<Queue<T>>);

/// Takes items out of a queue.
pub(crate) struct Receiver<T>(Arc<Queue<T>>);

/// The item that could not be sent, which none is: whoever sends here has a receiver too.
pub(crate) struct SendError<T>(pub(crate) T);

/// The queue is empty, and nobody can send any more.
pub(crate) struct RecvError;

struct Queue<T> {
    state: Mutex<State<T>>,
    came: Condvar,
}

struct State<T> {
    items: VecDeque<T>,
    senders: usize,
}

impl<T> Sender<T> {
    pub(crate) fn send(&self, item: T) -> Result<(), SendError<T>> {
        self.0.state.lock().items.push_back(item);
        self.0.came.notify_one();
        Ok(())
    }
}

impl<T> Receiver<T> {
    pub(crate) fn recv(&self) -> Result<T, RecvError> {
        let mut state = self.0.state.lock();
        loop {
            if let Some(item) = state.items.pop_front() {
                return Ok(item);
            }
            if state.senders == 0 {
                return Err(RecvError);
            }
            self.0.came.wait(&mut state);
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.state.lock().senders -= 1;
        self.0.came.notify_all();
    }
}
