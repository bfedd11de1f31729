//! The switch centre as a machine: takes the operator's changes, and pushes the switches to each subscriber with a
//! delay of its own, again and again until the subscriber says that it has them.
//!
//! Its real system is not public: everything here is assumed. Left out: a cluster of centres (there is one), and
//! access rights.

use super::{Change, Message, Settings, Switches};
use crate::incident::Incident;
use crate::machine::{Effects, Input, Machine, Now, Timer};
use crate::message;
use crate::record::NodeId;
use serde::Serialize;
use std::collections::BTreeMap;

const PUSH: &str = "switch-centre/push";

/// The switch centre.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SwitchCentre {
    settings: Settings,
    durable: Durable,
    volatile: Volatile,
}

/// What is in the centre's database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Durable {
    switches: Switches,
    /// What stood before the last change.
    before: Switches,
    /// The version that each of the operator's changes led to, by its number.
    taken: BTreeMap<u64, u64>,
}

/// The connections: a subscriber whose connection broke has to subscribe again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Volatile {
    /// What subscribers are told, where it is not what stands: those who ask and those who are pushed to get it from a
    /// replica of the database that has stopped following. A centre that starts reads from another, unless it is told again.
    stale: Option<Switches>,
    /// The version that each subscriber said it has.
    subscribers: BTreeMap<NodeId, u64>,
}

impl SwitchCentre {
    /// A centre in which no switch was ever changed.
    pub fn new(settings: Settings) -> SwitchCentre {
        SwitchCentre { settings, durable: Durable::default(), volatile: Volatile::default() }
    }

    /// The switches as they stand in the centre.
    pub fn switches(&self) -> &Switches {
        &self.durable.switches
    }

    /// What subscribers are told.
    fn shown(&self) -> &Switches {
        self.volatile.stale.as_ref().unwrap_or(&self.durable.switches)
    }

    fn take(&mut self, from: NodeId, message: Message, effects: &mut Effects) {
        match message {
            Message::Change { number, changes } => self.change(from, number, &changes, effects),
            Message::Subscribe => {
                // It may be a new life of the process, which has forgotten what it had.
                self.volatile.subscribers.insert(from, 0);
                self.push(from, effects);
            }
            Message::Applied { version } => {
                // An answer to an earlier push must not take the newer version's push off the list.
                let shown = self.shown().version;
                if let Some(applied) = self.volatile.subscribers.get_mut(&from) {
                    *applied = version.max(*applied);
                    if *applied >= shown {
                        effects.cancel_timer(push_timer(from));
                    }
                }
            }
            // The centre says these; it is never told them.
            Message::Changed { .. } | Message::Push(_) => {}
        }
    }

    fn change(&mut self, from: NodeId, number: u64, changes: &[Change], effects: &mut Effects) {
        if !self.durable.taken.contains_key(&number) {
            let switches = &mut self.durable.switches;
            self.durable.before.clone_from(switches);
            changes.iter().for_each(|change| apply(switches, change));
            switches.version += 1;
            self.durable.taken.insert(number, switches.version);
            self.announce(effects);
        }
        let version = self.durable.taken[&number];
        effects.send(from, message::Message::Switch(Box::new(Message::Changed { number, version })));
    }

    /// Push what is shown to whoever has not got it, each after a delay of his own.
    fn announce(&self, effects: &mut Effects) {
        let [least, most] = self.settings.push_delay;
        let shown = self.shown().version;
        for (subscriber, applied) in &self.volatile.subscribers {
            if *applied < shown {
                effects.set_timer_between(push_timer(*subscriber), least, most);
            }
        }
    }

    fn befall(&mut self, incident: Incident, effects: &mut Effects) {
        match incident {
            Incident::SwitchesStale => {
                let before = &self.durable.before;
                self.volatile.stale.get_or_insert_with(|| before.clone());
            }
            Incident::SwitchesFresh => {
                self.volatile.stale = None;
                self.announce(effects);
            }
            _ => {}
        }
    }

    fn push(&self, to: NodeId, effects: &mut Effects) {
        let Some(applied) = self.volatile.subscribers.get(&to) else { return };
        let switches = self.shown().clone();
        if *applied < switches.version {
            effects.set_timer(push_timer(to), self.settings.repeat_interval);
        }
        effects.send(to, message::Message::Switch(Box::new(Message::Push(switches))));
    }
}

fn push_timer(subscriber: NodeId) -> Timer {
    Timer::new(PUSH, u64::from(subscriber.0))
}

