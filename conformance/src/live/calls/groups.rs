//! Groups, their members and their committed offsets.

use super::{Call, each, lacking, shown_error};
use crate::live::Live;
use crate::live::wire::text;
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest, GroupId, HeartbeatRequest,
    JoinGroupRequest, LeaveGroupRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
    SyncGroupRequest, TopicName, join_group_request as join, leave_group_request as leave,
    offset_commit_request as commit, offset_delete_request as deletion, offset_fetch_request as offsets,
    sync_group_request as sync,
};
use serde_json::{Value, json};

impl Call<'_> {
    pub fn find_coordinator(&self) -> Live<Value> {
        let is_transaction = self.field("kind", "group") == "transaction";
        let key = if is_transaction { self.transaction() } else { self.group() };
        let request = FindCoordinatorRequest::default().with_key(key).with_key_type(i8::from(is_transaction));
        let answer = self.ask(self.any()?, 3, &request)?;
        Ok(json!({"error": shown_error(answer.error_code)}))
    }

    /// What a member brings along: `subscribe` in the consumer's own encoding (version 0), or any text.
    fn subscription(&self) -> Bytes {
        let Some(topics) = self.step["subscribe"].as_array() else {
            return Bytes::from(self.field("subscription", ""));
        };
        let mut encoded = BytesMut::new();
        encoded.put_i16(0);
        encoded.put_i32(topics.len() as i32);
        for topic in topics {
            let topic = self.names.topic(topic.as_str().unwrap_or(""));
            encoded.put_i16(topic.len() as i16);
            encoded.put_slice(topic.as_bytes());
        }
        encoded.put_i32(0);
        encoded.freeze()
    }

    pub fn join_group(&self) -> Live<Value> {
        let range = json!(["range"]);
        let names = self.step.get("protocols").unwrap_or(&range).as_array().into_iter().flatten();
        let protocols = names
            .map(|name| {
                join::JoinGroupRequestProtocol::default()
                    .with_name(text(name.as_str().unwrap_or("")))
                    .with_metadata(self.subscription())
            })
            .collect();
        let request = JoinGroupRequest::default()
            .with_group_id(GroupId(self.group()))
            .with_session_timeout_ms(self.number("session_ms", 30_000) as i32)
            .with_rebalance_timeout_ms(self.number("rebalance_ms", 30_000) as i32)
            .with_member_id(self.member())
            .with_group_instance_id(self.optional("instance"))
            .with_protocol_type(text(&self.field("protocol_type", "consumer")))
            .with_protocols(protocols);
        let version = self.number("api_version", 7) as i16;
        let answer = self.ask(self.group_coordinator()?, version, &request)?;
        let mut shown = json!({
            "error": shown_error(answer.error_code),
            "generation": answer.generation_id,
            "protocol": answer.protocol_name.as_ref().map(ToString::to_string),
            "leader": answer.leader.to_string(),
            "member": answer.member_id.to_string(),
            "members": answer.members.iter().map(|member| member.member_id.to_string()).collect::<Vec<_>>(),
        });
        if version >= 9 {
            shown["skip_assignment"] = json!(answer.skip_assignment);
        }
        Ok(shown)
    }

    pub fn sync_group(&self) -> Live<Value> {
        let assignments = self.step["assignments"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(who, what)| {
                let id = self.names.members.get(who).map_or(who.as_str(), String::as_str);
                sync::SyncGroupRequestAssignment::default()
                    .with_member_id(text(id))
                    .with_assignment(Bytes::from(what.as_str().unwrap_or("").to_owned()))
            })
            .collect();
        let request = SyncGroupRequest::default()
            .with_group_id(GroupId(self.group()))
            .with_generation_id(self.generation())
            .with_member_id(self.member())
            .with_group_instance_id(self.optional("instance"))
            .with_protocol_type(Some(text(&self.field("protocol_type", "consumer"))))
            .with_protocol_name(Some(text(&self.field("protocol", "range"))))
            .with_assignments(assignments);
        let answer = self.ask(self.group_coordinator()?, 5, &request)?;
        Ok(json!({
            "error": shown_error(answer.error_code),
            "assignment": String::from_utf8_lossy(&answer.assignment),
        }))
    }

    pub fn heartbeat(&self) -> Live<Value> {
        let request = HeartbeatRequest::default()
            .with_group_id(GroupId(self.group()))
            .with_generation_id(self.generation())
            .with_member_id(self.member())
            .with_group_instance_id(self.optional("instance"));
        let answer = self.ask(self.group_coordinator()?, 4, &request)?;
        Ok(json!({"error": shown_error(answer.error_code)}))
    }

    pub fn leave_group(&self) -> Live<Value> {
        let member = leave::MemberIdentity::default()
            .with_member_id(self.member())
            .with_group_instance_id(self.optional("instance"));
        let request =
            LeaveGroupRequest::default().with_group_id(GroupId(self.group())).with_members(vec![member]);
        let answer = self.ask(self.group_coordinator()?, 4, &request)?;
        let member = answer.members.first().map(|member| shown_error(member.error_code));
        Ok(json!({"error": shown_error(answer.error_code), "member_error": member}))
    }

    pub fn offset_commit(&self) -> Live<Value> {
        let topics = self
            .offsets()?
            .into_iter()
            .map(|(topic, partition, offset)| {
                let partition = commit::OffsetCommitRequestPartition::default()
                    .with_partition_index(partition)
                    .with_committed_offset(offset)
                    .with_committed_leader_epoch(-1)
                    .with_committed_metadata(Some(text(&self.field("metadata", ""))));
                commit::OffsetCommitRequestTopic::default()
                    .with_name(TopicName(text(&topic)))
                    .with_partitions(vec![partition])
            })
            .collect();
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(self.group()))
            .with_generation_id_or_member_epoch(self.generation())
            .with_member_id(self.member())
            .with_group_instance_id(self.optional("instance"))
            .with_retention_time_ms(-1)
            .with_topics(topics);
        let answer = self.ask(self.group_coordinator()?, 8, &request)?;
        let list = answer.topics.iter().flat_map(|topic| {
            let partitions = topic.partitions.iter();
            partitions.map(|found| (self.names.seen(&topic.name), found.partition_index, found.error_code))
        });
        Ok(json!({"offsets": each(list, shown_error)}))
    }

    pub fn offset_fetch(&self) -> Live<Value> {
        let topics = self
            .partitions()?
            .into_iter()
            .map(|(topic, partition)| {
                offsets::OffsetFetchRequestTopic::default()
                    .with_name(TopicName(text(&topic)))
                    .with_partition_indexes(vec![partition])
            })
            .collect();
        let request = OffsetFetchRequest::default()
            .with_group_id(GroupId(self.group()))
            .with_topics(Some(topics))
            .with_require_stable(self.step["require_stable"] == true);
        let answer = self.ask(self.group_coordinator()?, 7, &request)?;
        let list = answer.topics.iter().flat_map(|topic| {
            let partitions = topic.partitions.iter();
            partitions.map(|found| {
                let shown = match found.error_code {
                    0 => json!(found.committed_offset),
                    code => shown_error(code),
                };
                (self.names.seen(&topic.name), found.partition_index, shown)
            })
        });
        Ok(json!({"error": shown_error(answer.error_code), "offsets": each(list, |shown| shown)}))
    }

    pub fn offset_delete(&self) -> Live<Value> {
        let partition =
            deletion::OffsetDeleteRequestPartition::default().with_partition_index(self.partition());
        let topic = deletion::OffsetDeleteRequestTopic::default()
            .with_name(self.topic())
            .with_partitions(vec![partition]);
        let request =
            OffsetDeleteRequest::default().with_group_id(GroupId(self.group())).with_topics(vec![topic]);
        let answer = self.ask(self.group_coordinator()?, 0, &request)?;
        let list = answer.topics.iter().flat_map(|topic| {
            let partitions = topic.partitions.iter();
            partitions.map(|found| (self.names.seen(&topic.name), found.partition_index, found.error_code))
        });
        Ok(json!({"error": shown_error(answer.error_code), "offsets": each(list, shown_error)}))
    }

    pub fn describe_group(&self) -> Live<Value> {
        let request = DescribeGroupsRequest::default().with_groups(vec![GroupId(self.group())]);
        let answer = self.ask(self.group_coordinator()?, 5, &request)?;
        let group = answer.groups.first().ok_or_else(|| lacking("group"))?;
        let members: Vec<Value> = group
            .members
            .iter()
            .map(|member| {
                json!({
                    "member": member.member_id.to_string(),
                    "instance": member.group_instance_id.as_ref().map(ToString::to_string),
                    "assignment": String::from_utf8_lossy(&member.member_assignment),
                })
            })
            .collect();
        Ok(json!({
            "error": shown_error(group.error_code),
            "state": group.group_state.to_string(),
            "protocol": group.protocol_data.to_string(),
            "members": members,
        }))
    }

    pub fn delete_group(&self) -> Live<Value> {
        let request = DeleteGroupsRequest::default().with_groups_names(vec![GroupId(self.group())]);
        let answer = self.ask(self.group_coordinator()?, 2, &request)?;
        let group = answer.results.first().ok_or_else(|| lacking("group"))?;
        Ok(json!({"error": shown_error(group.error_code)}))
    }
}
