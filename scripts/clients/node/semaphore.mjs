// redis-semaphore: its mutex and its semaphores, with no more holders than there may be.
import assert from 'node:assert/strict';
import Redis from 'ioredis';
import { Mutex, MultiSemaphore, RedlockMutex, Semaphore } from 'redis-semaphore';
import { check, contend, node, otherNode, until, Witness } from './check.mjs';

const workers = 8;
const rounds = 5;
const options = { lockTimeout: 5_000, acquireTimeout: 20_000, retryInterval: 10, refreshInterval: 1_000 };
const clients = Array.from({ length: workers }, () => new Redis(node));
const watching = new Redis(otherNode);

await check('mutex: held, refreshed and released', async () => {
  const mutex = new Mutex(clients[0], 'semaphore:mutex', { ...options, lockTimeout: 400, refreshInterval: 100 });
  await mutex.acquire();
  const late = new Mutex(clients[1], 'semaphore:mutex', { ...options, acquireTimeout: 700 });
  await assert.rejects(late.acquire(), /timeout/i); // for longer than the lock lives without refreshes
  assert.equal(await watching.get('mutex:semaphore:mutex'), mutex.identifier);
  await mutex.release();
  assert.equal(await late.tryAcquire(), true);
  await late.release();
});

await check('mutex: a holder hears that its lock is lost', async () => {
  let lost;
  const mutex = new Mutex(clients[0], 'semaphore:lost', { ...options, refreshInterval: 20, onLockLost: (err) => (lost = err) });
  await mutex.acquire();
  await watching.del('mutex:semaphore:lost');
  await until(() => lost);
  assert.equal(mutex.isAcquired, false);
});

await check(`mutex: ${workers} workers, no two holders`, () =>
  contend(new Witness(watching, 'semaphore:mutex:witness'), workers, rounds, holding((client) => new Mutex(client, 'semaphore:contended', options))));

await check(`redlock mutex: ${workers} workers, no two holders`, () =>
  contend(new Witness(watching, 'semaphore:redlock:witness'), workers, rounds, holding((client) => new RedlockMutex([client], 'semaphore:redlock', options))));

await check(`semaphore of 3: ${workers} workers, never four holders`, () =>
  contend(new Witness(watching, 'semaphore:three:witness', 3), workers, rounds, holding((client) => new Semaphore(client, 'semaphore:three', 3, options))));

await check(`semaphore of 5 by twos: ${workers} workers, never three holders`, () =>
  contend(new Witness(watching, 'semaphore:multi:witness', 2), workers, rounds, holding((client) => new MultiSemaphore(client, 'semaphore:multi', 5, 2, options))));

// holding makes a worker's lock by make, for its client, each time it is to hold
// one.
function holding(make) {
  return async (worker, section) => {
    const lock = make(clients[worker]);
    await lock.acquire();
    await section();
    await lock.release();
  };
}

for (const client of [...clients, watching]) client.disconnect();
