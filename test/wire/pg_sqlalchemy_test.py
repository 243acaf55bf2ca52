"""SQLAlchemy: tables created, reflected and used through its ORM, as it is written for PostgreSQL."""

import datetime
import decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session, declarative_base, relationship, selectinload

Base = declarative_base()


class User(Base):
    __tablename__ = "users"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(50), nullable=False, unique=True)
    active = sa.Column(sa.Boolean, nullable=False, default=True)
    joined = sa.Column(sa.DateTime, server_default=sa.func.now())
    photo = sa.Column(sa.LargeBinary)
    orders = relationship("Order", back_populates="user", cascade="all, delete-orphan")


class Order(Base):
    __tablename__ = "orders"
    __table_args__ = (sa.CheckConstraint("amount >= 0", name="amount_not_negative"),)
    id = sa.Column(sa.Integer, primary_key=True)
    user_id = sa.Column(sa.ForeignKey("users.id"), nullable=False, index=True)
    amount = sa.Column(sa.Numeric(10, 2), nullable=False)
    day = sa.Column(sa.Date)
    note = sa.Column(sa.Text)
    user = relationship("User", back_populates="orders")


@pytest.fixture
def engine(pg):
    k = pg.keywords()
    url = sa.engine.URL.create("postgresql+psycopg2", k["user"], k["password"], k["host"], k["port"], k["dbname"])
    engine = sa.create_engine(url, future=True)
    yield engine
    engine.dispose()


def test_create_twice_and_reflect(engine):
    Base.metadata.create_all(engine)
    Base.metadata.create_all(engine)  # asks for the tables, and creates none
    found = sa.inspect(engine)
    assert sorted(found.get_table_names()) == ["orders", "users"]
    columns = {c["name"]: c for c in found.get_columns("users")}
    assert list(columns) == ["id", "name", "active", "joined", "photo"]
    assert not columns["name"]["nullable"] and columns["photo"]["nullable"]
    assert isinstance(columns["active"]["type"], sa.Boolean) and isinstance(columns["name"]["type"], sa.String)
    assert found.get_pk_constraint("users")["constrained_columns"] == ["id"]
    key, = found.get_foreign_keys("orders")
    assert (key["constrained_columns"], key["referred_table"], key["referred_columns"]) == (["user_id"], "users", ["id"])
    Base.metadata.drop_all(engine)
    assert sa.inspect(engine).get_table_names() == []


def test_reflect_indexes(engine):
    Base.metadata.create_all(engine)
    assert "ix_orders_user_id" in [i["name"] for i in sa.inspect(engine).get_indexes("orders")]


def test_reflect_everything(engine):
    Base.metadata.create_all(engine)
    meta = sa.MetaData()
    meta.reflect(engine)
    assert set(meta.tables) == {"users", "orders"}


def test_orm(engine):
    Base.metadata.create_all(engine)
    with Session(engine) as s:
        ann = User(name="ann", photo=b"\0\1\xff", orders=[Order(amount=decimal.Decimal("12.50"), day=datetime.date(2024, 2, 29)),
                                                      Order(amount=decimal.Decimal("0.99"), note="☃")])
        s.add_all([ann, User(name="bob", active=False)])
        s.commit()
        assert ann.id == 1 and isinstance(ann.joined, datetime.datetime)
        user = s.scalars(sa.select(User).options(selectinload(User.orders)).where(User.name == "ann")).one()
        assert [o.amount for o in user.orders] == [decimal.Decimal("12.50"), decimal.Decimal("0.99")]
        assert user.orders[0].day == datetime.date(2024, 2, 29) and user.photo == b"\0\1\xff"
        total = s.scalar(sa.select(sa.func.sum(Order.amount)).join(User).where(User.active.is_(True)))
        assert float(total) == pytest.approx(13.49)
        assert s.scalars(sa.select(User.name).where(User.name.in_(["ann", "bob", "eve"])).order_by(User.name.desc())
                         .limit(1)).all() == ["bob"]
        user.orders.pop()
        user.name = "anna"
        s.commit()
        assert s.scalar(sa.select(sa.func.count()).select_from(Order)) == 1
        s.execute(sa.update(User).where(User.name == "bob").values(active=True))
        s.execute(sa.delete(Order))
        s.rollback()
        assert s.scalar(sa.select(sa.func.count()).select_from(Order)) == 1


def test_errors_and_savepoints(engine):
    Base.metadata.create_all(engine)
    with Session(engine) as s:
        s.add(User(name="ann"))
        s.commit()
        with pytest.raises(sa.exc.IntegrityError):
            with s.begin_nested():
                s.add(User(name="ann"))
                s.flush()
        s.add(User(name="bob"))
        s.commit()
        assert s.scalar(sa.select(sa.func.count()).select_from(User)) == 2
        with pytest.raises(sa.exc.IntegrityError):
            s.add(Order(user_id=1, amount=-1))
            s.flush()
        s.rollback()
        with pytest.raises(sa.exc.ProgrammingError):
            s.execute(sa.text("SELECT * FROM missing"))


def test_core_and_isolation(engine):
    meta = sa.MetaData()
    t = sa.Table("t", meta, sa.Column("a", sa.BigInteger, primary_key=True, autoincrement=False), sa.Column("b", sa.Float))
    meta.create_all(engine)
    with engine.begin() as c:
        c.execute(t.insert(), [{"a": i, "b": i / 2} for i in range(100)])
        assert c.execute(sa.select(t.c.b).where(t.c.a.between(10, 12)).order_by(t.c.a)).scalars().all() == [5.0, 5.5, 6.0]
        assert c.execute(t.insert().values(a=1000, b=None).returning(t.c.a)).scalar_one() == 1000
    with engine.connect().execution_options(isolation_level="SERIALIZABLE") as c:
        assert c.execute(sa.select(sa.func.count()).select_from(t)).scalar_one() == 101
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as c:
        c.execute(t.delete().where(t.c.a == 1000))
    with engine.connect().execution_options(stream_results=True) as c:
        assert sum(1 for _ in c.execute(sa.select(t))) == 100
