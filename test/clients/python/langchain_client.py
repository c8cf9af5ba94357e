"""langchain-openai: ChatOpenAI and OpenAIEmbeddings as applications use them."""

from langchain_openai import OpenAIEmbeddings

from langchain_openai_model import chat_model_of, connection_of
from langchain_ways import chat_ways, read_message
from program import run_program


def model_of(task):
    return chat_model_of(task, stream_usage=task["includeUsage"])


def read(message, reading):
    reading["reasoning"] = message.additional_kwargs.get("reasoning_content", "")
    reading["finish"] = message.response_metadata.get("finish_reason")
    read_message(message, reading)


def embed(task, reading):
    embeddings = OpenAIEmbeddings(
        **connection_of(task),
        # Names of models that nobody knows have the tokenizer of cl100k_base.
        tiktoken_model_name="text-embedding-3-small",
    )
    reading["value"] = embeddings.embed_documents(task["inputs"])


run_program({**chat_ways(model_of, read), "embed": embed})
