//! What a wrong line is told.

use super::*;
use crate::plan::Site;
use crate::plan::{Phase, Plan, Purpose, RewindTo, Tell};

fn read(step: &str) -> Result<Step, String> {
    let text = format!("[[phases]]\nname = \"only\"\nsteps = [{step}]");
    let plan: Result<Plan, _> = toml::from_str(&text);
    plan.map(|mut plan| plan.phases.remove(0).steps.remove(0)).map_err(|error| error.message().to_owned())
}

fn refusal(step: &str) -> String {
    read(step).unwrap_err()
}

#[test]
fn an_unknown_word_is_told_the_nearest_and_all() {
    let told = refusal("{ do = \"rol-out\", group = \"billing\" }");
    assert!(
        told.starts_with("there is no act `rol-out`: did you mean `roll-out`? The acts are start-mirror, ")
    );
    let told = refusal("{ wait = { for = \"drained\" } }");
    assert!(told.starts_with("there is no gate `drained`: The gates are elapsed, mirror-ready, "), "{told}");
}

#[test]
fn a_missing_key_is_told_with_an_example() {
    assert_eq!(refusal("{ do = \"roll-out\" }"), "`roll-out` needs `group`: write `group = \"billing\"`");
    assert_eq!(refusal("{ do = \"switch-write\" }"), "`switch-write` needs `to`: write `to = \"kafka\"`");
    let told = refusal("{ wait = { for = \"mirror-lag\" } }");
    assert_eq!(told, "`mirror-lag` needs `at-most`: write `at-most = 100`");
    let told = refusal("{ wait = { group = \"billing\" } }");
    assert_eq!(told, "a gate needs `for = \"..\"`, such as `wait = { for = \"mirror-ready\" }`");
    assert!(refusal("{ group = \"billing\" }").starts_with("a step needs `do = \"..\"`"));
}

#[test]
fn a_key_too_many_is_told() {
    let told = refusal("{ do = \"pause\", group = \"billing\", order = \"stop-first\" }");
    assert_eq!(told, "the act `pause` takes no `order`: leave it out");
    let told = refusal("{ do = \"pause\", group = \"billing\", timeout = \"1m\" }");
    assert_eq!(told, "the act `pause` takes no `timeout`: that is for a `wait`");
    let told = refusal("{ wait = { for = \"held\", group = \"billing\" } }");
    assert_eq!(told, "the gate `held` takes no `group`: leave it out");
    let told = refusal("{ wait = { for = \"upgraded\" }, group = \"billing\" }");
    assert_eq!(told, "`upgraded` needs `group`: write `group = \"billing\"`");
    let told = refusal("{ wait = { for = \"held\" }, group = \"billing\" }");
    assert_eq!(
        told,
        "a wait takes no `group` of its own: write it within the gate, such as `wait = { for = \"held\", group = .. }`"
    );
    assert!(refusal("{ do = \"release\", wait = { for = \"held\" } }").contains("not both"));
    assert!(
        refusal("{ do = \"pause\", gruop = \"billing\" }")
            .starts_with("unknown field `gruop`, expected one of")
    );
}

#[test]
fn a_key_of_the_wait_in_the_gates_table_is_told_where_it_belongs() {
    for (key, value) in [
        ("max-age", "\"10s\""),
        ("fresh", "true"),
        ("timeout", "\"1m\""),
        ("otherwise", "[{ do = \"release\" }]"),
        ("retry-after", "\"1m\""),
        ("back", "1"),
    ] {
        assert_eq!(
            refusal(&format!("{{ wait = {{ for = \"held\", {key} = {value} }} }}")),
            format!(
                "`{key}` belongs beside `wait`, and not into its table: write {{ wait = {{ for = \"held\" }}, {key} = .. }}"
            )
        );
    }
}

#[test]
fn a_wrong_value_is_told() {
    let told = refusal("{ do = \"switch-read\", group = \"billing\", to = \"both\" }");
    assert_eq!(told, "`switch-read` goes to one queue: write `to = \"corgi\"` or `to = \"kafka\"`");
    let told = refusal("{ do = \"switch-write\", to = \"kafak\" }");
    assert!(told.starts_with("`kafak` is no queue: write \"corgi\", \"kafka\" or \"both\""), "{told}");
    let told = refusal("{ wait = { for = \"elapsed\", span = \"90\" } }");
    assert!(told.starts_with("`90` is not a duration: write a number with a unit"));
    assert!(refusal("{ wait = { for = \"mirror-lag\", at-most = -1 } }").contains("-1"));
    let told = refusal("\"start-mirror\"");
    assert_eq!(
        told,
        "invalid type: string \"start-mirror\", expected a step such as { do = \"start-mirror\" }"
    );
}

