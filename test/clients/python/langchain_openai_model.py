"""ChatOpenAI of langchain-openai with the gateway as its server."""

from langchain_openai import ChatOpenAI

from langchain_ways import with_tools


def connection_of(task):
    return {
        "model": task["model"],
        "base_url": task["url"],
        "api_key": task["key"],
        "max_retries": 0,
    }


def chat_model_of(task, **options):
    return with_tools(ChatOpenAI(**connection_of(task), **options), task)
