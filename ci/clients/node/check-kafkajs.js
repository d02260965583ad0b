// check-kafkajs HOST:PORT: kafkajs, its producer, consumer groups and admin, against a broker.

import { createRequire } from "node:module";
import kafkajs from "kafkajs";
import snappy from "kafkajs-snappy";
import lz4 from "lz4-napi";
import * as zstd from "@bokuweb/zstd-wasm";
import { LIMIT_MS, fresh, main, refused, same, until, valueOf } from "./facts.js";

const { AssignerProtocol, CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = kafkajs;
const PARTITIONS = 4;

// What the package's documentation tells its users to add for the codecs that it does not bring.
CompressionCodecs[CompressionTypes.Snappy] = snappy;
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: (encoder) => lz4.compressFrame(encoder.buffer),
  decompress: (buffer) => lz4.decompressFrame(buffer),
});
await zstd.init();
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => Buffer.from(zstd.compress(encoder.buffer, 3)),
  decompress: async (buffer) => Buffer.from(zstd.decompress(buffer)),
});

const client = (broker) =>
  new Kafka({ brokers: [broker], clientId: "check-kafkajs", logLevel: logLevel.NOTHING, retry: { retries: 8 } });

async function withAdmin(broker, action) {
  const admin = client(broker).admin();
  await admin.connect();
  try {
    return await action(admin);
  } finally {
    await admin.disconnect();
  }
}

async function create(broker, name, numPartitions) {
  const topic = fresh(name);
  await withAdmin(broker, (admin) => admin.createTopics({ topics: [{ topic, numPartitions }] }));
  return topic;
}

// Writes the records from `from` up to `to`, spread over the partitions in turn.
async function produce(broker, topic, partitions, from, to, { compression, idempotent, timestamps } = {}) {
  const producer = client(broker).producer({ idempotent: idempotent ?? false, allowAutoTopicCreation: false });
  await producer.connect();
  const messages = [];
  for (let number = from; number < to; number += 1) {
    messages.push({
      key: `key-${number}`,
      value: valueOf(number),
      partition: number % partitions,
      headers: { a: ["1", Buffer.from([0, 255])], b: "" },
      ...(timestamps && { timestamp: String(timestamps(number)) }),
    });
  }
  await producer.send({ topic, messages, acks: -1, compression });
  await producer.disconnect();
}

// A member of a group that keeps what comes. kafkajs commits what was processed before it gives partitions away.
class Member {
  constructor(broker, groupId, options = {}) {
    this.records = [];
    this.assigned = [];
    this.generations = [];
    this.consumer = client(broker).consumer({ groupId, heartbeatInterval: 300, maxWaitTimeInMs: 100, ...options });
    this.consumer.on("consumer.group_join", ({ payload }) => {
      this.assigned = Object.values(payload.memberAssignment).flat();
      this.memberId = payload.memberId;
      this.generations.push(this.assigned.length);
    });
    this.consumer.on("consumer.crash", ({ payload }) => {
      this.crash = payload.error;
    });
  }

  async run(topic, options = {}) {
    await this.consumer.connect();
    await this.consumer.subscribe({ topic, fromBeginning: true });
    const eachMessage = async (record) => {
      this.records.push(record);
    };
    await this.consumer.run({ eachMessage, ...options });
    return this;
  }

  owns(count) {
    if (this.crash) throw this.crash;
    return this.assigned.length === count;
  }

  close() {
    return this.consumer.disconnect();
  }
}

// Each of the records from `from` up to `to` came to one of the members, once.
async function onceEach(what, from, to, ...members) {
  const count = () => members.reduce((sum, member) => sum + member.records.length, 0);
  await until(`${what}: ${to - from} records`, () => count() >= to - from);
  const got = members.flatMap((member) => member.records.map(({ message }) => message.value.toString())).sort();
  const want = Array.from({ length: to - from }, (_, index) => valueOf(from + index)).sort();
  same(`${what}: records`, want, got);
}

async function roundTrip(broker, compression, idempotent) {
  const topic = await create(broker, "kafkajs-codec", 1);
  await produce(broker, topic, 1, 0, 1000, { compression, idempotent });
  const member = await new Member(broker, fresh("kafkajs-codec")).run(topic);
  try {
    await onceEach("all", 0, 1000, member);
    for (const [number, { message }] of member.records.entries()) {
      same("offset", String(number), message.offset);
      same("key", `key-${number}`, message.key.toString());
      same("headers", [["1", "\x00\xff"], ""], [
        message.headers.a.map((value) => value.toString("latin1")),
        message.headers.b.toString(),
      ]);
    }
  } finally {
    await member.close();
  }
}

