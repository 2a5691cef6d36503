// bee-queue: jobs through one queue with two workers, one of which is killed in the
// middle. Every job runs.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import Queue from 'bee-queue';
import { check, node, otherNode, until } from './check.mjs';

const jobs = 1_000;
const killAfter = 300;

// Every key of a queue has its own slot: a placement rule for "bq:" keeps them
// together, and so do braces in the queue's name.
for (const name of ['clients', '{clients}']) {
  await check(`queue ${name}: ${jobs} jobs, one of two workers is killed`, () => run(name));
}

async function run(name) {
  const settings = { redis: node, isWorker: false, stallInterval: 500, activateDelayedJobs: true };
  const queue = new Queue(name, settings);
  queue.on('error', (err) => {
    console.error(`FAILED queue ${name}: ${err.stack}`);
    process.exit(1);
  });
  await queue.ready();
  await queue.destroy(); // what an earlier run has left

  const ran = new Map(); // job number -> how often it ran
  const announced = new Set();
  queue.on('job succeeded', (id) => announced.add(id));
  const workers = [worker(name, node), worker(name, otherNode)];
  let killed = false;
  for (const [i, w] of workers.entries()) {
    w.on('message', (n) => {
      ran.set(n, (ran.get(n) ?? 0) + 1);
      if (!killed && i === 0 && ran.size >= killAfter) {
        killed = true;
        w.kill('SIGKILL'); // in the middle of its jobs: more than one is under way
      }
    });
  }

  const ids = new Set();
  for (let i = 0; i < jobs; i += 100) {
    const batch = Array.from({ length: 100 }, (_, k) => queue.createJob({ n: i + k }));
    assert.equal((await queue.saveAll(batch)).size, 0, 'jobs that were not saved');
    batch.forEach((job) => ids.add(job.id));
  }
  assert.equal(ids.size, jobs);

  // Whoever checks for stalled jobs finds those of the worker that is gone.
  let health;
  await until(async () => {
    await queue.checkStalledJobs();
    health = await queue.checkHealth();
    return health.succeeded === jobs;
  });
  assert.ok(killed, 'no worker was killed');
  await until(() => ran.size === jobs && announced.size === jobs);
  assert.deepEqual([...ran.keys()].toSorted((a, b) => a - b), Array.from({ length: jobs }, (_, i) => i));
  const { waiting, active, failed } = health;
  assert.deepEqual({ waiting, active, failed }, { waiting: 0, active: 0, failed: 0 });
  const succeeded = await queue.getJobs('succeeded', { size: jobs });
  assert.deepEqual(new Set(succeeded.map((job) => job.id)), ids);

  workers[1].disconnect(); // by which it ends
  await queue.destroy();
  await queue.close();
}

function worker(name, at) {
  const program = fileURLToPath(new URL('beeworker.mjs', import.meta.url));
  return fork(program, [`${at.host}:${at.port}`, name]);
}
