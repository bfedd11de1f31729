//! What became of the records that were sent, and of the transactions: acknowledged, skipped, sent again, or the worker's end.

use super::{RETRY, Turn};
use crate::client::{Consumer, Producer, SendOutcome};
use crate::history::Event;
use crate::mirror::ledger::Transfer;
use crate::mirror::settings::OnFailure;
use crate::mirror::transaction::{Notice, Transactions};
use crate::mirror::worker::Direction;
use crate::record::{Offset, Queue, Record, TopicPartition};

impl<C: Consumer + Clone, P: Producer> Turn<'_, C, P> {
    pub(super) fn take_notices(&mut self) {
        while !self.exits
            && let Some(notice) = self.worker.transactions.as_mut().and_then(Transactions::notice)
        {
            match notice {
                Notice::Adopted(partition, position) => self.adopted(partition, position),
                Notice::Copied(token, target, offset) => {
                    if let Some((transfer, counts)) = self.worker.ledger.settled(token) {
                        self.acknowledged(&transfer, counts, target, offset);
                    }
                }
                Notice::Committed(positions) => {
                    for (source, offset) in positions {
                        self.effects.record(self.committed_event(source, offset));
                    }
                }
                Notice::GivenUp(token) => {
                    if let Some((transfer, counts)) = self.worker.ledger.settled(token) {
                        self.given_up(transfer, counts);
                    }
                }
                Notice::Dropped(token) => {
                    self.worker.ledger.settled(token);
                }
                Notice::Fenced(partitions) => self.fenced(partitions),
                Notice::Broken(error) => {
                    self.effects.record(Event::TransactionsRefused { error });
                    self.exits = true;
                }
            }
        }
    }

    /// A partition is read from the position in the target on, whatever is committed in the source, and from the start where
    /// the target has none (Connect's source tasks seek to what their topic of offsets says).
    fn adopted(&mut self, partition: TopicPartition, position: Offset) {
        self.worker.adopting.remove(&partition);
        if self.worker.ledger.holds(partition) {
            let start = position.max(0);
            self.worker.consumer.seek(self.now, partition, start, self.effects);
            self.worker.ledger.go_on_at(partition, start);
        }
    }

    pub(super) fn take_outcomes(&mut self) {
        while !self.exits
            && let Some((token, outcome)) = self.worker.producer.outcome()
        {
            let Some((transfer, counts)) = self.worker.ledger.settled(token) else {
                continue;
            };
            match outcome {
                SendOutcome::Acknowledged(target, offset) => {
                    self.acknowledged(&transfer, counts, target, offset)
                }
                SendOutcome::Refused | SendOutcome::TooLarge | SendOutcome::Indeterminate => {
                    self.given_up(transfer, counts);
                }
            }
        }
    }

    fn acknowledged(
        &mut self,
        transfer: &Transfer,
        counts: bool,
        target: TopicPartition,
        target_offset: Offset,
    ) {
        let Transfer { source, source_offset, record, .. } = *transfer;
        let record = record.id;
        self.effects.record(match self.wiring.direction {
            Direction::IntoKafka => Event::Copied { record, source, source_offset, target, target_offset },
            Direction::BackIntoCorgi => {
                Event::CopiedBack { record, source, source_offset, target, target_offset }
            }
        });
        if counts {
            self.worker.ledger.done(source, source_offset);
            self.set_commit_timer();
        }
    }

    /// The producer gave a record up. An indeterminate one may be in the log all the same (mirror 3c).
    fn given_up(&mut self, transfer: Transfer, counts: bool) {
        let Transfer { source, source_offset, record: Record { id: record, .. }, .. } = transfer;
        match self.settings.on_failure {
            OnFailure::Stop => {
                self.effects.record(match self.wiring.direction {
                    Direction::IntoKafka => Event::StoppedAt { record, source, source_offset },
                    Direction::BackIntoCorgi => Event::StoppedBackAt { record, source, source_offset },
                });
                self.exits = true;
            }
            OnFailure::Skip => {
                self.effects.record(match self.wiring.direction {
                    Direction::IntoKafka => Event::Skipped { record, source, source_offset },
                    Direction::BackIntoCorgi => Event::SkippedBack { record, source, source_offset },
                });
                if counts {
                    self.worker.ledger.done(source, source_offset);
                    self.set_commit_timer();
                }
            }
            OnFailure::Retry if counts => {
                let from = match self.wiring.direction {
                    Direction::IntoKafka => Queue::Corgi,
                    Direction::BackIntoCorgi => Queue::Kafka,
                };
                self.effects.record(Event::CopyFailed { record, from, source, source_offset });
                self.worker.ledger.failed(transfer);
                self.set_retry_timer();
            }
            // The new owner copies it: a retry belongs to the worker, which has dropped the partition.
            OnFailure::Retry => {}
        }
    }

    /// In order: a partition's failed records go again when the producer has nothing more of that partition.
    pub(super) fn send_again(&mut self) {
        self.worker.retry_timer_set = false;
        for transfer in self.worker.ledger.take_failed() {
            self.send(transfer);
        }
        if self.worker.ledger.any_blocked() {
            self.set_retry_timer();
        }
    }

    fn set_retry_timer(&mut self) {
        if !self.worker.retry_timer_set {
            self.worker.retry_timer_set = true;
            self.effects.set_timer(RETRY, self.settings.retry_after);
        }
    }

    pub(super) fn committed_event(&self, source: TopicPartition, offset: Offset) -> Event {
        match self.wiring.direction {
            Direction::IntoKafka => Event::MirrorCommitted { source, offset },
            Direction::BackIntoCorgi => Event::CommittedBack { source, offset },
        }
    }
}
