//! Each problem, beside a plan that does not have it.

mod cut_off;

use super::*;

fn names() -> Names {
    Names {
        groups: vec!["billing".to_owned(), "audit".to_owned()],
        topics: vec![("payments".to_owned(), 4), ("orders".to_owned(), 8)],
        targets: vec![],
        broker_sets: 2,
        standby_sets: 1,
        ..Names::default()
    }
}

fn lint(steps: &str) -> Vec<PlanProblem> {
    lint_phases(&format!("[[phases]]\nname = \"only\"\nsteps = [{steps}]"))
}

fn lint_phases(text: &str) -> Vec<PlanProblem> {
    let plan: Plan = toml::from_str(text).unwrap();
    plan.lint(&names())
}

/// The one problem of these steps: how bad, in which step, and the message.
fn only(steps: &str) -> (Severity, Option<usize>, String) {
    let problems = lint(steps);
    assert_eq!(problems.len(), 1, "{problems:?}");
    let problem = &problems[0];
    (problem.severity, problem.step, problem.message.clone())
}

fn error(step: usize, message: &str) -> (Severity, Option<usize>, String) {
    (Severity::Error, Some(step), message.to_owned())
}

fn warning(step: usize, message: &str) -> (Severity, Option<usize>, String) {
    (Severity::Warning, Some(step), message.to_owned())
}

fn clean(steps: &str) {
    assert_eq!(lint(steps), []);
}

const WHOLE: &str = r#"
    [[phases]]
    name = "dual-write"
    steps = [
        { do = "start-mirror" },
        { wait = { for = "mirror-ready" } },
        { wait = { for = "mirror-lag", at-most = 100 } },
    ]
    [[phases]]
    name = "cut-read"
    not-before = "2m"
    steps = [
        { do = "pause", group = "billing" },
        { do = "prepare-offsets", group = "billing", from = { ago = "60s" } },
        { do = "roll-out", group = "billing" },
        { wait = { for = "upgraded", group = "billing" }, max-age = "10s", fresh = true },
        { wait = { for = "old-stopped", group = "billing" }, fresh = true },
        { wait = { for = "paused", group = "billing" }, fresh = true },
        { do = "switch-read", group = "billing", to = "kafka" },
        { wait = { for = "reading", group = "billing", from = "kafka" }, fresh = true },
        { do = "resume", group = "billing" },
        { do = "roll-out", group = "audit", order = "stop-first" },
        { do = "switch-read", group = "audit", to = "kafka" },
        { wait = { for = "group-lag", group = "audit", at-most = 10 } },
    ]
    [[phases]]
    name = "cut-write"
    not-before = "4m"
    steps = [
        { wait = { for = "only-mirror-reads" } },
        { do = "hold" },
        { wait = { for = "held" }, fresh = true, timeout = "30s", otherwise = [{ do = "release" }], retry-after = "1m", back = 1 },
        { wait = { for = "mirror-drained" }, fresh = true },
        { do = "switch-write", to = "kafka" },
        { wait = { for = "writing", to = "kafka" }, fresh = true },
        { do = "release" },
    ]
    [[phases]]
    name = "retire"
    steps = [
        { wait = { for = "elapsed", span = "1m" } },
        { do = "stop-mirror" },
        { wait = { for = "nobody-reads" } },
        { do = "stop-corgi" },
    ]
"#;

#[test]
fn a_whole_plan_has_no_problem() {
    assert_eq!(lint_phases(WHOLE), []);
    assert_eq!(Plan::default().lint(&names()), []);
}

