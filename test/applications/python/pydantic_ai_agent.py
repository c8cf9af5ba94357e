import sys

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel

for kind in (OpenAIChatModel, OpenAIResponsesModel):
    agent = Agent(kind(sys.argv[1]), system_prompt="Write.")

    @agent.tool_plain
    def write_file(path: str, content: str) -> str:
        """Writes a file."""
        open(path, "w").write(content)
        return "written"

    print(agent.run_sync("Write it.").output)