async function share(broker) {
  const topic = await create(broker, "kafkajs-share", PARTITIONS);
  const group = fresh("kafkajs-share");
  await produce(broker, topic, PARTITIONS, 0, 500);
  const first = new Member(broker, group);
  const second = new Member(broker, group);
  try {
    await first.run(topic);
    await until("alone it owns all", () => first.owns(PARTITIONS));
    await onceEach("alone", 0, 500, first);
    await second.run(topic);
    await until("two each", () => first.owns(2) && second.owns(2));
    await produce(broker, topic, PARTITIONS, 500, 1000);
    await onceEach("together", 0, 1000, first, second);
    await second.close();
    await until("alone again", () => first.owns(PARTITIONS));
    await produce(broker, topic, PARTITIONS, 1000, 1200);
    await onceEach("within the group", 0, 1200, first, second);
  } finally {
    await first.close();
    await second.close();
  }
}

async function ownAssigner(broker) {
  const topic = await create(broker, "kafkajs-assigner", 2);
  const group = fresh("kafkajs-assigner");
  // Everything to the first member by id.
  const greedy = ({ cluster }) => ({
    name: "greedy",
    version: 1,
    async assign({ members, topics }) {
      const ids = members.map(({ memberId }) => memberId).sort();
      const all = Object.fromEntries(
        topics.map((name) => [name, cluster.findTopicPartitionMetadata(name).map(({ partitionId }) => partitionId)]),
      );
      return ids.map((memberId, index) => ({
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({ version: 1, assignment: index ? {} : all }),
      }));
    },
    protocol({ topics }) {
      return { name: "greedy", metadata: AssignerProtocol.MemberMetadata.encode({ version: 1, topics }) };
    },
  });
  const members = [];
  try {
    for (let count = 0; count < 2; count += 1) {
      members.push(await new Member(broker, group, { partitionAssigners: [greedy] }).run(topic));
    }
    await until("one has all, the other nothing", () => {
      const sizes = members.map(({ generations }) => generations.at(-1)).sort();
      return members.every(({ crash }) => !crash) && sizes[0] === 0 && sizes[1] === 2;
    });
    const { groups } = await withAdmin(broker, (admin) => admin.describeGroups([group]));
    same("protocol", "greedy", groups[0].protocol);
  } finally {
    await Promise.all(members.map((member) => member.close()));
  }
}

async function resume(broker) {
  const topic = await create(broker, "kafkajs-resume", 1);
  const group = fresh("kafkajs-resume");
  await produce(broker, topic, 1, 0, 100);
  const first = await new Member(broker, group).run(topic, { autoCommit: false });
  await onceEach("all", 0, 100, first);
  await first.consumer.commitOffsets([{ topic, partition: 0, offset: "42", metadata: "half way" }]);
  await first.close();
  const fetched = await withAdmin(broker, (admin) => admin.fetchOffsets({ groupId: group, topics: [topic] }));
  same("committed", [{ partition: 0, offset: "42", metadata: "half way" }], fetched[0].partitions);
  const second = await new Member(broker, group).run(topic);
  await onceEach("the rest", 42, 100, second);
  await second.close();
  const after = await withAdmin(broker, (admin) => admin.fetchOffsets({ groupId: group, topics: [topic] }));
  same("next to read", "100", after[0].partitions[0].offset);
}

async function seek(broker) {
  const topic = await create(broker, "kafkajs-seek", 1);
  const base = Date.now() - 3_600_000;
  await produce(broker, topic, 1, 0, 100, { timestamps: (number) => base + 10 * number });
  const found = await withAdmin(broker, (admin) => admin.fetchTopicOffsetsByTimestamp(topic, base + 331));
  same("found by time", [{ partition: 0, offset: "34" }], found);
  const member = await new Member(broker, fresh("kafkajs-seek")).run(topic);
  try {
    await onceEach("all", 0, 100, member);
    for (const offset of [57, 34, 0]) {
      member.records.length = 0;
      member.consumer.seek({ topic, partition: 0, offset: String(offset) });
      await until(`from ${offset} to the end`, () => member.records.at(-1)?.message.offset === "99");
      const first = member.records.find(({ message }) => message.offset === String(offset));
      same(`record ${offset}`, valueOf(offset), first?.message.value.toString());
      same("its time", String(base + 10 * offset), first.message.timestamp);
    }
  } finally {
    await member.close();
  }
}

