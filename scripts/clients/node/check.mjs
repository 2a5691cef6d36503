// What the programs in this folder share: the addresses of the nodes, checks, and
// a witness of who holds what. A program gets the nodes as arguments, HOST:PORT,
// uses the first one and takes the others as a second way in.
import assert from 'node:assert/strict';

export const nodes = process.argv.slice(2).map((addr) => {
  const at = addr.lastIndexOf(':');
  return { host: addr.slice(0, at), port: Number(addr.slice(at + 1)) };
});
if (nodes.length === 0) {
  console.error('usage: PROGRAM HOST:PORT...');
  process.exit(2);
}
export const node = nodes[0];
export const otherNode = nodes[nodes.length - 1];

// limit is the most that one check may take, in ms.
const limit = 30_000;

// check runs one check and says so. The first one that fails ends the program.
export async function check(name, run) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${limit} ms`)), limit);
  });
  try {
    await Promise.race([run(), late]);
    clearTimeout(timer);
    console.log(`ok ${name}`);
  } catch (err) {
    console.error(`FAILED ${name}: ${err.stack ?? err}`);
    process.exit(1);
  }
}

// until waits for a condition; what does not come is the limit's affair.
export async function until(condition) {
  while (!(await condition())) await pause(5);
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Witness sees who is inside a section that at most `most` may be in. Its ioredis
// client is not the one that the lock is made with, and speaks to another node.
export class Witness {
  constructor(client, name, most = 1) {
    Object.assign(this, { client, most, inside: `{${name}}:inside`, count: `{${name}}:count`, turns: {} });
  }

  // section is what a worker does while it holds the lock: a counter is read, and
  // written a little later, which nobody else may do meanwhile.
  async section(worker) {
    const inside = await this.client.incr(this.inside);
    assert.ok(inside <= this.most, `${inside} are inside, not at most ${this.most}`);
    const count = Number(await this.client.get(this.count));
    await pause(3);
    if (this.most === 1) await this.client.set(this.count, count + 1);
    await this.client.decr(this.inside);
    this.turns[worker] = (this.turns[worker] ?? 0) + 1;
  }

  // verdict is called at the end: every worker has had its turns, and none was
  // written over.
  async verdict(workers, rounds) {
    for (let w = 0; w < workers; w++) assert.equal(this.turns[w], rounds, `turns of worker ${w}`);
    assert.equal(await this.client.get(this.inside), '0', 'who is inside at the end');
    if (this.most === 1) assert.equal(await this.client.get(this.count), String(workers * rounds), 'the counter');
  }
}

// contend has workers that each go through the witness's section in turns; hold
// runs a function while it holds the lock.
export async function contend(witness, workers, rounds, hold) {
  await Promise.all(
    Array.from({ length: workers }, async (_, worker) => {
      for (let i = 0; i < rounds; i++) await hold(worker, () => witness.section(worker));
    }),
  );
  await witness.verdict(workers, rounds);
}
