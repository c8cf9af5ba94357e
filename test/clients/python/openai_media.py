"""`audio` and `images` of the openai package: half a second of silence, speech as bytes, images."""

import hashlib

from openai_package import client_of
from program import run_program
from silence import silence


def transcribe(task, reading, seconds=0.5, **more):
    reply = client_of(task).audio.transcriptions.create(
        model=task["model"],
        file=("Stille Grüße 你好.wav", silence(seconds), "audio/wav"),
        prompt="é",
        temperature=0,
        **more,
    )
    reading["text"] = reply if isinstance(reply, str) else reply.text
    reading["value"] = type(reply).__name__


def speak(task, reading):
    parts = []
    speech = client_of(task).audio.speech
    request = {"model": task["model"], "input": "Hello~ RAGFlower!", "voice": "alloy"}
    with speech.with_streaming_response.create(**request) as response:
        kind = response.headers["content-type"]
        for part in response.iter_bytes():
            parts.append(part)
    reading["value"] = [kind, hashlib.sha256(b"".join(parts)).hexdigest()]


def draw(task, reading, **more):
    reply = client_of(task).images.generate(model=task["model"], prompt="a ferry", **more)
    if not isinstance(reply.created, int):
        raise ValueError(f"created is {reply.created}")
    reading["value"] = [[image.b64_json, image.url] for image in reply.data]


run_program(
    {
        "transcribe": transcribe,
        "transcribe-long": lambda task, reading: transcribe(task, reading, seconds=300),
        "transcribe-text": lambda task, reading: transcribe(task, reading, response_format="text"),
        "transcribe-verbose": lambda task, reading: transcribe(
            task, reading, response_format="verbose_json", timestamp_granularities=["segment"]
        ),
        "speak": speak,
        "draw": draw,
        "draw-b64": lambda task, reading: draw(task, reading, response_format="b64_json"),
        "draw-url": lambda task, reading: draw(task, reading, response_format="url"),
    }
)
