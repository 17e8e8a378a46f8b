import numpy as np
from conftest import Database


async def test_insert_and_read(database: Database) -> None:
    async with database.client() as client:
        t = np.arange(1000)
        v = t / 7
        await client.insert({"a": (t, v)})
        answer = await client.query_arrays("select * from 'a'")
        assert (answer["a"][0] == t).all()
        assert (answer["a"][1] == v).all()
