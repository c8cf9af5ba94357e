import os
import sys

from smolagents import OpenAIModel, ToolCallingAgent, tool


@tool
def write_file(path: str, content: str) -> str:
    """Writes a file.

    Args:
        path: Where.
        content: What.
    """
    open(path, "w").write(content)
    return "written"


model = OpenAIModel(model_id=sys.argv[1], api_base=os.environ["OPENAI_BASE_URL"], api_key=os.environ["OPENAI_API_KEY"])
print(ToolCallingAgent(tools=[write_file], model=model).run("Write it."))
