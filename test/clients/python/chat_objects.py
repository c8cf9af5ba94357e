"""Usage and tool calls as the Chat Completions API names them, which many clients hand on as they came."""

from program import counts


def read_usage(usage, reading):
    if usage is not None:
        reading["usage"].append(
            counts(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
        )


def read_calls(calls, reading):
    for call in calls or []:
        function = call.function
        reading["calls"].append(
            {"id": call.id, "name": function.name, "arguments": function.arguments}
        )
