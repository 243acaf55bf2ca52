// Sequelize as it is written for PostgreSQL, or for MySQL: sync twice, associations, CRUD, a migration, sync({ alter: true }).
'use strict';
const assert = require('assert');
const { Sequelize, DataTypes, Op, QueryTypes, UniqueConstraintError, ForeignKeyConstraintError, ValidationError } = require('sequelize');
const target = require('./target');

const { either } = target;

const sequelize = new Sequelize(target.database, target.user, target.password, {
  dialect: either('postgres', 'mysql'), host: target.host, port: target.port, logging: process.env.SHOW_SQL ? console.log : false,
});
let passed = 0;

function models(extra) {
  const User = sequelize.define('User', {
    id: { type: DataTypes.UUID, defaultValue: DataTypes.UUIDV4, primaryKey: true },
    email: { type: DataTypes.STRING(100), allowNull: false, unique: true },
    role: { type: DataTypes.ENUM('admin', 'user'), defaultValue: 'user' },
    active: { type: DataTypes.BOOLEAN, defaultValue: true },
    balance: DataTypes.DECIMAL(10, 2),
    settings: either(DataTypes.JSONB, DataTypes.JSON),
    photo: DataTypes.BLOB,
    ...extra,
  }, { indexes: [{ fields: ['role', 'active'] }] });
  const Post = sequelize.define('Post', {
    title: { type: DataTypes.STRING, allowNull: false },
    body: DataTypes.TEXT,
    views: { type: DataTypes.INTEGER, defaultValue: 0 },
    published: DataTypes.DATE,
  }, { paranoid: true });
  const Tag = sequelize.define('Tag', { name: { type: DataTypes.STRING, unique: true } }, { timestamps: false });
  User.hasMany(Post, { onDelete: 'CASCADE', foreignKey: { name: 'authorId', allowNull: false } });
  Post.belongsTo(User, { as: 'author', foreignKey: 'authorId' });
  Post.belongsToMany(Tag, { through: 'PostTags' });
  Tag.belongsToMany(Post, { through: 'PostTags' });
  return { User, Post, Tag };
}

async function crud({ User, Post, Tag }) {
  const ann = await User.create({ email: 'ann@example.com', role: 'admin', balance: '12.50', settings: { theme: 'dark', n: [1, 2] }, photo: Buffer.from([0, 1, 255]) });
  const bob = await User.create({ email: 'bob@example.com' });
  assert.strictEqual(bob.role, 'user');
  await Post.bulkCreate([{ title: 'one', authorId: ann.id, published: new Date('2024-02-29T12:00:00Z') }, { title: 'two', authorId: ann.id, views: 5 }, { title: 'three', authorId: bob.id }]);
  const [one] = await Post.findAll({ where: { title: 'one' } });
  assert.strictEqual(one.published.toISOString(), '2024-02-29T12:00:00.000Z');
  const [a, b] = await Tag.bulkCreate([{ name: 'a' }, { name: 'b' }]);
  await one.setTags([a, b]);
  const found = await User.findOne({ where: { email: { [either(Op.iLike, Op.like)]: 'ANN%' } }, include: [{ model: Post, include: [Tag] }], order: [[Post, 'title', 'ASC']] });
  assert.deepStrictEqual(found.Posts.map((p) => p.title), ['one', 'two']);
  assert.deepStrictEqual(found.Posts[0].Tags.map((t) => t.name).sort(), ['a', 'b']);
  assert.deepStrictEqual(found.settings, { theme: 'dark', n: [1, 2] });
  assert.strictEqual(found.balance, '12.50');
  assert.ok(found.photo.equals(Buffer.from([0, 1, 255])));
  await Post.increment('views', { by: 3, where: { title: 'two' } });
  assert.strictEqual((await Post.findOne({ where: { title: 'two' } })).views, 8);
  assert.strictEqual(await Post.count({ where: { views: { [Op.gt]: 1 } } }), 1);
  assert.strictEqual(await Post.sum('views'), 8);
  const [n] = await User.update({ active: false }, { where: { role: 'user' } });
  assert.strictEqual(n, 1);
  const { count, rows } = await Post.findAndCountAll({ limit: 2, offset: 1, order: ['id'] });
  assert.strictEqual(count, 3);
  assert.strictEqual(rows.length, 2);
  const [same, created] = await User.findOrCreate({ where: { email: 'bob@example.com' } });
  assert.ok(!created && same.id === bob.id);
  const [, fresh] = await User.upsert({ id: bob.id, email: 'bob@example.com', balance: 3 });
  assert.ok(target.mysql || fresh === null || typeof fresh === 'boolean');
  await assert.rejects(User.create({ email: 'ann@example.com' }), UniqueConstraintError);
  await assert.rejects(Post.create({ title: 'x', authorId: '00000000-0000-4000-8000-000000000000' }), ForeignKeyConstraintError);
  await assert.rejects(Post.create({ authorId: ann.id }), ValidationError);
  await one.destroy();
  assert.strictEqual(await Post.count(), 2);
  assert.strictEqual(await Post.count({ paranoid: false }), 3);
  await assert.rejects(sequelize.transaction(async (transaction) => {
    await User.destroy({ where: {}, transaction });
    assert.strictEqual(await User.count({ transaction }), 0);
    throw new Error('rolled back');
  }), /rolled back/);
  assert.strictEqual(await User.count(), 2);
  await sequelize.transaction({ isolationLevel: Sequelize.Transaction.ISOLATION_LEVELS.SERIALIZABLE }, async (transaction) => {
    await bob.reload({ transaction, lock: transaction.LOCK.UPDATE });
    await bob.destroy({ transaction });
  });
  assert.strictEqual(await Post.count({ paranoid: false }), 2);
  const grouped = await Post.findAll({ attributes: ['authorId', [sequelize.fn('COUNT', sequelize.col('id')), 'n']], group: ['authorId'], paranoid: false, raw: true });
  assert.strictEqual(Number(grouped[0].n), 2);
  assert.deepStrictEqual(await sequelize.query(either('SELECT $1 || $2 AS joined', 'SELECT CONCAT($1, $2) AS joined'), { bind: ['a', 'b'], type: QueryTypes.SELECT }), [{ joined: 'ab' }]);
  passed++;
}