const topics = (broker) =>
  withAdmin(broker, async (admin) => {
    const topic = await create(broker, "kafkajs-topics", PARTITIONS);
    same("listed", true, (await admin.listTopics()).includes(topic));
    await admin.createPartitions({ topicPartitions: [{ topic, count: 6 }] });
    await until("six partitions", async () => {
      const described = await admin.fetchTopicMetadata({ topics: [topic] });
      return described.topics[0].partitions.length === 6;
    });
    await refused("fewer", "INVALID_PARTITIONS", () =>
      admin.createPartitions({ topicPartitions: [{ topic, count: 2 }] }),
    );
    same("created again", false, await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] }));
    const cluster = await admin.describeCluster();
    same("brokers", [broker], cluster.brokers.map(({ host, port }) => `${host}:${port}`));
    same("controller", cluster.brokers[0].nodeId, cluster.controller);
    await admin.deleteTopics({ topics: [topic], timeout: LIMIT_MS });
    await until("it is gone", async () => !(await admin.listTopics()).includes(topic));
  });

const configs = (broker) =>
  withAdmin(broker, async (admin) => {
    const topic = await create(broker, "kafkajs-configs", 1);
    const type = ConfigResourceTypes.TOPIC;
    const is = (value) =>
      until(`retention.ms is ${value}`, async () => {
        const resources = [{ type, name: topic, configNames: ["retention.ms"] }];
        const { resources: found } = await admin.describeConfigs({ includeSynonyms: true, resources });
        return found[0].configEntries.find(({ configName }) => configName === "retention.ms").configValue === value;
      });
    const alter = (value) =>
      admin.alterConfigs({
        resources: [{ type, name: topic, configEntries: [{ name: "retention.ms", value }] }],
      });
    await is("604800000");
    await alter("3600000");
    await is("3600000");
    await refused("a word for a number", "INVALID_CONFIG", () => alter("soon"));
  });

const deleteRecords = (broker) =>
  withAdmin(broker, async (admin) => {
    const topic = await create(broker, "kafkajs-delete", 1);
    await produce(broker, topic, 1, 0, 100);
    same("before", "0", (await admin.fetchTopicOffsets(topic))[0].low);
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: "60" }] });
    const [{ low, high }] = await admin.fetchTopicOffsets(topic);
    same("low and high", ["60", "100"], [low, high]);
    const member = await new Member(broker, fresh("kafkajs-delete")).run(topic);
    await onceEach("what is left", 60, 100, member);
    await member.close();
  });

const groups = (broker) =>
  withAdmin(broker, async (admin) => {
    const topic = await create(broker, "kafkajs-groups", 2);
    const groupId = fresh("kafkajs-groups");
    await produce(broker, topic, 2, 0, 20);
    const member = await new Member(broker, groupId).run(topic);
    await onceEach("all", 0, 20, member);
    const listed = (await admin.listGroups()).groups.find((group) => group.groupId === groupId);
    same("protocol type", "consumer", listed?.protocolType);
    const [described] = (await admin.describeGroups([groupId])).groups;
    same("described", ["Stable", "RoundRobinAssigner", 1], [described.state, described.protocol, described.members.length]);
    same("member", member.memberId, described.members[0].memberId);
    await refused("a group with members", "NON_EMPTY_GROUP", () => admin.deleteGroups([groupId]));
    await member.close();
    await until("the group is empty", async () => (await admin.describeGroups([groupId])).groups[0].state === "Empty");
    await admin.setOffsets({ groupId, topic, partitions: [{ partition: 1, offset: "3" }] });
    const [{ partitions }] = await admin.fetchOffsets({ groupId, topics: [topic] });
    same("offsets", ["10", "3"], [...partitions].sort((a, b) => a.partition - b.partition).map(({ offset }) => offset));
    await admin.resetOffsets({ groupId, topic, earliest: true });
    await admin.deleteGroups([groupId]);
    same("listed", undefined, (await admin.listGroups()).groups.find((group) => group.groupId === groupId));
    await refused("deleting it again", "GROUP_ID_NOT_FOUND", () => admin.deleteGroups([groupId]));
  });

const checks = [];
for (const [name, codec] of Object.entries({
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
})) {
  for (const idempotent of [false, true]) {
    checks.push([
      `kafkajs writes and reads back keys, headers and values with codec ${name}, idempotent: ${idempotent}`,
      (broker) => roundTrip(broker, codec, idempotent),
    ]);
  }
}
checks.push(
  ["kafkajs shares a topic between two members, each record once", share],
  ["kafkajs shares by an assigner of the user's own", ownAssigner],
  ["kafkajs commits and resumes", resume],
  ["kafkajs seeks by offset and by time", seek],
  ["kafkajs creates, lists, describes, grows and deletes topics", topics],
  ["kafkajs alters settings of a topic", configs],
  ["kafkajs deletes records", deleteRecords],
  ["kafkajs lists, describes and deletes groups and their offsets", groups],
);
const { version } = createRequire(import.meta.url)("kafkajs/package.json");
await main(`kafkajs ${version} on Node ${process.version}`, checks);
