"""Dify's plugin SDK: what Dify does when a model is added, and when it is used."""

from dify_plugin import OAICompatEmbeddingModel, OAICompatLargeLanguageModel, OAICompatRerankModel
from dify_plugin.entities.model import AIModelEntity, EmbeddingInputType
from dify_plugin.entities.model.message import PromptMessageTool, UserPromptMessage

from chat_objects import read_calls, read_usage
from program import QUESTION, TOOLS, counts, run_program

MESSAGES = [UserPromptMessage(content=QUESTION)]


def count_tokens(self, text):
    """In place of GPT-2's tokenizer, whose vocabulary the SDK would fetch from the internet."""
    return max(1, len(text) // 4)


OAICompatLargeLanguageModel._get_num_tokens_by_gpt2 = count_tokens
OAICompatEmbeddingModel._get_num_tokens_by_gpt2 = count_tokens

language = OAICompatLargeLanguageModel([])
embedding = OAICompatEmbeddingModel([])
ranking = OAICompatRerankModel([])


def credentials_of(task, mode="chat"):
    return {
        "endpoint_url": task["url"],
        "api_key": task["key"],
        "mode": mode,
        "context_size": "8000",
        "function_calling_type": "tool_call" if task["tools"] else "no_call",
        "stream_mode_delimiter": "\\n\\n",
    }


def tools_of(task):
    if not task["tools"]:
        return None
    functions = [tool["function"] for tool in TOOLS]
    return [
        PromptMessageTool(
            name=one["name"], description=one["description"], parameters=one["parameters"]
        )
        for one in functions
    ]


def parameters_of(task, is_stream):
    """Dify's plugin for OpenAI-compatible models adds this to every stream, unless it is told not to."""
    wants_usage = is_stream and task["includeUsage"]
    return {"stream_options": {"include_usage": True}} if wants_usage else {}


def invoke(task, is_stream, mode="chat"):
    return language._invoke(
        model=task["model"],
        credentials=credentials_of(task, mode),
        prompt_messages=MESSAGES,
        model_parameters=parameters_of(task, is_stream),
        tools=tools_of(task),
        stream=is_stream,
        user="someone",
    )


def stream(task, reading, mode="chat"):
    for chunk in invoke(task, True, mode):
        reading["text"] += chunk.delta.message.content or ""
        read_calls(chunk.delta.message.tool_calls, reading)
        if chunk.delta.finish_reason is not None:
            reading["finish"] = chunk.delta.finish_reason
        read_usage(chunk.delta.usage, reading)


def whole(task, reading, mode="chat"):
    reply = invoke(task, False, mode)
    reading["text"] = reply.message.content or ""
    read_calls(reply.message.tool_calls, reading)
    read_usage(reply.usage, reading)


def embed(task, reading):
    reply = embedding._invoke(
        model=task["model"],
        credentials={**credentials_of(task), "max_chunks": 3},
        texts=task["inputs"],
        user="someone",
    )
    reading["value"] = reply.embeddings
    reading["usage"].append(counts(reply.usage.tokens, 0, reply.usage.total_tokens))


def rerank(task, reading):
    reply = ranking._invoke(
        model=task["model"],
        credentials=credentials_of(task),
        query="when",
        docs=task["inputs"],
        top_n=2,
    )
    reading["value"] = [[doc.index, doc.score] for doc in reply.docs]


run_program(
    {
        "stream": stream,
        "whole": whole,
        "completions": lambda task, reading: whole(task, reading, "completion"),
        "completions-stream": lambda task, reading: stream(task, reading, "completion"),
        "validate": lambda task, _: language.validate_credentials(
            task["model"], credentials_of(task)
        ),
        "validate-stream": lambda task, _: language.validate_credentials(
            task["model"], {**credentials_of(task), "stream_mode_auth": "use"}
        ),
        "validate-embeddings": lambda task, _: embedding.validate_credentials(
            task["model"], credentials_of(task)
        ),
        "validate-rerank": lambda task, _: ranking.validate_credentials(
            task["model"], credentials_of(task)
        ),
        "embed": embed,
        "rerank": rerank,
    }
)
