// What postgres.js sends, but for its look at the catalog's array types, which are each server's own.
'use strict';
const postgres = require('postgres');

async function main() {
  const sql = postgres({ max: 1, fetch_types: false, onnotice: () => {} });
  await sql`CREATE TABLE t (id BIGINT PRIMARY KEY, v TEXT, f DOUBLE PRECISION, ok BOOLEAN)`;
  await sql`INSERT INTO t ${sql({ id: 1, v: 'one ☃', f: 0.5, ok: true })}`;
  await sql`INSERT INTO t ${sql([{ id: 2, v: 'two' }, { id: 3, v: null }])} RETURNING id`;
  await sql`SELECT * FROM t WHERE id = ${1}`;
  await Promise.all([1, 2, 3].map((i) => sql`SELECT v FROM t WHERE id = ${i}`));
  await sql`INSERT INTO t (id) VALUES (${1})`.catch(() => {});
  await sql`SELECT * FROM missing`.catch(() => {});
  await sql.begin(async (tx) => {
    await tx`UPDATE t SET v = ${'x'} WHERE id = ${1}`;
    await tx.savepoint(async (sp) => {
      await sp`DELETE FROM t`;
      throw new Error('back');
    }).catch(() => {});
  });
  await sql`SELECT id FROM t ORDER BY id`.cursor(2, () => {});
  await sql.unsafe('SELECT v FROM t WHERE id = 1; SELECT v FROM t WHERE id = 2');
  await sql.end();
}

main();