#[test]
fn an_unknown_group_is_named_with_the_nearest_known() {
    let problems = lint("{ do = \"start-mirror\" }, { do = \"roll-out\", group = \"biling\" }");
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].to_string(), "phase 1, step 2: there is no group `biling`");
    assert_eq!(problems[0].help, "Did you mean `billing`?");
    let problems = lint("{ wait = { for = \"upgraded\", group = \"warehouse\" } }");
    assert_eq!(problems[0].help, "The case names billing, audit");
    let within = lint(
        "{ do = \"hold\" }, { wait = { for = \"held\" }, timeout = \"1m\", otherwise = [{ do = \"resume\", group = \"adit\" }] },
         { do = \"release\" }",
    );
    assert_eq!((within[0].step, within[0].help.as_str()), (Some(2), "Did you mean `audit`?"));
}

#[test]
fn an_unknown_topic_or_partition_is_an_error() {
    let release = "{ do = \"release\" }";
    let found = only(&format!("{{ do = \"hold\", topics = [\"payment\"] }}, {release}"));
    assert_eq!(found, error(1, "there is no topic `payment`"));
    let found =
        only(&format!("{{ do = \"hold\", topics = [\"payments\"], partitions = [3, 4] }}, {release}"));
    assert_eq!(found, error(1, "there is no source partition 4 in the topics that are held"));
    clean(&format!("{{ do = \"hold\", topics = [\"orders\"], partitions = [3, 4] }}, {release}"));
    clean(&format!("{{ do = \"hold\", partitions = [7] }}, {release}"));
}

#[test]
fn a_wait_for_a_roll_out_that_does_not_come_before_is_an_error() {
    for gate in ["upgraded", "old-stopped"] {
        let wait = format!("{{ wait = {{ for = \"{gate}\", group = \"billing\" }} }}");
        let roll = "{ do = \"roll-out\", group = \"billing\" }";
        assert_eq!(
            only(&format!("{wait}, {roll}")),
            error(1, "`billing` is not rolled out before this wait")
        );
        clean(&format!("{roll}, {wait}"));
    }
    let other =
        "{ do = \"roll-out\", group = \"audit\" }, { wait = { for = \"upgraded\", group = \"billing\" } }";
    assert_eq!(only(other).0, Severity::Error);
}

#[test]
fn a_wait_for_the_mirror_needs_a_mirror_that_runs() {
    for gate in [
        "{ for = \"mirror-ready\" }",
        "{ for = \"mirror-drained\" }",
        "{ for = \"mirror-lag\", at-most = 1 }",
    ] {
        let wait = format!("{{ wait = {gate} }}");
        assert_eq!(only(&wait), error(1, "the mirror is not started before this wait"));
        assert_eq!(
            only(&format!("{{ do = \"start-mirror\" }}, {{ do = \"stop-mirror\" }}, {wait}")),
            error(3, "the mirror was stopped before this wait")
        );
        clean(&format!("{{ do = \"start-mirror\" }}, {wait}"));
    }
}

#[test]
fn a_wait_for_a_pause_needs_the_pause() {
    let roll = "{ do = \"roll-out\", group = \"billing\" }";
    let pause = "{ do = \"pause\", group = \"billing\" }";
    let wait = "{ wait = { for = \"paused\", group = \"billing\" } }";
    let resume = "{ do = \"resume\", group = \"billing\" }";
    assert_eq!(only(&format!("{roll}, {wait}")), error(2, "`billing` is not paused here"));
    assert_eq!(only(&format!("{roll}, {pause}, {resume}, {wait}")), error(4, "`billing` is not paused here"));
    let found = only(&format!("{pause}, {wait}, {resume}"));
    assert_eq!(found, error(2, "`billing` is not rolled out before this wait"));
    clean(&format!("{pause}, {roll}, {wait}, {resume}"));
}

