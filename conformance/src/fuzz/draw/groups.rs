//! Groups: members that come and go, dynamic and static, and offsets committed in every state.

use super::{Draft, Drawing, GROUPS, Move, SESSION_MS, TOPICS};
use serde_json::{Value, json};

/// The members of each group. The last two of each share a static instance.
const MEMBERS: [[&str; 4]; 2] = [["g1", "g2", "g3", "g4"], ["h1", "h2", "h3", "h4"]];
const PROTOCOLS: [&[&str]; 5] =
    [&["range"], &["range"], &["range", "roundrobin"], &["sticky", "range"], &["roundrobin"]];

#[derive(Clone, Copy)]
enum Kind {
    Join,
    Sync,
    Heartbeat,
    Leave,
    Commit,
    Fetch,
    Describe,
    DeleteOffset,
    Delete,
    Silent,
}

/// The commit of an offset that keeps a group: one without is forgotten when it is empty, at a time that nobody knows.
fn keeping(group: &str) -> Value {
    json!({"call": "offset_commit", "client": "operator", "group": group, "member": "", "generation": -1,
        "offsets": {"keep/0": 0}})
}

/// The first commit of a group, as soon as its coordinator takes it.
pub fn kept(group: &str) -> Move {
    let mut step = keeping(group);
    step["until"] = json!({"offsets": {"keep/0": "NONE"}});
    Move { drafts: vec![Draft::Step(step)], is_needed: true }
}

