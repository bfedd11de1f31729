//! Each hazard's case breaks what it is there to break, for the reason that it names, by one setting, step or fault; with that put
//! right, everything holds under the same seeds, faults and plan.

mod common;

use common::shipped;
use common::sweeps::fails_by_one_setting;
use cutover_model::application::producer_settings::Selector;
use cutover_model::check::Guarantee;
use cutover_model::client::kafka_consumer_settings::AutoOffsetReset;
use cutover_model::corgi::settings::{AfterDiskLoss, Fill, Promote, Replication, Visible};
use cutover_model::mirror::PartitionMap;
use cutover_model::mirror::settings::{Commit, OnFailure};
use cutover_model::units::{Bytes, Span};

#[test]
fn one_brokers_word_loses_what_a_frozen_leader_acknowledges() {
    let words = ["stands still", "one broker's word alone", "begins to lead", ", which stood at offset"];
    fails_by_one_setting("acks-one", 0..12, Guarantee::AtLeastOnce, &words, |case| {
        case.producers.kafka.acks = cutover_model::kafka::protocol::Acks::All;
    });
}

#[test]
fn an_unclean_election_loses_what_the_others_acknowledged() {
    let words = ["crashes", "in sync for", "an unclean election makes kafka-", ": without p"];
    fails_by_one_setting("unclean-election", 48..58, Guarantee::AtLeastOnce, &words, |case| {
        case.kafka.unclean_leader_election = false;
    });
}

#[test]
fn a_mirror_that_numbers_nothing_puts_batches_back_behind_later_ones() {
    let words = ["again: ", "not idempotent", "has copied"];
    fails_by_one_setting("mirror-not-idempotent", 0..13, Guarantee::Order, &words, |case| {
        case.mirror.kafka.idempotence = Some(true);
    });
}

#[test]
fn a_mirror_that_commits_early_loses_what_its_death_finds_in_its_buffer() {
    let words =
        ["nothing passes between every mirror and every kafka-broker", "commits Corgi", "mirror-0 crashes"];
    fails_by_one_setting("mirror-commits-early", 0..8, Guarantee::AtLeastOnce, &words, |case| {
        case.mirror.commit = Commit::AfterAcknowledgement;
    });
}

#[test]
fn a_mirror_that_goes_on_without_what_it_gave_up_loses_it() {
    let words = ["nothing passes between every mirror and every kafka-broker", "up and goes on without it"];
    fails_by_one_setting("mirror-skips", 0..8, Guarantee::AtLeastOnce, &words, |case| {
        case.mirror.on_failure = OnFailure::Stop;
    });
}

#[test]
fn a_record_that_is_sent_again_comes_behind_what_the_producer_had() {
    let words = ["nothing passes between every mirror and every kafka-broker", "has copied"];
    fails_by_one_setting("mirror-gives-up", 0..20, Guarantee::Order, &words, |case| {
        case.mirror.kafka.delivery_timeout = Span::millis(2_147_483_647);
    });
}

#[test]
fn a_record_that_kafka_refuses_stops_the_mirror_for_good() {
    let words = ["into Kafka, and exits"];
    fails_by_one_setting("mirror-poisoned", 0..8, Guarantee::Progress, &words, |case| {
        case.corgi.max_record_bytes = Bytes(1 << 20);
    });
}

#[test]
fn a_retention_that_overtakes_the_mirror_deletes_what_it_has_not_copied() {
    let words = ["crashes", "Corgi acknowledges", "begins at offset"];
    fails_by_one_setting("corgi-retention", 0..8, Guarantee::AtLeastOnce, &words, |case| {
        case.corgi.retention.age = None;
    });
}

#[test]
fn a_master_with_an_empty_disk_that_serves_has_nothing() {
    let words = ["the disk of corgi-"];
    fails_by_one_setting("corgi-empty-disk", 0..8, Guarantee::AtLeastOnce, &words, |case| {
        case.corgi.after_disk_loss = AfterDiskLoss::Follow;
    });
}

#[test]
fn a_slave_that_is_filled_with_the_last_file_lacks_the_others() {
    let words = ["dies, and its disk with it", "begins at offset", "is led by corgi-0-1"];
    fails_by_one_setting("corgi-last-file", 0..8, Guarantee::AtLeastOnce, &words, |case| {
        case.corgi.fill = Fill::Everything;
    });
}

