//! What the admin client of rdkafka can do: topics, settings, records, groups.

use crate::facts::{LIMIT, Outcome, fresh, same, until};
use crate::member::Member;
use crate::{PARTITIONS, admin_client, at, consumer, create, options, produce, take};
use rdkafka::Offset;
use rdkafka::admin::{AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::Message;
use rdkafka::types::RDKafkaErrorCode as Code;

pub async fn topics(broker: &str) -> Outcome {
    let topic = create(broker, "rdkafka-topics", PARTITIONS).await?;
    let admin = admin_client(broker)?;
    let count = |topic: &str| {
        let metadata =
            admin.inner().fetch_metadata(None, LIMIT).map_err(|error| error.to_string())?;
        let found = metadata.topics().iter().find(|one| one.name() == topic);
        Ok::<_, String>(found.map_or(0, |one| one.partitions().len()))
    };
    until("four partitions", || Ok(count(&topic)? == 4)).await?;
    let again = NewTopic::new(&topic, 1, TopicReplication::Fixed(1));
    let refused = admin.create_topics([&again], &options()).await?;
    same(
        "the same name again",
        Err((topic.clone(), Code::TopicAlreadyExists)),
        refused[0].clone(),
    )?;
    let grown = admin.create_partitions([&NewPartitions::new(&topic, 6)], &options()).await?;
    same("growing", Ok(topic.clone()), grown[0].clone())?;
    until("six partitions", || Ok(count(&topic)? == 6)).await?;
    let fewer = admin.create_partitions([&NewPartitions::new(&topic, 2)], &options()).await?;
    same("fewer", Err((topic.clone(), Code::InvalidPartitions)), fewer[0].clone())?;
    let deleted = admin.delete_topics(&[&topic], &options()).await?;
    same("deleting", Ok(topic.clone()), deleted[0].clone())?;
    until("it is gone", || Ok(count(&topic)? == 0)).await
}

pub async fn configs(broker: &str) -> Outcome {
    let topic = create(broker, "rdkafka-configs", 1).await?;
    let admin = admin_client(broker)?;
    let resource = ResourceSpecifier::Topic(&topic);
    let retention = async || -> Result<Option<String>, Box<dyn std::error::Error + Send + Sync>> {
        let described = admin.describe_configs([&resource], &options()).await?;
        let settings = described.into_iter().next().ok_or("no answer")??;
        Ok(settings.get("retention.ms").and_then(|entry| entry.value.clone()))
    };
    same("before", Some("604800000".to_string()), retention().await?)?;
    let hour = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set("retention.ms", "3600000");
    for result in admin.alter_configs([&hour], &options()).await? {
        result.map_err(|(_, code)| code)?;
    }
    let deadline = tokio::time::Instant::now() + LIMIT;
    while retention().await?.as_deref() != Some("3600000") {
        if tokio::time::Instant::now() > deadline {
            return Err("the setting did not change".into());
        }
    }
    Ok(())
}

pub async fn delete_records(broker: &str) -> Outcome {
    let topic = create(broker, "rdkafka-delete", 1).await?;
    produce(broker, &topic, 1, 0..100, &[]).await?;
    let admin = admin_client(broker)?;
    let deleted = admin.delete_records(&at(&topic, Offset::Offset(60))?, &options()).await?;
    let answer = deleted.find_partition(&topic, 0).ok_or("no answer")?;
    same("low watermark", Offset::Offset(60), answer.offset())?;
    let reader = consumer(broker, "unused: partitions are assigned")?;
    same("watermarks", (60, 100), reader.fetch_watermarks(&topic, 0, LIMIT)?)?;
    reader.assign(&at(&topic, Offset::Beginning)?)?;
    same("the first record", 60, take(&reader, 1)?[0].offset())
}

pub async fn groups(broker: &str) -> Outcome {
    let topic = create(broker, "rdkafka-groups", PARTITIONS).await?;
    let group = fresh("rdkafka-groups");
    let admin = admin_client(broker)?;
    let member = Member::join(broker, &group, &topic, &[])?;
    until("it owns all", || member.owns(4)).await?;
    let looker: BaseConsumer = consumer(broker, "looks at others")?;
    let every = looker.fetch_group_list(None, LIMIT)?;
    same("it is listed", true, every.groups().iter().any(|one| one.name() == group))?;
    let one = looker.fetch_group_list(Some(&group), LIMIT)?;
    let described = one.groups().first().ok_or("it is not described")?;
    same(
        "state and protocol",
        ("Stable", "consumer", "range"),
        (described.state(), described.protocol_type(), described.protocol()),
    )?;
    same("members", 1, described.members().len())?;
    same(
        "an assignment",
        true,
        described.members()[0].assignment().is_some_and(|bytes| bytes.len() > topic.len()),
    )?;
    let refused = admin.delete_groups(&[&group], &options()).await?;
    same(
        "a group with members",
        Err((group.clone(), RDKafkaErrorCode::NonEmptyGroup)),
        refused[0].clone(),
    )?;
    member.leave()?;
    let deleted = admin.delete_groups(&[&group], &options()).await?;
    same("deleting", Ok(group.clone()), deleted[0].clone())?;
    let again = admin.delete_groups(&[&group], &options()).await?;
    same(
        "deleting it again",
        Err((group.clone(), RDKafkaErrorCode::GroupIdNotFound)),
        again[0].clone(),
    )
}
