//! The command as people and scripts call it: exit statuses, what stands on which stream, and the shapes of what
//! machines read. What the words of a broken file's message are is tested where the case is read.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const HELD: i32 = 0;
const VIOLATED: i32 = 1;
const UNKNOWN: i32 = 2;
const BAD_INPUT: i32 = 64;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Call the command in the project's own folder, where nobody looks on.
fn cutover(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cutover"))
        .args(words)
        .current_dir(root())
        .env_remove("CLICOLOR_FORCE")
        .env_remove("FORCE_COLOR")
        .output()
        .expect("the command was built for this test")
}

fn status(output: &Output) -> i32 {
    output.status.code().expect("the command ends by itself")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("the command writes UTF-8")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("the command writes UTF-8")
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A message as it reads without the frame and the line breaks that a narrow terminal needs.
fn unwrapped(message: &str) -> String {
    message.chars().filter(|letter| !letter.is_whitespace() && *letter != '│').collect()
}

/// Cases of this test's own, on the standard service.
struct Cases(tempfile::TempDir);

impl Cases {
    fn new() -> Cases {
        Cases(tempfile::tempdir().expect("there is room for a folder"))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("the folder's name is UTF-8").to_owned()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let standard = root().join("scenarios/parts/standard.toml").canonicalize().expect("it is shipped");
        let text = format!("extends = '{}'\nname = 'own'\n{text}", standard.display());
        std::fs::write(self.path(name), text).expect("the folder can be written to");
        self.path(name)
    }

    /// The producers move to Kafka, and nobody reads there.
    fn nobody_reads_kafka(&self, name: &str, expect: &str) -> String {
        let plan = "[[plan.phases]]\nname = 'switch'\nnot-before = '2m'\n\
            steps = [{ do = 'switch-write', to = 'kafka' }]\n";
        self.write(name, &format!("{plan}{expect}"))
    }
}

const GUARDED: &str = "scenarios/article-guarded.toml";

#[test]
fn a_held_case_ends_with_0_and_a_verdict_a_guarantee() {
    let output = cutover(&["check", GUARDED, "--seeds", "2..4"]);
    assert_eq!((status(&output), err(&output).as_str()), (HELD, ""), "{}", out(&output));
    for word in ["at-least-once", "order", "bounded-replay", "exclusive", "zero-downtime", "progress"] {
        assert!(out(&output).contains(word), "{word} has a line");
    }
    assert!(out(&output).contains("article-guarded: held"), "{}", out(&output));
    assert!(!out(&output).contains('\u{1b}'), "no colours where nobody looks on");
    let output = cutover(&["replay", GUARDED, "--seed", "2"]);
    assert_eq!((status(&output), err(&output).as_str()), (HELD, ""), "{}", out(&output));
}

#[test]
fn a_violation_ends_with_1_and_with_0_where_the_case_expects_just_that() {
    let cases = Cases::new();
    let bare = cases.nobody_reads_kafka("bare.toml", "");
    let output = cutover(&["check", &bare, "--seeds", "2", "--format", "json"]);
    assert_eq!(status(&output), VIOLATED, "{}", out(&output));
    let object = json(&out(&output));
    assert_eq!((&object["verdict"], &object["expected"]), (&"violated".into(), &false.into()));
    let violated: Vec<&str> = object["guarantees"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["verdict"] == "violated")
        .map(|line| line["name"].as_str().unwrap())
        .collect();
    assert!(violated.contains(&"at-least-once"), "what is only in Kafka reaches nobody: {violated:?}");

    let expect = format!("[expect]\nverdict = 'violated'\nguarantees = {violated:?}\n");
    let expected = cases.nobody_reads_kafka("expected.toml", &expect);
    let output = cutover(&["check", &expected, "--seeds", "2"]);
    assert_eq!(status(&output), HELD, "{}", out(&output));
    assert!(out(&output).contains("violated, as the case expects"), "{}", out(&output));
    assert_eq!(status(&cutover(&["replay", &expected, "--seed", "1"])), HELD);
    assert_eq!(status(&cutover(&["replay", &bare, "--seed", "1"])), VIOLATED);

    let other = "[expect]\nverdict = 'violated'\nguarantees = ['bounded-replay']\n";
    let other = cases.nobody_reads_kafka("other.toml", other);
    assert_eq!(status(&cutover(&["check", &other, "--seeds", "1"])), VIOLATED, "another one is not as good");
    assert_eq!(status(&cutover(&["replay", &other, "--seed", "1"])), VIOLATED);
}

#[test]
fn what_breaks_beyond_the_tolerance_is_told_and_blames_nobody() {
    let cases = Cases::new();
    let bare = cases.nobody_reads_kafka("bare.toml", "");
    let output = cutover(&["check", &bare, "--seeds", "2", "--beyond"]);
    assert_eq!(status(&output), HELD, "{}", out(&output));
    for said in ["violated; these faults go beyond what the systems tolerate", " --beyond\n"] {
        assert!(out(&output).contains(said), "{said}: {}", out(&output));
    }
    let output = cutover(&["check", &bare, "--seeds", "2", "--beyond", "--format", "json"]);
    assert_eq!(json(&out(&output))["beyond"], true);
    assert_eq!(status(&cutover(&["replay", &bare, "--seed", "1", "--beyond"])), HELD);
    // Nothing was sent, and nothing broke.
    let held =
        cases.write("held.toml", "[workload]\nrecords = 1\n[faults]\nlist = []\n[faults.draw]\ncount = 1\n");
    for words in
        [&["check", &held, "--seeds", "1", "--beyond"][..], &["replay", &held, "--seed", "0", "--beyond"]]
    {
        let told = out(&cutover(words));
        assert!(told.contains("go beyond what the systems tolerate"), "{told}");
        assert!(told.contains("violated") || !told.contains("what broke"), "{told}");
    }
}

#[test]
fn a_shipped_case_that_fails_as_it_expects_ends_with_0_and_without_its_expectation_with_1() {
    let words = ["check", "scenarios/naive.toml", "--seeds", "8"];
    let output = cutover(&words);
    assert_eq!(status(&output), HELD, "{}", out(&output));
    assert!(out(&output).contains("violated, as the case expects"), "{}", out(&output));
    let cases = Cases::new();
    let naive = std::fs::read_to_string(root().join("scenarios/naive.toml")).unwrap();
    let (plan, _) = naive.split_once("[expect]").unwrap();
    let plan = plan.split_once("[consumers").unwrap().1;
    let bare = cases.write("bare.toml", &format!("[consumers{plan}"));
    let output = cutover(&["check", &bare, "--seeds", "8"]);
    assert_eq!(status(&output), VIOLATED, "{}", out(&output));
    assert!(out(&output).contains("the case expects held"), "{}", out(&output));
}

#[test]
fn a_run_that_breaks_off_is_unknown_and_ends_with_2() {
    let cases = Cases::new();
    let short = cases.write("short.toml", "budget = 1_000\n");
    let output = cutover(&["check", &short, "--seeds", "1", "--format", "json"]);
    assert_eq!(status(&output), UNKNOWN, "{}", out(&output));
    let object = json(&out(&output));
    assert_eq!(object["verdict"], "unknown");
    assert!(object["failures"][0]["failure"].as_str().unwrap().contains("budget of 1000 events"));
    let output = cutover(&["replay", &short, "--seed", "0"]);
    assert_eq!(status(&output), UNKNOWN);
    assert!(out(&output).contains("did not come to its end"), "{}", out(&output));
}

#[test]
fn of_several_cases_the_worst_status_counts_and_each_has_its_line() {
    let cases = Cases::new();
    let violated = cases.nobody_reads_kafka("violated.toml", "");
    let unknown = cases.write("unknown.toml", "budget = 1_000\n");
    let words = ["check", &unknown, &violated, GUARDED, "--seeds", "1", "--format", "json"];
    let output = cutover(&words);
    assert_eq!(status(&output), VIOLATED);
    let verdicts: Vec<Value> = out(&output).lines().map(|line| json(line)["verdict"].clone()).collect();
    assert_eq!(verdicts, ["unknown", "violated", "held"]);
    assert_eq!(status(&cutover(&["check", GUARDED, &unknown, "--seeds", "1"])), UNKNOWN);
}

#[test]
fn check_tells_machines_one_object() {
    let cases = Cases::new();
    let case = cases.nobody_reads_kafka("case.toml", "");
    let output = cutover(&["check", &case, "--seeds", "3..5", "--format", "json"]);
    assert_eq!(out(&output).lines().count(), 1);
    let object = json(&out(&output));
    assert_eq!((&object["case"], &object["seeds"]), (&"own".into(), &2.into()));
    let guarantees = object["guarantees"].as_array().unwrap();
    assert_eq!(guarantees.len(), 6);
    for line in guarantees {
        assert!(line["name"].is_string(), "{line}");
        assert!(["held", "violated", "unknown"].contains(&line["verdict"].as_str().unwrap()), "{line}");
        assert!(line["exercised"].as_u64().is_some_and(|seeds| seeds <= 2), "{line}");
        assert_eq!(line["findings"].as_u64().unwrap() > 0, line["verdict"] == "violated", "{line}");
        match line["first_seed"].as_u64() {
            Some(seed) => assert!((3..5).contains(&seed) && line["verdict"] == "violated", "{line}"),
            None => assert!(line.get("first_seed").is_some_and(Value::is_null), "{line}"),
        }
    }
}

#[test]
fn replay_tells_machines_one_object() {
    let cases = Cases::new();
    let case = cases.nobody_reads_kafka("case.toml", "");
    let output = cutover(&["replay", &case, "--seed", "7", "--format", "json"]);
    assert_eq!(out(&output).lines().count(), 1);
    let object = json(&out(&output));
    assert_eq!((&object["case"], &object["seed"]), (&"own".into(), &7.into()));
    assert_eq!(object["verdict"], "violated");
    let digest = object["digest"].as_str().unwrap();
    assert!(digest.len() == 16 && digest.chars().all(|digit| digit.is_ascii_hexdigit()), "{digest}");
    for count in ["simulated_ms", "records", "events", "faults"] {
        assert!(object[count].as_u64().is_some_and(|count| count > 0), "{count}: {}", object[count]);
    }
    let findings = object["findings"].as_array().unwrap();
    assert!(!findings.is_empty());
    for finding in findings {
        for text in ["guarantee", "ground", "phase", "summary"] {
            assert!(finding[text].as_str().is_some_and(|text| !text.is_empty()), "{text}: {finding}");
        }
        assert!(finding["at_ms"].is_u64(), "{finding}");
        for name in ["group", "partition"] {
            assert!(finding.get(name).is_some_and(|it| it.is_null() || it.is_string()), "{name}: {finding}");
        }
        let records = finding["records"].as_array().unwrap();
        assert!(records.iter().all(|record| record.as_str().is_some_and(is_record)), "{finding}");
    }
    assert_eq!(out(&cutover(&["replay", &case, "--seed", "7", "--format", "json"])), out(&output));
}

/// `p1#17`.
fn is_record(name: &str) -> bool {
    let parts = name.strip_prefix('p').and_then(|rest| rest.split_once('#'));
    parts.is_some_and(|(producer, sequence)| producer.parse::<u32>().and(sequence.parse::<u32>()).is_ok())
}

#[test]
fn a_history_is_json_lines_and_the_trace_tells_each_of_them() {
    let cases = Cases::new();
    let file = cases.path("history.jsonl");
    let output = cutover(&["replay", GUARDED, "--seed", "3", "--trace", "--history", &file]);
    assert_eq!(status(&output), HELD);
    let history = std::fs::read_to_string(file).unwrap();
    let entries: Vec<Value> = history.lines().map(json).collect();
    let moments: Vec<u64> = entries.iter().map(|entry| entry["at"].as_u64().unwrap()).collect();
    assert!(moments.is_sorted(), "time never goes back");
    assert!(entries.iter().all(|entry| entry["node"].is_u64() && entry["event"].is_string()));
    assert_eq!(entries.last().unwrap()["event"], "ended");

    let phases = ["before-the-plan", "dual-write", "cut-read", "cut-write", "retire", "after-the-plan"];
    let told = out(&output);
    let lines: Vec<&str> = told.lines().take(entries.len()).collect();
    assert_eq!(lines.len(), entries.len());
    for (line, at) in lines.iter().zip(moments) {
        let words: Vec<&str> = line.split_whitespace().take(4).collect();
        let [time, phase, node, _] = words[..] else { panic!("no time, phase, node and text: {line}") };
        assert_eq!(milliseconds(time), Some(at / 1_000), "{line}");
        assert!(phases.contains(&phase), "{line}");
        assert!(node.starts_with(|letter: char| letter.is_ascii_lowercase()), "{line}");
    }
    assert!(told.contains("digest"), "the table follows the trace");
}

/// `03:25.833` in milliseconds.
fn milliseconds(time: &str) -> Option<u64> {
    let (minutes, seconds) = time.split_once(':')?;
    let (seconds, fraction) = seconds.split_once('.')?;
    let number = |text: &str| text.parse::<u64>().ok();
    (fraction.len() == 3).then_some(())?;
    Some((number(minutes)? * 60 + number(seconds)?) * 1_000 + number(fraction)?)
}

#[test]
fn the_messages_are_in_the_trace_where_they_are_asked_for() {
    let lines = |words: &[&str]| out(&cutover(words)).lines().count();
    let plain = lines(&["replay", "scenarios/baseline.toml", "--seed", "3", "--trace"]);
    let all = lines(&["replay", "scenarios/baseline.toml", "--seed", "3", "--trace", "--messages"]);
    assert!(all > 3 * plain, "{plain} lines without the messages, {all} with them");
    let output = cutover(&["replay", "scenarios/baseline.toml", "--seed", "3", "--messages"]);
    assert_eq!(status(&output), BAD_INPUT);
    assert!(err(&output).contains("--trace"), "{}", err(&output));
}

#[test]
fn the_number_of_jobs_does_not_show_and_the_result_goes_into_the_file_as_well() {
    let cases = Cases::new();
    let case = cases.nobody_reads_kafka("case.toml", "");
    let file = cases.path("result.json");
    let told = |jobs: &str, format: &str| {
        let words =
            ["check", &case, GUARDED, "--seeds", "5", "--jobs", jobs, "--format", format, "--out", &file];
        let output = cutover(&words);
        assert_eq!(status(&output), VIOLATED);
        (output.stdout, std::fs::read(&file).unwrap())
    };
    let one = told("1", "json");
    assert_eq!(one, told("2", "json"));
    assert_eq!(one.0, one.1, "the file has what machines are told");
    let people = told("1", "human");
    assert_eq!(people, told("2", "human"));
    assert_eq!(people.1, one.1, "and has it whatever people are told");
}

#[test]
fn what_was_measured_is_in_the_table_in_the_object_and_in_the_metrics() {
    let cases = Cases::new();
    let (one, two) = (cases.path("one.prom"), cases.path("two.prom"));
    let check = |jobs: &str, file: &str| {
        let words = ["check", GUARDED, "--seeds", "4", "--jobs", jobs, "--format", "json", "--metrics", file];
        let output = cutover(&words);
        assert_eq!(status(&output), HELD, "{}", err(&output));
        (out(&output), std::fs::read_to_string(file).unwrap())
    };
    let (told, metrics) = check("1", &one);
    let again = check("2", &two);
    assert_eq!((&told, &metrics), (&again.0, &again.1), "the number of jobs does not show");

    let object = json(&told);
    let parts = object["measures"]["parts"].as_array().unwrap();
    let names: Vec<&str> = parts.iter().map(|part| part["part"].as_str().unwrap()).collect();
    assert_eq!(names, ["before", "during", "after"]);
    for part in parts {
        for distribution in [&part["production"]["latency"], &part["processing"]["end_to_end"]] {
            let figure = |name: &str| distribution[name].as_u64().unwrap();
            assert!(figure("count") > 0 && figure("p50_us") <= figure("p99_us"), "{distribution}");
            assert!(figure("p99_us") <= figure("max_us"), "{distribution}");
            assert!(distribution.get("buckets_us").is_none(), "they are asked for by --verbose");
        }
    }
    let sent = parts.iter().map(|part| part["production"]["sent"].as_u64().unwrap());
    assert_eq!(sent.sum::<u64>(), 4 * 2_000, "every record is in one part");
    assert_eq!(parts[0]["cost"]["kafka"]["stored_bytes"], 0, "before the plan nobody writes to Kafka");
    assert_eq!(parts[2]["cost"]["corgi"]["broker_hours"], 0.0, "after it Corgi is stopped");

    let cells = object["coverage"].as_array().unwrap().iter();
    let could = cells.filter(|it| it["possible"].as_u64().unwrap() > 0);
    let times: Vec<u64> = could.map(|it| it["times"].as_u64().unwrap()).collect();
    assert!(times.is_sorted() && times[0] == 0, "zeroes first");
    let conditions = object["conditions"].as_array().unwrap();
    let order: Vec<(bool, u64)> =
        conditions.iter().map(|it| (it["possible"] == false, it["seeds"].as_u64().unwrap())).collect();
    assert!(order.is_sorted() && order[0] == (false, 0), "zeroes first, and what cannot be last: {order:?}");
    let impossible = order.iter().filter(|(impossible, _)| *impossible);
    assert!(impossible.clone().count() > 0 && impossible.clone().all(|(_, seeds)| *seeds == 0), "{order:?}");
    let of_count = "cutover_end_to_end_seconds_count{case=\"article-guarded\",phase=\"after-the-plan\",topic=\"orders\",group=\"search\"}";
    assert!(metrics.contains(of_count), "{metrics}");

    let replayed = cutover(&["replay", GUARDED, "--seed", "3", "--metrics", &one]);
    assert_eq!(status(&replayed), HELD);
    assert!(out(&replayed).contains("production: p50, p99, max"), "{}", out(&replayed));
    assert!(std::fs::read_to_string(&one).unwrap().contains("cutover_runs{case=\"article-guarded\"} 1\n"));
}

#[test]
fn a_table_of_all_that_was_measured_is_there_for_who_asks_for_it() {
    let short = out(&cutover(&["check", GUARDED, "--seeds", "2"]));
    let verbose = out(&cutover(&["check", GUARDED, "--seeds", "2", "--verbose"]));
    for told in [&short, &verbose] {
        assert!(told.contains("before the migration") && told.contains("after-the-plan"), "{told}");
    }
    let only_verbose = ["crash corgi-broker", "seeds that reached it", "fulfilment   "];
    for words in only_verbose {
        assert!(verbose.contains(words), "{words}: {verbose}");
    }
    assert!(short.contains("no seed reached") && !short.contains("seeds that reached it"), "{short}");
}

/// The phases' histograms add up to that of the part, bucket by bucket.
#[test]
fn verbose_json_has_the_histograms_and_they_can_be_merged() {
    let object = json(&out(&cutover(&["check", GUARDED, "--seeds", "1", "--verbose", "--format", "json"])));
    let buckets = |latency: &serde_json::Value| -> Vec<(u64, u64)> {
        serde_json::from_value(latency["buckets_us"].clone()).expect("pairs of numbers")
    };
    let measures = &object["measures"];
    let mut added = std::collections::BTreeMap::new();
    for phase in measures["phases"].as_array().unwrap().iter().filter(|phase| phase["part"] == "during") {
        for topic in phase["production"].as_array().unwrap() {
            for (end, count) in buckets(&topic["latency"]) {
                *added.entry(end).or_insert(0) += count;
            }
        }
    }
    let during = &measures["parts"][1]["production"]["latency"];
    assert_eq!(buckets(during), added.into_iter().collect::<Vec<_>>());
    let counted: u64 = buckets(during).iter().map(|(_, count)| count).sum();
    assert_eq!(Some(counted), during["count"].as_u64());
}

#[test]
fn a_listed_fault_that_never_struck_is_told() {
    let cases = Cases::new();
    let never = "[[faults.list]]\nphase = \"retire\"\nstep = 4\nafter = \"1m\"\nduration = \"5s\"\nkind = \"crash\"\n\
                 target = \"mirror-0\"\n";
    // The mirror starts after a minute: a link of which one end does not run is no link.
    let dead = "[[faults.list]]\nat = \"10s\"\nduration = \"5s\"\nkind = \"cut\"\ntarget = \"mirror-1\"\nto = \"kafka-0\"\n";
    let beyond = "[[faults.list]]\nat = \"3m\"\nduration = \"5s\"\nkind = \"crash\"\ntarget = \"kafka-0\"\nbeyond = true\n";
    let always = "[[faults.list]]\nat = \"2m\"\nduration = \"5s\"\nkind = \"cut\"\ntarget = \"mirror-1\"\nto = \"kafka-0\"\n";
    let base = root().join("scenarios/article-guarded.toml");
    let case = cases.path("two-faults.toml");
    let text =
        format!("extends = \"{}\"\nname = \"two-faults\"\n{never}{always}{dead}{beyond}", base.display());
    std::fs::write(&case, text).unwrap();
    let told = out(&cutover(&["check", &case, "--seeds", "2"]));
    assert!(told.contains("listed fault 1 (crash mirror-0) struck in no seed"), "{told}");
    assert!(told.contains("listed fault 3 (cut mirror-1) struck in no seed"), "{told}");
    assert!(!told.contains("listed fault 2") && !told.contains("listed fault 4"), "{told}");
    let object = json(&out(&cutover(&["check", &case, "--seeds", "2", "--format", "json"])));
    assert_eq!(object["listed_faults"][0]["seeds"], 0);
    assert_eq!(object["listed_faults"][1]["seeds"], 2);
}

#[test]
fn what_is_shown_runs_as_the_case_itself_and_names_every_setting() {
    let shown = out(&cutover(&["show", GUARDED]));
    for words in ["duplicates-per-group", "max-in-flight", "offset-copy-interval", "fetch-wait"] {
        assert!(shown.contains(words), "{words}");
    }
    let cases = Cases::new();
    let saved = cases.path("shown.toml");
    std::fs::write(&saved, shown).unwrap();
    let digest = |case: &str| {
        let output = cutover(&["replay", case, "--seed", "3", "--format", "json"]);
        json(&out(&output))["digest"].clone()
    };
    assert_eq!(digest(&saved), digest(GUARDED));
}

#[test]
fn lint_says_that_a_case_is_well_formed_and_goes_on_after_a_bad_one() {
    let output = cutover(&["lint", GUARDED]);
    assert_eq!((status(&output), err(&output).as_str()), (HELD, ""));
    assert!(out(&output).contains("well-formed"), "{}", out(&output));
    let output = cutover(&["lint", "tests/cases/broken/unknown-key.toml", GUARDED]);
    assert_eq!(status(&output), BAD_INPUT);
    assert!(out(&output).contains("article-guarded.toml: well-formed"), "{}", out(&output));
}

#[test]
fn lint_tells_machines_an_object_a_file() {
    let broken = "tests/cases/broken/unknown-key.toml";
    let output = cutover(&["lint", broken, GUARDED, "--format", "json"]);
    assert_eq!((status(&output), err(&output).as_str()), (BAD_INPUT, ""));
    let told = out(&output);
    let objects: Vec<Value> = told.lines().map(json).collect();
    let [refused, accepted] = &objects[..] else { panic!("{told}") };
    assert_eq!((&refused["file"], &refused["well_formed"]), (&broken.into(), &false.into()));
    let problem = &refused["problems"][0];
    assert!(problem["line"].as_u64() > Some(0) && problem["help"].is_string(), "{told}");
    assert_eq!((&accepted["case"], &accepted["well_formed"]), (&"article-guarded".into(), &true.into()));
    assert!(accepted["steps"].as_u64() > Some(20), "{told}");
    let missing = cutover(&["lint", "scenarios/missing.toml", "--format", "json"]);
    let problem = &json(&out(&missing))["problems"][0];
    assert_eq!((&problem["line"], &problem["file"]), (&Value::Null, &"scenarios/missing.toml".into()));
}

#[test]
fn lint_says_on_which_line_it_warns_of_something() {
    let cases = Cases::new();
    let base =
        cases.write("base.toml", "[[plan.phases]]\nname = 'one'\nsteps = [\n    { do = 'release' },\n]\n");
    let own = cases.path("own.toml");
    std::fs::write(&own, "extends = 'base.toml'\n[plan.after.one]\nname = 'two'\nsteps = []\n").unwrap();
    let output = cutover(&["lint", &own]);
    let told = out(&output);
    assert_eq!((status(&output), err(&output).as_str()), (HELD, ""), "{told}");
    assert!(
        told.contains(&format!("{base}, line 6: warning: phase 1, step 1: nothing is held here")),
        "{told}"
    );
    assert!(told.contains(&format!("{own}, line 2: warning: phase 2: the phase has no step")), "{told}");
    let object = json(&out(&cutover(&["lint", &own, "--format", "json"])));
    let places: Vec<_> =
        object["problems"].as_array().unwrap().iter().map(|it| (&it["file"], &it["line"])).collect();
    assert_eq!(places, [(&base.into(), &6.into()), (&own.into(), &2.into())], "{object}");
}

/// One message, which says the words, and nothing on the other stream.
fn refuses(words: &[&str], says: &[&str]) {
    let output = cutover(words);
    let message = err(&output);
    assert_eq!(status(&output), BAD_INPUT, "{words:?}: {message}");
    assert_eq!(out(&output), "", "{words:?}");
    let messages = message.matches('×').count() + message.matches("error:").count();
    assert_eq!(messages, 1, "{words:?}: {message}");
    for said in says {
        assert!(unwrapped(&message).contains(&unwrapped(said)), "{words:?} does not say `{said}`: {message}");
    }
    assert!(!message.contains("panicked") && !message.contains("RUST_BACKTRACE"), "{words:?}: {message}");
}

#[test]
fn wrong_usage_is_told_once_and_ends_with_64() {
    let baseline = "scenarios/baseline.toml";
    refuses(&["check"], &["<CASE>"]);
    refuses(&["lint"], &["<CASE>"]);
    refuses(&["replay", baseline], &["--seed"]);
    refuses(&["replay", "--seed", "1"], &["<CASE>"]);
    refuses(&["chekc", baseline], &["chekc", "check"]);
    refuses(&["check", baseline, "--sedes", "5"], &["--sedes", "--seeds"]);
    for seeds in ["0", "9..5", "5..5", "many", "1.5", ""] {
        refuses(&["check", baseline, "--seeds", seeds], &["--seeds"]);
    }
    for jobs in ["0", "x", "1025"] {
        let words = ["check", baseline, "--seeds", "1", "--jobs", jobs];
        refuses(&words, &["--jobs", "a whole number of at least 1 is needed"]);
    }
    refuses(&["check", baseline, "--seeds", "1", "--format", "xml"], &["xml", "json"]);
    refuses(&["replay", baseline, "--seed", "-1"], &["-1"]);
    refuses(&["replay", baseline, "--seed", "99999999999999999999999"], &["--seed"]);
    let nothing = cutover(&[]);
    assert_eq!(status(&nothing), BAD_INPUT);
    assert!(err(&nothing).contains("Usage"), "{}", err(&nothing));
    for asked in [&["--help"][..], &["--version"], &["check", "--help"]] {
        assert_eq!(status(&cutover(asked)), HELD, "{asked:?}");
    }
}

#[test]
fn what_is_no_case_is_told_once_and_ends_with_64() {
    let cases = Cases::new();
    let bytes = cases.path("bytes.toml");
    std::fs::write(&bytes, [0xff, 0xfe, 0x00]).unwrap();
    let empty = cases.path("empty.toml");
    std::fs::write(&empty, "").unwrap();
    let missing = cases.path("missing.toml");
    for command in [&["lint"][..], &["check"], &["replay", "--seed", "1"]] {
        let on = |file| [command, &[file]].concat();
        refuses(&on("scenarios"), &["scenarios", "it is a directory", "help:"]);
        refuses(&on(&bytes), &["bytes.toml", "not UTF-8", "help:"]);
        refuses(&on(&empty), &["empty.toml", "missing", "help:"]);
        refuses(&on(&missing), &["missing.toml", "no such file", "help:"]);
    }
    // A file that is wrong is told before the first run, wherever it stands.
    refuses(&["check", GUARDED, &missing, "--seeds", "1000000"], &["missing.toml"]);
}

#[test]
fn what_cannot_be_written_is_told_once_and_ends_with_64() {
    let cases = Cases::new();
    let nowhere = cases.path("no-such-folder/result.json");
    let seeds = ["check", GUARDED, "--seeds", "1000000", "--out", &nowhere];
    refuses(&seeds, &["no-such-folder", "name a file in a folder that exists"]);
    let seeds = ["check", GUARDED, "--seeds", "1000000", "--metrics", &nowhere];
    refuses(&seeds, &["no-such-folder", "name a file in a folder that exists"]);
    for file in ["--history", "--metrics"] {
        let replay = ["replay", "scenarios/baseline.toml", "--seed", "1", file, &nowhere];
        refuses(&replay, &["no-such-folder", "name a file in a folder that exists"]);
    }
    let folder = cases.path("");
    refuses(&["check", GUARDED, "--seeds", "1000000", "--out", &folder], &["it is a folder", "result.json"]);
    refuses(&["replay", GUARDED, "--seed", "1", "--history", &folder], &["it is a folder", "help:"]);
}

#[test]
fn a_result_takes_the_place_of_no_case_and_of_no_other_result() {
    let cases = Cases::new();
    let base = cases.nobody_reads_kafka("base.toml", "");
    let (own, result) = (cases.path("own.toml"), cases.path("result"));
    std::fs::write(&own, "extends = 'base.toml'\nname = 'own'\n[workload]\ntrace = 'trace.csv'\n").unwrap();
    let trace = cases.path("trace.csv");
    std::fs::write(&trace, "at,key,bytes\n1,k,100\n").unwrap();
    let other = cases.path("./own.toml");
    let before = || [&base, &own, &trace].map(|path| std::fs::read_to_string(path).unwrap());
    let kept = before();
    let check = ["check", GUARDED, &own, "--seeds", "1000000"];
    let replay = ["replay", &own, "--seed", "1"];
    for path in [&base, &own, &trace, &other] {
        for (words, option) in
            [(&check[..], "--out"), (&check, "--metrics"), (&replay, "--history"), (&replay, "--metrics")]
        {
            refuses(
                &[words, &[option, path]].concat(),
                &[&format!("{option} would overwrite"), path, "help:"],
            );
        }
    }
    let same = cases.path("./result");
    for (words, option) in [(&check[..], "--out"), (&replay, "--history")] {
        let both = [words, &[option, &result, "--metrics", &same]].concat();
        refuses(&both, &[&format!("{option} and --metrics both name"), "help: name two files"]);
    }
    assert_eq!(before(), kept);
    assert!(!Path::new(&result).exists(), "nothing is made where something is refused");
}

#[test]
fn of_a_file_in_one_long_line_a_stretch_is_shown() {
    let cases = Cases::new();
    let long = cases.path("long.toml");
    std::fs::write(&long, format!("name = '{}' elephant {}", "a".repeat(30_000), "b".repeat(30_000)))
        .unwrap();
    let message = err(&cutover(&["lint", &long]));
    assert!(message.contains("elephant") && message.len() < 5_000, "{} bytes: {message}", message.len());
}

/// The first line of a broken case says where it is broken: `# line 7: ...`, `# orders.csv, line 3: ...`; line 0 is a
/// file that cannot be read at all.
#[test]
fn every_broken_case_is_told_once_with_its_file_and_line() {
    let entries = std::fs::read_dir(root().join("tests/cases/broken")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".toml") && !name.starts_with("part-"));
    names.sort();
    assert!(names.len() >= 20, "{} broken cases", names.len());
    for name in names {
        let path = format!("tests/cases/broken/{name}");
        let text = std::fs::read_to_string(root().join(&path)).unwrap();
        let (place, _) = text.lines().next().unwrap().trim_start_matches("# ").split_once(": ").unwrap();
        let (file, line) = place.split_once(", ").unwrap_or((&name, place));
        let says: &[&str] = if line == "line 0" { &[file] } else { &[file, line] };
        refuses(&["lint", &path], says);
        refuses(&["check", &path, "--seeds", "1"], says);
        refuses(&["replay", &path, "--seed", "0"], says);
    }
}