/// Its twin waits for the last of them before it stops Corgi.
#[test]
fn a_corgi_that_is_stopped_takes_along_what_is_not_due() {
    let words = ["to be read after"];
    fails_by_one_setting("corgi-delayed", 0..8, Guarantee::AtLeastOnce, &words, |case| {
        case.plan = shipped("corgi-delayed-drained").plan;
    });
}

#[test]
fn a_scattered_source_partition_is_read_in_any_order() {
    fails_by_one_setting("mirror-scatters", 0..8, Guarantee::Order, &["from Kafka"], |case| {
        case.mirror.partition_map = PartitionMap::Same;
    });
}

#[test]
fn a_hash_over_another_count_scatters_a_source_partition() {
    fails_by_one_setting("mirror-hashes", 0..8, Guarantee::Order, &["from Kafka"], |case| {
        case.topics.iter_mut().for_each(|topic| topic.target_partitions = Some(topic.partitions));
    });
}

#[test]
fn another_selector_than_the_mirrors_splits_a_source_partition_at_the_switch() {
    let words = ["Kafka acknowledges", "from Kafka"];
    fails_by_one_setting("selector-differs", 0..8, Guarantee::Order, &words, |case| {
        case.producers.application.selector = Selector::Mirror;
    });
}

#[test]
fn offsets_by_the_time_of_a_wrong_clock_lie_too_late() {
    let words = ["clock", "prepares the offsets of ledger"];
    fails_by_one_setting("mirror-clock", 0..12, Guarantee::AtLeastOnce, &words, |case| {
        case.mirror.carry_create_time = true;
    });
}

#[test]
fn offsets_prepared_at_the_end_pass_over_what_the_old_instances_left() {
    let words = ["stands still", "prepares the offsets of fulfilment in Kafka at the end of the log"];
    fails_by_one_setting("offsets-too-late", 0..12, Guarantee::AtLeastOnce, &words, |case| {
        case.plan = shipped("article-guarded").plan;
    });
}

#[test]
fn a_group_without_an_offset_begins_at_the_end() {
    fails_by_one_setting("reset-to-latest", 0..12, Guarantee::AtLeastOnce, &["in Kafka"], |case| {
        case.groups.iter_mut().for_each(|group| group.kafka.auto_offset_reset = AutoOffsetReset::Earliest);
    });
}

#[test]
fn a_pause_that_belongs_to_the_assignment_ends_with_it() {
    let words = ["the operator pauses", "from Corgi", "from Kafka"];
    fails_by_one_setting("pause-lost", 0..8, Guarantee::Exclusive, &words, |case| {
        case.groups.iter_mut().for_each(|group| group.application.pause_survives_reassignment = true);
    });
}

#[test]
fn a_group_that_goes_on_when_it_is_upgraded_works_beside_its_old_instances() {
    let words = ["lets ", "from Corgi", "from Kafka"];
    fails_by_one_setting("resumed-when-upgraded", 0..8, Guarantee::Exclusive, &words, |case| {
        case.plan = shipped("article-guarded").plan;
    });
}

#[test]
fn a_corgi_that_answers_before_a_slave_has_the_record_loses_it_with_the_master() {
    let words =
        ["nothing passes between the master of", "crashes", "Corgi acknowledges", "is led by corgi-0-1"];
    fails_by_one_setting("corgi-asynchronous", 40..52, Guarantee::AtLeastOnce, &words, |case| {
        case.corgi.replication = Replication::One;
    });
}

#[test]
fn the_wrong_slave_lacks_what_the_other_acknowledged() {
    let words =
        ["nothing passes between a slave of", "Corgi acknowledges", "is led by corgi-0-", "loses offset"];
    fails_by_one_setting("corgi-wrong-slave", 30..42, Guarantee::AtLeastOnce, &words, |case| {
        case.corgi.on_call.promote = Promote::Freshest;
    });
}

