// node-redis, in both versions of the protocol.
import assert from 'node:assert/strict';
import { createClient, defineScript, WatchError } from 'redis';
import { check, node, otherNode, until } from './check.mjs';

const addTo = defineScript({
  NUMBER_OF_KEYS: 1,
  SCRIPT: `local n = redis.call('INCRBY', KEYS[1], ARGV[1])
    return {n, 'by ' .. ARGV[1], cjson.encode({n = n})}`,
  parseCommand(parser, key, by) {
    parser.pushKey(key);
    parser.push(String(by));
  },
  transformReply: (reply) => reply,
});

async function connect(RESP, at = node) {
  const client = createClient({ socket: { ...at, reconnectStrategy: false }, RESP, scripts: { addTo } });
  client.on('error', (err) => {
    console.error(`FAILED connection: ${err.stack}`);
    process.exit(1);
  });
  return client.connect();
}

for (const RESP of [2, 3]) {
  const client = await connect(RESP);
  const other = await connect(RESP, otherNode);
  const key = (name) => `noderedis:${RESP}:${name}`;
  const say = (name, run) => check(`RESP${RESP} ${name}`, run);

  await say('strings, hashes and sorted sets', async () => {
    const json = JSON.stringify({ text: 'ünï "quoted"\r\n', list: [1, 2.5, null] });
    assert.equal(await client.set(key('json'), json, { expiration: { type: 'PX', value: 60_000 } }), 'OK');
    assert.deepEqual(JSON.parse(await other.get(key('json'))), JSON.parse(json));
    assert.ok((await client.pTTL(key('json'))) > 0);
    assert.equal(await client.set(key('json'), 'x', { condition: 'NX' }), null);
    await client.hSet(key('hash'), { a: '1', b: '2' });
    assert.deepEqual({ ...(await other.hGetAll(key('hash'))) }, { a: '1', b: '2' });
    await client.zAdd(key('zset'), [{ score: 1.5, value: 'a' }, { score: Infinity, value: 'b' }]);
    assert.deepEqual(await client.zRangeWithScores(key('zset'), 0, -1), [
      { value: 'a', score: 1.5 },
      { value: 'b', score: Infinity },
    ]);
    assert.equal(await client.zScore(key('zset'), 'none'), null);
    await assert.rejects(client.lPush(key('hash'), 'x'), /^Error: WRONGTYPE|WRONGTYPE/);
  });

  await say('pipelines', async () => {
    await client.del(key('n'));
    const replies = await Promise.all(Array.from({ length: 200 }, () => client.incr(key('n'))));
    assert.deepEqual(replies, Array.from({ length: 200 }, (_, i) => i + 1));
    const piped = await client.multi().set(key('p1'), 'x').get(key('p1')).get(key('none')).execAsPipeline();
    assert.deepEqual(piped, ['OK', 'x', null]);
  });

  await say('MULTI', async () => {
    const replies = await client
      .multi()
      .set(key('{t}a'), '1')
      .incrBy(key('{t}a'), 41)
      .rPush(key('{t}l'), ['x', 'y'])
      .lRange(key('{t}l'), -1, -1)
      .del(key('{t}l'))
      .exec();
    assert.deepEqual(replies, ['OK', 42, 2, ['y'], 1]);
  });

  await say('WATCH', async () => {
    const watcher = await client.duplicate().connect();
    await watcher.set(key('w'), '1');
    await watcher.watch(key('w'));
    assert.deepEqual(await watcher.multi().incr(key('w')).exec(), [2]);
    await watcher.watch(key('w'));
    await other.set(key('w'), '10');
    await assert.rejects(watcher.multi().incr(key('w')).exec(), WatchError);
    assert.equal(await watcher.get(key('w')), '10');
    await watcher.close();
  });

  await say('scripts', async () => {
    await client.del(key('s'));
    await client.scriptFlush();
    for (const n of [3, 6]) assert.deepEqual(await client.addTo(key('s'), 3), [n, 'by 3', `{"n":${n}}`]);
    assert.deepEqual(await client.multi().addTo(key('s'), 1).exec(), [[7, 'by 1', '{"n":7}']]);
    await assert.rejects(client.eval('return redis.error_reply("MINE no")'), /MINE no/);
  });

  await say('Pub/Sub', async () => {
    const sub = await client.duplicate().connect();
    const got = [];
    const note = (message, channel) => got.push(`${channel}=${message}`);
    await sub.subscribe(key('news'), note);
    await sub.pSubscribe(key('n?ws*'), note);
    for (const [from, text] of [[client, 'here'], [other, 'there']]) {
      await from.publish(key('news'), text);
    }
    await until(() => got.length >= 4);
    assert.deepEqual(got.toSorted(), [...Array(2).fill(`${key('news')}=here`), ...Array(2).fill(`${key('news')}=there`)]);
    await sub.unsubscribe(key('news'));
    await sub.pUnsubscribe();
    assert.equal(String(await sub.ping()), 'PONG');
    await sub.close();
  });

  await say('blocking pops', async () => {
    const blocked = await client.duplicate().connect();
    const popped = blocked.blPop([key('{q}1'), key('{q}2')], 20);
    await other.rPush(key('{q}2'), 'job');
    assert.deepEqual({ ...(await popped) }, { key: key('{q}2'), element: 'job' });
    assert.equal(await blocked.brPop(key('{q}1'), 0.05), null);
    const zpopped = blocked.bzPopMin(key('bz'), 20);
    await other.zAdd(key('bz'), { score: 2, value: 'm' });
    assert.deepEqual({ ...(await zpopped) }, { key: key('bz'), value: 'm', score: 2 });
    await blocked.close();
  });

  await say('scan', async () => {
    await Promise.all(Array.from({ length: 250 }, (_, i) => client.set(key(`scan:${i}`), i)));
    const seen = new Set();
    for await (const keys of client.scanIterator({ MATCH: key('scan:*'), COUNT: 50 })) keys.forEach((k) => seen.add(k));
    assert.equal(seen.size, 250);
    const fields = {};
    await client.hSet(key('scanned'), Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`f${i}`, `${i}`])));
    for await (const entries of client.hScanIterator(key('scanned'))) entries.forEach((e) => (fields[e.field] = e.value));
    assert.equal(Object.keys(fields).length, 300);
  });

  await say('INFO, CLIENT and CONFIG', async () => {
    assert.match(await client.info('server'), /redis_version:7\./);
    await client.clientSetName('noderedis');
    assert.equal(await client.clientGetName(), 'noderedis');
    assert.ok((await client.clientList()).some((c) => c.name === 'noderedis'));
    assert.ok('maxmemory' in (await client.configGet('maxmemory')));
  });

  await client.close();
  await other.close();
}
