// Reads orders from standard input, writes what happens as lines of JSON. Usage: node main.js BROKERS [TTL_MILLIS]
//   acquire KEY WAIT_MILLIS | release KEY | safe KEY | quit
import { createInterface } from 'node:readline';
import { LockClient } from './lock-client.js';

const [brokers, ttl] = process.argv.slice(2);
if (!brokers) {
  console.error('usage: node main.js BROKERS [TTL_MILLIS]');
  process.exit(2);
}

const say = (event, more) => console.log(JSON.stringify({ event, ...more }));
const client = await LockClient.connect(brokers.split(','), Number(ttl ?? 10_000));
const locks = new Map();
client.on('jeopardy', ({ key, token }) => say('jeopardy', { key, token }));
client.on('lost', ({ key, token, reason }) => {
  locks.delete(key);
  say('lost', { key, token, reason });
});
say('connected', {});

const orders = {
  async acquire(key, wait) {
    const lock = await client.acquire(key, Number(wait ?? 0));
    locks.set(key, lock);
    say('granted', { key, token: lock.token });
  },
  async release(key) {
    const released = locks.has(key) && (await client.release(locks.get(key)));
    locks.delete(key);
    say('released', { key, released });
  },
  async safe(key) {
    say('safe', { key, safe: locks.has(key) && client.isSafe(locks.get(key)) });
  },
  async quit() {
    await client.close();
    process.exit(0);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [order, ...more] = line.trim().split(/\s+/);
  const run = orders[order];
  if (!run) {
    say('failed', { reason: `no order '${order}'` });
    continue;
  }
  // not awaited: an acquire may wait for long
  run(...more).catch((error) => say('failed', { order, key: more[0], reason: error.message }));
}
await orders.quit();
