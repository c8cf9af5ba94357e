import asyncio
import os
import sys
from functools import partial

from lightrag import LightRAG, QueryParam
from lightrag.llm.openai import openai_complete_if_cache, openai_embed
from lightrag.utils import EmbeddingFunc, Tokenizer

chat_model, vectors_model, dimension, document = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
server = {"base_url": os.environ["OPENAI_BASE_URL"], "api_key": os.environ["OPENAI_API_KEY"]}


class Characters:
    """In place of tiktoken, which downloads its vocabulary."""

    def encode(self, content):
        return [ord(character) for character in content]

    def decode(self, tokens):
        return "".join(chr(token) for token in tokens)


async def complete(prompt, system_prompt=None, history_messages=[], **options):
    return await openai_complete_if_cache(
        chat_model, prompt, system_prompt=system_prompt, history_messages=history_messages, **server, **options
    )


async def main() -> None:
    rag = LightRAG(
        working_dir="rag",
        llm_model_func=complete,
        llm_model_name=chat_model,
        tokenizer=Tokenizer("characters", Characters()),
        embedding_func=EmbeddingFunc(
            embedding_dim=dimension,
            max_token_size=0,
            func=partial(openai_embed.func, model=vectors_model, **server),
        ),
    )
    await rag.initialize_storages()
    await rag.ainsert(open(document).read())
    answer = await rag.aquery("When does the ferry leave?", QueryParam(mode="naive", stream=True))
    if not isinstance(answer, str):
        answer = "".join([piece async for piece in answer])
    print("ANSWER", answer)
    await rag.finalize_storages()


asyncio.run(main())
