"""httpx-sse: the events of two streams, each as the package reads it: one with names of events, one without."""
import json
import os

import httpx
from httpx_sse import connect_sse

question = {'model': 'tiny', 'stream': True, 'max_tokens': 9, 'messages': [{'role': 'user', 'content': os.environ['QUESTION']}]}
events = []
with httpx.Client(base_url=os.environ['BASE_URL']) as client:
    for path in ('/v1/chat/completions', '/v1/messages'):
        with connect_sse(client, 'POST', path, json=question) as source:
            events.append([[event.event, event.data, event.id, event.retry] for event in source.iter_sse()])
print(json.dumps(events))
