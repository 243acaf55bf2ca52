// A Knex migration and CRUD as they are written for PostgreSQL, or for MySQL.
'use strict';
const assert = require('assert');
const knex = require('knex');
const target = require('./target');

const { either } = target;
const failure = (code, errno) => either({ code }, { errno });

const migrations = {
  '001_users': {
    up: (k) => k.schema.createTable('users', (t) => {
      t.increments('id');
      t.string('email', 200).notNullable().unique();
      t.text('bio');
      t.boolean('active').notNullable().defaultTo(true);
      t.integer('age').index();
      t.timestamp('created_at').defaultTo(k.fn.now());
    }),
    down: (k) => k.schema.dropTable('users'),
  },
  '002_posts': {
    up: (k) => k.schema.createTable('posts', (t) => {
      t.increments('id');
      t.integer('user_id').unsigned().notNullable().references('id').inTable('users').onDelete('CASCADE');
      t.string('title').notNullable();
      t.decimal('price', 10, 2);
      t.index(['user_id', 'title']);
    }),
    down: (k) => k.schema.dropTable('posts'),
  },
  '003_nickname': {
    up: (k) => k.schema.alterTable('users', (t) => { t.string('nickname'); }),
    down: (k) => k.schema.alterTable('users', (t) => { t.dropColumn('nickname'); }),
  },
  '004_changes': {
    up: async (k) => {
      await k('users').insert({ email: 'old@example.com', age: 7 });
      await k.schema.alterTable('users', (t) => {
        t.bigInteger('age').notNullable().defaultTo(18).alter();
        t.string('bio', 500).defaultTo('none').alter();
        t.enu('kind', ['a', 'b'], either({ useNative: true, enumName: 'user_kind' }, {})).notNullable().defaultTo('a');
        if (!target.mysql) t.uuid('key').defaultTo(k.raw('gen_random_uuid()'));
        t.timestamp('updated_at').notNullable().defaultTo(k.fn.now());
        t.renameColumn('nickname', 'nick');
        t.dropIndex('age');
        t.unique(['nick', 'kind'], { indexName: 'users_nick_kind' });
        t.check('age >= 0', undefined, 'age_not_negative');
      });
      await k.schema.alterTable('posts', (t) => { t.dropForeign('user_id'); });
      await k.schema.alterTable('posts', (t) => { t.foreign('user_id', 'posts_author').references('users.id').onDelete('CASCADE'); });
    },
    down: async (k) => {
      await k.schema.alterTable('posts', (t) => { t.dropForeign('user_id', 'posts_author'); });
      await k.schema.alterTable('users', (t) => {
        t.dropChecks('age_not_negative');
        t.dropUnique(['nick', 'kind'], 'users_nick_kind');
        t.dropColumns('kind', 'updated_at', ...either(['key'], []));
        t.renameColumn('nick', 'nickname');
        t.integer('age').nullable().alter();
        t.index('age');
      });
      if (!target.mysql) await k.raw('DROP TYPE user_kind');
    },
  },
};

class Source {
  getMigrations() { return Promise.resolve(Object.keys(migrations)); }
  getMigrationName(name) { return name; }
  getMigration(name) { return migrations[name]; }
}

async function main() {
  const { host, port, user, password, database } = target;
  const db = knex({ client: either('pg', 'mysql2'), connection: { host, port, user, password, database }, pool: { min: 0, max: 4 } });
  const source = { migrationSource: new Source() };
  const [batch, names] = await db.migrate.latest(source);
  assert.strictEqual(batch, 1);
  assert.strictEqual(names.length, 4);
  assert.strictEqual((await db.migrate.latest(source))[1].length, 0);
  assert.ok(await db.schema.hasTable('users'));
  assert.ok(!(await db.schema.hasTable('missing')));
  assert.ok(await db.schema.hasColumn('users', 'nick'));
  const old = await db('users').where({ email: 'old@example.com' }).first();
  assert.deepStrictEqual([old.age, old.kind, old.updated_at instanceof Date], [either('7', 7), 'a', true]);
  if (!target.mysql) assert.strictEqual(old.key.length, 36);
  await assert.rejects(db('users').where({ id: old.id }).update({ age: -1 }), failure('23514', 3819));
  await db('users').where({ id: old.id }).del();
  const info = await db('users').columnInfo();
  assert.ok(info.email && info.age);

  // PostgreSQL returns rows; MySQL the first id.
  const add = async (row) => {
    const insert = db('users').insert(row);
    return target.mysql ? (await insert)[0] : (await insert.returning(['id', 'email']))[0].id;
  };
  const id = await add({ email: 'ann@example.com', age: 30 });
  assert.strictEqual(await add([{ email: 'bob@example.com', age: 40, active: false }, { email: 'eve@example.com' }]), id + 1);
  assert.strictEqual(await db('users').where({ id }).update({ nick: 'annie' }), 1);
  const ann = await db('users').where('email', 'ann@example.com').first();
  assert.strictEqual(ann.nick, 'annie');
  assert.strictEqual(ann.active, either(true, 1));
  assert.ok(ann.created_at instanceof Date);
  assert.strictEqual((await db('users').whereIn('age', [30, 40]).orderBy('age', 'desc'))[0].email, 'bob@example.com');
  assert.strictEqual((await db('users').whereILike('email', 'EVE%')).length, 1);
  assert.strictEqual(Number((await db('users').where('active', true).count('* as n'))[0].n), 2);

  await db.transaction(async (trx) => {
    await trx('posts').insert([{ user_id: id, title: 'first', price: '9.99' }, { user_id: id, title: 'second' }]);
  });
  await assert.rejects(db.transaction(async (trx) => {
    await trx('posts').del();
    throw new Error('no');
  }), /no/);
  const joined = await db('users').join('posts', 'users.id', 'posts.user_id').select('users.email', 'posts.title').orderBy('posts.title');
  assert.deepStrictEqual(joined.map((j) => j.title), ['first', 'second']);
  await assert.rejects(db('users').insert({ email: 'ann@example.com' }), failure('23505', 1062));
  await assert.rejects(db('posts').insert({ user_id: 999, title: 'x' }), failure('23503', 1452));
  await db('users').insert({ email: 'ann@example.com', age: 31 }).onConflict('email').merge(['age']);
  assert.strictEqual(Number((await db('users').where({ id }).first()).age), 31);
  assert.strictEqual(await db('users').where({ id }).del(), 1);
  assert.strictEqual(Number((await db('posts').count('* as n'))[0].n), 0);

  await db.migrate.rollback(source);
  assert.ok(!(await db.schema.hasTable('users')));
  await db.destroy();
  console.log('passed 1');
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
