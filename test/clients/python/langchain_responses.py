"""langchain-openai: ChatOpenAI with `use_responses_api`."""

import json

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI

from program import TOOLS, counts, run_program


def model_of(task):
    model = ChatOpenAI(
        model=task["model"],
        base_url=task["url"],
        api_key=task["key"],
        max_retries=0,
        use_responses_api=True,
    )
    return model.bind_tools(TOOLS) if task["tools"] else model


def text_of(message):
    return message.text if isinstance(message.text, str) else message.text()


def reasoning_of(message):
    blocks = message.content if isinstance(message.content, list) else []
    thoughts = [block for block in blocks if block.get("type") == "reasoning"]
    return "".join(part["text"] for block in thoughts for part in block.get("summary", []))


def read(message, reading):
    reading["text"] = text_of(message)
    reading["reasoning"] = reasoning_of(message)
    details = message.response_metadata.get("incomplete_details")
    reading["finish"] = details["reason"] if details else message.response_metadata.get("status")
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
    for chunk in model_of(task).stream("When does it leave?"):
        total = chunk if total is None else total + chunk
        reading["text"] = text_of(total)
    read(total, reading)


def turns(task, reading):
    """A second turn: the message goes back as it is, with what the tools gave."""
    model = model_of({**task, "tools": True})
    question = HumanMessage("When does it leave?")
    first = model.invoke([question])
    results = [ToolMessage("sunny", tool_call_id=call["id"]) for call in first.tool_calls]
    read(model.invoke([question, first, *results, HumanMessage("And then?")]), reading)


run_program(
    {
        "turns": turns,
        "stream": stream,
        "whole": lambda task, reading: read(model_of(task).invoke("When does it leave?"), reading),
    }
)