impl Drawing {
    /// One of a group's members, by name.
    pub fn member_of(&mut self, group: &str) -> &'static str {
        let place = usize::from(group == GROUPS[1]);
        self.dice.pick::<&'static str>(&MEMBERS[place])
    }

    fn instance(member: &str) -> Option<&'static str> {
        (member.ends_with('3') || member.ends_with('4')).then_some("i")
    }

    /// A step of a member, with its instance if it is a static one.
    fn by_member(&mut self, call: &str) -> Value {
        let group = *self.dice.pick(&GROUPS);
        let member = self.member_of(group);
        let mut step = json!({"call": call, "client": member, "group": group, "transient": true});
        if let Some(instance) = Drawing::instance(member) {
            // Seldom without it: as a dynamic member would.
            if !self.dice.percent(5) {
                step["instance"] = json!(instance);
            }
        }
        step
    }

    /// Now and then a generation that is not the current one, or another's member id, or none.
    fn perhaps_wrong(&mut self, step: &mut Value) {
        if self.dice.percent(10) {
            step["generation"] = json!(self.dice.between(-1, 4));
        }
        if self.dice.percent(6) {
            let group = step["group"].as_str().unwrap_or("g").to_owned();
            let other = self.member_of(&group);
            step["member"] = json!(*self.dice.pick(&["", "nobody", other]));
        }
    }

    pub fn group(&mut self) -> Move {
        let kind = self.dice.weighted(&[
            (26, Kind::Join),
            (20, Kind::Sync),
            (12, Kind::Heartbeat),
            (5, Kind::Leave),
            (16, Kind::Commit),
            (8, Kind::Fetch),
            (8, Kind::Describe),
            (2, Kind::DeleteOffset),
            (2, Kind::Delete),
            (1, Kind::Silent),
        ]);
        match kind {
            Kind::Join => self.join(),
            Kind::Sync => self.sync(),
            Kind::Heartbeat => {
                let mut step = self.by_member("heartbeat");
                self.perhaps_wrong(&mut step);
                Move::step(step)
            }
            Kind::Leave => Move::step(self.by_member("leave_group")),
            Kind::Commit => self.commit(),
            Kind::Fetch => {
                let group = *self.dice.pick(&GROUPS);
                let stable = self.dice.percent(50);
                Move::step(
                    json!({"call": "offset_fetch", "group": group, "partitions": ["a/0", "b/0", "keep/0"],
                    "require_stable": stable, "transient": true}),
                )
            }
            Kind::Describe => {
                let group = *self.dice.pick(&GROUPS);
                if self.dice.percent(10) {
                    return Move::step(json!({"call": "find_coordinator", "group": group}));
                }
                Move::step(json!({"call": "describe_group", "group": group, "transient": true}))
            }
            Kind::DeleteOffset => {
                let (group, topic) = (*self.dice.pick(&GROUPS), *self.dice.pick(&TOPICS));
                Move::step(
                    json!({"call": "offset_delete", "group": group, "topic": topic, "transient": true}),
                )
            }
            Kind::Delete => self.delete(),
            Kind::Silent => self.silent(),
        }
    }

    fn join(&mut self) -> Move {
        let mut step = self.by_member("join_group");
        step["session_ms"] = json!(SESSION_MS);
        step["rebalance_ms"] = json!(SESSION_MS);
        step["protocols"] = json!(*self.dice.pick(&PROTOCOLS));
        step["subscribe"] = match self.dice.below(6) {
            0 => json!(["a", "b"]),
            1 => json!(["b"]),
            _ => json!(["a"]),
        };
        if self.dice.percent(3) {
            step["protocol_type"] = json!("other");
        }
        if self.dice.percent(3) {
            step["member"] = json!(*self.dice.pick(&["", "nobody"]));
        }
        if self.dice.percent(10) {
            step["api_version"] = json!(9);
        }
        // A dynamic member is told its id first: both at once, mostly.
        let has_id =
            step["client"].as_str().is_some_and(|name| self.realiser.player.names.members.contains_key(name));
        if has_id || step["instance"].is_string() || self.dice.percent(10) {
            return Move::new(vec![Draft::Waiting(step)]);
        }
        Move::new(vec![Draft::Waiting(step.clone()), Draft::Waiting(step)])
    }

    fn sync(&mut self) -> Move {
        let mut step = self.by_member("sync_group");
        let group = step["group"].as_str().unwrap_or("g").to_owned();
        let described = self.realiser.peek(&json!({"call": "describe_group", "group": group}));
        // The protocol that the group chose; a wrong one now and then.
        if let Some(chosen) = self.chosen(&group) {
            step["protocol"] = json!(chosen);
        }
        if self.dice.percent(4) {
            step["protocol"] = json!("roundrobin");
        }
        let members =
            described.as_ref().and_then(|group| group["members"].as_array()).cloned().unwrap_or_default();
        let named = members
            .iter()
            .filter_map(|member| member["member"].as_str())
            .filter(|name| !name.starts_with('#'));
        step["assignments"] = named
            .map(|name| (name.to_owned(), json!(format!("for-{name}"))))
            .collect::<serde_json::Map<_, _>>()
            .into();
        self.perhaps_wrong(&mut step);
        Move::new(vec![Draft::Waiting(step)])
    }

    /// The protocol that the last join of that group was told.
    fn chosen(&self, group: &str) -> Option<String> {
        let mut started = std::collections::BTreeMap::new();
        let mut chosen = None;
        for said in &self.realiser.said {
            if let Some(name) = said.step["start"].as_str() {
                started.insert(name.to_owned(), said.step.clone());
            }
            let call = said.step["finish"].as_str().and_then(|name| started.get(name)).unwrap_or(&said.step);
            if let (true, super::super::realise::Outcome::Answer(answer)) =
                (call["call"] == "join_group" && call["group"] == group, &said.outcome)
            {
                chosen = answer["protocol"].as_str().map(str::to_owned).or(chosen);
            }
        }
        chosen
    }

    fn commit(&mut self) -> Move {
        let offset = self.dice.between(-1, 9);
        let topic = *self.dice.pick(&TOPICS);
        let mut step = self.by_member("offset_commit");
        if self.dice.percent(20) {
            step["member"] = json!("");
            step["generation"] = json!(-1);
            step["client"] = json!("operator");
            step.as_object_mut().map(|fields| fields.shift_remove("instance"));
        } else {
            self.perhaps_wrong(&mut step);
        }
        step["offsets"] = json!({format!("{topic}/0"): offset});
        if self.dice.percent(5) {
            step["offsets"]["nowhere/0"] = json!(1);
        }
        Move::step(step)
    }

    /// Delete a group, and keep the next one of that name.
    fn delete(&mut self) -> Move {
        let group = *self.dice.pick(&GROUPS);
        let mut drafts =
            vec![Draft::Step(json!({"call": "delete_group", "group": group, "transient": true}))];
        drafts.extend(kept(group).drafts);
        Move::new(drafts)
    }

    /// A member that joins an empty group and is not heard of again.
    fn silent(&mut self) -> Move {
        let group = *self.dice.pick(&GROUPS);
        let described = self.realiser.peek(&json!({"call": "describe_group", "group": group}));
        if described.is_none_or(|group| group["state"] != "Empty") {
            return Move::step(json!({"call": "describe_group", "group": group, "transient": true}));
        }
        let client = format!("{group}-silent");
        let join = json!({"call": "join_group", "client": client, "group": group, "session_ms": 3_000,
            "rebalance_ms": 3_000, "subscribe": ["a"], "transient": true});
        let described = json!({"call": "describe_group", "group": group, "transient": true});
        Move::new(vec![
            Draft::Waiting(join.clone()),
            Draft::Waiting(join),
            Draft::Step(described.clone()),
            Draft::Step(json!({"wait_ms": 4_500})),
            Draft::Settled(described, &["error", "state"]),
        ])
    }
}
