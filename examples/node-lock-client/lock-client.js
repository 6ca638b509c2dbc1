// A lock client after docs/reference/lock-protocol.md: exclusive locks on single keys, sessions, deadlines.
import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { Kafka, logLevel } from 'kafkajs';
import { decode, encode, murmur2 } from './codec.js';

const COMMANDS = 'lockstep.lock.commands';
const REPLIES = 'lockstep.lock.replies';
const CONTROL = 'lockstep.control';

const now = () => performance.now(); // monotonic

// Emits 'lost' with { key, token, reason } when a lock can be relied on no more.
export class LockClient extends EventEmitter {
  #id = randomUUID();
  #ttl;
  #kafka;
  #producer;
  #consumer;
  #layout;
  #replyTo;
  #sessions = new Map(); // by partition
  #waiting = new Map(); // by session and number
  #timers = [];

  static async connect(brokers, ttlMillis = 10_000) {
    const client = new LockClient();
    client.#ttl = ttlMillis;
    client.#kafka = new Kafka({ clientId: 'node-lock-client', brokers, logLevel: logLevel.NOTHING });
    await client.#readLayout();
    client.#producer = client.#kafka.producer({ allowAutoTopicCreation: false, maxInFlightRequests: 1 });
    await client.#producer.connect();
    await client.#listen();
    client.#timers.push(setInterval(() => client.#beat(), ttlMillis / 4));
    client.#timers.push(setInterval(() => client.#look(), 20));
    return client;
  }

  // Resolves to { key, token, partition, ... }; rejects with the service's reason.
  async acquire(key, waitMillis) {
    const partition = murmur2(key) % this.#layout.partitions;
    const session = this.#session(partition);
    const number = session.nextNumber++;
    const sentAt = now();
    const answer = new Promise((resolve, reject) => {
      this.#waiting.set(`${session.owner}/${number}`, { resolve, reject });
    });
    session.pending.add(number);
    await this.#send(partition, key, 'Acquire', {
      owner: session.owner, number, lowestUnanswered: Math.min(...session.pending), ttlMillis: this.#ttl,
      keys: [key], mode: 'EXCLUSIVE', permits: 0, capacity: 0, priority: 0, waitMillis, delayMillis: 0,
      onBehalfOf: 'node', task: '', rest: [], earlier: [], replyTo: this.#replyTo,
    });
    const reply = await answer.finally(() => session.pending.delete(number));
    if (reply.outcome !== 'GRANTED') {
      throw new Error(`${reply.outcome}: ${reply.reason}`);
    }
    session.prolong(sentAt);
    const lock = { key, token: reply.token, partition, owner: session.owner, number };
    session.held.set(number, lock);
    return lock;
  }

  // Resolves to true when the lock was still ours.
  async release(lock) {
    const session = this.#session(lock.partition);
    if (session.owner !== lock.owner || !session.held.delete(lock.number)) {
      return false;
    }
    const number = session.nextNumber++;
    const answer = new Promise((resolve, reject) => {
      this.#waiting.set(`${session.owner}/${number}`, { resolve, reject });
    });
    await this.#send(lock.partition, lock.key, 'Release', {
      owner: session.owner, number, lowestUnanswered: Math.min(number, ...session.pending),
      acquire: lock.number, token: lock.token, keepFreeMillis: 0, quiet: false, replyTo: this.#replyTo,
    });
    return (await answer).released;
  }

  // Tells whether a lock may be relied on now.
  isSafe(lock) {
    const session = this.#sessions.get(lock.partition);
    return session?.owner === lock.owner && session.held.has(lock.number) && session.isSafe();
  }

  async close() {
    this.#timers.forEach(clearInterval);
    for (const session of this.#sessions.values()) {
      await this.#send(session.partition, session.owner, 'CloseSession', { session: session.owner });
    }
    await this.#consumer.disconnect();
    await this.#producer.disconnect();
  }

  #session(partition) {
    if (!this.#sessions.has(partition)) {
      this.#sessions.set(partition, new Session(this.#id, partition, this.#ttl, this.#layout.tickMillis));
    }
    return this.#sessions.get(partition);
  }

  async #send(partition, key, name, value) {
    await this.#producer.send({ topic: COMMANDS, acks: -1, messages: [{ partition, key, value: encode(name, value) }] });
  }

  async #readLayout() {
    const consumer = this.#kafka.consumer({ groupId: `lockstep-layout-${this.#id}`, allowAutoTopicCreation: false });
    await consumer.connect();
    await consumer.subscribe({ topic: CONTROL, fromBeginning: true });
    const end = await this.#end(CONTROL);
    await new Promise((resolve) => {
      consumer.run({
        autoCommit: false,
        eachMessage: async ({ message }) => {
          const record = decode(message.value);
          if (message.key?.toString() === COMMANDS && record?.name === 'Layout') {
            this.#layout = record.value;
          }
          if (Number(message.offset) + 1 >= end[0]) resolve();
        },
      });
    });
    await consumer.disconnect();
    if (!this.#layout) {
      throw new Error(`No Layout of ${COMMANDS} in ${CONTROL}: create the topics first`);
    }
  }

  async #listen() {
    const partitions = this.#layout.destinations.find((each) => each.topic === REPLIES).partitions;
    this.#replyTo = { topic: REPLIES, partition: murmur2(this.#id) % partitions, key: this.#id, follows: false };
    // kafkajs knows groups only: a group of our own reads all partitions, from where they end now
    this.#consumer = this.#kafka.consumer({
      groupId: `lockstep-node-${this.#id}`, allowAutoTopicCreation: false, maxWaitTimeInMs: 100,
    });
    await this.#consumer.connect();
    await this.#consumer.subscribe({ topic: REPLIES });
    const ends = await this.#end(REPLIES);
    const joined = new Promise((resolve) => this.#consumer.on(this.#consumer.events.GROUP_JOIN, resolve));
    await this.#consumer.run({
      autoCommit: false,
      eachMessage: async ({ message }) => {
        if (message.key?.toString() === this.#id) {
          const record = decode(message.value);
          if (record) this.#heard(record.name, record.value);
        }
      },
    });
    ends.forEach((offset, partition) => this.#consumer.seek({ topic: REPLIES, partition, offset: String(offset) }));
    await joined;
  }

  async #end(topic) {
    const admin = this.#kafka.admin();
    await admin.connect();
    const offsets = await admin.fetchTopicOffsets(topic);
    await admin.disconnect();
    return offsets.sort((a, b) => a.partition - b.partition).map((each) => Number(each.high));
  }

  // Answers may come again, equal: after the first one nobody waits for them.
  #heard(name, value) {
    if (name === 'SessionOk') {
      this.#sessions.get(value.partition)?.beatAnswered(value.session, value.beat);
    } else if (name === 'SessionExpired') {
      this.#expired(value.partition, value.session);
    } else if (name === 'ForceReleased') {
      const session = this.#sessions.get(value.partition);
      const lock = session?.held.get(value.number);
      if (lock && session.owner === value.owner) {
        session.held.delete(value.number);
        this.emit('lost', { ...lock, reason: `taken by ${value.by}` });
      }
    } else if (name === 'AcquireReply' || name === 'ReleaseReply') {
      const id = `${value.owner}/${value.number}`;
      this.#waiting.get(id)?.resolve(value);
      this.#waiting.delete(id);
    }
  }

  #expired(partition, owner) {
    const session = this.#sessions.get(partition);
    if (session?.owner !== owner) {
      return;
    }
    for (const number of session.pending) {
      this.#waiting.get(`${owner}/${number}`)?.reject(new Error('SESSION_EXPIRED'));
    }
    const held = [...session.held.values()];
    session.begin();
    held.forEach((lock) => this.emit('lost', { ...lock, reason: 'the session expired' }));
  }

  #beat() {
    for (const session of this.#sessions.values()) {
      if (session.held.size > 0 || session.pending.size > 0) {
        const beat = session.nextBeat++;
        const owner = session.owner;
        session.beatSentAt.set(beat, now());
        this.#send(session.partition, owner, 'KeepAlive', { session: owner, beat, ttlMillis: this.#ttl, replyTo: this.#replyTo })
          .then(() => session.beatAppended(owner, beat), () => {});
      }
    }
  }

  // At the deadline locks are unsafe without asking anybody.
  #look() {
    for (const session of this.#sessions.values()) {
      if (session.fellIntoJeopardy()) {
        session.held.forEach((lock) => this.emit('jeopardy', lock));
      }
    }
  }
}

