//! The NewClient's connection to the switch centre: the switches that it has heard, in this life of its process.

use crate::machine::{Effects, Timer};
use crate::message;
use crate::record::NodeId;
use crate::switch::{Message, Switches};
use crate::units::Span;
use serde::{Deserialize, Serialize};

pub(super) const SUBSCRIBE: Timer = Timer::new("application/subscribe", 0);

/// How a NewClient keeps in touch with the switch centre.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SubscriptionSettings {
    /// How often it asks for the switches again, so that a lost push is healed.
    pub poll: Span,
    /// How often it asks as long as it was never answered, or after its connection broke.
    pub retry: Span,
}

impl Default for SubscriptionSettings {
    fn default() -> SubscriptionSettings {
        SubscriptionSettings { poll: Span::secs(30), retry: Span::secs(2) }
    }
}

/// What an instance knows of the switches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Subscription {
    switches: Option<Switches>,
}

impl Subscription {
    /// The switches that it obeys; none before it heard of any.
    pub fn switches(&self) -> Option<&Switches> {
        self.switches.as_ref()
    }

    /// The version that it obeys; 0 before it heard of any.
    pub fn version(&self) -> u64 {
        self.switches.as_ref().map_or(0, |switches| switches.version)
    }

    /// Go by the switches as they are before any change, without having heard them.
    pub fn assume_defaults(&mut self) {
        self.switches.get_or_insert_default();
    }

    /// Ask for the switches, and again later.
    pub fn ask(&self, centre: NodeId, settings: &SubscriptionSettings, effects: &mut Effects) {
        effects.send(centre, message::Message::Switch(Box::new(Message::Subscribe)));
        effects.set_timer(SUBSCRIBE, if self.switches.is_some() { settings.poll } else { settings.retry });
    }

    /// The connection to the centre broke: it has forgotten the subscription.
    pub fn lose(&self, settings: &SubscriptionSettings, effects: &mut Effects) {
        effects.set_timer(SUBSCRIBE, settings.retry);
    }

    /// Take a message of the centre. Returns whether there are other switches than before.
    pub fn hear(&mut self, centre: NodeId, message: Message, effects: &mut Effects) -> bool {
        let Message::Push(pushed) = message else { return false };
        let is_news = self.switches.as_ref().is_none_or(|own| own.version < pushed.version);
        if is_news {
            self.switches = Some(pushed);
        }
        let applied = Message::Applied { version: self.version() };
        effects.send(centre, message::Message::Switch(Box::new(applied)));
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_push_is_answered_and_not_obeyed() {
        let mut subscription = Subscription::default();
        let push = |version| Message::Push(Switches { version, ..Switches::default() });
        let mut effects = Effects::default();
        assert!(subscription.hear(NodeId(1), push(0), &mut effects));
        assert!(subscription.hear(NodeId(1), push(2), &mut effects));
        assert!(!subscription.hear(NodeId(1), push(1), &mut effects));
        assert!(!subscription.hear(NodeId(1), push(2), &mut effects));
        assert_eq!(subscription.version(), 2);
        let applied = message::Message::Switch(Box::new(Message::Applied { version: 2 }));
        assert_eq!(effects.sends.last(), Some(&(NodeId(1), applied)));
        assert_eq!(effects.sends.len(), 4);
    }
}
