"""Programs that are none of ours and open the tracker's file all the same, each given its path."""

HOLD_WRITE_LOCK = """
import sys, time, apsw
conn = apsw.Connection(sys.argv[1], flags=apsw.SQLITE_OPEN_READWRITE)
conn.set_busy_timeout(60_000)
conn.execute("BEGIN IMMEDIATE")
time.sleep(float(sys.argv[2]))
conn.execute("ROLLBACK")
"""

HOLD_TURN = """
import fcntl, sys, time
lock = open(sys.argv[1] + ".lock", "r+b")
fcntl.flock(lock, fcntl.LOCK_EX)
time.sleep(float(sys.argv[2]))
"""

FOLD_LOG = """
import sys, apsw
conn = apsw.Connection(sys.argv[1], flags=apsw.SQLITE_OPEN_READWRITE)
conn.set_busy_timeout(1000)
print(conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
"""
