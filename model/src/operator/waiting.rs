//! Waiting at a gate: asking, judging, giving up.

use crate::history::Event;
use crate::machine::{Effects, Now};
use crate::operator::admin::Desk;
use crate::operator::gates::{Judge, figures_of, witnesses};
use crate::operator::{ASK, Busy, DEADLINE, NEXT, Operator, SAY_EVERY, Stage, Volatile};
use crate::plan::Gate;

impl Operator {
    pub(super) fn reach_gate(&mut self, now: Now, effects: &mut Effects) {
        let wait = self.wait_here().expect("a line is an act or a wait");
        if let Stage::Otherwise(_) = self.durable.stage {
            // All that was to be done instead is done.
            let until = now.elapsed + wait.retry_after;
            effects.set_timer(NEXT, wait.retry_after);
            self.durable.stage = Stage::Rest(until);
            return;
        }
        let reached_at = self.durable.reached_at.unwrap_or(now.elapsed);
        let elapsed = match wait.wait {
            Gate::Elapsed { span } => Some(reached_at + span),
            _ => None,
        };
        let deadline = wait.timeout.map(|timeout| reached_at + timeout);
        self.durable.reached_at = Some(reached_at);
        self.volatile.busy = Busy::Waiting;
        if let Some(at) = elapsed.into_iter().chain(deadline).min() {
            effects.set_timer(DEADLINE, at.since(now.elapsed));
        }
        if !self.consider(now, effects) {
            self.ask(now, effects);
        }
    }

    /// Judge the gate by what is known. Returns whether it is open; then he goes on.
    pub(super) fn consider(&mut self, now: Now, effects: &mut Effects) -> bool {
        if self.judgement(now).is_err() {
            return false;
        }
        let (phase, step) = self.place();
        let waited = now.elapsed.since(self.durable.reached_at.unwrap_or(now.elapsed));
        effects.record(Event::GateOpened { phase, step, waited });
        self.leave_gate(effects);
        self.durable.line += 1;
        self.step_done_next(effects);
        true
    }

    pub(super) fn judgement(&self, now: Now) -> Result<(), String> {
        let wait = self.wait_here().expect("the operator waits at a wait only");
        let reached_at = self.durable.reached_at.unwrap_or(now.elapsed);
        let young = now.elapsed - wait.max_age;
        let judge = Judge {
            wiring: &self.wiring,
            reports: &self.volatile.reports,
            admin: &self.volatile.admin,
            notes: &self.durable.notes,
            now: now.elapsed,
            reached_at,
            since: if wait.fresh { young.max(reached_at) } else { young },
        };
        judge.judge(&wait.wait)
    }

    pub(super) fn leave_gate(&mut self, effects: &mut Effects) {
        self.durable.reached_at = None;
        self.volatile.busy = Busy::Between;
        self.volatile.admin.rest();
        effects.cancel_timer(ASK);
        effects.cancel_timer(DEADLINE);
    }

    /// Ask all whom the gate concerns, now and again after a while.
    pub(super) fn ask(&mut self, now: Now, effects: &mut Effects) {
        let wait = self.wait_here().expect("the operator waits at a wait only");
        let nodes = witnesses(&wait.wait, &self.wiring, &self.durable.notes);
        let figures = figures_of(&wait.wait, &self.wiring, &self.durable.notes);
        let timed = matches!(wait.wait, Gate::Elapsed { .. });
        let oldest = now.elapsed - wait.max_age;
        let Volatile { reports, admin, ids, .. } = &mut self.volatile;
        reports.give_up(oldest);
        reports.ask(&nodes, now.elapsed, ids, effects);
        // Kafka's figures come by the same monitoring.
        if let (Some(reader), false) = (figures, reports.is_stale()) {
            let mut desk = Desk { now, wiring: &self.wiring, ids, effects };
            admin.try_again(self.settings.request_timeout, &mut desk);
            admin.ask_figures(reader, &mut desk);
        }
        effects.set_timer(ASK, if timed { SAY_EVERY } else { self.settings.report_interval });
    }

    pub(super) fn keep_waiting(&mut self, now: Now, effects: &mut Effects) {
        let said = now.elapsed.since(self.volatile.said_at) >= SAY_EVERY;
        if said {
            self.say_why(now, effects);
        }
        self.ask(now, effects);
    }

    /// Say why the gate is shut, if it is.
    fn say_why(&mut self, now: Now, effects: &mut Effects) {
        if let Err(because) = self.judgement(now) {
            let gate = self.wait_here().map(|wait| wait.wait.to_string()).unwrap_or_default();
            self.say(gate, because, now, effects);
        }
    }

    pub(super) fn deadline(&mut self, now: Now, effects: &mut Effects) {
        let wait = self.wait_here().expect("the operator waits at a wait only");
        if matches!(wait.wait, Gate::Elapsed { .. }) && self.consider(now, effects) {
            return;
        }
        self.say_why(now, effects);
        let (phase, step) = self.place();
        effects.record(Event::GateTimedOut { phase, step });
        self.leave_gate(effects);
        self.durable.stage = Stage::Otherwise(0);
        self.step_done_next(effects);
    }

    pub(super) fn say(&mut self, gate: String, because: String, now: Now, effects: &mut Effects) {
        let (phase, step) = self.place();
        self.volatile.said_at = now.elapsed;
        effects.record(Event::GateWaiting { phase, step, gate, because });
    }
}
