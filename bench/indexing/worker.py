"""
8 threads that embed with an unmodified client as it is shipped, its own retries included.
argv: client, base URL, key, calls, texts of one call, workers, and RAGFlow's embedding_model.py where there is one.
Prints a JSON result.
"""

import ast
import json
import logging
import sys
import threading

client, url, key, calls, batch, workers = sys.argv[1:7]
ragflow_file = sys.argv[7] if len(sys.argv) > 7 else ""
texts = [f"text {index}" for index in range(int(batch))]


def openai_python():
    from openai import OpenAI

    api = OpenAI(base_url=url, api_key=key)
    return lambda: [item.embedding for item in api.embeddings.create(model="m", input=texts).data]


def langchain():
    from langchain_openai import OpenAIEmbeddings

    model = OpenAIEmbeddings(
        model="m", base_url=url, api_key=key, check_embedding_ctx_length=False, chunk_size=len(texts)
    )
    return lambda: model.embed_documents(texts)


def llamaindex():
    from llama_index.embeddings.openai import OpenAIEmbedding

    model = OpenAIEmbedding(
        model_name="m", api_base=url, api_key=key, embed_batch_size=min(len(texts), 2048)
    )
    return lambda: model.get_text_embedding_batch(texts)


def ragflow():
    """RAGFlow's OpenAIEmbed: its source runs where it is given; else the same calls in the same order."""
    from openai import OpenAI

    if ragflow_file:
        model = ragflow_class(OpenAI)(key, "m", url)
        return lambda: list(model.encode(texts)[0])
    api = OpenAI(api_key=key, base_url=url)

    def encode():
        vectors = []
        for start in range(0, len(texts), 16):
            reply = api.embeddings.create(
                model="m",
                input=texts[start : start + 16],
                encoding_format="float",
                extra_body={"drop_params": True},
            )
            vectors.extend(item.embedding for item in reply.data)
        return vectors

    return encode


RAGFLOW_PARTS = ("EmbeddingError", "_sorted_by_index", "Base", "OpenAIEmbed")


def ragflow_class(openai_client):
    """Only the class and what it uses: the module imports packages of twenty vendors."""
    with open(ragflow_file, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    parts = [node for node in tree.body if getattr(node, "name", "") in RAGFLOW_PARTS]

    class Arrays:
        ndarray = list
        array = staticmethod(list)

    def log_exception(error, *_):
        raise error

    names = {
        "ABC": object,
        "OpenAI": openai_client,
        "ModelException": Exception,
        "np": Arrays,
        "logger": logging.getLogger("ragflow"),
        "ensure_v1": lambda base: base,
        "truncate": lambda text, length: text[:length],
        "total_token_count_from_response": lambda reply: reply.usage.total_tokens,
        "log_exception": log_exception,
    }
    exec(compile(ast.Module(parts, []), ragflow_file, "exec"), names)
    return names["OpenAIEmbed"]


CLIENTS = {
    "openai-python": openai_python,
    "langchain": langchain,
    "llamaindex": llamaindex,
    "ragflow": ragflow,
}

left = int(calls)
lock = threading.Lock()
result = {"served": 0, "failed": 0, "firstError": ""}
embed = CLIENTS[client]()


def work():
    global left
    while True:
        with lock:
            if left == 0:
                return
            left -= 1
        try:
            count = len(embed())
            if count != len(texts):
                raise ValueError(f"{count} vectors")
            with lock:
                result["served"] += 1
        except Exception as error:  # noqa: BLE001 - every kind of error is a failure
            with lock:
                result["failed"] += 1
                result["firstError"] = result["firstError"] or f"{type(error).__name__}: {error}"


threads = [threading.Thread(target=work) for _ in range(int(workers))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(result))
