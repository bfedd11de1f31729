//! The one event queue: time-ordered, first come first served within a moment.

use cutover_model::units::{Span, Time};
use serde::{Serialize, Serializer};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The bits of a key's lower half that name the slot; the others count the events that were put in.
const SLOT_BITS: u32 = 24;

/// When an event is due, the how manyth it is, and its slot, as one number: what is earlier is less.
type HeapKey = u128;

fn heap_key(at: Time, pushed: u64, slot: usize) -> HeapKey {
    assert!(
        slot < 1 << SLOT_BITS && pushed < 1 << (64 - SLOT_BITS),
        "a run has fewer events than a key can tell"
    );
    u128::from(at.0) << 64 | u128::from(pushed << SLOT_BITS) | slot as u128
}

fn due_at(key: HeapKey) -> Time {
    Time((key >> 64) as u64)
}

fn slot_of(key: HeapKey) -> usize {
    key as usize & ((1 << SLOT_BITS) - 1)
}

/// What is due within this span of the last event lies in a row of its own. Messages are, most timers are not: so the
/// many messages pass through a short row, and not over the timers, which mostly never run out.
const SOON: Span = Span::millis(20);

/// A row that is longer costs more than the heap.
const SOON_MOST: usize = 64;

/// A queue of events. Two queues are equal when they would yield the same events at the same times.
#[derive(Clone, Debug)]
pub struct Queue<E> {
    /// In ascending order, from `soon_first` on; what stands before was taken out. What is put in comes mostly last, or nearly so.
    soon: Vec<HeapKey>,
    soon_first: usize,
    later: BinaryHeap<Reverse<HeapKey>>,
    /// When the last event that was taken out was due.
    reached: Time,
    /// The events lie beside the heaps, so that sifting moves small entries only.
    slots: Vec<Option<E>>,
    free: Vec<usize>,
    pushed: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Queue<E> {
        Queue {
            soon: Vec::with_capacity(2 * SOON_MOST),
            soon_first: 0,
            later: BinaryHeap::new(),
            reached: Time::ZERO,
            slots: Vec::new(),
            free: Vec::new(),
            pushed: 0,
        }
    }
}

impl<E> Queue<E> {
    /// Put an event in. It is put down where it stays: to copy what was only just written piece by piece makes the processor wait.
    #[inline(always)]
    pub fn push(&mut self, at: Time, event: E) {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                self.slots.len() - 1
            }
        };
        let before = self.slots[slot].replace(event);
        debug_assert!(before.is_none(), "a free slot is empty");
        std::mem::forget(before);
        self.line_up(at, slot);
    }

    fn line_up(&mut self, at: Time, slot: usize) {
        let key = heap_key(at, self.pushed, slot);
        self.pushed += 1;
        if at.since(self.reached) >= SOON || self.soon().len() >= SOON_MOST {
            self.later.push(Reverse(key));
            return;
        }
        self.soon.push(key);
        let mut place = self.soon.len() - 1;
        while place > self.soon_first && self.soon[place - 1] > key {
            self.soon[place] = self.soon[place - 1];
            place -= 1;
        }
        self.soon[place] = key;
    }

    /// Take the earliest event out, if it is due before that moment.
    #[inline]
    pub fn pop_before(&mut self, limit: Time) -> Option<(Time, E)> {
        let later = self.later.peek().map_or(HeapKey::MAX, |Reverse(key)| *key);
        let key = self.soon().first().map_or(later, |soon| later.min(*soon));
        if key >= heap_key(limit, 0, 0) {
            return None;
        }
        if key == later {
            self.later.pop();
        } else {
            self.drop_first_soon();
        }
        self.reached = due_at(key);
        let slot = slot_of(key);
        self.free.push(slot);
        let event = self.slots[slot].take().expect("a heap entry's slot is filled");
        Some((due_at(key), event))
    }

    fn soon(&self) -> &[HeapKey] {
        &self.soon[self.soon_first..]
    }

    /// Its place is given back when there is nothing behind it, or as many are gone as the row may be long.
    #[inline]
    fn drop_first_soon(&mut self) {
        self.soon_first += 1;
        if self.soon_first == self.soon.len() || self.soon_first == SOON_MOST {
            self.soon.drain(..self.soon_first);
            self.soon_first = 0;
        }
    }

    /// When the earliest event is due.
    pub fn next_at(&self) -> Option<Time> {
        let later = self.later.peek().map(|Reverse(key)| *key);
        self.soon().first().copied().into_iter().chain(later).min().map(due_at)
    }

    /// How many events are pending.
    pub fn len(&self) -> usize {
        self.soon().len() + self.later.len()
    }

    /// Whether nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.soon().is_empty() && self.later.is_empty()
    }

    /// The pending events in the order in which they would be taken out.
    fn in_order(&self) -> Vec<(Time, &E)> {
        let mut keys: Vec<_> =
            self.later.iter().map(|Reverse(key)| *key).chain(self.soon().iter().copied()).collect();
        keys.sort_unstable();
        let event = |key| self.slots[slot_of(key)].as_ref().expect("a heap entry's slot is filled");
        keys.into_iter().map(|key| (due_at(key), event(key))).collect()
    }
}

impl<E: PartialEq> PartialEq for Queue<E> {
    fn eq(&self, other: &Queue<E>) -> bool {
        self.in_order() == other.in_order()
    }
}

impl<E: Eq> Eq for Queue<E> {}

impl<E: Serialize> Serialize for Queue<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.in_order())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_the_order_of_their_coming() {
        let mut queue = Queue::default();
        for (at, event) in [(5, 'c'), (1, 'a'), (5, 'd'), (3, 'b')] {
            queue.push(Time(at), event);
        }
        let order: Vec<char> =
            std::iter::from_fn(|| queue.pop_before(Time::NEVER)).map(|(_, event)| event).collect();
        assert_eq!(order, ['a', 'b', 'c', 'd']);
    }

    #[test]
    fn what_finds_no_place_among_the_soon_comes_in_its_turn() {
        let mut queue = Queue::default();
        let times: Vec<u64> = (0..500).map(|event| event * 7919 % 1000).collect();
        for at in &times {
            queue.push(Time(*at), *at);
        }
        let mut sorted = times;
        sorted.sort_unstable();
        assert_eq!(
            std::iter::from_fn(|| queue.pop_before(Time::NEVER)).map(|(_, event)| event).collect::<Vec<_>>(),
            sorted
        );
    }

    #[test]
    fn what_is_due_at_the_limit_stays() {
        let mut queue = Queue::default();
        queue.push(Time(5), 'a');
        assert_eq!(queue.pop_before(Time(5)), None);
        assert_eq!(queue.pop_before(Time(6)), Some((Time(5), 'a')));
        assert_eq!(queue.pop_before(Time::NEVER), None);
    }

    #[test]
    fn equality_does_not_see_how_a_queue_came_to_be() {
        let (mut one, mut other) = (Queue::default(), Queue::default());
        one.push(Time(1), 'x');
        one.pop_before(Time::NEVER);
        one.push(Time(2), 'b');
        one.push(Time(1), 'a');
        other.push(Time(1), 'a');
        other.push(Time(2), 'b');
        assert_eq!(one, other);
        other.pop_before(Time::NEVER);
        assert_ne!(one, other);
    }
}
