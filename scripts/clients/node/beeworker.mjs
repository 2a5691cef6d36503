// A worker of beequeue.mjs, which starts it and hears of every job that it runs.
// It ends with it. Arguments: HOST:PORT QUEUE.
import Queue from 'bee-queue';
import { node, pause } from './check.mjs';

const queue = new Queue(process.argv[3], { redis: node, stallInterval: 500 });
process.on('disconnect', () => process.exit());
queue.on('error', (err) => console.error(`worker: ${err.stack}`));
queue.process(5, async (job) => {
  await pause(1 + (job.data.n % 3));
  process.send(job.data.n);
  return job.data.n;
});
