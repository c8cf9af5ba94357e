"""`responses` of the openai package: its iterator, its `.stream()` helper, whole replies, each checked by its types."""

from openai_package import client_of
from program import QUESTION, TOOLS, counts, run_program


def check(value):
    """The package itself reads whatever comes; its types are what the API promises."""
    type(value).model_validate(value.to_dict())


def request_of(task):
    request = {"model": task["model"], "input": QUESTION}
    if task["tools"]:
        request["tools"] = [{"type": "function", **tool["function"]} for tool in TOOLS]
    return request


def read_response(response, reading):
    reading["text"] = response.output_text
    details = response.incomplete_details
    reading["finish"] = details.reason if details else response.status
    reading["reasoning"] = ""
    reading["calls"] = []
    for item in response.output:
        if item.type == "reasoning":
            reading["reasoning"] += "".join(part.text for part in item.summary)
        if item.type == "function_call":
            call = {"id": item.call_id, "name": item.name, "arguments": item.arguments}
            reading["calls"].append(call)
    usage = response.usage
    reading["usage"] = [counts(usage.input_tokens, usage.output_tokens, usage.total_tokens)]


def iterator(task, reading):
    last = None
    told = ""
    for event in client_of(task).responses.create(**request_of(task), stream=True):
        check(event)
        if event.type == "response.output_text.delta":
            told += event.delta
            reading["text"] = told
        if event.type in ("response.completed", "response.incomplete"):
            last = event.response
    read_response(last, reading)
    if reading["text"] != told:
        raise ValueError(f"the deltas say {told}")


def helper(task, reading):
    with client_of(task).responses.stream(**request_of(task)) as stream:
        incomplete = None
        for event in stream:
            if event.type == "response.output_text.delta":
                reading["text"] += event.delta
            if event.type == "response.incomplete":
                incomplete = event.response
        # The helper itself knows only complete ones, whoever sends the events.
        response = incomplete or stream.get_final_response()
    read_response(response, reading)


def whole(task, reading):
    response = client_of(task).responses.create(**request_of(task))
    check(response)
    read_response(response, reading)


def turns(task, reading):
    """A second turn: the output goes back as it is, with what the functions gave."""
    request = request_of({**task, "tools": True})
    first = client_of(task).responses.create(**request)
    results = [
        {"type": "function_call_output", "call_id": item.call_id, "output": "sunny"}
        for item in first.output
        if item.type == "function_call"
    ]
    question = {"role": "user", "content": request["input"]}
    more = {"role": "user", "content": "And then?"}
    request["input"] = [question, *first.output, *results, more]
    read_response(client_of(task).responses.create(**request), reading)


run_program({"iterator": iterator, "helper": helper, "whole": whole, "turns": turns})
