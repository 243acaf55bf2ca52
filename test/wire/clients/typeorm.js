// TypeORM as it is written for PostgreSQL, or for MySQL: synchronize twice, migrations, relations, CRUD, a changed entity.
'use strict';
require('reflect-metadata');
const assert = require('assert');
const { DataSource, EntitySchema, Table, TableColumn, TableForeignKey, TableIndex, TableUnique, In, MoreThan, ILike, Like, QueryFailedError } = require('typeorm');
const target = require('./target');

const { either } = target;
const failed = (e, sqlstate, number) => either(e.code === sqlstate, e.errno === number);
const double = either('double precision', 'double');

function entities(extra) {
  const User = new EntitySchema({
    name: 'User', tableName: 'users',
    columns: {
      id: { type: 'int', primary: true, generated: true },
      email: { type: 'varchar', length: 100, unique: true },
      name: { type: 'text', nullable: true },
      active: { type: 'boolean', default: true },
      role: { type: 'enum', enum: ['admin', 'user'], default: 'user' },
      score: { type: double, default: 0 },
      balance: { type: either('numeric', 'decimal'), precision: 10, scale: 2, nullable: true },
      settings: { type: either('jsonb', 'json'), nullable: true },
      createdAt: { type: either('timestamp with time zone', 'datetime'), createDate: true },
      ...extra,
    },
    relations: { posts: { type: 'one-to-many', target: 'Post', inverseSide: 'author' } },
    indices: [{ name: 'users_name', columns: ['name', 'active'] }],
  });
  const Post = new EntitySchema({
    name: 'Post', tableName: 'posts',
    columns: {
      id: { type: 'uuid', primary: true, generated: 'uuid' },
      title: { type: 'varchar' },
      views: { type: 'int', default: 0 },
      updatedAt: { type: either('timestamp', 'datetime'), updateDate: true },
    },
    relations: {
      author: { type: 'many-to-one', target: 'User', inverseSide: 'posts', joinColumn: true, onDelete: 'CASCADE', nullable: false },
      tags: { type: 'many-to-many', target: 'Tag', joinTable: true, cascade: true },
    },
    checks: either([{ name: 'posts_views', expression: '"views" >= 0' }], []), // which TypeORM does not know for MySQL
  });
  const Tag = new EntitySchema({
    name: 'Tag', tableName: 'tags',
    columns: { id: { type: 'bigint', primary: true, generated: true }, name: { type: 'varchar', unique: true } },
  });
  return [User, Post, Tag];
}

class Accounts1700000000000 {
  constructor() { this.name = 'Accounts1700000000000'; }
  async up(q) {
    await q.createTable(new Table({
      name: 'accounts',
      columns: [
        { name: 'id', type: 'int', isPrimary: true, isGenerated: true, generationStrategy: 'increment' },
        { name: 'owner', type: 'varchar', length: '50' },
        { name: 'amount', type: 'int', default: 0 },
        { name: 'at', type: 'timestamp', default: either('now()', 'CURRENT_TIMESTAMP') },
      ],
    }));
    const key = either({ type: 'uuid', default: 'gen_random_uuid()' }, { type: 'varchar', length: '36' });
    await q.createTable(new Table({ name: 'entries', columns: [{ name: 'id', isPrimary: true, ...key }, { name: 'account', type: 'int' }] }));
    await q.query("INSERT INTO accounts (owner, amount) VALUES ('ann', 1), ('bob', 2)");
  }
  async down(q) {
    await q.dropTable('entries');
    await q.dropTable('accounts');
  }
}

class Changes1700000000001 {
  constructor() { this.name = 'Changes1700000000001'; }
  async up(q) {
    await q.addColumn('accounts', new TableColumn({ name: 'kind', type: 'varchar', default: "'a'" }));
    await q.changeColumn('accounts', 'amount', new TableColumn({ name: 'amount', type: 'int', default: 5, isNullable: true }));
    await q.query(either('ALTER TABLE accounts ALTER COLUMN amount TYPE bigint', 'ALTER TABLE accounts MODIFY amount bigint NULL DEFAULT 5'));
    await q.renameColumn('accounts', 'owner', 'name');
    await q.createIndex('accounts', new TableIndex({ name: 'accounts_kind', columnNames: ['kind'] }));
    const unique = { name: 'accounts_name', columnNames: ['name'] };
    if (target.mysql) await q.createIndex('accounts', new TableIndex({ ...unique, isUnique: true }));
    else await q.createUniqueConstraint('accounts', new TableUnique(unique));
    await q.createForeignKey('entries', new TableForeignKey({ name: 'entries_account', columnNames: ['account'], referencedTableName: 'accounts', referencedColumnNames: ['id'], onDelete: 'CASCADE' }));
  }
  async down(q) {
    await q.dropForeignKey('entries', 'entries_account');
    if (target.mysql) await q.dropIndex('accounts', 'accounts_name');
    else await q.dropUniqueConstraint('accounts', 'accounts_name');
    await q.dropIndex('accounts', 'accounts_kind');
    await q.renameColumn('accounts', 'name', 'owner');
    await q.dropColumn('accounts', 'kind');
  }
}

