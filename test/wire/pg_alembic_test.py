"""Alembic: migrations written by its autogenerate, up and down, until there is nothing left to write."""

import datetime
import decimal

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata, produce_migrations, render_python_code
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.dialects import postgresql


def first():
    meta = sa.MetaData()
    sa.Table("users", meta, sa.Column("id", sa.Integer, primary_key=True), sa.Column("email", sa.String(50), nullable=False),
             sa.Column("age", sa.Integer), sa.Column("old", sa.Text), sa.Column("made", sa.DateTime, server_default=sa.func.now()))
    sa.Table("orders", meta, sa.Column("id", sa.BigInteger, primary_key=True), sa.Column("user_id", sa.Integer, nullable=False),
             sa.Column("amount", sa.Numeric(8, 2)), sa.Column("state", sa.Enum("new", "paid", name="order_state"), server_default="new"))
    return meta


def second():
    naming = {"ix": "ix_%(column_0_label)s", "uq": "uq_%(table_name)s_%(column_0_name)s",
              "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s", "pk": "pk_%(table_name)s"}
    meta = sa.MetaData()
    sa.Table("users", meta, sa.Column("id", sa.Integer, primary_key=True), sa.Column("email", sa.String(200), nullable=False),
             sa.Column("age", sa.BigInteger, nullable=False), sa.Column("active", sa.Boolean, nullable=False,
                                                                                          server_default=sa.true()),
             sa.Column("made", sa.DateTime, server_default=sa.func.now()), sa.Column("key", postgresql.UUID),
             sa.Column("extra", postgresql.JSONB), sa.UniqueConstraint("email", name="uq_users_email"),
             sa.Index("ix_users_age", "age", "made"))
    sa.Table("orders", meta, sa.Column("id", sa.BigInteger, primary_key=True), sa.Column("user_id", sa.Integer, nullable=False),
             sa.Column("amount", sa.Numeric(10, 2), nullable=False), sa.Column("note", sa.Text),
             sa.Column("state", sa.Enum("new", "paid", name="order_state"), server_default="new"),
             sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_orders_user", ondelete="CASCADE"))
    sa.Table("tags", sa.MetaData(naming_convention=naming) and meta, sa.Column("name", sa.String(30), primary_key=True),
             sa.Column("order_id", sa.ForeignKey("orders.id"), nullable=False, index=True))
    return meta


@pytest.fixture
def engine(pg):
    k = pg.keywords()
    url = sa.engine.URL.create("postgresql+psycopg2", k["user"], k["password"], k["host"], k["port"], k["dbname"])
    engine = sa.create_engine(url, future=True)
    yield engine
    engine.dispose()


def context(connection):
    return MigrationContext.configure(connection, opts={"compare_type": True})


def migrate(engine, meta):
    """What autogenerate writes, run as the Python that it would be saved as. Answers the code of the way back."""
    with engine.begin() as connection:
        c = context(connection)
        script = produce_migrations(c, meta)
        up, down = (render_python_code(ops, migration_context=c) for ops in (script.upgrade_ops, script.downgrade_ops))
    run(engine, up)
    return down


def run(engine, code):
    with engine.begin() as connection:
        names = {"op": Operations(context(connection)), "sa": sa, "postgresql": postgresql}
        exec("def migration():\n" + "\n".join("    " + line for line in code.split("\n")), names)  # pylint: disable=exec-used
        names["migration"]()


def differences(engine, meta):
    with engine.connect() as connection:
        return compare_metadata(context(connection), meta)


def test_autogenerate(engine):
    migrate(engine, first())
    assert differences(engine, first()) == []
    with engine.begin() as c:
        c.execute(sa.text("INSERT INTO users (email, age) VALUES ('ann', 30), ('bob', 40)"))
        c.execute(sa.text("INSERT INTO orders (user_id, amount) VALUES (1, 12.5), (2, 1)"))

    back = migrate(engine, second())
    assert differences(engine, second()) == []
    with engine.begin() as c:
        row = c.execute(sa.text("SELECT email, age, active, made FROM users ORDER BY id")).first()
        assert row[:3] == ("ann", 30, True) and isinstance(row[3], datetime.datetime)
        assert c.execute(sa.text("SELECT amount, state FROM orders ORDER BY id")).all() == [(decimal.Decimal("12.50"), "new"),
                                                                                            (decimal.Decimal("1.00"), "new")]
        c.execute(sa.text("INSERT INTO users (email, age) VALUES ('eve', 5000000000)"))
        assert c.execute(sa.text("SELECT active FROM users WHERE email = 'eve'")).scalar_one() is True
    for bad in ("INSERT INTO users (email) VALUES ('ann')", "INSERT INTO orders (user_id, amount) VALUES (99, 1)",
                "INSERT INTO orders (user_id, amount) VALUES (1, NULL)", "INSERT INTO tags VALUES ('x', 99)"):
        with pytest.raises(sa.exc.IntegrityError), engine.begin() as c:
            c.execute(sa.text(bad))
    with engine.begin() as c:
        c.execute(sa.text("DELETE FROM users WHERE email <> 'ann'"))
        assert c.execute(sa.text("SELECT count(*) FROM orders")).scalar_one() == 1

    run(engine, back)
    assert differences(engine, first()) == []
    migrate(engine, sa.MetaData())
    assert sa.inspect(engine).get_table_names() == []


def test_operations(engine):
    """What autogenerate does not write."""
    with engine.begin() as connection:
        op = Operations(context(connection))
        op.create_table("t", sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", sa.String(20)), sa.Column("b", sa.String(20)))
        op.bulk_insert(sa.table("t", sa.column("a"), sa.column("b")), [{"a": "1", "b": "x"}, {"a": "22", "b": "y"}])
        op.alter_column("t", "a", type_=sa.Integer, postgresql_using="a::integer")
        op.alter_column("t", "b", new_column_name="c", existing_type=sa.String(20))
        op.create_check_constraint("positive", "t", "a > 0")
        op.create_unique_constraint("one", "t", ["a", "c"])
        op.create_index("lower_c", "t", [sa.text("lower(c)")], unique=True, postgresql_where=sa.text("c <> 'z'"))
        op.create_table_comment("t", "a table")
        op.add_column("t", sa.Column("d", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False))
    with engine.begin() as connection:
        assert connection.execute(sa.text("SELECT a, c FROM t WHERE a > 1 AND d IS NOT NULL")).all() == [(22, "y")]
        found = sa.inspect(connection)
        assert [k["name"] for k in found.get_check_constraints("t")] == ["positive"]
        assert [k["name"] for k in found.get_unique_constraints("t")] == ["one"]
        assert "one" in [i["name"] for i in found.get_indexes("t")]
        with pytest.raises(sa.exc.IntegrityError):  # in the index on an expression
            connection.execute(sa.text("INSERT INTO t (a, c) VALUES (3, 'Y')"))
    with engine.begin() as connection:
        op = Operations(context(connection))
        op.drop_constraint("one", "t")
        op.drop_constraint("positive", "t")
        op.alter_column("t", "a", type_=sa.Text)
        op.alter_column("t", "d", server_default=None, nullable=True)
        op.rename_table("t", "u")
        op.drop_column("u", "c")
        connection.execute(sa.text("INSERT INTO u (a) VALUES ('-1')"))
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT a, d IS NULL FROM u ORDER BY id")).all() == [("1", False), ("22", False), ("-1", True)]
