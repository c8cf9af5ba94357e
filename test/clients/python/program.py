"""The Python side of protocol.ts: reads the order, does every task in turn and reports each."""

import gc
import json
import sys


def empty_reading():
    return {
        "text": "",
        "reasoning": "",
        "calls": [],
        "finish": None,
        "usage": [],
        "value": None,
        "error": None,
    }


def tool(name, properties):
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    function = {"name": name, "description": name, "parameters": parameters, "strict": True}
    return {"type": "function", "function": function}


# What every client asks in the first place.
QUESTION = "When does it leave?"

TOOLS = [
    tool("get_weather", {"city": {"type": "string"}}),
    tool("get_time", {"zone": {"type": "string"}, "exact": {"type": "boolean"}}),
]


def counts(prompt, completion, total):
    return {"prompt": prompt, "completion": completion, "total": total}


def run_program(ways):
    """`ways`: name → function(task, reading), which fills the reading as it goes."""
    # A stream that ended in an error is closed when it is collected. When that happens inside of the HTTP library's
    # own lock, the client waits for itself, so nothing is collected while it reads.
    gc.disable()
    # A library that prints would spoil the reports.
    reports, sys.stdout = sys.stdout, sys.stderr
    for task in json.load(sys.stdin)["tasks"]:
        reading = empty_reading()
        try:
            ways[task["way"]](task, reading)
        except Exception as error:  # noqa: BLE001 - every kind of error is the result
            reading["error"] = {
                "kind": type(error).__name__,
                "status": getattr(error, "status_code", None),
                "message": str(error),
            }
        reports.write(json.dumps({"id": task["id"], **reading}) + "\n")
        reports.flush()
