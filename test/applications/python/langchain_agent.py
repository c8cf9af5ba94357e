import sys

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI


def write_file(path: str, content: str) -> str:
    """Writes a file."""
    open(path, "w").write(content)
    return "written"


for responses in (False, True):
    agent = create_agent(ChatOpenAI(model=sys.argv[1], use_responses_api=responses), tools=[write_file])
    print(agent.invoke({"messages": [("user", "Write it.")]})["messages"][-1].text)