fn apply(switches: &mut Switches, change: &Change) {
    match change {
        Change::Read(group, queue) => {
            switches.read.retain(|(listed, _)| listed != group);
            switches.read.push((*group, *queue));
            switches.read.sort_unstable();
        }
        Change::Pause(group) => {
            if !switches.paused.contains(group) {
                switches.paused.push(*group);
                switches.paused.sort_unstable();
            }
        }
        Change::Resume(group) => switches.paused.retain(|paused| paused != group),
        Change::Write(to) => switches.write = *to,
        Change::Hold(hold) => switches.hold = hold.clone(),
    }
}

impl Machine for SwitchCentre {
    fn step(&mut self, _now: Now, input: Input, effects: &mut Effects) {
        match input {
            Input::Message { from, message: message::Message::Switch(message) } => {
                self.take(from, *message, effects);
            }
            Input::Timer(Timer { name: PUSH, index }) => {
                let subscriber = u32::try_from(index).map(NodeId);
                self.push(subscriber.expect("a push timer's index is a node"), effects);
            }
            Input::Disconnected(node) => {
                if self.volatile.subscribers.remove(&node).is_some() {
                    effects.cancel_timer(push_timer(node));
                }
            }
            Input::Terminate => effects.processes.push(crate::machine::Process::Exit),
            Input::Incident(incident) => self.befall(incident, effects),
            Input::Placed(_) | Input::Unreachable(_) => {}
            Input::Start { .. } | Input::Message { .. } | Input::Timer(_) => {}
        }
    }

    fn crash(&mut self) {
        self.volatile = Volatile::default();
    }

    fn lose(&mut self, _now: Now, _loss: crate::incident::DiskLoss) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{After, TimerEffect};
    use crate::record::{GroupId, Queue};
    use crate::switch::WriteTo;
    use crate::units::{Span, Time};

    const OPERATOR: NodeId = NodeId(1);
    const INSTANCE: NodeId = NodeId(7);

    fn tell(centre: &mut SwitchCentre, from: NodeId, message: Message) -> Effects {
        step(centre, Input::Message { from, message: message::Message::Switch(Box::new(message)) })
    }

    fn step(centre: &mut SwitchCentre, input: Input) -> Effects {
        let mut effects = Effects::default();
        centre.step(Now::exact(Time::ZERO), input, &mut effects);
        effects
    }

    fn said(effects: &Effects) -> Vec<(NodeId, Message)> {
        let switch = |(to, message): &(NodeId, message::Message)| match message {
            message::Message::Switch(message) => (*to, (**message).clone()),
            other => panic!("the centre speaks of switches only, not {other:?}"),
        };
        effects.sends.iter().map(switch).collect()
    }

    fn change(number: u64, to: WriteTo) -> Message {
        Message::Change { number, changes: vec![Change::Write(to)] }
    }

    #[test]
    fn a_subscriber_is_told_at_once_and_a_repeated_change_changes_nothing() {
        let mut centre = SwitchCentre::new(Settings::default());
        let effects = tell(&mut centre, INSTANCE, Message::Subscribe);
        assert_eq!(said(&effects), vec![(INSTANCE, Message::Push(Switches::default()))]);
        for _ in 0..2 {
            let effects = tell(&mut centre, OPERATOR, change(4, WriteTo::Kafka));
            assert_eq!(said(&effects), vec![(OPERATOR, Message::Changed { number: 4, version: 1 })]);
        }
        assert_eq!(tell(&mut centre, OPERATOR, change(5, WriteTo::Corgi)).sends.len(), 1);
        let effects = tell(&mut centre, OPERATOR, change(4, WriteTo::Kafka));
        assert_eq!(said(&effects), vec![(OPERATOR, Message::Changed { number: 4, version: 1 })]);
        assert_eq!(centre.switches().write, WriteTo::Corgi);
    }

    #[test]
    fn a_change_is_pushed_after_a_drawn_delay_and_until_it_is_applied() {
        let mut centre = SwitchCentre::new(Settings::default());
        tell(&mut centre, INSTANCE, Message::Subscribe);
        let effects = tell(&mut centre, OPERATOR, change(1, WriteTo::Kafka));
        let timer = push_timer(INSTANCE);
        let drawn = After::Between(Span::millis(50), Span::secs(3));
        assert_eq!(effects.timers, vec![TimerEffect::Set(timer, drawn)]);
        for _ in 0..3 {
            let effects = step(&mut centre, Input::Timer(timer));
            assert!(matches!(&said(&effects)[..], [(INSTANCE, Message::Push(Switches { version: 1, .. }))]));
            let again = After::Exactly(Span::secs(5));
            assert_eq!(effects.timers, vec![TimerEffect::Set(timer, again)]);
        }
        assert!(tell(&mut centre, INSTANCE, Message::Applied { version: 0 }).timers.is_empty());
        let effects = tell(&mut centre, INSTANCE, Message::Applied { version: 1 });
        assert_eq!(effects.timers, vec![TimerEffect::Cancel(timer)]);
    }

