"""The openai package: one client for each place, as applications keep it."""

from openai import OpenAI

clients = {}


def client_of(task):
    place = (task["url"], task["key"])
    if place not in clients:
        clients[place] = OpenAI(base_url=task["url"], api_key=task["key"], max_retries=0, timeout=20)
    return clients[place]
