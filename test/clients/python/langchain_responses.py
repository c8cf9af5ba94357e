"""langchain-openai: ChatOpenAI with `use_responses_api`."""

from langchain_openai_model import chat_model_of
from langchain_ways import chat_ways, read_message, turns_way
from program import run_program


def model_of(task):
    return chat_model_of(task, use_responses_api=True)


def reasoning_of(message):
    blocks = message.content if isinstance(message.content, list) else []
    thoughts = [block for block in blocks if block.get("type") == "reasoning"]
    return "".join(part["text"] for block in thoughts for part in block.get("summary", []))


def read(message, reading):
    reading["reasoning"] = reasoning_of(message)
    details = message.response_metadata.get("incomplete_details")
    reading["finish"] = details["reason"] if details else message.response_metadata.get("status")
    read_message(message, reading)


run_program({**chat_ways(model_of, read), "turns": turns_way(model_of, read)})