#[test]
fn a_wait_for_a_switch_needs_the_switch() {
    let roll = "{ do = \"roll-out\", group = \"billing\" }";
    let reading = "{ wait = { for = \"reading\", group = \"billing\", from = \"kafka\" } }";
    assert_eq!(only(&format!("{roll}, {reading}")), error(2, "`billing` reads from corgi here"));
    clean(&format!("{roll}, {{ do = \"switch-read\", group = \"billing\", to = \"kafka\" }}, {reading}"));
    clean(&format!("{roll}, {{ wait = {{ for = \"reading\", group = \"billing\", from = \"corgi\" }} }}"));
    let writing = "{ wait = { for = \"writing\", to = \"kafka\" } }";
    assert_eq!(
        only(&format!("{{ do = \"switch-write\", to = \"both\" }}, {writing}")),
        error(2, "producers write to both here")
    );
    let reverse = "{ do = \"start-reverse-mirror\" }";
    clean(&format!("{reverse}, {{ do = \"switch-write\", to = \"kafka\" }}, {writing}"));
    assert_eq!(only("{ wait = { for = \"held\" } }"), error(1, "nothing is held here"));
}

#[test]
fn a_wait_for_readers_to_be_gone_needs_all_of_them_switched() {
    let switched = |group| {
        format!(
            "{{ do = \"roll-out\", group = \"{group}\" }}, {{ do = \"switch-read\", group = \"{group}\", to = \"kafka\" }}"
        )
    };
    let wait = "{ wait = { for = \"only-mirror-reads\" } }";
    let found = only(&format!("{}, {wait}", switched("billing")));
    assert_eq!(found, error(3, "by the plan audit read from Corgi here"));
    clean(&format!("{}, {}, {wait}", switched("billing"), switched("audit")));
    let back = "{ do = \"roll-back\", group = \"audit\" }";
    let found = only(&format!("{}, {}, {back}, {wait}", switched("billing"), switched("audit")));
    assert_eq!(found, error(6, "by the plan audit read from Corgi here"));
    let nobody = "{ wait = { for = \"nobody-reads\" } }";
    let both = format!("{{ do = \"start-mirror\" }}, {}, {}", switched("billing"), switched("audit"));
    assert_eq!(only(&format!("{both}, {nobody}")), error(6, "the mirror reads from Corgi here"));
    let write = "{ do = \"switch-write\", to = \"kafka\" }";
    clean(&format!("{both}, {write}, {{ do = \"stop-mirror\" }}, {nobody}"));
}

#[test]
fn an_act_that_undoes_nothing_is_a_warning() {
    let resume = "{ do = \"resume\", group = \"billing\" }";
    let release = "{ do = \"release\" }";
    let stop = "{ do = \"stop-mirror\" }";
    let back = "{ do = \"roll-back\", group = \"billing\" }";
    assert_eq!(only(resume), warning(1, "`billing` is not paused here: to resume it changes nothing"));
    assert_eq!(only(release), warning(1, "nothing is held here: to release changes nothing"));
    assert_eq!(only(stop), warning(1, "the mirror does not run here"));
    assert_eq!(only(back), warning(1, "`billing` was not rolled out: there is nothing to go back from"));
    assert_eq!(
        only("{ do = \"start-mirror\" }, { do = \"start-mirror\" }"),
        warning(2, "the mirror runs already")
    );
    clean(&format!("{{ do = \"pause\", group = \"billing\" }}, {resume}, {{ do = \"hold\" }}, {release}"));
    clean(&format!(
        "{{ do = \"start-mirror\" }}, {stop}, {{ do = \"roll-out\", group = \"billing\" }}, {back}"
    ));
}

#[test]
fn a_switch_of_reads_that_nobody_obeys_is_a_warning() {
    let switch = "{ do = \"switch-read\", group = \"billing\", to = \"kafka\" }";
    let roll = "{ do = \"roll-out\", group = \"billing\" }";
    assert_eq!(
        only(switch),
        warning(
            1,
            "the reads of `billing` are switched, but it is never rolled out: the OldClient knows no switch"
        )
    );
    clean(&format!("{roll}, {switch}"));
    // Switched beforehand, the NewClients read from Kafka as soon as they start.
    clean(&format!("{switch}, {roll}"));
}

