//! Rare branches of the systems' own timing, on two levels: a seed decides which branches are live in its run at all and how
//! likely each is, and each occasion then takes its branch or does not.

use super::World;
use crate::faults::settings::Rare as Settings;
use crate::random::Stream;
use cutover_model::history::Event;
use cutover_model::incident::RareBranch;
use cutover_model::machine::Machine;
use cutover_model::message::Message;
use cutover_model::record::NodeId;
use cutover_model::units::Span;
use serde::Serialize;
use strum::IntoEnumIterator;

/// The rare branches of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rare {
    /// The branches that are live, each with how many of a million occasions take it.
    live: Vec<(RareBranch, u32)>,
    late: Span,
    stream: Stream,
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is replaced by another one.
    Shortened(Message),
    /// It is sent so much later.
    Late(Span),
    /// It is not sent: its receiver's own time-out runs out.
    Withheld,
    /// It is not sent, and the connection is closed, as if its receiver's time-out had run out already.
    GivenUp,
}

/// A client of Kafka that times out closes the connection, and with it gives up all that was on its way. One of Corgi's waits for each
/// answer by itself, and misses this one alone.
fn timed_out(message: &Message) -> Turn {
    if matches!(message, Message::KafkaResponse(..)) { Turn::GivenUp } else { Turn::Withheld }
}

impl Rare {
    /// Draw what is live in a run.
    pub fn draw(settings: &Settings, mut stream: Stream) -> Rare {
        let mut live = Vec::new();
        for branch in RareBranch::iter() {
            let is_live = stream.chance(settings.live_per_million);
            let per_million = 1 + stream.below(u64::from(settings.per_million)) as u32;
            if is_live {
                live.push((branch, per_million));
            }
        }
        Rare { live, late: settings.late, stream }
    }

    /// What becomes of a message, where it takes a branch.
    pub(super) fn turn(&mut self, message: &Message) -> Option<(RareBranch, Turn)> {
        for (branch, per_million) in &self.live {
            let is_about = match branch {
                RareBranch::ShortFetch => message.is_fetch(),
                RareBranch::LateAcknowledgement | RareBranch::SpuriousTimeOut => message.is_acknowledgement(),
            };
            if is_about && self.stream.chance(*per_million) {
                let turn = match branch {
                    RareBranch::ShortFetch => Turn::Shortened(message.shortened()),
                    RareBranch::LateAcknowledgement => {
                        Turn::Late(self.stream.between(Span::millis(1), self.late))
                    }
                    RareBranch::SpuriousTimeOut => timed_out(message),
                };
                return Some((*branch, turn));
            }
        }
        None
    }
}

impl<M: Machine> World<M> {
    /// A message takes one of the rare branches.
    #[cold]
    pub(super) fn send_rarely(
        &mut self,
        from: NodeId,
        to: NodeId,
        message: Message,
        branch: RareBranch,
        turn: Turn,
    ) {
        self.write(from, Event::Rare { branch });
        match turn {
            Turn::Shortened(message) => self.transmit(from, to, message, Span::ZERO),
            Turn::Late(span) => self.transmit(from, to, message, span),
            Turn::Withheld => {}
            Turn::GivenUp => {
                self.disconnect(from, to);
                self.tell_disconnected(from, to);
                self.tell_disconnected(to, from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Streams;
    use cutover_model::corgi::protocol::{Request, Response};
    use cutover_model::machine::RequestId;
    use cutover_model::record::{GroupId, TopicPartition};

    fn rare(seed: u64, live_per_million: u32) -> Rare {
        let settings = Settings { live_per_million, per_million: 1_000_000, ..Settings::default() };
        Rare::draw(&settings, Streams::new(seed).stream("rare"))
    }

    fn taken(rare: &mut Rare, message: &Message) -> Vec<RareBranch> {
        (0..200).filter_map(|_| rare.turn(message)).map(|(branch, _)| branch).collect()
    }

    #[test]
    fn a_seed_has_some_of_the_branches_and_none_without_a_chance() {
        let live: Vec<usize> = (0..200).map(|seed| rare(seed, 500_000).live.len()).collect();
        assert!((0..=3).all(|count| live.contains(&count)));
        assert!((0..200).all(|seed| rare(seed, 0).live.is_empty()));
    }

    #[test]
    fn each_branch_is_taken_by_the_messages_that_it_is_about() {
        let pull = Request::Pull {
            group: GroupId(0),
            partition: TopicPartition::new(0, 0),
            offset: 0,
            max_records: 32,
        };
        let pull = Message::CorgiRequest(RequestId::default(), Box::new(pull));
        let commit = Message::CorgiResponse(RequestId::default(), Box::new(Response::Commit));
        let mut rare = rare(1, 1_000_000);
        let of_pull = taken(&mut rare, &pull);
        assert!(!of_pull.is_empty() && of_pull.iter().all(|branch| *branch == RareBranch::ShortFetch));
        let of_commit = taken(&mut rare, &commit);
        assert!(of_commit.contains(&RareBranch::LateAcknowledgement));
        assert!(of_commit.contains(&RareBranch::SpuriousTimeOut));
        assert!(taken(&mut rare, &Message::ReportRequest(RequestId::default())).is_empty());
    }
}
