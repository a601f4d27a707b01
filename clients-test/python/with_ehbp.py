"""httpx and the openai package over EHBP, told the base URL and the key that was verified. Prints what it was answered."""
import json
import os

import httpx
from ehbp import EHBPTransport
from openai import OpenAI

with httpx.Client(transport=EHBPTransport.from_public_key_hex(os.environ['EHBP_KEY'])) as http:
    echo = http.post(f'{os.environ["BASE_URL"]}/echo', content=os.environ['QUESTION'])
    client = OpenAI(api_key=os.environ['API_KEY'], max_retries=0, http_client=http)
    question = [{'role': 'user', 'content': os.environ['QUESTION']}]
    whole = client.chat.completions.create(model='tiny', messages=question)
    pieces = [chunk.choices[0].delta.content for chunk in client.chat.completions.create(model='tiny', messages=question, stream=True)]
    vector = client.embeddings.create(model='minilm', input=os.environ['QUESTION'], encoding_format='float').data[0].embedding
    file = client.files.create(file=('notes.txt', os.environ['QUESTION'].encode() * 5000), purpose='assistants')
print(json.dumps({'echo': echo.text, 'chat': whole.choices[0].message.content, 'pieces': [piece for piece in pieces if piece],
                  'vector': vector, 'file': [file.id, file.bytes, file.filename]}))