#[test]
fn offsets_that_kafka_will_refuse_are_a_warning() {
    let roll = "{ do = \"roll-out\", group = \"billing\" }";
    let switch = "{ do = \"switch-read\", group = \"billing\", to = \"kafka\" }";
    let prepare = "{ do = \"prepare-offsets\", group = \"billing\", from = \"earliest\" }";
    assert_eq!(
        only(&format!("{roll}, {switch}, {prepare}")),
        warning(3, "`billing` reads from Kafka here: Kafka refuses the offsets of a group that has members")
    );
    clean(&format!("{roll}, {prepare}, {switch}"));
    assert_eq!(only(&format!("{roll}, {roll}")), warning(2, "`billing` is rolled out already"));
}

#[test]
fn to_stop_corgi_while_it_is_used_is_a_warning() {
    let switched = |group| {
        format!(
            "{{ do = \"roll-out\", group = \"{group}\" }}, {{ do = \"switch-read\", group = \"{group}\", to = \"kafka\" }}"
        )
    };
    let found = only("{ do = \"start-mirror\" }, { do = \"stop-corgi\" }");
    let message = "Corgi is stopped for good while producers write to it and billing, audit read from it and the mirror runs";
    assert_eq!(found, warning(2, message));
    let moved = format!(
        "{}, {}, {{ do = \"switch-write\", to = \"kafka\" }}, {{ do = \"stop-corgi\" }}",
        switched("billing"),
        switched("audit")
    );
    clean(&moved);
    let found = only(&format!("{moved}, {{ do = \"start-mirror\" }}"));
    assert_eq!(found, error(7, "Corgi was stopped for good before this step"));
    let found = only(&format!("{moved}, {{ wait = {{ for = \"only-mirror-reads\" }} }}"));
    assert_eq!(found, error(7, "Corgi's masters, whom this wait asks, were stopped before it"));
}

#[test]
fn what_is_left_paused_or_held_is_a_warning_where_it_began() {
    assert_eq!(
        only("{ do = \"hold\" }, { wait = { for = \"held\" } }"),
        warning(1, "the hold is never released: producers wait for ever")
    );
    assert_eq!(
        only("{ do = \"pause\", group = \"audit\" }"),
        warning(1, "`audit` is paused and never resumed")
    );
}

#[test]
fn to_go_back_further_than_the_phase_is_an_error() {
    let steps = |back: usize| {
        format!(
            "{{ do = \"start-mirror\" }}, {{ wait = {{ for = \"mirror-ready\" }}, timeout = \"1m\", back = {back} }}"
        )
    };
    assert_eq!(only(&steps(2)), error(2, "back = 2 goes back beyond the start of the phase"));
    clean(&steps(1));
}

