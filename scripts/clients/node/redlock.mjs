// node-redlock, the released version and the one that replaces it: no two holders.
import assert from 'node:assert/strict';
import Redis from 'ioredis';
import Redlock4 from 'redlock';
import Redlock5 from 'redlock5';
import { check, contend, node, otherNode, Witness } from './check.mjs';

const workers = 8;
const rounds = 5;
const ttl = 10_000;
const patient = { retryCount: -1, retryDelay: 20, retryJitter: 20, automaticExtensionThreshold: 100 };
const hasty = { retryCount: 0 };
// Each worker has a connection of its own.
const clients = Array.from({ length: workers }, () => new Redis(node));
const watching = new Redis(otherNode);

// They try again whatever the server says, and tell of it beside: then it is over.
function refuse(err) {
  console.error(`FAILED the server's reply: ${err.stack}`);
  process.exit(1);
}

// What both versions can do, by the same names.
const make = {
  4: (client, settings) => {
    const locks = new Redlock4([client], settings);
    locks.on('clientError', refuse);
    return { acquire: (names, ms) => locks.lock(names, ms), release: (lock) => lock.unlock() };
  },
  5: (client, settings) => {
    const locks = new Redlock5([client], settings);
    locks.on('error', (err) => err.name === 'ResourceLockedError' || refuse(err));
    return { acquire: (names, ms) => locks.acquire(names, ms), release: (lock) => lock.release(), using: locks.using.bind(locks) };
  },
};

for (const version of [4, 5]) {
  const name = `redlock:${version}`;
  const redlocks = clients.map((client) => make[version](client, patient));

  await check(`redlock ${version}: extend and release`, async () => {
    const [one] = redlocks;
    const lock = await one.acquire([name], 1_000);
    assert.equal(await watching.get(name), lock.value);
    await assert.rejects(make[version](clients[1], hasty).acquire([name], ttl));
    const extended = await lock.extend(60_000);
    assert.ok((await watching.pttl(name)) > 30_000, 'the time to live after extend');
    await one.release(extended);
    assert.equal(await watching.exists(name), 0);
  });

  await check(`redlock ${version}: many resources`, async () => {
    const names = ['a', 'b', 'c'].map((r) => `{${name}:many}:${r}`);
    const lock = await redlocks[0].acquire(names, ttl);
    assert.equal(await watching.exists(...names), 3);
    await redlocks[0].release(lock);
    assert.equal(await watching.exists(...names), 0);
  });

  await check(`redlock ${version}: ${workers} workers, no two holders`, () =>
    contend(new Witness(watching, `${name}:witness`), workers, rounds, async (worker, section) => {
      const lock = await redlocks[worker].acquire([`${name}:contended`], ttl);
      await section();
      await redlocks[worker].release(lock);
    }));
}

await check('redlock 5: using() extends by itself', async () => {
  const held = 'redlock:using';
  await make[5](clients[0], patient).using([held], 500, async (signal) => {
    for (const start = Date.now(); Date.now() - start < 1_200; ) {
      assert.equal(await watching.exists(held), 1, 'the lock while it is used');
      assert.ok(!signal.aborted, String(signal.error));
    }
  });
  assert.equal(await watching.exists(held), 0);
});

for (const client of [...clients, watching]) client.disconnect();
