//! From the start of a consumer application to its exit, and from one queue to the other.

use super::{CLOSE, ConsumerApplication, Library, STOP, SUBSCRIBE, Volatile};
use crate::application::ConsumerLibrary;
use crate::deployment;
use crate::history::Event;
use crate::machine::{Effects, Now, Process};
use crate::message::Message;
use crate::record::Queue;
use crate::units::Span;
use serde::Serialize;

/// Where an instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Stage {
    /// It has not heard the switches, and consumes nothing.
    Waiting,
    /// It consumes.
    Reading,
    /// It hands nothing more out, and finishes what is in process.
    Finishing,
    /// It has committed, and waits for the answers before it closes the library.
    Closing,
    /// It has exited.
    Exited,
}

impl<C: ConsumerLibrary, K: ConsumerLibrary> ConsumerApplication<C, K> {
    pub(super) fn start(&mut self, now: Now, incarnation: u32, effects: &mut Effects) {
        self.volatile.incarnation = incarnation;
        self.subscribe(effects);
        if self.setup.switch_centre.is_none() || self.settings.start_without_switches {
            self.volatile.subscription.assume_defaults();
            self.obey_pause(now, effects);
        }
    }

    pub(super) fn subscribe(&mut self, effects: &mut Effects) {
        if let Some(centre) = self.setup.switch_centre {
            self.volatile.subscription.ask(centre, &self.settings.switches, effects);
        }
    }

    pub(super) fn asked_to_stop(&mut self, effects: &mut Effects) {
        if std::mem::replace(&mut self.volatile.is_asked_to_stop, true) {
            return;
        }
        if self.settings.stop_delay == Span::ZERO {
            self.volatile.stopping = true;
        } else {
            effects.set_timer(STOP, self.settings.stop_delay);
        }
    }

    /// Tell the deployment that it has started, if it has.
    pub(super) fn say_ready(&self, effects: &mut Effects) {
        if self.volatile.stage == Stage::Reading && !self.volatile.stopping {
            let ready = Message::Deployment(Box::new(deployment::Message::Ready));
            effects.send(self.setup.deployment, ready);
        }
    }

    /// Do everything that has become possible.
    pub(super) fn go_on(&mut self, now: Now, effects: &mut Effects) {
        if !self.reads_in_vain() {
            self.go_through(now, effects);
        }
        self.say_paused(effects);
    }

    /// Whether it reads, is to go on reading there, and finds nothing: most inputs leave it so.
    fn reads_in_vain(&self) -> bool {
        let Volatile { stage, stopping, revoked, opened, .. } = &self.volatile;
        *stage == Stage::Reading
            && !*stopping
            && revoked.is_empty()
            && opened
                .as_ref()
                .is_some_and(|library| library.is_quiet() && library.queue() == self.is_to_read())
    }

    fn go_through(&mut self, now: Now, effects: &mut Effects) {
        self.take_assignments(now, effects);
        self.release_revoked(now, effects);
        loop {
            self.move_on(now, effects);
            // What is handed out may end a poll, and then the library has more to tell.
            if !self.take_assignments(now, effects) {
                break;
            }
        }
    }

    /// From stage to stage, as far as it goes now.
    fn move_on(&mut self, now: Now, effects: &mut Effects) {
        loop {
            let stage = self.volatile.stage;
            match stage {
                Stage::Waiting => self.leave_waiting(now, effects),
                Stage::Reading => self.go_on_reading(now, effects),
                Stage::Finishing => self.go_on_finishing(now, effects),
                Stage::Closing => self.go_on_closing(now, effects),
                Stage::Exited => {}
            }
            if self.volatile.stage == stage {
                return;
            }
        }
    }

    fn leave_waiting(&mut self, now: Now, effects: &mut Effects) {
        if self.volatile.stopping {
            self.exit(effects);
        } else if self.volatile.subscription.switches().is_some() {
            self.open_library(now, effects);
            self.volatile.stage = Stage::Reading;
            self.say_ready(effects);
        }
    }

