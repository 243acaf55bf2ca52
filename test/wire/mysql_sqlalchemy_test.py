"""SQLAlchemy over PyMySQL: it creates, reflects, and works with its own MySQL dialect, unmodified."""

import datetime
import decimal

import pytest
import sqlalchemy as sa
from sqlalchemy import orm


@pytest.fixture
def engine(my):
    url = sa.engine.URL.create("mysql+pymysql", my.user, None, my.host, my.port, my.database, {"charset": "utf8mb4"})
    e = sa.create_engine(url, connect_args={"password": my.password.encode()})
    yield e
    e.dispose()


Base = orm.declarative_base()


class Author(Base):
    __tablename__ = "author"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(50), nullable=False, unique=True)
    born = sa.Column(sa.Date)
    active = sa.Column(sa.Boolean, nullable=False, default=True)
    books = orm.relationship("Book", back_populates="author", order_by="Book.id")


class Book(Base):
    __tablename__ = "book"
    id = sa.Column(sa.BigInteger, primary_key=True)
    author_id = sa.Column(sa.ForeignKey("author.id", ondelete="CASCADE"), nullable=False, index=True)
    title = sa.Column(sa.Text, nullable=False)
    price = sa.Column(sa.Numeric(10, 2), server_default="0.00")
    added = sa.Column(sa.DateTime, server_default=sa.func.now())
    cover = sa.Column(sa.LargeBinary)
    extra = sa.Column(sa.JSON)
    author = orm.relationship("Author", back_populates="books")


def test_orm(engine):
    Base.metadata.create_all(engine)
    Base.metadata.create_all(engine)  # looks first, and finds them
    with orm.Session(engine) as s:
        a = Author(name="Ünïcode 'quoted'", born=datetime.date(1970, 2, 28))
        a.books = [Book(title=f"t{i}", price=decimal.Decimal("9.90"), cover=b"\0\xff", extra={"n": [i, None]}) for i in range(3)]
        s.add(a)
        s.commit()
        assert a.id == 1 and [b.id for b in a.books] == [1, 2, 3]
    with orm.Session(engine) as s:
        a = s.execute(sa.select(Author).where(Author.name.like("Ünï%"))).scalar_one()
        assert a.active is True and a.born == datetime.date(1970, 2, 28)
        b = a.books[2]
        assert (b.price, b.cover, b.extra) == (decimal.Decimal("9.90"), b"\0\xff", {"n": [2, None]})
        assert isinstance(b.added, datetime.datetime)
        b.title = "changed"
        s.flush()
        with pytest.raises(sa.exc.IntegrityError):
            with s.begin_nested():
                s.add(Author(name=a.name))
                s.flush()
        s.commit()
    with orm.Session(engine) as s:
        q = sa.select(Author.name, sa.func.count(Book.id), sa.func.group_concat(Book.title)).join(Book).group_by(Author.id)
        assert s.execute(q).all() == [("Ünïcode 'quoted'", 3, "t0,t1,changed")]
        page = s.execute(sa.select(Book.id).order_by(Book.id.desc()).limit(1).offset(1)).scalars().all()
        assert page == [2]
        s.execute(sa.delete(Author))
        s.commit()
        assert s.execute(sa.select(sa.func.count()).select_from(Book)).scalar() == 0


def test_reflection(engine):
    Base.metadata.create_all(engine)
    i = sa.inspect(engine)
    assert i.get_table_names() == ["author", "book"]
    columns = {c["name"]: c for c in i.get_columns("book")}
    assert isinstance(columns["id"]["type"], sa.dialects.mysql.BIGINT) and columns["id"]["autoincrement"] is True
    assert isinstance(columns["author_id"]["type"], sa.dialects.mysql.INTEGER) and columns["author_id"]["nullable"] is False
    assert (columns["price"]["type"].precision, columns["price"]["type"].scale) == (10, 2)
    assert columns["price"]["default"] == "'0.00'"
    assert i.get_pk_constraint("book")["constrained_columns"] == ["id"]
    fk, = i.get_foreign_keys("book")
    assert (fk["constrained_columns"], fk["referred_table"], fk["options"]) == (["author_id"], "author", {"ondelete": "CASCADE"})
    assert {(x["name"], tuple(x["column_names"]), x["unique"]) for x in i.get_indexes("book")} == {("ix_book_author_id", ("author_id",), False)}
    assert {(x["name"], tuple(x["column_names"]), x["unique"]) for x in i.get_indexes("author")} == {("name", ("name",), True)}
    again = sa.MetaData()
    again.reflect(engine)
    assert set(again.tables) == {"author", "book"}
    again.drop_all(engine)
    assert sa.inspect(engine).get_table_names() == []


def test_core_upsert(engine):
    t = sa.Table("t", sa.MetaData(), sa.Column("k", sa.String(10), primary_key=True), sa.Column("n", sa.Integer))
    t.create(engine)
    insert = sa.dialects.mysql.insert(t).values([{"k": "a", "n": 1}, {"k": "b", "n": 2}])
    with engine.begin() as c:
        c.execute(insert)
        c.execute(insert.on_duplicate_key_update(n=t.c.n + insert.inserted.n))
        assert c.execute(sa.select(t).order_by(t.c.k)).all() == [("a", 2), ("b", 4)]
        size = sa.case((t.c.n > 3, "big"), else_="small")
        assert c.execute(sa.select(size).order_by(t.c.k)).scalars().all() == ["small", "big"]
