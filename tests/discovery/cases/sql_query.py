from __future__ import annotations

import apsw


def make_case(sources, case):
    path = sources.folder / "case.db"
    if not path.exists():
        with apsw.Connection(str(path)) as conn:
            conn.execute('CREATE TABLE t ("column" INTEGER); INSERT INTO t VALUES (1), (2)')
        conn.close()

    def params(query):
        return {"database": str(path), "query": query, "key": "column"}

    return case(
        good=params('SELECT "column" FROM t'),
        empty=params('SELECT "column" FROM t WHERE "column" > 5'),
        broken=params('SELECT "column" FROM absent'),
    )
