import os
import sys

import dspy


def write_file(path: str, content: str) -> str:
    """Writes a file."""
    open(path, "w").write(content)
    return "written"


dspy.configure(lm=dspy.LM(f"openai/{sys.argv[1]}", api_base=os.environ["OPENAI_BASE_URL"], api_key=os.environ["OPENAI_API_KEY"], cache=False))
print(dspy.ReAct("question -> answer", tools=[write_file])(question="Write it.").answer)
