//! Searches for differences between the model and a real Kafka: draws conversations from seeds, plays each against
//! both, and shrinks the first difference to the shortest script that shows it.

mod both;
mod dice;
mod draw;
mod moves;
mod realise;
mod shrink;
mod undetermined;

use crate::arguments::Fuzz;
use crate::live::{Installation, Kafka, Live, kill_all_when_interrupted};
use crate::script;
use both::{Difference, play};
use draw::{Drawn, draw};
use moves::Move;
use realise::{PATIENCE_MS, Said, realise};
use serde_json::{Value, json};
use shrink::shrink;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How often a difference is played again to make it shorter.
const TRIES: usize = 60;

/// A search through some seeds.
pub struct Search {
    words: Fuzz,
    kafka: Option<Kafka>,
}

impl Search {
    pub fn new(words: Fuzz) -> Search {
        Search { words, kafka: None }
    }

    /// Play them: a line a seed, and what came of all.
    pub fn run(mut self) -> ExitCode {
        if let Err(status) = kill_all_when_interrupted() {
            return status;
        }
        let begun = Instant::now();
        let end = self.words.minutes.map(|minutes| begun + Duration::from_secs(60 * minutes));
        let (mut equal, mut different) = (0u32, 0u32);
        for seed in self.words.seeds.0.clone() {
            if end.is_some_and(|end| Instant::now() >= end) {
                break;
            }
            match self.seed(seed) {
                Ok(true) => equal += 1,
                Ok(false) => {
                    different += 1;
                    if !self.words.keep_going {
                        break;
                    }
                }
                Err(trouble) => {
                    eprintln!("{trouble}");
                    return ExitCode::FAILURE;
                }
            }
        }
        println!("{equal} equal, {different} different, {} s", begun.elapsed().as_secs());
        if different == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// Whether both say the same to that seed's conversation.
    fn seed(&mut self, seed: u64) -> Result<bool, String> {
        let begun = Instant::now();
        let drawn = draw(seed, self.words.steps)?;
        let found = self.play(&drawn.header, &drawn.said)?;
        let seconds = begun.elapsed().as_secs_f32();
        match found {
            None => {
                println!("seed {seed}: equal, {} steps, {seconds:.1} s", drawn.said.len());
                Ok(true)
            }
            Some(difference) => {
                println!("seed {seed}: DIFFERENT, {seconds:.1} s: {}", difference.text);
                self.write(seed, &drawn, difference)?;
                Ok(false)
            }
        }
    }

    /// Play against the real cluster; where the cluster is in trouble, once more against a new one.
    fn play(&mut self, header: &Value, said: &[Said]) -> Result<Option<Difference>, String> {
        let first = self.try_to_play(header, said);
        let found = first.or_else(|trouble| {
            eprintln!("the cluster is started anew: {trouble}");
            self.kafka = None;
            self.try_to_play(header, said)
        });
        found.map_err(|trouble| trouble.to_string())
    }

    fn try_to_play(&mut self, header: &Value, said: &[Said]) -> Live<Option<Difference>> {
        let mut kafka = match self.kafka.take() {
            Some(kafka) => kafka,
            None => Kafka::start(Installation::find(&self.words.version)?, &Value::Null)?,
        };
        kafka.brokers.patience = Duration::from_millis(PATIENCE_MS);
        let found = play(&mut kafka, header, said, self.words.verbose)?;
        match kafka.heal() {
            Ok(()) => self.kafka = Some(kafka),
            Err(trouble) => eprintln!("the cluster does not heal and is started anew: {trouble}"),
        }
        Ok(found)
    }

    /// Shrink a difference and write the shortest script that shows it.
    fn write(&mut self, seed: u64, drawn: &Drawn, first: Difference) -> Result<(), String> {
        let shortest = self.shrunk(drawn, first)?;
        let script = json!({
            "name": format!("seed-{seed}"),
            "about": format!("Found by seed {seed} of {} moves: {}.", self.words.steps, shortest.text),
            "kafka": self.words.version,
            "topics": drawn.header["topics"],
            "steps": shortest.steps,
        });
        let unwritable = |error: std::io::Error| format!("{}: {error}", self.words.out.display());
        std::fs::create_dir_all(&self.words.out).map_err(unwritable)?;
        let path = self.words.out.join(format!("seed-{seed}.json"));
        std::fs::write(&path, script::written(&script)).map_err(unwritable)?;
        println!("  {} steps: {}", shortest.steps.len(), path.display());
        println!("  {}", shortest.text);
        Ok(())
    }

    /// The difference in the shortest conversation found: moves are left out, then what they consist of.
    fn shrunk(&mut self, drawn: &Drawn, first: Difference) -> Result<Difference, String> {
        if self.words.no_shrink {
            return Ok(first);
        }
        let Some(again) = self.play(&drawn.header, &drawn.said)?.filter(|again| again.kind == first.kind)
        else {
            println!(
                "  it did not show again: something that is not determined was drawn, or the cluster was slow"
            );
            return Ok(first);
        };
        let kind = again.kind.clone();
        let mut shortest = again;
        let mut shows = |moves: &[Move]| {
            let played = realise(&drawn.header, moves).and_then(|said| self.play(&drawn.header, &said));
            match played {
                Ok(Some(difference)) if difference.kind == kind => {
                    shortest = difference;
                    true
                }
                _ => false,
            }
        };
        let moves = shrink(&drawn.moves, TRIES, &mut shows);
        shrink(&single(&moves), TRIES, &mut shows);
        Ok(shortest)
    }
}

/// The same, each draft a move of its own.
fn single(moves: &[Move]) -> Vec<Move> {
    let drafts =
        moves.iter().flat_map(|played| played.drafts.iter().map(|draft| (draft.clone(), played.is_needed)));
    drafts.map(|(draft, is_needed)| Move { drafts: vec![draft], is_needed }).collect()
}
