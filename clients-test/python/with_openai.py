"""The openai package, told nothing but a base URL. Prints what it was answered."""
import json
import os

from openai import OpenAI

client = OpenAI(api_key=os.environ['API_KEY'], max_retries=0)
question = [{'role': 'user', 'content': os.environ['QUESTION']}]
whole = client.chat.completions.create(model='tiny', messages=question)
pieces = [chunk.choices[0].delta.content for chunk in client.chat.completions.create(model='tiny', messages=question, stream=True)]
vector = client.embeddings.create(model='minilm', input=os.environ['QUESTION'], encoding_format='float').data[0].embedding
file = client.files.create(file=('notes.txt', os.environ['QUESTION'].encode() * 5000), purpose='assistants')
print(json.dumps({'chat': whole.choices[0].message.content, 'pieces': [piece for piece in pieces if piece], 'vector': vector,
                  'file': [file.id, file.bytes, file.filename]}))
