// node-redlock, the released version and the one that replaces it: no two holders.
import assert from 'node:assert/strict';
import Redis from 'ioredis';
import Redlock4 from 'redlock';
import Redlock5 from 'redlock5';
import { check, contend, node, otherNode, Witness } from './check.mjs';

const workers = 8;
const rounds = 5;
const ttl = 10_000;
const settings = { retryCount: -1, retryDelay: 20, retryJitter: 20, automaticExtensionThreshold: 100 };
// Each worker has a connection of its own.
const clients = Array.from({ length: workers }, () => new Redis(node));
const watching = new Redis(otherNode);
const make = {
  4: (client) => {
    const locks = new Redlock4([client], settings);
    return { locks, acquire: (name, ms) => locks.lock(name, ms), release: (lock) => lock.unlock(), once: new Redlock4([client], { retryCount: 0 }) };
  },
  5: (client) => {
    const locks = new Redlock5([client], settings);
    return { locks, acquire: (name, ms) => locks.acquire([name], ms), release: (lock) => lock.release(), once: new Redlock5([client], { retryCount: 0 }) };
  },
};

for (const version of [4, 5]) {
  const redlocks = clients.map(make[version]);
  const name = `redlock:${version}`;

  await check(`redlock ${version}: extend and release`, async () => {
    const [one, two] = redlocks;
    const lock = await one.acquire(name, 1_000);
    assert.equal(await watching.get(name), lock.value);
    await assert.rejects(version === 4 ? two.once.lock(name, ttl) : two.once.acquire([name], ttl));
    const extended = await lock.extend(60_000);
    assert.ok((await watching.pttl(name)) > 30_000, 'the time to live after extend');
    await one.release(extended);
    assert.equal(await watching.exists(name), 0);
  });

  await check(`redlock ${version}: many resources`, async () => {
    const names = ['a', 'b', 'c'].map((r) => `{${name}:many}:${r}`);
    const lock = version === 4 ? await redlocks[0].locks.lock(names, ttl) : await redlocks[0].locks.acquire(names, ttl);
    assert.equal(await watching.exists(...names), 3);
    await redlocks[0].release(lock);
    assert.equal(await watching.exists(...names), 0);
  });

  await check(`redlock ${version}: ${workers} workers, no two holders`, () =>
    contend(new Witness(watching, `${name}:witness`), workers, rounds, async (worker, section) => {
      const lock = await redlocks[worker].acquire(`${name}:contended`, ttl);
      await section();
      await redlocks[worker].release(lock);
    }));
}

await check('redlock 5: using() extends by itself', async () => {
  const [{ locks }] = [make[5](clients[0])];
  await locks.using(['redlock:using'], 500, async (signal) => {
    const first = Date.now();
    while (Date.now() - first < 1_200) {
      assert.equal(await watching.exists('redlock:using'), 1, 'the lock while it is used');
      assert.ok(!signal.aborted, String(signal.error));
    }
  });
  assert.equal(await watching.exists('redlock:using'), 0);
});

for (const client of [...clients, watching]) client.disconnect();
