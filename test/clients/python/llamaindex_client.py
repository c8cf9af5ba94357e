"""LlamaIndex: OpenAILike (chat, and completions, which is its default) and OpenAIEmbedding."""

from llama_index.core.llms import ChatMessage
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai_like import OpenAILike

from chat_objects import read_calls, read_usage
from program import QUESTION, TOOLS, run_program

MESSAGES = [ChatMessage(role="user", content=QUESTION)]


def model_of(task, is_chat=True):
    return OpenAILike(
        model=task["model"],
        api_base=task["url"],
        api_key=task["key"],
        max_retries=0,
        is_chat_model=is_chat,
        is_function_calling_model=True,
        context_window=8000,
    )


def options_of(task, is_stream):
    options = {"tools": TOOLS} if task["tools"] else {}
    if is_stream and task["includeUsage"]:
        options["stream_options"] = {"include_usage": True}
    return options


def stream(task, reading):
    last = None
    for part in model_of(task).stream_chat(MESSAGES, **options_of(task, True)):
        last = part
        reading["text"] += part.delta or ""
        raw = part.raw
        read_usage(raw.usage, reading)
        if raw.choices and raw.choices[0].finish_reason:
            reading["finish"] = (reading["finish"] or "") + raw.choices[0].finish_reason
    read_calls(last.message.additional_kwargs.get("tool_calls"), reading)


def whole(task, reading):
    reply = model_of(task).chat(MESSAGES, **options_of(task, False))
    reading["text"] = reply.message.content or ""
    read_calls(reply.message.additional_kwargs.get("tool_calls"), reading)
    read_usage(reply.raw.usage, reading)
    reading["finish"] = reply.raw.choices[0].finish_reason


def completions(task, reading):
    reply = model_of(task, is_chat=False).complete("It leaves")
    reading["text"] = reply.text
    read_usage(reply.raw.usage, reading)
    reading["finish"] = reply.raw.choices[0].finish_reason


def completions_stream(task, reading):
    for part in model_of(task, is_chat=False).stream_complete("It leaves"):
        reading["text"] += part.delta or ""
        if part.raw.choices and part.raw.choices[0].finish_reason:
            reading["finish"] = part.raw.choices[0].finish_reason


def embed(task, reading):
    model = OpenAIEmbedding(
        model_name=task["model"], api_base=task["url"], api_key=task["key"], max_retries=0
    )
    reading["value"] = model.get_text_embedding_batch(task["inputs"])


run_program(
    {
        "stream": stream,
        "whole": whole,
        "completions": completions,
        "completions-stream": completions_stream,
        "embed": embed,
    }
)
