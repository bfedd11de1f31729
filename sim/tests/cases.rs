//! Case files as they are shipped: every scenario loads, and every broken case is told what is wrong, and where.

use cutover_sim::case::Case;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn cases(name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder(name)).expect("the folder is part of the project");
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("the folder can be listed").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    paths
}

/// The first line of a broken case says what is to be reported: `# line 7: part of the message`, with the file where
/// it is another: `# orders.csv, line 3: ...`. Line 0 is a file that cannot be read.
#[test]
fn every_broken_case_is_told_its_line_and_what_is_wrong() {
    let paths: Vec<PathBuf> = cases("tests/cases/broken").into_iter().filter(|path| !is_part(path)).collect();
    assert!(paths.len() >= 20, "{} broken cases", paths.len());
    let mut wrong = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let first = text.lines().next().unwrap().trim_start_matches("# ");
        let (place, message) = first.split_once(": ").unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let (file, line) = place.split_once(", ").unwrap_or((name, place));
        let line: usize = line.trim_start_matches("line ").parse().unwrap();
        match Case::load(&path) {
            Ok(_) => wrong.push(format!("{name} loads")),
            Err(error) => {
                let named = Path::new(&error.file).file_name().unwrap().to_str().unwrap();
                if (named, error.line) != (file, line) || !error.message.contains(message) {
                    wrong.push(format!("{name}: expected {first}\n    got {error}"));
                } else if error.help.as_deref().unwrap_or_default().is_empty() {
                    wrong.push(format!("{name}: no help"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Files that are there for others to extend.
fn is_part(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("part-"))
}

#[test]
fn every_scenario_loads_and_survives_being_saved() {
    for path in cases("scenarios") {
        let case = Case::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert_eq!(case.name, name, "a scenario is named as its file");
        assert!(!case.about.is_empty(), "{name} says what it is about");
        let saved = case.to_toml().unwrap();
        let mut again =
            Case::from_text("saved.toml", &saved).unwrap_or_else(|error| panic!("{name}: {error}"));
        // A trace is saved as the records that it stands for.
        if case.workload.trace.is_some() {
            assert_eq!(
                again.workload.sends.as_ref().map(|sends| sends.len()),
                Some(case.workload.rows.len())
            );
            again.workload = case.workload.clone();
        }
        assert_eq!(again, case);
    }
}

/// The help of a broken case.
fn help_of(name: &str) -> String {
    let error = Case::load(&folder("tests/cases/broken").join(name)).expect_err("the case is broken");
    error.help.clone().unwrap_or_default()
}

#[test]
fn what_needs_quotes_is_told_with_them() {
    assert_eq!(help_of("version-without-quotes.toml"), "it needs quotes: write \"4.1\"");
    assert_eq!(help_of("word-without-quotes.toml"), "a text needs quotes: write \"hash\"");
    assert!(help_of("name-without-quotes.toml").starts_with("write it in quotes, \"5\""));
    // What is not one of the words is not told to be put in quotes.
    let other = Case::from_text("a.toml", "[kafka]\nversion = 5.0").unwrap_err();
    assert_eq!(other.help.as_deref(), Some("write one of: \"3.9\", \"4.1\""));
}

#[test]
fn what_cannot_be_done_to_a_target_is_told_with_what_can() {
    assert_eq!(help_of("fault-of-a-group-on-a-role.toml"), "write \"corgi-broker\"");
    assert_eq!(help_of("fault-on-a-site.toml"), "name a node, a kind or a role");
    let missing = help_of("fault-on-what-the-case-has-not.toml");
    assert_eq!(missing, "add a table [reverse-mirror], or name another target");
    assert!(help_of("key-twice.toml").starts_with("each key is given once"));
    assert!(help_of("fault-for-who-does-not-stand-by.toml").ends_with("add a spare instance of a group"));
    let unknown = Case::from_text("a.toml", "elephant = 1").unwrap_err();
    assert!(unknown.help.as_deref().is_some_and(|help| help.contains("expect, extends, faults")));
}

#[test]
fn a_case_whose_draw_has_kinds_that_it_lacks_the_nodes_for_loads() {
    let name = folder("scenarios").join("case.toml");
    let text = "extends = 'baseline.toml'\n[kafka]\nbrokers = 1\nreplication-factor = 1\nmin-insync-replicas = 1\n\
                [consumers]\nspare-instances = 0\n";
    assert!(Case::from_text(name.to_str().unwrap(), text).is_ok());
}

#[test]
fn an_error_in_a_base_names_the_file_that_brings_it_about() {
    for name in ["topic-that-a-group-of-the-base-reads.toml", "phase-that-a-fault-of-the-base-strikes.toml"] {
        let help = help_of(name);
        let told = format!("{name}, which extends this file and brings it about");
        assert!(help.ends_with(&told), "{name}: {help}");
    }
    // What is wrong in the base by itself is not the extending file's doing.
    let help = help_of("wrong-in-the-base.toml");
    assert!(!help.contains("extends this file"), "{help}");
}

#[test]
fn a_wait_that_ends_with_the_case_is_in_time() {
    let broken = folder("tests/cases/broken");
    let text = std::fs::read_to_string(broken.join("waits-beyond-the-end.toml")).unwrap();
    let load = |text: &str| Case::from_text(broken.join("case.toml").to_str().unwrap(), text);
    assert!(load(&text.replace("span = \"5m\"", "span = \"1m\"")).is_ok());
    let help = load(&text).unwrap_err().help.clone().unwrap();
    assert_eq!(help, "write a longer `duration`, at least \"14m\", or a shorter `span`");
    let ages = load(&text.replace("span = \"5m\"", "span = \"30h\"")).unwrap_err();
    assert!(ages.help.as_deref().unwrap().starts_with("write a shorter `span`"), "{ages}");
}

#[test]
fn a_fault_that_ends_with_the_case_is_in_it() {
    let broken = folder("tests/cases/broken");
    let text = std::fs::read_to_string(broken.join("fault-that-outlasts-the-case.toml")).unwrap();
    let text = text.replace("90s", "60s");
    assert!(Case::from_text(broken.join("case.toml").to_str().unwrap(), &text).is_ok());
}

fn error_of(name: &str, text: &str) -> String {
    Case::from_text(name, text).expect_err("the case is broken").to_string()
}

#[test]
fn at_most_eight_files_stand_on_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let write = |number: u32, text: &str| {
        let path = folder.path().join(format!("{number}.toml"));
        std::fs::write(&path, text).unwrap();
        path
    };
    let standard = self::folder("tests/cases/broken").join("part-standard.toml");
    std::fs::copy(standard, folder.path().join("0.toml")).unwrap();
    let paths: Vec<PathBuf> = (1..9)
        .map(|number| write(number, &format!("extends = '{}.toml'\nseeds = {number}", number - 1)))
        .collect();
    assert_eq!(Case::load(&paths[6]).unwrap().seeds, 7);
    let error = Case::load(&paths[7]).unwrap_err();
    assert!(error.message.contains("more than 8 files"), "{error}");
}

#[test]
fn what_is_no_readable_file_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let error = Case::load(folder.path()).unwrap_err();
    assert!(error.message.contains("it is a directory") && error.line == 0, "{error}");
    let bytes = folder.path().join("bytes.toml");
    std::fs::write(&bytes, [0xff, 0xfe, 0x00]).unwrap();
    assert!(Case::load(&bytes).unwrap_err().message.contains("not UTF-8"));
    #[cfg(unix)]
    assert!(error_of("case.toml", "extends = '/dev/zero'").contains("not a regular file"));
}

#[test]
fn lists_are_no_tables_and_have_no_surplus() {
    assert!(error_of("a.toml", "topics = [['orders', 8]]").contains("a list stands where a table is needed"));
    let text = "[switch]\npush-delay = ['1s', '2s', '3s']";
    assert_eq!(error_of("a.toml", text), "a.toml, line 2: the list is longer than it may be");
    let standard = std::fs::read_to_string(folder("tests/cases/broken/part-standard.toml")).unwrap();
    let text = format!("{standard}\n[switch]\npush-delay = ['2s', '1s']");
    assert!(error_of("a.toml", &text).contains("`push-delay` goes from 2s to 1s"));
}

#[test]
fn phases_are_replaced_added_and_removed_by_name() {
    let folder = folder("tests/cases/broken");
    let name = folder.join("case.toml");
    let names = |text: &str| -> Vec<String> {
        let text = format!("extends = 'part-standard.toml'\n{text}");
        let case = Case::from_text(name.to_str().unwrap(), &text).unwrap_or_else(|error| panic!("{error}"));
        case.plan.phases.into_iter().map(|phase| phase.name).collect()
    };
    let step = "steps = [{ do = 'start-mirror' }]";
    assert_eq!(names(&format!("[plan.replace.dual-write]\n{step}")), ["dual-write"]);
    assert_eq!(names(&format!("[plan.after.dual-write]\nname = 'rest'\n{step}")), ["dual-write", "rest"]);
    let before = format!("[plan]\nremove = ['dual-write']\n[plan.before.dual-write]\nname = 'first'\n{step}");
    assert_eq!(names(&before), ["first"]);
}

/// The blocks of TOML in a document.
fn examples(text: &str) -> Vec<String> {
    let blocks = text.split("```toml\n").skip(1);
    blocks.map(|block| block.split_once("```").expect("a block ends").0.to_owned()).collect()
}

/// An example with a name is a case as it stands, in a file beside the shipped ones; any other is a part of one.
#[test]
fn every_example_of_the_documentation_of_cases_loads() {
    let text = std::fs::read_to_string(folder("docs/cases.md")).unwrap();
    let name = folder("scenarios").join("example.toml");
    let mut complete = 0;
    for example in examples(&text) {
        let table: toml::Table = example.parse().unwrap_or_else(|error| panic!("{error}\n{example}"));
        complete += usize::from(table.contains_key("name"));
        let text = match table.contains_key("name") {
            true => example,
            false => format!("extends = 'article.toml'\n{example}"),
        };
        Case::from_text(name.to_str().unwrap(), &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
    assert!(complete > 0, "no complete example");
}

/// What docs/cases.md says of a case that extends another.
#[test]
fn about_and_expect_are_inherited_and_a_replaced_phase_keeps_its_name_alone() {
    let name = folder("scenarios").join("case.toml");
    let load = |text: &str| {
        let text = format!("extends = 'article.toml'\n{text}");
        Case::from_text(name.to_str().unwrap(), &text).unwrap_or_else(|error| panic!("{error}"))
    };
    let base = load("");
    let begins = |case: &Case, name: &str| {
        case.plan.phases.iter().find(|phase| phase.name == name).expect("the phase is there").not_before
    };
    assert!(begins(&base, "dual-write") > Default::default());
    let case = load("[plan.replace.dual-write]\nsteps = [{ do = 'start-mirror' }]");
    assert_eq!((&case.about, &case.expect), (&base.about, &base.expect));
    assert_eq!(begins(&case, "dual-write"), Default::default());
}

/// Lines may end in CR LF, and empty ones are skipped: the line that is told is still the row's.
#[test]
fn a_row_of_a_trace_is_told_with_its_own_line() {
    let folder = tempfile::tempdir().unwrap();
    let standard = std::fs::read_to_string(self::folder("tests/cases/broken/part-standard.toml")).unwrap();
    let error = |trace: &str| {
        std::fs::write(folder.path().join("trace.csv"), trace).unwrap();
        let text = format!("{standard}\n[workload]\ntrace = 'trace.csv'");
        let name = folder.path().join("case.toml");
        Case::from_text(name.to_str().unwrap(), &text).expect_err("the trace is broken")
    };
    let told = |trace: &str| {
        let error = error(trace);
        (error.line, error.message.clone())
    };
    let short = (3, "the row has no `bytes`".to_owned());
    assert_eq!(told("at,key,bytes\r\n1,a,100\r\n2,b\r\n"), short);
    assert_eq!(told("at,key,bytes\n\n1,a\n"), short);
    assert_eq!(told("at,key,bytes\n1,a,100\n2,b"), short);
    assert_eq!(told("at,at,key,bytes\n").1, "the column `at` is there twice");
    assert_eq!(told("at,key\n1,a\n").1, "the column `bytes` is missing");
    assert_eq!(told("at,key,bytes\n1,a,100,7\n").1, "the row has 4 values for 3 columns");
    let mixed = "this time is in RFC 3339, and those of the rows above are in seconds";
    assert_eq!(told("at,key,bytes\n1,a,100\n2020-01-01T00:00:00Z,a,100\n").1, mixed);
}