    #[test]
    fn switches_survive_a_crash_and_subscriptions_do_not() {
        let mut centre = SwitchCentre::new(Settings::default());
        tell(&mut centre, INSTANCE, Message::Subscribe);
        let group = GroupId(2);
        let changes = vec![Change::Read(group, Queue::Kafka), Change::Pause(group)];
        tell(&mut centre, OPERATOR, Message::Change { number: 1, changes });
        centre.crash();
        let effects = tell(&mut centre, OPERATOR, change(2, WriteTo::Both));
        assert!(effects.timers.is_empty());
        assert_eq!(centre.switches().reads_from(group), Queue::Kafka);
        assert!(centre.switches().pauses(group));
        assert_eq!(centre.switches().version, 2);
    }

    #[test]
    fn an_instance_whose_process_is_gone_is_pushed_nothing() {
        let mut centre = SwitchCentre::new(Settings::default());
        tell(&mut centre, INSTANCE, Message::Subscribe);
        step(&mut centre, Input::Disconnected(INSTANCE));
        assert!(tell(&mut centre, OPERATOR, change(1, WriteTo::Both)).timers.is_empty());
        assert!(step(&mut centre, Input::Timer(push_timer(INSTANCE))).sends.is_empty());
    }

    fn befall(centre: &mut SwitchCentre, incident: Incident) -> Effects {
        step(centre, Input::Incident(incident))
    }

    fn pushed(effects: &Effects) -> Switches {
        match &said(effects)[..] {
            [(INSTANCE, Message::Push(switches))] => switches.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_stale_replica_shows_what_stood_before_the_last_change_and_all_hear_the_truth_behind_it() {
        let mut centre = SwitchCentre::new(Settings::default());
        let group = GroupId(2);
        let pause = Message::Change { number: 1, changes: vec![Change::Pause(group)] };
        tell(&mut centre, OPERATOR, pause);
        let resume = Message::Change { number: 2, changes: vec![Change::Resume(group)] };
        tell(&mut centre, OPERATOR, resume);
        assert!(befall(&mut centre, Incident::SwitchesStale).sends.is_empty());
        let shown = pushed(&tell(&mut centre, INSTANCE, Message::Subscribe));
        assert!(shown.version == 1 && shown.pauses(group));
        // A change is taken and answered, and nobody hears of it.
        let effects = tell(&mut centre, OPERATOR, change(3, WriteTo::Kafka));
        assert_eq!(said(&effects), vec![(OPERATOR, Message::Changed { number: 3, version: 3 })]);
        let effects = tell(&mut centre, INSTANCE, Message::Applied { version: 1 });
        assert_eq!(effects.timers, vec![TimerEffect::Cancel(push_timer(INSTANCE))]);
        assert_eq!(tell(&mut centre, OPERATOR, change(4, WriteTo::Both)).timers, vec![]);
        // Told again, it stands where it stood.
        befall(&mut centre, Incident::SwitchesStale);
        assert_eq!(pushed(&tell(&mut centre, INSTANCE, Message::Subscribe)).version, 1);
        let effects = befall(&mut centre, Incident::SwitchesFresh);
        let drawn = After::Between(Span::millis(50), Span::secs(3));
        assert_eq!(effects.timers, vec![TimerEffect::Set(push_timer(INSTANCE), drawn)]);
        let shown = pushed(&step(&mut centre, Input::Timer(push_timer(INSTANCE))));
        assert_eq!((shown.version, shown.write, shown.pauses(group)), (4, WriteTo::Both, false));
    }

    #[test]
    fn a_centre_in_which_nothing_was_changed_has_nothing_older_to_show() {
        let mut centre = SwitchCentre::new(Settings::default());
        befall(&mut centre, Incident::SwitchesStale);
        tell(&mut centre, OPERATOR, change(1, WriteTo::Kafka));
        assert_eq!(pushed(&tell(&mut centre, INSTANCE, Message::Subscribe)), Switches::default());
        centre.crash();
        assert_eq!(pushed(&tell(&mut centre, INSTANCE, Message::Subscribe)).write, WriteTo::Kafka);
    }
}
