"""
RAGFlow's Python side, as its call patterns are: the openai package's async client, its sums, its
batches. Written from the description, not copied; RAGFlow itself is no package.
"""

import asyncio
import json
import urllib.request

from openai import AsyncOpenAI, OpenAI

from program import TOOLS, counts, run_program

BATCH = 16


async def chat(task, reading):
    client = AsyncOpenAI(base_url=task["url"], api_key=task["key"], max_retries=0, timeout=600)
    request = {
        "model": task["model"],
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "temperature": 0.9,
    }
    if task["tools"]:
        request.update(tools=TOOLS, tool_choice="auto")
    total = 0
    try:
        async for part in await client.chat.completions.create(**request):
            if not part.choices:
                continue
            read_choice(part.choices[0], reading)
            total += part.usage.total_tokens if part.usage else 0
    finally:
        await client.close()
    # Tokens of chunks that have choices are summed, so usage in each chunk would count many times.
    reading["value"] = total


def read_choice(choice, reading):
    delta = choice.delta
    reading["text"] += delta.content or ""
    for name in ("reasoning_content", "reasoning"):
        reading["reasoning"] += getattr(delta, name, None) or ""
    for call in delta.tool_calls or []:
        while len(reading["calls"]) <= call.index:
            reading["calls"].append({"id": call.id, "name": call.function.name, "arguments": ""})
        reading["calls"][call.index]["arguments"] += call.function.arguments or ""
    if choice.finish_reason:
        reading["finish"] = choice.finish_reason


async def validate(task, reading):
    """Adding a model: the first token within ten seconds, none of it an error."""
    async with asyncio.timeout(10):
        await chat(task, reading)
    if reading["text"] == "" or "**ERROR**" in reading["text"]:
        raise ValueError("no answer")


def embed(task, reading):
    client = OpenAI(base_url=task["url"], api_key=task["key"], max_retries=0)
    vectors, tokens = [], 0
    for start in range(0, len(task["inputs"]), BATCH):
        reply = client.embeddings.create(
            model=task["model"],
            input=task["inputs"][start : start + BATCH],
            encoding_format="float",
            extra_body={"drop_params": True},
        )
        ordered = sorted(reply.data, key=lambda item: item.index)
        vectors.extend(item.embedding for item in ordered)
        tokens += reply.usage.total_tokens
    reading["value"] = vectors
    reading["usage"].append(counts(tokens, 0, tokens))


def call(method, url, key, body=None):
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as response:
        if response.status != 200:
            raise ValueError(f"status {response.status}")
        return json.load(response)


def models(task, reading):
    root = task["url"].split("/v1")[0]
    listed = call("GET", f"{root}/v1/models", task["key"])
    reading["value"] = [item.get("id") or item.get("name") for item in listed["data"]]


def rerank(task, reading):
    """The base URL as it was typed, with or without /v1, and `/rerank`."""
    body = {
        "model": task["model"],
        "query": "when",
        "documents": task["inputs"],
        "top_n": len(task["inputs"]),
    }
    reply = call("POST", f"{task['url']}/rerank", task["key"], body)
    ranks = [0.0] * len(task["inputs"])
    for item in reply["results"]:
        ranks[item["index"]] = item["relevance_score"]
    reading["value"] = ranks


run_program(
    {
        "stream": lambda task, reading: asyncio.run(chat(task, reading)),
        "validate": lambda task, reading: asyncio.run(validate(task, reading)),
        "embed": embed,
        "models": models,
        "rerank": rerank,
    }
)
