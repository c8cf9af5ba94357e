"""The openai package: its iterator, its `.stream()` helper, whole replies, embeddings, models."""

from chat_objects import read_calls, read_usage
from openai_package import client_of
from program import QUESTION, TOOLS, counts, run_program


def request_of(task):
    request = {
        "model": task["model"],
        "messages": [{"role": "user", "content": QUESTION}],
    }
    if task["tools"]:
        request["tools"] = TOOLS
    if "choices" in task:
        request["n"] = task["choices"]
    return request


def stream_options_of(task):
    return {"stream_options": {"include_usage": True}} if task["includeUsage"] else {}


def read_chunk(chunk, reading):
    read_usage(chunk.usage, reading)
    for choice in chunk.choices:
        delta = choice.delta
        reading["text"] += delta.content or ""
        reading["reasoning"] += getattr(delta, "reasoning_content", None) or ""
        for call in delta.tool_calls or []:
            while len(reading["calls"]) <= call.index:
                reading["calls"].append({"id": "", "name": "", "arguments": ""})
            known = reading["calls"][call.index]
            known["id"] += call.id or ""
            known["name"] += call.function.name or ""
            known["arguments"] += call.function.arguments or ""
        if choice.finish_reason is not None:
            reading["finish"] = (reading["finish"] or "") + choice.finish_reason


def read_whole(reply, reading):
    read_usage(reply.usage, reading)
    message = reply.choices[0].message
    reading["text"] = message.content or ""
    reading["reasoning"] = getattr(message, "reasoning_content", None) or ""
    reading["finish"] = reply.choices[0].finish_reason
    read_calls(message.tool_calls, reading)


def iterator(task, reading):
    request = {**request_of(task), "stream": True, **stream_options_of(task)}
    for chunk in client_of(task).chat.completions.create(**request):
        read_chunk(chunk, reading)


def helper(task, reading):
    request = {**request_of(task), **stream_options_of(task)}
    with client_of(task).chat.completions.stream(**request) as stream:
        for event in stream:
            if event.type == "content.delta":
                reading["text"] += event.delta
        reply = stream.get_final_completion()
    read_whole(reply, reading)


def choices_of_stream(task, reading):
    """Text and finishes of each choice, by its index."""
    said = {}
    request = {**request_of(task), "stream": True, **stream_options_of(task)}
    for chunk in client_of(task).chat.completions.create(**request):
        read_usage(chunk.usage, reading)
        for choice in chunk.choices:
            known = said.setdefault(choice.index, {"text": "", "finish": ""})
            known["text"] += choice.delta.content or ""
            known["finish"] += choice.finish_reason or ""
    reading["value"] = said


def choices_of_whole(task, reading):
    reply = client_of(task).chat.completions.create(**request_of(task))
    read_usage(reply.usage, reading)
    reading["value"] = [
        [choice.index, choice.message.content, choice.finish_reason] for choice in reply.choices
    ]


def embed(task, reading, **more):
    reply = client_of(task).embeddings.create(model=task["model"], input=task["inputs"], **more)
    reading["value"] = [[item.index, item.embedding] for item in reply.data]
    reading["usage"].append(counts(reply.usage.prompt_tokens, 0, reply.usage.total_tokens))


def completions(task, reading):
    reply = client_of(task).completions.create(model=task["model"], prompt="It leaves")
    reading["text"] = reply.choices[0].text
    reading["finish"] = reply.choices[0].finish_reason
    read_usage(reply.usage, reading)


def models(task, reading):
    reading["value"] = [model.id for model in client_of(task).models.list()]


run_program(
    {
        "iterator": iterator,
        "helper": helper,
        "whole": lambda task, reading: read_whole(
            client_of(task).chat.completions.create(**request_of(task)), reading
        ),
        "completions": completions,
        "choices-stream": choices_of_stream,
        "choices": choices_of_whole,
        "embed": embed,
        "embed-float": lambda task, reading: embed(task, reading, encoding_format="float"),
        "embed-base64": lambda task, reading: embed(task, reading, encoding_format="base64"),
        "models": models,
    }
)
