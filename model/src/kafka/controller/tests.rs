//! Elections, decided alone.

use super::elections::settled;
use crate::kafka::cluster::PartitionState;
use crate::kafka::protocol::BrokerId;

fn state(isr: &[u32]) -> PartitionState {
    let replicas = [1, 2, 3].map(BrokerId).to_vec();
    PartitionState { isr: isr.iter().map(|id| BrokerId(*id)).collect(), ..PartitionState::new(replicas) }
}

#[test]
fn the_first_replica_in_sync_that_lives_leads_next() {
    let next = settled(&state(&[1, 2, 3]), vec![BrokerId(2), BrokerId(3)], false, |id| id.0 != 1);
    assert_eq!((next.leader, next.leader_epoch), (Some(BrokerId(2)), 1));
}

#[test]
fn a_follower_that_leaves_does_not_count_up_the_leader_epoch() {
    let next = settled(&state(&[1, 2, 3]), vec![BrokerId(1), BrokerId(2)], false, |id| id.0 != 3);
    assert_eq!((next.leader, next.leader_epoch, next.partition_epoch), (Some(BrokerId(1)), 0, 1));
}

#[test]
fn nobody_leads_when_the_last_in_sync_is_gone_and_the_isr_keeps_him() {
    let next = settled(&state(&[1]), vec![], false, |id| id.0 != 1);
    assert_eq!((next.leader, next.leader_epoch), (None, 1));
    assert_eq!(next.isr, vec![BrokerId(1)]);
}

#[test]
fn an_unclean_election_takes_any_replica_that_lives() {
    let next = settled(&state(&[1]), vec![], true, |id| id.0 == 3);
    assert_eq!((next.leader, next.isr), (Some(BrokerId(3)), vec![BrokerId(3)]));
}
