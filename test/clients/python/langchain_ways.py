"""What every chat model of LangChain is asked in the same way, whichever API it speaks."""

import json

from langchain_core.messages import HumanMessage, ToolMessage

from program import QUESTION, TOOLS, counts


def with_tools(model, task):
    return model.bind_tools(TOOLS) if task["tools"] else model


def text_of(message):
    return message.text if isinstance(message.text, str) else message.text()


def read_message(message, reading):
    """Text, usage and calls; reasoning and finish stand elsewhere in each API."""
    reading["text"] = text_of(message)
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


def chat_ways(model_of, read):
    """The stream, its chunks added up as applications do, and the whole answer."""

    def stream(task, reading):
        total = None
        for chunk in model_of(task).stream(QUESTION):
            total = chunk if total is None else total + chunk
            reading["text"] = text_of(total)
        read(total, reading)

    def whole(task, reading):
        read(model_of(task).invoke(QUESTION), reading)

    return {"stream": stream, "whole": whole}


def turns_way(model_of, read):
    """A second turn: the message goes back as it is, with what the tools gave."""

    def turns(task, reading):
        model = model_of({**task, "tools": True})
        question = HumanMessage(QUESTION)
        first = model.invoke([question])
        results = [ToolMessage("sunny", tool_call_id=call["id"]) for call in first.tool_calls]
        read(model.invoke([question, first, *results, HumanMessage("And then?")]), reading)

    return turns