async function migration() {
  const q = sequelize.getQueryInterface();
  await q.createTable('accounts', {
    id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true },
    owner: { type: DataTypes.STRING },
    amount: { type: DataTypes.INTEGER, defaultValue: 0 },
    createdAt: { type: DataTypes.DATE, defaultValue: Sequelize.fn('now') },
  });
  await q.bulkInsert('accounts', [{ owner: 'ann', amount: 1 }, { owner: 'bob', amount: 2 }]);
  await q.addColumn('accounts', 'kind', { type: DataTypes.ENUM('a', 'b'), defaultValue: 'a', allowNull: false });
  await q.changeColumn('accounts', 'amount', { type: DataTypes.BIGINT, allowNull: false, defaultValue: 7 });
  await q.renameColumn('accounts', 'owner', 'name');
  await q.addIndex('accounts', ['name'], { name: 'accounts_name', unique: true });
  await q.addConstraint('accounts', { fields: ['name', 'kind'], type: 'unique', name: 'accounts_nk' });
  await q.addConstraint('accounts', { fields: ['amount'], type: 'check', where: { amount: { [Op.gte]: 0 } }, name: 'accounts_amount' });
  await q.createTable('entries', { id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true }, account: DataTypes.INTEGER });
  await q.addConstraint('entries', { fields: ['account'], type: 'foreign key', name: 'entries_account', references: { table: 'accounts', field: 'id' }, onDelete: 'cascade' });
  const columns = await q.describeTable('accounts');
  assert.deepStrictEqual(Object.keys(columns).sort(), ['amount', 'createdAt', 'id', 'kind', 'name']);
  assert.strictEqual(columns.amount.type, 'BIGINT');
  assert.strictEqual(columns.amount.allowNull, false);
  assert.ok(columns.id.primaryKey);
  const indexes = await q.showIndex('accounts');
  assert.ok(indexes.some((i) => i.name === 'accounts_name' && i.unique));
  const constraints = (await q.showConstraint('accounts')).map((c) => c.constraintName);
  assert.ok(constraints.includes('accounts_nk') && constraints.includes('accounts_amount'));
  const keys = await q.getForeignKeyReferencesForTable('entries');
  assert.strictEqual(keys[0].constraintName, 'entries_account');
  assert.strictEqual(keys[0].referencedTableName, 'accounts');
  await assert.rejects(q.bulkInsert('entries', [{ account: 99 }]), ForeignKeyConstraintError);
  await assert.rejects(sequelize.query("INSERT INTO accounts (name, amount) VALUES ('x', -1)"), { name: 'SequelizeDatabaseError' });
  await q.bulkInsert('accounts', [{ name: 'eve' }]);
  assert.deepStrictEqual(await sequelize.query('SELECT name, amount, kind FROM accounts ORDER BY id', { type: QueryTypes.SELECT }),
    [['ann', 1], ['bob', 2], ['eve', 7]].map(([name, n]) => ({ name, amount: either(String(n), n), kind: 'a' })));
  await q.removeConstraint('entries', 'entries_account');
  await q.removeConstraint('accounts', 'accounts_nk');
  await q.removeIndex('accounts', 'accounts_name');
  await q.removeColumn('accounts', 'kind');
  await q.renameTable('accounts', 'ledgers');
  assert.ok((await q.showAllTables()).includes('ledgers'));
  await q.dropTable('entries', {});
  await q.dropTable('ledgers', {});
  passed++;
}

async function main() {
  await sequelize.authenticate();
  let m = models({});
  await sequelize.sync();
  await sequelize.sync();
  await crud(m);
  m = models({ nick: { type: DataTypes.STRING(20), defaultValue: 'none' } });
  await sequelize.sync({ alter: true });
  await sequelize.sync({ alter: true });
  assert.strictEqual((await m.User.findOne({ where: { email: 'ann@example.com' } })).nick, 'none');
  passed++;
  await sequelize.sync({ force: true });
  assert.strictEqual(await m.User.count(), 0);
  await migration();
  await sequelize.drop({});
  assert.deepStrictEqual(await sequelize.getQueryInterface().showAllTables(), []);
  await sequelize.close();
  console.log(`passed ${passed + 1}`);
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
