import json
import os
import sys

import litellm

TOOL = {
    "type": "function",
    "function": {
        "name": "write_file",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}, "content": {"type": "string"}}},
    },
}
messages = [{"role": "user", "content": "Write it."}]
while True:
    message = litellm.completion(model=f"openai/{sys.argv[1]}", messages=messages, tools=[TOOL]).choices[0].message
    if not message.tool_calls:
        break
    messages.append(message.model_dump(exclude_none=True))
    for call in message.tool_calls:
        args = json.loads(call.function.arguments)
        open(args["path"], "w").write(args["content"])
        messages.append({"role": "tool", "tool_call_id": call.id, "content": "written"})
print(message.content)
