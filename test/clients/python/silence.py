"""A recording of nothing."""

import io
import wave

RATE = 16_000


def silence(seconds):
    """A WAV of 16-bit mono zeros."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(bytes(int(RATE * seconds) * 2))
    return buffer.getvalue()