function source(list) {
  return new DataSource({
    ...either({ type: 'postgres' }, { type: 'mysql', connectorPackage: 'mysql2' }), host: target.host, port: target.port, username: target.user, password: target.password,
    database: target.database, entities: list, migrations: [Accounts1700000000000, Changes1700000000001], logging: process.env.SHOW_SQL ? ['query', 'schema', 'migration'] : false,
  });
}

async function pending(db) {
  return (await db.driver.createSchemaBuilder().log()).upQueries.map((q) => q.query);
}

async function crud(db) {
  const users = db.getRepository('User'), posts = db.getRepository('Post'), tags = db.getRepository('Tag');
  const ann = await users.save({ email: 'ann@example.com', name: 'Ann', role: 'admin', balance: '12.50', settings: { theme: 'dark' } });
  assert.strictEqual(ann.id, 1);
  assert.ok(ann.createdAt instanceof Date);
  const bob = await users.save({ email: 'bob@example.com' });
  assert.deepStrictEqual([bob.role, bob.active, bob.score], ['user', true, 0]);
  const one = await posts.save({ title: 'one', author: ann, tags: [{ name: 'a' }, { name: 'b' }] });
  assert.match(one.id, /^[0-9a-f]{8}-[0-9a-f]{4}-4/);
  await posts.save([{ title: 'two', author: ann, views: 5 }, { title: 'three', author: bob }]);
  const found = await users.findOne({ where: { email: either(ILike, Like)('ANN%') }, relations: { posts: { tags: true } }, order: { posts: { title: 'ASC' } } });
  assert.deepStrictEqual(found.posts.map((p) => p.title), ['one', 'two']);
  assert.deepStrictEqual(found.posts[0].tags.map((t) => t.name).sort(), ['a', 'b']);
  assert.strictEqual(found.balance, '12.50');
  assert.deepStrictEqual(found.settings, { theme: 'dark' });
  found.name = 'Anna';
  await users.save(found);
  assert.strictEqual(await users.countBy({ name: 'Anna' }), 1);
  assert.strictEqual((await posts.update({ title: In(['one', 'two']) }, { views: 9 })).affected, 2);
  await posts.increment({ title: 'one' }, 'views', 1);
  assert.strictEqual(await posts.countBy({ views: MoreThan(9) }), 1);
  const [list, count] = await posts.findAndCount({ take: 2, skip: 1, order: { title: 'ASC' } });
  assert.deepStrictEqual([list.map((p) => p.title), count], [['three', 'two'], 3]);
  const sum = await posts.createQueryBuilder('p').innerJoin('p.author', 'u').select('u.email', 'email').addSelect('SUM(p.views)', 'views')
    .groupBy('u.email').orderBy('views', 'DESC').getRawMany();
  assert.deepStrictEqual(sum, [{ email: 'ann@example.com', views: '19' }, { email: 'bob@example.com', views: '0' }]);
  await tags.upsert([{ name: 'a' }, { name: 'c' }], ['name']);
  assert.strictEqual(await tags.count(), 3);
  await assert.rejects(users.insert({ email: 'ann@example.com' }), (e) => e instanceof QueryFailedError && failed(e, '23505', 1062));
  await assert.rejects(posts.insert({ title: 'x', author: { id: 99 } }), (e) => failed(e, '23503', 1452));
  if (!target.mysql) await assert.rejects(posts.insert({ title: 'x', author: ann, views: -1 }), (e) => e.code === '23514');
  await assert.rejects(db.transaction(async (m) => {
    await m.getRepository('Post').delete({ title: 'one' });
    throw new Error('rolled back');
  }), /rolled back/);
  await db.transaction('SERIALIZABLE', (m) => m.getRepository('User').remove(bob));
  assert.strictEqual(await posts.count(), 2);
}

async function main() {
  let db = await source(entities({})).initialize();
  await db.synchronize();
  assert.deepStrictEqual(await pending(db), []);
  await db.synchronize();
  await crud(db);
  await db.destroy();

  db = await source(entities({ nick: { type: 'varchar', length: 20, default: 'none' }, score: { type: double, nullable: true },
    role: { type: 'enum', enum: ['admin', 'user', 'guest'], default: 'guest' } })).initialize();
  await db.synchronize();
  assert.deepStrictEqual(await pending(db), []);
  const ann = await db.getRepository('User').findOneBy({ id: 1 });
  assert.deepStrictEqual([ann.nick, ann.role], ['none', 'admin']);
  assert.strictEqual((await db.getRepository('User').save({ email: 'eve@example.com' })).role, 'guest');

  assert.strictEqual((await db.runMigrations()).length, 2);
  assert.strictEqual((await db.runMigrations()).length, 0);
  const orphan = either('INSERT INTO entries (account) VALUES (99)', 'INSERT INTO entries (id, account) VALUES (UUID(), 99)');
  await assert.rejects(db.query(orphan), (e) => failed(e, '23503', 1452));
  assert.deepStrictEqual(await db.query('SELECT name, amount, kind FROM accounts ORDER BY id'),
    either(['5', '5'], ['1', '2']).map((amount, i) => ({ name: ['ann', 'bob'][i], amount, kind: 'a' })));
  await db.undoLastMigration();
  await db.undoLastMigration();
  assert.strictEqual(await db.createQueryRunner().hasTable('accounts'), false);
  await db.dropDatabase();
  await db.destroy();
  console.log('passed 1');
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
