// postgres.js: pipelines everything, describes before it binds, reads the array types of the catalog first.
'use strict';
const assert = require('assert');
const postgres = require('postgres');

async function main() {
  let passed = 0;
  const sql = postgres({ max: 4, onnotice: () => {} });
  const done = () => { passed++; };

  await sql`CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, age INTEGER, raw BYTEA, score DOUBLE PRECISION,
            ok BOOLEAN, born TIMESTAMP, big BIGINT)`;
  const person = { id: 1, name: 'Ænna ☃', age: 30, raw: Buffer.from([0, 255]), score: 1.25, ok: true,
    born: new Date('2020-01-02T03:04:05.678Z'), big: '9007199254740993' };
  await sql`INSERT INTO people ${sql(person)}`;
  const [row] = await sql`SELECT * FROM people WHERE id = ${1}`;
  assert.strictEqual(row.name, person.name);
  assert.strictEqual(Number(row.age), 30);
  assert.ok(Buffer.from(row.raw).equals(person.raw));
  assert.strictEqual(row.score, 1.25);
  assert.strictEqual(row.ok, true);
  assert.ok(row.born instanceof Date);
  assert.strictEqual(row.big, '9007199254740993');
  done();

  const inserted = await sql`INSERT INTO people ${sql([{ id: 2, name: 'b' }, { id: 3, name: 'c' }])} RETURNING id`;
  assert.strictEqual(inserted.count, 2);
  assert.strictEqual(inserted.command, 'INSERT');
  done();

  const results = await Promise.all([...Array(100).keys()].map((i) => sql`SELECT name FROM people WHERE id = ${i % 3 + 1}`));
  assert.ok(results.every((r, i) => r[0].name === ['Ænna ☃', 'b', 'c'][i % 3]));
  done();

  await assert.rejects(sql`INSERT INTO people (id, name) VALUES (${1}, ${'again'})`, { code: '23505' });
  await assert.rejects(sql`SELECT * FROM missing`, { code: '42P01' });
  done();

  await sql.begin(async (tx) => {
    await tx`UPDATE people SET name = ${'changed'} WHERE id = ${2}`;
    await tx.savepoint(async (sp) => {
      await sp`DELETE FROM people`;
      throw new Error('back');
    }).catch((e) => assert.strictEqual(e.message, 'back'));
  });
  assert.strictEqual((await sql`SELECT count(*)::integer AS n FROM people`)[0].n, 3);
  await sql.begin(async (tx) => {
    await tx`DELETE FROM people`;
    throw new Error('all back');
  }).catch((e) => assert.strictEqual(e.message, 'all back'));
  assert.strictEqual((await sql`SELECT name FROM people WHERE id = 2`)[0].name, 'changed');
  done();

  let seen = 0;
  await sql`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250) SELECT i FROM n`.cursor(100, (rows) => {
    seen += rows.length;
  });
  assert.strictEqual(seen, 250);
  done();

  const simple = await sql.unsafe('SELECT 1 AS one; SELECT 2 AS two');
  assert.strictEqual(simple.length, 2);
  done();

  const writable = await sql`COPY people (id, name) FROM STDIN`.writable();
  for (let i = 10; i < 1010; i++) writable.write(`${i}\tcopied\n`);
  await new Promise((resolve, reject) => {
    writable.on('error', reject);
    writable.on('finish', resolve);
    writable.end();
  });
  assert.strictEqual(Number((await sql`SELECT count(*) AS n FROM people WHERE name = 'copied'`)[0].n), 1000);
  done();

  await sql.end();
  console.log(`passed ${passed}`);
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
