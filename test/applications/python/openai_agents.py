import sys

from agents import Agent, Runner, function_tool, set_tracing_disabled

set_tracing_disabled(True)


@function_tool
def write_file(path: str, content: str) -> str:
    """Writes a file."""
    open(path, "w").write(content)
    return "written"


agent = Agent(name="ferry", instructions="Write.", model=sys.argv[1], tools=[write_file])
print(Runner.run_sync(agent, "Write it.").final_output)
