// TypeORM as it is written for MySQL: synchronize twice, migrations, relations, CRUD, a changed entity.
'use strict';
require('reflect-metadata');
const assert = require('assert');
const { DataSource, EntitySchema, Table, TableColumn, TableForeignKey, TableIndex, In, MoreThan, Like, QueryFailedError } = require('typeorm');

function entities(extra) {
  const User = new EntitySchema({
    name: 'User', tableName: 'users',
    columns: {
      id: { type: 'int', primary: true, generated: true },
      email: { type: 'varchar', length: 100, unique: true },
      name: { type: 'text', nullable: true },
      active: { type: 'boolean', default: true },
      role: { type: 'enum', enum: ['admin', 'user'], default: 'user' },
      score: { type: 'double', default: 0 },
      balance: { type: 'decimal', precision: 10, scale: 2, nullable: true },
      settings: { type: 'json', nullable: true },
      createdAt: { type: 'datetime', createDate: true },
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
      updatedAt: { type: 'datetime', updateDate: true },
    },
    relations: {
      author: { type: 'many-to-one', target: 'User', inverseSide: 'posts', joinColumn: true, onDelete: 'CASCADE', nullable: false },
      tags: { type: 'many-to-many', target: 'Tag', joinTable: true, cascade: true },
    },
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
        { name: 'at', type: 'timestamp', default: 'CURRENT_TIMESTAMP' },
      ],
    }));
    await q.createTable(new Table({ name: 'entries', columns: [{ name: 'id', type: 'varchar', length: '36', isPrimary: true }, { name: 'account', type: 'int' }] }));
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
    await q.query('ALTER TABLE accounts MODIFY amount bigint NULL DEFAULT 5');
    await q.renameColumn('accounts', 'owner', 'name');
    await q.createIndex('accounts', new TableIndex({ name: 'accounts_kind', columnNames: ['kind'] }));
    await q.createIndex('accounts', new TableIndex({ name: 'accounts_name', columnNames: ['name'], isUnique: true }));
    await q.createForeignKey('entries', new TableForeignKey({ name: 'entries_account', columnNames: ['account'], referencedTableName: 'accounts', referencedColumnNames: ['id'], onDelete: 'CASCADE' }));
  }
  async down(q) {
    await q.dropForeignKey('entries', 'entries_account');
    await q.dropIndex('accounts', 'accounts_name');
    await q.dropIndex('accounts', 'accounts_kind');
    await q.renameColumn('accounts', 'name', 'owner');
    await q.dropColumn('accounts', 'kind');
  }
}

function source(list) {
  return new DataSource({
    type: 'mysql', connectorPackage: 'mysql2', host: process.env.MYSQL_HOST, port: Number(process.env.MYSQL_TCP_PORT), username: process.env.MYSQL_TEST_USER, password: process.env.MYSQL_PWD,
    database: process.env.MYSQL_DATABASE, entities: list, migrations: [Accounts1700000000000, Changes1700000000001], logging: process.env.SHOW_SQL ? ['query', 'schema', 'migration'] : false,
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
  const found = await users.findOne({ where: { email: Like('ANN%') }, relations: { posts: { tags: true } }, order: { posts: { title: 'ASC' } } });
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
  await assert.rejects(users.insert({ email: 'ann@example.com' }), (e) => e instanceof QueryFailedError && e.errno === 1062);
  await assert.rejects(posts.insert({ title: 'x', author: { id: 99 } }), (e) => e.errno === 1452);
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

  db = await source(entities({ nick: { type: 'varchar', length: 20, default: 'none' }, score: { type: 'double', nullable: true },
    role: { type: 'enum', enum: ['admin', 'user', 'guest'], default: 'guest' } })).initialize();
  await db.synchronize();
  assert.deepStrictEqual(await pending(db), []);
  const ann = await db.getRepository('User').findOneBy({ id: 1 });
  assert.deepStrictEqual([ann.nick, ann.role], ['none', 'admin']);
  assert.strictEqual((await db.getRepository('User').save({ email: 'eve@example.com' })).role, 'guest');

  assert.strictEqual((await db.runMigrations()).length, 2);
  assert.strictEqual((await db.runMigrations()).length, 0);
  await assert.rejects(db.query('INSERT INTO entries (id, account) VALUES (UUID(), 99)'), (e) => e.errno === 1452);
  assert.deepStrictEqual(await db.query('SELECT name, amount, kind FROM accounts ORDER BY id'),
    [{ name: 'ann', amount: '1', kind: 'a' }, { name: 'bob', amount: '2', kind: 'a' }]);
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
