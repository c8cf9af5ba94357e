import asyncio
import os
import sys

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai_like import OpenAILike


def write_file(path: str, content: str) -> str:
    """Writes a file."""
    open(path, "w").write(content)
    return "written"


async def main() -> None:
    llm = OpenAILike(
        model=sys.argv[1],
        api_base=os.environ["OPENAI_BASE_URL"],
        api_key=os.environ["OPENAI_API_KEY"],
        is_chat_model=True,
        is_function_calling_model=True,
    )
    print(await FunctionAgent(tools=[write_file], llm=llm).run("Write it."))


asyncio.run(main())