#[test]
fn a_refusal_names_the_place_in_the_file() {
    for (step, place) in [
        ("{ do = \"paus\" }", "{ do = \"paus\" }"),
        ("{ wait = { for = \"helt\" }, fresh = true }", "{ for = \"helt\" }"),
        ("{ do = \"pause\", gruop = \"billing\" }", "gruop"),
        ("{ do = \"switch-write\", to = \"kafak\" }", "\"kafak\""),
        ("{ wait = { for = \"held\" }, otherwise = [{ do = \"released\" }] }", "{ do = \"released\" }"),
    ] {
        let text =
            format!("[[phases]]\nname = \"only\"\nsteps = [\n  {{ do = \"start-mirror\" }},\n  {step},\n]");
        let error = toml::from_str::<Plan>(&text).unwrap_err();
        assert_eq!(text.get(error.span().unwrap()), Some(place), "{error}");
    }
}

#[test]
fn a_wait_has_the_defaults_that_it_is_documented_to_have() {
    let wait = Wait::at(Gate::Held);
    assert_eq!(read("{ wait = { for = \"held\" } }"), Ok(Step::Wait(wait.clone())));
    assert_eq!((wait.max_age, wait.fresh, wait.timeout, wait.back), (Span::secs(30), false, None, 0));
}

#[test]
fn where_a_rewind_goes_to_is_a_position_and_a_switch_goes_to_a_queue() {
    let told = refusal("{ do = \"rewind\", group = \"billing\" }");
    assert!(told.starts_with("`rewind` needs `to`"), "{told}");
    let told = refusal("{ do = \"rewind\", group = \"billing\", to = \"kafka\" }");
    assert!(told.starts_with("`rewind` goes back to a position: write"), "{told}");
    let told = refusal("{ do = \"switch-write\", to = { ago = \"60s\" } }");
    assert_eq!(told, "`switch-write` goes to a queue: write `to = \"kafka\"`");
    let told = refusal("{ do = \"rewind\", group = \"billing\", to = { offset = -1 } }");
    assert!(told.starts_with("offsets begin at 0"), "{told}");
    let told = refusal(
        "{ do = \"rewind\", group = \"billing\", instance = 1, partitions = [2], to = { offset = 1 } }",
    );
    assert!(told.contains("goes by partitions or by an instance"), "{told}");
    let told = refusal("{ do = \"pause\", group = \"billing\", confirm = \"instances\" }");
    assert_eq!(told, "the act `pause` takes no `confirm`: leave it out");
}

#[test]
fn a_rewind_goes_to_one_position_and_every_key_of_it_is_read() {
    let rewind = |to: &str| refusal(&format!("{{ do = \"rewind\", group = \"billing\", to = {to} }}"));
    for junk in ["{ ago = \"1m\", junk = 3 }", "{ junk = 3, ago = \"1m\" }", "{ junk = 3 }"] {
        assert_eq!(rewind(junk), "unknown field `junk`, expected one of `offset`, `at`, `ago`");
    }
    let one =
        "a table with one key is needed in `to`: write { ago = \"60s\" }, { at = \"7m\" } or { offset = 12 }";
    for several in ["{ ago = \"1m\", offset = 4 }", "{ at = \"1m\", ago = \"1m\" }", "{}"] {
        assert_eq!(rewind(several), one, "{several}");
    }
    for word in ["earliest", "latest"] {
        let told = rewind(&format!("\"{word}\""));
        assert!(told.starts_with(&format!("`{word}` is no queue: write \"corgi\"")), "{told}");
        assert!(
            told.ends_with("in a `rewind` { ago = \"60s\" }, { at = \"7m\" } or { offset = 12 }"),
            "{told}"
        );
    }
    for (to, position) in [
        ("{ ago = \"1m\" }", RewindTo::Ago(Span::secs(60))),
        ("{ at = \"1m\" }", RewindTo::At(Span::secs(60))),
        ("{ offset = 0 }", RewindTo::Offset(0)),
    ] {
        let step = read(&format!("{{ do = \"rewind\", group = \"billing\", to = {to} }}"));
        assert!(matches!(step, Ok(Step::Act(Act::Rewind { to, .. })) if to == position), "{step:?}");
    }
}