#[test]
fn what_otherwise_undoes_must_be_done_again() {
    let steps = |back: usize| {
        format!(
            "{{ do = \"hold\" }},
             {{ wait = {{ for = \"held\" }}, timeout = \"1m\", otherwise = [{{ do = \"release\" }}], back = {back} }},
             {{ do = \"release\" }}"
        )
    };
    assert_eq!(
        only(&steps(0)),
        error(2, "once given up the wait never opens: after `otherwise` nothing is held here")
    );
    clean(&steps(1));
}

#[test]
fn figures_that_mean_nothing_are_told() {
    let start = "{ do = \"start-mirror\" }";
    let wait = |rest: &str| only(&format!("{start}, {{ wait = {{ for = \"mirror-ready\" }}, {rest} }}"));
    assert_eq!(wait("max-age = \"0s\"").0, Severity::Error);
    assert_eq!(wait("timeout = \"0s\"").0, Severity::Error);
    let useless = "`retry-after` has no effect: a wait without a timeout is never given up";
    assert_eq!(wait("retry-after = \"1m\""), warning(2, useless));
    assert_eq!(wait("back = 1").0, Severity::Warning);
    assert_eq!(
        only("{ wait = { for = \"elapsed\", span = \"0s\" } }"),
        warning(1, "the wait is over at once")
    );
    let ago = "{ do = \"prepare-offsets\", group = \"billing\", from = { ago = \"0s\" } }";
    assert_eq!(only(ago).0, Severity::Warning);
    clean(&format!(
        "{start}, {{ wait = {{ for = \"mirror-ready\" }}, timeout = \"1m\", retry-after = \"1m\" }}"
    ));
}

#[test]
fn phases_have_names_of_their_own_steps_and_an_order() {
    let phase = |name: &str, not_before: &str, steps: &str| {
        format!("[[phases]]\nname = \"{name}\"\nnot-before = \"{not_before}\"\nsteps = [{steps}]\n")
    };
    let start = "{ do = \"start-mirror\" }";
    let stop = "{ do = \"stop-mirror\" }";
    let of = |second: String| {
        let problems = lint_phases(&(phase("one", "5m", start) + &second));
        problems
            .into_iter()
            .map(|problem| (problem.severity, problem.phase, problem.step))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(phase("one", "6m", stop)), [(Severity::Error, 2, None)]);
    assert_eq!(of(phase("two", "1m", stop)), [(Severity::Warning, 2, None)]);
    assert_eq!(of(phase("two", "6m", "")), [(Severity::Warning, 2, None)]);
    assert_eq!(of(phase(" ", "6m", stop)), [(Severity::Error, 2, None)]);
    assert_eq!(of(phase("two", "0s", stop)), []);
}

#[test]
fn the_nearest_word_is_near() {
    let known = ["roll-out", "roll-back", "pause"];
    assert_eq!(nearest("rol-out", known.into_iter()), Some("roll-out"));
    assert_eq!(nearest("puase", known.into_iter()), None, "two letters of five are too many");
    assert_eq!(nearest("pauze", known.into_iter()), Some("pause"));
    assert_eq!(nearest("x", known.into_iter()), None);
}

#[test]
fn only_a_new_client_that_reads_from_kafka_can_go_back() {
    let rewind = "{ do = \"rewind\", group = \"billing\", to = { ago = \"60s\" } }";
    let roll_out = "{ do = \"roll-out\", group = \"billing\" }";
    let switch = "{ do = \"switch-read\", group = \"billing\", to = \"kafka\" }";
    let never = "`billing` is not rolled out before this step: only the NewClient can go back";
    assert_eq!(only(rewind), error(1, never));
    let corgi = "`billing` reads from Corgi here: only what is read from Kafka can go back";
    assert_eq!(only(&format!("{roll_out}, {rewind}")), error(2, corgi));
    clean(&format!("{switch}, {roll_out}, {rewind}"));
    let nowhere = "{ do = \"rewind\", group = \"billing\", to = { ago = \"0s\" } }";
    let told = "the group goes back to no time ago, which is where it is";
    assert_eq!(only(&format!("{switch}, {roll_out}, {nowhere}")), warning(3, told));
}

#[test]
fn the_reverse_mirror_is_in_the_books() {
    let (start, stop) = ("{ do = \"start-reverse-mirror\" }", "{ do = \"stop-reverse-mirror\" }");
    assert_eq!(only(stop), warning(1, "the reverse mirror does not run here"));
    assert_eq!(only(&format!("{start}, {start}")), warning(2, "the reverse mirror runs already"));
    clean(&format!("{start}, {stop}, {start}"));
}

#[test]
fn a_widening_names_a_topic_and_more_partitions_than_it_has() {
    clean(
        "{ do = \"widen\", topic = \"payments\", partitions = 5 }, { do = \"widen\", topic = \"payments\", partitions = 6 }",
    );
    assert_eq!(
        only("{ do = \"widen\", topic = \"payment\", partitions = 5 }"),
        error(1, "there is no topic `payment`")
    );
    assert_eq!(
        only("{ do = \"widen\", topic = \"payments\", partitions = 4 }"),
        warning(1, "`payments` has 4 partitions here: to widen it to 4 gives it none more")
    );
    let twice = "{ do = \"widen\", topic = \"payments\", partitions = 6 },
                 { do = \"widen\", topic = \"payments\", partitions = 5 }";
    assert_eq!(
        only(twice),
        error(2, "`payments` has 6 partitions here: to widen it to 5 gives it none more")
    );
}

#[test]
fn the_way_back_waits_for_what_runs_and_sets_offsets_where_nobody_reads() {
    let wait = "{ wait = { for = \"reverse-mirror-drained\" } }";
    assert_eq!(only(wait), error(1, "the reverse mirror does not run here"));
    let start = "{ do = \"start-reverse-mirror\" }";
    clean(&format!("{start}, {wait}, {{ wait = {{ for = \"reverse-mirror-lag\", at-most = 5 }} }}"));
    let reset = "{ do = \"reset-offsets\", group = \"billing\", from = { ago = \"60s\" } }";
    let over = "`billing` reads from Corgi here: its instances commit over the offsets that are set";
    assert_eq!(only(reset), warning(1, over));
    let switch = "{ do = \"switch-read\", group = \"billing\", to = \"kafka\" }";
    let moved = format!("{switch}, {{ do = \"roll-out\", group = \"billing\" }}");
    clean(&format!("{moved}, {reset}"));
    let end = "the offsets are set to no time ago, which is the end of the log";
    assert_eq!(only(&format!("{moved}, {}", reset.replace("60s", "0s"))), warning(3, end));
}

#[test]
fn kafka_is_widened_before_corgi_and_before_anything_is_copied() {
    let widen = |count: u16, queue: &str| {
        format!("{{ do = \"widen\", topic = \"payments\", partitions = {count}, in = \"{queue}\" }}")
    };
    let start = "{ do = \"start-mirror\" }";
    let (kafka, corgi) = (widen(6, "kafka"), widen(6, "corgi"));
    clean(&format!("{kafka}, {corgi}, {start}"));
    clean(&format!("{corgi}, {kafka}, {start}"));
    clean(&format!("{kafka}, {start}, {corgi}"));
    clean(&format!("{start}, {kafka}, {corgi}"));
    assert_eq!(
        only(&format!("{kafka}, {kafka}")),
        warning(2, "`payments` has 6 partitions in Kafka here: to widen it to 6 gives it none more")
    );
    assert_eq!(
        only(&format!("{corgi}, {start}")),
        warning(
            2,
            "the mirror starts while `payments` has 4 partitions in Kafka and 6 in Corgi: its map wraps"
        )
    );
    let wraps =
        "`payments` gets more partitions than the 4 it has in Kafka while the mirror runs: its map wraps";
    assert_eq!(only(&format!("{start}, {corgi}")), warning(2, wraps));
    let late = lint(&format!("{start}, {corgi}, {kafka}"));
    assert_eq!(late.len(), 2, "{late:?}");
    assert!(late[1].message.starts_with("`payments` is widened in Kafka while the mirror runs"), "{late:?}");
}

#[test]
fn a_widening_under_way_is_told_of_whose_map_it_changes() {
    let widen = |count: u16| {
        format!("{{ do = \"widen\", topic = \"payments\", partitions = {count}, in = \"kafka\" }}")
    };
    let (start, write) = ("{ do = \"start-mirror\" }", "{ do = \"switch-write\", to = \"both\" }");
    let told = |steps: &str, mirror_map, producer_map| -> Vec<String> {
        let plan: Plan = toml::from_str(&format!("[[phases]]\nname = \"only\"\nsteps = [{steps}]")).unwrap();
        let problems = plan.lint(&Names { mirror_map, producer_map, ..names() });
        problems.into_iter().map(|problem| problem.message).collect()
    };
    use PartitionMap::{Hash, Same, Scattered};
    let while_it = |who: &str| {
        vec![format!(
            "`payments` is widened in Kafka while {who}: each learns it at its own time, and what it brings then lands elsewhere than before"
        )]
    };
    let running = format!("{start}, {write}, {}", widen(6));
    assert_eq!(told(&running, Same, Same), Vec::<String>::new());
    assert_eq!(told(&running, Hash, Hash), while_it("the mirror runs and producers write there"));
    assert_eq!(told(&running, Same, Hash), while_it("producers write there"));
    assert_eq!(told(&running, Scattered, Same), Vec::<String>::new());
    let before = format!("{}, {start}, {write}", widen(6));
    assert_eq!(told(&before, Hash, Hash), Vec::<String>::new());
    // Only the map `same` wraps where Corgi has more.
    let corgi = format!("{start}, {{ do = \"widen\", topic = \"payments\", partitions = 6 }}");
    assert_eq!(told(&corgi, Same, Same).len(), 1);
    assert_eq!(told(&corgi, Hash, Hash), Vec::<String>::new());
}

/// The help of the one error of these steps.
fn help(steps: &str) -> String {
    let problems = lint(steps);
    let mut errors = problems.into_iter().filter(|problem| problem.severity == Severity::Error);
    let first = errors.next().expect("there is an error");
    assert_eq!(errors.next(), None);
    first.help
}

#[test]
fn who_waits_too_late_is_told_before_which_step_to_wait() {
    let (start, stop) = ("{ do = \"start-mirror\" }", "{ do = \"stop-mirror\" }");
    let wait = "{ wait = { for = \"mirror-drained\" } }";
    let before = |act: &str, step: usize| format!("Write this wait before `{act}` in phase 1, step {step}");
    assert_eq!(help(&format!("{start}, {stop}, {wait}")), before("stop-mirror", 2));
    assert_eq!(help(&format!("{stop}, {wait}")), "Write `start-mirror` before it");
    let reverse = "{ do = \"start-reverse-mirror\" }, { do = \"stop-reverse-mirror\" }, { wait = { for = \"reverse-mirror-drained\" } }";
    assert_eq!(help(reverse), before("stop-reverse-mirror", 2));
    let held = "{ do = \"hold\" }, { do = \"release\" }, { wait = { for = \"held\" } }";
    assert_eq!(help(held), before("release", 2));
    let roll = "{ do = \"roll-out\", group = \"billing\" }";
    let back = "{ do = \"roll-back\", group = \"billing\" }";
    let upgraded = "{ wait = { for = \"upgraded\", group = \"billing\" } }";
    assert_eq!(help(&format!("{roll}, {back}, {upgraded}")), before("roll-back", 2));
    assert_eq!(
        only(&format!("{roll}, {back}, {upgraded}")),
        error(3, "`billing` was rolled back before this wait")
    );
    let paused = "{ do = \"pause\", group = \"billing\" }, { do = \"resume\", group = \"billing\" },
                  { wait = { for = \"paused\", group = \"billing\" } }";
    assert_eq!(help(&format!("{roll}, {paused}")), before("resume", 3));
    let read = |to: &str| format!("{{ do = \"switch-read\", group = \"billing\", to = \"{to}\" }}");
    let reading = "{ wait = { for = \"reading\", group = \"billing\", from = \"kafka\" } }";
    let away = format!("{roll}, {}, {}, {reading}", read("kafka"), read("corgi"));
    assert_eq!(help(&away), before("switch-read", 3));
    let write = |to: &str| format!("{{ do = \"switch-write\", to = \"{to}\" }}");
    let writing = "{ wait = { for = \"writing\", to = \"both\" } }";
    assert_eq!(help(&format!("{}, {}, {writing}", write("both"), write("kafka"))), before("switch-write", 2));
    assert_eq!(help(&format!("{}, {writing}", write("kafka"))), "Write `switch-write` before this wait");
}

#[test]
fn readers_who_went_back_are_waited_for_before_that() {
    let moved = |group: &str| {
        format!(
            "{{ do = \"roll-out\", group = \"{group}\" }}, {{ do = \"switch-read\", group = \"{group}\", to = \"kafka\" }}"
        )
    };
    let gone = "{ wait = { for = \"only-mirror-reads\" } }";
    let back = "{ do = \"roll-back\", group = \"audit\" }";
    let steps = format!("{}, {}, {back}, {gone}", moved("billing"), moved("audit"));
    assert_eq!(help(&steps), "Write this wait before `roll-back` in phase 1, step 5");
    let never = format!("{}, {gone}", moved("billing"));
    assert_eq!(help(&never), "Write `switch-read` to Kafka for each of them before this wait");
}

#[test]
fn what_was_undone_before_is_left_out() {
    let twice = lint("{ do = \"start-mirror\" }, { do = \"stop-mirror\" }, { do = \"stop-mirror\" }");
    assert_eq!(twice[0].help, "Leave it out: `stop-mirror` in phase 1, step 2 did it before");
    let never = lint("{ do = \"stop-mirror\" }");
    assert_eq!(never[0].help, "Write `start-mirror` before it, or leave it out");
}

#[test]
fn a_hold_names_partitions_that_came_by_a_widening_before_it() {
    let hold = "{ do = \"hold\", topics = [\"payments\"], partitions = [5] }, { do = \"release\" }";
    clean(&format!("{{ do = \"widen\", topic = \"payments\", partitions = 6 }}, {hold}"));
    assert_eq!(
        only(&format!("{{ do = \"widen\", topic = \"payments\", partitions = 6, in = \"kafka\" }}, {hold}")),
        error(2, "there is no source partition 5 in the topics that are held")
    );
}

#[test]
fn a_broker_set_is_added_before_a_topic_is_made_on_it() {
    let add = "{ do = \"add-broker-set\", set = 2 }";
    let widen = |set: u16| format!("{{ do = \"widen\", topic = \"payments\", partitions = 5, on = {set} }}");
    clean(&format!("{add}, {}", widen(2)));
    clean(&widen(1));
    assert_eq!(only(&widen(2)), error(1, "the broker set 2 does not run here: nobody would ever confirm it"));
    assert_eq!(only(&widen(3)), error(1, "Corgi has no broker set 3"));
    assert_eq!(
        only("{ do = \"add-broker-set\", set = 1 }"),
        error(1, "the broker set 1 runs from the beginning")
    );
    assert_eq!(only("{ do = \"add-broker-set\", set = 3 }"), error(1, "Corgi has no broker set 3"));
    assert_eq!(only(&format!("{add}, {add}")), warning(2, "the broker set 2 was added already"));
    let stopped = lint(&format!("{{ do = \"stop-corgi\" }}, {add}"));
    assert_eq!(stopped.last().map(|problem| problem.severity), Some(Severity::Error), "{stopped:?}");
}

#[test]
fn a_topic_is_narrowed_for_writing_first() {
    let narrow = |count: u16, purpose: &str| {
        format!("{{ do = \"narrow\", topic = \"payments\", partitions = {count}, for = \"{purpose}\" }}")
    };
    clean(&format!("{}, {}", narrow(2, "writing"), narrow(2, "reading")));
    assert_eq!(
        only(&narrow(2, "reading")),
        warning(1, "`payments` is narrowed for reading while producers are told of 4 partitions")
    );
    for count in [0, 4, 5] {
        let message = format!("`payments` has 4 partitions for writing here: it is not narrowed to {count}");
        assert_eq!(only(&narrow(count, "writing")), error(1, &message));
    }
    let widen = "{ do = \"widen\", topic = \"payments\", partitions = 6 }";
    assert_eq!(
        only(&format!("{}, {widen}", narrow(2, "writing"))),
        error(2, "`payments` was narrowed before: it is not made wider again")
    );
    clean(&format!("{widen}, {}", narrow(5, "writing")));
}
