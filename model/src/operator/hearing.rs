//! What comes in: timers, confirmations, reports, Kafka's answers.

use crate::deployment;
use crate::incident::Incident;
use crate::machine::{Effects, Now, Timer};
use crate::message::Message;
use crate::operator::admin::{Desk, Goal};
use crate::operator::{AGAIN, ASK, Busy, DEADLINE, Given, NEXT, Operator, SAY_EVERY, Volatile};
use crate::plan::Act;
use crate::record::NodeId;
use crate::switch;

impl Operator {
    pub(super) fn on_timer(&mut self, timer: Timer, now: Now, effects: &mut Effects) {
        match (timer, self.volatile.busy) {
            (NEXT, Busy::Between) => self.proceed(now, effects),
            (AGAIN, Busy::Acting) => {
                self.act(now, effects);
                self.say_trouble(now, effects);
            }
            (ASK, Busy::Waiting) => self.keep_waiting(now, effects),
            (DEADLINE, Busy::Waiting) => self.deadline(now, effects),
            _ => {}
        }
    }

    pub(super) fn on_message(&mut self, from: NodeId, message: Message, now: Now, effects: &mut Effects) {
        match message {
            Message::Deployment(message) => {
                if let deployment::Message::Accepted { number } = *message {
                    self.confirmed(Given::Order(number), effects);
                }
            }
            Message::Switch(message) => {
                if let switch::Message::Changed { number, .. } = *message {
                    self.confirmed(Given::Change(number), effects);
                }
            }
            Message::Report(id, report) => {
                let news = self.volatile.reports.tell(from, id, *report, now.elapsed);
                if news && self.volatile.busy == Busy::Waiting {
                    self.consider(now, effects);
                }
            }
            Message::KafkaResponse(id, response) => {
                let Volatile { admin, ids, .. } = &mut self.volatile;
                let mut desk = Desk { now, wiring: &self.wiring, ids, effects };
                if admin.answer(from, id, *response, &mut desk) {
                    self.kafka_told(now, effects);
                }
            }
            Message::CorgiResponse(id, response) => {
                self.corgi_told(from, id, &response, effects);
                self.master_told(id, &response, effects);
            }
            Message::Redis(message) => self.redis_told(from, *message, now, effects),
            Message::Rewind(message) => self.instance_told(*message, now, effects),
            _ => {}
        }
    }

    /// The monitoring stands still, or goes on: then he looks at once.
    pub(super) fn befall(&mut self, incident: Incident, now: Now, effects: &mut Effects) {
        let Volatile { reports, admin, .. } = &mut self.volatile;
        match incident {
            Incident::ReportsStale => {
                reports.stand_still();
                // The tool with which he prepares offsets is his own, and no part of it.
                if let Goal::Figures(_) = admin.goal {
                    admin.rest();
                }
            }
            Incident::ReportsFresh => {
                reports.go_on();
                if self.volatile.busy == Busy::Waiting {
                    self.ask(now, effects);
                }
            }
            _ => {}
        }
    }

    pub(super) fn kafka_told(&mut self, now: Now, effects: &mut Effects) {
        match (self.volatile.busy, &self.volatile.admin.goal) {
            (Busy::Waiting, _) => {
                self.consider(now, effects);
            }
            (Busy::Acting, Goal::Prepare(preparation)) if preparation.done => {
                if preparation.only_looks_up() {
                    self.offsets_looked_up(now, effects);
                } else {
                    self.volatile.admin.rest();
                    self.act_done(effects);
                }
            }
            (Busy::Acting, Goal::Widen(widening)) if widening.done => {
                self.volatile.admin.rest();
                self.act_done(effects);
            }
            (Busy::Acting, _) => self.say_trouble(now, effects),
            (Busy::Between, _) => {}
        }
    }

    /// Say why an act does not succeed: Kafka's refusal at once, everything again every minute.
    pub(super) fn say_trouble(&mut self, now: Now, effects: &mut Effects) {
        let refusal = match &self.volatile.admin.goal {
            Goal::Prepare(preparation) => preparation.trouble.clone(),
            Goal::Widen(widening) => widening.trouble.clone(),
            Goal::Idle | Goal::Figures(_) => None,
        };
        let at_once = refusal.is_some() && !self.volatile.trouble_said;
        if !at_once && now.elapsed.since(self.volatile.said_at) < SAY_EVERY {
            return;
        }
        let because = match (refusal, self.durable.given) {
            (Some(refusal), _) => refusal,
            (None, Some(Given::Order(_))) => "the deployment has not accepted the order".to_owned(),
            (None, Some(Given::Change(_))) => "the switch centre has not taken the change".to_owned(),
            (None, None) => match &self.durable.rewinding {
                Some(rewinding) if rewinding.knows_where_to() => rewinding.because(&self.wiring),
                _ => self
                    .widening_trouble()
                    .or_else(|| self.resetting_trouble())
                    .unwrap_or_else(|| "Kafka does not answer".to_owned()),
            },
        };
        let act = self.act_here().map(Act::to_string).unwrap_or_default();
        self.volatile.trouble_said = true;
        self.say(act, because, now, effects);
    }
}
