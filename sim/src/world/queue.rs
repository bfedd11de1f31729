//! The one event queue: time-ordered, first come first served within a moment.

use cutover_model::units::Time;
use serde::{Serialize, Serializer};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A queue of events. Two queues are equal when they would yield the same events at the same times.
#[derive(Clone, Debug)]
pub struct Queue<E> {
    heap: BinaryHeap<Reverse<(Time, u64, u32)>>,
    /// The events lie beside the heap, so that sifting moves small entries only.
    slots: Vec<Option<E>>,
    free: Vec<u32>,
    pushed: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Queue<E> {
        Queue { heap: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), pushed: 0 }
    }
}

impl<E> Queue<E> {
    /// Put an event in.
    pub fn push(&mut self, at: Time, event: E) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(event);
                slot
            }
            None => {
                self.slots.push(Some(event));
                u32::try_from(self.slots.len() - 1).expect("fewer than four billion events are pending")
            }
        };
        self.heap.push(Reverse((at, self.pushed, slot)));
        self.pushed += 1;
    }

    /// Take the earliest event out.
    pub fn pop(&mut self) -> Option<(Time, E)> {
        let Reverse((at, _, slot)) = self.heap.pop()?;
        self.free.push(slot);
        let event = self.slots[slot as usize].take().expect("a heap entry's slot is filled");
        Some((at, event))
    }

    /// When the earliest event is due.
    pub fn next_at(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((at, _, _))| *at)
    }

    /// How many events are pending.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// The pending events in the order in which they would be taken out.
    fn in_order(&self) -> Vec<(Time, &E)> {
        let mut keys: Vec<_> = self.heap.iter().map(|Reverse(key)| *key).collect();
        keys.sort_unstable();
        keys.iter()
            .map(|(at, _, slot)| {
                (*at, self.slots[*slot as usize].as_ref().expect("a heap entry's slot is filled"))
            })
            .collect()
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
        let order: Vec<char> = std::iter::from_fn(|| queue.pop()).map(|(_, event)| event).collect();
        assert_eq!(order, ['a', 'b', 'c', 'd']);
    }

    #[test]
    fn equality_does_not_see_how_a_queue_came_to_be() {
        let (mut one, mut other) = (Queue::default(), Queue::default());
        one.push(Time(1), 'x');
        one.pop();
        one.push(Time(2), 'b');
        one.push(Time(1), 'a');
        other.push(Time(1), 'a');
        other.push(Time(2), 'b');
        assert_eq!(one, other);
        other.pop();
        assert_ne!(one, other);
    }
}
