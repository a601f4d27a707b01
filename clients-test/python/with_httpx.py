"""httpx: a request with a body, and an event stream as it comes."""
import json
import os

import httpx

with httpx.Client(base_url=os.environ['BASE_URL'], headers={'authorization': f'Bearer {os.environ["API_KEY"]}'}) as client:
    echo = client.post('/echo', content=os.environ['QUESTION'])
    body = {'model': 'tiny', 'stream': True, 'messages': [{'role': 'user', 'content': os.environ['QUESTION']}]}
    with client.stream('POST', '/v1/chat/completions', json=body) as response:
        lines = [line for line in response.iter_lines() if line.startswith('data: ')]
print(json.dumps({'echo': echo.text, 'authorization': echo.headers['x-authorization'], 'events': len(lines), 'last': lines[-1]}))
