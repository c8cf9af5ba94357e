import asyncio
import os
import sys

import dspy

chat_model, vectors_model = sys.argv[1], sys.argv[2]
server = {"api_base": os.environ["OPENAI_BASE_URL"], "api_key": os.environ["OPENAI_API_KEY"], "cache": False}
dspy.configure(lm=dspy.LM(f"openai/{chat_model}", **server))


def write_file(path: str, content: str) -> str:
    """Writes a file."""
    open(path, "w").write(content)
    return "written"


print(dspy.ReAct("question -> answer", tools=[write_file], max_iters=4)(question="Write it.").answer)

vectors = dspy.Embedder(f"openai/{vectors_model}", api_base=server["api_base"], api_key=server["api_key"], caching=False)
print("VECTORS", vectors([f"text {at}" for at in range(25)]).shape)


async def stream() -> None:
    program = dspy.streamify(
        dspy.Predict("question -> answer"),
        stream_listeners=[dspy.streaming.StreamListener(signature_field_name="answer")],
    )
    async for piece in program(question="Say it."):
        if isinstance(piece, dspy.streaming.StreamResponse):
            print("PIECE", repr(piece.chunk))
        elif isinstance(piece, dspy.Prediction):
            print("STREAMED", piece.answer)


asyncio.run(stream())
