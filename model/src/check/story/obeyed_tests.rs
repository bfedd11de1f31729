use crate::check::scene::{A, Scene, subject};
use crate::check::{Ground, Judgement, Subject, ZeroDowntime, story};
use crate::plan::Act;
use crate::units::Span;

fn subject_with_centre() -> Subject {
    subject()
}

fn told(scene: &Scene, judgement: &Judgement) -> Vec<String> {
    let lines = story(&scene.entries, &subject_with_centre(), &judgement.findings[0], 20);
    lines.into_iter().map(|line| line.text).collect()
}

fn pause(group: &str) -> Act {
    Act::Pause { group: group.to_owned() }
}

fn resume(group: &str) -> Act {
    Act::Resume { group: group.to_owned() }
}

fn count(texts: &[String], part: &str) -> usize {
    texts.iter().filter(|text| text.contains(part)).count()
}

#[test]
fn a_record_that_waits_is_told_with_the_pause_in_which_it_did_and_with_no_other() {
    let mut scene = Scene::new();
    scene.phase(1).act(pause("billing")).wait(Span::secs(9)).act(resume("billing")).wait(Span::secs(60));
    scene.act(pause("billing")).act(pause("search")).wait(Span::secs(90));
    scene.send((0, 0), 0).wait(Span::secs(400)).act(resume("billing")).reads(A, &[0]);
    scene.wait(Span::secs(60)).act(pause("billing")).drained();
    let judgement = scene.judged(ZeroDowntime::new);
    assert_eq!(judgement.findings[0].ground, Ground::ReadUnavailable);
    let texts = told(&scene, &judgement);
    assert_eq!(count(&texts, "pauses billing"), 1, "{texts:#?}");
    assert_eq!(count(&texts, "lets billing go on"), 1, "{texts:#?}");
    assert_eq!(count(&texts, "pauses search"), 0, "{texts:#?}");
}
