"""
Rows into a Parquet file, a group of them at a time.

Source: arrow.apache.org/docs/python, `pyarrow.parquet.ParquetWriter`.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

from pipeline.errors import ExportError
from runner.export_rows import HEAD

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from runner.spool import Spool

GROUP_ROWS = 10_000


def require_parquet() -> None:
    """Raise `ExportError` if the extra is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401, PLC0415 - an extra, and slow to import
    except ModuleNotFoundError as error:
        raise ExportError(
            f"parquet needs: pip install 'celeriac[parquet]' (no module named {error.name!r})"
        ) from error


def write_parquet(spool: Spool, path: Path) -> None:
    """
    Write rows; a column has the type of what was met in it, or text where that differs.

    What is nested is JSON text.
    """
    import pyarrow as pa  # noqa: PLC0415 - see above
    import pyarrow.parquet as pq  # noqa: PLC0415

    names = list(dict.fromkeys([*HEAD, *spool.kinds]))
    schema = pa.schema([(name, _choose_type(pa, spool.kinds.get(name, set()))) for name in names])
    rows = iter(spool)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while group := list(islice(rows, GROUP_ROWS)):
            columns = [
                pa.array([_as_value(row.get(field.name), field.type, pa) for row in group], field.type)
                for field in schema
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _choose_type(arrow: Any, kinds: set[str]) -> pa.DataType:
    if kinds == {"truth"}:
        return arrow.bool_()
    if kinds in ({"whole"}, {"whole", "long"}):
        return arrow.int64()
    if kinds in ({"number"}, {"whole", "number"}):
        return arrow.float64()
    return arrow.string()


def _as_value(value: Any, kind: pa.DataType, arrow: Any) -> Any:
    if value is None:
        return None
    if kind == arrow.float64():
        return float(value)
    if kind != arrow.string():
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()
