from __future__ import annotations

NAMED_BY_USER = True

SOURCE = """
from pipeline.outcomes import GiveUp, RetryLater, Skip

async def work(context):
    return {"key": context.key}

def end(context, *, how):
    return {"skip": Skip("no"), "never": GiveUp("no"), "later": RetryLater(60, "no")}[how]
"""


def make_sample(house):
    return {"params": {"function": f"{house.write_module(SOURCE)}:work"}}


def make_endings(house):
    function = f"{house.write_module(SOURCE)}:end"
    return {
        how: {"params": {"function": function, "arguments": {"how": how}}}
        for how in ("skip", "never", "later", "unexpected")
    }
