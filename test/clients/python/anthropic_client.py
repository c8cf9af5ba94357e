"""`messages` of the anthropic package: its iterator, its `.stream()` helper, whole messages, counts, images."""

import json

from anthropic import Anthropic

from program import QUESTION, TOOLS, counts, run_program

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="

clients = {}


def client_of(task):
    place = (task["url"], task["key"])
    if place not in clients:
        url = task["url"].removesuffix("/v1")
        clients[place] = Anthropic(base_url=url, api_key=task["key"], max_retries=0, timeout=20)
    return clients[place]


def check(value):
    """The package itself reads whatever comes; its types are what the API promises."""
    type(value).model_validate(value.to_dict())


def request_of(task):
    request = {
        "model": task["model"],
        "max_tokens": 500,
        "messages": [{"role": "user", "content": QUESTION}],
    }
    if task["tools"]:
        request["tools"] = [
            {
                "name": tool["function"]["name"],
                "description": tool["function"]["description"],
                "input_schema": tool["function"]["parameters"],
            }
            for tool in TOOLS
        ]
    return request


def read_message(message, reading):
    check(message)
    of = lambda kind: [block for block in message.content if block.type == kind]  # noqa: E731
    reading["text"] = "".join(block.text for block in of("text"))
    reading["reasoning"] = "".join(block.thinking for block in of("thinking"))
    reading["calls"] = [
        {
            "id": block.id,
            "name": block.name,
            "arguments": json.dumps(block.input, separators=(",", ":")),
        }
        for block in of("tool_use")
    ]
    reading["finish"] = message.stop_reason
    usage = message.usage
    total = usage.input_tokens + usage.output_tokens
    reading["usage"] = [counts(usage.input_tokens, usage.output_tokens, total)]


def iterator(task, reading):
    last = None
    thoughts = ""
    inputs = {}
    for event in client_of(task).messages.create(**request_of(task), stream=True):
        check(event)
        if event.type == "content_block_start" and event.content_block.type == "tool_use":
            block = event.content_block
            inputs[event.index] = {"id": block.id, "name": block.name, "arguments": ""}
        if event.type == "content_block_delta":
            if event.delta.type == "text_delta":
                reading["text"] += event.delta.text
            if event.delta.type == "thinking_delta":
                thoughts += event.delta.thinking
            if event.delta.type == "input_json_delta":
                inputs[event.index]["arguments"] += event.delta.partial_json
        if event.type == "message_delta":
            last = event
    calls = list(inputs.values())
    for call in calls:
        call["arguments"] = json.dumps(json.loads(call["arguments"]), separators=(",", ":"))
    reading.update(reasoning=thoughts, calls=calls, finish=last.delta.stop_reason)
    usage = last.usage
    total = usage.input_tokens + usage.output_tokens
    reading["usage"] = [counts(usage.input_tokens, usage.output_tokens, total)]


def helper(task, reading):
    with client_of(task).messages.stream(**request_of(task)) as stream:
        for text in stream.text_stream:
            reading["text"] += text
        message = stream.get_final_message()
    read_message(message, reading)


def whole(task, reading):
    read_message(client_of(task).messages.create(**request_of(task)), reading)


def turns(task, reading):
    """A second turn: the content goes back as it is, with what the tools gave."""
    request = request_of({**task, "tools": True})
    with client_of(task).messages.stream(**request) as stream:
        first = stream.get_final_message()
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "sunny"}
        for block in first.content
        if block.type == "tool_use"
    ]
    more = {"type": "text", "text": "And then?"}
    request["messages"] += [
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [*results, more]},
    ]
    read_message(client_of(task).messages.create(**request), reading)


def image(task, reading):
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    content = [{"type": "image", "source": source}, {"type": "text", "text": QUESTION}]
    request = {**request_of(task), "messages": [{"role": "user", "content": content}]}
    read_message(client_of(task).messages.create(**request), reading)


def count(task, reading):
    request = request_of({**task, "tools": True})
    del request["max_tokens"]
    reading["value"] = client_of(task).messages.count_tokens(**request).input_tokens


def models(task, reading):
    reading["value"] = [model.id for model in client_of(task).models.list(limit=7)]


WAYS = {
    "iterator": iterator,
    "helper": helper,
    "whole": whole,
    "turns": turns,
    "image": image,
    "count": count,
    "models": models,
}
run_program(WAYS)
