"""Dify's plugin SDK: speech to text and text to speech, as Dify asks when such a model is added and when it is used."""

import hashlib
import io

from dify_plugin.interfaces.model.openai_compatible.speech2text import OAICompatSpeech2TextModel
from dify_plugin.interfaces.model.openai_compatible.tts import OAICompatText2SpeechModel

from program import run_program
from silence import silence

hearing = OAICompatSpeech2TextModel([])
speaking = OAICompatText2SpeechModel([])


def credentials_of(task):
    return {"endpoint_url": task["url"], "api_key": task["key"], "voices": "alloy", "audio_type": "mp3"}


def transcribe(task, reading):
    file = io.BytesIO(silence(0.5))
    reading["text"] = hearing._invoke(task["model"], credentials_of(task), file)


def speak(task, reading):
    parts = speaking._invoke(task["model"], "tenant", credentials_of(task), "Test.", "alloy")
    reading["value"] = hashlib.sha256(b"".join(parts)).hexdigest()


run_program(
    {
        "transcribe": transcribe,
        "speak": speak,
        "validate-speak": lambda task, reading: speaking.validate_credentials(
            task["model"], credentials_of(task)
        ),
    }
)