#[test]
fn a_list_of_none_is_not_taken_for_all() {
    let rewind = "do = \"rewind\", group = \"billing\", to = { ago = \"1m\" }";
    for (act, word) in [("do = \"hold\"", "hold"), (rewind, "rewind")] {
        let told = refusal(&format!("{{ {act}, topics = [] }}"));
        let said =
            "name none: leave `topics` out for all of them, or write some, such as `topics = [\"payments\"]`";
        assert_eq!(told, format!("the `topics` of `{word}` {said}"));
        let told = refusal(&format!("{{ {act}, partitions = [] }}"));
        assert!(told.starts_with(&format!("the `partitions` of `{word}` name none: leave")), "{told}");
        assert!(read(&format!("{{ {act} }}")).is_ok());
    }
}

/// What is saved is read again: a list of none is not written either.
#[test]
fn an_act_is_written_as_it_is_read() {
    let rewind = "{ do = \"rewind\", group = \"billing\", to = { ago = \"1m\" } }";
    for step in ["{ do = \"hold\" }", "{ do = \"hold\", partitions = [1] }", rewind] {
        let plan = Plan {
            phases: vec![Phase {
                name: "only".to_owned(),
                not_before: Span::ZERO,
                steps: vec![read(step).unwrap()],
            }],
        };
        let written = toml::to_string(&plan).unwrap();
        assert_eq!(toml::from_str::<Plan>(&written).unwrap(), plan, "{written}");
    }
}

#[test]
fn a_widening_takes_a_count_and_a_hold_takes_numbers() {
    let step = read("{ do = \"widen\", topic = \"orders\", partitions = 12 }").unwrap();
    assert_eq!(
        step,
        Step::Act(Act::Widen { topic: "orders".to_owned(), partitions: 12, site: Site::default() })
    );
    let step = read("{ do = \"widen\", topic = \"orders\", partitions = 12, in = \"kafka\" }").unwrap();
    let site = Site { queue: Queue::Kafka, ..Site::default() };
    assert_eq!(step, Step::Act(Act::Widen { topic: "orders".to_owned(), partitions: 12, site }));
    assert!(
        refusal("{ do = \"widen\", topic = \"orders\", partitions = 12, in = \"redis\" }").contains("redis")
    );
    assert_eq!(
        refusal("{ do = \"release\", in = \"kafka\" }"),
        "the act `release` takes no `in`: leave it out"
    );
    assert_eq!(
        refusal("{ do = \"widen\", topic = \"orders\", partitions = [12] }"),
        "`widen` takes how many there are to be: write `partitions = 12`"
    );
    let told = refusal("{ do = \"widen\", topic = \"orders\", partitions = 12, in = \"kafka\", on = 2 }");
    assert!(told.starts_with("`widen` takes no `on` in Kafka"), "{told}");
    let step =
        read("{ do = \"widen\", topic = \"orders\", partitions = 12, on = 2, tell = \"masters\" }").unwrap();
    let site = Site { on: Some(2), tell: Tell::Masters, ..Site::default() };
    assert_eq!(step, Step::Act(Act::Widen { topic: "orders".to_owned(), partitions: 12, site }));
    assert_eq!(read("{ do = \"add-broker-set\", set = 2 }"), Ok(Step::Act(Act::AddBrokerSet { set: 2 })));
    let step = read("{ do = \"narrow\", topic = \"orders\", partitions = 4, for = \"reading\" }").unwrap();
    let (topic, purpose) = ("orders".to_owned(), Purpose::Reading);
    assert_eq!(step, Step::Act(Act::Narrow { topic, partitions: 4, purpose }));
    let told = refusal("{ do = \"narrow\", topic = \"orders\", partitions = 4, for = \"both\" }");
    assert!(told.starts_with("nobody narrows a topic for `both`: write `for = "), "{told}");
    let told = refusal("{ do = \"narrow\", topic = \"orders\", partitions = 4 }");
    assert!(told.starts_with("`narrow` needs `for`"), "{told}");
    assert_eq!(
        refusal("{ do = \"release\", for = \"reading\" }"),
        "the act `release` takes no `for`: leave it out"
    );
    assert_eq!(refusal("{ do = \"add-broker-set\" }"), "`add-broker-set` needs `set`: write `set = 2`");
    assert_eq!(
        refusal("{ do = \"hold\", partitions = 12 }"),
        "`hold` takes the partitions' numbers: write `partitions = [12]`"
    );
    assert_eq!(
        refusal("{ do = \"widen\", partitions = 12 }"),
        "`widen` needs `topic`: write `topic = \"payments\"`"
    );
    assert!(refusal("{ do = \"widen\", topic = \"orders\", partitions = -1 }").contains("-1"));
    assert!(
        refusal("{ do = \"widen\", topic = \"orders\", partitions = \"all\" }")
            .contains("a count such as 12")
    );
}
