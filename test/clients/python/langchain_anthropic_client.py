"""langchain-anthropic: ChatAnthropic, streamed with its chunks added up, and whole."""

from langchain_anthropic import ChatAnthropic

from langchain_ways import chat_ways, read_message, turns_way, with_tools
from program import run_program


def model_of(task):
    model = ChatAnthropic(
        model=task["model"],
        base_url=task["url"].removesuffix("/v1"),
        api_key=task["key"],
        max_tokens=500,
        max_retries=0,
        timeout=20,
    )
    return with_tools(model, task)


def read(message, reading):
    blocks = message.content if isinstance(message.content, list) else []
    # Without tools its texts are plain strings between the blocks.
    thoughts = [block for block in blocks if isinstance(block, dict) and block["type"] == "thinking"]
    reading["reasoning"] = "".join(block.get("thinking", "") for block in thoughts)
    reading["finish"] = message.response_metadata.get("stop_reason")
    read_message(message, reading)


run_program({**chat_ways(model_of, read), "turns": turns_way(model_of, read)})
