import os
import sys
from typing import Annotated

from haystack.components.agents import Agent
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.tools import tool


@tool
def write_file(path: Annotated[str, "Where."], content: Annotated[str, "What."]) -> str:
    """Writes a file."""
    open(path, "w").write(content)
    return "written"


llm = OpenAIChatGenerator(model=sys.argv[1], api_base_url=os.environ["OPENAI_BASE_URL"])
agent = Agent(chat_generator=llm, tools=[write_file])
print(agent.run(messages=[ChatMessage.from_user("Write it.")])["last_message"].text)
