// ioredis, in both versions of the protocol.
import assert from 'node:assert/strict';
import Redis from 'ioredis';
import { check, node, otherNode, until } from './check.mjs';

for (const protocol of [2, 3]) {
  const options = { protocol, maxRetriesPerRequest: 0, retryStrategy: null };
  const client = new Redis({ ...node, ...options });
  const other = new Redis({ ...otherNode, ...options });
  const key = (name) => `ioredis:${protocol}:${name}`;
  const say = (name, run) => check(`RESP${protocol} ${name}`, run);

  await say('connect', async () => {
    assert.equal(await client.ping(), 'PONG'); // it looks for loading:0 in INFO first
    assert.equal(client.status, 'ready');
    await client.select(1);
    await client.set(key('db'), 'one');
    await client.select(0);
    assert.equal(await client.get(key('db')), null);
  });

  await say('strings, hashes and errors', async () => {
    const json = JSON.stringify({ text: 'ünï "quoted"\r\n', list: [1, 2.5, null] });
    assert.equal(await client.set(key('json'), json, 'EX', 60), 'OK');
    assert.equal(await other.get(key('json')), json);
    const bytes = Buffer.from([0, 255, 13, 10, 128]);
    await client.set(key('bytes'), bytes);
    assert.deepEqual(await other.getBuffer(key('bytes')), bytes);
    await client.hset(key('hash'), { a: 1, b: 'two' });
    assert.deepEqual({ ...(await other.hgetall(key('hash'))) }, { a: '1', b: 'two' });
    await client.mset({ [key('m1')]: '1', [key('m2')]: '2', [key('m3')]: '3' });
    assert.deepEqual(await other.mget(key('m1'), key('none'), key('m3')), ['1', null, '3']);
    await assert.rejects(client.lpush(key('hash'), 'x'), /WRONGTYPE/);
  });

  await say('pipelines', async () => {
    await client.del(key('n'));
    const pipeline = client.pipeline();
    for (let i = 0; i < 100; i++) pipeline.incr(key('n'));
    pipeline.lpush(key('n'), 'x').get(key('n'));
    const replies = await pipeline.exec();
    assert.equal(replies.length, 102);
    assert.deepEqual(replies[99], [null, 100]);
    assert.match(replies[100][0].message, /WRONGTYPE/);
    assert.deepEqual(replies[101], [null, '100']);
  });

  await say('MULTI and WATCH', async () => {
    const replies = await client.multi().set(key('{t}a'), '1').incrby(key('{t}a'), 41).rpush(key('{t}l'), 'x', 'y').del(key('{t}l')).exec();
    assert.deepEqual(replies, [[null, 'OK'], [null, 42], [null, 2], [null, 1]]);
    await client.multi({ pipeline: false });
    assert.equal(await client.get(key('{t}a')), 'QUEUED');
    assert.deepEqual(await client.exec(), [[null, '42']]);
    await client.watch(key('{t}a'));
    await other.incr(key('{t}a'));
    assert.equal(await client.multi().set(key('{t}a'), '0').exec(), null);
    await assert.rejects(client.multi().set(key('{t}a')).get(key('{t}a')).exec(), /EXECABORT/);
    assert.equal(await client.get(key('{t}a')), '43');
  });

  await say('scripts', async () => {
    await client.script('FLUSH');
    client.defineCommand('addto', {
      numberOfKeys: 1,
      lua: `local n = redis.call('INCRBY', KEYS[1], ARGV[1])
        return {n, 'by ' .. ARGV[1], cjson.encode({n = n})}`,
    });
    await client.del(key('s'));
    for (const n of [3, 6]) assert.deepEqual(await client.addto(key('s'), 3), [n, 'by 3', `{"n":${n}}`]);
    const [first, second] = await client.pipeline().addto(key('s'), 1).addto(key('s'), 1).exec();
    assert.deepEqual([first[1][0], second[1][0]], [7, 8]);
    await assert.rejects(client.eval('return redis.call("GET")', 0), /Wrong number of args/);
  });

  await say('Pub/Sub', async () => {
    const sub = client.duplicate();
    const got = [];
    sub.on('message', (channel, text) => got.push(`${channel}=${text}`));
    sub.on('pmessage', (pattern, channel, text) => got.push(`${pattern} ${channel}=${text}`));
    assert.equal(await sub.subscribe(key('news')), 1);
    assert.equal(await sub.psubscribe(key('n?ws*')), 2);
    await client.publish(key('news'), 'here');
    await other.publish(key('news'), 'there');
    await until(() => got.length >= 4);
    const want = ['here', 'there'].flatMap((text) => [`${key('news')}=${text}`, `${key('n?ws*')} ${key('news')}=${text}`]);
    assert.deepEqual(got.toSorted(), want.toSorted());
    await sub.unsubscribe(key('news'));
    await sub.punsubscribe(key('n?ws*'));
    assert.equal(await sub.get(key('none')), null);
    await sub.quit();
  });

  await say('blocking pops', async () => {
    const blocked = client.duplicate();
    const popped = blocked.blpop(key('{q}1'), key('{q}2'), 20);
    await other.rpush(key('{q}2'), 'job');
    assert.deepEqual(await popped, [key('{q}2'), 'job']);
    assert.equal(await blocked.brpop(key('{q}1'), 0.05), null);
    const moved = blocked.blmove(key('{q}1'), key('{q}3'), 'LEFT', 'RIGHT', 20);
    await other.rpush(key('{q}1'), 'a', 'b');
    assert.equal(await moved, 'a');
    assert.deepEqual(await other.lrange(key('{q}3'), 0, -1), ['a']);
    await blocked.quit();
  });

  await say('scan', async () => {
    const pipeline = client.pipeline();
    for (let i = 0; i < 250; i++) pipeline.set(key(`scan:${i}`), i);
    await pipeline.exec();
    const seen = new Set();
    for await (const keys of client.scanStream({ match: key('scan:*'), count: 50 })) keys.forEach((k) => seen.add(k));
    assert.equal(seen.size, 250);
  });

  await say('MONITOR', async () => {
    const monitor = await client.monitor();
    const seen = [];
    monitor.on('monitor', (time, args) => seen.push(args.join(' ')));
    await client.set(key('monitored'), 'yes');
    await until(() => seen.includes(`set ${key('monitored')} yes`));
    monitor.disconnect();
  });

  await client.quit();
  await other.quit();
}