/// With the patience to wait for the others, their logs are complete.
#[test]
fn the_slave_that_is_left_over_lacks_what_the_other_acknowledged() {
    let words = ["corgi-0-2 stands still", "Corgi acknowledges", "is led by corgi-0-2", "loses offset"];
    fails_by_one_setting("corgi-left-over", 0..12, Guarantee::AtLeastOnce, &words, |case| {
        case.corgi.on_call.patience = None;
    });
}

#[test]
fn a_returning_master_that_keeps_its_tail_acknowledges_what_it_lacks() {
    let words =
        ["corgi-0-0 crashes", "Corgi acknowledges", "is led by corgi-0-0 (epoch 3)", "for the mirror"];
    fails_by_one_setting("corgi-no-truncation", 0..12, Guarantee::AtLeastOnce, &words, |case| {
        case.corgi.truncate_on_return = true;
    });
}

/// Epochs alone, or a fence alone, would do.
#[test]
fn two_masters_cut_what_the_other_took() {
    let words = ["the master of corgi-0 stands still", "is led by corgi-0-"];
    fails_by_one_setting("corgi-two-masters", 2..14, Guarantee::AtLeastOnce, &words, |case| {
        case.corgi.epochs = true;
    });
    fails_by_one_setting("corgi-two-masters", 2..14, Guarantee::Order, &["loses offset"], |case| {
        case.corgi.on_call.fence = true;
    });
}

#[test]
fn a_master_that_forgot_its_leases_grants_what_is_held() {
    let words = ["in Corgi"];
    fails_by_one_setting("corgi-no-lease-grace", 0..12, Guarantee::Exclusive, &words, |case| {
        case.corgi.lease_grace = Span::secs(60);
    });
}

#[test]
fn a_reader_beyond_the_new_masters_end_passes_over_what_it_takes() {
    let words = ["crashes", "is led by corgi-0-1", "it stands beyond offset", "it goes on beyond offset"];
    fails_by_one_setting("corgi-beyond-end", 0..8, Guarantee::AtLeastOnce, &words, |case| {
        case.corgi.visible = Visible::Acknowledged;
    });
}

#[test]
fn copies_as_old_as_their_records_are_deleted_at_the_next_look() {
    let words = ["mirror-", "has copied", "begins at offset"];
    fails_by_one_setting("mirror-old-times", 0..8, Guarantee::AtLeastOnce, &words, |case| {
        case.mirror.carry_create_time = false;
    });
}

#[test]
fn a_rebalance_in_mid_batch_lets_later_copies_land_first() {
    let words = ["mirror-1 is restarted", "messages between mirror-0 and every kafka-broker come late"];
    fails_by_one_setting("mirror-rebalances", 0..8, Guarantee::Order, &words, |case| {
        case.mirror.commit = Commit::AfterAcknowledgement;
    });
}

/// Its twin sets them by the time.
#[test]
fn a_group_whose_offsets_are_not_translated_back_reads_everything_since_it_left_again() {
    let words = ["to read from Corgi", "back to the OldClient"];
    fails_by_one_setting("rolled-back-offsets", 0..8, Guarantee::BoundedReplay, &words, |case| {
        case.plan = shipped("rolled-back-whole").plan;
    });
}

#[test]
fn a_command_for_a_dead_instance_reaches_whoever_has_its_address() {
    let words =
        ["ledger-new-2 listens at", "the address that fulfilment-new-2 had", "sent to fulfilment-new-2"];
    fails_by_one_setting("rewind-reused-address", 0..8, Guarantee::Rewind, &words, |case| {
        case.groups.iter_mut().for_each(|group| group.application.rewind.check_instance = true);
    });
}

#[test]
fn a_rewind_to_a_moment_passes_over_what_a_wrong_clock_has_stamped() {
    let words = ["the clock of mirror-", "begins rewind 1 of fulfilment to 05:10", "goes back in"];
    fails_by_one_setting("rewind-mirror-clock", 0..8, Guarantee::Rewind, &words, |case| {
        case.mirror.carry_create_time = true;
    });
}

#[test]
fn a_promoted_slave_without_the_offsets_has_the_mirror_begin_again() {
    fails_by_one_setting("corgi-offsets-back", 0..8, Guarantee::BoundedReplay, &["is led by"], |case| {
        case.corgi.offset_copy_interval = Span::secs(10);
    });
}