// What this client knows of itself on one partition.
class Session {
  #client;
  #generation = 0;
  #valid;
  #deadline = 0;
  #safe = false;

  constructor(client, partition, ttlMillis, tickMillis) {
    this.#client = client;
    this.partition = partition;
    this.#valid = ttlMillis * 0.99 - 2 * tickMillis;
    this.begin();
  }

  // A session that is over never comes back: the next one has another name.
  begin() {
    this.owner = `${this.#client}.${this.partition}.${++this.#generation}`;
    this.nextNumber = 1;
    this.nextBeat = 1;
    this.pending = new Set();
    this.held = new Map();
    this.beatSentAt = new Map();
    this.#deadline = 0;
    this.#safe = false;
  }

  isSafe() {
    return this.#safe && now() < this.#deadline;
  }

  prolong(sentAt) {
    this.#deadline = Math.max(this.#deadline, sentAt + this.#valid);
    this.#safe ||= now() < this.#deadline;
  }

  // An append proves life only while safe; out of jeopardy only an answer leads.
  beatAppended(owner, beat) {
    const sentAt = this.beatSentAt.get(beat);
    if (owner === this.owner && sentAt !== undefined && this.isSafe()) {
      this.prolong(sentAt);
    }
  }

  beatAnswered(owner, beat) {
    const sentAt = this.beatSentAt.get(beat);
    if (owner === this.owner && sentAt !== undefined) {
      [...this.beatSentAt.keys()].filter((each) => each <= beat).forEach((each) => this.beatSentAt.delete(each));
      this.prolong(sentAt);
    }
  }

  fellIntoJeopardy() {
    const fell = this.#safe && now() >= this.#deadline;
    if (fell) this.#safe = false;
    return fell;
  }
}
