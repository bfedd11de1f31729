//! Finding the group's coordinator, and talking with it only over a connection that works.

use super::{FIND_COORDINATOR, KafkaConsumer, Purpose};
use crate::client::kafka_network::backoff;
use crate::kafka::protocol::{CoordinatorKey, Request};
use crate::machine::{Effects, Now};
use crate::record::NodeId;

impl KafkaConsumer {
    /// Ask any broker who coordinates the group. A frozen one may be asked, and then costs the request time-out
    /// (observed row 20).
    pub(super) fn find_coordinator(&mut self, now: Now, effects: &mut Effects) {
        let own = &mut self.volatile;
        if own.coordinator.is_some() || own.finding {
            return;
        }
        let Some(node) = own.network.least_loaded(&own.metadata.nodes()) else { return };
        own.finding = true;
        let request = Request::FindCoordinator { key: CoordinatorKey::Group(self.group) };
        own.network.ask(now, node, Purpose::FindCoordinator, request, effects);
    }

    pub(super) fn coordinator_found(&mut self, now: Now, coordinator: Option<NodeId>, effects: &mut Effects) {
        let own = &mut self.volatile;
        own.coordinator = coordinator;
        if coordinator.is_some() {
            own.finding = false;
            own.find_failures = 0;
            // Java starts the session's clock anew with each coordinator that it finds.
            own.membership.heard_at = now.elapsed;
            return;
        }
        let settings = &self.settings;
        let (least, most) = backoff(settings.retry_backoff, settings.retry_backoff_max, own.find_failures);
        own.find_failures += 1;
        effects.set_timer_between(FIND_COORDINATOR, least, most);
    }

    /// It is not the coordinator any more, or does not answer.
    pub(super) fn forget_coordinator(&mut self) {
        self.volatile.coordinator = None;
    }

    /// The coordinator, if its connection works; tries the connection otherwise.
    pub(super) fn reachable_coordinator(&mut self, now: Now, effects: &mut Effects) -> Option<NodeId> {
        let own = &mut self.volatile;
        let node = own.coordinator?;
        if own.network.reaches(node) {
            return Some(node);
        }
        let topics = own.metadata.topics();
        own.network.connect(now, node, &topics, effects);
        None
    }
}
