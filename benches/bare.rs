//! The bare loop that the world is measured against: the same machines, a binary heap and nothing else. Every message
//! takes three milliseconds; there is no network to fail, no history, no digest and no checker.

use cutover_model::machine::{
    After, Effects, Input, Machine, Now, Process as ProcessEffect, Timer, TimerEffect,
};
use cutover_model::record::NodeId;
use cutover_model::units::{Span, Time};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

const LATENCY: Span = Span::millis(3);

enum Due {
    Input(Input),
    Timer(u64),
}

struct Entry {
    at: Time,
    number: u64,
    node: NodeId,
    due: Due,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// Step machines, of which these run from the beginning, until the time is over. Returns how many inputs they took.
pub fn run<M: Machine>(machines: Vec<M>, running: &[NodeId], until: Time) -> u64 {
    let mut timers: Vec<Vec<(Timer, u64)>> = machines.iter().map(|_| Vec::new()).collect();
    let mut bare = Bare { machines, heap: BinaryHeap::new(), numbers: 0, effects: Effects::default() };
    for node in running {
        bare.push(Time::ZERO, *node, Due::Input(Input::Start { incarnation: 1 }));
    }
    let mut events = 0;
    while let Some(Reverse(entry)) = bare.heap.pop() {
        if entry.at > until {
            return events;
        }
        let set = &mut timers[entry.node.0 as usize];
        let input = match entry.due {
            Due::Input(input) => input,
            Due::Timer(number) => match set.iter().position(|(_, set)| *set == number) {
                Some(place) => Input::Timer(set.swap_remove(place).0),
                None => continue,
            },
        };
        events += 1;
        bare.step(entry.at, entry.node, input, set);
    }
    events
}

struct Bare<M> {
    machines: Vec<M>,
    heap: BinaryHeap<Reverse<Entry>>,
    numbers: u64,
    effects: Effects,
}

impl<M: Machine> Bare<M> {
    fn push(&mut self, at: Time, node: NodeId, due: Due) {
        self.numbers += 1;
        self.heap.push(Reverse(Entry { at, number: self.numbers, node, due }));
    }

    fn step(&mut self, now: Time, node: NodeId, input: Input, timers: &mut Vec<(Timer, u64)>) {
        let mut effects = std::mem::take(&mut self.effects);
        self.machines[node.0 as usize].step(Now::exact(now), input, &mut effects);
        for effect in effects.timers.drain(..) {
            let (TimerEffect::Set(timer, _) | TimerEffect::Cancel(timer)) = effect;
            timers.retain(|(set, _)| *set != timer);
            if let TimerEffect::Set(timer, after) = effect {
                let (After::Exactly(span) | After::Between(span, _)) = after;
                timers.push((timer, self.numbers + 1));
                let number = self.numbers + 1;
                self.push(now + span, node, Due::Timer(number));
            }
        }
        for (to, message) in effects.sends.drain(..) {
            self.push(now + LATENCY, to, Due::Input(Input::Message { from: node, message }));
        }
        for process in effects.processes.drain(..) {
            if let ProcessEffect::Start(started) = process {
                self.push(now, started, Due::Input(Input::Start { incarnation: 1 }));
            }
        }
        effects.clear();
        self.effects = effects;
    }
}
