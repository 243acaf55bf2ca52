"""asyncpg, which speaks the protocol itself and asks for the binary format of everything."""

import asyncio
import datetime
import decimal
import io
import uuid

import asyncpg

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
passed = 0


def check(condition, what=""):
    global passed
    assert condition, what
    passed += 1


async def types(c):
    await c.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, s TEXT, f DOUBLE PRECISION, b BYTEA, o BOOLEAN, d DATE, ts TIMESTAMP,"
                    " tz TIMESTAMPTZ, n NUMERIC(10,2), j JSON, u UUID, i4 INT4, i2 SMALLINT)")
    at = datetime.datetime(2024, 2, 29, 12, 34, 56, 789012)
    row = (1, "ä☃", 0.1, b"\0\xff", True, at.date(), at, at.replace(tzinfo=datetime.timezone.utc), decimal.Decimal("12.34"),
           '{"a":1}', uuid.UUID(int=5), -7, 3)
    check(await c.execute("INSERT INTO t VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13)", *row) == "INSERT 0 1")
    check(tuple(await c.fetchrow("SELECT * FROM t WHERE id = $1", 1)) == row)
    await c.executemany("INSERT INTO t (id, s) VALUES ($1, $2)", [(i, str(i)) for i in range(2, 500)])
    check(await c.fetchval("SELECT count(*) FROM t") == 499)
    statement = await c.prepare("SELECT id, s FROM t WHERE s = $1")
    check([a.type.name for a in statement.get_attributes()] == ["int8", "text"])
    check([p.name for p in statement.get_parameters()] == ["text"])


async def arrays(c):
    found = await c.fetch("SELECT id FROM t WHERE id = ANY($1) ORDER BY id", [3, 1, 2])
    check([r["id"] for r in found] == [1, 2, 3])
    check(await c.fetchval("SELECT count(*) FROM t WHERE s = ANY($1::text[])", ["2", "x,y", None]) == 1)
    check(await c.fetchval("SELECT $1::int[]", [1, None, 3]) == [1, None, 3])
    check(await c.fetchval("SELECT $1::text[]", ["a b", 'q"\\', "", "NULL", None]) == ["a b", 'q"\\', "", "NULL", None])
    check(await c.fetchval("SELECT ARRAY[1, 2, 3]") == [1, 2, 3] and await c.fetchval("SELECT '{}'::text[]") == [])
    check(await c.fetchval("SELECT array_agg(id) FROM t WHERE id < 4") == [1, 2, 3])


async def cursors_and_transactions(c):
    async with c.transaction():
        check(len([r async for r in c.cursor("SELECT id FROM t", prefetch=50)]) == 499)
        cursor = await c.cursor("SELECT id FROM t ORDER BY id")
        await cursor.forward(10)
        check((await cursor.fetchrow())["id"] == 11 and len(await cursor.fetch(5)) == 5)
    try:
        async with c.transaction():
            await c.execute("INSERT INTO t (id) VALUES (1000)")
            try:
                async with c.transaction():  # a savepoint
                    await c.execute("INSERT INTO t (id) VALUES (1)")
            except asyncpg.UniqueViolationError as e:
                check(e.table_name == "t" and e.constraint_name == "t_pkey")
            check(await c.fetchval("SELECT count(*) FROM t WHERE id = 1000") == 1)
            raise KeyError
    except KeyError:
        check(await c.fetchval("SELECT count(*) FROM t WHERE id = 1000") == 0)
    for isolation in ("serializable", "repeatable_read", "read_committed"):
        async with c.transaction(isolation=isolation, readonly=True):
            check(await c.fetchval("SELECT 1") == 1)


async def rest(c):
    check(await c.copy_records_to_table("t", records=[(i, "x") for i in range(2000, 3000)], columns=["id", "s"]) == "COPY 1000")
    out = io.BytesIO()
    await c.copy_from_query("SELECT id, s FROM t WHERE id < 4 ORDER BY id", output=out, format="csv")
    check(out.getvalue().decode() == "1,ä☃\n2,2\n3,3\n")
    try:
        await asyncio.wait_for(c.execute(ENDLESS), 0.3)
        check(False)
    except asyncio.TimeoutError:
        check(await c.fetchval("SELECT 2") == 2)
    # What a pool does with a connection that comes back.
    await c.reset()
    pool = await asyncpg.create_pool(min_size=2, max_size=8)

    async def work(i):
        async with pool.acquire() as one:
            return await one.fetchval("SELECT $1::int + 1", i)

    check(sum(await asyncio.gather(*[work(i) for i in range(100)])) == 5050)
    await pool.close()


async def main():
    c = await asyncpg.connect()
    for part in (types, arrays, cursors_and_transactions, rest):
        await part(c)
    await c.close()


asyncio.run(main())
print("passed", passed)
