"""langchain-openai: ChatOpenAI and OpenAIEmbeddings as applications use them."""

import json

from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from program import TOOLS, counts, run_program


def model_of(task):
    model = ChatOpenAI(
        model=task["model"],
        base_url=task["url"],
        api_key=task["key"],
        max_retries=0,
        stream_usage=task["includeUsage"],
    )
    return model.bind_tools(TOOLS) if task["tools"] else model


def read(message, reading):
    reading["text"] = message.text if isinstance(message.text, str) else message.text()
    reading["reasoning"] = message.additional_kwargs.get("reasoning_content", "")
    reading["finish"] = message.response_metadata.get("finish_reason")
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
        reading["text"] = total.text if isinstance(total.text, str) else total.text()
    read(total, reading)


def embed(task, reading):
    embeddings = OpenAIEmbeddings(
        model=task["model"],
        base_url=task["url"],
        api_key=task["key"],
        max_retries=0,
        # Names of models that nobody knows have the tokenizer of cl100k_base.
        tiktoken_model_name="text-embedding-3-small",
    )
    reading["value"] = embeddings.embed_documents(task["inputs"])


run_program(
    {
        "stream": stream,
        "whole": lambda task, reading: read(model_of(task).invoke("When does it leave?"), reading),
        "embed": embed,
    }
)
