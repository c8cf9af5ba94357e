"""langchain-openai: ChatOpenAI with `use_responses_api`."""

from langchain_core.messages import HumanMessage, ToolMessage

from langchain_ways import chat_model_of, chat_ways, read_message
from program import QUESTION, run_program


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


def turns(task, reading):
    """A second turn: the message goes back as it is, with what the tools gave."""
    model = model_of({**task, "tools": True})
    question = HumanMessage(QUESTION)
    first = model.invoke([question])
    results = [ToolMessage("sunny", tool_call_id=call["id"]) for call in first.tool_calls]
    read(model.invoke([question, first, *results, HumanMessage("And then?")]), reading)


run_program({**chat_ways(model_of, read), "turns": turns})