    fn go_on_reading(&mut self, now: Now, effects: &mut Effects) {
        let reads_elsewhere =
            self.volatile.opened.as_ref().is_some_and(|library| library.queue() != self.is_to_read());
        if self.volatile.stopping || reads_elsewhere {
            self.volatile.stage = Stage::Finishing;
        } else {
            self.hand_out(now, effects);
        }
    }

    fn go_on_finishing(&mut self, now: Now, effects: &mut Effects) {
        if self.volatile.tasks.is_empty() {
            self.commit_everything(now, effects);
            self.volatile.stage = Stage::Closing;
            effects.set_timer(CLOSE, self.settings.close_timeout);
        }
    }

    fn go_on_closing(&mut self, now: Now, effects: &mut Effects) {
        let is_committing = match &self.volatile.opened {
            Some(Library::Corgi(corgi)) => corgi.committing(),
            Some(Library::Kafka(kafka)) => kafka.committing(),
            None => false,
        };
        if !is_committing {
            effects.cancel_timer(CLOSE);
            self.close_library(now, effects);
        }
    }

    /// Leave the group in the queue that it reads from, and go where it is to go.
    pub(super) fn close_library(&mut self, now: Now, effects: &mut Effects) {
        if self.volatile.stage != Stage::Closing {
            return;
        }
        if let Some(mut library) = self.volatile.opened.take() {
            self.deregister(effects);
            library.consumer().close(now, effects);
            let partitions =
                std::mem::take(&mut self.volatile.tracks).into_iter().map(|(at, _)| at).collect::<Vec<_>>();
            if !partitions.is_empty() {
                let (group, queue) = (self.setup.group, library.queue());
                effects.record(Event::Revoked { group, queue, partitions, orderly: true });
            }
            self.volatile.revoked.clear();
        }
        if self.volatile.stopping {
            self.exit(effects);
        } else {
            self.volatile.stage = Stage::Waiting;
        }
    }

    fn exit(&mut self, effects: &mut Effects) {
        effects.cancel_timer(SUBSCRIBE);
        let exiting = Message::Deployment(Box::new(deployment::Message::Exiting));
        effects.send(self.setup.deployment, exiting);
        effects.processes.push(Process::Exit);
        self.volatile.stage = Stage::Exited;
    }

    /// Start a library for the queue that the switches name.
    fn open_library(&mut self, now: Now, effects: &mut Effects) {
        let mut library = match self.is_to_read() {
            Queue::Corgi => Library::Corgi(self.corgi_template.clone()),
            Queue::Kafka => Library::Kafka(self.kafka_template.clone()),
        };
        // Each library of a process has a life of its own, so that the answers to an earlier one's requests are not
        // taken for its own.
        let life = self.volatile.incarnation | self.volatile.libraries_started << 20;
        self.volatile.libraries_started += 1;
        let consumer = library.consumer();
        consumer.start(now, life, effects);
        if self.volatile.obeyed_pause {
            consumer.pause(now, effects);
        }
        self.volatile.opened = Some(library);
        self.volatile.first_assignment = None;
        self.register(effects);
    }

    /// Bring the pause in line with the switches. What is in process is finished all the same.
    pub(super) fn obey_pause(&mut self, now: Now, effects: &mut Effects) {
        let pauses = self.is_to_pause();
        if self.volatile.obeyed_pause == pauses {
            return;
        }
        self.volatile.obeyed_pause = pauses;
        if !pauses && std::mem::take(&mut self.volatile.said_paused) {
            effects.record(Event::Paused { group: self.setup.group, paused: false });
        }
        self.volatile.tracks.iter_mut().for_each(|(_, track)| track.is_paused = pauses);
        let Some(library) = &mut self.volatile.opened else { return };
        match pauses {
            true => library.consumer().pause(now, effects),
            false => library.consumer().resume(now, effects),
        }
    }

    /// Write a pause into the history when nothing is in process any more.
    fn say_paused(&mut self, effects: &mut Effects) {
        if !self.volatile.said_paused && self.volatile.tasks.is_empty() && self.is_to_pause() {
            self.volatile.said_paused = true;
            effects.record(Event::Paused { group: self.setup.group, paused: true });
        }
    }
}
