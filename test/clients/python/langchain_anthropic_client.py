"""langchain-anthropic: ChatAnthropic, streamed with its chunks added up, and whole."""

import json

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage

from program import QUESTION, TOOLS, counts, run_program


def model_of(task):
    model = ChatAnthropic(
        model=task["model"],
        base_url=task["url"].removesuffix("/v1"),
        api_key=task["key"],
        max_tokens=500,
        max_retries=0,
        timeout=20,
    )
    return model.bind_tools(TOOLS) if task["tools"] else model


def text_of(message):
    return message.text if isinstance(message.text, str) else message.text()


def read(message, reading):
    reading["text"] = text_of(message)
    blocks = message.content if isinstance(message.content, list) else []
    # Without tools its texts are plain strings between the blocks.
    thoughts = [block for block in blocks if isinstance(block, dict) and block["type"] == "thinking"]
    reading["reasoning"] = "".join(block.get("thinking", "") for block in thoughts)
    reading["finish"] = message.response_metadata.get("stop_reason")
    usage = message.usage_metadata
    if usage is not None:
        reading["usage"].append(
            counts(usage["input_tokens"], usage["output_tokens"], usage["total_tokens"])
        )
    for call in message.tool_calls:
        arguments = json.dumps(call["args"], separators=(",", ":"))
        reading["calls"].append({"id": call["id"], "name": call["name"], "arguments": arguments})
    if message.invalid_tool_calls:
        raise ValueError(f"invalid tool calls: {message.invalid_tool_calls}")


def stream(task, reading):
    total = None
    for chunk in model_of(task).stream(QUESTION):
        total = chunk if total is None else total + chunk
        reading["text"] = text_of(total)
    read(total, reading)


def whole(task, reading):
    read(model_of(task).invoke(QUESTION), reading)


def turns(task, reading):
    """A second turn: the message goes back as it is, with what the tools gave."""
    model = model_of({**task, "tools": True})
    question = HumanMessage(QUESTION)
    first = model.invoke([question])
    results = [ToolMessage("sunny", tool_call_id=call["id"]) for call in first.tool_calls]
    read(model.invoke([question, first, *results, HumanMessage("And then?")]), reading)


run_program({"stream": stream, "whole": whole, "turns": turns})
